package keyspace

import (
	"bytes"

	"holdfast/op"
)

func (s *State) sortedAdd(o *op.SortedAdd, res *op.Result) {
	f := s.at(o.Key)
	if f.e != nil && f.kind() != op.Sorted {
		res.Status = op.WrongType
		return
	}
	s.elems = s.elems[:0]
	for _, m := range o.Members {
		s.elems = append(s.elems, element{name: m.Member, value: keep(res, zeroScore[:])})
	}
	if !s.roomFor(&f, s.elems, false) {
		res.Status = op.OutOfMemory
		return
	}
	c := s.beginEdit(&f, op.Sorted)
	changed := uint64(0)
	for i, m := range o.Members {
		el := s.elems[i]
		had, is := c.get(el.name)
		score, st := wanted(o, m.Score, &had, is)
		if o.Incr {
			res.Status, res.Uint = st, uint64(score)
		}
		if st != op.OK || is && score == had.score() {
			continue
		}
		op.AppendScore(el.value[:0], score)
		changed++
		if s.put(&c, el) {
			res.Int++
		}
	}
	if st := s.endEdit(&f, &c, changed > 0); st != op.OK {
		res.Status, res.Int, res.Uint = st, 0, 0
		return
	}
	if !o.Incr {
		res.Uint = changed
	}
	res.Version = f.version()
}

var zeroScore [8]byte

// wanted is the score that a member is to have, which has had if it is there; Failed if the condition keeps it as it is.
func wanted(o *op.SortedAdd, score op.Score, had *element, is bool) (op.Score, op.Status) {
	if is && o.Cond&op.SortedNX != 0 || !is && o.Cond&op.SortedXX != 0 {
		return 0, op.Failed
	}
	if !is {
		return score, op.OK
	}
	if o.Incr {
		var ok bool
		if score, ok = addScores(had.score(), score); !ok {
			return 0, op.Overflow
		}
	}
	if o.Cond&op.SortedGT != 0 && score <= had.score() || o.Cond&op.SortedLT != 0 && score >= had.score() {
		return 0, op.Failed
	}
	return score, op.OK
}

func (s *State) sortedRemove(o *op.SortedRemove, res *op.Result) {
	f := s.at(o.Key)
	n, st := s.takeOut(&f, op.Sorted, o.Members)
	res.Int, res.Status, res.Version = int64(n), st, f.version()
}

func (s *State) sortedCut(o *op.SortedCut, res *op.Result) {
	f := s.at(o.Key)
	if f.e == nil {
		return
	}
	if f.kind() != op.Sorted {
		res.Status = op.WrongType
		return
	}
	r := o.Range
	r.Reverse, r.Skip, r.Limit = false, 0, -1
	c := s.view(f.e)
	if i, j := c.part(&r); i < j {
		c = s.beginEdit(&f, op.Sorted)
		s.cutOut(&c, i, j)
		s.endEdit(&f, &c, true)
		res.Int = int64(j - i)
	}
	res.Version = f.version()
}

// part finds the places i up to j of the members in a range, counted from the lowest; it is empty if i is not below j. By score and lex, Skip and Limit are left to the caller.
func (c *collection) part(r *op.Range) (i, j int) {
	switch n := c.len(); r.By {
	case op.ByRank:
		a, b := span(r.Start, r.End, int64(n))
		if a >= b {
			return 0, 0
		}
		if i, j = int(a), int(b); r.Reverse {
			i, j = n-j, n-i
		}
	case op.ByScore:
		i = c.below(r.Min, nil)
		if j = n; r.Max < op.MaxScore {
			j = c.below(r.Max+1, nil)
		}
	case op.ByLex:
		if n == 0 {
			return 0, 0
		}
		// They have one score; where they do not, the outcome means nothing, here as in Redis.
		i, j = c.bound(&r.From, false), c.bound(&r.To, true)
	}
	return i, j
}

// bound counts the members before a bound; for the end of a range, those up to it.
func (c *collection) bound(b *op.Bound, end bool) int {
	switch b.Kind {
	case op.Lowest:
		return 0
	case op.Highest:
		return c.len()
	}
	with := end == (b.Kind == op.Including) // members equal to the bound count
	return c.firstPlace(func(el element) bool {
		x := bytes.Compare(el.name, b.Value)
		return x > 0 || x == 0 && !with
	})
}

// firstPlace finds the first place whose element is beyond something; what lies behind it is, too.
func (c *collection) firstPlace(beyond func(element) bool) int {
	lo, hi := 0, c.len()
	for lo < hi {
		if mid := (lo + hi) / 2; beyond(c.at(mid)) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

func (s *State) sortedPop(o *op.SortedPop, res *op.Result) {
	f := s.first(o.Keys, op.Sorted, res)
	if res.Status != op.OK {
		return
	}
	s.popAt(&f, res, o.Count, o.Max)
	res.Version = f.version()
}

func (s *State) sortedScore(o *op.SortedScore, p int64, res *op.Result) (due bool) {
	c, due := s.collection(o.Key, op.Sorted, p, res)
	if due || res.Status == op.WrongType {
		return due
	}
	for _, m := range o.Members {
		r := res.Next()
		if el, ok := c.get(m); ok {
			r.Uint = uint64(el.score())
		} else {
			r.Status = op.Missing
		}
	}
	return false
}

func (s *State) sortedRank(o *op.SortedRank, p int64, res *op.Result) (due bool) {
	c, due := s.collection(o.Key, op.Sorted, p, res)
	if due || res.Status != op.OK {
		return due
	}
	el, ok := c.get(o.Member)
	if !ok {
		res.Status = op.Missing
		return false
	}
	if res.Int = int64(c.below(el.score(), el.name)); o.Reverse {
		res.Int = int64(c.len()) - 1 - res.Int
	}
	return false
}

func (s *State) sortedRange(o *op.SortedRange, p int64, res *op.Result) (due bool) {
	c, due := s.collection(o.Key, op.Sorted, p, res)
	if due || res.Status != op.OK {
		return due
	}
	i, j := c.part(&o.Range)
	if i >= j {
		return false
	}
	skip, n := int64(0), int64(j-i)
	if o.Range.By != op.ByRank {
		skip = o.Range.Skip
		if skip < 0 || skip >= n {
			return false
		}
		if n -= skip; o.Range.Limit >= 0 {
			n = min(n, o.Range.Limit)
		}
	}
	if res.Int = n; o.Count || n == 0 {
		return false
	}
	res.Int = 0
	show := func(el element) bool {
		r := res.Next()
		r.Value, r.Uint = el.name, uint64(el.score())
		n--
		return n > 0
	}
	if o.Range.Reverse {
		c.back(j-1-int(skip), show)
	} else {
		c.walk(i+int(skip), show)
	}
	return false
}
