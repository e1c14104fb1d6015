package redis

import (
	"sync"
	"sync/atomic"
)

// Bounds of what waits to be said unasked. Who takes it more slowly than it comes is dropped, as by Redis's client-output-buffer-limit for pubsub.
const (
	maxInbox   = 32 << 20  // bytes of one session; a single message may be larger
	maxInboxes = 256 << 20 // of all sessions; who keeps up is not dropped for a message below highWater
)

// inbox is what a session is to say unasked. Any goroutine puts things in, Process takes them out.
type inbox struct {
	some atomic.Bool // there is something
	mu   sync.Mutex
	out  []byte
	full bool // too much came: the session ends
}

// push has the session say b soon.
func (s *Session) push(b []byte) {
	in, all := &s.inbox, &s.d.hub.queued
	in.mu.Lock()
	switch n, sum := len(in.out), all.Load(); {
	case in.full || s.closed.Load():
	case n > 0 && n+len(b) > maxInbox || sum > 0 && sum+int64(len(b)) > maxInboxes && (n > 0 || len(b) > highWater):
		all.Add(-int64(n))
		in.out, in.full = nil, true
		s.kill.Store(true)
	default:
		in.out = append(in.out, b...)
		all.Add(int64(len(b)))
	}
	in.some.Store(true)
	in.mu.Unlock()
	s.conn.Wake()
}

// unload appends what is to be said to b.
func (s *Session) unload(b []byte) []byte {
	in := &s.inbox
	if !in.some.Load() {
		return b
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.some.Store(false)
	b = append(b, in.out...)
	s.d.hub.queued.Add(-int64(len(in.out)))
	if in.out = in.out[:0]; cap(in.out) > highWater {
		in.out = nil
	}
	return b
}

// discard forgets what is to be said, and all that would come.
func (in *inbox) discard(all *atomic.Int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	all.Add(-int64(len(in.out)))
	in.out, in.full = nil, true
}
