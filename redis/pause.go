package redis

import (
	"math"
	"strings"
	"time"

	"holdfast/resp"
)

// pause is what CLIENT PAUSE asked for. It holds for the clients of this controller: their commands wait in the input until it is over.
type pause struct {
	all     bool                  // reads too
	until   int64                 // Unix ms
	stop    func()                // of its timer
	waiting map[*Session]struct{} // guarded by alert.mu
}

// maxPause is where the time of a pause ends, in Unix ms: with nanoseconds.
const maxPause = math.MaxInt64 / int64(time.Millisecond)

// clientPause begins a pause. One that there is already ends, but its end and what it holds up stay, where they reach further.
func clientPause(s *Session, q *request, b []byte) []byte {
	p := &pause{waiting: map[*Session]struct{}{}}
	switch {
	case len(q.args) > 4:
		return resp.Err(b, string(wrongSubcommand("CLIENT", string(q.args[1]))))
	case len(q.args) == 4 && !is(q.args[3], "write") && !is(q.args[3], "all"):
		return resp.Err(b, "ERR CLIENT PAUSE mode must be WRITE or ALL")
	default:
		p.all = len(q.args) == 3 || is(q.args[3], "all")
	}
	ms, ok := resp.Int(q.args[2])
	now := s.e.Status().Now / int64(time.Millisecond)
	switch {
	case !ok:
		return resp.Err(b, "ERR timeout is not an integer or out of range")
	case ms < 0:
		return resp.Err(b, "ERR timeout is negative")
	case ms > maxPause-now:
		return resp.Err(b, "ERR timeout is out of range")
	}
	p.until = now + ms
	s.d.alert.begin(p, s, now)
	return append(b, "+OK\r\n"...)
}

func clientUnpause(s *Session, _ *request, b []byte) []byte {
	a := &s.d.alert
	a.mu.Lock()
	defer a.mu.Unlock()
	a.end(a.pause)
	return append(b, "+OK\r\n"...)
}

// begin puts p in the place of the pause that there is. s is who asked for it.
func (a *alert) begin(p *pause, s *Session, now int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if old := a.pause; old != nil {
		p.all, p.until = p.all || old.all, max(p.until, old.until)
		a.end(old)
	}
	a.pause = p
	p.stop = s.conn.After(time.Duration(p.until-now)*time.Millisecond, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.end(p)
	})
	a.look()
}

// end ends p, if it is not over yet: who waits looks again. Caller holds mu.
func (a *alert) end(p *pause) {
	if p == nil || a.pause != p {
		return
	}
	a.pause = nil
	a.look()
	p.stop()
	for s := range p.waiting {
		s.conn.Wake()
	}
}

// holds says whether a command of s has to wait for the end of p, which may be nil. CLIENT UNPAUSE never waits.
func (p *pause) holds(s *Session, row *Command) bool {
	return p != nil && row.Name != "client|unpause" && (p.all || s.mayChange(row, s.req.args))
}

// mayChange says whether a command changes something, as far as can be known before: a script does unless it says that it does not.
func (s *Session) mayChange(row *Command, args [][]byte) bool {
	switch {
	case row.Flags&Scripted != 0:
		return row.Flags&Write != 0 && !s.d.scripts.onlyReads(row, args)
	case row.Name == "exec" && s.multi != nil:
		for _, c := range s.multi.calls {
			if s.mayChange(c.row, c.args) {
				return true
			}
		}
	}
	return row.changes()
}

// onlyReads says whether the script of an EVAL or EVALSHA is known to say so of itself.
func (c *scripts) onlyReads(row *Command, args [][]byte) bool {
	if row.Name == "evalsha" {
		known := c.find(strings.ToLower(string(args[1])))
		return known != nil && known.noWrites
	}
	var said script
	if text := string(args[1]); strings.HasPrefix(text, "#!") {
		said.shebang(text)
	}
	return said.noWrites
}

// leavePause forgets a session that ends.
func (a *alert) leavePause(s *Session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pause != nil {
		delete(a.pause.waiting, s)
	}
}

// held is how many sessions a pause holds up.
func (a *alert) held() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pause == nil {
		return 0
	}
	return len(a.pause.waiting)
}
