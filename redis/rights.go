package redis

import (
	"bytes"
	"slices"
	"strings"

	"holdfast/users"
)

// What rights are about: the categories of commands, what a command does with its keys, and the check of a request against a user.

// categories are those of Redis's access lists, in its order.
var categories = strings.Fields("keyspace read write set sortedset list hash string bitmap hyperloglog geo stream pubsub admin fast slow blocking " +
	"dangerous connection transaction scripting")

// ofGroup gives the category of the commands of a group, where it has one.
var ofGroup = map[string]string{
	"string": "string", "generic": "keyspace", "hash": "hash", "set": "set", "sorted-set": "sortedset", "sorted_set": "sortedset", "list": "list", "bitmap": "bitmap",
	"pubsub": "pubsub", "connection": "connection", "transactions": "transaction", "scripting": "scripting", "sentinel": "connection",
}

// special are the commands whose categories do not follow from their group and flags.
var special = map[string]string{
	"flushall": "keyspace dangerous", "flushdb": "keyspace dangerous", "swapdb": "keyspace dangerous", "keys": "keyspace dangerous",
	"restore": "keyspace dangerous", "migrate": "keyspace dangerous", "dbsize": "keyspace", "info": "dangerous", "role": "admin dangerous", "lastsave": "admin dangerous",
	"sort": "set sortedset list dangerous", "sort_ro": "set sortedset list dangerous",
	"command": "connection", "readonly": "connection", "readwrite": "connection", "asking": "connection", "wait": "connection",
	"client": "", "object": "", "script": "", "function": "", "pubsub": "", "pubsub|help": "",
	"function|flush": "scripting write",
}

// access is what commands do with their first key and with the others, where this is not: read for those that only read, read and write for those
// that write. No letter means that a command tells something of the key without its value.
var access = map[string][2]string{
	"exists": {}, "hexists": {}, "hlen": {}, "hstrlen": {}, "llen": {}, "memory|usage": {}, "object|encoding": {}, "object|freq": {}, "object|idletime": {},
	"object|refcount": {}, "scard": {}, "sismember": {}, "strlen": {}, "touch": {}, "type": {}, "watch": {}, "zcard": {},
	"bitop": {"w", "r"}, "copy": {"r", "w"}, "sdiffstore": {"w", "r"}, "sinterstore": {"w", "r"}, "sunionstore": {"w", "r"},
	"zdiffstore": {"w", "r"}, "zinterstore": {"w", "r"}, "zrangestore": {"w", "r"}, "zunionstore": {"w", "r"}, "sort": {"r", "w"},
	"blmove": {"rw", "w"}, "brpoplpush": {"rw", "w"}, "lmove": {"rw", "w"}, "rename": {"rw", "w"}, "renamenx": {"rw", "w"}, "rpoplpush": {"rw", "w"}, "smove": {"rw", "w"},
}

// onlyWrite are the commands whose replies tell nothing of the values of their keys.
var onlyWrite = strings.Fields("append del expire expireat hdel hmset hset hsetnx linsert lpush lpushx lrem lset ltrim mset msetnx persist pexpire pexpireat psetex " +
	"restore rpush rpushx sadd set setex setnx setrange srem unlink zadd zrem zremrangebylex zremrangebyrank zremrangebyscore")

// channels tells which commands name channels from their first argument on: to the last one, or one alone.
var channels = map[string]struct{ one, pattern bool }{
	"publish": {one: true}, "spublish": {one: true}, "subscribe": {}, "ssubscribe": {}, "psubscribe": {pattern: true},
}

// rate gives a row what the tables say of it. All rows have a number of their own.
func (c *Command) rate(number int) {
	c.number = number
	c.access = [2]users.Access{users.Read, users.Read}
	if c.Flags&Write != 0 || c.Flags&Scripted != 0 && !strings.HasSuffix(c.Name, "_ro") {
		c.access = [2]users.Access{users.Read | users.Write, users.Read | users.Write}
	}
	if slices.Contains(onlyWrite, c.Name) {
		c.access = [2]users.Access{users.Write, users.Write}
	}
	if letters, ok := access[c.Name]; ok {
		for i := range letters {
			c.access[i] = 0
			for _, l := range letters[i] {
				c.access[i] |= map[rune]users.Access{'r': users.Read, 'w': users.Write}[l]
			}
		}
	}
	if names, ok := channels[c.Name]; ok {
		c.channels, c.oneChannel, c.patterns = true, names.one, names.pattern
	}
	c.categories = c.findCategories()
}

func (c *Command) findCategories() []string {
	var own []string
	if words, ok := special[c.Name]; ok {
		own = strings.Fields(words)
	} else if name := ofGroup[c.Group]; name != "" {
		own = []string{name}
	}
	add := func(names ...string) {
		for _, n := range names {
			if !slices.Contains(own, n) {
				own = append(own, n)
			}
		}
	}
	if strings.HasPrefix(c.Name, "command|") {
		add("connection")
	}
	switch {
	case c.Flags&Write != 0 && c.Flags&Scripted == 0:
		add("write")
	case c.Flags&ReadOnly != 0 && c.Flags&Scripted == 0:
		add("read")
	}
	if c.Flags&Admin != 0 {
		add("admin", "dangerous")
	}
	if c.Flags&Blocking != 0 {
		add("blocking")
	}
	if c.Flags&Fast != 0 {
		add("fast")
	} else {
		add("slow")
	}
	slices.SortFunc(own, func(a, b string) int { return slices.Index(categories, a) - slices.Index(categories, b) })
	return own
}

// Catalogue numbers the commands for rights of users.
func Catalogue() users.Catalogue { return &table }

// Command implements users.Catalogue.
func (x *index) Command(name string) (numbers []int) {
	row := named([]byte(name))
	if row == nil {
		return nil
	}
	numbers = append(numbers, row.number)
	for i := range row.subs {
		numbers = append(numbers, row.subs[i].number)
	}
	return numbers
}

// Category implements users.Catalogue.
func (x *index) Category(name string) (numbers []int, ok bool) {
	for row := range x.all() {
		if slices.Contains(row.categories, name) {
			numbers = append(numbers, row.number)
		}
	}
	return numbers, slices.Contains(categories, name)
}

// all are the rows and their subcommands.
func (x *index) all() func(yield func(*Command) bool) {
	return func(yield func(*Command) bool) {
		for _, row := range x.rows {
			if !yield(row) {
				return
			}
			for i := range row.subs {
				if !yield(&row.subs[i]) {
					return
				}
			}
		}
	}
}

// denial is why a user may not give a command. The zero one allows it.
type denial struct {
	reason denied
	object string // the command's name, the key or the channel
}

type denied uint8

const (
	allowed denied = iota
	deniedCommand
	deniedKey
	deniedChannel
	deniedPattern // of SORT: it could lead to any key
)

// error is what a client reads.
func (d denial) error() error {
	switch d.reason {
	case deniedCommand:
		return failf("NOPERM this user has no permissions to run the '%s' command", d.object)
	case deniedChannel:
		return failure("NOPERM this user has no permissions to access one of the channels used as arguments")
	case deniedPattern:
		return failf("ERR %s option of SORT denied due to insufficient ACL permissions.", d.object)
	}
	return failure("NOPERM this user has no permissions to access one of the keys used as arguments")
}

// inScript is what a script reads.
func (d denial) inScript() string {
	switch d.reason {
	case deniedCommand:
		return "ERR The user executing the script can't run this command or subcommand"
	case deniedChannel:
		return "ERR The user executing the script can't publish to the channel mentioned in the command"
	case deniedPattern:
		return d.error().Error()
	}
	return "ERR The user executing the script can't access at least one of the keys mentioned in the command arguments"
}

// deny says why u may not give the command; what it takes of memory it takes only then. Who may do everything is not asked about.
func (c *Command) deny(u *users.User, args [][]byte) denial {
	if !u.May(c.number) && c.Flags&NoAuth == 0 {
		return denial{deniedCommand, c.Name}
	}
	if c.Flags&MovingKeys != 0 {
		if strings.HasPrefix(c.Name, "sort") && !u.AllKeys() {
			if d := denySort(args); d.reason != allowed {
				return d
			}
		}
		keys, _ := c.keysOf(args)
		for i, k := range keys {
			if !u.MayKey(k, c.access[min(i, 1)]) {
				return denial{deniedKey, string(k)}
			}
		}
	} else if c.Keys.First > 0 {
		last := c.Keys.Last
		if last < 0 {
			last += len(args)
		}
		for i := c.Keys.First; i <= last && i < len(args); i += c.Keys.Step {
			a := c.access[min(i-c.Keys.First, 1)]
			if c.Name == "set" && hasWord(args[i+1:], "get") {
				a |= users.Read
			}
			if !u.MayKey(args[i], a) {
				return denial{deniedKey, string(args[i])}
			}
		}
	}
	if c.channels {
		return c.denyChannel(u, args[1:])
	}
	return denial{}
}

// hasWord says whether one of args behind the first, a value, is the word.
func hasWord(args [][]byte, word string) bool {
	for i := 1; i < len(args); i++ {
		if is(args[i], word) {
			return true
		}
	}
	return false
}

// denySort refuses what could read keys that no pattern of the user knows.
func denySort(args [][]byte) denial {
	for i := 2; i+1 < len(args); i++ {
		switch {
		case is(args[i], "by") && bytes.IndexByte(args[i+1], '*') >= 0:
			return denial{deniedPattern, "BY"}
		case is(args[i], "get"):
			return denial{deniedPattern, "GET"}
		}
	}
	return denial{}
}

func (c *Command) denyChannel(u *users.User, names [][]byte) denial {
	if c.oneChannel {
		names = names[:1]
	}
	for _, n := range names {
		if !u.MayChannel(n, c.patterns) {
			return denial{deniedChannel, string(n)}
		}
	}
	return denial{}
}

// permit returns what the user of the session, who may not do everything, reads instead of this command's reply; nil if it is allowed.
func (s *Session) permit(row *Command, args [][]byte) error {
	d := row.deny(s.user, args)
	if d.reason == allowed {
		return nil
	}
	place := "toplevel"
	if s.multi != nil {
		place = "multi"
	}
	s.d.refusals.add(s, d, place)
	return d.error()
}

// renew looks the user up again after the users have changed: who is there no more, or listens to what it may not any more, is closed.
func (s *Session) renew(set *users.Set) {
	s.users = set
	if s.user == nil || s.asked {
		return
	}
	was := s.user
	s.user = set.Find([]byte(was.Name))
	switch {
	case s.user == nil || !s.user.On() || !s.mayListen():
		s.user, s.closing = nil, true
		s.inbox.discard(&s.d.hub.queued)
	case s.multi != nil && !slices.Equal(was.Rules, s.user.Rules):
		s.multi.aborted = true
	}
	s.showFace()
}

// mayListen says whether the user may listen to what the session listens to.
func (s *Session) mayListen() bool {
	if s.monitors && !(s.user.AllKeys() && s.user.May(named([]byte("monitor")).number)) {
		return false
	}
	for t := range to(tos) {
		for name := range s.ears.names[t] {
			if !s.user.MayChannel([]byte(name), t == toPatterns) {
				return false
			}
		}
	}
	return true
}
