package keyspace

import "holdfast/op"

func (s *State) claim(o *op.Claim, res *op.Result) {
	f := s.at(o.Key)
	switch {
	case f.e == nil && !o.Create:
		res.Status = op.Missing
		return
	case f.e == nil:
		s.createClaimed(&f, o.Fresh, res)
		return
	case f.kind() != op.String:
		res.Status = op.WrongType
		return
	}
	h := f.e.shape()
	res.Scratch = append(res.Scratch[:0], f.e.value()...)
	res.Value, res.Flags, res.Recache, res.Now = res.Scratch, h.flags, h.recache, s.now
	wanted := h.recache&op.Outdated != 0 || h.deadline != 0 && o.Soon.Kind >= op.In && h.deadline < s.when(o.Soon)
	if res.Found = wanted && h.recache&op.Claimed == 0; res.Found {
		h.recache |= op.Claimed
	}
	d, alive := s.deadline(o.Life, h.deadline)
	if !alive {
		res.Version, res.Deadline = f.version(), s.now
		s.remove(&f)
		return
	}
	if res.Found || d != h.deadline {
		h.deadline = d
		s.write(&f, h, f.e.valueLen(), f.e.valueLen())
	}
	res.Version, res.Deadline = f.version(), d
}

// createClaimed makes f an empty string that whoever asked for it is to replace.
func (s *State) createClaimed(f *found, l op.Life, res *op.Result) {
	d, alive := s.deadline(l, 0)
	if !alive {
		res.Found, res.Now, res.Deadline = true, s.now, s.now
		return
	}
	s.storeAs(f, shape{kind: op.String, deadline: d, recache: op.Claimed}, nil, res)
	res.Found, res.Now = res.Status == op.OK, s.now
}

func (s *State) outdate(o *op.Outdate, res *op.Result) {
	f := s.at(o.Key)
	if st, ok := meets(o.Cond, &f); !ok {
		res.Status = st
		return
	}
	switch {
	case f.e == nil:
		res.Status = op.Missing
		return
	case f.kind() != op.String:
		res.Status = op.WrongType
		return
	}
	h := f.e.shape()
	d, alive := s.deadline(o.Life, h.deadline)
	if !alive {
		s.remove(&f)
		s.ops++
		res.Version = s.ops
		return
	}
	h.deadline, h.recache = d, op.Outdated
	s.write(&f, h, f.e.valueLen(), f.e.valueLen())
	res.Version, res.Deadline = f.version(), d
}
