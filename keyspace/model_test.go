package keyspace

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"testing"

	"holdfast/op"
)

// model is the plainest thing that means the same as a State: a map, and values as Go has them.
type model struct {
	keys    map[string]*thing // space and name
	stamp   int64
	ops     uint64
	config  op.Configure
	flushes map[int]schedule
	expired uint64
	refused uint64
	evicted uint64
}

type thing struct {
	op.Key
	kind     op.Type
	str      string
	elems    []element // as they came, or by the hash of their names once large
	large    bool
	flags    uint32
	deadline int64
	version  uint64
}

func newModel() *model { return &model{keys: map[string]*thing{}, flushes: map[int]schedule{}} }

func id(k op.Key) string { return string(rune('A'+k.Space)) + string(k.Name) }

func (m *model) now() int64 { return m.stamp / ms }

func (m *model) at(k op.Key) *thing {
	x := m.keys[id(k)]
	if x != nil && x.deadline != 0 && x.deadline <= m.now() {
		delete(m.keys, id(k))
		m.expired++
		return nil
	}
	return x
}

// peek is at for reads: they remove nothing.
func (m *model) peek(k op.Key) *thing {
	if x := m.keys[id(k)]; x != nil && (x.deadline == 0 || x.deadline > m.now()) {
		return x
	}
	return nil
}

func (m *model) class(k op.Key) op.Class {
	for _, p := range m.config.Rules {
		if p.Space == k.Space && op.Match(p.Pattern, k.Name) {
			return p.Class
		}
	}
	return m.config.Classes[k.Space]
}

func (x *thing) cost() uint64 {
	if x == nil {
		return 0
	}
	n, extra := len(x.str), uint64(0)
	if x.kind != op.String {
		n = len(x.packed())
	}
	if x.large {
		n = 4
		for _, el := range x.elems {
			extra += el.cost(x.kind)
		}
	}
	n += 16 + len(x.Name)
	if x.deadline != 0 {
		n += 16
	}
	if x.flags != 0 {
		n += 4
	}
	return cost(n) + extra
}

func (x *thing) packed() []byte {
	b := []byte{0, 0}
	for _, el := range x.elems {
		b = appendElement(b, el, x.kind)
	}
	return b
}

func (m *model) used() (n uint64) {
	for _, x := range m.keys {
		n += x.cost()
	}
	return n
}

// room says whether what cost old may cost new.
func (m *model) room(c op.Class, old, new uint64) bool {
	if m.config.Budget == 0 || new <= old || m.used()+new-old <= m.config.Budget*[]uint64{100, 96, 98, 94}[c]/100 {
		return true
	}
	m.refused++
	return false
}

// put stores x in place of what is there, with a new version.
func (m *model) put(x *thing) op.Status {
	if !m.room(m.class(x.Key), m.keys[id(x.Key)].cost(), x.cost()) {
		return op.OutOfMemory
	}
	m.force(x)
	return op.OK
}

func (m *model) force(x *thing) {
	m.ops++
	x.version = m.ops
	x.Name = bytes.Clone(x.Name)
	m.keys[id(x.Key)] = x
}

func (m *model) ceil(life op.Life) int64 {
	if life.Kind == op.At {
		return min(life.Ms, math.MaxInt64/ms)
	}
	x := new(big.Int).Mul(big.NewInt(life.Ms), big.NewInt(ms))
	x.Add(x, big.NewInt(m.stamp+ms-1)).Div(x, big.NewInt(ms))
	if life.Ms <= 0 {
		return m.now()
	}
	if !x.IsInt64() || x.Int64() > math.MaxInt64/ms {
		return math.MaxInt64 / ms
	}
	return x.Int64()
}

func (m *model) deadline(l op.Life, old *thing) (int64, bool) {
	switch l.Kind {
	case op.Forever:
		return 0, true
	case op.Keep:
		if old != nil {
			return old.deadline, true
		}
		return 0, true
	}
	d := m.ceil(l)
	return d, d > m.now()
}

func (m *model) flush(i int, only bool, c op.Class) (n int64) {
	for k, x := range m.keys {
		if (i == op.Spaces || int(x.Space) == i) && (!only || m.class(x.Key) == c) {
			delete(m.keys, k)
			n++
		}
	}
	return n
}

// begin is what an entry does before its ops.
func (m *model) begin(stamp int64) {
	m.stamp = stamp
	for {
		best := -1
		for i, f := range m.flushes {
			if f.at <= m.now() && (best < 0 || f.at < m.flushes[best].at || f.at == m.flushes[best].at && i < best) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		f := m.flushes[best]
		delete(m.flushes, best)
		m.flush(best, f.only, f.cl)
	}
	var dead []*thing
	for _, x := range m.keys {
		if x.deadline != 0 && x.deadline <= m.now() {
			dead = append(dead, x)
		}
	}
	slices.SortFunc(dead, func(a, b *thing) int {
		if a.deadline != b.deadline {
			return int(a.deadline - b.deadline)
		}
		if a.Space != b.Space {
			return int(a.Space) - int(b.Space)
		}
		return bytes.Compare(a.Name, b.Name)
	})
	for _, x := range dead[:min(len(dead), 64)] {
		delete(m.keys, id(x.Key))
		m.expired++
	}
}

func (m *model) meets(c op.Cond, x *thing) (op.Status, bool) {
	switch c.Kind {
	case op.IfAbsent:
		return op.Failed, x == nil
	case op.IfPresent:
		return op.Failed, x != nil
	case op.IfVersion:
		if x == nil {
			return op.Missing, false
		}
		return op.Stale, x.version == c.Version
	case op.IfNotNewer:
		if x == nil {
			return op.Missing, false
		}
		return op.Stale, x.version >= c.Version
	}
	return 0, true
}

// setString is what Set and Count store.
func (m *model) setString(k op.Key, v string, flags uint32, l op.Life, r *op.Result) {
	d, alive := m.deadline(l, m.keys[id(k)])
	if !alive {
		delete(m.keys, id(k))
		m.ops++
		r.Version = m.ops
		return
	}
	x := &thing{Key: k, kind: op.String, str: v, flags: flags, deadline: d}
	if r.Status = m.put(x); r.Status == op.OK {
		r.Version, r.Deadline = x.version, d
	}
}

// setElements gives the key x its elements, in the form that they take.
func (m *model) setElements(k op.Key, old *thing, kind op.Type, elems []element, large bool) op.Status {
	x := &thing{Key: k, kind: kind, elems: elems, large: large}
	if old != nil {
		x.flags, x.deadline = old.flags, old.deadline
	}
	switch x.large = large || len(elems) > 128 || len(x.packed()) > 4096; {
	case kind == op.List:
	case kind == op.Sorted:
		slices.SortFunc(x.elems, func(a, b element) int {
			if c := cmp.Compare(a.score(), b.score()); c != 0 {
				return c
			}
			return bytes.Compare(a.name, b.name)
		})
	case x.large:
		slices.SortFunc(x.elems, func(a, b element) int {
			if x, y := byName(a.name).key, byName(b.name).key; x != y {
				return cmp.Compare(x, y)
			}
			return bytes.Compare(a.name, b.name)
		})
	}
	return m.put(x)
}

func (m *model) add(k op.Key, kind op.Type, els []element, fresh bool, r *op.Result) {
	x := m.at(k)
	if x != nil && x.kind != kind {
		r.Status, r.Version = op.WrongType, x.version
		return
	}
	var all []element
	large := false
	if x != nil {
		all, large, r.Version = slices.Clone(x.elems), x.large, x.version
	}
	changed := false
	for _, el := range els {
		el = element{name: bytes.Clone(el.name), value: bytes.Clone(el.value)}
		i := slices.IndexFunc(all, func(a element) bool { return bytes.Equal(a.name, el.name) })
		switch {
		case i < 0:
			r.Int++
			all = append(all, el)
		case fresh:
			continue
		default:
			all[i].value = el.value
		}
		changed = true
		probe := thing{kind: kind, elems: all}
		if !large && (len(all) > 128 || len(probe.packed()) > 4096) {
			large = true
		}
	}
	if changed {
		if r.Status = m.setElements(k, x, kind, all, large); r.Status == op.OK {
			r.Version = m.ops
		} else {
			r.Int = 0
		}
	}
}

func (m *model) takeOut(k op.Key, kind op.Type, names [][]byte, r *op.Result) {
	x := m.at(k)
	if x == nil {
		return
	}
	r.Version = x.version
	if x.kind != kind {
		r.Status = op.WrongType
		return
	}
	elems := slices.Clone(x.elems)
	for _, n := range names {
		if i := slices.IndexFunc(elems, func(a element) bool { return bytes.Equal(a.name, n) }); i >= 0 {
			elems = slices.Delete(elems, i, i+1)
			r.Int++
		}
	}
	if r.Int > 0 {
		y := *x
		y.elems = elems
		if len(elems) > 0 {
			m.force(&y)
			r.Version = y.version
		} else {
			if x.large {
				m.ops++ // an edit that ends in removal
			}
			delete(m.keys, id(k))
			r.Version = 0
		}
	}
}

func (m *model) parseInt(s string) (int64, bool) {
	v, err := strconv.ParseInt(s, 10, 64)
	return v, err == nil && strconv.FormatInt(v, 10) == s
}

func (m *model) do(o op.Op) (r op.Result) {
	switch o := o.(type) {
	case *op.Set:
		x := m.at(o.Key)
		if o.Get && x != nil {
			if x.kind != op.String {
				r.Status = op.WrongType
				return
			}
			r.Found, r.Value = true, []byte(x.str)
		}
		if st, ok := m.meets(o.Cond, x); !ok {
			r.Status = st
			return
		}
		l := o.Life
		if o.Cond.Kind == op.IfNotNewer && x.version > o.Cond.Version {
			l = op.Life{Kind: op.Keep}
		}
		m.setString(o.Key, string(o.Value), o.Flags, l, &r)
	case *op.Splice:
		x := m.at(o.Key)
		if st, ok := m.meets(o.Cond, x); !ok {
			r.Status = st
			return
		}
		if x == nil && !o.Create {
			r.Status = op.Missing
			return
		}
		y := thing{Key: o.Key, kind: op.String}
		if x != nil {
			y = *x
		}
		if y.kind != op.String {
			r.Status = op.WrongType
			return
		}
		if o.Front {
			y.str = string(o.Value) + y.str
		} else {
			y.str += string(o.Value)
		}
		if r.Status = m.put(&y); r.Status == op.OK {
			r.Int, r.Version = int64(len(y.str)), y.version
		}
	case *op.Delete:
		for _, k := range o.Keys {
			x := m.at(k)
			if st, ok := m.meets(o.Cond, x); !ok {
				r.Status = st
			} else if x != nil {
				delete(m.keys, id(k))
				r.Int++
			}
		}
	case *op.IncrBy:
		y := thing{Key: o.Key, kind: op.String, str: "0"}
		if x := m.at(o.Key); x != nil {
			y = *x
		}
		v, ok := m.parseInt(y.str)
		sum := new(big.Int).Add(big.NewInt(v), big.NewInt(o.Delta))
		switch {
		case y.kind != op.String:
			r.Status = op.WrongType
		case !ok:
			r.Status = op.NotInteger
		case !sum.IsInt64():
			r.Status = op.Overflow
		default:
			y.str = sum.String()
			if r.Status = m.put(&y); r.Status == op.OK {
				r.Int, r.Version = sum.Int64(), y.version
			}
		}
	case *op.Expire:
		m.expire(o, &r)
	case *op.Rename:
		x, y := m.at(o.From), m.at(o.To)
		switch {
		case x == nil:
			r.Status = op.Missing
		case y != nil && o.IfAbsent:
		case x == y:
			r.Int = 1
		default:
			z := *x
			z.Key = o.To
			old := y.cost()
			if !o.Copy {
				old += x.cost()
			}
			if !m.room(m.class(o.To), old, z.cost()) {
				r.Status = op.OutOfMemory
				return
			}
			m.force(&z)
			r.Int, r.Version = 1, z.version
			if !o.Copy {
				delete(m.keys, id(o.From))
			}
		}
	case *op.HashSet:
		var els []element
		for _, f := range o.Fields {
			els = append(els, element{name: f.Name, value: f.Value})
		}
		m.add(o.Key, op.Hash, els, o.IfAbsent, &r)
	case *op.SetAdd:
		var els []element
		for _, f := range o.Members {
			els = append(els, element{name: f})
		}
		m.add(o.Key, op.Members, els, true, &r)
	case *op.HashDelete:
		m.takeOut(o.Key, op.Hash, o.Fields, &r)
	case *op.SetRemove:
		m.takeOut(o.Key, op.Members, o.Members, &r)
	case *op.Flush:
		i := int(o.Space)
		if o.All {
			i = op.Spaces
		}
		delete(m.flushes, i)
		if o.Life.Kind >= op.In && m.ceil(o.Life) > m.now() {
			m.flushes[i] = schedule{m.ceil(o.Life), o.OnlyClass, o.Only}
		} else {
			r.Int = m.flush(i, o.OnlyClass, o.Only)
		}
	case *op.Evict:
		for _, v := range o.Victims {
			if x := m.at(v.Key); x != nil && x.version == v.Version && (m.class(v.Key) == op.Cache || m.class(v.Key) == op.Token && x.deadline == 0) {
				delete(m.keys, id(v.Key))
				m.evicted++
				r.Int++
			}
		}
	case *op.Configure:
		m.config = *o
	case *op.Get:
		if x := m.peek(o.Key); x == nil {
			r.Status = op.Missing
		} else if x.kind != op.String {
			r.Status = op.WrongType
		} else {
			r = op.Result{Value: []byte(x.str), Flags: x.flags, Version: x.version, Deadline: x.deadline}
		}
	case *op.HashAll:
		if x := m.peek(o.Key); x == nil {
			r.Status = op.Missing
		} else if x.kind != op.Hash {
			r.Status = op.WrongType
		} else {
			for _, el := range x.elems {
				if o.Names {
					r.List = append(r.List, op.Result{Value: el.name})
				}
				if o.Values {
					r.List = append(r.List, op.Result{Value: el.value})
				}
			}
		}
	case *op.SetAll:
		if x := m.peek(o.Key); x == nil {
			r.Status = op.Missing
		} else if x.kind != op.Members {
			r.Status = op.WrongType
		} else {
			for _, el := range x.elems {
				r.List = append(r.List, op.Result{Value: el.name})
			}
		}
	default:
		m.doMore(o, &r)
	}
	return r
}

func (m *model) expire(o *op.Expire, r *op.Result) {
	x := m.at(o.Key)
	if x == nil {
		r.Status = op.Missing
		return
	}
	if o.Fetch {
		if x.kind != op.String {
			r.Status = op.WrongType
			return
		}
		r.Value, r.Flags = []byte(x.str), x.flags
	}
	late, new := x.deadline, int64(math.MaxInt64)
	if late == 0 {
		late = math.MaxInt64
	}
	if o.Life.Kind >= op.In {
		new = m.ceil(o.Life)
	}
	does := o.Life.Kind != op.Keep && (o.Life.Kind != op.Forever || x.deadline != 0)
	for bit, ok := range map[op.ExpireCond]bool{op.ExpireNX: x.deadline == 0, op.ExpireXX: x.deadline != 0, op.ExpireGT: new > late, op.ExpireLT: new < late} {
		does = does && (o.Cond&bit == 0 || ok)
	}
	if does {
		r.Int = 1
		d, alive := m.deadline(o.Life, x)
		if !alive {
			delete(m.keys, id(o.Key))
			return
		}
		y := *x
		y.deadline = d
		m.force(&y)
		x = &y
	}
	r.Version, r.Deadline = x.version, x.deadline
}

// known says whether the model can do o.
func known(o op.Op) bool {
	switch o.(type) {
	case *op.SetMany, *op.SetRange, *op.Count, *op.HashIncrBy, *op.Tx, *op.SetPop, *op.Claim, *op.Outdate:
		return false
	case *op.Set, *op.Splice, *op.Delete, *op.IncrBy, *op.Expire, *op.Rename, *op.HashSet, *op.HashDelete, *op.SetAdd, *op.SetRemove, *op.Flush, *op.Evict,
		*op.Get, *op.HashAll, *op.SetAll,
		*op.ListPush, *op.ListPop, *op.ListMove, *op.ListSet, *op.ListInsert, *op.ListRemove, *op.ListTrim, *op.SortedAdd, *op.SortedRemove, *op.SortedCut,
		*op.SortedPop, *op.SetMove, *op.SetStore, *op.Store, *op.SetBit,
		*op.ListRange, *op.ListFind, *op.SortedScore, *op.SortedRank, *op.SortedRange, *op.Combine, *op.BitCount, *op.BitFind:
		return true
	}
	return false
}

func TestModel(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			g := newGenerator(100 + seed)
			f, m := newFeeder(New(nil, nil)), newModel()
			if seed%2 == 1 {
				g.keys, g.round = 500, 500
			}
			for step := range 3000 {
				g.pass(f)
				if g.IntN(100) > 0 {
					f.stamp = max(f.stamp-f.stamp%ms, m.stamp) // mostly whole ms, so that deadlines are met exactly
				}
				var ops []op.Op
				if step%700 == 0 {
					c := testConfig(uint64(g.IntN(2)) * 30_000)
					c.Classes[3] = op.Class(step / 700 % 4)
					ops = append(ops, c)
				}
				for len(ops) < 3 {
					if w := g.write(); known(w) {
						ops = append(ops, w)
					}
				}
				m.begin(f.stamp)
				for i, r := range f.do(ops...) {
					if want := m.do(ops[i]); !sameResult(r, want) {
						t.Fatalf("step %d: %T %+v:\n%+v, should be\n%+v", step, ops[i], ops[i], r, want)
					}
				}
				for range 3 {
					if r := g.read(); known(r) {
						if got, want := f.read(r), m.do(r); !sameResult(got, want) {
							t.Fatalf("step %d: %T %+v:\n%+v, should be\n%+v", step, r, r, got, want)
						}
					}
				}
				if mem := f.s.Memory(); mem.Used != m.used() || mem.Expired != m.expired || mem.Refused != m.refused || mem.Evicted != m.evicted || f.s.Ops() != m.ops {
					t.Fatalf("step %d: %v: %+v and ops %d, should be used %d, expired %d, refused %d, evicted %d, ops %d", step, ops, mem, f.s.Ops(), m.used(), m.expired, m.refused, m.evicted, m.ops)
				}
			}
			verify(t, f.s)
		})
	}
}
