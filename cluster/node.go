// Package cluster is the world around a replica: its goroutines, clock, log, snapshots and memory; and the doors by which workers reach it.
//
// It does not know what an op means. Read this file first, then door.go (a worker's side), drive.go (what carries out the replica's effects),
// start.go (recovery), member.go (a directory and its repair), snapshot.go, evict.go, clock.go; wal/ is the log on disk.
//
// Locks, in the order in which they may be taken together:
//
//	Node.mu        the replica, the log's appending side, the batches, the list of doors, the evictor
//	Door.mu        each of them, in the order of Node.doors: together they guard the state against readers. A read takes its own
//	               Door's; what changes the state holds Node.mu and all of them
//	Node.waitMu    the readers that wait
//
// Nobody waits for the disk under a lock, except for the write(2) of the log. Nothing of a dialect is called under a lock, except for Show.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/cluster/wal"
	"holdfast/engine"
	"holdfast/keyspace"
	"holdfast/op"
	"holdfast/replica"
)

// Durability says when a write counts as stored (design 3.6).
type Durability uint8

const (
	Second Durability = iota // in the page cache; fsync every second
	Always                   // after an fsync
	Memory                   // no log at all
)

func (d Durability) String() string { return [...]string{"second", "always", "memory"}[d] }

// Config is what a Node is started with.
type Config struct {
	Name          string // of this member, for people
	Dir           string // of log and snapshots; made if it is not there. Only with durability Memory it is not used and may be empty
	Durability    Durability
	Limit         uint64                  // bytes that the process may take; 0 for no limit, else at least MinLimit
	ReplyLimit    int                     // bytes of the values that one transaction gives back; 0 for no limit
	Classes       [op.Spaces]op.Class     // the class of each keyspace
	Rules         []op.Rule               // classes by the name of the key, tried in order
	Segment       int64                   // bytes of a log segment; a sixteenth of Limit if zero, 4 to 64 MiB
	SnapshotAfter int64                   // bytes of log after which a snapshot is taken, or half the state if that is more; a quarter of Limit if zero, 16 to 64 MiB
	SnapshotRate  int64                   // bytes a second that a snapshot writes at most; 150 MB if zero
	Hold          time.Duration           // how long a write is held before it is refused; 3 s if zero
	Logger        *slog.Logger            // slog.Default if nil
	Wall          func() time.Time        // the wall clock; time.Now if nil
	fault         func(does string) error // for tests: wal.Options.Fault
}

const (
	tick       = 10 * time.Millisecond
	syncEvery  = time.Second
	applyBytes = 64 << 10 // bytes of entries that are applied while readers are locked out, in one go
	maxStamps  = 8        // entries without ops, which remove keys that are due, in one write to the log
	memberID   = 1        // of the only member of a group of one
)

// Node is a running member.
type Node struct {
	cfg     Config
	log     *slog.Logger
	lock    *os.File
	clock   *clock
	state   *keyspace.State // changed under mu and all Door.mu; read under any of these
	used    *marks
	started int64

	ticking atomic.Bool   // somebody waits for a tick entry
	poked   chan struct{} // has the ticker act at once
	syncing chan struct{} // has the syncer act at once
	snapNow chan chan error
	stop    chan struct{}
	running sync.WaitGroup
	closing sync.Once
	failed  chan struct{} // closed when problem is for good
	over    atomic.Bool   // dead, for readers

	mu          sync.Mutex
	replica     *replica.Replica
	wal         *wal.Log // nil with durability Memory
	doors       []*Door
	flushing    *Door            // the one whose Flush holds mu
	unwritten   []replica.Append // appended to the log's buffer; the disk was full
	unsynced    []replica.Append // written; to be reported when they are on stable storage
	held        []*batch         // not handed to the replica since the disk is full
	flying      []*batch         // handed to the replica, in order
	flyingBytes uint64           // of the doors' batches among them
	woken       []*Door          // to be woken when mu is given up
	problem     error            // what keeps writes from being carried out
	dead        bool             // for good
	since       int64            // when the problem began, own clock
	applied     bool             // since mu was taken
	refused     bool             // the waiting readers are to be refused when mu is given up
	evictor     evictor
	snapshot    snapshotStatus
	fsyncs      [60]int64 // the slowest fsync of each of the last seconds, ns
	fsyncAt     int64     // second of the newest of them, since the clock's base

	waitMu  sync.Mutex
	waiting []engine.Reader // until something is applied
	waits   atomic.Bool     // waiting is not empty
}

// Start opens the data directory, recovers the state, and returns when requests can be answered.
func Start(cfg Config) (*Node, error) {
	n, err := prepare(cfg)
	if err != nil {
		return nil, err
	}
	if err := n.open(); err != nil {
		n.abandon()
		return nil, err
	}
	return n, nil
}

func prepare(cfg Config) (*Node, error) {
	if cfg.Dir == "" && cfg.Durability != Memory {
		return nil, fmt.Errorf("durability %s needs a data directory: name one, or choose durability memory", cfg.Durability)
	}
	if cfg.Segment == 0 {
		cfg.Segment = part(cfg.Limit)
	}
	if cfg.SnapshotAfter == 0 {
		cfg.SnapshotAfter = min(4*part(cfg.Limit), 64<<20)
	}
	if cfg.SnapshotRate == 0 {
		cfg.SnapshotRate = 150e6
	}
	if cfg.Hold == 0 {
		cfg.Hold = 3 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Wall == nil {
		cfg.Wall = time.Now
	}
	return &Node{
		cfg: cfg, log: cfg.Logger, started: cfg.Wall().UnixNano(), used: newMarks(cfg.Limit),
		poked: make(chan struct{}, 1), syncing: make(chan struct{}, 1), snapNow: make(chan chan error),
		stop: make(chan struct{}), failed: make(chan struct{}),
	}, nil
}

// Failed is closed when the node can carry out no writes any more and should be stopped; Err says why.
func (n *Node) Failed() <-chan struct{} { return n.failed }

// Err says in a sentence what keeps writes from being carried out, nil if nothing does.
func (n *Node) Err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.problem
}

// Close stops the node: what was handed in is carried out and its doors are woken for it, the log is synced. Doors may still be
// used: they answer reads, deliver what is finished and refuse writes.
func (n *Node) Close() error {
	var err error
	n.closing.Do(func() {
		close(n.stop)
		n.running.Wait()
		if n.wal != nil {
			n.syncLog()
		}
		n.mu.Lock()
		n.die(errClosed)
		n.unlock()
		err = n.abandon()
	})
	return err
}

var errClosed = errors.New("this daemon is stopping")

// abandon gives up what is open.
func (n *Node) abandon() (err error) {
	if n.wal != nil {
		err = n.wal.Close()
	}
	if n.lock != nil {
		n.lock.Close()
	}
	return err
}

// run starts the goroutines; Close waits for them.
func (n *Node) run() {
	n.running.Go(n.tickLoop)
	if n.wal != nil {
		n.running.Go(n.syncLoop)
		n.running.Go(n.snapshotLoop)
	}
}

func (n *Node) tickLoop() {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-n.stop:
			return
		case <-t.C:
			n.mu.Lock()
			n.ticked()
			n.unlock()
		case <-n.poked:
			n.mu.Lock()
			n.work()
			n.unlock()
		}
		n.reap()
	}
}

// ticked does what is to be done every tick. Caller holds mu.
func (n *Node) ticked() {
	mono := int64(time.Since(n.clock.base))
	if jump := n.clock.adjust(mono, n.cfg.Wall().UnixNano()); jump > 0 {
		n.log.Warn("the clock was set forward: keys may end early", slog.Duration("by", jump))
	}
	if n.problem != nil && !n.dead {
		n.write()
	}
	if !n.dead {
		n.replica.Tick(n.clock.instant())
	}
	n.work()
	n.refuseLate()
	if n.wal != nil && !n.wal.Spare() {
		n.sync()
	}
}

// reap removes what is due and makes room, a little at a time so that clients come in between. An entry removes few keys: when it was not
// enough, the next write to the log carries more of them.
func (n *Node) reap() {
	stamps := 1
	for more := true; more; {
		n.mu.Lock()
		before := n.replica.Applied()
		if !n.dead && n.problem == nil && !n.replica.Busy() && n.state.Due(n.clock.now()) {
			for range stamps {
				n.replica.Stamp(n.clock.instant())
			}
			n.drive()
			stamps = min(2*stamps, maxStamps)
		}
		if !n.dead && n.problem == nil && n.evict() {
			n.drive()
		}
		more = n.replica.Applied() != before
		n.unlock()
		runtime.Gosched() // to whoever has been waiting for mu
	}
}

// sync has the syncer act.
func (n *Node) sync() {
	select {
	case n.syncing <- struct{}{}:
	default:
	}
}

// poke has the ticker act.
func (n *Node) poke() {
	select {
	case n.poked <- struct{}{}:
	default:
	}
}

func (n *Node) syncLoop() {
	t := time.NewTicker(syncEvery)
	defer t.Stop()
	for {
		select {
		case <-n.stop:
			return
		case <-n.syncing:
		case <-t.C:
		}
		n.syncLog()
	}
}

// syncLog syncs the log and reports what that makes stable.
func (n *Node) syncLog() {
	n.mu.Lock()
	count := len(n.unsynced)
	n.mu.Unlock()
	begin := time.Now()
	err := n.wal.Sync()
	took := time.Since(begin)
	n.mu.Lock()
	n.noteFsync(took)
	if err != nil {
		n.die(err)
	} else if count > 0 {
		for _, a := range n.unsynced[:count] {
			n.replica.Stored(a, n.clock.instant())
		}
		n.unsynced = append(n.unsynced[:0], n.unsynced[count:]...)
		n.drive()
		if n.state.Due(n.clock.now()) {
			n.poke()
		}
	}
	if len(n.unsynced) > 0 {
		n.sync()
	}
	n.unlock()
}

// await has s woken when something was applied.
func (n *Node) await(s engine.Reader) {
	n.waitMu.Lock()
	n.waiting = append(n.waiting, s)
	n.waits.Store(true)
	n.waitMu.Unlock()
	n.ticking.Store(true)
}

// Snapshot takes a snapshot now and returns when it is on stable storage.
func (n *Node) Snapshot(ctx context.Context) error {
	if n.wal == nil {
		return errors.New("with durability memory there are no snapshots")
	}
	done := make(chan error, 1)
	select {
	case n.snapNow <- done:
	case <-n.stop:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-n.stop:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *Node) logDir() string      { return filepath.Join(n.cfg.Dir, "log") }
func (n *Node) snapshotDir() string { return filepath.Join(n.cfg.Dir, "snapshot") }
