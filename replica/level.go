package replica

import (
	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/keyspace"
)

// The level of a group (op.Level) is raised by an entry of the log. Only what is behind it may be of that level, and a member that does not know the level
// takes neither the entry nor anything behind it, from whomever it comes: so it never meets what it does not know, whatever its version was before.

// Level is what every member of the group knows: ops above it may not be submitted yet. At least 1.
func (r *Replica) Level() uint32 { return r.state.Level() }

// raise raises the level when all members are there and say that they know more. Called on the leader every tick.
func (r *Replica) raise() {
	level := r.cfg.Level
	for i := range r.peers {
		p := &r.peers[i]
		if p.acked == 0 || r.mono-p.acked >= r.cfg.Promise {
			return // it may come back with an older version
		}
		level = min(level, p.known)
	}
	if level > r.state.Level() && r.readableIndex() != 0 && (r.raising == 0 || r.mono-r.raising >= tryAgain) {
		r.raising = r.mono
		r.propose(keyspace.Entry{Kind: keyspace.Raise, Seq: uint64(level)})
	}
}

// knows says whether this member may take entries, and remembers if not.
func (r *Replica) knows(entries ...*pb.Entry) bool {
	for _, e := range entries {
		if e.GetType() != pb.EntryNormal || len(e.Data) == 0 || keyspace.EntryKind(e.Data[0]) != keyspace.Raise {
			continue
		}
		if to := uint32(r.decode(e).Seq); to > r.cfg.Level {
			r.beyond = to
			return false
		}
	}
	return true
}

// Beyond is not nil when the group goes on with what this member does not know: then it is to stop, and takes nothing of it. It is a keyspace.Newer.
func (r *Replica) Beyond() error {
	if r.beyond == 0 {
		return nil
	}
	return &keyspace.Newer{Level: r.beyond, Known: r.cfg.Level}
}
