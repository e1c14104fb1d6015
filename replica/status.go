package replica

import (
	"math"

	"go.etcd.io/raft/v3"
)

// PeerStatus is another member as this one knows it. Times are in ns.
type PeerStatus struct {
	Member
	Heard     int64 // since it was last heard; -1 for never
	RoundTrip int64
	Ahead     int64 // its wall clock before the own one
	Fsync     int64 // its slowest of late
	Applied   uint64
	Level     uint32
	Differs   uint64 // an index at which its state was another one than the own: a defect, or a machine that computes wrongly; 0 for none

	// Known to the leader alone.
	Match uint64
	Lease int64 // what is left of its grant
}

// Status is how the replica is.
type Status struct {
	ID, Leader                           uint64 // Leader is 0 if unknown
	Role                                 raft.StateType
	Learner                              bool
	Term, Commit, Visible, Applied, Last uint64
	Incarnation                          uint64 // 0 before the own Hello was applied: nothing is sent until then
	Peers                                []PeerStatus
	Elections                            []Election // the last ones, oldest first
	Causes                               []Cause    // how many there were since New, by Cause, as far as it is known
	Waiting                              int        // own batches that are not yet applied
	LogBytes                             int        // of the tail in memory
	Lease                                int64      // ns for which the own memory may answer reads; -1 for ever
	Level                                uint32
	Draining                             bool
}

// Status tells how the replica is.
func (r *Replica) Status(now Instant) Status {
	r.at(now)
	s := Status{
		ID: r.id, Leader: r.leader, Role: r.role, Term: r.term, Commit: r.commit, Visible: r.visible(), Applied: r.applied, Last: r.log.last(),
		Incarnation: r.origin.incarnation, Elections: append([]Election(nil), r.elections...), Causes: append([]Cause(nil), r.causes...), Waiting: len(r.origin.waiting), LogBytes: r.log.bytes,
		Level: r.Level(), Draining: r.draining,
	}
	if m := find(r.members, r.id); m != nil {
		s.Learner = m.Learner
	}
	switch until := r.ReadableUntil(now); {
	case until == math.MaxInt64:
		s.Lease = -1
	default:
		s.Lease = max(0, until-r.mono)
	}
	for i := range r.peers {
		p := &r.peers[i]
		ps := PeerStatus{
			Member: *find(r.members, p.id), Heard: r.mono - p.heard, RoundTrip: p.roundTrip, Fsync: p.fsync, Applied: p.applied, Level: p.known, Differs: p.differs,
		}
		if p.heard == 0 {
			ps.Heard = -1
		}
		if p.clock != 0 {
			ps.Ahead = p.ahead(r)
		}
		if r.leading() {
			ps.Match, ps.Lease = p.match, max(0, p.ends-r.mono)
		}
		s.Peers = append(s.Peers, ps)
	}
	return s
}
