"""What clients wrote is there after kill -9 and a restart of the daemon, and the same clients go on with it."""

import threading
import time
import unittest

import redis
import tooz
from pymemcache.client.base import Client
from tooz import coordination

from browser import PYMEMCACHE, REDIS, Browser, Site
from harness import HOST, PEER, ClientTest, main


@unittest.skipUnless(PEER.is_holdfast, 'redis-server and memcached keep nothing')
class Crash(ClientTest):
    timeout = 60

    def redis(self):
        r = redis.Redis(HOST, PEER.redis_port)
        self.addCleanup(r.close)
        return r

    def memcached(self):
        c = Client((HOST, PEER.memcached_port), default_noreply=False)
        self.addCleanup(c.close)
        return c

    def test_django_users_stay_logged_in(self):
        for backend in (REDIS, PYMEMCACHE):
            with self.subTest(backend), Site(backend) as site:
                browser = Browser(site)
                browser.login()
                browser.get('count')
                PEER.crash()
                self.assertEqual(browser.get('show')['user'], 'ada')
                self.assertEqual(browser.get('count')['count'], 2)
                browser.get('logout')
                PEER.crash()
                self.assertEqual(browser.get('show')['user'], '')

    def test_values_of_every_kind(self):
        r, c, k = self.redis(), self.memcached(), self.unique()
        r.set(k, 'v')
        r.set(k + 'n', 41, px=60000)
        r.hset(k + 'h', mapping={'f': 'v', 'g': b'\x00\r\n'})
        r.sadd(k + 's', 'a', 'b')
        r.set(k + 'gone', 'v')
        r.delete(k + 'gone')
        c.set(k, b'v' * 500_000, flags=77)
        c.set(k + 'n', b'41')
        unique = c.gets(k + 'n')[1]
        PEER.crash()
        self.assertEqual((r.get(k), r.incr(k + 'n'), r.exists(k + 'gone')), (b'v', 42, 0))
        self.assertTrue(0 < r.pttl(k + 'n') <= 60000)
        self.assertEqual(r.hgetall(k + 'h'), {b'f': b'v', b'g': b'\x00\r\n'})
        self.assertEqual(r.smembers(k + 's'), {b'a', b'b'})
        c = self.memcached()
        self.assertTrue(c.get(k) == b'v' * 500_000)
        self.assertIs(c.cas(k + 'n', b'42', unique), True)
        self.assertEqual(c.incr(k + 'n', 1), 43)

    def test_deadlines_pass_while_the_daemon_is_down(self):
        r, k = self.redis(), self.unique()
        r.set(k, 'v', px=300)
        r.set(k + 'later', 'v', px=60000)
        PEER.stop(9)
        time.sleep(0.4)  # the deadline
        PEER.start()
        self.assertIsNone(r.get(k))
        self.assertEqual(r.get(k + 'later'), b'v')

    def test_locks_stay_held(self):
        r, k = self.redis(), self.unique()
        lock = r.lock(k, timeout=60)
        lock.acquire()
        PEER.crash()
        self.assertFalse(r.lock(k, timeout=60).acquire(blocking=False))
        self.assertTrue(lock.owned())
        lock.extend(10)
        lock.release()
        self.assertTrue(r.lock(k, timeout=60).acquire(blocking=False))

    def test_tooz_groups_and_locks_stay(self):
        for url in (f'redis://{HOST}:{PEER.redis_port}', f'memcached://{HOST}:{PEER.memcached_port}'):
            with self.subTest(url):
                self.check_tooz(url)

    def check_tooz(self, url):
        group, name = self.unique('group').encode(), self.unique('lock').encode()
        agents = [coordination.get_coordinator(url, self.unique('agent').encode()) for _ in range(2)]
        for a in agents:
            a.start()
            a.join_group_create(group, {'weight': 3})
        lock = agents[0].get_lock(name)
        lock.acquire()
        PEER.crash()
        for a in agents:
            self.patiently(a.heartbeat)
        members = self.patiently(lambda: agents[0].get_members(group).get())
        self.assertEqual(set(members), {a._member_id for a in agents})
        capabilities = self.patiently(lambda: agents[1].get_member_capabilities(group, agents[0]._member_id).get())
        self.assertEqual(capabilities, {'weight': 3})
        self.assertFalse(self.patiently(lambda: agents[1].get_lock(name).acquire(blocking=False)))
        self.assertTrue(self.patiently(lock.is_still_owner))
        self.assertTrue(self.patiently(lock.release))
        for a in agents:
            self.patiently(a.stop)

    @staticmethod
    def patiently(call):
        """Repeats call while it meets connections that died with the daemon, of which a pool may hold several."""
        end = time.monotonic() + 10
        while True:
            try:
                return call()
            except tooz.ToozError:
                if time.monotonic() > end:
                    raise

    def test_every_acknowledged_write_is_there_after_kills_in_full_flow(self):
        k, rounds = self.unique(), 3
        written = 0
        for _ in range(rounds):
            written = self.write_until_killed(k, written)
            PEER.start()
            value = int(self.redis().get(k))
            self.assertIn(value, (written, written + 1))  # the one in flight may have been carried out
            written = value
        self.assertGreater(written, rounds)

    def write_until_killed(self, k, last):
        """Counts k up from last until the server is gone; returns the last number that was acknowledged."""
        r, killer = self.redis(), threading.Timer(0.3, lambda: PEER.stop(9))
        killer.start()
        try:
            while True:
                r.set(k, last + 1)
                last += 1
        except redis.ConnectionError:
            killer.join()
            return last

    def test_sigterm_is_a_clean_stop(self):
        r, k = self.redis(), self.unique()
        r.set(k, 'v')
        PEER.stop()  # checks the exit code
        PEER.start()
        self.assertEqual(r.get(k), b'v')


if __name__ == '__main__':
    main()
