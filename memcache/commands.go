package memcache

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"holdfast/op"
)

// A command is a row of the table. Exactly one of value, store, write, meta and conn is set: what kind of command it is.
type command struct {
	name      string
	arguments string // as its documentation writes them
	min, max  int    // how many of them there may be, noreply included
	noreply   int    // from how many arguments on the last one may be noreply; 0 if it cannot be
	needed    string // which client sends it, and when

	// value shows an item that a command with any number of keys has found; with touches it gives them a new exptime first.
	value   func(out, name []byte, r *op.Result) []byte
	touches bool

	// store makes the op out of a header and a data block (w.head); write makes it out of the arguments, or says why it cannot. Both have a reply.
	store func(w *worker) op.Write
	write func(w *worker, a [][]byte) (op.Write, string)
	reply replyFunc

	// meta carries out a meta command: line is what stands behind its name, in is the input, of which end bytes belong to the line.
	meta func(s *Session, line, in []byte, end int) (n, next int, more bool)

	// conn answers a command that concerns no key.
	conn func(s *Session, a [][]byte)
}

// replyFunc counts an outcome and appends the answer to what o says of its request.
type replyFunc func(n *counters, out []byte, r *op.Result, o *owed) []byte

// any number of arguments, of which maxArgs are looked at.
const anyArgs = maxArgs

var commands = [...]command{
	{name: "get", arguments: "key...", value: appendValue,
		needed: "all clients: read; Django's get_many and python-memcached's get_multi with many keys"},
	{name: "gets", arguments: "key...", value: appendUnique,
		needed: "tooz: read a group before cas; python-memcached's and pymemcache's gets"},
	{name: "gat", arguments: "exptime key...", value: appendValue, touches: true,
		needed: "pymemcache's gat, memcached's own tests: read and keep alive"},
	{name: "gats", arguments: "exptime key...", value: appendUnique, touches: true,
		needed: "pymemcache's gats"},

	{name: "set", arguments: "key flags exptime length [noreply]", min: 4, max: 5, noreply: 1, store: storeSet, reply: replyStored,
		needed: "all clients: Horizon sessions, tokens, caches; tooz's heartbeat with noreply"},
	{name: "add", arguments: "key flags exptime length [noreply]", min: 4, max: 5, noreply: 1, store: storeAdd, reply: replyStored,
		needed: "Django: create a session; dogpile, oslo.cache and tooz: take a lock"},
	{name: "replace", arguments: "key flags exptime length [noreply]", min: 4, max: 5, noreply: 1, store: storeReplace, reply: replyStored,
		needed: "python-memcached's and pymemcache's replace"},
	{name: "append", arguments: "key flags exptime length [noreply]", min: 4, max: 5, noreply: 1, store: storeAppend, reply: replySpliced,
		needed: "python-memcached's and pymemcache's append"},
	{name: "prepend", arguments: "key flags exptime length [noreply]", min: 4, max: 5, noreply: 1, store: storePrepend, reply: replySpliced,
		needed: "python-memcached's and pymemcache's prepend"},
	{name: "cas", arguments: "key flags exptime length unique [noreply]", min: 5, max: 6, noreply: 1, store: storeCas, reply: replyCas,
		needed: "tooz: join, leave and update a group"},

	{name: "delete", arguments: "key [0] [noreply]", min: 1, max: 3, noreply: 2, write: writeDelete, reply: replyDeleted,
		needed: "all clients: log out, invalidate, release a lock; with 0 from python-memcached and apr_memcache"},
	{name: "incr", arguments: "key delta [noreply]", min: 2, max: 3, noreply: 1, write: writeIncr, reply: replyIncr,
		needed: "Django's incr, swift's rate limits"},
	{name: "decr", arguments: "key delta [noreply]", min: 2, max: 3, noreply: 1, write: writeDecr, reply: replyDecr,
		needed: "Django's decr, swift's rate limits"},
	{name: "touch", arguments: "key exptime [noreply]", min: 2, max: 3, noreply: 1, write: writeTouch, reply: replyTouched,
		needed: "Django: prolong; tooz: keep a lock"},
	{name: "flush_all", arguments: "[delay] [noreply]", min: 0, max: 2, noreply: 1, write: writeFlush, reply: replyFlushed,
		needed: "Django's clear(); python-memcached after a reconnect (memcache_pool_flush_on_reconnect)"},

	{name: "mg", arguments: "key flags...", meta: metaGet,
		needed: "pymemcache's and other clients' meta commands: get, with the protection of a value that many would compute anew"},
	{name: "ms", arguments: "key length flags...", meta: metaSet,
		needed: "the same: set, add, replace, append, prepend, cas"},
	{name: "md", arguments: "key flags...", meta: metaDelete,
		needed: "the same: delete, or mark as outdated"},
	{name: "ma", arguments: "key flags...", meta: metaCount,
		needed: "the same: incr and decr"},
	{name: "me", arguments: "key [b]", meta: metaDebug,
		needed: "people: what is known of an item"},

	{name: "version", max: anyArgs, conn: connVersion,
		needed: "apr_memcache, libmemcached's tools, health checks"},
	{name: "stats", arguments: "[settings|items|slabs|sizes|conns|reset|detail|cachedump class limit]", max: anyArgs, conn: connStats,
		needed: "memcached_exporter, operators"},
	{name: "verbosity", arguments: "level [noreply]", min: 1, max: 2, noreply: 1, conn: connVerbosity,
		needed: "libmemcached's memverbosity; it changes nothing here"},
	{name: "mn", max: anyArgs, conn: connNoop,
		needed: "clients that end a pipeline with it"},
	{name: "quit", max: anyArgs, conn: connQuit,
		needed: "all clients: close"},
	{name: "shutdown", arguments: "[graceful]", max: anyArgs, conn: connShutdown,
		needed: "nobody: it is refused, as by a memcached without -A"},
}

var byName = func() map[string]*command {
	m := make(map[string]*command, len(commands))
	for i := range commands {
		m[commands[i].name] = &commands[i]
	}
	return m
}()

func lookup(name []byte) *command { return byName[string(name)] }

// Command is what the documentation says of a row.
type Command struct {
	Name      string
	Arguments string
	Kind      string // "read", "write" or "connection"
	Needed    string
}

// Commands lists the commands in the order of the table.
func Commands() []Command {
	list := make([]Command, len(commands))
	for i := range commands {
		c := &commands[i]
		kind := "write"
		switch {
		case c.value != nil && !c.touches, c.name == "me":
			kind = "read"
		case c.conn != nil:
			kind = "connection"
		}
		list[i] = Command{c.name, c.arguments, kind, c.needed}
	}
	return list
}

// WriteCommands writes the table as Markdown, for docs/commands.md.
func WriteCommands(w io.Writer) error {
	b := bufio.NewWriter(w)
	b.WriteString("| command | arguments | kind | needed by |\n|---|---|---|---|\n")
	for _, c := range Commands() {
		arguments := ""
		if c.Arguments != "" {
			arguments = "`" + strings.ReplaceAll(c.Arguments, "|", `\|`) + "`" // a bar would end the cell
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", c.Name, arguments, c.Kind, c.Needed)
	}
	return b.Flush()
}
