//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"time"

	"holdfast/test/group"
	"holdfast/test/witness"
)

const (
	patience = 60 * time.Second // for a member to come back
	drainFor = 20 * time.Second
)

// plan is what to do.
type plan struct {
	members     int
	duration    time.Duration
	seed        uint64
	hold        time.Duration // how long a fault lasts, about
	pace        time.Duration // of the clients; 0: theirs
	binary      string        // empty: it is built
	only        string        // part of the names of the faults
	args        []string      // of every member
	keep        bool          // the logs
	say         func(format string, a ...any)
	interrupted <-chan os.Signal
}

// phase is a span of time in which something was done to some members. The others are the survivors.
type phase struct {
	kind     *kind
	from, to time.Duration // since the crew began
	settled  time.Duration // when the group was whole again and no request of this time was under way; 0: not yet
	victims  []*group.Member
}

// run is one run of a plan, and what came of it.
type run struct {
	plan
	group   *group.Group
	crew    *witness.Crew
	random  *rand.Rand
	phases  []phase
	drains  []time.Duration
	faults  []string // what the harness itself saw go wrong
	kills   int
	took    time.Duration
	working bool // the clients
	verdict witness.Verdict
}

var errInterrupted = errors.New("interrupted")

func (p plan) run() (*run, error) {
	r := &run{plan: p, random: rand.New(rand.NewPCG(p.seed, 0))}
	dir, err := os.MkdirTemp("", "holdfast-chaos-")
	if err != nil {
		return nil, err
	}
	if p.keep {
		p.say("the members' logs are in %s", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	if r.binary == "" {
		if r.binary, err = group.Build(dir); err != nil {
			return nil, err
		}
	}
	why := group.Apartable()
	if why != nil {
		p.say("links and disks are left alone: %v", why)
	}
	r.group, err = group.New(group.Options{Binary: r.binary, Dir: dir, Members: p.members, Apart: why == nil, Args: p.args})
	if err != nil {
		return nil, err
	}
	defer r.group.Close()
	if err := r.group.Start(patience); err != nil {
		return nil, err
	}
	r.crew = r.hire()
	if err := r.crew.Start(); err != nil {
		return nil, err
	}
	r.working = true
	err = r.disturb()
	r.working = false
	r.crew.Stop()
	if err != nil {
		return nil, err
	}
	r.took = r.crew.Now()
	if err := r.settle(); err != nil {
		return nil, err
	}
	r.readLogs()
	r.verdict, err = r.crew.Judge()
	return r, err
}

func (r *run) hire() *witness.Crew {
	var all []witness.Member
	for _, m := range r.group.Members {
		all = append(all, witness.Member{Dial: func(p witness.Protocol) (net.Conn, error) {
			if p == witness.Redis {
				return m.Dial(m.Redis)
			}
			return m.Dial(m.Memcached)
		}})
	}
	return witness.NewCrew(all, witness.Options{Seed: r.seed, Pace: r.pace})
}

// disturb does one fault after the other, each kind once before any comes again, until the time is over.
func (r *run) disturb() error {
	r.rest(time.Second)
	var deck []fault
	for end := time.Now().Add(r.duration); time.Now().Before(end); {
		if len(deck) == 0 {
			if deck = r.deck(); len(deck) == 0 {
				return fmt.Errorf("no fault has %q in its name, or none can be done here", r.only)
			}
		}
		f := deck[0]
		deck = deck[1:]
		leader, err := r.group.AwaitLeader(patience)
		if err != nil {
			return err
		}
		target := leader
		if f.who == follower {
			target = r.other(leader)
		}
		r.say("%s: %s", target.Name, f.name)
		began := time.Now()
		if err := f.do(r, target); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		if err := r.settle(); err != nil {
			return fmt.Errorf("after %s: %w", f.name, err)
		}
		r.tellElections(began)
		select {
		case <-r.interrupted:
			return errInterrupted
		default:
		}
	}
	return nil
}

// deck is all faults that can be done here, shuffled.
func (r *run) deck() []fault {
	var deck []fault
	for _, f := range faults {
		if r.group.Apart() || !f.apart {
			if r.chosen(f.name) {
				deck = append(deck, f)
			}
		}
	}
	r.random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	return deck
}

// other returns a member that is none of these.
func (r *run) other(than ...*group.Member) *group.Member {
	rest := slices.DeleteFunc(slices.Clone(r.group.Members), func(m *group.Member) bool { return slices.Contains(than, m) })
	return rest[r.random.IntN(len(rest))]
}

// rest lets about d pass.
func (r *run) rest(d time.Duration) {
	time.Sleep(d/2 + time.Duration(r.random.Int64N(int64(d))))
}

// during is a phase: what f does, does it to the victims.
func (r *run) during(k *kind, f func() error, victims ...*group.Member) error {
	p := phase{kind: k, from: r.crew.Now(), victims: victims}
	err := f()
	p.to = r.crew.Now()
	r.phases = append(r.phases, p)
	return err
}

// settle brings everybody back and waits until the group is whole and no request is under way that met the fault: the next one meets a
// group and clients that are well.
func (r *run) settle() error {
	for _, m := range r.group.Members {
		if m.Up() {
			continue
		}
		r.faults = append(r.faults, fmt.Sprintf("%s ended by itself: %v", m.Name, m.Ended()))
		r.keepLog(m)
		if err := m.Start(); err != nil {
			return err
		}
	}
	if err := r.group.AwaitWhole(patience); err != nil {
		return err
	}
	if !r.working {
		return nil
	}
	now, err := r.crew.Now(), errors.New("a client has had no answer since the fault")
	for end := time.Now().Add(patience); err != nil && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if r.crew.Fresh(now) {
			err = nil
		}
	}
	for i := len(r.phases) - 1; i >= 0 && r.phases[i].settled == 0; i-- {
		r.phases[i].settled = r.crew.Now()
	}
	r.rest(r.hold / 2)
	return err
}

// tellElections logs who was elected since an instant, and notes states that differ.
func (r *run) tellElections(since time.Time) {
	elections := map[uint64]group.Election{} // by term; only some members know the cause
	for _, m := range r.group.Members {
		s, err := m.Status()
		if err != nil {
			continue
		}
		for _, e := range s.Elections {
			if e.At.After(since) && elections[e.Term].Cause == "" {
				elections[e.Term] = e
			}
		}
		for _, p := range s.Peers {
			if p.Differs != 0 {
				r.faults = append(r.faults, fmt.Sprintf("%s says that the state of %s differed after entry %d", m.Name, p.Name, p.Differs))
			}
		}
	}
	for _, term := range slices.Sorted(maps.Keys(elections)) {
		e := elections[term]
		r.say("    term %d: %s was elected in %.0f ms: %s", term, e.Leader, e.TookMs, e.Cause)
	}
}

const logTail = 3000 // bytes

// keepLog says how the log of a member ends, whose file will soon be gone.
func (r *run) keepLog(m *group.Member) {
	b, _ := os.ReadFile(m.Log())
	r.say("%s ended by itself; the end of its log:\n%s", m.Name, b[max(len(b)-logTail, 0):])
}

// readLogs looks for what no daemon may ever say.
func (r *run) readLogs() {
	for _, m := range r.group.Members {
		b, err := os.ReadFile(m.Log())
		if err != nil {
			r.faults = append(r.faults, err.Error())
		}
		for _, word := range []string{"panic:", "fatal error:", "DATA RACE"} {
			if at := bytes.Index(b, []byte(word)); at >= 0 {
				line, _, _ := bytes.Cut(b[at:], []byte("\n"))
				r.faults = append(r.faults, fmt.Sprintf("the log of %s has: %s", m.Name, line))
			}
		}
	}
}
