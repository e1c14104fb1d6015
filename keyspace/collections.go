package keyspace

import (
	"bytes"
	"encoding/binary"
	"slices"

	"holdfast/op"
)

// A small collection is packed into its item's value: a count of 2 bytes, then for each element its name and, in a hash or a sorted set, its value, each behind its
// length. Elements of a list stand in its order, members of a sorted set by score and name, the others in the order in which they came. One that
// outgrows these bounds becomes a tree, and stays one; there the elements of a hash or a set stand by the hash of the name.
const (
	maxPackedElements = 128
	maxPackedBytes    = 4 << 10
	packedHead        = 2
)

// element is a field of a hash with its value, a member of a set, an element of a list, or a member of a sorted set with its score in 8 bytes. Those in
// a tree own their memory and never change it. The key is what comes before the name in an order, and means nothing outside sequences.
type element struct {
	key         uint64
	name, value []byte
}

func (el *element) before(other element) bool {
	return el.key < other.key || el.key == other.key && bytes.Compare(el.name, other.name) < 0
}

// score is that of a member of a sorted set.
func (el *element) score() op.Score { return op.ScoreIn(el.value) }

func (el element) cost(kind op.Type) uint64 {
	n := uint64(len(el.name)+len(el.value)) + elementCost
	if kind == op.Sorted {
		n += elementCost
	}
	return n
}

// tree is a large collection.
type tree struct {
	kind  op.Type
	found sequence  // by hash of the name; not of a list
	order sequence  // of a list and a sorted set
	bytes uint64    // what the elements cost
	in    *Snapshot // that has taken it as it is
}

func newTree(kind op.Type) *tree { return &tree{kind: kind} }

// main is the sequence in which the elements of t are shown.
func (t *tree) main() *sequence {
	if t.kind == op.List || t.kind == op.Sorted {
		return &t.order
	}
	return &t.found
}

func (t *tree) len() int { return t.main().len() }

// clone copies t in constant time.
func (t *tree) clone() *tree {
	return &tree{kind: t.kind, found: t.found.clone(), order: t.order.clone(), bytes: t.bytes}
}

// byName is the element of that name as it would stand in found. Its key is never 0.
func byName(name []byte) element { return element{key: plain.hash(0, name) | 1, name: name} }

// place finds the element of that name in found.
func (t *tree) place(name []byte) (i int, el element, had bool) {
	want := byName(name)
	if i = t.found.search(want); i < t.found.len() {
		el = t.found.at(i)
		had = el.key == want.key && bytes.Equal(el.name, name)
	}
	return i, el, had
}

func (t *tree) get(name []byte) (element, bool) {
	_, el, had := t.place(name)
	return el, had
}

// copied is a copy of el that owns its memory.
func (el element) copied() element {
	own := make([]byte, 0, len(el.name)+len(el.value))
	own = append(append(own, el.name...), el.value...)
	n := len(el.name)
	return element{el.key, own[:n:n], own[n:]}
}

// insert puts a copy of el before place i of a list.
func (t *tree) insert(i int, el element) {
	t.order.insert(i, el.copied())
	t.bytes += el.cost(t.kind)
}

// put adds a copy of el, replacing one of the same name. In a list there is nothing to be replaced: it comes last.
func (t *tree) put(el element) (added bool) {
	if t.kind == op.List {
		t.insert(t.order.len(), el)
		return true
	}
	i, old, had := t.place(el.name)
	el = el.copied()
	el.key = byName(el.name).key
	if had {
		t.bytes -= old.cost(t.kind)
		t.found.set(i, el)
	} else {
		t.found.insert(i, el)
	}
	t.bytes += el.cost(t.kind)
	if t.kind == op.Sorted {
		if had {
			old.key = uint64(old.score())
			t.order.remove(t.order.search(old))
		}
		el.key = uint64(el.score())
		t.order.insert(t.order.search(el), el)
	}
	return !had
}

// take removes the element of that name.
func (t *tree) take(name []byte) bool {
	i, old, had := t.place(name)
	if !had {
		return false
	}
	t.found.remove(i)
	t.bytes -= old.cost(t.kind)
	if t.kind == op.Sorted {
		old.key = uint64(old.score())
		t.order.remove(t.order.search(old))
	}
	return true
}

// removeAt removes the element at place i of the main sequence.
func (t *tree) removeAt(i int) element {
	el := t.main().remove(i)
	t.bytes -= el.cost(t.kind)
	if t.kind == op.Sorted {
		t.found.remove(t.found.search(byName(el.name)))
	}
	return el
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

// collection is what a key holds that is no string, either packed or a tree. One without either is empty.
type collection struct {
	kind op.Type
	blob []byte
	tree *tree
	live bool // the tree is in the state, and being edited
}

// hasValues says whether the elements of such a collection have values.
func hasValues(kind op.Type) bool { return kind == op.Hash || kind == op.Sorted }

// view gives the collection of e.
func (s *State) view(e item) collection {
	c := collection{kind: e.kind()}
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
		return c.tree.len()
	case len(c.blob) == 0:
		return 0
	}
	return int(le.Uint16(c.blob))
}

// packedNext takes the element in front of b apart. b is sound: it was packed here or checked by sound.
func packedNext(b []byte, kind op.Type) (el element, rest []byte) {
	el.name, b = packedBytes(b)
	if hasValues(kind) {
		el.value, b = packedBytes(b)
	}
	return el, b
}

func packedBytes(b []byte) (v, rest []byte) {
	n, w := binary.Uvarint(b)
	end := w + int(n)
	return b[w:end:end], b[end:]
}

func appendElement(b []byte, el element, kind op.Type) []byte {
	b = append(binary.AppendUvarint(b, uint64(len(el.name))), el.name...)
	if hasValues(kind) {
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
		el, rest := packedNext(b, c.kind)
		if bytes.Equal(el.name, name) {
			return el, len(c.blob) - len(b), len(c.blob) - len(rest)
		}
		b = rest
	}
	return element{}, 0, 0
}

func (c *collection) get(name []byte) (element, bool) {
	if c.tree != nil {
		return c.tree.get(name)
	}
	el, _, j := c.locate(name)
	return el, j > 0
}

// offset is where the packed element at place i begins.
func (c *collection) offset(i int) int {
	b := c.blob[packedHead:]
	for ; i > 0; i-- {
		_, b = packedNext(b, c.kind)
	}
	return len(c.blob) - len(b)
}

// walk calls do for the elements from place i on in their order, until it returns false.
func (c *collection) walk(i int, do func(element) bool) {
	if c.tree != nil {
		c.tree.main().walk(i, do)
		return
	}
	if i >= c.len() {
		return
	}
	for b := c.blob[c.offset(i):]; len(b) > 0; {
		var el element
		if el, b = packedNext(b, c.kind); !do(el) {
			return
		}
	}
}

// back calls do for the elements from place i on backwards, until it returns false.
func (c *collection) back(i int, do func(element) bool) {
	if c.tree != nil {
		c.tree.main().back(i, do)
		return
	}
	var room [maxPackedElements]element
	all := room[:0]
	c.walk(0, func(el element) bool { all = append(all, el); return len(all) <= i })
	for i = len(all) - 1; i >= 0; i-- {
		if !do(all[i]) {
			return
		}
	}
}

// at gives the element at place i, which is there.
func (c *collection) at(i int) (el element) {
	if c.tree != nil {
		return c.tree.main().at(i)
	}
	el, _ = packedNext(c.blob[c.offset(i):], c.kind)
	return el
}

// each calls do for the elements in their order.
func (c *collection) each(do func(element)) {
	c.walk(0, func(el element) bool { do(el); return true })
}

// below counts the members of a sorted set that come before a score and name.
func (c *collection) below(score op.Score, name []byte) (n int) {
	want := element{key: uint64(score), name: name}
	if c.tree != nil {
		return c.tree.order.search(want)
	}
	c.walk(0, func(el element) bool {
		el.key = uint64(el.score())
		if !el.before(want) {
			return false
		}
		n++
		return true
	})
	return n
}

// fresh is an empty collection to be edited, in scratch memory.
func (s *State) fresh(kind op.Type) collection {
	s.blob = append(s.blob[:0], 0, 0)
	return collection{kind: kind, blob: s.blob}
}

// editable is a copy of what f holds that may be edited: packed in scratch memory, or the tree itself.
func (s *State) editable(f *found, kind op.Type) collection {
	if f.e == nil {
		return s.fresh(kind)
	}
	c := s.view(f.e)
	if c.tree == nil {
		s.blob = append(s.blob[:0], c.blob...)
		c.blob = s.blob
	}
	return c
}

// put adds el or replaces its value, and turns c into a tree when it outgrows being packed. In a list it comes last.
func (s *State) put(c *collection, el element) (added bool) {
	if c.tree == nil && len(el.name)+len(el.value) > maxPackedBytes {
		c.grow()
	}
	if c.tree != nil {
		return c.tree.put(el)
	}
	i, j := 0, 0
	if c.kind != op.List {
		_, i, j = c.locate(el.name)
	}
	switch {
	case j == 0 && c.kind == op.Sorted:
		s.insert(c, c.below(el.score(), el.name), el)
	case j == 0:
		s.splicePacked(c, len(c.blob), len(c.blob), 1, el)
	case c.kind == op.Sorted:
		c.cut(i, j)
		s.insert(c, c.below(el.score(), el.name), el)
	default:
		s.splicePacked(c, i, j, 0, el)
	}
	return j == 0
}

// insert puts el before place i of a list, or of packed elements.
func (s *State) insert(c *collection, i int, el element) {
	if c.tree == nil && len(el.name)+len(el.value) > maxPackedBytes {
		c.grow()
	}
	if c.tree != nil {
		c.tree.insert(i, el)
		return
	}
	at := c.offset(i)
	s.splicePacked(c, at, at, 1, el)
}

// splicePacked puts el in the place of the packed bytes from i to j, which changes the number of elements by more.
func (s *State) splicePacked(c *collection, i, j, more int, el element) {
	s.pair = appendElement(s.pair[:0], el, c.kind)
	c.blob = slices.Replace(c.blob, i, j, s.pair...)
	le.PutUint16(c.blob, uint16(c.len()+more))
	s.blob = c.blob
	if c.len() > maxPackedElements || len(c.blob) > maxPackedBytes {
		c.grow()
	}
}

// cut takes the packed element from i to j out.
func (c *collection) cut(i, j int) {
	c.blob = slices.Delete(c.blob, i, j)
	le.PutUint16(c.blob, uint16(c.len()-1))
}

// removeAt takes the element at place i out.
func (c *collection) removeAt(i int) {
	if c.tree != nil {
		c.tree.removeAt(i)
		return
	}
	at := c.offset(i)
	_, rest := packedNext(c.blob[at:], c.kind)
	c.cut(at, len(c.blob)-len(rest))
}

// take removes the element of that name and says whether it was there.
func (c *collection) take(name []byte) bool {
	if c.tree != nil {
		return c.tree.take(name)
	}
	_, i, j := c.locate(name)
	if j > 0 {
		c.cut(i, j)
	}
	return j > 0
}

// grow makes a tree of packed elements.
func (c *collection) grow() {
	t := newTree(c.kind)
	c.each(func(el element) { t.put(el) })
	*c = collection{kind: c.kind, tree: t}
}

// add puts els into the collection of type kind at f and says how many are new. If fresh, those that are there stay as they are.
func (s *State) add(f *found, kind op.Type, els []element, fresh bool) (added int, st op.Status) {
	if f.e != nil && f.kind() != kind {
		return 0, op.WrongType
	}
	if !s.roomFor(f, els, fresh) {
		return 0, op.OutOfMemory
	}
	c, changed := s.beginEdit(f, kind), false
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
	if st = s.endEdit(f, &c, changed); st != op.OK {
		return 0, st
	}
	return added, op.OK
}

// roomFor asks for the room that els need beyond what they replace, if f has a tree: its edits cannot be taken back. Of what is packed, endEdit asks.
func (s *State) roomFor(f *found, els []element, fresh bool) bool {
	if f.e == nil || f.e.tree() == 0 {
		return true
	}
	t := s.trees[f.e.tree()]
	old, new := uint64(0), uint64(0)
	for _, el := range els {
		new += el.cost(t.kind)
	}
	if s.memory.Used+new <= s.ceiling[f.e.class()] {
		return true
	}
	for _, el := range els {
		if t.kind == op.List {
			break
		}
		if had, ok := t.get(el.name); ok && fresh {
			old += el.cost(t.kind)
		} else if ok {
			old += had.cost(t.kind)
		}
	}
	return s.admit(f.e.class(), old, new)
}

// beginEdit makes what f holds, which is of that type if it is there, ready to be edited; endEdit stores it.
func (s *State) beginEdit(f *found, kind op.Type) collection {
	c := s.editable(f, kind)
	if c.live = c.tree != nil; c.live {
		s.preserve(f)
		s.discharge(f.e)
	}
	return c
}

// endEdit stores an edited collection if it has changed. One without elements is no more.
func (s *State) endEdit(f *found, c *collection, changed bool) op.Status {
	if c.live {
		if changed {
			s.ops++
			f.e.setVersion(s.ops)
		}
		s.charge(f.e)
	}
	switch {
	case !changed:
	case c.len() == 0 && f.e != nil:
		s.remove(f)
	case c.live:
		s.tell(op.Written, f.key)
	case c.len() > 0 && !c.live:
		h := shape{kind: c.kind}
		if f.e != nil {
			h.flags, h.deadline = f.e.flags(), f.e.deadline()
		}
		return s.storeCollection(f, h, c)
	}
	return op.OK
}

// storeCollection puts c, which is packed or has a tree of its own, at f.
func (s *State) storeCollection(f *found, h shape, c *collection) op.Status {
	class, old, n := op.Class(0), uint64(0), len(c.blob)
	if f.e == nil {
		class = s.classOf(f.key)
	} else {
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

// takeOut removes elements by name from f and says how many were there.
func (s *State) takeOut(f *found, kind op.Type, names [][]byte) (removed int, st op.Status) {
	if f.e == nil {
		return 0, op.OK
	}
	if f.kind() != kind {
		return 0, op.WrongType
	}
	c := s.beginEdit(f, kind)
	for _, name := range names {
		if c.take(name) {
			removed++
		}
	}
	return removed, s.endEdit(f, &c, removed > 0)
}
