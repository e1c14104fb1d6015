package replica

import (
	"math"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"holdfast/keyspace"
	"holdfast/op"
)

// A new leader is not forgotten by followers whose last heartbeat is old, and nobody campaigns against it.
func TestNewLeaderForgotten(t *testing.T) {
	for _, n := range []int{3, 5} {
		w := newWorld(t, n)
		flaps := 0
		last := map[uint64]uint64{}
		for range 120 {
			w.tick()
			for id, r := range w.r {
				if last[id] != 0 && r.leader == 0 {
					flaps++
				}
				last[id] = r.leader
			}
		}
		terms := w.r[1].term
		t.Logf("cold start of %d: term %d (1 at first), leader forgotten %d times", n, terms, flaps)
		if terms > 2 || flaps > 0 {
			t.Errorf("cold start of %d: more than one election: term %d, flaps %d", n, terms, flaps)
		}
	}
	// leader crash in five
	for seed := range 10 {
		w := newWorld(t, 5)
		for _, r := range w.r {
			r.seed += uint64(seed) * 7919
		}
		w.allReadable()
		w.run(1000)
		l := w.leader()
		term := w.r[l].term
		w.cut[l] = true
		w.run(1500)
		n := w.leader()
		t.Logf("seed %d crash of the leader %d of five: terms used %d, new leader %d", seed, l, w.r[n].term-term, n)
		if w.r[n].term-term > 1 {
			t.Errorf("more than one election after one crash")
		}
	}
}

// In a group of five a member that was not told of a death may still hold a lease of the dead leader: writes wait for it.
func TestDiedOfFive(t *testing.T) {
	w := newWorld(t, 5)
	w.allReadable()
	l := w.leader()
	k := l%5 + 1
	w.cut[l], w.cut[k] = true, true // l is dead, k is cut off and hears nothing of it
	for id, r := range w.r {
		if id != l && id != k {
			r.Died(l, w.r[l].cfg.Nonce, w.now)
		}
	}
	w.settle()
	w.until("new leader", func() bool { return w.leader() != 0 })
	s := w.submit(w.leader(), incr("a", 1))
	w.until("the write is acknowledged", func() bool { return s.done == 1 })
	if i, _ := w.r[k].Pending(&op.Get{Key: op.Key{Name: []byte("a")}}); w.readable(k) && i == 0 {
		t.Errorf("member %d answers reads by lease for %d ms more after a write was acknowledged that it does not have", k, (w.r[k].ReadableUntil(w.now)-w.now.Mono)/1e6)
	}
}

// A change of the membership that was truncated does not keep later ones waiting.
func TestTruncatedChange(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	l := w.leader()
	a, b := l%3+1, (l+1)%3+1
	w.r[l].Change(Change{Add, Member{ID: 7, Name: "c7"}}, w.now)
	w.cut[l] = true
	for range 60 {
		w.submit(l, incr("x", 1)) // uncommitted tail before the change
	}
	w.settle()
	w.run(20) // change appended here
	t.Logf("old leader: change at %d commit %d last %d", w.r[l].changes.index, w.r[l].commit, w.r[l].log.last())
	w.until("new leader", func() bool { return w.leader() != 0 })
	w.run(500)
	// the clients' batches of the cut one are withdrawn by nobody; they'd be resent. Drop them as if its process' clients gave up
	w.r[l].origin.waiting = nil
	clear(w.cut)
	w.run(1000)
	// bring leadership back to l
	other := w.leader()
	_ = a
	_ = b
	w.r[other].Drain(w.now)
	w.settle()
	for w.leader() != l {
		o := w.leader()
		if o != 0 && o != l {
			w.r[o].Drain(w.now)
		}
		w.tick()
	}
	w.run(500)
	t.Logf("leader again: change index %d commit %d last %d", w.r[l].changes.index, w.r[l].commit, w.r[l].log.last())
	for i := range 500 {
		if i%20 == 0 {
			w.r[l].Change(Change{Add, Member{ID: 8, Name: "c8"}}, w.now)
		}
		w.tick()
	}
	if find(w.r[l].members, 8) == nil {
		t.Errorf("5 s later the new member is not in the group: the steward waits for entry %d, commit is %d", w.r[l].changes.index, w.r[l].commit)
	}
}

// A single voter with learners does not answer reads for ever: others may have seen what it has not applied.
func TestSingleVoterForever(t *testing.T) {
	w := newWorld(t, 1)
	w.settle()
	w.r[2] = New(Config{ID: 2, Nonce: 77, State: keyspace.New(nil, nil), Leases: true, Retain: 1 << 20, Logger: quiet{}})
	if err := w.r[2].Start(w.now); err != nil {
		t.Fatal(err)
	}
	w.r[1].Change(Change{Add, Member{ID: 2, Name: "c2"}}, w.now)
	w.until("learner has applied its Hello", func() bool { return w.r[2].origin.incarnation != 0 })
	m := find(w.r[1].members, 2)
	s := w.submit(2, incr("a", 1))
	r := w.r[1]
	// drive by hand: leader takes the forward, commits it, says it is visible, and has not applied yet
	for range 20 {
		eff, _ := w.r[2].Ready(w.now)
		if !eff.Append.Empty() {
			w.r[2].Stored(eff.Append, w.now)
		}
		for _, x := range eff.Messages {
			r.Step(x, w.now)
		}
		for w.r[2].Apply(1, w.now) {
		}
		eff, _ = r.Ready(w.now)
		if !eff.Append.Empty() {
			r.Stored(eff.Append, w.now)
		}
		for _, x := range eff.Messages { // as a link that is awake does
			w.r[2].Step(x, w.now)
		}
	}
	i, _ := r.Pending(&op.Get{Key: op.Key{Name: []byte("a")}})
	t.Logf("learner %v, answered at the learner: %d; leader applied %d commit %d, pending there %d, forever %v", m.Learner, s.done, r.applied, r.commit, i, r.ReadableUntil(w.now) == math.MaxInt64)
	if s.done == 1 && i != 0 && r.ReadableUntil(w.now) == math.MaxInt64 {
		t.Errorf("the leader reads 'forever' (cluster takes that for solo: no look at pending keys), though %d is answered elsewhere and only %d applied here", i, r.applied)
	}
}

// Many reads by ReadIndex do not cost a member with a long round trip its lease.
func TestReadIndexStarvesSlowMember(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	l := w.leader()
	f, g := l%3+1, (l+1)%3+1
	// messages to and from g take 10 ms; f asks all the time at 0.1 ms
	var late []struct {
		at int64
		m  Message
	}
	step := func() {
		w.now.Mono += 1e5
		w.now.Wall += 1e5
		if w.now.Mono/1e5%100 == 0 {
			for _, r := range w.r {
				r.Tick(w.now)
			}
		}
		w.r[f].AskIndex(uint64(w.now.Mono), w.now)
		for _, id := range []uint64{l, f, g} {
			r := w.r[id]
			for range 3 {
				eff, _ := r.Ready(w.now)
				if !eff.Append.Empty() {
					r.Stored(eff.Append, w.now)
				}
				for r.Apply(1, w.now) {
				}
				for _, m := range eff.Messages {
					if m.To == g || m.From == g {
						late = append(late, struct {
							at int64
							m  Message
						}{w.now.Mono + 10e6, m})
					} else {
						w.r[m.To].Step(m, w.now)
					}
				}
			}
		}
		n := 0
		for ; n < len(late) && late[n].at <= w.now.Mono; n++ {
			w.r[late[n].m.To].Step(late[n].m, w.now)
		}
		late = late[n:]
	}
	bad, acked := 0, w.r[l].peer(g).acked
	for i := range 10000 {
		step()
		if i > 5000 && !w.readable(g) {
			bad++
		}
	}
	if bad > 100 {
		t.Errorf("member %d (20 ms round trip) had no lease in %d of 5000 moments; acked moved: %v; beats %d", g, bad, w.r[l].peer(g).acked > acked, w.r[l].beats.last)
	}
}

// An answer of an earlier life does not end the roster membership of the new one.
func TestOldLifeAck(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	l := w.leader()
	f := l%3 + 1
	w.r[l].Step(Message{Kind: Ack, From: f, To: l, Term: w.r[l].term, Void: 3, Life: 4711}, w.now)
	if w.readable(f) && !w.r[l].inRoster(w.r[l].peer(f)) {
		t.Errorf("member %d reads by lease and is not in the roster", f)
	}
}

// A change of a kind that is not known yet is none.
func TestUnknownChange(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	l := w.leader()
	f := l%3 + 1
	c := Change{Kind: 3, Member: Member{ID: f}}
	for i := range 300 {
		if i%10 == 0 {
			w.r[l].Step(Message{Kind: Propose, From: f, To: l, Change: &c}, w.now)
		}
		w.tick()
	}
	if find(w.r[l].members, f) == nil {
		t.Errorf("a change of a kind that is not known removed member %d", f)
	}
}

func adds(e *pb.Entry, id uint64) bool {
	if e.GetType() != pb.EntryConfChange {
		return false
	}
	cc := &pb.ConfChange{}
	return proto.Unmarshal(e.Data, cc) == nil && cc.GetType() == pb.ConfChangeAddNode && cc.GetNodeId() == id
}

// Two changes that come in one append: the commit that stands beside them in the log is raft's own, or a member would come back in a group two changes old.
func TestTwoChangesInOneAppend(t *testing.T) {
	w := newWorld(t, 3)
	type record struct {
		e      *pb.Entry
		commit uint64
	}
	logs := map[uint64][]record{}
	hards := map[uint64]*pb.HardState{}
	phase := 0
	var a, b, c uint64
	w.wrote = func(r *Replica, ap Append) {
		for _, e := range ap.Entries {
			logs[r.id] = append(logs[r.id], record{e, r.Commit()}) // as cluster/drive.go enter does
			if r.id == a && phase == 1 && adds(e, 5) {
				phase = 2
				t.Logf("member %d appended up to %d; raft knew commit %d, beside the entry stands %d", a, e.GetIndex(), r.log.hard.GetCommit(), r.Commit())
			}
		}
		if ap.Hard != nil {
			hards[r.id] = ap.Hard
		}
	}
	w.allReadable()
	c = w.leader()
	a, b = c%3+1, (c+1)%3+1
	side := func(id uint64) bool { return id == a || id == b }
	w.lose = func(m Message) bool {
		switch phase {
		case 0:
			if m.Kind == Raft && m.Raft.GetType() == pb.MsgApp {
				for _, e := range m.Raft.Entries {
					if adds(e, 5) {
						phase = 1
						return m.To == b
					}
				}
			}
			return m.To == a || m.From == a
		case 1:
			return m.To == b || m.From == b
		case 2: // a's answer goes out, nothing more comes in
			return m.To == b || m.From == b || m.To == a
		}
		return side(m.From) != side(m.To)
	}
	for _, id := range []uint64{4, 5} {
		w.r[id] = New(Config{ID: id, Nonce: id * 77, State: keyspace.New(nil, nil), Leases: true, Retain: 1 << 20, Logger: quiet{}})
		if err := w.r[id].Start(w.now); err != nil {
			t.Fatal(err)
		}
	}
	name := map[uint64]string{4: "c4", 5: "c5"}
	for i := 0; phase < 2 && i < 3000; i++ {
		if i%10 == 0 {
			for id := uint64(4); id <= 5; id++ {
				if id == 5 {
					if m := find(w.r[c].members, 4); m == nil || m.Learner {
						continue
					}
				}
				w.r[c].Change(Change{Add, Member{ID: id, Name: name[id]}}, w.now)
			}
		}
		w.tick()
		if w.leader() != c {
			// a different leader in cut world is not what is wanted
		}
	}
	if phase != 2 {
		t.Fatalf("not arranged: phase %d members %+v leader %d c %d", phase, w.r[c].members, w.leader(), c)
	}
	for i := 0; i < 50 && len(conf(w.r[c].members).Voters) < 5; i++ {
		w.tick()
	}
	if len(conf(w.r[c].members).Voters) != 5 {
		t.Fatalf("not arranged: the group of five is not committed: %+v", w.r[c].members)
	}
	// a's process is killed (SIGKILL) and started again, with all that it wrote
	was := Base{Index: 1, Term: 1, Members: []Member{{ID: 1, Name: "c1"}, {ID: 2, Name: "c2"}, {ID: 3, Name: "c3"}}}
	again := New(Config{ID: a, Nonce: 999, State: keyspace.New(nil, nil), Base: was, Leases: true, Retain: 1 << 20, Logger: quiet{}})
	again.RecoverHard(hards[a])
	for _, l := range logs[a] {
		if err := again.Recover(l.e, l.commit); err != nil {
			t.Fatal(err)
		}
	}
	if err := again.Start(w.now); err != nil {
		t.Fatal(err)
	}
	w.r[a] = again
	t.Logf("member %d is back: voters %v, commit %d, log to %d; voters at the leader %v, commit %d", a, conf(again.members).Voters, again.commit, again.log.last(), conf(w.r[c].members).Voters, w.r[c].commit)
	phase = 3 // {a,b} | {c,4,5}
	sc := w.submit(c, incr("x", 1))
	w.run(3000)
	t.Logf("write of %d: %d; now %d is %v at term %d commit %d, %d is %v at term %d commit %d", c, sc.done, c, w.r[c].role, w.r[c].term, w.r[c].commit, a, again.role, again.term, again.commit)
	for i := min(w.r[c].commit, again.commit); i > again.log.base && i > w.r[c].log.base; i-- {
		if x, y := w.r[c].log.at(i), again.log.at(i); x.GetTerm() != y.GetTerm() {
			t.Errorf("entry %d is committed twice: of term %d at %d, of term %d at %d", i, x.GetTerm(), c, y.GetTerm(), a)
			return
		}
	}
}

// A group of one answers no reads before what an earlier life acknowledged is applied.
func TestAloneForeverTooEarly(t *testing.T) {
	w := newWorld(t, 1)
	var log []*pb.Entry
	var hard *pb.HardState
	w.wrote = func(r *Replica, a Append) {
		log = append(log, a.Entries...)
		if a.Hard != nil {
			hard = a.Hard
		}
	}
	for range 50 {
		w.submit(1, incr("a", 1))
		w.settle()
	}
	again := New(Config{ID: 1, Nonce: 2, State: keyspace.New(nil, nil), Leases: true, Base: Base{Index: 1, Term: 1, Members: []Member{{ID: 1, Name: "c1"}}}, Logger: quiet{}})
	again.RecoverHard(hard)
	for _, e := range log {
		if err := again.Recover(e, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := again.Start(w.now); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		eff, any := again.Ready(w.now)
		if again.ReadableUntil(w.now) == math.MaxInt64 && again.applied < log[len(log)-1].GetIndex() {
			t.Errorf("reads for ever at %d applied, %d were acknowledged", again.applied, log[len(log)-1].GetIndex())
			return
		}
		if !eff.Append.Empty() {
			again.Stored(eff.Append, w.now)
		}
		for again.Apply(1, w.now) {
		}
		if !any {
			return
		}
	}
}

// A member that is found behind once is not banned because reads drive many heartbeats.
func TestBanHairTrigger(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	w.run(500)
	l := w.leader()
	f := l%3 + 1
	r := w.r[l]
	r.peer(f).level = 0 // it was found behind by the last tick
	began := w.now.Mono
	for i := range 10 {
		w.now.Mono += 1e5
		w.now.Wall += 1e5
		r.AskIndex(uint64(i+1), w.now)
		w.settle()
	}
	t.Logf("%d us later: late %d banned %v", (w.now.Mono-began)/1e3, r.peer(f).late, r.peer(f).banned)
	if r.peer(f).banned {
		t.Errorf("banned within 1 ms")
	}
}
