package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"holdfast/cluster/link"
	"holdfast/engine"
	"holdfast/keyspace"
	"holdfast/replica"
)

// sendAgain is how long after a snapshot could not be sent raft is told, and may want it again.
const sendAgain = 500 * time.Millisecond

// wants notes that a member wants a snapshot. Caller holds mu.
func (n *Node) wants(id uint64) {
	if slices.Contains(n.wanting, id) {
		return
	}
	n.wanting = append(n.wanting, id)
	select {
	case n.tosend <- struct{}{}:
	default:
	}
}

// sendSnapshots sends those that are wanted, one after the other.
func (n *Node) sendSnapshots() {
	for {
		n.mu.Lock()
		if len(n.wanting) == 0 || n.dead {
			n.mu.Unlock()
			return
		}
		id := n.wanting[0]
		n.mu.Unlock()
		err := n.sendSnapshot(id)
		if err != nil {
			n.log.Warn("a snapshot could not be sent to a member", slog.String("id", fmt.Sprintf("%x", id)), slog.Any("err", err))
			if n.pause(sendAgain) != nil {
				return
			}
		}
		n.mu.Lock()
		n.wanting = slices.DeleteFunc(n.wanting, func(w uint64) bool { return w == id })
		if !n.dead && !n.restoring {
			n.replica.ReportSnapshot(id, err == nil)
			n.drive()
		}
		n.unlock()
	}
}

var errNotYet = errors.New("it is not a member in what is applied here yet")

// sendSnapshot streams the state as it is now to a member.
func (n *Node) sendSnapshot(id uint64) error {
	n.shooting.Lock()
	defer n.shooting.Unlock()
	begin := time.Now()
	ctx, cancel := context.WithCancel(n.ctx)
	defer cancel()
	var w *keyspace.Snapshot
	var base replica.Base
	err := errNotYet
	n.still(func() {
		if n.restoring {
			return
		}
		n.endSending = cancel
		var ok bool
		if base, ok = n.replica.SnapshotBase(id); ok {
			w, err = n.state.BeginSnapshot(), nil
		}
	})
	if err != nil {
		return err
	}
	var size int64
	err = n.link.Stream(ctx, id, func(to io.Writer) error {
		out := snapshotWriter{to: to}
		err := n.shoot(&out, w, base, n.mostBacklog())
		size = out.size
		return err
	})
	if err != nil {
		n.still(w.Cancel)
		return err
	}
	n.mu.Lock()
	name := n.nameOf(id)
	n.history.add(engine.Event{At: n.wall().UnixNano(), Kind: engine.Sent, Member: name, Took: int64(time.Since(begin)), Count: uint64(size),
		Text: fmt.Sprintf("sent %s a snapshot of %d KB, in %s", name, (size+999)/1000, roughly(int64(time.Since(begin))))})
	n.mu.Unlock()
	n.log.Info("sent a snapshot", slog.String("to", fmt.Sprintf("%x", id)), slog.Uint64("index", base.Index), slog.Int64("bytes", size), slog.Duration("took", time.Since(begin)))
	return nil
}

// mostBacklog is how many bytes of old versions may wait in memory for a member that takes its snapshot slowly.
func (n *Node) mostBacklog() int {
	if n.cfg.Limit == 0 {
		return 1 << 30
	}
	return max(int(n.cfg.Limit/16), 2*maxBacklog)
}

// Stream implements link.Handler: it takes a snapshot from another member in place of the own state.
func (h handler) Stream(from link.Identity, r io.Reader) error {
	n := h.Node
	if !n.receiving.TryLock() {
		return errors.New("another snapshot is on its way here already")
	}
	defer n.receiving.Unlock()
	in := &snapshotReader{r: r, left: math.MaxInt64}
	base, err := in.begin()
	if err != nil {
		return err
	}
	if !n.newer(base) {
		return fmt.Errorf("the snapshot of entry %d is not needed here", base.Index)
	}
	n.log.Info("a snapshot comes", slog.String("from", from.Name), slog.Uint64("index", base.Index))
	begin := time.Now()
	if n.cfg.Durability == Memory {
		err = n.takeInMemory(in, base, from.ID)
	} else {
		err = n.takeByDisk(in, base, from.ID)
	}
	if err != nil {
		n.log.Warn("a snapshot could not be taken over", slog.String("from", from.Name), slog.Any("err", err))
		n.mu.Lock()
		n.tooOld(err)
		n.unlock()
		return err
	}
	n.mu.Lock()
	n.tell(engine.Received, from.Name, time.Since(begin), fmt.Sprintf("took over a snapshot of %s, in %s", from.Name, roughly(int64(time.Since(begin)))))
	n.mu.Unlock()
	n.log.Info("took over a snapshot", slog.String("from", from.Name), slog.Uint64("index", base.Index), slog.Duration("took", time.Since(begin)))
	return nil
}

// newer says whether a snapshot of base is of use.
func (n *Node) newer(base replica.Base) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.dead && n.replica != nil && n.replica.Newer(base)
}

// takeInMemory lets go of the present state, for which there is no room beside the new one, and reads a snapshot. If that breaks off, nothing is left; a member
// that had nothing before waits for another snapshot, any other must begin anew.
func (n *Node) takeInMemory(in *snapshotReader, base replica.Base, from uint64) error {
	n.mu.Lock()
	nothing := n.replica.Applied() == 0
	n.mu.Unlock()
	if !nothing {
		n.drop()
	}
	s := newState(&n.cfg)
	if err := in.blocks(loader(s)); err != nil {
		s.Release()
		if !nothing {
			n.mu.Lock()
			n.die(fmt.Errorf("the snapshot that was to take the place of what is in memory broke off: start this controller again, it joins its group with nothing (%w)", err))
			n.unlock()
		}
		return err
	}
	if nothing {
		n.drop()
	}
	return n.restore(base, s, from)
}

// takeByDisk brings a snapshot to the disk, checked, then lets go of the present state, and loads the new one.
func (n *Node) takeByDisk(in *snapshotReader, base replica.Base, from uint64) error {
	temp := filepath.Join(n.snapshotDir(), receivedFile)
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("begin a snapshot: %w", err)
	}
	defer f.Close()
	out := snapshotWriter{to: f, file: f}
	if err = out.begin(base); err == nil {
		err = in.blocks(func(b []byte) error {
			if err := keyspace.Readable(b); err != nil {
				return err
			}
			return out.block(b)
		})
	}
	if err == nil {
		err = out.end()
	}
	if err != nil || !n.newer(base) {
		os.Remove(temp)
		return err
	}
	n.drop()
	path, err := n.place(temp, base)
	var s *keyspace.State
	if err == nil {
		s = newState(&n.cfg)
		_, err = openSnapshot(path, loader(s))
	}
	if err != nil {
		n.mu.Lock()
		n.broken(fmt.Errorf("a snapshot from another member: %w", err))
		n.unlock()
		return err
	}
	if err := n.restore(base, s, from); err != nil {
		return err
	}
	n.mu.Lock()
	n.snapshot = snapshotStatus{base.Index, n.wall().UnixNano(), n.wal.Bytes()}
	n.unlock()
	n.sync()
	return n.forget(base.Index)
}

// drop lets go of the present state: until restore nothing is read, and the replica is left alone.
func (n *Node) drop() {
	n.mu.Lock()
	n.lockReaders()
	n.restoring = true
	n.reads.until.Store(0)
	n.solo = false
	n.unlockReaders()
	if n.endSending != nil {
		n.endSending()
	}
	n.unlock()
	n.shooting.Lock() // a snapshot that is being taken ends
	defer n.shooting.Unlock()
	n.still(func() {
		n.state.Release()
		n.state = keyspace.New(nil, nil) // of nothing, for whoever asks how it is
	})
}

// place gives a received snapshot its name, and a member that joins its log.
func (n *Node) place(temp string, base replica.Base) (path string, err error) {
	path = filepath.Join(n.snapshotDir(), snapshotName(base.Index))
	if n.wal != nil {
		if err = os.Rename(temp, path); err == nil {
			err = syncDir(n.snapshotDir())
		}
		return path, err
	}
	if err = os.Rename(temp, path+joinedEnd); err == nil {
		err = syncDir(n.snapshotDir())
	}
	if err != nil {
		return path, err
	}
	n.mu.Lock()
	r := n.record
	var hard []byte
	if h := n.hard; h != nil {
		hard = le.AppendUint64(le.AppendUint64(nil, h.GetTerm()), h.GetVote())
	}
	n.mu.Unlock()
	r.adopt, r.durability, r.served, r.made = base.Index, n.cfg.Durability.String(), false, ""
	if err = r.write(n.cfg.Dir); err != nil {
		return path, err
	}
	l, err := adopt(n.cfg.Dir, &r, hard, n.walOptions())
	if err != nil {
		return path, err
	}
	n.mu.Lock()
	n.record, n.wal = r, l
	n.mu.Unlock()
	return path, nil
}

// restore has s, which contains base, take the place of the state that was let go of.
func (n *Node) restore(base replica.Base, s *keyspace.State, from uint64) error {
	n.mu.Lock()
	defer n.unlock()
	if n.dead {
		return errClosed
	}
	n.lockReaders()
	n.state = s
	n.replica.Restore(base, s, from, n.now())
	n.takesUp()
	n.restoring = false
	n.condition = sound
	n.unlockReaders()
	n.applied = true
	if n.herald != nil {
		n.herald.put(dispatch{missed: true})
	}
	n.letGo()
	n.drive()
	return nil
}
