package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"holdfast/cluster/wal"
	"holdfast/engine"
	"holdfast/replica"
)

// Kinds of records in the log. Append only.
const (
	recordEntry uint8 = iota + 1 // term(8) commit(8) type(1), then the data; the record has the index
	recordHard                   // term(8) vote(8)
	recordBase                   // index(8) term(8) voters(8 each): where the log of a group begins
)

const entryHead = 17

// submit hands a batch to the replica, or holds it. Caller holds mu.
func (n *Node) submit(b *batch) {
	switch {
	case n.dead:
		b.err = engine.ErrUnavailable
		n.finish(b)
	case n.problem != nil:
		b.since = n.clock.now()
		n.held = append(n.held, b)
	default:
		b.since = n.clock.now()
		n.flying = append(n.flying, b)
		if b.door != nil {
			n.flyingBytes += uint64(len(b.Ops))
		}
		n.replica.Submit(&b.Batch, n.clock.instant())
	}
}

// work drives, and does what a pass of a worker or of the ticker is due to do besides. Caller holds mu.
func (n *Node) work() {
	if n.ticking.Load() && n.ticking.Swap(false) && n.problem == nil && !n.replica.Busy() {
		n.replica.Stamp(n.clock.instant())
	}
	n.drive()
	for range maxEvicts {
		if n.problem != nil || n.level() < fullWater || !n.evict() {
			return
		}
		n.drive()
	}
}

// drive carries out the replica's effects until there are none. Caller holds mu.
func (n *Node) drive() {
	for !n.dead {
		eff, any := n.replica.Ready(n.clock.instant())
		if !any && !n.replica.Visible() {
			return
		}
		if !eff.Append.Empty() {
			n.store(eff.Append)
		}
		if len(eff.Messages) > 0 {
			panic("cluster: a group of one has a message for somebody else")
		}
		n.apply()
	}
}

// store brings a to the log.
func (n *Node) store(a replica.Append) {
	if n.wal == nil {
		n.replica.Stored(a, n.clock.instant())
		return
	}
	n.record(a)
	n.unwritten = append(n.unwritten, a)
	n.write()
}

// record puts a into the log's buffer.
func (n *Node) record(a replica.Append) {
	var head [entryHead]byte
	commit := n.replica.Commit()
	if h := a.Hard; h != nil {
		binary.LittleEndian.PutUint64(head[:], h.GetTerm())
		binary.LittleEndian.PutUint64(head[8:], h.GetVote())
		n.wal.Append(recordHard, 0, head[:16], nil)
	}
	for _, e := range a.Entries {
		binary.LittleEndian.PutUint64(head[:], e.GetTerm())
		binary.LittleEndian.PutUint64(head[8:], commit)
		head[16] = byte(e.GetType())
		n.wal.Append(recordEntry, e.GetIndex(), head[:], e.Data)
	}
}

// write brings the log's buffer to the file, and reports what that is enough for.
func (n *Node) write() {
	if err := n.wal.Write(); err != nil {
		n.unwritable(err)
		return
	}
	for i, a := range n.unwritten {
		if n.cfg.Durability == Always || a.Sync || len(n.unsynced) > 0 {
			n.unsynced = append(n.unsynced, a)
			n.sync()
		} else {
			n.replica.Stored(a, n.clock.instant())
		}
		n.unwritten[i] = replica.Append{}
	}
	n.unwritten = n.unwritten[:0]
	if n.problem == nil || n.dead {
		return
	}
	n.log.Info("the log can be written again")
	n.problem = nil
	held := n.held
	n.held = nil
	for _, b := range held {
		n.submit(b)
	}
}

// unwritable decides what a failed write of the log means: on a full disk writes are held, and every tick tries again; the bytes and
// their place stay the same, so nothing is lost by it. Anything else is for good.
func (n *Node) unwritable(err error) {
	if !wal.Full(err) {
		n.die(err)
		return
	}
	if n.problem == nil {
		n.since = n.clock.now()
		n.problem = fmt.Errorf("the disk of %s is full: make room, writes are held and then refused until then", n.cfg.Dir)
		n.log.Error(n.problem.Error(), slog.Any("err", err))
	}
}

// die ends all writing. What was handed in may be on the disk or not: its outcome is unknown.
func (n *Node) die(err error) {
	if n.dead {
		return
	}
	n.dead = true
	n.problem = err
	for _, b := range n.flying {
		b.err = engine.ErrUncertain
		n.deliverLater(b)
	}
	for _, b := range n.held {
		b.err = engine.ErrUnavailable
		n.deliverLater(b)
	}
	n.flying, n.flyingBytes, n.held, n.unwritten, n.unsynced = nil, 0, nil, nil, nil
	n.refused = true
	n.over.Store(true)
	if !errors.Is(err, errClosed) {
		n.problem = fmt.Errorf("the log cannot be relied on any more: %w; restart the daemon when the disk is in order", err)
		n.log.Error(n.problem.Error())
		close(n.failed)
	}
}

// apply applies what is visible, letting readers in between.
func (n *Node) apply() {
	for more := n.replica.Visible(); more; {
		n.lockReaders()
		more = n.replica.Apply(applyBytes, n.clock.instant())
		n.unlockReaders()
		n.applied = true
	}
}

// lockReaders locks out everybody who reads the state. Caller holds mu.
func (n *Node) lockReaders() {
	for _, d := range n.doors {
		d.mu.Lock()
	}
}

func (n *Node) unlockReaders() {
	for _, d := range n.doors {
		d.mu.Unlock()
	}
}

// finish takes notice that a batch is applied or refused. Caller holds mu.
func (n *Node) finish(b *batch) {
	if len(n.flying) > 0 && n.flying[0] == b {
		last := copy(n.flying, n.flying[1:])
		n.flying[last] = nil
		n.flying = n.flying[:last]
		if b.door != nil {
			n.flyingBytes -= uint64(len(b.Ops))
		}
	}
	n.deliverLater(b)
}

// deliverLater has the door of b deliver it.
func (n *Node) deliverLater(b *batch) {
	d := b.door
	if d == nil {
		b.then()
		return
	}
	if d != n.flushing && !d.finished.Load() {
		n.woken = append(n.woken, d)
	}
	d.done = append(d.done, b)
	d.finished.Store(true)
}

// unlock gives up mu and wakes who is to be woken.
func (n *Node) unlock() {
	woken, applied, refused := n.woken, n.applied, n.refused
	n.woken, n.applied, n.refused = nil, false, n.dead
	n.mu.Unlock()
	for _, d := range woken {
		d.wake()
	}
	if n.waits.Load() && (applied || refused) {
		n.answerWaiting(refused)
	}
}

// answerWaiting has the waiting readers ask again, or refuses them.
func (n *Node) answerWaiting(refuse bool) {
	n.waitMu.Lock()
	waiting := n.waiting
	n.waiting = nil
	n.waits.Store(false)
	n.waitMu.Unlock()
	for _, s := range waiting {
		if refuse {
			s.Refuse(engine.ErrUnavailable)
		} else {
			s.Wake()
		}
	}
}

// refuseLate answers what was held for longer than the budget. What was never sent is refused politely; of the rest nobody knows. Caller holds mu.
func (n *Node) refuseLate() {
	late := n.clock.now() - int64(n.cfg.Hold)
	n.refused = n.dead || n.problem != nil && n.since < late
	for len(n.held) > 0 && n.held[0].since < late {
		b := n.held[0]
		n.held = n.held[1:]
		b.err = engine.ErrUnavailable
		n.deliverLater(b)
	}
	for _, b := range n.flying {
		if b.since >= late {
			return
		}
		if !b.answered && b.door != nil {
			b.answered = true
			n.deliverLater(&batch{node: n, door: b.door, writers: slices.Clone(b.writers), err: engine.ErrUncertain})
		}
	}
}
