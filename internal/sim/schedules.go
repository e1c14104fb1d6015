package sim

import (
	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/replica"
)

// Schedule is what goes wrong in a run, and when.
type Schedule struct {
	Name       string
	Members    int // 3 or 5; 0 draws one of them
	Length     int64
	Durability durability
	NoLeases   bool  // reads = readindex
	Drift      int64 // hundredths; 0 draws 5 or 10
	Pad        int   // bytes that are added to what is written in the stage wave of a round
	Retain     int   // bytes of log that are kept for members that are behind
	Clients    int   // two for each member if zero
	Asks       int   // ops of each client
	Think      int64 // ns at most between two of them
	Patience   int64 // ns after which a client gives up, at least; 300 ms if zero
	SlowPasses bool  // more writes go into one batch
	Smooth     bool  // links are good but for the bias
	LateApply  int   // percent of the entries that are applied later than they might be
	Holds      []string
	Bias       func(w *World, from, to *machine, m *replica.Message) Fate
	Pick       func(w *World, x *call)
	Plan       func(w *World)
}

// Schedules are all of them: the first is random, the others are aimed at one weak spot each.
var Schedules = []*Schedule{
	{Name: "storm", Plan: storm(stormy)},
	{Name: "storm on always-synced disks", Durability: always, Plan: storm(append(stormy, stormy2...))},
	{Name: "storm without leases", NoLeases: true, Plan: storm(stormy)},
	{Name: "storm in memory", Durability: memory, Plan: storm(stormy)},
	{Name: "storm with late applying", LateApply: 50, Plan: storm(stormy)},
	{Name: "membership", Retain: 2000, Plan: storm(moving)},
	{Name: "snapshots", Retain: 200, Plan: storm(lagging), Bias: slowAppends(200 * ms)},
	{Name: "drains", Plan: storm(draining), Bias: lateVotes},
	{Name: "clocks", Drift: 20, Plan: storm(clocks)},
	{Name: "late votes", Plan: storm(pausing), Bias: lateVotes},
	{Name: "late leases", Plan: storm(cutting), Bias: lateLeases, Think: 20 * ms, Asks: 150},
	{Name: "slow appends", Plan: storm(cutting), Bias: slowAppends(150 * ms), Think: 20 * ms, Asks: 150},
	{Name: "slow notices", Plan: storm(cutting), Bias: slowNotices, LateApply: 30, Think: 10 * ms, Asks: 200},
	{Name: "slow disks", Plan: storm(disks), Think: 20 * ms, Asks: 150},
	restartAndVote,
	lateVote,
	lateRejection,
	lateTransfer,
	lateGrants,
	roster,
	beginning,
	overtaken,
	giveBack,
	suffix,
	coveredBatch,
	gatedChange,
	lostForwards,
	versions,
}

// FindSchedule finds one by its name.
func FindSchedule(name string) *Schedule {
	for _, p := range Schedules {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// A mishap happens to one machine, or between two.
type mishap func(w *World, m *machine)

// storm has one mishap after the other, at random.
func storm(of []mishap) func(w *World) {
	return func(w *World) {
		var next func()
		next = func() {
			if w.calm {
				return
			}
			m := w.machines[w.rng.IntN(len(w.machines))]
			if l := w.leader(); l != nil && w.chance(35) {
				m = l
			}
			of[w.rng.IntN(len(of))](w, m)
			w.after(w.between(20*ms, 700*ms), next)
		}
		w.after(w.between(300*ms, 900*ms), next)
	}
}

var (
	stormy   = []mishap{kill, kill, powerCut, pause, pause, cutOneWay, isolate, jump, freeze, slowDisk, stickDisk, breakDisk, drain, expel, compactNow, notice}
	stormy2  = []mishap{powerCutAll}
	moving   = []mishap{expel, expel, kill, pause, isolate, drain, powerCut}
	lagging  = []mishap{isolate, isolate, cutOneWay, compactNow, compactNow, kill, powerCut}
	draining = []mishap{drain, drain, drainAndStay, pause, cutOneWay, kill}
	clocks   = []mishap{jump, jump, freeze, isolate, pause, cutOneWay}
	pausing  = []mishap{pause, pause, shortPause, shortPause, kill, cutOneWay, isolate}
	cutting  = []mishap{cutOneWay, cutOneWay, isolate, shortPause, kill}
	disks    = []mishap{slowDisk, stickDisk, stickDisk, breakDisk, kill}
)

// mayForget says whether a machine may lose its memory: a majority must keep theirs, or the group has promised nothing.
func (w *World) mayForget(m *machine) bool {
	lost := 1
	for _, o := range w.machines {
		if o != m && !o.sound() {
			lost++
		}
	}
	return m.sound() && lost <= (len(w.machines)-1)/2
}

// restart brings a machine back in a while.
func (w *World) restart(m *machine, soonest, latest int64) {
	life := m.life
	w.after(w.between(soonest, latest), func() {
		if m.life == life && m.r == nil {
			m.start()
		}
	})
}

func kill(w *World, m *machine) {
	if m.r == nil || m.disk.mode == memory && !w.mayForget(m) {
		return
	}
	m.crash()
	w.restart(m, 0, s)
}

// notice kills a process whose end its parent tells the others at once.
func notice(w *World, m *machine) {
	if m.r == nil || m.disk.mode == memory && !w.mayForget(m) {
		return
	}
	id, nonce := m.id, m.nonce
	m.crash()
	for _, o := range w.machines {
		if o != m && o.r != nil {
			w.net.call(m, o, func() { o.r.Died(id, nonce, o.instant()) })
		}
	}
	w.restart(m, 0, 500*ms)
}

func powerCut(w *World, m *machine) {
	if m.r == nil || m.disk.mode != always && !w.mayForget(m) {
		return
	}
	m.powerFails()
	w.restart(m, 50*ms, s)
}

// powerCutAll is for disks that are always in sync: nobody may lose anything.
func powerCutAll(w *World, _ *machine) {
	w.say(nil, "the power fails everywhere")
	for _, m := range w.machines {
		if m.r != nil {
			m.powerFails()
			w.restart(m, 10*ms, 300*ms)
		}
	}
}

func pause(w *World, m *machine)      { m.pause(w.between(50*ms, 1500*ms)) }
func shortPause(w *World, m *machine) { m.pause(w.between(200*ms, 450*ms)) }

func (w *World) other(m *machine) *machine {
	return w.machines[(m.n+1+w.rng.IntN(len(w.machines)-1))%len(w.machines)]
}

func cutOneWay(w *World, m *machine) {
	o := w.other(m)
	w.say(m, "the way to %d is cut", uint64(o.n+1))
	w.net.cut(m, o, true)
	w.after(w.between(20*ms, 900*ms), func() {
		w.say(m, "the way to %d is whole", uint64(o.n+1))
		w.net.cut(m, o, false)
	})
}

func isolate(w *World, m *machine) {
	w.say(m, "is cut off")
	w.net.isolate(m, true)
	w.after(w.between(50*ms, 1200*ms), func() {
		w.say(m, "is connected")
		w.net.isolate(m, false)
	})
}

func jump(w *World, m *machine) {
	d := w.between(-2*s, 2*s)
	if w.chance(10) {
		d *= 100
	}
	w.say(m, "the wall clock jumps")
	m.clock.offset += d
	w.after(w.between(10*ms, s), func() { m.clock.offset -= d })
}

func freeze(w *World, m *machine) {
	w.say(m, "the wall clock stands still")
	m.clock.frozen = m.instant().Wall
	w.after(w.between(10*ms, s), func() { m.clock.frozen = 0 })
}

func slowDisk(w *World, m *machine) {
	w.say(m, "the disk is slow")
	m.disk.slow = 150 * ms
	w.after(w.between(100*ms, s), func() { m.disk.slow = 3 * ms })
}

func stickDisk(w *World, m *machine) {
	d := w.between(50*ms, 1500*ms)
	w.say(m, "the disk does nothing for %d ms", uint64(d/ms))
	m.disk.stuck = w.now + d
}

// breakDisk has the next fsync fail; the process that dies of it comes back with amnesia.
func breakDisk(w *World, m *machine) {
	if m.r == nil || m.disk.mode == memory || !w.mayForget(m) {
		return
	}
	m.disk.broken = true
	w.say(m, "the next fsync will fail")
	var back func()
	back = func() {
		if m.r == nil && !m.disk.broken {
			m.start()
		} else if !w.calm {
			w.after(100*ms, back)
		}
	}
	w.after(300*ms, back)
}

func compactNow(w *World, m *machine) {
	if m.r != nil && !m.paused {
		m.compact()
	}
}

// drain stops a member in good order and starts it again; drainAndStay changes its mind, by starting it again without an end.
func drain(w *World, m *machine)        { m.drain(500 * ms) }
func drainAndStay(w *World, m *machine) { m.drain(20 * ms) }

func (m *machine) drain(atMost int64) {
	if m.r == nil || m.paused || m.leaving || m.disk.mode == memory && !m.w.mayForget(m) {
		return
	}
	m.w.say(m, "drains")
	m.leaving = true
	m.r.Drain(m.instant())
	m.drive()
	end := m.w.now + atMost
	var look func()
	look = func() {
		if !m.r.Drained() && m.w.now < end {
			m.after(10*ms, look)
			return
		}
		m.disk.syncAll()
		m.crash()
		m.w.restart(m, 0, 200*ms)
	}
	m.after(10*ms, look)
}

// expel removes a member from the group, and lets it in again later, empty.
func expel(w *World, m *machine) {
	if m.r == nil || !w.mayForget(m) {
		return
	}
	w.say(m, "is to be removed")
	m.loose = true
	id := m.id
	end := w.now + w.between(100*ms, 1500*ms)
	var ask func()
	ask = func() {
		if m.id != id || w.calm {
			return
		}
		if w.now > end {
			if m.r != nil {
				m.crash()
			}
			m.disk.amnesiac, m.loose = true, false
			m.start()
			return
		}
		if o := w.other(m); o.r != nil && !o.paused {
			o.after(0, func() {
				o.r.Change(replica.Change{Kind: replica.Remove, Member: replica.Member{ID: id}}, o.instant())
			})
		}
		w.after(100*ms, ask)
	}
	ask()
}

// lateVotes is bad for everything that has to do with elections.
func lateVotes(w *World, _, _ *machine, m *replica.Message) (f Fate) {
	if is(m, pb.MsgVote, pb.MsgVoteResp, pb.MsgPreVote, pb.MsgPreVoteResp, pb.MsgTimeoutNow) || m.Kind == replica.Release {
		switch w.rng.IntN(6) {
		case 0:
			f.Drop = true
		case 1, 2:
			f.Delay = w.between(10*ms, 900*ms)
		}
	}
	return f
}

// lateLeases is bad for everything that has to do with leases.
func lateLeases(w *World, _, _ *machine, m *replica.Message) (f Fate) {
	switch m.Kind {
	case replica.Grant, replica.Ack, replica.Recall:
		switch w.rng.IntN(6) {
		case 0:
			f.Drop = true
		case 1, 2:
			f.Delay = w.between(5*ms, 500*ms)
		}
	}
	return f
}

// slowAppends makes entries slow on the way to one member after the other.
func slowAppends(most int64) func(w *World, _, to *machine, m *replica.Message) Fate {
	return func(w *World, _, to *machine, m *replica.Message) (f Fate) {
		if is(m, pb.MsgApp) && int(w.now/(500*ms))%len(w.machines) == to.n {
			f.Delay = w.between(ms, most)
		}
		return f
	}
}

// slowNotices makes what is visible known late.
func slowNotices(w *World, _, to *machine, m *replica.Message) (f Fate) {
	if m.Kind == replica.Visible && int(w.now/(300*ms))%len(w.machines) != to.n {
		f.Delay = w.between(ms, 120*ms)
		f.Drop = w.chance(30)
	}
	return f
}
