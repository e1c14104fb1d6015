package redis

import (
	"holdfast/op"
	"holdfast/resp"
)

var hashCommands = []Command{
	{Name: "hset", Arity: -4, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "tooz groups: join, capabilities", write: parseHSet("hset"), reply: replyInt},
	{Name: "hmset", Arity: -4, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "older clients", write: parseHSet("hmset"), reply: replyOK},
	{Name: "hsetnx", Arity: 4, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "taskflow jobboard", write: parseHSetNX, reply: replyInt},
	{Name: "hget", Arity: 3, Keys: one, Flags: ReadOnly | Fast, Needed: "tooz get_member_capabilities", read: parseHGet, reply: replyFirst},
	{Name: "hmget", Arity: -3, Keys: one, Flags: ReadOnly | Fast, Needed: "django-redis hash API", read: parseHGet, reply: replyList},
	{Name: "hdel", Arity: -3, Keys: one, Flags: Write | Fast, Needed: "tooz groups: leave", write: parseHDel, reply: replyInt},
	{Name: "hlen", Arity: 2, Keys: one, Flags: ReadOnly | Fast, Needed: "tooz delete_group, taskflow", read: parseLength(op.Hash), reply: replyInt},
	{Name: "hexists", Arity: 3, Keys: one, Flags: ReadOnly | Fast, Needed: "tooz update_capabilities", read: parseHGet, reply: replyFound},
	{Name: "hstrlen", Arity: 3, Keys: one, Flags: ReadOnly | Fast, Needed: "tools", read: parseHGet, reply: replyFieldLength},
	{Name: "hkeys", Arity: 2, Keys: one, Flags: ReadOnly, Needed: "tooz get_members", read: parseHashAll(true, false), reply: replyList},
	{Name: "hvals", Arity: 2, Keys: one, Flags: ReadOnly, Needed: "django-redis hash API", read: parseHashAll(false, true), reply: replyList},
	{Name: "hgetall", Arity: 2, Keys: one, Flags: ReadOnly, Needed: "tooz 9 groups, taskflow", read: parseHashAll(true, true), reply: replyPairs},
	{Name: "hincrby", Arity: 4, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "zaqar", write: parseHIncrBy, reply: replyInt},
	{Name: "hincrbyfloat", Arity: 4, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "redis-py users", compute: hIncrByFloat},
	{Name: "hscan", Arity: -3, Keys: one, Flags: ReadOnly, Needed: "redis-py hscan_iter", read: parseScanIn(op.Hash), reply: replyScanIn},
	{Name: "hrandfield", Arity: -2, Keys: one, Flags: ReadOnly, Needed: "tools", read: parseSample(op.Hash, "withvalues"), reply: replyFields},
}

func parseHSet(command string) func(*request) (op.Write, error) {
	return func(q *request) (op.Write, error) {
		if len(q.args)%2 != 0 {
			return nil, failure("ERR wrong number of arguments for '" + command + "' command")
		}
		return q.hashSet(), nil
	}
}

func (q *request) hashSet() *op.HashSet {
	fields := q.ops.fields[:0]
	for i := 2; i < len(q.args); i += 2 {
		fields = append(fields, op.Field{Name: q.args[i], Value: q.args[i+1]})
	}
	q.ops.fields = fields
	q.ops.hashSet = op.HashSet{Key: q.key(1), Fields: fields}
	return &q.ops.hashSet
}

func parseHSetNX(q *request) (op.Write, error) {
	o := q.hashSet()
	o.IfAbsent = true
	return o, nil
}

func parseHGet(q *request) (op.Read, error) {
	q.ops.hashGet = op.HashGet{Key: q.key(1), Fields: q.args[2:]}
	return &q.ops.hashGet, nil
}

func parseHDel(q *request) (op.Write, error) {
	q.ops.hashDelete = op.HashDelete{Key: q.key(1), Fields: q.args[2:]}
	return &q.ops.hashDelete, nil
}

func replyFieldLength(b []byte, _ answer, res *op.Result) []byte {
	if res.List[0].Status != op.OK {
		return resp.Integer(b, 0)
	}
	return resp.Integer(b, int64(len(res.List[0].Value)))
}

func parseHashAll(names, values bool) func(*request) (op.Read, error) {
	return func(q *request) (op.Read, error) {
		q.ops.hashAll = op.HashAll{Key: q.key(1), Names: names, Values: values}
		return &q.ops.hashAll, nil
	}
}

func replyPairs(b []byte, a answer, res *op.Result) []byte {
	b = a.Map(b, len(res.List)/2)
	for i := range res.List {
		b = resp.Bulk(b, res.List[i].Value)
	}
	return b
}

func parseHIncrBy(q *request) (op.Write, error) {
	n, ok := resp.Int(q.args[3])
	if !ok {
		return nil, errInteger
	}
	q.ops.hashIncr = op.HashIncrBy{Key: q.key(1), Field: q.args[2], Delta: n}
	return &q.ops.hashIncr, nil
}

func hIncrByFloat(w *bench, q *request, b []byte) ([]byte, error) {
	if _, inf, ok := parseFloat(q.args[3]); !ok {
		return b, errFloat
	} else if inf {
		return b, failure("ERR value is NaN or Infinity")
	}
	res, err := w.Do(&op.HashGet{Key: q.key(1), Fields: q.args[2:3]})
	if err != nil {
		return b, err
	}
	if res.Status == op.WrongType {
		return b, errWrongType
	}
	sum, err := addFloat(&res.List[0], q.args[3], failure("ERR hash value is not a float"))
	if err != nil {
		return b, err
	}
	_, err = w.Do(&op.HashSet{Key: q.key(1), Fields: []op.Field{{Name: q.args[2], Value: sum}}})
	return resp.Bulk(b, sum), err
}

// replyFields writes one field or null; or all of them; with their values, if they were asked for, in RESP3 each two in an array.
func replyFields(b []byte, a answer, res *op.Result) []byte {
	if a.form != formScores || a.Version != resp.V3 {
		if a.form == 0 {
			return replyAt(b, a, res)
		}
		return replyList(b, a, res)
	}
	b = resp.Array(b, len(res.List)/2)
	for i := range res.List {
		if i%2 == 0 {
			b = resp.Array(b, 2)
		}
		b = resp.Bulk(b, res.List[i].Value)
	}
	return b
}
