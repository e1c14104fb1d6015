"""tooz on redis:// and memcached://, as Ceilometer, Cinder, Designate and the others coordinate their agents.

Lives are short here (seconds instead of 30), so that what the end of a heartbeat does can be seen.
"""

import logging
import time

import tooz
from tooz import coordination
from tooz.coordination import Characteristics

from harness import HOST, PEER, ClientTest, in_threads, main, until

logging.getLogger('tooz').setLevel(logging.CRITICAL)  # it reports what these tests do on purpose

LIFE = 2  # seconds, memcached counts them whole: membership, locks and leadership


class Tooz:
    """The tests of one driver, named by the class attributes scheme and port."""

    timeout = 60

    def setUp(self):
        self.group = self.unique('group').encode()
        self.coordinators = []
        self.addCleanup(self.stop_all)

    def stop_all(self):
        for c in self.coordinators:
            if c.is_started:
                c.stop()

    def coordinator(self, name='member', life=30, start_heart=False):
        options = f'membership_timeout={life}&lock_timeout={life}&leader_timeout={life}'
        c = coordination.get_coordinator(f'{self.scheme}://{HOST}:{self.port()}?{options}', self.unique(name).encode())
        c.start(start_heart=start_heart)
        self.coordinators.append(c)
        return c

    def member(self, life=30, capabilities=b''):
        c = self.coordinator(life=life)
        c.join_group_create(self.group, capabilities)
        return c

    def members_seen_by(self, c):
        return set(c.get_members(self.group).get())

    # Groups

    def test_characteristics_and_start(self):
        c = self.coordinator()
        self.assertIn(Characteristics.DISTRIBUTED_ACROSS_HOSTS, c.CHARACTERISTICS)
        self.assertGreater(c.heartbeat(), 0)

    def test_groups(self):
        c = self.coordinator()
        c.create_group(self.group).get()
        with self.assertRaises(coordination.GroupAlreadyExist):
            c.create_group(self.group).get()
        self.assertIn(self.group, c.get_groups().get())
        self.assertEqual(self.members_seen_by(c), set())
        c.delete_group(self.group).get()
        self.assertNotIn(self.group, c.get_groups().get())
        with self.assertRaises(coordination.GroupNotCreated):
            c.delete_group(self.group).get()

    def test_join_and_leave(self):
        c, d = self.coordinator(), self.coordinator()
        with self.assertRaises(coordination.GroupNotCreated):
            c.join_group(self.group).get()
        c.create_group(self.group).get()
        c.join_group(self.group).get()
        with self.assertRaises(coordination.MemberAlreadyExist):
            c.join_group(self.group).get()
        d.join_group(self.group).get()
        self.assertEqual(self.members_seen_by(c), {c._member_id, d._member_id})
        with self.assertRaises(coordination.GroupNotEmpty):
            c.delete_group(self.group).get()
        c.leave_group(self.group).get()
        with self.assertRaises(coordination.MemberNotJoined):
            c.leave_group(self.group).get()
        self.assertEqual(self.members_seen_by(c), {d._member_id})
        d.leave_group(self.group).get()
        d.delete_group(self.group).get()

    def test_capabilities(self):
        c, d = self.member(capabilities={'cpu': 4, 'name': 'ü'}), self.member(capabilities=b'raw')
        self.assertEqual(d.get_member_capabilities(self.group, c._member_id).get(), {'cpu': 4, 'name': 'ü'})
        self.assertEqual(c.get_member_capabilities(self.group, d._member_id).get(), b'raw')
        c.update_capabilities(self.group, [1, 2]).get()
        self.assertEqual(d.get_member_capabilities(self.group, c._member_id).get(), [1, 2])
        stranger = self.coordinator()
        with self.assertRaises(coordination.MemberNotJoined):
            stranger.update_capabilities(self.group, 'x').get()
        with self.assertRaises(coordination.MemberNotJoined):
            c.get_member_capabilities(self.group, stranger._member_id).get()

    def test_many_join_at_once(self):
        all_of_them = [self.coordinator() for _ in range(8)]
        in_threads(8, lambda i: all_of_them[i].join_group_create(self.group), 50)
        self.assertEqual(self.members_seen_by(all_of_them[0]), {c._member_id for c in all_of_them})

    def test_stop_leaves_the_group(self):
        c, d = self.member(), self.member()
        d.stop()
        self.assertEqual(self.members_seen_by(c), {c._member_id})

    # Heartbeats

    def test_a_member_without_heartbeat_disappears_and_others_stay(self):
        alive, dead = self.member(LIFE), self.member(LIFE)
        began = time.monotonic()
        dead.heartbeat()

        def gone():
            alive.heartbeat()
            return dead._member_id not in self.members_seen_by(alive)
        until(gone, LIFE + 3, 'the end of the silent member')
        if PEER.is_holdfast:  # memcached counts whole seconds
            self.assertGreater(time.monotonic() - began, LIFE - 0.01)
        self.assertEqual(self.members_seen_by(alive), {alive._member_id})

    def test_heart_keeps_a_member_alive(self):
        beating, watcher = self.coordinator(life=LIFE, start_heart=True), self.member()
        beating.join_group_create(self.group)
        end = time.monotonic() + LIFE + 1
        while time.monotonic() < end:
            self.assertIn(beating._member_id, self.members_seen_by(watcher))
            time.sleep(0.05)
        self.assertTrue(beating.heart.is_alive())
        self.assertGreaterEqual(beating.heart.beats, 2)

    # Watchers

    def test_watchers_tell_who_came_and_went(self):
        watcher, events = self.member(), []
        watcher.watch_join_group(self.group, lambda e: events.append(('join', e.member_id)))
        watcher.watch_leave_group(self.group, lambda e: events.append(('leave', e.member_id)))
        watcher.run_watchers()
        events.clear()
        other = self.member()
        watcher.run_watchers()
        self.assertEqual(events, [('join', other._member_id)])
        watcher.run_watchers()
        other.leave_group(self.group).get()
        watcher.run_watchers()
        self.assertEqual(events[1:], [('leave', other._member_id)])

    def test_watchers_tell_who_died(self):
        watcher, events = self.member(), []
        dead = self.member(LIFE)
        watcher.watch_leave_group(self.group, events.append)
        watcher.run_watchers()
        until(lambda: watcher.run_watchers() or events, LIFE + 3, 'the leave event')
        self.assertEqual([e.member_id for e in events], [dead._member_id])

    # Locks

    def test_locks_exclude(self):
        name = self.unique('lock').encode()
        one, two = self.coordinator().get_lock(name), self.coordinator().get_lock(name)
        self.assertTrue(one.acquire(blocking=False))
        self.assertFalse(two.acquire(blocking=False))
        self.assertTrue(one.acquired and one.is_still_owner())
        self.assertFalse(two.acquired or two.is_still_owner())
        self.assertFalse(two.release())
        self.assertTrue(one.release())
        self.assertFalse(one.release())
        with two:
            self.assertFalse(one.acquire(blocking=False))

    def test_a_blocked_acquire_gets_the_lock_on_release(self):
        name = self.unique('lock').encode()
        one, two = self.coordinator().get_lock(name), self.coordinator().get_lock(name)
        self.assertTrue(one.acquire())
        waiting = []

        def work(i):
            if i == 0:
                until(lambda: waiting, what='the waiter')
                return one.release()
            waiting.append(True)
            return two.acquire(blocking=True)
        self.assertEqual(in_threads(2, work), [True, True])
        two.release()

    def test_break(self):
        name = self.unique('lock').encode()
        one, two = self.coordinator().get_lock(name), self.coordinator().get_lock(name)
        self.assertFalse(two.break_())
        one.acquire()
        self.assertTrue(two.break_())
        self.assertTrue(two.acquire(blocking=False))
        self.assertFalse(one.is_still_owner())
        two.release()

    def test_heartbeat_keeps_a_lock_and_silence_ends_it(self):
        name = self.unique('lock').encode()
        holder, other = self.coordinator(life=LIFE), self.coordinator(life=LIFE)
        mine, theirs = holder.get_lock(name), other.get_lock(name)
        self.assertTrue(mine.acquire())
        end = time.monotonic() + LIFE + 1
        while time.monotonic() < end:
            holder.heartbeat()
            self.assertFalse(theirs.acquire(blocking=False))
            time.sleep(0.05)
        began = time.monotonic()
        holder.heartbeat()
        until(lambda: theirs.acquire(blocking=False), LIFE + 3, 'the end of the lock')
        if PEER.is_holdfast:
            self.assertGreater(time.monotonic() - began, LIFE - 0.01)
        self.assertFalse(mine.is_still_owner())
        theirs.release()

    def test_never_two_holders(self):
        name, inside, most = self.unique('lock').encode(), [], []
        locks = [self.coordinator().get_lock(name) for _ in range(4)]

        def work(i):
            for _ in range(3):
                with locks[i]:
                    inside.append(i)
                    most.append(len(inside))
                    inside.remove(i)
        in_threads(4, work, 50)
        self.assertEqual((len(most), max(most)), (12, 1))

    # Leaders

    def test_election_and_failover(self):
        elected = []
        first, second = self.member(LIFE), self.member(LIFE)
        for c in (first, second):
            c.watch_elected_as_leader(self.group, lambda e: elected.append(e.member_id))
        first.run_watchers()
        second.run_watchers()
        self.assertEqual(elected, [first._member_id])
        self.check_leader(second, first)
        first.heartbeat()  # its last

        def failed_over():
            second.heartbeat()
            second.run_watchers()
            return second._member_id in elected
        until(failed_over, LIFE + 3, 'the second leader')
        self.assertEqual(elected, [first._member_id, second._member_id])
        self.assertEqual(self.members_seen_by(second), {second._member_id})

    def test_a_leader_that_beats_stays(self):
        elected = []
        first, second = self.member(LIFE), self.member(LIFE)
        for c in (first, second):
            c.watch_elected_as_leader(self.group, lambda e: elected.append(e.member_id))
        end = time.monotonic() + LIFE + 1
        while time.monotonic() < end:
            for c in (first, second):
                c.heartbeat()
                c.run_watchers()
            time.sleep(0.05)
        self.assertEqual(set(elected), {first._member_id})

    # Partitions, as Ceilometer's polling agents share their work

    def test_partitioned_group(self):
        resources = [f'instance-{i}' for i in range(200)]
        agents = [self.coordinator(life=LIFE) for _ in range(3)]
        partitioners = [a.join_partitioned_group(self.group) for a in agents]

        def shares(living):
            for a in living:
                a.heartbeat()
                a.run_watchers()
            return [{r for r in resources if p.belongs_to_self(r)}
                    for a, p in zip(agents, partitioners) if a in living]

        def shared(living):
            parts = shares(living)
            return all(parts) and sum(map(len, parts)) == len(set().union(*parts)) == len(resources)
        until(lambda: shared(agents), 5, 'work shared by three')
        until(lambda: shared(agents[:2]), LIFE + 3, 'work of the dead agent taken over')
        agents[1].leave_partitioned_group(partitioners[1])
        until(lambda: shared(agents[:1]), 5, 'all work with the last agent')


class OnRedis(Tooz, ClientTest):
    scheme = 'redis'

    def port(self):
        return PEER.redis_port

    def check_leader(self, asking, leader):
        with self.assertRaises(tooz.NotImplemented):
            asking.get_leader(self.group).get()


class OnMemcached(Tooz, ClientTest):
    scheme = 'memcached'

    def port(self):
        return PEER.memcached_port

    def check_leader(self, asking, leader):
        self.assertEqual(asking.get_leader(self.group).get(), leader._member_id)


if __name__ == '__main__':
    main()
