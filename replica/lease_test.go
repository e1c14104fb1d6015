package replica

import (
	"testing"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/keyspace"
)

// readable says whether a member may answer reads now.
func (w *world) readable(id uint64) bool { return w.r[id].ReadableUntil(w.now) > w.now.Mono }

func (w *world) allReadable() {
	w.t.Helper()
	w.until("everybody may answer reads", func() bool {
		for id := range w.r {
			if !w.cut[id] && !w.readable(id) {
				return false
			}
		}
		return true
	})
}

func (w *world) run(ms int) {
	for range ms / 10 {
		w.tick()
	}
}

func TestEverybodyGetsALease(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	for range 300 {
		w.tick()
		for id := range w.r {
			if !w.readable(id) {
				t.Fatalf("member %d lost its lease in quiet times", id)
			}
		}
	}
}

// A lease ends before anybody else can lead, and nobody leads before that.
func TestLeaderLost(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	l := w.leader()
	w.cut[l] = true
	lost := w.now.Mono
	w.until("another one leads", func() bool { return w.leader() != 0 })
	took := w.now.Mono - lost
	if w.r[l].readableOld(w) {
		t.Errorf("the lost leader still answers reads when there is another one")
	}
	if took < 240e6 || took > 420e6 {
		t.Errorf("the next leader came after %d ms", took/1e6)
	}
	e := w.r[w.leader()].elections
	if last := e[len(e)-1]; last.Cause == "" || last.Took == 0 {
		t.Errorf("the election is remembered as %+v", last)
	}
	w.allReadable()
}

// readableOld says whether a member may answer reads although it hears nobody.
func (r *Replica) readableOld(w *world) bool { return r.ReadableUntil(w.now) > w.now.Mono }

// Writes wait for a lost follower no longer than its lease.
func TestFollowerLost(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	l := w.leader()
	f := l%3 + 1
	w.cut[f] = true
	lost := w.now.Mono
	s := w.submit(l, incr("a", 1))
	w.until("the write is done", func() bool { return s.done == 1 })
	if took := w.now.Mono - lost; took < 100e6 || took > 300e6 {
		t.Errorf("the write took %d ms", took/1e6)
	}
	if w.readable(f) {
		t.Errorf("the lost one still answers reads when a write is done without it")
	}
	clear(w.cut)
	w.allReadable()
}

func TestDrainOfALeader(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	l := w.leader()
	w.r[l].Drain(w.now)
	w.settle()
	if n := w.leader(); n == 0 || n == l || w.r[l].role == raft.StateLeader {
		t.Fatalf("after a drain of %d, without time passing, %d leads", l, n)
	}
	if !w.r[l].Drained() {
		t.Errorf("it is not drained")
	}
	n := w.leader()
	s := w.submit(n, incr("a", 1))
	w.settle()
	if s.done != 1 {
		t.Errorf("a write at the new leader waits")
	}
	w.run(2000)
	if w.leader() != n || w.readable(l) || !w.readable(n) {
		t.Errorf("later %d leads; the drained one reads: %v, the leader reads: %v", w.leader(), w.readable(l), w.readable(n))
	}
}

func TestDrainOfAFollower(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	f := w.leader()%3 + 1
	w.r[f].Drain(w.now)
	w.settle()
	if !w.r[f].Drained() || w.readable(f) {
		t.Fatalf("drained: %v, reads: %v", w.r[f].Drained(), w.readable(f))
	}
	w.cut[f] = true
	s := w.submit(w.leader(), incr("a", 1))
	w.settle()
	if s.done != 1 {
		t.Errorf("a write waits for a member that was drained")
	}
}

// A hand-over to somebody who hears nothing of it ends in a new term, and the group goes on.
func TestFailedHandOver(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	l := w.leader()
	w.lose = func(m Message) bool { return m.Kind == Raft && m.Raft.GetType() == pb.MsgTimeoutNow }
	term := w.r[l].term
	w.r[l].Drain(w.now)
	w.until("there is a new term", func() bool { n := w.leader(); return n != 0 && w.r[n].term > term })
	w.lose = nil
	s := w.submit(l, incr("a", 1))
	w.until("writes go on", func() bool { return s.done == 1 })
}

// Who saw a process end can prove it: nobody waits for its leases and promises.
func TestDied(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	l := w.leader()
	w.cut[l] = true
	lost := w.now.Mono
	for id, r := range w.r {
		if id != l {
			r.Died(l, w.r[l].cfg.Nonce, w.now)
		}
	}
	w.until("another one leads", func() bool { return w.leader() != 0 })
	if took := w.now.Mono - lost; took > 80e6 {
		t.Errorf("the next leader came after %d ms", took/1e6)
	}
	n := w.leader()
	f := 6 - l - n
	w.allReadable()
	w.cut[f] = true
	w.r[n].Died(f, w.r[f].cfg.Nonce, w.now)
	s := w.submit(n, incr("a", 1))
	w.settle() // the third one is needed for a majority, and away
	if s.done != 0 {
		t.Fatalf("one of three carried out a write")
	}
	w.cut[l] = false
	w.until("it is done", func() bool { return s.done == 1 })
}

// join adds a new member with an empty state and brings it the snapshots that it needs.
func (w *world) join(id uint64, name string) {
	w.t.Helper()
	w.r[id] = New(Config{ID: id, Nonce: id * 77, State: keyspace.New(nil, nil), Leases: true, Retain: 1 << 20, Logger: quiet{}})
	if err := w.r[id].Start(w.now); err != nil {
		w.t.Fatal(err)
	}
	w.until(name+" is a voter", func() bool {
		if l := w.leader(); l != 0 && w.r[l].ticks%20 == 0 {
			w.r[l].Change(Change{Add, Member{ID: id, Name: name}}, w.now)
		}
		for o, r := range w.r {
			if m := find(r.members, id); !w.cut[o] && (m == nil || m.Learner) {
				return false
			}
		}
		return true
	})
}

func TestGroupGrowsFromOne(t *testing.T) {
	w := newWorld(t, 1)
	for range 20 {
		w.submit(1, incr("a", 1))
		w.settle()
	}
	began := w.now.Mono
	w.join(2, "c2")
	w.join(3, "c3")
	t.Logf("three members after %d ms", (w.now.Mono-began)/1e6)
	w.allReadable()
	s := w.submit(3, incr("a", 1))
	w.until("a write is done", func() bool { return s.done == 1 })
	if s.results[0].Int != 21 {
		t.Errorf("counted to %d", s.results[0].Int)
	}
	w.run(200)
	w.equal()
}

// Who comes back without its memory takes the place of its earlier ID.
func TestComeBackUnderANewID(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	for range 20 {
		w.submit(w.leader(), incr("a", 1))
		w.settle()
	}
	l := w.leader()
	f := l%3 + 1
	delete(w.r, f)
	w.cut[f] = true
	w.join(9, w.r[l].name(f))
	w.run(1000)
	for id, r := range w.r {
		if len(r.members) != 3 || find(r.members, f) != nil {
			t.Errorf("at %d the members are %+v", id, r.members)
		}
	}
	w.allReadable()
	w.equal()
}

func TestRemoveALeader(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	l := w.leader()
	w.until("it is removed", func() bool {
		for id, r := range w.r {
			if id != l && find(r.members, l) == nil {
				return true
			}
			r.Change(Change{Remove, Member{ID: l}}, w.now)
		}
		return false
	})
	w.cut[l] = true
	s := w.submit(l%3+1, incr("a", 1))
	w.until("writes go on", func() bool { return s.done == 1 })
}

// One wild clock does not end every session.
func TestWildClock(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	l := w.leader()
	before := w.r[l].stamp
	at := w.now
	at.Wall += 3600e9
	for range 50 { // only the leader's clock is an hour ahead
		w.now.Mono += 10e6
		w.now.Wall += 10e6
		at.Mono, at.Wall = w.now.Mono, at.Wall+10e6
		w.r[l].Tick(at)
		w.r[l].Stamp(at)
		w.settle()
		for id, r := range w.r {
			if id != l {
				r.Tick(w.now)
			}
		}
		w.settle()
	}
	if ran := w.r[l].stamp - before; ran > 2e9 {
		t.Errorf("the group's time ran %d s in half a second", ran/1e9)
	}
}

// A member whose state is another one is noticed.
func TestStatesAreCompared(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	l := w.leader()
	f := l%3 + 1
	differ := func() (n int) {
		for _, p := range w.r[l].Status(w.now).Peers {
			if p.Differs != 0 {
				n++
			}
		}
		return n
	}
	for range 3 * sumsStep {
		w.submit(l, incr("a", 1))
		w.settle()
	}
	w.run(100)
	if n := differ(); n != 0 {
		t.Fatalf("%d of two equal members are said to differ", n)
	}
	other := keyspace.New(nil, nil) // as if a bit of its memory had flipped
	other.Apply(&keyspace.Entry{Index: w.r[f].applied, Stamp: w.r[f].state.Stamp(), Kind: keyspace.Tick}, nil)
	w.r[f].state = other
	w.until("it is noticed", func() bool {
		w.submit(l, incr("a", 1))
		return differ() == 1
	})
}

// The leadership goes to nobody who has just come back: it would drop what asks it to lead.
func TestHandOverBesideAReturnedMember(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	l := w.leader()
	f, o := l%3+1, (l+1)%3+1
	old := w.r[f]
	again := New(Config{ID: f, Nonce: 99, State: old.state, Base: old.Base(), Leases: true, Retain: 1 << 20, Logger: quiet{}})
	again.RecoverHard(old.log.hard)
	if err := again.Start(w.now); err != nil {
		t.Fatal(err)
	}
	w.r[f] = again
	w.run(100)
	w.r[l].Drain(w.now)
	w.run(20)
	if n := w.leader(); n != o || !w.r[l].Drained() {
		t.Errorf("%d leads after the drain of %d beside %d, which has just come back; drained: %v, %+v", n, l, f, w.r[l].Drained(), w.r[l].Status(w.now))
	}
}

// A leader that has just been elected is not forgotten before its first heartbeat comes.
func TestNoElectionsInQuietTimes(t *testing.T) {
	w := newWorld(t, 5)
	w.allReadable()
	w.run(3000)
	for id, r := range w.r {
		if r.term != 2 || len(r.elections) != 1 {
			t.Errorf("member %d is in term %d and remembers %+v", id, r.term, r.elections)
		}
	}
	l := w.leader()
	term := w.r[l].term
	w.r[l].Drain(w.now)
	w.run(3000)
	for id, r := range w.r {
		if r.term != term+1 {
			t.Errorf("after a hand-over member %d is in term %d, not %d", id, r.term, term+1)
		}
	}
}
