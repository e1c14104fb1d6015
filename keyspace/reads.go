package keyspace

import "holdfast/op"

// Read answers r as of present, the group's time in Unix ns, or as of the newest stamp if that is later. What res then refers to is valid until the
// next Apply. due says that a key that r needs has reached its deadline by present while no stamp there has been applied: res says nothing,
// an entry is needed first. Reads may run at the same time.
func (s *State) Read(r op.Read, present int64, res *op.Result) (due bool) {
	if g, ok := r.(*op.Get); ok {
		return s.get(g.Key, max(present, s.stamp)/ms, res)
	}
	res.Reset()
	if due = s.read(r, max(present, s.stamp), res); due {
		res.Reset()
	}
	return due
}

// read answers r. present is at or after the stamp.
func (s *State) read(r op.Read, present int64, res *op.Result) (due bool) {
	p := present / ms
	switch r := r.(type) {
	case *op.Get:
		return s.get(r.Key, p, res)
	case *op.GetMany:
		return s.getMany(r, p, res)
	case *op.Exists:
		return s.exists(r, p, res)
	case *op.Deadline:
		return s.readDeadline(r, present, res)
	case *op.TypeOf:
		return s.typeOf(r, p, res)
	case *op.Length:
		return s.length(r, p, res)
	case *op.GetRange:
		return s.getRange(r, p, res)
	case *op.HashGet:
		return s.hashGet(r, p, res)
	case *op.HashAll:
		return s.hashAll(r, p, res)
	case *op.SetHas:
		return s.setHas(r, p, res)
	case *op.SetAll:
		return s.setAll(r, p, res)
	case *op.ListRange:
		return s.listRange(r, p, res)
	case *op.ListFind:
		return s.listFind(r, p, res)
	case *op.SortedScore:
		return s.sortedScore(r, p, res)
	case *op.SortedRank:
		return s.sortedRank(r, p, res)
	case *op.SortedRange:
		return s.sortedRange(r, p, res)
	case *op.Combine:
		return s.combine(r, p, res)
	case *op.Sample:
		return s.sample(r, p, res)
	case *op.ScanIn:
		return s.scanIn(r, p, res)
	case *op.Describe:
		return s.describe(r, p, res)
	case *op.BitCount:
		return s.bitCount(r, p, res)
	case *op.BitFind:
		return s.bitFind(r, p, res)
	case *op.Versions:
		return s.versions(r, p, res)
	case *op.Dump:
		return s.dump(r, p, res)
	case *op.Scan:
		s.scan(r, p, res)
	case *op.Size:
		n := s.memory.Space[r.Space]
		res.Int, res.Uint = int64(n.Keys), n.Mortal
	case *op.RandomKey:
		s.randomKey(r, p, res)
	}
	return false
}

// look finds what is at k at the time p, in Unix ms; nil if nothing is, or it is dead. due as in Read.
func (s *State) look(k op.Key, h uint64, p int64) (e item, due bool) {
	if p >= s.flushAt {
		return nil, true
	}
	e, _ = s.tables[k.Space].find(&s.slab, h, k.Name)
	if e == nil || !e.mortal() {
		return e, false
	}
	if d := e.deadline(); d <= p {
		return nil, d > s.now
	}
	return e, false
}

// get is what most requests come to.
func (s *State) get(k op.Key, p int64, res *op.Result) (due bool) {
	return s.getHashed(k, s.hash(k), p, res)
}

// getHashed resets the fields that it may set or that a Get leaves zero, and keeps res's memory.
func (s *State) getHashed(k op.Key, h uint64, p int64, res *op.Result) (due bool) {
	*res = op.Result{List: res.List[:0], Scratch: res.Scratch[:0], Now: p}
	e, due := s.look(k, h, p)
	switch {
	case e == nil:
		res.Status = op.Missing
	case e.kind() != op.String:
		res.Status = op.WrongType
	default:
		res.Value, res.Flags, res.Version, res.Deadline, res.Recache = e.value(), e.flags(), e.version(), e.deadline(), e.recache()
		if e.evictable() {
			res.Mark = h
		}
	}
	return due
}

// getMany looks the keys up some at a time: first where each of them may be, then what is there. So the processor waits for the memory of
// all of them at once; one after the other, that wait is most of what a look-up costs.
func (s *State) getMany(r *op.GetMany, p int64, res *op.Result) (due bool) {
	var hashes [abreast]uint64
	var places [abreast]ref
	for keys := r.Keys; len(keys) > 0; keys = keys[min(abreast, len(keys)):] {
		some := keys[:min(abreast, len(keys))]
		for i, k := range some {
			hashes[i] = s.hash(k)
			places[i] = s.tables[k.Space].likely(hashes[i])
		}
		for i := range some {
			if places[i] != 0 {
				places[i] = s.slab.at(places[i]).touch()
			}
		}
		for i, k := range some {
			if s.getHashed(k, hashes[i], p, res.Next()) {
				return true
			}
		}
	}
	return false
}

// abreast is how many keys are looked up at a time.
const abreast = 16

// touch brings the beginning of an item near; the hardware itself fetches what follows. What it returns means nothing.
func (e item) touch() ref {
	const line = 64
	if len(e) < 4*line {
		return ref(e[0])
	}
	return ref(e[0]) + ref(e[line]) + ref(e[2*line]) + ref(e[3*line])
}

func (s *State) exists(r *op.Exists, p int64, res *op.Result) bool {
	for _, k := range r.Keys {
		e, due := s.look(k, s.hash(k), p)
		if due {
			return true
		}
		if e != nil {
			res.Int++
		}
	}
	return false
}

func (s *State) readDeadline(r *op.Deadline, present int64, res *op.Result) bool {
	e, due := s.look(r.Key, s.hash(r.Key), present/ms)
	if e == nil {
		res.Status = op.Missing
	} else if d := e.deadline(); d != 0 {
		res.Deadline, res.Int = d, d-(present+ms-1)/ms
	}
	return due
}

func (s *State) typeOf(r *op.TypeOf, p int64, res *op.Result) bool {
	e, due := s.look(r.Key, s.hash(r.Key), p)
	if e == nil {
		res.Status = op.Missing
	} else {
		res.Int = int64(e.kind())
	}
	return due
}

func (s *State) length(r *op.Length, p int64, res *op.Result) bool {
	e, due := s.look(r.Key, s.hash(r.Key), p)
	switch {
	case e == nil:
		res.Status = op.Missing
	case e.kind() != r.Of:
		res.Status = op.WrongType
	case r.Of == op.String:
		res.Int = int64(e.valueLen())
	default:
		c := s.view(e)
		res.Int = int64(c.len())
	}
	return due
}

func (s *State) getRange(r *op.GetRange, p int64, res *op.Result) bool {
	due := s.get(r.Key, p, res)
	n := int64(len(res.Value))
	if i, j := stringSpan(r.Start, r.End, n); i < j {
		res.Value = res.Value[i:j]
	} else {
		res.Value = nil
	}
	return due
}

// span turns the places start to end, both included and negative ones counted from the end, into the half-open range i to j of n elements. It is empty if i is not below j.
func span(start, end, n int64) (i, j int64) {
	if start < 0 {
		start = max(start+n, 0)
	}
	if end < 0 {
		end += n
	}
	return start, min(end, n-1) + 1
}

// stringSpan is span for strings, where Redis takes an end before the first place for the first, unless both are counted from the end the wrong way round.
func stringSpan(start, end, n int64) (i, j int64) {
	if start < 0 && start > end {
		return 0, 0
	}
	if end < 0 {
		end = max(end+n, 0)
	}
	return span(start, end, n)
}

// collection finds the hash or set at k; res tells when there is none.
func (s *State) collection(k op.Key, kind op.Type, p int64, res *op.Result) (c collection, due bool) {
	e, due := s.look(k, s.hash(k), p)
	switch {
	case e == nil:
		res.Status = op.Missing
	case e.kind() != kind:
		res.Status = op.WrongType
	default:
		c = s.view(e)
	}
	return c, due
}

func (s *State) versions(r *op.Versions, p int64, res *op.Result) bool {
	for _, k := range r.Keys {
		e, due := s.look(k, s.hash(k), p)
		if due {
			return true
		}
		x := res.Next()
		if e == nil {
			x.Status = op.Missing
		} else {
			x.Version = e.version()
		}
	}
	return false
}

func (s *State) dump(r *op.Dump, p int64, res *op.Result) bool {
	for _, k := range r.Keys {
		e, due := s.look(k, s.hash(k), p)
		if due {
			return true
		}
		x := res.Next()
		if e == nil {
			x.Status = op.Missing
			continue
		}
		i := len(res.Scratch)
		res.Scratch = s.appendRecord(res.Scratch, e)
		x.Version, x.Value = e.version(), res.Scratch[i:len(res.Scratch):len(res.Scratch)]
	}
	return false
}

const (
	scanLeast = 1 << 10 // buckets that a Scan looks at for a start, so that a small table takes one call however few keys it has
	scanCost  = 4       // further buckets for each key wanted, so that a call takes bounded time in a sparse table
	scanMost  = 1 << 32 // keys that a call can ask for
)

func (s *State) scan(r *op.Scan, p int64, res *op.Result) {
	t, pos := &s.tables[r.Space], positionOf(r.Cursor)
	var room [2 * bucketSlots]ref
	want := min(max(r.Count, 1), scanMost)
	for seen, looked := int64(0), int64(0); r.Count < 0 || seen < want && looked < scanLeast+want*scanCost; looked++ {
		refs, more := t.collect(s, &pos, room[:0])
		seen += int64(len(refs))
		for _, ref := range refs {
			e := s.slab.at(ref)
			if d := e.deadline(); d != 0 && d <= p || r.Of != 0 && e.kind() != r.Of {
				continue
			}
			if len(r.Match) == 0 || op.Match(r.Match, e.key()) {
				res.Next().Value = e.key()
			}
		}
		if !more {
			return
		}
	}
	res.Uint = pos.cursor()
}

// randomKey takes the first bucket that has a key from a place that the seed names.
func (s *State) randomKey(r *op.RandomKey, p int64, res *op.Result) {
	t := &s.tables[r.Space]
	pos := positionOf(fold(r.Seed^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93) >> (64 - cursorBits))
	if len(t.dir) > 0 {
		pos.prefix = t.start(pos.prefix)
	}
	var room [2 * bucketSlots]ref
	for turn := 0; turn < 2; {
		refs, more := t.collect(s, &pos, room[:0])
		for i := range refs {
			e := s.slab.at(refs[(i+int(r.Seed%bucketSlots))%len(refs)])
			if d := e.deadline(); d == 0 || d > p {
				res.Value = e.key()
				return
			}
		}
		if !more {
			turn, pos = turn+1, position{}
		}
	}
	res.Status = op.Missing
}
