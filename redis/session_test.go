package redis

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/engine/enginetest"
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
	woken   chan struct{}
	mu      sync.Mutex
}

func (w *wire) Wake() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}
func (w *wire) ID() uint64         { return w.id }
func (w *wire) RemoteAddr() string { return fmt.Sprintf("127.0.0.1:%d", 40000+w.id) }
func (w *wire) LocalAddr() string  { return "127.0.0.1:6379" }

func (sv *server) dial() *wire {
	sv.ids++
	w := &wire{server: sv, id: sv.ids, need: 1, woken: make(chan struct{}, 1)}
	w.session = sv.d.Session(sv.engine, w)
	return w
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
	w.pass()
	for !w.closed && w.session.work != nil { // a script runs
		select {
		case <-w.woken:
			w.process()
			w.pass()
		case <-time.After(20 * time.Second):
			w.t.Fatalf("no answer to %q", b)
		}
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
