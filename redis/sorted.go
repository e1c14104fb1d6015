package redis

import (
	"math"
	"math/rand/v2"
	"strconv"

	"holdfast/op"
	"holdfast/resp"
)

var sortedCommands = []Command{
	{Name: "zadd", Arity: -4, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "Zaqar, django-redis sorted sets", write: parseZAdd, reply: replyZAdd},
	{Name: "zincrby", Arity: 4, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "django-redis sorted sets", write: parseZIncrBy, reply: replyZAdd},
	{Name: "zrem", Arity: -3, Keys: one, Flags: Write | Fast, Needed: "Zaqar", write: parseZRem, reply: replyInt},
	{Name: "zremrangebyrank", Arity: 4, Keys: one, Flags: Write, Needed: "tools", write: parseZRemRange(op.ByRank), reply: replyInt},
	{Name: "zremrangebyscore", Arity: 4, Keys: one, Flags: Write, Needed: "Zaqar", write: parseZRemRange(op.ByScore), reply: replyInt},
	{Name: "zremrangebylex", Arity: 4, Keys: one, Flags: Write, Needed: "tools", write: parseZRemRange(op.ByLex), reply: replyInt},
	{Name: "zpopmin", Arity: -2, Keys: one, Flags: Write | Fast, Needed: "tools", write: parseZPop(false), reply: replyZPop},
	{Name: "zpopmax", Arity: -2, Keys: one, Flags: Write | Fast, Needed: "tools", write: parseZPop(true), reply: replyZPop},
	{Name: "zmpop", Arity: -4, Flags: Write | MovingKeys, numbered: 1, Needed: "tools", write: parseZMPop, reply: replyZMPop},
	{Name: "zcard", Arity: 2, Keys: one, Flags: ReadOnly | Fast, Needed: "Zaqar, redis-cli --bigkeys", read: parseLength(op.Sorted), reply: replyInt},
	{Name: "zscore", Arity: 3, Keys: one, Flags: ReadOnly | Fast, Needed: "Zaqar", read: parseZScore, reply: replyZScore},
	{Name: "zmscore", Arity: -3, Keys: one, Flags: ReadOnly | Fast, Needed: "tools", read: parseZScore, reply: replyZScores},
	{Name: "zrank", Arity: 3, Keys: one, Flags: ReadOnly | Fast, Needed: "Zaqar", read: parseZRank(false), reply: replyZRank},
	{Name: "zrevrank", Arity: 3, Keys: one, Flags: ReadOnly | Fast, Needed: "tools", read: parseZRank(true), reply: replyZRank},
	{Name: "zcount", Arity: 4, Keys: one, Flags: ReadOnly | Fast, Needed: "tools", read: parseZCount(op.ByScore), reply: replyInt},
	{Name: "zlexcount", Arity: 4, Keys: one, Flags: ReadOnly | Fast, Needed: "Zaqar", read: parseZCount(op.ByLex), reply: replyInt},
	{Name: "zrange", Arity: -4, Keys: one, Flags: ReadOnly, Needed: "Zaqar", read: parseZRange(rangeAny), reply: replyScored},
	{Name: "zrevrange", Arity: -4, Keys: one, Flags: ReadOnly, Needed: "older clients", read: parseZRange(rangeForm{fixed: true, reverse: true}), reply: replyScored},
	{Name: "zrangebyscore", Arity: -4, Keys: one, Flags: ReadOnly, Needed: "older clients", read: parseZRange(rangeForm{fixed: true, by: op.ByScore}), reply: replyScored},
	{Name: "zrevrangebyscore", Arity: -4, Keys: one, Flags: ReadOnly, Needed: "older clients", read: parseZRange(rangeForm{fixed: true, by: op.ByScore, reverse: true}), reply: replyScored},
	{Name: "zrangebylex", Arity: -4, Keys: one, Flags: ReadOnly, Needed: "older clients", read: parseZRange(rangeForm{fixed: true, by: op.ByLex}), reply: replyScored},
	{Name: "zrevrangebylex", Arity: -4, Keys: one, Flags: ReadOnly, Needed: "older clients", read: parseZRange(rangeForm{fixed: true, by: op.ByLex, reverse: true}), reply: replyScored},
	{Name: "zrangestore", Arity: -5, Keys: two, Flags: Write | DenyOOM, Needed: "tools", compute: zRangeStore},
	{Name: "zrandmember", Arity: -2, Keys: one, Flags: ReadOnly, Needed: "tools", read: parseSample(op.Sorted, "withscores"), reply: replySample},
	{Name: "zscan", Arity: -3, Keys: one, Flags: ReadOnly, Needed: "redis-py zscan_iter", read: parseScanIn(op.Sorted), reply: replyZScan},
	{Name: "zunion", Arity: -3, Flags: ReadOnly | MovingKeys, numbered: 1, Needed: "tools", compute: zCombine(op.Union, false)},
	{Name: "zinter", Arity: -3, Flags: ReadOnly | MovingKeys, numbered: 1, Needed: "tools", compute: zCombine(op.Intersection, false)},
	{Name: "zdiff", Arity: -3, Flags: ReadOnly | MovingKeys, numbered: 1, Needed: "tools", compute: zCombine(op.Difference, false)},
	{Name: "zunionstore", Arity: -4, Keys: one, Flags: Write | DenyOOM | MovingKeys, numbered: 2, Needed: "tools", compute: zCombine(op.Union, true)},
	{Name: "zinterstore", Arity: -4, Keys: one, Flags: Write | DenyOOM | MovingKeys, numbered: 2, Needed: "tools", compute: zCombine(op.Intersection, true)},
	{Name: "zdiffstore", Arity: -4, Keys: one, Flags: Write | DenyOOM | MovingKeys, numbered: 2, Needed: "tools", compute: zCombine(op.Difference, true)},
	{Name: "zintercard", Arity: -3, Flags: ReadOnly | MovingKeys, numbered: 1, Needed: "tools", compute: zInterCard},
}

const (
	errScoreNaN   = failure("ERR resulting score is not a number (NaN)")
	errScoreRange = failure("ERR min or max is not a float")
	errLexRange   = failure("ERR min or max not valid string range item")
	errOutOfRange = failure("ERR value is out of range")
)

// What the replies of sorted sets must know of the arguments.
const (
	formChanged = 1 + iota // ZADD CH
	formScore              // ZADD INCR, ZINCRBY
	formScores             // WITHSCORES
	formNested             // a count was given: in RESP3 each member and its score are an array
)

func parseZAdd(q *request) (op.Write, error) {
	o := &q.ops.sortedAdd
	*o = op.SortedAdd{Key: q.key(1)}
	i := 2
	for ; i < len(q.args); i++ {
		arg := q.args[i]
		if is(arg, "nx") {
			o.Cond |= op.SortedNX
		} else if is(arg, "xx") {
			o.Cond |= op.SortedXX
		} else if is(arg, "gt") {
			o.Cond |= op.SortedGT
		} else if is(arg, "lt") {
			o.Cond |= op.SortedLT
		} else if is(arg, "ch") {
			q.form = formChanged
		} else if is(arg, "incr") {
			o.Incr = true
		} else {
			break
		}
	}
	n := len(q.args) - i
	has := func(bits op.SortedCond) bool { return o.Cond&bits == bits }
	switch {
	case n == 0 || n%2 != 0:
		return nil, errSyntax
	case has(op.SortedNX | op.SortedXX):
		return nil, failure("ERR XX and NX options at the same time are not compatible")
	case has(op.SortedNX | op.SortedGT), has(op.SortedNX | op.SortedLT), has(op.SortedGT | op.SortedLT):
		return nil, failure("ERR GT, LT, and/or NX options at the same time are not compatible")
	case o.Incr && n > 2:
		return nil, failure("ERR INCR option supports a single increment-element pair")
	}
	if o.Incr {
		q.form = formScore
	}
	return o, q.scored(i)
}

// scored reads scores and members from argument i on into the SortedAdd.
func (q *request) scored(i int) error {
	q.ops.scored = q.ops.scored[:0]
	for ; i < len(q.args); i += 2 {
		f, ok := parseScore(q.args[i])
		if !ok {
			return errFloat
		}
		q.ops.scored = append(q.ops.scored, op.Scored{Score: toScore(f), Member: q.args[i+1]})
	}
	q.ops.sortedAdd.Members = q.ops.scored
	return nil
}

func parseZIncrBy(q *request) (op.Write, error) {
	o := &q.ops.sortedAdd
	*o = op.SortedAdd{Key: q.key(1), Incr: true}
	q.form = formScore
	return o, q.scored(2)
}

func replyZAdd(b []byte, a answer, res *op.Result) []byte {
	switch {
	case a.form == formScore && res.Status != op.OK:
		return a.Null(b)
	case a.form == formScore:
		return a.score(b, res)
	case a.form == formChanged:
		return resp.Integer(b, int64(res.Uint))
	}
	return resp.Integer(b, res.Int)
}

// score writes the score in res.
func (a answer) score(b []byte, res *op.Result) []byte {
	return a.Double(b, fromScore(op.Score(res.Uint)))
}

func parseZRem(q *request) (op.Write, error) {
	return &op.SortedRemove{Key: q.key(1), Members: q.args[2:]}, nil
}

// setRange reads the ends of a range, the lower one first, into r.
func setRange(r *op.Range, low, high []byte) error {
	var ok, ok2 bool
	switch r.By {
	case op.ByRank:
		r.Start, ok = resp.Int(low)
		r.End, ok2 = resp.Int(high)
		if !ok || !ok2 {
			return errInteger
		}
	case op.ByScore:
		r.Min, ok = parseScoreBound(low, true)
		r.Max, ok2 = parseScoreBound(high, false)
		if !ok || !ok2 {
			return errScoreRange
		}
	case op.ByLex:
		r.From, ok = parseLexBound(low)
		r.To, ok2 = parseLexBound(high)
		if !ok || !ok2 {
			return errLexRange
		}
	}
	return nil
}

func parseLexBound(b []byte) (op.Bound, bool) {
	if len(b) == 0 {
		return op.Bound{}, false
	}
	switch b[0] {
	case '-':
		return op.Bound{Kind: op.Lowest}, len(b) == 1
	case '+':
		return op.Bound{Kind: op.Highest}, len(b) == 1
	case '(':
		return op.Bound{Value: b[1:], Kind: op.Excluding}, true
	case '[':
		return op.Bound{Value: b[1:]}, true
	}
	return op.Bound{}, false
}

func parseZRemRange(by op.RangeKind) func(*request) (op.Write, error) {
	return func(q *request) (op.Write, error) {
		o := &op.SortedCut{Key: q.key(1), Range: op.Range{By: by, Limit: -1}}
		return o, setRange(&o.Range, q.args[2], q.args[3])
	}
}

func parseZCount(by op.RangeKind) func(*request) (op.Read, error) {
	return func(q *request) (op.Read, error) {
		o := &op.SortedRange{Key: q.key(1), Range: op.Range{By: by, Limit: -1}, Count: true}
		return o, setRange(&o.Range, q.args[2], q.args[3])
	}
}

// rangeForm is what the name of a command already says of its range.
type rangeForm struct {
	fixed   bool // what by and reverse say cannot be said by an option
	by      op.RangeKind
	reverse bool
	store   bool // nothing but the range is an option
}

var rangeAny = rangeForm{}

func parseZRange(form rangeForm) func(*request) (op.Read, error) {
	return func(q *request) (op.Read, error) {
		o := &q.ops.sortedCut
		err := q.sortedRange(o, 1, form)
		return o, err
	}
}

// sortedRange reads "key min max [options]" from argument i on.
func (q *request) sortedRange(o *op.SortedRange, i int, form rangeForm) error {
	*o = op.SortedRange{Key: q.key(i), Range: op.Range{By: form.by, Reverse: form.reverse, Limit: -1}}
	r := &o.Range
	lex, scored := false, false
	for j := i + 3; j < len(q.args); j++ {
		arg := q.args[j]
		switch {
		case !form.store && is(arg, "withscores"):
			q.form = formScores
		case is(arg, "limit") && j+2 < len(q.args):
			var ok, ok2 bool
			r.Skip, ok = resp.Int(q.args[j+1])
			r.Limit, ok2 = resp.Int(q.args[j+2])
			if !ok || !ok2 {
				return errInteger
			}
			j += 2
		case !form.fixed && !r.Reverse && is(arg, "rev"):
			r.Reverse = true
		case !form.fixed && !lex && !scored && is(arg, "bylex"):
			lex, r.By = true, op.ByLex
		case !form.fixed && !lex && !scored && is(arg, "byscore"):
			scored, r.By = true, op.ByScore
		default:
			return errSyntax
		}
	}
	if r.Limit != -1 && r.By == op.ByRank {
		return failure("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
	}
	if q.form == formScores && r.By == op.ByLex {
		return failure("ERR syntax error, WITHSCORES not supported in combination with BYLEX")
	}
	low, high := q.args[i+1], q.args[i+2]
	if r.Reverse && r.By != op.ByRank {
		low, high = high, low
	}
	return setRange(r, low, high)
}

// replyScored writes members, with their scores if they were asked for.
func replyScored(b []byte, a answer, res *op.Result) []byte {
	if a.form != formScores {
		return replyList(b, a, res)
	}
	return a.scored(b, res.List, a.Version == resp.V3)
}

// scored writes members and scores, each two in an array if nested.
func (a answer) scored(b []byte, list []op.Result, nested bool) []byte {
	n := len(list)
	if !nested {
		n *= 2
	}
	b = resp.Array(b, n)
	for i := range list {
		if nested {
			b = resp.Array(b, 2)
		}
		b = a.score(resp.Bulk(b, list[i].Value), &list[i])
	}
	return b
}

func parseZPop(most bool) func(*request) (op.Write, error) {
	return func(q *request) (op.Write, error) {
		q.ops.keys = append(q.ops.keys[:0], q.key(1))
		o := &op.SortedPop{Keys: q.ops.keys, Count: 1, Max: most}
		switch len(q.args) {
		case 2:
			return o, nil
		case 3:
			var err error
			q.form = formNested
			o.Count, err = atLeast(q.args[2], 0, errNegative)
			return o, err
		}
		return nil, errSyntax
	}
}

func replyZPop(b []byte, a answer, res *op.Result) []byte {
	return a.scored(b, res.List, a.form == formNested && a.Version == resp.V3)
}

func parseZMPop(q *request) (op.Write, error) {
	keys, i, err := q.numbered(1, errNumKeys)
	if err != nil {
		return nil, err
	}
	if i >= len(q.args) || !is(q.args[i], "min") && !is(q.args[i], "max") {
		return nil, errSyntax
	}
	n, err := q.countArg(i + 1)
	return &op.SortedPop{Keys: keys, Count: n, Max: is(q.args[i], "max")}, err
}

func replyZMPop(b []byte, a answer, res *op.Result) []byte {
	if res.Status != op.OK {
		return a.NullArray(b)
	}
	return a.scored(resp.Bulk(resp.Array(b, 2), res.Value), res.List, true)
}

func parseZScore(q *request) (op.Read, error) {
	return &op.SortedScore{Key: q.key(1), Members: q.args[2:]}, nil
}

func replyZScore(b []byte, a answer, res *op.Result) []byte {
	if r := &res.List[0]; r.Status == op.OK {
		return a.score(b, r)
	}
	return a.Null(b)
}

func replyZScores(b []byte, a answer, res *op.Result) []byte {
	b = resp.Array(b, len(res.List))
	for i := range res.List {
		if r := &res.List[i]; r.Status == op.OK {
			b = a.score(b, r)
		} else {
			b = a.Null(b)
		}
	}
	return b
}

func parseZRank(reverse bool) func(*request) (op.Read, error) {
	return func(q *request) (op.Read, error) {
		return &op.SortedRank{Key: q.key(1), Member: q.args[2], Reverse: reverse}, nil
	}
}

func replyZRank(b []byte, a answer, res *op.Result) []byte {
	if res.Status != op.OK {
		return a.Null(b)
	}
	return resp.Integer(b, res.Int)
}

// parseSample reads "key [count [with]]".
func parseSample(of op.Type, with string) func(*request) (op.Read, error) {
	return func(q *request) (op.Read, error) {
		o := &op.Sample{Key: q.key(1), Of: of, Count: 1, Seed: rand.Uint64()}
		if len(q.args) == 2 {
			return o, nil
		}
		var err error
		if o.Count, err = bounded(q.args[2], math.MaxInt64); err != nil {
			return nil, err
		}
		switch q.form = formMany; {
		case len(q.args) == 3:
		case with == "", len(q.args) > 4, !is(q.args[3], with):
			return nil, errSyntax
		case o.Count < -math.MaxInt64/2, o.Count > math.MaxInt64/2:
			return nil, errOutOfRange
		default:
			q.form, o.Values = formScores, true
		}
		return o, nil
	}
}

// replySample writes one element or null; or all of them; those of a sorted set with their scores if they were asked for.
func replySample(b []byte, a answer, res *op.Result) []byte {
	switch a.form {
	case formMany:
		return replyList(b, a, res)
	case formScores:
		return replyScored(b, a, res)
	}
	return replyAt(b, a, res)
}

// replyZScan writes whole scores as integers, as Redis does where it keeps them as such.
func replyZScan(b []byte, a answer, res *op.Result) []byte {
	b = appendCursor(b, res)
	b = resp.Array(b, 2*len(res.List))
	for i := range res.List {
		b = resp.Bulk(b, res.List[i].Value)
		f := fromScore(op.Score(res.List[i].Uint))
		if f == math.Trunc(f) && math.Abs(f) < 1<<62 {
			b = resp.Bulk(b, strconv.AppendInt(nil, int64(f), 10))
		} else {
			b = resp.V2.Double(b, f)
		}
	}
	return b
}
