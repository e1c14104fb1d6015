package replica

import (
	"errors"
	"slices"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/keyspace"
)

// upgrade starts a member anew on the log that it has, as a version that knows level.
func (w *world) upgrade(id uint64, level uint32) error {
	w.t.Helper()
	old := w.r[id]
	r := New(Config{ID: id, Nonce: old.cfg.Nonce + 1, State: keyspace.New(nil, nil), Base: Base{Index: 1, Term: 1, Members: old.members}, Leases: true,
		Retain: 1 << 20, Level: level, Logger: quiet{}})
	for _, e := range w.logs[id] {
		if err := r.Recover(e, 0); err != nil {
			return err
		}
	}
	r.RecoverHard(old.log.hard)
	w.r[id] = r
	return r.Start(w.now)
}

// keepLogs remembers what every member wrote.
func (w *world) keepLogs() {
	w.logs = map[uint64][]*pb.Entry{}
	w.wrote = func(r *Replica, a Append) {
		for _, e := range a.Entries {
			kept := w.logs[r.id]
			for len(kept) > 0 && kept[len(kept)-1].GetIndex() >= e.GetIndex() {
				kept = kept[:len(kept)-1]
			}
			w.logs[r.id] = append(kept, e)
		}
	}
}

// pass lets 2 s go by, and says what the level is at each member behind that.
func (w *world) pass() (levels [3]uint32) {
	for range 200 {
		w.tick()
	}
	for id, r := range w.r {
		levels[id-1] = r.Level()
	}
	return levels
}

func TestLevelRisesWhenAllKnowMoreAndNeverFalls(t *testing.T) {
	w := newWorld(t, 3)
	w.keepLogs()
	w.ready()
	for _, step := range []struct {
		id    uint64
		level uint32
		want  uint32
	}{
		{1, Level + 1, Level}, {2, Level + 1, Level},
		{1, Level, Level}, // back again: nothing has come of it
		{1, Level + 1, Level}, {3, Level + 2, Level + 1},
	} {
		if err := w.upgrade(step.id, step.level); err != nil {
			t.Fatal(err)
		}
		if got := w.pass(); got != [3]uint32{step.want, step.want, step.want} {
			t.Fatalf("behind the start of %d at level %d the levels are %d, not %d", step.id, step.level, got, step.want)
		}
	}
	w.equal()
	if err := w.upgrade(2, Level); !errors.As(err, new(*keyspace.Newer)) {
		t.Errorf("a member whose version does not know what is in its log was started: %v", err)
	}
}

func TestLevelIsNotRaisedWhileAMemberIsAway(t *testing.T) {
	w := newWorld(t, 3)
	w.keepLogs()
	w.ready()
	for id := range uint64(2) {
		if err := w.upgrade(id+1, Level+1); err != nil {
			t.Fatal(err)
		}
	}
	w.pass()
	w.cut[3] = true
	if got := w.pass(); got[0] != Level || got[1] != Level {
		t.Errorf("the levels are %d while a member is away that knew no more than %d", got, Level)
	}
}

// A member that said that it knows more and comes back as an older version takes nothing that it does not know, and the others go on.
func TestMemberThatIsTooOldTakesNothing(t *testing.T) {
	w := newWorld(t, 3)
	w.keepLogs()
	w.ready()
	raises := func(e *pb.Entry) bool { return len(e.Data) > 0 && e.Data[0] == byte(keyspace.Raise) }
	w.lose = func(m Message) bool { return m.To == 3 && m.Raft != nil && slices.ContainsFunc(m.Raft.Entries, raises) }
	for id := range uint64(3) {
		if err := w.upgrade(id+1, Level+1); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.pass(); got != [3]uint32{Level + 1, Level + 1, Level} {
		t.Fatalf("the levels are %d", got)
	}
	if err := w.upgrade(3, Level); err != nil {
		t.Fatal(err)
	}
	w.lose = nil
	s := w.submit(1, incr("a", 1))
	if w.pass(); s.done != 1 {
		t.Error("the others do not go on")
	}
	if r := w.r[3]; r.Beyond() == nil || r.Level() != Level || slices.ContainsFunc(w.logs[3], raises) {
		t.Errorf("a member of level %d took what is of level %d", Level, r.Level())
	}
}
