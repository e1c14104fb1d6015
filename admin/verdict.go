package admin

import (
	"fmt"
	"strings"

	"holdfast/engine"
)

// Verdicts on a group, from the best to the worst.
const (
	Healthy  = "healthy"   // everybody is there
	Degraded = "degraded"  // writes are carried out, and fewer members may be lost than should be
	NoQuorum = "no quorum" // writes are not carried out
)

// verdict says in a word how the group is, and why in a few, if it could be better.
func verdict(st *engine.Status) (word, why string) {
	switch {
	case !st.Ready:
		return NoQuorum, or(st.Problem, "the state is being loaded")
	case !st.Quorum:
		return NoQuorum, whyNot(st)
	case differing(st) != nil:
		p := differing(st)
		return Degraded, fmt.Sprintf("after entry %d the state of %s was not that of this controller: a defect, or a machine that computes wrongly; report it, and give the wrong one an empty directory", p.Differs, p.Name)
	case len(st.Missing) > 0, st.CanLose == 0 && len(st.Peers) > 1:
		return Degraded, whyDegraded(st)
	}
	return Healthy, ""
}

// differing is a member whose state is not the own one, nil if there is none.
func differing(st *engine.Status) *engine.Peer {
	for i := range st.Peers {
		if st.Peers[i].Differs != 0 {
			return &st.Peers[i]
		}
	}
	return nil
}

func whyDegraded(st *engine.Status) string {
	if len(st.Missing) > 0 {
		return "missing: " + strings.Join(st.Missing, ", ")
	}
	voters, _ := count(st, nil, "")
	return fmt.Sprintf("only %d have a vote", voters)
}

// notRead says why reads cannot be answered, empty if they can: by a lease, or by asking a leader.
func notRead(st *engine.Status) string {
	switch {
	case !st.Ready:
		return "not ready: " + or(st.Problem, "the state is being loaded")
	case len(st.Peers) > 1 && st.Lease <= 0 && st.Leader == "":
		return "not ready for reads: " + whyNot(st)
	}
	return ""
}

// notWrite says why writes cannot be carried out, empty if they can.
func notWrite(st *engine.Status) string {
	switch {
	case !st.Ready:
		return notRead(st)
	case !st.Quorum:
		return "not ready for writes: " + whyNot(st)
	}
	return ""
}

// whyNot says what keeps writes from being carried out.
func whyNot(st *engine.Status) string {
	switch {
	case st.Problem != "":
		return st.Problem
	case len(st.Missing) > 0:
		return "no quorum, missing: " + strings.Join(st.Missing, ", ")
	}
	return "no leader is known"
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
