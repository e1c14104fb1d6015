package memcache

import (
	"sync/atomic"
	"time"

	"holdfast/engine"
	"holdfast/op"
)

// accessSlots is of how many items a controller remembers when meta commands found them.
const accessSlots = 1 << 15

// accesses is what a controller knows of who was found by mg here, and when, for its flags h and l. It is no part of the state: other controllers know
// other things, a change of the item makes it forgotten, and so does another item in the same slot. It is not kept before somebody has asked.
type accesses struct {
	since int64 // Unix ms of the start of the daemon: nothing was found before
	slots [accessSlots]struct {
		version atomic.Uint64
		at      atomic.Int64 // Unix ms
	}
}

// access is what is known of the last one.
type access struct {
	before bool  // whether there was one
	ago    int64 // ms, since the start of the daemon if there was none
}

// watch begins to remember.
func (d *Dialect) watch(e engine.Engine) {
	if d.accesses.Load() == nil {
		d.accesses.CompareAndSwap(nil, &accesses{since: e.Status().Started / int64(time.Millisecond)})
	}
}

// accessed returns the last access to what was found, and remembers this one unless still.
func (d *Dialect) accessed(r *op.Result, still bool) (last access) {
	a := d.accesses.Load()
	if a == nil {
		return access{}
	}
	slot := &a.slots[r.Version*0x9e3779b97f4a7c15>>49]
	if last.before = slot.version.Load() == r.Version; last.before {
		last.ago = max(0, r.Now-slot.at.Load())
	} else {
		last.ago = max(0, r.Now-a.since)
	}
	if !still {
		slot.version.Store(r.Version)
		slot.at.Store(r.Now)
	}
	return last
}
