package keyspace

import (
	"cmp"
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
		sorted := slices.IsSortedFunc(res.List, func(a, b op.Result) int { return cmp.Compare(byName(a.Value).key, byName(b.Value).key) })
		if len(res.List) != x.elements || sorted != x.tree {
			t.Errorf("%+v: %d members, a tree: %v", x, len(res.List), sorted)
		}
		verify(t, f.s)
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
