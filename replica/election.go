package replica

import (
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"
)

// Elections. Raft's own timer is not used (it draws from its own randomness, and knows no promises): followers never tick raft. A member
// forgets its leader when it has heard no heartbeat for E, and campaigns when its promises have ended and its turn has come.

const (
	turnApart  = 30e6 // ns between the turns of two members: enough for a vote with an fsync
	turnJitter = 8e6
	retryFirst = 60e6 // ns after which an election that came to nothing is tried again, and as much more at random
	yield      = 1e9  // ns that a draining member lets others try first
)

// Election is one that this member has heard of.
type Election struct {
	At     int64 // own wall clock, Unix ns
	Term   uint64
	Leader uint64
	Cause  string
	Took   int64 // ns from the last sign of the old leader until the new one was known; 0 if there was none
}

const elections = 8 // that are remembered

// random returns a number below n. It is drawn from the nonce: the caller decides whether it is random.
func (r *Replica) random(n int64) int64 { // SplitMix64 (Steele, Lea, Flood 2014)
	r.seed += 0x9e3779b97f4a7c15
	z := r.seed
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return int64((z ^ z>>31) % uint64(n))
}

// turn is how long behind the end of its promise this member waits, so that not all survivors of leader campaign at once.
func (r *Replica) turn(leader uint64) int64 {
	rank := int64(0)
	for _, m := range r.members {
		if !m.Learner && m.ID < r.id && m.ID != leader {
			rank++
		}
	}
	t := rank*turnApart + r.random(turnJitter)
	if r.draining {
		t += yield
	}
	return t
}

// elect forgets a leader that is silent, and campaigns if it is time. Called every tick of a member that does not lead.
func (r *Replica) elect(now Instant) {
	lost := r.leader != r.id && now.Mono-r.heard >= r.cfg.Promise
	if r.leader != 0 && lost {
		r.happened(Silence, r.leader, now.Mono-r.heard)
		r.silent(fmt.Sprintf("no heartbeat of %s for %d ms", r.name(r.leader), r.cfg.Promise/1e6))
	}
	if m := find(r.members, r.id); m == nil || m.Learner || r.leader != 0 && !lost || now.Mono < r.promised() || now.Mono < r.electAt {
		return
	}
	r.electAt = now.Mono + retryFirst + r.turn(0) + r.random(retryFirst)
	if !r.stands {
		r.stands = true
		r.happened(Candidacy, r.id, 0)
	}
	_ = r.raft.Campaign() // with PreVote; nothing comes of it while a change of the membership waits to be applied
}

// votedFor says whether this member has given its vote as m asked.
func (r *Replica) votedFor(m *Message) bool {
	s := r.raft.BasicStatus()
	return s.HardState.GetVote() == m.From && s.HardState.GetTerm() == m.Raft.GetTerm()
}

// silent forgets the leader.
func (r *Replica) silent(cause string) {
	r.cause = cause
	_ = r.raft.ForgetLeader()
}

func (r *Replica) name(id uint64) string {
	if m := find(r.members, id); m != nil {
		return m.Name
	}
	return fmt.Sprintf("member %x", id)
}

// elected takes notice of a new leader.
func (r *Replica) elected() {
	took := r.mono - r.heard
	if r.heard == 0 {
		took = 0
	}
	r.stands = false
	r.happened(Won, r.leader, took)
	r.remember()
	if r.leader != r.id { // its first heartbeat is still to come
		r.heard = r.mono
		r.electAt = max(r.electAt, r.mono+r.cfg.Promise+r.turn(r.leader))
	}
	if r.leader == r.id {
		r.tell(Message{Kind: Elected, Term: r.term, Text: r.cause})
		r.explain(r.term, r.id, r.cause)
	}
	r.cause = ""
}

// remember puts the present leader to the elections, unless it is one that was lost sight of and found again.
func (r *Replica) remember() {
	last := len(r.elections) - 1
	if last >= 0 && r.elections[last].Term == r.term {
		return
	}
	if last+1 == elections {
		r.elections = append(r.elections[:0], r.elections[1:]...)
	}
	e := Election{At: r.wall, Term: r.term, Leader: r.leader}
	if r.heard != 0 {
		e.Took = r.mono - r.heard
	}
	r.elections = append(r.elections, e)
	r.explain(r.because.term, r.because.leader, r.because.cause)
}

// because is why a leader was elected, as it says itself: that may come before anything else of it.
type because struct {
	term, leader uint64
	cause        string
}

// Cause is how many elections there were for one reason.
type Cause struct {
	Text      string
	Elections uint64
}

func (r *Replica) count(cause string) {
	for i := range r.causes {
		if r.causes[i].Text == cause {
			r.causes[i].Elections++
			return
		}
	}
	r.causes = append(r.causes, Cause{cause, 1})
}

// explain completes what is known of an election, once.
func (r *Replica) explain(term, leader uint64, cause string) {
	for i := range r.elections {
		if e := &r.elections[i]; e.Term == term && e.Leader == leader && e.Cause == "" && cause != "" {
			e.Cause = cause
			r.count(cause)
			return
		}
	}
	r.because = because{term, leader, cause}
}

// Died tells that the process of a member has ended for certain, in the life that had that nonce: whoever waited for it saw it end. What it was
// granted, and what was promised to it, binds nobody any more.
func (r *Replica) Died(id, life uint64, now Instant) {
	r.at(now)
	p := r.peer(id)
	if p == nil {
		return
	}
	if p.holder == life && !p.owes {
		p.ends = 0
	}
	if p.life == life {
		p.heard = 0
	}
	if r.leader == id && p.life == life {
		r.buried = id
		r.happened(Death, id, 0)
		if r.promise.term == r.term { // then it was made to that leader
			r.waived, r.promise.until = max(r.waived, r.promise.until), 0
		}
		r.electAt = r.mono + r.turn(id)
		r.silent(fmt.Sprintf("the process of %s ended", r.name(id)))
	}
}

// hand is a hand-over in progress.
type hand struct {
	active bool
	sent   int64 // own Mono: when the other one was told to campaign; 0 before
}

// Drain has this member give back its lease and its leadership, for good: it is about to be stopped.
func (r *Replica) Drain(now Instant) {
	r.at(now)
	r.draining = true
	switch {
	case r.leading():
		r.handOver()
	default:
		r.giveBack()
	}
}

// Drained says whether the others will not notice when this member stops: it does not lead, and nobody waits for what it appends.
func (r *Replica) Drained() bool {
	return r.draining && !r.leading() && (r.leader != 0 || r.alone()) || r.draining && len(r.log.group.GetVoters()) <= 1
}

// Heir says whether somebody else leads already, or could take over now.
func (r *Replica) Heir() bool {
	if r.leading() {
		return r.hand.sent != 0 || r.successor() != nil
	}
	return r.leader != 0
}

// handOver begins to give the leadership away, if there is somebody to take it: from here to the end of the term there are no grants and no authority.
func (r *Replica) handOver() {
	if r.hand.active || r.successor() == nil {
		return
	}
	r.hand.active = true
	r.ended = true
	for i := range r.peers {
		if r.inRoster(&r.peers[i]) {
			r.out = append(r.out, Message{Kind: Recall, To: r.peers[i].id, Term: r.term})
		}
	}
	r.handOn()
}

// successor is who may lead next, nil if nobody can now.
func (r *Replica) successor() (best *peer) {
	for i := range r.peers {
		p := &r.peers[i]
		if p.voter && !p.unfit && p.heard != 0 && r.mono-p.heard < r.cfg.Promise && (best == nil || p.match > best.match) {
			best = p
		}
	}
	return best
}

// handOn goes on with a hand-over, every tick and when a lease came back.
func (r *Replica) handOn() {
	h := &r.hand
	if !h.active || !r.leading() {
		return
	}
	if h.sent != 0 {
		if r.mono-h.sent > r.cfg.Promise { // it came to nothing; in this term there is no authority any more: another one is needed
			r.stepDown()
		}
		return
	}
	for i := range r.peers {
		if r.inRoster(&r.peers[i]) {
			return
		}
	}
	best := r.successor()
	if best == nil {
		return // nothing is lost by waiting
	}
	h.sent = r.mono
	r.happened(HandedOver, r.id, 0)
	r.promise.release(r.term)
	r.tell(Message{Kind: Release, Term: r.term})
	r.raft.TransferLeader(best.id)
}

// stepDown forces a new term, by a message such as any member of a later term could have sent.
func (r *Replica) stepDown() {
	t := pb.MsgVoteResp
	r.cause = "a hand-over failed"
	for i := range r.peers {
		if r.peers[i].voter {
			_ = r.raft.Step(&pb.Message{Type: &t, From: new(r.peers[i].id), To: new(r.id), Term: new(r.term + 1), Reject: new(true)})
			return
		}
	}
}

// released takes notice that the leader of a term wants no more promises: it hands over.
func (r *Replica) released(m *Message) {
	r.promise.release(m.Term)
	if m.Term == r.term && m.From == r.leader {
		r.happened(HandedOver, m.From, 0)
		r.cause = r.name(m.From) + " handed over"
		r.electAt = r.mono + r.cfg.Promise + r.turn(m.From)
	}
}
