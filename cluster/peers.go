package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"slices"

	"holdfast/cluster/link"
	"holdfast/engine"
	"holdfast/keyspace"
	"holdfast/replica"
)

// introduce has the links show who this member is now.
func (n *Node) introduce() {
	n.identity.Store(&link.Identity{ID: n.record.id, Name: n.cfg.Name, Life: n.life, Level: n.cfg.level})
}

// connect begins to listen to the other members.
func (n *Node) connect() {
	n.link = link.Start(link.Config{
		Listener: n.cfg.Listener, Self: func() link.Identity { return *n.identity.Load() }, Handler: handler{n}, TLS: n.cfg.TLS,
		Waiting: waitingBytes(n.cfg.Limit), Logger: n.log, Dial: n.cfg.dial,
	})
}

// handler is what the links deliver to.
type handler struct{ *Node }

var _ link.Handler = handler{}

// Receive implements link.Handler.
func (h handler) Receive(from link.Identity, messages [][]byte) error {
	n := h.Node
	decoded := make([]replica.Message, 0, len(messages))
	for _, b := range messages {
		if len(b) > 0 && b[0] == byte(replica.Raft) {
			b = bytes.Clone(b) // raft keeps what it gets
		}
		m, err := replica.DecodeMessage(b)
		if err != nil {
			return err
		}
		if m.From == from.ID {
			decoded = append(decoded, m)
		}
	}
	n.mu.Lock()
	defer n.unlock()
	n.meet(from.ID)
	if n.dead || n.replica == nil || n.restoring {
		return nil
	}
	now := n.now() // behind the receipt of all of them, and before anything that comes of them
	for i := range decoded {
		n.replica.Step(decoded[i], now)
	}
	n.tooOld(n.replica.Beyond())
	if n.replica.Removed() {
		n.die(errRemoved)
	}
	n.work()
	return nil
}

// Up implements link.Handler.
func (h handler) Up(peer link.Identity) {
	n := h.Node
	n.mu.Lock()
	defer n.unlock()
	if n.knows == nil {
		n.knows = map[uint64]uint32{}
	}
	n.knows[peer.ID] = peer.Level
	if n.replica != nil && !n.restoring && !n.dead {
		delete(n.known, peer.ID) // it may have been started anew, with other settings
		n.replica.Linked(peer.ID)
		n.work()
	}
}

// Down implements link.Handler.
func (h handler) Down(link.Identity) {}

// Request implements link.Handler.
func (h handler) Request(from link.Identity, body []byte) ([]byte, error) {
	n := h.Node
	if len(body) < 2 || body[0] != requestVersion {
		return nil, fmt.Errorf("this controller, %s, does not understand the request: its version is another one, upgrade the older one", n.cfg.Name)
	}
	switch body[1] {
	case askStanding:
		n.mu.Lock()
		defer n.mu.Unlock()
		s := n.standing()
		return s.append(nil), nil
	case askJoin:
		s, err := decodeStanding(body[2:])
		if err != nil {
			return nil, err
		}
		if s.name != from.Name {
			return nil, fmt.Errorf("%s asks in the name of %s", from.Name, s.name)
		}
		return n.letIn(&s)
	case askUsed:
		return n.wereUsed(body[2:])
	case askAdmin:
		return n.answer(string(body[2:]))
	case tellEnded:
		n.mu.Lock()
		defer n.unlock()
		if n.replica != nil && !n.restoring && !n.dead {
			n.log.Warn("the process of another controller has ended", slog.String("name", from.Name))
			if n.replica.Leader() != from.ID { // of a leader the replica tells more
				n.tell(engine.Ended, from.Name, 0, "the process of "+from.Name+" ended: proved by the process that watched it")
			}
			n.replica.Died(from.ID, from.Life, n.now())
			n.work()
		}
		return nil, nil
	}
	return nil, fmt.Errorf("this controller, %s, does not know the request %d: it is of an older version", n.cfg.Name, body[1])
}

// Obituary is a request for whoever waited for a member's process to end: it tells another member that this one has ended, in the life by which the
// request introduces itself. That must be true: nobody will wait for its leases any more.
var Obituary = []byte{requestVersion, tellEnded}

// Neighbours returns how this member introduces itself and the addresses of the others, for an Obituary.
func (n *Node) Neighbours() (self link.Identity, others []string) {
	self = *n.identity.Load()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.replica == nil {
		return self, nil
	}
	members, _ := n.replica.Members()
	for _, m := range members {
		if m.ID != self.ID {
			others = append(others, m.Addr)
		}
	}
	return self, others
}

// letIn has the group take a member in, if it can.
func (n *Node) letIn(s *standing) ([]byte, error) {
	n.mu.Lock()
	defer n.unlock()
	self := n.standing()
	switch {
	case n.dead || self.condition != active:
		return nil, fmt.Errorf("%s has no leader now", n.cfg.Name)
	case s.group.id != 0 && s.group.id != self.group.id:
		return nil, errors.New("this is another group")
	case s.knows < self.level:
		return nil, &keyspace.Newer{Level: self.level, Known: s.knows}
	case s.name == n.cfg.Name:
		return nil, fmt.Errorf("this controller is named %s too: give each its own name", s.name)
	}
	n.note(s)
	kind := replica.Add
	if slices.ContainsFunc(self.log.Members, func(m replica.Member) bool { return m.ID == s.id }) {
		kind = replica.Move
	}
	n.replica.Change(replica.Change{Kind: kind, Member: replica.Member{ID: s.id, Name: s.name, Addr: s.addr}}, n.now())
	n.drive()
	self = n.standing()
	return self.append(nil), nil
}

// enrolled has the links follow the membership. Caller holds mu.
func (n *Node) enrolled() {
	members, version := n.replica.Members()
	if version == n.version || n.link == nil || len(members) == 0 {
		return
	}
	n.version = version
	n.lookChanges(n.enlisted, members)
	n.enlisted = slices.Clone(members)
	n.link.Flush() // what was said to a member that is none any more: that it is none
	n.link.SetPeers(peers(members))
	maps.DeleteFunc(n.met, func(id uint64, _ int64) bool {
		return !slices.ContainsFunc(members, func(m replica.Member) bool { return m.ID == id })
	})
	for _, m := range members {
		if m.ID == n.record.id {
			return
		}
	}
	n.die(errRemoved)
}

var errRemoved = errors.New("this controller was removed from the group: stop it; to have it join again as a new member, move its data directory away")

// settings is a hash of those that are to be the same on all members.
func (n *Node) settings() uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, n.cfg.Classes, n.cfg.Promise, n.cfg.Lease, n.cfg.Drift, n.cfg.ReadIndex)
	for _, r := range n.cfg.Rules {
		fmt.Fprint(h, r.Space, r.Class, string(r.Pattern))
	}
	return h.Sum64()
}

// note remembers where another member stands, and tells if its settings differ. Caller holds mu.
func (n *Node) note(s *standing) {
	if n.known == nil {
		n.known = map[uint64]standing{}
	}
	if was, ok := n.known[s.id]; (!ok || was.settings != s.settings) && s.settings != n.settings() {
		n.log.Warn("a member has other settings than this one: classes and rules of the leader count, timing must be the same", slog.String("member", s.name))
	}
	n.known[s.id] = *s
}
