// Package enginetest has an Engine for the tests of the dialects: one worker over a real keyspace, with a clock that only the test moves.
// Nothing here is part of the daemon.
package enginetest

import (
	"sync"
	"time"

	"holdfast/engine"
	"holdfast/keyspace"
	"holdfast/op"
)

// Engine is an engine.Engine whose writes are carried out by Flush. Read may come from any goroutine; the rest from one.
type Engine struct {
	// Fail, if set, is what writes are answered with instead of being carried out.
	Fail error

	mu      sync.Mutex // guards all below
	state   *keyspace.State
	now     int64
	entry   keyspace.Entry
	res     op.Result
	waiting []engine.Reader
	queue   []queued

	watcher engine.Watcher
	notes   []byte // what it noted and was not told
}

type queued struct {
	ops []byte
	to  engine.Writer
}

// Start is where the clock of a new Engine stands.
var Start = time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.UTC)

// New makes an Engine over an empty state with the classes of the default settings.
func New() *Engine {
	e := &Engine{state: keyspace.New(nil, nil), now: Start.UnixNano()}
	e.entry.Origin = 1
	e.apply(keyspace.Hello, nil, nil)
	e.entry.Incarnation = e.entry.Index
	conf := &op.Configure{Rules: []op.Rule{
		{Space: op.Memcache, Pattern: []byte("*django.contrib.sessions.*"), Class: op.Session},
		{Space: op.Memcache, Pattern: []byte("_TOOZ_*"), Class: op.Coordination},
		{Space: op.Memcache, Pattern: []byte("__TOOZ_*"), Class: op.Coordination},
	}}
	for i := range conf.Classes {
		conf.Classes[i] = op.Cache
	}
	conf.Classes[0], conf.Classes[1], conf.Classes[2] = op.Coordination, op.Session, op.Token
	e.Configure(conf)
	return e
}

// Configure changes the replicated settings, for tests of refusals.
func (e *Engine) Configure(c *op.Configure) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.apply(keyspace.Batch, c.Append(nil), nil)
}

// Watch has w hear of what is applied; Flush tells it.
func (e *Engine) Watch(w engine.Watcher) { e.watcher, e.state.Observer = w, e }

// Changed implements keyspace.Observer.
func (e *Engine) Changed(c *op.Change) { e.notes = e.watcher.Note(e.notes, c) }

func (e *Engine) tell(by engine.Writer) {
	if notes := e.notes; len(notes) > 0 {
		e.notes = nil
		e.watcher.Tell(notes, by)
	}
}

// Advance moves the clock; what that ends is removed only by the next Flush, as behind a real door.
func (e *Engine) Advance(d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.now += int64(d)
}

func (e *Engine) apply(kind keyspace.EntryKind, ops []byte, to keyspace.Results) {
	e.entry.Kind, e.entry.Ops, e.entry.Stamp = kind, ops, e.now
	e.entry.Index++
	if kind == keyspace.Batch {
		e.entry.Seq++
	}
	if out := e.state.Apply(&e.entry, to); out != keyspace.Applied {
		panic("enginetest: the state did not apply its entry")
	}
}

// Read implements engine.Engine.
func (e *Engine) Read(r op.Read, s engine.Reader) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.res.Reset()
	if e.state.Read(r, e.now, &e.res) {
		e.waiting = append(e.waiting, s)
		return false
	}
	s.Show(&e.res)
	return true
}

// Write implements engine.Engine.
func (e *Engine) Write(w op.Write, s engine.Writer) {
	e.queue = append(e.queue, queued{w.Append(nil), s})
}

type toWriter struct{ to engine.Writer }

func (t toWriter) Result(r *op.Result) { t.to.Done(r, nil) }

// Flush carries out what was queued, removes what is due and wakes the reads that waited.
func (e *Engine) Flush() {
	queue := e.queue
	e.queue = nil
	for _, q := range queue {
		if e.Fail != nil {
			q.to.Done(nil, e.Fail)
			continue
		}
		e.mu.Lock()
		e.apply(keyspace.Batch, q.ops, toWriter{q.to})
		e.mu.Unlock()
		e.tell(q.to)
	}
	e.mu.Lock()
	for e.state.Due(e.now) {
		e.apply(keyspace.Tick, nil, nil)
	}
	if len(e.waiting) > 0 {
		e.apply(keyspace.Tick, nil, nil)
	}
	waiting := e.waiting
	e.waiting = nil
	e.mu.Unlock()
	e.tell(nil)
	for _, r := range waiting {
		r.Wake()
	}
}

// Status implements engine.Engine.
func (e *Engine) Status() engine.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	return engine.Status{
		Role: "leader", Leader: "test", Members: 1, Quorum: true, Ready: true, Term: 1,
		Commit: e.state.Index(), Applied: e.state.Index(), Ops: e.state.Ops(),
		Now: e.now, Started: Start.UnixNano(), Durable: "memory", Memory: e.state.Memory(), Notify: e.state.Events(),
	}
}
