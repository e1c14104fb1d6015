package redis

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"iter"
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"holdfast/resp"
)

// What a script finds in the table "redis", and how replies become Lua values and Lua values replies.

func (in *interp) openRedis() {
	t := in.l.NewTable()
	in.function(t, "call", func(l *lua.LState) int {
		v := in.redisCall(l)
		if e, ok := v.(*lua.LTable); ok && e.RawGetString("err") != lua.LNil {
			l.Error(e, 0)
		}
		l.Push(v)
		return 1
	})
	in.function(t, "pcall", func(l *lua.LState) int {
		v := in.redisCall(l)
		if e, ok := v.(*lua.LTable); ok {
			if said, ok := e.RawGetString("err").(lua.LString); ok { // what call raises counts when the script ends with it
				in.bench.facts.desk.faults.add([]byte(said))
			}
		}
		l.Push(v)
		return 1
	})
	in.function(t, "error_reply", func(l *lua.LState) int { return in.oneField(l, "err") })
	in.function(t, "status_reply", func(l *lua.LState) int { return in.oneField(l, "ok") })
	in.function(t, "sha1hex", func(l *lua.LState) int {
		if l.GetTop() != 1 {
			fail(l, "ERR wrong number of arguments")
		}
		s, _ := text(l.Get(1))
		sum := sha1.Sum([]byte(s))
		l.Push(lua.LString(hex.EncodeToString(sum[:])))
		return 1
	})
	in.function(t, "log", func(l *lua.LState) int {
		if l.GetTop() < 2 {
			fail(l, "ERR redis.log() requires two arguments or more.")
		}
		if l.Get(1).Type() != lua.LTNumber {
			fail(l, "ERR First argument must be a number (log level).")
		}
		return 0
	})
	in.function(t, "setresp", func(l *lua.LState) int {
		n, _ := l.Get(1).(lua.LNumber)
		if n != 2 && n != 3 {
			fail(l, "ERR RESP version must be 2 or 3.")
		}
		in.v = resp.Version(n)
		return 0
	})
	in.function(t, "replicate_commands", func(l *lua.LState) int {
		l.Push(lua.LTrue)
		return 1
	})
	in.function(t, "set_repl", func(*lua.LState) int { return 0 })
	in.function(t, "breakpoint", func(l *lua.LState) int {
		l.Push(lua.LFalse)
		return 1
	})
	for name, n := range map[string]int{"LOG_DEBUG": 0, "LOG_VERBOSE": 1, "LOG_NOTICE": 2, "LOG_WARNING": 3,
		"REPL_NONE": 0, "REPL_AOF": 1, "REPL_SLAVE": 2, "REPL_REPLICA": 2, "REPL_ALL": 3, "REDIS_VERSION_NUM": 0x070204} {
		t.RawSetString(name, lua.LNumber(n))
	}
	t.RawSetString("REDIS_VERSION", lua.LString(redisVersion))
	in.library("redis", t)
}

// fail raises an error that is an error reply.
func fail(l *lua.LState, text string) { l.Error(errorTable(l, text), 0) }

func errorTable(l *lua.LState, text string) *lua.LTable {
	t := l.NewTable()
	t.RawSetString("err", lua.LString(text))
	return t
}

// oneField makes a status or error out of a text. An error without a code gets one.
func (in *interp) oneField(l *lua.LState, field string) int {
	s, ok := l.Get(1).(lua.LString)
	if l.GetTop() != 1 || !ok {
		l.Push(errorTable(l, "ERR wrong number or type of arguments"))
		return 1
	}
	text := string(s)
	if field == "err" {
		if code, ok := strings.CutPrefix(text, "-"); ok {
			text = code
		} else if !strings.Contains(text, " ") {
			text = "ERR " + text
		}
	}
	t := l.NewTable()
	t.RawSetString(field, lua.LString(text))
	l.Push(t)
	return 1
}

// redisCall carries out a command for the script and returns its reply.
func (in *interp) redisCall(l *lua.LState) lua.LValue {
	n := l.GetTop()
	if n == 0 {
		return errorTable(l, "ERR Please specify at least one argument for this redis lib call")
	}
	args := make([][]byte, n)
	for i := range args {
		switch v := l.Get(i + 1).(type) {
		case lua.LString:
			args[i] = []byte(v)
		case lua.LNumber:
			args[i] = argument(float64(v))
		default:
			return errorTable(l, "ERR Lua redis lib command arguments must be strings or integers")
		}
	}
	row, err := lookup(args)
	switch {
	case row == nil:
		return errorTable(l, "ERR Unknown Redis command called from script")
	case err != nil:
		return errorTable(l, "ERR Wrong number of args calling Redis command from script")
	case row.Flags&NoScript != 0:
		return errorTable(l, "ERR This Redis command is not allowed from script")
	case row.changes() && in.call.readOnly:
		return errorTable(l, "ERR Write commands are not allowed from read-only scripts.")
	}
	facts := in.bench.facts
	if !facts.user.All() {
		if d := row.deny(facts.user, args); d.reason != allowed {
			facts.d.refusals.add(facts, d, "lua")
			return errorTable(l, d.inScript())
		}
	}
	q := request{args: args, space: facts.space, ops: &in.ops}
	facts.desk.tallies[row.number].calls.Add(1)
	if facts.d.alert.some.Load() {
		facts.showScripted(row, args)
	}
	if facts.track != nil && facts.remember(row, args) {
		facts.rememberKeys(in.call.keys) // as in Redis
	}
	if row.conn != nil {
		facts.v = in.v
		in.out = row.conn(facts, &q, in.out[:0])
	} else if in.out, err = in.bench.perform(row, &q, in.out[:0], in.v); err != nil {
		in.halt(err)
		l.RaiseError("%s", err.Error())
	}
	if len(in.out) > 0 && in.out[0] == '-' {
		facts.desk.tallies[row.number].failed.Add(1)
	}
	if len(in.out) >= longString {
		in.meter.check()
	}
	if in.stop != nil {
		in.out = nil
		l.RaiseError("%s", in.stop.Error())
	}
	v, _ := in.value(in.out)
	if cap(in.out) > longString {
		in.out = nil
	}
	return v
}

// argument writes a number as a command's argument.
func argument(f float64) []byte {
	if f == math.Trunc(f) && math.Abs(f) < 1e17 {
		return strconv.AppendInt(nil, int64(f), 10)
	}
	return strconv.AppendFloat(nil, f, 'g', 17, 64)
}

// value turns the reply in front of b into a Lua value. b is one of our own replies, so it is well formed.
func (in *interp) value(b []byte) (v lua.LValue, rest []byte) {
	end := bytes.IndexByte(b, '\r')
	kind, line, tail := b[0], string(b[1:end]), b[end+2:]
	n, _ := strconv.Atoi(line)
	switch kind {
	case '+':
		return in.wrap("ok", lua.LString(line)), tail
	case '-':
		return in.wrap("err", lua.LString(line)), tail
	case ':':
		i, _ := strconv.ParseInt(line, 10, 64)
		return lua.LNumber(i), tail
	case '_':
		return lua.LNil, tail
	case '#':
		return lua.LBool(line == "t"), tail
	case ',':
		f, _ := strconv.ParseFloat(line, 64)
		return in.wrap("double", lua.LNumber(f)), tail
	case '(':
		return in.wrap("big_number", lua.LString(line)), tail
	}
	if n < 0 {
		return lua.LFalse, tail
	}
	switch kind {
	case '$':
		return lua.LString(tail[:n]), tail[n+2:]
	case '=':
		t := in.l.NewTable()
		t.RawSetString("format", lua.LString(tail[:3]))
		t.RawSetString("string", lua.LString(tail[4:n]))
		return in.wrap("verbatim_string", t), tail[n+2:]
	case '%':
		return in.pairs(tail, n)
	case '~':
		return in.members(tail, n)
	}
	return in.array(tail, n)
}

// wrap makes a table of one field, which is how a script sees a reply that is no string, number or array.
func (in *interp) wrap(field string, v lua.LValue) *lua.LTable {
	t := in.l.NewTable()
	t.RawSetString(field, v)
	return t
}

func (in *interp) array(b []byte, n int) (lua.LValue, []byte) {
	t := in.l.CreateTable(n, 0)
	for i := range n {
		var v lua.LValue
		v, b = in.value(b)
		t.RawSetInt(i+1, v)
	}
	return t, b
}

func (in *interp) pairs(b []byte, n int) (lua.LValue, []byte) {
	t := in.l.NewTable()
	for range n {
		var k, v lua.LValue
		k, b = in.value(b)
		v, b = in.value(b)
		t.RawSet(k, v)
	}
	return in.wrap("map", t), b
}

func (in *interp) members(b []byte, n int) (lua.LValue, []byte) {
	t := in.l.NewTable()
	for range n {
		var k lua.LValue
		k, b = in.value(b)
		t.RawSet(k, lua.LTrue)
	}
	return in.wrap("set", t), b
}

// maxReplyDepth bounds how deep tables in a reply may lie in each other.
const maxReplyDepth = 100

// appendValue writes what a script returned as the reply of a connection that speaks v. A small table can make a huge reply, since it may hold
// another one many times: the script is stopped when that takes more than a script may have.
func (in *interp) appendValue(b []byte, value lua.LValue, v resp.Version, depth int) []byte {
	size := len(b)
	if s, ok := value.(lua.LString); ok {
		size += len(s)
	}
	if uint64(size) > in.heap || len(b) > 0 && in.bench.d.tooLarge(size) {
		in.halt(errScriptMemory)
	}
	if in.stop != nil {
		return b
	}
	switch x := value.(type) {
	case lua.LString:
		return resp.Bulk(b, string(x))
	case lua.LNumber:
		return resp.Integer(b, integer(float64(x)))
	case lua.LBool:
		switch {
		case in.v == resp.V3:
			return v.Bool(b, bool(x))
		case bool(x):
			return resp.Integer(b, 1)
		}
	case *lua.LTable:
		if depth >= maxReplyDepth {
			return resp.Err(b, "ERR reached lua stack limit")
		}
		return in.appendTable(b, x, v, depth)
	}
	return v.Null(b)
}

// integer cuts off what is behind the point; what does not fit is what the processor makes of it.
func integer(f float64) int64 {
	if f >= math.MaxInt64 || f < math.MinInt64 || math.IsNaN(f) {
		return math.MinInt64
	}
	return int64(f)
}

func (in *interp) appendTable(b []byte, t *lua.LTable, v resp.Version, depth int) []byte {
	if s, ok := t.RawGetString("err").(lua.LString); ok {
		return resp.Err(b, string(s))
	}
	if s, ok := t.RawGetString("ok").(lua.LString); ok {
		return resp.Simple(b, strings.NewReplacer("\r", " ", "\n", " ").Replace(string(s)))
	}
	if n, ok := t.RawGetString("double").(lua.LNumber); ok {
		return v.Double(b, float64(n))
	}
	if m, ok := t.RawGetString("map").(*lua.LTable); ok {
		b = v.Map(b, count(m))
		for k, e := range entries(m) {
			b = in.appendValue(b, k, v, depth+1)
			b = in.appendValue(b, e, v, depth+1)
		}
		return b
	}
	if m, ok := t.RawGetString("set").(*lua.LTable); ok {
		b = v.Set(b, count(m))
		for k := range entries(m) {
			b = in.appendValue(b, k, v, depth+1)
		}
		return b
	}
	if s, ok := t.RawGetString("big_number").(lua.LString); ok {
		return appendBig(b, string(s), v)
	}
	if vt, ok := t.RawGetString("verbatim_string").(*lua.LTable); ok {
		s, ok := vt.RawGetString("string").(lua.LString)
		format, ok2 := vt.RawGetString("format").(lua.LString)
		if ok && ok2 {
			return v.Verbatim(b, (string(format) + "   ")[:3], string(s))
		}
	}
	n := 0
	for t.RawGetInt(n+1) != lua.LNil {
		n++
	}
	b = resp.Array(b, n)
	for i := 0; i < n && in.stop == nil; i++ {
		b = in.appendValue(b, t.RawGetInt(i+1), v, depth+1)
	}
	return b
}

// entries are what is in a table, in the order of Lua's next: the same each time that the same script makes it, unlike ForEach.
func entries(t *lua.LTable) iter.Seq2[lua.LValue, lua.LValue] {
	return func(yield func(k, v lua.LValue) bool) {
		for k, v := t.Next(lua.LNil); k != lua.LNil && yield(k, v); k, v = t.Next(k) {
		}
	}
}

// count is how many entries a table has.
func count(t *lua.LTable) (n int) {
	for range entries(t) {
		n++
	}
	return n
}

// appendBig writes digits that a script takes for a number.
func appendBig(b []byte, s string, v resp.Version) []byte {
	s = strings.NewReplacer("\r", " ", "\n", " ").Replace(s)
	if v == resp.V3 {
		return append(append(append(b, '('), s...), "\r\n"...)
	}
	return resp.Bulk(b, s)
}
