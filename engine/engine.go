// Package engine is the door between the dialects and the state: three methods, behind which a dialect cannot tell
// one controller from five. Read Engine first; overlay.go is what scripts run on.
//
// The package may not touch the network or the system.
package engine

import (
	"errors"

	"holdfast/keyspace"
	"holdfast/op"
)

var (
	// ErrUnavailable says that the op was not carried out and will not be: the budget for holding it is over.
	ErrUnavailable = errors.New("no quorum: the request was held for its budget and not carried out, try again later on this server")
	// ErrUncertain says that nobody knows whether the op was or will be carried out. A dialect answers it by closing the connection.
	ErrUncertain = errors.New("the request was on its way when its budget ended: its outcome is unknown")
	// ErrVersion says that the op was not carried out, since a controller of the group runs a version that does not know it.
	ErrVersion = errors.New("this command needs all controllers upgraded first")
)

// Reader is whom a read answers.
type Reader interface {
	// Show gets the result while the state stands still: it must copy what it keeps, must be quick, and must not call the Engine.
	Show(res *op.Result)
	// Wake says that a read that had to wait may be asked again. It comes from any goroutine, once for each wait.
	Wake()
	// Refuse ends a read that had to wait, with ErrUnavailable. It comes from any goroutine, in place of Wake.
	Refuse(err error)
}

// Writer is whom a write answers.
type Writer interface {
	// Done gets the result, or ErrUnavailable, ErrUncertain or ErrVersion. It comes on the goroutine that owns the Engine's worker, in the order in which the
	// writes of that worker were queued. It must copy what it keeps of res and must not call the Engine.
	Done(res *op.Result, err error)
}

// Engine carries out ops. Every worker of the server (an event loop, or a group of connections under one lock) has an Engine of its own.
type Engine interface {
	// Read shows r's result to s and returns true; or returns false when r has to wait, until s is woken and asks again. What it shows contains every
	// write that was acknowledged, on any controller, before the call, and nothing that has expired. Any goroutine may call it. r is not kept.
	Read(r op.Read, s Reader) bool
	// Write queues w. Writes of a worker are carried out in the order queued, with one round for all that its connections have waiting:
	// after the worker's pass. Only the worker's goroutine may call it. w is encoded at once and not kept.
	Write(w op.Write, s Writer)
	// Status tells how the controller is. Any goroutine may call it; it costs some microseconds.
	Status() Status
}

// Watcher hears of everything that is applied at this controller, whoever asked for it: keys that change, and messages.
type Watcher interface {
	// Note appends to b what Tell is to know of c; nothing if nobody cares. It comes in the middle of an Apply, while nobody can read: it must be quick, and
	// call nobody.
	Note(b []byte, c *op.Change) []byte
	// Tell gets what Note appended, whole, in order and once; under no lock, one call at a time. by is whose write it comes of, nil unless that was
	// queued at this controller.
	Tell(notes []byte, by Writer)
	// Missed says that changes were applied of which Note did not hear, since this controller took over a state as a whole; or that notes were dropped, since
	// there were too many. It comes in its place among the calls of Tell.
	Missed()
	// Stale says that changes may be acknowledged elsewhere from now on, for a while, that are not applied here: this controller has lost touch. Likewise.
	Stale()
}

// Status is what a controller knows of itself, of its group and of its state.
type Status struct {
	Role     string   // "leader", "follower", "candidate" or "learner"
	Leader   string   // name of the leader, empty if none is known
	Members  int      // voters and learners
	Missing  []string // names of the members that do not answer
	Quorum   bool     // whether writes can be carried out now
	Problem  string   // what keeps them from it, in a sentence; empty if nothing is known
	Ready    bool     // whether the state is loaded and requests are answered
	Draining bool     // whether it gives up what it holds, or has, and will be stopped
	CanLose  int      // how many more voters may be lost before writes stop; 0 without quorum and for a group of one
	Term     uint64
	Commit   uint64 // newest entry that a majority has
	Visible  uint64 // newest entry that may be applied: committed, and appended by the whole roster
	Applied  uint64
	Lease    int64  // ns for which reads may still be answered from memory alone: 0 for not now, math.MaxInt64 for a group of one
	Ops      uint64 // ops applied since the beginning of the state
	Now      int64  // the group's present time, Unix ns
	Started  int64  // Unix ns of the start of this daemon, wall clock
	Data     string // directory of the log and snapshots, empty without
	Durable  string // the durability setting
	LogBytes int64  // bytes of log on disk
	LogFsync int64  // ns, the slowest fsync of the last minute
	Snapshot uint64 // index of the newest snapshot
	SnapTime int64  // Unix ns of it, 0 for none
	Limit    uint64 // memory-limit, bytes; 0 for none
	Resident uint64 // bytes that the process has of the machine
	Memory   keyspace.Memory
	Notify   uint32 // what the last op.Notify said

	Peers     []Peer            // all members, this one among them; empty where no other can join
	Events    []Event           // the last things of note that this daemon has seen, the oldest first
	Elections []Election        // the last of them that this daemon has seen, the oldest first
	Causes    map[string]uint64 // how many it has seen since its start, by Cause
}

// Peer is a member of the group as this controller sees it. A leader sees most; what is not known here is 0.
type Peer struct {
	Name        string
	Addr        string // for the other members, host:port
	ID          uint64 // raft's; a member that comes back empty has a new one
	Role        string // "leader", "follower" or "learner"
	Self        bool   // whether it is this controller
	Up          bool   // whether it answers
	Heard       int64  // Unix ns by the own wall clock when anything last came from it; 0 if nothing has since the start, or for itself
	InRoster    bool   // whether it may answer reads from its own memory
	GrantLeft   int64  // ns that what it was granted for this may still last
	Match       uint64 // newest entry that it is known to have
	Lag         uint64 // entries that it is behind the leader's log
	RoundTrip   int64  // ns to it and back, smoothed
	ClockOffset int64  // ns that its wall clock is ahead of this controller's
	Fsync       int64  // ns, the slowest fsync of its last minute
	Level       uint32 // vocabulary of ops that its version knows
	Differs     uint64 // an entry after which its state was not the same as here, which must not be; 0 for none
}

// Event is something of note that this controller has seen of itself or of its group.
type Event struct {
	At     int64  // Unix ns, own wall clock
	Kind   string // one of the words below
	Member string // whom it is about, empty if it is the group
	Term   uint64 // 0 where there is none to tell
	Took   int64  // ns; of what, the kind says
	Count  uint64 // of what, the kind says
	Text   string // the same for people, without who saw it
}

// Kinds of events. Scripts read them: words are added, not changed.
const (
	Started    = "started"     // this daemon serves its group; Took since its start
	Silent     = "silent"      // nothing came from the leader for Took
	Died       = "died"        // the leader's process ended: that is proved
	Ended      = "ended"       // the same of a member that does not lead
	Deposed    = "deposed"     // this controller does not lead any more
	Stands     = "stands"      // this controller asks for votes
	Voted      = "voted"       // this controller gave its vote to Member
	Elected    = "elected"     // Member leads; no leader was known for Took
	HandOver   = "hand-over"   // the leader gives its leadership away
	Paused     = "paused"      // writes of Count ops had to wait, the longest for Took; At is when the first of them was acknowledged
	Refused    = "refused"     // Count requests of clients were refused, or their outcome is unknown
	Lost       = "lost"        // nothing came from a member for Took
	Returned   = "returned"    // it is heard again, after Took
	Joined     = "joined"      // a new member, or one under a new id
	Removed    = "removed"     // a member is none any more
	Drained    = "drained"     // this controller was told to give away what it holds
	Sent       = "sent"        // a snapshot of Count bytes to Member, within Took
	Received   = "received"    // a snapshot from Member, within Took
	DiskSlow   = "disk slow"   // Count fsyncs of the log took long, the longest Took
	DiskFull   = "disk full"   // the log cannot be written: writes are held
	DiskWell   = "disk well"   // it can again
	ClockMoved = "clock moved" // this machine's wall clock was set forward, by Took
	Failed     = "failed"      // this controller cannot go on
)

// Election is a change of leadership that this controller has seen.
type Election struct {
	At     int64 // Unix ns when the new leader was known
	Term   uint64
	Leader string // name
	Cause  string // why there was one, in a few words of a small fixed set, such as "leader lost" or "hand-over"
	Took   int64  // ns without a known leader
}
