package server

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	firstInput  = 4 << 10  // bytes of a stream's input buffer, until a request needs more
	replyBuffer = 16 << 10 // bytes of a fresh output buffer
	outputStep  = 1 << 20  // bytes of output that the client must begin to take within a stall's time
	maxTurns    = 16       // of process and flush before the lock is given back
)

// group is a worker with connections that have a goroutine each. The lock makes them the single thread that the worker demands: whoever
// processes his session holds it, and flushes the worker before he gives it back.
type group struct {
	server *Server
	account
	bell chan struct{} // holds a token when run has something to do

	mu      sync.Mutex // guards the following and the calls to worker and sessions
	worker  Worker
	streams map[*stream]struct{}
	beat    uint32
	drained bool // the streams were told to finish
}

func newGroup(s *Server, newWorker func(wake func()) Worker) *group {
	g := &group{server: s, bell: make(chan struct{}, 1), streams: map[*stream]struct{}{}}
	g.worker = newWorker(g.poke)
	return g
}

func (g *group) count() *account { return &g.account }

func (g *group) poke() { signal(g.bell) }

func signal(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default:
	}
}

// run flushes the worker when it asks for it, and attends to the server's state.
func (g *group) run() {
	for range g.bell {
		g.mu.Lock()
		g.worker.Flush()
		g.attend()
		done := g.drained && len(g.streams) == 0
		g.mu.Unlock()
		if done {
			return
		}
	}
}

func (g *group) attend() {
	if now := g.server.beats.Load(); now != g.beat {
		g.beat = now
		for c := range g.streams {
			if state := c.waits.Load(); state != 0 && g.server.expired(c.session, now, uint32(state>>1), state&1 == 1) {
				g.drop(c, "it was silent or did not read for too long")
			}
		}
	}
	if !g.drained && g.server.draining.Load() {
		g.drained = true
		for c := range g.streams {
			c.raw.SetReadDeadline(time.Now().Add(grace)) // a request that is under way is answered still
		}
	}
	if g.server.forced.Load() {
		for c := range g.streams {
			c.raw.Close()
		}
	}
}

// drop makes c's goroutine end.
func (g *group) drop(c *stream, reason string) {
	if !c.dropped.Swap(true) {
		g.dropped.Add(1)
		g.server.logDrop(&c.Conn, reason)
		c.raw.Close()
	}
}

// stream is a connection of a group. It belongs to its goroutine, serve.
type stream struct {
	Conn
	group   *group
	session Session
	raw     net.Conn      // as accepted
	secure  *tls.Conn     // above raw; nil for plain
	bell    chan struct{} // holds a token after Wake
	waits   atomic.Uint64 // 0, or the beat since which it waits for the client, times 2, plus 1 if for it to take replies
	dropped atomic.Bool
	in      []byte // unconsumed input
	want    int    // bytes that in must have before it is processed
	last    bool   // what arrives within grace of draining is read

	interrupted bool // a deadline in the past may have been set, to end a Read
}

func newStream(raw net.Conn, config *tls.Config) *stream {
	c := &stream{raw: raw, bell: make(chan struct{}, 1), want: 1}
	if config != nil {
		c.secure = tls.Server(raw, config)
	}
	c.driver = c
	return c
}

func (c *stream) enqueue() {
	signal(c.bell)
	if state := c.waits.Load(); state != 0 && state&1 == 0 {
		c.raw.SetReadDeadline(past)
	}
}

// past ends a Read.
var past = time.Unix(1, 0)

// adopt begins to serve c.
func (g *group) adopt(c *stream) {
	c.group = g
	g.mu.Lock()
	g.streams[c] = struct{}{}
	g.mu.Unlock()
	g.server.working.Go(c.serve)
}

func (c *stream) serve() {
	g := c.group
	if c.greet() {
		g.mu.Lock()
		c.session = g.worker.Session(c.port.name, &c.Conn)
		g.mu.Unlock()
		for c.read() && c.process() {
		}
	}
	c.finish()
	c.gone()
	g.buffered.Add(-int64(cap(c.in)))
	g.mu.Lock()
	if c.session != nil {
		c.session.Close()
		g.worker.Flush()
	}
	delete(g.streams, c)
	g.mu.Unlock()
	g.poke()
}

// greet is the TLS handshake.
func (c *stream) greet() bool {
	if c.secure == nil {
		return true
	}
	c.raw.SetDeadline(time.Now().Add(handshake))
	err := c.secure.Handshake()
	c.raw.SetDeadline(time.Time{})
	if err != nil {
		c.port.server.config.Logger.Debug("TLS handshake failed", "listener", c.port.name, "client", c.remote, "error", err)
	}
	return err == nil
}

// finish closes the connection, TLS with its goodbye.
func (c *stream) finish() {
	if c.secure != nil && !c.dropped.Load() {
		c.secure.CloseWrite()
	}
	c.raw.Close()
}

func (c *stream) conn() net.Conn {
	if c.secure != nil {
		return c.secure
	}
	return c.raw
}

// read waits until in holds what the session wants, or the session is woken. It returns false if the connection is over.
func (c *stream) read() bool {
	g := c.group
	for len(c.in) < c.want {
		if !c.enlarge() {
			return false
		}
		if c.interrupted { // before draining is looked at: who sets that sets a deadline afterwards
			c.interrupted = false
			c.raw.SetReadDeadline(time.Time{})
		}
		if !c.last && g.server.draining.Load() {
			c.last = true
			c.raw.SetReadDeadline(time.Now().Add(grace))
		}
		c.waits.Store(uint64(g.server.beats.Load()) << 1) // before woken is looked at: who sets that looks at this afterwards
		if !c.last && c.woken.Load() {
			c.waits.Store(0)
			c.interrupted = true // there may be a deadline already, or soon
			return true
		}
		n, err := c.conn().Read(c.in[len(c.in):cap(c.in)])
		c.waits.Store(0)
		c.in = c.in[:len(c.in)+n]
		g.account.in.Add(uint64(n))
		c.brought.Add(uint64(n))
		if c.interrupted = errors.Is(err, os.ErrDeadlineExceeded) && !c.last; c.interrupted {
			continue
		}
		if err != nil && len(c.in) < c.want {
			return false
		}
	}
	return true
}

// enlarge makes room behind in. It returns false if there are too many bytes in buffers.
func (c *stream) enlarge() bool {
	n := len(c.in)
	if n < cap(c.in) && cap(c.in) >= min(c.want, inputStep) && cap(c.in) <= max(inputStep, 4*c.want) {
		return true
	}
	size := firstInput
	if n > 0 || c.want > size {
		size = roomFor(n, c.want)
	}
	if !c.group.server.room(size) {
		c.group.drop(c, "all connections together have reached the buffer limit")
		return false
	}
	buf := append(make([]byte, 0, size), c.in...)
	c.group.buffered.Add(int64(cap(buf) - cap(c.in)))
	c.in = buf
	return true
}

var replies = sync.Pool{New: func() any {
	b := make([]byte, 0, replyBuffer)
	return &b
}}

// process answers everything that in holds. It returns false if the connection is over.
func (c *stream) process() bool {
	buf := replies.Get().(*[]byte)
	defer replies.Put(buf)
	for used := 0; ; {
		n, out := c.turn(c.in[used:], (*buf)[:0])
		used += n
		if c.want > c.port.server.config.InputLimit {
			out, c.want = append(out, c.port.tooLarge...), -1
			c.group.dropped.Add(1)
			c.port.server.logDrop(&c.Conn, overInput)
		}
		ok := c.write(out)
		if cap(out) <= inputStep {
			*buf = out
		}
		switch {
		case !ok || c.want < 0:
			return false
		case c.want == 0:
			if !c.park() {
				return false
			}
		case len(c.in)-used < c.want:
			c.in = c.in[:copy(c.in, c.in[used:])]
			return true
		}
	}
}

// turn is one stay in the group: process, flush, and again while the flush has woken this session.
func (c *stream) turn(in, out []byte) (used int, reply []byte) {
	g := c.group
	g.mu.Lock()
	defer g.mu.Unlock()
	for range maxTurns {
		c.woken.Store(false)
		n, more, next := c.session.Process(in[used:], out)
		used += n
		out, c.want = more, next
		g.worker.Flush()
		if next != 0 || !c.woken.Load() {
			break
		}
	}
	return used, out
}

// park waits for Wake. It returns false if the server is forced to close first.
func (c *stream) park() bool {
	for !c.woken.Load() {
		select {
		case <-c.bell:
		case <-c.port.server.force:
			return false
		}
	}
	return true
}

// write returns false if the client does not take the replies.
func (c *stream) write(out []byte) bool {
	if len(out) == 0 {
		return true
	}
	g := c.group
	if len(out) > g.server.config.OutputLimit {
		g.drop(c, "more replies wait for it than the output limit allows")
		return false
	}
	g.buffered.Add(int64(len(out)))
	defer g.buffered.Add(-int64(len(out)))
	for len(out) > 0 {
		c.waits.Store(uint64(g.server.beats.Load())<<1 | 1)
		n, err := c.conn().Write(out[:min(len(out), outputStep)])
		c.waits.Store(0)
		g.account.out.Add(uint64(n))
		c.taken.Add(uint64(n))
		if err != nil {
			return false
		}
		out = out[n:]
	}
	return true
}
