package replica

import (
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/keyspace"
)

// Applied is the index up to which the state is applied.
func (r *Replica) Applied() uint64 { return r.applied }

// Leader is who leads as far as this member knows, 0 if it knows nobody.
func (r *Replica) Leader() uint64 { return r.leader }

// Busy says whether an entry is appended and not yet applied.
func (r *Replica) Busy() bool { return r.log.last() > r.applied }

// Commit is the newest index known to be committed. Written beside entries it lets Recover apply early.
//
// It is raft's own word, which may be ahead of what raft has given out: who has a change of the membership in its log must know, also after a restart, that the one
// before it is committed.
func (r *Replica) Commit() uint64 { return max(r.commit, r.log.hard.GetCommit()) }

// visible is the index up to which the state may be applied (design 3.2): what is committed, and appended by whoever may answer reads. It
// never falls: what was visible once was acknowledged.
func (r *Replica) visible() uint64 {
	v := r.commit
	switch {
	case r.cfg.Fault == FaultGateAtCommit:
	case r.leading():
		for i := range r.peers {
			if p := &r.peers[i]; r.inRoster(p) {
				v = min(v, p.match)
			}
		}
	case r.alone():
	case r.cfg.Fault == FaultNoticePastCommit:
		v = min(r.noticed, r.log.last())
	default:
		v = min(v, r.noticed)
	}
	r.seen = max(r.seen, v)
	return r.seen
}

// notice tells the others what is visible.
func (r *Replica) notice() {
	v := r.visible()
	if v <= r.told {
		return
	}
	r.told = v
	r.noticed = max(r.noticed, v)
	r.floor = r.everybodys()
	for i := range r.peers {
		r.out = append(r.out, Message{Kind: Visible, To: r.peers[i].id, Term: r.term, Index: v, Floor: r.floor, Commit: min(r.Commit(), r.peers[i].match)})
	}
}

// everybodys is what all members have of the log.
func (r *Replica) everybodys() (floor uint64) {
	floor = r.applied
	for i := range r.peers {
		floor = min(floor, r.peers[i].match)
	}
	return max(floor, r.floor)
}

// Apply applies visible entries of about limit bytes to the state, at least one if there is any, and gives the results of own batches to their
// sinks. It returns whether more is visible. Nobody may read the state during the call.
func (r *Replica) Apply(limit int, now Instant) (more bool) {
	r.at(now)
	v := r.visible()
	for r.applied < v && limit > 0 {
		limit -= 1 + r.applyNext()
	}
	r.compact()
	for len(r.gated) > 0 && r.gated[0].Entries[len(r.gated[0].Entries)-1].GetIndex() <= r.applied {
		r.accept(r.gated[0])
		r.gated = r.gated[1:]
	}
	return r.applied < v
}

// compact lets go of the log that nobody needs: what all members have, and what does not fit.
func (r *Replica) compact() {
	if r.alone() {
		r.log.compact(r.applied)
		return
	}
	r.log.compact(min(r.applied, max(r.floor, r.log.keepWithin(r.cfg.Retain))))
}

// Visible says whether Apply has anything to do.
func (r *Replica) Visible() bool { return r.applied < r.visible() }

// applyNext applies the next entry and returns its size.
func (r *Replica) applyNext() int {
	raw := r.log.at(r.applied + 1)
	r.applied++
	if raw.GetType() != pb.EntryNormal {
		r.settled, _ = changed(r.settled, raw)
		return 0
	}
	if len(raw.Data) == 0 {
		return 0 // raft's own
	}
	e := r.decode(raw)
	r.stamped(e.Stamp)
	b := r.origin.turn(&e)
	var to keyspace.Results
	if b != nil && b.Sink != nil {
		to = b.Sink
	}
	outcome := r.state.Apply(&e, to)
	r.sums.note(e.Index, r.state.Sum())
	switch {
	case e.Origin != r.origin.id:
	case e.Kind == keyspace.Hello && e.Seq == r.origin.nonce:
		r.origin.hello(e.Index)
	case e.Kind == keyspace.Hello:
		r.origin.superseded()
	case e.Kind == keyspace.Batch && e.Incarnation == r.origin.incarnation:
		r.origin.outcome(b, outcome)
	}
	return len(raw.Data)
}

// decode panics on what nobody can have proposed: applying anything else in its place would part this member from the others.
func (r *Replica) decode(raw *pb.Entry) keyspace.Entry {
	e, err := keyspace.DecodeEntry(raw.GetIndex(), raw.Data)
	if err != nil {
		panic(fmt.Sprintf("replica: entry %d: %v", raw.GetIndex(), err))
	}
	return e
}
