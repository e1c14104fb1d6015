"""What is pushed and waited for, at three controllers that are one store."""

import socket
import threading
import unittest

import redis

from group import Group
from harness import PEER, ClientTest, in_threads, main, until

GROUP = Group()


class Raw:
    """A connection that speaks RESP3 and keeps what comes: replies and pushes, as lines."""

    def __init__(self, address):
        self.socket = socket.create_connection(address, 10)
        self.file = self.socket.makefile('rb')
        self.ask('HELLO', '3')

    def send(self, *words):
        self.socket.sendall(b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w.encode()) for w in words))

    def read(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError('closed')
        kind, rest = line[:1], line[1:-2]
        if kind == b'$':
            return self.file.read(int(rest) + 2)[:-2]
        if kind in b'*>~':
            value = [self.read() for _ in range(int(rest))]
            return ('push', value) if kind == b'>' else value
        if kind == b'%':
            return [self.read() for _ in range(2 * int(rest))]
        return None if kind == b'_' else rest

    def ask(self, *words):
        """Sends a command; returns its reply and the pushes that came before it."""
        self.send(*words)
        pushes = []
        while True:
            r = self.read()
            if isinstance(r, tuple):
                pushes.append(r[1])
            else:
                return r, pushes


@unittest.skipUnless(PEER.is_holdfast, 'redis-server is no group')
class OfThree(ClientTest):
    timeout = 90

    def setUp(self):
        GROUP.whole()
        self.k = self.unique()

    def client(self, i):
        r = redis.Redis(*GROUP.redis[i], single_connection_client=True)
        self.addCleanup(r.close)
        return r


class Messages(OfThree):
    def test_in_one_order_at_all_also_when_a_controller_dies(self):
        ears = []
        for i in range(3):
            p = redis.Redis(*GROUP.redis[i]).pubsub()
            p.subscribe(self.k)
            until(lambda: p.get_message(timeout=1))
            ears.append((p, []))
        acked, each = [], 200
        at_half = threading.Event()

        def tell(i):
            r = self.client(i)
            for n in range(each):
                if n == each // 2:
                    at_half.set()
                try:
                    r.publish(self.k, f'{i}-{n}')
                    acked.append(f'{i}-{n}'.encode())
                except redis.RedisError:
                    if i:
                        raise
                    return

        def listen(i):
            if i == 3:
                at_half.wait(30)
                GROUP.kill(0)
                return
            p, got = ears[i]
            try:
                while not got or got[-1] != b'end':
                    m = p.get_message(ignore_subscribe_messages=True, timeout=1)
                    if m:
                        got.append(m['data'])
            except redis.RedisError:
                if i:
                    raise

        listening = threading.Thread(target=in_threads, args=(4, listen, 60), daemon=True)
        listening.start()
        in_threads(3, tell, 60)
        self.client(1).publish(self.k, 'end')
        until(lambda: ears[1][1] and ears[1][1][-1] == b'end' and ears[2][1] and ears[2][1][-1] == b'end', 20)
        first, a, b = (got for _, got in ears)
        self.assertEqual(a, b)
        self.assertEqual(len(a), len(set(a)))
        self.assertEqual(first, a[:len(first)])
        self.assertEqual(set(acked) - set(a), set())

    def test_events_are_set_for_the_group(self):
        a, b = self.client(0), self.client(1)
        self.addCleanup(lambda: a.config_set('notify-keyspace-events', ''))
        a.config_set('notify-keyspace-events', 'K$')
        until(lambda: b.config_get('notify-keyspace-events')['notify-keyspace-events'] == '$K')
        p = redis.Redis(*GROUP.redis[1]).pubsub()
        p.psubscribe('__keyspace@0__:' + self.k + '*')
        until(lambda: p.get_message(timeout=1))
        a.set(self.k, 'x')
        m = until(lambda: p.get_message(timeout=1))
        self.assertEqual((m['channel'], m['data']), (f'__keyspace@0__:{self.k}'.encode(), b'set'))


class Blocking(OfThree):
    def test_each_element_is_popped_once(self):
        clients, elements = 50, 1000
        got = [[] for _ in range(clients)]

        def take(i):
            r = self.client(i % 3)
            while True:
                _, value = r.blpop([self.k, self.k + '-end'], 0)
                if value == b'end':
                    return
                got[i].append(int(value))

        takers = threading.Thread(target=in_threads, args=(clients, take, 80), daemon=True)
        takers.start()
        rs = [self.client(i) for i in range(3)]
        for i in range(elements):
            rs[i % 3].rpush(self.k, i)
        until(lambda: sum(map(len, got)) >= elements, 40, 'every element')
        rs[0].rpush(self.k + '-end', *['end'] * clients)
        takers.join(20)
        self.assertFalse(takers.is_alive())
        self.assertEqual(sorted(x for l in got for x in l), list(range(elements)))

    def test_who_waits_at_another_controller_is_woken_after_a_death(self):
        results = []
        waiting = self.client(1)
        t = threading.Thread(target=lambda: results.append(waiting.blpop(self.k, 0)), daemon=True)
        t.start()
        GROUP.kill(0)
        r = self.client(2)
        until(lambda: r.set(self.k + '-x', 1), 20)
        r.rpush(self.k, 'x')
        t.join(20)
        self.assertEqual(results, [(self.k.encode(), b'x')])


class Tracking(OfThree):
    def test_who_keeps_what_it_read_hears_of_a_change_elsewhere(self):
        b = Raw(GROUP.redis[1])
        b.ask('CLIENT', 'TRACKING', 'ON')
        a = self.client(0)
        for i in range(200):
            a.set(self.k, i)
            value, before = b.ask('GET', self.k)
            self.assertEqual(value, b'%d' % i)
            self.assertLessEqual(len(before), 1)
            a.set(self.k, -1)
            self.assertEqual(b.read(), ('push', [b'invalidate', [self.k.encode()]]))

    def test_a_cache_never_stays_old(self):
        """Readers that keep what they read until they are told; in the end all have the last value."""
        done = threading.Event()

        def read(i):
            c = Raw(GROUP.redis[i % 3])
            c.ask('CLIENT', 'TRACKING', 'ON')
            kept = None
            while True:
                if kept is None:
                    kept, _ = c.ask('GET', self.k)  # what was pushed before is of older values
                if kept == b'last':
                    return
                c.socket.settimeout(20)
                what = c.read()
                self.assertEqual(what[0], 'push')
                kept = None

        readers = threading.Thread(target=lambda: (in_threads(9, read, 60), done.set()), daemon=True)
        readers.start()
        rs = [self.client(i) for i in range(3)]
        for i in range(600):
            rs[i % 3].set(self.k, i)
        rs[0].set(self.k, 'last')
        self.assertTrue(done.wait(30), 'a reader keeps an old value')

    def test_a_controller_that_loses_touch_says_so(self):
        b = Raw(GROUP.redis[2])
        b.ask('CLIENT', 'TRACKING', 'ON')
        b.ask('GET', self.k)
        GROUP.kill(0)
        GROUP.kill(1)
        b.socket.settimeout(20)
        self.assertEqual(b.read(), ('push', [b'invalidate', None]))


if __name__ == '__main__':
    main(GROUP)
