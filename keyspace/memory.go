// Package keyspace is the state.
package keyspace

import "holdfast/op"

// Memory is the account of a state by its formula, equal on every member.
type Memory struct {
	Budget  uint64                // what entries may take, bytes; 0 for no limit
	Used    uint64                // what they take
	Class   [op.Classes]ClassStat // by class
	Space   [op.Spaces]SpaceStat  // by keyspace
	Expired uint64                // keys removed because their deadline came
	Evicted uint64                // keys removed to make room
	Refused uint64                // writes refused for want of room
}

// ClassStat counts what one class holds.
type ClassStat struct{ Keys, Bytes uint64 }

// SpaceStat counts what one keyspace holds; Mortal are the keys with a deadline.
type SpaceStat struct{ Keys, Mortal uint64 }
