package memcache

import (
	"bytes"
	"errors"
	"sync/atomic"

	"holdfast/engine"
	"holdfast/op"
	"holdfast/users"
)

// Limits of what a session keeps for its client.
const (
	// maxOwed is how many writes may be on their way, and maxQueued about how many bytes of values they may have.
	maxOwed   = 256
	maxQueued = 1 << 20
	// outputMark is how many bytes of replies are collected before they are written out.
	outputMark = 64 << 10
	// oneState is up to how many bytes the values of one command are read in one state of the keyspace; more come in several steps.
	oneState = 4 << 20
	// maxBatch is the same in keys, and maxTouch in keys that a command also touches.
	maxBatch = 1024
	maxTouch = 16
	// keepDone is how large a buffer for replies a session keeps.
	keepDone = 4 << 10
)

const (
	unknownCommand = "ERROR"
	badFormat      = "CLIENT_ERROR bad command line format"
	badChunk       = "CLIENT_ERROR bad data chunk"
	badExptime     = "CLIENT_ERROR invalid exptime argument"
	objectTooLarge = "SERVER_ERROR object too large for cache"
	outOfMemory    = "SERVER_ERROR out of memory storing object"
	noQuorum       = "SERVER_ERROR "
)

// A Session is the dialect of one connection. Its methods run on one worker, but for Wake and Refuse.
//
// Writes are queued and answered in order. Everything else waits until none of them is on its way, and so can be answered at once.
type Session struct {
	w    *worker
	conn Conn

	out  []byte // during Process: the replies so far
	done []byte // replies of writes that became done since the last Process

	owed   []owed // the writes on their way, from first on
	first  int
	queued int // bytes of their values

	scanned int // how much of the unconsumed input is known to have no end of line
	swallow int // bytes still to be dropped: the data block of an item that was refused

	// Where the session stands within a command that reads keys.
	at      int   // bytes of its keys that are answered
	failed  error // of such a touch
	waiting bool  // whether its read was put off

	news    atomic.Uint32         // of the read that was put off: 0, woken or refused
	because atomic.Pointer[error] // why it was refused

	begun   bool        // whether anything has come
	binary  bool        // whether it was in the binary protocol
	user    *users.User // nil: the client may use no command before it has logged in
	users   *users.Set  // that user was looked up in; nil if everybody may do everything
	closing bool
}

// owed is what a write on its way will need for its answer. Either reply or value is set; the latter is of a command that touches keys, of which this is one.
type owed struct {
	reply  replyFunc
	value  func(out, name []byte, r *op.Result) []byte
	quiet  bool   // of the text protocol: no answer at all; of the others: only an unexpected one
	opcode byte   // of the binary protocol
	opaque uint32 // likewise
	text   []byte // what else the answer says again
}

// Process answers as much of in as it can. See the server for used, reply and next.
func (s *Session) Process(in, out []byte) (used int, reply []byte, next int) {
	s.out = out
	if set := s.w.d.users.Load(); set != s.users {
		s.renew(set)
	}
	if len(s.done) > 0 {
		s.out = append(out, s.done...)
		if s.done = s.done[:0]; cap(s.done) > keepDone {
			s.done = nil
		}
	}
	for more := true; more && !s.closing; {
		n, wait := s.gets(in[used:])
		if wait {
			next = 0
			break
		}
		if n == 0 {
			n, next, more = s.step(in[used:])
		}
		used += n
		if more && len(s.out)-len(out) > outputMark {
			next, more = 1, false
		}
	}
	if s.outstanding() > 0 {
		next = 0
	}
	if s.closing {
		next = -1
	}
	reply, s.out = s.out, nil
	return used, reply, next
}

func (s *Session) outstanding() int { return len(s.owed) - s.first }

// step takes one thing off the input: n bytes of it. If there is no more to do now, next is what Process returns.
func (s *Session) step(in []byte) (n, next int, more bool) {
	if len(in) == 0 {
		return 0, 1, false
	}
	if s.swallow > 0 {
		n = min(s.swallow, len(in))
		s.swallow -= n
		return n, 0, true
	}
	if !s.begun {
		s.begun, s.binary = true, in[0] == magic
	}
	if s.binary {
		return s.packet(in)
	}
	end := s.scanned + bytes.IndexByte(in[s.scanned:], '\n')
	if end < s.scanned {
		end = len(in)
	}
	if end > maxLine && end > s.longest(in) {
		return s.close()
	}
	if end == len(in) {
		s.scanned = end
		return 0, end + 1, false
	}
	s.scanned = 0
	line := in[:end]
	if end > 1 && line[end-1] == '\r' {
		line = line[:end-1]
	}
	if i := bytes.IndexByte(line, 0); i >= 0 {
		line = line[:i] // memcached's lines are C strings
	}
	if s.user == nil {
		return s.login(line, in, end+1)
	}
	return s.command(line, in, end+1)
}

// longest is how long the line at the beginning of in may be. memcached cuts off only those whose end has not come yet, so that there it
// depends on the network.
func (s *Session) longest(in []byte) int {
	name, _ := nextArg(in[:maxLine])
	if row := lookup(name); s.user != nil && row != nil && row.value != nil {
		return maxKeyLine
	}
	return maxLine
}

// command carries out one line, of which end bytes of in belong to the line itself.
func (s *Session) command(line, in []byte, end int) (n, next int, more bool) {
	name, rest := nextArg(line)
	row := lookup(name)
	if row == nil {
		return s.unknown(line, end)
	}
	if row.value != nil {
		return s.read(row, rest, end)
	}
	if row.meta != nil {
		return row.meta(s, rest, in, end)
	}
	w := s.w
	args := w.args[:0]
	for arg, rest := nextArg(rest); len(arg) > 0 && len(args) < maxArgs; arg, rest = nextArg(rest) {
		args = append(args, arg)
	}
	if len(args) < row.min || len(args) > row.max {
		return s.say(end, false, unknownCommand)
	}
	quiet := row.noreply > 0 && len(args) >= row.noreply && string(args[len(args)-1]) == "noreply"
	if row.name == "stats" && len(args) > 0 && string(args[0]) == "cachedump" {
		return s.cachedump(args[1:], end)
	}
	if row.conn != nil {
		if s.outstanding() > 0 {
			return 0, 0, false
		}
		mark := len(s.out)
		row.conn(s, args)
		if quiet {
			s.out = s.out[:mark]
		}
		return end, 0, true
	}
	if s.full() {
		return 0, 0, false
	}
	if row.store != nil {
		return s.store(row, args, in, end, quiet)
	}
	o, text := row.write(w, args)
	if o == nil {
		return s.say(end, quiet, text)
	}
	s.submit(o, owed{reply: row.reply, quiet: quiet}, 0)
	return end, 0, true
}

// store carries out a command with a data block.
func (s *Session) store(row *command, args [][]byte, in []byte, end int, quiet bool) (n, next int, more bool) {
	w := s.w
	h := &w.head
	if !h.parse(args, row.min == 5) {
		return s.say(end, quiet, badFormat)
	}
	if h.size() > w.d.conf.MaxItem {
		return s.tooLarge(row, end, quiet)
	}
	all := end + h.length + 2
	if len(in) < all {
		return 0, all, false
	}
	h.value = in[end : all-2 : all-2]
	if in[all-2] != '\r' || in[all-1] != '\n' {
		return s.say(all, quiet, badChunk)
	}
	s.submit(row.store(w), owed{reply: row.reply, quiet: quiet}, h.length)
	return all, 0, true
}

// tooLarge refuses an item and drops its data block. A set takes the item that was there with it: its writer knows that to be out of date.
func (s *Session) tooLarge(row *command, end int, quiet bool) (n, next int, more bool) {
	if s.outstanding() > 0 {
		return 0, 0, false
	}
	s.w.count.add(tooLarge)
	s.swallow = s.w.head.length + 2
	if row.name != "set" {
		return s.say(end, quiet, objectTooLarge)
	}
	s.submit(s.w.remove(s.w.head.key), owed{reply: replyTooLarge, quiet: quiet}, 0)
	return end, 0, true
}

func (s *Session) unknown(line []byte, end int) (n, next int, more bool) {
	line = bytes.TrimRight(line, " ")
	last := line[bytes.LastIndexByte(line, ' ')+1:]
	if bytes.HasPrefix(last, []byte("HTTP/")) {
		return s.close() // a browser that was led here: nothing it sends may be taken for a command
	}
	return s.say(end, false, unknownCommand)
}

// say answers with a line, unless quiet, and takes n bytes off the input; or waits for its turn.
func (s *Session) say(n int, quiet bool, text string) (_, next int, more bool) {
	if s.outstanding() > 0 {
		return 0, 0, false
	}
	if !quiet {
		s.out = append(append(s.out, text...), "\r\n"...)
	}
	return n, 0, true
}

// close ends the connection, once the writes on their way are answered.
func (s *Session) close() (n, next int, more bool) {
	if s.outstanding() > 0 {
		return 0, 0, false
	}
	s.closing = true
	return 0, -1, false
}

// full says whether no more writes may be put on their way now.
func (s *Session) full() bool { return s.outstanding() >= maxOwed || s.queued > maxQueued }

// submit puts a write on its way, with size bytes of a value.
func (s *Session) submit(w op.Write, o owed, size int) {
	if !s.user.All() && !s.mayWrite(w) {
		w = s.forbid(&o)
	}
	s.owed = append(s.owed, o)
	s.queued += size
	s.w.e.Write(w, s)
}

// Done implements engine.Writer.
func (s *Session) Done(res *op.Result, err error) {
	o := &s.w.answering // a copy, since the slot may be taken at once
	*o = s.owed[s.first]
	if s.first++; s.first == len(s.owed) {
		s.owed, s.first, s.queued = s.owed[:0], 0, 0
	}
	if s.closing {
		return
	}
	switch {
	case err != nil && !errors.Is(err, engine.ErrUnavailable) && !errors.Is(err, engine.ErrVersion):
		s.closing = true // any answer could be taken for the outcome, which nobody knows
	case o.reply == nil && err != nil:
		s.failed = err
	case o.reply == nil:
		s.done = s.touched(s.done, res, o)
	case s.binary && err != nil:
		s.done = appendProblem(s.done, o.opcode, o.opaque, statusTemporary, err.Error())
	case s.binary:
		s.done = o.reply(&s.w.count, s.done, res, o)
	default:
		s.done = s.inText(s.done, res, err, o)
	}
	s.conn.Wake()
}

// inText answers a write of the text protocol.
func (s *Session) inText(out []byte, res *op.Result, err error, o *owed) []byte {
	answered := out
	if err != nil {
		answered = append(append(append(out, noQuorum...), err.Error()...), "\r\n"...)
	} else {
		answered = o.reply(&s.w.count, out, res, o)
	}
	if o.quiet {
		return answered[:len(out)]
	}
	return answered
}

// What may become of a read that was put off.
const (
	woken   = 1
	refused = 2
)

// Wake implements engine.Reader.
func (s *Session) Wake() { s.tell(woken) }

// Refuse implements engine.Reader.
func (s *Session) Refuse(err error) {
	s.because.Store(&err)
	s.tell(refused)
}

func (s *Session) tell(news uint32) {
	s.news.Store(news)
	s.conn.Wake()
}

// Close forgets the client. Writes that are on their way are still carried out.
func (s *Session) Close() {
	s.closing = true
	s.done = nil
}
