package replica

// Event is a step on the way from one leader to the next as this member saw it. Events are for people: nothing depends on them.
type Event struct {
	At   int64 // own wall clock, Unix ns
	Kind EventKind
	Peer uint64 // whom it is about
	Term uint64
	Took int64 // ns; of what, the kind says
}

// EventKind says what happened.
type EventKind uint8

const (
	Silence    EventKind = iota + 1 // nothing came from the leader Peer for Took
	Death                           // the process of the leader Peer ended: whoever waited for its end said so
	Deposed                         // this member led, and does not any more
	Candidacy                       // this member asks for votes; told once until there is a leader
	Voted                           // this member gave its vote for Term to Peer
	Won                             // Peer leads Term; this member knew no sign of a leader for Took
	HandedOver                      // the leader Peer gives its leadership away
)

// maxEvents are kept until Events is called. Beyond them new ones are dropped.
const maxEvents = 64

func (r *Replica) happened(kind EventKind, peer uint64, took int64) {
	if len(r.events) < maxEvents && !r.alone() {
		r.events = append(r.events, Event{At: r.wall, Kind: kind, Peer: peer, Term: r.raft.BasicStatus().HardState.GetTerm(), Took: took})
	}
}

// Events gives out what happened since the last call. The slice is valid until any other method is called.
func (r *Replica) Events() []Event {
	all := r.events
	r.events = r.events[:0]
	return all
}
