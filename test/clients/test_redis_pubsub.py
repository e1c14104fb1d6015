"""redis-py: publish and subscribe, events of keys as Gnocchi waits for them, commands that wait for a key."""

import threading

import redis

from harness import HOST, PEER, ClientTest, in_threads, main, until

DB = 4


class Waiting(ClientTest):
    def client(self, db=DB):
        r = redis.Redis(HOST, PEER.redis_port, db=db)
        self.addCleanup(r.close)
        return r

    def setUp(self):
        self.r = self.client()
        self.k = self.unique()

    def listener(self):
        p = self.r.pubsub()
        self.addCleanup(p.close)
        return p

    def heard(self, p, n, seconds=10):
        """The next n messages of p, without the answers to its own subscriptions."""
        messages = []

        def more():
            m = n and p.get_message(ignore_subscribe_messages=True, timeout=0.1)
            while m:
                messages.append(m)
                m = len(messages) < n and p.get_message(ignore_subscribe_messages=True, timeout=0.1)
            return len(messages) >= n
        until(more, seconds, f'{n} messages')
        return messages


class PubSub(Waiting):
    def test_listen(self):
        p = self.listener()
        p.subscribe(self.k)
        p.psubscribe(self.k + '*')
        self.assertEqual([m['type'] for m in (next(p.listen()), next(p.listen()))], ['subscribe', 'psubscribe'])
        self.assertEqual(self.r.publish(self.k, 'a'), 2)
        self.assertEqual({m['type'] for m in (next(p.listen()), next(p.listen()))}, {'message', 'pmessage'})
        p.unsubscribe()
        p.punsubscribe()
        self.assertEqual([m['type'] for m in p.listen()], ['unsubscribe', 'punsubscribe'])
        self.assertEqual(self.r.publish(self.k, 'b'), 0)

    def test_every_message_comes_once_and_in_order(self):
        ps = [self.listener() for _ in range(20)]
        for p in ps:
            p.subscribe(self.k)
        until(lambda: dict(self.r.pubsub_numsub(self.k))[self.k.encode()] == len(ps))
        with self.r.pipeline(transaction=False) as pipe:
            for i in range(500):
                pipe.publish(self.k, i)
            self.assertEqual(pipe.execute(), [len(ps)] * 500)
        for p in ps:
            self.assertEqual([m['data'] for m in self.heard(p, 500)], [b'%d' % i for i in range(500)])

    def test_handler_in_a_thread(self):
        got = []
        p = self.listener()
        p.subscribe(**{self.k: lambda m: got.append(m['data'])})
        thread = p.run_in_thread(sleep_time=0.01)
        self.assertEqual(self.r.publish(self.k, 'x'), 1)
        until(lambda: got == [b'x'])
        thread.stop()
        thread.join()

    def test_a_large_message(self):
        p = self.listener()
        p.subscribe(self.k)
        until(lambda: self.r.pubsub_channels(self.k))
        self.r.publish(self.k, b'x' * (8 << 20))
        self.assertEqual(len(self.heard(p, 1)[0]['data']), 8 << 20)

    def test_subscriptions_are_renewed_after_a_restart(self):
        p = self.listener()
        p.subscribe(self.k)
        until(lambda: p.get_message(timeout=0.1))
        PEER.crash()

        def again():
            self.r.publish(self.k, 'x')
            m = p.get_message(ignore_subscribe_messages=True, timeout=0.1)
            return m and m['data'] == b'x'

        def patient():
            try:
                return again()
            except redis.ConnectionError:
                return False
        until(patient, 20, 'a message after the restart')


class Events(Waiting):
    def test_gnocchi(self):
        """Gnocchi's incoming driver sets the events at one connection and listens at another, to its own database."""
        self.addCleanup(lambda: self.r.config_set('notify-keyspace-events', ''))
        self.r.config_set('notify-keyspace-events', 'K$')
        self.assertEqual(self.r.config_get('notify-keyspace-events')['notify-keyspace-events'], '$K')
        p = self.listener()
        p.psubscribe(f'__keyspace@{DB}__:{self.k}-*')
        until(lambda: p.get_message(timeout=0.1))
        self.client(db=DB + 1).set(self.k + '-elsewhere', 'x')
        self.r.set('other' + self.k, 'x')
        self.r.rpush(self.k + '-list', 'x')
        self.r.set(self.k + '-sack', 'x')
        m = self.heard(p, 1)[0]
        self.assertEqual((m['channel'], m['data']), (f'__keyspace@{DB}__:{self.k}-sack'.encode(), b'set'))

    def test_an_expiry_is_told(self):
        self.addCleanup(lambda: self.r.config_set('notify-keyspace-events', ''))
        self.r.config_set('notify-keyspace-events', 'Ex')
        p = self.listener()
        p.subscribe(f'__keyevent@{DB}__:expired')
        until(lambda: p.get_message(timeout=0.1))
        self.r.set(self.k, 'x', px=50)
        self.assertEqual(self.heard(p, 1)[0]['data'], self.k.encode())


class Blocking(Waiting):
    def test_each_element_goes_to_one_client(self):
        clients, elements = 50, 2000
        got = [[] for _ in range(clients)]

        def take(i):
            r = self.client()
            while True:
                _, value = r.blpop([self.k, self.k + '-end'], 0)
                if value == b'end':
                    return
                got[i].append(int(value))

        takers = threading.Thread(target=in_threads, args=(clients, take), daemon=True)
        takers.start()
        for i in range(elements):
            self.r.rpush(self.k, i)
        until(lambda: sum(map(len, got)) == elements, 20, 'every element')
        self.r.rpush(self.k + '-end', *['end'] * clients)
        takers.join(10)
        self.assertFalse(takers.is_alive())
        self.assertEqual(sorted(x for l in got for x in l), list(range(elements)))

    def test_timeout(self):
        self.assertIsNone(self.r.blpop(self.k, 0.05))
        self.assertIsNone(self.r.brpoplpush(self.k, self.k + '-to', 1))
        self.assertIsNone(self.r.bzpopmin(self.k, 0.05))

    def somebody_waits(self):
        return any(c['cmd'] == 'blpop' for c in self.r.client_list())

    def test_a_client_that_has_gone_gets_nothing(self):
        gone = redis.Redis(HOST, PEER.redis_port, db=DB)
        gone.connection_pool.get_connection('_').send_command('BLPOP', self.k, 0)
        until(self.somebody_waits)
        gone.connection_pool.disconnect()
        until(lambda: not self.somebody_waits())
        self.r.rpush(self.k, 'x')
        self.assertEqual(self.r.lpop(self.k), b'x')

    def test_client_unblock(self):
        waiting = redis.Redis(HOST, PEER.redis_port, db=DB, single_connection_client=True)
        self.addCleanup(waiting.close)
        number = waiting.client_id()
        results = []
        t = threading.Thread(target=lambda: results.append(waiting.blpop(self.k, 0)))
        t.start()
        until(lambda: self.r.client_unblock(number))
        t.join(10)
        self.assertEqual(results, [None])


if __name__ == '__main__':
    main()
