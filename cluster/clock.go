package cluster

import (
	"sync/atomic"
	"time"

	"holdfast/replica"
)

// clock is the own clock of this member: Unix ns that follow the wall clock forwards at once and never step backwards.
//
// It runs by the monotonic clock. When the wall clock is ahead of it (it was set forward), it jumps there: keys with a deadline at a
// point in time end when people expect it. When the wall clock is behind it (it was set back), it goes on, slower by one part in slewing, until
// the wall clock has caught up: a lifetime lasts at most that much longer than it should, and never less, and time never stands still.
//
// What promises and leases are counted by (replica.Instant's Mono) is another one, which nobody slews and which counts the time that the machine was
// suspended: see instant.
type clock struct {
	base   time.Time        // where the monotonic clock is counted from
	offset atomic.Int64     // what is to be added to make it Unix ns
	wall   func() time.Time // nil: time.Now

	// Guarded by Node.mu.
	last      int64 // monotonic ns of the last adjustment
	suspended int64 // ns that the machine was suspended since it was started
	gap       int64 // the wall clock less mono, when suspended was last looked at
	ahead     int64 // Mono less mono then
	looked    int64 // mono then
	steady    int64 // the newest Mono
}

const (
	slewing   = 200
	slewAbove = int64(time.Millisecond) // the wall clock is behind by more than this: slew
	jumpAbove = int64(time.Second)      // it is ahead by more than this: tell

	// gapMost is how much the wall clock may move against the monotonic one before that is taken for a possible suspension, of which the wall clock is
	// told and the monotonic one is not.
	gapMost = int64(20 * time.Millisecond)
	// lookAgain is how long Mono runs by the monotonic clock, at most, before it is set by the clock that is not slewed: every tick, or after a stall at
	// the next look. A slew of a tenth, the most there is, makes 2 ms of it.
	lookAgain = int64(20 * time.Millisecond)
)

// newClock returns a clock that is not behind stamp (Unix ns), the newest stamp of the state.
func newClock(wall func() time.Time, stamp int64) *clock {
	c := &clock{base: time.Now(), wall: wall}
	if wall == nil {
		wall = time.Now
	}
	c.offset.Store(max(wall().UnixNano(), stamp))
	c.lookAsleep(c.base)
	return c
}

// notBefore has the clock not be behind stamp.
func (c *clock) notBefore(stamp int64) {
	if behind := stamp - c.now(); behind > 0 {
		c.offset.Add(behind)
	}
}

// mono is the time since base.
func (c *clock) mono() int64 { return int64(time.Since(c.base)) }

// read tells mono and the gap to the wall clock, at t.
func (c *clock) read(t time.Time) (mono, gap int64) {
	mono = int64(t.Sub(c.base))
	return mono, t.UnixNano() - mono
}

// moment is the present moment, for the replica, and on the other clocks of this one. Caller holds Node.mu. In a group the replica gets the wall clock as
// it is, since the members compare theirs.
func (c *clock) moment() (now replica.Instant, mono, gap int64) {
	t := time.Now()
	mono, gap = c.read(t)
	if moved := gap - c.gap; moved > gapMost || moved < -gapMost || mono-c.looked > lookAgain {
		c.lookAsleep(t)
	}
	c.steady = max(c.steady, mono+c.ahead)
	if c.wall != nil {
		t = c.wall()
	}
	return replica.Instant{Wall: t.UnixNano(), Mono: c.steady}, mono, gap
}

// instant is the present moment for the replica of a group of one, where it need not be exact. Caller holds Node.mu.
func (c *clock) instant() replica.Instant {
	mono := c.mono()
	c.steady = max(c.steady, mono+c.ahead)
	return replica.Instant{Wall: mono + c.offset.Load(), Mono: c.steady}
}

// lookAsleep finds out for how long the machine was suspended, and sets Mono. Caller holds Node.mu.
func (c *clock) lookAsleep(t time.Time) {
	c.looked, c.gap = c.read(t)
	c.suspended = asleep(c.suspended)
	c.ahead = unslewed(c.looked) + c.suspended - c.looked // read behind t: what is left of a lease is never too much
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
