"""A group of three: clients that list all servers, or ask a Sentinel for the way, find every key whoever is alive."""

import logging
import time
import unittest

import django
import memcache
import pylibmc
import redis
import tooz
from django.conf import settings
from pymemcache.client.base import Client
from pymemcache.client.hash import HashClient
from redis.sentinel import Sentinel
from tooz import coordination

from group import Group
from harness import PEER, ClientTest, main

GROUP = Group()  # started by main()
MASTER = 'kolla'
PATIENCE = 15  # seconds; a client may have its own idea of when to give a server up, and pymemcache waits 1 s twice
MEMCACHED_CACHE = ('MemcachedCache',) if django.VERSION < (4, 1) else ()  # Django has it no more since then
BACKENDS = {name: 'django.core.cache.backends.memcached.' + name for name in ('PyMemcacheCache', 'PyLibMCCache', *MEMCACHED_CACHE)}
SENTINELS = 'sentinels'
KEYS = 200

logging.getLogger('tooz').setLevel(logging.CRITICAL)  # it reports what these tests do on purpose
settings.configure(
    SESSION_ENGINE='django.contrib.sessions.backends.cache', SECRET_KEY='test', USE_TZ=True,
    DJANGO_REDIS_CONNECTION_FACTORY='django_redis.pool.SentinelConnectionFactory',
    CACHES={'default': {'BACKEND': 'django.core.cache.backends.dummy.DummyCache'},
            # As kolla-ansible writes it for Horizon.
            SENTINELS: {'BACKEND': 'django_redis.cache.RedisCache', 'LOCATION': f'redis://{MASTER}/1', 'OPTIONS': {
                'CLIENT_CLASS': 'django_redis.client.SentinelClient', 'SENTINELS': GROUP.redis,
                'CONNECTION_POOL_CLASS': 'redis.sentinel.SentinelConnectionPool'}},
            **{name: {'BACKEND': b, 'LOCATION': GROUP.memcached} for name, b in BACKENDS.items()},
            **{f'{name}{i}': {'BACKEND': b, 'LOCATION': at} for name, b in BACKENDS.items()
               for i, at in enumerate(GROUP.memcached)}})
django.setup()

from django.contrib.sessions.backends.cache import KEY_PREFIX, SessionStore  # noqa: E402
from django.core.cache import caches  # noqa: E402
from django.test.utils import override_settings  # noqa: E402


def patiently(call, what, good=lambda value: value):
    """Repeats call while its client still tries a server that is dead: until what it returns is good; returns that."""
    end, last = time.monotonic() + PATIENCE, None
    while time.monotonic() < end:
        try:
            value = call()
            if good(value):
                return value
            last = f'got {value!r}'
        except Exception as e:  # every client has exceptions of its own for a dead server
            last = repr(e)
        time.sleep(0.02)
    raise AssertionError(f'{what}: {last} even after {PATIENCE} s')


@unittest.skipUnless(PEER.is_holdfast, 'redis-server and memcached are no group')
class OfThree(ClientTest):
    timeout = 90

    def setUp(self):
        GROUP.whole()
        self.k = self.unique()
        self.content = {f'{self.k}-{i}': f'v{i}' for i in range(KEYS)}


class MemcachedServers(OfThree):
    """Clients that spread their keys over three servers."""

    def hash_client(self, **options):
        c = HashClient([(c.host, c.memcached_port) for c in GROUP.controllers], timeout=3, default_noreply=False, **options)
        self.addCleanup(c.close)
        return c

    def python_memcached(self):
        c = memcache.Client(GROUP.memcached)
        self.addCleanup(c.disconnect_all)
        return c

    def check_at_every_server(self):
        for at in GROUP.controllers:
            c = Client((at.host, at.memcached_port))
            found = {k: v.decode() for k, v in c.get_many(list(self.content)).items()}
            c.close()
            self.assertEqual(found, self.content, at.name)

    def check_after_a_kill(self, get, put):
        GROUP.kill(0)
        for k, v in self.content.items():
            patiently(lambda: get(k), k, lambda found: found in (v, v.encode()))
        for k in self.content:
            self.content[k] += ' again'
            patiently(lambda: put(k, self.content[k]), k)
        GROUP.whole()
        self.check_at_every_server()

    def test_hash_client(self):
        for use_pooling in (False, True):
            with self.subTest(use_pooling=use_pooling):
                GROUP.whole()
                c = self.hash_client(use_pooling=use_pooling)
                for k, v in self.content.items():
                    c.set(k, v)
                self.check_at_every_server()
                self.check_after_a_kill(c.get, c.set)

    def test_hash_client_that_ignores_exceptions(self):  # as kolla-ansible sets it for Horizon
        c = self.hash_client(ignore_exc=True)
        self.assertEqual(c.set_many(self.content), [])
        self.check_at_every_server()
        self.check_after_a_kill(c.get, c.set)

    def test_python_memcached(self):
        c = self.python_memcached()
        self.assertEqual(c.set_multi(self.content), [])
        self.check_at_every_server()
        self.check_after_a_kill(c.get, c.set)

    def test_pylibmc(self):
        c = pylibmc.Client(GROUP.memcached, behaviors={'ketama': True, 'remove_failed': 1, 'retry_timeout': 1})
        for k, v in self.content.items():
            self.assertTrue(c.set(k, v))
        self.check_at_every_server()
        self.check_after_a_kill(c.get, c.set)

    def test_one_counter_at_all_servers(self):
        clients = [Client((at.host, at.memcached_port), default_noreply=False) for at in GROUP.controllers]
        clients[0].set(self.k, '0')
        for n in range(300):
            self.assertEqual(clients[n % 3].incr(self.k, 1), n + 1)
        for c in clients:
            self.assertEqual(c.get(self.k), b'300')
            c.close()


class DjangoOnMemcached(OfThree):
    """Django's memcached back ends with three servers in LOCATION, as every deployment tool writes them."""

    def sessions(self, backend, n=60):
        with override_settings(SESSION_CACHE_ALIAS=backend):
            keys = []
            for i in range(n):
                s = SessionStore()
                s['user'] = i
                s.save()
                keys.append(s.session_key)
            return keys

    def found(self, backend, key):
        return (caches[backend].get(KEY_PREFIX + key) or {}).get('user')

    def test_sessions_are_at_every_server(self):
        for backend in BACKENDS:
            with self.subTest(backend):
                for i, key in enumerate(self.sessions(backend)):
                    for at in range(3):
                        self.assertEqual(self.found(f'{backend}{at}', key), i)

    def test_sessions_outlive_a_controller(self):
        for backend in ('PyMemcacheCache', *MEMCACHED_CACHE):  # libmemcached gives no server up unless told to
            for end in (GROUP.kill, GROUP.drain):
                with self.subTest(backend, end=end.__name__):
                    GROUP.whole()
                    keys = self.sessions(backend)
                    end(1)
                    for i, key in enumerate(keys):
                        patiently(lambda: self.found(backend, key), f'session {i}', lambda user: user == i)


class Sentinels(OfThree):
    """Clients that ask a list of Sentinels for the master: every controller answers with itself."""

    def sentinel(self):
        return Sentinel(GROUP.redis, socket_timeout=5)

    def test_discovery(self):
        s = self.sentinel()
        self.assertEqual(s.discover_master(MASTER), GROUP.redis[0])
        self.assertEqual(s.discover_slaves(MASTER), [])
        GROUP.kill(0)
        self.assertIn(s.discover_master(MASTER), GROUP.redis[1:])
        self.assertIn(self.sentinel().discover_master(MASTER), GROUP.redis[1:])

    def test_redis_py(self):
        s = self.sentinel()
        master, replica = s.master_for(MASTER), s.slave_for(MASTER)
        for n in range(50):
            master.set(self.k, n)
            self.assertEqual(replica.get(self.k), b'%d' % n)
        GROUP.kill(0)
        self.assertEqual(patiently(lambda: replica.get(self.k), 'the replica'), b'49')
        patiently(lambda: master.set(self.k, 'v'), 'the master')
        self.assertEqual(master.get(self.k), b'v')
        self.assertEqual(redis.Redis(*GROUP.redis[2]).get(self.k), b'v')

    def test_a_lock_outlives_its_controller(self):
        mine = self.sentinel().master_for(MASTER).lock(self.k, timeout=60)
        theirs = redis.Redis(*GROUP.redis[2]).lock(self.k, timeout=60)
        self.assertTrue(mine.acquire())
        GROUP.kill(0)
        self.assertFalse(patiently(lambda: theirs.acquire(blocking=False), 'the lock of another', lambda got: not got))
        patiently(mine.owned, 'the lock')
        mine.release()
        self.assertTrue(theirs.acquire(blocking=False))
        theirs.release()

    def test_django_redis(self):
        with override_settings(SESSION_CACHE_ALIAS=SENTINELS):
            s = SessionStore()
            s['user'] = 'ada'
            s.save()
            for i in (0, 1):
                GROUP.kill(i)
                # A cache back end may find its connection dead once; the session must be there all the same.
                found = patiently(lambda: caches[SENTINELS].get(KEY_PREFIX + s.session_key), 'the session')
                self.assertEqual(found['user'], 'ada')
                s = SessionStore(s.session_key)
                s['seen'] = i
                s.save()
                GROUP.whole()

    def test_tooz(self):
        (host, port), *others = GROUP.redis
        url = f'redis://{host}:{port}?sentinel={MASTER}' + ''.join(f'&sentinel_fallback={h}:{p}' for h, p in others)
        group, name = self.unique('group').encode(), self.unique('lock').encode()
        agents = [coordination.get_coordinator(url, self.unique('agent').encode()) for _ in range(2)]
        for a in agents:
            a.start()
            a.join_group_create(group)
        lock = agents[0].get_lock(name)
        self.assertTrue(lock.acquire())
        GROUP.kill(0)
        late = coordination.get_coordinator(url, self.unique('agent').encode())
        patiently(lambda: late.is_started or late.start() or True, 'an agent that starts now')
        patiently(lambda: late.join_group(group).get() or True, 'joining')
        agents.append(late)
        for a in agents:
            patiently(a.heartbeat, 'a heartbeat')
        members = patiently(lambda: agents[1].get_members(group).get(), 'the members')
        self.assertEqual(set(members), {a._member_id for a in agents})
        self.assertFalse(patiently(lambda: agents[1].get_lock(name).acquire(blocking=False), 'a lock', lambda got: not got))
        self.assertTrue(patiently(lock.release, 'the lock'))
        for a in agents:
            patiently(lambda: a.stop() or True, 'stopping')


class EveryController(OfThree):
    """What is acknowledged at one is there at every other."""

    def test_redis(self):
        at = [redis.Redis(h, p) for h, p in GROUP.redis]
        for n in range(300):
            at[n % 3].set(self.k, n)
            self.assertEqual([r.get(self.k) for r in at], [b'%d' % n] * 3)
        for n in range(300):
            self.assertEqual(at[n % 3].incr(self.k + 'n'), n + 1)

    def test_watch_sees_what_others_write(self):
        one, two = redis.Redis(*GROUP.redis[0]), redis.Redis(*GROUP.redis[1])
        with one.pipeline() as p:
            p.watch(self.k)
            two.set(self.k, 'v')
            p.multi()
            p.set(self.k, 'w')
            with self.assertRaises(redis.WatchError):
                p.execute()
        self.assertEqual(one.get(self.k), b'v')

    def test_scripts_are_known_everywhere(self):
        at = [redis.Redis(h, p) for h, p in GROUP.redis]
        script = at[0].register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
        for n, r in enumerate(at * 10):
            self.assertEqual(script([self.k], [1], client=r), n + 1)

    def test_deadlines_pass_everywhere_at_once(self):
        at = [redis.Redis(h, p) for h, p in GROUP.redis]
        for n in range(5):
            at[n % 3].set(self.k, 'v', px=200)
            while at[(n + 1) % 3].get(self.k):
                pass
            self.assertEqual([r.get(self.k) for r in at], [None] * 3)

    def test_drain_is_not_noticed(self):
        counting, stays = redis.Redis(*GROUP.redis[0]), redis.Redis(*GROUP.redis[1])
        self.assertEqual(counting.incr(self.k), 1)
        for i in (2, 0):
            GROUP.drain(i)
            for n in range(100):
                stays.incr(self.k)
            GROUP.whole()
        self.assertEqual(stays.get(self.k), b'201')

    def test_tooz_across_controllers(self):
        agents = []
        group = self.unique('group').encode()
        for h, p in GROUP.redis:
            a = coordination.get_coordinator(f'redis://{h}:{p}', self.unique('agent').encode())
            a.start()
            a.join_group_create(group)
            agents.append(a)
        for a in agents:
            self.assertEqual(set(a.get_members(group).get()), {b._member_id for b in agents})
        for a in agents:
            try:
                a.stop()
            except tooz.ToozError:
                pass


if __name__ == '__main__':
    main(GROUP)
