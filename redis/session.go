package redis

import (
	"errors"
	"slices"
	"sync/atomic"

	"holdfast/engine"
	"holdfast/op"
	"holdfast/resp"
	"holdfast/users"
)

// Bounds of what one session may have under way.
const (
	maxPending      = 256     // writes handed to the engine and not done
	maxPendingBytes = 1 << 20 // their arguments together, roughly
	highWater       = 1 << 20 // bytes of replies, before the server must write some out
)

// Session is one connection: it takes requests in order, hands writes to the engine without waiting for each, and answers in order.
//
// Whatever is not a write waits until the session's own writes are done. A request that has to wait is left in the input and looked
// at again after the Wake. All methods but Wake and Refuse come on the worker's goroutine.
type Session struct {
	d    *Dialect
	e    engine.Engine
	conn Conn
	desk *desk

	parser resp.Parser
	req    request
	client            // who is at the other end, and what was agreed
	users  *users.Set // that user was looked up in
	asked  bool       // as a Sentinel: its user never changes
	face   atomic.Pointer[face]

	out      []byte                  // the replies of this Process
	commands uint64                  // carried out in this Process
	unread   int                     // bytes of input from the request at hand on
	passed   int64                   // when this Process began to look at writes, 0 if it has not
	held     int64                   // when the request at the front of the input, which waits, began; 0 if none does
	last     atomic.Pointer[Command] // the newest command
	active   atomic.Int64            // the second of the newest Process
	born     int64                   // the second of the first one
	done     []byte                  // replies of writes that were done meanwhile
	pending  queue                   // writes handed to the engine, in order
	shown    showing
	inbox    inbox // what is to be said unasked
	ears     ears
	blocked  atomic.Pointer[blocked] // the command that waits for a key
	track    *tracking               // CLIENT TRACKING; nil: off
	caching  caching

	watched watched // WATCH
	multi   *multi  // the queue between MULTI and EXEC
	work    *work   // what the session is busy with: EXEC or a computed command

	waiting    bool                  // a read waits for Wake
	event      atomic.Uint32         // what came of it
	because    atomic.Pointer[error] // why it was refused
	turnedAway error                 // why the read at the front of the input, which waited, was refused; nil if it was not
	paused     bool                  // the request at the front of the input waits for the end of a pause
	seen       bool                  // who monitors has been shown it
	monitors   bool                  // MONITOR
	hush       bool                  // the present command is not to be answered
	executing  bool                  // the present command is one of an EXEC
	kill       atomic.Bool           // CLIENT KILL, or too much waits for it to be taken
	closing    bool                  // write out, then close
	closed     atomic.Bool
}

// The events of a read that waits.
const (
	eventNone uint32 = iota
	eventWoken
	eventRefused
)

// client is what a connection agreed with its client; RESET makes it new.
type client struct {
	v                     resp.Version
	space                 op.Space
	user                  *users.User // nil before AUTH
	silence               silence
	name, libName, libVer string
}

// face is what other sessions may see of this one. It is replaced, never changed.
type face struct {
	client
	multi int // commands queued, -1 outside MULTI
}

// silence is what CLIENT REPLY has set.
type silence uint8

const (
	speak    silence = iota
	skipNext         // the next command is not answered
	silent
)

// showing is what Show needs to turn the result of a read into a reply; without a row it keeps the versions that it sees.
type showing struct {
	row      *Command
	form     uint8
	each     bool // a reply for each result of the list
	count    int  // how many were answered so
	versions []uint64
}

// pending is a write handed to the engine.
type pending struct {
	row   *Command
	since int64
	size  int32
	form  uint8
	v     resp.Version
	quiet bool
}

// queue is the session's pending writes, oldest first.
type queue struct {
	list  []pending
	head  int
	bytes int
}

func (q *queue) empty() bool { return q.head == len(q.list) }
func (q *queue) full() bool {
	return len(q.list)-q.head >= maxPending || q.bytes >= maxPendingBytes
}

func (q *queue) push(p pending) {
	if q.head > 0 && len(q.list) == cap(q.list) {
		q.list = q.list[:copy(q.list, q.list[q.head:])]
		q.head = 0
	}
	q.list = append(q.list, p)
	q.bytes += int(p.size)
}

func (q *queue) pop() pending {
	p := q.list[q.head]
	q.head++
	q.bytes -= int(p.size)
	if q.empty() {
		q.list, q.head = q.list[:0], 0
	}
	return p
}

// verdict is what came of looking at a request.
type verdict uint8

const (
	taken  verdict = iota // carried out, or handed on
	parked                // left in the input until a Wake
)

// Process implements the server's Session.
func (s *Session) Process(in, out []byte) (used int, reply []byte, next int) {
	start := len(out)
	s.out = append(out, s.done...)
	s.done = s.done[:0]
	if set := s.d.users.Load(); set != s.users {
		s.renew(set)
	}
	if s.inbox.some.Load() && s.idle() { // what came for it while it had nothing under way comes before the reply to what it asks next
		s.out = s.unload(s.out)
	}
	if now := s.d.clock.Second(); now != s.active.Load() {
		s.active.Store(now)
	}
	s.passed = 0
	s.desk.pass++
	used, next = s.run(in, start)
	if s.commands > 0 {
		s.desk.commands.Add(s.commands)
		s.commands = 0
	}
	if s.work == nil { // what is told of a change comes behind the reply of a read before it
		s.out = s.unload(s.out)
	}
	if next > 0 && !s.pending.empty() {
		next = 0 // the Wake that comes with their replies is only heeded by a parked connection
	}
	reply, s.out = s.out, nil
	return used, reply, next
}

// idle says whether no command of the session is half done.
func (s *Session) idle() bool {
	return !s.waiting && s.work == nil && s.pending.empty() && s.blocked.Load() == nil
}

// run carries out requests until it has to stop; what it returns is for the server.
func (s *Session) run(in []byte, start int) (used, next int) {
	for !s.closing && !s.kill.Load() {
		switch {
		case s.waiting && !s.woken(), s.work != nil && !s.advance():
			return used, 0
		case s.blocked.Load() != nil && !s.unblocked():
			if s.waiting || s.blocked.Load().stage == trying {
				return used, 0
			}
			return used, len(in) - used + 1 // to see it if the client goes
		case s.closing:
			return used, -1
		case len(s.out)-start >= highWater:
			return used, 1
		}
		n, wait := s.gets(in[used:])
		if wait {
			return used, 0
		}
		if n > 0 {
			used += n
			continue
		}
		n, next := s.next(in[used:])
		if n == 0 {
			return used, next
		}
		used += n
	}
	return used, -1
}

// next carries out the request in front of in and returns its length; or 0, and what the server is to wait for.
func (s *Session) next(in []byte) (used, next int) {
	s.parser.Stranger = s.user == nil || s.asked
	s.unread = len(in)
	used, need, err := s.parser.Next(in)
	switch {
	case err != nil && !s.pending.empty():
		return 0, 0
	case err != nil:
		s.violation(err)
		return 0, -1
	case used == 0:
		return 0, need
	case len(s.parser.Args) == 0:
		return used, 0
	case s.request() == taken:
	case s.paused:
		return 0, len(in) + 1 // to see it if the client goes
	default:
		return 0, 0
	}
	s.seen = false
	s.commands++
	if s.caching != cachingUnsaid && s.multi == nil && !is(s.parser.Args[0], "client") {
		s.caching = cachingUnsaid
	}
	s.parser.Release()
	return used, 0
}

// violation answers bytes that are no request.
func (s *Session) violation(err error) {
	if err.Error() != "" {
		s.out = resp.Err(s.out, err.Error())
	}
	s.closing = true
}

// woken says whether the wait of a read is over; if it was refused, the request or work that waited is refused.
func (s *Session) woken() bool {
	switch s.event.Swap(eventNone) {
	case eventNone:
		return false
	case eventRefused:
		s.refused()
	}
	s.waiting = false
	return true
}

// request carries out the request in s.parser.Args.
func (s *Session) request() verdict {
	q := &s.req
	*q = request{args: s.parser.Args, space: s.space, ops: &s.desk.ops}
	row, err := lookup(q.args)
	switch {
	case err != nil:
	case s.user == nil:
		if row.Flags&NoAuth == 0 {
			err = errNoAuth
		}
	case !s.user.All():
		err = s.permit(row, q.args)
	}
	if err == nil && row.Flags&Listening == 0 && s.listening() {
		err = failf("ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context", row.Name)
	}
	if err == nil && (s.paused || s.d.alert.some.Load()) && s.heed(row) == parked {
		return parked
	}
	if s.multi != nil && (err != nil || row.Flags&Immediate == 0) {
		return s.enqueue(row, err)
	}
	if err != nil && row != nil && row.Name == "exec" {
		err = execAbort(err)
	}
	rejected := err != nil
	switch {
	case rejected:
	case row.write != nil:
		var o op.Write
		o, err = row.write(q)
		switch {
		case err != nil:
		case row.Flags&Blocking == 0:
			return s.hand(row, o)
		case !s.pending.empty():
			return parked
		default:
			s.block(row, o)
			return taken
		}
	case !s.pending.empty():
		return parked
	case row.read != nil:
		var o op.Read
		if o, err = row.read(q); err == nil {
			return s.ask(row, o)
		}
	case row.compute != nil:
		s.hush = s.quiet()
		s.begin(&work{calls: []call{copyCall(row, q.args)}, row: row, since: s.began(row)})
		return taken
	default:
		s.meet(row)
		return taken
	}
	if !s.pending.empty() {
		return parked
	}
	switch {
	case row == nil:
	case rejected:
		s.desk.tallies[row.number].rejected.Add(1)
	default:
		s.answered(row, moment{}, nil, true)
	}
	s.sayError(err.Error())
	return taken
}

// hand gives a write to the engine; Done brings its result.
func (s *Session) hand(row *Command, o op.Write) verdict {
	if s.pending.full() {
		return parked
	}
	size := 0
	for _, a := range s.req.args {
		size += len(a)
	}
	s.pending.push(pending{row: row, since: s.began(row).at, form: s.req.form, v: s.v, size: int32(size), quiet: s.quiet()})
	s.e.Write(o, s)
	return taken
}

// ask reads; the reply is written by Show.
func (s *Session) ask(row *Command, o op.Read) verdict {
	if err := s.turnedAway; err != nil {
		s.turnedAway = nil
		s.sayError(unavailable(err))
		return taken
	}
	mark := len(s.out)
	m := s.began(row)
	s.shown = showing{row: row, form: s.req.form}
	if s.track != nil && s.remembers() {
		s.remember(row, s.req.args)
	}
	if !s.e.Read(o, s) {
		s.waits(m)
		s.waiting = true
		return parked
	}
	s.answered(row, m, s.req.args, s.isError(s.out[mark:]))
	if s.quiet() {
		s.out = s.out[:mark]
	}
	return taken
}

// meet carries out a command that concerns the connection. CLIENT REPLY itself is silent unless it ends the silence.
func (s *Session) meet(row *Command) {
	mark := len(s.out)
	s.hush = s.quiet()
	m := s.began(row)
	s.out = row.conn(s, &s.req, s.out)
	if s.work != nil {
		s.work.row, s.work.since = row, m
	} else {
		s.answered(row, m, s.req.args, s.isError(s.out[mark:]))
	}
	if (s.hush || s.silence != speak) && row.Flags&listenFlags != listenFlags { // what listening says is no reply
		s.out = s.out[:mark]
	}
}

// isError says whether a reply is an error, and counts it.
func (s *Session) isError(reply []byte) bool {
	if len(reply) == 0 || reply[0] != '-' {
		return false
	}
	s.desk.faults.add(reply[1:])
	return true
}

// sayError answers the present command with an error, unless the client wants no answer.
func (s *Session) sayError(text string) {
	s.desk.faults.add([]byte(text))
	if !s.quiet() {
		s.out = resp.Err(s.out, text)
	}
}

// quiet says whether the reply to the present command is to be left out, and uses up a CLIENT REPLY SKIP.
func (s *Session) quiet() bool {
	q := s.silence != speak
	if s.silence == skipNext {
		s.silence = speak
	}
	return q
}

// Show implements engine.Reader.
func (s *Session) Show(res *op.Result) {
	w := &s.shown
	if w.each {
		s.showEach(res.List)
		return
	}
	if w.row != nil {
		s.count(w.row, res)
		size := replySize(res)
		if s.d.tooLarge(size) {
			s.out = resp.Err(s.out, s.d.errReplySize().Error())
			return
		}
		if size > highWater {
			s.out = slices.Grow(s.out, size)
		}
		s.out = w.row.appendReply(s.out, answer{s.v, w.form, s.d}, res)
		return
	}
	w.versions = w.versions[:0]
	for i := range res.List {
		w.versions = append(w.versions, res.List[i].Version)
	}
}

// standing reads the versions at which the keys of guards stand; false means that it has to wait.
func (s *Session) standing(guards []op.Guard) ([]uint64, bool) {
	r := op.Versions{Keys: make([]op.Key, len(guards))}
	for i := range guards {
		r.Keys[i] = guards[i].Key
	}
	s.shown = showing{}
	if !s.e.Read(&r, s) {
		s.waiting = true
		return nil, false
	}
	return s.shown.versions, true
}

// count adds to the hits and misses of INFO.
func (s *Session) count(row *Command, res *op.Result) {
	if row.Keys.First == 0 {
		return
	}
	if res.Status == op.Missing {
		s.desk.misses.Add(1)
	} else {
		s.desk.hits.Add(1)
	}
}

// Wake implements engine.Reader.
func (s *Session) Wake() { s.wake(eventWoken) }

// Refuse implements engine.Reader.
func (s *Session) Refuse(err error) {
	s.because.Store(&err)
	s.wake(eventRefused)
}

func (s *Session) wake(event uint32) {
	s.event.Store(event)
	if !s.closed.Load() {
		s.conn.Wake()
	}
}

// refused gives up what waited: the work, or the request at the front of the input, whose arguments are still to come again.
func (s *Session) refused() {
	err := *s.because.Load()
	if s.work != nil {
		s.work.fail(err)
		return
	}
	if b := s.blocked.Load(); b != nil {
		b.fail(failure(unavailable(err)))
		return
	}
	s.turnedAway = err
}

// Done implements engine.Writer.
func (s *Session) Done(res *op.Result, err error) {
	if s.closed.Load() {
		return
	}
	s.conn.Wake()
	if s.work != nil && s.pending.empty() {
		s.work.carried(s, res, err)
		return
	}
	if b := s.blocked.Load(); b != nil && s.pending.empty() {
		b.carried(res, err)
		return
	}
	p := s.pending.pop()
	mark := len(s.done)
	switch {
	case s.closing:
	case errors.Is(err, engine.ErrUncertain):
		s.closing = true
	case p.quiet:
	case err != nil:
		s.done = resp.Err(s.done, unavailable(err))
	default:
		s.done = p.row.appendReply(s.done, answer{p.v, p.form, s.d}, res)
	}
	s.written(p.row, p.since, err != nil || s.isError(s.done[mark:]))
}

// unavailable is the reply for what was not carried out: the one error that every client takes for "later, on the same server", unless it takes an upgrade.
func unavailable(err error) string {
	if errors.Is(err, engine.ErrVersion) {
		return "ERR " + err.Error()
	}
	return "LOADING " + err.Error()
}

// Patient implements the server's Patient: who listens, or waits for a key or for the end of a pause, waits for us.
func (s *Session) Patient() bool {
	return s.ears.total() > 0 || s.blocked.Load() != nil || s.paused || s.monitors
}

// Close implements the server's Session.
func (s *Session) Close() {
	s.closed.Store(true)
	s.leave()
	s.deafenAll()
	if s.track != nil {
		s.setTracking(nil)
	}
	s.endMonitor()
	s.d.alert.leavePause(s)
	s.inbox.discard(&s.d.hub.queued)
	s.d.forget(s)
}

// reset makes the connection as it was at its beginning.
func (s *Session) reset() {
	s.hush = s.hush && s.silence != silent
	s.users = s.d.users.Load()
	s.client = client{v: resp.V2, user: s.users.Default()}
	if s.asked {
		s.user = s.d.stranger
	}
	s.multi, s.watched = nil, watched{}
	s.deafenAll()
	s.endMonitor()
	if s.track != nil {
		s.setTracking(nil)
	}
	s.showFace()
}

// showFace tells the other sessions what has changed.
func (s *Session) showFace() {
	f := &face{client: s.client, multi: -1}
	if s.multi != nil {
		f.multi = len(s.multi.calls)
	}
	s.face.Store(f)
}
