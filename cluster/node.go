// Package cluster is the world around a replica: its goroutines, clock, log, snapshots and memory; and the doors by which workers reach it.
//
// It does not know what an op means. Read this file first, then door.go (a worker's side) and waits.go (readers that must wait), drive.go (what carries
// out the replica's effects), start.go (recovery), census.go and join.go (how a group comes to be), member.go (a directory and its repair), peers.go (what
// the other members ask), tend.go (what a leader looks after), snapshot.go and stream.go, evict.go, herald.go (who hears of changes), clock.go, history.go (what is told of the past) and ask.go; wal/ is the log on disk, link/ are the
// connections between members.
//
// Locks, in the order in which they may be taken together:
//
//	Node.receiving, Node.shooting   snapshots, which come one at a time
//	Node.mu        the replica, the log's appending side, the batches, the list of doors, the evictor
//	Door.mu        each of them, in the order of Node.doors: together they guard the state against readers. A read takes its own
//	               Door's; what changes the state holds Node.mu and all of them
//	waits.mu       the readers that wait
//
// The links' own locks come behind all of these. Nobody waits for the disk or the network under a lock, except for the write(2) of the log. Nothing of a
// dialect is called under a lock, except for Show.
package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/cluster/link"
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

// Config is what a Node is started with. Times that are zero are replica.Config's defaults.
type Config struct {
	Name          string // of this member; one at a time in a group has it
	Dir           string // of log and snapshots; made if it is not there. Only with durability Memory it is not used and may be empty
	Durability    Durability
	Limit         uint64                  // bytes that the process may take; 0 for no limit, else at least MinLimit
	ReplyLimit    int                     // bytes of the values that one transaction gives back; 0 for no limit
	Classes       [op.Spaces]op.Class     // the class of each keyspace
	Rules         []op.Rule               // classes by the name of the key, tried in order
	Segment       int64                   // bytes of a log segment; a sixteenth of Limit if zero, 4 to 64 MiB
	SnapshotAfter int64                   // bytes of log after which a snapshot is taken, or half the state if that is more; a quarter of Limit if zero, 16 to 64 MiB
	SnapshotRate  int64                   // bytes a second that a snapshot writes or sends at most; 150 MB if zero
	Logger        *slog.Logger            // slog.Default if nil
	Wall          func() time.Time        // the wall clock; time.Now if nil
	Watcher       engine.Watcher          // hears of what is applied; may be nil
	observer      keyspace.Observer       // the herald to it, of prepare
	fault         func(does string) error // for tests: wal.Options.Fault

	// Of a group; nothing of it for a group of one.
	Listener   net.Listener       // where the other members reach this one; closed by Close
	Addr       string             // by which they do, host:port
	Members    []Peer             // all that found the group, this one among them; empty with Join
	Join       []string           // addresses of members of a running group to be let into
	TLS        func() *tls.Config // see link.Config; nil: plain TCP
	ReadIndex  bool               // reads take a round to a majority, and no clock is trusted
	Promise    time.Duration      // see replica.Config, as for the next four
	Lease      time.Duration
	Heartbeat  time.Duration
	ClockBound time.Duration
	Drift      int             // hundredths
	Stopping   <-chan struct{} // closed: Start gives up waiting for other members; may be nil
	// Answer answers what another member's Ask asks, from any goroutine; nil: nothing is answered. The error is a sentence.
	Answer func(question string) ([]byte, error)
	level  uint32 // for tests: replica.Config.Level, which is the default
	retain int    // for tests: replica.Config.Retain
	boot   uint64 // for tests: another run of the machine
	dial   func(ctx context.Context, addr string) (net.Conn, error)
}

const (
	tick       = 10 * time.Millisecond
	syncEvery  = time.Second
	applyBytes = 64 << 10 // bytes of entries that are applied while readers are locked out, in one go
	maxStamps  = 8        // entries without ops, which remove keys that are due, in one write to the log
	firstID    = 1        // raft's, of a group of one of the first version
	firstIndex = 1        // behind it a group's log begins
)

// Node is a running member.
type Node struct {
	cfg     Config
	log     *slog.Logger
	lock    *os.File
	clock   *clock
	state   *keyspace.State // changed under mu and all Door.mu; read under any of these. nil before there is one
	used    *marks
	budget  uint64 // for entries, of this member
	life    uint64 // random, of this process
	started int64

	reads   reads
	waits   waits
	ticking atomic.Bool   // somebody waits for a tick entry
	poked   chan struct{} // has the ticker act at once
	syncing chan struct{} // has the syncer act at once
	snapNow chan chan error
	stop    chan struct{}
	ctx     context.Context // ends with stop
	running sync.WaitGroup
	closing sync.Once
	failed  chan struct{} // closed when problem is for good
	serves  chan struct{} // closed when serving is true
	settled chan struct{} // closed when that is decided, for better or worse
	over    atomic.Bool   // dead, for readers
	usable  atomic.Uint32 // the level of ops that may be submitted; never falls

	link      *link.Links                   // nil without a Listener
	identity  atomic.Pointer[link.Identity] // as the links show it
	joining   []string                      // addresses of members that are asked to let this one in; of Start alone
	shooting  sync.Mutex                    // one snapshot at a time is taken, sent or restored; taken before mu
	receiving sync.Mutex                    // one is received at a time; taken before shooting
	tosend    chan struct{}                 // has the snapshots that members want sent

	mu          sync.Mutex
	replica     *replica.Replica // nil before there is one; replaced under all Door.mu too
	restoring   bool             // there is no state: the replica is left alone. Changed under all Door.mu too
	serving     bool             // requests are taken: before, all are held. Changed under all Door.mu
	solo        bool             // a group of one, which leads
	record      record
	condition   condition    // in which it was recovered
	end         replica.Base // where the recovered log ends, committed or not, and its members
	hard        *pb.HardState
	version     uint64              // of the members that the links know
	enlisted    []replica.Member    // these
	known       map[uint64]standing // of the other members, on a leader
	met         map[uint64]int64    // own clock's mono: when anything last came from another member
	knows       map[uint64]uint32   // the levels of the other members that were met
	sent        bool                // messages are to be flushed when mu is given up
	endSending  func()              // ends the sending of a snapshot
	wanting     []uint64            // members that want a snapshot
	configuring bool                // settings are on their way
	waitsFor    string              // why this member does not serve, or has no leader, if that is known
	keptOut     string              // why this member is not let into the group, for a sentence
	wal         *wal.Log            // nil with durability Memory, and before there is one
	doors       []*Door
	flushing    *Door            // the one whose Flush holds mu
	unwritten   []replica.Append // appended to the log's buffer; the disk was full
	unsynced    []replica.Append // written; to be reported when they are on stable storage
	held        []*batch         // not handed to the replica since the disk is full, or a snapshot is being restored
	flying      []*batch         // handed to the replica, in order
	flyingBytes uint64           // of the doors' batches among them
	woken       []*Door          // to be woken when mu is given up
	problem     error            // what keeps writes from being carried out
	dead        bool             // for good
	applied     bool             // since mu was taken
	ticks       int
	evictor     evictor
	herald      *herald // nil without a Watcher
	touch       touch   // as far as the Watcher was told
	snapshot    snapshotStatus
	history     history
	told        bool      // to give away what it holds
	fsyncs      [60]int64 // the slowest fsync of each of the last seconds, ns
	fsyncAt     int64     // second of the newest of them, since the clock's base
}

// Open opens the data directory, recovers what is there, and returns. From then on Doors may be used: what they are asked is held, and then refused, until
// this member has found its group and serves.
func Open(cfg Config) (*Node, error) {
	n, err := prepare(cfg)
	if err != nil {
		return nil, err
	}
	if err := n.open(); err != nil {
		n.abandon()
		return nil, err
	}
	n.running.Go(n.settle)
	return n, nil
}

// Start is Open, and returns when requests can be taken: in a new group when a majority of its members is there.
func Start(cfg Config) (*Node, error) {
	n, err := Open(cfg)
	if err != nil {
		return nil, err
	}
	<-n.settled
	n.mu.Lock()
	serving, err := n.serving, n.problem
	n.mu.Unlock()
	if !serving {
		n.Close()
		return nil, err
	}
	return n, nil
}

// Serving is closed when requests can be taken.
func (n *Node) Serving() <-chan struct{} { return n.serves }

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
	if cfg.level == 0 {
		cfg.level = replica.Level
	}
	if cfg.SnapshotRate == 0 {
		cfg.SnapshotRate = 150e6
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	n := &Node{
		cfg: cfg, log: cfg.Logger, used: newMarks(cfg.Limit), life: random(), restoring: true,
		poked: make(chan struct{}, 1), syncing: make(chan struct{}, 1), tosend: make(chan struct{}, 1), snapNow: make(chan chan error),
		stop: make(chan struct{}), failed: make(chan struct{}), serves: make(chan struct{}), settled: make(chan struct{}),
	}
	if cfg.Watcher != nil {
		n.herald = newHerald(cfg.Watcher)
		n.cfg.observer = n.herald
	}
	n.started = n.wall().UnixNano()
	n.waits.last = random() >> 1 // a question of an earlier life is never taken for one of this
	var cancel context.CancelFunc
	n.ctx, cancel = context.WithCancel(context.Background())
	go func() { <-n.stop; cancel() }()
	return n, nil
}

// wall reads the wall clock.
func (n *Node) wall() time.Time {
	if n.cfg.Wall == nil {
		return time.Now()
	}
	return n.cfg.Wall()
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
// used: they answer reads as long as they may, deliver what is finished and refuse writes.
func (n *Node) Close() error {
	var err error
	n.closing.Do(func() {
		n.halt()
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

// halt ends all goroutines.
func (n *Node) halt() {
	close(n.stop)
	if n.link != nil {
		n.link.Close()
	}
	n.running.Wait()
}

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

// pause waits, and says why it must not.
func (n *Node) pause(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-n.stop:
		return errClosed
	case <-n.cfg.Stopping:
		return errClosed
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
			late, doors, why := n.ticks%lookLate == 0, n.doors, n.unavailable()
			n.unlock()
			if late {
				n.refuseReaders(doors, why)
			}
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
	n.ticks++
	n.clock.lookAsleep(time.Now())
	if jump := n.clock.adjust(n.clock.mono(), n.wall().UnixNano()); jump > 0 && n.solo {
		n.log.Warn("the clock was set forward: keys may end early", slog.Duration("by", jump))
		n.tell(engine.ClockMoved, "", jump, "the clock was set forward by "+jump.String()+": keys may end early")
	}
	if n.problem != nil && !n.dead {
		n.write(n.now())
	}
	if !n.dead && !n.restoring {
		n.replica.Fsync = n.slowestFsync()
		n.replica.Tick(n.now())
		n.ask()
	}
	if n.ticks%hereEvery == 0 {
		n.sayHere()
	}
	if n.ticks%lookHere == 0 {
		n.lookWho()
	}
	n.work()
	n.lookStale()
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
		more = n.reapSome(&stamps)
		n.unlock()
		runtime.Gosched() // to whoever has been waiting for mu
	}
}

// reapSome does one step of that and says whether there is more to do. Only a leader can. Caller holds mu.
func (n *Node) reapSome(stamps *int) (more bool) {
	if n.dead || n.problem != nil || !n.leads() {
		return false
	}
	before := n.replica.Applied()
	if !n.replica.Busy() && n.state.Due(n.present()) {
		for range *stamps {
			n.replica.Stamp(n.now())
		}
		n.drive()
		*stamps = min(2**stamps, maxStamps)
	}
	if !n.dead && n.problem == nil && n.evict() {
		n.drive()
	}
	return n.replica.Applied() != before
}

// leads says whether this member leads. Caller holds mu.
func (n *Node) leads() bool {
	return !n.restoring && n.replica.Leader() == n.record.id
}

// present is the group's time, about, Unix ns. Caller holds mu.
func (n *Node) present() int64 {
	if n.solo {
		return max(n.clock.now(), n.state.Stamp())
	}
	return n.replica.Present(n.now())
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
	count, log := len(n.unsynced), n.wal
	n.mu.Unlock()
	if log == nil {
		return
	}
	begin := time.Now()
	err := log.Sync()
	took := time.Since(begin)
	n.mu.Lock()
	n.noteFsync(took)
	if err != nil {
		n.broken(err)
	} else if count > 0 && !n.dead {
		for _, a := range n.unsynced[:count] {
			n.replica.Stored(a, n.now())
		}
		n.unsynced = append(n.unsynced[:0], n.unsynced[count:]...)
		n.drive()
		if n.leads() && n.state.Due(n.present()) {
			n.poke()
		}
	}
	if len(n.unsynced) > 0 {
		n.sync()
	}
	n.unlock()
}

// Snapshot takes a snapshot now and returns when it is on stable storage.
func (n *Node) Snapshot(ctx context.Context) error {
	if n.cfg.Durability == Memory {
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
