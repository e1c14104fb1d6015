package keyspace

import (
	"bytes"

	"holdfast/op"
)

// at a list, one element after the other is pushed, popped and looked at; all of it works on both forms of a collection.

func (s *State) listPush(o *op.ListPush, res *op.Result) {
	f := s.at(o.Key)
	switch {
	case f.e == nil && o.IfPresent:
		res.Status = op.Missing
		return
	case f.e != nil && f.kind() != op.List:
		res.Status = op.WrongType
		return
	}
	s.elems = s.elems[:0]
	for _, v := range o.Values {
		s.elems = append(s.elems, element{name: v})
	}
	if !s.roomFor(&f, s.elems, false) {
		res.Status = op.OutOfMemory
		return
	}
	c := s.beginEdit(&f, op.List)
	for _, el := range s.elems {
		if o.Front {
			s.insert(&c, 0, el)
		} else {
			s.put(&c, el)
		}
	}
	n := c.len()
	if res.Status = s.endEdit(&f, &c, len(s.elems) > 0); res.Status == op.OK {
		res.Int, res.Version = int64(n), f.version()
	}
}

// first finds the first of the keys that is there; res says if there is none, or one of another type.
func (s *State) first(keys []op.Key, kind op.Type, res *op.Result) (f found) {
	for _, k := range keys {
		if f = s.at(k); f.e == nil {
			continue
		}
		if f.kind() != kind {
			res.Status = op.WrongType
			return f
		}
		res.Value = keep(res, k.Name)
		return f
	}
	res.Status = op.Missing
	return f
}

// keep copies v into the memory of res.
func keep(res *op.Result, v []byte) []byte {
	i := len(res.Scratch)
	res.Scratch = append(res.Scratch, v...)
	return res.Scratch[i:len(res.Scratch):len(res.Scratch)]
}

func (s *State) listPop(o *op.ListPop, res *op.Result) {
	f := s.first(o.Keys, op.List, res)
	if res.Status != op.OK {
		return
	}
	s.popAt(&f, res, o.Count, !o.Front)
	res.Version = f.version()
}

// popAt shows the first elements of f, or the last, and takes them out.
func (s *State) popAt(f *found, res *op.Result, count int64, last bool) {
	c := s.beginEdit(f, f.kind())
	n := max(min(count, int64(c.len())), 0)
	for range n {
		i := 0
		if last {
			i = c.len() - 1
		}
		el := c.at(i)
		r := res.Next()
		r.Value = keep(res, el.name)
		if c.kind == op.Sorted {
			r.Uint = uint64(el.score())
		}
		c.removeAt(i)
	}
	s.endEdit(f, &c, n > 0)
}

func (s *State) listMove(o *op.ListMove, res *op.Result) {
	from := s.at(o.From)
	if from.e == nil {
		res.Status = op.Missing
		return
	}
	to := s.at(o.To)
	if from.kind() != op.List || to.e != nil && to.kind() != op.List {
		res.Status = op.WrongType
		return
	}
	c := s.view(from.e)
	i := 0
	if !o.FromFront {
		i = c.len() - 1
	}
	el := element{name: keep(res, c.at(i).name)}
	s.elems = append(s.elems[:0], el)
	if from.r != to.r {
		// It is put in its new place first: if there is no room there, nothing has happened.
		if !s.roomFor(&to, s.elems, false) {
			res.Status = op.OutOfMemory
			return
		}
		if res.Status = s.pushOne(&to, el, o.Front); res.Status != op.OK {
			return
		}
		from = s.at(o.From) // the table may have changed
		c = s.beginEdit(&from, op.List)
		c.removeAt(i)
	} else {
		c = s.beginEdit(&from, op.List)
		c.removeAt(i)
		if o.Front {
			s.insert(&c, 0, el)
		} else {
			s.put(&c, el)
		}
	}
	s.endEdit(&from, &c, true)
	res.Value = el.name
}

func (s *State) pushOne(f *found, el element, front bool) op.Status {
	c := s.beginEdit(f, op.List)
	if front {
		s.insert(&c, 0, el)
	} else {
		s.put(&c, el)
	}
	return s.endEdit(f, &c, true)
}

// list finds the list that a write is about; res says when there is none.
func (s *State) list(k op.Key, res *op.Result) (f found) {
	f = s.at(k)
	if f.e == nil {
		res.Status = op.Missing
	} else if f.kind() != op.List {
		res.Status = op.WrongType
	}
	return f
}

func (s *State) listSet(o *op.ListSet, res *op.Result) {
	f := s.list(o.Key, res)
	if res.Status != op.OK {
		return
	}
	c := s.view(f.e)
	i, n := o.Index, int64(c.len())
	if i < 0 {
		i += n
	}
	if i < 0 || i >= n {
		res.Status = op.Failed
		return
	}
	el, old := element{name: o.Value}, c.at(int(i))
	if c.tree != nil && !s.admit(f.e.class(), old.cost(op.List), el.cost(op.List)) {
		res.Status = op.OutOfMemory
		return
	}
	c = s.beginEdit(&f, op.List)
	c.removeAt(int(i))
	s.insert(&c, int(i), el)
	res.Status = s.endEdit(&f, &c, true)
	res.Version = f.version()
}

func (s *State) listInsert(o *op.ListInsert, res *op.Result) {
	f := s.list(o.Key, res)
	if res.Status != op.OK {
		return
	}
	c := s.view(f.e)
	i, there := 0, false
	c.walk(0, func(el element) bool {
		if there = bytes.Equal(el.name, o.Pivot); !there {
			i++
		}
		return !there
	})
	if !there {
		res.Int = -1
		return
	}
	if o.Behind {
		i++
	}
	s.elems = append(s.elems[:0], element{name: o.Value})
	if !s.roomFor(&f, s.elems, false) {
		res.Status = op.OutOfMemory
		return
	}
	c = s.beginEdit(&f, op.List)
	s.insert(&c, i, s.elems[0])
	n := c.len()
	if res.Status = s.endEdit(&f, &c, true); res.Status == op.OK {
		res.Int, res.Version = int64(n), f.version()
	}
}

func (s *State) listRemove(o *op.ListRemove, res *op.Result) {
	f := s.list(o.Key, res)
	if res.Status != op.OK {
		return
	}
	c := s.view(f.e)
	most := o.Count
	if most < 0 {
		most = -max(most, -int64(c.len()))
	}
	var places []int
	i := 0
	look := func(el element) bool {
		if bytes.Equal(el.name, o.Value) {
			places = append(places, i)
		}
		i++
		return o.Count == 0 || int64(len(places)) < most
	}
	if n := c.len(); o.Count < 0 {
		c.back(n-1, look)
		for j := range places {
			places[j] = n - 1 - places[j]
		}
	} else {
		c.walk(0, look)
	}
	if len(places) > 0 {
		c = s.beginEdit(&f, op.List)
		for j, at := range places {
			if o.Count >= 0 {
				at -= j // those before it are gone
			}
			c.removeAt(at)
		}
		s.endEdit(&f, &c, true)
	}
	res.Int, res.Version = int64(len(places)), f.version()
}

func (s *State) listTrim(o *op.ListTrim, res *op.Result) {
	f := s.list(o.Key, res)
	if res.Status != op.OK {
		return
	}
	c := s.view(f.e)
	n := c.len()
	from, to := span(o.Start, o.End, int64(n))
	if from >= to {
		s.remove(&f)
		return
	}
	if int(to-from) < n {
		c = s.beginEdit(&f, op.List)
		s.cutOut(&c, int(to), n)
		s.cutOut(&c, 0, int(from))
		s.endEdit(&f, &c, true)
	}
	res.Version = f.version()
}

// cutOut removes the elements from place i up to j.
func (s *State) cutOut(c *collection, i, j int) {
	for ; i < j; j-- {
		c.removeAt(j - 1)
	}
}

func (s *State) listRange(o *op.ListRange, p int64, res *op.Result) (due bool) {
	c, due := s.collection(o.Key, op.List, p, res)
	if due || res.Status != op.OK {
		return due
	}
	i, j := span(o.Start, o.End, int64(c.len()))
	if i < j {
		c.walk(int(i), func(el element) bool {
			res.Next().Value = el.name
			i++
			return i < j
		})
	}
	return false
}

func (s *State) listFind(o *op.ListFind, p int64, res *op.Result) (due bool) {
	c, due := s.collection(o.Key, op.List, p, res)
	if due || res.Status != op.OK {
		return due
	}
	n := c.len()
	looked, skip := int64(0), o.Rank-1
	if o.Rank < 0 {
		skip = -(o.Rank + 1)
	}
	look := func(el element) bool {
		if bytes.Equal(el.name, o.Value) {
			if skip > 0 {
				skip--
			} else if r := res.Next(); o.Rank < 0 {
				r.Int = int64(n) - 1 - looked
			} else {
				r.Int = looked
			}
		}
		looked++
		return (o.Count <= 0 || int64(len(res.List)) < o.Count) && (o.Most <= 0 || looked < o.Most)
	}
	if o.Rank < 0 {
		c.back(n-1, look)
	} else {
		c.walk(0, look)
	}
	return false
}
