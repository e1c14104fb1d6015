package keyspace

import "holdfast/op"

// dice gives numbers that follow from a seed.
type dice uint64

func (d *dice) next() uint64 {
	*d += 0x9e3779b97f4a7c15
	return fold(uint64(*d)^0xd6e8feb86659fd93, 0xa0761d6478bd642f)
}

// below gives a number from 0 up to n; the numbers are as likely as a n in 2^64 allows.
func (d *dice) below(n int) int { return int(d.next() % uint64(n)) }

// pick gives k different places of n, any such set as likely as any other (Floyd's way).
func (d *dice) pick(k, n int) []int {
	places := make([]int, 0, k)
	taken := make(map[int]bool, k)
	for last := n - k; last < n; last++ {
		at := d.below(last + 1)
		if taken[at] {
			at = last
		}
		taken[at] = true
		places = append(places, at)
	}
	return places
}

// maxSample bounds the elements that one Sample shows, where they may come several times.
const maxSample = 1 << 20

func (s *State) sample(o *op.Sample, p int64, res *op.Result) (due bool) {
	c, due := s.collection(o.Key, o.Of, p, res)
	if due || res.Status != op.OK {
		return due
	}
	if o.Of == op.String || o.Of == op.List {
		res.Status = op.WrongType
		return false
	}
	n, d := c.len(), dice(o.Seed)
	show := func(el element) { s.showElement(el, &c, o.Values, res) }
	switch {
	case o.Count < 0:
		for range min(uint64(-o.Count), maxSample) {
			show(c.at(d.below(n)))
		}
	case o.Count >= int64(n):
		c.each(show)
	default:
		for _, at := range d.pick(int(o.Count), n) {
			show(c.at(at))
		}
	}
	return false
}

// showElement appends an element to a List, with what belongs to it.
func (s *State) showElement(el element, c *collection, values bool, res *op.Result) {
	r := res.Next()
	r.Value = el.name
	switch {
	case c.kind == op.Sorted:
		r.Uint = uint64(el.score())
	case c.kind == op.Hash && values:
		res.Next().Value = el.value
	}
}

func (s *State) setPop(o *op.SetPop, res *op.Result) {
	f := s.at(o.Key)
	if f.e == nil {
		res.Status = op.Missing
		return
	}
	if f.kind() != op.Members {
		res.Status = op.WrongType
		return
	}
	c, d := s.view(f.e), dice(o.Seed)
	if o.Count >= int64(c.len()) {
		c.each(func(el element) { res.Next().Value = keep(res, el.name) })
		s.remove(&f)
		return
	}
	if o.Count <= 0 {
		res.Version = f.version()
		return
	}
	for _, at := range d.pick(int(o.Count), c.len()) {
		el := c.at(at)
		res.Next().Value = keep(res, el.name)
	}
	c = s.beginEdit(&f, op.Members)
	for i := range res.List {
		c.take(res.List[i].Value)
	}
	s.endEdit(&f, &c, true)
	res.Version = f.version()
}

// scanIn walks by the hash of the names, which the cursor is: an element that comes or goes moves no other one. All of one hash come in one call.
func (s *State) scanIn(o *op.ScanIn, p int64, res *op.Result) (due bool) {
	c, due := s.collection(o.Key, o.Of, p, res)
	if due || res.Status != op.OK {
		return due
	}
	show := func(el element) {
		if len(o.Match) == 0 || op.Match(o.Match, el.name) {
			s.showElement(el, &c, true, res)
		}
	}
	if o.Of == op.String || o.Of == op.List {
		res.Status = op.WrongType
		return false
	}
	if c.tree == nil {
		c.each(show)
		return false
	}
	seen, last := int64(0), uint64(0)
	c.tree.found.walk(c.tree.found.search(element{key: o.Cursor}), func(el element) bool {
		if seen >= max(o.Count, 1) && el.key != last {
			res.Uint = el.key
			return false
		}
		seen, last = seen+1, el.key
		show(el)
		return true
	})
	return false
}

// maxDescribed is how many elements a collection may have for Describe to look at each of them.
const maxDescribed = 1 << 10

func (s *State) describe(o *op.Describe, p int64, res *op.Result) (due bool) {
	e, due := s.look(o.Key, s.hash(o.Key), p)
	if e == nil {
		res.Status = op.Missing
		return due
	}
	res.Int = int64(e.kind())
	n, longest, integers := e.valueLen(), 0, true
	if e.kind() == op.String {
		_, integers = parseInt(e.value())
		longest = n
	} else if c := s.view(e); c.len() > maxDescribed {
		n, integers = c.len(), false
	} else {
		n = c.len()
		c.each(func(el element) {
			_, is := parseInt(el.name)
			integers = integers && is
			longest = max(longest, len(el.name))
			if e.kind() == op.Hash {
				longest = max(longest, len(el.value))
			}
		})
	}
	res.Found, res.Version, res.Deadline = integers, e.version(), e.deadline()
	for _, v := range []int{n, longest, int(s.costOf(e))} {
		res.Next().Int = int64(v)
	}
	return due
}
