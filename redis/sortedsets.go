package redis

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"holdfast/op"
	"holdfast/resp"
)

// What is computed of several sorted sets: it takes sums of floats, which no op has.

// weighed is a set that is put together with others.
type weighed struct {
	list   []op.Result // in the order of the set
	scores map[string]float64
	weight float64
}

// aggregate says what becomes of the scores of a member of several sets.
type aggregate func(a, b float64) float64

var aggregates = map[string]aggregate{
	"sum": func(a, b float64) float64 {
		if a += b; math.IsNaN(a) {
			return 0
		}
		return a
	},
	"min": func(a, b float64) float64 {
		if b < a {
			return b
		}
		return a
	},
	"max": func(a, b float64) float64 {
		if b > a {
			return b
		}
		return a
	},
}

// of gives the weighed score of s.
func (w *weighed) of(s float64) float64 {
	if s *= w.weight; math.IsNaN(s) {
		return 0
	}
	return s
}

// combination is what a command says that puts sorted sets together.
type combination struct {
	how    op.Combination
	keys   []op.Key
	sets   []weighed
	join   aggregate
	scores bool // WITHSCORES
	limit  int64
}

// parseCombination reads "numkeys key... [options]" from argument i on.
func (q *request) parseCombination(i int, how op.Combination, store, card bool) (*combination, error) {
	c := &combination{how: how, join: aggregates["sum"]}
	n, ok := resp.Int(q.args[i])
	if !ok {
		return nil, errInteger
	}
	if n < 1 {
		return nil, failf("ERR at least 1 input key is needed for '%s' command", bytes.ToLower(q.args[0]))
	}
	if n > int64(len(q.args)-i-1) {
		return nil, errSyntax
	}
	for i++; n > 0; i, n = i+1, n-1 {
		c.keys = append(c.keys, q.key(i))
		c.sets = append(c.sets, weighed{weight: 1})
	}
	return c, c.options(q.args[i:], store, card)
}

func (c *combination) options(args [][]byte, store, card bool) error {
	for len(args) > 0 {
		used := 2
		switch {
		case c.how != op.Difference && !card && len(args) > len(c.sets) && is(args[0], "weights"):
			for i := range c.sets {
				var ok bool
				if c.sets[i].weight, ok = parseScore(args[1+i]); !ok {
					return failure("ERR weight value is not a float")
				}
			}
			used = 1 + len(c.sets)
		case c.how != op.Difference && !card && len(args) >= 2 && is(args[0], "aggregate"):
			if c.join = aggregates[string(bytes.ToLower(args[1]))]; c.join == nil {
				return errSyntax
			}
		case !store && !card && is(args[0], "withscores"):
			c.scores, used = true, 1
		case card && len(args) >= 2 && is(args[0], "limit"):
			var err error
			if c.limit, err = atLeast(args[1], 0, "ERR LIMIT can't be negative"); err != nil {
				return err
			}
		default:
			return errSyntax
		}
		args = args[used:]
	}
	return nil
}

// load reads the sets, each once, however often it is named; a plain set's members have the score 1.
func (c *combination) load(w *bench) error {
	first := map[string]int{}
	for i, k := range c.keys {
		if j, had := first[string(k.Name)]; had {
			c.sets[i].list, c.sets[i].scores = c.sets[j].list, c.sets[j].scores
			continue
		}
		first[string(k.Name)] = i
		res, err := w.Do(&op.SortedRange{Key: k, Range: op.Range{End: -1}})
		if err != nil {
			return err
		}
		plain := res.Status == op.WrongType
		if plain {
			if res, err = w.Do(&op.SetAll{Key: k}); err != nil {
				return err
			}
			if res.Status == op.WrongType {
				return errWrongType
			}
		}
		s := &c.sets[i]
		s.list, s.scores = make([]op.Result, len(res.List)), make(map[string]float64, len(res.List))
		for j := range res.List {
			r := op.Result{Value: bytes.Clone(res.List[j].Value), Uint: res.List[j].Uint}
			if plain {
				r.Uint = uint64(toScore(1))
			}
			s.list[j], s.scores[string(r.Value)] = r, fromScore(op.Score(r.Uint))
		}
	}
	return nil
}

// result puts the sets together: the members in order.
func (c *combination) result() []op.Result {
	sums := map[string]float64{}
	var names []string
	if c.how != op.Difference {
		slices.SortStableFunc(c.sets, func(a, b weighed) int { return cmp.Compare(len(a.list), len(b.list)) })
	}
	for i := range c.sets {
		s := &c.sets[i]
		for j := range s.list {
			name := string(s.list[j].Value)
			if old, had := sums[name]; had && c.how == op.Union {
				sums[name] = c.join(old, s.of(s.scores[name]))
			} else if !had && (c.how == op.Union || c.keeps(name)) {
				names = append(names, name)
				sums[name] = c.joined(s, name)
			}
		}
		if c.how != op.Union {
			break
		}
	}
	list := make([]op.Result, len(names))
	for i, name := range names {
		list[i] = op.Result{Value: []byte(name), Uint: uint64(toScore(sums[name]))}
	}
	slices.SortFunc(list, func(a, b op.Result) int {
		if a.Uint != b.Uint {
			return cmp.Compare(a.Uint, b.Uint)
		}
		return bytes.Compare(a.Value, b.Value)
	})
	return list
}

// keeps says whether a member of the first set is in the intersection or difference.
func (c *combination) keeps(name string) bool {
	for _, s := range c.sets[1:] {
		if _, in := s.scores[name]; in != (c.how == op.Intersection) {
			return false
		}
	}
	return true
}

// joined is the score of a member that was first met in s.
func (c *combination) joined(s *weighed, name string) float64 {
	sum := s.of(s.scores[name])
	if c.how == op.Intersection {
		for i := range c.sets[1:] {
			// What is not a number is not made 0 here, but by the sum.
			o := &c.sets[1+i]
			sum = c.join(sum, o.weight*o.scores[name])
		}
	}
	return sum
}

func zCombine(how op.Combination, store bool) func(*bench, *request, []byte) ([]byte, error) {
	return func(w *bench, q *request, b []byte) ([]byte, error) {
		at := 1
		if store {
			at = 2
		}
		c, err := q.parseCombination(at, how, store, false)
		if err != nil {
			return b, err
		}
		if err := c.load(w); err != nil {
			return b, err
		}
		list := c.result()
		if store {
			return w.storeSorted(q.key(1), list, b)
		}
		if w.d.tooLarge(replySize(&op.Result{List: list})) {
			return b, w.d.errReplySize()
		}
		if c.scores {
			return answer{w.Version, 0, w.d}.scored(b, list, w.Version == resp.V3), nil
		}
		return replyList(b, answer{w.Version, 0, w.d}, &op.Result{List: list}), nil
	}
}

// storeSorted puts a sorted set in the place of key and answers how many members it has.
func (w *bench) storeSorted(key op.Key, list []op.Result, b []byte) ([]byte, error) {
	o := &op.Store{Key: key, Of: op.Sorted}
	for i := range list {
		o.Items = append(o.Items, op.Field{Name: list[i].Value, Value: op.AppendScore(nil, op.Score(list[i].Uint))})
	}
	n := len(list)
	_, err := w.Do(o)
	return resp.Integer(b, int64(n)), err
}

func zInterCard(w *bench, q *request, b []byte) ([]byte, error) {
	c, err := q.parseCombination(1, op.Intersection, false, true)
	if err != nil {
		return b, err
	}
	if err := c.load(w); err != nil {
		return b, err
	}
	n := int64(len(c.result()))
	if c.limit > 0 {
		n = min(n, c.limit)
	}
	return resp.Integer(b, n), nil
}

func zRangeStore(w *bench, q *request, b []byte) ([]byte, error) {
	var o op.SortedRange
	if err := q.sortedRange(&o, 2, rangeForm{store: true}); err != nil {
		return b, err
	}
	res, err := w.Do(&o)
	if err != nil {
		return b, err
	}
	if res.Status == op.WrongType {
		return b, errWrongType
	}
	list := make([]op.Result, len(res.List)) // what res refers to does not outlive the next op
	for i := range list {
		list[i] = op.Result{Value: bytes.Clone(res.List[i].Value), Uint: res.List[i].Uint}
	}
	return w.storeSorted(q.key(1), list, b)
}
