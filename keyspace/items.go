package keyspace

import "holdfast/op"

// found is a key that a write looks at, and what is there.
type found struct {
	key  op.Key
	hash uint64
	spot spot
	r    ref
	e    item // nil if the key is not there
}

func (f *found) kind() op.Type {
	if f.e == nil {
		return 0
	}
	return f.e.kind()
}

func (f *found) version() uint64 {
	if f.e == nil {
		return 0
	}
	return f.e.version()
}

// at looks up k for a write. A dead key is removed and not there.
func (s *State) at(k op.Key) found {
	f := found{key: k, hash: s.hash(k)}
	f.e, f.spot = s.tables[k.Space].find(&s.slab, f.hash, k.Name)
	if f.e == nil {
		return f
	}
	f.r = f.spot.ref()
	if f.e.mortal() && f.e.deadline() <= s.now {
		s.end(&f, op.Expired)
		s.memory.Expired++
	}
	return f
}

// foundAt is the key of item e at r.
func (s *State) foundAt(r ref) found {
	f := found{r: r, e: s.slab.at(r)}
	f.key = f.e.name()
	f.hash = s.hash(f.key)
	f.spot = s.tables[f.key.Space].locate(f.hash, r)
	return f
}

// write makes f an item of shape h with a new version and a value of n bytes, of which the first keep are what was there; the caller fills in
// the rest at once, from outside the item. An item with a tree has no other value.
func (s *State) write(f *found, h shape, n, keep int) []byte {
	if h.tree != 0 {
		n, keep = treeValue, 0
	}
	s.ops++
	if f.e == nil {
		s.create(f, h, n)
		s.tell(op.Created, f.key)
	} else {
		s.rewrite(f, h, n, keep)
		s.tell(op.Written, f.key)
	}
	v := f.e.value()
	if h.tree != 0 {
		le.PutUint32(v, h.tree)
	}
	s.charge(f.e)
	return v
}

func (s *State) create(f *found, h shape, n int) {
	k := f.key
	f.r = s.slab.take(h.size(len(k.Name), n))
	f.e = s.slab.at(f.r)
	f.e.setHead(h, s.ops, k.Space, s.classOf(k), len(k.Name), n)
	copy(f.e.key(), k.Name)
	s.tables[k.Space].insert(s, f.hash, f.r)
	if h.deadline != 0 {
		s.arm(f.r, f.e)
	}
}

func (s *State) rewrite(f *found, h shape, n, keep int) {
	s.preserve(f)
	s.discharge(f.e)
	old, was, keyLen := f.e, f.e.shape(), f.e.keyLen()
	if was.tree != 0 && was.tree != h.tree {
		s.dropTree(was.tree)
	}
	size := h.size(keyLen, n)
	moves := !sameSlot(old.size(), size) || s.slab.pinned(f.r)
	rearm := moves || was.deadline != h.deadline
	if rearm && was.deadline != 0 {
		s.disarm(old)
	}
	from, to := keyAt(old.bits()), keyAt(h.bits(keyLen))
	if moves {
		r := s.slab.take(size)
		f.e = s.slab.at(r)
		copy(f.e[to:], old[from:from+keyLen+keep])
		f.e.setHead(h, s.ops, old.space(), old.class(), keyLen, n)
		s.slab.drop(f.r)
		f.r = r
		f.spot.setRef(r)
	} else {
		if from != to {
			copy(f.e[to:], old[from:from+keyLen+keep])
		}
		f.e.setHead(h, s.ops, old.space(), old.class(), keyLen, n)
	}
	if rearm && h.deadline != 0 {
		s.arm(f.r, f.e)
	}
}

// remove takes f out of the state. Its key is not to be used any more if it came from the item.
func (s *State) remove(f *found) { s.end(f, op.Removed) }

// end is remove for the reason how.
func (s *State) end(f *found, how op.How) {
	s.tell(how, f.key)
	s.unlink(f)
}

// unlink is remove without a word.
func (s *State) unlink(f *found) {
	s.preserve(f)
	s.discharge(f.e)
	if f.e.mortal() {
		s.disarm(f.e)
	}
	if n := f.e.tree(); n != 0 {
		s.dropTree(n)
	}
	s.tables[f.e.space()].remove(f.spot, f.hash)
	s.slab.drop(f.r)
	f.e, f.r = nil, 0
}

// relocate moves the item at r to another slot of its class.
func (s *State) relocate(r ref) {
	f := s.foundAt(r)
	if f.e.mortal() {
		s.disarm(f.e)
	}
	size := f.e.size()
	to := s.slab.take(size)
	e := s.slab.at(to)
	copy(e, f.e[:size])
	f.spot.setRef(to)
	s.slab.drop(r)
	if e.mortal() {
		s.arm(to, e)
	}
}

// compactBytes is the size of an item from which on it counts as several in compact.
const compactBytes = 2 << 10

// compact evacuates sparse pages when free slots take too much, moving about n small items.
func (s *State) compact(n int) {
	m := &s.slab
	for n > 0 {
		if m.victim == 0 && (!m.sparse() || !m.pickVictim()) {
			return
		}
		c := &m.classes[m.pages[m.victim].class]
		r := slotRef(m.victim, uint32(m.next), c.size)
		m.next++
		if m.at(r).kind() != 0 {
			n -= 1 + int(c.size)/compactBytes
			s.relocate(r)
		}
	}
}
