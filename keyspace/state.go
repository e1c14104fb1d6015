// Package keyspace is the state of a group: databases, values, deadlines, classes, the memory account, and who has applied what.
//
// It changes only through State.Apply, which sees an Entry and nothing else; so members that applied the same entries are equal, and
// Digest proves it. Read this file first, then items.go (how a write changes an item), layout.go (what an item is), table.go, wheel.go
// and slab.go (where items are), and one file for each type of value. What is physical (where things lie, Seed, Physical) is free to differ
// between members and must not show in any result, but for the order of Scan and RandomKey.
//
// The package may not touch a clock, randomness, the system, goroutines, sync, floats or the order of a map.
package keyspace

import (
	"math"
	"slices"

	"holdfast/op"
)

// State is the replicated state. It has no lock: Read may run with other Reads, everything else runs alone.
type State struct {
	// ReplyLimit bounds the bytes of the values that the results of one Tx show together; 0 is no limit, and a single value always goes. What is beyond it was carried out all the
	// same, and shown as TooLarge: so members with other limits have the same state.
	ReplyLimit int
	// Observer is told what Apply does; nil: nobody wants to know. It is no part of the state.
	Observer Observer

	head
	memory Memory

	// Where the keys are.
	secret  secret
	slab    slab
	tables  [op.Spaces]table
	wheel   wheel
	trees   []*tree // trees[0] is nil
	noTrees []uint32

	compacted uint64 // ops when compact last ran
	snap      *Snapshot
	load      *loading
	scratch
}

// head is what is replicated besides keys and their account.
type head struct {
	index   uint64
	stamp   int64
	now     int64 // stamp in whole Unix ms: what ends at or before it is dead
	ops     uint64
	sum     uint64
	level   uint32
	origins map[uint64]*origin
	flushes [op.Spaces + 1]schedule
	flushAt int64 // the earliest of them, Unix ms
	config  op.Configure
	notify  op.Notify
	ceiling [op.Classes]uint64 // what Used may be after a write of the class that grows
}

// scratch is memory that Apply uses again and again.
type scratch struct {
	dec    op.Decoder // of the batch
	inner  op.Decoder // of the transaction in it
	res    op.Result
	doing  op.Op     // the op that is carried out; nil for what the entry does by itself
	change op.Change // that is told
	blob   []byte    // a packed collection being edited
	pair   []byte    // an element of it
	elems  []element // of the op
}

// origin is how far the batches of one origin were applied.
type origin struct{ incarnation, seq uint64 }

// Times are Unix ns in stamps and Unix ms in deadlines.
const (
	ms    = 1_000_000     // ns
	never = math.MaxInt64 // a time that does not come
)

const (
	maxExpired  = 64      // dead keys that an entry removes
	maxScratch  = 1 << 20 // bytes, and results, that a Result may keep for the next one
	maxList     = 1 << 10
	compactEach = 8 // items that compaction may move for each key written, and for each entry
)

// New returns an empty state that takes its memory from alloc (which gives zeroed bytes; at least 8-byte aligned) and gives it back to
// release; nil for both means make. Blocks are of 2 MiB, or of a multiple of 4 KiB above 256 KiB for one large value.
func New(alloc func(n int) []byte, release func([]byte)) *State {
	s := &State{trees: make([]*tree, 1), head: head{level: 1}}
	s.origins = map[uint64]*origin{}
	s.slab.init(alloc, release)
	s.Seed(0)
	s.configured()
	s.scheduled()
	return s
}

// Seed makes the hash of keys depend on seed, which should be secret, and may differ between members. Only for an empty state.
func (s *State) Seed(seed uint64) { s.secret = newSecret(seed) }

// Stamp returns the newest stamp applied, Unix ns.
func (s *State) Stamp() int64 { return s.stamp }

// Ops counts the keys written since the beginning; versions are drawn from it.
func (s *State) Ops() uint64 { return s.ops }

// Index returns the index of the newest entry applied.
func (s *State) Index() uint64 { return s.index }

// Origin returns the incarnation of an origin and the number of its newest batch that was applied; zeros if it never said Hello.
func (s *State) Origin(id uint64) (incarnation, seq uint64) {
	if o := s.origins[id]; o != nil {
		return o.incarnation, o.seq
	}
	return 0, 0
}

// Config returns the settings in force. They are not to be changed, and valid until the next Apply.
func (s *State) Config() *op.Configure { return &s.config }

// Physical returns the bytes taken from alloc and not given back.
func (s *State) Physical() uint64 { return s.slab.taken }

// Due says whether a key or a scheduled flush has reached its deadline at present (Unix ns) and waits for an entry to remove it. It looks at
// each bucket of deadlines once, so it may be asked often. Not to run with anything but Reads.
func (s *State) Due(present int64) bool {
	p := present / ms
	return s.flushAt <= p || s.due(p)
}

// Results gets the result of each op of a batch, in order; r is valid only during the call.
type Results interface{ Result(r *op.Result) }

// Apply carries out e, telling to (which may be nil) the results of its ops. It panics when e is not of this state's log: an index or
// stamp that runs backwards, or ops that cannot be read.
func (s *State) Apply(e *Entry, to Results) Outcome {
	if e.Index <= s.index || e.Stamp < s.stamp {
		panic("keyspace: an entry with an older index or stamp than the state")
	}
	s.index, s.stamp, s.now = e.Index, e.Stamp, e.Stamp/ms
	s.compact(compactEach * int(1+s.ops-s.compacted)) // first, so that the last result stays valid until the next entry
	s.compacted = s.ops
	s.doing = nil
	s.flushScheduled()
	s.expire()
	out := s.carryOut(e, to)
	s.addUp(e)
	return out
}

func (s *State) carryOut(e *Entry, to Results) Outcome {
	switch e.Kind {
	case Hello:
		s.origins[e.Origin] = &origin{incarnation: e.Index}
	case Batch:
		o := s.origins[e.Origin]
		switch {
		case o == nil || o.incarnation != e.Incarnation:
			return Unknown
		case e.Seq <= o.seq:
			return Duplicate
		case e.Seq != o.seq+1:
			return Gap
		}
		o.seq = e.Seq
		s.batch(e.Ops, to)
	case Tick:
	case Raise:
		s.level = max(s.level, uint32(e.Seq))
	default:
		panic("keyspace: an entry of unknown kind")
	}
	return Applied
}

func (s *State) batch(b []byte, to Results) {
	for len(b) > 0 {
		o, rest, err := s.dec.Next(b)
		if err != nil {
			panic("keyspace: an entry whose ops cannot be read")
		}
		s.res.Reset()
		s.do(o, &s.res)
		if to != nil {
			to.Result(&s.res)
		}
		trim(&s.res)
		b = rest
	}
}

// trim lets go of memory that one unusual result took.
func trim(r *op.Result) {
	if cap(r.Scratch) > maxScratch {
		r.Scratch = nil
	}
	if cap(r.List) > maxList {
		r.List = nil
	}
	for i := range r.List {
		trim(&r.List[i])
	}
}

// expire removes dead keys, earliest deadline first, ties by key: 64 at most, so that no entry takes long.
func (s *State) expire() {
	for n := 0; n < maxExpired && s.due(s.now); n++ {
		f := s.foundAt(s.wheel.heap[0].r)
		s.end(&f, op.Expired)
		s.memory.Expired++
	}
}

// Candidate is a key that may be evicted.
type Candidate struct {
	op.Guard        // its key (a copy) and the version it stands at
	Mark     uint64 // of the key, as in op.Result
}

const candidateWork = 1024 // buckets that Candidates looks at in one call

// Candidates appends n keys of class c, or a few more, that may be evicted to into, from cursor on. It returns where to go on; 0 is both the beginning and the end.
// It may find none although there are some: it looks at a part of the table in each call.
func (s *State) Candidates(cursor uint64, n int, c op.Class, into []Candidate) (_ []Candidate, next uint64) {
	space, pos := op.Space(min(cursor>>cursorBits, op.Spaces)), positionOf(cursor&(1<<cursorBits-1))
	full := len(into) + n
	var room [2 * bucketSlots]ref
	for work := 0; space < op.Spaces; work++ {
		if work == candidateWork || len(into) >= full {
			return into, uint64(space)<<cursorBits + pos.cursor()
		}
		refs, more := s.tables[space].collect(s, &pos, room[:0])
		for _, r := range refs {
			if e := s.slab.at(r); e.class() == c && e.evictable() {
				k := op.Key{Space: space, Name: slices.Clone(e.key())}
				into = append(into, Candidate{op.Guard{Key: k, Version: e.version()}, s.hash(k)})
			}
		}
		if !more {
			space, pos = space+1, position{}
		}
	}
	return into, 0
}
