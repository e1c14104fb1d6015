package keyspace

import (
	"bytes"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"testing"

	"holdfast/op"
)

// What generator and model know of lists, sorted sets, set algebra and bits.

func scoreOf(f float64) op.Score { return op.ScoreOf(math.Float64bits(f)) }

func (g *generator) score() op.Score {
	switch g.IntN(12) {
	case 0:
		return op.MinScore
	case 1:
		return op.MaxScore
	}
	return scoreOf(float64(g.IntN(60)-30) / 2)
}

func (g *generator) scored() (ms []op.Scored) {
	for _, m := range g.members() {
		ms = append(ms, op.Scored{Score: g.score(), Member: m})
	}
	return ms
}

func (g *generator) place() int64 {
	if g.IntN(20) == 0 {
		return int64(g.Uint64())
	}
	return g.Int64N(1<<g.IntN(9)*2+1) - 1<<g.IntN(8)
}

func (g *generator) bound() op.Bound {
	if g.IntN(5) == 0 {
		return op.Bound{Kind: op.Lowest + op.BoundKind(g.IntN(2))}
	}
	return op.Bound{Value: g.member(), Kind: op.BoundKind(g.IntN(2))}
}

func (g *generator) rang() op.Range {
	r := op.Range{By: op.RangeKind(g.IntN(3)), Reverse: g.IntN(2) == 0}
	switch r.By {
	case op.ByRank:
		r.Start, r.End = g.place(), g.place()
		return r
	case op.ByScore:
		r.Min, r.Max = g.score(), g.score()
		if g.IntN(3) == 0 {
			r.Min++
		}
		if g.IntN(3) == 0 {
			r.Max--
		}
	default:
		r.From, r.To = g.bound(), g.bound()
	}
	if r.Limit = -1; g.IntN(3) == 0 {
		r.Skip, r.Limit = g.Int64N(20)-1, g.Int64N(20)-1
	}
	return r
}

func (g *generator) writeMore() op.Write {
	switch g.IntN(22) {
	case 0, 1, 2:
		return &op.ListPush{Key: g.keyFor('l'), Values: g.members(), Front: g.IntN(2) == 0, IfPresent: g.IntN(4) == 0}
	case 3:
		return &op.ListPush{Key: g.keyFor('l'), Values: [][]byte{g.value()}, Front: g.IntN(2) == 0}
	case 4:
		return &op.ListPop{Keys: g.keysFor('l'), Count: g.Int64N(1<<g.IntN(8)+1) - 1, Front: g.IntN(2) == 0}
	case 5:
		return &op.ListMove{From: g.keyFor('l'), To: g.keyFor('l'), FromFront: g.IntN(2) == 0, Front: g.IntN(2) == 0}
	case 6:
		return &op.ListSet{Key: g.keyFor('l'), Index: g.place(), Value: g.value()}
	case 7:
		return &op.ListInsert{Key: g.keyFor('l'), Pivot: g.member(), Value: g.value(), Behind: g.IntN(2) == 0}
	case 8:
		return &op.ListRemove{Key: g.keyFor('l'), Count: g.Int64N(7) - 3, Value: g.member()}
	case 9:
		if g.IntN(3) > 0 {
			return &op.ListTrim{Key: g.keyFor('l'), Start: g.Int64N(3), End: -1 - g.Int64N(5)}
		}
		return &op.ListTrim{Key: g.keyFor('l'), Start: g.place(), End: g.place()}
	case 10, 11, 12:
		return &op.SortedAdd{Key: g.keyFor('z'), Members: g.scored(), Cond: op.SortedCond(g.IntN(16) * g.IntN(2))}
	case 13:
		return &op.SortedAdd{Key: g.keyFor('z'), Members: []op.Scored{{Score: g.score(), Member: g.member()}}, Cond: op.SortedCond(g.IntN(16) * g.IntN(2)), Incr: true}
	case 14:
		return &op.SortedRemove{Key: g.keyFor('z'), Members: g.members()}
	case 15:
		if g.IntN(3) > 0 {
			at := g.place()
			return &op.SortedCut{Key: g.keyFor('z'), Range: op.Range{Start: at, End: at + g.Int64N(5)}}
		}
		return &op.SortedCut{Key: g.keyFor('z'), Range: g.rang()}
	case 16:
		return &op.SortedPop{Keys: g.keysFor('z'), Count: g.Int64N(10) - 1, Max: g.IntN(2) == 0}
	case 17:
		return &op.SetMove{From: g.keyFor('m'), To: g.keyFor('m'), Member: g.member()}
	case 18:
		return &op.SetStore{To: g.keyFor('m'), Keys: g.keysFor('m'), How: op.Combination(g.IntN(3))}
	case 19:
		return g.store()
	case 20:
		return &op.SetBit{Key: g.key(), Offset: g.Int64N(4000), On: g.IntN(2) == 0}
	}
	if g.IntN(3) == 0 {
		return &op.SetPop{Key: g.keyFor('m'), Count: g.Int64N(1<<g.IntN(9)) - 1, Seed: g.Uint64()}
	}
	return &op.SetAdd{Key: g.keyFor('m'), Members: g.members()}
}

func (g *generator) store() *op.Store {
	o := &op.Store{Of: op.Type(g.IntN(5) + 1), Life: g.life(), Cond: g.cond()}
	if o.Cond.Kind == op.IfVersion {
		o.Cond = op.Cond{}
	}
	o.Key = g.keyFor("skhmlz"[o.Of])
	for _, m := range g.members() {
		f := op.Field{Name: m}
		switch o.Of {
		case op.Sorted:
			f.Value = op.AppendScore(nil, g.score())
		default:
			f.Value = []byte("v")
		}
		if o.Items = append(o.Items, f); o.Of == op.String {
			break
		}
	}
	if g.IntN(8) == 0 {
		o.Items = nil
	}
	return o
}

func (g *generator) readMore() op.Read {
	switch g.IntN(11) {
	case 0, 1:
		return &op.ListRange{Key: g.keyFor('l'), Start: g.place(), End: g.place()}
	case 2:
		o := &op.ListFind{Key: g.keyFor('l'), Value: g.member(), Rank: g.Int64N(7) - 3, Count: g.Int64N(4), Most: g.Int64N(3) * g.Int64N(200)}
		if o.Rank == 0 {
			o.Rank = 1
		}
		return o
	case 3:
		return &op.SortedScore{Key: g.keyFor('z'), Members: g.members()}
	case 4:
		return &op.SortedRank{Key: g.keyFor('z'), Member: g.member(), Reverse: g.IntN(2) == 0}
	case 5, 6:
		return &op.SortedRange{Key: g.keyFor('z'), Range: g.rang(), Count: g.IntN(4) == 0}
	case 7:
		return &op.Combine{Keys: g.keysFor('m'), How: op.Combination(g.IntN(3)), Count: g.IntN(3) == 0, Limit: g.Int64N(5)}
	case 8:
		return &op.Sample{Key: g.keyFor("hmz"[g.IntN(3)]), Of: []op.Type{op.Hash, op.Members, op.Sorted}[g.IntN(3)], Count: g.place() % 1000, Seed: g.Uint64(), Values: g.IntN(2) == 0}
	case 9:
		return &op.BitCount{Key: g.key(), Start: g.place(), End: g.place(), Bits: g.IntN(2) == 0}
	}
	return &op.BitFind{Key: g.key(), Start: g.place(), End: g.place(), Bits: g.IntN(2) == 0, On: g.IntN(2) == 0, Open: g.IntN(2) == 0}
}

// holds looks for a thing of that type; one of another type is WrongType, one that is not there Missing.
func (m *model) holds(k op.Key, kind op.Type, write bool, r *op.Result) *thing {
	x := m.peek(k)
	if write {
		x = m.at(k)
	}
	if x == nil {
		r.Status = op.Missing
	} else if x.kind != kind {
		r.Status = op.WrongType
	}
	return x
}

// cut gives x the elements that are left, which are fewer.
func (m *model) cut(x *thing, left []element, r *op.Result) {
	if len(left) > 0 {
		y := *x
		y.elems = left
		m.force(&y)
		r.Version = y.version
		return
	}
	if x.large {
		m.ops++
	}
	delete(m.keys, id(x.Key))
}

func (m *model) push(k op.Key, x *thing, vs [][]byte, front bool) op.Status {
	var all []element
	large := false
	if x != nil {
		all, large = slices.Clone(x.elems), x.large
	}
	for _, v := range vs {
		if el := (element{name: bytes.Clone(v)}); front {
			all = slices.Insert(all, 0, el)
		} else {
			all = append(all, el)
		}
	}
	return m.setElements(k, x, op.List, all, large)
}

func (m *model) doMore(o op.Op, r *op.Result) {
	switch o := o.(type) {
	case *op.ListPush, *op.ListPop, *op.ListMove, *op.ListSet, *op.ListInsert, *op.ListRemove, *op.ListTrim, *op.ListRange, *op.ListFind:
		m.doList(o, r)
	case *op.SortedAdd, *op.SortedRemove, *op.SortedCut, *op.SortedPop, *op.SortedScore, *op.SortedRank, *op.SortedRange:
		m.doSorted(o, r)
	case *op.SetMove:
		x := m.at(o.From)
		if x == nil {
			return
		}
		y := m.at(o.To)
		if x.kind != op.Members || y != nil && y.kind != op.Members {
			r.Status = op.WrongType
			return
		}
		if slices.ContainsFunc(x.elems, func(a element) bool { return bytes.Equal(a.name, o.Member) }) {
			var to, from op.Result
			if x != y {
				if m.add(o.To, op.Members, []element{{name: o.Member}}, true, &to); to.Status != op.OK {
					r.Status = to.Status
					return
				}
				m.takeOut(o.From, op.Members, [][]byte{o.Member}, &from)
			}
			r.Int = 1
		}
	case *op.SetStore:
		names, ok := m.combine(o.Keys, o.How, true)
		if !ok {
			r.Status = op.WrongType
			return
		}
		var all []element
		for _, n := range names {
			all = append(all, element{name: []byte(n)})
		}
		m.replace(&thing{Key: o.To, kind: op.Members, elems: all}, r)
	case *op.Combine:
		names, ok := m.combine(o.Keys, o.How, false)
		switch {
		case !ok:
			r.Status = op.WrongType
		case o.Count:
			if r.Int = int64(len(names)); o.Limit > 0 {
				r.Int = min(r.Int, o.Limit)
			}
		default:
			for _, n := range names {
				r.List = append(r.List, op.Result{Value: []byte(n)})
			}
		}
	case *op.Store:
		m.store(o, r)
	default:
		m.doBits(o, r)
	}
}

// combine gives the members in the order of a state: it lies in which of the sets is walked.
func (m *model) combine(keys []op.Key, how op.Combination, write bool) (names []string, ok bool) {
	var sets []*thing
	for _, k := range keys {
		x := m.peek(k)
		if write {
			x = m.at(k)
		}
		if x != nil && x.kind != op.Members {
			if ok = false; write {
				return nil, false
			}
			sets = nil
			return nil, false
		}
		if x == nil {
			x = &thing{}
		}
		sets = append(sets, x)
	}
	in := func(x *thing, name []byte) bool {
		return slices.ContainsFunc(x.elems, func(a element) bool { return bytes.Equal(a.name, name) })
	}
	first := sets[0]
	if how == op.Intersection {
		for _, x := range sets {
			if len(x.elems) < len(first.elems) {
				first = x
			}
		}
	}
	for _, x := range sets {
		for _, el := range x.elems {
			take := true
			for _, y := range sets {
				switch how {
				case op.Intersection:
					take = take && in(y, el.name)
				case op.Difference:
					take = take && (y == first || !in(y, el.name))
				}
			}
			if how == op.Difference && slices.Contains(sets[1:], sets[0]) {
				take = false
			}
			if take && (how == op.Union || x == first) && !slices.Contains(names, string(el.name)) {
				names = append(names, string(el.name))
			}
		}
	}
	return names, true
}

// replace puts x in the place of what is there.
func (m *model) replace(x *thing, r *op.Result) {
	if len(x.elems) == 0 {
		delete(m.keys, id(x.Key))
		return
	}
	old := m.keys[id(x.Key)]
	if old != nil {
		old = &thing{Key: x.Key, flags: x.flags, deadline: x.deadline}
	} else if x.deadline != 0 {
		old = &thing{deadline: x.deadline}
	}
	if r.Status = m.setElements(x.Key, old, x.kind, x.elems, false); r.Status == op.OK {
		r.Int, r.Version, r.Deadline = int64(len(x.elems)), m.ops, x.deadline
	}
}

func (m *model) store(o *op.Store, r *op.Result) {
	x := m.at(o.Key)
	if st, ok := m.meets(o.Cond, x); !ok {
		r.Status = st
		return
	}
	if o.Of == op.String && len(o.Items) == 1 {
		if m.setString(o.Key, string(o.Items[0].Value), 0, o.Life, r); r.Status == op.OK {
			r.Int = int64(len(o.Items[0].Value))
		}
		return
	}
	d, alive := m.deadline(o.Life, x)
	y := &thing{Key: o.Key, kind: o.Of, deadline: d}
	for _, f := range o.Items {
		el := element{name: bytes.Clone(f.Name)}
		if hasValues(o.Of) {
			el.value = bytes.Clone(f.Value)
		}
		if i := slices.IndexFunc(y.elems, func(a element) bool { return bytes.Equal(a.name, el.name) }); i >= 0 && o.Of != op.List {
			y.elems[i].value = el.value
		} else {
			y.elems = append(y.elems, el)
		}
	}
	if !alive {
		y.elems = nil
	}
	m.replace(y, r)
}

func (m *model) doBits(o op.Op, r *op.Result) {
	digits := func(s string) (b []byte) {
		for i := range len(s) {
			b = fmt.Appendf(b, "%08b", s[i])
		}
		return b
	}
	// within gives the places of the bits in a range.
	within := func(s string, start, end int64, inBits bool) (i, j int64) {
		n := int64(len(s))
		if inBits {
			n *= 8
		}
		if start < 0 {
			start = max(start+n, 0)
		}
		if end < 0 {
			end = max(end+n, 0)
		}
		end = min(end, n-1)
		if start > end {
			return 0, 0
		}
		if inBits {
			return start, end + 1
		}
		return start * 8, end*8 + 8
	}
	switch o := o.(type) {
	case *op.SetBit:
		x := m.at(o.Key)
		y := thing{Key: o.Key, kind: op.String}
		if x != nil {
			y = *x
		}
		if y.kind != op.String {
			r.Status = op.WrongType
			return
		}
		b := []byte(y.str)
		for int64(len(b)) <= o.Offset/8 {
			b = append(b, 0)
		}
		mask := bits.Reverse8(1 << (o.Offset % 8))
		old := b[o.Offset/8] & mask
		if b[o.Offset/8] |= mask; !o.On {
			b[o.Offset/8] ^= mask
		}
		y.str = string(b)
		if r.Status = m.put(&y); r.Status == op.OK {
			r.Version = y.version
			if old != 0 {
				r.Int = 1
			}
		}
	case *op.BitCount:
		x := m.holds(o.Key, op.String, false, r)
		if r.Status != op.OK {
			return
		}
		r.Version, r.Flags, r.Deadline = x.version, x.flags, x.deadline
		if i, j := within(x.str, o.Start, o.End, o.Bits); !(o.Start < 0 && o.End < 0 && o.Start > o.End) {
			r.Int = int64(bytes.Count(digits(x.str)[i:j], []byte("1")))
		}
	case *op.BitFind:
		x := m.holds(o.Key, op.String, false, r)
		if r.Status == op.WrongType {
			return
		}
		if r.Int = -1; x == nil {
			if r.Status = op.OK; !o.On {
				r.Int = 0
			}
			return
		}
		r.Version, r.Flags, r.Deadline = x.version, x.flags, x.deadline
		end, want := o.End, "0"
		if o.Open {
			end = -1
		}
		if o.On {
			want = "1"
		}
		i, j := within(x.str, o.Start, end, o.Bits)
		if at := bytes.Index(digits(x.str)[i:j], []byte(want)); at >= 0 {
			r.Int = i + int64(at)
		} else if i < j && o.Open && !o.On {
			r.Int = int64(len(x.str)) * 8
		}
	default:
		panic(fmt.Sprintf("the model does not know %T", o))
	}
}

// members of a set, small or large.
func setOf(n int) (f *feeder, names map[string]bool) {
	f, names = newFeeder(New(nil, nil)), map[string]bool{}
	for i := range n {
		name := fmt.Sprint("m", i)
		names[name] = true
		f.one(&op.SetAdd{Key: key(0, "s"), Members: [][]byte{[]byte(name)}})
	}
	return f, names
}

func TestSamplesAreDifferentMembers(t *testing.T) {
	for _, n := range []int{1, 10, 1000} {
		f, names := setOf(n)
		counts := map[string]int{}
		for _, count := range []int{0, 1, n / 2, n, 2 * n} {
			for seed := range uint64(50) {
				res, again := f.read(&op.Sample{Key: key(0, "s"), Of: op.Members, Count: int64(count), Seed: seed}), map[string]bool{}
				for _, r := range res.List {
					if !names[string(r.Value)] || again[string(r.Value)] {
						t.Fatalf("%q is no member, or comes again", r.Value)
					}
					again[string(r.Value)] = true
					counts[string(r.Value)]++
				}
				if len(res.List) != min(count, n) {
					t.Fatalf("%d of %d, asked for %d", len(res.List), n, count)
				}
			}
		}
		if len(counts) != n {
			t.Errorf("only %d of %d were ever picked", len(counts), n)
		}
		if res := f.read(&op.Sample{Key: key(0, "s"), Of: op.Members, Count: -300}); len(res.List) != 300 {
			t.Errorf("%d of 300", len(res.List))
		}
	}
}

func TestSetPopTakesMembersOut(t *testing.T) {
	for _, n := range []int{5, 100, 700} {
		f, names := setOf(n)
		for seed := uint64(0); len(names) > 0; seed++ {
			count := int64(seed % 7)
			res := f.one(&op.SetPop{Key: key(0, "s"), Count: count, Seed: seed})
			if len(res.List) != min(int(count), len(names)) {
				t.Fatalf("%d popped of %d, asked for %d", len(res.List), len(names), count)
			}
			for _, r := range res.List {
				if !names[string(r.Value)] {
					t.Fatalf("%q was popped before", r.Value)
				}
				delete(names, string(r.Value))
			}
			verify(t, f.s)
		}
		if f.read(&op.TypeOf{Key: key(0, "s")}).Status != op.Missing {
			t.Error("an empty set is still there")
		}
	}
}

// TestScanInMissesNothing lets members come and go while it walks: those that stay must all be shown.
func TestScanInMissesNothing(t *testing.T) {
	for _, n := range []int{3, 5000} {
		f, names := setOf(n)
		g := newGenerator(9)
		for range 5 {
			seen, cursor, calls := map[string]bool{}, uint64(0), 0
			for ; calls == 0 || cursor != 0; calls++ {
				res := f.read(&op.ScanIn{Key: key(0, "s"), Of: op.Members, Cursor: cursor, Count: 10})
				for _, r := range res.List {
					seen[string(r.Value)] = true
				}
				cursor = res.Uint
				extra := fmt.Append(nil, "extra", g.IntN(1000))
				if n > 10 {
					f.do(&op.SetAdd{Key: key(0, "s"), Members: [][]byte{extra}}, &op.SetRemove{Key: key(0, "s"), Members: [][]byte{fmt.Append(nil, "extra", g.IntN(1000))}})
				}
			}
			for name := range names {
				if !seen[name] {
					t.Fatalf("%s was not shown", name)
				}
			}
			if n > 10 && calls < n/20 {
				t.Errorf("%d calls", calls)
			}
		}
	}
}

func TestDescribe(t *testing.T) {
	f, _ := setOf(200)
	f.do(set("n", "12"), &op.ListPush{Key: key(0, "l"), Values: [][]byte{[]byte("1"), []byte("22")}})
	for _, c := range []struct {
		name    string
		of      op.Type
		integer bool
		n, most int64
	}{{"n", op.String, true, 2, 2}, {"l", op.List, true, 2, 2}, {"s", op.Members, false, 200, 4}} {
		res := f.read(&op.Describe{Key: key(0, c.name)})
		if res.Int != int64(c.of) || res.Found != c.integer || res.List[0].Int != c.n || res.List[1].Int != c.most || res.List[2].Int <= 0 {
			t.Errorf("%s: %+v", c.name, res)
		}
	}
}
