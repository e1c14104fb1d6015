//go:build linux

package witness

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

const (
	lockLife  = 1500 * time.Millisecond // PX
	heldUpTo  = 15 * time.Millisecond   // by a holder that gives the lock back
	forgetful = 50                      // one holder in so many does not: its lock ends by itself
)

// lock is one lock that all its clients want. A holder may rely on it from the moment when it is told so until it gives the lock back, or until
// the lock's life is over, counted from before it asked. Two such spans must not overlap.
type lock struct {
	key   string
	all   []*locking
	times atomic.Int64 // that it was held
}

// locking is one client's part.
type locking struct {
	of    *lock
	id    int
	seq   int
	spans []span
}

type span struct {
	from, to time.Duration // since the crew began
	who      int
}

func (l *lock) join() *locking {
	one := &locking{of: l, id: len(l.all)}
	l.all = append(l.all, one)
	return one
}

func (l *locking) step(c *Client) {
	l.seq++
	token := fmt.Sprintf("%d.%d", l.id, l.seq)
	sent := time.Since(c.began)
	won := false
	c.do(attempt, func(to *conn) (err error) {
		won, err = to.lock(l.of.key, token, int(lockLife/time.Millisecond))
		return err
	})
	if !won {
		return
	}
	l.of.times.Add(1)
	held := span{from: time.Since(c.began), who: l.id}
	time.Sleep(time.Duration(c.random.Int64N(int64(heldUpTo))))
	end := sent + lockLife
	if c.random.IntN(forgetful) == 0 {
		held.to = end
	} else {
		held.to = min(time.Since(c.began), end)
		c.do(attempt, func(to *conn) error {
			_, err := to.unlock(l.of.key, token)
			return err
		})
	}
	if held.to > held.from {
		l.spans = append(l.spans, held)
	}
}

// check returns how often the lock was held, and by whom together.
func (l *lock) check() (times int, faults []string) {
	var all []span
	for _, one := range l.all {
		all = append(all, one.spans...)
	}
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	for i := 1; i < len(all); i++ {
		before, after := all[i-1], all[i]
		if after.from < before.to {
			faults = append(faults, fmt.Sprintf("lock %s: client %d held it from %v to %v, client %d from %v on", l.key, before.who, before.from, before.to, after.who, after.from))
			all[i].to = max(before.to, after.to)
		}
	}
	return len(all), faults
}
