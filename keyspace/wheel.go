package keyspace

import (
	"bytes"
	"math/bits"
)

const (
	tickShift     = 6 // a wheel bucket spans 64 ms
	wheelSize     = 1 << 18
	inHeap    ref = 1<<32 - 1 // as an item's prev: it stands in the heap, and next is where
)

// wheel keeps the items that have a deadline: those of bucket numbers (deadline >> tickShift) up to opened in a heap by deadline and
// key, the others in lists by bucket number modulo wheelSize, so that a list may also have items of later turns. The lists run through the items.
// How far it is opened and how lists are ordered is physical; which item is first is not.
type wheel struct {
	heads  []ref
	filled []uint64 // bit for each list that is not empty
	listed int      // items in lists
	opened int64
	heap   []timer
}

type timer struct {
	deadline int64
	r        ref
}

// arm puts item e at r, which has a deadline, into the wheel.
func (s *State) arm(r ref, e item) {
	w := &s.wheel
	d := e.deadline()
	if d>>tickShift <= w.opened {
		s.heapPush(timer{d, r})
		return
	}
	if w.heads == nil {
		w.heads, w.filled = make([]ref, wheelSize), make([]uint64, wheelSize/64)
	}
	i := d >> tickShift % wheelSize
	head := w.heads[i]
	e.setNext(head)
	e.setPrev(0)
	if head != 0 {
		s.slab.at(head).setPrev(r)
	}
	w.heads[i] = r
	w.filled[i/64] |= 1 << (i % 64)
	w.listed++
}

// disarm takes the item out of the wheel.
func (s *State) disarm(e item) {
	w := &s.wheel
	next, prev := e.next(), e.prev()
	if prev == inHeap {
		s.heapRemove(int(next))
		return
	}
	w.listed--
	if next != 0 {
		s.slab.at(next).setPrev(prev)
	}
	if prev != 0 {
		s.slab.at(prev).setNext(next)
		return
	}
	i := e.deadline() >> tickShift % wheelSize
	w.heads[i] = next
	if next == 0 {
		w.filled[i/64] &^= 1 << (i % 64)
	}
}

// due says whether the first deadline is at or before p, in Unix ms. It opens buckets as it needs, each once.
func (s *State) due(p int64) bool {
	w := &s.wheel
	for len(w.heap) == 0 && w.opened < p>>tickShift {
		s.open(p >> tickShift)
	}
	return len(w.heap) > 0 && w.heap[0].deadline <= p
}

// open moves the items of the next bucket up to number limit that has any into the heap. After a pause of more than a turn
// it moves all that are due at once: bucket by bucket it would visit those of later turns again and again.
func (s *State) open(limit int64) {
	w := &s.wheel
	switch {
	case w.listed == 0:
		w.opened = limit
	case limit-w.opened >= wheelSize:
		w.opened = limit
		for i := range int64(wheelSize) {
			if w.heads[i] != 0 {
				s.spill(i)
			}
		}
	default:
		w.opened = w.nextFilled(limit)
		s.spill(w.opened % wheelSize)
	}
}

// nextFilled returns the number of the first bucket after opened whose list is not empty, limit at most.
func (w *wheel) nextFilled(limit int64) int64 {
	for n := w.opened + 1; n < limit; {
		i := n % wheelSize
		if word := w.filled[i/64] >> (i % 64); word != 0 {
			return min(n+int64(bits.TrailingZeros64(word)), limit)
		}
		n += 64 - i%64
	}
	return limit
}

// spill moves the items of list i that belong to opened buckets into the heap.
func (s *State) spill(i int64) {
	w := &s.wheel
	for r := w.heads[i]; r != 0; {
		e := s.slab.at(r)
		next := e.next()
		if d := e.deadline(); d>>tickShift <= w.opened {
			s.disarm(e)
			s.heapPush(timer{d, r})
		}
		r = next
	}
}

// before orders timers by deadline, then space, then key.
func (s *State) before(a, b timer) bool {
	if a.deadline != b.deadline {
		return a.deadline < b.deadline
	}
	x, y := s.slab.at(a.r), s.slab.at(b.r)
	if x.space() != y.space() {
		return x.space() < y.space()
	}
	return bytes.Compare(x.key(), y.key()) < 0
}

func (s *State) heapPush(t timer) {
	w := &s.wheel
	w.heap = append(w.heap, t)
	s.heapUp(len(w.heap)-1, t)
}

func (s *State) heapSet(i int, t timer) {
	s.wheel.heap[i] = t
	e := s.slab.at(t.r)
	e.setNext(ref(i))
	e.setPrev(inHeap)
}

func (s *State) heapUp(i int, t timer) {
	h := s.wheel.heap
	for i > 0 {
		up := (i - 1) / 2
		if !s.before(t, h[up]) {
			break
		}
		s.heapSet(i, h[up])
		i = up
	}
	s.heapSet(i, t)
}

func (s *State) heapDown(i int, t timer) {
	h := s.wheel.heap
	for {
		down := 2*i + 1
		if down >= len(h) {
			break
		}
		if down+1 < len(h) && s.before(h[down+1], h[down]) {
			down++
		}
		if !s.before(h[down], t) {
			break
		}
		s.heapSet(i, h[down])
		i = down
	}
	s.heapSet(i, t)
}

func (s *State) heapRemove(i int) {
	w := &s.wheel
	last := len(w.heap) - 1
	t := w.heap[last]
	w.heap = w.heap[:last]
	if i == last {
		return
	}
	if i > 0 && s.before(t, w.heap[(i-1)/2]) {
		s.heapUp(i, t)
	} else {
		s.heapDown(i, t)
	}
}
