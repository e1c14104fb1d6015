package sim

import (
	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/replica"
)

// network carries messages between machines: late, in another order, twice, or not at all.
type network struct {
	w     *World
	links []link // from*machines+to
	buf   []byte
	late  int                 // messages that were held back and let go
	held  map[string][]func() // messages that a schedule holds back until it lets them go
}

// link is the way from one machine to another.
type link struct {
	delay  int64 // ns, usual
	jitter int64
	drop   int // percent
	twice  int // percent
	late   int // percent that come much later
	cut    bool
}

// lateness is how late a late message comes at most: beyond twice a promise.
const lateness = 900 * ms

// Fate is what a schedule does with a message.
type Fate struct {
	Drop  bool
	Delay int64  // ns; 0 leaves it to the link
	Hold  string // held back until the schedule releases what it holds under that name
}

func (n *network) init(w *World) {
	n.w, n.held = w, map[string][]func(){}
	n.links = make([]link, len(w.machines)*len(w.machines))
	n.heal()
	if w.plan.Smooth {
		return
	}
	for i := range n.links {
		l := &n.links[i]
		l.jitter = w.between(100*us, 2*ms)
		switch w.rng.IntN(4) {
		case 0:
			l.drop, l.twice, l.late = w.rng.IntN(15), w.rng.IntN(10), w.rng.IntN(8)
		case 1:
			l.late, l.twice = w.rng.IntN(4), w.rng.IntN(4)
		}
	}
}

// heal makes every link a good one and lets go of what is held.
func (n *network) heal() {
	for i := range n.links {
		n.links[i] = link{delay: 100 * us, jitter: 200 * us}
	}
	for _, name := range n.w.plan.Holds {
		n.release(name)
	}
}

func (n *network) link(from, to *machine) *link {
	return &n.links[from.n*len(n.w.machines)+to.n]
}

// open says whether anything can come through, both ways.
func (n *network) open(a, b *machine) bool { return !n.link(a, b).cut && !n.link(b, a).cut }

// cut cuts the way from one to another, or joins it again.
func (n *network) cut(from, to *machine, cut bool) { n.link(from, to).cut = cut }

// isolate cuts a machine off from all others, or joins it again.
func (n *network) isolate(m *machine, cut bool) {
	for _, o := range n.w.machines {
		if o != m {
			n.cut(m, o, cut)
			n.cut(o, m, cut)
		}
	}
}

// send brings a message on its way, as bytes.
func (n *network) send(from *machine, msg *replica.Message) {
	w := n.w
	n.buf = msg.Append(n.buf[:0])
	to := w.holder(msg.To)
	if to == nil || to == from {
		return // nobody has that id any more
	}
	l := n.link(from, to)
	lost := l.cut || w.chance(l.drop)
	var fate Fate
	if w.plan.Bias != nil && !w.calm {
		fate = w.plan.Bias(w, from, to, msg)
	}
	if fate.Drop || lost {
		n.note(from, msg, "drops %d to %d")
		return
	}
	n.note(from, msg, "sends %d to %d")
	b := append([]byte(nil), n.buf...)
	go1 := func() { n.deliver(to, b) }
	if fate.Hold != "" {
		n.held[fate.Hold] = append(n.held[fate.Hold], go1)
		return
	}
	for {
		d := fate.Delay
		if d == 0 {
			d = l.delay + w.between(0, l.jitter)
			if w.chance(l.late) {
				d += w.between(10*ms, lateness)
			}
		}
		w.after(d, go1)
		if !w.chance(l.twice) {
			return
		}
	}
}

// release lets go of what a schedule has held back, in the order in which it was sent.
func (n *network) release(name string) {
	n.late += len(n.held[name])
	for _, deliver := range n.held[name] {
		n.w.after(n.w.between(0, 200*us), deliver)
	}
	delete(n.held, name)
}

// deliver gives a message to the process that has its id by now.
func (n *network) deliver(to *machine, b []byte) {
	msg, err := replica.DecodeMessage(b)
	if err != nil {
		n.w.fail("a message cannot be decoded: %v", err)
		return
	}
	if to.id != msg.To || to.r == nil {
		return
	}
	to.happen(to.life, func() {
		n.note(to, &msg, "gets %d of %d")
		to.r.Step(msg, to.instant())
	})
}

// note is in the trace; what is said again and again only in the hash of a verbose one.
func (n *network) note(m *machine, msg *replica.Message, format string) {
	kind := uint64(msg.Kind)
	if msg.Kind == replica.Raft {
		kind = 100 + uint64(msg.Raft.GetType())
	}
	other := msg.To
	if m.id == msg.To {
		other = msg.From
	}
	words := ""
	if n.w.trace.verbose {
		words = msg.String()
	}
	n.w.tell(m, words, format, kind, other)
}

// call has a machine ask another one for something, outside of replica's messages.
func (n *network) call(from, to *machine, do func()) {
	if n.link(from, to).cut || to.r == nil {
		return
	}
	life := to.life
	n.w.after(n.w.between(100*us, 2*ms), func() { to.happen(life, do) })
}

// is says whether a message is one of raft's, of one of these types.
func is(m *replica.Message, types ...pb.MessageType) bool {
	if m.Kind != replica.Raft {
		return false
	}
	for _, t := range types {
		if m.Raft.GetType() == t {
			return true
		}
	}
	return false
}
