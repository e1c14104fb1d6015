// Package redis is the Redis dialect: it turns what a client says into ops, and their results into what the client reads.
//
// A command is a row of a table: its name, its shape and either two pure functions (arguments to op, result to reply), or a computation over
// an Overlay, or what it does to the connection. Look-up, arity, authentication and class are checked once for all rows. Read command.go
// first, then session.go (how requests, waiting writes and replies go together) and one of the files with rows, say strings.go;
// work.go is behind transactions.go and scripts.go.
//
// The package decides nothing about keys, and may not touch a clock, the system or the network.
package redis

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"holdfast/op"
	"holdfast/resp"
	"holdfast/users"
)

// Flag says what kind of command a row is, in Redis's own words.
type Flag uint32

const (
	Write      Flag = 1 << iota // may change a key
	ReadOnly                    // reads keys
	DenyOOM                     // may need memory
	Admin                       // for operators
	NoScript                    // not from a script
	NoAuth                      // also before AUTH
	Fast                        // takes constant or logarithmic time
	NoMulti                     // not inside MULTI
	Loading                     // works without keys
	MovingKeys                  // which arguments are keys depends on the arguments
	Immediate                   // carried out, not queued, inside MULTI
	Scripted                    // runs an interpreter, on a goroutine of its own
	PubSub                      // concerns channels
	Blocking                    // may wait for a key
	Listening                   // also while a client of the older protocol listens
	Hostile                     // no client of ours sends it: close without an answer, as Redis does
)

var flagNames = [...]string{"write", "readonly", "denyoom", "admin", "noscript", "no_auth", "fast", "no_multi", "loading", "movablekeys", "", "", "pubsub", "blocking", "", ""}

// Keys tells which arguments are keys: First to Last (negative from the end) in steps of Step; 0 for none.
type Keys struct{ First, Last, Step int }

// Command is a row of the table. Exactly one of write, read, compute and conn is set, unless it has subcommands.
type Command struct {
	Name   string // in lower case; with its container for a subcommand, as "client|id"
	Arity  int    // arguments with the name; -n for n at least
	Keys   Keys
	Flags  Flag
	Group  string // in Redis's own words; the rows of a file share it
	Needed string // who sends it, and when

	// write and read make the op of a request; an error is the reply's text. reply says what came of it.
	write func(q *request) (op.Write, error)
	read  func(q *request) (op.Read, error)
	reply func(b []byte, a answer, res *op.Result) []byte
	// compute is for what is neither one write nor one read: it works over an Overlay (work.go) and appends its reply.
	compute func(w *bench, q *request, b []byte) ([]byte, error)
	// conn is for what concerns the connection or the server alone: it appends its reply.
	conn func(s *Session, q *request, b []byte) []byte

	subs []Command

	numbered int // with MovingKeys, the argument that says how many keys follow it, if there is one

	// What rate finds out for rights of users.
	number     int
	categories []string
	access     [2]users.Access // to the first key, and to the others
	channels   bool            // its arguments are channels:
	oneChannel bool            // the first alone,
	patterns   bool            // or patterns of them
}

// request is a command as it came in.
type request struct {
	args  [][]byte // with the name
	space op.Space
	form  uint8 // set by write and read for their reply: what it must know of the arguments
	ops   *ops
}

// key returns argument i as a key.
func (q *request) key(i int) op.Key { return op.Key{Space: q.space, Name: q.args[i]} }

// keys returns all arguments from i on as keys, in steps of step.
func (q *request) keys(i, step int) []op.Key {
	q.ops.keys = q.ops.keys[:0]
	for ; i < len(q.args); i += step {
		q.ops.keys = append(q.ops.keys, q.key(i))
	}
	return q.ops.keys
}

// answer is what a reply may know besides the result.
type answer struct {
	resp.Version
	form uint8
	d    *Dialect
}

// ops has room for one op of each frequent kind, so that a request needs no memory of its own. An op put here is good until the next request.
type ops struct {
	set        op.Set
	setMany    op.SetMany
	splice     op.Splice
	del        op.Delete
	incr       op.IncrBy
	expire     op.Expire
	hashSet    op.HashSet
	hashDelete op.HashDelete
	hashIncr   op.HashIncrBy
	setAdd     op.SetAdd
	setRemove  op.SetRemove
	get        op.Get
	getMany    op.GetMany
	exists     op.Exists
	deadline   op.Deadline
	typeOf     op.TypeOf
	length     op.Length
	hashGet    op.HashGet
	hashAll    op.HashAll
	setHas     op.SetHas
	setAll     op.SetAll
	listPush   op.ListPush
	listPop    op.ListPop
	listRange  op.ListRange
	sortedAdd  op.SortedAdd
	sortedCut  op.SortedRange
	combine    op.Combine
	keys       []op.Key
	pairs      []op.Pair
	fields     []op.Field
	scored     []op.Scored
}

// table has every row under its name; it is filled once and never changed.
var table index

// rowGet is the row of GET.
var rowGet *Command

func init() {
	for _, g := range []struct {
		name string
		rows []Command
	}{
		{"string", stringCommands}, {"generic", keyCommands}, {"hash", hashCommands}, {"set", setCommands},
		{"list", listCommands}, {"sorted-set", sortedCommands}, {"bitmap", bitCommands}, {"generic", valueCommands},
		{"connection", connectionCommands}, {"transactions", transactionCommands}, {"scripting", scriptCommands},
		{"server", serverCommands}, {"server", aclCommands}, {"server", timingCommands}, {"server", configCommands}, {"sentinel", sentinelCommands},
		{"pubsub", pubsubCommands}, {"list", blockingLists}, {"sorted-set", blockingSorted},
	} {
		for i := range g.rows {
			row := &g.rows[i]
			row.Group = g.name
			for j := range row.subs {
				row.subs[j].Group = g.name
				row.subs[j].Name = row.Name + "|" + row.subs[j].Name
			}
			table.add(row)
		}
	}
	rowGet = table.find([]byte("get"))
}

// index finds rows by name, whatever the case, without allocating: open addressing over a hash of the lower-case name.
type index struct {
	slots   [1024]*Command
	rows    []*Command
	numbers int // of rows and subcommands
}

func (x *index) add(row *Command) {
	i := hash(row.Name) % uint32(len(x.slots))
	for x.slots[i] != nil {
		i = (i + 1) % uint32(len(x.slots))
	}
	x.slots[i] = row
	x.rows = append(x.rows, row)
	row.rate(x.numbers)
	for i := range row.subs {
		row.subs[i].rate(x.numbers + 1 + i)
	}
	if x.numbers += 1 + len(row.subs); x.numbers > users.MaxCommands {
		panic("redis: there are more commands than users.MaxCommands")
	}
}

func (x *index) find(name []byte) *Command {
	for i := hash(name) % uint32(len(x.slots)); x.slots[i] != nil; i = (i + 1) % uint32(len(x.slots)) {
		if is(name, x.slots[i].Name) {
			return x.slots[i]
		}
	}
	return nil
}

func hash[T []byte | string](name T) uint32 {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(lower(name[i]))) * 16777619
	}
	return h ^ h>>15
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// is says whether arg is the word, whatever the case of arg; word is in lower case.
func is(arg []byte, word string) bool {
	if len(arg) != len(word) {
		return false
	}
	for i := range len(word) {
		if lower(arg[i]) != word[i] {
			return false
		}
	}
	return true
}

// lookup finds the row for a request, and checks that there is one and that the number of arguments fits.
func lookup(args [][]byte) (*Command, error) {
	row := table.find(args[0])
	if row == nil {
		return nil, unknownCommand(args)
	}
	if row.subs != nil && len(args) > 1 {
		sub := row.sub(args[1])
		if sub == nil {
			return nil, failf("ERR unknown subcommand '%.128s'. Try %s HELP.", args[1], strings.ToUpper(row.Name))
		}
		row = sub
	}
	if len(args) < row.Arity || len(args) < -row.Arity || row.Arity > 0 && len(args) > row.Arity {
		return row, wrongArity(row)
	}
	return row, nil
}

func (c *Command) sub(name []byte) *Command {
	for i := range c.subs {
		if is(name, c.subs[i].Name[len(c.Name)+1:]) {
			return &c.subs[i]
		}
	}
	return nil
}

// failure is the text of an error reply.
type failure string

func (f failure) Error() string { return string(f) }

func failf(format string, args ...any) error { return failure(fmt.Sprintf(format, args...)) }

const (
	errSyntax       = failure("ERR syntax error")
	errInteger      = failure("ERR value is not an integer or out of range")
	errFloat        = failure("ERR value is not a valid float")
	errWrongType    = failure("WRONGTYPE Operation against a key holding the wrong kind of value")
	errOOM          = failure("OOM command not allowed when used memory > 'maxmemory'.")
	errOverflow     = failure("ERR increment or decrement would overflow")
	errTooLarge     = failure("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
	errReplyDropped = failure("ERR carried out, but the replies of the transaction are larger together than memory-limit allows: ask for less at once")
	errHashInt      = failure("ERR hash value is not an integer")
	errDBRange      = failure("ERR DB index is out of range")
	errNoAuth       = failure("NOAUTH Authentication required.")
	errNoCluster    = failure("ERR This instance has cluster support disabled")
	errNoSuchKey    = failure("ERR no such key")
	errSameObject   = failure("ERR source and destination objects are the same")
)

func wrongArity(row *Command) error {
	return failf("ERR wrong number of arguments for '%s' command", row.Name)
}

func unknownCommand(args [][]byte) error {
	var list []byte
	for _, a := range args[1:] {
		if len(list) >= 128 {
			break
		}
		list = fmt.Appendf(list, "'%.*s' ", 128-len(list), a)
	}
	return failf("ERR unknown command '%.128s', with args beginning with: %s", args[0], list)
}

// appendReply writes what came of an op: the failures that mean the same for every row, or the row's own reply.
func (c *Command) appendReply(b []byte, a answer, res *op.Result) []byte {
	switch res.Status {
	case op.WrongType:
		return resp.Err(b, string(errWrongType))
	case op.NotInteger:
		if c.Group == "hash" {
			return resp.Err(b, string(errHashInt))
		}
		return resp.Err(b, string(errInteger))
	case op.Overflow:
		if c.Group == "sorted-set" {
			return resp.Err(b, string(errScoreNaN))
		}
		return resp.Err(b, string(errOverflow))
	case op.TooLarge:
		if c.Name == "append" || c.Name == "setrange" {
			return resp.Err(b, string(errTooLarge))
		}
		return resp.Err(b, string(errReplyDropped))
	case op.OutOfMemory:
		return resp.Err(b, string(errOOM))
	}
	return c.reply(b, a, res)
}

// elementSize is more than what a reply has around a value.
const elementSize = 16

// replySize is about how many bytes a reply of several values takes; 0 for any other.
func replySize(res *op.Result) int {
	if len(res.List) < 2 {
		return 0
	}
	n := len(res.List) * elementSize
	for i := range res.List {
		n += len(res.List[i].Value)
	}
	return n
}

// tooLarge says whether a reply may not have that many bytes.
func (d *Dialect) tooLarge(size int) bool { return d.conf.ReplyLimit > 0 && size > d.conf.ReplyLimit }

func (d *Dialect) errReplySize() error {
	return failf("ERR the reply would be larger than %d bytes, which is what memory-limit allows: ask for less at once", d.conf.ReplyLimit)
}

// Replies that many rows share.

func replyOK(b []byte, _ answer, _ *op.Result) []byte      { return append(b, "+OK\r\n"...) }
func replyInt(b []byte, _ answer, res *op.Result) []byte   { return resp.Integer(b, res.Int) }
func replyValue(b []byte, a answer, res *op.Result) []byte { return a.value(b, res) }

// value writes a value, or null for what is missing or of another type.
func (a answer) value(b []byte, res *op.Result) []byte {
	if res.Status != op.OK {
		return a.Null(b)
	}
	return resp.Bulk(b, res.Value)
}

// replyFirst writes the only element of a list.
func replyFirst(b []byte, a answer, res *op.Result) []byte { return a.value(b, &res.List[0]) }

func replyList(b []byte, a answer, res *op.Result) []byte {
	b = resp.Array(b, len(res.List))
	for i := range res.List {
		b = a.value(b, &res.List[i])
	}
	return b
}

func replyFound(b []byte, _ answer, res *op.Result) []byte {
	if len(res.List) > 0 && res.List[0].Status == op.OK {
		return resp.Integer(b, 1)
	}
	return resp.Integer(b, 0)
}

// changes says whether the command may write to the log: keys, or a message.
func (c *Command) changes() bool { return c.write != nil || c.Flags&Write != 0 }

// Commands returns the rows of the table by name, subcommands behind their container.
func Commands() []*Command {
	var rows []*Command
	for _, row := range table.rows {
		if row.subs == nil {
			rows = append(rows, row)
		}
		for i := range row.subs {
			rows = append(rows, &row.subs[i])
		}
	}
	slices.SortFunc(rows, func(a, b *Command) int { return cmp.Compare(a.Name, b.Name) })
	return rows
}

// WriteCommands writes the table as Markdown, for docs/commands.md.
func WriteCommands(w io.Writer) error {
	rows := Commands()
	if _, err := fmt.Fprintf(w, "| command | kind | needed by |\n|---|---|---|\n"); err != nil {
		return err
	}
	for _, row := range rows {
		name := strings.ToUpper(strings.ReplaceAll(row.Name, "|", " "))
		if _, err := fmt.Fprintf(w, "| `%s` | %s | %s |\n", name, row.kind(), row.Needed); err != nil {
			return err
		}
	}
	return nil
}

func (c *Command) kind() string {
	switch {
	case c.write != nil:
		return "write"
	case c.read != nil:
		return "read"
	case c.compute != nil && c.Flags&Write != 0:
		return "transaction"
	case c.compute != nil:
		return "read"
	}
	return "connection"
}
