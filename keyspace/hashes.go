package keyspace

import (
	"strconv"

	"holdfast/op"
)

func (s *State) hashSet(o *op.HashSet, res *op.Result) {
	f := s.at(o.Key)
	s.elems = s.elems[:0]
	for _, x := range o.Fields {
		s.elems = append(s.elems, element{name: x.Name, value: x.Value})
	}
	n, st := s.add(&f, op.Hash, s.elems, o.IfAbsent)
	res.Int, res.Status, res.Version = int64(n), st, f.version()
}

func (s *State) hashDelete(o *op.HashDelete, res *op.Result) {
	f := s.at(o.Key)
	n, st := s.takeOut(&f, op.Hash, o.Fields)
	res.Int, res.Status, res.Version = int64(n), st, f.version()
}

func (s *State) hashIncrBy(o *op.HashIncrBy, res *op.Result) {
	f := s.at(o.Key)
	old, ok := int64(0), true
	if f.e != nil {
		if f.kind() != op.Hash {
			res.Status = op.WrongType
			return
		}
		c := s.view(f.e)
		if el, had := c.get(o.Field); had {
			if old, ok = parseInt(el.value); !ok {
				res.Status = op.NotInteger
				return
			}
		}
	}
	sum, ok := addInt(old, o.Delta)
	if !ok {
		res.Status = op.Overflow
		return
	}
	res.Scratch = strconv.AppendInt(res.Scratch[:0], sum, 10)
	s.elems = append(s.elems[:0], element{name: o.Field, value: res.Scratch})
	if _, res.Status = s.add(&f, op.Hash, s.elems, false); res.Status == op.OK {
		res.Int, res.Version = sum, f.version()
	}
}

func (s *State) hashGet(o *op.HashGet, p int64, res *op.Result) (due bool) {
	c, due := s.collection(o.Key, op.Hash, p, res)
	if due || res.Status == op.WrongType {
		return due
	}
	res.Status = op.OK
	for _, name := range o.Fields {
		r := res.Next()
		if el, ok := c.get(name); ok {
			r.Value = el.value
		} else {
			r.Status = op.Missing
		}
	}
	return false
}

func (s *State) hashAll(o *op.HashAll, p int64, res *op.Result) (due bool) {
	c, due := s.collection(o.Key, op.Hash, p, res)
	if due || res.Status != op.OK {
		return due
	}
	c.each(func(el element) {
		if o.Names {
			res.Next().Value = el.name
		}
		if o.Values {
			res.Next().Value = el.value
		}
	})
	return false
}
