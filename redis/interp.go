package redis

import (
	"context"
	"math"
	"math/rand/v2"
	"regexp"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"holdfast/op"
	"holdfast/resp"
)

// Bounds of an interpreter.
const (
	maxString   = 64 << 20  // bytes of a string that a script makes
	longString  = 1 << 20   // bytes of a string that is not made without a look at the meter
	maxHeap     = 256 << 20 // bytes by which the heap may grow while a script runs; less where memory-limit is small
	heapShare   = 4         // the part of memory-limit is one in so many
	maxStack    = 200       // calls within calls
	maxRegistry = 1 << 18   // values on the stacks
	maxSparse   = 1 << 20   // elements that a table makes room for at once
	maxTails    = 100_000   // calls within calls, those in tail position included: an error's trace has a line for each of them
	meterEvery  = 64        // instructions between two looks at the meter
	tailsEvery  = 64        // looks at the meter between two that count calls
)

func init() { lua.MaxArrayIndex = maxSparse }

const (
	errReadOnlyTable = "Attempt to modify a readonly table"
	errScriptTime    = stopped("ERR the script was stopped: it ran longer than 5 s or was killed; nothing it wrote has happened")
	errScriptTails   = stopped("ERR the script was stopped: more than 100000 calls within calls; nothing it wrote has happened")
	errKeysMemory    = stopped("ERR the keys that were read are larger together than memory-limit allows for one computation; nothing it wrote has happened")
	errScriptMemory  = stopped("ERR the script was stopped: it needs too much memory; nothing it wrote has happened")
)

// stopped is the text of the reply when a script was not allowed to end by itself. Unlike a failure it undoes what was computed with it.
type stopped string

func (s stopped) Error() string { return string(s) }

// invocation is what a script is called with.
type invocation struct {
	keys, argv [][]byte
	space      op.Space
	readOnly   bool
}

// interp is a Lua interpreter that scripts run in, one after the other. What one script could leave behind for the next is sealed: the
// globals and libraries that it sees are empty tables that look into the real ones and refuse to be written.
type interp struct {
	l       *lua.LState
	globals *lua.LTable   // the real globals
	env     *lua.LTable   // what scripts see of them
	seals   []*lua.LTable // all that must stay empty
	plain   []lua.LValue  // the metatables of what has none in Redis
	meter   meter
	seed    *rand.PCG
	rand    *rand.Rand
	heap    uint64 // bytes by which the heap may grow during a run

	// Of the present run:
	bench *bench
	call  invocation
	v     resp.Version // of the replies that the script sees: redis.setresp
	stop  error        // why the script cannot go on, whatever it catches
	ops   ops
	out   []byte
	json  jsonSettings
}

// meter counts the instructions of a script: it is the context that the interpreter looks at before each of them.
type meter struct {
	context.Context
	in     *interp
	n      uint
	done   chan struct{} // nil until the script is to stop
	sample []metrics.Sample
	most   uint64 // bytes that the heap may come to
}

// Done is called for every instruction.
func (m *meter) Done() <-chan struct{} {
	if m.n++; m.n%meterEvery == 0 {
		m.check()
	}
	return m.done
}

func (m *meter) Err() error { return m.in.stop }

func (m *meter) check() {
	switch {
	case m.done != nil:
	case m.Context.Err() != nil:
		m.in.halt(errScriptTime)
	case m.n%(meterEvery*tailsEvery) == 0 && m.in.deep():
		m.in.halt(errScriptTails)
	case m.heap() > m.most:
		runtime.GC()
		if m.heap() > m.most {
			m.in.halt(errScriptMemory)
		}
	}
}

// deep says whether there are more than maxTails calls within calls. Those in tail position take no frame, so maxStack does not bound them.
func (in *interp) deep() bool {
	_, deeper := in.l.GetStack(maxTails)
	return deeper
}

// heap returns the bytes of the heap, garbage included.
func (m *meter) heap() uint64 {
	metrics.Read(m.sample)
	return m.sample[0].Value.Uint64()
}

func (m *meter) begin(ctx context.Context, growth uint64) {
	m.Context, m.n, m.done = ctx, 0, nil
	m.most = m.heap() + growth
}

// halt stops the script: every instruction fails from now on, so that no pcall helps.
func (in *interp) halt(err error) {
	if in.stop == nil {
		in.stop = err
		in.meter.done = make(chan struct{})
		close(in.meter.done)
	}
}

func newInterp() *interp {
	in := &interp{l: lua.NewState(lua.Options{
		SkipOpenLibs: true, CallStackSize: maxStack, RegistrySize: 1024, RegistryMaxSize: maxRegistry, RegistryGrowStep: 1 << 14, MinimizeStackMemory: true,
	})}
	in.meter.in = in
	in.meter.sample = []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	in.seed = rand.NewPCG(0, 0)
	in.rand = rand.New(in.seed)
	l := in.l
	for _, open := range []lua.LGFunction{lua.OpenBase, lua.OpenTable, lua.OpenString, lua.OpenMath} {
		l.Push(l.NewFunction(open))
		l.Call(0, 0)
	}
	in.globals = l.NewTable()
	have := l.Get(lua.GlobalsIndex).(*lua.LTable)
	for _, name := range strings.Fields("assert ipairs next pairs rawequal rawget select setmetatable tonumber type xpcall _VERSION") {
		in.globals.RawSetString(name, have.RawGetString(name))
	}
	in.openBase()
	in.openString(have.RawGetString("string").(*lua.LTable))
	in.openTable(have.RawGetString("table").(*lua.LTable))
	in.openMath(have.RawGetString("math").(*lua.LTable))
	in.openJSON()
	in.openPack()
	in.openBit()
	in.openStruct()
	in.openRedis()
	mt := l.NewTable()
	mt.RawSetString("__index", l.NewFunction(noGlobal))
	l.SetMetatable(in.globals, mt)
	in.env = in.seal(in.globals)
	in.globals.RawSetString("_G", in.env)
	l.SetContext(&in.meter)
	return in
}

func noGlobal(l *lua.LState) int {
	l.RaiseError("Script attempted to access nonexistent global variable '%s'", l.ToString(2))
	return 0
}

// seal returns an empty table that looks into t and cannot be written.
func (in *interp) seal(t *lua.LTable) *lua.LTable {
	l := in.l
	mt, front := l.NewTable(), l.NewTable()
	mt.RawSetString("__index", t)
	mt.RawSetString("__newindex", l.NewFunction(func(l *lua.LState) int {
		l.RaiseError(errReadOnlyTable)
		return 0
	}))
	mt.RawSetString("__metatable", front)
	l.SetMetatable(front, mt)
	in.seals = append(in.seals, front)
	return front
}

// library makes t known under name.
func (in *interp) library(name string, t *lua.LTable) { in.globals.RawSetString(name, in.seal(t)) }

// function puts a function of ours into t.
func (in *interp) function(t *lua.LTable, name string, f lua.LGFunction) {
	t.RawSetString(name, in.l.NewFunction(f))
}

// clean says whether the script left nothing in the sealed tables; there are ways around a metatable.
func (in *interp) clean() bool {
	for _, t := range in.seals {
		if k, _ := t.Next(lua.LNil); k != lua.LNil {
			return false
		}
	}
	return true
}

// sealed says whether t may not be written.
func (in *interp) sealed(t lua.LValue) bool {
	for _, s := range in.seals {
		if t == s {
			return true
		}
	}
	return false
}

// runScript runs a script on the bench and appends its reply.
func (b *bench) runScript(s *script, c invocation, out []byte) ([]byte, error) {
	if b.lua == nil {
		b.lua = newInterp()
		b.lua.heap = b.d.scripts.limits.growth(b.facts.e.Status().Limit)
	}
	in := b.lua
	in.bench, in.call, in.v, in.stop = b, c, resp.V2, nil
	in.call.readOnly = c.readOnly || s.noWrites
	b.facts.space = c.space
	v := b.Version
	in.meter.begin(b.time, in.heap)
	result, err := in.run(s)
	if !in.clean() || in.l.GetTop() != 0 {
		b.lua = nil
	}
	reply := out
	switch {
	case in.stop != nil:
	case err != nil:
		reply = resp.Err(out, err.Error())
	default:
		reply = in.appendValue(out, result, v, 0)
	}
	if in.stop != nil {
		b.lua = nil
		return out, in.stop
	}
	return reply, nil
}

// run calls the script and returns its first result. An error is the text of the reply.
func (in *interp) run(s *script) (result lua.LValue, err error) {
	l := in.l
	in.seed.Seed(rand.Uint64(), rand.Uint64())
	in.json = newJSON
	in.globals.RawSetString("KEYS", in.strings(in.call.keys))
	in.globals.RawSetString("ARGV", in.strings(in.call.argv))
	f := l.NewFunctionFromProto(s.proto)
	f.Env = in.env
	l.Push(f)
	if err := l.PCall(0, 1, nil); err != nil {
		return nil, failure(uncaught(err, s))
	}
	result = l.Get(-1)
	l.Pop(1)
	return result, nil
}

var tracePosition = regexp.MustCompile(chunkName + `:(\d+):`)

// uncaught says what Redis says of an error that a script did not catch.
func uncaught(err error, s *script) string {
	text, line := "ERR "+err.Error(), "1"
	if e, ok := err.(*lua.ApiError); ok {
		text = "ERR " + e.Object.String()
		if t, ok := e.Object.(*lua.LTable); ok {
			text = t.RawGetString("err").String()
		}
		if m := tracePosition.FindStringSubmatch(e.StackTrace); m != nil {
			line = m[1]
		}
	}
	return text + " script: " + s.sha + ", on @" + chunkName + ":" + line + "."
}

// strings makes a table of arguments.
func (in *interp) strings(args [][]byte) *lua.LTable {
	t := in.l.CreateTable(len(args), 0)
	for _, a := range args {
		t.Append(lua.LString(a))
	}
	return t
}

func (in *interp) openBase() {
	g := in.globals
	in.function(g, joinName, in.join)
	in.function(g, "error", luaError)
	in.function(g, "pcall", in.pcall)
	in.function(g, "tostring", luaToString)
	in.function(g, "loadstring", in.loadString)
	in.function(g, "rawset", func(l *lua.LState) int {
		if in.sealed(l.CheckTable(1)) {
			fail(l, "ERR "+errReadOnlyTable)
		}
		l.RawSet(l.CheckTable(1), l.CheckAny(2), l.CheckAny(3))
		l.SetTop(1)
		return 1
	})
	in.function(g, "setmetatable", func(l *lua.LState) int {
		if in.sealed(l.CheckTable(1)) {
			fail(l, "ERR "+errReadOnlyTable)
		}
		l.CheckTypes(2, lua.LTNil, lua.LTTable)
		if l.GetMetaField(l.Get(1), "__metatable") != lua.LNil {
			l.RaiseError("cannot change a protected metatable")
		}
		l.SetMetatable(l.Get(1), l.Get(2))
		l.SetTop(1)
		return 1
	})
	in.function(g, "getmetatable", func(l *lua.LState) int {
		mt := l.GetMetatable(l.CheckAny(1))
		if slices.Contains(in.plain, mt) {
			mt = lua.LNil
		}
		l.Push(mt)
		return 1
	})
	in.function(g, "unpack", unpack)
	in.explainPlain()
	in.function(g, "collectgarbage", func(l *lua.LState) int {
		l.Push(lua.LNumber(0))
		return 1
	})
}

// explainPlain has the interpreter say, of what is neither to be called nor to be indexed, what Redis's says. What does so are metatables that no script sees.
func (in *interp) explainPlain() {
	for _, v := range []lua.LValue{lua.LNil, lua.LFalse, lua.LNumber(0)} {
		kind := v.Type().String()
		mt := in.l.NewTable()
		in.function(mt, "__call", func(l *lua.LState) int {
			l.RaiseError("attempt to call a %s value", kind)
			return 0
		})
		index := in.l.NewFunction(func(l *lua.LState) int {
			l.RaiseError("attempt to index a %s value", kind)
			return 0
		})
		mt.RawSetString("__index", index)
		mt.RawSetString("__newindex", index)
		in.l.SetMetatable(v, mt)
		in.plain = append(in.plain, mt)
	}
}

// maxResults is how many values unpack returns at most, as in Redis.
const maxResults = 8000

func unpack(l *lua.LState) int {
	t, from := l.CheckTable(1), l.OptInt(2, 1)
	to := l.OptInt(3, t.Len())
	if from > to {
		return 0
	}
	if n := to - from; n < 0 || n >= maxResults {
		l.RaiseError("too many results to unpack")
	}
	for i := from; i <= to; i++ {
		l.Push(t.RawGetInt(i))
	}
	return to - from + 1
}

// join is the operator "..".
func (in *interp) join(l *lua.LState) int {
	n := l.GetTop()
	size := 0
	parts := make([]string, n)
	for i := range parts {
		s, ok := text(l.Get(i + 1))
		if !ok {
			return in.joinMeta(l)
		}
		parts[i] = s
		size += len(s)
	}
	checkSize(l, size)
	l.Push(lua.LString(strings.Join(parts, "")))
	return 1
}

// joinMeta joins from the right, by __concat where an operand is no string.
func (in *interp) joinMeta(l *lua.LState) int {
	n := l.GetTop()
	acc := l.Get(n)
	for i := n - 1; i > 0; i-- {
		v := l.Get(i)
		a, ok := text(v)
		b, ok2 := text(acc)
		if ok && ok2 {
			checkSize(l, len(a)+len(b))
			acc = lua.LString(a + b)
			continue
		}
		f := l.GetMetaField(v, "__concat")
		if f == lua.LNil {
			f = l.GetMetaField(acc, "__concat")
		}
		if f == lua.LNil {
			if ok {
				v = acc
			}
			l.RaiseError("attempt to concatenate a %s value", v.Type())
		}
		l.Push(f)
		l.Push(v)
		l.Push(acc)
		l.Call(2, 1)
		acc = l.Get(-1)
		l.Pop(1)
	}
	l.Push(acc)
	return 1
}

// checkSize refuses to make a string of that many bytes, and looks at the meter before a long one.
func checkSize(l *lua.LState, size int) {
	if size < 0 || size > maxString {
		l.RaiseError("string of more than %d bytes", maxString)
	}
	if m, ok := l.Context().(*meter); ok && size >= longString {
		m.check()
	}
}

// text returns a string or number as text.
func text(v lua.LValue) (string, bool) {
	switch v := v.(type) {
	case lua.LString:
		return string(v), true
	case lua.LNumber:
		return number(float64(v)), true
	}
	return "", false
}

// number writes a number as Lua does, with 14 digits.
func number(f float64) string {
	switch {
	case f == math.Trunc(f) && math.Abs(f) < 1e14:
		if f == 0 && math.Signbit(f) {
			return "-0"
		}
		return strconv.FormatInt(int64(f), 10)
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	return strconv.FormatFloat(f, 'g', 14, 64)
}

// luaError puts where it was called in front of a text, unless that was no script's doing.
func luaError(l *lua.LState) int {
	v, level := l.Get(1), l.OptInt(2, 1)
	if s, ok := text(v); ok {
		v = lua.LString(s)
		if at, ok := l.GetStack(level); ok && level > 0 {
			if _, err := l.GetInfo("Sl", at, lua.LNil); err == nil && at.What != "G" {
				v = lua.LString(at.Source + ":" + strconv.Itoa(at.CurrentLine) + ": " + s)
			}
		}
	}
	l.Error(v, 0)
	return 0
}

func luaToString(l *lua.LState) int {
	v := l.CheckAny(1)
	if n, ok := v.(lua.LNumber); ok {
		l.Push(lua.LString(number(float64(n))))
		return 1
	}
	l.Push(l.ToStringMeta(v))
	return 1
}

// pcall gives an error table of redis.call as its text, as Redis does.
func (in *interp) pcall(l *lua.LState) int {
	l.CheckAny(1)
	if err := l.PCall(l.GetTop()-1, lua.MultRet, nil); err != nil {
		if in.stop != nil {
			l.RaiseError("%s", in.stop.Error())
		}
		var v lua.LValue = lua.LString(err.Error())
		if e, ok := err.(*lua.ApiError); ok {
			v = e.Object
		}
		if t, ok := v.(*lua.LTable); ok && t.RawGetString("err") != lua.LNil {
			v = t.RawGetString("err")
		}
		l.Push(lua.LFalse)
		l.Push(v)
		return 2
	}
	l.Insert(lua.LTrue, 1)
	return l.GetTop()
}

func (in *interp) loadString(l *lua.LState) int {
	s := l.CheckString(1)
	if len(s) > maxScript {
		l.RaiseError("chunk of more than %d bytes", maxScript)
	}
	proto, err := compile(s, l.OptString(2, chunkName))
	if err != nil {
		l.Push(lua.LNil)
		l.Push(lua.LString(err.Error()))
		return 2
	}
	f := l.NewFunctionFromProto(proto)
	f.Env = in.env
	l.Push(f)
	return 1
}

func (in *interp) openTable(t *lua.LTable) {
	in.function(t, "concat", tableConcat)
	insert := t.RawGetString("insert").(*lua.LFunction).GFunction
	in.function(t, "insert", func(l *lua.LState) int {
		if in.sealed(l.CheckTable(1)) {
			fail(l, "ERR "+errReadOnlyTable)
		}
		return insert(l)
	})
	in.library("table", t)
}

func tableConcat(l *lua.LState) int {
	t, sep := l.CheckTable(1), l.OptString(2, "")
	from, to := l.OptInt(3, 1), l.OptInt(4, t.Len())
	var b strings.Builder
	for i := from; i <= to; i++ {
		s, ok := text(t.RawGetInt(i))
		if !ok {
			l.RaiseError("invalid value (%s) at index %d in table for 'concat'", t.RawGetInt(i).Type(), i)
		}
		checkSize(l, b.Len()+len(s)+len(sep))
		b.WriteString(s)
		if i != to {
			b.WriteString(sep)
		}
	}
	l.Push(lua.LString(b.String()))
	return 1
}

// openMath replaces what would share its randomness with the rest of the process.
func (in *interp) openMath(t *lua.LTable) {
	in.function(t, "random", func(l *lua.LState) int {
		low, high := 1, 0
		switch l.GetTop() {
		case 0:
			l.Push(lua.LNumber(in.rand.Float64()))
			return 1
		case 1:
			high = l.CheckInt(1)
		default:
			low, high = l.CheckInt(1), l.CheckInt(2)
		}
		if high < low || high-low < 0 || high-low == math.MaxInt {
			l.ArgError(l.GetTop(), "interval is empty")
		}
		l.Push(lua.LNumber(low + in.rand.IntN(high-low+1)))
		return 1
	})
	in.function(t, "randomseed", func(l *lua.LState) int {
		in.seed.Seed(uint64(int64(l.CheckNumber(1))), 0)
		return 0
	})
	in.library("math", t)
}
