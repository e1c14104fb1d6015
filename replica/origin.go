package replica

import (
	"slices"

	"holdfast/keyspace"
)

// Batch is ops that a member's clients want carried out together, in order. The caller makes it and must not touch it until Sink.Done.
type Batch struct {
	Ops  []byte // encoded, one after the other; at most keyspace.MaxOps
	Sink Sink   // nil if nobody waits for the outcome

	seq  uint64 // its number within the incarnation; 0 while it has none
	sent bool   // since it has a number: it may be carried out, now or later
}

// Sink gets the outcome of a batch during Apply. It must be quick and must not call the Replica.
type Sink interface {
	keyspace.Results
	// Done comes once, behind the results.
	Done()
	// Lost comes in place of results and Done: the batch was carried out in what a snapshot covers. Its outcome is not known here and never will be.
	Lost()
}

// retryTicks is after how many ticks without progress an origin sends its batches again.
const retryTicks = 30

// origin is this member as the sender of batches (design 3.2). A number once given to a batch is never given to another one.
type origin struct {
	id          uint64
	nonce       uint64   // tells this life of the member from earlier ones: only a Hello that carries it is ours
	incarnation uint64   // index of our Hello; 0 before it was applied
	next        uint64   // number for the next batch
	waiting     []*Batch // not yet applied, in order
	idle        int      // ticks since the last progress
	again       bool     // everything must be sent again, at the next Ready
	later       bool     // the same, at the next tick: raft has just dropped something
	gap         bool     // a gap was seen since the last sending: it is not answered by another sending until there is progress
}

// Submit hands in a batch of local clients.
func (r *Replica) Submit(b *Batch, now Instant) {
	r.at(now)
	o := &r.origin
	b.seq, b.sent = 0, false
	o.waiting = append(o.waiting, b)
	if o.incarnation != 0 && !o.again && !o.later {
		r.send(b)
	}
}

// Withdraw takes back a batch that was never sent; it returns false if it may be carried out.
func (r *Replica) Withdraw(b *Batch) bool {
	if b.sent {
		return false
	}
	for i, w := range r.origin.waiting {
		if w == b {
			r.origin.waiting = append(r.origin.waiting[:i], r.origin.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// WithdrawAll takes back the batches that were never sent and that which wants back; any other may be carried out.
func (r *Replica) WithdrawAll(which func(*Batch) bool) {
	r.origin.waiting = slices.DeleteFunc(r.origin.waiting, func(b *Batch) bool { return !b.sent && which(b) })
}

// send brings a batch on its way, if there is a leader.
func (r *Replica) send(b *Batch) {
	if r.leader == 0 {
		return
	}
	if b.seq == 0 {
		b.seq = r.origin.next
		r.origin.next++
	}
	b.sent = true
	r.toLeader(keyspace.Entry{Kind: keyspace.Batch, Origin: r.origin.id, Incarnation: r.origin.incarnation, Seq: b.seq, Ops: b.Ops})
}

// resend sends the Hello, or everything that is not yet applied, in order.
func (r *Replica) resend() {
	o := &r.origin
	if r.leader == 0 {
		return
	}
	o.again, o.later, o.idle = false, false, 0
	if o.incarnation == 0 {
		r.toLeader(keyspace.Entry{Kind: keyspace.Hello, Origin: o.id, Seq: o.nonce})
		return
	}
	for i := 0; i < len(o.waiting) && !o.later; i++ {
		if r.cfg.Fault == FaultNewNumber {
			o.waiting[i].seq = 0
		}
		r.send(o.waiting[i])
	}
}

// toLeader proposes e, or has the leader propose it.
func (r *Replica) toLeader(e keyspace.Entry) {
	if r.leader == r.id {
		r.propose(e)
		return
	}
	r.out = append(r.out, Message{Kind: Forward, To: r.leader, Entry: &e})
}

// tick counts the time without progress. What the leader itself has proposed is in its log: it is lost with the leadership only.
func (o *origin) tick(leading bool) {
	if leading || o.incarnation != 0 && len(o.waiting) == 0 {
		o.idle = 0
		return
	}
	if o.idle++; o.idle >= retryTicks {
		o.later = true
	}
}

// hello takes notice of an applied Hello of this life. A second one (sent twice) ends the first incarnation: what was sent in it
// and is not applied by now never will be, and gets new numbers.
func (o *origin) hello(index uint64) {
	o.incarnation, o.next, o.again = index, 1, true
	for _, b := range o.waiting {
		b.seq = 0
	}
}

// superseded takes notice of an applied Hello of an earlier life, which was long on its way: it ended the incarnation. Another Hello must follow.
func (o *origin) superseded() {
	if o.incarnation != 0 {
		o.incarnation, o.again = 0, true
	}
}

// turn returns the batch that e is, if it is ours and the next one.
func (o *origin) turn(e *keyspace.Entry) *Batch {
	if e.Origin == o.id && e.Incarnation == o.incarnation && len(o.waiting) > 0 && o.waiting[0].seq == e.Seq {
		return o.waiting[0]
	}
	return nil
}

// outcome takes notice of what became of an entry in our name and incarnation.
func (o *origin) outcome(b *Batch, out keyspace.Outcome) {
	switch {
	case out == keyspace.Applied && b != nil:
		n := copy(o.waiting, o.waiting[1:])
		o.waiting[n] = nil
		o.waiting = o.waiting[:n]
		o.idle, o.gap = 0, false
		if b.Sink != nil {
			b.Sink.Done()
		}
	case out == keyspace.Gap && !o.gap:
		o.gap, o.again = true, true
	}
}

// Linked tells that messages to a member may have been lost: the link to it is new.
func (r *Replica) Linked(id uint64) {
	if id == r.leader {
		r.origin.again = true
	}
}

// restored takes notice of a snapshot that was taken as the state: own batches that it covers are never sent again, and nobody knows
// their results.
func (r *Replica) restored() {
	o := &r.origin
	o.again, o.gap = true, false
	if o.incarnation == 0 {
		return
	}
	incarnation, seq := r.state.Origin(o.id)
	lost := func(b *Batch) bool { return b.seq != 0 && b.seq <= seq }
	if incarnation != o.incarnation { // a second Hello is covered, and with it how far the first incarnation came
		lost = func(b *Batch) bool { return b.sent }
		o.incarnation = 0
	}
	if r.cfg.Fault == FaultResendAfterSnapshot {
		lost = func(b *Batch) bool { b.seq = 0; return false }
	}
	kept := o.waiting[:0]
	for _, b := range o.waiting {
		if !lost(b) {
			kept = append(kept, b)
		} else if b.Sink != nil {
			b.Sink.Lost()
		}
	}
	clear(o.waiting[len(kept):])
	o.waiting = kept
}
