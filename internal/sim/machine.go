package sim

import (
	"fmt"
	"slices"

	"go.etcd.io/raft/v3"

	"holdfast/keyspace"
	"holdfast/op"
	"holdfast/replica"
)

// The timing of a member, as it is by default (design 3.4).
const (
	tick      = 10 * ms
	heartbeat = 40 * ms
	promise   = 300 * ms
	lease     = 250 * ms
)

// machine is one host with its disk and clocks, and the process on it, when there is one.
type machine struct {
	w     *World
	n     int
	name  string
	clock clock
	disk  disk

	// The process. r is nil while it is down.
	id       uint64
	nonce    uint64
	life     uint64 // counts the processes: what was meant for an earlier one is void
	r        *replica.Replica
	state    *keyspace.State
	paused   bool
	backlog  []func() // what has come in while paused
	coming   []*call  // on their way to it
	open     *batch   // ops that go out with the next pass
	batches  []*batch // handed to the replica and not finished
	reads    []*read  // that wait
	asked    uint64   // number of the last question for an index
	asking   bool     // the process is to become a member, and asks for it
	gone     bool     // it never comes back, once it is down
	loose    bool     // it was removed on purpose and waits to be let in again
	leaving  bool     // it drains
	busy     bool     // in drive
	applying bool     // the next entry is applied later
	voting   bool     // it has a vote and its memory, as far as it knows
	res      op.Result
}

// clock shows a machine its time.
type clock struct {
	begin  int64 // what Mono shows at true time 0
	rate   int64 // parts of a million that it is fast
	offset int64 // of the wall clock against the group's idea of time
	frozen int64 // what the wall clock stands at; 0 if it goes
}

// epoch is the wall clock's time at true time 0, Unix ns.
const epoch = 1_700_000_000 * s

func newMachine(w *World, n int) *machine {
	m := &machine{w: w, n: n, name: fmt.Sprintf("c%d", n+1), id: w.newID()}
	// Any two rates differ by less than the drift that is configured.
	most := w.drift*10_000/2 - 1000
	m.clock = clock{begin: w.between(1, 1000*s), rate: w.between(-most, most), offset: w.between(-20*ms, 20*ms)}
	m.disk = disk{m: m, mode: w.plan.Durability, slow: 3 * ms}
	return m
}

func (m *machine) member(learner bool) replica.Member {
	return replica.Member{ID: m.id, Name: m.name, Addr: m.name + ":7420", Learner: learner}
}

// instant is what the clocks of the machine show now.
func (m *machine) instant() replica.Instant {
	ran := m.w.now + m.w.now/1_000_000*m.clock.rate
	i := replica.Instant{Mono: m.clock.begin + ran, Wall: epoch + ran + m.clock.offset}
	if m.clock.frozen != 0 {
		i.Wall = m.clock.frozen
	}
	return i
}

// after has do happen in d ns of true time if the same process runs then; while it is paused, what is due waits.
func (m *machine) after(d int64, do func()) {
	life := m.life
	m.w.after(d, func() { m.happen(life, do) })
}

func (m *machine) happen(life uint64, do func()) {
	switch {
	case m.life != life || m.r == nil:
	case m.paused:
		m.backlog = append(m.backlog, do)
	default:
		do()
		m.drive()
	}
}

// start starts a process on what the disk holds.
func (m *machine) start() {
	m.life++
	w, d := m.w, &m.disk
	if d.amnesiac {
		m.id, m.voting = w.newID(), false
		d.format(replica.Base{})
	}
	m.asking = len(d.base.Members) == 0
	m.state = keyspace.New(nil, nil)
	if len(d.image) > 0 {
		m.state = load(d.image)
	}
	m.nonce = w.rng.Uint64() | 1
	w.say(m, "starts as %d on a log of %d records behind entry %d", m.id, uint64(len(d.log)), d.base.Index)
	leases := !w.plan.NoLeases
	m.r = replica.New(replica.Config{
		ID: m.id, Nonce: m.nonce, State: m.state, Base: d.base, Leases: leases, Promise: promise, Lease: lease, Drift: w.drift,
		Tick: tick, Heartbeat: heartbeat, Retain: w.plan.Retain, Level: replica.Level, Logger: quietLogger{}, Fault: w.cfg.Fault,
	})
	for _, r := range d.log {
		switch {
		case r.hard != nil:
			m.r.RecoverHard(r.hard)
			continue
		case r.base != nil:
			if !m.r.RecoverBase(*r.base) {
				w.fail("%s: the log begins at entry %d, behind the snapshot", m.name, r.base.Index)
			}
			continue
		}
		if err := m.r.Recover(r.entry, r.commit); err != nil {
			w.fail("%s cannot recover: %v", m.name, err)
			m.r = nil
			return
		}
	}
	if err := m.r.Start(m.instant()); err != nil {
		w.fail("%s cannot start: %v", m.name, err)
		m.r = nil
		return
	}
	m.paused, m.backlog, m.leaving, m.applying = false, nil, false, false
	m.after(w.between(0, tick), m.tick)
	m.after(s, m.everySecond)
	if m.asking {
		m.after(0, m.join)
	}
	m.drive()
}

// tick is one of the replica's ticks, and what a member does besides on each.
func (m *machine) tick() {
	m.after(tick-m.clock.rate*tick/1_000_000, m.tick)
	now := m.instant()
	m.r.Tick(now)
	if m.state.Due(m.r.Present(now)) {
		m.stamp(now)
	}
	m.askAgain()
	me := m.in()
	m.voting = me != nil && !me.Learner
}

// stamp has the leader propose the time, unless an entry is on its way anyway.
func (m *machine) stamp(now replica.Instant) {
	if !m.r.Busy() {
		m.r.Stamp(now)
	}
}

func (m *machine) everySecond() {
	m.after(s, m.everySecond)
	m.disk.syncAll()
	if m.w.chance(20) {
		m.compact()
	}
}

// join asks whoever is in the group to be let in, until that is so.
func (m *machine) join() {
	if !m.asking {
		return
	}
	m.after(100*ms, m.join)
	if me := m.in(); me != nil && !me.Learner {
		m.asking = false
		return
	}
	to := m.w.machines[m.w.rng.IntN(len(m.w.machines))]
	if to == m || m.loose {
		return
	}
	m.w.net.call(m, to, func() {
		to.r.Change(replica.Change{Kind: replica.Add, Member: m.member(true)}, to.instant())
	})
}

// in finds the machine's process in the group as it knows it.
func (m *machine) in() *replica.Member {
	members, _ := m.r.Members()
	if i := slices.IndexFunc(members, func(x replica.Member) bool { return x.ID == m.id }); i >= 0 {
		return &members[i]
	}
	return nil
}

// drive carries out what the replica wants until it wants nothing.
func (m *machine) drive() {
	if m.busy {
		return
	}
	m.busy = true
	for m.r != nil && len(m.w.faults) == 0 {
		now := m.instant()
		eff, any := m.r.Ready(now)
		if !any && (m.applying || !m.r.Visible()) {
			break
		}
		if !eff.Append.Empty() {
			m.disk.store(eff.Append)
		}
		for i := range eff.Messages {
			m.w.net.send(m, &eff.Messages[i])
		}
		for _, to := range eff.Snapshots {
			m.snapshot(to)
		}
		for _, i := range eff.Indexes {
			m.indexed(i)
		}
		m.apply()
	}
	m.busy = false
	if m.r != nil {
		m.answerReads()
	}
}

// apply applies what is visible, entry by entry, so that the world sees each state.
func (m *machine) apply() {
	for m.r != nil && !m.applying && m.r.Visible() {
		if m.w.chance(m.w.plan.LateApply) { // readers come in between
			m.applying = true
			m.after(m.w.between(0, 5*ms), func() { m.applying = false; m.applyOne() })
			return
		}
		m.applyOne()
	}
}

func (m *machine) applyOne() {
	index, order := m.state.Index(), m.w.history.next()
	m.r.Apply(1, m.instant())
	if m.state.Index() != index {
		m.w.seen.applied(m, order)
	}
}

// crash ends the process; what is on the way from it goes on.
func (m *machine) crash() {
	m.disk.processEnds()
	m.end("the process is killed")
}

// powerFails ends the process and loses what was not synced.
func (m *machine) powerFails() {
	m.disk.powerFails()
	m.end("the power fails")
}

func (m *machine) end(how string) {
	if m.r == nil {
		return
	}
	m.w.say(m, how)
	m.r, m.life, m.paused, m.backlog, m.leaving = nil, m.life+1, false, nil, false
	for _, b := range m.batches {
		b.lost()
	}
	if m.open != nil {
		m.open.refused()
	}
	for _, r := range m.reads {
		r.call.refused()
	}
	for _, x := range m.coming {
		x.refused()
	}
	m.open, m.batches, m.reads, m.coming = nil, nil, nil, nil
}

// pause stops the process for d ns, or its whole machine, whose clocks go on.
func (m *machine) pause(d int64) {
	if m.r == nil || m.paused {
		return
	}
	m.w.say(m, "is stopped for %d ms", uint64(d/ms))
	m.paused = true
	life := m.life
	m.w.after(d, func() {
		if m.life == life && m.paused {
			m.resume()
		}
	})
}

// resume lets the process go on: what came in meanwhile in the order of its coming, or in another.
func (m *machine) resume() {
	m.w.say(m, "goes on, with %d things to do", uint64(len(m.backlog)))
	todo, life := m.backlog, m.life
	m.paused, m.backlog = false, nil
	if m.w.chance(50) {
		m.w.rng.Shuffle(len(todo), func(i, j int) { todo[i], todo[j] = todo[j], todo[i] })
	}
	for _, do := range todo {
		m.happen(life, do)
	}
}

// heal ends what troubles the machine.
func (m *machine) heal() {
	d := &m.disk
	d.slow, d.stuck, d.broken = ms, 0, false
	m.clock.frozen = 0
	if m.r == nil && !m.gone {
		m.start()
	}
	if m.paused {
		m.resume()
	}
	if m.r == nil {
		return
	}
	if m.loose || m.in() == nil && !m.asking { // it was removed: it comes back as another one
		m.loose = false
		m.crash()
		d.amnesiac = true
		m.start()
	}
}

// settled says whether the member is one with a vote, and nothing waits for it.
func (m *machine) settled() bool {
	if m.gone && m.r == nil {
		return true
	}
	if m.r == nil || m.paused || m.leaving || len(m.reads) > 0 || len(m.batches) > 0 || m.open != nil {
		return false
	}
	me := m.in()
	return me != nil && !me.Learner
}

// sound says whether the member has its memory and its vote: then it may be counted on.
func (m *machine) sound() bool {
	return m.voting && !m.disk.amnesiac && !m.disk.broken && !m.loose && !(m.leaving && m.disk.mode == memory)
}

// image is a snapshot of the state.
func (m *machine) image() (b []byte) {
	snap := m.state.BeginSnapshot()
	for done := false; !done; {
		b, done = snap.Next(b, 1<<20)
	}
	return b
}

func load(image []byte) *keyspace.State {
	st := keyspace.New(nil, nil)
	rest, err := st.Load(image)
	if err != nil || len(rest) > 0 || st.Loading() {
		panic(fmt.Sprintf("sim: a snapshot cannot be read: %v, %d bytes left", err, len(rest)))
	}
	return st
}

// compact takes a snapshot for the own disk.
func (m *machine) compact() {
	if m.disk.busy || len(m.disk.queue) > 0 || m.disk.mode == memory {
		return
	}
	m.disk.keep(m.image(), m.r.Base())
	m.disk.release()
}

// snapshot streams the state as it is now to a member that is behind.
func (m *machine) snapshot(to uint64) {
	w := m.w
	base, ok := m.r.SnapshotBase(to)
	target := w.holder(to)
	if !ok || target == nil {
		m.after(50*ms, func() { m.r.ReportSnapshot(to, false) })
		return
	}
	w.say(m, "streams a snapshot of entry %d to %d", base.Index, to)
	image := m.image()
	takes := w.between(5*ms, 200*ms)
	lost := !w.calm && w.chance(15) || !w.net.open(m, target)
	life := m.life
	w.after(takes, func() {
		if !lost && target.id == to && target.r != nil {
			target.happen(target.life, func() { target.restore(base, image, m.id) })
		}
		w.after(w.between(ms, 20*ms), func() {
			m.happen(life, func() { m.r.ReportSnapshot(to, !lost) })
		})
	})
}

// restore puts a snapshot from elsewhere in place of the state and the log.
func (m *machine) restore(base replica.Base, image []byte, from uint64) {
	if !m.r.Newer(base) {
		return
	}
	m.w.say(m, "restores a snapshot of entry %d", base.Index)
	m.disk.keep(image, base)
	m.state = load(image)
	m.r.Restore(base, m.state, from, m.instant())
}

// quietLogger keeps raft from speaking, but for what ends it.
type quietLogger struct{}

var _ raft.Logger = quietLogger{}

func (quietLogger) Debug(...any)            {}
func (quietLogger) Debugf(string, ...any)   {}
func (quietLogger) Error(...any)            {}
func (quietLogger) Errorf(string, ...any)   {}
func (quietLogger) Info(...any)             {}
func (quietLogger) Infof(string, ...any)    {}
func (quietLogger) Warning(...any)          {}
func (quietLogger) Warningf(string, ...any) {}
func (quietLogger) Fatal(v ...any)          { panic(fmt.Sprint(v...)) }
func (quietLogger) Fatalf(f string, v ...any) {
	panic(fmt.Sprintf(f, v...))
}
func (quietLogger) Panic(v ...any) { panic(fmt.Sprint(v...)) }
func (quietLogger) Panicf(f string, v ...any) {
	panic(fmt.Sprintf(f, v...))
}
