//go:build linux

package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// thread is one epoll loop on a thread of its own. System calls are raw: nothing else wants to run here, so the scheduler
// need not hear of them.
type thread struct {
	worker
	epoll    int
	conns    []conn
	idle     []int // open loop: connections without a request
	in       []byte
	protocol byte
}

type conn struct {
	fd      int
	batch   int   // requests sent together
	pending int   // replies to them that are still to come
	get     bool  // they are one GET
	t0      int64 // when they were (or, in the open loop, should have been) sent
	replies replies
	frames  frames // etcd
	stream  uint32 // etcd: the number of the newest call
}

func newThread(r *run, i int) (*thread, error) {
	t := &thread{worker: worker{run: r, src: newSource(r.cfg, i, r.cfg.Threads)}, in: make([]byte, 256<<10), protocol: r.cfg.Protocol[0]}
	n := r.cfg.Conns / r.cfg.Threads
	if i < r.cfg.Conns%r.cfg.Threads {
		n++
	}
	var err error
	if t.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	for k := range n {
		fd, err := dial(r.cfg.Addr)
		if err != nil {
			return nil, err
		}
		c := conn{fd: fd, replies: replies{part: make([]byte, 0, 2*maxLine)}}
		if r.cfg.Wait > 0 {
			c.replies.wait = '0' + byte(r.cfg.Wait)
		}
		if t.conns = append(t.conns, c); t.protocol == 'e' {
			if err := write(fd, preface); err != nil {
				return nil, err
			}
		}
		t.idle = append(t.idle, k)
		if err := unix.EpollCtl(t.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(k)}); err != nil {
			return nil, fmt.Errorf("epoll_ctl: %w", err)
		}
	}
	return t, nil
}

func dial(addr string) (int, error) {
	a, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("socket: %w", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: a.Port, Addr: [4]byte(a.IP.To4())}); err != nil {
		return 0, fmt.Errorf("connect %s: %w", addr, err)
	}
	if err := errors.Join(unix.SetNonblock(fd, true), unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)); err != nil {
		return 0, fmt.Errorf("socket options: %w", err)
	}
	return fd, nil
}

func (t *thread) loop() error {
	runtime.LockOSThread()
	defer t.close()
	if t.run.cfg.Rate > 0 {
		return t.open()
	}
	return t.closed()
}

func (t *thread) close() {
	for _, c := range t.conns {
		unix.Close(c.fd)
	}
	unix.Close(t.epoll)
}

// closed keeps every connection busy until the window ends or the sweep is through.
func (t *thread) closed() error {
	busy := 0
	start := func(c *conn, now int64) error {
		if t.over(now) {
			busy--
			return nil
		}
		err := t.send(c, now)
		if c.pending == 0 {
			busy--
		}
		return err
	}
	for i := range t.conns {
		busy++
		if err := start(&t.conns[i], t.run.now()); err != nil {
			return err
		}
	}
	for events := make([]unix.EpollEvent, 256); busy > 0; {
		n, err := t.wait(events, int(patience.Milliseconds()))
		if err != nil {
			return err
		}
		if n == 0 {
			return errSilent
		}
		for _, e := range events[:n] {
			c := &t.conns[e.Fd]
			done, err := t.receive(c)
			if err == nil && done {
				err = start(c, t.run.now())
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// open sends requests at their intended instants, a Poisson process, whether or not earlier ones are answered; with no
// connection idle they queue, and their wait counts. It polls without sleeping: a late wake-up would be the generator's fault.
func (t *thread) open() error {
	mean := 1e9 * float64(t.run.cfg.Threads) / t.run.cfg.Rate
	next := float64(t.run.now())
	answered := t.run.now()
	for events := make([]unix.EpollEvent, 256); ; {
		n, err := t.wait(events, 0)
		if err != nil {
			return err
		}
		now := t.run.now()
		if n > 0 || len(t.idle) == len(t.conns) {
			answered = now
		} else if now-answered > int64(patience) {
			return errSilent
		}
		for _, e := range events[:n] {
			done, err := t.receive(&t.conns[e.Fd])
			if err != nil {
				return err
			}
			if done {
				t.idle = append(t.idle, int(e.Fd))
			}
		}
		for next <= float64(now) && len(t.idle) > 0 && !t.over(int64(next)) {
			c := &t.conns[t.idle[len(t.idle)-1]]
			t.idle = t.idle[:len(t.idle)-1]
			if err := t.send(c, int64(next)); err != nil {
				return err
			}
			next += t.src.rng.ExpFloat64() * mean
		}
		if t.over(int64(next)) && len(t.idle) == len(t.conns) {
			return nil
		}
	}
}

// send writes the next batch; t0 is the instant that its latency counts from. At the end of a sweep it leaves c without requests.
func (t *thread) send(c *conn, t0 int64) error {
	b, n := t.src.fill()
	c.batch, c.pending, c.t0, c.get = n, n*t.src.answers(), t0, t.src.single()
	if n > 0 && t.protocol == 'e' {
		c.stream = (c.stream + 1) | 1 // odd numbers are a client's
		for _, at := range t.src.last.streams {
			binary.BigEndian.PutUint32(b[at:], c.stream)
		}
		if c.frames.least = 1; c.get {
			c.frames.least = t.run.cfg.Value
		}
	}
	return write(c.fd, b)
}

// write writes all of b.
func write(fd int, b []byte) error {
	for len(b) > 0 {
		k, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
		switch errno {
		case 0:
			b = b[k:]
		case unix.EINTR:
		case unix.EAGAIN:
			if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(patience.Milliseconds())); n == 0 && err == nil {
				return errSilent
			}
		default:
			return fmt.Errorf("write: %w", errno)
		}
	}
	return nil
}

// receive reads what is there and says whether c's batch is answered now.
func (t *thread) receive(c *conn) (done bool, err error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(c.fd), uintptr(unsafe.Pointer(&t.in[0])), uintptr(len(t.in)))
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
		return false, nil
	case errno != 0:
		return false, fmt.Errorf("read: %w", errno)
	case n == 0:
		return false, fmt.Errorf("server closed a connection: %w", io.ErrUnexpectedEOF)
	}
	answers, err := t.feed(c, t.in[:n])
	if err != nil {
		return false, err
	}
	if c.pending -= answers; c.pending < 0 {
		return false, fmt.Errorf("%d more replies than requests", -c.pending)
	}
	if c.pending > 0 || answers == 0 {
		return false, nil
	}
	t.record(c.t0, t.run.now(), c.batch, c.get)
	return true, nil
}

// feed counts the replies that end in b.
func (t *thread) feed(c *conn, b []byte) (int, error) {
	if t.protocol != 'e' {
		return c.replies.feed(b, t.protocol, &t.seen)
	}
	n, answer, err := c.frames.feed(b, &t.seen)
	if err != nil || len(answer) == 0 {
		return n, err
	}
	return n, write(c.fd, answer)
}

// wait is epoll_wait; timeout in milliseconds.
func (t *thread) wait(events []unix.EpollEvent, timeout int) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(t.epoll), uintptr(unsafe.Pointer(&events[0])),
			uintptr(len(events)), uintptr(timeout), 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, fmt.Errorf("epoll_wait: %w", errno)
		}
	}
}
