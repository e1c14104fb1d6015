package engine

import (
	"errors"

	"holdfast/keyspace"
	"holdfast/op"
)

// ErrTooLarge says that the keys of an Overlay are larger together than Most.
var ErrTooLarge = errors.New("the keys are too large to be copied together")

// ErrWait says that a read of an Overlay had to wait: start over after the Wake.
var ErrWait = errors.New("the read has to wait")

// An Overlay is a private copy of the keys that a script touches. The script reads its own writes there, carried out by the code that
// every member runs; in the end Tx gives one transaction whose guards hold only if nothing that was read has changed meanwhile. So no interpreter is
// in the state (design 3.7). Not for concurrent use; Reset makes it fit for the next script.
type Overlay struct {
	Most    int // bytes of keys that are copied, 0 for no limit; one key is never too large
	copied  int // bytes of keys that were
	engine  Engine
	reader  Reader
	state   *keyspace.State
	entry   keyspace.Entry
	loaded  map[string]bool // space and name
	flushed [op.Spaces]bool
	guards  []op.Guard
	writes  op.Tx
	keys    []op.Key
	dump    dump
	res     op.Result
}

// overlayOrigin is the origin of an Overlay's entries in its private state.
const overlayOrigin = 1

// NewOverlay makes an Overlay over what e reads now. r is woken when a read had to wait.
func NewOverlay(e Engine, r Reader) *Overlay {
	o := &Overlay{state: keyspace.New(nil, nil), loaded: map[string]bool{}}
	o.Reset(e, r)
	return o
}

// Reset forgets everything and turns to e and r.
func (o *Overlay) Reset(e Engine, r Reader) {
	o.engine, o.reader = e, r
	clear(o.loaded)
	o.flushed = [op.Spaces]bool{}
	o.copied = 0
	o.guards, o.writes = o.guards[:0], op.Tx{Body: o.writes.Body[:0]}
	o.res = op.Result{}
	if o.state.Stamp() == 0 {
		o.apply(keyspace.Hello, nil)
		o.entry.Incarnation = o.entry.Index
	} else {
		o.apply(keyspace.Batch, &op.Flush{All: true})
	}
}

// apply carries w out on the private state, at the group's present time.
func (o *Overlay) apply(kind keyspace.EntryKind, w op.Op) {
	e := &o.entry
	e.Kind, e.Origin = kind, overlayOrigin
	e.Index++
	e.Stamp = max(o.state.Stamp(), o.engine.Status().Now)
	e.Ops = e.Ops[:0]
	if w != nil {
		e.Seq++
		e.Ops = w.Append(e.Ops)
	}
	o.state.Apply(e, o)
}

// Result keeps what the op of apply came to; the private state stands still until the next one.
func (o *Overlay) Result(r *op.Result) { o.res = *r }

// Do carries out x on the copy and returns its result, which is valid until the next call. ErrWait means that a read of the Engine had to wait.
// Scan, Size and RandomKey see the Engine's state, without what the script wrote.
func (o *Overlay) Do(x op.Op) (*op.Result, error) {
	switch x := x.(type) {
	case *op.Scan, *op.Size, *op.RandomKey:
		return o.through(x.(op.Read))
	case *op.Flush:
		for s := range o.flushed {
			o.flushed[s] = o.flushed[s] || x.All || op.Space(s) == x.Space
		}
	}
	if err := o.load(x); err != nil {
		return nil, err
	}
	if r, ok := x.(op.Read); ok {
		o.res.Reset()
		o.state.Read(r, o.state.Stamp(), &o.res)
		return &o.res, nil
	}
	o.writes.Add(x)
	o.apply(keyspace.Batch, x)
	return &o.res, nil
}

// through asks the Engine itself.
func (o *Overlay) through(r op.Read) (*op.Result, error) {
	o.dump = dump{wake: o.reader}
	if !o.engine.Read(r, &o.dump) {
		return nil, ErrWait
	}
	o.res = o.dump.res
	return &o.res, nil
}

// load copies the keys of x that are not here yet, and notes their versions as guards.
func (o *Overlay) load(x op.Op) error {
	o.keys = op.Keys(x, o.keys[:0])
	missing := o.keys[:0]
	for _, k := range o.keys {
		id := string(append([]byte{byte(k.Space)}, k.Name...))
		if o.loaded[id] || o.flushed[k.Space] {
			continue
		}
		o.loaded[id] = true
		missing = append(missing, op.Key{Space: k.Space, Name: []byte(id[1:])})
	}
	if len(missing) == 0 {
		return nil
	}
	// One at a time, so that what is beyond Most is not copied first. The guards see to it that all are of one state in the end.
	for i, k := range missing {
		res, err := o.through(&op.Dump{Keys: missing[i : i+1]})
		if err != nil {
			return err
		}
		r := &res.List[0]
		o.guards = append(o.guards, op.Guard{Key: k, Version: r.Version})
		if r.Status != op.OK {
			continue
		}
		if o.Most > 0 && o.copied > 0 && o.copied+len(r.Value) > o.Most {
			return ErrTooLarge
		}
		o.copied += len(r.Value)
		if err := o.state.Import(k, r.Value, r.Version); err != nil {
			return err
		}
	}
	return nil
}

// Tx returns what the script came to: its writes, guarded by the versions of all it touched and by guards (WATCH). With Count 0 it wrote nothing; if it touched
// more than one key, whoever wants them of one state compares the guards with op.Versions. Valid until Reset.
func (o *Overlay) Tx(guards []op.Guard) *op.Tx {
	o.writes.Guards = append(append([]op.Guard(nil), guards...), o.guards...)
	return &o.writes
}

// dump takes a copy of what the Engine shows.
type dump struct {
	wake Reader
	res  op.Result
}

func (d *dump) Show(res *op.Result) { d.res = clone(res) }
func (d *dump) Wake()               { d.wake.Wake() }
func (d *dump) Refuse(err error)    { d.wake.Refuse(err) }

func clone(r *op.Result) op.Result {
	c := *r
	c.Value = append([]byte(nil), r.Value...)
	c.List = make([]op.Result, len(r.List))
	for i := range r.List {
		c.List[i] = clone(&r.List[i])
	}
	return c
}
