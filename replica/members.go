package replica

import (
	"encoding/binary"
	"fmt"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"holdfast/keyspace"
)

// Member is one of the group. Its ID is raft's, drawn at random and never used again: who comes back without its memory gets another one.
type Member struct {
	ID      uint64
	Name    string // of the controller; one ID at a time has it
	Addr    string // host:port for its peers
	Learner bool   // has no vote yet
}

// ChangeKind says what a Change does. The numbers go over the wire: append only.
type ChangeKind uint8

const (
	Add    ChangeKind = iota + 1 // as a learner, in place of another ID with that name; the leader promotes it when it is level
	Remove                       // by its ID
	Move                         // to another address; nothing if there is no such ID
)

// Change is a wish to change the membership.
type Change struct {
	Kind   ChangeKind
	Member Member
}

func (c *Change) append(b []byte) []byte { return c.Member.append(append(b, byte(c.Kind))) }

func (d *decoder) change() Change { return Change{ChangeKind(d.byte()), d.member()} }

func (m *Member) append(b []byte) []byte {
	b = binary.AppendUvarint(b, m.ID)
	b = binary.AppendUvarint(b, uint64(len(m.Name)))
	b = append(b, m.Name...)
	b = binary.AppendUvarint(b, uint64(len(m.Addr)))
	b = append(b, m.Addr...)
	if m.Learner {
		return append(b, 1)
	}
	return append(b, 0)
}

func (d *decoder) member() Member {
	return Member{ID: d.uvarint(), Name: string(d.bytes()), Addr: string(d.bytes()), Learner: d.byte() != 0}
}

// Append encodes b behind out.
func (b *Base) Append(out []byte) []byte {
	out = binary.LittleEndian.AppendUint64(out, b.Index)
	out = binary.LittleEndian.AppendUint64(out, b.Term)
	out = binary.AppendUvarint(out, uint64(len(b.Members)))
	for i := range b.Members {
		out = b.Members[i].append(out)
	}
	return out
}

// DecodeBase reads what Append wrote.
func DecodeBase(in []byte) (b Base, ok bool) {
	if len(in) < 16 {
		return b, false
	}
	b.Index, b.Term = binary.LittleEndian.Uint64(in), binary.LittleEndian.Uint64(in[8:])
	d := decoder{b: in[16:]}
	n := d.uvarint()
	for ; n > 0 && !d.bad; n-- {
		b.Members = append(b.Members, d.member())
	}
	return b, !d.bad
}

// Voters are the IDs of those that vote.
func (b *Base) Voters() []uint64 { return conf(b.Members).Voters }

// conf is what raft wants to know of members.
func conf(members []Member) *pb.ConfState {
	c := &pb.ConfState{}
	for _, m := range members {
		if m.Learner {
			c.Learners = append(c.Learners, m.ID)
		} else {
			c.Voters = append(c.Voters, m.ID)
		}
	}
	return c
}

func find(members []Member, id uint64) *Member {
	for i := range members {
		if members[i].ID == id {
			return &members[i]
		}
	}
	return nil
}

// changed returns members after an entry that changes them.
func changed(members []Member, e *pb.Entry) ([]Member, *pb.ConfChange) {
	cc := &pb.ConfChange{}
	if e.GetType() != pb.EntryConfChange || proto.Unmarshal(e.Data, cc) != nil {
		panic(fmt.Sprintf("replica: entry %d changes the membership in a way that nobody can have proposed", e.GetIndex()))
	}
	members = slices.Clone(members)
	at := slices.IndexFunc(members, func(m Member) bool { return m.ID == cc.GetNodeId() })
	if cc.GetType() == pb.ConfChangeRemoveNode {
		if at >= 0 {
			members = slices.Delete(members, at, at+1)
		}
		return members, cc
	}
	d := decoder{b: cc.Context}
	m := d.member()
	m.ID, m.Learner = cc.GetNodeId(), cc.GetType() == pb.ConfChangeAddLearnerNode
	if at >= 0 {
		members[at] = m
	} else {
		members = append(members, m)
	}
	slices.SortFunc(members, func(a, b Member) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return members, cc
}

// Members returns who is in the group as of what is committed, which must not be changed, and a number that is another one after every change.
func (r *Replica) Members() (members []Member, version uint64) { return r.members, r.changes.version }

// Removed says that the leader has told this member that it is none any more. Its id does not come back.
func (r *Replica) Removed() bool { return r.removed }

// changes is what the leader is to change, and what it must wait for. Changes of the voters are apart by at least 2E, since authority counts on
// majorities that meet.
type changes struct {
	version  uint64
	wishes   []wish
	votersAt int64  // own Mono: when the voters last changed, or may have
	index    uint64 // of the newest change in the log
	tried    int64  // own Mono: when a change was proposed that is not yet in the log
}

type wish struct {
	Change
	at int64 // own Mono
}

const (
	wishLasts = 2e9   // ns: whoever wants a change says so again
	tryAgain  = 100e6 // ns: a change that was proposed and did not come into the log is proposed again
	levelFor  = 200e6 // ns: a learner that kept up for so long is promoted
	maxWishes = 16
)

// Change has the leader change the membership. It may be lost: whoever wants it asks again until Members shows it. A change that is
// there already is none.
func (r *Replica) Change(c Change, now Instant) {
	r.at(now)
	switch {
	case r.leading():
		r.wish(c)
	case r.leader != 0:
		r.out = append(r.out, Message{Kind: Propose, To: r.leader, Change: &c})
	}
}

func (r *Replica) wish(c Change) {
	if c.Kind < Add || c.Kind > Move || c.Member.ID == 0 {
		return // of a later version, perhaps
	}
	for i, w := range r.changes.wishes {
		if w.Kind == c.Kind && w.Member.ID == c.Member.ID {
			r.changes.wishes[i] = wish{c, r.mono}
			return
		}
	}
	if len(r.changes.wishes) < maxWishes {
		r.changes.wishes = append(r.changes.wishes, wish{c, r.mono})
	}
}

// steward carries out one wish, or promotes one learner, if it is time. Called on the leader every tick.
func (r *Replica) steward() {
	c := &r.changes
	c.wishes = slices.DeleteFunc(c.wishes, func(w wish) bool { return r.mono-w.at > wishLasts || r.fulfilled(&w.Change) })
	if c.index > r.commit || r.readableIndex() == 0 || r.ended {
		return
	}
	if c.index == r.log.last() { // an entry behind a change puts into every log that the change is committed: whoever restarts knows who votes
		r.propose(keyspace.Entry{Kind: keyspace.Tick})
	}
	if r.mono-c.tried < tryAgain {
		return
	}
	for i := range c.wishes {
		if r.begin(&c.wishes[i].Change) {
			return
		}
	}
	for i := range r.members {
		if m := r.members[i]; m.Learner && r.votersMay() && r.keptUp(m.ID) {
			r.proposeChange(pb.ConfChangeAddNode, m)
			return
		}
	}
}

// fulfilled says whether nothing is left to do.
func (r *Replica) fulfilled(c *Change) bool {
	m := find(r.members, c.Member.ID)
	switch c.Kind {
	case Add:
		return m != nil && r.namesake(&c.Member) == nil
	case Remove:
		return m == nil
	case Move:
		return m == nil || m.Addr == c.Member.Addr
	}
	return true // a later version's
}

// namesake is another member with m's name.
func (r *Replica) namesake(m *Member) *Member {
	for i := range r.members {
		if o := &r.members[i]; o.Name == m.Name && o.ID != m.ID {
			return o
		}
	}
	return nil
}

// lives says whether a member was heard of late: two have one name then, by a mistake.
func (r *Replica) lives(id uint64) bool {
	p := r.peer(id)
	return p == nil || p.heard != 0 && r.mono-p.heard < r.cfg.Promise
}

// begin takes the next step towards c and says whether it proposed something.
func (r *Replica) begin(c *Change) bool {
	m := find(r.members, c.Member.ID)
	switch c.Kind {
	case Remove:
		return r.remove(m)
	case Move:
		moved := *m
		moved.Addr = c.Member.Addr
		if m.Learner {
			return r.proposeChange(pb.ConfChangeAddLearnerNode, moved)
		}
		return r.proposeChange(pb.ConfChangeAddNode, moved)
	}
	if old := r.namesake(&c.Member); old != nil {
		return !r.lives(old.ID) && r.remove(old)
	}
	return r.proposeChange(pb.ConfChangeAddLearnerNode, c.Member)
}

// remove proposes to remove m once it holds no lease. A leader hands over before it is removed: the next one is asked again.
func (r *Replica) remove(m *Member) bool {
	if m.Learner {
		return r.proposeChange(pb.ConfChangeRemoveNode, *m)
	}
	if m.ID == r.id {
		if len(r.log.group.GetVoters()) > 1 {
			r.handOver()
		}
		return false
	}
	if !r.votersMay() {
		return false
	}
	p := r.peer(m.ID)
	p.leaving = r.mono
	if r.inRoster(p) {
		r.out = append(r.out, Message{Kind: Recall, To: m.ID, Term: r.term})
		return false
	}
	return r.proposeChange(pb.ConfChangeRemoveNode, *m)
}

// votersMay says whether the last change of the voters is long enough ago.
func (r *Replica) votersMay() bool { return r.mono-r.changes.votersAt >= 2*r.cfg.Promise }

func (r *Replica) proposeChange(t pb.ConfChangeType, m Member) bool {
	cc := &pb.ConfChange{Type: &t, NodeId: new(m.ID), Context: m.append(nil)}
	if err := r.raft.ProposeConfChange(cc); err != nil {
		return false
	}
	r.changes.tried = r.mono
	return true
}

// change gives a committed change of the membership to raft, at once: a gated one could leave nobody who may campaign.
func (r *Replica) change(e *pb.Entry) {
	was := r.alone()
	before := r.log.group
	members, cc := changed(r.members, e)
	if r.leading() && cc.GetType() == pb.ConfChangeRemoveNode && r.peer(cc.GetNodeId()) != nil {
		r.out = append(r.out, Message{Kind: Removed, To: cc.GetNodeId(), Term: r.term}) // raft tells it nothing any more
	}
	r.log.group = r.raft.ApplyConfChange(cc)
	r.enroll(members)
	if !slices.Equal(before.GetVoters(), r.log.group.GetVoters()) {
		r.changes.votersAt = r.mono
	}
	if was && !r.alone() {
		r.mark(nil, true) // from now on others may see what is appended here and not applied
	}
}

// enroll takes members as the group.
func (r *Replica) enroll(members []Member) {
	r.members = members
	r.changes.version++
	peers := make([]peer, 0, len(members))
	for _, m := range members {
		if m.ID == r.id {
			continue
		}
		if p := r.peer(m.ID); p != nil {
			peers = append(peers, *p)
		} else {
			peers = append(peers, peer{id: m.ID})
		}
	}
	r.peers = peers
	for i := range r.peers {
		r.peers[i].voter = !find(members, r.peers[i].id).Learner
	}
}
