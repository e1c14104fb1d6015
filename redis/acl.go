package redis

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"sync"

	"holdfast/resp"
)

// Users come from a file that the daemon reads; here they are only shown.

var aclCommands = []Command{
	{Name: "acl", Arity: -2, Needed: "tools", subs: []Command{
		{Name: "whoami", Arity: 2, Flags: NoScript | Loading, Needed: "tools", conn: aclWhoAmI},
		{Name: "users", Arity: 2, Flags: Admin | NoScript | Loading, Needed: "operators", conn: aclUsers},
		{Name: "list", Arity: 2, Flags: Admin | NoScript | Loading, Needed: "operators", conn: aclList},
		{Name: "getuser", Arity: 3, Flags: Admin | NoScript | Loading, Needed: "operators", conn: aclGetUser},
		{Name: "cat", Arity: -2, Flags: NoScript | Loading, Needed: "operators", conn: aclCat},
		{Name: "dryrun", Arity: -4, Flags: Admin | NoScript | Loading, Needed: "operators", conn: aclDryRun},
		{Name: "log", Arity: -2, Flags: Admin | NoScript | Loading, Needed: "operators", conn: aclLog},
		{Name: "genpass", Arity: -2, Flags: NoScript | Loading, Needed: "operators", conn: aclGenPass},
		{Name: "setuser", Arity: -3, Flags: Admin | NoScript | Loading, Needed: "nobody: refused", conn: aclRefuse},
		{Name: "deluser", Arity: -3, Flags: Admin | NoScript | Loading, Needed: "nobody: refused", conn: aclRefuse},
		{Name: "load", Arity: 2, Flags: Admin | NoScript | Loading, Needed: "nobody: refused", conn: aclRefuse},
		{Name: "save", Arity: 2, Flags: Admin | NoScript | Loading, Needed: "nobody: refused", conn: aclRefuse},
		{Name: "help", Arity: 2, Flags: Loading | NoScript, Needed: "people", conn: help("ACL", "CAT [<category>]", "DRYRUN <username> <command> [<arg> ...]", "GENPASS [<bits>]",
			"GETUSER <username>", "LIST", "LOG [<count> | RESET]", "USERS", "WHOAMI")},
	}},
}

func aclWhoAmI(s *Session, _ *request, b []byte) []byte { return resp.Bulk(b, s.user.Name) }

func aclRefuse(_ *Session, _ *request, b []byte) []byte {
	return resp.Err(b, "ERR users are not changed here: change the file that the setting users-file names, and send the daemon a SIGHUP")
}

func aclUsers(s *Session, _ *request, b []byte) []byte {
	all := s.users.Users()
	b = resp.Array(b, len(all))
	for _, u := range all {
		b = resp.Bulk(b, u.Name)
	}
	return b
}

func aclList(s *Session, _ *request, b []byte) []byte {
	all := s.users.Users()
	b = resp.Array(b, len(all))
	for _, u := range all {
		b = resp.Bulk(b, u.Describe())
	}
	return b
}

func aclGetUser(s *Session, q *request, b []byte) []byte {
	u := s.users.Find(q.args[2])
	if u == nil {
		return s.v.Null(b)
	}
	flags := []string{"off"}
	if u.On() {
		flags[0] = "on"
	}
	if u.Open() {
		flags = append(flags, "nopass")
	}
	b = s.v.Map(b, 6)
	b = simples(resp.Bulk(b, "flags"), s.v, flags)
	b = bulks(resp.Bulk(b, "passwords"), u.Hashes())
	b = pair(b, "commands", u.Commands())
	b = pair(b, "keys", strings.Join(u.Keys(), " "))
	b = pair(b, "channels", strings.Join(u.Channels(), " "))
	return resp.Array(resp.Bulk(b, "selectors"), 0)
}

func bulks(b []byte, list []string) []byte {
	b = resp.Array(b, len(list))
	for _, s := range list {
		b = resp.Bulk(b, s)
	}
	return b
}

func aclCat(_ *Session, q *request, b []byte) []byte {
	switch len(q.args) {
	case 2:
		return bulks(b, categories)
	case 3:
		name := strings.ToLower(string(q.args[2]))
		if !slices.Contains(categories, name) {
			return resp.Err(b, "ERR Unknown category '"+string(q.args[2])+"'")
		}
		var names []string
		for row := range table.all() {
			if slices.Contains(row.categories, name) {
				names = append(names, row.Name)
			}
		}
		return bulks(b, names)
	}
	return resp.Err(b, string(wrongSubcommand("ACL", "cat")))
}

// wrongSubcommand is what Redis says of a subcommand that checks its arguments itself.
func wrongSubcommand(container, name string) failure {
	return failure("ERR unknown subcommand or wrong number of arguments for '" + name + "'. Try " + container + " HELP.")
}

func aclDryRun(s *Session, q *request, b []byte) []byte {
	u := s.users.Find(q.args[2])
	if u == nil {
		return resp.Err(b, "ERR User '"+string(q.args[2])+"' not found")
	}
	row, err := lookup(q.args[3:])
	switch {
	case row == nil:
		return resp.Err(b, "ERR Command '"+string(q.args[3])+"' not found")
	case err != nil:
		return resp.Err(b, err.Error())
	case u.All():
		return append(b, "+OK\r\n"...)
	}
	d := row.deny(u, q.args[3:])
	switch d.reason {
	case deniedCommand:
		return resp.Bulk(b, "This user has no permissions to run the '"+d.object+"' command")
	case deniedKey:
		return resp.Bulk(b, "This user has no permissions to access the '"+d.object+"' key")
	case deniedPattern:
		return resp.Bulk(b, d.error().Error())
	case deniedChannel:
		return resp.Bulk(b, "This user has no permissions to access the '"+d.object+"' channel")
	}
	return append(b, "+OK\r\n"...)
}

func aclGenPass(_ *Session, q *request, b []byte) []byte {
	bits := int64(256)
	if len(q.args) == 3 {
		var ok bool
		if bits, ok = resp.Int(q.args[2]); !ok {
			return resp.Err(b, string(errInteger))
		}
		if bits <= 0 || bits > 4096 {
			return resp.Err(b, "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096")
		}
	} else if len(q.args) > 3 {
		return resp.Err(b, string(wrongSubcommand("ACL", "genpass")))
	}
	digits := int(bits+3) / 4
	room := make([]byte, digits/2+1)
	rand.Read(room)
	return resp.Bulk(b, hex.EncodeToString(room)[:digits])
}

// Bounds of the log of what was refused.
const (
	maxRefused    = 128
	sameRefusalNS = 60e9 // within which refusals alike are one entry
	maxObject     = 1024 // bytes kept of a key's name
)

// refusalLog is what users were refused, newest first. Any worker adds to it.
type refusalLog struct {
	mu   sync.Mutex
	list []refusalEntry
}

// refusalEntry is an entry of it.
type refusalEntry struct {
	denial
	count       int64
	place, user string
	client      string
	at          int64 // ns
}

// deniedLogin is the reason of an entry about a wrong password.
const deniedLogin denied = deniedPattern + 1

var reasons = [...]string{deniedCommand: "command", deniedKey: "key", deniedChannel: "channel", deniedPattern: "key", deniedLogin: "auth"}

func (l *refusalLog) add(s *Session, d denial, place string) {
	if len(d.object) > maxObject {
		d.object = d.object[:maxObject]
	}
	name := ""
	if s.user != nil {
		name = s.user.Name
	}
	if d.reason == deniedLogin {
		name, d.object = d.object, "AUTH"
	}
	now := s.d.clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	e := refusalEntry{denial: d, place: place, user: name}
	for i, old := range l.list {
		if old.denial == d && old.place == place && old.user == name && now-old.at <= sameRefusalNS {
			e.count = old.count
			l.list = slices.Delete(l.list, i, i+1)
			break
		}
	}
	e.count++
	e.at = now
	e.client = strings.TrimSuffix(string(s.describe(nil, s)), "\n")
	l.list = slices.Insert(l.list, 0, e)
	l.list = l.list[:min(len(l.list), maxRefused)]
}

func (l *refusalLog) newest(n int) []refusalEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list[:min(n, len(l.list))])
}

func (l *refusalLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = nil
}

func aclLog(s *Session, q *request, b []byte) []byte {
	n := int64(10)
	switch {
	case len(q.args) > 3:
		return resp.Err(b, string(wrongSubcommand("ACL", "log")))
	case len(q.args) == 3 && is(q.args[2], "reset"):
		s.d.refusals.reset()
		return append(b, "+OK\r\n"...)
	case len(q.args) == 3:
		var ok bool
		if n, ok = resp.Int(q.args[2]); !ok {
			return resp.Err(b, string(errInteger))
		}
	}
	now := s.d.clock.Now()
	list := s.d.refusals.newest(int(max(min(n, maxRefused), 0)))
	b = resp.Array(b, len(list))
	for i := range list {
		e := &list[i]
		b = s.v.Map(b, 7)
		b = resp.Integer(resp.Bulk(b, "count"), e.count)
		b = pair(b, "reason", reasons[e.reason])
		b = pair(b, "context", e.place)
		b = pair(b, "object", e.object)
		b = pair(b, "username", e.user)
		b = s.v.Double(resp.Bulk(b, "age-seconds"), float64(max(now-e.at, 0)/1e6)/1e3)
		b = pair(b, "client-info", e.client)
	}
	return b
}
