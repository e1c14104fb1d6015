package redis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"holdfast/resp"
)

var clientCommands = []Command{
	{Name: "id", Arity: 2, Flags: NoScript | Loading, Needed: "exporters", conn: clientID},
	{Name: "getname", Arity: 2, Flags: NoScript | Loading, Needed: "tools", conn: clientGetName},
	{Name: "setname", Arity: 3, Flags: NoScript | Loading, Needed: "redis-py client_name, redis_exporter", conn: clientSetName},
	{Name: "setinfo", Arity: 4, Flags: NoScript | Loading, Needed: "redis-py 5 and later, at connect", conn: clientSetInfo},
	{Name: "info", Arity: 2, Flags: NoScript | Loading, Needed: "tools", conn: clientInfo},
	{Name: "list", Arity: -2, Flags: Admin | NoScript | Loading, Needed: "exporters", conn: clientList},
	{Name: "kill", Arity: -3, Flags: Admin | NoScript | Loading, Needed: "operators", conn: clientKill},
	{Name: "reply", Arity: 3, Flags: NoScript | Loading, Needed: "tools", conn: clientReply},
	{Name: "no-evict", Arity: 3, Flags: Admin | NoScript | Loading, Needed: "exporters", conn: clientSwitch},
	{Name: "no-touch", Arity: 3, Flags: NoScript | Loading, Needed: "exporters", conn: clientSwitch},
	{Name: "tracking", Arity: -3, Flags: NoScript | Loading, Needed: "clients that keep what they read", conn: clientTracking},
	{Name: "trackinginfo", Arity: 2, Flags: NoScript | Loading, Needed: "tools", conn: clientTrackingInfo},
	{Name: "caching", Arity: 3, Flags: NoScript | Loading, Needed: "clients that keep what they read", conn: clientCaching},
	{Name: "getredir", Arity: 2, Flags: NoScript | Loading, Needed: "tools", conn: clientGetRedir},
	{Name: "unblock", Arity: -3, Flags: Admin | NoScript | Loading, Needed: "tools", conn: clientUnblock},
	{Name: "pause", Arity: -3, Flags: Admin | NoScript | Loading, Needed: "operators", conn: clientPause},
	{Name: "unpause", Arity: 2, Flags: Admin | NoScript | Loading, Needed: "operators", conn: clientUnpause},
	{Name: "help", Arity: 2, Flags: Loading, Needed: "people", conn: help("CLIENT", "GETNAME", "ID", "INFO", "KILL <ip:port>",
		"KILL <option> <value> [<option> <value> [...]]", "LIST [options ...]",
		"PAUSE <timeout> [WRITE|ALL]", "REPLY (ON|OFF|SKIP)", "SETINFO <option> <value>", "SETNAME <name>", "UNPAUSE")},
}

func connOK(_ *Session, _ *request, b []byte) []byte { return append(b, "+OK\r\n"...) }

func clientID(s *Session, _ *request, b []byte) []byte {
	return resp.Integer(b, int64(s.conn.ID()))
}

func clientGetName(s *Session, _ *request, b []byte) []byte {
	if s.name == "" {
		return s.v.Null(b)
	}
	return resp.Bulk(b, s.name)
}

func clientSetName(s *Session, q *request, b []byte) []byte {
	if !isName(q.args[2]) {
		return resp.Err(b, string(errName))
	}
	s.name = string(q.args[2])
	s.showFace()
	return append(b, "+OK\r\n"...)
}

func clientSetInfo(s *Session, q *request, b []byte) []byte {
	var to *string
	switch {
	case is(q.args[2], "lib-name"):
		to = &s.libName
	case is(q.args[2], "lib-ver"):
		to = &s.libVer
	default:
		return resp.Err(b, fmt.Sprintf("ERR Unrecognized option '%s'", q.args[2]))
	}
	if !isName(q.args[3]) {
		return resp.Err(b, fmt.Sprintf("ERR %s cannot contain spaces, newlines or special characters.", strings.ToLower(string(q.args[2]))))
	}
	*to = string(q.args[3])
	s.showFace()
	return append(b, "+OK\r\n"...)
}

// describe writes the line of CLIENT LIST; by asks for it, and is the only one of whom is known what has come in and is not done. What Holdfast does not
// count is 0.
func (s *Session) describe(b []byte, by *Session) []byte {
	f, cmd := s.face.Load(), "NULL"
	if row := s.last.Load(); row != nil {
		cmd = row.Name
	}
	now := s.d.clock.Second()
	user := cmp.Or(s.userName(), "(none)")
	flags, redirect := s.about()
	e, unread := &s.ears, 0
	if s == by {
		unread = s.unread
	}
	return fmt.Appendf(b, "id=%d addr=%s laddr=%s fd=0 name=%s age=%d idle=%d flags=%s db=%d sub=%d psub=%d ssub=%d multi=%d qbuf=%d qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=%s user=%s redir=%d resp=%d lib-name=%s lib-ver=%s\n",
		s.conn.ID(), s.conn.RemoteAddr(), s.conn.LocalAddr(), f.name, now-s.born, now-s.active.Load(), flags, f.space, e.counts[toChannels].Load(), e.counts[toPatterns].Load(), e.counts[toShards].Load(),
		f.multi, unread, cmd, user, redirect, f.v, f.libName, f.libVer)
}

// about gives Redis's letters for what the connection is about, and the one that is told in its place, -1 if it keeps nothing.
func (s *Session) about() (letters string, redirect int64) {
	redirect = -1
	paused, monitors := s.d.alert.about(s)
	h := &s.d.hub
	h.board.mu.Lock()
	defer h.board.mu.Unlock()
	t := h.board.readers.tracked[s.conn.ID()]
	if t != nil {
		redirect = int64(t.redirect)
	}
	for _, l := range []struct {
		is     bool
		letter string
	}{
		{monitors, "O"}, {s.ears.total() > 0, "P"}, {s.face.Load().multi >= 0, "x"}, {paused || s.blocked.Load() != nil, "b"}, {t != nil, "t"}, {t != nil && t.broken, "R"}, {t != nil && t.bcast, "B"},
	} {
		if l.is {
			letters += l.letter
		}
	}
	return cmp.Or(letters, "N"), redirect
}

// userName is as the other sessions see it.
func (s *Session) userName() string {
	if u := s.face.Load().user; u != nil {
		return u.Name
	}
	return ""
}

func clientInfo(s *Session, _ *request, b []byte) []byte {
	return s.v.Verbatim(b, "txt", string(s.describe(nil, s)))
}

func clientList(s *Session, q *request, b []byte) []byte {
	match, err := parseClientFilter(q.args[2:])
	if err != nil {
		return resp.Err(b, err.Error())
	}
	var found []*Session
	s.d.each(func(o *Session) {
		if match.fits(o) {
			found = append(found, o)
		}
	})
	slices.SortFunc(found, func(x, y *Session) int { return int(x.conn.ID()) - int(y.conn.ID()) })
	var text []byte
	for _, o := range found {
		text = o.describe(text, s)
	}
	return s.v.Verbatim(b, "txt", string(text))
}

// clientFilter says which connections CLIENT LIST and CLIENT KILL mean; what is not set does not matter.
type clientFilter struct {
	ids               []int64
	addr, local, user string
	kind              string
	keepSelf          bool // SKIPME
}

func parseClientFilter(args [][]byte) (clientFilter, error) {
	var f clientFilter
	switch {
	case len(args) == 0:
	case len(args) == 2 && is(args[0], "type"):
		return f, f.setKind(args[1])
	case len(args) >= 2 && is(args[0], "id"):
		for _, a := range args[1:] {
			id, ok := resp.Int(a)
			if !ok {
				return f, failure("ERR Invalid client ID")
			}
			f.ids = append(f.ids, id)
		}
	default:
		return f, errSyntax
	}
	return f, nil
}

func (f *clientFilter) setKind(name []byte) error {
	switch {
	case is(name, "normal"), is(name, "pubsub"), is(name, "master"):
		f.kind = strings.ToLower(string(name))
	case is(name, "replica"), is(name, "slave"):
		f.kind = "replica"
	default:
		return failf("ERR Unknown client type '%s'", name)
	}
	return nil
}

func (f *clientFilter) fits(s *Session) bool {
	return (f.ids == nil || slices.Contains(f.ids, int64(s.conn.ID()))) &&
		(f.addr == "" || f.addr == s.conn.RemoteAddr()) &&
		(f.local == "" || f.local == s.conn.LocalAddr()) &&
		(f.user == "" || f.user == s.userName()) &&
		(f.kind == "" || f.kind == "normal")
}

// clientKill marks connections to be closed; each does so as soon as its worker comes to it.
func clientKill(s *Session, q *request, b []byte) []byte {
	old := len(q.args) == 3
	f := clientFilter{keepSelf: true}
	if old {
		f.addr, f.keepSelf = string(q.args[2]), false
	} else if err := f.parseKill(q.args[2:]); err != nil {
		return resp.Err(b, err.Error())
	}
	if f.user != "" && s.d.users.Load().Find([]byte(f.user)) == nil {
		return resp.Err(b, "ERR No such user '"+f.user+"'")
	}
	killed := int64(0)
	s.d.each(func(o *Session) {
		if !f.fits(o) || o == s && f.keepSelf {
			return
		}
		killed++
		if o == s {
			s.closing = true
			return
		}
		o.kill.Store(true)
		o.conn.Wake()
	})
	switch {
	case !old:
		return resp.Integer(b, killed)
	case killed == 0:
		return resp.Err(b, "ERR No such client")
	}
	return append(b, "+OK\r\n"...)
}

func (f *clientFilter) parseKill(args [][]byte) error {
	if len(args)%2 != 0 {
		return errSyntax
	}
	for i := 0; i < len(args); i += 2 {
		value := args[i+1]
		switch {
		case is(args[i], "id"):
			id, ok := resp.Int(value)
			if !ok || id < 1 {
				return failure("ERR client-id should be greater than 0")
			}
			f.ids = []int64{id}
		case is(args[i], "type"):
			if err := f.setKind(value); err != nil {
				return err
			}
		case is(args[i], "addr"):
			f.addr = string(value)
		case is(args[i], "laddr"):
			f.local = string(value)
		case is(args[i], "user"):
			f.user = string(value)
		case is(args[i], "skipme") && (is(value, "yes") || is(value, "no")):
			f.keepSelf = is(value, "yes")
		default:
			return errSyntax
		}
	}
	return nil
}

func clientReply(s *Session, q *request, b []byte) []byte {
	switch {
	case is(q.args[2], "on"):
		s.silence, s.hush = speak, false
		return append(b, "+OK\r\n"...)
	case is(q.args[2], "off"):
		s.silence = silent
	case is(q.args[2], "skip"):
		if s.silence == speak {
			s.silence = skipNext
		}
	default:
		return resp.Err(b, string(errSyntax))
	}
	return b
}

func clientSwitch(_ *Session, q *request, b []byte) []byte {
	if is(q.args[2], "on") || is(q.args[2], "off") {
		return append(b, "+OK\r\n"...)
	}
	return resp.Err(b, string(errSyntax))
}
