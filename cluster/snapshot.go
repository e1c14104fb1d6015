package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"holdfast/keyspace"
	"holdfast/replica"
)

const (
	sliceBytes    = 48 << 10 // of a snapshot that are taken in one go, while everybody is locked out
	writeBackStep = 4 << 20  // bytes after which a snapshot's file is brought to the disk
	maxBacklog    = 16 << 20 // bytes of old versions waiting in memory, above which a snapshot does not pace itself
	checkEvery    = time.Second
	retryAfter    = time.Minute // a snapshot that could not be written is tried again
)

// snapshotStatus is what is known of the newest snapshot. Guarded by Node.mu.
type snapshotStatus struct {
	index    uint64
	time     int64 // Unix ns, wall clock
	logStart int64 // bytes of log that were left when it was taken
}

func (n *Node) snapshotLoop() {
	t := time.NewTicker(checkEvery)
	defer t.Stop()
	var notBefore time.Time
	for {
		select {
		case <-n.stop:
			return
		case done := <-n.snapNow:
			done <- n.takeSnapshot()
		case <-n.tosend:
			n.sendSnapshots()
		case now := <-t.C:
			if now.Before(notBefore) || !n.snapshotDue() {
				continue
			}
			if err := n.takeSnapshot(); err != nil && !errors.Is(err, errClosed) {
				notBefore = now.Add(retryAfter)
				n.log.Error("no snapshot could be taken: the log grows until one can", slog.Any("err", err))
			}
		}
	}
}

// snapshotDue says whether the log has grown enough since the last one.
func (n *Node) snapshotDue() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dead || n.restoring || n.wal == nil { // there may be no state
		return false
	}
	after := max(n.cfg.SnapshotAfter, int64(n.state.Memory().Used/2))
	return n.wal.Bytes()-n.snapshot.logStart > after
}

// takeSnapshot writes the state as it is now to a file, while requests go on, and lets go of the log before it.
func (n *Node) takeSnapshot() error {
	n.shooting.Lock()
	defer n.shooting.Unlock()
	begin := time.Now()
	var w *keyspace.Snapshot
	var base replica.Base
	n.still(func() {
		if !n.restoring && n.wal != nil {
			w, base = n.state.BeginSnapshot(), n.replica.Base()
		}
	})
	if w == nil {
		return errNoState
	}
	temp := filepath.Join(n.snapshotDir(), "new.tmp")
	size, err := n.writeSnapshot(temp, w, base)
	if err != nil {
		n.still(w.Cancel)
		os.Remove(temp)
		return err
	}
	path := filepath.Join(n.snapshotDir(), snapshotName(base.Index))
	if err := os.Rename(temp, path); err != nil {
		return fmt.Errorf("put a snapshot in place: %w", err)
	}
	if err := syncDir(n.snapshotDir()); err != nil {
		return fmt.Errorf("put a snapshot in place: %w", err)
	}
	if err := n.forget(base.Index); err != nil {
		return err
	}
	n.mu.Lock()
	n.snapshot = snapshotStatus{base.Index, n.wall().UnixNano(), n.wal.Bytes()}
	n.unlock()
	n.log.Info("snapshot", slog.Uint64("index", base.Index), slog.Int64("bytes", size), slog.Duration("took", time.Since(begin)))
	return nil
}

// forget deletes what a snapshot at index makes needless: older snapshots, and the log before it.
func (n *Node) forget(index uint64) error {
	all, err := listSnapshots(n.snapshotDir())
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.index < index {
			if err := os.Remove(filepath.Join(n.snapshotDir(), s.name)); err != nil {
				return fmt.Errorf("delete an older snapshot: %w", err)
			}
		}
	}
	return n.wal.Release(index)
}

// still calls f while the state stands still and nobody reads it.
func (n *Node) still(f func()) {
	n.mu.Lock()
	n.lockReaders()
	f()
	n.unlockReaders()
	n.unlock()
}

// writeSnapshot writes and syncs the file.
func (n *Node) writeSnapshot(path string, w *keyspace.Snapshot, base replica.Base) (size int64, err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, fmt.Errorf("begin a snapshot: %w", err)
	}
	defer f.Close()
	out := snapshotWriter{to: f, file: f}
	err = n.shoot(&out, w, base, math.MaxInt)
	return out.size, err
}

// shoot writes a snapshot. It takes the state slice by slice, no faster than SnapshotRate, and with a rest behind every slice that is as long as the
// slice took, so that requests have at least half of the time. It gives up when more than most bytes of old versions wait in memory.
func (n *Node) shoot(out *snapshotWriter, w *keyspace.Snapshot, base replica.Base, most int) error {
	if err := out.begin(base); err != nil {
		return err
	}
	begin := time.Now()
	var buf []byte
	for done := false; !done; {
		backlog, gone, slice := 0, false, time.Now()
		n.still(func() {
			if gone = n.restoring; !gone {
				buf, done = w.Next(buf[:0], sliceBytes)
				backlog = w.Backlog()
			}
		})
		switch {
		case gone:
			return errNoState
		case backlog > most:
			return errors.New("writes come faster than the snapshot is taken")
		}
		rest := time.Since(slice)
		runtime.Gosched() // to whoever has been waiting for the locks
		if len(buf) == 0 {
			continue // a stretch without keys
		}
		if err := out.block(buf); err != nil {
			return err
		}
		wait := time.Duration(float64(out.size)/float64(n.cfg.SnapshotRate)*1e9) - time.Since(begin)
		if wait = max(wait, rest); backlog > maxBacklog {
			wait = 0
		}
		select {
		case <-n.stop:
			return errClosed
		case <-time.After(wait):
		}
	}
	return out.end()
}

var errNoState = errors.New("the state is given up for another one")
