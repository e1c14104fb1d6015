package cluster

import (
	"fmt"
	"runtime/debug"
)

// MinLimit is the least memory-limit, in bytes.
const MinLimit = 64 << 20

// overhead is what a daemon needs besides entries, whatever its size: log tail, buffers, the Go runtime.
const overhead = 24 << 20

// budget is what entries may cost when the process may take limit bytes: the rest is for the overhead, for slabs that are not full, and
// for the old versions of entries while a snapshot is being written. 0 is no limit.
func budget(limit uint64) (uint64, error) {
	switch {
	case limit == 0:
		return 0, nil
	case limit < MinLimit:
		return 0, fmt.Errorf("memory-limit is %d bytes: give at least %d (64 MiB)", limit, MinLimit)
	}
	return max(limit/5*4-min(overhead, limit/5*4), limit/2), nil
}

// gcPercent: the heap holds no entries and stays small, but writes make some garbage in raft; collecting it half as often costs a few MiB.
const gcPercent = 200

// limitRuntime has the collector work harder before its heap (which holds no entries) takes what is not the entries'.
func limitRuntime(limit, budget uint64) {
	debug.SetGCPercent(gcPercent)
	if limit > 0 {
		debug.SetMemoryLimit(int64(limit - budget))
	}
}
