package redis

import (
	"holdfast/resp"
	"holdfast/users"
)

var connectionCommands = []Command{
	{Name: "ping", Arity: -1, Flags: Fast | Loading | Listening, Needed: "health checks of redis-py, HAProxy, redis-cli", conn: ping},
	{Name: "echo", Arity: 2, Flags: Fast | Loading, Needed: "tools", conn: echo},
	{Name: "quit", Arity: -1, Flags: Listening | Fast | NoAuth | NoScript | Loading | Immediate, Needed: "HAProxy check", conn: quit},
	{Name: "select", Arity: 2, Flags: Fast | Loading, Needed: "django-redis /1, oslo.cache redis_db", conn: selectDB},
	{Name: "auth", Arity: -2, Flags: Fast | NoAuth | NoScript | Loading, Needed: "every client with a password", conn: auth},
	{Name: "hello", Arity: -1, Flags: Fast | NoAuth | NoScript | Loading, Needed: "redis-py 8, go-redis, rueidis, redis-cli -3", conn: hello},
	{Name: "reset", Arity: 1, Flags: Listening | Fast | NoAuth | NoScript | Loading | Immediate, Needed: "tools", conn: resetConn},
	{Name: "client", Arity: -2, Needed: "newer clients at connect", subs: clientCommands},
	{Name: "post", Arity: -1, Flags: Hostile | NoAuth | NoScript | Immediate, Needed: "nobody: a browser led astray", conn: hostile},
	{Name: "host:", Arity: -1, Flags: Hostile | NoAuth | NoScript | Immediate, Needed: "nobody: a browser led astray", conn: hostile},
}

func ping(s *Session, q *request, b []byte) []byte {
	if len(q.args) < 3 && s.listening() {
		return s.pong(q, b)
	}
	switch len(q.args) {
	case 1:
		return append(b, "+PONG\r\n"...)
	case 2:
		return resp.Bulk(b, q.args[1])
	}
	return resp.Err(b, "ERR wrong number of arguments for 'ping' command")
}

func echo(_ *Session, q *request, b []byte) []byte { return resp.Bulk(b, q.args[1]) }

func quit(s *Session, _ *request, b []byte) []byte {
	s.closing = true
	return append(b, "+OK\r\n"...)
}

// hostile closes without a word: an HTTP request that a browser was made to send could carry commands in its body.
func hostile(s *Session, _ *request, b []byte) []byte {
	s.closing = true
	return b
}

func selectDB(s *Session, q *request, b []byte) []byte {
	space, err := parseDB(q.args[1], errInteger)
	if err != nil {
		return resp.Err(b, err.Error())
	}
	s.space = space
	s.showFace()
	return append(b, "+OK\r\n"...)
}

func auth(s *Session, q *request, b []byte) []byte {
	user, password := []byte(users.Default), q.args[1]
	switch {
	case len(q.args) > 3:
		return resp.Err(b, string(errSyntax))
	case len(q.args) == 3:
		user, password = q.args[1], q.args[2]
	case s.d.users.Load().Default() != nil:
		return resp.Err(b, string(errNoPass))
	}
	if !s.login(user, password) {
		return resp.Err(b, string(errWrongPass))
	}
	return append(b, "+OK\r\n"...)
}

// login makes the connection that of user, if the password is right.
func (s *Session) login(user, password []byte) bool {
	set := s.d.users.Load()
	u := set.Authenticate(user, password)
	if u == nil {
		s.d.refusals.add(s, denial{deniedLogin, string(user)}, "toplevel")
		return false
	}
	if !s.asked {
		s.user, s.users = u, set
	}
	s.showFace()
	return true
}

const (
	errNoProto   = failure("NOPROTO unsupported protocol version")
	errHelloAuth = failure("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time")
	errName      = failure("ERR Client names cannot contain spaces, newlines or special characters.")
)

// hail is what HELLO asks for.
type hail struct {
	version              int64 // 0: as it is
	user, password, name []byte
}

func parseHello(args [][]byte) (hail, error) {
	var h hail
	if len(args) > 1 {
		var ok bool
		if h.version, ok = resp.Int(args[1]); !ok {
			return h, failure("ERR Protocol version is not an integer or out of range")
		}
		if h.version != int64(resp.V2) && h.version != int64(resp.V3) {
			return h, errNoProto
		}
	}
	for i := 2; i < len(args); i++ {
		switch more := len(args) - 1 - i; {
		case is(args[i], "auth") && more >= 2:
			h.user, h.password = args[i+1], args[i+2]
			i += 2
		case is(args[i], "setname") && more >= 1:
			h.name = args[i+1]
			if !isName(h.name) {
				return h, errName
			}
			i++
		default:
			return h, failf("ERR Syntax error in HELLO option '%s'", args[i])
		}
	}
	return h, nil
}

// isName says whether b may be the name of a client: printable, without blanks.
func isName(b []byte) bool {
	for _, c := range b {
		if c < '!' || c > '~' {
			return false
		}
	}
	return true
}

func hello(s *Session, q *request, b []byte) []byte {
	h, err := parseHello(q.args)
	switch {
	case err != nil:
		return resp.Err(b, err.Error())
	case h.user != nil && !s.login(h.user, h.password):
		return resp.Err(b, string(errWrongPass))
	case s.user == nil:
		return resp.Err(b, string(errHelloAuth))
	}
	if h.name != nil {
		s.name = string(h.name)
	}
	if h.version != 0 {
		s.v = resp.Version(h.version)
	}
	s.showFace()
	fields := 7
	if s.asked {
		fields = 6
	}
	b = s.v.Map(b, fields)
	b = pair(b, "server", "redis")
	b = pair(b, "version", redisVersion)
	b = resp.Integer(resp.Bulk(b, "proto"), int64(s.v))
	b = resp.Integer(resp.Bulk(b, "id"), int64(s.conn.ID()))
	b = pair(b, "mode", s.mode())
	if !s.asked {
		b = pair(b, "role", "master")
	}
	return resp.Array(resp.Bulk(b, "modules"), 0)
}

// pair writes two strings.
func pair(b []byte, name, value string) []byte { return resp.Bulk(resp.Bulk(b, name), value) }

func resetConn(s *Session, _ *request, b []byte) []byte {
	s.reset()
	return append(b, "+RESET\r\n"...)
}
