package replica

import (
	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/keyspace"
	"holdfast/op"
)

// pendingSlots is the size of the table of pending keys. Two keys in one slot cost a needless wait, nothing else.
const pendingSlots = 1 << 14

// pending knows which keys are touched by entries that are appended and not yet applied (design 3.3). A group of one leaves it empty:
// there, what is appended and not applied was acknowledged to nobody and can be seen nowhere else.
type pending struct {
	slots []uint64 // highest index by hash of the key
	all   uint64   // highest index of an entry that touches every key
	stamp int64    // newest stamp appended: it may end keys before it is applied
	dec   op.Decoder
}

// Pending returns the index that must be applied before rd may be answered here, 0 if it may be at once; and the newest stamp that was appended: a
// key that is dead by then must not be shown as living.
func (r *Replica) Pending(rd op.Read) (index uint64, stamp int64) {
	p := &r.pending
	if p.slots == nil {
		return 0, 0
	}
	index = p.all
	op.EachKey(rd, func(k op.Key) { index = max(index, p.slots[slot(k)]) })
	if index <= r.applied || r.cfg.Fault == FaultNoPending || r.cfg.Fault == FaultPendingToVisible && index <= min(r.commit, r.noticed) {
		index = 0
	}
	return index, p.stamp
}

func slot(k op.Key) uint64 { return keyspace.Hash(k) % pendingSlots }

// mark marks the keys of entries that were appended. When they replaced others, those are unmarked by marking all that is left afresh.
func (r *Replica) mark(entries []*pb.Entry, replaced bool) {
	p := &r.pending
	if p.slots == nil {
		p.slots = make([]uint64, pendingSlots)
	}
	if replaced {
		clear(p.slots)
		p.all, p.stamp = 0, 0
		entries = r.log.behind(r.applied)
	}
	for _, raw := range entries {
		if raw.GetIndex() <= r.applied || len(raw.Data) == 0 || raw.GetType() != pb.EntryNormal {
			continue
		}
		e := r.decode(raw)
		p.stamp = max(p.stamp, e.Stamp)
		p.ops(e.Index, e.Ops)
	}
}

func (p *pending) ops(index uint64, ops []byte) {
	for len(ops) > 0 {
		o, rest, err := p.dec.Next(ops)
		if err != nil {
			panic("replica: an entry holds bytes that are no op")
		}
		ops = rest
		if tx, ok := o.(*op.Tx); ok {
			p.ops(index, tx.Body) // the decoder's Tx is not needed behind this: a Tx holds no Tx
		} else if !op.EachKey(o, func(k op.Key) { p.slots[slot(k)] = index }) {
			p.all = index
		}
	}
}
