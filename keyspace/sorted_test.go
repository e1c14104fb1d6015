package keyspace

import (
	"bytes"
	"math"
	"slices"

	"holdfast/op"
)

func (m *model) doSorted(o op.Op, r *op.Result) {
	switch o := o.(type) {
	case *op.SortedAdd:
		m.sortedAdd(o, r)
	case *op.SortedRemove:
		m.takeOut(o.Key, op.Sorted, o.Members, r)
	case *op.SortedCut:
		x := m.holds(o.Key, op.Sorted, true, r)
		if x == nil {
			r.Status = op.OK
			return
		}
		if r.Status != op.OK {
			return
		}
		rg := o.Range
		rg.Reverse, rg.Skip, rg.Limit = false, 0, -1
		gone := m.part(x, &rg)
		r.Int = int64(len(gone))
		if r.Version = x.version; len(gone) > 0 {
			left := slices.DeleteFunc(slices.Clone(x.elems), func(a element) bool {
				return slices.ContainsFunc(gone, func(b element) bool { return bytes.Equal(a.name, b.name) })
			})
			r.Version = 0
			m.cut(x, left, r)
		}
	case *op.SortedPop:
		if x := m.firstOf(o.Keys, op.Sorted, r); r.Status == op.OK {
			m.pop(x, o.Count, o.Max, r)
		}
	case *op.SortedScore:
		x := m.holds(o.Key, op.Sorted, false, r)
		if r.Status == op.WrongType {
			return
		}
		for _, name := range o.Members {
			p := op.Result{Status: op.Missing}
			if x != nil {
				if i := slices.IndexFunc(x.elems, func(a element) bool { return bytes.Equal(a.name, name) }); i >= 0 {
					p = op.Result{Uint: uint64(x.elems[i].score())}
				}
			}
			r.List = append(r.List, p)
		}
	case *op.SortedRank:
		x := m.holds(o.Key, op.Sorted, false, r)
		if r.Status != op.OK {
			return
		}
		i := slices.IndexFunc(x.elems, func(a element) bool { return bytes.Equal(a.name, o.Member) })
		if i < 0 {
			r.Status = op.Missing
		} else if r.Int = int64(i); o.Reverse {
			r.Int = int64(len(x.elems) - 1 - i)
		}
	case *op.SortedRange:
		x := m.holds(o.Key, op.Sorted, false, r)
		if r.Status != op.OK {
			return
		}
		els := m.part(x, &o.Range)
		if o.Count {
			r.Int = int64(len(els))
			return
		}
		for _, el := range els {
			r.List = append(r.List, op.Result{Value: el.name, Uint: uint64(el.score())})
		}
	}
}

// part picks the members of a range one by one; of one by lex over several scores, as a search by halves meets them.
func (m *model) part(x *thing, rg *op.Range) (els []element) {
	c := collection{kind: op.Sorted, blob: x.packed()}
	le.PutUint16(c.blob, uint16(len(x.elems)))
	if x.large {
		c.tree = newTree(op.Sorted)
		for _, el := range x.elems {
			c.tree.put(el)
		}
	}
	all := slices.Clone(x.elems)
	if rg.By == op.ByLex {
		i, j := c.part(rg)
		all = all[min(i, j):j]
	}
	if rg.Reverse {
		slices.Reverse(all)
	}
	if rg.By == op.ByRank {
		i, j := m.span(rg.Start, rg.End, len(all))
		return all[i:j]
	}
	for _, el := range all {
		if rg.By == op.ByLex || rg.Min <= el.score() && el.score() <= rg.Max {
			els = append(els, el)
		}
	}
	if rg.Skip < 0 || rg.Skip > int64(len(els)) {
		return nil
	}
	if els = els[rg.Skip:]; rg.Limit >= 0 {
		els = els[:min(len(els), int(rg.Limit))]
	}
	return els
}

func (m *model) sortedAdd(o *op.SortedAdd, r *op.Result) {
	x := m.holds(o.Key, op.Sorted, true, r)
	if r.Status == op.WrongType {
		return
	}
	r.Status = op.OK
	var all []element
	large := false
	if x != nil {
		all, large = slices.Clone(x.elems), x.large
	}
	find := func(name []byte) int {
		return slices.IndexFunc(all, func(a element) bool { return bytes.Equal(a.name, name) })
	}
	if large {
		// The room is asked for before it is known which of them the condition keeps out.
		need := uint64(0)
		for _, s := range o.Members {
			if find(s.Member) < 0 {
				need += element{name: s.Member, value: make([]byte, 8)}.cost(op.Sorted)
			}
		}
		if !m.room(m.class(o.Key), 0, need) {
			r.Status = op.OutOfMemory
			return
		}
	}
	changed, added := uint64(0), int64(0)
	for _, s := range o.Members {
		i, score := find(s.Member), s.Score
		bit := func(b op.SortedCond) bool { return o.Cond&b != 0 }
		failed := i >= 0 && bit(op.SortedNX) || i < 0 && bit(op.SortedXX)
		if i >= 0 && !failed {
			had := all[i].score()
			if o.Incr {
				sum := math.Float64frombits(had.Bits()) + math.Float64frombits(score.Bits())
				if math.IsNaN(sum) {
					r.Status = op.Overflow
					continue
				}
				score = scoreOf(sum)
			}
			failed = bit(op.SortedGT) && score <= had || bit(op.SortedLT) && score >= had
			if !failed && score == had {
				if o.Incr {
					r.Uint = uint64(score)
				}
				continue
			}
		}
		if failed {
			if o.Incr {
				r.Status = op.Failed
			}
			continue
		}
		if o.Incr {
			r.Uint = uint64(score)
		}
		changed++
		if i < 0 {
			added++
			all = append(all, element{name: bytes.Clone(s.Member), value: op.AppendScore(nil, score)})
		} else {
			all[i].value = op.AppendScore(nil, score)
		}
	}
	if changed > 0 {
		if st := m.setElements(o.Key, x, op.Sorted, all, large); st != op.OK {
			*r = op.Result{Status: st}
			return
		}
	}
	if r.Int = added; !o.Incr {
		r.Uint = changed
	}
	if x = m.keys[id(o.Key)]; x != nil {
		r.Version = x.version
	}
}
