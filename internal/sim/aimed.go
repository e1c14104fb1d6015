package sim

import (
	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/replica"
)

// Aimed schedules bring about the one moment at which a rule counts, again and again: random ones hardly ever do.

// aim is what the rounds of an aimed schedule are about.
type aim struct {
	lead, foll, cand *machine // the leader when the round began, and two others
	reader, writer   *machine // where clients read and write one key; nil: wherever they like
	stage            int      // of the round; 0 between rounds
	mark             uint64   // what was committed at a moment that counts
	passed           int      // messages of the kind that the schedule counts
	quiet            bool     // nobody writes: a pending key would hide what is wrong
}

// step is a part of a round: do happens some time after the step before.
type step struct {
	soonest, latest int64
	do              func(w *World)
}

// rounds has the steps happen one after the other, with a pause before they begin again. Each has a new leader to aim at.
func rounds(steps ...step) func(w *World) {
	return func(w *World) {
		var round func()
		round = func() {
			w.aim = aim{}
			lead := w.leader()
			if w.calm {
				return
			}
			if lead == nil || !w.everybodyIn() {
				w.after(50*ms, round)
				return
			}
			w.aim.lead = lead
			w.aim.foll = w.other(lead)
			for w.aim.cand = w.other(lead); w.aim.cand == w.aim.foll; {
				w.aim.cand = w.other(lead)
			}
			w.say(lead, "is aimed at, with %d and %d", uint64(w.aim.foll.n+1), uint64(w.aim.cand.n+1))
			at := int64(0)
			for i, st := range steps {
				at += w.between(st.soonest, st.latest)
				w.after(at, func() {
					if !w.calm {
						w.aim.stage = i + 1
						st.do(w)
					}
				})
			}
			w.after(at+w.between(400*ms, 900*ms), func() {
				if !w.calm {
					w.mend()
				}
				w.after(w.between(300*ms, 900*ms), round)
			})
		}
		w.after(w.between(900*ms, 1200*ms), round)
	}
}

// everybodyIn says whether all members run and may be counted on.
func (w *World) everybodyIn() bool {
	for _, m := range w.machines {
		if m.r == nil || m.paused || m.leaving || !m.sound() {
			return false
		}
	}
	return true
}

// mend ends what a round did to links and machines.
func (w *World) mend() {
	w.net.heal()
	for _, m := range w.machines {
		if m.r == nil {
			m.start()
		}
	}
	w.aim = aim{}
}

// quietly is aimed without the keys that end by themselves, and without writes before the moment that counts.
func quietly(w *World, x *call) {
	aimed(w, x)
	if x.cell = 0; x.do != get {
		x.do = set
	}
	if w.aim.quiet {
		x.do = get
	}
}

// hush ends all writing, for a while before the next step.
var hush = step{0, 0, func(w *World) { w.aim.quiet = true }}

// aimed has clients read at one machine what they write at another.
func aimed(w *World, x *call) {
	a := &w.aim
	if a.reader == nil || w.chance(10) {
		return
	}
	x.cell = 0
	if x.client.n%2 == 0 {
		x.m, x.do = a.reader, get
	} else {
		x.m, x.do = a.writer, set
	}
}

func (a *aim) readWrite(reader, writer *machine) { a.reader, a.writer, a.quiet = reader, writer, false }

// apart cuts two machines off from each other.
func (w *World) apart(a, b *machine) {
	w.net.cut(a, b, true)
	w.net.cut(b, a, true)
}

// A follower restarts just after it has answered a heartbeat, and is asked for its vote: the leader, cut off by then, still answers reads.
var restartAndVote = &Schedule{
	Name: "restart and vote", Members: 3, Smooth: true, Think: 5 * ms, Asks: 400, Patience: 5 * ms, Pick: aimed,
	Plan: rounds(
		step{0, 0, func(w *World) { w.apart(w.aim.lead, w.aim.cand) }},
		step{320 * ms, 450 * ms, func(w *World) {
			w.apart(w.aim.lead, w.aim.foll)
			w.aim.foll.crash()
		}},
		step{0, 5 * ms, func(w *World) {
			w.aim.foll.start()
			w.aim.readWrite(w.aim.lead, w.aim.cand)
		}},
	),
}

// quickest has the candidate be the one whose turn comes first.
func (w *World) quickest() {
	if a := &w.aim; a.cand.id > a.foll.id {
		a.cand, a.foll = a.foll, a.cand
	}
}

// A pause just long enough for the candidate to get its pre-vote, and for the other one to ask for one too; and what comes behind it.
const (
	stillLeast, stillMost = 340 * ms, 385 * ms
	behind                = 386 * ms
)

// lateVote: the candidate's requests are late. The leader goes on and is answered by the follower, which gets a lease; then the candidate's answer to it ends its
// leadership, and the late request comes for its own vote. The follower hears of none of this.
var lateVote = &Schedule{
	Name: "late vote", Members: 3, Smooth: true, Think: 5 * ms, Asks: 400, Patience: 5 * ms, Pick: quietly, Holds: []string{"votes"},
	Bias: func(w *World, from, to *machine, m *replica.Message) (f Fate) {
		a := &w.aim
		switch {
		case a.stage != 2 || from != a.cand:
		case is(m, pb.MsgVote):
			f.Hold = "votes"
		case to == a.foll:
			f.Drop = is(m, pb.MsgPreVoteResp)
		default:
			f.Delay = w.between(3*ms, 15*ms)
		}
		return f
	},
	Plan: rounds(hush,
		step{100 * ms, 150 * ms, func(w *World) {
			w.quickest()
			w.aim.lead.pause(w.between(stillLeast, stillMost))
		}},
		step{behind, behind + 15*ms, func(w *World) {
			w.net.isolate(w.aim.foll, true)
			w.net.release("votes")
			w.aim.readWrite(w.aim.foll, w.aim.cand)
		}},
	),
}

// lateRejection: the follower asks for pre-votes too, and the candidate, by then of the next term, rejects it. That comes late, when the follower has answered the
// leader's heartbeat, and makes it forget the leader; then comes the candidate's request for its vote. The leader, cut off by then, still answers reads.
var lateRejection = &Schedule{
	Name: "late rejection", Members: 3, Smooth: true, Think: 5 * ms, Asks: 400, Patience: 5 * ms, Pick: quietly, Holds: []string{"votes", "rejections"},
	Bias: func(w *World, from, to *machine, m *replica.Message) (f Fate) {
		a := &w.aim
		switch {
		case a.stage != 2 || from != a.cand || to != a.foll:
		case is(m, pb.MsgVote):
			f.Hold = "votes"
		case is(m, pb.MsgPreVoteResp):
			f.Hold = "rejections"
		}
		return f
	},
	Plan: rounds(hush,
		step{100 * ms, 150 * ms, func(w *World) {
			w.quickest()
			w.apart(w.aim.lead, w.aim.cand)
			w.aim.lead.pause(w.between(stillLeast, stillMost))
		}},
		step{behind, behind + 15*ms, func(w *World) {
			w.apart(w.aim.lead, w.aim.foll)
			w.net.release("rejections")
			w.aim.readWrite(w.aim.lead, w.aim.cand)
		}},
		step{ms, 3 * ms, func(w *World) { w.net.release("votes") }},
	),
}

// lateTransfer: a leader hands over, and what tells the other one to campaign is late: the transfer fails, somebody leads again, and then it comes.
var lateTransfer = &Schedule{
	Name: "late transfer", Members: 3, Smooth: true, Think: 5 * ms, Asks: 400, Patience: 5 * ms, Holds: []string{"transfer"},
	Bias: func(w *World, from, to *machine, m *replica.Message) (f Fate) {
		if a := &w.aim; a.stage == 1 && from == a.lead && is(m, pb.MsgTimeoutNow) {
			f.Hold = "transfer"
			w.net.isolate(to, true) // until then it hears nothing else
			w.after(w.between(250*ms, 900*ms), func() {
				w.net.isolate(to, false)
				w.net.release("transfer")
			})
		}
		return f
	},
	Plan: rounds(
		step{0, 0, func(w *World) { w.aim.lead.drain(1500 * ms) }},
		step{s, 1200 * ms, func(w *World) {}},
	),
}

// A follower's grants are so late that the leader has done without it by the time they come.
var lateGrants = &Schedule{
	Name: "late grants", Members: 3, Smooth: true, Think: 5 * ms, Asks: 400, Patience: 5 * ms, Pick: aimed, Holds: []string{"grants"},
	Bias: func(w *World, from, to *machine, m *replica.Message) (f Fate) {
		a := &w.aim
		switch {
		case to == a.foll && m.Kind == replica.Grant && a.stage == 1:
			f.Hold = "grants"
		case from == a.foll && m.Kind == replica.Ack && a.stage >= 2:
			f.Drop = true
		case to == a.foll && is(m, pb.MsgApp) && a.stage == 3:
			f.Delay = w.between(40*ms, 150*ms)
		}
		return f
	},
	Plan: rounds(
		step{0, 0, func(w *World) {}},
		step{60 * ms, 100 * ms, func(w *World) {}},
		step{270 * ms, 300 * ms, func(w *World) {
			w.net.release("grants")
			w.aim.readWrite(w.aim.foll, w.aim.lead)
		}},
	),
}

// The follower whose clock is slowest is not reached by entries any more while it has a lease of the leader with the fastest.
var roster = &Schedule{
	Name: "roster", Members: 3, Smooth: true, Drift: 20, Think: 4 * ms, Asks: 500, Patience: 5 * ms, Pick: aimed,
	Plan: rounds(
		step{0, 0, func(w *World) {
			w.aim.readWrite(w.aim.foll, w.aim.lead)
		}},
		step{20 * ms, 60 * ms, func(w *World) { w.net.cut(w.aim.lead, w.aim.foll, true) }},
	),
}

// A follower leaves the roster and comes back by a new grant, which overtakes an old one.
var overtaken = &Schedule{
	Name: "overtaken grants", Members: 3, Clients: 16, Smooth: true, Think: 8 * ms, Asks: 300, Patience: 5 * ms, Pick: aimed, Holds: []string{"old", "appends"},
	Bias: func(w *World, from, to *machine, m *replica.Message) (f Fate) {
		a := &w.aim
		switch {
		case a.stage == 0:
		case to == a.foll && m.Kind == replica.Grant && a.stage == 1:
			f.Hold = "old"
		case from == a.foll && m.Kind == replica.Ack && a.stage == 2:
			f.Drop = true
		case to == a.foll && is(m, pb.MsgApp) && a.stage >= 3:
			f.Delay = w.between(60*ms, 95*ms)
		case to == a.foll && m.Kind == replica.Grant && a.stage == 3:
			a.stage = 4 // the new grant comes at once, and the old ones right behind it
			f.Delay = 100 * us
			w.after(400*us, func() { w.net.release("old") })
		}
		return f
	},
	Plan: rounds(
		step{0, 0, func(w *World) { w.aim.readWrite(w.aim.lead, w.aim.lead) }}, // who reads without a lease asks the leader, and takes part in the protocol by that
		step{50 * ms, 80 * ms, func(w *World) {}},
		step{290 * ms, 330 * ms, func(w *World) { w.aim.readWrite(w.aim.foll, w.aim.lead) }},
		step{200 * ms, 200 * ms, func(w *World) { w.net.release("old") }},
	),
}

// A follower gives its lease back while grants are on their way to it.
var giveBack = &Schedule{
	Name: "give-back", Members: 3, Smooth: true, Think: 4 * ms, Asks: 500, Patience: 5 * ms, Pick: aimed, Holds: []string{"grants"},
	Bias: func(w *World, from, to *machine, m *replica.Message) (f Fate) {
		a := &w.aim
		switch {
		case to != a.foll || a.stage == 0:
		case m.Kind == replica.Grant && a.stage < 3:
			f.Hold = "grants"
		case is(m, pb.MsgApp) && a.stage >= 2:
			f.Delay = w.between(60*ms, 200*ms)
		}
		return f
	},
	Plan: rounds(
		step{0, 0, func(w *World) { w.aim.readWrite(w.aim.foll, w.aim.lead) }},
		step{45 * ms, 100 * ms, func(w *World) {
			if m := w.aim.foll; m.r != nil {
				m.r.Drain(m.instant())
				m.drive()
			}
		}},
		step{3 * ms, 20 * ms, func(w *World) { w.net.release("grants") }},
		step{200 * ms, 300 * ms, func(w *World) {
			w.aim.foll.crash()
			w.restart(w.aim.foll, 0, 50*ms)
		}},
	),
}

// A follower is far behind when a leader dies that has just acknowledged large writes. The new leader has them too, and does not know yet that they are committed. The
// follower gets the first of them from it, and the others late; it must not answer reads before it has them all.
var beginning = &Schedule{
	Name: "beginning of a term", Members: 3, Clients: 16, Smooth: true, Think: 8 * ms, Asks: 200, Patience: 5 * ms, Pad: 600_000, Retain: 64 << 20,
	Pick: func(w *World, x *call) {
		quietly(w, x)
		x.cell = w.rng.IntN(2) // a key of which the follower has an entry is pending there; the other one is not
		if w.aim.stage == wave {
			x.m, x.do = w.aim.lead, set
		}
	},
	Bias: func(w *World, from, to *machine, m *replica.Message) (f Fate) {
		a := &w.aim
		switch {
		case a.stage == 0:
		case from == a.lead && to == a.foll && is(m, pb.MsgApp):
			f.Drop = true
		case from == a.lead && to == a.cand && a.stage >= wave:
			f.Drop = m.Kind == replica.Visible || is(m, pb.MsgApp, pb.MsgHeartbeat) && m.Raft.GetCommit() > a.mark
		case from == a.cand && to == a.foll && is(m, pb.MsgApp) && len(m.Raft.Entries) > 0:
			if a.passed++; a.passed > 2 {
				f.Delay = w.between(80*ms, 150*ms)
			}
		}
		return f
	},
	Plan: rounds(
		step{0, 0, func(w *World) { w.aim.readWrite(w.aim.lead, w.aim.lead) }},
		step{550 * ms, 650 * ms, func(w *World) { w.aim.quiet = true }}, // by now the follower is out of the roster
		step{30 * ms, 50 * ms, func(w *World) { // what is written before the first of it is committed
			w.net.link(w.aim.lead, w.aim.cand).delay = 4 * ms
			w.aim.mark = w.aim.lead.r.Commit()
			w.aim.readWrite(w.aim.lead, w.aim.lead)
		}},
		step{10 * ms, 10 * ms, func(w *World) {
			w.aim.lead.crash()
			w.aim.readWrite(w.aim.foll, w.aim.cand)
		}},
	),
}

// wave is the stage of it in which large values are written.
const wave = 3

// A leader that cannot reach the others goes on proposing, and is told what their new leader calls visible before it gets its entries.
var suffix = &Schedule{
	Name: "two suffixes", Members: 3, Smooth: true, Think: 10 * ms, Asks: 250, Patience: 5 * ms, Pick: aimed,
	Bias: func(w *World, from, to *machine, m *replica.Message) (f Fate) {
		if a := &w.aim; a.stage == 2 && to == a.lead && is(m, pb.MsgApp) {
			f.Delay = w.between(5*ms, 60*ms)
		}
		return f
	},
	Plan: rounds(
		step{0, 0, func(w *World) {
			w.net.isolate(w.aim.lead, true)
			w.aim.readWrite(w.aim.cand, w.aim.lead)
		}},
		step{450 * ms, 700 * ms, func(w *World) {
			w.net.isolate(w.aim.lead, false)
			w.aim.readWrite(w.aim.lead, w.aim.cand)
		}},
	),
}

// A follower's own batch is carried out, but the follower hears of it by a snapshot.
var coveredBatch = &Schedule{
	Name: "covered batch", Members: 3, Smooth: true, Think: 10 * ms, Asks: 250, Retain: 100, Patience: 400 * ms,
	Bias: func(w *World, from, to *machine, m *replica.Message) (f Fate) {
		if a := &w.aim; a.stage == 1 && to == a.foll && is(m, pb.MsgApp) {
			f.Drop = true
		}
		return f
	},
	Plan: rounds(
		step{0, 0, func(w *World) {}},
		step{300 * ms, 500 * ms, func(w *World) {}},
	),
}

// A change of the membership is committed that nobody but the leader knows to be visible; then the leader dies, for good. The others must go on without it.
var gatedChange = &Schedule{
	Name: "gated change", Members: 5, Smooth: true, Length: 2500 * ms,
	Bias: func(w *World, from, _ *machine, m *replica.Message) (f Fate) {
		f.Drop = w.aim.stage != 0 && from == w.aim.lead && m.Kind == replica.Visible
		return f
	},
	Plan: rounds(
		step{0, 0, func(w *World) {
			if w.aim.lead.gone = w.mayForget(w.aim.cand); w.aim.lead.gone {
				expel(w, w.aim.cand)
			}
		}},
		step{100 * ms, 250 * ms, func(w *World) { w.aim.lead.crash() }},
		step{10 * s, 10 * s, func(w *World) {}},
	),
}

// The leader dies with forwarded batches on their way.
var lostForwards = &Schedule{
	Name: "lost forwards", Smooth: true, Think: 10 * ms, Asks: 200,
	Bias: func(w *World, _, _ *machine, m *replica.Message) (f Fate) {
		if m.Kind == replica.Forward {
			switch w.rng.IntN(8) {
			case 0:
				f.Drop = true
			case 1, 2:
				f.Delay = w.between(ms, 400*ms)
			}
		}
		return f
	},
	Plan: storm([]mishap{kill, pause, isolate, drain, notice}),
}

// Batches write the same key more than once, and clients swap by the versions that they were given.
var versions = &Schedule{
	Name: "versions", Members: 3, Clients: 8, Smooth: true, Think: 3 * ms, Asks: 100, Length: 2 * s, SlowPasses: true,
	Pick: func(w *World, x *call) {
		x.m, x.cell, x.do = w.machines[0], 0, []action{set, swap, swap, get}[w.rng.IntN(4)]
	},
	Plan: func(*World) {},
}
