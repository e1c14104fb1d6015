"""pymemcache's four clients with its own defaults: noreply for whatever may go without an answer."""

import time

from pymemcache.client.base import Client, PooledClient
from pymemcache.client.hash import HashClient
from pymemcache.client.retrying import RetryingClient
from pymemcache.exceptions import MemcacheClientError, MemcacheServerError
from pymemcache.serde import pickle_serde

from harness import HOST, PEER, ClientTest, Peer, in_threads, main, until

SERVER = (HOST, PEER.memcached_port)


class Calls:
    """The tests of one client, made by client(**options)."""

    def setUp(self):
        self.c = self.client()
        self.addCleanup(self.c.close)
        self.k = self.unique()

    def test_set_get(self):
        c, k = self.c, self.k
        self.assertIsNone(c.get(k))
        self.assertEqual(c.get(k, 'none'), 'none')
        for value in (b'v', b'', b'\r\nEND\r\n', bytes(range(256)), b'x' * 100_000):
            self.assertTrue(c.set(k, value))
            self.assertEqual(c.get(k), value)

    def test_add_replace(self):
        c, k = self.c, self.k
        self.assertFalse(c.replace(k, b'v', noreply=False))
        self.assertTrue(c.add(k, b'v', noreply=False))
        self.assertFalse(c.add(k, b'w', noreply=False))
        self.assertTrue(c.replace(k, b'x', noreply=False))
        self.assertEqual(c.get(k), b'x')

    def test_append_prepend(self):
        c, k = self.c, self.k
        self.assertFalse(c.append(k, b'v', noreply=False))
        c.set(k, b'b')
        self.assertTrue(c.append(k, b'c', noreply=False))
        self.assertTrue(c.prepend(k, b'a', noreply=False))
        self.assertEqual(c.get(k), b'abc')

    def test_delete_touch(self):
        c, k = self.c, self.k
        self.assertFalse(c.delete(k, noreply=False))
        self.assertFalse(c.touch(k, 10, noreply=False))
        c.set(k, b'v', expire=1)
        self.assertTrue(c.touch(k, 100, noreply=False))
        time.sleep(1.1)  # the end that touch put off
        self.assertEqual(c.get(k), b'v')
        self.assertTrue(c.delete(k, noreply=False))
        self.assertIsNone(c.get(k))

    def test_gets_cas(self):
        c, k = self.c, self.k
        self.assertEqual(c.gets(k), (None, None))
        self.assertIsNone(c.cas(k, b'v', b'1'))
        c.set(k, b'v')
        value, unique = c.gets(k)
        self.assertEqual(value, b'v')
        self.assertTrue(unique.isdigit() and int(unique) < 2**64)
        self.assertIs(c.cas(k, b'w', unique), True)
        self.assertIs(c.cas(k, b'x', unique), False)
        self.assertEqual(c.get(k), b'w')
        second = c.gets(k)[1]
        self.assertNotEqual(second, unique)
        c.touch(k, 100, noreply=False)
        c.delete(k, noreply=False)
        c.set(k, b'y')
        self.assertIs(c.cas(k, b'z', second), False)

    def test_cas_under_contention_counts_right(self):
        self.c.set(self.k, b'0', noreply=False)

        def work(_):
            with_own = self.client()
            done = 0
            while done < 25:
                value, unique = with_own.gets(self.k)
                done += with_own.cas(self.k, b'%d' % (int(value) + 1), unique)
            with_own.close()
        in_threads(4, work)
        self.assertEqual(self.c.get(self.k), b'100')

    def test_incr_decr(self):
        c, k = self.c, self.k
        self.assertIsNone(c.incr(k, 1))
        c.set(k, b'9')
        self.assertEqual((c.incr(k, 1), c.incr(k, 90), c.decr(k, 1)), (10, 100, 99))
        self.assertEqual(c.decr(k, 1000), 0)
        c.set(k, b'%d' % (2**64 - 1))
        self.assertEqual(c.incr(k, 1), 0)
        self.assertIsNone(c.incr(k, 5, noreply=True))
        self.assertEqual(c.get(k).strip(), b'5')
        c.set(k, b'text')
        with self.assertRaisesRegex(MemcacheClientError, 'cannot increment or decrement non-numeric value'):
            c.incr(k, 1)

    def test_many(self):
        content = {f'{self.k}-{i}': b'value %d' % i for i in range(300)}
        self.assertEqual(self.c.set_many(content), [])
        self.assertEqual(self.c.get_many(list(content) + [self.k]), content)
        got = self.c.gets_many(list(content)[:3])
        self.assertEqual({k: v for k, (v, _) in got.items()}, dict(list(content.items())[:3]))
        self.c.delete_many(list(content)[:299])
        self.assertEqual(self.c.get_many(list(content)), {f'{self.k}-299': b'value 299'})

    def test_noreply_is_silent_and_in_order(self):
        c, k = self.c, self.k
        for i in range(300):
            c.set(k, b'%d' % i)
            c.add(k, b'silently refused')
            if i % 10 == 9:
                self.assertEqual(c.get(k), b'%d' % i)
        c.delete(k)
        c.delete(k)
        c.touch(k, 5)
        c.replace(k, b'silently refused')
        self.assertIsNone(c.get(k))
        c.set(k, b'after')
        self.assertEqual(c.get(k), b'after')

    def test_expiry(self):
        c, k = self.c, self.k
        began = time.monotonic()
        c.set(k, b'v', expire=1, noreply=False)
        until(lambda: c.get(k) is None, 5, 'the end of the key')
        if PEER.is_holdfast:  # memcached counts whole seconds
            self.assertGreater(time.monotonic() - began, 0.99)
        c.set(k, b'v', expire=-1)
        self.assertIsNone(c.get(k))
        c.set(k, b'v', expire=int(time.time()) + 100)
        self.assertEqual(c.get(k), b'v')
        c.set(k, b'v', expire=int(time.time()) - 100)
        self.assertIsNone(c.get(k))

    def test_serde_and_flags(self):
        c = self.client(serde=pickle_serde)
        for value in (1, 'text', b'bytes', {'a': [1]}, None):
            c.set(self.k, value)
            self.assertEqual(c.get(self.k, 'none'), value)
        c.close()

    def test_unicode_keys(self):
        c, k = self.client(allow_unicode_keys=True), 'ключ-' + self.k
        c.set(k, b'v')
        self.assertEqual((c.get(k), c.get_many([k])), (b'v', {k: b'v'}))
        c.close()

    def test_longest_key(self):
        k = self.k.ljust(250, 'k')
        self.c.set(k, b'v')
        self.assertEqual(self.c.get(k), b'v')

    def test_megabyte_values(self):
        big = b'x' * (1024 * 1024 - 1024)
        self.c.set(self.k, big)
        self.assertTrue(self.c.get(self.k) == big)

    def test_too_large_is_refused_and_the_connection_stays_right(self):
        with self.assertRaisesRegex(MemcacheServerError, 'object too large for cache'):
            self.c.set(self.k, b'x' * (9 << 20), noreply=False)
        self.c.set(self.k, b'v')
        self.assertEqual(self.c.get(self.k), b'v')

    def test_flush_all(self):
        self.c.set(self.k, b'v')
        self.c.flush_all(noreply=False)
        self.assertIsNone(self.c.get(self.k))
        self.c.set(self.k, b'v')
        self.c.flush_all(noreply=True)
        self.assertIsNone(self.c.get(self.k))


class OneClient(Calls, ClientTest):
    def client(self, **options):
        return Client(SERVER, **options)

    def test_version(self):
        self.assertRegex(self.c.version(), rb'^\d+\.\d+\.\d+')

    def test_stats(self):
        self.c.set(self.k, b'v', noreply=False)
        self.c.get(self.k)
        self.c.get('none')
        stats = self.c.stats()
        for name in (b'pid', b'uptime', b'time', b'version', b'curr_items', b'total_items', b'bytes', b'limit_maxbytes',
                     b'curr_connections', b'total_connections', b'cmd_get', b'cmd_set', b'cmd_flush', b'get_hits',
                     b'get_misses', b'evictions', b'bytes_read', b'bytes_written', b'threads'):
            self.assertIn(name, stats)
        self.assertGreaterEqual(stats[b'curr_items'], 1)
        self.assertGreaterEqual(stats[b'get_hits'], 1)

    def test_quit(self):
        self.c.quit()
        self.c.set(self.k, b'v')
        self.assertEqual(self.c.get(self.k), b'v')


class DelayedFlush(ClientTest):
    def test_flush_all_with_a_delay(self):
        with Peer() as peer:  # of its own: the flush would hit other tests
            c = Client((HOST, peer.memcached_port))
            c.set('k', b'v')
            c.flush_all(delay=2, noreply=False)
            self.assertEqual(c.get('k'), b'v')
            until(lambda: c.get('k') is None, 6, 'the flush')
            until(lambda: c.set('k', b'v') and c.get('k') == b'v', 3, 'the end of the flush')  # memcached: a second
            c.close()


class Pooled(Calls, ClientTest):
    def client(self, **options):
        return PooledClient(SERVER, max_pool_size=8, **options)

    def test_threads_share_the_pool(self):
        def work(i):
            for n in range(50):
                self.c.set(f'{self.k}-{i}', b'%d' % n, noreply=False)
                self.assertEqual(self.c.get(f'{self.k}-{i}'), b'%d' % n)
        in_threads(8, work)


class Hash(Calls, ClientTest):
    def client(self, **options):
        return HashClient([SERVER], **options)


class HashPooled(Calls, ClientTest):
    def client(self, **options):
        return HashClient([SERVER], use_pooling=True, **options)


class Retrying(Calls, ClientTest):
    def client(self, **options):
        return RetryingClient(Client(SERVER, **options), attempts=2, retry_delay=0.01)


if __name__ == '__main__':
    main()
