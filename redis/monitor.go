package redis

import (
	"fmt"

	"holdfast/op"
	"holdfast/resp"
)

// maxShown bounds what who monitors is shown of one command, in bytes of its arguments: it is written anew for each, while commands wait.
const maxShown = 64 << 10

// monitor shows the session, from now on, the commands of all clients of this controller. They have keys of everybody in them: who may not use every key is
// refused.
func monitor(s *Session, _ *request, b []byte) []byte {
	switch {
	case s.executing:
		return resp.Err(b, "ERR MONITOR isn't allowed for DENY BLOCKING client")
	case !s.user.AllKeys():
		return resp.Err(b, "NOPERM MONITOR shows the keys of all users: it needs the right to every key")
	}
	now := s.e.Status().Now
	a := &s.d.alert
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.monitors) == 0 {
		a.monitors, a.offset = map[*Session]struct{}{}, now-s.d.clock.Now()
	}
	a.monitors[s] = struct{}{}
	s.monitors = true
	a.look()
	return append(b, "+OK\r\n"...)
}

// endMonitor ends it.
func (s *Session) endMonitor() {
	if !s.monitors {
		return
	}
	s.monitors = false
	a := &s.d.alert
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.monitors, s)
	a.look()
}

// showRequest shows the present request. What is queued is shown when EXEC carries it out. Caller holds alert.mu.
func (s *Session) showRequest(row *Command) {
	m := s.multi
	if m != nil && row.Flags&Immediate == 0 {
		return
	}
	from, space := s.conn.RemoteAddr(), s.space
	if m != nil && row.Name == "exec" && !m.aborted {
		for i := range m.calls {
			c := &m.calls[i]
			space = c.follow(space)
			s.d.show(from, space, c.row, c.args)
		}
	}
	c := call{row: row, args: s.req.args}
	s.d.show(from, c.follow(space), row, c.args)
}

// showScripted shows a command that a script calls, each time that the script is tried.
func (s *Session) showScripted(row *Command, args [][]byte) {
	a := &s.d.alert
	a.mu.Lock()
	defer a.mu.Unlock()
	s.d.show("lua", s.space, row, args)
}

// show shows a command to all who monitor; not those for operators, as in Redis, and nothing of passwords. Caller holds alert.mu.
func (d *Dialect) show(from string, space op.Space, row *Command, args [][]byte) {
	a := &d.alert
	if len(a.monitors) == 0 || row.Flags&Admin != 0 {
		return
	}
	us := (d.clock.Now() + a.offset) / 1000
	b := fmt.Appendf(nil, "+%d.%06d [%d %s]", us/1e6, us%1e6, space, from)
	room, secret := maxShown, false
	for _, arg := range args {
		if secret {
			arg = []byte("(redacted)")
		}
		secret = secret || row.Flags&NoAuth != 0 && is(arg, "auth") // of AUTH itself, or of HELLO
		if len(arg) > room {
			b = append(b, " ..."...)
			break
		}
		room -= len(arg)
		b = appendQuoted(append(b, ' '), arg)
	}
	b = append(b, "\r\n"...)
	for s := range a.monitors {
		s.push(b)
	}
}

// appendQuoted appends text as Redis quotes it.
func appendQuoted(b, text []byte) []byte {
	b = append(b, '"')
	for _, c := range text {
		switch c {
		case '\\', '"':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		case '\a':
			b = append(b, `\a`...)
		case '\b':
			b = append(b, `\b`...)
		default:
			if c >= ' ' && c <= '~' {
				b = append(b, c)
			} else {
				b = fmt.Appendf(b, `\x%02x`, c)
			}
		}
	}
	return append(b, '"')
}
