package engine_test

import (
	"testing"
	"time"

	"holdfast/engine"
	"holdfast/engine/enginetest"
	"holdfast/op"
)

type waiter struct {
	woken int
	last  op.Result
	err   error
}

func (w *waiter) Show(r *op.Result)            { w.last = *r }
func (w *waiter) Wake()                        { w.woken++ }
func (w *waiter) Refuse(err error)             { w.err = err }
func (w *waiter) Done(r *op.Result, err error) { w.last, w.err = *r, err }

func key(s string) op.Key { return op.Key{Name: []byte(s)} }

func write(t *testing.T, e *enginetest.Engine, o op.Write) op.Result {
	t.Helper()
	var w waiter
	e.Write(o, &w)
	e.Flush()
	if w.err != nil {
		t.Fatal(w.err)
	}
	return w.last
}

func do(t *testing.T, o *engine.Overlay, x op.Op) op.Result {
	t.Helper()
	r, err := o.Do(x)
	if err != nil {
		t.Fatal(err)
	}
	return *r
}

func TestOverlayReadsItsOwnWritesAndNobodyElseDoes(t *testing.T) {
	e := enginetest.New()
	write(t, e, &op.Set{Key: key("n"), Value: []byte("41"), Life: op.Life{Kind: op.In, Ms: 60_000}})
	var w waiter
	o := engine.NewOverlay(e, &w)
	if r := do(t, o, &op.IncrBy{Key: key("n"), Delta: 1}); r.Int != 42 {
		t.Fatalf("incremented to %d", r.Int)
	}
	if r := do(t, o, &op.Get{Key: key("n")}); string(r.Value) != "42" || r.Deadline == 0 {
		t.Fatalf("reads %q, deadline %d", r.Value, r.Deadline)
	}
	do(t, o, &op.HashSet{Key: key("h"), Fields: []op.Field{{Name: []byte("f"), Value: []byte("v")}}})
	e.Read(&op.Get{Key: key("n")}, &w)
	if string(w.last.Value) != "41" {
		t.Fatalf("the state already says %q", w.last.Value)
	}
	if r := write(t, e, o.Tx(nil)); r.Status != op.OK || len(r.List) != 2 {
		t.Fatalf("transaction: %+v", r)
	}
	e.Read(&op.Get{Key: key("n")}, &w)
	if string(w.last.Value) != "42" {
		t.Fatalf("after the transaction %q", w.last.Value)
	}
}

func TestOverlayIsGuardedByAllItRead(t *testing.T) {
	for _, meddle := range []op.Write{
		&op.Set{Key: key("seen"), Value: []byte("other")},
		&op.Set{Key: key("absent"), Value: []byte("there now")},
		&op.Delete{Keys: []op.Key{key("seen")}},
	} {
		e := enginetest.New()
		write(t, e, &op.Set{Key: key("seen"), Value: []byte("x")})
		o := engine.NewOverlay(e, &waiter{})
		do(t, o, &op.GetMany{Keys: []op.Key{key("seen"), key("absent")}})
		do(t, o, &op.Set{Key: key("out"), Value: []byte("y")})
		write(t, e, meddle)
		if r := write(t, e, o.Tx(nil)); r.Status != op.Aborted {
			t.Errorf("%T: the transaction went through: %+v", meddle, r)
		}
	}
}

func TestOverlayWaitsForAKeyThatIsDue(t *testing.T) {
	e := enginetest.New()
	write(t, e, &op.Set{Key: key("k"), Value: []byte("x"), Life: op.Life{Kind: op.In, Ms: 5}})
	e.Advance(10 * time.Millisecond)
	var w waiter
	o := engine.NewOverlay(e, &w)
	if _, err := o.Do(&op.Get{Key: key("k")}); err != engine.ErrWait {
		t.Fatalf("error %v", err)
	}
	e.Flush()
	if w.woken != 1 {
		t.Fatalf("woken %d times", w.woken)
	}
	o.Reset(e, &w)
	if r := do(t, o, &op.Get{Key: key("k")}); r.Status != op.Missing {
		t.Fatalf("an expired key is %v", r.Status)
	}
}

func TestOverlayFlushHidesWhatWasNotYetRead(t *testing.T) {
	e := enginetest.New()
	write(t, e, &op.Set{Key: key("k"), Value: []byte("x")})
	o := engine.NewOverlay(e, &waiter{})
	do(t, o, &op.Flush{})
	if r := do(t, o, &op.Get{Key: key("k")}); r.Status != op.Missing {
		t.Fatalf("after the flush %v", r.Status)
	}
	o.Reset(e, &waiter{})
	if r := do(t, o, &op.Get{Key: key("k")}); r.Status != op.OK {
		t.Fatalf("after Reset %v", r.Status)
	}
}
