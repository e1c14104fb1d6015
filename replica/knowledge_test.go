package replica

import (
	"fmt"
	"strings"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/keyspace"
)

func (s Status) counted(cause string) uint64 {
	for _, c := range s.Causes {
		if c.Text == cause {
			return c.Elections
		}
	}
	return 0
}

// Every member knows the cause of an election, counts it once, and does not take a leader that it hears again for a new one.
func TestCausesOfElections(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	lost := w.leader()
	w.cut[lost] = true
	w.until("another one leads", func() bool { return w.leader() != 0 && w.leader() != lost })
	leader := w.leader()
	w.allReadable()
	w.run(500)
	other := 6 - lost - leader
	for round := range 2 {
		for _, id := range []uint64{leader, other} {
			s := w.r[id].Status(w.now)
			e := s.Elections[len(s.Elections)-1]
			if e.Term != s.Term || e.Leader != leader || e.Cause == "" || s.counted(e.Cause) != 1 {
				t.Errorf("round %d, member %d: %+v of %v", round, id, e, s.Causes)
			}
			seen := map[uint64]bool{}
			for _, e := range s.Elections {
				if seen[e.Term] {
					t.Errorf("member %d: term %d appears twice: %+v", id, e.Term, s.Elections)
				}
				seen[e.Term] = true
			}
		}
		r := w.r[other]
		_ = r.raft.ForgetLeader() // it loses sight of the leader, and hears it again
		w.run(200)
		if r.leader != leader {
			t.Fatal("it did not hear it again")
		}
	}
	for range 2 * elections { // a counter does not fall when old elections are forgotten
		r := w.r[leader]
		r.term++
		r.cause = "a test"
		r.elected()
	}
	if c := w.r[leader].Status(w.now).counted("a test"); c != 2*elections {
		t.Errorf("counted %d", c)
	}
}

// How long an election took is counted from the last sign of a leader, at the one that led before too.
func TestTookAtTheOldLeader(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	w.run(5000)
	old := w.leader()
	w.r[old].Drain(w.now)
	w.settle()
	e := w.r[old].Status(w.now).Elections
	if last := e[len(e)-1]; last.Leader == old || last.Took > 1e9 {
		t.Errorf("%+v", last)
	}
}

// Who is removed hears of it at once.
func TestRemovedHearsOfIt(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	w.run(1000)
	gone := w.leader()
	w.until("it knows", func() bool {
		for id, r := range w.r {
			if id != gone {
				r.Change(Change{Kind: Remove, Member: Member{ID: gone}}, w.now)
			}
		}
		return w.r[gone].Removed()
	})
	for id, r := range w.r {
		if find(r.members, gone) != nil && id != gone {
			w.run(100)
			if find(r.members, gone) != nil {
				t.Errorf("%d does not know", id)
			}
		}
	}
	late := w.r[gone]
	late.removed = false
	late.Step(Message{Kind: Removed, From: 9, To: gone, Term: late.term - 1}, w.now)
	if late.Removed() {
		t.Error("it believes a leader of long ago")
	}
}

// A member that was recovered has kept the end of its log for others that are behind, though it is applied, and no more than it may.
func TestRecoverKeepsTheTail(t *testing.T) {
	base := Base{Index: 1, Term: 1, Members: []Member{{ID: 1, Name: "a"}, {ID: 2, Name: "b"}}}
	const count, retain = 50, 1000
	r := New(Config{ID: 1, Nonce: 2, State: keyspace.New(nil, nil), Base: base, Retain: retain, Logger: quiet{}})
	size := 0
	for i := range uint64(count) {
		e := keyspace.Entry{Kind: keyspace.Batch, Origin: 7, Incarnation: 1, Seq: i, Ops: incr(strings.Repeat("x", 60), 1)}
		data := e.Append(nil)
		size = max(size, len(data))
		if err := r.Recover(&pb.Entry{Index: new(i + 2), Term: new(uint64(1)), Data: data}, i+1); err != nil {
			t.Fatal(err)
		}
	}
	if r.applied != count || r.log.last() != count+1 {
		t.Fatalf("applied %d, the log ends at %d", r.applied, r.log.last())
	}
	if r.log.bytes > retain+2*size || r.log.bytes < retain/2 {
		t.Errorf("%d bytes are kept", r.log.bytes)
	}
	kept := r.log.base
	if err := r.Recover(&pb.Entry{Index: new(r.applied - 1), Term: new(uint64(1)), Data: nil}, 0); err != nil || r.log.base != kept {
		t.Errorf("an entry that is applied: %v", err)
	}
	if !r.RecoverBase(Base{Index: r.applied, Term: 1}) || r.log.last() != r.applied || r.log.base != kept {
		t.Errorf("behind a new beginning the log is from %d to %d, applied %d", r.log.base, r.log.last(), r.applied)
	}
	if err := r.Start(Instant{Wall: 1, Mono: 1}); err != nil {
		t.Fatal(err)
	}
}

// Many batches are taken back in one go.
func TestWithdrawAll(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	r := w.r[w.leader()]
	var all []*Batch
	for i := range 10 {
		b := &Batch{Ops: incr(fmt.Sprint(i), 1), Sink: new(sink)}
		r.origin.later = true // nothing is sent
		r.Submit(b, w.now)
		all = append(all, b)
	}
	all[3].sent = true
	r.WithdrawAll(func(b *Batch) bool { return b != all[7] })
	if got := r.origin.waiting; len(got) != 2 || got[0] != all[3] || got[1] != all[7] {
		t.Errorf("%d are left", len(got))
	}
}

// A leader that hands over, and whoever has voted, leaves the candidate in peace until it has had the time to win.
func TestCandidateIsLeftInPeace(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	w.run(1000)
	old := w.leader()
	votes, others := 0, 0
	w.lose = func(m Message) bool {
		if m.Kind != Raft {
			return false
		}
		switch m.Raft.GetType() {
		case pb.MsgVoteResp: // the disks are slow
			votes++
			return true
		case pb.MsgPreVote:
			others++
		}
		return false
	}
	w.r[old].Drain(w.now)
	w.settle()
	w.run(50)
	if votes == 0 || others != 0 {
		t.Errorf("%d votes, and in the 50 ms after them others asked %d times", votes, others)
	}
}
