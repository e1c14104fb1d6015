// Package replica is one member of the group as a pure state machine: raft, exactly-once numbering, the visibility gate, and the
// state they lead to.
//
// Events are the methods Submit, Stamp, Step, Tick, Stored, each with the own clock as an argument; Ready gives out the effects. The caller
// drives: it writes to the log what Ready says, says Stored, sends the messages, and calls Apply. A group of one takes the
// same path as one of three. Read this file first, then origin.go (batches and their numbers), log.go (the tail in memory), pending.go.
//
// The package may not touch a clock, I/O, goroutines, locks or randomness. (raft draws its election timeouts itself.)
package replica

import (
	"errors"
	"fmt"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"

	"holdfast/keyspace"
)

// Config is what a Replica begins with.
type Config struct {
	ID             uint64 // of this member, as raft knows it; not 0
	Nonce          uint64 // a random number, another one for every life of the member
	State          *keyspace.State
	Base           Base // what State contains
	ElectionTicks  int  // 30 if zero
	HeartbeatTicks int  // 4 if zero
	Logger         raft.Logger
}

// Base is a place in the log: everything up to Index is contained in the state that goes with it.
type Base struct {
	Index, Term uint64
	Voters      []uint64 // the members at that place
}

// Message is what one member tells another: one of the fields behind To is set.
type Message struct {
	From, To uint64
	Raft     *pb.Message
	Forward  *keyspace.Entry // to be proposed by the leader; it gives it the stamp
	Visible  uint64          // index up to which entries may be applied, if they are committed
}

// Append is what must be written to the log, in the order given out, before Stored is called with it.
type Append struct {
	Hard    *pb.HardState // nil if unchanged
	Entries []*pb.Entry   // may begin at or below the last index: then they replace what is there
	Sync    bool          // must be on stable storage, whatever the durability: the term or the vote changed

	done []*pb.Message
}

// Empty says that there is nothing to write.
func (a *Append) Empty() bool { return a.Hard == nil && len(a.Entries) == 0 && len(a.done) == 0 }

// Effects is what the world must do.
type Effects struct {
	Append   Append
	Messages []Message
}

// Replica is one member. Not for concurrent use.
type Replica struct {
	id      uint64
	cfg     Config
	state   *keyspace.State
	raft    *raft.RawNode // nil while recovering
	log     tail
	leader  uint64 // 0 if unknown
	role    raft.StateType
	commit  uint64   // as raft said
	applied uint64   // what the state contains
	stamp   int64    // the newest stamp that this member proposed or applied
	noticed uint64   // the newest index that a leader called visible
	told    uint64   // the newest index that this leader called visible
	roster  []uint64 // members that may answer reads: visible waits for them
	ticks   int
	origin  origin
	pending pending
	out     []Message
	scratch []byte
}

// New returns a replica that is recovering: call Recover for what the log holds, then Start.
func New(cfg Config) *Replica {
	if cfg.ElectionTicks == 0 {
		cfg.ElectionTicks = 30
	}
	if cfg.HeartbeatTicks == 0 {
		cfg.HeartbeatTicks = 4
	}
	return &Replica{
		id: cfg.ID, cfg: cfg, state: cfg.State,
		log: tail{
			base: cfg.Base.Index, baseTerm: cfg.Base.Term,
			hard: &pb.HardState{}, group: &pb.ConfState{Voters: cfg.Base.Voters},
		},
		commit: cfg.Base.Index, applied: cfg.Base.Index,
		origin: origin{id: cfg.ID, nonce: cfg.Nonce, again: true},
	}
}

// Recover takes one entry of the log, in the order in which it was appended; commit is an index known to be committed by then (0 if
// none is). What is committed is applied at once.
func (r *Replica) Recover(e *pb.Entry, commit uint64) error {
	if e.GetIndex() <= r.log.base {
		return nil
	}
	if e.GetIndex() <= r.applied || e.GetIndex() > r.log.last()+1 {
		return fmt.Errorf("entry %d does not follow entry %d", e.GetIndex(), r.log.last())
	}
	r.log.append([]*pb.Entry{e})
	r.commit = max(r.commit, min(commit, r.log.last()))
	for r.applied < r.commit {
		if e := r.log.at(r.applied + 1); e.GetType() != pb.EntryNormal {
			return errors.New("the group's membership changes in the log: this version cannot replay that")
		}
		r.applyNext()
	}
	r.log.compact(r.applied)
	return nil
}

// RecoverHard takes the newest hard state of the log.
func (r *Replica) RecoverHard(h *pb.HardState) { r.log.hard = h }

// Start ends recovering. A group of one campaigns at once.
func (r *Replica) Start() error {
	h := r.log.hard
	r.log.hard = &pb.HardState{Term: new(h.GetTerm()), Vote: new(h.GetVote()), Commit: new(r.commit)}
	if last, _ := r.log.Term(r.log.last()); last > h.GetTerm() {
		r.log.hard.Term, r.log.hard.Vote = new(last), new(uint64(0))
	}
	rn, err := raft.NewRawNode(&raft.Config{
		ID: r.id, ElectionTick: r.cfg.ElectionTicks, HeartbeatTick: r.cfg.HeartbeatTicks, Storage: &r.log, Applied: r.commit,
		AsyncStorageWrites: true, MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, MaxInflightBytes: 32 << 20,
		MaxUncommittedEntriesSize: maxUncommitted, MaxCommittedSizePerReady: 64 << 20,
		CheckQuorum: true, PreVote: true, DisableProposalForwarding: true, StepDownOnRemoval: true, Logger: r.cfg.Logger,
	})
	if err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	r.raft = rn
	if r.alone() {
		return rn.Campaign()
	}
	return nil
}

// maxUncommitted bounds the entries that wait for a majority, in bytes; behind that proposals are dropped and come again.
const maxUncommitted = 256 << 20

// alone says whether the group has no other member: then nothing can be observed that is appended and not applied.
func (r *Replica) alone() bool {
	return len(r.log.group.GetVoters()) == 1 && len(r.log.group.GetLearners()) == 0
}

// Tick tells that a tick of the clock has passed.
func (r *Replica) Tick(now int64) {
	r.raft.Tick()
	r.origin.tick(r.leader == r.id)
	if r.origin.later {
		r.resend(now)
	}
	if r.ticks++; r.ticks%r.cfg.HeartbeatTicks == 0 {
		r.told = 0 // say again what is visible: somebody may have missed it
	}
}

// Stamp has the leader propose an entry that carries only the time. Elsewhere it does nothing.
func (r *Replica) Stamp(now int64) {
	if r.leader == r.id {
		r.propose(keyspace.Entry{Kind: keyspace.Tick}, now)
	}
}

// Step takes a message from another member.
func (r *Replica) Step(m Message, now int64) {
	switch {
	case m.Raft != nil:
		_ = r.raft.Step(m.Raft) // raft says what it drops; dropping is always allowed
	case m.Forward != nil:
		if r.leader == r.id {
			r.propose(*m.Forward, now)
		}
	default:
		r.noticed = max(r.noticed, m.Visible)
	}
}

// keepScratch is the largest buffer for encoding that is kept, in bytes.
const keepScratch = 1 << 20

// propose stamps e and hands it to raft, which may drop it: then its origin sends it again.
func (r *Replica) propose(e keyspace.Entry, now int64) {
	e.Stamp = max(now, r.stamp)
	r.scratch = e.Append(r.scratch[:0])
	err := r.raft.Propose(r.scratch) // which copies it
	if cap(r.scratch) > keepScratch {
		r.scratch = nil
	}
	if err == nil {
		r.stamp = e.Stamp
	} else if e.Origin == r.origin.id {
		r.origin.later = true
	}
}

// Ready gives out what must be done, and whether there is anything. In a group of more than one it changes what Pending looks at.
func (r *Replica) Ready(now int64) (eff Effects, any bool) {
	if r.raft.HasReady() {
		any = true
		rd := r.raft.Ready()
		if rd.SoftState != nil {
			r.soft(rd.SoftState)
		}
		for _, m := range rd.Messages {
			switch m.GetTo() {
			case raft.LocalAppendThread:
				eff.Append = r.append(m)
			case raft.LocalApplyThread:
				r.committed(m)
			default:
				eff.Messages = append(eff.Messages, Message{From: r.id, To: m.GetTo(), Raft: m})
			}
		}
	}
	if r.origin.again && r.leader != 0 {
		any = true
		r.resend(now)
	}
	r.notice()
	if len(r.out) > 0 {
		any = true
		eff.Messages = append(eff.Messages, r.out...)
		r.out = nil
	}
	return eff, any
}

func (r *Replica) soft(s *raft.SoftState) {
	if s.RaftState == raft.StateLeader && r.role != raft.StateLeader {
		r.stamp = max(r.stamp, r.newestStamp())
		r.told = 0
	}
	r.role = s.RaftState
	if r.leader != s.Lead {
		r.leader, r.origin.again = s.Lead, true
	}
}

// newestStamp is the newest stamp of the log.
func (r *Replica) newestStamp() (stamp int64) {
	stamp = r.state.Stamp()
	for _, e := range r.log.entries {
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
	replaced := r.log.append(m.Entries)
	if !r.alone() {
		r.mark(m.Entries, replaced)
	}
	return a
}

// Stored tells that a was written, and is on stable storage if it had to be.
func (r *Replica) Stored(a Append, now int64) {
	for _, m := range a.done {
		if m.GetTo() == r.id {
			_ = r.raft.Step(m)
		} else {
			r.out = append(r.out, Message{From: r.id, To: m.GetTo(), Raft: m})
		}
	}
}

// committed takes notice of entries that are committed. Raft is told at once that they are applied: only the state is gated.
func (r *Replica) committed(m *pb.Message) {
	for _, e := range m.Entries {
		r.change(e)
		r.commit = e.GetIndex()
	}
	for _, resp := range m.Responses {
		_ = r.raft.Step(resp)
	}
}

// change lets raft have a change of the membership.
func (r *Replica) change(e *pb.Entry) {
	if e.GetType() != pb.EntryNormal {
		panic("replica: the membership cannot change yet")
	}
}

// Applied is the index up to which the state is applied.
func (r *Replica) Applied() uint64 { return r.applied }

// Busy says whether an entry is appended and not yet applied.
func (r *Replica) Busy() bool { return r.log.last() > r.applied }

// Commit is the newest index known to be committed. Written beside entries it lets Recover apply early.
func (r *Replica) Commit() uint64 { return r.commit }

// visible is the index up to which the state may be applied (design 3.2): what is committed, and appended by whoever may answer reads.
func (r *Replica) visible() uint64 {
	switch {
	case r.role == raft.StateLeader:
		v := r.commit
		for _, id := range r.roster {
			v = min(v, r.match(id))
		}
		return v
	case r.alone():
		return r.commit
	default:
		return min(r.commit, r.noticed)
	}
}

// match is the highest index that the member is known to have appended, on the leader.
func (r *Replica) match(id uint64) (match uint64) {
	r.raft.WithProgress(func(i uint64, _ raft.ProgressType, p tracker.Progress) {
		if i == id {
			match = p.Match
		}
	})
	return match
}

// notice tells the others what is visible.
func (r *Replica) notice() {
	if r.role != raft.StateLeader || r.alone() {
		return
	}
	v := r.visible()
	if v <= r.told {
		return
	}
	r.told = v
	r.noticed = max(r.noticed, v)
	for _, id := range r.log.group.GetVoters() {
		if id != r.id {
			r.out = append(r.out, Message{From: r.id, To: id, Visible: v})
		}
	}
}

// Apply applies visible entries of about limit bytes to the state, at least one if there is any, and gives the results of own batches to their
// sinks. It returns whether more is visible. Nobody may read the state during the call.
func (r *Replica) Apply(limit int) (more bool) {
	v := r.visible()
	for r.applied < v && limit > 0 {
		limit -= 1 + r.applyNext()
	}
	if r.alone() {
		r.log.compact(r.applied)
	}
	return r.applied < v
}

// Visible says whether Apply has anything to do.
func (r *Replica) Visible() bool { return r.applied < r.visible() }

// applyNext applies the next entry and returns its size.
func (r *Replica) applyNext() int {
	raw := r.log.at(r.applied + 1)
	r.applied++
	if len(raw.Data) == 0 || raw.GetType() != pb.EntryNormal {
		return 0 // raft's own
	}
	e := r.decode(raw)
	r.stamp = max(r.stamp, e.Stamp)
	b := r.origin.turn(&e)
	var to keyspace.Results
	if b != nil && b.Sink != nil {
		to = b.Sink
	}
	outcome := r.state.Apply(&e, to)
	switch {
	case e.Origin != r.origin.id:
	case e.Kind == keyspace.Hello && e.Seq == r.origin.nonce:
		r.origin.hello(e.Index)
	case e.Kind == keyspace.Batch && e.Incarnation == r.origin.incarnation:
		r.origin.outcome(b, outcome)
	}
	return len(raw.Data)
}

// decode panics on what nobody can have proposed: applying anything else in its place would part this member from the others.
func (r *Replica) decode(raw *pb.Entry) keyspace.Entry {
	e, err := keyspace.DecodeEntry(raw.GetIndex(), raw.Data)
	if err != nil {
		panic(fmt.Sprintf("replica: entry %d: %v", raw.GetIndex(), err))
	}
	return e
}

// Compact lets go of the log up to index, which a snapshot contains.
func (r *Replica) Compact(index uint64) {
	r.log.compact(min(index, r.applied))
}

// Base tells what the state contains, for a snapshot of it.
func (r *Replica) Base() Base {
	term, _ := r.log.Term(r.applied)
	return Base{Index: r.applied, Term: term, Voters: r.log.group.GetVoters()}
}

// Status is how the replica is.
type Status struct {
	ID, Leader            uint64 // Leader is 0 if unknown
	Role                  raft.StateType
	Term, Commit, Applied uint64
	Incarnation           uint64 // 0 before the own Hello was applied: nothing is sent until then
	Voters                []uint64
	Waiting               int // own batches that are not yet applied
	LogBytes              int // of the tail in memory
}

// Status tells how the replica is.
func (r *Replica) Status() Status {
	return Status{
		ID: r.id, Leader: r.leader, Role: r.role, Term: r.log.hard.GetTerm(), Commit: r.commit, Applied: r.applied,
		Incarnation: r.origin.incarnation, Voters: r.log.group.GetVoters(), Waiting: len(r.origin.waiting), LogBytes: r.log.bytes,
	}
}
