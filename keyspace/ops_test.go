package keyspace

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"holdfast/op"
)

func set(name, value string) *op.Set { return &op.Set{Key: key(0, name), Value: []byte(value)} }
func get(name string) *op.Get        { return &op.Get{Key: key(0, name)} }

// TestOps carries out one op on a state that others have prepared.
func TestOps(t *testing.T) {
	hash := &op.HashSet{Key: key(0, "h"), Fields: []op.Field{{Name: []byte("f"), Value: []byte("1")}, {Name: []byte("g"), Value: []byte("x")}}}
	members := &op.SetAdd{Key: key(0, "s"), Members: [][]byte{[]byte("a"), []byte("b")}}
	in := func(n int64) op.Life { return op.Life{Kind: op.In, Ms: n} }
	version := func(v uint64) op.Cond { return op.Cond{Kind: op.IfVersion, Version: v} }
	val := func(s string) op.Result { return op.Result{Value: []byte(s)} }
	k := func(n string) op.Key { return key(0, n) }
	tests := []struct {
		before []op.Op
		op     op.Op
		want   op.Result
		then   op.Read
		is     op.Result
	}{
		{nil, set("k", "v"), op.Result{Version: 1}, get("k"), op.Result{Value: []byte("v"), Version: 1}},
		{[]op.Op{set("k", "v")}, &op.Set{Key: k("k"), Get: true, Cond: op.Cond{Kind: op.IfAbsent}}, op.Result{Status: op.Failed, Found: true, Value: []byte("v")}, nil, op.Result{}},
		{[]op.Op{set("k", "v")}, &op.Set{Key: k("k"), Cond: version(2)}, op.Result{Status: op.Stale}, nil, op.Result{}},
		{nil, &op.Set{Key: k("k"), Cond: version(2)}, op.Result{Status: op.Missing}, nil, op.Result{}},
		{[]op.Op{set("k", "v")}, &op.Set{Key: k("k"), Value: []byte("w"), Cond: version(1)}, op.Result{Version: 2}, get("k"), op.Result{Value: []byte("w"), Version: 2}},
		{[]op.Op{hash}, &op.Set{Key: k("h"), Get: true}, op.Result{Status: op.WrongType}, nil, op.Result{}},
		{[]op.Op{hash}, set("h", "v"), op.Result{Version: 2}, &op.TypeOf{Key: k("h")}, op.Result{Int: int64(op.String)}},
		{[]op.Op{set("k", "v")}, &op.Set{Key: k("k"), Life: in(0)}, op.Result{Version: 2}, get("k"), op.Result{Status: op.Missing}},
		{nil, &op.Set{Key: k("k"), Life: in(math.MaxInt64)}, op.Result{Version: 1, Deadline: maxDeadline}, nil, op.Result{}},
		{nil, &op.Set{Key: k("k"), Life: op.Life{Kind: op.At, Ms: math.MinInt64}}, op.Result{Version: 1}, get("k"), op.Result{Status: op.Missing}},
		{nil, &op.Set{Key: k("k"), Life: in(1500)}, op.Result{Version: 1, Deadline: testStart/ms + 1500}, &op.Deadline{Key: k("k")}, op.Result{Deadline: testStart/ms + 1500, Int: 1500}},
		{[]op.Op{&op.Set{Key: k("k"), Life: in(1500)}}, &op.Set{Key: k("k"), Life: op.Life{Kind: op.Keep}}, op.Result{Version: 2, Deadline: testStart/ms + 1500}, nil, op.Result{}},

		{nil, &op.SetMany{Pairs: []op.Pair{{Key: k("a"), Value: []byte("1")}, {Key: k("b"), Value: []byte("2")}, {Key: k("a"), Value: []byte("3")}}}, op.Result{Int: 1},
			&op.GetMany{Keys: []op.Key{k("a"), k("b"), k("c")}}, op.Result{List: []op.Result{{Value: []byte("3"), Version: 3}, {Value: []byte("2"), Version: 2}, {Status: op.Missing}}}},
		{[]op.Op{set("b", "")}, &op.SetMany{IfNone: true, Pairs: []op.Pair{{Key: k("a")}, {Key: k("b")}}}, op.Result{}, &op.Exists{Keys: []op.Key{k("a"), k("b"), k("b")}}, op.Result{Int: 2}},

		{nil, &op.Splice{Key: k("k"), Value: []byte("v")}, op.Result{Status: op.Missing}, nil, op.Result{}},
		{nil, &op.Splice{Key: k("k"), Value: []byte("v"), Create: true}, op.Result{Int: 1, Version: 1}, nil, op.Result{}},
		{[]op.Op{set("k", "cd")}, &op.Splice{Key: k("k"), Value: []byte("ab"), Front: true}, op.Result{Int: 4, Version: 2}, get("k"), op.Result{Value: []byte("abcd"), Version: 2}},
		{[]op.Op{hash}, &op.Splice{Key: k("h"), Create: true}, op.Result{Status: op.WrongType}, nil, op.Result{}},

		{[]op.Op{set("k", "ab")}, &op.SetRange{Key: k("k"), Offset: 4, Value: []byte("x")}, op.Result{Int: 5, Version: 2}, get("k"), op.Result{Value: []byte("ab\x00\x00x"), Version: 2}},
		{nil, &op.SetRange{Key: k("k"), Offset: 4}, op.Result{}, get("k"), op.Result{Status: op.Missing}},
		{nil, &op.SetRange{Key: k("k"), Offset: op.MaxValue, Value: []byte("x")}, op.Result{Status: op.TooLarge}, nil, op.Result{}},
		{nil, &op.SetRange{Key: k("k"), Offset: -1, Value: []byte("x")}, op.Result{Status: op.TooLarge}, nil, op.Result{}},
		{[]op.Op{members}, &op.SetRange{Key: k("s"), Value: []byte("x")}, op.Result{Status: op.WrongType}, nil, op.Result{}},

		{[]op.Op{set("k", "")}, &op.Delete{Keys: []op.Key{k("k"), k("l"), k("k")}}, op.Result{Int: 1}, nil, op.Result{}},
		{[]op.Op{set("k", "")}, &op.Delete{Keys: []op.Key{k("k")}, Cond: version(9)}, op.Result{Status: op.Stale}, nil, op.Result{}},

		{nil, &op.IncrBy{Key: k("n"), Delta: -5}, op.Result{Int: -5, Version: 1}, nil, op.Result{}},
		{[]op.Op{set("n", "9223372036854775807")}, &op.IncrBy{Key: k("n"), Delta: 1}, op.Result{Status: op.Overflow}, nil, op.Result{}},
		{[]op.Op{set("n", "-9223372036854775808")}, &op.IncrBy{Key: k("n"), Delta: -1}, op.Result{Status: op.Overflow}, nil, op.Result{}},
		{[]op.Op{set("n", "07")}, &op.IncrBy{Key: k("n"), Delta: 1}, op.Result{Status: op.NotInteger}, nil, op.Result{}},
		{[]op.Op{set("n", "-0")}, &op.IncrBy{Key: k("n"), Delta: 1}, op.Result{Status: op.NotInteger}, nil, op.Result{}},
		{[]op.Op{set("n", "")}, &op.IncrBy{Key: k("n"), Delta: 1}, op.Result{Status: op.NotInteger}, nil, op.Result{}},

		{nil, &op.Count{Key: k("n"), Delta: 1}, op.Result{Status: op.Missing}, nil, op.Result{}},
		{nil, &op.Count{Key: k("n"), Delta: 1, Create: true, Initial: 12}, op.Result{Uint: 12, Version: 1}, get("n"), op.Result{Value: []byte("12"), Version: 1}},
		{[]op.Op{set("n", "18446744073709551615")}, &op.Count{Key: k("n"), Delta: 3}, op.Result{Uint: 2, Version: 2}, get("n"), op.Result{Value: []byte("2"), Version: 2}},
		{[]op.Op{set("n", "10")}, &op.Count{Key: k("n"), Delta: 3, Down: true}, op.Result{Uint: 7, Version: 2}, nil, op.Result{}},
		{[]op.Op{set("n", "10")}, &op.Count{Key: k("n"), Delta: 30, Down: true}, op.Result{Uint: 0, Version: 2}, nil, op.Result{}},
		{[]op.Op{set("n", "18446744073709551616")}, &op.Count{Key: k("n"), Delta: 3}, op.Result{Status: op.NotInteger}, nil, op.Result{}},
		{[]op.Op{set("n", "-1")}, &op.Count{Key: k("n"), Delta: 3}, op.Result{Status: op.NotInteger}, nil, op.Result{}},
		{[]op.Op{set("n", "1")}, &op.Count{Key: k("n"), Delta: 3, Cond: version(7)}, op.Result{Status: op.Stale}, nil, op.Result{}},
		{[]op.Op{hash}, &op.Count{Key: k("h"), Delta: 3}, op.Result{Status: op.NotInteger}, nil, op.Result{}},

		{[]op.Op{set("a", "1"), set("b", "2")}, &op.Rename{From: k("a"), To: k("b")}, op.Result{Int: 1, Version: 3}, &op.GetMany{Keys: []op.Key{k("a"), k("b")}}, op.Result{List: []op.Result{{Status: op.Missing}, {Value: []byte("1"), Version: 3}}}},
		{[]op.Op{set("a", "1")}, &op.Rename{From: k("a"), To: k("a")}, op.Result{Int: 1}, get("a"), op.Result{Value: []byte("1"), Version: 1}},
		{[]op.Op{set("a", "1")}, &op.Rename{From: k("a"), To: key(5, "a"), Copy: true}, op.Result{Int: 1, Version: 2}, &op.Get{Key: key(5, "a")}, op.Result{Value: []byte("1"), Version: 2}},

		{nil, hash, op.Result{Int: 2, Version: 1}, &op.HashGet{Key: k("h"), Fields: [][]byte{[]byte("g"), []byte("z")}}, op.Result{List: []op.Result{val("x"), {Status: op.Missing}}}},
		{[]op.Op{hash}, &op.HashIncrBy{Key: k("h"), Field: []byte("f"), Delta: 4}, op.Result{Int: 5, Version: 2}, &op.HashAll{Key: k("h"), Names: true, Values: true}, op.Result{List: []op.Result{val("f"), val("5"), val("g"), val("x")}}},
		{[]op.Op{hash}, &op.HashIncrBy{Key: k("h"), Field: []byte("g"), Delta: 4}, op.Result{Status: op.NotInteger}, nil, op.Result{}},
		{nil, &op.HashIncrBy{Key: k("h"), Field: []byte("g"), Delta: 4}, op.Result{Int: 4, Version: 1}, &op.Length{Key: k("h"), Of: op.Hash}, op.Result{Int: 1}},
		{[]op.Op{hash}, &op.HashIncrBy{Key: k("h"), Field: []byte("f"), Delta: math.MaxInt64}, op.Result{Status: op.Overflow}, nil, op.Result{}},
		{[]op.Op{hash}, set("x", ""), op.Result{Version: 2}, &op.Versions{Keys: []op.Key{k("h"), k("q")}}, op.Result{List: []op.Result{{Version: 1}, {Status: op.Missing}}}},
		{[]op.Op{members}, &op.HashIncrBy{Key: k("s"), Field: []byte("g")}, op.Result{Status: op.WrongType}, nil, op.Result{}},
		{[]op.Op{hash}, &op.HashDelete{Key: k("h"), Fields: [][]byte{[]byte("f"), []byte("g")}}, op.Result{Int: 2}, &op.TypeOf{Key: k("h")}, op.Result{Status: op.Missing}},
		{nil, &op.HashSet{Key: k("h")}, op.Result{}, &op.TypeOf{Key: k("h")}, op.Result{Status: op.Missing}},
		{[]op.Op{members}, &op.SetRemove{Key: k("s"), Members: [][]byte{[]byte("a"), []byte("z")}}, op.Result{Int: 1, Version: 2}, &op.SetAll{Key: k("s")}, op.Result{List: []op.Result{val("b")}}},
		{[]op.Op{members}, &op.SetAdd{Key: k("s"), Members: [][]byte{[]byte("a"), []byte("z")}}, op.Result{Int: 1, Version: 2}, &op.SetHas{Key: k("s"), Members: [][]byte{[]byte("z"), []byte("q")}}, op.Result{List: []op.Result{{}, {Status: op.Missing}}}},
		{[]op.Op{set("k", "")}, &op.SetAdd{Key: k("k"), Members: [][]byte{[]byte("a")}}, op.Result{Status: op.WrongType, Version: 1}, &op.SetAll{Key: k("k")}, op.Result{Status: op.WrongType}},
		{nil, set("k", "hello"), op.Result{Version: 1}, &op.GetRange{Key: k("k"), Start: -3, End: 99}, op.Result{Value: []byte("llo"), Version: 1}},
		{nil, set("k", "hello"), op.Result{Version: 1}, &op.GetRange{Key: k("k"), Start: -99, End: -4}, op.Result{Value: []byte("he"), Version: 1}},
		{nil, set("k", "hello"), op.Result{Version: 1}, &op.GetRange{Key: k("k"), Start: 3, End: 2}, op.Result{Version: 1}},
		{nil, set("k", "hello"), op.Result{Version: 1}, &op.GetRange{Key: k("k"), Start: math.MinInt64, End: math.MaxInt64}, op.Result{Value: []byte("hello"), Version: 1}},
	}
	for _, x := range tests {
		f := newFeeder(New(nil, nil))
		for _, o := range x.before {
			f.one(o)
		}
		if got := f.one(x.op); !sameResult(got, x.want) {
			t.Errorf("%T %+v:\n%+v, should be\n%+v", x.op, x.op, got, x.want)
		}
		if x.then != nil {
			if got := f.read(x.then); !sameResult(got, x.is) {
				t.Errorf("%T %+v, then %T:\n%+v, should be\n%+v", x.op, x.op, x.then, got, x.is)
			}
		}
		verify(t, f.s)
	}
}

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

func TestExactlyOnce(t *testing.T) {
	f := newFeeder(New(nil, nil))
	b := (&op.IncrBy{Key: key(0, "n"), Delta: 1}).Append(nil)
	for _, x := range []struct {
		incarnation, seq uint64
		want             Outcome
		n                int
	}{{1, 1, Applied, 1}, {1, 1, Duplicate, 0}, {1, 3, Gap, 0}, {2, 2, Unknown, 0}, {1, 2, Applied, 1}, {1, 1, Duplicate, 0}} {
		f.stamp += ms
		if got := f.entry(Entry{Kind: Batch, Incarnation: x.incarnation, Seq: x.seq, Ops: b}); got != x.want || len(f.results) != x.n || f.s.Stamp() != f.stamp {
			t.Errorf("%+v: %v, %d results", x, got, len(f.results))
		}
	}
	f.entry(Entry{Kind: Hello})
	if got := f.entry(Entry{Kind: Batch, Incarnation: 1, Seq: 3, Ops: b}); got != Unknown {
		t.Error("a batch of an incarnation that is over:", got)
	}
	if got := f.entry(Entry{Kind: Batch, Incarnation: f.index - 1, Seq: 1, Ops: b}); got != Applied {
		t.Error("the first batch of a new incarnation:", got)
	}
	if got := string(f.read(get("n")).Value); got != "3" {
		t.Error("counted", got)
	}
}

func TestStampNeverRunsBack(t *testing.T) {
	f := newFeeder(New(nil, nil))
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	f.stamp--
	f.tick()
}

func TestTx(t *testing.T) {
	f := newFeeder(New(nil, nil))
	f.do(set("a", "1"), set("b", "22"))
	tx := &op.Tx{Guards: []op.Guard{{Key: key(0, "a"), Version: 1}, {Key: key(0, "none")}}}
	tx.Add(get("b"))
	tx.Add(set("b", "33"))
	tx.Add(&op.IncrBy{Key: key(0, "b"), Delta: 1})
	tx.Add(&op.SetAdd{Key: key(0, "b")})
	tx.Add(&op.GetMany{Keys: []op.Key{key(0, "b")}})
	tx.Add(set("b", "44"))
	got := f.one(tx)
	want := op.Result{List: []op.Result{{Value: []byte("22"), Version: 2}, {Version: 3}, {Int: 34, Version: 4}, {Status: op.WrongType, Version: 4},
		{List: []op.Result{{Value: []byte("34"), Version: 4}}}, {Version: 5}}}
	if !sameResult(got, want) {
		t.Fatalf("%+v, should be\n%+v", got, want)
	}
	tx.Guards[0].Version = 9
	if got := f.one(tx); got.Status != op.Aborted || len(got.List) > 0 {
		t.Errorf("a guard that does not hold: %+v", got)
	}
	tx.Guards = []op.Guard{{Key: key(0, "b")}}
	if got := f.one(tx); got.Status != op.Aborted {
		t.Errorf("a guard that wants no key: %+v", got)
	}
	inner := &op.Tx{}
	inner.Add(set("c", ""))
	inner.Add(&op.Tx{})
	if got := f.one(inner); got.Status != op.Aborted || f.read(get("c")).Status != op.Missing {
		t.Errorf("a transaction in a transaction: %+v", got)
	}
	inner = &op.Tx{Count: 2, Body: set("c", "").Append(nil)}
	if got := f.one(inner); got.Status != op.Aborted || f.read(get("c")).Status != op.Missing {
		t.Errorf("a transaction with half a body: %+v", got)
	}
}

// TestBoundOfPacked goes over the bounds at which a collection becomes a tree, whose order shows which it is.
func TestBoundOfPacked(t *testing.T) {
	for _, x := range []struct {
		elements, size int
		tree           bool
	}{{128, 10, false}, {129, 10, true}, {10, 4094/10 - 2, false}, {10, 4094/10 - 1, true}, {1, 10_000, true}} {
		f := newFeeder(New(nil, nil))
		for i := range x.elements {
			name := fmt.Sprintf("%0*d", x.size, x.elements-i)
			f.one(&op.SetAdd{Key: key(0, "s"), Members: [][]byte{[]byte(name)}})
		}
		res := f.read(&op.SetAll{Key: key(0, "s")})
		sorted := slices.IsSortedFunc(res.List, func(a, b op.Result) int { return bytes.Compare(a.Value, b.Value) })
		if len(res.List) != x.elements || sorted != x.tree {
			t.Errorf("%+v: %d members, a tree: %v", x, len(res.List), sorted)
		}
		verify(t, f.s)
	}
}

func TestClassesAndBudget(t *testing.T) {
	f := newFeeder(New(nil, nil))
	const budget = 1_000_000
	f.one(testConfig(budget))
	value := make([]byte, 800)
	refused := [op.Classes]uint64{}
	spaces := [op.Classes]op.Space{op.Coordination: 0, op.Token: 2, op.Session: 1, op.Cache: 3}
	for _, c := range []op.Class{op.Cache, op.Token, op.Session, op.Coordination} {
		for i := 0; ; i++ {
			r := f.one(&op.Set{Key: key(spaces[c], fmt.Sprint(i)), Value: value})
			if r.Status == op.OutOfMemory {
				refused[c] = f.s.Memory().Used * 1000 / budget
				break
			}
		}
	}
	if want := [op.Classes]uint64{op.Coordination: 999, op.Token: 959, op.Session: 979, op.Cache: 939}; refused != want {
		t.Errorf("refused at %v per mille, should be at %v", refused, want)
	}
	if r := f.one(&op.Set{Key: key(3, "1"), Value: value}); r.Status != op.OK {
		t.Error("a write of the same size:", r.Status)
	}
	if r := f.one(&op.HashSet{Key: key(3, "h"), Fields: []op.Field{{Name: value, Value: value}}}); r.Status != op.OutOfMemory {
		t.Error("a hash:", r.Status)
	}
	if r := f.one(&op.SetMany{Pairs: []op.Pair{{Key: key(0, "1")}, {Key: key(3, "new"), Value: value}}}); r.Status != op.OutOfMemory {
		t.Error("several:", r.Status)
	}
	if r := f.one(&op.Delete{Keys: []op.Key{key(3, "1")}}); r.Int != 1 {
		t.Error("a delete:", r.Status)
	}
	if m := f.s.Memory(); m.Refused != 6 {
		t.Error("refused", m.Refused)
	}
	c := testConfig(budget)
	c.Classes[3] = op.Session
	f.one(c)
	verify(t, f.s)
	if m := f.s.Memory(); m.Class[op.Cache].Keys != 0 {
		t.Error("keys of class cache after it was taken away:", m.Class[op.Cache].Keys)
	}
}

// TestTreeBudget lets a large set grow until it is refused, and accepts what does not grow.
func TestTreeBudget(t *testing.T) {
	f := newFeeder(New(nil, nil))
	f.one(testConfig(100_000))
	for i := 0; ; i++ {
		if r := f.one(&op.SetAdd{Key: key(3, "s"), Members: [][]byte{fmt.Append(nil, i)}}); r.Status == op.OutOfMemory {
			break
		}
		if i > 2000 {
			t.Fatal("never refused")
		}
	}
	if r := f.one(&op.SetAdd{Key: key(3, "s"), Members: [][]byte{[]byte("1"), []byte("2")}}); r.Status != op.OK || r.Int != 0 {
		t.Errorf("members that are there: %+v", r)
	}
	verify(t, f.s)
}

func TestEviction(t *testing.T) {
	f := newFeeder(New(nil, nil))
	f.one(testConfig(0))
	for sp := range op.Space(4) {
		for i := range 500 {
			life := op.Life{Kind: op.In, Ms: 1000}
			if i%2 == 0 {
				life = op.Life{}
			}
			f.one(&op.Set{Key: key(sp, fmt.Sprint(i)), Life: life})
		}
	}
	for class, want := range [op.Classes]int{op.Token: 250, op.Cache: 500} {
		var all []Candidate
		cursor := uint64(0)
		for {
			n := len(all)
			all, cursor = f.s.Candidates(cursor, 50, op.Class(class), all)
			if len(all)-n > 50+bucketSlots {
				t.Error("too many in a call")
			}
			if cursor == 0 {
				break
			}
		}
		seen := map[string]bool{}
		var victims []op.Guard
		for _, c := range all {
			seen[string(c.Key.Name)] = true
			if r := f.read(&op.Get{Key: c.Key}); r.Version != c.Version || r.Mark != c.Mark || c.Mark != f.s.Mark(c.Key) {
				t.Fatalf("%+v, but %+v", c, r)
			}
			victims = append(victims, c.Guard)
		}
		if len(seen) != want {
			t.Errorf("class %d: %d candidates, should be %d", class, len(seen), want)
		}
		if len(victims) == 0 {
			continue
		}
		victims[0].Version++
		if r := f.one(&op.Evict{Victims: victims}); int(r.Int) != want-1 {
			t.Errorf("class %d: %d evicted, should be %d", class, r.Int, want-1)
		}
	}
	victims := []op.Guard{{Key: key(2, "1")}, {Key: key(0, "1")}}
	for i := range victims {
		victims[i].Version = f.read(&op.Versions{Keys: []op.Key{victims[i].Key}}).List[0].Version
	}
	if r := f.one(&op.Evict{Victims: victims}); r.Int != 0 {
		t.Error("evicted what must stay")
	}
	if r := f.read(&op.Get{Key: key(2, "1")}); r.Status != op.OK || r.Mark != 0 {
		t.Errorf("a token with a deadline: %+v", r)
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

// TestWipe flushes many keys at once, with and without a snapshot on its way, and uses the state again.
func TestWipe(t *testing.T) {
	f := newFeeder(New(nil, nil))
	for round := range 3 {
		for i := range wipeFrom {
			f.one(&op.Set{Key: key(op.Space(i%2), fmt.Sprint(i)), Value: make([]byte, i%900), Life: op.Life{Kind: op.In, Ms: int64(1 + i)}})
		}
		big := op.Field{Name: make([]byte, 9000), Value: make([]byte, 300_000)}
		f.do(&op.Set{Key: key(1, "big"), Value: big.Value}, &op.HashSet{Key: key(1, "hash"), Fields: []op.Field{big}})
		want := f.s.Digest()
		if round == 1 {
			w := f.s.BeginSnapshot()
			c := reload(t, w, 1, 100_000, func() { f.one(&op.Flush{All: true}) })
			if c.Digest() != want {
				t.Error("the snapshot is not the state at its beginning")
			}
		} else if r := f.one(&op.Flush{All: true}); r.Int != wipeFrom+2 {
			t.Error("flushed", r.Int)
		}
		verify(t, f.s)
		if m := f.s.Memory(); m.Used != 0 || f.s.Due(never) {
			t.Errorf("something is left: %+v", m)
		}
	}
}

// TestScan walks while keys come and go: those that are there all the time must be seen.
func TestScan(t *testing.T) {
	f := newFeeder(New(nil, nil))
	for i := range 3000 {
		f.do(&op.Set{Key: key(0, fmt.Sprint("stay", i))}, &op.Set{Key: key(1, fmt.Sprint("other", i))})
	}
	f.one(&op.Set{Key: key(0, "stay dead"), Life: op.Life{Kind: op.In, Ms: 1}})
	seen := map[string]bool{}
	cursor, calls := uint64(0), 0
	for {
		var res op.Result
		f.s.Read(&op.Scan{Cursor: cursor, Count: 20, Match: []byte("stay*"), Of: op.String}, f.stamp+ms, &res)
		for _, r := range res.List {
			seen[string(r.Value)] = true
		}
		if len(res.List) > 60 {
			t.Errorf("%d keys in one call", len(res.List))
		}
		calls++
		if cursor = res.Uint; cursor == 0 {
			break
		}
		for i := range 40 {
			f.one(&op.Set{Key: key(0, fmt.Sprint("new", calls, ".", i))})
		}
	}
	if len(seen) != 3000 || seen["stay dead"] {
		t.Errorf("%d keys seen, in %d calls", len(seen), calls)
	}
	if res := f.read(&op.Scan{Count: -1}); int64(len(res.List)) != f.read(&op.Size{}).Int || res.Uint != 0 {
		t.Error("all at once:", len(res.List))
	}
	for _, cursor := range []uint64{math.MaxUint64, 1 << 58, 12345} {
		f.read(&op.Scan{Cursor: cursor, Count: 1})
		f.s.Candidates(cursor, 1, op.Cache, nil)
	}
	if f.read(&op.RandomKey{Space: 2, Seed: 3}).Status != op.Missing {
		t.Error("a random key of an empty space")
	}
	picked := map[string]bool{}
	for i := range uint64(200) {
		picked[string(f.read(&op.RandomKey{Space: 1, Seed: i}).Value)] = true
	}
	if len(picked) < 150 {
		t.Error("random keys:", len(picked))
	}
}

// TestCompaction changes the sizes of many keys and looks whether memory follows.
func TestCompaction(t *testing.T) {
	f := newFeeder(New(nil, nil))
	g := newGenerator(1)
	const keys = 30_000
	for round, size := range []int{100, 900, 300, 5000, 50} {
		n := keys
		if size == 5000 {
			n = 4000
		}
		for i := range keys {
			k := key(op.Space(i%3), fmt.Sprint("k", i))
			if i < n {
				f.one(&op.Set{Key: k, Value: bytes.Repeat([]byte{byte(i)}, size+g.IntN(50)), Life: op.Life{Kind: op.In, Ms: 1000_000 + int64(i%5000)*1000}})
			} else if i%2 == 0 {
				f.one(&op.Delete{Keys: []op.Key{k}})
			}
		}
		want, w := f.s.Digest(), f.s.BeginSnapshot()
		if c := reload(t, w, 3, 20_000, f.tick); c.Digest() != want {
			t.Fatal("the snapshot is not the state at its beginning")
		}
		verify(t, f.s)
		m := &f.s.slab
		if m.spare > m.used/spareRatio+spareFloor+chunkSize {
			t.Errorf("round %d: %d bytes in free slots beside %d in use", round, m.spare, m.used)
		}
		for i := range n {
			if v := f.read(&op.Get{Key: key(op.Space(i%3), fmt.Sprint("k", i))}).Value; len(v) < size || v[0] != byte(i) || v[len(v)-1] != byte(i) {
				t.Fatalf("round %d: key %d has another value", round, i)
			}
		}
	}
	f.stamp += 10_000_000 * ms
	for f.s.Due(f.stamp) {
		f.tick()
	}
	verify(t, f.s)
	for sp, n := range f.s.Memory().Space {
		if n.Mortal != 0 {
			t.Errorf("space %d: %d keys did not end", sp, n.Mortal)
		}
	}
}

// TestMemoryComesBack takes and frees large values.
func TestMemoryComesBack(t *testing.T) {
	taken := 0
	s := New(func(n int) []byte { taken += n; return make([]byte, n) }, func(b []byte) { taken -= len(b) })
	f := newFeeder(s)
	for i := range 20 {
		f.one(&op.Set{Key: key(0, fmt.Sprint(i%3)), Value: make([]byte, 200_000+i*50_000)})
	}
	f.one(&op.Splice{Key: key(0, "0"), Value: []byte("x")})
	verify(t, s)
	if s.Physical() != uint64(taken) {
		t.Errorf("physical %d, taken %d", s.Physical(), taken)
	}
	if f.one(&op.Flush{All: true}); s.Physical() != uint64(len(s.slab.chunks)-1)*chunkSize || s.slab.used != 0 {
		t.Errorf("after a flush physical is %d, %d used", s.Physical(), s.slab.used)
	}
}

func TestLongKeys(t *testing.T) {
	f := newFeeder(New(nil, nil))
	for _, n := range []int{0, 1, 65535, 65536, 300_000} {
		k := strings.Repeat("k", n)
		f.do(&op.Set{Key: key(0, k), Value: []byte("v"), Flags: 5, Life: op.Life{Kind: op.In, Ms: 10}}, &op.Splice{Key: key(0, k), Value: []byte("w")}, &op.Expire{Key: key(0, k)})
		if r := f.read(get(k)); string(r.Value) != "vw" || r.Flags != 5 || r.Deadline != 0 {
			t.Errorf("a key of %d bytes: %+v", n, r)
		}
	}
	verify(t, f.s)
	reload(t, f.s.BeginSnapshot(), 1, 100, func() {})
}

func TestImport(t *testing.T) {
	f := newFeeder(New(nil, nil))
	g := newGenerator(9)
	for range 2000 {
		f.do(g.write())
	}
	to := New(nil, nil)
	n := 0
	for sp := range op.Space(op.Spaces) {
		f.s.each(sp, func(r ref) {
			k := f.s.slab.at(r).name()
			d := f.read(&op.Dump{Keys: []op.Key{k}}).List[0]
			if d.Status == op.Missing {
				return
			}
			if err := to.Import(k, d.Value, d.Version); err != nil {
				t.Fatal(err)
			}
			var res op.Result
			to.Read(&op.Dump{Keys: []op.Key{k}}, 0, &res)
			if !sameResult(res.List[0], d) {
				t.Fatalf("%q: %+v, should be %+v", k.Name, res.List[0], d)
			}
			n++
			for i := range d.Value {
				to.Import(key(0, "x"), d.Value[:i], 1)
			}
		})
	}
	if n < 20 {
		t.Error("only", n)
	}
	verify(t, to)
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

// TestKeysOfOneHash fills a segment with keys that only who knows the seed can find.
func TestKeysOfOneHash(t *testing.T) {
	f := newFeeder(New(nil, nil))
	name := func(i int) string { return string(le.AppendUint64(le.AppendUint64(nil, f.s.secret.b), uint64(i))) }
	if f.s.hash(key(0, name(1))) != f.s.hash(key(0, name(2))) {
		t.Fatal("these keys have different hashes")
	}
	const n = buckets * bucketSlots
	for i := range n {
		f.do(set(name(i), fmt.Sprint(i)), set(fmt.Sprint("other", i), "x"))
	}
	for i := range n {
		if r := f.read(get(name(i))); string(r.Value) != fmt.Sprint(i) {
			t.Fatalf("key %d: %+v", i, r)
		}
	}
	verify(t, f.s)
	if got := len(f.read(&op.Scan{Count: -1, Match: []byte("*")}).List); got != 2*n {
		t.Errorf("%d keys in a scan, should be %d", got, 2*n)
	}
	for i := range n {
		if i%3 > 0 {
			f.one(&op.Delete{Keys: []op.Key{key(0, name(i))}})
		}
	}
	for i := range n {
		if r := f.read(get(name(i))); (r.Status == op.OK) != (i%3 == 0) {
			t.Fatalf("key %d: %+v", i, r)
		}
	}
}
