package replica

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/keyspace"
	"holdfast/op"
)

type quiet struct{ raft.Logger }

func (quiet) Debug(...any)            {}
func (quiet) Debugf(string, ...any)   {}
func (quiet) Error(...any)            {}
func (quiet) Errorf(string, ...any)   {}
func (quiet) Info(...any)             {}
func (quiet) Infof(string, ...any)    {}
func (quiet) Warning(...any)          {}
func (quiet) Warningf(string, ...any) {}

// sink notes what a batch came to.
type sink struct {
	results []op.Result
	done    int
}

func (s *sink) Result(r *op.Result) {
	c := *r
	c.Value, c.List = append([]byte(nil), r.Value...), nil
	s.results = append(s.results, c)
}
func (s *sink) Done() { s.done++ }
func (s *sink) Lost() { s.done = -1 }

// world drives replicas in memory: messages are delivered in order, or lost where cut says so.
type world struct {
	t     *testing.T
	now   Instant
	r     map[uint64]*Replica
	mail  []Message
	cut   map[uint64]bool // members that nothing reaches and nobody hears
	lose  func(m Message) bool
	wrote func(r *Replica, a Append)
	logs  map[uint64][]*pb.Entry // by keepLogs
}

// maxID is above every ID in these tests.
const maxID = 10

func newWorld(t *testing.T, n int) *world {
	w := &world{t: t, now: Instant{Wall: 1e18, Mono: 1}, r: map[uint64]*Replica{}, cut: map[uint64]bool{}}
	base := Base{Index: 1, Term: 1}
	for id := range uint64(n) {
		base.Members = append(base.Members, Member{ID: id + 1, Name: fmt.Sprintf("c%d", id+1)})
	}
	for _, id := range base.Voters() {
		w.r[id] = New(Config{ID: id, Nonce: id * 1000, State: keyspace.New(nil, nil), Base: base, Leases: true, Retain: 1 << 20, Logger: quiet{}})
		if err := w.r[id].Start(w.now); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// settle carries out all effects until there are none.
func (w *world) settle() {
	for busy := true; busy; {
		busy = false
		for id := range uint64(maxID) {
			if w.r[id] == nil {
				continue
			}
			r := w.r[id]
			for {
				eff, any := r.Ready(w.now)
				if !any && !r.Visible() {
					break
				}
				busy = true
				if !eff.Append.Empty() {
					if w.wrote != nil {
						w.wrote(r, eff.Append)
					}
					r.Stored(eff.Append, w.now)
				}
				w.mail = append(w.mail, eff.Messages...)
				for _, to := range eff.Snapshots {
					w.stream(r, to)
				}
				for r.Apply(1, w.now) {
				}
			}
		}
		mail := w.mail
		w.mail = nil
		for _, m := range mail {
			if w.r[m.To] != nil && !w.cut[m.From] && !w.cut[m.To] && (w.lose == nil || !w.lose(m)) {
				busy = true
				w.r[m.To].Step(m, w.now)
			}
		}
	}
}

// stream brings a snapshot of r to a member.
func (w *world) stream(r *Replica, to uint64) {
	base, ok := r.SnapshotBase(to)
	if ok = ok && w.r[to] != nil && !w.cut[to] && !w.cut[r.id]; ok && w.r[to].Newer(base) {
		state := keyspace.New(nil, nil)
		from := r.state.BeginSnapshot()
		for done := false; !done; {
			var b []byte
			b, done = from.Next(nil, 1<<20)
			if _, err := state.Load(b); err != nil {
				w.t.Fatal(err)
			}
		}
		w.r[to].Restore(base, state, r.id, w.now)
	}
	r.ReportSnapshot(to, ok)
}

func (w *world) tick() {
	w.now.Wall += 10e6
	w.now.Mono += 10e6
	for id := range uint64(maxID) {
		if w.r[id] == nil {
			continue
		}
		w.r[id].Tick(w.now)
	}
	w.settle()
}

// until ticks until ok, at most so often that nothing may take longer.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		w.tick()
	}
	w.t.Fatalf("never: %s", what)
}

// leader is the member that leads those that are not cut off, 0 if there is none.
func (w *world) leader() uint64 {
	for id, r := range w.r {
		if !w.cut[id] && r.role == raft.StateLeader {
			return id
		}
	}
	return 0
}

func (w *world) ready() {
	w.t.Helper()
	w.until("everybody's Hello is applied", func() bool {
		for id, r := range w.r {
			if !w.cut[id] && r.Status(w.now).Incarnation == 0 {
				return false
			}
		}
		return w.leader() != 0
	})
}

func incr(key string, by int64) []byte {
	return (&op.IncrBy{Key: op.Key{Name: []byte(key)}, Delta: by}).Append(nil)
}

func (w *world) submit(id uint64, ops []byte) *sink {
	s := new(sink)
	w.r[id].Submit(&Batch{Ops: ops, Sink: s}, w.now)
	return s
}

func (w *world) equal() {
	w.t.Helper()
	var first *Replica
	for _, r := range w.r {
		switch {
		case first == nil:
			first = r
		case r.applied != first.applied || r.state.Digest() != first.state.Digest():
			w.t.Fatalf("member %d at %d has %x, member %d at %d has %x", first.id, first.applied, first.state.Digest(), r.id, r.applied, r.state.Digest())
		}
	}
}

func TestGroupOfOneAnswersAtOnce(t *testing.T) {
	w := newWorld(t, 1)
	w.settle()
	if w.leader() != 1 || w.r[1].Status(w.now).Incarnation == 0 {
		t.Fatalf("a group of one is not ready without a tick: %+v", w.r[1].Status(w.now))
	}
	for i := range 100 {
		s := w.submit(1, append(incr("a", 1), incr("a", 1)...))
		w.settle()
		if s.done != 1 || len(s.results) != 2 || s.results[1].Int != int64(2*i+2) {
			t.Fatalf("batch %d came to %+v", i, s)
		}
	}
	if n := len(w.r[1].log.live()); n != 0 {
		t.Errorf("%d applied entries are still in memory", n)
	}
}

func TestThreeReplicateAndForward(t *testing.T) {
	w := newWorld(t, 3)
	w.ready()
	for i := range 30 {
		var sinks []*sink
		for id := range w.r {
			sinks = append(sinks, w.submit(id, incr("a", 1)))
		}
		w.until("three batches are answered", func() bool { return sinks[0].done+sinks[1].done+sinks[2].done == 3 })
		top := max(sinks[0].results[0].Int, sinks[1].results[0].Int, sinks[2].results[0].Int)
		if top != int64(3*i+3) {
			t.Fatalf("round %d counted to %d", i, top)
		}
	}
	w.until("all have applied the same", func() bool { return w.r[1].applied == w.r[2].applied && w.r[2].applied == w.r[3].applied })
	w.equal()
}

// A leader lost with batches in every stage, messages lost at random: each batch is applied exactly once.
func TestExactlyOnce(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			w := newWorld(t, 3)
			w.ready()
			w.lose = func(m Message) bool { return rnd.IntN(10) == 0 }
			var sinks []*sink
			for round := range 60 {
				for range rnd.IntN(4) {
					sinks = append(sinks, w.submit(1+rnd.Uint64N(3), incr("sum", 1)))
				}
				if round%20 == 10 {
					if l := w.leader(); l != 0 {
						w.cut[l] = true
					}
				}
				if round%20 == 19 {
					clear(w.cut)
				}
				for range rnd.IntN(30) {
					w.tick()
				}
			}
			clear(w.cut)
			w.lose = nil
			w.until("every batch is answered", func() bool {
				for _, s := range sinks {
					if s.done == 0 {
						return false
					}
				}
				return w.r[1].applied == w.r[2].applied && w.r[2].applied == w.r[3].applied
			})
			seen := map[int64]bool{}
			for _, s := range sinks {
				if s.done != 1 || len(s.results) != 1 || seen[s.results[0].Int] {
					t.Fatalf("a batch came to %+v", s)
				}
				seen[s.results[0].Int] = true
			}
			for i := range sinks {
				if !seen[int64(i+1)] {
					t.Fatalf("nobody counted %d of %d", i+1, len(sinks))
				}
			}
			w.equal()
		})
	}
}

// What a roster member has not appended is not visible, although it is committed.
func TestVisibleWaitsForRoster(t *testing.T) {
	w := newWorld(t, 3)
	w.ready()
	l := w.leader()
	slow := l%3 + 1
	w.until("the member has a lease", func() bool { return w.r[slow].ReadableUntil(w.now) > w.now.Mono })
	w.cut[slow] = true
	s := w.submit(l, incr("a", 1))
	for range 5 {
		w.tick()
	}
	if r := w.r[l]; s.done != 0 || r.applied >= r.commit {
		t.Fatalf("answered %d times, applied %d of %d committed", s.done, r.applied, r.commit)
	}
	for id, r := range w.r {
		if r.applied > w.r[l].visible() {
			t.Errorf("member %d applied %d, visible is %d", id, r.applied, w.r[l].visible())
		}
	}
	clear(w.cut)
	w.until("the member has it", func() bool { return s.done == 1 })
}

func TestPending(t *testing.T) {
	w := newWorld(t, 3)
	w.ready()
	w.until("nothing is left to apply", func() bool { return w.r[1].applied == w.r[2].applied && w.r[2].applied == w.r[3].applied })
	l := w.leader()
	w.lose = func(m Message) bool { return true }
	get := func(k string) *op.Get { return &op.Get{Key: op.Key{Name: []byte(k)}} }
	w.submit(l, incr("a", 1))
	w.settle()
	if i, stamp := w.r[l].Pending(get("a")); i != w.r[l].log.last() || stamp < w.now.Wall {
		t.Errorf("a key of an appended entry: pending %d at stamp %d, want %d at %d", i, stamp, w.r[l].log.last(), w.now.Wall)
	}
	if i, _ := w.r[l].Pending(get("b")); i != 0 {
		t.Errorf("another key is pending until %d", i)
	}
	w.submit(l, (&op.Flush{All: true}).Append(nil))
	w.settle()
	if i, _ := w.r[l].Pending(get("b")); i != w.r[l].log.last() {
		t.Errorf("after a flush every key is pending, not %d", i)
	}
	w.lose = nil
	w.until("it is applied", func() bool { i, _ := w.r[l].Pending(get("b")); return i == 0 })
}

// A member that comes back with its log has the state that it had, and does not take the Hello of its earlier life for its own.
func TestRecover(t *testing.T) {
	for _, known := range []bool{true, false} { // whether the log says what is committed
		w := newWorld(t, 1)
		type record struct {
			e      *pb.Entry
			commit uint64
		}
		var log []record
		var hard *pb.HardState
		w.wrote = func(r *Replica, a Append) {
			for _, e := range a.Entries {
				log = append(log, record{e, r.Commit()})
			}
			if a.Hard != nil {
				hard = a.Hard
			}
		}
		for range 50 {
			w.submit(1, incr("a", 1))
			w.settle()
		}
		again := New(Config{ID: 1, Nonce: 2, State: keyspace.New(nil, nil), Base: Base{Index: 1, Term: 1, Members: []Member{{ID: 1, Name: "c1"}}}, Logger: quiet{}})
		again.RecoverHard(hard)
		for _, l := range log {
			if !known {
				l.commit = 0
			}
			if err := again.Recover(l.e, l.commit); err != nil {
				t.Fatal(err)
			}
		}
		if again.origin.incarnation != 0 {
			t.Errorf("the Hello of an earlier life was taken for the own one")
		}
		if err := again.Start(w.now); err != nil {
			t.Fatal(err)
		}
		w.r[1] = again
		w.settle()
		s := w.submit(1, incr("a", 1))
		w.settle()
		if s.done != 1 || s.results[0].Int != 51 {
			t.Errorf("after 50 increments and a restart the next one came to %+v", s)
		}
	}
}

// A Hello of an earlier life that comes late ends the incarnation, and not the service.
func TestLateHello(t *testing.T) {
	w := newWorld(t, 3)
	w.ready()
	l := w.leader()
	f := l%3 + 1
	before := w.r[f].origin.incarnation
	w.r[l].Step(Message{Kind: Forward, From: f, To: l, Entry: &keyspace.Entry{Kind: keyspace.Hello, Origin: f, Seq: 12345}}, w.now)
	s := w.submit(f, incr("a", 1))
	w.until("a batch is carried out", func() bool { return s.done == 1 })
	if s.results[0].Int != 1 || w.r[f].origin.incarnation == before {
		t.Errorf("it counted to %d in incarnation %d", s.results[0].Int, w.r[f].origin.incarnation)
	}
}

// A write is done when the last member of the roster has it, without a tick.
func TestAWriteWaitsForNoTick(t *testing.T) {
	w := newWorld(t, 3)
	w.allReadable()
	for id := range w.r {
		for range 20 {
			s := w.submit(id, incr("a", 1))
			w.settle()
			if s.done != 1 {
				t.Fatalf("a write at member %d waits for a tick; %d leads", id, w.leader())
			}
		}
	}
}
