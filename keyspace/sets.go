package keyspace

import "holdfast/op"

func (s *State) setAdd(o *op.SetAdd, res *op.Result) {
	f := s.at(o.Key)
	s.elems = s.elems[:0]
	for _, m := range o.Members {
		s.elems = append(s.elems, element{name: m})
	}
	n, st := s.add(&f, op.Members, s.elems, true)
	res.Int, res.Status, res.Version = int64(n), st, f.version()
}

func (s *State) setRemove(o *op.SetRemove, res *op.Result) {
	f := s.at(o.Key)
	n, st := s.takeOut(&f, op.Members, o.Members)
	res.Int, res.Status, res.Version = int64(n), st, f.version()
}

func (s *State) setHas(o *op.SetHas, p int64, res *op.Result) (due bool) {
	c, due := s.collection(o.Key, op.Members, p, res)
	if due || res.Status == op.WrongType {
		return due
	}
	res.Status = op.OK
	for _, m := range o.Members {
		r := res.Next()
		if _, ok := c.get(m); !ok {
			r.Status = op.Missing
		}
	}
	return false
}

func (s *State) setAll(o *op.SetAll, p int64, res *op.Result) (due bool) {
	c, due := s.collection(o.Key, op.Members, p, res)
	if due || res.Status != op.OK {
		return due
	}
	c.each(func(el element) { res.Next().Value = el.name })
	return false
}
