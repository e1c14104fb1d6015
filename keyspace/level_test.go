package keyspace

import (
	"errors"
	"testing"

	"holdfast/op"
)

func snapshotOf(s *State) (b []byte) {
	w := s.BeginSnapshot()
	for done := false; !done; {
		b, done = w.Next(b, 1<<20)
	}
	return b
}

func TestTheLevelNeverFalls(t *testing.T) {
	x := newFeeder(New(nil, nil))
	for _, step := range []struct{ raise, level uint64 }{{1, 1}, {3, 3}, {2, 3}} {
		x.entry(Entry{Kind: Raise, Seq: step.raise})
		if got := x.s.Level(); uint64(got) != step.level {
			t.Errorf("behind a raise to %d the level is %d, not %d", step.raise, got, step.level)
		}
	}
}

func TestSnapshotsAreOfTheirGroupsLevel(t *testing.T) {
	x := newFeeder(New(nil, nil))
	x.do(set("a", "b"))
	b := snapshotOf(x.s)
	s := New(nil, nil)
	if _, err := s.Load(b); err != nil || s.Level() != 1 || s.Digest() != x.s.Digest() || Readable(b) != nil {
		t.Errorf("a snapshot of level 1: %v, %v, level %d", err, Readable(b), s.Level())
	}
	x.entry(Entry{Kind: Raise, Seq: op.Level})
	b = snapshotOf(x.s)
	s = New(nil, nil)
	if _, err := s.Load(b); err != nil || s.Level() != op.Level || s.Digest() != x.s.Digest() {
		t.Errorf("a snapshot of the own level: %v, level %d", err, s.Level())
	}
	x.entry(Entry{Kind: Raise, Seq: op.Level + 1})
	b = snapshotOf(x.s)
	newer := new(Newer)
	if _, err := New(nil, nil).Load(b); !errors.As(err, &newer) || newer.Level != op.Level+1 {
		t.Errorf("a snapshot of the next level was loaded: %v", err)
	}
	if err := Readable(b); !errors.As(err, &newer) {
		t.Errorf("a snapshot of the next level counts as readable: %v", err)
	}
}
