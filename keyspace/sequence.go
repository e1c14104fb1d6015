package keyspace

import "slices"

// sequence is elements in an order: a tree whose nodes know how many elements lie below them, so that they are found by place; kept in order
// of key and name, also by that. A copy takes constant time: the two share the nodes that neither has changed since. The zero sequence is empty.
type sequence struct {
	root  *node
	owner *owner // of the nodes that this sequence may change; the others are copied first
}

// owner is a name. It is of some size, so that no two are the same.
type owner struct{ _ byte }

// node is a leaf with elements, or has nodes below it, all equally deep.
type node struct {
	owner *owner
	n     int // elements below
	leaf  []element
	kids  []*node
	ns    []int // how many elements are below each of kids: so that looking for a place touches no node beside its way
}

const (
	nodeMost  = 64 // elements or nodes below
	nodeLeast = nodeMost / 4
)

func (q *sequence) len() int {
	if q.root == nil {
		return 0
	}
	return q.root.n
}

// clone copies q.
func (q *sequence) clone() sequence {
	q.owner = nil
	return sequence{root: q.root}
}

// own returns n, or its copy if n is shared.
func (q *sequence) own(n *node) *node {
	if q.owner == nil {
		q.owner = new(owner)
	}
	if n.owner == q.owner {
		return n
	}
	c := &node{owner: q.owner, n: n.n}
	if n.kids != nil {
		c.kids = append(make([]*node, 0, nodeMost+1), n.kids...)
		c.ns = append(make([]int, 0, nodeMost+1), n.ns...)
	} else {
		c.leaf = append(make([]element, 0, min(2*len(n.leaf), nodeMost)+1), n.leaf...)
	}
	return c
}

// size is how many elements or nodes n itself has.
func (n *node) size() int { return len(n.leaf) + len(n.kids) }

// kidAt finds the node below n with place i, and the place in there. A place behind the last element is in the last node.
func (n *node) kidAt(i int) (k, at int) {
	for i >= n.ns[k] && k < len(n.ns)-1 {
		i -= n.ns[k]
		k++
	}
	return k, i
}

// at gives the element at place i, which is there.
func (q *sequence) at(i int) element {
	n := q.root
	for n.kids != nil {
		var k int
		k, i = n.kidAt(i)
		n = n.kids[k]
	}
	return n.leaf[i]
}

// set puts el into place i, which is there, and returns what was there.
func (q *sequence) set(i int, el element) (old element) {
	q.root = q.own(q.root)
	n := q.root
	for n.kids != nil {
		var k int
		k, i = n.kidAt(i)
		n.kids[k] = q.own(n.kids[k])
		n = n.kids[k]
	}
	old, n.leaf[i] = n.leaf[i], el
	return old
}

// insert puts el before place i.
func (q *sequence) insert(i int, el element) {
	if q.root == nil {
		q.root = &node{}
	}
	q.root = q.own(q.root)
	if right := q.insertBelow(q.root, i, el); right != nil {
		left := q.root
		q.root = &node{owner: q.owner, n: left.n + right.n, kids: append(make([]*node, 0, nodeMost+1), left, right), ns: append(make([]int, 0, nodeMost+1), left.n, right.n)}
	}
}

// insertBelow inserts below n, which is owned, and returns what was split off it.
func (q *sequence) insertBelow(n *node, i int, el element) (right *node) {
	n.n++
	if n.kids == nil {
		n.leaf = slices.Insert(n.leaf, i, el)
		if len(n.leaf) > nodeMost {
			return q.split(n, i)
		}
		return nil
	}
	k, at := n.kidAt(i)
	n.kids[k] = q.own(n.kids[k])
	n.ns[k]++
	if more := q.insertBelow(n.kids[k], at, el); more != nil {
		n.kids, n.ns = slices.Insert(n.kids, k+1, more), slices.Insert(n.ns, k+1, more.n)
		n.ns[k] -= more.n
		if len(n.kids) > nodeMost {
			return q.split(n, k+1)
		}
	}
	return nil
}

// split takes the second part of n off, which got something at i: the half, or as little as can be where it grows at an end, so that nodes
// filled from one end are full.
func (q *sequence) split(n *node, i int) *node {
	at := nodeMost / 2
	switch i {
	case 0:
		at = nodeLeast
	case n.size() - 1:
		at = nodeMost - nodeLeast
	}
	right := &node{owner: q.owner}
	if n.kids == nil {
		right.leaf = append(make([]element, 0, nodeMost+1), n.leaf[at:]...)
		clear(n.leaf[at:])
		n.leaf = n.leaf[:at]
		right.n = len(right.leaf)
	} else {
		right.kids = append(make([]*node, 0, nodeMost+1), n.kids[at:]...)
		right.ns = append(make([]int, 0, nodeMost+1), n.ns[at:]...)
		clear(n.kids[at:])
		n.kids, n.ns = n.kids[:at], n.ns[:at]
		for _, below := range right.ns {
			right.n += below
		}
	}
	n.n -= right.n
	return right
}

// remove takes the element at place i out and returns it.
func (q *sequence) remove(i int) element {
	q.root = q.own(q.root)
	el := q.removeBelow(q.root, i)
	for len(q.root.kids) == 1 {
		q.root = q.root.kids[0]
	}
	if q.root.n == 0 {
		q.root = nil
	}
	return el
}

func (q *sequence) removeBelow(n *node, i int) (el element) {
	n.n--
	if n.kids == nil {
		el = n.leaf[i]
		n.leaf = slices.Delete(n.leaf, i, i+1)
		return el
	}
	k, at := n.kidAt(i)
	n.kids[k] = q.own(n.kids[k])
	n.ns[k]--
	el = q.removeBelow(n.kids[k], at)
	if n.kids[k].size() < nodeLeast {
		q.join(n, k)
	}
	return el
}

// join puts node k below n together with a neighbour if they fit into one.
func (q *sequence) join(n *node, k int) {
	if n.ns[k] == 0 {
		n.kids, n.ns = slices.Delete(n.kids, k, k+1), slices.Delete(n.ns, k, k+1)
		return
	}
	if k == len(n.kids)-1 {
		k--
	}
	if k < 0 || n.kids[k].size()+n.kids[k+1].size() > nodeMost {
		return
	}
	n.kids[k] = q.own(n.kids[k])
	left, right := n.kids[k], n.kids[k+1]
	left.leaf = append(left.leaf, right.leaf...)
	left.kids, left.ns = append(left.kids, right.kids...), append(left.ns, right.ns...)
	left.n += right.n
	n.ns[k] = left.n
	n.kids, n.ns = slices.Delete(n.kids, k+1, k+2), slices.Delete(n.ns, k+1, k+2)
}

// walk calls do for the elements from place i on, until it returns false.
func (q *sequence) walk(i int, do func(element) bool) {
	if q.root != nil && i < q.root.n {
		q.root.walk(i, do)
	}
}

func (n *node) walk(i int, do func(element) bool) bool {
	if n.kids == nil {
		for _, el := range n.leaf[i:] {
			if !do(el) {
				return false
			}
		}
		return true
	}
	k, i := n.kidAt(i)
	for ; k < len(n.kids); k++ {
		if !n.kids[k].walk(i, do) {
			return false
		}
		i = 0
	}
	return true
}

// back calls do for the elements from place i on backwards, until it returns false.
func (q *sequence) back(i int, do func(element) bool) {
	if q.root != nil && i >= 0 {
		q.root.back(i, do)
	}
}

func (n *node) back(i int, do func(element) bool) bool {
	if n.kids == nil {
		for ; i >= 0; i-- {
			if !do(n.leaf[i]) {
				return false
			}
		}
		return true
	}
	k, i := n.kidAt(i)
	for {
		if !n.kids[k].back(i, do) {
			return false
		}
		if k--; k < 0 {
			return true
		}
		i = n.ns[k] - 1
	}
}

// search returns the place of the first element of an ordered sequence that is not before el.
func (q *sequence) search(el element) int {
	n, place := q.root, 0
	if n == nil {
		return 0
	}
	for n.kids != nil {
		// The last node whose first element is before el, or the first of all.
		lo, hi := 0, len(n.kids)
		for hi-lo > 1 {
			if mid := (lo + hi) / 2; n.kids[mid].first().before(el) {
				lo = mid
			} else {
				hi = mid
			}
		}
		for _, below := range n.ns[:lo] {
			place += below
		}
		n = n.kids[lo]
	}
	lo, hi := 0, len(n.leaf)
	for lo < hi {
		if mid := (lo + hi) / 2; n.leaf[mid].before(el) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return place + lo
}

func (n *node) first() *element {
	for n.kids != nil {
		n = n.kids[0]
	}
	return &n.leaf[0]
}
