package cluster

import (
	"unsafe"

	"holdfast/engine"
	"holdfast/op"
	"holdfast/replica"
)

// batch is a replica.Batch and those who wait for it.
type batch struct {
	replica.Batch
	node     *Node
	door     *Door // whose it is; nil for the node's own
	writers  []engine.Writer
	results  []op.Result
	arena    []byte // what the results' values refer to; a full one is left to them and a new one begun
	err      error  // in place of results
	since    int64  // when it was handed in, own clock
	then     func() // for the node's own: called under Node.mu when it is applied
	answered bool   // its writers got an error already: what comes of it interests nobody
}

var _ replica.Sink = (*batch)(nil)

// resultSize is what a result takes besides its value.
const resultSize = int(unsafe.Sizeof(op.Result{}))

// Result copies r, which is valid during the call only. What a transaction gives back is bounded: beyond Config.ReplyLimit its results have the
// status TooLarge and no value, though their ops were carried out. A single value is always copied.
func (b *batch) Result(r *op.Result) {
	if b.answered {
		return
	}
	most, size := b.node.cfg.ReplyLimit, 0
	c := *r
	c.Value, c.List, c.Scratch = b.keep(r.Value), nil, nil
	if len(r.List) > 0 {
		c.List = make([]op.Result, len(r.List))
	}
	for i := range r.List {
		in := &r.List[i]
		n := valueSize(in)
		if most > 0 && n > 0 && (size > 0 || len(in.List) > 1) && size+n > most {
			c.List[i] = op.Result{Status: op.TooLarge}
			continue
		}
		size += n
		c.List[i] = b.copy(in)
	}
	b.results = append(b.results, c)
}

// valueSize is what the copy of a result takes beyond itself.
func valueSize(r *op.Result) int {
	n := len(r.Value) + len(r.List)*resultSize
	for i := range r.List {
		n += len(r.List[i].Value)
	}
	return n
}

func (b *batch) copy(r *op.Result) op.Result {
	c := *r
	c.Value, c.Scratch = b.keep(r.Value), nil
	if len(r.List) > 0 {
		c.List = make([]op.Result, len(r.List))
		for i := range r.List {
			c.List[i] = b.copy(&r.List[i])
		}
	}
	return c
}

// keep copies a value.
func (b *batch) keep(v []byte) []byte {
	if len(v) == 0 {
		return v
	}
	if cap(b.arena)-len(b.arena) < len(v) {
		b.arena = make([]byte, 0, max(min(2*cap(b.arena), keepArena), len(v), 1024))
	}
	at := len(b.arena)
	b.arena = append(b.arena, v...)
	return b.arena[at:len(b.arena):len(b.arena)]
}

// Done comes when the batch is applied. Node.mu is held.
func (b *batch) Done() { b.node.finish(b) }

// deliver tells the writers, on the worker's goroutine.
func (b *batch) deliver() {
	if b.answered {
		return
	}
	if b.err == nil && len(b.results) != len(b.writers) {
		panic("cluster: a batch has not a result for each op")
	}
	for i, w := range b.writers {
		if b.err != nil {
			w.Done(new(op.Result), b.err)
		} else {
			w.Done(&b.results[i], nil)
		}
	}
}
