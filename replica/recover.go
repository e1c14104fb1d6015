package replica

import (
	"fmt"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// New returns a replica that is recovering: call Recover for what the log holds, then Start.
func New(cfg Config) *Replica {
	cfg.complete()
	r := &Replica{
		id: cfg.ID, cfg: cfg, state: cfg.State, seed: cfg.Nonce ^ cfg.ID, cause: "start",
		commit: cfg.Base.Index, applied: cfg.Base.Index, members: cfg.Base.Members, settled: cfg.Base.Members,
		log: tail{
			base: cfg.Base.Index, baseTerm: cfg.Base.Term, hard: &pb.HardState{},
		},
		origin: origin{id: cfg.ID, nonce: cfg.Nonce, again: true},
	}
	r.log.snapshot = r.snapshotNow
	r.visit = r.noteProgress
	return r
}

// Recover takes one entry of the log, in the order in which it was appended; commit is an index known to be committed by then (0 if
// none is). What is committed is applied at once.
func (r *Replica) Recover(e *pb.Entry, commit uint64) error {
	if term, _ := r.log.Term(r.applied); e.GetIndex() <= r.applied || e.GetTerm() < term { // the second: what a snapshot from elsewhere put an end to
		return nil
	}
	if e.GetIndex() > r.log.last()+1 {
		return fmt.Errorf("entry %d does not follow entry %d", e.GetIndex(), r.log.last())
	}
	if !r.knows(e) {
		return r.Beyond()
	}
	r.log.append([]*pb.Entry{e})
	r.commit = max(r.commit, min(commit, r.log.last()))
	for r.applied < r.commit {
		r.applyNext()
	}
	r.members = r.settled
	if len(r.members) == 1 {
		r.log.compact(r.applied)
	} else {
		r.log.compact(min(r.applied, r.log.keepWithin(r.cfg.Retain))) // somebody may be a little behind
	}
	return nil
}

// RecoverHard takes the newest hard state of the log.
func (r *Replica) RecoverHard(h *pb.HardState) { r.log.hard = h }

// RecoverBase takes the place where the log says that it begins anew, behind a snapshot: what stood behind that place before is void. The log may
// repeat it. It returns false if the state does not contain the place.
func (r *Replica) RecoverBase(b Base) bool {
	if b.Index != r.begun {
		r.log.cut(r.applied)
	}
	r.begun = b.Index
	return b.Index <= r.applied
}

// Start ends recovering. A group of one campaigns at once.
func (r *Replica) Start(now Instant) error {
	r.at(now)
	h := r.log.hard
	r.log.hard = &pb.HardState{Term: new(h.GetTerm()), Vote: new(h.GetVote()), Commit: new(r.commit)}
	if last, _ := r.log.Term(r.log.last()); last > h.GetTerm() {
		r.log.hard.Term, r.log.hard.Vote = new(last), new(uint64(0))
	}
	r.term = r.log.hard.GetTerm()
	r.log.group = conf(r.members)
	r.stamp, r.stampAt = r.state.Stamp(), now.Mono
	rn, err := raft.NewRawNode(&raft.Config{
		ID: r.id, ElectionTick: int(r.cfg.Promise / r.cfg.Tick), HeartbeatTick: int(r.cfg.Heartbeat / r.cfg.Tick), Storage: &r.log, Applied: r.commit,
		AsyncStorageWrites: true, MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 256, MaxInflightBytes: 32 << 20,
		MaxUncommittedEntriesSize: uint64(r.cfg.Unsettled), MaxCommittedSizePerReady: 64 << 20,
		CheckQuorum: true, PreVote: true, DisableProposalForwarding: true, StepDownOnRemoval: true, Logger: r.cfg.Logger,
	})
	if err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	r.raft = rn
	r.enroll(r.members)
	if r.alone() && find(r.members, r.id) != nil {
		return rn.Campaign()
	}
	if r.cfg.Fault != FaultVoteAtStart {
		r.promise.older = now.Mono + 2*r.cfg.Promise // an earlier life may have promised
	}
	r.electAt = max(now.Mono, r.promise.end()) + r.turn(0)
	r.mark(nil, true)
	return nil
}

// alone says whether the group has no other member: then nothing can be observed that is appended and not applied.
func (r *Replica) alone() bool {
	return len(r.log.group.GetVoters()) == 1 && len(r.log.group.GetLearners()) == 0
}
