package cluster

import (
	"time"

	"holdfast/replica"
)

// Who is there. A leader hears all others, since they answer its heartbeats, but they would hear the leader alone. So members that do not lead
// say to all others that they run, a few times a second: then each knows by itself who is missing, with a leader or without.

const (
	hereEvery = 20                     // ticks
	silence   = 800 * time.Millisecond // a member that was not heard for so long counts as missing
)

// sayHere tells the others that this member runs. Caller holds mu.
func (n *Node) sayHere() {
	if n.link == nil || n.replica == nil || n.dead || n.leads() {
		return
	}
	members, _ := n.replica.Members()
	for _, m := range members {
		if m.ID != n.record.id {
			n.link.Send(m.ID, &replica.Message{Kind: replica.Here, From: n.record.id, To: m.ID}, true)
			n.sent = true
		}
	}
}

// meet notes that a member was heard. Caller holds mu.
func (n *Node) meet(id uint64) {
	if n.met == nil {
		n.met = map[uint64]int64{}
	}
	n.met[id] = n.clock.mono()
}

// majority says whether a majority of the voters was heard of late, this member counted. Caller holds mu.
func (n *Node) majority() bool {
	members, _ := n.replica.Members()
	voters, here := 0, 0
	for _, m := range members {
		if m.Learner {
			continue
		}
		voters++
		if m.ID == n.record.id || n.meets(m.ID) {
			here++
		}
	}
	return here > voters/2
}

// meets says whether a member was heard of late. Caller holds mu.
func (n *Node) meets(id uint64) bool {
	at, ok := n.met[id]
	return ok && n.clock.mono()-at < int64(silence)
}
