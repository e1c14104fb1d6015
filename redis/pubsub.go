package redis

import (
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"holdfast/op"
	"holdfast/resp"
)

// A message is an op: it goes through the log, and every member brings it to its own listeners when it applies it, in one order. hub.go is how what was
// applied comes here, push.go how a session says what it was not asked.

const listenFlags = PubSub | NoScript | Loading | Listening

var pubsubCommands = []Command{
	{Name: "subscribe", Arity: -2, Flags: listenFlags, Needed: "whoever listens", conn: subscribe(toChannels)},
	{Name: "psubscribe", Arity: -2, Flags: listenFlags, Needed: "gnocchi, for keyspace events", conn: subscribe(toPatterns)},
	{Name: "ssubscribe", Arity: -2, Flags: listenFlags, Needed: "tools", conn: subscribe(toShards)},
	{Name: "unsubscribe", Arity: -1, Flags: listenFlags, Needed: "whoever listens", conn: unsubscribe(toChannels)},
	{Name: "punsubscribe", Arity: -1, Flags: listenFlags, Needed: "whoever listens", conn: unsubscribe(toPatterns)},
	{Name: "sunsubscribe", Arity: -1, Flags: listenFlags, Needed: "tools", conn: unsubscribe(toShards)},
	{Name: "publish", Arity: 3, Flags: PubSub | Fast | Loading, Needed: "whoever tells", write: publish(false), reply: replyHeard(toChannels)},
	{Name: "spublish", Arity: 3, Flags: PubSub | Fast | Loading, Needed: "tools", write: publish(true), reply: replyHeard(toShards)},
	{Name: "pubsub", Arity: -2, Needed: "exporters, people", subs: []Command{
		{Name: "channels", Arity: -2, Flags: PubSub | Loading, Needed: "people", conn: pubsubChannels(toChannels)},
		{Name: "numpat", Arity: 2, Flags: PubSub | Loading, Needed: "people", conn: pubsubNumPat},
		{Name: "numsub", Arity: -2, Flags: PubSub | Loading, Needed: "people", conn: pubsubNumSub(toChannels)},
		{Name: "shardchannels", Arity: -2, Flags: PubSub | Loading, Needed: "people", conn: pubsubChannels(toShards)},
		{Name: "shardnumsub", Arity: -2, Flags: PubSub | Loading, Needed: "people", conn: pubsubNumSub(toShards)},
		{Name: "help", Arity: 2, Flags: Loading, Needed: "people", conn: help("PUBSUB", "CHANNELS [<pattern>]", "    Return the currently active channels matching a <pattern> (default: '*').",
			"NUMPAT", "    Return number of subscriptions to patterns.", "NUMSUB [<channel> ...]", "    Return the number of subscribers for the specified channels, excluding",
			"    pattern subscriptions(default: no channels).", "SHARDCHANNELS [<pattern>]", "    Return the currently active shard level channels matching a <pattern> (default: '*').",
			"SHARDNUMSUB [<shardchannel> ...]", "    Return the number of subscribers for the specified shard level channel(s)")},
	}},
}

// Bounds of the channels and patterns of one session; less for one who asks a Sentinel, and needed no password.
const (
	maxSubscriptions = 1 << 20
	maxOfStranger    = 64
)

// to is what can be listened to.
type to uint8

const (
	toChannels to = iota
	toPatterns
	toShards
	tos = 3
)

// words are those of the replies and messages.
var words = [tos]struct{ on, off, message string }{
	{"subscribe", "unsubscribe", "message"}, {"psubscribe", "punsubscribe", "pmessage"}, {"ssubscribe", "sunsubscribe", "smessage"},
}

// listeners are who listens to what.
type listeners map[string]map[*Session]struct{}

func (l listeners) add(name string, s *Session) {
	if l[name] == nil {
		l[name] = map[*Session]struct{}{}
	}
	l[name][s] = struct{}{}
}

func (l listeners) remove(name string, s *Session) {
	if delete(l[name], s); len(l[name]) == 0 {
		delete(l, name)
	}
}

// board is the subscriptions of all sessions.
type board struct {
	mu    sync.Mutex // held while something is told, so that nothing comes after the reply to an unsubscription
	lists [tos]listeners
	keys  int // subscriptions that may mean keyspace events
	lines lines
	readers
}

// ears are what one session listens to. Only its worker touches them, but for the counts.
type ears struct {
	names  [tos]map[string]struct{}
	counts [tos]atomic.Int64 // of them
}

// total counts all subscriptions. Any goroutine may ask.
func (e *ears) total() (n int64) {
	for t := range e.counts {
		n += e.counts[t].Load()
	}
	return n
}

// replied counts as the replies of Redis do: channels and patterns together.
func (e *ears) replied(t to) int64 {
	if t == toShards {
		return int64(len(e.names[toShards]))
	}
	return int64(len(e.names[toChannels]) + len(e.names[toPatterns]))
}

func subscribe(t to) func(*Session, *request, []byte) []byte {
	return func(s *Session, q *request, b []byte) []byte {
		most := int64(maxSubscriptions)
		if s.asked {
			most = maxOfStranger
		}
		if s.ears.total()+int64(len(q.args)-1) > most {
			return resp.Err(b, "ERR too many subscriptions: UNSUBSCRIBE some first")
		}
		for _, a := range q.args[1:] {
			s.listen(t, string(a))
			b = resp.Integer(resp.Bulk(resp.Bulk(s.v.Push(b, 3), words[t].on), a), s.ears.replied(t))
		}
		return b
	}
}

func (s *Session) listen(t to, name string) {
	e := &s.ears
	if _, has := e.names[t][name]; has {
		return
	}
	if e.names[t] == nil {
		e.names[t] = map[string]struct{}{}
	}
	e.names[t][name] = struct{}{}
	e.counts[t].Add(1)
	if s.asked { // a Sentinel's news are of failovers, of which there are none; all else that is told is of the data
		return
	}
	h := &s.d.hub
	h.board.mu.Lock()
	defer h.board.mu.Unlock()
	if h.board.lists[t] == nil {
		h.board.lists[t] = listeners{}
	}
	h.board.lists[t].add(name, s)
	if meansKeys(t, name) {
		h.board.keys++
	}
	h.look()
}

// deafen ends a subscription and says whether there was one.
func (s *Session) deafen(t to, name string) bool {
	e := &s.ears
	if _, has := e.names[t][name]; !has {
		return false
	}
	delete(e.names[t], name)
	e.counts[t].Add(-1)
	if s.asked {
		return true
	}
	h := &s.d.hub
	h.board.mu.Lock()
	defer h.board.mu.Unlock()
	h.board.lists[t].remove(name, s)
	if meansKeys(t, name) {
		h.board.keys--
	}
	h.look()
	return true
}

// deafenAll ends all subscriptions.
func (s *Session) deafenAll() {
	for t := range to(tos) {
		for name := range s.ears.names[t] {
			s.deafen(t, name)
		}
	}
}

func unsubscribe(t to) func(*Session, *request, []byte) []byte {
	return func(s *Session, q *request, b []byte) []byte {
		names := q.args[1:]
		if len(names) == 0 {
			for _, name := range slices.Sorted(maps.Keys(s.ears.names[t])) {
				names = append(names, []byte(name))
			}
		}
		for _, name := range names {
			s.deafen(t, string(name))
			if !s.executing { // there it would be in the middle of a reply
				b = s.unload(b) // what came for it before
			}
			b = resp.Integer(resp.Bulk(resp.Bulk(s.v.Push(b, 3), words[t].off), name), s.ears.replied(t))
		}
		if len(names) == 0 {
			b = resp.Integer(s.v.Null(resp.Bulk(s.v.Push(b, 3), words[t].off)), s.ears.replied(t))
		}
		return b
	}
}

func publish(shard bool) func(*request) (op.Write, error) {
	return func(q *request) (op.Write, error) {
		return &op.Publish{Channel: q.args[1], Message: q.args[2], Shard: shard}, nil
	}
}

// replyHeard counts the listeners at this controller, as Redis counts those of the server that was asked.
func replyHeard(t to) func([]byte, answer, *op.Result) []byte {
	return func(b []byte, a answer, res *op.Result) []byte { return resp.Integer(b, a.d.hub.count(t, res.Value)) }
}

// count says how many would get a message for a channel.
func (h *hub) count(t to, channel []byte) (n int64) {
	h.board.mu.Lock()
	defer h.board.mu.Unlock()
	n = int64(len(h.board.lists[t][string(channel)]))
	if t == toChannels {
		for pattern, who := range h.board.lists[toPatterns] {
			if op.Match([]byte(pattern), channel) {
				n += int64(len(who))
			}
		}
	}
	return n
}

// bring brings a message to those who listen. Caller holds board.mu.
func (h *hub) bring(t to, channel, message []byte) {
	if who := h.board.lists[t][string(channel)]; len(who) > 0 {
		h.fan(who, func(b []byte, v resp.Version) []byte {
			return resp.Bulk(resp.Bulk(resp.Bulk(v.Push(b, 3), words[t].message), channel), message)
		})
	}
	if t != toChannels {
		return
	}
	for pattern, who := range h.board.lists[toPatterns] {
		if op.Match([]byte(pattern), channel) {
			h.fan(who, func(b []byte, v resp.Version) []byte {
				return resp.Bulk(resp.Bulk(resp.Bulk(resp.Bulk(v.Push(b, 4), words[toPatterns].message), pattern), channel), message)
			})
		}
	}
}

// fan pushes what write writes to each of who; it is written once for each version of the protocol.
func (h *hub) fan(who map[*Session]struct{}, write func([]byte, resp.Version) []byte) {
	var texts [resp.V3 + 1][]byte
	for s := range who {
		v := s.face.Load().v
		if texts[v] == nil {
			texts[v] = write(nil, v)
		}
		s.push(texts[v])
	}
}

func pubsubChannels(t to) func(*Session, *request, []byte) []byte {
	return func(s *Session, q *request, b []byte) []byte {
		if len(q.args) > 3 {
			return resp.Err(b, "ERR unknown subcommand or wrong number of arguments for '"+string(q.args[1])+"'. Try PUBSUB HELP.")
		}
		board := &s.d.hub.board
		board.mu.Lock()
		defer board.mu.Unlock()
		var names []string
		for name := range board.lists[t] {
			if len(q.args) == 2 || op.Match(q.args[2], []byte(name)) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		b = resp.Array(b, len(names))
		for _, name := range names {
			b = resp.Bulk(b, name)
		}
		return b
	}
}

func pubsubNumSub(t to) func(*Session, *request, []byte) []byte {
	return func(s *Session, q *request, b []byte) []byte {
		board := &s.d.hub.board
		board.mu.Lock()
		defer board.mu.Unlock()
		b = resp.Array(b, 2*(len(q.args)-2))
		for _, a := range q.args[2:] {
			b = resp.Integer(resp.Bulk(b, a), int64(len(board.lists[t][string(a)])))
		}
		return b
	}
}

func pubsubNumPat(s *Session, _ *request, b []byte) []byte {
	board := &s.d.hub.board
	board.mu.Lock()
	defer board.mu.Unlock()
	return resp.Integer(b, int64(len(board.lists[toPatterns])))
}

// listening says whether the session may only listen: with the older protocol a message cannot be told from a reply.
func (s *Session) listening() bool { return s.v == resp.V2 && s.ears.total() > 0 }

// pong is the answer to PING while the session may only listen.
func (s *Session) pong(q *request, b []byte) []byte {
	b = resp.Bulk(resp.Array(b, 2), "pong")
	if len(q.args) == 2 {
		return resp.Bulk(b, q.args[1])
	}
	return resp.Bulk(b, "")
}

// appendText appends a length and text, cutText takes them off.
func appendText(b, text []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

func cutText(b []byte) (text, rest []byte) {
	n, w := binary.Uvarint(b)
	return b[w : w+int(n)], b[w+int(n):]
}
