package redis

import (
	"sync"
	"sync/atomic"
)

// alert is why requests are looked at more closely before they are carried out: there is a pause (pause.go), or somebody monitors (monitor.go).
type alert struct {
	some atomic.Bool // there is one of the two; nothing else is asked of a request while there is neither

	mu       sync.Mutex // guards all below
	pause    *pause
	monitors map[*Session]struct{}
	offset   int64 // from the dialect's clock to Unix time, ns; set while somebody monitors
}

// look finds out whether there is something. Caller holds mu.
func (a *alert) look() { a.some.Store(a.pause != nil || len(a.monitors) > 0) }

// heed looks at a request that is sound: while there is a pause it may have to wait, a Wake will come then; who monitors is shown it, once.
func (s *Session) heed(row *Command) verdict {
	if s.asked {
		return taken
	}
	a := &s.d.alert
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.paused = a.pause.holds(s, row); s.paused {
		a.pause.waiting[s] = struct{}{}
		return parked
	}
	if len(a.monitors) > 0 && !s.seen {
		s.seen = true
		s.showRequest(row)
	}
	return taken
}

// about says whether a pause holds up s, and whether it monitors.
func (a *alert) about(s *Session) (waits, monitors bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pause != nil {
		_, waits = a.pause.waiting[s]
	}
	_, monitors = a.monitors[s]
	return waits, monitors
}
