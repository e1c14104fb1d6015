package redis

import (
	"bytes"
	"cmp"
	"slices"

	"holdfast/op"
	"holdfast/resp"
)

var valueCommands = []Command{
	{Name: "sort", Arity: -2, Keys: one, Flags: Write | DenyOOM | MovingKeys, Needed: "tools", compute: sortCommand(false)},
	{Name: "sort_ro", Arity: -2, Keys: one, Flags: ReadOnly | MovingKeys, Needed: "tools", compute: sortCommand(true)},
	{Name: "dump", Arity: 2, Keys: one, Flags: ReadOnly, Needed: "tools that copy keys", compute: dump},
	{Name: "restore", Arity: -4, Keys: one, Flags: Write | DenyOOM, Needed: "tools that copy keys", write: parseRestore, reply: replyRestore},
}

const errSortScore = failure("ERR One or more scores can't be converted into double")

// sorting is what a SORT says.
type sorting struct {
	space       op.Space
	desc, alpha bool
	start       int64
	count       int64 // -1 for all
	by          []byte
	unsorted    bool // BY a pattern without *
	get         [][]byte
	store       []byte
	taken       int // bytes of the values that were looked up and are kept, about
}

func parseSort(q *request, readOnly bool) (*sorting, error) {
	o := &sorting{space: q.space, count: -1}
	for args := q.args[2:]; len(args) > 0; {
		used := 1
		switch {
		case is(args[0], "asc"):
			o.desc = false
		case is(args[0], "desc"):
			o.desc = true
		case is(args[0], "alpha"):
			o.alpha = true
		case is(args[0], "limit") && len(args) > 2:
			var ok, ok2 bool
			o.start, ok = resp.Int(args[1])
			o.count, ok2 = resp.Int(args[2])
			if !ok || !ok2 {
				return nil, errInteger
			}
			used = 3
		case !readOnly && is(args[0], "store") && len(args) > 1:
			o.store, used = args[1], 2
		case is(args[0], "by") && len(args) > 1:
			o.by, o.unsorted, used = args[1], o.unsorted || bytes.IndexByte(args[1], '*') < 0, 2
		case is(args[0], "get") && len(args) > 1:
			o.get, used = append(o.get, args[1]), 2
		default:
			return nil, errSyntax
		}
		args = args[used:]
	}
	return o, nil
}

// sortItem is an element and what it is sorted by.
type sortItem struct {
	value  []byte
	weight float64
	by     []byte // nil: there is nothing to sort it by
}

func sortCommand(readOnly bool) func(*bench, *request, []byte) ([]byte, error) {
	return func(w *bench, q *request, b []byte) ([]byte, error) {
		o, err := parseSort(q, readOnly)
		if err != nil {
			return b, err
		}
		items, kind, err := w.sortItems(q.key(1))
		if err != nil {
			return b, err
		}
		if o.unsorted && kind == op.Members && (o.store != nil || w.facts != nil) {
			o.unsorted, o.alpha, o.by = false, true, nil // so that the outcome does not depend on how sets lie
		}
		if err := o.arrange(w, items); err != nil {
			return b, err
		}
		out, err := o.fetch(w, o.part(items))
		if err != nil {
			return b, err
		}
		if o.store != nil {
			return w.storeList(op.Key{Space: q.space, Name: o.store}, out, b)
		}
		return replyList(b, answer{w.Version, 0, w.d}, &op.Result{List: out}), nil
	}
}

// sortItems reads the elements of a list, a set or a sorted set.
func (w *bench) sortItems(key op.Key) (items []sortItem, kind op.Type, err error) {
	for _, x := range []struct {
		kind op.Type
		read op.Read
	}{{op.List, &op.ListRange{Key: key, End: -1}}, {op.Members, &op.SetAll{Key: key}}, {op.Sorted, &op.SortedRange{Key: key, Range: op.Range{End: -1}}}} {
		res, err := w.Do(x.read)
		if err != nil {
			return nil, 0, err
		}
		if res.Status == op.WrongType {
			continue
		}
		for i := range res.List {
			items = append(items, sortItem{value: bytes.Clone(res.List[i].Value)})
		}
		return items, x.kind, nil
	}
	return nil, 0, errWrongType
}

// arrange sorts items.
func (o *sorting) arrange(w *bench, items []sortItem) error {
	if o.unsorted {
		if o.desc {
			slices.Reverse(items)
		}
		return nil
	}
	for i := range items {
		x := &items[i]
		if x.by = x.value; o.by != nil {
			var err error
			if x.by, err = o.lookup(w, o.by, x.value); err != nil {
				return err
			}
		}
		switch {
		case !o.alpha && x.by != nil:
			var ok bool
			if x.weight, ok = sortWeight(x.by); !ok {
				return errSortScore
			}
			x.by = nil
		case o.by != nil:
			if err := o.take(w, x.by); err != nil {
				return err
			}
		}
	}
	slices.SortStableFunc(items, func(a, b sortItem) int {
		c := o.compare(&a, &b)
		if o.desc {
			return -c
		}
		return c
	})
	return nil
}

func sortWeight(b []byte) (float64, bool) {
	if len(b) == 0 {
		return 0, true
	}
	f, over, ok := parseDouble(bytes.TrimLeft(b, " \t\n\v\f\r"))
	return f, ok && !over
}

func (o *sorting) compare(a, b *sortItem) int {
	if o.alpha {
		switch {
		case a.by == nil && b.by == nil:
			return 0
		case a.by == nil:
			return -1
		case b.by == nil:
			return 1
		}
		return bytes.Compare(a.by, b.by)
	}
	if c := cmp.Compare(a.weight, b.weight); c != 0 {
		return c
	}
	return bytes.Compare(a.value, b.value)
}

// part is what LIMIT leaves.
func (o *sorting) part(items []sortItem) []sortItem {
	n := int64(len(items))
	start := min(max(o.start, 0), n)
	end := n
	if o.count >= 0 {
		end = start + min(o.count, n-start)
	}
	return items[start:end]
}

// fetch gives what is shown of items: themselves, or what GET names.
func (o *sorting) fetch(w *bench, items []sortItem) (out []op.Result, err error) {
	for i := range items {
		if o.get == nil {
			if err := o.take(w, items[i].value); o.store == nil && err != nil {
				return nil, err
			}
			out = append(out, op.Result{Value: items[i].value})
		}
		for _, pattern := range o.get {
			v, err := o.lookup(w, pattern, items[i].value)
			if err != nil {
				return nil, err
			}
			if err := o.take(w, v); err != nil {
				return nil, err
			}
			r := op.Result{Value: v}
			if v == nil {
				r.Status = op.Missing
			}
			out = append(out, r)
		}
	}
	return out, nil
}

// take counts v with what is kept for the reply, or to sort by: a small request may look up large values many times. A single one always goes.
func (o *sorting) take(w *bench, v []byte) error {
	before := o.taken
	if o.taken += elementSize + len(v); before > 0 && w.d.tooLarge(o.taken) {
		return w.d.errReplySize()
	}
	return nil
}

// lookup reads the value that pattern names for an element: "#" is the element itself, * stands for it in the name of a key, and
// behind "->" stands the field of a hash. Nil if there is no such value.
func (o *sorting) lookup(w *bench, pattern, element []byte) ([]byte, error) {
	if string(pattern) == "#" {
		return element, nil
	}
	before, behind, ok := bytes.Cut(pattern, []byte("*"))
	if !ok {
		return nil, nil
	}
	var field []byte
	if i := bytes.Index(behind, []byte("->")); i >= 0 && i+2 < len(behind) {
		behind, field = behind[:i], behind[i+2:]
	}
	key := op.Key{Space: o.space, Name: slices.Concat(before, element, behind)}
	if field == nil {
		res, err := w.Do(&op.Get{Key: key})
		if err != nil || res.Status != op.OK {
			return nil, err
		}
		return append([]byte{}, res.Value...), nil
	}
	res, err := w.Do(&op.HashGet{Key: key, Fields: [][]byte{field}})
	if err != nil || res.Status != op.OK || res.List[0].Status != op.OK {
		return nil, err
	}
	return append([]byte{}, res.List[0].Value...), nil
}

// storeList puts a list in the place of key and answers how long it is.
func (w *bench) storeList(key op.Key, list []op.Result, b []byte) ([]byte, error) {
	o := &op.Store{Key: key, Of: op.List}
	for i := range list {
		o.Items = append(o.Items, op.Field{Name: list[i].Value})
	}
	_, err := w.Do(o)
	return resp.Integer(b, int64(len(list))), err
}
