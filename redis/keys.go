package redis

import (
	"math"
	"math/rand/v2"
	"strconv"

	"holdfast/op"
	"holdfast/resp"
)

var keyCommands = []Command{
	{Name: "del", Arity: -2, Keys: all, Flags: Write, Needed: "every client: logout, lock break", write: parseDelete, reply: replyInt},
	{Name: "unlink", Arity: -2, Keys: all, Flags: Write | Fast, Needed: "newer caches", write: parseDelete, reply: replyInt},
	{Name: "exists", Arity: -2, Keys: all, Flags: ReadOnly | Fast, Needed: "tooz groups, Django sessions", read: parseExists, reply: replyInt},
	{Name: "touch", Arity: -2, Keys: all, Flags: ReadOnly | Fast, Needed: "tools", read: parseExists, reply: replyInt},
	{Name: "expire", Arity: -3, Keys: one, Flags: Write | Fast, Needed: "Django touch", write: parseExpire(op.In, 1000, "expire"), reply: replyInt},
	{Name: "pexpire", Arity: -3, Keys: one, Flags: Write | Fast, Needed: "django-redis touch, lock scripts", write: parseExpire(op.In, 1, "pexpire"), reply: replyInt},
	{Name: "expireat", Arity: -3, Keys: one, Flags: Write | Fast, Needed: "django-redis expire_at", write: parseExpire(op.At, 1000, "expireat"), reply: replyInt},
	{Name: "pexpireat", Arity: -3, Keys: one, Flags: Write | Fast, Needed: "django-redis pexpire_at", write: parseExpire(op.At, 1, "pexpireat"), reply: replyInt},
	{Name: "persist", Arity: 2, Keys: one, Flags: Write | Fast, Needed: "django-redis persist", write: parsePersist, reply: replyInt},
	{Name: "ttl", Arity: 2, Keys: one, Flags: ReadOnly | Fast, Needed: "django-redis ttl, incr", read: parseDeadline, reply: replyTTL(left, 1000)},
	{Name: "pttl", Arity: 2, Keys: one, Flags: ReadOnly | Fast, Needed: "django-redis pttl, lock scripts", read: parseDeadline, reply: replyTTL(left, 1)},
	{Name: "expiretime", Arity: 2, Keys: one, Flags: ReadOnly | Fast, Needed: "tools", read: parseDeadline, reply: replyTTL(absolute, 1000)},
	{Name: "pexpiretime", Arity: 2, Keys: one, Flags: ReadOnly | Fast, Needed: "tools", read: parseDeadline, reply: replyTTL(absolute, 1)},
	{Name: "type", Arity: 2, Keys: one, Flags: ReadOnly | Fast, Needed: "redis-cli --bigkeys, exporter", read: parseType, reply: replyType},
	{Name: "rename", Arity: 3, Keys: two, Flags: Write, Needed: "tools", write: parseRename, reply: replyRename},
	{Name: "renamenx", Arity: 3, Keys: two, Flags: Write | Fast, Needed: "tools", write: parseRenameNX, reply: replyRenameNX},
	{Name: "copy", Arity: -3, Keys: two, Flags: Write | DenyOOM, Needed: "tools", write: parseCopy, reply: replyInt},
	{Name: "move", Arity: 3, Keys: one, Flags: Write | Fast, Needed: "tools", write: parseMove, reply: replyInt},
	{Name: "randomkey", Arity: 1, Flags: ReadOnly, Needed: "tools", read: parseRandomKey, reply: replyValue},
	{Name: "keys", Arity: 2, Flags: ReadOnly, Needed: "django-redis keys, delete_pattern", read: parseKeys, reply: replyList},
	{Name: "scan", Arity: -2, Flags: ReadOnly, Needed: "django-redis iter_keys, delete_pattern; exporter", read: parseScan, reply: replyScan},
	{Name: "object", Arity: -2, Needed: "tools", subs: []Command{
		{Name: "encoding", Arity: 3, Keys: Keys{2, 2, 1}, Flags: ReadOnly, Needed: "tests of other servers", read: parseEncoding, reply: replyEncoding},
		{Name: "freq", Arity: 3, Keys: Keys{2, 2, 1}, Flags: ReadOnly, Needed: "redis-cli --hotkeys", read: parseObject, reply: replyObjectFreq},
		{Name: "idletime", Arity: 3, Keys: Keys{2, 2, 1}, Flags: ReadOnly, Needed: "tools", read: parseObject, reply: replyObject(0)},
		{Name: "refcount", Arity: 3, Keys: Keys{2, 2, 1}, Flags: ReadOnly, Needed: "tools", read: parseObject, reply: replyObject(1)},
		{Name: "help", Arity: 2, Flags: Loading, Needed: "people", conn: help("OBJECT", "ENCODING <key>", "FREQ <key>", "IDLETIME <key>", "REFCOUNT <key>")},
	}},
}

func parseDelete(q *request) (op.Write, error) {
	q.ops.del = op.Delete{Keys: q.keys(1, 1)}
	return &q.ops.del, nil
}

func parseExists(q *request) (op.Read, error) {
	q.ops.exists.Keys = q.keys(1, 1)
	return &q.ops.exists, nil
}

func parseExpire(kind op.LifeKind, scale int64, command string) func(*request) (op.Write, error) {
	return func(q *request) (op.Write, error) {
		cond, err := parseExpireCond(q.args[3:])
		if err != nil {
			return nil, err
		}
		n, ok := resp.Int(q.args[2])
		if !ok {
			return nil, errInteger
		}
		if n > latestOf(kind)/scale || n < math.MinInt64/scale {
			return nil, invalidExpire(command)
		}
		q.ops.expire = op.Expire{Key: q.key(1), Life: op.Life{Kind: kind, Ms: n * scale}, Cond: cond}
		return &q.ops.expire, nil
	}
}

func parseExpireCond(args [][]byte) (op.ExpireCond, error) {
	var c op.ExpireCond
	for _, arg := range args {
		switch {
		case is(arg, "nx"):
			c |= op.ExpireNX
		case is(arg, "xx"):
			c |= op.ExpireXX
		case is(arg, "gt"):
			c |= op.ExpireGT
		case is(arg, "lt"):
			c |= op.ExpireLT
		default:
			return 0, failf("ERR Unsupported option %s", arg)
		}
	}
	if c&op.ExpireNX != 0 && c != op.ExpireNX {
		return 0, failure("ERR NX and XX, GT or LT options at the same time are not compatible")
	}
	if c&op.ExpireGT != 0 && c&op.ExpireLT != 0 {
		return 0, failure("ERR GT and LT options at the same time are not compatible")
	}
	return c, nil
}

func parsePersist(q *request) (op.Write, error) {
	q.ops.expire = op.Expire{Key: q.key(1)}
	return &q.ops.expire, nil
}

func parseDeadline(q *request) (op.Read, error) {
	q.ops.deadline.Key = q.key(1)
	return &q.ops.deadline, nil
}

func left(res *op.Result) int64     { return res.Int }
func absolute(res *op.Result) int64 { return res.Deadline }

// replyTTL writes -2 for no key, -1 for no deadline, or the time in units of scale ms, rounded as Redis rounds.
func replyTTL(of func(*op.Result) int64, scale int64) func([]byte, answer, *op.Result) []byte {
	return func(b []byte, _ answer, res *op.Result) []byte {
		switch {
		case res.Status != op.OK:
			return resp.Integer(b, -2)
		case res.Deadline == 0:
			return resp.Integer(b, -1)
		}
		return resp.Integer(b, (of(res)+scale/2)/scale)
	}
}

func parseType(q *request) (op.Read, error) {
	q.ops.typeOf.Key = q.key(1)
	return &q.ops.typeOf, nil
}

var typeNames = [...]string{op.String: "string", op.Hash: "hash", op.Members: "set", op.List: "list", op.Sorted: "zset"}

func replyType(b []byte, _ answer, res *op.Result) []byte {
	if res.Status != op.OK {
		return append(b, "+none\r\n"...)
	}
	return resp.Simple(b, typeNames[res.Int])
}

func parseRename(q *request) (op.Write, error) {
	return &op.Rename{From: q.key(1), To: q.key(2)}, nil
}

func parseRenameNX(q *request) (op.Write, error) {
	return &op.Rename{From: q.key(1), To: q.key(2), IfAbsent: true}, nil
}

func replyRename(b []byte, _ answer, res *op.Result) []byte {
	if res.Status == op.Missing {
		return resp.Err(b, string(errNoSuchKey))
	}
	return append(b, "+OK\r\n"...)
}

func replyRenameNX(b []byte, _ answer, res *op.Result) []byte {
	if res.Status == op.Missing {
		return resp.Err(b, string(errNoSuchKey))
	}
	return resp.Integer(b, res.Int)
}

func parseCopy(q *request) (op.Write, error) {
	o := &op.Rename{From: q.key(1), To: q.key(2), IfAbsent: true, Copy: true}
	for i := 3; i < len(q.args); i++ {
		switch {
		case is(q.args[i], "replace"):
			o.IfAbsent = false
		case is(q.args[i], "db") && i+1 < len(q.args):
			i++
			space, err := parseDB(q.args[i], errInteger)
			if err != nil {
				return nil, err
			}
			o.To.Space = space
		default:
			return nil, errSyntax
		}
	}
	return o, differ(o)
}

// differ refuses to put a key onto itself.
func differ(o *op.Rename) error {
	if o.From.Space == o.To.Space && string(o.From.Name) == string(o.To.Name) {
		return errSameObject
	}
	return nil
}

// parseDB reads the number of a database; bad is the error for what is no number.
func parseDB(b []byte, bad error) (op.Space, error) {
	n, ok := resp.Int(b)
	if !ok || n != int64(int32(n)) {
		return 0, bad
	}
	if n < 0 || n >= int64(op.Memcache) {
		return 0, errDBRange
	}
	return op.Space(n), nil
}

func parseMove(q *request) (op.Write, error) {
	space, err := parseDB(q.args[2], failure("ERR value is not an integer or out of range"))
	if err != nil {
		return nil, err
	}
	o := &op.Rename{From: q.key(1), To: op.Key{Space: space, Name: q.args[1]}, IfAbsent: true}
	return o, differ(o)
}

func parseRandomKey(q *request) (op.Read, error) {
	return &op.RandomKey{Space: q.space, Seed: rand.Uint64()}, nil
}

func parseKeys(q *request) (op.Read, error) {
	return &op.Scan{Space: q.space, Count: -1, Match: q.args[1]}, nil
}

// maxScan bounds the keys that one SCAN looks at, so that nobody holds the state still for long.
const maxScan = 10_000

func parseScan(q *request) (op.Read, error) {
	o := &op.Scan{Space: q.space, Count: 10}
	cursor, err := strconv.ParseUint(string(q.args[1]), 10, 64)
	if err != nil {
		return nil, failure("ERR invalid cursor")
	}
	o.Cursor = cursor
	for i := 2; i < len(q.args); i += 2 {
		if i+1 == len(q.args) {
			return nil, errSyntax
		}
		v := q.args[i+1]
		switch {
		case is(q.args[i], "count"):
			n, ok := resp.Int(v)
			if !ok {
				return nil, errInteger
			}
			if n < 1 {
				return nil, errSyntax
			}
			o.Count = min(n, maxScan)
		case is(q.args[i], "match"):
			o.Match = v
		case is(q.args[i], "type"):
			o.Of = typeNamed(v)
		default:
			return nil, errSyntax
		}
	}
	return o, nil
}

// typeNamed returns the type of that name, or one that no key has.
func typeNamed(name []byte) op.Type {
	for t, n := range typeNames {
		if n != "" && is(name, n) {
			return op.Type(t)
		}
	}
	return math.MaxUint8
}

func replyScan(b []byte, a answer, res *op.Result) []byte {
	b = resp.Array(b, 2)
	b = resp.Bulk(b, strconv.FormatUint(res.Uint, 10))
	return replyList(b, a, res)
}

func parseObject(q *request) (op.Read, error) {
	q.ops.typeOf.Key = q.key(2)
	return &q.ops.typeOf, nil
}

func replyObject(n int64) func([]byte, answer, *op.Result) []byte {
	return func(b []byte, a answer, res *op.Result) []byte {
		if res.Status != op.OK {
			return a.Null(b)
		}
		return resp.Integer(b, n)
	}
}

func replyObjectFreq(b []byte, a answer, res *op.Result) []byte {
	if res.Status != op.OK {
		return a.Null(b)
	}
	return resp.Err(b, "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.")
}
