package cluster

import (
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
	at       int    // whose result comes next
	since    int64  // when it was handed in, own clock
	tick     int    // the same, in ticks
	then     func() // for the node's own: called under Node.mu when it is applied
	answered bool   // its writers got an error already: what comes of it interests nobody
}

var _ replica.Sink = (*batch)(nil)

// Result copies r, which is valid during the call only.
func (b *batch) Result(r *op.Result) {
	if h := b.node.herald; h != nil && b.at < len(b.writers) {
		h.wroteBy(b.writers[b.at])
		b.at++
	}
	if !b.answered {
		b.results = append(b.results, b.copy(r))
	}
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

// Lost comes when nobody will know what came of the batch.
func (b *batch) Lost() {
	b.err = engine.ErrUncertain
	b.node.finish(b)
}

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
