package keyspace

import (
	"bytes"
	"fmt"
	"testing"

	"holdfast/op"
)

// reload takes a snapshot of s in steps, calling between after each, and loads it into a new state.
func reload(t *testing.T, w *Snapshot, seed uint64, limit int, between func()) *State {
	t.Helper()
	to := New(nil, nil)
	to.Seed(seed)
	var b []byte
	for done := false; !done; {
		b, done = w.Next(b, limit)
		var err error
		var rest []byte
		if rest, err = to.Load(b); err != nil {
			t.Fatal(err)
		}
		b = b[:copy(b, rest)]
		if !done {
			between()
		}
	}
	if to.Loading() || len(b) > 0 {
		t.Fatalf("the snapshot has no end, or %d bytes too many", len(b))
	}
	return to
}

// TestDeterminism feeds one log to states of different seeds, one of which goes through snapshots while entries are applied.
func TestDeterminism(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			g := newGenerator(seed)
			switch seed % 4 {
			case 1:
				g.keys, g.sizes = 3000, []int{10, 100, 300}
			case 2:
				g.sizes = []int{10, 3000, 60_000, 200_000, 400_000}
			case 3:
				g.keys = 600
			}
			a, b := newFeeder(New(nil, nil)), newFeeder(New(nil, nil))
			b.s = New(nil, nil)
			b.s.Seed(99)
			b.index = 0
			b.entry(Entry{Kind: Hello})
			step := func() {
				var ops []op.Op
				for range g.IntN(4) {
					ops = append(ops, g.write())
				}
				if g.IntN(200) == 0 {
					c := testConfig(uint64(g.IntN(3)) * uint64(g.keys) * 400)
					c.Classes[3] = op.Class(g.IntN(4))
					ops = append(ops, c)
				}
				g.pass(a)
				b.stamp = a.stamp
				x, y := a.do(ops...), b.do(ops...)
				for i := range x {
					if !sameResult(x[i], y[i]) {
						t.Fatalf("%T %+v:\n%+v\n%+v", ops[i], ops[i], x[i], y[i])
					}
				}
				r := g.read()
				if x, y := a.read(r), b.read(r); !sameResult(x, y) {
					t.Fatalf("%T %+v:\n%+v\n%+v", r, r, x, y)
				}
			}
			for round := range 6 {
				for range 500 {
					step()
				}
				verify(t, a.s)
				if a.s.Digest() != b.s.Digest() {
					t.Fatal("digests differ")
				}
				if round == 2 {
					w := b.s.BeginSnapshot()
					w.Next(nil, 100)
					for range 20 {
						step()
					}
					w.Cancel()
				}
				w, before := b.s.BeginSnapshot(), b.s.Digest()
				c := reload(t, w, uint64(round), 1+g.IntN(5000), func() {
					if g.IntN(5) == 0 {
						step()
					}
				})
				verify(t, c)
				if c.Digest() != before {
					t.Fatal("the loaded state is another one")
				}
				verify(t, b.s)
				d := reload(t, b.s.BeginSnapshot(), uint64(round), 1<<20, func() {})
				b.s = d
			}
		})
	}
}

// TestSnapshotWhileChanging compares snapshots byte by byte in content: every key as it stood at the beginning.
func TestSnapshotWhileChanging(t *testing.T) {
	f := newFeeder(New(nil, nil))
	big := bytes.Repeat([]byte("x"), 700_000)
	for i := range 5000 {
		f.do(&op.Set{Key: key(0, fmt.Sprint(i)), Value: make([]byte, i%700), Life: op.Life{Kind: op.In, Ms: int64(i)}})
	}
	f.do(&op.Set{Key: key(0, "big"), Value: big}, &op.Set{Key: key(1, "big"), Value: big})
	var members [][]byte
	for i := range 20000 {
		members = append(members, fmt.Append(nil, "m", i))
	}
	f.do(&op.SetAdd{Key: key(2, "set"), Members: members})
	want := f.s.Digest()
	w := f.s.BeginSnapshot()
	n := 0
	c := reload(t, w, 5, 20_000, func() {
		n++
		f.stamp += 20 * ms
		for i := range 50 {
			f.do(&op.Set{Key: key(0, fmt.Sprint("new", n, ".", i)), Value: make([]byte, 300)}, &op.Delete{Keys: []op.Key{key(0, fmt.Sprint(n*50+i))}})
		}
		f.do(&op.Splice{Key: key(0, "big"), Value: []byte("yz")}, &op.SetRange{Key: key(1, "big"), Value: []byte("yz")},
			&op.SetAdd{Key: key(2, "set"), Members: [][]byte{fmt.Append(nil, n)}}, &op.SetRemove{Key: key(2, "set"), Members: [][]byte{fmt.Append(nil, "m", n)}})
		if n == 10 {
			f.do(&op.Flush{All: true})
		}
	})
	if n < 10 {
		t.Fatalf("only %d steps", n)
	}
	if c.Digest() != want {
		t.Fatal("the snapshot is not the state at its beginning")
	}
	verify(t, f.s)
	verify(t, c)
}

// TestSnapshotWritesALargeCollectionOnce has writes that change nothing meet a collection that a snapshot has yet to write, and has written.
func TestSnapshotWritesALargeCollectionOnce(t *testing.T) {
	f := newFeeder(New(nil, nil))
	var members [][]byte
	for i := range 20_000 {
		members = append(members, fmt.Append(nil, "m", i))
	}
	set := key(0, "set")
	f.do(&op.SetAdd{Key: set, Members: members})
	whole := snapshotOf(f.s)
	w := f.s.BeginSnapshot()
	idle := func() {
		f.do(&op.SetAdd{Key: set, Members: members[:1]}, &op.SetRemove{Key: set, Members: [][]byte{[]byte("absent")}})
	}
	idle()
	var b []byte
	for done := false; !done && len(b) < 2*len(whole); {
		b, done = w.Next(b, 1)
		idle()
	}
	if len(b) != len(whole) {
		t.Fatalf("%d bytes, want %d", len(b), len(whole))
	}
}
