package cluster

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3"

	"holdfast/engine"
)

// Status tells how this member is. Any goroutine may call it.
func (n *Node) Status() engine.Status {
	s := engine.Status{
		Members: 1, Ready: true, Now: n.clock.now(), Started: n.started, Data: n.cfg.Dir, Durable: n.cfg.Durability.String(),
		Limit: n.cfg.Limit, Resident: resident(),
	}
	if n.wal != nil {
		s.LogBytes = n.wal.Bytes()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.replica.Status(n.clock.instant())
	s.Role = "candidate"
	switch r.Role {
	case raft.StateLeader:
		s.Role = "leader"
	case raft.StateFollower:
		s.Role = "follower"
	}
	if r.Leader == r.ID {
		s.Leader = n.cfg.Name
	}
	s.Quorum = r.Leader != 0 && n.problem == nil
	if n.problem != nil {
		s.Problem = n.problem.Error()
	}
	s.Term, s.Commit, s.Applied, s.Ops = r.Term, r.Commit, r.Applied, n.state.Ops()
	s.Now = max(s.Now, n.state.Stamp())
	s.Snapshot, s.SnapTime = n.snapshot.index, n.snapshot.time
	s.LogFsync = n.slowestFsync()
	s.Memory = n.state.Memory()
	return s
}

// noteFsync takes notice of how long an fsync took. Caller holds mu, as for slowestFsync.
func (n *Node) noteFsync(took time.Duration) {
	second := n.forgetFsyncs()
	n.fsyncs[second] = max(n.fsyncs[second], int64(took))
}

func (n *Node) slowestFsync() int64 {
	n.forgetFsyncs()
	return slices.Max(n.fsyncs[:])
}

// forgetFsyncs clears the seconds that are more than a minute ago and returns the place of the present one.
func (n *Node) forgetFsyncs() int64 {
	now := int64(time.Since(n.clock.base) / time.Second)
	for n.fsyncAt = max(n.fsyncAt, now-int64(len(n.fsyncs))); n.fsyncAt < now; {
		n.fsyncAt++
		n.fsyncs[n.fsyncAt%int64(len(n.fsyncs))] = 0
	}
	return now % int64(len(n.fsyncs))
}
