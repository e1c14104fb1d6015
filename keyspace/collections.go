package keyspace

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/google/btree"

	"holdfast/op"
)

// A small hash or set is packed into its item's value in the order in which its elements came: a count of 2 bytes, then for each element
// its name and, in a hash, its value, each behind its length. One that outgrows these bounds becomes a tree ordered by name, and stays one.
const (
	maxPackedElements = 128
	maxPackedBytes    = 4 << 10
	packedHead        = 2
	treeDegree        = 32
)

// element is a field of a hash with its value, or a member of a set. Those in a tree own their memory and never change it.
type element struct{ name, value []byte }

func (el element) cost() uint64 { return uint64(len(el.name)+len(el.value)) + elementCost }

// tree is a large collection.
type tree struct {
	*btree.BTreeG[element]
	bytes uint64 // what the elements cost
}

func newTree() *tree {
	return &tree{BTreeG: btree.NewG(treeDegree, func(a, b element) bool { return bytes.Compare(a.name, b.name) < 0 })}
}

// clone copies t in constant time: the two share what neither has changed since.
func (t *tree) clone() *tree { return &tree{t.Clone(), t.bytes} }

// put adds a copy of el, replacing one of the same name.
func (t *tree) put(el element) (added bool) {
	own := make([]byte, 0, len(el.name)+len(el.value))
	own = append(append(own, el.name...), el.value...)
	n := len(el.name)
	old, had := t.ReplaceOrInsert(element{own[:n:n], own[n:]})
	if had {
		t.bytes -= old.cost()
	}
	t.bytes += el.cost()
	return !had
}

func (t *tree) take(name []byte) bool {
	old, had := t.Delete(element{name: name})
	if had {
		t.bytes -= old.cost()
	}
	return had
}

func (s *State) addTree(t *tree) uint32 {
	if l := len(s.noTrees); l > 0 {
		n := s.noTrees[l-1]
		s.noTrees = s.noTrees[:l-1]
		s.trees[n] = t
		return n
	}
	s.trees = append(s.trees, t)
	return uint32(len(s.trees) - 1)
}

func (s *State) dropTree(n uint32) {
	s.trees[n] = nil
	s.noTrees = append(s.noTrees, n)
}

// collection is a hash or set, either packed or a tree. The zero collection is empty.
type collection struct {
	pairs bool // a hash
	blob  []byte
	tree  *tree
}

// view gives the collection of e.
func (s *State) view(e item) collection {
	c := collection{pairs: e.kind() == op.Hash}
	if n := e.tree(); n != 0 {
		c.tree = s.trees[n]
	} else {
		c.blob = e.value()
	}
	return c
}

func (c *collection) len() int {
	switch {
	case c.tree != nil:
		return c.tree.Len()
	case len(c.blob) == 0:
		return 0
	}
	return int(le.Uint16(c.blob))
}

// packedNext takes the element in front of b apart. b is sound: it was packed here or checked by sound.
func packedNext(b []byte, pairs bool) (el element, rest []byte) {
	el.name, b = packedBytes(b)
	if pairs {
		el.value, b = packedBytes(b)
	}
	return el, b
}

func packedBytes(b []byte) (v, rest []byte) {
	n, w := binary.Uvarint(b)
	end := w + int(n)
	return b[w:end:end], b[end:]
}

func appendElement(b []byte, el element, pairs bool) []byte {
	b = append(binary.AppendUvarint(b, uint64(len(el.name))), el.name...)
	if pairs {
		b = append(binary.AppendUvarint(b, uint64(len(el.value))), el.value...)
	}
	return b
}

// locate finds name in the packed elements: el stands from i to j, which are 0 if it is not there.
func (c *collection) locate(name []byte) (el element, i, j int) {
	if len(c.blob) == 0 {
		return el, 0, 0
	}
	for b := c.blob[packedHead:]; len(b) > 0; {
		el, rest := packedNext(b, c.pairs)
		if bytes.Equal(el.name, name) {
			return el, len(c.blob) - len(b), len(c.blob) - len(rest)
		}
		b = rest
	}
	return element{}, 0, 0
}

func (c *collection) get(name []byte) (element, bool) {
	if c.tree != nil {
		return c.tree.Get(element{name: name})
	}
	el, _, j := c.locate(name)
	return el, j > 0
}

// each calls do for the elements in their order.
func (c *collection) each(do func(element)) {
	if c.tree != nil {
		c.tree.Ascend(func(el element) bool { do(el); return true })
		return
	}
	if len(c.blob) == 0 {
		return
	}
	for b := c.blob[packedHead:]; len(b) > 0; {
		var el element
		el, b = packedNext(b, c.pairs)
		do(el)
	}
}

// editable is a copy of what f holds that may be edited: packed in scratch memory, or the tree itself.
func (s *State) editable(f *found, kind op.Type) collection {
	c := collection{pairs: kind == op.Hash}
	s.blob = append(s.blob[:0], 0, 0)
	if f.e != nil {
		if n := f.e.tree(); n != 0 {
			c.tree = s.trees[n]
			return c
		}
		s.blob = append(s.blob[:0], f.e.value()...)
	}
	c.blob = s.blob
	return c
}

// put adds el or replaces its value, and turns c into a tree when it outgrows being packed.
func (s *State) put(c *collection, el element) (added bool) {
	if c.tree == nil && len(el.name)+len(el.value) > maxPackedBytes {
		c.grow()
	}
	if c.tree != nil {
		return c.tree.put(el)
	}
	_, i, j := c.locate(el.name)
	s.pair = appendElement(s.pair[:0], el, c.pairs)
	if j > 0 {
		c.blob = slices.Replace(c.blob, i, j, s.pair...)
	} else {
		c.blob = append(c.blob, s.pair...)
		le.PutUint16(c.blob, uint16(c.len()+1))
	}
	if c.len() > maxPackedElements || len(c.blob) > maxPackedBytes {
		c.grow()
	} else {
		s.blob = c.blob
	}
	return j == 0
}

// grow makes a tree of packed elements.
func (c *collection) grow() {
	t := newTree()
	c.each(func(el element) { t.put(el) })
	*c = collection{pairs: c.pairs, tree: t}
}

// add puts els into the collection of type kind at f and says how many are new. If fresh, those that are there stay as they are.
func (s *State) add(f *found, kind op.Type, els []element, fresh bool) (added int, st op.Status) {
	if f.e != nil && f.kind() != kind {
		return 0, op.WrongType
	}
	c := s.editable(f, kind)
	if c.tree != nil {
		return s.addToTree(f, c.tree, els, fresh)
	}
	changed := false
	for _, el := range els {
		if fresh {
			if _, had := c.get(el.name); had {
				continue
			}
		}
		changed = true
		if s.put(&c, el) {
			added++
		}
	}
	if !changed {
		return 0, op.OK
	}
	if st = s.storeCollection(f, kind, &c); st != op.OK {
		return 0, st
	}
	return added, op.OK
}

// storeCollection puts c, which was packed when it was made editable, at f.
func (s *State) storeCollection(f *found, kind op.Type, c *collection) op.Status {
	h, class, old, n := shape{kind: kind}, op.Class(0), uint64(0), len(c.blob)
	if f.e == nil {
		class = s.classOf(f.key)
	} else {
		h.flags, h.deadline = f.e.flags(), f.e.deadline()
		class, old = f.e.class(), s.costOf(f.e)
	}
	extra := uint64(0)
	if c.tree != nil {
		n, extra = treeValue, c.tree.bytes
	}
	if !s.admit(class, old, extra+cost(h.size(len(f.key.Name), n))) {
		return op.OutOfMemory
	}
	if c.tree != nil {
		h.tree = s.addTree(c.tree)
		s.write(f, h, n, 0)
	} else {
		copy(s.write(f, h, n, 0), c.blob)
	}
	return op.OK
}

func (s *State) addToTree(f *found, t *tree, els []element, fresh bool) (added int, st op.Status) {
	if !s.admitElements(f, t, els, fresh) {
		return 0, op.OutOfMemory
	}
	edit := s.beginEdit(f)
	for _, el := range els {
		if fresh && t.Has(el) {
			continue
		}
		edit = true
		if t.put(el) {
			added++
		}
	}
	s.endEdit(f, edit)
	return added, op.OK
}

// admitElements asks for the room that els need beyond what they replace.
func (s *State) admitElements(f *found, t *tree, els []element, fresh bool) bool {
	old, new := uint64(0), uint64(0)
	for _, el := range els {
		new += el.cost()
	}
	if s.memory.Used+new <= s.ceiling[f.e.class()] {
		return true
	}
	for _, el := range els {
		if had, ok := t.Get(el); ok && fresh {
			old += el.cost()
		} else if ok {
			old += had.cost()
		}
	}
	return s.admit(f.e.class(), old, new)
}

// beginEdit prepares f for changes to its tree; endEdit ends them, with a new version if there were any.
func (s *State) beginEdit(f *found) bool {
	s.preserve(f)
	s.discharge(f.e)
	return false
}

func (s *State) endEdit(f *found, changed bool) {
	if changed {
		s.ops++
		f.e.setVersion(s.ops)
	}
	s.charge(f.e)
}

// takeOut removes elements by name from f and says how many were there. A collection without elements is no more.
func (s *State) takeOut(f *found, kind op.Type, names [][]byte) (removed int, st op.Status) {
	if f.e == nil {
		return 0, op.OK
	}
	if f.kind() != kind {
		return 0, op.WrongType
	}
	c := s.editable(f, kind)
	if c.tree != nil {
		s.beginEdit(f)
		for _, name := range names {
			if c.tree.take(name) {
				removed++
			}
		}
		s.endEdit(f, removed > 0)
	} else {
		for _, name := range names {
			if _, i, j := c.locate(name); j > 0 {
				c.blob = slices.Delete(c.blob, i, j)
				le.PutUint16(c.blob, uint16(c.len()-1))
				removed++
			}
		}
	}
	switch {
	case c.len() == 0:
		s.remove(f)
	case removed > 0 && c.tree == nil:
		copy(s.write(f, f.e.shape(), len(c.blob), 0), c.blob)
	}
	return removed, op.OK
}
