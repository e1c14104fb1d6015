"""Expiry on the Redis port is exact to the millisecond, measured on the client's own clock.

A key set with PX n between two instants before and after has its deadline between before + n and after + n. A read
answered MARGIN before the first must find it, a read sent MARGIN after the second must not. Both hold on a busy
machine, too: a try whose answer came too late proves nothing and is made again.
"""

import random
import time

import redis

from harness import HOST, PEER, ClientTest, in_threads, main, until

MARGIN = 0.005  # seconds
TRIES = 40


def wait_until(instant):
    while (left := instant - time.monotonic()) > 0:
        time.sleep(left if left > 0.001 else 0)


class Expiry(ClientTest):
    def setUp(self):
        self.r = redis.Redis(HOST, PEER.redis_port, db=4)
        self.addCleanup(self.r.close)

    def check(self, put, early, late, milliseconds):
        """One try: put(key, ms), early(key) and late(key) around the deadline. Returns whether early was in time."""
        key, life = self.unique(), milliseconds / 1000
        before = time.monotonic()
        put(key, milliseconds)
        after = time.monotonic()
        wait_until(before + life - MARGIN - 0.002)
        there = early(key)
        in_time = time.monotonic() <= before + life - MARGIN
        if in_time:
            self.assertTrue(there, f'gone {MARGIN * 1000} ms before its {milliseconds} ms were over')
        wait_until(after + life + MARGIN)
        self.assertFalse(late(key), f'still there {MARGIN * 1000} ms after its {milliseconds} ms')
        return in_time

    def check_often(self, put, early=None, late=None):
        choose, proved = random.Random(1), 0
        early = early or self.r.get
        late = late or early
        for _ in range(TRIES * 4):
            proved += self.check(put, early, late, choose.randint(15, 60))
            if proved == TRIES:
                return
        self.fail(f'only {proved} of {TRIES} reads were in time: this machine is too busy to tell')

    def test_set_px(self):
        self.check_often(lambda k, ms: self.r.set(k, 'v', px=ms))

    def test_pexpire_on_a_hash_asked_by_exists(self):
        def put(k, ms):
            with self.r.pipeline() as p:
                p.hset(k, 'f', 'v').pexpire(k, ms).execute()
        self.check_often(put, self.r.exists)

    def test_psetex_asked_inside_a_script(self):
        ask = self.r.register_script("return redis.call('EXISTS', KEYS[1])")
        self.check_often(lambda k, ms: self.r.psetex(k, ms, 'v'), lambda k: ask(keys=[k]))

    def test_set_nx_succeeds_exactly_after_the_deadline(self):
        def taken(k):
            return not self.r.set(k, 'other', nx=True, px=1)
        self.check_often(lambda k, ms: self.r.set(k, 'v', px=ms, nx=True), late=taken)

    def test_pttl_counts_down_with_the_clock(self):
        key = self.unique()
        before = time.monotonic()
        self.r.set(key, 'v', px=500)
        after = time.monotonic()
        while True:
            sent = time.monotonic()
            left = self.r.pttl(key)
            received = time.monotonic()
            if left < 0:
                break
            self.assertGreaterEqual(left, (before + 0.5 - received) * 1000 - 2)
            self.assertLessEqual(left, (after + 0.5 - sent) * 1000 + 2)
        self.assertEqual(left, -2)
        self.assertGreaterEqual(received, before + 0.5 - 0.002)

    def test_dead_keys_are_reclaimed_without_being_touched(self):
        self.r.flushdb()
        with self.r.pipeline(transaction=False) as p:
            for i in range(2000):
                p.set(f'k{i}', 'v', px=20 + i % 50)
            p.execute()
        until(lambda: self.r.dbsize() == 0, 5, 'an empty database')

    def test_what_one_client_saw_gone_no_other_sees_again(self):
        key = self.unique()
        self.r.set(key, 'v', px=200)

        def work(_):
            found = 0
            with redis.Redis(HOST, PEER.redis_port, db=4) as r:
                while True:
                    sent = time.monotonic()
                    if r.get(key) is None:
                        missed = time.monotonic()
                        break
                    found = sent
                for _ in range(200):
                    self.assertIsNone(r.get(key), 'an expired key came back')
            return found, missed
        found, missed = zip(*in_threads(3, work))
        self.assertLess(max(found), min(missed), 'a read found the key after another had missed it')


if __name__ == '__main__':
    main()
