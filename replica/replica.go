// Package replica is one member of the group as a pure state machine: raft, exactly-once numbering, the visibility gate, read leases, and the
// state they lead to.
//
// Events are the methods Submit, Stamp, Step, Tick, Stored and their like, each with the own clocks as an argument; Ready gives out the effects. The
// caller drives: it writes to the log what Ready says, says Stored, sends the messages, and calls Apply. A group of one takes the
// same path as one of three. Read this file first, then origin.go (batches and their numbers), apply.go (what is visible), pending.go, lease.go
// (who may answer reads), election.go, event.go (what people are told of them), members.go, level.go, clock.go, recover.go, snapshot.go, log.go (the tail in memory), message.go.
//
// The package may not touch a clock, I/O, goroutines, locks or randomness. (raft draws election timeouts itself; they are not used.)
package replica

import (
	"encoding/binary"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"holdfast/keyspace"
)

// Config is what a Replica begins with. Times are in ns.
type Config struct {
	ID         uint64 // of this member, as raft knows it; not 0
	Nonce      uint64 // a random number, another one for every life of the member
	State      *keyspace.State
	Base       Base   // what State contains. Without members: this one waits to be added to a group, and for a snapshot
	Leases     bool   // whether it answers reads by lease, besides by ReadIndex
	Promise    int64  // E of the design: for so long nobody else leads after a heartbeat was answered. 300 ms if zero
	Lease      int64  // D, the longest lease; less than Promise. 250 ms if zero
	Drift      int64  // hundredths by which the rates of two members' Mono may differ. 5 if zero
	ClockBound int64  // how far a leader's wall clock may be from the group's time unless a majority agrees. 1 s if zero
	Tick       int64  // how often Tick is called. 10 ms if zero
	Heartbeat  int64  // 40 ms if zero
	Unsettled  int    // bytes of entries that may wait for a majority; a single one may be larger. 256 MiB if zero
	Retain     int    // bytes of the log that are kept in memory for members that are behind
	Level      uint32 // Level, or another one in tests
	Fault      Fault  // for tests of the simulator
	Logger     raft.Logger
}

func (c *Config) complete() {
	for _, d := range []struct {
		field *int64
		value int64
	}{{&c.Promise, 300e6}, {&c.Lease, 250e6}, {&c.Drift, 5}, {&c.ClockBound, 1e9}, {&c.Tick, 10e6}, {&c.Heartbeat, 40e6}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	if c.Unsettled == 0 {
		c.Unsettled = 256 << 20
	}
	if c.Level == 0 {
		c.Level = Level
	}
}

// Base is a place in the log: everything up to Index is contained in the state that goes with it.
type Base struct {
	Index, Term uint64
	Members     []Member // at that place
}

// Append is what must be written to the log, in the order given out, before Stored is called with it.
type Append struct {
	Base    *Base         // not nil: the log begins anew behind the snapshot that was given to Restore
	Hard    *pb.HardState // nil if unchanged
	Entries []*pb.Entry   // may begin at or below the last index: then they replace what is there
	Sync    bool          // must be on stable storage, whatever the durability: the term or the vote changed

	done []*pb.Message
}

// Empty says that there is nothing to write.
func (a *Append) Empty() bool {
	return a.Base == nil && a.Hard == nil && len(a.Entries) == 0 && len(a.done) == 0
}

// Effects is what the world must do.
type Effects struct {
	Append    Append
	Messages  []Message
	Indexes   []ReadIndex
	Snapshots []uint64 // members that need one: see SnapshotBase
}

// ReadIndex answers AskIndex: a read asked before it may be answered when Index is applied.
type ReadIndex struct{ ID, Index uint64 }

// Replica is one member. Not for concurrent use.
type Replica struct {
	Fsync int64 // the slowest fsync of late, ns, which the others are told

	id       uint64
	cfg      Config
	state    *keyspace.State
	raft     *raft.RawNode // nil while recovering
	log      tail
	term     uint64
	leader   uint64 // 0 if unknown
	role     raft.StateType
	commit   uint64 // as raft said
	applied  uint64 // what the state contains
	noticed  uint64 // the newest index that a leader called visible
	told     uint64 // the newest index that this leader called visible; 0: say it again
	seen     uint64 // the newest index that was visible here
	floor    uint64 // what all members have
	begun    uint64 // while recovering: where the log last began anew
	raising  int64  // own Mono: when a raise of the level was last proposed
	beyond   uint32 // the level of what was not taken since it is above the own; 0: there was nothing
	mono     int64  // the newest time of the own clocks
	wall     int64
	sums     sums
	stamp    int64 // the newest stamp that this member proposed or applied
	stampAt  int64 // own Mono then
	ticks    int64
	draining bool
	seed     uint64
	origin   origin
	pending  pending
	out      []Message
	gated    []*pb.Message // with FaultChangeGated
	scratch  []byte
	prompted bool // an answer to a heartbeat came since the last Ready
	unasked  int  // heartbeats that learn made up since then
	visit    func(uint64, raft.ProgressType, tracker.Progress)

	// Membership: as of what is committed, and as of what is applied.
	members []Member
	settled []Member
	changes changes
	removed bool   // the group said so: this member may not see it committed
	peers   []peer // all members but this one

	// Leases and elections.
	promise     promise
	buried      uint64 // the leader that died, while none follows it
	waived      int64  // own Mono: until when a promise would have lasted that ended with its leader's process
	lease       lease
	heard       int64 // own Mono: the newest heartbeat of a leader
	electAt     int64 // own Mono: not to campaign before
	cause       string
	stands      bool // for election, since there is no leader
	events      []Event
	elections   []Election
	causes      []Cause // how many elections there were for each, ever
	because     because // of one that is not among the elections yet
	hand        hand
	beats       moments
	noop        uint64 // index of the first entry of the own leadership; 0 if it is not in the log yet
	ended       bool   // grants and authority have ended for the rest of the own leadership
	leads       int64  // own Mono: since when
	lasts       [samples]moment
	sample      int
	committedTo uint64
	moved       int64 // own Mono: when commit last moved, or nothing waited
}

// Tick tells that a tick of the clock has passed.
func (r *Replica) Tick(now Instant) {
	r.at(now)
	if r.leading() {
		r.raft.Tick()
	} else {
		r.elect(now)
	}
	if r.leading() {
		r.watch(now)
		r.steward()
		r.handOn()
		r.raise()
	}
	r.origin.tick(r.leader == r.id)
	if r.origin.later {
		r.resend()
	}
	if r.ticks++; r.ticks%(r.cfg.Heartbeat/r.cfg.Tick) == 0 {
		r.told = 0 // say again what is visible: somebody may have missed it
	}
}

// Stamp has the leader propose an entry that carries only the time. Elsewhere it does nothing.
func (r *Replica) Stamp(now Instant) {
	r.at(now)
	if r.leader == r.id {
		r.propose(keyspace.Entry{Kind: keyspace.Tick})
	}
}

// Step takes a message from another member.
func (r *Replica) Step(m Message, now Instant) {
	r.at(now)
	if m.To != r.id {
		return // an earlier ID of this member
	}
	switch m.Kind {
	case Raft:
		r.stepRaft(&m, now)
	case Ack:
		r.ack(&m, now)
		r.handOn()
	case Grant:
		r.granted(&m)
	case Recall:
		if m.Term == r.term {
			r.giveBack()
		}
	case Release:
		r.released(&m)
	case Visible:
		r.noticed, r.floor = max(r.noticed, m.Index), max(r.floor, m.Floor)
		r.learn(&m)
	case Elected:
		r.explain(m.Term, m.From, m.Text)
	case Forward:
		if r.leader == r.id {
			r.propose(*m.Entry)
		}
	case Propose:
		if r.leading() {
			r.wish(*m.Change)
		}
	case Removed:
		r.removed = r.removed || m.Term >= r.term
	}
}

func (r *Replica) stepRaft(m *Message, now Instant) {
	t := m.Raft.GetType()
	if r.drops(t) || m.Raft.GetTo() != r.id || m.Raft.GetFrom() != m.From || t == pb.MsgApp && !r.knows(m.Raft.Entries...) {
		return
	}
	if p := r.peer(m.From); p != nil && m.Wall != 0 {
		p.clock = m.Wall - now.Mono
	}
	switch p := r.peer(m.From); {
	case t == pb.MsgVoteResp:
		r.voted(m)
	case t == pb.MsgAppResp && p != nil && r.leading() && m.Raft.GetTerm() == r.term:
		r.answered(p)
	}
	_ = r.raft.Step(m.Raft) // raft says what it drops; dropping is always allowed
	r.prompted = r.prompted || t == pb.MsgHeartbeatResp
	switch {
	case t == pb.MsgHeartbeat && m.Beat != 0:
		r.heartbeat(m, now)
	case t == pb.MsgVote && r.votedFor(m):
		r.electAt = max(r.electAt, r.mono+retryFirst+r.turn(0)) // it has time to win
		r.happened(Voted, m.From, 0)
	}
}

// learn takes the leader's word on what is committed, by a heartbeat such as raft would send: raft's own way, an append without entries to each
// member whenever more is committed, would cost two more messages each for every round. See tells.
func (r *Replica) learn(m *Message) {
	if m.Commit <= r.commit || m.Term != r.term || m.From != r.leader || r.leading() {
		return
	}
	t := pb.MsgHeartbeat
	r.unasked++
	_ = r.raft.Step(&pb.Message{Type: &t, From: new(m.From), To: new(r.id), Term: new(m.Term), Commit: new(m.Commit)})
}

// tells says whether an append tells its receiver nothing but what is committed: Visible does that. One that an answer to a heartbeat has prompted is a probe for
// entries that were lost.
func (r *Replica) tells(m *pb.Message) bool {
	p := r.peer(m.GetTo())
	return len(m.Entries) == 0 && !r.prompted && p != nil && p.streams
}

// keepScratch is the largest buffer for encoding that is kept, in bytes.
const keepScratch = 1 << 20

// propose stamps e and hands it to raft, which may drop it: then its origin sends it again.
func (r *Replica) propose(e keyspace.Entry) {
	e.Stamp = max(r.clock(), r.stamp)
	r.scratch = e.Append(r.scratch[:0])
	err := r.raft.Propose(r.scratch) // which copies it
	if cap(r.scratch) > keepScratch {
		r.scratch = nil
	}
	if err == nil {
		r.stamped(e.Stamp)
	} else if e.Origin == r.origin.id {
		r.origin.later = true
	}
}

// Ready gives out what must be done, and whether there is anything. In a group of more than one it changes what Pending looks at.
func (r *Replica) Ready(now Instant) (eff Effects, any bool) {
	r.at(now)
	r.say(&eff) // first, since a release must come before the message that it makes way for
	if r.leading() && !r.alone() {
		r.progress()
	}
	if r.raft.HasReady() {
		any = true
		r.ready(&eff, now)
	}
	if r.origin.again && r.leader != 0 {
		any = true
		r.resend()
	}
	if r.leading() && !r.alone() {
		r.notice() // also when raft has nothing to do: an answer that changes nothing for it may be what visible waits for
	}
	r.say(&eff)
	return eff, any || len(eff.Messages) > 0
}

// tell says something to every other member.
func (r *Replica) tell(m Message) {
	for i := range r.peers {
		m.To = r.peers[i].id
		r.out = append(r.out, m)
	}
}

// say gives out what this member has to say besides raft.
func (r *Replica) say(eff *Effects) {
	for i := range r.out {
		r.out[i].From = r.id
	}
	eff.Messages = append(eff.Messages, r.out...)
	clear(r.out)
	r.out = r.out[:0]
}

// ready sorts what raft wants done.
func (r *Replica) ready(eff *Effects, now Instant) {
	rd := r.raft.Ready()
	if rd.HardState != nil && rd.HardState.Term != nil {
		r.term = rd.HardState.GetTerm()
	}
	if rd.SoftState != nil {
		r.soft(rd.SoftState)
	}
	beat, beaten := uint64(0), false
	for _, m := range rd.Messages {
		switch {
		case m.GetTo() == raft.LocalAppendThread:
			eff.Append = r.append(m)
		case m.GetTo() == raft.LocalApplyThread:
			r.committed(m)
		case m.GetType() == pb.MsgApp && r.tells(m):
		case m.GetType() == pb.MsgHeartbeatResp && r.unasked > 0 && len(m.Context) == 0:
			r.unasked-- // the answer to what learn made up
		case m.GetType() == pb.MsgSnap:
			eff.Snapshots = append(eff.Snapshots, m.GetTo())
		default:
			if m.GetType() == pb.MsgHeartbeat && !beaten {
				beat, beaten = r.beat(now), true
			}
			eff.Messages = append(eff.Messages, r.envelope(m, beat))
		}
	}
	r.prompted, r.unasked = false, 0
	for _, s := range rd.ReadStates {
		if len(s.RequestCtx) == 16 && r.applied <= r.visible() { // or a member that has just recovered may have applied what is not visible yet
			eff.Indexes = append(eff.Indexes, ReadIndex{binary.LittleEndian.Uint64(s.RequestCtx[8:]), s.Index})
		}
	}
}

func (r *Replica) envelope(m *pb.Message, beat uint64) Message {
	e := Message{Kind: Raft, From: r.id, To: m.GetTo(), Raft: m}
	switch m.GetType() {
	case pb.MsgHeartbeat:
		e.Beat, e.Wall, e.Life, e.Level = beat, r.wall, r.cfg.Nonce, r.cfg.Level
		if r.hand.sent == 0 {
			e.For = r.cfg.Promise
		}
	case pb.MsgVoteResp:
		e.Wall, e.For = r.wall, max(0, r.waived-r.mono)
	case pb.MsgVote, pb.MsgPreVote, pb.MsgPreVoteResp:
		e.Wall = r.wall
	}
	return e
}

func (r *Replica) soft(s *raft.SoftState) {
	became := s.RaftState == raft.StateLeader && r.role != raft.StateLeader
	if r.leading() && s.RaftState != raft.StateLeader {
		// The last sign of a leader was its own, and whoever took over is to be left in peace.
		r.heard = r.mono
		r.electAt = max(r.electAt, r.mono+r.cfg.Promise+r.turn(0))
		r.happened(Deposed, r.id, 0)
	}
	r.role = s.RaftState
	if became {
		r.stamped(r.newestStamp())
		r.newTerm()
		for range r.cfg.Heartbeat / r.cfg.Tick { // the first heartbeat at once: leases wait for it
			r.raft.Tick()
		}
	}
	if r.leader != s.Lead {
		r.leader, r.origin.again = s.Lead, true
		if r.leader != 0 {
			r.elected()
			r.buried = 0
		}
	}
}

// newestStamp is the newest stamp of the log.
func (r *Replica) newestStamp() (stamp int64) {
	stamp = r.state.Stamp()
	for _, e := range r.log.behind(r.applied) {
		if len(e.Data) > 0 && e.GetType() == pb.EntryNormal {
			stamp = max(stamp, r.decode(e).Stamp)
		}
	}
	return stamp
}

func (r *Replica) append(m *pb.Message) Append {
	a := Append{Entries: m.Entries, done: m.Responses}
	if m.Term != nil {
		h := &pb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
		a.Sync = h.GetTerm() != r.log.hard.GetTerm() || h.GetVote() != r.log.hard.GetVote()
		r.log.hard = h
		if a.Sync {
			a.Hard = h
		}
	}
	replaced := false
	if s := m.GetSnapshot().GetMetadata(); s.GetIndex() != 0 {
		a.Base = &Base{Index: s.GetIndex(), Term: s.GetTerm(), Members: r.settled}
		r.log.reset(s.GetIndex(), s.GetTerm(), s.GetConfState())
		r.enroll(r.settled)
		r.commit, replaced = s.GetIndex(), true
	}
	replaced = r.log.append(m.Entries) || replaced
	if !r.alone() {
		r.mark(m.Entries, replaced)
	}
	for _, e := range m.Entries {
		if e.GetType() != pb.EntryNormal {
			r.changes.index = e.GetIndex()
		}
		if r.leading() && r.noop == 0 && e.GetTerm() == r.term {
			r.noop = e.GetIndex()
		}
	}
	return a
}

// Stored tells that a was written, and is on stable storage if it had to be.
func (r *Replica) Stored(a Append, now Instant) {
	r.at(now)
	for _, m := range a.done {
		if m.GetTo() == r.id {
			_ = r.raft.Step(m)
		} else {
			r.out = append(r.out, r.envelope(m, 0))
		}
	}
}

// committed takes notice of entries that are committed. Raft is told at once that they are applied: only the state is gated.
func (r *Replica) committed(m *pb.Message) {
	for _, e := range m.Entries {
		r.commit = max(r.commit, e.GetIndex())
	}
	if r.cfg.Fault == FaultChangeGated && r.applied < r.commit {
		r.gated = append(r.gated, m)
		return
	}
	r.accept(m)
}

// accept tells raft that entries are applied.
func (r *Replica) accept(m *pb.Message) {
	for _, e := range m.Entries {
		if e.GetType() != pb.EntryNormal {
			r.change(e)
		}
	}
	for _, resp := range m.Responses {
		_ = r.raft.Step(resp)
	}
}

// AskIndex asks the leader how far this member must have applied to answer reads that were asked before; Effects.Indexes gives the answer. It may be
// lost: then ask again, with another id.
func (r *Replica) AskIndex(id uint64, now Instant) {
	r.at(now)
	ctx := binary.LittleEndian.AppendUint64(make([]byte, 0, 16), r.id)
	r.raft.ReadIndex(binary.LittleEndian.AppendUint64(ctx, id))
}
