package keyspace

import "math/bits"

const (
	segmentSize  = 4096
	bucketSize   = 64
	buckets      = segmentSize / bucketSize
	bucketSlots  = 12
	segmentFull  = buckets * bucketSlots * 7 / 8 // entries at which a segment splits
	maxDepth     = 52
	cursorBits   = maxDepth + 6
	tagAt        = 48
	overAt       = 62
	reachAt      = 63
	overMany     = 255             // too many to be counted: reach stays until the segment splits
	depthAt      = 60              // in the first bucket
	countAt      = bucketSize + 60 // in the second
	lowAt        = 2*bucketSize + 60
	highAt       = 3*bucketSize + 60
	tagOnes      = 0x0101010101010101
	tagHighs     = 0x8080808080808080
	maxDirectory = 1 << 12 // directory entries to a segment, at most
)

// segment is a piece of the table: 64 buckets of a cache line, each with twelve refs (0 to 47), their tags (48 to 59), and how many
// entries at home here stand in a later bucket (62) and at most how far (63). An entry's home is the bucket named by the low bits
// of its hash. The first bucket also has the segment's depth, the second the number of entries, the next two the segment's own ref.
type segment [segmentSize]byte

// table finds the items of one space by extendible hashing: the high bits of the hash lead through the directory to a segment. It grows by
// splitting one segment at a time, and never looks at more than one segment for a key.
type table struct {
	dir      []*segment // 1 << depth of them, none in a table that was never used
	shift    uint8      // 64 - depth
	segments int
}

// spot is where in the table an entry stands.
type spot struct {
	g  *segment
	at int // offset of its ref in g
}

func (p spot) ref() ref     { return ref(le.Uint32(p.g[p.at:])) }
func (p spot) setRef(r ref) { le.PutUint32(p.g[p.at:], uint32(r)) }

func tagOf(h uint64) byte { return byte(h >> 6) }

func (t *table) segment(h uint64) *segment { return t.dir[h>>(t.shift&63)] }

func (g *segment) depth() uint8 { return g[depthAt] }
func (g *segment) count() int   { return int(le.Uint16(g[countAt:])) }
func (g *segment) addCount(n int) {
	le.PutUint16(g[countAt:], uint16(g.count()+n))
}

func (g *segment) self() ref { return ref(le.Uint16(g[lowAt:])) | ref(le.Uint16(g[highAt:]))<<16 }

// clear makes g an empty segment of the depth.
func (g *segment) clear(depth uint8) {
	r := g.self()
	*g = segment{}
	g.init(r, depth)
}

func (g *segment) init(r ref, depth uint8) {
	g[depthAt] = depth
	le.PutUint16(g[lowAt:], uint16(r))
	le.PutUint16(g[highAt:], uint16(r>>16))
}

// find looks key up.
func (t *table) find(m *slab, h uint64, key []byte) (item, spot) {
	if len(t.dir) == 0 {
		return nil, spot{}
	}
	g := t.segment(h)
	b := int(h%buckets) * bucketSize
	for far := int(g[b+reachAt]); ; far-- {
		lo, hi := g.match(b, tagOf(h))
		for lo != 0 || hi != 0 {
			var i int
			i, lo, hi = firstMatch(b, lo, hi)
			if r := ref(le.Uint32(g[i:])); r != 0 {
				if e := m.at(r); e.is(key) {
					return e, spot{g, i}
				}
			}
		}
		if far == 0 {
			return nil, spot{}
		}
		b = (b + bucketSize) % segmentSize
	}
}

// likely guesses where the entry of a key with hash h is: it may be another's, and it is 0 if it is not where it would first be looked for.
func (t *table) likely(h uint64) ref {
	if len(t.dir) == 0 {
		return 0
	}
	g := t.segment(h)
	b := int(h%buckets) * bucketSize
	lo, hi := g.match(b, tagOf(h))
	if lo|hi == 0 {
		return 0
	}
	i, _, _ := firstMatch(b, lo, hi)
	return ref(le.Uint32(g[i:]))
}

// match marks the high bit of each byte whose tag in bucket b may equal tag: eight in lo, four in hi.
func (g *segment) match(b int, tag byte) (lo, hi uint64) {
	line := g[b : b+bucketSize]
	want := uint64(tag) * tagOnes
	lo = le.Uint64(line[tagAt:]) ^ want
	hi = uint64(le.Uint32(line[tagAt+8:])) ^ want
	return (lo - tagOnes) &^ lo & tagHighs, (hi - tagOnes) &^ hi & (tagHighs >> 32)
}

// firstMatch gives the offset of the ref that the lowest mark stands for, and the marks without it.
func firstMatch(b int, lo, hi uint64) (at int, _, _ uint64) {
	if lo != 0 {
		return b + bits.TrailingZeros64(lo)/8*4, lo & (lo - 1), hi
	}
	return b + 32 + bits.TrailingZeros64(hi)/8*4, 0, hi & (hi - 1)
}

// locate finds the entry of r, whose key has hash h. It is there.
func (t *table) locate(h uint64, r ref) spot {
	g := t.segment(h)
	b := int(h%buckets) * bucketSize
	for far := int(g[b+reachAt]); far >= 0; far-- {
		for i := b; i < b+tagAt; i += 4 {
			if ref(le.Uint32(g[i:])) == r {
				return spot{g, i}
			}
		}
		b = (b + bucketSize) % segmentSize
	}
	panic("keyspace: an item that is not in the table")
}

// insert adds r, whose key has hash h and is not there.
func (t *table) insert(s *State, h uint64, r ref) {
	if len(t.dir) == 0 {
		g := t.newSegment(&s.slab, 0)
		t.dir, t.shift = []*segment{g, g}, 63
	}
	for {
		g := t.segment(h)
		n := g.count()
		if n < segmentFull {
			g.insert(h, r)
			return
		}
		if !t.split(s, h) {
			if n == buckets*bucketSlots {
				panic("keyspace: too many keys of one hash; State.Seed must be secret")
			}
			g.insert(h, r)
			return
		}
	}
}

// insert puts r into the first free place from its home on. There is one.
func (g *segment) insert(h uint64, r ref) {
	home := int(h%buckets) * bucketSize
	b := home
	for far := byte(0); ; far++ {
		for i := 0; i < bucketSlots; i++ {
			if le.Uint32(g[b+4*i:]) != 0 {
				continue
			}
			le.PutUint32(g[b+4*i:], uint32(r))
			g[b+tagAt+i] = tagOf(h)
			if far > 0 {
				if g[home+overAt] < overMany {
					g[home+overAt]++
				}
				g[home+reachAt] = max(g[home+reachAt], far)
			}
			g.addCount(1)
			return
		}
		b = (b + bucketSize) % segmentSize
	}
}

// remove takes the entry at p, of hash h, out.
func (t *table) remove(p spot, h uint64) {
	p.setRef(0)
	home := int(h%buckets) * bucketSize
	if over := &p.g[home+overAt]; p.at/bucketSize*bucketSize != home && *over < overMany {
		if *over--; *over == 0 {
			p.g[home+reachAt] = 0
		}
	}
	p.g.addCount(-1)
}

func (t *table) newSegment(m *slab, depth uint8) *segment {
	r := m.takeSlot(segmentClass)
	g := (*segment)(m.at(r))
	*g = segment{}
	g.init(r, depth)
	t.segments++
	return g
}

// split halves the segment of h by one more bit of the hash. It declines when that would blow the directory up, which only chosen keys bring about.
func (t *table) split(s *State, h uint64) bool {
	g := t.segment(h)
	d := g.depth()
	if d == 64-t.shift {
		if d == maxDepth || len(t.dir) >= maxDirectory*t.segments {
			return false
		}
		dir := make([]*segment, 2*len(t.dir))
		for i, g := range t.dir {
			dir[2*i], dir[2*i+1] = g, g
		}
		t.dir, t.shift = dir, t.shift-1
	}
	old := *g
	g.clear(d + 1)
	other := t.newSegment(&s.slab, d+1)
	span := 1 << (64 - t.shift - d)
	first := int(h>>t.shift) &^ (span - 1)
	for i := first + span/2; i < first+span; i++ {
		t.dir[i] = other
	}
	for b := 0; b < segmentSize; b += bucketSize {
		for i := b; i < b+tagAt; i += 4 {
			if r := ref(le.Uint32(old[i:])); r != 0 {
				kh := s.hash(s.slab.at(r).name())
				t.segment(kh).insert(kh, r)
			}
		}
	}
	return true
}

// reset empties the table and gives its memory back. Nothing is in it any more.
func (t *table) reset(m *slab) {
	for i := 0; i < len(t.dir); {
		g := t.dir[i]
		i += 1 << (64 - t.shift - g.depth())
		m.drop(g.self())
	}
	*t = table{}
}

// position is a place in the walk over a table: all keys at home in the segment of prefix, below bucket, are behind it, and so are those of
// segments with smaller prefixes. It stays true when segments split: some keys come twice then, none is left out.
type position struct {
	prefix uint64 // where the hashes of the segment begin
	bucket int
}

// cursor packs a position into cursorBits bits. The beginning is 0.
func (p position) cursor() uint64 { return p.prefix>>(64-maxDepth)*buckets + uint64(p.bucket) }

func positionOf(cursor uint64) position {
	return position{cursor / buckets << (64 - maxDepth), int(cursor % buckets)}
}

// start gives the smallest hash of the segment that h is in.
func (t *table) start(h uint64) uint64 {
	return h &^ (1<<(64-t.segment(h).depth()) - 1)
}

// collect appends the items at p to into and moves p on; more is false when p was at the end.
func (t *table) collect(s *State, p *position, into []ref) (_ []ref, more bool) {
	if len(t.dir) == 0 {
		return into, false
	}
	g := t.segment(p.prefix)
	if first := t.start(p.prefix); first != p.prefix {
		*p = position{prefix: first}
	}
	home := p.bucket
	b := home * bucketSize
	for far := int(g[b+reachAt]); far >= 0; far-- {
		for i := b; i < b+tagAt; i += 4 {
			r := ref(le.Uint32(g[i:]))
			if r != 0 && int(s.hash(s.slab.at(r).name())%buckets) == home {
				into = append(into, r)
			}
		}
		b = (b + bucketSize) % segmentSize
	}
	if p.bucket++; p.bucket == buckets {
		p.bucket = 0
		p.prefix += 1 << (64 - g.depth())
		return into, p.prefix != 0
	}
	return into, true
}
