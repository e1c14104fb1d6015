package redis

import (
	"context"
	"errors"
	"sync/atomic"

	"holdfast/engine"
	"holdfast/op"
	"holdfast/resp"
)

// work is what a session is busy with when that is more than one op: EXEC, WATCH, or a command that is computed here. Nothing else of the
// session goes on meanwhile.
//
// A MULTI of plain commands becomes one Tx. Where a command must be computed (a script, a sum of floats) all of them run over an
// Overlay, which yields a Tx guarded by the versions of all that was read; when a guard fails it is computed again.
type work struct {
	calls []call
	exec  bool       // answer with an array of the replies
	row   *Command   // of the request that this came from,
	since moment     // and when that began
	watch []op.Guard // WATCH: find the versions of these
	guard []op.Guard // EXEC: what WATCH demands
	space op.Space   // where the calls begin
	v     resp.Version
	d     *Dialect
	hush  bool
	keeps bool // the client keeps what it reads

	stage   stage
	out     []byte // the replies of the calls, one after the other
	ends    []int  // where each of them ends
	aborted bool   // a watched key has changed
	err     error  // why there is no outcome
	tries   int

	// A script's goroutine sets these, then ready; the session reads them after ready.
	tx    *op.Tx
	ready atomic.Bool
}

type stage uint8

const (
	planned stage = iota
	running       // on a script's goroutine
	sent          // the Tx is with the engine
	over
)

// maxTries bounds how often a computed command is tried again because somebody else changed what it read. With 200 clients that run one
// script on one key, 64 were too few for one in a thousand; a refusal there leaves a lock behind that its holder has released.
const maxTries = 512

const errGaveUp = failure("ERR gave up: other clients kept changing the keys that this command reads, try again")

// call is a command that waits for its turn.
type call struct {
	row  *Command
	args [][]byte
	form uint8
	err  error // what parse said of it
}

// copyCall keeps a command beyond the input that it stands in.
func copyCall(row *Command, args [][]byte) call {
	size := 0
	for _, a := range args {
		size += len(a)
	}
	c := call{row: row, args: make([][]byte, len(args))}
	room := make([]byte, 0, size)
	for i, a := range args {
		at := len(room)
		room = append(room, a...)
		c.args[i] = room[at:len(room):len(room)]
	}
	return c
}

// begin makes the session busy with w; Process goes on with it.
func (s *Session) begin(w *work) {
	w.space, w.v, w.d, w.hush = s.space, s.v, s.d, s.hush
	w.keeps = s.track != nil && s.remembers()
	s.work = w
}

// advance goes on with the session's work and says whether it is over.
func (s *Session) advance() bool {
	for w := s.work; ; {
		switch {
		case w.stage == planned:
			if !w.start(s) {
				return false
			}
		case w.stage == running && w.ready.Load():
			if w.stage = over; w.err == nil && !w.submit(s, w.tx) {
				return false
			}
		case w.stage == over:
			s.work = nil
			w.finish(s)
			return true
		default:
			return false
		}
	}
}

// fail ends w without an outcome.
func (w *work) fail(err error) { w.stage, w.err = over, err }

// start does w as far as it goes; false means that a Wake will come.
func (w *work) start(s *Session) bool {
	if len(w.watch) > 0 {
		versions, ok := s.standing(w.watch)
		for i := range versions {
			w.watch[i].Version = versions[i]
		}
		if ok {
			s.watched.add(w.watch)
			w.stage = over
		}
		return ok
	}
	computed, scripted := false, false
	for i := range w.calls {
		if w.keeps {
			s.remember(w.calls[i].row, w.calls[i].args)
		}
		computed = computed || w.calls[i].row.compute != nil
		scripted = scripted || w.calls[i].row.Flags&Scripted != 0
	}
	if !computed {
		return w.submit(s, w.plan(&s.desk.ops))
	}
	if len(w.guard) > 0 {
		if ok := w.holds(s, w.guard); !ok || w.stage == over {
			return ok
		}
	}
	if scripted {
		w.stage = running
		w.ready.Store(false)
		s.d.scripts.run(w, s)
		return false
	}
	b := &s.desk.bench
	b.d = s.d
	b.reset(s.e, s)
	if err := w.run(b); err == engine.ErrWait {
		s.waiting = true
		return false
	} else if err != nil {
		w.fail(err)
		return true
	}
	return w.submit(s, b.Tx(w.guard))
}

// plan makes one transaction of commands none of which is computed.
func (w *work) plan(o *ops) *op.Tx {
	tx := &op.Tx{Guards: w.guard}
	space := w.space
	for i := range w.calls {
		c := &w.calls[i]
		if c.row.conn != nil {
			space = c.follow(space)
			continue
		}
		q := request{args: c.args, space: space, ops: o}
		var x op.Op
		if c.row.write != nil {
			x, c.err = c.row.write(&q)
		} else {
			x, c.err = c.row.read(&q)
		}
		if c.err == nil {
			tx.Add(x)
		}
		c.form = q.form
	}
	return tx
}

// follow returns the database in which the calls behind c work.
func (c *call) follow(space op.Space) op.Space {
	if c.row.Name == "select" {
		if to, err := parseDB(c.args[1], errInteger); err == nil {
			return to
		}
	}
	return space
}

// submit gives tx to the engine. One that writes nothing needs no entry in the log: it is enough that its guards hold together.
func (w *work) submit(s *Session, tx *op.Tx) bool {
	if tx.Count > 0 {
		w.stage = sent
		s.e.Write(tx, s)
		return false
	}
	w.stage = over
	if len(w.ends) == 0 {
		w.render(&op.Result{})
	}
	if len(tx.Guards) == 0 || len(tx.Guards) == 1 && len(w.guard) == 0 {
		return true
	}
	return w.holds(s, tx.Guards)
}

// holds compares guards with the state. False means that a Wake will come and w is to be started again.
func (w *work) holds(s *Session, guards []op.Guard) bool {
	was := w.stage
	w.stage = planned
	versions, ok := s.standing(guards)
	if !ok {
		return false
	}
	w.stage = was
	for i := range versions {
		if versions[i] != guards[i].Version {
			w.collided(len(w.guard) > i)
			return true
		}
	}
	return true
}

// collided says that a guard failed, of WATCH or of what was read here.
func (w *work) collided(watched bool) {
	w.tries++
	switch {
	case watched:
		w.aborted, w.stage = true, over
	case w.tries >= maxTries:
		w.fail(errGaveUp)
	default:
		w.stage, w.ends = planned, w.ends[:0]
	}
}

// carried takes the outcome of the Tx.
func (w *work) carried(s *Session, res *op.Result, err error) {
	switch {
	case err != nil:
		w.fail(err)
	case res.Status == op.Aborted:
		// After a computation nobody knows whose guard it was: start looks at those of WATCH first.
		w.collided(len(w.ends) == 0)
	case len(w.ends) == 0:
		w.stage = over
		w.render(res)
	default:
		w.stage = over
		w.short(res)
	}
}

// render writes the replies of calls that were planned.
func (w *work) render(res *op.Result) {
	n := 0
	for i := range w.calls {
		c := &w.calls[i]
		switch {
		case c.row.conn != nil:
		case c.err != nil:
			w.out = resp.Err(w.out, c.err.Error())
		default:
			w.out = c.row.appendReply(w.out, answer{w.v, c.form, w.d}, &res.List[n])
			n++
		}
		w.ends = append(w.ends, len(w.out))
	}
}

// short answers every writing command with OOM if there was no room for some write that was computed.
func (w *work) short(res *op.Result) {
	full := false
	for i := range res.List {
		full = full || res.List[i].Status == op.OutOfMemory
	}
	if !full {
		return
	}
	w.out, w.ends = w.out[:0], w.ends[:0]
	for i := range w.calls {
		if w.calls[i].row.conn == nil {
			w.out = resp.Err(w.out, string(errOOM))
		}
		w.ends = append(w.ends, len(w.out))
	}
}

// finish answers.
func (w *work) finish(s *Session) {
	mark := len(s.out)
	defer func() {
		var args [][]byte
		if !w.exec && len(w.calls) == 1 {
			args = w.calls[0].args
		}
		s.answered(w.row, w.since, args, s.isError(s.out[mark:]))
	}()
	switch {
	case errors.Is(w.err, engine.ErrUncertain):
		s.closing = true
	case errors.Is(w.err, engine.ErrUnavailable), errors.Is(w.err, engine.ErrVersion):
		s.out = resp.Err(s.out, unavailable(w.err))
	case w.err != nil:
		s.out = resp.Err(s.out, w.err.Error())
	case w.aborted:
		s.out = s.v.NullArray(s.out)
	case w.watch != nil:
		s.out = append(s.out, "+OK\r\n"...)
	case !w.exec:
		s.out = append(s.out, w.out...)
	default:
		w.finishExec(s)
	}
	if w.hush {
		s.out = s.out[:mark]
	}
}

// finishExec writes the array of an EXEC; what concerns the connection is carried out in its place.
func (w *work) finishExec(s *Session) {
	s.out = resp.Array(s.out, len(w.calls))
	at := 0
	for i := range w.calls {
		c := &w.calls[i]
		if c.row.conn != nil {
			s.req = request{args: c.args, space: s.space, ops: &s.desk.ops}
			mark := len(s.out)
			s.executing = true
			s.out = c.row.conn(s, &s.req, s.out)
			s.executing = false
			s.answered(c.row, moment{}, nil, s.isError(s.out[mark:]))
			continue
		}
		s.answered(c.row, moment{}, nil, s.isError(w.out[at:w.ends[i]]))
		s.out = append(s.out, w.out[at:w.ends[i]]...)
		at = w.ends[i]
	}
}

// bench is where commands are computed: an Overlay, and an interpreter if it belongs to a script's goroutine.
type bench struct {
	*engine.Overlay
	resp.Version          // of the replies
	d            *Dialect // whose bounds hold
	ops          ops

	// For scripts:
	facts *Session        // a copy of the session, to ask about the connection
	time  context.Context // ends when they have run long enough
	lua   *interp
}

// reset makes it new for a computation that reads through e; r is woken when a read had to wait.
func (b *bench) reset(e engine.Engine, r engine.Reader) {
	if b.Overlay == nil {
		b.Overlay = engine.NewOverlay(e, r)
	} else {
		b.Overlay.Reset(e, r)
	}
	b.Most = int(b.d.scripts.limits.growth(e.Status().Limit))
}

// run computes all calls of w. ErrWait means that a read had to wait and all is to be done again.
func (w *work) run(b *bench) error {
	w.out, w.ends = w.out[:0], w.ends[:0]
	space := w.space
	for i := range w.calls {
		c := &w.calls[i]
		if c.row.conn != nil {
			space = c.follow(space)
		} else {
			q := request{args: c.args, space: space, ops: &b.ops}
			var err error
			if w.out, err = b.perform(c.row, &q, w.out, w.v); err != nil {
				return err
			}
		}
		w.ends = append(w.ends, len(w.out))
	}
	return nil
}

// perform carries out a command on the overlay and appends its reply in the format of v.
func (b *bench) perform(row *Command, q *request, out []byte, v resp.Version) ([]byte, error) {
	var o op.Op
	var err error
	mark := len(out)
	switch {
	case row.write != nil:
		o, err = row.write(q)
	case row.read != nil:
		o, err = row.read(q)
	default:
		b.Version = v
		out, err = row.compute(b, q, out)
	}
	if err == nil && o != nil {
		var res *op.Result
		if res, err = b.Do(o); err == nil {
			if size := replySize(res); b.d.tooLarge(size) || len(out) > 0 && b.d.tooLarge(len(out)+max(size, len(res.Value))) {
				return resp.Err(out, b.d.errReplySize().Error()), nil
			}
			return row.appendReply(out, answer{v, q.form, b.d}, res), nil
		}
	}
	if err == engine.ErrTooLarge {
		err = errKeysMemory
	}
	if text, ok := err.(failure); ok {
		return resp.Err(out[:mark], string(text)), nil
	}
	return out, err
}
