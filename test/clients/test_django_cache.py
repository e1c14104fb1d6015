"""Django's session store and cache API, in process, on django-redis, on Django's own Redis back end and on its memcached ones."""

import time
import unittest

import django
from django.conf import settings

from browser import DJANGOS_REDIS, PYMEMCACHE, REDIS, location
from client_faults import pylibmc_aborts_on_an_empty_value
from harness import PEER, ClientTest, in_threads, main, until

PYTHON_MEMCACHED = 'django.core.cache.backends.memcached.MemcachedCache'  # until Django 4.0
PYLIBMC = 'django.core.cache.backends.memcached.PyLibMCCache'
settings.configure(
    SESSION_ENGINE='django.contrib.sessions.backends.cache', SECRET_KEY='test', USE_TZ=True,
    CACHES={'default': {'BACKEND': 'django.core.cache.backends.dummy.DummyCache'},
            **{b: {'BACKEND': b, 'LOCATION': location(b)} for b in (REDIS, DJANGOS_REDIS, PYMEMCACHE, PYTHON_MEMCACHED, PYLIBMC)}})
django.setup()

from django.contrib.sessions.backends.base import UpdateError  # noqa: E402
from django.contrib.sessions.backends.cache import SessionStore  # noqa: E402
from django.core.cache import caches  # noqa: E402
from django.test.utils import override_settings  # noqa: E402

MONTH = 30 * 24 * 3600  # seconds; memcached takes longer ones as points in time


class Case:
    """The tests of one back end, named by the class attribute backend."""

    def setUp(self):
        self.cache = caches[self.backend]
        self.enterContext(override_settings(SESSION_CACHE_ALIAS=self.backend))


class Sessions(Case):
    def saved(self, **content):
        s = SessionStore()
        s.update(content)
        s.save()
        return s

    def test_create_load_save(self):
        s = SessionStore()
        s.create()
        self.assertTrue(s.exists(s.session_key))
        s['user'] = 'ada'
        s.save()
        self.assertEqual(SessionStore(s.session_key)['user'], 'ada')
        other = SessionStore(s.session_key)
        other['more'] = [1, 'zwei', None]
        other.save()
        self.assertEqual(dict(SessionStore(s.session_key).items()), {'user': 'ada', 'more': [1, 'zwei', None]})

    def test_unknown_key_loads_as_empty_and_is_not_adopted(self):
        s = SessionStore('x' * 32)
        self.assertEqual(dict(s.items()), {})
        self.assertIsNone(s.session_key)
        self.assertFalse(s.exists('x' * 32))

    def test_a_taken_key_is_not_created_twice(self):
        s = self.saved(user='ada')
        with self.assertRaises(Exception) as e:
            SessionStore(s.session_key).save(must_create=True)
        self.assertEqual(type(e.exception).__name__, 'CreateError')
        self.assertEqual(SessionStore(s.session_key)['user'], 'ada')

    def test_save_after_log_out_elsewhere_is_refused(self):
        s = self.saved(user='ada')
        other = SessionStore(s.session_key)
        self.assertEqual(other['user'], 'ada')
        s.delete()
        with self.assertRaises(UpdateError):
            other.save()
        self.assertFalse(s.exists(other.session_key))

    def test_cycle_key(self):
        s = self.saved(user='ada')
        old = s.session_key
        s.cycle_key()
        self.assertNotEqual(s.session_key, old)
        self.assertEqual(SessionStore(s.session_key)['user'], 'ada')
        self.assertFalse(s.exists(old))

    def test_flush(self):
        s = self.saved(user='ada')
        key = s.session_key
        s.flush()
        self.assertFalse(s.exists(key))

    def test_expiry(self):
        s = SessionStore()
        s['user'] = 'ada'
        s.set_expiry(1)
        began = time.monotonic()
        s.save()
        until(lambda: not s.exists(s.session_key), 5, 'the end of the session')
        if PEER.is_holdfast:  # memcached counts whole seconds and may end it early
            self.assertGreater(time.monotonic() - began, 0.99)
        self.assertEqual(dict(SessionStore(s.session_key).items()), {})

    def test_already_expired(self):
        for seconds in (0, -1):
            s = SessionStore()
            s['user'] = 'ada'
            s.set_expiry(seconds)
            s.get_expiry_age = lambda: seconds  # 0 means "at browser close" to Django: here it is meant as it stands
            s.save()
            self.assertFalse(s.exists(s.session_key), seconds)

    def test_longer_than_a_month(self):
        s = SessionStore()
        s['user'] = 'ada'
        s.set_expiry(MONTH + 1000)
        s.save()
        self.assertEqual(SessionStore(s.session_key)['user'], 'ada')

    def test_sizes_of_real_sessions(self):
        for size in (0, 5_600, 23_000, 61_000, 500_000):
            s = self.saved(token='€' * (size // 3))
            self.assertEqual(SessionStore(s.session_key)['token'], '€' * (size // 3))

    def test_a_saved_session_is_seen_by_every_other_connection_at_once(self):
        s = self.saved(n=0)

        def work(worker):
            for i in range(40):
                mine = self.saved(n=(worker, i))
                self.assertEqual(SessionStore(mine.session_key)['n'], (worker, i))
                self.assertTrue(SessionStore().exists(s.session_key))
        in_threads(4, work)


class CacheApi(Case):
    def key(self):
        return self.unique('ключ')

    def test_set_get_add_delete(self):
        k, other = self.key(), self.key()
        self.assertEqual((self.cache.get(k), self.cache.get(k, 'none')), (None, 'none'))
        for value in (1, 'text', b'bytes', 1.5, {'a': [1, 2]}, True, 2**40):
            self.cache.set(k, value)
            self.assertEqual(self.cache.get(k, 'none'), value)
        self.assertIs(self.cache.add(k, 'x'), False)
        self.assertIs(self.cache.add(other, 'x'), True)
        self.assertTrue(self.cache.has_key(other) and other in self.cache)
        self.assertIs(bool(self.cache.delete(k)), True)
        self.assertIs(bool(self.cache.delete(k)), False)
        self.assertNotIn(k, self.cache)

    def test_empty_value(self):
        k = self.key()
        self.cache.set(k, '')
        self.assertEqual(self.cache.get(k, 'none'), '')

    def test_many(self):
        keys = [self.unique('много') for _ in range(300)]
        content = {k: f'value {i}' for i, k in enumerate(keys)}
        self.cache.set_many(content, timeout=100)
        self.assertEqual(self.cache.get_many(keys + ['none']), content)
        self.cache.delete_many(keys[:299])
        self.assertEqual(self.cache.get_many(keys), {keys[299]: 'value 299'})

    def test_incr_decr(self):
        k = self.key()
        with self.assertRaises(ValueError):
            self.cache.incr(k)
        self.cache.set(k, 9)
        self.assertEqual((self.cache.incr(k), self.cache.incr(k, 90), self.cache.decr(k, 95)), (10, 100, 5))
        self.assertEqual(self.cache.get(k), 5)

    def test_incr_by_many_counts_right(self):
        k = self.key()
        self.cache.set(k, 0)
        in_threads(4, lambda _: [caches[self.backend].incr(k) for _ in range(50)])
        self.assertEqual(self.cache.get(k), 200)

    def test_touch_and_timeouts(self):
        k = self.key()
        self.assertIs(bool(self.cache.touch(k)), False)
        self.cache.set(k, 'v', timeout=1)
        self.assertIs(bool(self.cache.touch(k, 100)), True)
        short = self.key()
        self.cache.set(short, 'v', timeout=1)
        until(lambda: self.cache.get(short) is None, 5, 'the end of the key')
        self.assertEqual(self.cache.get(k), 'v')
        for past in (0, -5):
            self.cache.set(k, 'v', timeout=past)
            self.assertIsNone(self.cache.get(k), past)
        self.cache.set(k, 'v', timeout=None)
        self.assertEqual(self.cache.get(k), 'v')
        self.cache.touch(k, None)
        self.assertEqual(self.cache.get(k), 'v')

    def test_versions(self):
        k = self.key()
        self.cache.set(k, 'one', version=1)
        self.assertIsNone(self.cache.get(k, version=2))
        self.assertEqual(self.cache.incr_version(k), 2)
        self.assertEqual((self.cache.get(k, version=2), self.cache.get(k)), ('one', None))

    def test_get_or_set(self):
        k = self.key()
        self.assertEqual([self.cache.get_or_set(k, v, 100) for v in ('first', 'second')], ['first', 'first'])


class RedisApi(Sessions, CacheApi):
    def test_clear(self):
        k, s = self.key(), self.saved(user='ada')
        self.cache.set(k, 'v')
        self.cache.clear()
        self.assertIsNone(self.cache.get(k))
        self.assertFalse(s.exists(s.session_key))


class OnRedis(RedisApi, ClientTest):
    backend = REDIS

    def test_ttl_persist_expire(self):
        k = self.key()
        self.assertEqual(self.cache.ttl(k), 0)
        self.cache.set(k, 'v', timeout=100)
        self.assertIn(self.cache.ttl(k), (99, 100))
        self.assertTrue(99000 < self.cache.pttl(k) <= 100000)
        self.cache.persist(k)
        self.assertIsNone(self.cache.ttl(k))
        self.cache.expire(k, 50)
        self.assertIn(self.cache.ttl(k), (49, 50))
        self.cache.pexpire(k, 20000)
        self.assertIn(self.cache.ttl(k), (19, 20))
        self.cache.set(k, 1, timeout=100)
        self.cache.incr(k)
        self.assertIn(self.cache.ttl(k), (99, 100))

    def test_incr_beyond_64_bits_goes_on_with_get_and_set(self):
        k = self.key()
        self.cache.set(k, 2**63 - 1, timeout=100)
        self.assertEqual(self.cache.incr(k), 2**63)
        self.assertEqual(self.cache.get(k), 2**63)

    def test_incr_without_the_check(self):
        self.assertEqual(self.cache.incr(self.key(), 5, ignore_key_check=True), 5)

    def test_set_with_nx_and_xx(self):
        k = self.key()
        self.assertFalse(self.cache.set(k, 'v', xx=True))
        self.assertTrue(self.cache.set(k, 'v', nx=True))
        self.assertFalse(self.cache.set(k, 'w', nx=True, timeout=None))
        self.assertEqual(self.cache.get(k), 'v')

    def test_patterns(self):
        base = self.unique('muster')
        names = [f'{base}:{i}' for i in range(250)] + [base + '*[?']
        self.cache.set_many({n: 1 for n in names})
        self.assertEqual(sorted(self.cache.keys(base + '*')), sorted(names))
        self.assertEqual(sorted(self.cache.iter_keys(base + '*')), sorted(names))
        self.assertEqual(self.cache.delete_pattern(base + ':1*'), 111)
        self.assertEqual(len(self.cache.keys(base + '*')), 140)
        self.assertEqual(self.cache.delete_pattern(base + '*', itersize=1000), 140)

    def test_lock(self):
        k = self.key()
        with self.cache.lock(k, timeout=10):
            self.assertFalse(self.cache.lock(k, timeout=10).acquire(blocking=False))
        lock = self.cache.lock(k, timeout=10)
        self.assertTrue(lock.acquire(blocking=False))
        lock.release()


@unittest.skipIf(django.VERSION < (4, 0), 'Django has a Redis back end of its own since 4.0')
class OnDjangosRedis(RedisApi, ClientTest):
    backend = DJANGOS_REDIS


class OnPyMemcache(Sessions, CacheApi, ClientTest):
    backend = PYMEMCACHE

    def test_clear_leaves_sessions_alone(self):
        # memcached forgets everything; here flush_all removes what is of class cache, and sessions are not.
        k, s = self.key(), self.saved(user='ada')
        self.cache.set(k, 'v')
        self.cache.clear()
        self.assertIsNone(self.cache.get(k))
        self.assertIs(s.exists(s.session_key), PEER.is_holdfast)


@unittest.skipIf(django.VERSION >= (4, 1), 'Django has this back end no more since 4.1')
class OnPythonMemcached(OnPyMemcache):
    backend = PYTHON_MEMCACHED


class OnPyLibMC(OnPyMemcache):
    backend = PYLIBMC

    def test_empty_value(self):
        if fault := pylibmc_aborts_on_an_empty_value():
            self.skipTest(fault)
        super().test_empty_value()


if __name__ == '__main__':
    main()
