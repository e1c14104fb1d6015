package keyspace

import (
	"bytes"
	"slices"

	"holdfast/op"
)

func (m *model) doList(o op.Op, r *op.Result) {
	show := func(els []element) {
		for _, el := range els {
			r.List = append(r.List, op.Result{Value: el.name})
		}
	}
	switch o := o.(type) {
	case *op.ListPush:
		x := m.holds(o.Key, op.List, true, r)
		if r.Status == op.WrongType || x == nil && o.IfPresent {
			return
		}
		if r.Status = m.push(o.Key, x, o.Values, o.Front); r.Status == op.OK {
			x = m.keys[id(o.Key)]
			r.Int, r.Version = int64(len(x.elems)), x.version
		}
	case *op.ListPop:
		x := m.firstOf(o.Keys, op.List, r)
		if r.Status != op.OK {
			return
		}
		m.pop(x, o.Count, !o.Front, r)
	case *op.ListMove:
		m.move(o, r)
	case *op.ListSet:
		x := m.holds(o.Key, op.List, true, r)
		if r.Status != op.OK {
			return
		}
		i := o.Index
		if i < 0 {
			i += int64(len(x.elems))
		}
		if i < 0 || i >= int64(len(x.elems)) {
			r.Status = op.Failed
			return
		}
		all := slices.Clone(x.elems)
		all[i] = element{name: bytes.Clone(o.Value)}
		if r.Status = m.setElements(o.Key, x, op.List, all, x.large); r.Status == op.OK {
			r.Version = m.ops
		} else if !x.large {
			r.Version = x.version
		}
	case *op.ListInsert:
		x := m.holds(o.Key, op.List, true, r)
		if r.Status != op.OK {
			return
		}
		i := slices.IndexFunc(x.elems, func(a element) bool { return bytes.Equal(a.name, o.Pivot) })
		if r.Int = -1; i < 0 {
			return
		}
		if o.Behind {
			i++
		}
		all := slices.Insert(slices.Clone(x.elems), i, element{name: bytes.Clone(o.Value)})
		r.Int = 0
		if r.Status = m.setElements(o.Key, x, op.List, all, x.large); r.Status == op.OK {
			r.Int, r.Version = int64(len(all)), m.ops
		}
	case *op.ListRemove:
		x := m.holds(o.Key, op.List, true, r)
		if r.Status != op.OK {
			return
		}
		left := slices.Clone(x.elems)
		for o.Count == 0 || r.Int < max(o.Count, -o.Count) {
			is := func(a element) bool { return bytes.Equal(a.name, o.Value) }
			i := slices.IndexFunc(left, is)
			if o.Count < 0 {
				for i = len(left) - 1; i >= 0 && !is(left[i]); i-- {
				}
			}
			if i < 0 {
				break
			}
			left = slices.Delete(left, i, i+1)
			r.Int++
		}
		if r.Version = x.version; r.Int > 0 {
			r.Version = 0
			m.cut(x, left, r)
		}
	case *op.ListTrim:
		x := m.holds(o.Key, op.List, true, r)
		if r.Status != op.OK {
			return
		}
		i, j := m.span(o.Start, o.End, len(x.elems))
		switch {
		case i >= j:
			delete(m.keys, id(o.Key))
		case j-i < len(x.elems):
			m.cut(x, slices.Clone(x.elems[i:j]), r)
		default:
			r.Version = x.version
		}
	case *op.ListRange:
		if x := m.holds(o.Key, op.List, false, r); r.Status == op.OK {
			if i, j := m.span(o.Start, o.End, len(x.elems)); i < j {
				show(x.elems[i:j])
			}
		}
	case *op.ListFind:
		x := m.holds(o.Key, op.List, false, r)
		if r.Status != op.OK {
			return
		}
		all, skip := slices.Clone(x.elems), o.Rank-1
		if o.Rank < 0 {
			slices.Reverse(all)
			skip = -o.Rank - 1
		}
		if o.Most > 0 {
			all = all[:min(len(all), int(o.Most))]
		}
		for i, el := range all {
			if !bytes.Equal(el.name, o.Value) {
				continue
			}
			if skip--; skip >= 0 || o.Count > 0 && len(r.List) == int(o.Count) {
				continue
			}
			if o.Rank < 0 {
				i = len(x.elems) - 1 - i
			}
			r.List = append(r.List, op.Result{Int: int64(i)})
		}
	}
}

func (m *model) span(start, end int64, n int) (i, j int) {
	if start < 0 {
		start = max(start+int64(n), 0)
	}
	if end < 0 {
		end += int64(n)
	}
	if end = min(end, int64(n)-1); start > end {
		return 0, 0
	}
	return int(start), int(end) + 1
}

func (m *model) firstOf(keys []op.Key, kind op.Type, r *op.Result) *thing {
	for _, k := range keys {
		if x := m.at(k); x != nil {
			if x.kind != kind {
				r.Status = op.WrongType
			} else {
				r.Value = k.Name
			}
			return x
		}
	}
	r.Status = op.Missing
	return nil
}

func (m *model) pop(x *thing, count int64, last bool, r *op.Result) {
	left := slices.Clone(x.elems)
	for ; count > 0 && len(left) > 0; count-- {
		i := 0
		if last {
			i = len(left) - 1
		}
		p := op.Result{Value: left[i].name}
		if x.kind == op.Sorted {
			p.Uint = uint64(left[i].score())
		}
		r.List = append(r.List, p)
		left = slices.Delete(left, i, i+1)
	}
	if r.Version = x.version; len(r.List) > 0 {
		r.Version = 0
		m.cut(x, left, r)
	}
}

func (m *model) move(o *op.ListMove, r *op.Result) {
	x := m.at(o.From)
	if x == nil {
		r.Status = op.Missing
		return
	}
	y := m.at(o.To)
	if x.kind != op.List || y != nil && y.kind != op.List {
		r.Status = op.WrongType
		return
	}
	i := 0
	if !o.FromFront {
		i = len(x.elems) - 1
	}
	v, left := x.elems[i].name, slices.Delete(slices.Clone(x.elems), i, i+1)
	if x == y {
		if el := x.elems[i]; o.Front {
			left = slices.Insert(left, 0, el)
		} else {
			left = append(left, el)
		}
		z := *x
		z.elems = left
		m.force(&z)
	} else {
		if r.Status = m.push(o.To, y, [][]byte{v}, o.Front); r.Status != op.OK {
			return
		}
		m.cut(x, left, &op.Result{})
	}
	r.Value = v
}
