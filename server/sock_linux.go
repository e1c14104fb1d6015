package server

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	carry = 16 << 10 // bytes of an incomplete request that are carried along in the loop's chunk; larger ones are read into place

	replyRoom = 64 << 10 // bytes of the loop's output buffer at first,
	lavish    = 4 << 20  // and the most that it keeps: room for a session's high-water mark and a large value behind it
)

// sock is a connection of a loop. It is idle, or in one or more of these states:
//
//	parked   its session waits for Wake. Nothing is read.
//	blocked  out holds replies that the socket did not take. Nothing is read or processed.
//	holding  it parked with a few replies in out, which are written when the pass ends, or with what comes when it is woken before.
//	due      there is something to process as soon as it is not blocked.
//	ending   to be closed as soon as it is not blocked.
type sock struct {
	Conn
	loop    *loop
	next    *sock // in loop.woken
	session Session
	fd      int
	slot    uint32
	gen     uint32
	events  uint32 // that epoll watches for; 0: epoll does not know it
	since   uint32 // beat of its last sign of life
	in      []byte // input that is not consumed yet
	want    int    // bytes that in must have before it is processed
	out     []byte // replies from sent on
	sent    int

	parked, holding, due, ending, closed bool
	last                                 bool // what has arrived when the server drains is read
}

func (c *sock) blocked() bool { return len(c.out) > 0 && !c.holding }
func (c *sock) quiet() bool   { return !c.parked && !c.due && len(c.out) == 0 }

// adopt begins to serve c.
func (l *loop) adopt(c *sock) {
	l.gen++
	c.gen, c.since, c.want = l.gen, l.beat, 1
	if n := len(l.free); n > 0 {
		c.slot, l.free = l.free[n-1], l.free[:n-1]
	} else {
		c.slot = uint32(len(l.slots))
		l.slots = append(l.slots, nil)
	}
	l.slots[c.slot] = c
	c.session = l.worker.Session(c.port.name, &c.Conn)
	l.again = l.draining // forced may be set too
	l.settle(c)
}

// happened takes note of what epoll says of c.
func (l *loop) happened(c *sock, events uint32) {
	switch {
	case events&unix.EPOLLERR != 0:
		l.close(c) // reset: nobody reads what it still asked for
	case c.blocked():
		l.drain(c)
	case c.parked:
		l.watch(c, 0) // settle watches it again; until then the event would come again and again
	case c.due: // its turn comes in the next pass, which follows at once
	default:
		l.read(c)
	}
}

// wakened processes c, with the input that it already has.
func (l *loop) wakened(c *sock) {
	if c.due || c.ending { // it is processed anyway, or never again
		return
	}
	c.parked, c.due = false, true
	if !c.blocked() {
		l.proceed(c)
	}
}

// proceed processes the input that c already has.
func (l *loop) proceed(c *sock) {
	if c.closed || !c.due || c.blocked() {
		return
	}
	c.due = false
	l.process(c, c.in)
}

// read takes what has arrived, once, and processes it if it is enough.
func (l *loop) read(c *sock) {
	in, have := l.in, len(c.in)
	own := have > carry || c.want > len(in)
	if own {
		if !l.enlarge(c) {
			return
		}
		in = c.in[:cap(c.in)]
	} else {
		copy(in, c.in)
	}
	n, errno := receive(c.fd, in[have:])
	if errno == unix.EAGAIN || errno == unix.EINTR {
		l.settle(c)
		return
	}
	if errno != 0 || n == 0 { // n == 0: the client says no more, and everything it said is answered
		l.close(c)
		return
	}
	l.account.in.Add(uint64(n))
	c.brought.Add(uint64(n))
	c.since = l.beat
	in = in[:have+n]
	if own {
		c.in = in
	}
	if len(in) >= c.want {
		l.process(c, in)
	} else if l.keep(c, in) {
		l.settle(c)
	}
}

// process has the session consume in, and sends what it replies.
func (l *loop) process(c *sock, in []byte) {
	out := l.out[:0]
	if c.holding {
		out = append(out, c.out...)
		l.releaseOut(c)
		c.holding = false
	}
	used, out, next := c.session.Process(in, out)
	if next > l.server.config.InputLimit {
		out, next = append(out, c.port.tooLarge...), -1
		l.dropped.Add(1)
		l.server.logDrop(&c.Conn, overInput)
	}
	l.out = out
	rest := in[used:]
	if !l.keep(c, rest) {
		return
	}
	c.want = next
	c.parked = next == 0
	c.ending = next < 0
	c.due = next > 0 && len(rest) >= next
	if c.parked && 0 < len(out) && len(out) <= replyRoom {
		if c.out = l.take(c, len(out)); c.out == nil {
			return
		}
		c.out = append(c.out, out...)
		c.holding = true
		l.held = append(l.held, c)
		return
	}
	if l.send(c) {
		l.settle(c)
	}
}

// settle decides what c waits for, after anything happened to it.
func (l *loop) settle(c *sock) {
	switch {
	case c.blocked():
		l.watch(c, unix.EPOLLOUT)
	case c.ending:
		l.close(c)
	case c.parked: // lazily: watch is changed only if an event comes
	case c.due:
		l.ready = append(l.ready, c)
	case l.draining && c.last:
		l.close(c)
	case l.draining:
		c.last = true
		l.read(c) // what has arrived is answered still
	default:
		l.watch(c, unix.EPOLLIN)
	}
}

// send writes l.out to c. What the socket does not take stays in c.out. It returns false if c is closed.
func (l *loop) send(c *sock) bool {
	if len(l.out) == 0 {
		return true
	}
	n, ok := l.write(c, l.out)
	if !ok {
		return false
	}
	rest := len(l.out) - n
	switch {
	case rest == 0:
	case rest > l.server.config.OutputLimit:
		l.drop(c, "more replies wait for it than the output limit allows")
		return false
	case rest > inputStep: // hand the buffer over rather than copy it
		c.out, c.sent = l.out, n
		l.out = make([]byte, 0, replyRoom)
		l.buffered.Add(int64(cap(c.out)))
		if !l.server.room(0) {
			l.drop(c, "all connections together have reached the buffer limit")
			return false
		}
	default:
		if c.out = l.take(c, rest); c.out == nil {
			return false
		}
		c.out = append(c.out, l.out[n:]...)
	}
	if cap(l.out) > lavish {
		l.out = make([]byte, 0, replyRoom)
	}
	return true
}

// drain writes what waits in c.out, and lets c go on when all is written.
func (l *loop) drain(c *sock) {
	n, ok := l.write(c, c.out[c.sent:])
	if !ok {
		return
	}
	if c.sent += n; c.sent < len(c.out) {
		l.watch(c, unix.EPOLLOUT)
		return
	}
	l.releaseOut(c)
	l.settle(c)
}

// write returns how many bytes the socket took, and false if c is closed since it takes no more.
func (l *loop) write(c *sock, b []byte) (n int, ok bool) {
	n, errno := transmit(c.fd, b)
	switch errno {
	case 0:
		l.account.out.Add(uint64(n))
		c.taken.Add(uint64(n))
		c.since = l.beat
	case unix.EAGAIN, unix.EINTR:
		n = 0
	default:
		l.close(c)
		return 0, false
	}
	return n, true
}

// watch makes epoll watch c for events; for none, 0, it forgets c, since it would report a hang-up for ever.
func (l *loop) watch(c *sock, events uint32) {
	if events == c.events {
		return
	}
	how := unix.EPOLL_CTL_MOD
	switch {
	case events == 0:
		how = unix.EPOLL_CTL_DEL
	case c.events == 0:
		how = unix.EPOLL_CTL_ADD
	}
	e := unix.EpollEvent{Events: events, Fd: slotFd(c.slot), Pad: int32(c.gen)}
	c.events = events
	if err := unix.EpollCtl(l.epoll, how, c.fd, &e); err != nil {
		l.drop(c, "epoll_ctl: "+err.Error())
	}
}

func (l *loop) expired(c *sock) bool {
	return (c.blocked() || !c.parked) && l.server.expired(c.session, l.beat, c.since, c.blocked())
}

// drop closes c for a reason that the operator may want to know.
func (l *loop) drop(c *sock, reason string) {
	l.dropped.Add(1)
	l.server.logDrop(&c.Conn, reason)
	l.close(c)
}

// close ends c. Nothing that is still on its way for it (an event, a wake, a place in a list) finds anything to do.
func (l *loop) close(c *sock) {
	if c.closed {
		return
	}
	c.closed = true
	l.slots[c.slot] = nil
	l.free = append(l.free, c.slot)
	l.releaseIn(c)
	l.releaseOut(c)
	unix.Close(c.fd) // epoll forgets it with that
	c.gone()
	c.session.Close()
}

// receive and transmit do not tell Go's scheduler: the sockets do not block. They are recv(2) and send(2), and not read(2) and write(2), which
// come to the same by a longer way through the kernel.

func receive(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
	return int(n), errno
}

func transmit(fd int, b []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}
