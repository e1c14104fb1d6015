package link

import (
	"crypto/tls"
	"net"
	"sync"
	"syscall"
	"time"
)

// outlet writes to a connection: first as much as the socket takes without waiting, then the rest.
//
// TLS has no such way of writing: a record that is written in part cannot be taken back. So TLS writes into a cistern,
// which always has room, and what comes out of that goes to the socket.
type outlet struct {
	conn    net.Conn // *tls.Conn or the socket
	socket  net.Conn
	raw     syscall.RawConn // of the socket; nil if it has none
	cistern *cistern        // nil without TLS
	rest    []byte          // of what was put, what the socket has not taken yet

	attempt func(fd uintptr) bool // tries rest once; made once, because a closure is an allocation
	taken   int
	err     error
}

const (
	directBytes = 64 << 10  // up to so many bytes are written by whoever flushes, if the socket takes them
	chunkBytes  = 256 << 10 // are written at a time, within writeStall
)

func newOutlet(conn net.Conn) *outlet {
	o := &outlet{conn: conn, socket: conn}
	if t, ok := conn.(*tls.Conn); ok {
		o.cistern = t.NetConn().(*cistern)
		o.cistern.shut()
		o.socket = o.cistern.Conn
	}
	if s, ok := o.socket.(syscall.Conn); ok {
		o.raw, _ = s.SyscallConn()
	}
	o.attempt = func(fd uintptr) bool {
		o.taken, o.err = writeNow(fd, o.rest)
		return true
	}
	return o
}

// put writes b, or leaves in rest what the socket does not take now. rest must be empty. b must stay as it is until rest is
// empty again.
func (o *outlet) put(b []byte) error {
	if o.cistern != nil {
		if _, err := o.conn.Write(b); err != nil {
			return err
		}
		b = o.cistern.take()
	}
	o.rest = b
	if o.raw == nil {
		return nil
	}
	if err := o.raw.Write(o.attempt); err != nil {
		return err
	}
	o.rest = o.rest[o.taken:]
	return o.err
}

// drain writes rest, however long it takes.
func (o *outlet) drain() error {
	if len(o.rest) == 0 {
		return nil
	}
	o.socket.SetWriteDeadline(time.Now().Add(writeStall))
	_, err := o.socket.Write(o.rest)
	o.socket.SetWriteDeadline(time.Time{})
	o.rest = nil
	return err
}

// cistern is a socket under TLS that, once shut, keeps what is written until it is taken.
type cistern struct {
	net.Conn

	mu         sync.Mutex // TLS may write because of something it reads
	isShut     bool
	out, spare []byte
}

func (c *cistern) shut() {
	c.mu.Lock()
	c.isShut = true
	c.mu.Unlock()
}

func (c *cistern) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.isShut {
		return c.Conn.Write(b)
	}
	c.out = append(c.out, b...)
	return len(b), nil
}

// take returns what was written. It is valid until the next take.
func (c *cistern) take() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.out
	c.out, c.spare = c.spare[:0], b
	return b
}
