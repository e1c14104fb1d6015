package redis

import (
	"holdfast/op"
	"holdfast/resp"
)

var listCommands = []Command{
	{Name: "lpush", Arity: -3, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "queues, redis-benchmark", write: parsePush(true, false), reply: replyInt},
	{Name: "rpush", Arity: -3, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "Gnocchi incoming", write: parsePush(false, false), reply: replyInt},
	{Name: "lpushx", Arity: -3, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "tools", write: parsePush(true, true), reply: replyInt},
	{Name: "rpushx", Arity: -3, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "tools", write: parsePush(false, true), reply: replyInt},
	{Name: "lpop", Arity: -2, Keys: one, Flags: Write | Fast, Needed: "queues, redis-benchmark", write: parsePop("lpop", true), reply: replyPop},
	{Name: "rpop", Arity: -2, Keys: one, Flags: Write | Fast, Needed: "queues, redis-benchmark", write: parsePop("rpop", false), reply: replyPop},
	{Name: "lmpop", Arity: -4, Flags: Write | MovingKeys, numbered: 1, Needed: "tools", write: parseListMPop, reply: replyListMPop},
	{Name: "llen", Arity: 2, Keys: one, Flags: ReadOnly | Fast, Needed: "redis-cli --bigkeys, Gnocchi", read: parseLength(op.List), reply: replyInt},
	{Name: "lrange", Arity: 4, Keys: one, Flags: ReadOnly, Needed: "Gnocchi incoming", read: parseListRange, reply: replyList},
	{Name: "lindex", Arity: 3, Keys: one, Flags: ReadOnly, Needed: "tools", read: parseListIndex, reply: replyAt},
	{Name: "lset", Arity: 4, Keys: one, Flags: Write | DenyOOM, Needed: "tools", write: parseListSet, reply: replyListSet},
	{Name: "linsert", Arity: 5, Keys: one, Flags: Write | DenyOOM, Needed: "tools", write: parseListInsert, reply: replyInt},
	{Name: "lrem", Arity: 4, Keys: one, Flags: Write, Needed: "Zaqar", write: parseListRemove, reply: replyInt},
	{Name: "ltrim", Arity: 4, Keys: one, Flags: Write, Needed: "Gnocchi incoming", write: parseListTrim, reply: replyOK},
	{Name: "lpos", Arity: -3, Keys: one, Flags: ReadOnly, Needed: "tools", read: parseListFind, reply: replyListFind},
	{Name: "lmove", Arity: 5, Keys: two, Flags: Write | DenyOOM, Needed: "reliable queues", write: parseListMove, reply: replyValue},
	{Name: "rpoplpush", Arity: 3, Keys: two, Flags: Write | DenyOOM, Needed: "reliable queues", write: parsePopPush, reply: replyValue},
}

const (
	errNegative   = failure("ERR value is out of range, must be positive")
	errNumKeys    = failure("ERR numkeys should be greater than 0")
	errCountZero  = failure("ERR count should be greater than 0")
	errIndexRange = failure("ERR index out of range")
	errKeyCount   = failure("ERR Number of keys can't be greater than number of args")
)

// formMany says that the client gave a count, and wants an array.
const formMany = 1

// atLeast reads an integer from least on; bad is the error for any other.
func atLeast(b []byte, least int64, bad failure) (int64, error) {
	n, ok := resp.Int(b)
	if !ok || n < least {
		return 0, bad
	}
	return n, nil
}

// numbered reads "numkeys key..." from argument i on; the keys are good until the next request.
func (q *request) numbered(i int, bad failure) (keys []op.Key, next int, err error) {
	n, err := atLeast(q.args[i], 1, bad)
	if err != nil {
		return nil, 0, err
	}
	if n > int64(len(q.args)-i-1) {
		return nil, 0, errSyntax
	}
	next = i + 1 + int(n)
	q.ops.keys = q.ops.keys[:0]
	for i++; i < next; i++ {
		q.ops.keys = append(q.ops.keys, q.key(i))
	}
	return q.ops.keys, next, nil
}

func parsePush(front, present bool) func(*request) (op.Write, error) {
	return func(q *request) (op.Write, error) {
		q.ops.listPush = op.ListPush{Key: q.key(1), Values: q.args[2:], Front: front, IfPresent: present}
		return &q.ops.listPush, nil
	}
}

func parsePop(command string, front bool) func(*request) (op.Write, error) {
	return func(q *request) (op.Write, error) {
		o := &q.ops.listPop
		q.ops.keys = append(q.ops.keys[:0], q.key(1))
		*o = op.ListPop{Keys: q.ops.keys, Count: 1, Front: front}
		switch len(q.args) {
		case 2:
			return o, nil
		case 3:
			var err error
			q.form = formMany
			o.Count, err = atLeast(q.args[2], 0, errNegative)
			return o, err
		}
		return nil, failure("ERR wrong number of arguments for '" + command + "' command")
	}
}

func replyPop(b []byte, a answer, res *op.Result) []byte {
	switch {
	case a.form == formMany && res.Status != op.OK:
		return a.NullArray(b)
	case a.form == formMany:
		return replyList(b, a, res)
	case res.Status != op.OK:
		return a.Null(b)
	}
	return replyFirst(b, a, res)
}

// countArg reads "[COUNT n]" from argument i to the end.
func (q *request) countArg(i int) (int64, error) {
	switch {
	case i == len(q.args):
		return 1, nil
	case i+2 != len(q.args) && (i+1 >= len(q.args) || !is(q.args[i], "count")), !is(q.args[i], "count"):
		return 0, errSyntax
	}
	n, err := atLeast(q.args[i+1], 1, errCountZero)
	if err == nil && i+2 < len(q.args) {
		err = errSyntax
	}
	return n, err
}

func parseListMPop(q *request) (op.Write, error) {
	keys, i, err := q.numbered(1, errNumKeys)
	if err != nil {
		return nil, err
	}
	if i >= len(q.args) {
		return nil, errSyntax
	}
	front, err := parseEnd(q.args[i])
	if err != nil {
		return nil, err
	}
	n, err := q.countArg(i + 1)
	q.ops.listPop = op.ListPop{Keys: keys, Count: n, Front: front}
	return &q.ops.listPop, err
}

// replyListMPop writes the name of the key, and the elements that were taken from it.
func replyListMPop(b []byte, a answer, res *op.Result) []byte {
	if res.Status != op.OK {
		return a.NullArray(b)
	}
	return replyList(resp.Bulk(resp.Array(b, 2), res.Value), a, res)
}

// parseEnd says whether b names the front of a list.
func parseEnd(b []byte) (front bool, err error) {
	if !is(b, "left") && !is(b, "right") {
		return false, errSyntax
	}
	return is(b, "left"), nil
}

func parseSpan(q *request) (start, end int64, err error) {
	start, ok := resp.Int(q.args[2])
	end, ok2 := resp.Int(q.args[3])
	if !ok || !ok2 {
		return 0, 0, errInteger
	}
	return start, end, nil
}

func parseListRange(q *request) (op.Read, error) {
	start, end, err := parseSpan(q)
	q.ops.listRange = op.ListRange{Key: q.key(1), Start: start, End: end}
	return &q.ops.listRange, err
}

func parseListIndex(q *request) (op.Read, error) {
	i, ok := resp.Int(q.args[2])
	if !ok {
		return nil, errInteger
	}
	q.ops.listRange = op.ListRange{Key: q.key(1), Start: i, End: i}
	return &q.ops.listRange, nil
}

func replyAt(b []byte, a answer, res *op.Result) []byte {
	if len(res.List) == 0 {
		return a.Null(b)
	}
	return replyFirst(b, a, res)
}

func parseListSet(q *request) (op.Write, error) {
	i, ok := resp.Int(q.args[2])
	if !ok {
		return nil, errInteger
	}
	return &op.ListSet{Key: q.key(1), Index: i, Value: q.args[3]}, nil
}

func replyListSet(b []byte, _ answer, res *op.Result) []byte {
	switch res.Status {
	case op.Missing:
		return resp.Err(b, string(errNoSuchKey))
	case op.Failed:
		return resp.Err(b, string(errIndexRange))
	}
	return append(b, "+OK\r\n"...)
}

func parseListInsert(q *request) (op.Write, error) {
	if !is(q.args[2], "before") && !is(q.args[2], "after") {
		return nil, errSyntax
	}
	return &op.ListInsert{Key: q.key(1), Pivot: q.args[3], Value: q.args[4], Behind: is(q.args[2], "after")}, nil
}

func parseListRemove(q *request) (op.Write, error) {
	n, ok := resp.Int(q.args[2])
	if !ok {
		return nil, errInteger
	}
	return &op.ListRemove{Key: q.key(1), Count: n, Value: q.args[3]}, nil
}

// bounded reads an integer from -most to most.
func bounded(b []byte, most int64) (int64, error) {
	n, ok := resp.Int(b)
	if !ok {
		return 0, errInteger
	}
	if n < -most || n > most {
		return 0, failf("ERR value is out of range, value must between %d and %d", -most, most)
	}
	return n, nil
}

func parseListTrim(q *request) (op.Write, error) {
	start, end, err := parseSpan(q)
	return &op.ListTrim{Key: q.key(1), Start: start, End: end}, err
}

func parseListFind(q *request) (op.Read, error) {
	o := &op.ListFind{Key: q.key(1), Value: q.args[2], Rank: 1, Count: 1}
	for i := 3; i < len(q.args); i += 2 {
		if i+1 == len(q.args) {
			return nil, errSyntax
		}
		var err error
		switch arg := q.args[i+1]; {
		case is(q.args[i], "rank"):
			var ok bool
			if o.Rank, ok = resp.Int(arg); !ok {
				return nil, errInteger
			}
			if o.Rank == 0 {
				return nil, failure("ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list")
			}
		case is(q.args[i], "count"):
			q.form = formMany
			o.Count, err = atLeast(arg, 0, "ERR COUNT can't be negative")
		case is(q.args[i], "maxlen"):
			o.Most, err = atLeast(arg, 0, "ERR MAXLEN can't be negative")
		default:
			err = errSyntax
		}
		if err != nil {
			return nil, err
		}
	}
	return o, nil
}

func replyListFind(b []byte, a answer, res *op.Result) []byte {
	if a.form == formMany {
		b = resp.Array(b, len(res.List))
	} else if len(res.List) == 0 {
		return a.Null(b)
	}
	for i := range res.List {
		b = resp.Integer(b, res.List[i].Int)
	}
	return b
}

func parseListMove(q *request) (op.Write, error) {
	from, err := parseEnd(q.args[3])
	if err != nil {
		return nil, err
	}
	to, err := parseEnd(q.args[4])
	return &op.ListMove{From: q.key(1), To: q.key(2), FromFront: from, Front: to}, err
}

func parsePopPush(q *request) (op.Write, error) {
	return &op.ListMove{From: q.key(1), To: q.key(2), Front: true}, nil
}
