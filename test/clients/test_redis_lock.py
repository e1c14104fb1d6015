"""redis-py's Lock, as dogpile, django-redis and tooz use it."""

import time

import redis
from redis.exceptions import LockError, LockNotOwnedError

from harness import HOST, PEER, ClientTest, in_threads, main, until


def client():
    return redis.Redis(HOST, PEER.redis_port)


class Lock(ClientTest):
    def setUp(self):
        self.r = client()
        self.addCleanup(self.r.close)
        self.name = self.unique('lock')

    def test_acquire_and_release(self):
        first, second = self.r.lock(self.name), self.r.lock(self.name)
        self.assertIs(first.acquire(blocking=False), True)
        self.assertIs(second.acquire(blocking=False), False)
        self.assertTrue(first.owned() and first.locked() and not second.owned())
        self.assertEqual(self.r.get(self.name), first.local.token)
        with self.assertRaises(LockError):
            second.release()
        first.release()
        self.assertIs(second.acquire(blocking=False), True)
        second.release()
        self.assertEqual(self.r.exists(self.name), 0)

    def test_timeout_frees_the_lock_and_the_old_holder_cannot_release_it(self):
        first, second = self.r.lock(self.name, timeout=0.1), self.r.lock(self.name, sleep=0.005)
        began = time.monotonic()
        self.assertTrue(first.acquire())
        self.assertTrue(second.acquire(blocking_timeout=5))
        self.assertTrue(0.095 <= time.monotonic() - began < 1)
        with self.assertRaises(LockNotOwnedError):
            first.release()
        self.assertTrue(second.owned())
        second.release()

    def test_blocking_timeout(self):
        self.assertTrue(self.r.lock(self.name).acquire())
        began = time.monotonic()
        self.assertFalse(self.r.lock(self.name, sleep=0.01).acquire(blocking_timeout=0.1))
        self.assertLess(time.monotonic() - began, 2)

    def test_extend_and_reacquire(self):
        lock = self.r.lock(self.name, timeout=10)
        lock.acquire()
        self.assertIs(lock.extend(20), True)
        self.assertTrue(29000 < self.r.pttl(self.name) <= 30000)
        self.assertIs(lock.extend(5, replace_ttl=True), True)
        self.assertTrue(4000 < self.r.pttl(self.name) <= 5000)
        self.assertIs(lock.reacquire(), True)
        self.assertTrue(9000 < self.r.pttl(self.name) <= 10000)
        self.assertIs(lock.extend(0.5), True)
        self.r.set(self.name, 'stolen')
        for call in (lambda: lock.extend(1), lock.reacquire, lock.release):
            with self.assertRaises(LockNotOwnedError):
                call()
        self.assertEqual(self.r.get(self.name), b'stolen')

    def test_scripts_have_the_known_digests(self):
        lock = self.r.lock(self.name)
        self.assertEqual((lock.lua_release.sha, lock.lua_extend.sha, lock.lua_reacquire.sha),
                         ('c3f8721cbb97f72bc19e972846bd7aaf91901658', 'a4e8783852e6b949f9ef3a97212805108459a890',
                          '1cac51482acf5858da00f6d685d68f886cd6b6b2'))
        self.r.script_flush()
        lock.acquire()
        lock.release()
        self.assertEqual(self.r.script_exists(lock.lua_release.sha), [True])

    def test_never_two_holders(self):
        holders, most, rounds, threads = [], [], 15, 6

        def work(i):
            with client() as r:
                for _ in range(rounds):
                    with r.lock(self.name, timeout=20, sleep=0.001):
                        holders.append(i)
                        most.append(len(holders))
                        time.sleep(0.0005)  # a holder at work, for others to run into
                        holders.remove(i)
        in_threads(threads, work)
        self.assertEqual((len(most), max(most)), (threads * rounds, 1))

    def test_a_waiter_gets_the_lock_when_the_holder_goes(self):
        holder = self.r.lock(self.name, timeout=20, thread_local=False)
        holder.acquire()
        waiting = []

        def work(i):
            if i == 0:
                until(lambda: waiting, what='the waiter')
                holder.release()
                return None
            with client() as r:
                waiting.append(True)
                return r.lock(self.name, sleep=0.005).acquire(blocking_timeout=10)
        self.assertEqual(in_threads(2, work), [None, True])


if __name__ == '__main__':
    main()
