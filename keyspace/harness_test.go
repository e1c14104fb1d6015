package keyspace

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"holdfast/op"
)

// log feeds a state with entries as a group would.
type feeder struct {
	s       *State
	index   uint64
	stamp   int64
	seq     uint64
	results []op.Result
}

const (
	testOrigin = 7
	testStart  = 1_700_000_000_000 * ms
)

func newFeeder(s *State) *feeder {
	f := &feeder{s: s, stamp: testStart}
	f.entry(Entry{Kind: Hello})
	return f
}

func (f *feeder) entry(e Entry) Outcome {
	f.index++
	e.Index, e.Stamp, e.Origin = f.index, f.stamp, testOrigin
	f.results = f.results[:0]
	return f.s.Apply(&e, f)
}

// do applies ops in one entry and returns their results.
func (f *feeder) do(ops ...op.Op) []op.Result {
	var b []byte
	for _, o := range ops {
		b = o.Append(b)
	}
	f.seq++
	if out := f.entry(Entry{Kind: Batch, Incarnation: 1, Seq: f.seq, Ops: b}); out != Applied {
		panic(fmt.Sprint("not applied: ", out))
	}
	return f.results
}

func (f *feeder) one(o op.Op) op.Result { return f.do(o)[0] }
func (f *feeder) tick()                 { f.entry(Entry{Kind: Tick}) }

func (f *feeder) read(r op.Read) op.Result {
	var res op.Result
	if f.s.Read(r, f.stamp, &res) {
		panic("due at the stamp")
	}
	return res
}

func (f *feeder) Result(r *op.Result) { f.results = append(f.results, cloneResult(*r)) }

func cloneResult(r op.Result) op.Result {
	r.Value = bytes.Clone(r.Value)
	list := r.List
	r.List, r.Scratch = nil, nil
	for _, x := range list {
		r.List = append(r.List, cloneResult(x))
	}
	return r
}

func key(sp op.Space, name string) op.Key { return op.Key{Space: sp, Name: []byte(name)} }

// testConfig gives every class keys.
func testConfig(budget uint64) *op.Configure {
	c := &op.Configure{Budget: budget, Rules: []op.Rule{{Space: op.Memcache, Pattern: []byte("s*"), Class: op.Session}}}
	for i := range c.Classes {
		c.Classes[i] = op.Cache
	}
	c.Classes[0], c.Classes[1], c.Classes[2] = op.Coordination, op.Session, op.Token
	return c
}

// generator makes random ops over few keys, so that they meet.
type generator struct {
	*rand.Rand
	keys  int
	sizes []int // of values, one is picked and halved at random
	now   int64 // Unix ms
	round int64 // lives and steps of time are multiples of it, in ms
}

func newGenerator(seed uint64) *generator {
	return &generator{Rand: rand.New(rand.NewPCG(seed, 1)), keys: 60, round: 1, sizes: []int{0, 3, 20, 20, 200, 200, 1000, 5000}}
}

var testSpaces = []op.Space{0, 1, 2, 3, op.Memcache}

func (g *generator) key() op.Key {
	if g.IntN(5) == 0 {
		return g.keyFor("hmlz"[g.IntN(4)])
	}
	n := g.IntN(g.keys)
	return key(testSpaces[n%len(testSpaces)], fmt.Sprintf("%c%d", "skx"[n%3], n))
}

// keyFor picks one of the keys that mostly hold one type, so that their values grow.
func (g *generator) keyFor(kind byte) op.Key {
	if g.IntN(8) == 0 {
		return g.key()
	}
	n := g.IntN(6)
	return key(testSpaces[n%len(testSpaces)], fmt.Sprintf("%c%d", kind, n))
}

func (g *generator) keysFor(kind byte) (ks []op.Key) {
	for range g.IntN(4) + 1 {
		ks = append(ks, g.keyFor(kind))
	}
	return ks
}

func (g *generator) keysOf(n int) (ks []op.Key) {
	for range g.IntN(n) + 1 {
		ks = append(ks, g.key())
	}
	return ks
}

func (g *generator) value() []byte {
	if g.IntN(4) == 0 {
		return fmt.Append(nil, g.Int64()>>g.IntN(63))
	}
	n := g.sizes[g.IntN(len(g.sizes))]
	n -= g.IntN(n/2 + 1)
	b := make([]byte, n)
	for i := range min(n, 64) {
		b[i] = byte('a' + g.IntN(26))
	}
	return b
}

func (g *generator) life() op.Life {
	switch g.IntN(12) {
	case 0, 1, 2:
		return op.Life{Kind: op.Forever}
	case 3:
		return op.Life{Kind: op.Keep}
	case 4:
		return op.Life{Kind: op.At, Ms: (g.now + g.Int64N(20000) - 1000) / g.round * g.round}
	case 5:
		return op.Life{Kind: op.In, Ms: g.Int64N(1 << 40)}
	case 6:
		return op.Life{Kind: op.In, Ms: int64(g.Uint64()) >> g.IntN(64)}
	case 7:
		return op.Life{Kind: op.At, Ms: int64(g.Uint64()) >> g.IntN(64)}
	}
	return op.Life{Kind: op.In, Ms: g.Int64N(1<<(4+g.IntN(14))) / g.round * g.round}
}

func (g *generator) cond() op.Cond {
	if g.IntN(3) > 0 {
		return op.Cond{}
	}
	return op.Cond{Kind: op.CondKind(g.IntN(5)), Version: g.Uint64N(2000)}
}

func (g *generator) member() []byte { return fmt.Append(nil, "member", g.IntN(400)) }

func (g *generator) members() (ms [][]byte) {
	n := 3
	if g.IntN(8) == 0 {
		n = 250
	}
	for range g.IntN(n) + 1 {
		ms = append(ms, g.member())
	}
	return ms
}

func (g *generator) write() op.Write {
	if g.IntN(2) == 0 {
		return g.writeMore()
	}
	switch g.IntN(26) {
	case 0, 1, 2, 3, 4, 5, 6:
		return &op.Set{Key: g.key(), Value: g.value(), Flags: uint32(g.IntN(2) * 77), Life: g.life(), Cond: g.cond(), Get: g.IntN(4) == 0}
	case 7:
		o := &op.SetMany{IfNone: g.IntN(2) == 0}
		for _, k := range g.keysOf(4) {
			o.Pairs = append(o.Pairs, op.Pair{Key: k, Value: g.value()})
		}
		return o
	case 8, 9:
		return &op.Splice{Key: g.key(), Value: g.value(), Front: g.IntN(2) == 0, Create: g.IntN(2) == 0, Cond: g.cond()}
	case 10:
		return &op.SetRange{Key: g.key(), Offset: g.Int64N(300) - 5, Value: g.value()}
	case 11:
		return &op.Delete{Keys: g.keysOf(3), Cond: g.cond()}
	case 12:
		return &op.IncrBy{Key: g.key(), Delta: g.Int64N(100) - 50}
	case 13:
		return &op.Count{Key: g.key(), Delta: g.Uint64N(100), Down: g.IntN(2) == 0, Create: g.IntN(2) == 0, Initial: g.Uint64(), Life: g.life(), Cond: g.cond(), Renew: g.IntN(4) == 0}
	case 14, 15:
		return &op.Expire{Key: g.key(), Life: g.life(), Cond: op.ExpireCond(max(0, g.IntN(32)-16)), Fetch: g.IntN(2) == 0}
	case 16:
		if g.IntN(2) == 0 {
			return &op.Claim{Key: g.key(), Life: g.life(), Soon: g.life(), Create: g.IntN(2) == 0, Fresh: g.life()}
		}
		return &op.Outdate{Key: g.key(), Life: g.life(), Cond: g.cond()}
	case 17:
		return &op.Rename{From: g.key(), To: g.key(), IfAbsent: g.IntN(2) == 0, Copy: g.IntN(2) == 0}
	case 18, 19:
		o := &op.HashSet{Key: g.key(), IfAbsent: g.IntN(4) == 0}
		for _, m := range g.members() {
			o.Fields = append(o.Fields, op.Field{Name: m, Value: g.value()[:0:0]})
			o.Fields[len(o.Fields)-1].Value = fmt.Append(nil, g.IntN(1000))
		}
		return o
	case 20:
		return &op.HashDelete{Key: g.key(), Fields: g.members()}
	case 21:
		return &op.HashIncrBy{Key: g.key(), Field: g.member(), Delta: g.Int64N(10)}
	case 22:
		return &op.SetAdd{Key: g.key(), Members: g.members()}
	case 23:
		return &op.SetRemove{Key: g.key(), Members: g.members()}
	case 24:
		if g.IntN(20) > 0 {
			return &op.Evict{Victims: []op.Guard{{Key: g.key(), Version: g.Uint64N(3000)}}}
		}
		return &op.Flush{Space: testSpaces[g.IntN(len(testSpaces))], All: g.IntN(4) == 0, OnlyClass: g.IntN(2) == 0, Only: op.Class(g.IntN(4)), Life: g.life()}
	}
	tx := &op.Tx{}
	for range g.IntN(2) {
		tx.Guards = append(tx.Guards, op.Guard{Key: g.key()})
	}
	for range g.IntN(4) {
		if w := g.write(); w.Kind() != op.KindTx {
			tx.Add(w)
		}
		tx.Add(g.read())
	}
	return tx
}

func (g *generator) read() op.Read {
	if g.IntN(2) == 0 {
		return g.readMore()
	}
	switch g.IntN(12) {
	case 0:
		return &op.GetMany{Keys: g.keysOf(4)}
	case 1:
		return &op.Exists{Keys: g.keysOf(4)}
	case 2:
		return &op.Deadline{Key: g.key()}
	case 3:
		return &op.TypeOf{Key: g.key()}
	case 4:
		return &op.Length{Key: g.key(), Of: op.Type(g.IntN(5) + 1)}
	case 5:
		return &op.GetRange{Key: g.key(), Start: g.Int64N(40) - 20, End: g.Int64N(400) - 200}
	case 6:
		return &op.HashGet{Key: g.key(), Fields: g.members()}
	case 7:
		return &op.HashAll{Key: g.key(), Names: g.IntN(2) == 0, Values: g.IntN(2) == 0}
	case 8:
		return &op.SetHas{Key: g.key(), Members: g.members()}
	case 9:
		return &op.SetAll{Key: g.key()}
	case 10:
		return &op.Versions{Keys: g.keysOf(4)}
	}
	return &op.Get{Key: g.key()}
}

// pass lets a random time go by.
func (g *generator) pass(f *feeder) {
	switch g.IntN(40) {
	case 0:
		f.stamp += g.Int64N(10 * 3600 * 1000 * ms)
	case 1, 2:
		f.stamp += g.Int64N(100 * 1000 * ms)
	default:
		f.stamp += g.Int64N(200 * ms)
	}
	if g.round > 1 {
		f.stamp -= f.stamp % (g.round * ms)
		f.stamp = max(f.stamp, f.s.Stamp())
	}
	g.now = f.stamp / ms
}

// sameResult compares all but Mark, which is physical.
func sameResult(a, b op.Result) bool {
	if a.Status != b.Status || a.Found != b.Found || a.Flags != b.Flags || a.Int != b.Int || a.Uint != b.Uint || a.Version != b.Version ||
		a.Deadline != b.Deadline || !bytes.Equal(a.Value, b.Value) || len(a.List) != len(b.List) {
		return false
	}
	for i := range a.List {
		if !sameResult(a.List[i], b.List[i]) {
			return false
		}
	}
	return true
}

// verify checks what must always hold of the layout.
func verify(t *testing.T, s *State) {
	t.Helper()
	var m Memory
	used, timers, trees := uint64(0), 0, map[uint32]bool{}
	for sp := range op.Space(op.Spaces) {
		n := 0
		s.each(sp, func(r ref) {
			n++
			e := s.slab.at(r)
			if e.space() != sp || e.class() != s.classOf(e.name()) {
				t.Fatalf("%q: space %d or class %d is wrong", e.key(), e.space(), e.class())
			}
			if f := s.foundAt(r); f.spot.ref() != r {
				t.Fatalf("%q: not where it should be", e.key())
			}
			c := &m.Class[e.class()]
			c.Keys++
			c.Bytes += s.costOf(e)
			m.Used += s.costOf(e)
			m.Space[sp].Keys++
			if e.mortal() {
				m.Space[sp].Mortal++
				timers++
			}
			if r < firstHuge {
				used += uint64(slotSize(e.size()))
			}
			if tr := e.tree(); tr != 0 {
				if trees[tr] {
					t.Fatalf("%q: another key has its tree", e.key())
				}
				trees[tr] = true
				bytes := uint64(0)
				s.trees[tr].main().walk(0, func(el element) bool { bytes += el.cost(e.kind()); return true })
				if bytes != s.trees[tr].bytes {
					t.Fatalf("%q: a tree of %d bytes says %d", e.key(), bytes, s.trees[tr].bytes)
				}
			}
		})
		used += uint64(s.tables[sp].segments) * segmentSize
	}
	m.Budget, m.Expired, m.Evicted, m.Refused = s.memory.Budget, s.memory.Expired, s.memory.Evicted, s.memory.Refused
	if m != s.memory {
		t.Fatalf("the account is\n%+v, should be\n%+v", s.memory, m)
	}
	if used != s.slab.used {
		t.Fatalf("slots in use: %d bytes, should be %d", s.slab.used, used)
	}
	if n := s.wheel.listed + len(s.wheel.heap); n != timers {
		t.Fatalf("%d keys in the wheel, should be %d", n, timers)
	}
	for i, x := range s.wheel.heap {
		if e := s.slab.at(x.r); e.prev() != inHeap || int(e.next()) != i || e.deadline() != x.deadline {
			t.Fatalf("%q: wrong in the heap", e.key())
		}
	}
	if n := len(s.trees) - 1 - len(s.noTrees); n != len(trees) {
		t.Fatalf("%d trees, should be %d", n, len(trees))
	}
	free, spare := uint64(0), uint64(0)
	for i := range s.slab.classes {
		c := &s.slab.classes[i]
		spare += uint64(c.free) * uint64(c.size)
	}
	for u := range s.slab.pages {
		if s.slab.pages[u].free {
			free += unitSize << s.slab.pages[u].order
		}
	}
	if spare != s.slab.spare || free+spare+used > uint64(len(s.slab.chunks)-1)*chunkSize {
		t.Fatalf("spare %d, should be %d; pool %d, used %d", s.slab.spare, spare, free, used)
	}
}
