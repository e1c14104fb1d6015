package sim

import (
	"bytes"
	"math"
	"slices"
	"strconv"

	"holdfast/op"
	"holdfast/replica"
)

// action is what a client can do to a cell. A cell is a key, or two that are only used together: then its value is two numbers.
type action uint8

const (
	get      action = iota
	set             // to a value that nobody else sets
	setLife         // the same, for a while
	setNX           // takes a lock, for a while: only if it is free
	swap            // sets if the value is still what the client has seen set last, by its version
	unlock          // deletes if the value is still the client's own, by its version
	del             // deletes
	getSet          // sets, and gives the old value
	incr            // adds one
	setBoth         // a transaction: both numbers of a pair
	readBoth        // a transaction in one read
	moveOne         // a transaction: takes one from the first, adds it to the second, gives both
	expire          // nobody's: what the group does by itself
)

var actionNames = [...]string{"get", "set", "set for a while", "take", "swap", "release", "delete", "get and set", "add one", "set both", "read both", "move one", "expiry"}

// cell is a thing that is read and written by itself.
type cell struct {
	name    string
	actions []action // what is done to it; one that stands there twice is done twice as often
}

// cells are few, so that clients meet.
var cells = []cell{
	{"a", []action{get, get, get, set, set, del, getSet, swap}},
	{"b", []action{get, get, get, set, setLife, setLife}},
	{"l", []action{setNX, setNX, unlock, get}},
	{"n", []action{get, incr, incr}},
	{"p", []action{readBoth, readBoth, setBoth, moveOne, moveOne}},
}

const absent = math.MinInt64

// value is what a cell holds: one number, or two. absent is none.
type value [2]int64

// call is one op of a client, and what came of it.
type call struct {
	id      int
	client  *client
	m       *machine
	cell    int
	do      action
	put     int64  // what it writes
	life    int64  // ms
	version uint64 // what swap and unlock ask for
	expects int64  // the value that has this version

	begin, end int   // order of things in the history; end is 0 while it is not answered
	out        value // what it was told
	ok         bool  // a condition held
	newVersion uint64
	deadline   int64 // of what it set, Unix ms
	state      outcome
	local      bool // answered under a lease
	since      int64
}

type outcome uint8

const (
	waiting outcome = iota
	answered
	unknown // it may be carried out, now or later, or never
	never   // it was not carried out and will not be; or a read that was given up
)

// client asks one thing after the other, at any member.
type client struct {
	w       *World
	n       int
	home    *machine
	call    *call
	asked   int
	last    int // asks no more than that
	turn    int // counts what it began, so that an old timeout does not end a new call
	seen    []*call
	pending bool // a next call is on its way
}

func newClient(w *World, n int) *client {
	c := &client{w: w, n: n, home: w.machines[n%len(w.machines)], last: w.plan.Asks}
	if c.last == 0 {
		c.last = 60
	}
	c.seen = make([]*call, len(cells))
	c.wake()
	return c
}

// wake has the client ask its next question soon.
func (c *client) wake() {
	if c.pending || c.call != nil {
		return
	}
	c.pending = true
	think := c.w.plan.Think
	if think == 0 {
		think = 60 * ms
	}
	if c.w.calm {
		think = 40 * ms
	}
	c.w.after(c.w.between(0, think), func() {
		c.pending = false
		c.ask()
	})
}

// ask does the next thing, at the usual member or another one.
func (c *client) ask() {
	w := c.w
	if c.asked >= c.last || c.call != nil {
		return
	}
	m := c.home
	if m.r == nil || w.chance(20) {
		m = w.machines[w.rng.IntN(len(w.machines))]
		if w.chance(30) {
			c.home = m
		}
	}
	if m.r == nil {
		c.wake()
		return
	}
	c.asked++
	c.turn++
	x := &call{client: c, m: m, id: len(w.history.calls), cell: w.rng.IntN(len(cells)), since: w.now, out: value{absent, absent}}
	w.pick(x)
	c.call, m = x, x.m
	if m.r == nil {
		m, x.m = c.home, c.home
	}
	x.begin = w.history.next()
	w.history.calls = append(w.history.calls, x)
	w.tell(m, x.words(), "op %d begins", uint64(x.id))
	m.coming = append(m.coming, x)
	m.after(0, func() { m.take(x) })
	patience := w.plan.Patience
	if patience == 0 {
		patience = 300 * ms
	}
	if !x.do.reads() {
		patience = max(patience, s) // what is given up is of unknown outcome: that makes the check hard
	}
	if !w.calm && w.chance(70) || w.plan.Patience != 0 {
		turn := c.turn
		w.after(w.between(patience, 6*patience), func() {
			if c.turn == turn && x.state == waiting {
				x.giveUp()
			}
		})
	}
}

// pick decides what a call does.
func (w *World) pick(x *call) {
	can := cells[x.cell].actions
	x.do = can[w.rng.IntN(len(can))]
	if w.plan.Pick != nil && !w.calm {
		w.plan.Pick(w, x)
	}
	x.put = int64(x.id) + 1
	x.life = w.between(60, 600)
	x.expects = absent
	if last := x.client.seen[x.cell]; last != nil {
		x.version, x.expects = last.newVersion, last.put
	} else if x.do == swap || x.do == unlock {
		x.do = get
	}
}

// giveUp ends the waiting of a client; a write may still be carried out.
func (x *call) giveUp() {
	m := x.m
	if m.r != nil && !x.do.reads() {
		for _, b := range m.batches {
			if len(b.calls) == 1 && b.calls[0] == x && m.r.Withdraw(&b.Batch) {
				m.batches = slices.DeleteFunc(m.batches, func(o *batch) bool { return o == b })
				x.finish(never)
				return
			}
		}
	}
	if x.do.reads() {
		x.finish(never)
	} else {
		x.finish(unknown)
	}
}

func (a action) reads() bool { return a == get || a == readBoth }

// refused is the end of a call that was never sent.
func (x *call) refused() { x.finish(never) }

func (x *call) finish(how outcome) {
	if x.state != waiting {
		return
	}
	w := x.client.w
	x.state = how
	if how == answered {
		x.end = w.history.next()
		w.history.acked++
		if x.local {
			w.history.local++
		}
		if x.newVersion != 0 && x.ok {
			x.client.seen[x.cell] = x
		}
	}
	w.tell(x.m, x.words(), "op %d ends", uint64(x.id), uint64(how), uint64(x.out[0]), uint64(x.out[1]))
	if x.client.call == x {
		x.client.call = nil
		x.client.wake()
	}
}

// words says what a call is and what came of it.
func (x *call) words() string {
	if !x.client.w.trace.verbose {
		return ""
	}
	t := "client " + strconv.Itoa(x.client.n) + " " + actionNames[x.do] + " " + cells[x.cell].name
	if !x.do.reads() {
		t += " (" + strconv.FormatInt(x.put, 10) + ")"
	}
	switch x.state {
	case answered:
		t += " = " + x.out.String()
		if !x.ok {
			t += " no"
		}
		if x.local {
			t += " by lease"
		}
	case unknown:
		t += ": outcome unknown"
	case never:
		t += ": given up"
	}
	return t
}

func (v value) String() string {
	return strconv.FormatInt(v[0], 10) + "," + strconv.FormatInt(v[1], 10)
}

// key is the name of a cell's key; a pair has two.
func key(cell, i int) op.Key {
	return op.Key{Name: []byte(cells[cell].name + strconv.Itoa(i))}
}

// write gives the op of a call that writes.
func (x *call) write() op.Write {
	k, v := key(x.cell, 0), strconv.AppendInt(nil, x.put, 10)
	for_ := op.Life{Kind: op.In, Ms: x.life}
	if w := x.client.w; x.do == set && w.aim.stage == wave && !w.calm {
		v = append(v, bytes.Repeat([]byte{' '}, w.plan.Pad)...)
	}
	switch x.do {
	case set:
		return &op.Set{Key: k, Value: v}
	case setLife:
		return &op.Set{Key: k, Value: v, Life: for_}
	case setNX:
		return &op.Set{Key: k, Value: v, Life: for_, Cond: op.Cond{Kind: op.IfAbsent}}
	case swap:
		return &op.Set{Key: k, Value: v, Cond: op.Cond{Kind: op.IfVersion, Version: x.client.w.shared(x)}}
	case unlock:
		return &op.Delete{Keys: []op.Key{k}, Cond: op.Cond{Kind: op.IfVersion, Version: x.client.w.shared(x)}}
	case del:
		return &op.Delete{Keys: []op.Key{k}}
	case getSet:
		return &op.Set{Key: k, Value: v, Get: true}
	case incr:
		return &op.IncrBy{Key: k, Delta: 1}
	}
	var tx op.Tx
	other := key(x.cell, 1)
	if x.do == setBoth {
		tx.Add(&op.Set{Key: k, Value: v})
		tx.Add(&op.Set{Key: other, Value: v})
	} else {
		tx.Add(&op.IncrBy{Key: k, Delta: -1})
		tx.Add(&op.IncrBy{Key: other, Delta: 1})
	}
	return &tx
}

// read gives the op of a call that reads.
func (x *call) read() op.Read {
	if x.do == readBoth {
		return &op.GetMany{Keys: []op.Key{key(x.cell, 0), key(x.cell, 1)}}
	}
	return &op.Get{Key: key(x.cell, 0)}
}

// told takes the result of the op.
func (x *call) told(r *op.Result) {
	x.ok = r.Status == op.OK
	switch x.do {
	case get, getSet:
		x.out[0] = number(r, x.do == get || r.Found)
		x.ok = true
	case set, setLife, setNX, swap:
		if x.ok {
			x.newVersion, x.deadline = r.Version, r.Deadline
		}
	case del:
		x.out[0] = r.Int
	case incr:
		x.out[0] = r.Int
	case readBoth:
		x.out = value{number(&r.List[0], true), number(&r.List[1], true)}
	case moveOne:
		x.out = value{r.List[0].Int, r.List[1].Int}
	}
	if x.do == getSet {
		x.newVersion = r.Version
	}
}

func number(r *op.Result, there bool) int64 {
	if !there || r.Status != op.OK {
		return absent
	}
	v, err := strconv.ParseInt(string(bytes.TrimRight(r.Value, " ")), 10, 64)
	if err != nil {
		return math.MaxInt64 // nothing that anybody has written
	}
	return v
}

// batch is the ops that a member hands to its replica together.
type batch struct {
	replica.Batch
	m     *machine
	calls []*call
	told  int
}

// take begins a call at the machine.
func (m *machine) take(x *call) {
	m.coming = slices.DeleteFunc(m.coming, func(o *call) bool { return o == x })
	if x.state != waiting {
		return
	}
	if x.do.reads() {
		r := &read{call: x, op: x.read()}
		if !m.tryRead(r) {
			m.reads = append(m.reads, r)
		}
		return
	}
	if m.open == nil {
		m.open = &batch{m: m}
		m.open.Sink = m.open
		// What comes in until the end of the pass goes out together.
		wait := int64(0)
		if m.w.plan.SlowPasses || m.w.chance(40) {
			wait = m.w.between(0, 3*ms)
		}
		m.after(wait, m.submit)
	}
	m.open.Ops = x.write().Append(m.open.Ops)
	m.open.calls = append(m.open.calls, x)
}

func (m *machine) submit() {
	b := m.open
	m.open = nil
	if b != nil {
		m.batches = append(m.batches, b)
		m.r.Submit(&b.Batch, m.instant())
	}
}

// Result, Done and Lost are the replica's Sink.
func (b *batch) Result(r *op.Result) {
	b.calls[b.told].told(r)
	b.told++
}

func (b *batch) Done() {
	if b.told != len(b.calls) {
		b.m.w.fail("%s: a batch of %d ops got %d results", b.m.name, len(b.calls), b.told)
	}
	b.m.w.shares(b)
	b.over(answered)
}

func (b *batch) Lost() {
	b.m.w.say(b.m, "a batch of %d ops is lost", uint64(len(b.calls)))
	b.over(unknown)
}

func (b *batch) over(how outcome) {
	n := len(b.m.batches)
	b.m.batches = slices.DeleteFunc(b.m.batches, func(o *batch) bool { return o == b })
	if len(b.m.batches) != n-1 {
		b.m.w.fail("%s: a batch was finished that does not wait", b.m.name)
	}
	for _, x := range b.calls {
		x.finish(how)
	}
}

// lost is the end of the process that waits for b.
func (b *batch) lost() {
	for _, x := range b.calls {
		x.finish(unknown)
	}
}

func (b *batch) refused() {
	for _, x := range b.calls {
		x.refused()
	}
}

// read is a read that waits.
type read struct {
	call   *call
	op     op.Read
	index  uint64 // must be applied first; 0 if something else is waited for
	stamp  int64  // the newest stamp appended when it was checked
	ask    uint64 // number of the question for an index that was sent; 0 if none
	asked  int64  // own Mono of it
	due    bool   // waits for an expiry
	local  bool
	passed bool // has been checked: once index is applied it is answered without another check
}

// tryRead answers a read if that is allowed now, or says what it waits for.
func (m *machine) tryRead(r *read) bool {
	now := m.instant()
	until := m.r.ReadableUntil(now)
	if until <= now.Mono {
		m.askIndex(r, now)
		return false
	}
	r.index, r.stamp = m.r.Pending(r.op)
	r.passed, r.local, r.ask = true, true, 0
	return m.finishRead(r, now)
}

// finishRead answers a read that has its pass, if what it waits for is there.
func (m *machine) finishRead(r *read, now replica.Instant) bool {
	if m.r.Applied() < r.index {
		return false
	}
	present := max(m.r.Present(now), r.stamp)
	if m.w.cfg.Own == ownClock {
		present = now.Wall
	}
	r.due = m.state.Read(r.op, present, &m.res)
	if r.due && m.w.cfg.Own != ownClock {
		m.stamp(now)
		if r.local { // when something was applied it is asked again from the beginning
			r.passed = false
		}
		return false
	}
	if r.due {
		m.res.Status = op.Missing
		if r.call.do == readBoth {
			return false
		}
	}
	r.call.told(&m.res)
	r.call.local = r.local
	r.call.finish(answered)
	return true
}

// askIndex asks the leader how far the log is.
func (m *machine) askIndex(r *read, now replica.Instant) {
	m.asked++
	r.ask, r.asked, r.passed, r.local = m.asked, now.Mono, false, false
	m.r.AskIndex(r.ask, now)
}

// indexed takes the answer to a question for an index.
func (m *machine) indexed(i replica.ReadIndex) {
	for _, r := range m.reads {
		if r.ask == i.ID && !r.passed {
			r.index, r.passed, r.stamp = i.Index, true, 0
		}
	}
}

// askAgain repeats questions that were not answered: under a new number, or by the lease that is there by now.
func (m *machine) askAgain() {
	now := m.instant()
	for _, r := range m.reads {
		if r.ask != 0 && !r.passed && now.Mono-r.asked > 100*ms {
			if m.r.ReadableUntil(now) > now.Mono {
				r.ask = 0
			} else {
				m.askIndex(r, now)
			}
		}
	}
}

// answerReads answers the reads that have waited long enough.
func (m *machine) answerReads() {
	now := m.instant()
	m.reads = slices.DeleteFunc(m.reads, func(r *read) bool {
		switch {
		case r.call.state != waiting:
			return true
		case r.passed:
			return m.finishRead(r, now)
		case r.ask != 0:
			return false
		default:
			return m.tryRead(r)
		}
	})
}
