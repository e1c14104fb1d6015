"""oslo.cache, configured from a file as Keystone is: memcache_pool, and dogpile's Redis by backend_argument."""

import os
import tempfile
import time

import redis
from oslo_cache import core
from oslo_config import cfg

from harness import HOST, PEER, ClientTest, in_threads, main, until


class Keystone:
    """What Keystone does with its [cache] section, the class attribute section."""

    def setUp(self):
        directory = self.enterContext(tempfile.TemporaryDirectory())
        path = os.path.join(directory, 'keystone.conf')
        with open(path, 'w') as f:
            f.write('[cache]\nenabled = true\nexpiration_time = 600\n' + self.section())
        self.conf = cfg.ConfigOpts()
        core.configure(self.conf)
        self.conf.register_opts([cfg.BoolOpt('caching', default=True), cfg.IntOpt('cache_time')], group='token')
        self.conf([], project='keystone', default_config_files=[path])
        self.region = core.create_region(function=lambda namespace, fn: self.key_of(namespace, fn))
        core.configure_cache_region(self.conf, self.region)

    @staticmethod
    def key_of(namespace, fn):
        return lambda *arguments: f'{namespace or fn.__name__}|{arguments}'

    def memoized(self):
        calls = []

        @core.get_memoization_decorator(self.conf, self.region, group='token')
        def validate(token, namespace):
            calls.append(token)
            return {'token': token, 'roles': ['admin'] * len(calls)}
        return validate, calls

    def test_memoize(self):
        validate, calls = self.memoized()
        ns = self.unique()
        first = validate('t' * 200, ns)
        self.assertEqual([validate('t' * 200, ns) for _ in range(5)], [first] * 5)
        self.assertEqual(len(calls), 1)
        validate.invalidate('t' * 200, ns)
        self.assertEqual(len(validate('t' * 200, ns)['roles']), 2)

    def test_region_invalidation(self):
        validate, calls = self.memoized()
        ns = self.unique()
        validate('t', ns)
        time.sleep(0.001)  # invalidation is by a time of creation strictly before it
        self.region.invalidate()
        validate('t', ns)
        validate('t', ns)
        self.assertEqual(len(calls), 2)

    def test_cache_time_of_the_group(self):
        self.conf.set_override('cache_time', 1, group='token')
        validate, calls = self.memoized()
        ns = self.unique()
        validate('t', ns)
        until(lambda: validate('t', ns) and len(calls) == 2, 5, 'the second computation')

    def test_values_and_multi(self):
        k = self.unique()
        catalog = [{'service': f's{i}', 'endpoints': ['http://controller:5000/v3'] * 3} for i in range(200)]
        self.region.set(k, catalog)
        self.assertEqual(self.region.get(k), catalog)
        content = {f'{k}-{i}': i for i in range(50)}
        self.region.set_multi(content)
        self.assertEqual(self.region.get_multi(list(content)), list(range(50)))
        self.region.delete_multi(list(content))
        self.assertTrue(all(not v for v in self.region.get_multi(list(content))))

    def test_keys_that_are_long_or_not_ascii(self):
        for k in ('k' * 1000, 'schlüssel mit leerzeichen', 'a\r\nb'):
            self.region.set(k, k)
            self.assertEqual(self.region.get(k), k)

    def test_many_threads(self):
        validate, _ = self.memoized()
        ns = self.unique()

        def work(i):
            for n in range(50):
                self.assertEqual(validate(f't{i}-{n % 10}', ns)['token'], f't{i}-{n % 10}')
        in_threads(12, work)

    def test_region_id_key_of_keystone_is_kept(self):
        key, name = self.unique('<<<region>>>:'), os.urandom(10)
        self.assertEqual(self.region.get_or_create(key, lambda: name), name)
        self.assertEqual(self.region.get_or_create(key, lambda: b'another'), name)


class MemcachePool(Keystone, ClientTest):
    def section(self):
        return f'backend = oslo_cache.memcache_pool\nmemcache_servers = {PEER.memcached}\nmemcache_pool_maxsize = 4\n'


class FlushOnReconnect(MemcachePool):
    def section(self):
        return super().section() + 'memcache_pool_flush_on_reconnect = true\n'


class DogpileRedis(Keystone, ClientTest):
    def section(self):
        return (f'backend = dogpile.cache.redis\nbackend_argument = url:{PEER.redis_url(2)}\n'
                'backend_argument = redis_expiration_time:600\nbackend_argument = distributed_lock:True\n')

    def test_expiry_on_the_server(self):
        self.region.set(self.unique(), 'v')
        with redis.Redis(HOST, PEER.redis_port, db=2) as client:
            ttls = [client.ttl(k) for k in client.keys()]
        self.assertTrue(any(599 <= t <= 600 for t in ttls), ttls)


class DogpilePymemcache(Keystone, ClientTest):
    def section(self):
        return f'backend = dogpile.cache.pymemcache\nmemcache_servers = {PEER.memcached}\n'


if __name__ == '__main__':
    main()
