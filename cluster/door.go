package cluster

import (
	"sync"
	"sync/atomic"
	"time"

	"holdfast/engine"
	"holdfast/op"
)

// Bounds of what one entry of the log carries: readers are locked out while it is applied. A single op may be larger.
const (
	batchBytes = 256 << 10
	batchOps   = 1024
	keepArena  = 64 << 10 // bytes of a batch's memory for values that are kept for its next use
	keepOps    = 512 << 10
	keepList   = 4096 // results of a read whose room is kept for the next
)

// Door is the engine of one worker.
type Door struct {
	node *Node
	wake func()
	hold time.Duration // how long a request is held before it is refused

	// Of the worker's goroutine alone.
	open *batch   // being filled; nil if nothing was written
	full []*batch // filled
	free []*batch

	finished atomic.Bool // done is not empty
	done     []*batch    // guarded by Node.mu
	spare    []*batch    // of the worker: the other array for done

	_  [64]byte // the lock is on a cache line of its own
	mu sync.Mutex
	// Guarded by mu.
	res     op.Result
	waiters map[engine.Reader]*waiter // who waits, or has a pass
	scratch []byte
	_       [64]byte
}

var _ engine.Engine = (*Door)(nil)

// Door makes an engine for a worker. wake has the worker call Flush soon; it is called from any goroutine. hold is how long a request is held
// before it is refused.
func (n *Node) Door(wake func(), hold time.Duration) *Door {
	d := &Door{node: n, wake: wake, hold: hold}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.doors = append(n.doors, d)
	return d
}

// Read is engine.Engine's.
func (d *Door) Read(r op.Read, s engine.Reader) bool {
	n := d.node
	d.mu.Lock()
	present, may := int64(0), true
	if n.reads.until.Load() == forever {
		present = max(n.clock.now(), n.state.Stamp())
	} else {
		present, may = d.admit(r, s)
	}
	if may && n.state.Read(r, present, &d.res) {
		d.wait(r, s, anything) // before the lock is released: the entry that ends the wait cannot come in between
		may = false
	}
	if !may {
		d.mu.Unlock()
		if n.over.Load() {
			refuse(n.waits.late(0, true), engine.ErrUnavailable)
		}
		return false
	}
	if d.res.Mark != 0 {
		n.used.set(d.res.Mark)
	}
	for i := range d.res.List {
		if m := d.res.List[i].Mark; m != 0 {
			n.used.set(m)
		}
	}
	s.Show(&d.res)
	if len(d.waiters) > 0 {
		delete(d.waiters, s)
	}
	if cap(d.res.List) > keepList || cap(d.res.Scratch) > keepArena {
		d.res = op.Result{}
	}
	d.mu.Unlock()
	return true
}

// admit says whether r may be answered now, and for what time; otherwise it has s wait (design 3.3). Lease, then pending keys, then the state: in that
// order. Caller holds d.mu.
func (d *Door) admit(r op.Read, s engine.Reader) (present int64, may bool) {
	n := d.node
	mono, gap := n.clock.read(time.Now())
	switch {
	case !n.serving:
		d.wait(r, s, service)
		return 0, false
	case n.restoring:
		d.wait(r, s, anything)
		return 0, false
	}
	pass := d.pass(r, s)
	if !pass && !n.reads.may(mono, gap) {
		d.wait(r, s, leader)
		return 0, false
	}
	index, stamp := n.replica.Pending(r)
	if !pass && index != 0 {
		d.wait(r, s, index)
		return 0, false
	}
	return max(mono+n.reads.present.Load(), stamp, n.state.Stamp()), true
}

// Write is engine.Engine's.
func (d *Door) Write(w op.Write, s engine.Writer) {
	if op.Level > 1 { // the first version has nothing to look at
		if level := op.LevelOf(w); level > 1 && level > d.node.usable.Load() {
			w, s = &op.Delete{}, early{s, d.node.tooEarly(level)}
		}
	}
	b := d.open
	if b == nil {
		b = d.take()
		b.Sink = b
		d.open = b
	}
	b.Ops = w.Append(b.Ops)
	b.writers = append(b.writers, s)
	if len(b.Ops) >= batchBytes || len(b.writers) >= batchOps {
		d.full = append(d.full, b)
		d.open = nil
	}
}

// Status is engine.Engine's.
func (d *Door) Status() engine.Status { return d.node.Status() }

// Flush submits what was written and delivers what is finished. The worker calls it at the end of each pass, and when it was woken.
func (d *Door) Flush() {
	n := d.node
	if d.open != nil {
		d.full = append(d.full, d.open)
		d.open = nil
	}
	if len(d.full) == 0 && !d.finished.Load() && !n.ticking.Load() && !n.waits.asked.Load() {
		return
	}
	n.mu.Lock()
	n.flushing = d
	for i, b := range d.full {
		n.submit(b)
		n.work() // batch by batch, so that room is made in between
		d.full[i] = nil
	}
	if len(d.full) == 0 {
		n.work()
	}
	d.full = d.full[:0]
	n.flushing = nil
	done := d.done
	d.done, d.spare = d.spare[:0], done
	d.finished.Store(false)
	n.unlock()
	for i, b := range done {
		b.deliver()
		done[i] = nil
		d.give(b)
	}
}

func (d *Door) take() *batch {
	if n := len(d.free); n > 0 {
		b := d.free[n-1]
		d.free = d.free[:n-1]
		return b
	}
	return &batch{node: d.node, door: d}
}

// give takes a batch back that nobody else has any more.
func (d *Door) give(b *batch) {
	clear(b.writers)
	clear(b.results)
	b.writers, b.results, b.at, b.err, b.answered = b.writers[:0], b.results[:0], 0, nil, false
	b.Ops, b.arena = b.Ops[:0], b.arena[:0]
	if cap(b.arena) > keepArena {
		b.arena = nil
	}
	if cap(b.Ops) > keepOps {
		b.Ops = nil
	}
	if len(d.free) < 8 {
		d.free = append(d.free, b)
	}
}
