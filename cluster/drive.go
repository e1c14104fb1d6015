package cluster

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/cluster/wal"
	"holdfast/engine"
	"holdfast/replica"
)

// Kinds of records in the log. Append only.
const (
	recordEntry  uint8 = iota + 1 // term(8) commit(8) type(1), then the data; the record has the index
	recordHard                    // term(8) vote(8)
	recordVoters                  // index(8) term(8) ids of voters(8 each): where the log of a group began, as earlier versions wrote it
	recordBase                    // a replica.Base: where the log of a group begins, or goes on behind a snapshot from elsewhere
)

const entryHead = 17

// now is the present moment, for the replica. Caller holds mu.
func (n *Node) now() replica.Instant {
	if n.solo {
		return n.clock.instant()
	}
	now, _, _ := n.clock.moment()
	return now
}

// submit hands a batch to the replica, or holds it. Caller holds mu.
func (n *Node) submit(b *batch) {
	b.since, b.tick = n.clock.mono(), n.ticks
	switch {
	case n.dead:
		b.err = engine.ErrUnavailable
		n.finish(b)
	case n.problem != nil || n.restoring || b.door != nil && !n.serving:
		n.held = append(n.held, b)
	default:
		n.flying = append(n.flying, b)
		if b.door != nil {
			n.flyingBytes += uint64(len(b.Ops))
		}
		n.replica.Submit(&b.Batch, n.now())
	}
}

// work drives, and does what a pass of a worker or of the ticker is due to do besides. Caller holds mu.
func (n *Node) work() {
	if n.restoring {
		return
	}
	if n.ticking.Load() && n.ticking.Swap(false) && n.problem == nil && !n.replica.Busy() {
		n.replica.Stamp(n.now())
	}
	if n.waits.asked.Load() {
		n.ask()
	}
	n.drive()
	for range maxEvicts {
		if n.problem != nil || n.level() < fullWater || !n.evict() {
			return
		}
		n.drive()
	}
}

// ask asks the leader how far one must be to answer reads, if readers wait for that. Caller holds mu.
func (n *Node) ask() {
	if id := n.waits.toAsk(n.clock.mono()); id != 0 && !n.dead {
		n.replica.AskIndex(id, n.now())
	}
}

// drive carries out the replica's effects until there are none. Caller holds mu.
func (n *Node) drive() {
	for !n.dead && !n.restoring {
		now := n.now()
		eff, any := n.ready(now)
		if seen := n.replica.Events(); len(seen) > 0 {
			n.tellEvents(seen)
		}
		if !any && !n.replica.Visible() {
			n.publish(now)
			n.enrolled()
			return
		}
		n.publish(now)
		n.send(eff.Messages)
		if !eff.Append.Empty() {
			n.store(eff.Append, now)
		}
		for _, i := range eff.Indexes {
			n.waits.answered(i.ID, i.Index)
			n.applied = true // it may be, already
		}
		for _, id := range eff.Snapshots {
			n.wants(id)
		}
		n.apply(now)
	}
}

// ready asks the replica what is to be done. In a group that changes what readers look at.
func (n *Node) ready(now replica.Instant) (replica.Effects, bool) {
	if n.solo {
		return n.replica.Ready(now)
	}
	n.lockReaders()
	defer n.unlockReaders()
	return n.replica.Ready(now)
}

// send hands messages to the links, which take them on their way when mu is given up.
func (n *Node) send(messages []replica.Message) {
	for i := range messages {
		m := &messages[i]
		n.link.Send(m.To, m, urgent(m))
		n.sent = true
	}
}

// urgent says whether a message is small, of use only while it is new, and may overtake others.
func urgent(m *replica.Message) bool {
	switch m.Kind {
	case replica.Ack, replica.Grant:
		return true
	case replica.Raft:
		switch m.Raft.GetType() {
		case pb.MsgHeartbeat, pb.MsgHeartbeatResp, pb.MsgPreVote, pb.MsgPreVoteResp, pb.MsgVote, pb.MsgVoteResp, pb.MsgReadIndex, pb.MsgReadIndexResp:
			return true
		}
	}
	return false
}

// store brings a to the log.
func (n *Node) store(a replica.Append, now replica.Instant) {
	if n.wal == nil {
		if a.Hard != nil {
			n.hard = a.Hard
		}
		n.replica.Stored(a, now)
		return
	}
	n.enter(a)
	n.unwritten = append(n.unwritten, a)
	n.write(now)
}

// enter puts a into the log's buffer.
func (n *Node) enter(a replica.Append) {
	var head [entryHead]byte
	commit := n.replica.Commit()
	if a.Base != nil {
		n.wal.Jump(a.Base.Index)
		n.wal.Append(recordBase, 0, a.Base.Append(nil), nil)
	}
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
func (n *Node) write(now replica.Instant) {
	if err := n.wal.Write(); err != nil {
		n.unwritable(err)
		return
	}
	for i, a := range n.unwritten {
		if n.cfg.Durability == Always || a.Sync || len(n.unsynced) > 0 {
			n.unsynced = append(n.unsynced, a)
			n.sync()
		} else {
			n.replica.Stored(a, now)
		}
		n.unwritten[i] = replica.Append{}
	}
	n.unwritten = n.unwritten[:0]
	if n.problem == nil || n.dead {
		return
	}
	n.log.Info("the log can be written again")
	n.tell(engine.DiskWell, "", 0, "the log can be written again")
	n.problem = nil
	n.letGo()
}

// letGo submits what was held.
func (n *Node) letGo() {
	held := n.held
	n.held = nil
	for _, b := range held {
		since, tick := b.since, b.tick
		n.submit(b)
		b.since, b.tick = since, tick
	}
}

// unwritable decides what a failed write of the log means: on a full disk writes are held, and every tick tries again; the bytes and
// their place stay the same, so nothing is lost by it. Anything else is for good.
func (n *Node) unwritable(err error) {
	if !wal.Full(err) {
		n.broken(err)
		return
	}
	if n.problem == nil {
		n.problem = fmt.Errorf("the disk of %s is full: make room, writes are held and then refused until then", n.cfg.Dir)
		n.log.Error(n.problem.Error(), slog.Any("err", err))
		n.tell(engine.DiskFull, "", 0, n.problem.Error())
	}
}

// broken ends all writing since the log has failed. What it holds may differ from what was acknowledged: this member does not vote by it again.
func (n *Node) broken(err error) {
	if n.dead {
		return
	}
	if n.record.made != "" && !n.solo {
		n.record.forgetful = true
		if err := n.record.write(n.cfg.Dir); err != nil {
			n.log.Error(err.Error())
		}
	}
	n.die(fmt.Errorf("the log cannot be relied on any more: %w; restart the daemon when the disk is in order", err))
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
	n.over.Store(true)
	if !errors.Is(err, errClosed) {
		n.log.Error(err.Error())
		n.tell(engine.Failed, "", 0, err.Error())
		close(n.failed)
	}
}

// apply applies what is visible, letting readers in between.
func (n *Node) apply(now replica.Instant) {
	for more := n.replica.Visible(); more; {
		n.lockReaders()
		more = n.replica.Apply(applyBytes, now)
		n.unlockReaders()
		if n.herald != nil {
			n.herald.handOver()
		}
		n.applied = true
		n.takesUp()
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
	if i := slices.Index(n.flying, b); i >= 0 { // the first, unless it was lost or withdrawn
		n.land(i)
	}
	n.deliverLater(b)
}

// land takes a batch off those that are on their way.
func (n *Node) land(i int) {
	if b := n.flying[i]; b.door != nil {
		n.flyingBytes -= uint64(len(b.Ops))
	}
	last := i + copy(n.flying[i:], n.flying[i+1:])
	n.flying[last] = nil
	n.flying = n.flying[:last]
}

// deliverLater has the door of b deliver it.
func (n *Node) deliverLater(b *batch) {
	d := b.door
	switch {
	case d == nil:
		b.then()
		return
	case b.answered:
	case b.err != nil:
		n.refusals(len(b.writers), b.err)
	default:
		n.paused(b)
	}
	if d != n.flushing && !d.finished.Load() {
		n.woken = append(n.woken, d)
	}
	d.done = append(d.done, b)
	d.finished.Store(true)
}

// unlock gives up mu, has messages sent and wakes who is to be woken.
func (n *Node) unlock() {
	woken, moved, sent, dead := n.woken, n.applied, n.sent, n.dead
	n.woken, n.applied, n.sent = nil, false, false
	applied := uint64(0)
	if moved {
		applied = n.replica.Applied()
	}
	n.mu.Unlock()
	if sent {
		n.link.Flush()
	}
	for _, d := range woken {
		d.wake()
	}
	if !n.waits.some.Load() {
		return
	}
	if moved {
		wake(n.waits.take(applied))
	}
	if dead {
		refuse(n.waits.late(0, true), engine.ErrUnavailable)
	}
}

// refusal is an ErrUnavailable with a reason of its own.
type refusal struct{ error }

func (refusal) Unwrap() error { return engine.ErrUnavailable }

// unavailable is why nothing can be carried out now. Caller holds mu.
func (n *Node) unavailable() error {
	switch {
	case n.problem != nil:
		return refusal{n.problem}
	case n.waitsFor != "" && (!n.serving || !n.restoring && n.replica.Leader() == 0):
		return fmt.Errorf("%w; %s", engine.ErrUnavailable, n.waitsFor)
	}
	return engine.ErrUnavailable
}

// refuseLate answers the writes that were held for longer than the budget. What was never sent is refused politely; of the rest nobody knows. Caller
// holds mu.
func (n *Node) refuseLate() {
	now := n.clock.mono()
	late := func(b *batch) bool { return b.door != nil && now-b.since >= int64(b.door.hold) }
	kept := n.held[:0]
	for _, b := range n.held {
		if late(b) {
			b.err = n.unavailable()
			n.deliverLater(b)
		} else {
			kept = append(kept, b)
		}
	}
	clear(n.held[len(kept):])
	n.held = kept
	if !slices.ContainsFunc(n.flying, func(b *batch) bool { return !b.answered && late(b) }) {
		return
	}
	n.replica.WithdrawAll(func(r *replica.Batch) bool {
		b := r.Sink.(*batch)
		if !b.answered && late(b) {
			b.err = n.unavailable()
		}
		return b.err != nil
	})
	flying := n.flying[:0]
	for _, b := range n.flying {
		switch {
		case b.err != nil: // it was withdrawn
			n.flyingBytes -= uint64(len(b.Ops))
			n.deliverLater(b)
			continue
		case !b.answered && late(b):
			b.answered = true
			n.deliverLater(&batch{node: n, door: b.door, writers: slices.Clone(b.writers), err: engine.ErrUncertain})
		}
		flying = append(flying, b)
	}
	clear(n.flying[len(flying):])
	n.flying = flying
}

// refuseReaders refuses those that have waited for longer than the budget, and forgets those that never came back. Caller does not hold mu.
func (n *Node) refuseReaders(doors []*Door, why error) {
	now := n.clock.mono()
	if n.waits.some.Load() {
		if late := n.waits.late(now, false); len(late) > 0 {
			refuse(late, why)
			n.mu.Lock()
			n.refusals(len(late), why)
			n.mu.Unlock()
		}
	}
	for _, d := range doors {
		d.forgetPasses(now)
	}
}
