package redis

import (
	"slices"
	"strings"

	"holdfast/op"
	"holdfast/resp"
	"holdfast/users"
)

var introspection = []Command{
	{Name: "count", Arity: 2, Flags: Loading, Needed: "tools", conn: commandCount},
	{Name: "info", Arity: -2, Flags: Loading, Needed: "go-redis cluster clients", conn: commandInfo},
	{Name: "docs", Arity: -2, Flags: Loading, Needed: "redis-cli at its start", conn: commandDocs},
	{Name: "list", Arity: -2, Flags: Loading, Needed: "tools", conn: commandList},
	{Name: "getkeys", Arity: -4, Flags: Loading, Needed: "tools", conn: commandGetKeys},
	{Name: "getkeysandflags", Arity: -4, Flags: Loading, Needed: "tools", conn: commandGetKeysAndFlags},
	{Name: "help", Arity: 2, Flags: Loading, Needed: "people", conn: help("COMMAND", "(no subcommand)", "COUNT", "LIST", "INFO [<command-name> ...]",
		"DOCS [<command-name> ...]", "GETKEYS <full-command>")},
}

func commandCount(_ *Session, _ *request, b []byte) []byte {
	return resp.Integer(b, int64(len(table.rows)))
}

func commandAll(s *Session, _ *request, b []byte) []byte {
	b = resp.Array(b, len(table.rows))
	for _, row := range table.rows {
		b = row.info(b, s.v)
	}
	return b
}

func commandInfo(s *Session, q *request, b []byte) []byte {
	if len(q.args) == 2 {
		return commandAll(s, q, b)
	}
	b = resp.Array(b, len(q.args)-2)
	for _, name := range q.args[2:] {
		row := named(name)
		if row == nil {
			b = s.v.Null(b)
			continue
		}
		b = row.info(b, s.v)
	}
	return b
}

// named finds the row of a full name such as "get" or "client|id".
func named(name []byte) *Command {
	container, sub, split := strings.Cut(string(name), "|")
	row := table.find([]byte(container))
	if row == nil || !split {
		return row
	}
	return row.sub([]byte(sub))
}

// info writes what COMMAND says of a row: ten elements, of which tips are left empty.
func (c *Command) info(b []byte, v resp.Version) []byte {
	b = resp.Array(b, 10)
	b = resp.Bulk(b, c.Name)
	b = resp.Integer(b, int64(c.Arity))
	var flags []string
	for i, name := range flagNames {
		if c.Flags&(1<<i) != 0 && name != "" {
			flags = append(flags, name)
		}
	}
	b = simples(b, v, flags)
	b = resp.Integer(b, int64(c.Keys.First))
	b = resp.Integer(b, int64(c.Keys.Last))
	b = resp.Integer(b, int64(c.Keys.Step))
	b = simples(b, v, c.marked())
	b = c.keySpecs(v.Set(b, 0), v)
	b = resp.Array(b, len(c.subs))
	for i := range c.subs {
		b = c.subs[i].info(b, v)
	}
	return b
}

// marked are the categories as COMMAND shows them.
func (c *Command) marked() []string {
	all := make([]string, len(c.categories))
	for i, name := range c.categories {
		all[i] = "@" + name
	}
	return all
}

// keySpecs says where the keys are, and what is done with them. Keys that only their command can find are left out.
func (c *Command) keySpecs(b []byte, v resp.Version) []byte {
	fixed := c.Keys.First > 0
	b = v.Set(b, b2i(fixed)+b2i(c.numbered > 0))
	if fixed {
		last := c.Keys.Last
		if last > 0 {
			last -= c.Keys.First
		}
		if c.Flags&MovingKeys != 0 {
			last = 0
		}
		b = c.keySpec(b, v, c.access[0], c.Keys.First)
		b = v.Map(resp.Bulk(pair(v.Map(resp.Bulk(b, "find_keys"), 2), "type", "range"), "spec"), 3)
		b = resp.Integer(resp.Bulk(b, "lastkey"), int64(last))
		b = resp.Integer(resp.Bulk(b, "keystep"), int64(max(c.Keys.Step, 1)))
		b = resp.Integer(resp.Bulk(b, "limit"), 0)
	}
	if c.numbered > 0 {
		b = c.keySpec(b, v, c.access[b2i(fixed)], c.numbered)
		b = v.Map(resp.Bulk(pair(v.Map(resp.Bulk(b, "find_keys"), 2), "type", "keynum"), "spec"), 3)
		b = resp.Integer(resp.Bulk(b, "keynumidx"), 0)
		b = resp.Integer(resp.Bulk(b, "firstkey"), 1)
		b = resp.Integer(resp.Bulk(b, "keystep"), 1)
	}
	return b
}

// keySpec begins one, up to how its keys are found.
func (c *Command) keySpec(b []byte, v resp.Version, a users.Access, index int) []byte {
	b = v.Map(b, 3)
	b = simples(resp.Bulk(b, "flags"), v, c.keyFlags(a))
	b = resp.Bulk(pair(v.Map(resp.Bulk(b, "begin_search"), 2), "type", "index"), "spec")
	return resp.Integer(resp.Bulk(v.Map(b, 1), "index"), int64(index))
}

// keyFlags are Redis's words for what is done with a key.
func (c *Command) keyFlags(a users.Access) []string {
	flags := []string{"RO"}
	if c.Flags&Write != 0 && a&users.Write != 0 {
		flags[0] = "RW"
	}
	if a&users.Read != 0 {
		flags = append(flags, "access")
	}
	if a&users.Write != 0 {
		flags = append(flags, "update")
	}
	return flags
}

func simples(b []byte, v resp.Version, list []string) []byte {
	b = v.Set(b, len(list))
	for _, s := range list {
		b = resp.Simple(b, s)
	}
	return b
}

func commandDocs(s *Session, q *request, b []byte) []byte {
	rows := table.rows
	if len(q.args) > 2 {
		rows = nil
		for _, name := range q.args[2:] {
			if row := named(name); row != nil {
				rows = append(rows, row)
			}
		}
	}
	b = s.v.Map(b, len(rows))
	for _, row := range rows {
		b = row.docs(resp.Bulk(b, row.Name), s.v)
	}
	return b
}

func (c *Command) docs(b []byte, v resp.Version) []byte {
	n := 3
	if c.subs != nil {
		n++
	}
	b = v.Map(b, n)
	b = pair(b, "summary", "Needed by "+c.Needed)
	b = pair(b, "since", "1.0.0")
	b = pair(b, "group", c.Group)
	if c.subs != nil {
		b = v.Map(resp.Bulk(b, "subcommands"), len(c.subs))
		for i := range c.subs {
			b = c.subs[i].docs(resp.Bulk(b, c.subs[i].Name), v)
		}
	}
	return b
}

func commandList(s *Session, q *request, b []byte) []byte {
	var keep func(c *Command) bool
	switch {
	case len(q.args) == 2:
		keep = func(*Command) bool { return true }
	case len(q.args) == 5 && is(q.args[2], "filterby") && is(q.args[3], "pattern"):
		keep = func(c *Command) bool { return op.Match([]byte(strings.ToLower(string(q.args[4]))), []byte(c.Name)) }
	case len(q.args) == 5 && is(q.args[2], "filterby") && is(q.args[3], "module"):
		keep = func(*Command) bool { return false }
	case len(q.args) == 5 && is(q.args[2], "filterby") && is(q.args[3], "aclcat"):
		keep = func(c *Command) bool {
			return slices.Contains(c.categories, strings.ToLower(string(q.args[4])))
		}
	default:
		return resp.Err(b, string(errSyntax))
	}
	var names []string
	for row := range table.all() {
		if keep(row) {
			names = append(names, row.Name)
		}
	}
	if len(q.args) > 2 { // as Redis does
		return bulks(b, names)
	}
	b = s.v.Set(b, len(names))
	for _, n := range names {
		b = resp.Bulk(b, n)
	}
	return b
}

func commandGetKeys(s *Session, q *request, b []byte) []byte { return getKeys(s, q, b, false) }

func commandGetKeysAndFlags(s *Session, q *request, b []byte) []byte { return getKeys(s, q, b, true) }

func getKeys(s *Session, q *request, b []byte, flags bool) []byte {
	args := q.args[2:]
	row, err := lookup(args)
	switch {
	case row == nil:
		return resp.Err(b, "ERR Invalid command specified")
	case row.Keys.First == 0 && row.Flags&MovingKeys == 0:
		return resp.Err(b, "ERR The command has no key arguments")
	case err != nil:
		return resp.Err(b, "ERR Invalid number of arguments specified for command")
	}
	keys, ok := row.keysOf(args)
	if !ok {
		return resp.Err(b, "ERR Invalid arguments specified for command")
	}
	b = resp.Array(b, len(keys))
	for i, k := range keys {
		if flags {
			b = resp.Array(b, 2)
		}
		b = resp.Bulk(b, k)
		if flags {
			b = simples(b, s.v, row.keyFlags(row.access[min(i, 1)]))
		}
	}
	return b
}

// keysOf picks the keys out of a request whose number of arguments fits the row.
func (c *Command) keysOf(args [][]byte) (keys [][]byte, ok bool) {
	if c.Flags&MovingKeys != 0 {
		return c.movingKeys(args)
	}
	last := c.Keys.Last
	if last < 0 {
		last += len(args)
	}
	for i := c.Keys.First; i <= last; i += c.Keys.Step {
		keys = append(keys, args[i])
	}
	return keys, true
}

// movingKeys finds the keys of a row with MovingKeys: perhaps the first argument, then "numkeys key...", or what STORE names.
func (c *Command) movingKeys(args [][]byte) (keys [][]byte, ok bool) {
	if c.Keys.First > 0 {
		keys = append(keys, args[c.Keys.First])
	}
	if c.numbered > 0 {
		n, ok := resp.Int(args[c.numbered])
		if !ok || n < 0 || n > int64(len(args)-c.numbered-1) {
			return nil, false
		}
		behind := args[c.numbered+1 : c.numbered+1+int(n)]
		if keys == nil {
			return behind, true
		}
		return append(keys, behind...), true
	}
	if o, err := parseSort(&request{args: args}, c.Flags&Write == 0); err == nil && o.store != nil { // read as SORT reads them: rights depend on it
		keys = append(keys, o.store)
	}
	return keys, true
}
