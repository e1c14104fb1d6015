package replica

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/keyspace"
)

// Base tells what the state contains, for a snapshot of it.
func (r *Replica) Base() Base {
	term, _ := r.log.Term(r.applied)
	return Base{Index: r.applied, Term: term, Members: r.settled}
}

// End is where the log ends, committed or not, and the members as of what is committed.
func (r *Replica) End() Base {
	last := r.log.last()
	term, _ := r.log.Term(last)
	return Base{Index: last, Term: term, Members: r.members}
}

// snapshotNow is what raft wants to know of a snapshot that would be taken now.
func (r *Replica) snapshotNow() (*pb.SnapshotMetadata, bool) {
	b := r.Base()
	return &pb.SnapshotMetadata{Index: new(b.Index), Term: new(b.Term), ConfState: conf(b.Members)}, b.Index > 0
}

// SnapshotBase tells what a snapshot taken now contains, and whether it is of use to a member: it must say that it is one.
func (r *Replica) SnapshotBase(to uint64) (Base, bool) {
	b := r.Base()
	return b, find(b.Members, to) != nil
}

// ReportSnapshot tells whether a member got the snapshot that Effects asked for.
func (r *Replica) ReportSnapshot(to uint64, ok bool) {
	status := raft.SnapshotFinish
	if !ok {
		status = raft.SnapshotFailure
	}
	r.raft.ReportSnapshot(to, status)
}

// Newer says whether a snapshot of a base would bring this member on.
func (r *Replica) Newer(b Base) bool { return b.Index > r.commit && find(b.Members, r.id) != nil }

// Restore takes state, which contains base, in place of the own one. Newer must hold; from is who sent it. Nobody may read during the call. Own batches that
// it covers are Lost.
func (r *Replica) Restore(base Base, state *keyspace.State, from uint64, now Instant) {
	r.at(now)
	t := pb.MsgSnap
	meta := &pb.SnapshotMetadata{Index: new(base.Index), Term: new(base.Term), ConfState: conf(base.Members)}
	r.state, r.applied, r.settled = state, base.Index, base.Members
	r.noticed, r.seen = max(r.noticed, base.Index), max(r.seen, base.Index)
	r.stamped(state.Stamp())
	if r.leader != 0 && r.leader != r.id {
		from = r.leader
	}
	_ = r.raft.Step(&pb.Message{
		Type: &t, From: new(from), To: new(r.id), Term: new(r.raft.BasicStatus().HardState.GetTerm()), Snapshot: &pb.Snapshot{Metadata: meta},
	})
	r.restored()
}
