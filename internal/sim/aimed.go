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
	for i := range w.net.links {
		w.net.links[i].cut = false
	}
	for _, name := range w.plan.Holds {
		w.net.release(name)
	}
	for _, m := range w.machines {
		if m.r == nil {
			m.start()
		}
	}
	w.aim.stage, w.aim.reader, w.aim.writer = 0, nil, nil
}

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

func (a *aim) readWrite(reader, writer *machine) { a.reader, a.writer = reader, writer }

// apart cuts two machines off from each other.
func (w *World) apart(a, b *machine) {
	w.net.cut(a, b, true)
	w.net.cut(b, a, true)
}

// A follower restarts just after it has answered a heartbeat, and is asked for its vote: the leader, cut off by then, still answers reads.
var restartAndVote = &Schedule{
	Name: "restart and vote", Members: 3, Smooth: true, Think: 5 * ms, Asks: 400, Patience: 60 * ms, Pick: aimed,
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

// isElection says whether a message is about who is to lead.
func isElection(m *replica.Message) bool {
	return is(m, pb.MsgVote, pb.MsgVoteResp, pb.MsgPreVote, pb.MsgPreVoteResp, pb.MsgTimeoutNow)
}

// A leader stands still long enough for the others to begin an election; what they say to each other is late. It goes on, they answer its
// heartbeat, and then the late votes and rejections come.
var deposed = &Schedule{
	Name: "late election", Members: 3, Smooth: true, Think: 5 * ms, Asks: 400, Patience: 60 * ms, Pick: aimed, Holds: []string{"votes"},
	Bias: func(w *World, from, to *machine, m *replica.Message) (f Fate) {
		a := &w.aim
		if a.stage == 1 && isElection(m) && from != a.lead {
			// Either side may get its first request through: then the other one's answer is late.
			if !is(m, pb.MsgPreVote, pb.MsgPreVoteResp) || w.chance(40) {
				f.Hold = "votes"
			}
		}
		return f
	},
	Plan: rounds(
		step{0, 0, func(w *World) { w.aim.lead.pause(w.between(330*ms, 420*ms)) }},
		step{425 * ms, 500 * ms, func(w *World) {
			w.apart(w.aim.lead, w.aim.cand)
		}},
		step{0, 45 * ms, func(w *World) {
			w.apart(w.aim.lead, w.aim.foll)
			w.net.release("votes")
			w.aim.readWrite(w.aim.lead, w.aim.cand)
		}},
	),
}

// hold has messages of a kind to the aimed follower wait.
func hold(kind replica.Kind, name string, stages ...int) func(w *World, from, to *machine, m *replica.Message) Fate {
	return func(w *World, from, to *machine, m *replica.Message) (f Fate) {
		a := &w.aim
		for _, s := range stages {
			if a.stage == s && to == a.foll && m.Kind == kind {
				f.Hold = name
			}
		}
		return f
	}
}

// A follower's grants are so late that the leader has done without it by the time they come.
var lateGrants = &Schedule{
	Name: "late grants", Members: 3, Smooth: true, Think: 5 * ms, Asks: 400, Patience: 60 * ms, Pick: aimed, Holds: []string{"grants", "appends"},
	Bias: func(w *World, from, to *machine, m *replica.Message) (f Fate) {
		a := &w.aim
		switch {
		case to != a.foll || a.stage == 0:
		case m.Kind == replica.Grant && a.stage == 1:
			f.Hold = "grants"
		case is(m, pb.MsgApp) && a.stage == 2:
			f.Hold = "appends"
		}
		return f
	},
	Plan: rounds(
		step{0, 0, func(w *World) {}},
		step{290 * ms, 400 * ms, func(w *World) {
			w.net.release("grants")
			w.aim.readWrite(w.aim.foll, w.aim.lead)
		}},
		step{80 * ms, 90 * ms, func(w *World) {}},
	),
}

// The follower whose clock is slowest is not reached by entries any more while it has a lease of the leader with the fastest.
var roster = &Schedule{
	Name: "roster", Members: 3, Smooth: true, Drift: 20, Think: 4 * ms, Asks: 500, Patience: 60 * ms, Pick: aimed,
	Plan: rounds(
		step{0, 0, func(w *World) {
			w.aim.readWrite(w.aim.foll, w.aim.lead)
		}},
		step{20 * ms, 60 * ms, func(w *World) { w.net.cut(w.aim.lead, w.aim.foll, true) }},
	),
}

// A follower leaves the roster and comes back by a new grant, which overtakes an old one.
var overtaken = &Schedule{
	Name: "overtaken grants", Members: 3, Smooth: true, Think: 4 * ms, Asks: 500, Patience: 60 * ms, Pick: aimed, Holds: []string{"old", "appends"},
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
		step{0, 0, func(w *World) { w.aim.readWrite(w.aim.foll, w.aim.lead) }},
		step{50 * ms, 80 * ms, func(w *World) {}},
		step{290 * ms, 330 * ms, func(w *World) {}},
		step{200 * ms, 200 * ms, func(w *World) { w.net.release("old") }},
	),
}

// A follower gives its lease back while grants are on their way to it.
var giveBack = &Schedule{
	Name: "give-back", Members: 3, Smooth: true, Think: 4 * ms, Asks: 500, Patience: 60 * ms, Pick: aimed, Holds: []string{"grants"},
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

// A leader that cannot reach the others goes on proposing, and is told what their new leader calls visible before it gets its entries.
var suffix = &Schedule{
	Name: "two suffixes", Members: 3, Smooth: true, Think: 10 * ms, Asks: 250, Patience: 60 * ms, Pick: aimed,
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

// A change of the membership is committed while a follower with a lease keeps everything from being visible; then the leader dies.
var gatedChange = &Schedule{
	Name: "gated change", Members: 3, Smooth: true, Length: 3 * s,
	Bias: func(w *World, from, to *machine, m *replica.Message) (f Fate) {
		a := &w.aim
		if a.stage == 2 && m.Kind == replica.Visible {
			f.Drop = true
		}
		return f
	},
	Plan: rounds(
		step{0, 0, func(w *World) {
			if m := w.aim.cand; w.mayForget(m) {
				expel(w, m)
			}
		}},
		step{0, 1000 * ms, func(w *World) {}},
		step{20 * ms, 100 * ms, func(w *World) {
			w.aim.lead.crash()
		}},
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
