package cluster

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"go.etcd.io/raft/v3"

	"holdfast/engine"
	"holdfast/replica"
)

// Status tells how this member is. Any goroutine may call it.
func (n *Node) Status() engine.Status {
	s := engine.Status{
		Members: 1, Ready: true, Now: n.clock.now(), Started: n.started, Data: n.cfg.Dir, Durable: n.cfg.Durability.String(),
		Limit: n.cfg.Limit, Resident: resident(),
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.wal != nil {
		s.LogBytes = n.wal.Bytes()
	}
	s.Snapshot, s.SnapTime = n.snapshot.index, n.snapshot.time
	s.LogFsync, s.Events = n.slowestFsync(), n.history.all()
	if n.problem != nil {
		s.Problem = n.problem.Error()
	}
	if s.Ready = n.serving && !n.restoring; !s.Ready {
		if s.Members = max(1, len(n.cfg.Members)); s.Problem == "" {
			s.Problem = n.waitsFor
		}
		return s
	}
	n.statusOfGroup(&s)
	s.Now = n.present()
	s.Ops, s.Memory, s.Notify = n.state.Ops(), n.state.Memory(), n.state.Events()
	return s
}

// statusOfGroup fills in what the replica knows. Caller holds mu.
func (n *Node) statusOfGroup(s *engine.Status) {
	r := n.replica.Status(n.now())
	members, _ := n.replica.Members()
	s.Term, s.Commit, s.Visible, s.Applied, s.Draining, s.Members = r.Term, r.Commit, r.Visible, r.Applied, r.Draining, len(members)
	if s.Lease = r.Lease; r.Lease < 0 {
		s.Lease = math.MaxInt64
	}
	names := map[uint64]string{}
	for _, m := range members {
		names[m.ID] = m.Name
	}
	s.Leader = names[r.Leader]
	if s.Role = role(r.ID, r.Leader, r.Learner); r.Leader == 0 && !r.Learner {
		s.Role = "candidate"
		if r.Role == raft.StateFollower && n.solo {
			s.Role = "follower"
		}
	}
	voters, up := 0, 0
	self := engine.Peer{Name: n.cfg.Name, Addr: n.cfg.Addr, ID: r.ID, Role: role(r.ID, r.Leader, r.Learner), Self: true, Up: true, InRoster: r.Lease != 0,
		GrantLeft: max(0, r.Lease), Match: r.Last, Fsync: n.replica.Fsync, Level: n.cfg.level}
	peers := []engine.Peer{self}
	if !r.Learner {
		voters, up = 1, 1
	}
	for _, p := range r.Peers {
		e := peer(&p, &r)
		if r.Leader != r.ID {
			e.Up = n.meets(p.ID)
		}
		e.Level, e.Heard = max(e.Level, n.knows[p.ID]), n.heard(p.ID)
		peers = append(peers, e)
		if !p.Learner {
			voters++
			if e.Up {
				up++
			}
		}
		if !e.Up {
			s.Missing = append(s.Missing, e.Name)
		}
	}
	slices.Sort(s.Missing)
	if n.link != nil {
		slices.SortFunc(peers, func(a, b engine.Peer) int { return strings.Compare(a.Name, b.Name) })
		s.Peers = peers
	}
	s.Quorum = r.Leader != 0 && n.problem == nil && (r.Leader != r.ID || up > voters/2)
	if s.Quorum {
		s.CanLose = max(0, up-(voters/2+1))
	} else if s.Problem == "" && r.Leader == 0 {
		s.Problem = n.waitsFor
	}
	s.Causes = map[string]uint64{}
	for _, c := range r.Causes {
		s.Causes[c.Text] = c.Elections
	}
	for _, e := range r.Elections {
		name := names[e.Leader]
		if name == "" {
			name = fmt.Sprintf("%x", e.Leader)
		}
		s.Elections = append(s.Elections, engine.Election{At: e.At, Term: e.Term, Leader: name, Cause: e.Cause, Took: e.Took})
	}
}

func role(id, leader uint64, learner bool) string {
	switch {
	case learner:
		return "learner"
	case id == leader:
		return "leader"
	}
	return "follower"
}

// peer is another member as this one sees it.
func peer(p *replica.PeerStatus, r *replica.Status) engine.Peer {
	e := engine.Peer{
		Name: p.Name, Addr: p.Addr, ID: p.ID, Role: role(p.ID, r.Leader, p.Learner), RoundTrip: p.RoundTrip, ClockOffset: p.Ahead, Fsync: p.Fsync, Level: p.Level,
		Match: p.Match, GrantLeft: p.Lease, InRoster: p.Lease > 0, Differs: p.Differs,
	}
	if r.Leader == r.ID {
		e.Up = p.Heard >= 0 && p.Heard < int64(silence) // it answers: to send is not enough
		e.Lag = r.Last - min(p.Match, r.Last)
	}
	return e
}

// noteFsync takes notice of how long an fsync took. Caller holds mu, as for slowestFsync.
func (n *Node) noteFsync(took time.Duration) {
	second := n.forgetFsyncs()
	n.fsyncs[second] = max(n.fsyncs[second], int64(took))
	if took >= slowFsync {
		n.history.more(engine.Event{At: n.wall().UnixNano(), Kind: engine.DiskSlow, Took: int64(took), Count: 1}, func(e *engine.Event) string {
			return fmt.Sprintf("the disk is slow: %d fsync%s of the log, the longest %d ms", e.Count, plural(e.Count), e.Took/1e6)
		})
	}
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
