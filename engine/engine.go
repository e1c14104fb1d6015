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
	// Done gets the result, or ErrUnavailable or ErrUncertain. It comes on the goroutine that owns the Engine's worker, in the order in which the
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

// Status is what a controller knows of itself and of its state.
type Status struct {
	Role     string // "leader", "follower" or "candidate"
	Leader   string // name of the leader, empty if none is known
	Members  int
	Missing  []string // names of the members that do not answer
	Quorum   bool     // whether writes can be carried out now
	Problem  string   // what keeps them from it, in a sentence; empty if nothing is known
	Ready    bool     // whether the state is loaded and requests are answered
	Term     uint64
	Commit   uint64
	Applied  uint64
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
}
