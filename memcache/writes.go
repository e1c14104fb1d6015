package memcache

import (
	"strconv"

	"holdfast/op"
)

const (
	badDelta   = "CLIENT_ERROR invalid numeric delta argument"
	notNumeric = "CLIENT_ERROR cannot increment or decrement non-numeric value"
	badDelete  = "CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]"
)

func (w *worker) setIf(c op.Cond) op.Write {
	h := &w.head
	w.set = op.Set{Key: h.key, Value: h.value, Flags: h.flags, Life: h.life, Cond: c}
	return &w.set
}

func storeSet(w *worker) op.Write     { return w.setIf(op.Cond{}) }
func storeAdd(w *worker) op.Write     { return w.setIf(op.Cond{Kind: op.IfAbsent}) }
func storeReplace(w *worker) op.Write { return w.setIf(op.Cond{Kind: op.IfPresent}) }
func storeCas(w *worker) op.Write {
	return w.setIf(op.Cond{Kind: op.IfVersion, Version: w.head.unique})
}

func (w *worker) join(front bool) op.Write {
	w.splice = op.Splice{Key: w.head.key, Value: w.head.value, Front: front, Most: w.mostOf(w.head.key)}
	return &w.splice
}

// mostOf is how long the value of an item may be.
func (w *worker) mostOf(k op.Key) uint64 {
	return uint64(max(1, w.d.conf.MaxItem-itemSize(len(k.Name), 0, 0)))
}

func storeAppend(w *worker) op.Write  { return w.join(false) }
func storePrepend(w *worker) op.Write { return w.join(true) }

// refusal appends what every write may come to instead of its own outcomes. Where memcached has no room for an item it also drops the one
// that was there; here a session that cannot be renewed is still the session.
func refusal(n *counters, out []byte, r *op.Result) []byte {
	switch r.Status {
	case op.OutOfMemory:
		n.add(noMemory)
		return append(out, outOfMemory+"\r\n"...)
	case op.TooLarge:
		n.add(tooLarge)
		return append(out, objectTooLarge+"\r\n"...)
	}
	return append(out, "SERVER_ERROR unexpected outcome\r\n"...)
}

func replyStored(n *counters, out []byte, r *op.Result, _ *owed) []byte {
	n.add(setCmds)
	switch r.Status {
	case op.OK:
		return append(out, "STORED\r\n"...)
	case op.Failed:
		return append(out, "NOT_STORED\r\n"...)
	}
	return refusal(n, out, r)
}

func replySpliced(n *counters, out []byte, r *op.Result, _ *owed) []byte {
	n.add(setCmds)
	switch r.Status {
	case op.OK:
		return append(out, "STORED\r\n"...)
	case op.Missing, op.TooLarge:
		return append(out, "NOT_STORED\r\n"...)
	}
	return refusal(n, out, r)
}

func replyCas(n *counters, out []byte, r *op.Result, _ *owed) []byte {
	n.add(setCmds)
	switch r.Status {
	case op.OK:
		n.add(casHits)
		return append(out, "STORED\r\n"...)
	case op.Stale:
		n.add(casBadval)
		return append(out, "EXISTS\r\n"...)
	case op.Missing:
		n.add(casMisses)
		return append(out, "NOT_FOUND\r\n"...)
	}
	return refusal(n, out, r)
}

func (w *worker) remove(k op.Key) op.Write {
	w.delKey[0] = k
	w.del = op.Delete{Keys: w.delKey[:]}
	return &w.del
}

// replyTooLarge answers the Delete that a set of too large an item has become.
func replyTooLarge(_ *counters, out []byte, _ *op.Result, _ *owed) []byte {
	return append(out, objectTooLarge+"\r\n"...)
}

func writeDelete(w *worker, a [][]byte) (op.Write, string) {
	if len(a) > 1 {
		// The 0 is the time for which old versions held the key back.
		zero, quiet := string(a[1]) == "0", string(a[len(a)-1]) == "noreply"
		if !(len(a) == 2 && (zero || quiet) || len(a) == 3 && zero && quiet) {
			return nil, badDelete
		}
	}
	if len(a[0]) > maxKey {
		return nil, badFormat
	}
	return w.remove(memcacheKey(a[0])), ""
}

func replyDeleted(n *counters, out []byte, r *op.Result, _ *owed) []byte {
	switch {
	case r.Status != op.OK:
		return refusal(n, out, r)
	case r.Int == 0:
		n.add(deleteMisses)
		return append(out, "NOT_FOUND\r\n"...)
	}
	n.add(deleteHits)
	return append(out, "DELETED\r\n"...)
}

func (w *worker) countBy(a [][]byte, down bool) (op.Write, string) {
	if len(a[0]) > maxKey {
		return nil, badFormat
	}
	delta, ok := unsigned(a[1])
	if !ok {
		return nil, badDelta
	}
	w.incr = op.Count{Key: memcacheKey(a[0]), Delta: delta, Down: down}
	return &w.incr, ""
}

func writeIncr(w *worker, a [][]byte) (op.Write, string) { return w.countBy(a, false) }
func writeDecr(w *worker, a [][]byte) (op.Write, string) { return w.countBy(a, true) }

func replyIncr(n *counters, out []byte, r *op.Result, _ *owed) []byte {
	return replyCount(n, out, r, incrHits, incrMisses)
}

func replyDecr(n *counters, out []byte, r *op.Result, _ *owed) []byte {
	return replyCount(n, out, r, decrHits, decrMisses)
}

func replyCount(n *counters, out []byte, r *op.Result, hit, miss counter) []byte {
	switch r.Status {
	case op.OK:
		n.add(hit)
		return append(strconv.AppendUint(out, r.Uint, 10), "\r\n"...)
	case op.Missing:
		n.add(miss)
		return append(out, "NOT_FOUND\r\n"...)
	case op.NotInteger:
		return append(out, notNumeric+"\r\n"...)
	}
	return refusal(n, out, r)
}

// touchIn puts the life that an exptime means into w.touch.
func (w *worker) touchIn(exptime []byte) bool {
	t, ok := signed(exptime)
	w.touch = op.Expire{Life: life(t)}
	return ok
}

func writeTouch(w *worker, a [][]byte) (op.Write, string) {
	if len(a[0]) > maxKey {
		return nil, badFormat
	}
	if !w.touchIn(a[1]) {
		return nil, badExptime
	}
	w.touch.Key = memcacheKey(a[0])
	return &w.touch, ""
}

func replyTouched(n *counters, out []byte, r *op.Result, _ *owed) []byte {
	switch r.Status {
	case op.OK:
		n.add(touchHits)
		return append(out, "TOUCHED\r\n"...)
	case op.Missing:
		n.add(touchMisses)
		return append(out, "NOT_FOUND\r\n"...)
	}
	return refusal(n, out, r)
}

func writeFlush(w *worker, a [][]byte) (op.Write, string) {
	var delay int32
	if len(a) > 0 && !(len(a) == 1 && string(a[0]) == "noreply") {
		var ok bool
		if delay, ok = signed(a[0]); !ok {
			return nil, badExptime
		}
	}
	if o := w.flushAll(life(max(delay, 0))); o != nil {
		return o, ""
	}
	return nil, "OK"
}

// flushAll removes the keys that the settings say, at once or when l is over. Nil: they say none.
func (w *worker) flushAll(l op.Life) op.Write {
	policy := w.d.conf.FlushAll
	if policy == "none" {
		return nil
	}
	w.flush = op.Flush{Space: op.Memcache, OnlyClass: policy == "cache", Only: op.Cache, Life: l}
	return &w.flush
}

func replyFlushed(n *counters, out []byte, r *op.Result, _ *owed) []byte {
	if r.Status != op.OK {
		return refusal(n, out, r)
	}
	n.add(flushCmds)
	return append(out, "OK\r\n"...)
}
