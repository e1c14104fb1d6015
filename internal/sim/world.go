// Package sim is whole groups of the real replica and keyspace in a simulated world: one seed decides everything that clocks, disks, links,
// clients and misfortune do, so that a failing run happens again exactly. Nothing here is part of the daemon.
//
// A World is events in the order of true time. Read this file first, then machine.go (a member and its clock), disk.go, network.go,
// clients.go (what is asked of the group), schedules.go (what goes wrong), check.go (what must hold afterwards), trace.go.
//
// The package may not touch a clock, the system, the network, goroutines, the order of a map, or randomness other than its seed's.
package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"

	"holdfast/replica"
)

// Units of time, ns.
const (
	us = int64(1_000)
	ms = 1_000_000
	s  = 1_000 * ms
)

// Config is what a run begins with. The zero value of what is not given is three members with leases.
type Config struct {
	Seed     uint64
	Schedule *Schedule
	Fault    replica.Fault // planted in every replica
	Own      fault         // planted in the machines around them
	Verbose  bool          // the trace has words for what messages say
	Lines    int           // of the trace
}

// fault is a planted fault outside replica.
type fault uint8

const (
	noFault       fault = iota
	ownClock            // a member's own clock says what has expired
	sharedVersion       // the writes of one batch to a key share a version
)

// World is one run.
type World struct {
	cfg       Config
	plan      *Schedule
	rng       *rand.Rand
	now       int64 // true time
	events    events
	order     uint64 // of events at one instant
	machines  []*machine
	net       network
	clients   []*client
	history   history
	seen      seen
	aim       aim
	trace     trace
	faults    []string // what must hold and did not
	happened  int
	undecided int   // cells of which the check could say nothing
	calm      bool  // nothing goes wrong any more
	drift     int64 // hundredths: bounds what the rates of two clocks differ by
	lastID    uint64
}

// event is something that happens at an instant.
type event struct {
	at    int64
	order uint64
	do    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	(*e)[last] = event{}
	*e = (*e)[:last]
	return x
}

// after has do happen in d ns.
func (w *World) after(d int64, do func()) {
	w.order++
	heap.Push(&w.events, event{w.now + max(d, 0), w.order, do})
}

// run lets the world go on until true time end, or until stop says so.
func (w *World) run(end int64, stop func() bool) {
	for len(w.events) > 0 && w.events[0].at <= end && len(w.faults) == 0 {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		if w.happened++; w.happened > most {
			w.fail("it never comes to rest: %d events in %d ms", most, w.now/ms)
		}
		e.do()
		if stop != nil && stop() {
			return
		}
	}
	w.now = max(w.now, end)
}

// between draws from lo to hi, evenly.
func (w *World) between(lo, hi int64) int64 { return lo + w.rng.Int64N(hi-lo+1) }

// chance is true in percent of a hundred cases.
func (w *World) chance(percent int) bool { return w.rng.IntN(100) < percent }

// fail notes that something that must hold does not.
func (w *World) fail(format string, args ...any) {
	w.faults = append(w.faults, fmt.Sprintf(format, args...))
}

// Bounds of a run.
const (
	trouble  = 4 * s     // of true time, unless the schedule says otherwise
	recovery = 20 * s    // within which a healed group must be quiet
	most     = 1_000_000 // events
)

// Result is what came of a run.
type Result struct {
	Faults    []string // empty if all held
	Hash      uint64   // of everything that happened
	Trace     string   // the end of it in words
	Undecided int      // histories of which the check could say nothing
	Late      int      // messages that the schedule held back and let go
	Acked     int      // ops that were answered
	Local     int      // reads among them that were answered under a lease, without a message
}

// Run lives through one seed and checks what came of it.
func Run(cfg Config) Result {
	w := newWorld(cfg)
	defer w.explain()
	w.begin()
	length := w.plan.Length
	if length == 0 {
		length = trouble
	}
	w.run(length, nil)
	w.heal()
	w.run(w.now+recovery, w.quiet)
	w.check()
	return Result{Faults: w.faults, Hash: w.trace.hash, Trace: w.trace.String(), Late: w.net.late, Undecided: w.undecided, Acked: w.history.acked, Local: w.history.local}
}

// explain puts the trace beside a panic.
func (w *World) explain() {
	if p := recover(); p != nil {
		panic(fmt.Sprintf("seed %d of schedule %s: %v\n%s", w.cfg.Seed, w.plan.Name, p, w.trace.String()))
	}
}

func newWorld(cfg Config) *World {
	w := &World{cfg: cfg, plan: cfg.Schedule, rng: rand.New(rand.NewPCG(cfg.Seed, 0x686f6c6466617374)), drift: 5}
	w.trace.verbose = cfg.Verbose
	w.trace.last = make([]line, max(traced, cfg.Lines))
	if w.plan.Drift != 0 {
		w.drift = w.plan.Drift
	} else if w.chance(30) {
		w.drift = 10
	}
	return w
}

// begin starts the members, the clients, and what the schedule has in mind for them.
func (w *World) begin() {
	n := w.plan.Members
	if n == 0 {
		n = 3
		if w.chance(25) {
			n = 5
		}
	}
	for i := range n {
		w.machines = append(w.machines, newMachine(w, i))
	}
	w.net.init(w)
	base := replica.Base{Index: 1, Term: 1}
	for _, m := range w.machines {
		base.Members = append(base.Members, m.member(false))
	}
	for _, m := range w.machines {
		m.disk.format(base)
		m.start()
	}
	clients := w.plan.Clients
	if clients == 0 {
		clients = 2 * n
	}
	for i := range clients {
		w.clients = append(w.clients, newClient(w, i))
	}
	w.plan.Plan(w)
}

// newID draws a raft id that nobody has had.
func (w *World) newID() uint64 {
	w.lastID += 1 + w.rng.Uint64N(50)
	return w.lastID
}

// heal ends all misfortune; clients ask a little more and then stop.
func (w *World) heal() {
	w.say(nil, "everything heals")
	w.calm = true
	w.net.heal()
	for _, m := range w.machines {
		m.heal()
	}
	for _, c := range w.clients {
		c.last = c.asked + 4
		c.wake()
	}
}

// quiet says whether all is answered and everybody has applied the same.
func (w *World) quiet() bool {
	for _, c := range w.clients {
		if c.asked < c.last || c.call != nil {
			return false
		}
	}
	var index uint64
	for _, m := range w.machines {
		if !m.settled() {
			return false
		}
		if m.r != nil {
			if index != 0 && m.r.Applied() != index {
				return false
			}
			index = m.r.Applied()
		}
	}
	return true
}

// running are the machines whose process runs.
func (w *World) running() (up []*machine) {
	for _, m := range w.machines {
		if m.r != nil {
			up = append(up, m)
		}
	}
	return up
}

// holder finds the machine that has the raft id now; nil if nobody has it any more.
func (w *World) holder(id uint64) *machine {
	for _, m := range w.machines {
		if m.id == id {
			return m
		}
	}
	return nil
}

// leader finds the running member that says it leads, the one of the newest term.
func (w *World) leader() (leader *machine) {
	var term uint64
	for _, m := range w.running() {
		if st := m.r.Status(m.instant()); st.Leader == m.id && m.id != 0 && st.Term > term {
			leader, term = m, st.Term
		}
	}
	return leader
}
