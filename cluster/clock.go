package cluster

import (
	"sync/atomic"
	"time"
)

// clock is the own clock of this member: Unix ns that follow the wall clock forwards at once and never step backwards.
//
// It runs by the monotonic clock. When the wall clock is ahead of it (it was set forward), it jumps there: keys with a deadline at a
// point in time end when people expect it. When the wall clock is behind it (it was set back), it goes on, slower by one part in slewing, until
// the wall clock has caught up: a lifetime lasts at most that much longer than it should, and never less, and time never stands still.
type clock struct {
	base   time.Time    // where the monotonic clock is counted from
	offset atomic.Int64 // what is to be added to make it Unix ns
	last   int64        // monotonic ns of the last adjustment; guarded by Node.mu
}

const (
	slewing   = 200
	slewAbove = int64(time.Millisecond) // the wall clock is behind by more than this: slew
	jumpAbove = int64(time.Second)      // it is ahead by more than this: tell
)

// newClock returns a clock that is not behind stamp (Unix ns), the newest stamp of the state.
func newClock(wall time.Time, stamp int64) *clock {
	c := &clock{base: time.Now()}
	c.offset.Store(max(wall.UnixNano(), stamp))
	return c
}

// now is the present time, Unix ns. Any goroutine may call it.
func (c *clock) now() int64 { return int64(time.Since(c.base)) + c.offset.Load() }

// adjust compares with the wall clock, every tick. It returns how far the clock jumped forwards, if that is worth telling.
func (c *clock) adjust(mono, wall int64) (jump time.Duration) {
	passed := min(mono-c.last, int64(time.Second))
	c.last = mono
	ahead := mono + c.offset.Load() - wall
	switch {
	case ahead < 0:
		c.offset.Add(-ahead)
		if -ahead > jumpAbove {
			return time.Duration(-ahead)
		}
	case ahead > slewAbove:
		c.offset.Add(-min(passed/slewing, ahead))
	}
	return 0
}
