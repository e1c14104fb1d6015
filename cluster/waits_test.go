package cluster

import (
	"testing"
	"time"
)

// Whoever began to wait before a question was asked is satisfied by its answer, even if it was asked again meanwhile; whoever came later is not.
func TestQuestions(t *testing.T) {
	d := &Door{hold: time.Second}
	var q waits
	wait := func() *waiter {
		w := &waiter{door: d, index: leader}
		q.add(w)
		return w
	}
	done := func(ws []*waiter, w *waiter) bool {
		for _, o := range ws {
			if o == w {
				return true
			}
		}
		return false
	}
	a := wait()
	first := q.toAsk(0)
	b := wait()
	if first == 0 || q.toAsk(askAgain/2) != 0 {
		t.Fatal("asked not at once, or again at once")
	}
	second := q.toAsk(askAgain)
	if second <= first {
		t.Fatalf("asked again as %d after %d", second, first)
	}
	q.answered(first, 10)
	if ws := q.take(10); !done(ws, a) || done(ws, b) {
		t.Error("the first question was not for the first one alone")
	}
	q.answered(first, 20)
	q.answered(second+1, 20) // never asked
	if ws := q.take(20); len(ws) != 0 {
		t.Error("an old answer was taken for a later question")
	}
	q.answered(second, 12)
	if ws := q.take(11); len(ws) != 0 {
		t.Error("woken before what it needs is applied")
	}
	if ws := q.take(12); !done(ws, b) || q.some.Load() {
		t.Error("not woken")
	}
}

func TestLateReaders(t *testing.T) {
	d := &Door{hold: time.Second}
	var q waits
	for i, index := range []uint64{anything, leader, 5, 7} {
		q.add(&waiter{door: d, index: index, since: int64(i)})
	}
	q.toAsk(0)
	if late := q.late(int64(time.Second)+1, false); len(late) != 2 {
		t.Errorf("%d are late, want 2", len(late))
	}
	if ws := q.take(6); len(ws) != 1 {
		t.Errorf("%d are done, want 1", len(ws))
	}
	if late := q.late(0, true); len(late) != 1 || q.some.Load() {
		t.Errorf("%d are left", len(late))
	}
}
