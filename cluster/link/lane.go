package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// lane is what goes out to one peer for one purpose: a buffer of messages, and the connection that they go on, which is
// dialed again whenever it breaks.
type lane struct {
	l       *Links
	peer    Peer
	purpose purpose
	limit   int // bytes that may wait

	ctx  context.Context
	stop context.CancelFunc
	kick chan struct{} // the peer has just dialed us: it is there

	mu      sync.Mutex
	line    *line     // nil: not connected
	since   time.Time // of that, or of its end
	pending []byte    // records that are not yet on their way
	count   int       // of them
	dropped uint64
	failure string   // why the last line or dial failed
	logged  []string // of the failures since the last line, each once: two of them may take turns for days

	sent atomic.Uint64
}

// line is one connection of a lane.
type line struct {
	*outlet
	peer Identity
	work chan struct{} // hands busy over to the writer; has room for one
	dead chan struct{} // closed at the end

	// Under the lane's lock. Who makes busy true owns the outlet and inFlight until it is false again or handed over.
	busy     bool
	inFlight []byte // what is being written
	spare    []byte // the other one of two buffers
}

func newLane(l *Links, p Peer, u purpose, limit int) *lane {
	n := &lane{l: l, peer: p, purpose: u, limit: limit, kick: make(chan struct{}, 1), since: time.Now()}
	n.ctx, n.stop = context.WithCancel(l.ctx)
	return n
}

func (n *lane) send(m Message) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.line == nil && time.Since(n.since) > holdover {
		n.discard()
	} else if waiting := n.waiting(); waiting < n.limit {
		at := len(n.pending)
		n.pending = m.Append(openRecord(n.pending))
		if len(n.pending)-at-recordHead <= maxMessage {
			sealRecord(n.pending, at)
			n.count++
			return true
		}
		n.pending = n.pending[:at]
	}
	n.dropped++
	return false
}

func (n *lane) waiting() int {
	if n.line == nil {
		return len(n.pending)
	}
	return len(n.pending) + len(n.line.inFlight)
}

// discard drops what is pending. The lock is held.
func (n *lane) discard() {
	n.dropped += uint64(n.count)
	n.pending, n.count = nil, 0
}

// swap begins the writing of what is pending. The lock is held, and the caller owns the line.
func (n *lane) swap(w *line) []byte {
	w.inFlight, n.pending, w.spare = n.pending, w.spare, nil
	n.count = 0
	return w.inFlight
}

// written ends it. The lock is held.
func (w *line) written() {
	if used := len(w.inFlight); used > 0 && keep(cap(w.inFlight), used) {
		w.spare = w.inFlight[:0]
	}
	w.inFlight = nil
}

// flush writes what is pending, as far as that needs no waiting, and leaves the rest to the writer. If one is writing
// already it will take what is pending too, so that the busier a line is the fewer writes it needs.
func (n *lane) flush() {
	n.mu.Lock()
	w := n.line
	if w == nil || w.busy || len(n.pending) == 0 {
		n.mu.Unlock()
		return
	}
	w.busy = true
	if len(n.pending) > directBytes {
		n.mu.Unlock()
		w.work <- struct{}{}
		return
	}
	b := n.swap(w)
	n.mu.Unlock()
	if err := w.put(b); err != nil {
		n.broke(w, err)
		return
	}
	n.sent.Add(uint64(len(b)))
	if len(w.rest) > 0 {
		w.work <- struct{}{}
		return
	}
	n.mu.Lock()
	w.written()
	more := len(n.pending) > 0 && n.line == w
	w.busy = more
	n.mu.Unlock()
	if more {
		w.work <- struct{}{}
	}
}

// write is the goroutine that writes what takes longer.
func (n *lane) write(w *line) {
	defer n.l.done.Done()
	for {
		select {
		case <-w.work:
		case <-w.dead:
			return
		}
		for {
			if err := w.drain(); err != nil {
				n.broke(w, err)
				return
			}
			n.mu.Lock()
			w.written()
			if len(n.pending) == 0 || n.line != w {
				w.busy = false
				n.mu.Unlock()
				break
			}
			b := n.swap(w)
			n.mu.Unlock()
			if err := n.writeAll(w, b); err != nil {
				n.broke(w, err)
				return
			}
		}
	}
}

// writeAll leaves no more than the last chunk to be drained.
func (n *lane) writeAll(w *line, b []byte) error {
	for len(b) > 0 {
		chunk := b[:min(len(b), chunkBytes)]
		b = b[len(chunk):]
		if err := w.drain(); err != nil {
			return err
		}
		if err := w.put(chunk); err != nil {
			return err
		}
		n.sent.Add(uint64(len(chunk)))
	}
	return nil
}

// broke ends a line. What is in flight or pending is lost.
func (n *lane) broke(w *line, err error) {
	n.mu.Lock()
	was := n.line == w
	if was {
		n.line, n.since, n.failure, n.logged = nil, time.Now(), explain(err), nil
		n.discard()
		close(w.dead)
	}
	n.mu.Unlock()
	if was {
		w.socket.Close()
	}
}

// run keeps the lane connected.
func (n *lane) run() {
	defer n.l.done.Done()
	wait := minBackoff
	for n.ctx.Err() == nil {
		began := time.Now()
		if w, err := n.connect(); err != nil {
			n.failed(explain(err))
		} else {
			n.watch(w)
		}
		if time.Since(began) > lasting {
			wait = minBackoff
		}
		n.pause(wait)
		wait = min(2*wait, maxBackoff)
	}
}

// watch waits for the end of a line.
func (n *lane) watch(w *line) {
	defer n.l.drop(w.conn)
	unhook := context.AfterFunc(n.ctx, func() { w.socket.Close() })
	defer unhook()
	var b [1]byte
	_, err := w.conn.Read(b[:])
	if err == nil {
		err = errors.New("it sent something where nothing was expected")
	}
	n.broke(w, err)
	if n.ctx.Err() != nil {
		return
	}
	n.failed("")
	if n.purpose == forMessages {
		n.l.cfg.Handler.Down(w.peer)
	}
}

// failed notes why the lane is not connected, and logs it once. Empty: that is noted already.
func (n *lane) failed(sentence string) {
	if n.ctx.Err() != nil {
		return
	}
	n.mu.Lock()
	if sentence != "" {
		n.failure = sentence
	}
	sentence = n.failure
	again := len(n.logged) == maxFailures || slices.Contains(n.logged, sentence)
	if !again {
		n.logged = append(n.logged, sentence)
	}
	n.mu.Unlock()
	if !again && n.purpose == forMessages {
		n.l.cfg.Logger.Warn("no connection to a member", "member", n.peer.Name, "address", n.peer.Addr, "because", sentence)
	}
}

// pause lets a while pass before the next dial; not the whole of it if the peer shows that it is there.
func (n *lane) pause(wait time.Duration) {
	select {
	case <-n.kick: // an old one
	default:
	}
	timer := time.NewTimer(wait/2 + rand.N(wait/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return
	case <-n.ctx.Done():
		return
	case <-n.kick:
	}
	timer.Reset(minBackoff)
	select {
	case <-timer.C:
	case <-n.ctx.Done():
	}
}

func (n *lane) connect() (*line, error) {
	conn, peer, err := n.l.dial(n.ctx, n.peer.Addr, n.purpose, n.peer)
	if err != nil {
		return nil, err
	}
	w := &line{outlet: newOutlet(conn), peer: peer, work: make(chan struct{}, 1), dead: make(chan struct{})}
	n.l.done.Add(1)
	go n.write(w)
	n.mu.Lock()
	if n.line == nil && time.Since(n.since) > holdover {
		n.discard()
	}
	n.line, n.since, n.failure, n.logged = w, time.Now(), "", nil
	if len(n.pending) > 0 {
		w.busy = true
		w.work <- struct{}{}
	}
	n.mu.Unlock()
	if n.purpose == forMessages {
		n.l.cfg.Logger.Info("connected to a member", "member", peer.Name, "address", n.peer.Addr)
		n.l.cfg.Handler.Up(peer)
	}
	return w, nil
}

func (n *lane) addTo(s *PeerStats) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s.Connected, s.Since, s.Err = n.line != nil, n.since, n.failure
	s.Waiting += n.waiting()
	s.Dropped += n.dropped
	s.Sent += n.sent.Load()
}

// dial connects to addr for a purpose and greets. Who answers must be the peer, if that has an id. The connection is tracked:
// it ends by drop.
func (l *Links) dial(ctx context.Context, addr string, u purpose, expected Peer) (net.Conn, Identity, error) {
	cfg, err := l.tlsConfig()
	if err != nil {
		return nil, Identity{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout+greetTimeout)
	defer cancel()
	socket, err := l.dialSocket(ctx, addr)
	if err != nil {
		return nil, Identity{}, err
	}
	setSocket(socket)
	conn, peer, err := l.greet(ctx, socket, cfg, hello{lowestVersion, highestVersion, u, expected.ID, l.cfg.Self()})
	if err == nil && expected.ID != 0 && (peer.ID != expected.ID || peer.Name != expected.Name) {
		err = fmt.Errorf("there is the member %q (id %x), not %q (id %x)", peer.Name, peer.ID, expected.Name, expected.ID)
	}
	if err != nil {
		socket.Close()
		return nil, peer, err
	}
	if !l.track(conn) {
		return nil, peer, ErrClosed
	}
	return conn, peer, nil
}

func (l *Links) dialSocket(ctx context.Context, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if l.cfg.Dial != nil {
		return l.cfg.Dial(ctx, addr)
	}
	d := net.Dialer{LocalAddr: l.cfg.Source}
	return d.DialContext(ctx, "tcp", addr)
}

// greet does the handshakes of the side that dialed, until ctx ends.
func (l *Links) greet(ctx context.Context, socket net.Conn, cfg *tls.Config, h hello) (conn net.Conn, peer Identity, err error) {
	unhook := context.AfterFunc(ctx, func() { socket.SetDeadline(time.Unix(1, 0)) })
	conn = socket
	if cfg != nil {
		if conn, err = dialTLS(ctx, &cistern{Conn: socket}, cfg); err != nil {
			return nil, peer, err
		}
	}
	// If the other side has closed already, the write fails, but what it said before is more telling.
	conn.Write(h.append(nil))
	body, err := readGreeting(conn)
	if err != nil {
		return nil, peer, err
	}
	version, peer, refused, err := parseAnswer(body)
	switch {
	case err != nil:
	case refused != "":
		err = &Refusal{"it refuses this member", refused}
	case version < h.lowest || version > h.highest:
		err = fmt.Errorf("it answered with version %d of the peer protocol, which was not offered", version)
	default:
		err = checkName(conn, peer.Name)
	}
	if err == nil && !unhook() {
		err = ctx.Err()
	}
	return conn, peer, err
}
