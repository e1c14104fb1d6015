package keyspace

import (
	"testing"

	"holdfast/op"
)

// What becomes of a string that clients compute anew together.
func TestRecache(t *testing.T) {
	f := newFeeder(New(nil, nil))
	k := key(0, "k")
	keep, life := op.Life{Kind: op.Keep}, func(ms int64) op.Life { return op.Life{Kind: op.In, Ms: ms} }
	const x, z = op.Outdated, op.Claimed
	for _, step := range []struct {
		name string
		do   op.Op
		want op.Result // Status, Found, Value and Recache of it
	}{
		{"nothing there", &op.Claim{Key: k, Life: keep}, op.Result{Status: op.Missing}},
		{"created by who claims it", &op.Claim{Key: k, Life: keep, Create: true, Fresh: life(60_000)}, op.Result{Found: true}},
		{"claimed by another", &op.Claim{Key: k, Life: keep, Create: true, Fresh: life(60_000)}, op.Result{Recache: z}},
		{"a reader sees that", &op.Get{Key: k}, op.Result{Recache: z}},
		{"a new value ends it", &op.Set{Key: k, Value: []byte("1"), Life: life(60_000)}, op.Result{}},
		{"far from its end", &op.Claim{Key: k, Life: keep, Soon: life(30_000)}, op.Result{Value: []byte("1")}},
		{"no end is soon enough", &op.Claim{Key: k, Life: keep}, op.Result{Value: []byte("1")}},
		{"near its end", &op.Claim{Key: k, Life: keep, Soon: life(90_000)}, op.Result{Found: true, Value: []byte("1")}},
		{"and near it for another", &op.Claim{Key: k, Life: keep, Soon: life(90_000)}, op.Result{Value: []byte("1"), Recache: z}},
		{"outdated", &op.Outdate{Key: k, Life: keep}, op.Result{}},
		{"a reader sees that too", &op.Get{Key: k}, op.Result{Value: []byte("1"), Recache: x}},
		{"claimed as it is outdated", &op.Claim{Key: k, Life: life(5_000)}, op.Result{Found: true, Value: []byte("1"), Recache: x}},
		{"once", &op.Claim{Key: k, Life: keep}, op.Result{Value: []byte("1"), Recache: x | z}},
		{"a late value is outdated from the beginning", &op.Set{Key: k, Value: []byte("late"), Cond: op.Cond{Kind: op.IfNotNewer, Version: 2}}, op.Result{}},
		{"and still claimed", &op.Get{Key: k}, op.Result{Value: []byte("late"), Recache: x | z}},
		{"one of the future is refused", &op.Set{Key: k, Cond: op.Cond{Kind: op.IfNotNewer, Version: 1000}}, op.Result{Status: op.Stale}},
		{"not more than a limit is appended", &op.Splice{Key: k, Value: []byte("r"), Most: 4}, op.Result{Status: op.TooLarge}},
		{"moved", &op.Rename{From: k, To: key(0, "to")}, op.Result{}},
		{"with all that was known", &op.Get{Key: key(0, "to")}, op.Result{Value: []byte("late"), Recache: x | z}},
		{"appended", &op.Splice{Key: key(0, "to"), Value: []byte("r"), Most: 5}, op.Result{}},
		{"which ends it as well", &op.Get{Key: key(0, "to")}, op.Result{Value: []byte("later")}},
		{"ended, and shown for the last time", &op.Claim{Key: key(0, "to"), Life: life(0)}, op.Result{Value: []byte("later")}},
		{"ended", &op.Get{Key: key(0, "to")}, op.Result{Status: op.Missing}},
	} {
		got := f.one(step.do)
		if got.Status != step.want.Status || got.Found != step.want.Found || string(got.Value) != string(step.want.Value) || got.Recache != step.want.Recache {
			t.Errorf("%s: %+v, not %+v", step.name, got, step.want)
		}
		again := reload(t, f.s.BeginSnapshot(), 1, 100, func() {})
		if a, b := f.s.Digest(), again.Digest(); a != b {
			t.Fatalf("%s: another state comes out of its snapshot", step.name)
		}
	}
	f.one(&op.Set{Key: k, Life: life(5_000)})
	f.one(&op.Set{Key: k, Cond: op.Cond{Kind: op.IfNotNewer, Version: 1}})
	if got := f.one(&op.Get{Key: k}); got.Deadline == 0 {
		t.Errorf("a late value lives longer than what it replaces: %+v", got)
	}
}
