package server

import (
	"bytes"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
)

// The toy protocol. Each line is a request; replies come in the order of the requests.
//
//	echo X     X
//	write X    X, when the pass is flushed
//	commit X   X, when another goroutine has woken the worker
//	wait X     X, when another goroutine has woken the connection
//	later X    X, when another goroutine has woken the connection, which goes on meanwhile
//	never      nothing, parks until the test wakes it
//	big N      N bytes and a newline
//	take N     the N bytes that follow, counted
//	close      "bye", and the connection is closed

const toyHighWater = 64 << 10

// toyWorld is what the toys of a test share.
type toyWorld struct {
	mu      sync.Mutex
	workers []*toyWorker
	later   chan func()    // for the goroutines that wake
	parked  chan *toy      // every session that a "never" has parked
	wanting chan int       // next of every incomplete "take"
	closed  chan *toy      // every session that is closed
	made    atomic.Int64   // sessions
	stop    sync.WaitGroup // the goroutines that wake
}

func newToyWorld() *toyWorld {
	w := &toyWorld{later: make(chan func(), 1<<16), parked: make(chan *toy, 100), wanting: make(chan int, 1000), closed: make(chan *toy, 20000)}
	for range 4 {
		w.stop.Go(func() {
			for f := range w.later {
				f()
			}
		})
	}
	return w
}

// worker's plain fields let the race detector prove that a worker is single-threaded.
func (w *toyWorld) worker(wake func()) Worker {
	t := &toyWorker{world: w, wake: wake}
	w.mu.Lock()
	w.workers = append(w.workers, t)
	w.mu.Unlock()
	return t
}

type toyWrite struct {
	to    *toy
	reply string
}

type toyWorker struct {
	world  *toyWorld
	wake   func()
	queued []toyWrite
	passes int

	mu       sync.Mutex
	finished []toyWrite
}

func (w *toyWorker) Session(port string, c *Conn) Session {
	w.world.made.Add(1)
	return &toy{worker: w, conn: c, port: port}
}

func (w *toyWorker) Flush() {
	w.passes++
	w.mu.Lock()
	finished := w.finished
	w.finished = nil
	w.mu.Unlock()
	for _, f := range append(finished, w.queued...) {
		f.to.finish(f.reply)
	}
	w.queued = w.queued[:0]
}

type toy struct {
	worker      *toyWorker
	conn        *Conn
	port        string
	outstanding int
	committing  bool
	done        []byte
	waiting     bool
	reply       string
	ready       atomic.Bool
	nudges      atomic.Int64 // how often it was woken
	news        atomic.Pointer[string]
	gone        bool
	need        int // what Process has asked for
}

func (s *toy) wake() {
	s.nudges.Add(1)
	s.conn.Wake()
}

// say has it say something unasked.
func (s *toy) say(what string) {
	s.news.Store(&what)
	s.wake()
}

func (s *toy) finish(reply string) {
	if s.gone {
		return
	}
	s.outstanding--
	s.committing = false
	s.done = append(append(s.done, reply...), '\n')
	s.wake()
}

func (s *toy) Close() {
	if s.gone {
		panic("closed twice")
	}
	s.gone = true
	select {
	case s.worker.world.closed <- s:
	default:
	}
}

func (s *toy) Process(in, out []byte) (used int, reply []byte, next int) {
	if len(in) < s.need && s.nudges.Add(-1) < 0 {
		panic("processed with less than it asked for, and not woken")
	}
	used, reply, next = s.process(in, out)
	s.need = next
	return used, reply, next
}

func (s *toy) process(in, out []byte) (used int, reply []byte, next int) {
	if s.gone {
		panic("processed after close")
	}
	out = append(out, s.done...)
	s.done = s.done[:0]
	if news := s.news.Swap(nil); news != nil {
		out = append(append(out, *news...), '\n')
	}
	if s.waiting {
		if !s.ready.Load() {
			return 0, out, 0
		}
		s.waiting = false
		out = append(append(out, s.reply...), '\n')
	}
	for {
		if len(out) >= toyHighWater {
			return used, out, 1
		}
		nl := bytes.IndexByte(in[used:], '\n')
		if nl < 0 {
			if s.outstanding > 0 {
				return used, out, 0
			}
			return used, out, len(in) - used + 1
		}
		verb, arg, _ := bytes.Cut(in[used:used+nl], []byte(" "))
		n, o, next := s.request(string(verb), string(arg), in[used:], nl+1, out)
		used, out = used+n, o
		if next != goOn {
			return used, out, next
		}
	}
}

const goOn = 1 << 60

func (s *toy) request(verb, arg string, in []byte, line int, out []byte) (used int, reply []byte, next int) {
	w := s.worker
	switch verb {
	case "write": // up to 16 at a time, as a dialect pipelines them
		if s.committing || s.outstanding >= 16 {
			return 0, out, 0
		}
		s.outstanding++
		w.queued = append(w.queued, toyWrite{s, arg})
		return line, out, goOn
	}
	if s.outstanding > 0 {
		return 0, out, 0
	}
	switch verb {
	case "commit":
		s.outstanding, s.committing = 1, true
		w.world.later <- func() {
			w.mu.Lock()
			w.finished = append(w.finished, toyWrite{s, arg})
			w.mu.Unlock()
			w.wake()
		}
		return line, out, 0
	case "echo":
		return line, append(append(out, arg...), '\n'), goOn
	case "wait", "never":
		s.waiting, s.reply = true, arg
		s.ready.Store(false)
		if verb == "never" {
			w.world.parked <- s
		} else {
			w.world.later <- func() {
				s.ready.Store(true)
				s.wake()
				s.wake()
			}
		}
		return line, out, 0
	case "later":
		w.world.later <- func() { s.say(arg) }
		return line, out, goOn
	case "big":
		n, _ := strconv.Atoi(arg)
		return line, append(append(out, bytes.Repeat([]byte("x"), n)...), '\n'), goOn
	case "take":
		n, _ := strconv.Atoi(arg)
		if len(in) < line+n {
			select {
			case w.world.wanting <- line + n:
			default:
			}
			return 0, out, line + n
		}
		return line + n, fmt.Appendf(out, "took %d\n", n), goOn
	case "close":
		return line, append(out, "bye\n"...), -1
	}
	return line, fmt.Appendf(out, "what is %q?\n", verb), goOn
}
