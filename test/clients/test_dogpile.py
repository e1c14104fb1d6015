"""dogpile.cache: the regions that Keystone and its like configure, among threads and among processes."""

import multiprocessing
import time

import redis
from dogpile.cache import make_region
from dogpile.cache.api import NO_VALUE

from harness import HOST, PEER, ClientTest, in_threads, main, until

PROCESSES, THREADS = 3, 4


class Region:
    """The tests of one back end, named by the class attributes backend and arguments()."""

    timeout = 60

    def region(self, expiration_time=300, **more):
        return make_region().configure(self.backend, expiration_time=expiration_time,
                                       arguments=dict(self.arguments(), **more))

    def setUp(self):
        self.key = self.unique('dogpile')
        self.r = self.region()

    def test_set_get_delete(self):
        self.assertIs(self.r.get(self.key), NO_VALUE)
        for value in ({'a': [1, None]}, 'text', b'bytes', 'x' * 100_000, None, False):
            self.r.set(self.key, value)
            self.assertEqual(self.r.get(self.key), value)
        self.r.delete(self.key)
        self.assertIs(self.r.get(self.key), NO_VALUE)
        self.r.delete(self.key)

    def test_multi(self):
        content = {f'{self.key}-{i}': i for i in range(100)}
        self.r.set_multi(content)
        self.assertEqual(self.r.get_multi(list(content) + ['none']), list(content.values()) + [NO_VALUE])
        self.r.delete_multi(list(content)[1:])
        self.assertEqual(self.r.get_multi(list(content)), [0] + [NO_VALUE] * 99)

    def test_get_or_create_multi(self):
        keys = [f'{self.key}-{i}' for i in range(5)]
        self.r.set(keys[0], 'there')
        self.assertEqual(self.r.get_or_create_multi(keys, lambda *k: [f'made {len(k)}'] * len(k)),
                         ['there'] + ['made 4'] * 4)

    def test_expiration_computes_again(self):
        r, calls = self.region(expiration_time=1), []

        def create():
            calls.append(time.time())
            return len(calls)
        self.assertEqual((r.get_or_create(self.key, create), r.get_or_create(self.key, create)), (1, 1))
        until(lambda: r.get_or_create(self.key, create) == 2, 5, 'the second computation')
        self.assertGreaterEqual(calls[1] - calls[0], 1)

    def test_invalidate(self):
        self.assertEqual(self.r.get_or_create(self.key, lambda: 'old'), 'old')
        time.sleep(0.001)  # invalidation is by a time of creation strictly before it
        self.r.invalidate()
        self.assertEqual(self.r.get_or_create(self.key, lambda: 'new'), 'new')

    def test_decorator(self):
        calls = []

        @self.r.cache_on_arguments(namespace=self.key)
        def double(n):
            calls.append(n)
            return 2 * n
        self.assertEqual((double(2), double(2), double(3)), (4, 4, 6))
        double.invalidate(2)
        self.assertEqual((double(2), calls), (4, [2, 3, 2]))

    def test_many_processes_and_threads_compute_once(self):
        context = multiprocessing.get_context('fork')
        computed, results = context.Value('i', 0), context.Queue()
        start = context.Barrier(PROCESSES)

        def create():
            with computed.get_lock():
                computed.value += 1
            time.sleep(0.05)  # a computation long enough for the others to come
            return 'made'

        def process():
            r = self.region(distributed_lock=True, **self.lock_arguments)
            start.wait(20)
            for got in in_threads(THREADS, lambda _: r.get_or_create(self.key, create), 40):
                results.put(got)

        children = [context.Process(target=process, daemon=True) for _ in range(PROCESSES)]
        for c in children:
            c.start()
        got = [results.get(timeout=40) for _ in range(PROCESSES * THREADS)]
        for c in children:
            c.join(10)
        self.assertEqual((set(got), computed.value), ({'made'}, 1))

    def test_distributed_lock_excludes(self):
        one, two = (self.region(distributed_lock=True, **self.lock_arguments).backend.get_mutex(self.key)
                    for _ in range(2))
        self.assertTrue(one.acquire(False))
        self.assertFalse(two.acquire(False))
        one.release()
        self.assertTrue(two.acquire(False))
        two.release()


class OnRedis(Region, ClientTest):
    backend = 'dogpile.cache.redis'
    lock_arguments = {'lock_timeout': 30, 'lock_sleep': 0.01, 'thread_local_lock': False}

    def arguments(self):
        return {'host': HOST, 'port': PEER.redis_port, 'db': 2, 'redis_expiration_time': 600}

    def ttl(self, key):
        with redis.Redis(HOST, PEER.redis_port, db=2) as client:
            return client.ttl(key)

    def test_redis_expiration_time_is_the_ttl(self):
        self.r.set(self.key, 'v')
        self.assertIn(self.ttl(self.key), (599, 600))
        self.r.set_multi({self.key + 'a': 1, self.key + 'b': 2})
        self.assertIn(self.ttl(self.key + 'a'), (599, 600))

    def test_without_expiration_time_there_is_no_ttl(self):
        r = make_region().configure(self.backend, arguments={'url': PEER.redis_url(2)})
        r.set(self.key, 'v')
        r.set_multi({self.key + 'a': 1})
        self.assertEqual((self.ttl(self.key), self.ttl(self.key + 'a')), (-1, -1))


class OnPymemcache(Region, ClientTest):
    backend = 'dogpile.cache.pymemcache'
    lock_arguments = {'lock_timeout': 30}

    def arguments(self):
        return {'url': [PEER.memcached], 'memcached_expire_time': 600}


class OnPymemcacheWithRetries(OnPymemcache):
    def arguments(self):
        return dict(super().arguments(), enable_retry_client=True, retry_attempts=2, retry_delay=0.01)


class OnPythonMemcached(OnPymemcache):
    backend = 'dogpile.cache.memcached'


class OnPyLibMC(OnPymemcache):
    backend = 'dogpile.cache.pylibmc'


if __name__ == '__main__':
    main()
