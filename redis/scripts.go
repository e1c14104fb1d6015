package redis

import (
	"container/list"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"strings"
	"sync"
	"time"

	lua "github.com/yuin/gopher-lua"

	"holdfast/engine"
	"holdfast/op"
	"holdfast/resp"
)

// A script runs on a goroutine of its own over an Overlay, which yields one guarded Tx (work.go). So it never stalls a worker, and no
// interpreter is in the state. interp.go is the sandbox, calls.go what a script may call.

var scriptCommands = []Command{
	{Name: "eval", Arity: -3, Flags: evalFlags | Write, numbered: 2, Needed: "django-redis incr", compute: eval(false)},
	{Name: "evalsha", Arity: -3, Flags: evalFlags | Write, numbered: 2, Needed: "tooz groups, redis-py locks", compute: evalSHA(false)},
	{Name: "eval_ro", Arity: -3, Flags: evalFlags | ReadOnly, numbered: 2, Needed: "tools", compute: eval(true)},
	{Name: "evalsha_ro", Arity: -3, Flags: evalFlags | ReadOnly, numbered: 2, Needed: "tools", compute: evalSHA(true)},
	{Name: "script", Arity: -2, Needed: "tooz groups, redis-py locks", subs: []Command{
		{Name: "load", Arity: 3, Flags: NoScript, Needed: "redis-py, after NOSCRIPT", conn: scriptLoad},
		{Name: "exists", Arity: -3, Flags: NoScript, Needed: "redis-py pipelines", conn: scriptExists},
		{Name: "flush", Arity: -2, Flags: NoScript, Needed: "tests", conn: scriptFlush},
		{Name: "kill", Arity: 2, Flags: NoScript, Needed: "operators", conn: scriptKill},
		{Name: "help", Arity: 2, Flags: Loading, Needed: "people", conn: help("SCRIPT", "EXISTS <sha1> [<sha1> ...]", "FLUSH [ASYNC|SYNC]", "KILL", "LOAD <script>")},
	}},
	{Name: "function", Arity: -2, Needed: "Redis's own tests, between any two", subs: []Command{
		{Name: "flush", Arity: -2, Flags: NoScript, Needed: "Redis's own tests", conn: functionFlush},
	}},
}

// functionFlush finds nothing to remove: there are no functions.
func functionFlush(_ *Session, q *request, b []byte) []byte {
	if len(q.args) > 3 || len(q.args) == 3 && !is(q.args[2], "sync") && !is(q.args[2], "async") {
		return resp.Err(b, string(errFlushMode))
	}
	return append(b, "+OK\r\n"...)
}

const evalFlags = NoScript | MovingKeys | Scripted

// Bounds of scripts.
const (
	scriptTime     = 5 * time.Second // that one may run, without waiting for the engine
	maxRunning     = 4               // at a time; more wait
	maxScript      = 1 << 20         // bytes of a text
	maxCached      = 1000            // texts that are kept
	maxCachedBytes = 16 << 20        // of them together
)

const (
	errNoScript   = failure("NOSCRIPT No matching script. Please use EVAL.")
	errNotBusy    = failure("NOTBUSY No scripts in execution right now.")
	errFlushMode  = failure("ERR SCRIPT FLUSH only support SYNC|ASYNC option")
	errScriptSize = failure("ERR the script is longer than 1 MiB")
)

// script is a text that was compiled.
type script struct {
	sha      string
	size     int
	proto    *lua.FunctionProto
	noWrites bool // it says of itself that it only reads
}

// scripts keeps the compiled texts, least recently used last, and runs them.
type scripts struct {
	ctx     context.Context // ends when the dialect does
	stop    context.CancelFunc
	running sync.WaitGroup
	slots   chan *slot // who holds one may run
	limits  limits

	mu     sync.Mutex // guards all below
	bySHA  map[string]*list.Element
	recent list.List // of *script
	bytes  int
	active map[*slot]context.CancelFunc // of the scripts that run now
}

// limits are scriptTime and maxHeap, but for tests.
type limits struct {
	time time.Duration
	heap uint64
}

// growth is how many bytes a computation may take where memory-limit is limit, 0 for none.
func (l limits) growth(limit uint64) uint64 {
	if limit == 0 {
		return l.heap
	}
	return min(l.heap, limit/heapShare)
}

// slot is what one running script needs; kept from run to run.
type slot struct{ bench bench }

func newScripts() *scripts {
	c := &scripts{slots: make(chan *slot, maxRunning), bySHA: map[string]*list.Element{}, active: map[*slot]context.CancelFunc{}}
	c.limits = limits{scriptTime, maxHeap}
	c.ctx, c.stop = context.WithCancel(context.Background())
	for range maxRunning {
		c.slots <- &slot{}
	}
	return c
}

func (c *scripts) close() {
	c.stop()
	c.running.Wait()
}

// cached tells how many texts are kept, and their bytes.
func (c *scripts) cached() (n, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.recent.Len(), c.bytes
}

// find returns the script with that SHA-1 in hex, nil if it is not kept.
func (c *scripts) find(sha string) *script {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.bySHA[sha]
	if e == nil {
		return nil
	}
	c.recent.MoveToFront(e)
	return e.Value.(*script)
}

// load returns the compiled text, which is kept from then on.
func (c *scripts) load(text []byte) (*script, error) {
	sum := sha1.Sum(text)
	sha := hex.EncodeToString(sum[:])
	if s := c.find(sha); s != nil {
		return s, nil
	}
	if len(text) > maxScript {
		return nil, errScriptSize
	}
	s := &script{sha: sha, size: len(text)}
	if err := s.compile(string(text)); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bySHA[sha] == nil {
		c.bySHA[sha] = c.recent.PushFront(s)
		c.bytes += s.size
	}
	for c.recent.Len() > maxCached || c.bytes > maxCachedBytes {
		last := c.recent.Remove(c.recent.Back()).(*script)
		delete(c.bySHA, last.sha)
		c.bytes -= last.size
	}
	return s, nil
}

func (c *scripts) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.bySHA)
	c.recent.Init()
	c.bytes = 0
}

// kill stops the scripts that run now and says whether there were any. Nothing that they wrote has happened.
func (c *scripts) kill() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cancel := range c.active {
		cancel()
	}
	return len(c.active) > 0
}

// begin gives a run of a script its time.
func (c *scripts) begin(s *slot) context.Context {
	ctx, cancel := context.WithTimeout(c.ctx, c.limits.time)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active[s] = cancel
	return ctx
}

func (c *scripts) end(s *slot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.active[s]()
	delete(c.active, s)
}

// gate is a Reader that a script's goroutine waits at; what comes through it is why the wait ended.
type gate chan error

func (g gate) Show(*op.Result)  {}
func (g gate) Wake()            { g <- nil }
func (g gate) Refuse(err error) { g <- err }

// run computes w on a goroutine of its own and wakes the session when it is done.
func (c *scripts) run(w *work, s *Session) {
	e, shadow := s.e, s.shadow()
	if w.keeps {
		shadow.track = s.track
	}
	c.running.Add(1)
	go func() {
		defer c.running.Done()
		w.err = c.compute(w, e, shadow)
		w.ready.Store(true)
		if !s.closed.Load() {
			s.conn.Wake()
		}
	}()
}

// compute computes w, waiting where a read has to wait, and leaves its transaction in w.tx.
func (c *scripts) compute(w *work, e engine.Engine, shadow *Session) error {
	var sl *slot
	select {
	case sl = <-c.slots:
	case <-c.ctx.Done():
		return engine.ErrUnavailable
	}
	defer func() { c.slots <- sl }()
	b := &sl.bench
	b.facts, b.d = shadow, shadow.d
	for {
		g := make(gate, 1)
		b.reset(e, g)
		b.time = c.begin(sl)
		err := w.run(b)
		c.end(sl)
		if err != engine.ErrWait {
			w.tx = own(b.Tx(w.guard))
			return err
		}
		select {
		case err = <-g:
		case <-c.ctx.Done():
			err = engine.ErrUnavailable
		}
		if err != nil {
			return err
		}
	}
}

// own copies what of a transaction the overlay will use again.
func own(tx *op.Tx) *op.Tx {
	return &op.Tx{Guards: tx.Guards, Count: tx.Count, Body: append([]byte(nil), tx.Body...), Level: tx.Level}
}

// shadow is a session that a script can ask and change without touching the real one.
func (s *Session) shadow() *Session {
	c := &Session{d: s.d, e: s.e, conn: s.conn, desk: s.desk, client: s.client, users: s.users}
	c.showFace()
	return c
}

// scriptArgs takes "numkeys key... arg..." apart.
func scriptArgs(args [][]byte) (keys, argv [][]byte, err error) {
	n, ok := resp.Int(args[2])
	switch {
	case !ok:
		return nil, nil, errInteger
	case n > int64(len(args)-3):
		return nil, nil, failure("ERR Number of keys can't be greater than number of args")
	case n < 0:
		return nil, nil, failure("ERR Number of keys can't be negative")
	}
	return args[3 : 3+n], args[3+n:], nil
}

func eval(readOnly bool) func(*bench, *request, []byte) ([]byte, error) {
	return func(w *bench, q *request, b []byte) ([]byte, error) {
		keys, argv, err := scriptArgs(q.args)
		if err != nil {
			return b, err
		}
		s, err := w.facts.d.scripts.load(q.args[1])
		if err != nil {
			return b, err
		}
		return w.runScript(s, invocation{keys, argv, q.space, readOnly}, b)
	}
}

func evalSHA(readOnly bool) func(*bench, *request, []byte) ([]byte, error) {
	return func(w *bench, q *request, b []byte) ([]byte, error) {
		s := w.facts.d.scripts.find(strings.ToLower(string(q.args[1])))
		if s == nil {
			return b, errNoScript
		}
		keys, argv, err := scriptArgs(q.args)
		if err != nil {
			return b, err
		}
		return w.runScript(s, invocation{keys, argv, q.space, readOnly}, b)
	}
}

func scriptLoad(s *Session, q *request, b []byte) []byte {
	sc, err := s.d.scripts.load(q.args[2])
	if err != nil {
		return resp.Err(b, err.Error())
	}
	return resp.Bulk(b, sc.sha)
}

func scriptExists(s *Session, q *request, b []byte) []byte {
	b = resp.Array(b, len(q.args)-2)
	for _, sha := range q.args[2:] {
		n := int64(0)
		if s.d.scripts.find(strings.ToLower(string(sha))) != nil {
			n = 1
		}
		b = resp.Integer(b, n)
	}
	return b
}

func scriptFlush(s *Session, q *request, b []byte) []byte {
	if len(q.args) > 3 || len(q.args) == 3 && !is(q.args[2], "sync") && !is(q.args[2], "async") {
		return resp.Err(b, string(errFlushMode))
	}
	s.d.scripts.flush()
	return append(b, "+OK\r\n"...)
}

func scriptKill(s *Session, _ *request, b []byte) []byte {
	if !s.d.scripts.kill() {
		return resp.Err(b, string(errNotBusy))
	}
	return append(b, "+OK\r\n"...)
}
