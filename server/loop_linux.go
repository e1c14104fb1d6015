package server

import (
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	eventBatch = 256
	maxRounds  = 16         // of Flush and woken connections before other events get their turn
	bellSlot   = ^uint32(0) // in place of a connection's slot: the bell
)

// loop is one epoll loop: a thread, a worker, and the connections it was given. Everything but the part for other goroutines belongs to
// the thread.
//
// A pass: wait for events; for each connection that has something to say, read, process, write; then, until nothing is woken any more,
// flush the worker and process the connections that it woke.
type loop struct {
	server *Server
	worker Worker
	account

	epoll    int
	events   [eventBatch]unix.EpollEvent
	in       []byte   // what is read and processed at once, of whatever connection
	out      []byte   // what is replied at once
	slots    []*sock  // epoll knows a connection by its slot here and by its generation,
	free     []uint32 // so that an event for one that was closed meanwhile finds nobody
	gen      uint32
	ready    []*sock // stopped at their output high-water mark, with requests left
	turn     []*sock // the ready of the last pass
	held     []*sock // parked with replies that are to be written at the end of the pass
	buffers  buffers
	beat     uint32 // the server's, when this pass began
	again    bool   // do not block after this pass
	draining bool

	// For other goroutines. An item is put before sleeping is looked at, and sleeping is set before the items are looked for.
	woken    atomic.Pointer[sock] // stack of woken (or new) connections, linked by next
	poked    atomic.Bool
	sleeping atomic.Bool // the thread blocks, or is about to; who sets it back rings the bell
	// bell is an eventfd. It is a File, and not a descriptor like the others, so that a wake that comes late, after Close, cannot write
	// into whatever has got the descriptor's number since.
	bell   *os.File
	bellFD int
}

func newLoop(s *Server, newWorker func(wake func()) Worker) (home, error) {
	l := &loop{server: s, in: make([]byte, inputStep), out: make([]byte, 0, replyRoom), epoll: -1}
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if l.bellFD, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
		unix.Close(l.epoll)
		return nil, os.NewSyscallError("eventfd", err)
	}
	l.bell = os.NewFile(uintptr(l.bellFD), "eventfd")
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: slotFd(bellSlot)}
	if err = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.bellFD, &e); err != nil {
		l.shut()
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	l.worker = newWorker(l.poke)
	return l, nil
}

func slotFd(slot uint32) int32 { return int32(slot) }

func (l *loop) shut() {
	unix.Close(l.epoll)
	l.bell.Close()
}

func (l *loop) count() *account { return &l.account }

// poke makes the loop run a pass.
func (l *loop) poke() {
	l.poked.Store(true)
	l.rouse()
}

// rouse ends the loop's sleep, if it sleeps.
func (l *loop) rouse() {
	if l.sleeping.Load() && l.sleeping.CompareAndSwap(true, false) {
		one := [8]byte{1} // in either byte order not zero, which is all that counts
		l.bell.Write(one[:])
	}
}

func (l *loop) run() {
	runtime.LockOSThread() // and never unlock: the thread ends with the loop
	for {
		n := l.wait()
		l.poked.Store(false)
		l.attend()
		l.turn, l.ready = l.ready, l.turn[:0]
		for _, c := range l.turn {
			l.proceed(c)
		}
		for i := range l.events[:n] {
			l.event(&l.events[i])
		}
		l.rounds()
		l.release()
		if l.draining && len(l.free) == len(l.slots) {
			l.shut()
			return
		}
	}
}

// attend looks at the server's state: the time, and whether it is to end.
func (l *loop) attend() {
	if now := l.server.beats.Load(); now != l.beat {
		l.beat = now
		for _, c := range l.slots {
			if c != nil && l.expired(c) {
				l.drop(c, "it was silent or did not read for too long")
			}
		}
	}
	if !l.draining && l.server.draining.Load() {
		l.draining = true
		for _, c := range l.slots {
			if c != nil && c.quiet() {
				l.settle(c)
			}
		}
	}
	if l.server.forced.Load() {
		for _, c := range l.slots {
			if c != nil {
				l.close(c)
			}
		}
	}
}

// wait returns how many events there are. It blocks only if there is nothing else to do.
func (l *loop) wait() int {
	n := l.poll()
	if n > 0 || l.again || len(l.ready) > 0 {
		l.again = false
		return n
	}
	l.sleeping.Store(true)
	if l.poked.Load() || l.woken.Load() != nil {
		l.sleeping.Store(false)
		return 0
	}
	n, err := unix.EpollWait(l.epoll, l.events[:], -1)
	l.sleeping.Store(false)
	if err != nil { // EINTR; anything else would be a bug that this loop cannot go on with
		if err != unix.EINTR {
			panic(os.NewSyscallError("epoll_wait", err))
		}
		return 0
	}
	return n
}

// poll is epoll_wait that does not block, without telling Go's scheduler.
func (l *loop) poll() int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epoll), uintptr(unsafe.Pointer(&l.events[0])), eventBatch, 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

func (l *loop) event(e *unix.EpollEvent) {
	slot := uint32(e.Fd)
	if slot == bellSlot {
		var b [8]byte
		unix.Read(l.bellFD, b[:])
		return
	}
	c := l.slots[slot]
	if c == nil || c.gen != uint32(e.Pad) {
		return // closed earlier in this pass; or another one, if a process being forked still holds the descriptor
	}
	l.happened(c, e.Events)
}

// rounds flushes the worker and processes who is woken, until nobody is.
func (l *loop) rounds() {
	for range maxRounds {
		l.worker.Flush()
		if !l.resume() {
			return
		}
	}
	l.again = true // what was processed last is not flushed yet
}

// resume processes the woken connections, and says whether there were any.
func (l *loop) resume() bool {
	if l.woken.Load() == nil {
		return false
	}
	for c := l.takeWoken(); c != nil; {
		next := c.next
		c.next = nil
		c.woken.Store(false) // from here on it may be woken anew
		switch {
		case c.closed:
		case c.session == nil:
			l.adopt(c)
		default:
			l.wakened(c)
		}
		c = next
	}
	return true
}

// takeWoken empties the stack and returns it oldest first.
func (l *loop) takeWoken() (first *sock) {
	for c := l.woken.Swap(nil); c != nil; {
		c, c.next, first = c.next, first, c
	}
	return first
}

// release writes out the replies of those that are still parked at the end of the pass.
func (l *loop) release() {
	for i, c := range l.held {
		if !c.closed && c.holding {
			c.holding = false
			l.drain(c)
		}
		l.held[i] = nil
	}
	l.held = l.held[:0]
}

// enqueue brings c to its loop's attention. Only who has set c.woken calls it, so that next has one owner.
func (c *sock) enqueue() {
	l := c.loop
	for {
		c.next = l.woken.Load()
		if l.woken.CompareAndSwap(c.next, c) {
			break
		}
	}
	l.rouse()
}
