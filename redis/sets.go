package redis

import (
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
	{Name: "sscan", Arity: -3, Keys: one, Flags: ReadOnly, Needed: "django-redis set API", compute: sscan},
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

// sscan gives the whole set at once, as Redis does with a small one.
func sscan(w *bench, q *request, b []byte) ([]byte, error) {
	return scanValue(w, q, b, &op.SetAll{Key: q.key(1)}, 1)
}
