package keyspace

import "math/bits"

// ref names a slot of the slab in units of 16 bytes; 0 is none. From firstHuge on it numbers blocks of their own.
type ref uint32

const (
	granule         = 16
	chunkSize       = 2 << 20
	chunkShift      = 17 // from a ref to its chunk
	unitSize        = 64 << 10
	unitShift       = 12 // from a ref to its unit, the smallest page
	chunkUnits      = chunkSize / unitSize
	orders          = 6 // pages are unitSize << order
	maxSlot         = 256 << 10
	hugeRound       = 4 << 10
	sizeClasses     = 129
	firstHuge   ref = 0xF000_0000 // so that slots may take 60 GiB

	spareRatio = 14      // compaction begins when free slots take more than 1/14 of the used ones
	spareFloor = 2 << 20 // and more than that
)

type chunk [chunkSize]byte

// slab is pointer-free memory for items: chunks of 2 MiB, cut by a buddy allocator into pages of 64 KiB to 2 MiB,
// each cut into slots of one size class. What is larger than maxSlot has a block of its own.
type slab struct {
	alloc   func(n int) []byte
	release func([]byte)
	chunks  []*chunk // chunk 0 does not exist, so that no slot is ref 0
	pages   []page   // of every unit; the first of a page stands for it
	pool    [orders]uint32
	classes [sizeClasses]sizeClass
	blocks  []block
	vacant  []uint32 // numbers of blocks to be used again
	taken   uint64   // bytes got from alloc
	used    uint64   // bytes in used slots
	spare   uint64   // bytes in free slots
	victim  uint32   // page being evacuated
	next    int      // its next slot to look at
}

// page is a run of units with slots of one class, or a free one in the pool.
type page struct {
	order      uint8
	class      uint8
	free       bool   // in the pool
	used       uint16 // slots in use
	fresh      uint16 // slots from here on were never used
	vacant     uint16 // first free slot below fresh, plus one; they are chained through their first two bytes
	next, prev uint32 // neighbours in the list of the pool or of the class
}

type sizeClass struct {
	size    uint32
	order   uint8
	slots   uint16 // in a page
	partial uint32 // list of pages that have a free slot
	pages   uint32
	free    uint32 // free slots in all pages
}

// block is memory for one item larger than maxSlot. A pinned one outlives its item until it is unpinned.
type block struct {
	b               []byte
	pinned, dropped bool
}

// segmentClass is the class of slots for the hash table; their owners are not items and they stay where they are.
const segmentClass = 0

func (m *slab) init(alloc func(int) []byte, release func([]byte)) {
	if alloc == nil {
		alloc, release = func(n int) []byte { return make([]byte, n) }, func([]byte) {}
	}
	m.alloc, m.release = alloc, release
	m.chunks = make([]*chunk, 1)
	m.pages = make([]page, chunkUnits)
	for i := range m.classes {
		c := &m.classes[i]
		c.size = uint32(classSize(i))
		c.order = pageOrder(int(c.size))
		c.slots = uint16((unitSize << c.order) / int(c.size))
	}
}

// classOf gives the smallest class for n bytes: steps of 16 up to 1 KiB, then eight to a doubling.
func classOf(n int) int {
	if n <= 1024 {
		return (n + granule - 1) / granule
	}
	x := uint(n - 1)
	l := bits.Len(x)
	return 65 + (l-11)*8 + int(x>>(l-4))&7
}

func classSize(class int) int {
	switch {
	case class == segmentClass:
		return segmentSize
	case class <= 64:
		return class * granule
	}
	k := class - 65
	return (9 + k%8) << (7 + k/8)
}

// pageOrder picks the smallest page that holds 8 slots and wastes at most 1/32, or the one that wastes least.
func pageOrder(size int) uint8 {
	best, least := orders-1, chunkSize
	for o := 0; o < orders; o++ {
		n := unitSize << o
		if n/size < 8 {
			continue
		}
		waste := n % size
		if waste*32 <= n {
			return uint8(o)
		}
		if waste<<(orders-1-o) < least {
			best, least = o, waste<<(orders-1-o)
		}
	}
	return uint8(best)
}

// slotSize is what n bytes take in the slab.
func slotSize(n int) int {
	if n > maxSlot {
		return (n + hugeRound - 1) &^ (hugeRound - 1)
	}
	return classSize(classOf(n))
}

// sameSlot says whether b bytes fit exactly where a bytes are.
func sameSlot(a, b int) bool { return slotSize(a) == slotSize(b) }

// at returns the memory that begins at r; it reaches beyond r's slot.
func (m *slab) at(r ref) item {
	if r >= firstHuge {
		return m.blocks[r-firstHuge].b
	}
	return m.chunks[r>>chunkShift][(r&(1<<chunkShift-1))*granule:]
}

// take finds room for n bytes. What is in there is undefined.
func (m *slab) take(n int) ref {
	if n > maxSlot {
		return m.takeBlock(slotSize(n))
	}
	return m.takeSlot(classOf(n))
}

func (m *slab) takeBlock(n int) ref {
	b := m.alloc(n)
	m.taken += uint64(n)
	if l := len(m.vacant); l > 0 {
		i := m.vacant[l-1]
		m.vacant = m.vacant[:l-1]
		m.blocks[i] = block{b: b}
		return firstHuge + ref(i)
	}
	m.blocks = append(m.blocks, block{b: b})
	return firstHuge + ref(len(m.blocks)-1)
}

func (m *slab) takeSlot(class int) ref {
	c := &m.classes[class]
	if c.partial == 0 {
		m.newPage(class)
	}
	u := c.partial
	p := &m.pages[u]
	slot := uint32(p.fresh)
	if p.vacant != 0 {
		slot = uint32(p.vacant - 1)
		p.vacant = le.Uint16(m.at(slotRef(u, slot, c.size)))
	} else {
		p.fresh++
	}
	p.used++
	c.free--
	m.used += uint64(c.size)
	m.spare -= uint64(c.size)
	if p.used == c.slots {
		m.unlink(&c.partial, u)
	}
	return slotRef(u, slot, c.size)
}

func slotRef(unit, slot, size uint32) ref { return ref(unit<<unitShift + slot*(size/granule)) }

// drop gives back the slot or block at r.
func (m *slab) drop(r ref) {
	if r >= firstHuge {
		m.dropBlock(r)
		return
	}
	u := m.pageOf(r)
	p := &m.pages[u]
	c := &m.classes[p.class]
	slot := (uint32(r) - u<<unitShift) / (c.size / granule)
	b := m.at(r)
	b.setFree()
	le.PutUint16(b, p.vacant)
	p.vacant = uint16(slot + 1)
	if p.used == c.slots && u != m.victim {
		m.link(&c.partial, u)
	}
	p.used--
	c.free++
	m.used -= uint64(c.size)
	m.spare += uint64(c.size)
	if p.used == 0 {
		m.dropPage(u)
	}
}

func (m *slab) pageOf(r ref) uint32 {
	u := uint32(r >> unitShift)
	return u &^ (1<<m.pages[u].order - 1)
}

func (m *slab) dropBlock(r ref) {
	k := &m.blocks[r-firstHuge]
	if k.pinned {
		k.dropped = true
		return
	}
	m.taken -= uint64(len(k.b))
	m.release(k.b)
	*k = block{}
	m.vacant = append(m.vacant, uint32(r-firstHuge))
}

// pin keeps the block at r as it is until unpin, whatever becomes of its item.
func (m *slab) pin(r ref)         { m.blocks[r-firstHuge].pinned = true }
func (m *slab) pinned(r ref) bool { return r >= firstHuge && m.blocks[r-firstHuge].pinned }
func (m *slab) unpin(r ref) {
	k := &m.blocks[r-firstHuge]
	k.pinned = false
	if k.dropped {
		m.dropBlock(r)
	}
}

func (m *slab) newPage(class int) {
	c := &m.classes[class]
	u := m.takeUnits(c.order)
	for i := range uint32(1) << c.order {
		m.pages[u+i] = page{order: c.order}
	}
	m.pages[u].class = uint8(class)
	c.pages++
	c.free += uint32(c.slots)
	m.spare += uint64(c.slots) * uint64(c.size)
	m.link(&c.partial, u)
}

func (m *slab) dropPage(u uint32) {
	p := &m.pages[u]
	c := &m.classes[p.class]
	if u == m.victim {
		m.victim = 0
	} else {
		m.unlink(&c.partial, u)
	}
	c.pages--
	c.free -= uint32(c.slots)
	m.spare -= uint64(c.slots) * uint64(c.size)
	m.giveUnits(u, p.order)
}

// takeUnits takes a free page of the order out of the pool, splitting a larger one or getting a chunk if there is none.
func (m *slab) takeUnits(order uint8) uint32 {
	o := order
	for o < orders && m.pool[o] == 0 {
		o++
	}
	if o == orders {
		m.addChunk()
		o = orders - 1
	}
	u := m.pool[o]
	m.unlink(&m.pool[o], u)
	m.pages[u].free = false
	for ; o > order; o-- {
		m.pooled(u+1<<(o-1), o-1)
	}
	return u
}

// giveUnits puts a page into the pool, joined with its free neighbours.
func (m *slab) giveUnits(u uint32, order uint8) {
	for ; order < orders-1; order++ {
		buddy := u ^ 1<<order
		b := &m.pages[buddy]
		if !b.free || b.order != order {
			break
		}
		m.unlink(&m.pool[order], buddy)
		b.free = false
		u &= buddy
	}
	m.pooled(u, order)
}

func (m *slab) pooled(u uint32, order uint8) {
	m.pages[u] = page{order: order, free: true}
	m.link(&m.pool[order], u)
}

func (m *slab) addChunk() {
	n := uint32(len(m.chunks))
	if n >= uint32(firstHuge>>chunkShift) {
		panic("keyspace: more than 60 GiB of items, beyond MaxBudget")
	}
	m.chunks = append(m.chunks, (*chunk)(m.alloc(chunkSize)))
	m.taken += chunkSize
	m.pages = append(m.pages, make([]page, chunkUnits)...)
	m.pooled(n*chunkUnits, orders-1)
}

func (m *slab) link(list *uint32, u uint32) {
	p := &m.pages[u]
	p.prev, p.next = 0, *list
	if p.next != 0 {
		m.pages[p.next].prev = u
	}
	*list = u
}

func (m *slab) unlink(list *uint32, u uint32) {
	p := &m.pages[u]
	if p.next != 0 {
		m.pages[p.next].prev = p.prev
	}
	if p.prev != 0 {
		m.pages[p.prev].next = p.next
	} else {
		*list = p.next
	}
}

// wipe frees everything, keeping the chunks.
func (m *slab) wipe() {
	for i := range m.blocks {
		if k := &m.blocks[i]; k.b != nil {
			m.dropBlock(firstHuge + ref(i))
		}
	}
	m.blocks, m.vacant = nil, nil
	m.pool = [orders]uint32{}
	for i := range m.classes {
		c := &m.classes[i]
		c.partial, c.pages, c.free = 0, 0, 0
	}
	clear(m.pages)
	for n := 1; n < len(m.chunks); n++ {
		m.pooled(uint32(n)*chunkUnits, orders-1)
	}
	m.used, m.spare, m.victim = 0, 0, 0
}

// sparse says whether free slots take so much that evacuating pages is worth it.
func (m *slab) sparse() bool { return m.spare > m.used/spareRatio+spareFloor }

// pickVictim chooses a sparse page of the class with the most free memory. The class must have room for its items elsewhere.
func (m *slab) pickVictim() bool {
	best, most := 0, uint64(0)
	for i := 1; i < sizeClasses; i++ {
		c := &m.classes[i]
		if n := uint64(c.free) * uint64(c.size); n > most && c.free > uint32(c.slots) && c.pages > 1 {
			best, most = i, n
		}
	}
	if best == 0 {
		return false
	}
	c := &m.classes[best]
	victim := c.partial
	for u, n := c.partial, 0; u != 0 && n < 64; u, n = m.pages[u].next, n+1 {
		if m.pages[u].used < m.pages[victim].used {
			victim = u
		}
	}
	m.unlink(&c.partial, victim)
	m.victim, m.next = victim, 0
	return true
}
