package server

import (
	"sync/atomic"
	"time"
)

// Conn is a connection as its session sees it.
type Conn struct {
	id            uint64
	remote, local string
	port          *port
	brought       atomic.Uint64 // bytes that came in, and
	taken         atomic.Uint64 // that went out: its driver alone adds
	place         int           // of its home among the port's homes
	woken         atomic.Bool   // Wake was called, and the driver has not taken note yet
	driver        interface{ enqueue() }
}

// Wake makes the session be processed again soon, whether it is parked or waits for input, so that it can go on or say something unasked. Any goroutine
// may call it, at any time, as often as it likes: on a connection that is gone it does nothing. On the worker itself, during Flush, it is cheap.
func (c *Conn) Wake() {
	if !c.woken.Swap(true) {
		c.driver.enqueue()
	}
}

// After calls f on a goroutine of its own when d is over, unless stop is called before.
func (c *Conn) After(d time.Duration, f func()) (stop func()) {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}

// ID numbers the connections of a server, from 1.
func (c *Conn) ID() uint64 { return c.id }

// RemoteAddr is the client's "host:port"; the socket's path for a Unix socket.
func (c *Conn) RemoteAddr() string { return c.remote }

// LocalAddr is the "host:port" that the client connected to; the socket's path for a Unix socket.
func (c *Conn) LocalAddr() string { return c.local }

// Port is the name of the listener that it came to.
func (c *Conn) Port() string { return c.port.name }

// Bytes is how many came in and went out, inside TLS if there is any. Any goroutine may ask.
func (c *Conn) Bytes() (in, out uint64) { return c.brought.Load(), c.taken.Load() }

// gone gives back the connection's place. Its driver calls it once.
func (c *Conn) gone() {
	c.port.server.conns.Delete(c.id)
	c.port.load[c.place].Add(-1)
	c.port.server.clients.Add(-1)
}

const inputStep = 64 << 10 // bytes of input that a connection has room for at once

// roomFor says how large a buffer should be that holds n bytes of input when want are needed to go on: as large as that if it is
// known, but at most three times what has arrived, so that who only announces much gets little.
func roomFor(n, want int) int {
	size := max(2*n, inputStep)
	if want-n >= inputStep && want < size+size/2 {
		size = want
	}
	return size
}
