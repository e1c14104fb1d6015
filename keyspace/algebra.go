package keyspace

import "holdfast/op"

// combined calls do for each member of what comes of sets, in the order of the first that has it, until do returns false. A union keeps in mind which were there.
func combined(sets []collection, how op.Combination, do func(element) bool) {
	switch how {
	case op.Union:
		var seen sequence
		going := true
		for i := 0; i < len(sets) && going; i++ {
			sets[i].walk(0, func(el element) bool {
				el.key = byName(el.name).key
				at := seen.search(el)
				if at < seen.len() {
					if old := seen.at(at); !el.before(old) && string(old.name) == string(el.name) {
						return true
					}
				}
				seen.insert(at, el)
				going = do(el)
				return going
			})
		}
	case op.Intersection:
		least := 0
		for i := range sets {
			if sets[i].len() < sets[least].len() {
				least = i
			}
		}
		sets[least].walk(0, func(el element) bool {
			for i := range sets {
				if i != least && !sets[i].has(el.name) {
					return true
				}
			}
			return do(el)
		})
	case op.Difference:
		sets[0].walk(0, func(el element) bool {
			for i := range sets[1:] {
				if sets[1+i].has(el.name) {
					return true
				}
			}
			return do(el)
		})
	}
}

func (c *collection) has(name []byte) bool {
	_, ok := c.get(name)
	return ok
}

func (s *State) combine(o *op.Combine, p int64, res *op.Result) (due bool) {
	sets := make([]collection, len(o.Keys))
	wrong := false
	for i, k := range o.Keys {
		if sets[i], due = s.collection(k, op.Members, p, res); due {
			return true
		}
		wrong = wrong || res.Status == op.WrongType
		res.Status = op.OK
	}
	if wrong || len(sets) == 0 {
		res.Status = op.WrongType
		return false
	}
	combined(sets, o.How, func(el element) bool {
		if !o.Count {
			res.Next().Value = el.name
			return true
		}
		res.Int++
		return o.Limit <= 0 || res.Int < o.Limit
	})
	return false
}

func (s *State) setStore(o *op.SetStore, res *op.Result) {
	sets := make([]collection, len(o.Keys))
	for i, k := range o.Keys {
		if f := s.at(k); f.e != nil && f.kind() != op.Members {
			res.Status = op.WrongType
			return
		} else if f.e != nil {
			sets[i] = s.view(f.e)
		}
	}
	if len(sets) == 0 {
		res.Status = op.WrongType
		return
	}
	c := s.fresh(op.Members)
	combined(sets, o.How, func(el element) bool { s.put(&c, el); return true })
	to := s.at(o.To)
	s.replace(&to, &c, shape{kind: op.Members}, res)
}

// replace puts c in the place of f, whatever is there; nothing, if c is empty.
func (s *State) replace(f *found, c *collection, h shape, res *op.Result) {
	n := c.len()
	if n == 0 {
		if f.e != nil {
			s.remove(f)
		}
		return
	}
	if res.Status = s.storeCollection(f, h, c); res.Status == op.OK {
		res.Int, res.Version, res.Deadline = int64(n), f.version(), h.deadline
	}
}

func (s *State) setMove(o *op.SetMove, res *op.Result) {
	from := s.at(o.From)
	if from.e == nil {
		return
	}
	to := s.at(o.To)
	if from.kind() != op.Members || to.e != nil && to.kind() != op.Members {
		res.Status = op.WrongType
		return
	}
	c := s.view(from.e)
	if !c.has(o.Member) {
		return
	}
	if from.r == to.r {
		res.Int = 1
		return
	}
	s.elems = append(s.elems[:0], element{name: o.Member})
	if _, res.Status = s.add(&to, op.Members, s.elems, true); res.Status != op.OK {
		return
	}
	from = s.at(o.From) // the table may have changed
	s.takeOut(&from, op.Members, [][]byte{o.Member})
	res.Int = 1
}

// storeWhole puts a value made elsewhere in the place of a key.
func (s *State) storeWhole(o *op.Store, res *op.Result) {
	f := s.at(o.Key)
	if st, ok := meets(o.Cond, &f); !ok {
		res.Status = st
		return
	}
	if o.Of == op.String && len(o.Items) == 1 {
		if s.setString(&f, o.Items[0].Value, 0, o.Life, res); res.Status == op.OK {
			res.Int = int64(len(o.Items[0].Value))
		}
		return
	}
	old := int64(0)
	if f.e != nil {
		old = f.e.deadline()
	}
	d, alive := s.deadline(o.Life, old)
	c := s.fresh(o.Of)
	for _, x := range o.Items {
		if !alive {
			break
		}
		el := element{name: x.Name}
		if hasValues(o.Of) {
			el.value = x.Value
		}
		s.put(&c, el)
	}
	s.replace(&f, &c, shape{kind: o.Of, deadline: d}, res)
}
