package redis

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/engine"
	"holdfast/engine/enginetest"
	"holdfast/op"
)

// server drives sessions over an enginetest.Engine as the real server and cluster do: passes of Process, Flush, and Process of the woken.
type server struct {
	t      testing.TB
	engine *enginetest.Engine
	d      *Dialect
	ids    uint64
}

func newServer(t testing.TB, c Config) *server {
	sv := &server{t: t, engine: enginetest.New(), d: New(c)}
	sv.engine.Watch(sv.d.Watcher())
	t.Cleanup(sv.d.Close)
	return sv
}

// wire is a connection to a server: it is the session's Conn, and holds what the client sent and what it was sent.
type wire struct {
	*server
	id      uint64
	session *Session
	in, out []byte
	need    int
	closed  bool
	timers  []*timer
	woken   chan struct{}
}

func (w *wire) Wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// After keeps what is to be done later for pass to do.
func (w *wire) After(d time.Duration, f func()) (stop func()) {
	timer := &timer{w.engine.Status().Now + int64(d), f}
	w.timers = append(w.timers, timer)
	return func() { timer.f = nil }
}

// timer is something that is to be done at a time, Unix ns.
type timer struct {
	at int64
	f  func()
}

// due does what is to be done by now.
func (w *wire) due() {
	now := w.engine.Status().Now
	for _, t := range w.timers {
		if f := t.f; f != nil && t.at <= now {
			t.f = nil
			f()
		}
	}
}

func (w *wire) ID() uint64         { return w.id }
func (w *wire) RemoteAddr() string { return fmt.Sprintf("127.0.0.1:%d", 40000+w.id) }
func (w *wire) LocalAddr() string  { return "127.0.0.1:6379" }

func (sv *server) dial() *wire { return sv.dialOver(sv.engine) }

func (sv *server) dialOver(e engine.Engine) *wire {
	sv.ids++
	w := &wire{server: sv, id: sv.ids, need: 1, woken: make(chan struct{}, 1)}
	w.session = sv.d.Session(e, w)
	return w
}

// await waits for a Wake from another goroutine.
func (w *wire) await() {
	w.t.Helper()
	select {
	case <-w.woken:
	case <-time.After(2 * time.Minute): // a script under the race detector takes its time on a busy machine
		w.t.Fatal("never woken")
	}
}

// process calls Process as often as the server would with what is there.
func (w *wire) process() {
	for {
		used, out, next := w.session.Process(w.in, w.out)
		if used > len(w.in) || !bytes.HasPrefix(out, w.out) {
			w.t.Fatalf("used %d of %d, reply %q for %q", used, len(w.in), out, w.out)
		}
		w.in, w.out, w.need = w.in[used:], out, next
		if next < 0 {
			w.session.Close()
			w.closed = true
		}
		if next <= 0 || len(w.in) < next {
			return
		}
		if used == 0 && len(w.in) > 0 && next <= len(w.in) {
			w.t.Fatalf("nothing used of %q, next %d", w.in, next)
		}
	}
}

// pass is one pass of the loop, until nothing is woken.
func (w *wire) pass() {
	w.due()
	w.process()
	for !w.closed {
		w.engine.Flush()
		select {
		case <-w.woken:
			w.process()
		default:
			return
		}
	}
}

// send gives bytes to the session and waits until all is answered that can be.
func (w *wire) send(b string) {
	w.t.Helper()
	w.in = append(w.in, b...)
	if w.need == 0 {
		return
	}
	w.settle()
}

// settle is pass, and awaits the scripts that it began.
func (w *wire) settle() {
	w.t.Helper()
	w.pass()
	for !w.closed && w.session.work != nil && w.session.work.stage == running {
		w.await()
		w.process()
		w.pass()
	}
}

// ask sends bytes and returns the reply.
func (w *wire) ask(b string) string {
	w.t.Helper()
	w.out = nil
	w.send(b)
	return string(w.out)
}

// do sends a command in the words of one who types.
func (w *wire) do(line string) string {
	w.t.Helper()
	return w.ask(encode(line))
}

// encode turns words into a request.
func encode(line string) string {
	words := split(line)
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(words))
	for _, a := range words {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b.String()
}

// expect sends a command and compares the reply.
func (w *wire) expect(line, want string) {
	w.t.Helper()
	if got := w.do(line); got != want {
		w.t.Errorf("%s\ngives %q\nnot   %q", line, got, want)
	}
}

func TestPipeline(t *testing.T) {
	w := newServer(t, Config{}).dial()
	var in, want strings.Builder
	for i := range 1000 { // more writes than may be pending at a time
		fmt.Fprintf(&in, "%s%s", encode(fmt.Sprintf("set k%d v%d", i, i)), encode("incr n"))
		fmt.Fprintf(&want, "+OK\r\n:%d\r\n", i+1)
		if i%7 == 0 {
			in.WriteString(encode(fmt.Sprintf("get k%d", i)) + encode("nosuch") + "PING\r\n" + encode("incr n x"))
			v := fmt.Sprintf("v%d", i)
			fmt.Fprintf(&want, "$%d\r\n%s\r\n-ERR unknown command 'nosuch', with args beginning with: \r\n+PONG\r\n-ERR wrong number of arguments for 'incr' command\r\n", len(v), v)
		}
	}
	if got := w.ask(in.String()); got != want.String() {
		t.Errorf("got %d bytes, want %d", len(got), want.Len())
	}
}

// A request may come in any pieces.
func TestPieces(t *testing.T) {
	w := newServer(t, Config{}).dial()
	w.out = nil
	for _, c := range []byte(encode("set k \"a b\"") + encode("get k") + "get k\r\n" + encode("del k")) {
		w.send(string(c))
	}
	if want := "+OK\r\n$3\r\na b\r\n$3\r\na b\r\n:1\r\n"; string(w.out) != want {
		t.Errorf("%q, want %q", w.out, want)
	}
}

func TestBigValueIsAskedForOnce(t *testing.T) {
	w := newServer(t, Config{}).dial()
	w.send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000000\r\nabc")
	if want := len(w.in) - 3 + 1000002; w.need != want {
		t.Errorf("needs %d bytes, want %d", w.need, want)
	}
}

// Replies stop at the high-water mark until the server has written them out.
func TestHighWater(t *testing.T) {
	w := newServer(t, Config{}).dial()
	w.do("setrange k 99999 x")
	in := strings.Repeat(encode("get k"), 100)
	used, out, next := w.session.Process([]byte(in), nil)
	if used == len(in) || next != 1 || len(out) < highWater || len(out) > highWater+200_000 {
		t.Errorf("used %d of %d, %d bytes out, next %d", used, len(in), len(out), next)
	}
}

func TestProtocolErrorIsTheLastReply(t *testing.T) {
	w := newServer(t, Config{}).dial()
	got := w.ask(encode("set k v") + "*1\r\nfoo\r\n" + encode("get k"))
	if want := "+OK\r\n-ERR Protocol error: expected '$', got 'f'\r\n"; got != want || !w.closed {
		t.Errorf("%q, closed %v; want %q", got, w.closed, want)
	}
}

func TestWritesThatFail(t *testing.T) {
	for _, c := range []struct {
		err    error
		line   string
		want   string
		closed bool
	}{
		{engine.ErrUnavailable, "set k v", "-LOADING " + engine.ErrUnavailable.Error() + "\r\n", false},
		{engine.ErrUncertain, "set k v", "", true},
		{engine.ErrUnavailable, "eval \"return redis.call('incr','n')\" 0", "-LOADING " + engine.ErrUnavailable.Error() + "\r\n", false},
		{engine.ErrUncertain, "eval \"return redis.call('incr','n')\" 0", "", true},
		{engine.ErrUnavailable, "incrbyfloat n 1", "-LOADING " + engine.ErrUnavailable.Error() + "\r\n", false},
		{engine.ErrVersion, "set k v", "-ERR " + engine.ErrVersion.Error() + "\r\n", false},
		{engine.ErrVersion, "incrbyfloat n 1", "-ERR " + engine.ErrVersion.Error() + "\r\n", false},
	} {
		w := newServer(t, Config{}).dial()
		w.engine.Fail = c.err
		if got := w.do(c.line); got != c.want || w.closed != c.closed {
			t.Errorf("%v, %s: %q, closed %v; want %q, %v", c.err, c.line, got, w.closed, c.want, c.closed)
		}
	}
	// What was done before the uncertain write is still answered.
	w := newServer(t, Config{}).dial()
	w.do("multi")
	w.do("set k v")
	w.engine.Fail = engine.ErrUnavailable
	w.expect("exec", "-LOADING "+engine.ErrUnavailable.Error()+"\r\n")
	w.engine.Fail = nil
	w.expect("get k", "$-1\r\n")
}

// holding is an Engine whose reads wait until the test lets them through.
type holding struct {
	*enginetest.Engine
	arrived chan struct{} // a token for each read that waits
	mu      sync.Mutex    // guards all below
	hold    bool
	waiting []engine.Reader
}

func (h *holding) Read(r op.Read, s engine.Reader) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.hold {
		h.waiting = append(h.waiting, s)
		h.arrived <- struct{}{}
		return false
	}
	return h.Engine.Read(r, s)
}

// keep makes reads wait, or lets them through and wakes or refuses those that wait.
func (h *holding) keep(hold bool, err error) {
	h.mu.Lock()
	h.hold = hold
	waiting := h.waiting
	h.waiting = nil
	h.mu.Unlock()
	for _, s := range waiting {
		if err != nil {
			s.Refuse(err)
		} else {
			s.Wake()
		}
	}
}

func TestReadsThatWait(t *testing.T) {
	for _, line := range []string{"get k", "watch k", "object encoding k", "incrbyfloat n 1", "eval \"return redis.call('get','k')\" 0", "exec"} {
		for _, refuse := range []bool{false, true} {
			waitingRead(t, line, refuse)
		}
	}
}

func waitingRead(t *testing.T, line string, refuse bool) {
	sv := newServer(t, Config{})
	h := &holding{Engine: sv.engine, arrived: make(chan struct{}, 10)}
	w := sv.dialOver(h)
	w.do("set k v")
	if line == "exec" {
		w.do("watch k")
		w.do("multi")
	}
	h.keep(true, nil)
	w.in, w.out = append(w.in, encode(line)+encode("ping")...), nil
	w.pass()
	<-h.arrived
	if len(w.out) != 0 || w.need != 0 {
		t.Fatalf("%s: answered %q while it should wait, next %d", line, w.out, w.need)
	}
	w.process() // a Wake that means nothing
	var err error
	if refuse {
		err = fmt.Errorf("%w: the disk is full", engine.ErrUnavailable)
	}
	h.keep(false, err)
	for !strings.Contains(string(w.out), "PONG") {
		w.await()
		w.process()
		w.pass()
	}
	if got := strings.HasPrefix(string(w.out), "-LOADING") && strings.Contains(string(w.out), "the disk is full\r\n"); got != refuse {
		t.Errorf("%s, refused %v: %q", line, refuse, w.out)
	}
}

// After Close, whatever still comes must be harmless.
func TestClosedSession(t *testing.T) {
	sv := newServer(t, Config{})
	h := &holding{Engine: sv.engine, arrived: make(chan struct{}, 10)}
	w := sv.dialOver(h)
	w.session.Process([]byte(encode("set k v")), nil)
	w.session.Close()
	h.Flush()
	h.keep(true, nil)
	w = sv.dialOver(h)
	w.session.Process([]byte(encode("get k")), nil)
	v := sv.dialOver(h)
	v.session.Process([]byte(encode("eval \"return redis.call('incr','k')\" 0")), nil)
	<-h.arrived
	<-h.arrived
	w.session.Close()
	v.session.Close()
	h.keep(false, engine.ErrUnavailable)
	h.Flush()
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	w := newServer(t, Config{}).dial()
	w.do("set key value")
	in, out := []byte(encode("get key")), make([]byte, 0, 1000)
	if n := testing.AllocsPerRun(100, func() { w.session.Process(in, out) }); n != 0 {
		t.Errorf("GET: %v allocations", n)
	}
	s := newServer(t, Config{}).d.Session(&swallow{}, w)
	in = []byte(encode("set key value ex 60"))
	if n := testing.AllocsPerRun(100, func() { s.Process(in, out) }); n != 0 {
		t.Errorf("SET: %v allocations", n)
	}
}

// swallow is an Engine that does every write at once, with no state behind.
type swallow struct {
	*enginetest.Engine
	res op.Result
	b   []byte
}

func (e *swallow) Write(w op.Write, s engine.Writer) {
	e.b = w.Append(e.b[:0])
	s.Done(&e.res, nil)
}

func BenchmarkGet(b *testing.B) {
	w := newServer(b, Config{}).dial()
	w.do("set key value")
	in, out := []byte(encode("get key")), make([]byte, 0, 1000)
	b.ReportAllocs()
	for b.Loop() {
		w.session.Process(in, out)
	}
}

func BenchmarkSet(b *testing.B) {
	sv := newServer(b, Config{})
	s := sv.d.Session(&swallow{}, sv.dial())
	in, out := []byte(encode("set key value")), make([]byte, 0, 1000)
	b.ReportAllocs()
	for b.Loop() {
		s.Process(in, out)
	}
}

func BenchmarkUnlockScript(b *testing.B) {
	w := newServer(b, Config{}).dial()
	w.do(`script load "if redis.call('get',KEYS[1]) == ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end"`)
	in := encode("set lock token") + encode("evalsha "+w.session.d.scripts.recent.Front().Value.(*script).sha+" 1 lock token")
	b.ReportAllocs()
	for b.Loop() {
		if got := w.ask(in); got != "+OK\r\n:1\r\n" {
			b.Fatal(got)
		}
	}
}

// FuzzSession sends whatever comes: no panic, and nothing more than what was sent is used.
func FuzzSession(f *testing.F) {
	text, err := os.ReadFile("testdata/oracle.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, sec := range strings.Split(string(text), "\n\n") {
		if !strings.HasPrefix(sec, "# scripts") {
			f.Add([]byte(strings.ReplaceAll(sec, "\n", "\r\n")))
		}
	}
	f.Add([]byte(encode("multi") + encode("set k v") + encode("exec")))
	f.Fuzz(func(t *testing.T, in []byte) {
		w := newServer(t, Config{}).dial()
		w.send(string(in))
	})
}
