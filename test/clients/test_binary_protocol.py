"""The binary protocol: pylibmc and python-binary-memcached, with SASL and without."""

import bmemcached
import pylibmc

from client_faults import pylibmc_aborts_on_an_empty_value
from harness import PEER, ClientTest, Peer, main

LOGIN = 'horizon', 's3cret'


class Calls:
    """The tests of one client, made by client(server, *login)."""

    def setUp(self):
        self.c = self.client(PEER.memcached)
        self.k = self.unique()

    def test_values(self):
        for value in ('text', b'bytes', 7, {'a': [1, 2]}, 'x' * 100_000):
            self.assertTrue(self.c.set(self.k, value))
            self.assertEqual(self.c.get(self.k), value)
        self.assertTrue(self.c.delete(self.k))
        self.assertIsNone(self.c.get(self.k))

    def test_empty_value(self):
        self.assertTrue(self.c.set(self.k, ''))
        self.assertEqual(self.c.get(self.k), '')

    def test_many(self):
        pairs = {f'{self.k}{i}': str(i) for i in range(200)}
        self.assertFalse(self.c.set_multi(pairs))
        self.assertEqual(self.c.get_multi(list(pairs) + [self.k]), pairs)

    def test_add_replace(self):
        try:
            self.assertFalse(self.c.replace(self.k, 'x'))
        except pylibmc.NotFound:
            pass
        self.assertTrue(self.c.add(self.k, '1'))
        self.assertFalse(self.c.add(self.k, '2'))
        self.assertTrue(self.c.replace(self.k, '3'))
        self.assertEqual(self.c.get(self.k), '3')

    def test_counter(self):
        self.c.set(self.k, 10)
        self.assertEqual(self.c.incr(self.k, 5), 15)
        self.assertEqual(self.c.decr(self.k, 100), 0)

    def test_cas(self):
        self.c.set(self.k, 'old')
        value, unique = self.c.gets(self.k)
        self.assertEqual(value, 'old')
        self.assertTrue(self.c.cas(self.k, 'new', unique))
        self.assertFalse(self.c.cas(self.k, 'newer', unique))
        self.assertEqual(self.c.get(self.k), 'new')

    def test_login(self):
        if not PEER.is_holdfast:
            self.skipTest('Debian configures no passwords for a memcached')
        with Peer(login=LOGIN) as peer:
            c = self.client(peer.memcached, *LOGIN)
            self.assertTrue(c.set('k', 'v'))
            self.assertEqual(c.get('k'), 'v')
            self.assertRefused(lambda: self.client(peer.memcached, LOGIN[0], 'wrong').get('k'))
            self.assertRefused(lambda: self.client(peer.memcached).get('k'))

    def assertRefused(self, call):
        """A client may raise, or see nothing."""
        try:
            self.assertIsNone(call())
        except AssertionError:
            raise
        except Exception as e:
            self.assertNotIsInstance(e, (AttributeError, TypeError))


class Pylibmc(Calls, ClientTest):
    def client(self, server, name=None, password=None):
        return pylibmc.Client([server], binary=True, username=name, password=password, behaviors={'cas': True})

    def test_empty_value(self):
        if fault := pylibmc_aborts_on_an_empty_value():
            self.skipTest(fault)
        super().test_empty_value()


class Bmemcached(Calls, ClientTest):
    def client(self, server, name=None, password=None):
        return bmemcached.Client((server,), name, password)


if __name__ == '__main__':
    main()
