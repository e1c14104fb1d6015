package link

import (
	"context"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a network without one: addresses are names, connections are pipes, which have no buffers.
type pipes struct {
	mu        sync.Mutex
	listeners map[string]*pipeListener
}

type pipeListener struct {
	name  string
	conns chan net.Conn
	done  chan bool
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error    { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr  { return l }
func (l *pipeListener) Network() string { return "pipe" }
func (l *pipeListener) String() string  { return l.name }

func (p *pipes) dial(ctx context.Context, addr string) (net.Conn, error) {
	p.mu.Lock()
	l := p.listeners[addr]
	p.mu.Unlock()
	if l == nil {
		<-ctx.Done() // nobody refuses
		return nil, ctx.Err()
	}
	a, b := net.Pipe()
	select {
	case l.conns <- a:
		return b, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) start(t testing.TB, n uint64, options ...option) *member {
	return start(t, n, append(options, func(m *member, c *Config) {
		l := &pipeListener{name: m.id.Name, conns: make(chan net.Conn), done: make(chan bool)}
		p.mu.Lock()
		p.listeners[m.id.Name] = l
		p.mu.Unlock()
		c.Listener, c.Dial = l, p.dial
	})...)
}

// inTime runs a test whose clock moves when nothing else does.
func inTime(t *testing.T, test func(t *testing.T, p *pipes)) {
	synctest.Test(t, func(t *testing.T) { test(t, &pipes{listeners: map[string]*pipeListener{}}) })
}

// Who never finishes the greeting is gone after greetTimeout, at each of its points and under TLS too.
func TestSlowGreeting(t *testing.T) {
	ca := newAuthority(t, "ca")
	inTime(t, func(t *testing.T, p *pipes) {
		whole := string((&hello{1, 1, forRequest, 0, Identity{ID: 2, Name: "c2"}}).append(nil))
		for name, options := range map[string][]option{"c1": nil, "c2": {withTLS(ca.member(t, "c2"))}} {
			m := p.start(t, uint64(name[1]-'0'), options...)
			for _, n := range []int{0, 1, len(magic), len(magic) + 2, len(whole) - 1} {
				conn, err := p.dial(t.Context(), name)
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				wrote := make(chan bool)
				go func() {
					defer close(wrote)
					for i := range n { // byte by byte, which does not make it longer
						if _, err := conn.Write([]byte{whole[i]}); err != nil {
							return
						}
						time.Sleep(time.Second)
					}
				}()
				io.Copy(io.Discard, conn)
				if took := time.Since(began); took > greetTimeout {
					t.Errorf("%s: %d bytes of a hello held a connection for %v", name, n, took)
				}
				<-wrote
			}
			m.mu.Lock()
			if len(m.conns) != 0 || len(m.greeting) != 0 {
				t.Errorf("%d connections are left", len(m.conns))
			}
			m.mu.Unlock()
		}
	})
}

// A peer that takes the connection and reads nothing is given up after writeStall, and dialed again.
func TestStuckPeer(t *testing.T) {
	inTime(t, func(t *testing.T, p *pipes) {
		a := p.start(t, 1)
		ln := &pipeListener{name: "c2", conns: make(chan net.Conn), done: make(chan bool)}
		p.listeners["c2"] = ln
		a.SetPeers([]Peer{{2, "c2", "c2"}})
		for range 2 {
			began := time.Now()
			var conns []net.Conn
			for range 2 {
				conn, _ := ln.Accept()
				if _, err := readGreeting(conn); err != nil {
					t.Fatal(err)
				}
				conn.Write(appendAnswer(nil, 1, Identity{ID: 2, Name: "c2"}))
				conns = append(conns, conn)
			}
			<-a.up
			a.post(&member{id: Identity{ID: 2}}, "x", false)
			<-a.down
			if took := time.Since(began); took < writeStall || took > writeStall+time.Second {
				t.Errorf("given up after %v", took)
			}
			synctest.Wait()
			s := a.Stats()[0]
			if s.Connected || s.Waiting != 0 || s.Err != "it does not answer in time" {
				t.Errorf("%+v", s)
			}
			for _, c := range conns {
				c.Close()
			}
		}
	})
}

// While there is no connection messages are kept for a moment, and not longer.
func TestHoldover(t *testing.T) {
	inTime(t, func(t *testing.T, p *pipes) {
		a := p.start(t, 1)
		a.SetPeers([]Peer{{2, "c2", "c2"}})
		time.Sleep(100 * time.Millisecond)
		if !a.Send(2, text("early"), false) {
			t.Error("dropped at once")
		}
		time.Sleep(holdover)
		if a.Send(2, text("late"), false) {
			t.Error("kept for too long")
		}
		if s := a.Stats()[0]; s.Dropped != 2 || s.Waiting != 0 {
			t.Errorf("%+v", s)
		}
		// The dial was nowhere, and goes on.
		b := p.start(t, 2)
		<-a.up
		a.SetPeers([]Peer{{2, "c2", "c2"}, {3, "c3", "c3"}})
		a.post(b, "x", false)
		if g := <-b.got; g != "c1 x" {
			t.Errorf("came %q", g)
		}
		// What is sent before the first connection arrives by it.
		if !a.Send(3, text("first"), false) {
			t.Error("dropped at once")
		}
		a.Flush()
		c := p.start(t, 3)
		a.SetPeers([]Peer{{2, "c2", "c2"}})
		a.SetPeers([]Peer{{2, "c2", "c2"}, {3, "c3", "c3"}})
		if !a.Send(3, text("again"), false) {
			t.Error("dropped at once")
		}
		if g := <-c.got; g != "c1 again" {
			t.Errorf("came %q", g)
		}
	})
}

// A peer that is away for long is dialed about once a second, and at once when it comes itself.
func TestKick(t *testing.T) {
	inTime(t, func(t *testing.T, p *pipes) {
		dials := 0
		a := p.start(t, 1)
		inner := a.cfg.Dial
		a.cfg.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			a.Links.mu.Lock()
			dials++
			failure := []error{net.ErrClosed, os.ErrDeadlineExceeded}[dials%2] // as when a machine is off: no route, or no answer
			a.Links.mu.Unlock()
			if p.has(addr) {
				return inner(ctx, addr)
			}
			return nil, failure
		}
		a.SetPeers([]Peer{{2, "c2", "c2"}})
		time.Sleep(time.Minute)
		if a.mu.Lock(); dials < 2*60 || dials > 2*2*60+20 {
			t.Errorf("%d dials in a minute", dials)
		}
		a.mu.Unlock()
		b := p.start(t, 2)
		began := time.Now()
		b.SetPeers([]Peer{{1, "c1", "c1"}})
		<-a.up
		if took := time.Since(began); took > 2*minBackoff {
			t.Errorf("dialed back after %v", took)
		}
		var lines []string
		for len(a.logged) > 0 {
			lines = append(lines, <-a.logged)
		}
		if n := len(lines); n > 3 || !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "no connection to a member") }) {
			t.Errorf("the log has %q", lines)
		}
	})
}

func (p *pipes) has(addr string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.listeners[addr] != nil
}
