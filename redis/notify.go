package redis

import (
	"fmt"
	"strings"

	"holdfast/op"
	"holdfast/resp"
)

// Events of keys are messages that no client sends: each member makes them of what it applies, for its own listeners. Which of them there are is
// notify-keyspace-events, which holds for the group and stands in its state (op.Notify).

// Classes of events: the bits of op.Notify, by Redis's letters in its order.
const (
	eventsByKey  uint32 = 1 << iota // K: to the channel of the key
	eventsByName                    // E: to the channel of the event
	ofGeneric                       // g
	ofString                        // $
	ofList                          // l
	ofSet                           // s
	ofHash                          // h
	ofSorted                        // z
	ofExpired                       // x
	ofEvicted                       // e
	ofStream                        // t; there are none
	ofModule                        // d; there are none
	ofNew                           // n
	ofMiss                          // m; there are none

	ofAll = ofGeneric | ofString | ofList | ofSet | ofHash | ofSorted | ofExpired | ofEvicted | ofStream | ofModule // A
)

// eventLetters are in the order in which CONFIG GET tells them, behind A.
var eventLetters = []struct {
	letter byte
	bit    uint32
}{
	{'g', ofGeneric}, {'$', ofString}, {'l', ofList}, {'s', ofSet}, {'h', ofHash}, {'z', ofSorted}, {'x', ofExpired}, {'e', ofEvicted},
	{'t', ofStream}, {'d', ofModule}, {'n', ofNew}, {'K', eventsByKey}, {'E', eventsByName}, {'m', ofMiss},
}

// parseEvents reads the value of notify-keyspace-events.
func parseEvents(text string) (bits uint32, ok bool) {
next:
	for i := range len(text) {
		if text[i] == 'A' {
			bits |= ofAll
			continue
		}
		for _, l := range eventLetters {
			if l.letter == text[i] {
				bits |= l.bit
				continue next
			}
		}
		return 0, false
	}
	return bits, true
}

// formatEvents writes it.
func formatEvents(bits uint32) string {
	var b strings.Builder
	all := bits&ofAll == ofAll
	if all {
		b.WriteByte('A')
	}
	for _, l := range eventLetters {
		if bits&l.bit != 0 && !(all && l.bit&(ofAll|ofNew) != 0) {
			b.WriteByte(l.letter)
		}
	}
	return b.String()
}

// rowNotify changes notify-keyspace-events, for CONFIG SET.
var rowNotify = Command{
	Name: "config|set", Flags: Admin | NoScript | Loading, reply: replyOK,
	write: func(q *request) (op.Write, error) {
		bits, ok := parseEvents(string(q.args[0]))
		if !ok {
			return nil, failure("ERR CONFIG SET failed (possibly related to argument 'notify-keyspace-events') - Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
		}
		return &op.Notify{Events: bits}, nil
	},
}

// setEvents changes notify-keyspace-events; the answer comes when it holds.
func (s *Session) setEvents(value []byte, b []byte) []byte {
	o, err := rowNotify.write(&request{args: [][]byte{value}})
	switch {
	case err != nil:
		return resp.Err(b, err.Error())
	case s.executing: // there is one answer to all of it
		s.e.Write(o, unanswered{})
		return append(b, "+OK\r\n"...)
	}
	s.begin(&work{calls: []call{copyCall(&rowNotify, [][]byte{value})}})
	return b
}

// unanswered is a Writer of whom nobody waits for an answer.
type unanswered struct{}

func (unanswered) Done(*op.Result, error) {}

// event is something that happens to a key, in Redis's words.
type event struct {
	class uint32
	name  string
}

// events has all of them. A note holds their numbers.
var events = []event{
	{ofGeneric, "del"}, {ofGeneric, "expire"}, {ofGeneric, "persist"}, {ofGeneric, "rename_from"}, {ofGeneric, "rename_to"}, {ofGeneric, "move_from"},
	{ofGeneric, "move_to"}, {ofGeneric, "copy_to"}, {ofGeneric, "restore"}, {ofExpired, "expired"}, {ofEvicted, "evicted"}, {ofNew, "new"},
	{ofString, "set"}, {ofString, "append"}, {ofString, "setrange"}, {ofString, "incrby"}, {ofString, "setbit"},
	{ofHash, "hset"}, {ofHash, "hdel"}, {ofHash, "hincrby"},
	{ofSet, "sadd"}, {ofSet, "srem"}, {ofSet, "spop"}, {ofSet, "sunionstore"}, {ofSet, "sinterstore"}, {ofSet, "sdiffstore"},
	{ofList, "lpush"}, {ofList, "rpush"}, {ofList, "lpop"}, {ofList, "rpop"}, {ofList, "lset"}, {ofList, "linsert"}, {ofList, "lrem"}, {ofList, "ltrim"}, {ofList, "sortstore"},
	{ofSorted, "zadd"}, {ofSorted, "zincr"}, {ofSorted, "zrem"}, {ofSorted, "zremrangebyrank"}, {ofSorted, "zremrangebyscore"}, {ofSorted, "zremrangebylex"},
	{ofSorted, "zpopmin"}, {ofSorted, "zpopmax"}, {ofSorted, "zunionstore"},
}

// numbered finds the numbers of events by name.
var numbered = func() map[string]byte {
	m := map[string]byte{}
	for i, e := range events {
		m[e.name] = byte(i)
	}
	return m
}()

// noteEvents appends the numbers of the events of c that are to be told.
func noteEvents(b []byte, c *op.Change) []byte {
	add := func(name string) {
		if n := numbered[name]; events[n].class&c.Events != 0 {
			b = append(b, n)
		}
	}
	switch c.How {
	case op.Expired:
		add("expired")
		return b
	case op.Evicted:
		add("evicted")
		return b
	case op.Created:
		add("new")
	}
	if name := eventOf(c); name != "" {
		add(name)
	}
	switch {
	case c.How == op.Removed:
		if _, moved := c.Op.(*op.Rename); !moved {
			add("del")
		}
	case expires(c.Op):
		add("expire")
	}
	return b
}

// expires says whether o gives a string a deadline besides its value.
func expires(o op.Op) bool {
	set, ok := o.(*op.Set)
	return ok && set.Life.Kind >= op.In
}

// eventOf names what was done to the key, empty if that is only that it is gone.
func eventOf(c *op.Change) string {
	gone := c.How == op.Removed
	switch o := c.Op.(type) {
	case *op.Set, *op.SetMany:
		return unless(gone, "set")
	case *op.Splice:
		return "append"
	case *op.SetRange:
		return "setrange"
	case *op.IncrBy:
		return "incrby"
	case *op.SetBit:
		return "setbit"
	case *op.Expire:
		if o.Life.Kind == op.Forever {
			return "persist"
		}
		return unless(gone, "expire")
	case *op.Rename:
		return eventOfRename(o, gone)
	case *op.HashSet:
		return "hset"
	case *op.HashIncrBy:
		return "hincrby"
	case *op.HashDelete:
		return "hdel"
	case *op.SetAdd:
		return "sadd"
	case *op.SetRemove:
		return "srem"
	case *op.SetPop:
		return "spop"
	case *op.SetMove:
		return either(same(c.Key, o.From), "srem", "sadd")
	case *op.SetStore:
		return unless(gone, [...]string{op.Union: "sunionstore", op.Intersection: "sinterstore", op.Difference: "sdiffstore"}[o.How])
	case *op.Store:
		return unless(gone, eventOfStore(o.Of))
	case *op.ListPush:
		return either(o.Front, "lpush", "rpush")
	case *op.ListPop:
		return either(o.Front, "lpop", "rpop")
	case *op.ListMove:
		if same(c.Key, o.To) && !gone {
			return either(o.Front, "lpush", "rpush")
		}
		return either(o.FromFront, "lpop", "rpop")
	case *op.ListSet:
		return "lset"
	case *op.ListInsert:
		return "linsert"
	case *op.ListRemove:
		return "lrem"
	case *op.ListTrim:
		return "ltrim"
	case *op.SortedAdd:
		return either(o.Incr, "zincr", "zadd")
	case *op.SortedRemove:
		return "zrem"
	case *op.SortedCut:
		return [...]string{op.ByRank: "zremrangebyrank", op.ByScore: "zremrangebyscore", op.ByLex: "zremrangebylex"}[o.Range.By]
	case *op.SortedPop:
		return either(o.Max, "zpopmax", "zpopmin")
	}
	return ""
}

func unless(not bool, name string) string {
	if not {
		return ""
	}
	return name
}

func either(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}

func same(a, b op.Key) bool { return a.Space == b.Space && string(a.Name) == string(b.Name) }

func eventOfRename(o *op.Rename, gone bool) string {
	switch {
	case o.Copy:
		return "copy_to"
	case o.From.Space != o.To.Space:
		return either(gone, "move_from", "move_to")
	}
	return either(gone, "rename_from", "rename_to")
}

// eventOfStore names the putting in place of a whole value, by its type: several commands come to that.
func eventOfStore(t op.Type) string {
	switch t {
	case op.List:
		return "sortstore"
	case op.Sorted:
		return "zunionstore"
	}
	return "restore"
}

// meansKeys says whether a subscription may get events of keys.
func meansKeys(t to, name string) bool {
	const common = "__key"
	switch t {
	case toChannels:
		return strings.HasPrefix(name, common)
	case toPatterns:
		plain := name
		if i := strings.IndexAny(name, `*?[\`); i >= 0 {
			plain = name[:i]
		}
		return strings.HasPrefix(plain, common) || strings.HasPrefix(common, plain)
	}
	return false
}

// announce brings the events of a key to those who listen, at the channels that which names. Caller holds board.mu.
func (h *hub) announce(which uint32, numbers []byte, space op.Space, name []byte) {
	for _, n := range numbers {
		e := &events[n]
		if which&eventsByKey != 0 {
			h.bring(toChannels, fmt.Appendf(nil, "__keyspace@%d__:%s", space, name), []byte(e.name))
		}
		if which&eventsByName != 0 {
			h.bring(toChannels, fmt.Appendf(nil, "__keyevent@%d__:%s", space, e.name), name)
		}
	}
}
