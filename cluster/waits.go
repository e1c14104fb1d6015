package cluster

import (
	"container/heap"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/engine"
	"holdfast/op"
	"holdfast/replica"
)

const (
	askAgain = int64(50 * time.Millisecond)  // a question for the newest index that was not answered for so long is asked again, and then
	askLate  = int64(400 * time.Millisecond) // less and less often, down to this
	lookLate = 5                             // ticks between two looks for readers that have waited for too long
	keepPass = int64(time.Second)            // a pass that nobody came for is dropped so long after its reader's budget has ended
)

// What has become of a waiter.
const (
	waiting uint32 = iota
	passed         // its reader was woken and may read without being checked again
	woken          // its reader was woken and is checked again
	over           // its reader was refused, or reads something else now
)

// waiter is a reader that waits. When what it waits for is there it is a pass: for one read, exactly the one that was asked, which is then answered
// without a look at lease or pending keys; or readers of a key that is written all the time would wait forever.
type waiter struct {
	door   *Door
	reader engine.Reader
	read   uint64 // hash of the read
	since  int64  // own clock's mono: when its first wait began
	index  uint64 // what must be applied
	asked  uint64 // the first question to the leader that was asked for it
	again  bool   // it gets no pass: what it waits for says nothing of how new the state is
	state  atomic.Uint32
}

// waits are the readers of all doors that wait, by what they wait for.
type waits struct {
	some  atomic.Bool // there are any
	asked atomic.Bool // some of them need an answer from the leader, and nobody has asked yet

	mu       sync.Mutex
	more     []*waiter // for anything to be applied
	upTo     byIndex   // for an index to be applied
	next     []*waiter // for the next question to the leader
	open     []*waiter // for an answer to any question from their own on
	last     uint64    // the number of the last question
	at       int64     // own clock's mono: when it was asked
	patience int64     // ns after which another one is asked, if there was no answer
}

type byIndex []*waiter

func (h byIndex) Len() int           { return len(h) }
func (h byIndex) Less(i, j int) bool { return h[i].index < h[j].index }
func (h byIndex) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byIndex) Push(w any)        { *h = append(*h, w.(*waiter)) }
func (h *byIndex) Pop() any {
	last := len(*h) - 1
	w := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return w
}

// What a reader waits for, when it is not an index.
const (
	anything = 0
	leader   = ^uint64(0)     // the leader's word on which index is the newest
	service  = ^uint64(0) - 1 // that this member begins to serve
)

var readSeed = maphash.MakeSeed()

// hash tells reads apart. Caller holds d.mu, as for all that follows.
func (d *Door) hash(r op.Read) uint64 {
	d.scratch = r.Append(d.scratch[:0])
	return maphash.Bytes(readSeed, d.scratch)
}

// pass says whether s has a pass for r.
func (d *Door) pass(r op.Read, s engine.Reader) bool {
	if len(d.waiters) == 0 {
		return false
	}
	w := d.waiters[s]
	return w != nil && w.state.Load() == passed && w.read == d.hash(r)
}

// wait has s woken, with a pass for r, when index is applied; or when anything is, or behind the leader's word; while there is no state that may be
// read, without a pass.
func (d *Door) wait(r op.Read, s engine.Reader, index uint64) {
	n := d.node
	w := &waiter{door: d, reader: s, read: d.hash(r), since: n.clock.mono(), index: index, again: n.restoring || !n.serving}
	if old := d.waiters[s]; old != nil {
		switch state := old.state.Load(); {
		case state == waiting && old.read == w.read:
			return
		case state != over:
			w.since = old.since
			old.state.Store(over)
		}
	}
	if d.waiters == nil {
		d.waiters = map[engine.Reader]*waiter{}
	}
	d.waiters[s] = w
	switch n.waits.add(w); {
	case index == leader && !n.waits.asked.Swap(true), index == anything && !n.ticking.Swap(true):
		n.poke() // whoever reads is perhaps no worker, which would do this at the end of its pass
	}
}

// forgetPasses drops the passes that nobody came for.
func (d *Door) forgetPasses(now int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for s, w := range d.waiters {
		if w.state.Load() != waiting && now-w.since > int64(d.hold)+keepPass {
			delete(d.waiters, s)
		}
	}
}

func (q *waits) add(w *waiter) {
	q.mu.Lock()
	switch w.index {
	case anything:
		q.more = append(q.more, w)
	case leader:
		q.next = append(q.next, w)
	default:
		heap.Push(&q.upTo, w)
	}
	q.some.Store(true)
	q.mu.Unlock()
}

// toAsk returns the number under which the leader is to be asked now, 0 if it is not to be asked.
func (q *waits) toAsk(now int64) uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asked.Store(false)
	switch {
	case len(q.open) > 0 && now-q.at < q.patience || len(q.next)+len(q.open) == 0:
		return 0
	case len(q.open) > 0:
		q.patience = min(2*q.patience, askLate)
	default:
		q.patience = askAgain
	}
	q.last++
	q.at = now
	for _, w := range q.next {
		w.asked = q.last
	}
	q.open, q.next = append(q.open, q.next...), nil
	return q.last
}

// answered takes the answer to a question: it is one for all who had begun to wait by then.
func (q *waits) answered(question, index uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	later := q.open[:0]
	for _, w := range q.open {
		if w.asked > question || question > q.last {
			later = append(later, w)
			continue
		}
		w.index = index
		heap.Push(&q.upTo, w)
	}
	clear(q.open[len(later):])
	q.open = later
	q.asked.Store(len(q.next) > 0)
}

// take returns those whose wait is over when applied is.
func (q *waits) take(applied uint64) (due []*waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	due, q.more = q.more, nil
	for len(q.upTo) > 0 && q.upTo[0].index <= applied {
		due = append(due, heap.Pop(&q.upTo).(*waiter))
	}
	q.left()
	return due
}

// begun returns those that waited for this member to serve.
func (q *waits) begun() (due []*waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	kept := q.upTo[:0]
	for _, w := range q.upTo {
		if w.index == service {
			due = append(due, w)
		} else {
			kept = append(kept, w)
		}
	}
	clear(q.upTo[len(kept):])
	q.upTo = kept
	heap.Init(&q.upTo)
	q.left()
	return due
}

// late takes out those that have waited for their budget, or all of them.
func (q *waits) late(now int64, all bool) (late []*waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	sift := func(ws []*waiter) []*waiter {
		kept := ws[:0]
		for _, w := range ws {
			switch {
			case w.state.Load() != waiting:
			case all || now-w.since >= int64(w.door.hold):
				late = append(late, w)
			default:
				kept = append(kept, w)
			}
		}
		clear(ws[len(kept):])
		return kept
	}
	q.more, q.next, q.open, q.upTo = sift(q.more), sift(q.next), sift(q.open), sift(q.upTo)
	heap.Init(&q.upTo)
	q.left()
	return late
}

func (q *waits) left() {
	q.some.Store(len(q.more)+len(q.upTo)+len(q.next)+len(q.open) > 0)
}

// wake gives ws their passes.
func wake(ws []*waiter) {
	for _, w := range ws {
		state := passed
		if w.again {
			state = woken
		}
		if w.state.CompareAndSwap(waiting, state) {
			w.reader.Wake()
		}
	}
}

// refuse ends the wait of ws with err.
func refuse(ws []*waiter, err error) {
	for _, w := range ws {
		if w.state.CompareAndSwap(waiting, over) {
			w.reader.Refuse(err)
		}
	}
}

// reads is what a reader must know of the lease, written by whoever drives the replica and read without its lock. Times are own clock's mono.
type reads struct {
	until   atomic.Int64 // reads may be answered from the own memory before; 0 for not at all, forever in a group of one
	gap     atomic.Int64 // how far the wall clock was before mono when until was written
	present atomic.Int64 // what is to be added to mono for an estimate of the group's time
}

const forever = math.MaxInt64

// may says whether reads may be answered at a moment. When the wall clock has moved against the monotonic one, the machine may have been suspended, and
// the lease over: whoever drives finds out.
func (l *reads) may(mono, gap int64) bool {
	moved := gap - l.gap.Load()
	return mono < l.until.Load() && moved < gapMost && moved > -gapMost
}

// publish tells the readers what the replica says of the lease. Caller holds mu. It must come before a message leaves by which others may hear that the
// lease is given back.
func (n *Node) publish(now replica.Instant) {
	if n.reads.until.Load() == forever && n.replica.ReadableUntil(now) == forever {
		return
	}
	now, mono, gap := n.clock.moment()
	until := n.replica.ReadableUntil(now)
	if n.solo = until == forever; !n.serving {
		return
	}
	if n.solo {
		n.reads.until.Store(forever)
		return
	}
	n.reads.present.Store(n.replica.Present(now) - mono)
	n.reads.gap.Store(gap)
	// A tenth less: the monotonic clock may be slewed, by that much at most, until this is written again at the next tick.
	if left := (until - now.Mono) / 10 * 9; until > 0 && left > 0 {
		n.reads.until.Store(mono + left)
	} else {
		n.reads.until.Store(0)
	}
}
