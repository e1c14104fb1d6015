package redis

import (
	"errors"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"holdfast/engine"
	"holdfast/op"
	"holdfast/resp"
)

// A command that waits for a key is an op that is tried when there may be something for it: at first, and whenever the key gets something. Who waits longest at this
// member is tried first, and the next one only when he has got something or found nothing; members compete with each other. Inside MULTI and scripts nothing
// waits: there the op is carried out once.

const blockFlags = Write | NoScript | Blocking

var blockingLists = []Command{
	{Name: "blpop", Arity: -3, Keys: Keys{1, -2, 1}, Flags: blockFlags, Needed: "queues", write: parseBlockingPop(true), reply: replyBlockingPop},
	{Name: "brpop", Arity: -3, Keys: Keys{1, -2, 1}, Flags: blockFlags, Needed: "queues", write: parseBlockingPop(false), reply: replyBlockingPop},
	{Name: "blmove", Arity: 6, Keys: two, Flags: blockFlags | DenyOOM, Needed: "reliable queues", write: timed(parseListMove), reply: replyValue},
	{Name: "brpoplpush", Arity: 4, Keys: two, Flags: blockFlags | DenyOOM, Needed: "reliable queues", write: timed(parsePopPush), reply: replyValue},
	{Name: "blmpop", Arity: -5, Flags: Write | Blocking | MovingKeys, numbered: 2, Needed: "queues", write: timedFirst(parseListMPop), reply: replyListMPop},
}

var blockingSorted = []Command{
	{Name: "bzpopmin", Arity: -3, Keys: Keys{1, -2, 1}, Flags: blockFlags | Fast, Needed: "queues", write: parseBlockingZPop(false), reply: replyBlockingZPop},
	{Name: "bzpopmax", Arity: -3, Keys: Keys{1, -2, 1}, Flags: blockFlags | Fast, Needed: "queues", write: parseBlockingZPop(true), reply: replyBlockingZPop},
	{Name: "bzmpop", Arity: -5, Flags: Write | Blocking | MovingKeys, numbered: 2, Needed: "queues", write: timedFirst(parseZMPop), reply: replyZMPop},
}

// parseTimeout reads seconds; 0 is for ever.
func parseTimeout(b []byte) (time.Duration, error) {
	f, inf, ok := parseFloat(b)
	if !ok {
		return 0, failure("ERR timeout is not a float or out of range")
	}
	if inf {
		return 0, failure("ERR timeout is out of range")
	}
	switch s, _ := f.Float64(); {
	case s*1000 > math.MaxInt64:
		return 0, failure("ERR timeout is out of range")
	case s < 0:
		return 0, failure("ERR timeout is negative")
	default:
		ms := int64(math.Ceil(s * 1000))
		return time.Duration(min(ms, math.MaxInt64/int64(time.Millisecond))) * time.Millisecond, nil
	}
}

func parseBlockingPop(front bool) func(*request) (op.Write, error) {
	return func(q *request) (op.Write, error) {
		keys, err := q.keysAndTimeout()
		q.ops.listPop = op.ListPop{Keys: keys, Count: 1, Front: front}
		return &q.ops.listPop, err
	}
}

func parseBlockingZPop(most bool) func(*request) (op.Write, error) {
	return func(q *request) (op.Write, error) {
		keys, err := q.keysAndTimeout()
		return &op.SortedPop{Keys: keys, Count: 1, Max: most}, err
	}
}

// keysAndTimeout reads "key... timeout" from argument 1 on.
func (q *request) keysAndTimeout() ([]op.Key, error) {
	last := len(q.args) - 1
	_, err := parseTimeout(q.args[last])
	q.ops.keys = q.ops.keys[:0]
	for i := 1; i < last; i++ {
		q.ops.keys = append(q.ops.keys, q.key(i))
	}
	return q.ops.keys, err
}

// timed is parse with a timeout behind its arguments.
func timed(parse func(*request) (op.Write, error)) func(*request) (op.Write, error) {
	return func(q *request) (op.Write, error) {
		o, err := parse(q)
		if err == nil {
			_, err = parseTimeout(q.args[len(q.args)-1])
		}
		return o, err
	}
}

// timedFirst is parse with a timeout before its arguments.
func timedFirst(parse func(*request) (op.Write, error)) func(*request) (op.Write, error) {
	return func(q *request) (op.Write, error) {
		if _, err := parseTimeout(q.args[1]); err != nil {
			return nil, err
		}
		all := q.args
		defer func() { q.args = all }()
		q.args = all[1:]
		return parse(q)
	}
}

func replyBlockingPop(b []byte, a answer, res *op.Result) []byte {
	if res.Status != op.OK {
		return a.NullArray(b)
	}
	return resp.Bulk(resp.Bulk(resp.Array(b, 2), res.Value), res.List[0].Value)
}

func replyBlockingZPop(b []byte, a answer, res *op.Result) []byte {
	if res.Status != op.OK {
		return a.NullArray(b)
	}
	r := &res.List[0]
	return a.score(resp.Bulk(resp.Bulk(resp.Array(b, 3), res.Value), r.Value), r)
}

// blocked is a command that waits for a key. Only its session's worker touches it, but for signals; lines (below) are guarded by board.mu.
type blocked struct {
	s     *Session
	call  call
	space op.Space
	keys  []op.Key // one of which must get something
	kind  op.Type  // of that type
	hush  bool
	stop  func() // of its timer, nil without one

	stage   blockStage
	first   bool   // it has not been looked at before
	since   moment // when the op was given to the engine
	seen    glance
	out     []byte // the reply
	err     error  // in place of one
	signals atomic.Uint32
}

type blockStage uint8

const (
	looking blockStage = iota // whether there is something
	trying                    // the op is with the engine
	resting                   // until a signal
	settled
)

// Signals to a blocked command, from any goroutine.
const (
	signalKey     uint32 = 1 << iota // one of its keys got something, and it is its turn
	signalTime                       // its time is over
	signalUnblock                    // CLIENT UNBLOCK
	signalError                      // CLIENT UNBLOCK ERROR
)

func (b *blocked) signal(what uint32) {
	b.signals.Or(what)
	b.s.conn.Wake()
}

// glance takes the type of a key.
type glance struct {
	*Session
	kind op.Type
}

func (g *glance) Show(res *op.Result) { g.kind = op.Type(res.Int) }

// block begins to wait. The arguments are sound.
func (s *Session) block(row *Command, o op.Write) {
	b := &blocked{s: s, call: copyCall(row, s.req.args), space: s.space, hush: s.quiet(), first: true}
	b.seen.Session = s
	s.began(row)
	b.kind = op.List
	switch o := o.(type) {
	case *op.ListMove:
		b.keys = []op.Key{o.From}
	case *op.SortedPop:
		b.kind, b.keys = op.Sorted, o.Keys
	case *op.ListPop:
		b.keys = o.Keys
	}
	b.keys = b.own(b.keys)
	at := len(b.call.args) - 1
	if row.numbered > 0 {
		at = 1
	}
	if d, _ := parseTimeout(b.call.args[at]); d > 0 {
		b.stop = s.conn.After(d, func() { b.signal(signalTime) })
	}
	s.blocked.Store(b)
	s.d.hub.queueUp(b)
}

// own copies keys, without those that come twice.
func (b *blocked) own(keys []op.Key) (own []op.Key) {
	had := map[string]bool{}
	for _, k := range keys {
		if !had[string(k.Name)] {
			had[string(k.Name)] = true
			own = append(own, op.Key{Space: k.Space, Name: []byte(string(k.Name))})
		}
	}
	return own
}

// unblocked goes on with the blocked command and says whether it is over.
func (s *Session) unblocked() bool {
	b := s.blocked.Load()
	for b.stage != settled {
		switch b.stage {
		case trying:
			return false
		case looking:
			if !b.look() {
				return false
			}
		case resting:
			if !b.rest() {
				return false
			}
		}
	}
	s.leave()
	mark := len(s.out)
	switch {
	case errors.Is(b.err, engine.ErrUncertain):
		s.closing = true
	case b.err != nil:
		s.out = resp.Err(s.out, b.err.Error())
	default:
		s.out = append(s.out, b.out...)
	}
	s.answered(b.call.row, b.since, b.call.args, s.isError(s.out[mark:]))
	if b.hush {
		s.out = s.out[:mark]
	}
	return true
}

// leave ends waiting.
func (s *Session) leave() {
	b := s.blocked.Swap(nil)
	if b == nil {
		return
	}
	if b.stop != nil {
		b.stop()
	}
	s.d.hub.stepOut(b)
}

// look looks for a key that has something, whose turn it is for. False means that a Wake will come.
func (b *blocked) look() bool {
	s := b.s
	b.signals.And(^signalKey)
	for i, first := range s.d.hub.firsts(b) {
		if !first && !b.first {
			continue
		}
		if !s.e.Read(&op.TypeOf{Key: b.keys[i]}, &b.seen) {
			s.waiting = true
			return false
		}
		switch b.seen.kind {
		case 0:
		case b.kind:
			if first {
				b.try(b.keys[i])
				return true
			}
		default:
			if b.first {
				b.fail(errWrongType)
				return true
			}
		}
	}
	b.stage, b.first = resting, false
	return true
}

// try has the op carried out, for key alone.
func (b *blocked) try(key op.Key) {
	q := request{args: b.call.args, space: b.space, ops: &b.s.desk.ops}
	o, _ := b.call.row.write(&q)
	b.call.form = q.form
	switch o := o.(type) {
	case *op.ListPop:
		o.Keys = []op.Key{key}
	case *op.SortedPop:
		o.Keys = []op.Key{key}
	}
	b.stage, b.first = trying, false
	b.since = moment{b.s.d.clock.Now(), 1}
	b.s.e.Write(o, b.s)
}

// carried takes the outcome.
func (b *blocked) carried(res *op.Result, err error) {
	switch {
	case errors.Is(err, engine.ErrUncertain):
		b.fail(err)
	case err != nil:
		b.fail(failure(unavailable(err)))
	case res.Status == op.Missing: // somebody else was faster; another of its keys may have something
		b.stage, b.since = looking, moment{}
	default:
		b.stage = settled
		b.out = b.call.row.appendReply(nil, answer{b.s.v, b.call.form, b.s.d}, res)
	}
}

func (b *blocked) fail(err error) { b.stage, b.err = settled, err }

// rest heeds signals; false means that there are none.
func (b *blocked) rest() bool {
	switch got := b.signals.Load(); {
	case got&signalKey != 0:
		b.stage = looking
	case got&signalError != 0:
		b.fail(failure("UNBLOCKED client unblocked via CLIENT UNBLOCK"))
	case got&(signalTime|signalUnblock) != 0:
		b.stage = settled
		b.out = b.s.v.NullArray(nil)
	default:
		return false
	}
	return true
}

// lines are the commands that wait, by key and type, and in the order in which they came: who waits for a sorted set does not stand in the way of who waits for
// a list.
type lines map[line][]*blocked

type line struct {
	kind op.Type
	key  string // by lineOf
}

// lineOf is a key as one string.
func lineOf(space op.Space, name []byte) string { return string(append([]byte{byte(space)}, name...)) }

func (h *hub) queueUp(b *blocked) {
	h.board.mu.Lock()
	defer h.board.mu.Unlock()
	if h.board.lines == nil {
		h.board.lines = lines{}
	}
	for _, k := range b.keys {
		id := line{b.kind, lineOf(k.Space, k.Name)}
		h.board.lines[id] = append(h.board.lines[id], b)
	}
	h.look()
}

// stepOut takes b out; who comes first now is tried.
func (h *hub) stepOut(b *blocked) {
	h.board.mu.Lock()
	defer h.board.mu.Unlock()
	for _, k := range b.keys {
		id := line{b.kind, lineOf(k.Space, k.Name)}
		all := h.board.lines[id]
		first := all[0] == b
		kept := slices.DeleteFunc(all, func(other *blocked) bool { return other == b })
		if len(kept) == 0 {
			delete(h.board.lines, id)
			continue
		}
		h.board.lines[id] = kept
		if first {
			kept[0].signal(signalKey)
		}
	}
	h.look()
}

// firsts says of each key of b whether nobody has waited longer for it.
func (h *hub) firsts(b *blocked) []bool {
	h.board.mu.Lock()
	defer h.board.mu.Unlock()
	firsts := make([]bool, len(b.keys))
	for i, k := range b.keys {
		firsts[i] = h.board.lines[line{b.kind, lineOf(k.Space, k.Name)}][0] == b
	}
	return firsts
}

// callFirst has who waits longest for a key tried, of each type. Caller holds board.mu.
func (h *hub) callFirst(space op.Space, name []byte) {
	if len(h.board.lines) == 0 {
		return
	}
	key := lineOf(space, name)
	for _, kind := range [...]op.Type{op.List, op.Sorted} {
		if all := h.board.lines[line{kind, key}]; len(all) > 0 {
			all[0].signal(signalKey)
		}
	}
}

// callAll does so for all keys. Caller holds board.mu.
func (h *hub) callAll() {
	for _, all := range h.board.lines {
		all[0].signal(signalKey)
	}
}

// clientUnblock ends the waiting of another connection.
func clientUnblock(s *Session, q *request, b []byte) []byte {
	what := signalUnblock
	switch {
	case len(q.args) == 4 && is(q.args[3], "error"):
		what = signalError
	case len(q.args) > 4, len(q.args) == 4 && !is(q.args[3], "timeout"):
		return resp.Err(b, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
	}
	id, ok := resp.Int(q.args[2])
	if !ok {
		return resp.Err(b, string(errInteger))
	}
	s.d.mu.Lock()
	other := s.d.sessions[uint64(id)]
	s.d.mu.Unlock()
	if other == nil {
		return resp.Integer(b, 0)
	}
	waits := other.blocked.Load()
	if waits == nil || waits.signals.Or(what)&(signalUnblock|signalError) != 0 {
		return resp.Integer(b, 0)
	}
	other.conn.Wake()
	return resp.Integer(b, 1)
}
