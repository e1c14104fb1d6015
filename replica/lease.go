package replica

import (
	"math"
	"slices"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

// Promises, authority, leases and the roster (design 3.4). All times here are of the own Mono.
//
//	promise    processing a heartbeat of a leader, a member promises not to help anybody else to lead for E; at start, for 2E
//	authority  of a leader: until E after it sent the newest heartbeat that a majority answered. Nobody else leads before that
//	lease      of another member: it may answer reads from its own memory. Its leader grants it for no longer than its own authority
//	roster     the members with a lease, as the leader knows it: visible waits for them

// promise is what this member has promised.
type promise struct {
	term     uint64 // of the newest leader to whom it promised
	until    int64  // to that one
	older    int64  // to those before it
	released uint64 // the newest term whose leader wants no more promises
}

func (p *promise) make(term uint64, until int64) {
	switch {
	case term <= p.released:
	case term > p.term:
		p.older = max(p.older, p.until)
		p.term, p.until = term, until
	case term == p.term:
		p.until = max(p.until, until)
	}
}

func (p *promise) end() int64 { return max(p.until, p.older) }

// release ends the promise to the leader of term, who said so itself.
func (p *promise) release(term uint64) {
	p.released = max(p.released, term)
	if p.term == term {
		p.until = 0
	}
}

// remembered is how many heartbeats, and questions, a member remembers when it sent.
const remembered = 64

// moments remembers when the newest of numbered things happened.
type moments struct {
	last uint64 // 0: nothing yet
	at   [remembered]int64
}

func (m *moments) next(now Instant) uint64 {
	m.last++
	m.at[m.last%remembered] = now.Mono
	return m.last
}

// when returns the moment of number n, and false if that is forgotten or never was.
func (m *moments) when(n uint64) (at int64, ok bool) {
	if n == 0 || n > m.last || n+remembered <= m.last {
		return 0, false
	}
	return m.at[n%remembered], true
}

// lease is what this member was granted by the leader of a term.
type lease struct {
	term  uint64
	until int64
	index uint64  // the highest of all its grants: what must be applied before it counts
	asks  moments // the own questions, of whatever term
	void  uint64  // questions up to this one are withdrawn
}

// peer is another member, as this one knows it.
type peer struct {
	id    uint64
	voter bool

	// Of the term that this member leads.
	acked   int64  // when the newest heartbeat was sent that it has answered; 0 for none
	ends    int64  // its grant ends by then, on the own clock: it is in the roster before
	life    uint64 // whose questions ask and void are
	holder  uint64 // the life that was last granted a lease
	owes    bool   // ends is of a lease that a dead leader may have granted
	ask     uint64 // the newest question answered with a grant
	void    uint64
	match   uint64 // what it has appended
	streams bool   // raft sends it entries without waiting for answers
	leaving int64  // when it was last wanted out of the roster for good
	late    int    // questions in a row for which it had not kept up
	level   int64  // since when it keeps up; 0 if it does not
	banned  bool   // it was late twice: no lease before it kept up for rest
	rest    int64  // ns

	// As last heard.
	heard     int64 // 0 for never
	roundTrip int64
	clock     int64 // its wall clock when the own Mono was 0, about; 0 if it never told
	applied   uint64
	fsync     int64
	known     uint32 // its Level
	unfit     bool
	differs   uint64 // an index at which its state was another one than the own; 0 for none
}

const (
	behindMost = 100e6 // ns: whoever has not appended what was last so long ago does not keep up
	lateMost   = 2
	restLeast  = 1e9 // ns
	restMost   = 30e9
	grantLeast = 10e6 // ns: a shorter lease is not worth a message
	stuckAfter = 1e9  // ns: a leader that commits nothing for so long while entries wait hands over
	samples    = 16   // ticks for which the end of the log is remembered
)

func (r *Replica) peer(id uint64) *peer {
	for i := range r.peers {
		if r.peers[i].id == id {
			return &r.peers[i]
		}
	}
	return nil
}

func (r *Replica) leading() bool { return r.role == raft.StateLeader }

func (r *Replica) inRoster(p *peer) bool { return p.ends > r.mono }

// newTerm forgets what belonged to the leadership of another term.
func (r *Replica) newTerm() {
	for i := range r.peers {
		p := &r.peers[i]
		p.owes = false
		p.acked, p.ends, p.ask, p.void, p.match, p.late, p.level, p.banned, p.rest, p.leaving = 0, 0, 0, 0, 0, 0, 0, false, 0, 0
	}
	r.beats = moments{}
	r.noop, r.ended, r.leads, r.moved, r.told = 0, false, r.mono, r.mono, 0
	r.lasts = [samples]moment{}
	r.changes.votersAt, r.changes.wishes = r.mono, nil
	r.changes.index = min(r.changes.index, r.log.last()) // it may have been replaced
	r.hand = hand{}
	r.owed()
}

// A promise that ends early, since its leader has died for certain, also kept others from leading while leases that this leader had granted go on. So it is
// not forgotten: a vote says how long it would have lasted, the candidate takes the longest, and as a leader counts all others in its roster
// until then. Whoever answers in the new term has no lease of an older one.

// owed has the roster hold whoever may have a lease of a leader that died.
func (r *Replica) owed() {
	for i := range r.peers {
		if p := &r.peers[i]; p.voter && p.id != r.buried && r.waived > r.mono { // the dead one itself has none
			p.ends, p.owes = r.waived, true
		}
	}
}

// voted takes what a vote says of a promise that was cut short.
func (r *Replica) voted(m *Message) {
	if m.For > 0 && !m.Raft.GetReject() {
		r.waived = max(r.waived, r.mono+m.For*100/(100-r.cfg.Drift))
	}
}

// answered takes notice that p has heard of the own term.
func (r *Replica) answered(p *peer) {
	if p.owes {
		p.owes, p.ends = false, 0
	}
}

// beat gives the heartbeats that are about to be sent their number, and promises what it asks of others. Raft also sends one for every read that asks how far
// it must wait: those that come close behind another get no number, and are raft's affair alone.
func (r *Replica) beat(now Instant) uint64 {
	if at, ok := r.beats.when(r.beats.last); ok && now.Mono-at < r.cfg.Heartbeat/2 {
		return 0
	}
	if !r.ended {
		r.promise.make(r.term, now.Mono+r.cfg.Promise)
	}
	return r.beats.next(now)
}

// heartbeat promises what a leader's heartbeat asks for, now that raft has taken it, and answers.
func (r *Replica) heartbeat(m *Message, now Instant) {
	s := r.raft.BasicStatus()
	if s.HardState.GetTerm() != m.Raft.GetTerm() || s.Lead != m.From {
		return
	}
	r.heard = now.Mono
	if p := r.peer(m.From); p != nil {
		p.heard, p.known, p.life = now.Mono, m.Level, m.Life
	}
	r.promise.make(m.Raft.GetTerm(), now.Mono+m.For)
	r.electAt = now.Mono + max(m.For, r.cfg.Promise) + r.turn(m.From)
	a := r.answer(m.From, m.Raft.GetTerm())
	a.Beat = m.Beat
	if r.cfg.Leases && !r.draining {
		a.Ask = r.lease.asks.next(now)
	}
	r.out = append(r.out, a)
}

// answer is what a leader is told of this member, whatever else it is told.
func (r *Replica) answer(leader, term uint64) Message {
	a := Message{
		Kind: Ack, To: leader, Term: term, Void: r.lease.void, Life: r.cfg.Nonce,
		Wall: r.wall, Level: r.cfg.Level, Index: r.applied, Fsync: r.Fsync, Unfit: r.unfit(),
	}
	a.SumAt, a.Sum = r.sums.newest()
	return a
}

// unfit says whether this member cannot lead now: it is about to stop, or a promise to earlier leaders, or of an earlier life, is in its way.
func (r *Replica) unfit() bool { return r.draining || r.promise.older > r.mono }

// ack takes the answer to a heartbeat, and grants what it asks for if that may be.
func (r *Replica) ack(m *Message, now Instant) {
	p := r.peer(m.From)
	if p == nil || !r.leading() || m.Term != r.term {
		return
	}
	p.heard, p.applied, p.fsync, p.known, p.unfit = now.Mono, m.Index, m.Fsync, m.Level, m.Unfit
	if own, ok := r.sums.at(m.SumAt); ok && own != m.Sum {
		p.differs = m.SumAt
	}
	if p.life != m.Life {
		p.life, p.ask, p.void = m.Life, 0, 0
		p.late, p.banned, p.rest = 0, false, 0
	}
	if m.Void > p.void {
		p.void = m.Void
		if p.ask != 0 && p.ask <= p.void {
			p.ends = 0
		}
	}
	sent, ok := r.beats.when(m.Beat)
	if !ok {
		return
	}
	r.answered(p)
	p.acked = max(p.acked, sent)
	p.roundTrip = now.Mono - sent
	p.clock = m.Wall - now.Mono + p.roundTrip/2
	if m.Ask > max(p.ask, p.void) && p.voter && r.keeps(p) {
		r.grant(p, m.Ask)
	}
}

// grant gives a lease that ends no later than the own authority. The roster comes first, then what is visible, then the message.
func (r *Replica) grant(p *peer, ask uint64) {
	d := min(r.cfg.Lease, r.authority()-r.mono)
	if d < grantLeast || r.ended || r.leaves(p) || r.readableIndex() == 0 && r.cfg.Fault != FaultGrantBeforeNoop {
		return
	}
	p.ask, p.holder = ask, p.life
	if r.cfg.Fault == FaultRosterEarly {
		p.ends = r.mono + d/2
	} else {
		p.ends = max(p.ends, r.mono+d*100/(100-r.cfg.Drift))
	}
	r.out = append(r.out, Message{Kind: Grant, To: p.id, Term: r.term, Ask: ask, Life: p.life, For: d, Index: r.visible()})
}

// leaves says whether p is about to be removed: then it must hold no lease until that is committed, or given up.
func (r *Replica) leaves(p *peer) bool {
	return p.leaving != 0 && (r.mono-p.leaving < wishLasts || r.changes.index > r.commit)
}

// granted takes a grant, counted from when the question was asked.
func (r *Replica) granted(m *Message) {
	l := &r.lease
	at, ok := l.asks.when(m.Ask)
	if !ok || m.Life != r.cfg.Nonce || m.Ask <= l.void && r.cfg.Fault != FaultGiveBack || m.Term < l.term {
		return
	}
	if r.cfg.Fault == FaultLeaseFromReceipt {
		at = r.mono
	}
	if r.cfg.Fault == FaultOldGrant {
		l.index = 0
	}
	if m.Term > l.term {
		l.term, l.until, l.index = m.Term, 0, 0
	}
	l.until, l.index = max(l.until, at+m.For), max(l.index, m.Index)
}

// giveBack ends the own lease and withdraws every question asked so far.
func (r *Replica) giveBack() {
	l := &r.lease
	l.until, l.void = 0, l.asks.last
	if r.leader != 0 && r.leader != r.id {
		r.out = append(r.out, r.answer(r.leader, r.term))
	}
}

// authority is until when nobody else can lead; 0 for a member that does not lead.
func (r *Replica) authority() int64 {
	if !r.leading() || r.ended {
		return 0
	}
	if len(r.log.group.GetVoters()) == 1 {
		return r.mono + r.cfg.Promise // nobody leads without the own vote
	}
	acked := make([]int64, 0, 8)
	for i := range r.peers {
		if r.peers[i].voter {
			acked = append(acked, r.peers[i].acked)
		}
	}
	slices.Sort(acked)
	sent := acked[len(acked)-(len(acked)+1)/2] // with the leader itself that many are a majority
	if sent == 0 {
		return 0
	}
	return sent + r.cfg.Promise*(100-r.cfg.Drift)/100
}

// readableIndex is what must be applied before a leader answers reads, 0 while the beginning of its term is not visible.
func (r *Replica) readableIndex() uint64 {
	if r.noop == 0 || r.visible() < r.noop {
		return 0
	}
	return r.noop
}

// ReadableUntil is until when reads may be answered from the own memory, in own Mono; 0 if they may not.
func (r *Replica) ReadableUntil(now Instant) int64 {
	r.at(now)
	switch {
	case r.leading() && (r.readableIndex() == 0 || r.applied < r.noop):
		return 0
	case r.leading() && r.alone():
		return math.MaxInt64
	case !r.cfg.Leases || r.applied > r.visible():
		return 0 // the second: a member that has just recovered may have applied what is not visible yet
	case r.leading():
		return r.authority()
	case r.lease.term != r.term || r.leader == 0 || r.applied < r.lease.index:
		return 0
	}
	return r.lease.until
}

// keeps says whether p keeps up with the log, and counts when it does not (progress, not pulse).
func (r *Replica) keeps(p *peer) bool {
	if p.level == 0 {
		if r.mono-r.leads < behindMost {
			return false // it had no time to say how far it is
		}
		if p.late++; p.late >= lateMost && !p.banned {
			p.banned = true
			p.rest = min(max(2*p.rest, restLeast), restMost)
		}
		return false
	}
	p.late = 0
	if p.banned && r.mono-p.level < p.rest {
		return false
	}
	if r.mono-p.level > restMost {
		p.rest = 0
	}
	p.banned = false
	return true
}

// keptUp says whether a learner may be promoted.
func (r *Replica) keptUp(id uint64) bool {
	p := r.peer(id)
	return p.level != 0 && r.mono-p.level >= levelFor && p.acked != 0 && r.mono-p.acked < r.cfg.Promise
}

// watch looks at how the others keep up, every tick of a leader.
func (r *Replica) watch(now Instant) {
	r.lasts[r.sample%samples] = moment{now.Mono, r.log.last()}
	r.sample++
	then := uint64(0) // the end of the log behindMost ago
	for _, l := range r.lasts {
		if l.mono <= now.Mono-behindMost {
			then = max(then, l.index)
		}
	}
	for i := range r.peers {
		switch p := &r.peers[i]; {
		case p.match < then || p.match == 0:
			p.level = 0
		case p.level == 0:
			p.level = now.Mono
		}
	}
	if r.commit > r.committedTo || r.log.last() == r.commit {
		r.committedTo, r.moved = r.commit, now.Mono
	} else if now.Mono-r.moved > stuckAfter && len(r.log.group.GetVoters()) > 1 {
		r.moved = now.Mono
		if p := r.successor(); p != nil && p.match == r.log.last() {
			r.handOver()
		}
	}
}

// moment is where the log ended at one time.
type moment struct {
	mono  int64
	index uint64
}

// progress takes notice of what the others have appended.
func (r *Replica) progress() {
	r.raft.WithProgress(r.visit)
}

func (r *Replica) noteProgress(id uint64, _ raft.ProgressType, pr tracker.Progress) {
	if p := r.peer(id); p != nil {
		p.match, p.streams = pr.Match, pr.State == tracker.StateReplicate
	}
}

// promised is until when this member helps nobody to lead.
func (r *Replica) promised() int64 {
	if r.cfg.Fault == FaultNoPromise {
		return 0
	}
	return r.promise.end()
}

// drops says whether a message would have this member help somebody to lead against its promise.
func (r *Replica) drops(t pb.MessageType) bool {
	return (t == pb.MsgVote || t == pb.MsgPreVote || t == pb.MsgTimeoutNow) && r.mono < r.promised()
}
