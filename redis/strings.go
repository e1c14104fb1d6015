package redis

import (
	"math"

	"holdfast/op"
	"holdfast/resp"
)

var stringCommands = []Command{
	{Name: "get", Arity: 2, Keys: one, Flags: ReadOnly | Fast, Needed: "every client", read: parseGet, reply: replyValue},
	{Name: "set", Arity: -3, Keys: one, Flags: Write | DenyOOM, Needed: "every client: sessions, tokens, locks (PX NX)", write: parseSet, reply: replySet},
	{Name: "setex", Arity: 4, Keys: one, Flags: Write | DenyOOM, Needed: "dogpile.cache, django-redis 3", write: parseSetEx(1000), reply: replyOK},
	{Name: "psetex", Arity: 4, Keys: one, Flags: Write | DenyOOM, Needed: "tooz heartbeats", write: parseSetEx(1), reply: replyOK},
	{Name: "setnx", Arity: 3, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "django-redis 3, redis-py 2.10 locks", write: parseSetNX, reply: replyStored},
	{Name: "getset", Arity: 3, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "older clients", write: parseGetSet, reply: replySet},
	{Name: "getdel", Arity: 2, Keys: one, Flags: Write | Fast, Needed: "redis-py users", write: parseGetDel, reply: replyValue},
	{Name: "getex", Arity: -2, Keys: one, Flags: Write | Fast, Needed: "redis-py users", write: parseGetEx, reply: replyValue},
	{Name: "mget", Arity: -2, Keys: all, Flags: ReadOnly | Fast, Needed: "tooz get_members, Django get_many", read: parseMGet, reply: replyList},
	{Name: "mset", Arity: -3, Keys: pairs, Flags: Write | DenyOOM, Needed: "dogpile.cache, Django set_many", write: parseMSet, reply: replyOK},
	{Name: "msetnx", Arity: -3, Keys: pairs, Flags: Write | DenyOOM, Needed: "tools", write: parseMSetNX, reply: replyInt},
	{Name: "incr", Arity: 2, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "taskflow, Django incr", write: parseIncr(1), reply: replyInt},
	{Name: "decr", Arity: 2, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "Django decr", write: parseIncr(-1), reply: replyInt},
	{Name: "incrby", Arity: 3, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "Django incr", write: parseIncrBy, reply: replyInt},
	{Name: "decrby", Arity: 3, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "Django decr", write: parseDecrBy, reply: replyInt},
	{Name: "incrbyfloat", Arity: 3, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "redis-py users", compute: incrByFloat},
	{Name: "append", Arity: 3, Keys: one, Flags: Write | DenyOOM | Fast, Needed: "tools", write: parseAppend, reply: replyInt},
	{Name: "strlen", Arity: 2, Keys: one, Flags: ReadOnly | Fast, Needed: "redis-cli --bigkeys", read: parseLength(op.String), reply: replyInt},
	{Name: "lcs", Arity: -3, Keys: two, Flags: ReadOnly, Needed: "tools", compute: lcs},
	{Name: "getrange", Arity: 4, Keys: one, Flags: ReadOnly, Needed: "memtier", read: parseGetRange, reply: replyRange},
	{Name: "substr", Arity: 4, Keys: one, Flags: ReadOnly, Needed: "older clients", read: parseGetRange, reply: replyRange},
	{Name: "setrange", Arity: 4, Keys: one, Flags: Write | DenyOOM, Needed: "memtier", write: parseSetRange, reply: replyInt},
}

// The positions of keys that rows have.
var (
	one   = Keys{1, 1, 1}
	two   = Keys{1, 2, 1}
	all   = Keys{1, -1, 1}
	pairs = Keys{1, -1, 2}
)

// formGet asks the reply of a write for the value that was there.
const formGet = 1

// latest is the longest time until a deadline, in ms. Redis's own bound depends on the present; this one lies a few centuries before it.
const latest = math.MaxInt64 - 1<<43

// latestOf is the largest number of ms of a lifetime of that kind.
func latestOf(kind op.LifeKind) int64 {
	if kind == op.At {
		return math.MaxInt64
	}
	return latest
}

func parseGet(q *request) (op.Read, error) {
	q.ops.get.Key = q.key(1)
	return &q.ops.get, nil
}

func (q *request) set(key, value int) *op.Set {
	q.ops.set = op.Set{Key: q.key(key), Value: q.args[value]}
	return &q.ops.set
}

func parseSet(q *request) (op.Write, error) {
	o := q.set(1, 2)
	var life lifeArg
	for i := 3; i < len(q.args); i++ {
		arg := q.args[i]
		switch {
		case is(arg, "nx") && o.Cond.Kind != op.IfPresent:
			o.Cond.Kind = op.IfAbsent
		case is(arg, "xx") && o.Cond.Kind != op.IfAbsent:
			o.Cond.Kind = op.IfPresent
		case is(arg, "get"):
			o.Get, q.form = true, formGet
		case is(arg, "keepttl") && life.number == nil:
			o.Life.Kind = op.Keep
		case o.Life.Kind != op.Keep && life.take(q.args[i:]):
			i++
		default:
			return nil, errSyntax
		}
	}
	if life.number == nil {
		return o, nil
	}
	var err error
	o.Life, err = life.read("set")
	return o, err
}

// lifeArg is a lifetime among the options of a command: EX, PX, EXAT or PXAT and its number.
type lifeArg struct {
	kind   op.LifeKind
	scale  int64 // ms per unit
	number []byte
}

// take takes the two arguments in front if they are a lifetime, unless there is one already.
func (l *lifeArg) take(args [][]byte) bool {
	if l.number != nil || len(args) < 2 {
		return false
	}
	switch {
	case is(args[0], "ex"):
		l.kind, l.scale = op.In, 1000
	case is(args[0], "px"):
		l.kind, l.scale = op.In, 1
	case is(args[0], "exat"):
		l.kind, l.scale = op.At, 1000
	case is(args[0], "pxat"):
		l.kind, l.scale = op.At, 1
	default:
		return false
	}
	l.number = args[1]
	return true
}

// read turns it into a lifetime, which must be positive.
func (l *lifeArg) read(command string) (op.Life, error) {
	n, ok := resp.Int(l.number)
	if !ok {
		return op.Life{}, errInteger
	}
	if n <= 0 || n > latestOf(l.kind)/l.scale {
		return op.Life{}, invalidExpire(command)
	}
	return op.Life{Kind: l.kind, Ms: n * l.scale}, nil
}

func invalidExpire(command string) error {
	return failure("ERR invalid expire time in '" + command + "' command")
}

func replySet(b []byte, a answer, res *op.Result) []byte {
	switch {
	case a.form == formGet && res.Found:
		return resp.Bulk(b, res.Value)
	case a.form == formGet, res.Status != op.OK:
		return a.Null(b)
	}
	return append(b, "+OK\r\n"...)
}

func parseSetEx(scale int64) func(*request) (op.Write, error) {
	command := "setex"
	if scale == 1 {
		command = "psetex"
	}
	return func(q *request) (op.Write, error) {
		o := q.set(1, 3)
		var err error
		o.Life, err = (&lifeArg{op.In, scale, q.args[2]}).read(command)
		return o, err
	}
}

func parseSetNX(q *request) (op.Write, error) {
	o := q.set(1, 2)
	o.Cond.Kind = op.IfAbsent
	return o, nil
}

func replyStored(b []byte, _ answer, res *op.Result) []byte {
	if res.Status == op.OK {
		return resp.Integer(b, 1)
	}
	return resp.Integer(b, 0)
}

func parseGetSet(q *request) (op.Write, error) {
	o := q.set(1, 2)
	o.Get, q.form = true, formGet
	return o, nil
}

// parseGetDel ends the life of the key at once, which is the one op that removes a key and shows its value.
func parseGetDel(q *request) (op.Write, error) {
	q.ops.expire = op.Expire{Key: q.key(1), Life: op.Life{Kind: op.In}, Fetch: true}
	return &q.ops.expire, nil
}

func parseGetEx(q *request) (op.Write, error) {
	q.ops.expire = op.Expire{Key: q.key(1), Life: op.Life{Kind: op.Keep}, Fetch: true}
	var life lifeArg
	switch {
	case len(q.args) == 2:
	case len(q.args) == 3 && is(q.args[2], "persist"):
		q.ops.expire.Life.Kind = op.Forever
	case len(q.args) == 4 && life.take(q.args[2:]):
		var err error
		if q.ops.expire.Life, err = life.read("getex"); err != nil {
			return nil, err
		}
	default:
		return nil, errSyntax
	}
	return &q.ops.expire, nil
}

func parseMGet(q *request) (op.Read, error) {
	q.ops.getMany.Keys = q.keys(1, 1)
	return &q.ops.getMany, nil
}

func parseMSet(q *request) (op.Write, error) {
	if len(q.args)%2 == 0 {
		return nil, failure("ERR wrong number of arguments for 'mset' command")
	}
	return q.setMany(), nil
}

func parseMSetNX(q *request) (op.Write, error) {
	if len(q.args)%2 == 0 {
		return nil, failure("ERR wrong number of arguments for 'msetnx' command")
	}
	o := q.setMany()
	o.IfNone = true
	return o, nil
}

func (q *request) setMany() *op.SetMany {
	pairs := q.ops.pairs[:0]
	for i := 1; i < len(q.args); i += 2 {
		pairs = append(pairs, op.Pair{Key: q.key(i), Value: q.args[i+1]})
	}
	q.ops.pairs = pairs
	q.ops.setMany = op.SetMany{Pairs: pairs}
	return &q.ops.setMany
}

func (q *request) incr(delta int64) *op.IncrBy {
	q.ops.incr = op.IncrBy{Key: q.key(1), Delta: delta}
	return &q.ops.incr
}

func parseIncr(delta int64) func(*request) (op.Write, error) {
	return func(q *request) (op.Write, error) { return q.incr(delta), nil }
}

func parseIncrBy(q *request) (op.Write, error) {
	n, ok := resp.Int(q.args[2])
	if !ok {
		return nil, errInteger
	}
	return q.incr(n), nil
}

func parseDecrBy(q *request) (op.Write, error) {
	n, ok := resp.Int(q.args[2])
	if !ok {
		return nil, errInteger
	}
	if n == math.MinInt64 {
		return nil, failure("ERR decrement would overflow")
	}
	return q.incr(-n), nil
}

func parseAppend(q *request) (op.Write, error) {
	q.ops.splice = op.Splice{Key: q.key(1), Value: q.args[2], Create: true}
	return &q.ops.splice, nil
}

func parseLength(of op.Type) func(*request) (op.Read, error) {
	return func(q *request) (op.Read, error) {
		q.ops.length = op.Length{Key: q.key(1), Of: of}
		return &q.ops.length, nil
	}
}

func parseGetRange(q *request) (op.Read, error) {
	start, ok := resp.Int(q.args[2])
	end, ok2 := resp.Int(q.args[3])
	if !ok || !ok2 {
		return nil, errInteger
	}
	return &op.GetRange{Key: q.key(1), Start: start, End: end}, nil
}

func replyRange(b []byte, _ answer, res *op.Result) []byte { return resp.Bulk(b, res.Value) }

func parseSetRange(q *request) (op.Write, error) {
	offset, ok := resp.Int(q.args[2])
	if !ok {
		return nil, errInteger
	}
	if offset < 0 {
		return nil, failure("ERR offset is out of range")
	}
	return &op.SetRange{Key: q.key(1), Offset: offset, Value: q.args[3]}, nil
}

func incrByFloat(w *bench, q *request, b []byte) ([]byte, error) {
	q.ops.get.Key = q.key(1)
	old, err := w.Do(&q.ops.get)
	if err != nil {
		return b, err
	}
	if old.Status == op.WrongType {
		return b, errWrongType
	}
	sum, err := addFloat(old, q.args[2], errFloat)
	if err != nil {
		return b, err
	}
	_, err = w.Do(&op.Set{Key: q.key(1), Value: sum, Flags: old.Flags, Life: op.Life{Kind: op.Keep}})
	return resp.Bulk(b, sum), err
}
