package keyspace

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"holdfast/op"
)

func TestExpireConditions(t *testing.T) {
	in := func(n int64) op.Life { return op.Life{Kind: op.In, Ms: n} }
	for _, x := range []struct {
		old, new op.Life
		cond     op.ExpireCond
		want     int64
	}{
		{op.Life{}, in(5), 0, 1}, {op.Life{}, op.Life{}, 0, 0}, {in(5), op.Life{}, 0, 1}, {in(5), op.Life{Kind: op.Keep}, 0, 0},
		{op.Life{}, in(5), op.ExpireNX, 1}, {in(9), in(5), op.ExpireNX, 0},
		{op.Life{}, in(5), op.ExpireXX, 0}, {in(9), in(5), op.ExpireXX, 1},
		{op.Life{}, in(5), op.ExpireGT, 0}, {in(9), in(5), op.ExpireGT, 0}, {in(5), in(5), op.ExpireGT, 0}, {in(5), in(9), op.ExpireGT, 1},
		{op.Life{}, in(5), op.ExpireLT, 1}, {in(9), in(5), op.ExpireLT, 1}, {in(5), in(5), op.ExpireLT, 0}, {in(5), in(9), op.ExpireLT, 0},
		{in(5), in(-1), 0, 1}, {in(5), in(-1), op.ExpireGT, 0},
	} {
		f := newFeeder(New(nil, nil))
		f.one(&op.Set{Key: key(0, "k"), Life: x.old})
		if got := f.one(&op.Expire{Key: key(0, "k"), Life: x.new, Cond: x.cond}); got.Int != x.want {
			t.Errorf("%+v: changed %d", x, got.Int)
		}
		if gone := f.read(get("k")).Status == op.Missing; gone != (x.want == 1 && x.new.Kind == op.In && x.new.Ms <= 0) {
			t.Errorf("%+v: gone %v", x, gone)
		}
	}
}

func TestDeadlineIsExact(t *testing.T) {
	f := newFeeder(New(nil, nil))
	f.stamp += 300_001 // not a whole ms: the deadline is rounded up
	f.one(&op.Set{Key: key(0, "k"), Life: op.Life{Kind: op.In, Ms: 10}})
	end := (f.stamp/ms + 11) * ms
	var res op.Result
	if due := f.s.Read(get("k"), end-1, &res); due || res.Status != op.OK || res.Deadline*ms != end {
		t.Fatalf("before its end: %v %+v", due, res)
	}
	if due := f.s.Read(get("k"), end, &res); !due || res.Value != nil {
		t.Fatal("at its end, without a stamp there, a read must wait")
	}
	if f.s.Due(end-1) || !f.s.Due(end) || f.s.Due(end-1) {
		t.Fatal("due at another time than its end")
	}
	if f.s.Read(&op.Deadline{Key: key(0, "k")}, end-1, &res); res.Int != 0 {
		t.Fatalf("%d ms left", res.Int)
	}
	f.stamp = end - 1
	f.tick()
	if f.s.Memory().Expired != 0 {
		t.Fatal("expired early")
	}
	f.stamp = end
	f.tick()
	if f.s.Read(get("k"), 0, &res) || res.Status != op.Missing || f.s.Memory().Expired != 1 || f.s.Due(end) {
		t.Fatal("not expired")
	}
}

// TestExpiryOrder has more keys end at once than an entry removes.
func TestExpiryOrder(t *testing.T) {
	for _, wait := range []int64{1000, 3600_000, 20 * 3600_000} {
		f := newFeeder(New(nil, nil))
		var names []string
		for i := range 300 {
			sp, life := op.Space(i%2), 1000-int64(i%3)
			names = append(names, fmt.Sprintf("%4d %d key%d", life, sp, i))
			f.one(&op.Set{Key: key(sp, fmt.Sprint("key", i)), Life: op.Life{Kind: op.In, Ms: life}})
			f.one(&op.Set{Key: key(4, fmt.Sprint("far", i)), Life: op.Life{Kind: op.In, Ms: 100 * 3600_000}})
		}
		slices.Sort(names)
		for f.stamp += wait * ms; len(names) > 0; {
			f.tick()
			names = names[min(64, len(names)):]
			var left []string
			for sp := range op.Space(2) {
				f.s.each(sp, func(r ref) {
					e := f.s.slab.at(r)
					left = append(left, fmt.Sprintf("%4d %d %s", e.deadline()-testStart/ms, sp, e.key()))
				})
			}
			slices.Sort(left)
			if !slices.Equal(left, names) {
				t.Fatalf("left: %q\nshould be %q", left, names)
			}
			if due := f.s.Due(f.stamp); due != (len(names) > 0) {
				t.Fatalf("due: %v, with %d dead keys left", due, len(names))
			}
		}
		verify(t, f.s)
	}
}

func TestFlush(t *testing.T) {
	f := newFeeder(New(nil, nil))
	f.one(testConfig(0))
	fill := func() {
		for _, n := range []string{"s1", "x1"} {
			f.do(&op.Set{Key: key(op.Memcache, n)}, &op.Set{Key: key(0, n)})
		}
	}
	size := func(sp op.Space) int64 { return f.read(&op.Size{Space: sp}).Int }
	fill()
	if r := f.one(&op.Flush{Space: op.Memcache, OnlyClass: true, Only: op.Cache}); r.Int != 1 || size(op.Memcache) != 1 || size(0) != 2 {
		t.Error("the cache of a space:", r.Int)
	}
	fill()
	f.one(&op.Flush{Space: 0, Life: op.Life{Kind: op.In, Ms: 1000}})
	f.one(&op.Flush{Space: 0, Life: op.Life{Kind: op.In, Ms: 2000}}) // in place of the one before
	f.one(&op.Flush{Space: op.Memcache, Life: op.Life{Kind: op.In, Ms: 3000}})
	begin := f.stamp
	for _, x := range []struct{ at, zero, memcache int64 }{{0, 2, 2}, {1999, 2, 2}, {2000, 0, 2}, {3000, 0, 0}} {
		var res op.Result
		at := begin + x.at*ms
		due := (x.at == 2000 || x.at == 3000)
		if f.s.Due(at) != due || f.s.Read(get("x1"), at, &res) != due {
			t.Errorf("at %d: not due as it should be", x.at)
		}
		f.stamp = at
		f.tick()
		if size(0) != x.zero || size(op.Memcache) != x.memcache {
			t.Errorf("at %d: %d and %d keys", x.at, size(0), size(op.Memcache))
		}
	}
	fill()
	f.one(&op.Flush{Space: 0, Life: op.Life{Kind: op.In, Ms: 1000}})
	if f.one(&op.Flush{Space: 0}); f.s.Due(math.MaxInt64) {
		t.Error("a flush did not replace the scheduled one")
	}
	fill()
	if r := f.one(&op.Flush{All: true}); r.Int != 4 || f.s.Memory().Used != 0 {
		t.Error("everything:", r.Int)
	}
	verify(t, f.s)
}

// TestDeadButThere asks for a key that is dead and that no entry has removed yet.
func TestDeadButThere(t *testing.T) {
	f := newFeeder(New(nil, nil))
	for i := range maxExpired + 3 {
		f.one(&op.Set{Key: key(0, fmt.Sprintf("k%03d", i)), Life: op.Life{Kind: op.In, Ms: 10}})
	}
	f.stamp += 10 * ms
	first, last := fmt.Sprintf("k%03d", maxExpired), fmt.Sprintf("k%03d", maxExpired+2)
	add := set(first, "new")
	add.Cond.Kind = op.IfAbsent
	tx := &op.Tx{}
	tx.Add(get(last))
	tx.Add(&op.Exists{Keys: []op.Key{key(0, last)}})
	got := f.do(add, tx)
	if got[0].Status != op.OK || got[1].List[0].Status != op.Missing || got[1].List[1].Int != 0 {
		t.Errorf("%+v", got)
	}
	if m := f.s.Memory(); m.Expired != maxExpired+1 || m.Space[0].Keys != 3 {
		t.Errorf("%+v", m)
	}
	if r := f.read(get(last)); r.Status != op.Missing {
		t.Errorf("%+v", r)
	}
}

// TestReadsWait has each read with several keys meet one that is due.
func TestReadsWait(t *testing.T) {
	f := newFeeder(New(nil, nil))
	f.do(set("a", ""), &op.Set{Key: key(0, "b"), Life: op.Life{Kind: op.In, Ms: 10}})
	two := []op.Key{key(0, "a"), key(0, "b")}
	for _, r := range []op.Read{&op.GetMany{Keys: two}, &op.Exists{Keys: two}, &op.Versions{Keys: two}, &op.Dump{Keys: two}, get("b"), &op.TypeOf{Key: two[1]},
		&op.Length{Key: two[1], Of: op.String}, &op.HashGet{Key: two[1]}, &op.HashAll{Key: two[1]}, &op.SetHas{Key: two[1]}, &op.SetAll{Key: two[1]}, &op.GetRange{Key: two[1]}, &op.Deadline{Key: two[1]}} {
		var res op.Result
		if due := f.s.Read(r, f.stamp+10*ms, &res); !due {
			t.Errorf("%T did not wait: %+v", r, res)
		}
		if f.s.Read(r, f.stamp+10*ms-1, &res) {
			t.Errorf("%T waits too early", r)
		}
	}
}
