package memcache

import (
	"encoding/binary"

	"holdfast/op"
)

// never is the exptime with which a counter that is not there is not made.
const never = 1<<32 - 1

func (w *worker) packetSetIf(p *packet, c op.CondKind) op.Write {
	w.set = op.Set{Key: p.key, Value: p.value, Flags: binary.BigEndian.Uint32(p.extras), Life: p.exptime(4), Cond: p.cond(c)}
	return &w.set
}

func packetSet(w *worker, p *packet) op.Write     { return w.packetSetIf(p, op.Always) }
func packetAdd(w *worker, p *packet) op.Write     { return w.packetSetIf(p, op.IfAbsent) }
func packetReplace(w *worker, p *packet) op.Write { return w.packetSetIf(p, op.IfPresent) }

func (w *worker) packetJoin(p *packet, front bool) op.Write {
	w.splice = op.Splice{Key: p.key, Value: p.value, Front: front, Cond: p.cond(op.Always), Most: w.mostOf(p.key)}
	return &w.splice
}

func packetAppend(w *worker, p *packet) op.Write  { return w.packetJoin(p, false) }
func packetPrepend(w *worker, p *packet) op.Write { return w.packetJoin(p, true) }

// succeed answers what has come out as was hoped for.
func succeed(out []byte, o *owed, cas uint64) []byte {
	if o.quiet {
		return out
	}
	return appendPacket(out, o.opcode, o.opaque, statusOK, cas, 0, 0, 0)
}

// problem answers what has not.
func problem(n *counters, out []byte, o *owed, r *op.Result) []byte {
	st := statusTemporary
	switch r.Status {
	case op.Missing:
		st = statusMissing
	case op.Stale:
		st = statusExists
	case op.NotInteger:
		st = statusNotNumeric
	case op.TooLarge:
		n.add(tooLarge)
		st = statusTooLarge
	case op.OutOfMemory:
		n.add(noMemory)
		st = statusOutOfMemory
	}
	return appendProblem(out, o.opcode, o.opaque, st, "")
}

func packetStored(n *counters, out []byte, r *op.Result, o *owed) []byte {
	n.add(setCmds)
	if r.Status == op.OK {
		return succeed(out, o, r.Version)
	}
	st := statusNotStored
	switch o.opcode {
	case codeAdd, codeAddQ:
		st = statusExists
	case codeReplace, codeReplaceQ:
		st = statusMissing
	}
	splice := o.opcode == codeAppend || o.opcode == codeAppendQ || o.opcode == codePrepend || o.opcode == codePrependQ
	if r.Status == op.Failed || splice && (r.Status == op.Missing || r.Status == op.TooLarge) {
		return appendProblem(out, o.opcode, o.opaque, st, "")
	}
	return problem(n, out, o, r)
}

func packetDelete(w *worker, p *packet) op.Write {
	w.remove(p.key)
	w.del.Cond = p.cond(op.Always)
	return &w.del
}

func packetDeleted(n *counters, out []byte, r *op.Result, o *owed) []byte {
	switch {
	case r.Status == op.OK && r.Int > 0:
		n.add(deleteHits)
		return succeed(out, o, 0)
	case r.Status == op.OK || r.Status == op.Missing:
		n.add(deleteMisses)
		return appendProblem(out, o.opcode, o.opaque, statusMissing, "")
	}
	return problem(n, out, o, r)
}

func (w *worker) packetCount(p *packet, down bool) op.Write {
	w.incr = op.Count{Key: p.key, Delta: p.number(0), Down: down, Initial: p.number(8), Life: p.exptime(16),
		Create: binary.BigEndian.Uint32(p.extras[16:]) != never, Cond: p.cond(op.Always)}
	return &w.incr
}

func packetIncr(w *worker, p *packet) op.Write { return w.packetCount(p, false) }
func packetDecr(w *worker, p *packet) op.Write { return w.packetCount(p, true) }

func packetCounted(n *counters, out []byte, r *op.Result, o *owed) []byte {
	hit, miss := incrHits, incrMisses
	if o.opcode == codeDecr || o.opcode == codeDecrQ {
		hit, miss = decrHits, decrMisses
	}
	switch r.Status {
	case op.OK:
		n.add(hit)
		if o.quiet {
			return out
		}
		return binary.BigEndian.AppendUint64(appendPacket(out, o.opcode, o.opaque, statusOK, r.Version, 0, 0, 8), r.Uint)
	case op.Missing:
		n.add(miss)
	}
	return problem(n, out, o, r)
}

func packetTouch(w *worker, p *packet) op.Write {
	w.touch = op.Expire{Key: p.key, Life: p.exptime(0), Fetch: true}
	return &w.touch
}

func packetTouched(n *counters, out []byte, r *op.Result, o *owed) []byte {
	if r.Status != op.OK {
		n.add(touchMisses)
		switch {
		case r.Status != op.Missing:
			return problem(n, out, o, r)
		case o.quiet:
			return out
		}
		return appendMiss(out, o.opcode, o.opaque, o.text)
	}
	n.add(touchHits)
	if o.opcode == codeTouch {
		out = appendPacket(out, o.opcode, o.opaque, statusOK, r.Version, 4, 0, 0)
		return binary.BigEndian.AppendUint32(out, r.Flags)
	}
	return appendItem(out, o.opcode, o.opaque, o.text, r)
}

func packetFlush(w *worker, p *packet) op.Write {
	var l op.Life
	if p.extraLen > 0 {
		l = p.exptime(0)
	}
	return w.flushAll(l)
}

func packetFlushed(n *counters, out []byte, r *op.Result, o *owed) []byte {
	if r.Status != op.OK {
		return problem(n, out, o, r)
	}
	n.add(flushCmds)
	return succeed(out, o, 0)
}
