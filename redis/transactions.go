package redis

import (
	"strings"

	"holdfast/op"
	"holdfast/resp"
)

var transactionCommands = []Command{
	{Name: "multi", Arity: 1, Flags: NoScript | Loading | Fast | Immediate, Needed: "tooz, Django and redis-py pipelines", conn: beginMulti},
	{Name: "exec", Arity: 1, Flags: NoScript | Loading | Immediate, Needed: "tooz, Django and redis-py pipelines", conn: endTransaction},
	{Name: "discard", Arity: 1, Flags: NoScript | Loading | Fast | Immediate, Needed: "redis-py", conn: discard},
	{Name: "watch", Arity: -2, Keys: all, Flags: NoScript | Loading | Fast | Immediate, Needed: "tooz: join, leave, get_members", conn: watch},
	{Name: "unwatch", Arity: 1, Flags: NoScript | Loading | Fast, Needed: "redis-py, leaving a pipeline", conn: unwatch},
}

// Bounds of what may wait between MULTI and EXEC.
const (
	maxQueued      = 1 << 20   // commands
	maxQueuedBytes = 512 << 20 // their arguments
	maxWatched     = 1 << 20   // keys
)

// multi is the queue between MULTI and EXEC.
type multi struct {
	calls   []call
	bytes   int
	aborted bool // a command could not be queued: EXEC will say so
}

// watched is what WATCH has seen. A key stays at the version of its first WATCH.
type watched struct {
	guards []op.Guard
	keys   map[string]struct{} // of guards, by lineOf
}

func (w *watched) add(guards []op.Guard) {
	if w.keys == nil {
		w.keys = map[string]struct{}{}
	}
	w.guards = append(w.guards, guards...)
	for i := range guards {
		w.keys[lineOf(guards[i].Key.Space, guards[i].Key.Name)] = struct{}{}
	}
}

func beginMulti(s *Session, _ *request, b []byte) []byte {
	if s.multi != nil {
		return resp.Err(b, "ERR MULTI calls can not be nested")
	}
	s.multi = &multi{}
	s.showFace()
	return append(b, "+OK\r\n"...)
}

// enqueue keeps a command for EXEC.
func (s *Session) enqueue(row *Command, err error) verdict {
	m := s.multi
	if err == nil && row.Flags&NoMulti != 0 {
		err = failure("ERR Command not allowed inside a transaction")
	}
	if err != nil && row != nil {
		s.desk.tallies[row.number].rejected.Add(1)
	}
	if err == nil {
		c := copyCall(row, s.req.args)
		for _, a := range c.args {
			m.bytes += len(a)
		}
		if len(m.calls) >= maxQueued || m.bytes > maxQueuedBytes {
			err = failure("ERR transaction is too big: EXEC what is queued first")
		} else {
			m.calls = append(m.calls, c)
		}
	}
	switch {
	case err == nil:
		if !s.quiet() {
			s.out = append(s.out, "+QUEUED\r\n"...)
		}
	case row != nil && row.Name == "exec":
		s.endMulti()
		s.watched = watched{}
		s.sayError(execAbort(err).Error())
	default:
		m.aborted = true
		s.sayError(err.Error())
	}
	return taken
}

// execAbort is what is said of an EXEC that is wrong itself.
func execAbort(err error) error {
	return failure("EXECABORT Transaction discarded because of: " + strings.TrimPrefix(err.Error(), "ERR "))
}

func (s *Session) endMulti() {
	s.multi = nil
	s.showFace()
}

func endTransaction(s *Session, _ *request, b []byte) []byte {
	m := s.multi
	if m == nil {
		return resp.Err(b, "ERR EXEC without MULTI")
	}
	guards := s.watched.guards
	s.watched = watched{}
	s.endMulti()
	if m.aborted {
		return resp.Err(b, "EXECABORT Transaction discarded because of previous errors.")
	}
	s.begin(&work{exec: true, calls: m.calls, guard: guards})
	return b
}

func discard(s *Session, _ *request, b []byte) []byte {
	if s.multi == nil {
		return resp.Err(b, "ERR DISCARD without MULTI")
	}
	s.watched = watched{}
	s.endMulti()
	return append(b, "+OK\r\n"...)
}

func watch(s *Session, q *request, b []byte) []byte {
	if s.multi != nil {
		return resp.Err(b, "ERR WATCH inside MULTI is not allowed")
	}
	if len(s.watched.guards)+len(q.args) > maxWatched {
		return resp.Err(b, "ERR too many watched keys: UNWATCH some first")
	}
	c := copyCall(nil, q.args[1:])
	guards := make([]op.Guard, 0, len(c.args))
	for _, name := range c.args {
		if _, had := s.watched.keys[lineOf(s.space, name)]; !had {
			guards = append(guards, op.Guard{Key: op.Key{Space: s.space, Name: name}})
		}
	}
	if len(guards) == 0 {
		return append(b, "+OK\r\n"...)
	}
	s.begin(&work{watch: guards})
	return b
}

func unwatch(s *Session, _ *request, b []byte) []byte {
	s.watched = watched{}
	return append(b, "+OK\r\n"...)
}
