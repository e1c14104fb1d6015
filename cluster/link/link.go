// Package link is the connections between the members of a group: messages, which go without waiting and may be lost,
// streams (snapshots), and requests (before one is a member, or about membership), over mutual TLS or plain TCP.
//
// It carries bytes and knows neither raft nor ops; what a message means is its owner's affair. It may not block whoever
// sends, and it believes no length and no name that it has not checked.
//
// Each member dials every other one and sends on the connections that it dialed; what comes in on them is nothing but
// their end. So A to B and B to A break and heal each for itself, and no two dials meet. To each peer there are two such
// connections, so that a heartbeat does not wait behind 64 MiB of log: see Send.
//
// Read this file first, then hello.go (the first bytes of a connection), lane.go (what goes out), accept.go (what comes
// in), call.go (streams and requests), tls.go (who is let in).
package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// ErrClosed is returned after Close.
var ErrClosed = errors.New("the links are closed")

// Identity is how a member introduces itself.
type Identity struct {
	ID    uint64 // its raft id; 0 while it has none
	Name  string // 1 to 255 bytes; with TLS its certificate must name it
	Life  uint64 // random, of this process: another one means that it was started again
	Level uint32 // the vocabulary of ops that it knows
}

// Peer is a member to which messages go. ID is not 0.
type Peer struct {
	ID         uint64
	Name, Addr string
}

// Message is something to send.
type Message interface {
	Append(b []byte) []byte // its encoding, behind b
}

// Handler is what the links deliver to. Its methods are called from many goroutines, never with a lock of the links held.
type Handler interface {
	// Receive takes the messages of one read, in the order in which they were sent; they are valid only during the call:
	// copy what is kept. While it blocks, nothing more is read from that connection: a peer's urgent and its other
	// messages each come from a goroutine of their own. An error means that they are not to be understood, and ends the connection.
	Receive(from Identity, messages [][]byte) error
	// Stream reads what the peer streams, up to io.EOF. A stream that broke ends with another error. The peer learns what it returns.
	Stream(from Identity, r io.Reader) error
	// Request answers a request; the error is one sentence for whoever asked. body is its own.
	Request(from Identity, body []byte) (reply []byte, err error)
	// Up and Down say that a connection for messages to the peer came, or that one to or from it broke. A hint, nothing more:
	// the peer may be well after Down, and gone after Up.
	Up(peer Identity)
	Down(peer Identity)
}

// Config is what links need. The zero value of what is not marked as needed is a default.
type Config struct {
	Listener net.Listener       // closed by Close; nil for links that only request
	Self     func() Identity    // needed; asked for every connection, from any goroutine: it takes no lock. When its ID has changed, call SetPeers
	Handler  Handler            // needed with a Listener, or peers
	TLS      func() *tls.Config // own certificate and RootCAs (the group's CA), asked for every connection; nil: plain TCP. See tls.go
	Source   net.Addr           // address dialed from; nil: the system chooses
	Waiting  int                // bytes that may wait for one peer before its messages are dropped; 64 MiB
	Logger   *slog.Logger       // slog.Default

	// Dial replaces the dialing, so that tests can cut connections; nil: TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
}

// Limits, all of them beside what the peers may make them reach.
const (
	maxMessage = 1 << 30  // bytes of a message: the largest value is 512 MiB, and a batch may hold more than one
	maxRequest = 16 << 20 // bytes of a request, and of a reply
	maxChunk   = 1 << 20  // bytes of a piece of a stream

	defaultWaiting = 64 << 20
	urgentWaiting  = 4 << 20 // of Waiting, for urgent messages

	keepBuffer = 1 << 20 // bytes of a buffer that is kept for the next use; and
	keepBusy   = 8 << 20 // of one that was full to a quarter

	maxGreeting = 128 // connections that have not yet said who they are; beyond them the oldest is closed
	maxAccepted = 512 // accepted connections in all; beyond them new ones are closed

	greetTimeout = 3 * time.Second // for TLS and hello together
	dialTimeout  = 1 * time.Second // for TCP
	writeStall   = 5 * time.Second // without progress of a write of messages, the connection is given up
	callStall    = time.Minute     // the same for streams and requests, either way

	minBackoff  = 10 * time.Millisecond
	maxBackoff  = time.Second
	lasting     = time.Second            // a connection that lasted so long was a good one: back-off begins anew
	holdover    = 250 * time.Millisecond // messages wait so long for a connection, then they are dropped
	maxFailures = 8                      // that differ are logged until there is a connection again
)

// Links are a member's connections to the others. All methods are for any goroutine.
type Links struct {
	cfg    Config
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	done   sync.WaitGroup

	peers atomic.Pointer[map[uint64]*peer] // replaced whole, under mu

	mu       sync.Mutex // taken before a lane's, never with one held
	closed   bool
	id       uint64 // Self().ID when the peers were last set
	conns    map[net.Conn]struct{}
	greeting []net.Conn // of the accepted ones, oldest first
	accepted int
	inbound  map[inboundKey]*inbound
	strikes  strikes
}

// Start begins to accept connections. Without SetPeers nothing is dialed, but Request.
func Start(cfg Config) *Links {
	if cfg.Waiting == 0 {
		cfg.Waiting = defaultWaiting
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	l := &Links{cfg: cfg, conns: map[net.Conn]struct{}{}, inbound: map[inboundKey]*inbound{}, id: cfg.Self().ID}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.peers.Store(&map[uint64]*peer{})
	if cfg.Listener != nil {
		l.done.Add(1)
		go l.accept()
	}
	return l
}

// Close ends all connections and waits until no call of the handler is running any more: hold no lock that those want.
func (l *Links) Close() {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		l.done.Wait()
		return
	}
	l.closed = true
	l.cancel()
	for c := range l.conns {
		socketOf(c).Close()
	}
	l.mu.Unlock()
	if l.cfg.Listener != nil {
		l.cfg.Listener.Close()
	}
	for _, p := range *l.peers.Load() {
		p.stop()
	}
	l.done.Wait()
}

// peer is a member to which messages go, on two lanes.
type peer struct {
	Peer
	lanes [2]*lane // by urgency
}

func (p *peer) stop() {
	for _, n := range p.lanes {
		n.stop()
	}
}

// SetPeers says to whom messages may go: it dials those who are new and closes the connections to those who are gone. Own
// id among them is passed over. If that has changed since the last call, all connections for messages begin anew.
func (l *Links) SetPeers(peers []Peer) {
	self := l.cfg.Self().ID
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	anew := self != l.id
	l.id = self
	if anew {
		for _, in := range l.inbound {
			in.conn.Close() // those came for the old id
		}
	}
	old, now := *l.peers.Load(), map[uint64]*peer{}
	for _, p := range peers {
		if was := old[p.ID]; was != nil && was.Peer == p && !anew {
			now[p.ID] = was
		} else if p.ID != self && p.ID != 0 && now[p.ID] == nil {
			now[p.ID] = l.newPeer(p)
		}
	}
	l.peers.Store(&now)
	for id, p := range old {
		if now[id] != p {
			p.stop()
		}
	}
}

func (l *Links) newPeer(p Peer) *peer {
	made := &peer{Peer: p, lanes: [2]*lane{
		newLane(l, p, forMessages, l.cfg.Waiting), newLane(l, p, forUrgent, min(l.cfg.Waiting, urgentWaiting)),
	}}
	for _, n := range made.lanes {
		l.done.Add(1)
		go n.run()
	}
	return made
}

// Send encodes m behind what waits for the peer; Flush brings it on its way. It never blocks. False: m was dropped, because
// nobody of that id is known or connected, or too much waits for it. True promises nothing. Messages of the same urgency
// arrive in order or not at all (what was sent before a connection broke may be missing); an urgent one may overtake others.
// Urgent are small messages that are of use only while they are new, and whose order beside the others does not matter.
func (l *Links) Send(to uint64, m Message, urgent bool) bool {
	p := (*l.peers.Load())[to]
	if p == nil {
		return false
	}
	if urgent {
		return p.lanes[1].send(m)
	}
	return p.lanes[0].send(m)
}

// Flush brings what was sent on its way. It does not block: what a socket does not take at once is written by a goroutine.
func (l *Links) Flush() {
	for _, p := range *l.peers.Load() {
		p.lanes[1].flush()
		p.lanes[0].flush()
	}
}

// PeerStats is how the connections to and from one peer are.
type PeerStats struct {
	Peer
	Connected bool      // to it
	Since     time.Time // of that, or of the end of it
	Sent      uint64    // bytes written to it
	Received  uint64    // bytes from it, on the connections for messages that it has now
	Waiting   int       // bytes that wait for it
	Dropped   uint64    // messages
	Err       string    // why the last connection or dial failed; empty if none did
}

// Stats tells how each peer is, in no order.
func (l *Links) Stats() []PeerStats {
	var all []PeerStats
	for _, p := range *l.peers.Load() {
		s := PeerStats{Peer: p.Peer}
		p.lanes[1].addTo(&s)
		p.lanes[0].addTo(&s)
		all = append(all, s)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range all {
		for _, u := range []purpose{forMessages, forUrgent} {
			if in := l.inbound[inboundKey{all[i].ID, u}]; in != nil {
				all[i].Received += in.bytes.Load()
			}
		}
	}
	return all
}

// keep says whether a buffer of that size is kept for the next use, after this one took used bytes of it.
func keep(size, used int) bool {
	return size <= keepBuffer || size <= keepBusy && size <= 4*used
}

// track makes Close close c. False: they are closed already, and so is c.
func (l *Links) track(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		socketOf(c).Close()
		return false
	}
	l.conns[c] = struct{}{}
	return true
}

func (l *Links) drop(c net.Conn) {
	socketOf(c).Close()
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
}

// Refusal is what the other side said instead of doing what it was asked for.
type Refusal struct {
	By       string // a member's name, or an address
	Sentence string
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s: %s", r.By, r.Sentence) }
