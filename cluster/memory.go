package cluster

import (
	"fmt"
	"os"
	"runtime/debug"
)

// MinLimit is the least memory-limit, in bytes.
const MinLimit = 64 << 20

// What a daemon needs besides entries, in bytes, whatever its size.
const (
	overhead = 24 << 20 // log tail, buffers, garbage; and
	program  = 20 << 20 // of it what the Go runtime does not count: the program itself, and slabs of which little is used
)

// budget is what entries may cost when the process may take limit bytes: the rest is for the overhead, for slabs that are not full, for
// requests and replies in flight, and for the old versions of entries while a snapshot is being written. 0 is no limit.
func budget(limit uint64) (uint64, error) {
	switch {
	case limit == 0:
		return 0, nil
	case limit < MinLimit:
		return 0, fmt.Errorf("memory-limit is %d bytes: give at least %d (64 MiB)", limit, MinLimit)
	}
	return max(limit/10*7-overhead, limit/3), nil
}

// gcPercent: the heap holds no entries and stays small, but writes make some garbage in raft; collecting it half as often costs a few MiB.
const gcPercent = 200

// limitRuntime has the collector work harder before its heap (which holds no entries) takes what is not the entries', slabs that are not
// full included. GOGC in the environment stands against gcPercent.
func limitRuntime(limit, budget uint64) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if limit > 0 {
		debug.SetMemoryLimit(int64(limit - budget - budget/8 - program))
	}
}

// part is a sixteenth of limit, at least 4 and at most 64 MiB.
func part(limit uint64) int64 {
	if limit == 0 {
		return 64 << 20
	}
	return int64(min(max(limit/16, 4<<20), 64<<20))
}

// What a group costs besides, which stands against the overhead together: the log's end in memory, with what waits for a majority, and what waits for
// each of two other members. A single write may be larger than any of them.

// retain is how many bytes of the log are kept in memory for members that are behind.
func retain(limit uint64) int { return share(limit, 10, 4<<20, 256<<20) }

// unsettled is how many bytes of entries may wait for a majority.
func unsettled(limit uint64) int { return share(limit, 16, 4<<20, 256<<20) }

// waitingBytes is how many bytes may wait for each other member.
func waitingBytes(limit uint64) int { return share(limit, 32, 2<<20, 64<<20) }

// share is one part in that many of limit, within bounds; without a limit it is the upper one.
func share(limit uint64, part, least, most uint64) int {
	if limit == 0 {
		return int(most)
	}
	return int(min(max(limit/part, least), most))
}
