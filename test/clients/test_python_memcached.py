"""python-memcached: trailing blanks before CRLF, deletes with a time, swallowed errors."""

import inspect
import time

import memcache

from harness import PEER, ClientTest, in_threads, main, until


def client(**options):
    return memcache.Client([PEER.memcached], **options)


class PythonMemcached(ClientTest):
    def setUp(self):
        self.c = client(cache_cas=True)
        self.addCleanup(self.c.disconnect_all)
        self.k = self.unique()

    def test_set_get_types(self):
        self.assertIsNone(self.c.get(self.k))
        for value in ('text', 'ключ', b'bytes', 1, -1, 2**70, 1.5, True, [1, {'a': None}], '', 'x' * 100_000):
            self.assertTrue(self.c.set(self.k, value))
            self.assertEqual(self.c.get(self.k), value)

    def test_add_replace_append_prepend(self):
        self.assertFalse(self.c.replace(self.k, 'v'))
        self.assertTrue(self.c.add(self.k, 'b'))
        self.assertFalse(self.c.add(self.k, 'x'))
        self.assertTrue(self.c.append(self.k, 'c'))
        self.assertTrue(self.c.prepend(self.k, 'a'))
        self.assertEqual(self.c.get(self.k), 'abc')
        self.assertTrue(self.c.replace(self.k, 'v'))
        self.assertFalse(self.c.append(self.unique(), 'c'))

    def test_delete_with_and_without_time(self):
        for arguments in ((), (0,), (None,)):
            self.c.set(self.k, 'v')
            self.assertEqual(self.c.delete(self.k, *arguments), 1)
            self.assertIsNone(self.c.get(self.k))
        takes_time = 'time' in inspect.signature(self.c.delete).parameters  # until 1.61, and NOT_FOUND is well to it
        self.assertEqual(self.c.delete(self.k), 1 if takes_time else 0)
        server = self.c.servers[0]
        server.connect()
        for line, reply in ((f'delete {self.k} 0', b'NOT_FOUND'), (f'delete {self.k} ', b'NOT_FOUND'),
                            (f'delete {self.k} 5', b'CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]')):
            server.send_cmd(line)
            self.assertEqual(server.readline(), reply)

    def test_incr_decr(self):
        self.assertIsNone(self.c.incr(self.k))
        self.c.set(self.k, 9)
        self.assertEqual((self.c.incr(self.k), self.c.incr(self.k, 90), self.c.decr(self.k, 95), self.c.decr(self.k, 9)),
                         (10, 100, 5, 0))

    def test_touch_and_expiry(self):
        self.assertFalse(self.c.touch(self.k, 10))
        short = self.unique()
        self.c.set(self.k, 'v', time=1)
        self.c.set(short, 'v', time=1)
        self.assertTrue(self.c.touch(self.k, 100))
        until(lambda: self.c.get(short) is None, 5, 'the end of the key')
        self.assertEqual(self.c.get(self.k), 'v')
        self.c.set(self.k, 'v', time=int(time.time()) + 1000)
        self.assertEqual(self.c.get(self.k), 'v')
        self.c.set(self.k, 'v', time=-1)
        self.assertIsNone(self.c.get(self.k))

    def test_gets_cas(self):
        other = client()
        self.c.set(self.k, 'v')
        self.assertEqual(self.c.gets(self.k), 'v')
        self.assertTrue(self.c.cas(self.k, 'w'))
        self.c.gets(self.k)
        other.set(self.k, 'x')
        self.assertFalse(self.c.cas(self.k, 'y'))
        self.assertEqual(self.c.get(self.k), 'x')
        other.disconnect_all()

    def test_multi(self):
        content = {f'{self.k}-{i}': i for i in range(300)}
        self.assertEqual(self.c.set_multi(content, time=100), [])
        self.assertEqual(self.c.get_multi(list(content) + ['none']), content)
        self.assertEqual(self.c.delete_multi(list(content)[:299]), 1)
        self.assertEqual(self.c.get_multi(list(content)), {f'{self.k}-299': 299})
        self.assertEqual(self.c.set_multi({'a': 1, 'b': 'x'}, key_prefix=self.k), [])
        self.assertEqual(self.c.get_multi(['a', 'b'], key_prefix=self.k), {'a': 1, 'b': 'x'})

    def test_noreply(self):
        self.c.set(self.k, 'v', noreply=True)
        self.c.add(self.k, 'w', noreply=True)
        self.assertEqual(self.c.get(self.k), 'v')
        self.c.replace(self.k, '1', noreply=True)
        self.c.incr(self.k, noreply=True)
        self.assertEqual(self.c.get(self.k), '2')
        self.c.delete(self.k, noreply=True)
        self.assertIsNone(self.c.get(self.k))

    def test_compression(self):
        text = 'abc' * 10_000
        self.assertTrue(self.c.set(self.k, text, min_compress_len=100))
        self.assertEqual(self.c.get(self.k), text)
        self.assertTrue(self.c.set_multi({self.k: text}, min_compress_len=100) == [])
        self.assertEqual(self.c.get(self.k), text)

    def test_over_a_megabyte_is_not_sent(self):
        self.c.set(self.k, 'v')
        self.assertEqual(self.c.set(self.k, 'x' * (1 << 20) + 'x'), 0)
        self.assertEqual(self.c.get(self.k), 'v')

    def test_keys_with_quotes_as_keystonemiddleware_writes(self):
        k = "tokens/b'" + self.k + "=='"
        self.assertTrue(self.c.set(k, '{"token": 1}', time=300))
        self.assertEqual(self.c.get(k), '{"token": 1}')

    def test_stats(self):
        (name, stats), = self.c.get_stats()
        self.assertIn(PEER.memcached, name)
        self.assertIn('curr_items', stats)
        self.assertTrue(self.c.get_stats('settings')[0][1])

    def test_flush_all(self):
        self.c.set(self.k, 'v')
        self.c.flush_all()
        self.assertIsNone(self.c.get(self.k))
        self.c.flush_all()
        self.assertTrue(self.c.set(self.k, 'v'))

    def test_flush_on_reconnect(self):
        c = client(flush_on_reconnect=1, dead_retry=0)
        c.set(self.k, 'v')
        c.servers[0].mark_dead('by the test')
        self.assertIsNone(c.get(self.k))
        self.assertTrue(c.set(self.k, 'again'))
        self.assertEqual(c.get(self.k), 'again')

    def test_many_threads(self):
        def work(i):
            c = client()
            for n in range(100):
                self.assertTrue(c.set(f'{self.k}-{i}', n))
                self.assertEqual(c.get(f'{self.k}-{i}'), n)
            c.disconnect_all()
        in_threads(8, work)


if __name__ == '__main__':
    main()
