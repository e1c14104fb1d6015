package cluster

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/cluster/wal"
	"holdfast/keyspace"
	"holdfast/op"
	"holdfast/replica"
)

// startWithin bounds how long the member may take from a recovered state to answering requests.
const startWithin = 30 * time.Second

// newState makes an empty state whose hash nobody outside can know, so that nobody can choose keys that collide.
func newState(cfg *Config) *keyspace.State {
	var seed [8]byte
	rand.Read(seed[:])
	s := keyspace.New(allocFor(cfg.Limit), free)
	s.Seed(binary.LittleEndian.Uint64(seed[:]))
	s.ReplyLimit = cfg.ReplyLimit
	return s
}

// open recovers and gets ready.
func (n *Node) open() error {
	entries, err := budget(n.cfg.Limit)
	if err != nil {
		return err
	}
	limitRuntime(n.cfg.Limit, entries)
	base := replica.Base{Index: 1, Term: 1, Members: []replica.Member{{ID: memberID, Name: n.cfg.Name}}}
	n.state = newState(&n.cfg)
	if n.cfg.Durability == Memory {
		n.recovering(base)
	} else if err := n.recover(base); err != nil {
		return err
	}
	n.clock = newClock(n.cfg.Wall(), n.state.Stamp())
	if err := n.replica.Start(n.clock.instant()); err != nil {
		return err
	}
	n.mu.Lock()
	n.drive()
	n.unlock()
	n.run()
	if err := n.settle(entries); err != nil {
		close(n.stop)
		n.running.Wait()
		return err
	}
	return nil
}

func (n *Node) recovering(base replica.Base) {
	n.replica = replica.New(replica.Config{
		ID: memberID, Nonce: nonce(), State: n.state, Base: base, Logger: raftLog{n.log},
	})
}

func nonce() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

// recover brings back what is in the data directory. base is where the log begins if there is nothing.
func (n *Node) recover(base replica.Base) error {
	begin := time.Now()
	if err := n.lockDir(); err != nil {
		return err
	}
	found, err := n.loadSnapshot()
	if err != nil {
		return err
	}
	if found != nil {
		base = *found
	}
	member, err := n.member()
	if err != nil {
		return err
	}
	if err := n.checkLog(found != nil, member); err != nil {
		return err
	}
	n.recovering(base)
	entries, err := n.openLog(base, found != nil)
	if err != nil {
		return err
	}
	if !member {
		if err := n.join(); err != nil {
			return err
		}
	}
	debug.FreeOSMemory() // the buffers that recovery took
	n.log.Info("recovered", slog.Uint64("snapshot", n.snapshot.index), slog.Int("entries", entries),
		slog.Uint64("ops", n.state.Ops()), slog.Duration("took", time.Since(begin)))
	return nil
}

// lockDir makes the data directory and takes it for this process.
func (n *Node) lockDir() (err error) {
	if n.lock, err = takeDir(n.cfg.Dir); err != nil {
		return err
	}
	if err := os.MkdirAll(n.snapshotDir(), 0o700); err != nil {
		return fmt.Errorf("make the snapshot directory: %w", err)
	}
	return nil
}

func takeDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the data directory: %w", err)
	}
	if !lockFile(f) {
		f.Close()
		return nil, fmt.Errorf("another daemon is using the data directory %s: stop it, or name another directory", dir)
	}
	return f, nil
}

// openLog replays the log on top of base and opens it for writing.
func (n *Node) openLog(base replica.Base, snapshot bool) (entries int, err error) {
	started := snapshot
	opt := wal.Options{Kept: []uint8{recordHard, recordBase}, Segment: n.cfg.Segment, Boot: bootID(), Logger: n.log, Fault: n.cfg.fault}
	n.wal, err = wal.Open(n.logDir(), opt, func(r wal.Record) error {
		switch r.Kind {
		case recordEntry:
			if !started {
				return errors.New("the log begins without saying where: its beginning or the snapshot before it is missing")
			}
			entries++
			return n.replay(r)
		case recordHard:
			if len(r.Body) != 16 {
				return errors.New("a hard state of the wrong length")
			}
			n.replica.RecoverHard(&pb.HardState{Term: new(le.Uint64(r.Body)), Vote: new(le.Uint64(r.Body[8:]))})
		case recordBase:
			started = started || decodeBase(r.Body).Index == base.Index
		}
		return nil
	})
	if err != nil {
		return entries, err
	}
	// A log that ends before the snapshot (the machine went down, or it was repaired) would be continued with a gap: nothing of it is needed.
	if err := n.wal.Release(base.Index); err != nil {
		return entries, err
	}
	if !started { // a new directory: say where the log begins, durably, before anything else
		n.wal.Append(recordBase, 0, encodeBase(base), nil)
		if err := n.wal.Write(); err != nil {
			return entries, err
		}
		return entries, n.wal.Sync()
	}
	return entries, nil
}

var le = binary.LittleEndian

// replay gives an entry of the log to the replica.
func (n *Node) replay(r wal.Record) error {
	if len(r.Body) < entryHead {
		return errors.New("an entry without a head")
	}
	kind := pb.EntryType(r.Body[16])
	err := n.replica.Recover(&pb.Entry{
		Term: new(le.Uint64(r.Body)), Index: new(r.Index), Type: &kind, Data: append([]byte(nil), r.Body[entryHead:]...),
	}, le.Uint64(r.Body[8:]))
	if err != nil {
		return fmt.Errorf("%w: a snapshot or a part of the log before it is missing, put it back; or move %s away to begin with nothing", err, n.cfg.Dir)
	}
	return nil
}

func encodeBase(base replica.Base) []byte { return base.Append(nil) }

func decodeBase(b []byte) (base replica.Base) {
	if base, ok := replica.DecodeBase(b); ok {
		return base
	}
	return replica.Base{}
}

// settle waits until this life of the member is known to the state, and has the configured settings applied.
func (n *Node) settle(entries uint64) error {
	deadline := time.Now().Add(startWithin)
	want := &op.Configure{Budget: entries, Classes: n.cfg.Classes, Rules: n.cfg.Rules}
	asked := false
	for {
		n.mu.Lock()
		known := n.replica.Status(n.clock.instant()).Incarnation != 0
		same := sameConfig(n.state.Config(), want)
		problem := n.problem
		if known && !same && !asked {
			asked = true
			b := &batch{node: n, then: func() {}}
			b.Batch = replica.Batch{Ops: want.Append(nil), Sink: b}
			n.submit(b)
			n.drive()
		}
		n.unlock()
		switch {
		case problem != nil:
			return problem
		case known && same:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("the log did not take the first entry within %s: the disk of %s does not answer", startWithin, n.cfg.Dir)
		}
		time.Sleep(time.Millisecond)
	}
}

func sameConfig(a, b *op.Configure) bool {
	if a == nil || a.Budget != b.Budget || a.Classes != b.Classes || len(a.Rules) != len(b.Rules) {
		return false
	}
	for i := range a.Rules {
		if !reflect.DeepEqual(a.Rules[i], b.Rules[i]) {
			return false
		}
	}
	return true
}
