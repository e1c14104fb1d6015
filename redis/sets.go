package redis

import (
	"math/rand/v2"
	"strconv"

	"holdfast/op"
	"holdfast/resp"
)

var setCommands = []Command{
	{Name: "sadd", Arity: -3, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "tooz create_group", write: parseSAdd, reply: replyInt},
	{Name: "srem", Arity: -3, Keys: one, Flags: Write | Fast, Needed: "tooz delete_group", write: parseSRem, reply: replyInt},
	{Name: "sismember", Arity: 3, Keys: one, Flags: ReadOnly | Fast, Needed: "tooz delete_group", read: parseSetHas, reply: replyFound},
	{Name: "smismember", Arity: -3, Keys: one, Flags: ReadOnly | Fast, Needed: "django-redis set API", read: parseSetHas, reply: replyFoundEach},
	{Name: "smembers", Arity: 2, Keys: one, Flags: ReadOnly, Needed: "tooz get_groups", read: parseSetAll, reply: replySetAll},
	{Name: "scard", Arity: 2, Keys: one, Flags: ReadOnly | Fast, Needed: "redis-cli --bigkeys", read: parseLength(op.Members), reply: replyInt},
	{Name: "sscan", Arity: -3, Keys: one, Flags: ReadOnly, Needed: "django-redis set API", read: parseScanIn(op.Members), reply: replyScanIn},
	{Name: "smove", Arity: 4, Keys: two, Flags: Write | Fast, Needed: "django-redis set API", write: parseSMove, reply: replyInt},
	{Name: "spop", Arity: -2, Keys: one, Flags: Write | Fast, Needed: "django-redis set API", write: parseSPop, reply: replySPop},
	{Name: "srandmember", Arity: -2, Keys: one, Flags: ReadOnly, Needed: "django-redis set API", read: parseSample(op.Members, ""), reply: replySample},
	{Name: "sinter", Arity: -2, Keys: all, Flags: ReadOnly, Needed: "django-redis set API", read: parseCombine(op.Intersection), reply: replySetAll},
	{Name: "sunion", Arity: -2, Keys: all, Flags: ReadOnly, Needed: "django-redis set API", read: parseCombine(op.Union), reply: replySetAll},
	{Name: "sdiff", Arity: -2, Keys: all, Flags: ReadOnly, Needed: "django-redis set API", read: parseCombine(op.Difference), reply: replySetAll},
	{Name: "sinterstore", Arity: -3, Keys: all, Flags: Write | DenyOOM, Needed: "django-redis set API", write: parseSetStore(op.Intersection), reply: replyInt},
	{Name: "sunionstore", Arity: -3, Keys: all, Flags: Write | DenyOOM, Needed: "django-redis set API", write: parseSetStore(op.Union), reply: replyInt},
	{Name: "sdiffstore", Arity: -3, Keys: all, Flags: Write | DenyOOM, Needed: "django-redis set API", write: parseSetStore(op.Difference), reply: replyInt},
	{Name: "sintercard", Arity: -3, Flags: ReadOnly | MovingKeys, numbered: 1, Needed: "tools", read: parseInterCard, reply: replyInt},
}

func parseSAdd(q *request) (op.Write, error) {
	q.ops.setAdd = op.SetAdd{Key: q.key(1), Members: q.args[2:]}
	return &q.ops.setAdd, nil
}

func parseSRem(q *request) (op.Write, error) {
	q.ops.setRemove = op.SetRemove{Key: q.key(1), Members: q.args[2:]}
	return &q.ops.setRemove, nil
}

func parseSetHas(q *request) (op.Read, error) {
	q.ops.setHas = op.SetHas{Key: q.key(1), Members: q.args[2:]}
	return &q.ops.setHas, nil
}

func replyFoundEach(b []byte, _ answer, res *op.Result) []byte {
	b = resp.Array(b, len(res.List))
	for i := range res.List {
		n := int64(0)
		if res.List[i].Status == op.OK {
			n = 1
		}
		b = resp.Integer(b, n)
	}
	return b
}

func parseSetAll(q *request) (op.Read, error) {
	q.ops.setAll.Key = q.key(1)
	return &q.ops.setAll, nil
}

func replySetAll(b []byte, a answer, res *op.Result) []byte {
	b = a.Set(b, len(res.List))
	for i := range res.List {
		b = resp.Bulk(b, res.List[i].Value)
	}
	return b
}

func parseSMove(q *request) (op.Write, error) {
	return &op.SetMove{From: q.key(1), To: q.key(2), Member: q.args[3]}, nil
}

func parseSPop(q *request) (op.Write, error) {
	o := &op.SetPop{Key: q.key(1), Count: 1, Seed: rand.Uint64()}
	switch len(q.args) {
	case 2:
		return o, nil
	case 3:
		var err error
		q.form = formMany
		o.Count, err = atLeast(q.args[2], 0, errNegative)
		return o, err
	}
	return nil, errSyntax
}

func replySPop(b []byte, a answer, res *op.Result) []byte {
	if a.form == formMany {
		return replySetAll(b, a, res)
	}
	return replyAt(b, a, res)
}

func parseCombine(how op.Combination) func(*request) (op.Read, error) {
	return func(q *request) (op.Read, error) {
		q.ops.combine = op.Combine{Keys: q.keys(1, 1), How: how}
		return &q.ops.combine, nil
	}
}

func parseSetStore(how op.Combination) func(*request) (op.Write, error) {
	return func(q *request) (op.Write, error) {
		return &op.SetStore{To: q.key(1), Keys: q.keys(2, 1), How: how}, nil
	}
}

func parseInterCard(q *request) (op.Read, error) {
	n, err := atLeast(q.args[1], 1, errNumKeys)
	if err != nil {
		return nil, err
	}
	if n > int64(len(q.args)-2) {
		return nil, errKeyCount
	}
	keys, i, err := q.numbered(1, errNumKeys)
	if err != nil {
		return nil, err
	}
	o := &op.Combine{Keys: keys, How: op.Intersection, Count: true}
	for ; i < len(q.args); i += 2 {
		if i+1 == len(q.args) || !is(q.args[i], "limit") {
			return nil, errSyntax
		}
		if o.Limit, err = atLeast(q.args[i+1], 0, "ERR LIMIT can't be negative"); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// parseScanIn reads "key cursor [MATCH pattern] [COUNT n]".
func parseScanIn(of op.Type) func(*request) (op.Read, error) {
	return func(q *request) (op.Read, error) {
		o := &op.ScanIn{Key: q.key(1), Of: of, Count: 10}
		var err error
		if o.Cursor, err = strconv.ParseUint(string(q.args[2]), 10, 64); err != nil {
			return nil, failure("ERR invalid cursor")
		}
		for i := 3; i < len(q.args); i += 2 {
			switch {
			case i+1 == len(q.args):
				return nil, errSyntax
			case is(q.args[i], "match"):
				o.Match = q.args[i+1]
			case is(q.args[i], "count"):
				n, ok := resp.Int(q.args[i+1])
				if !ok {
					return nil, errInteger
				}
				if n < 1 {
					return nil, errSyntax
				}
				o.Count = min(n, maxScan)
			default:
				return nil, errSyntax
			}
		}
		return o, nil
	}
}

// appendCursor begins the reply to a scan.
func appendCursor(b []byte, res *op.Result) []byte {
	return resp.Bulk(resp.Array(b, 2), strconv.FormatUint(res.Uint, 10))
}

func replyScanIn(b []byte, a answer, res *op.Result) []byte {
	return replyList(appendCursor(b, res), a, res)
}
