//go:build linux

// Demo shows in half a minute what Holdfast is for: three members on 127.0.0.1, .2 and .3, users of a dashboard at each of them, and one
// member after the other that dies or is stopped. `make demo` runs it; it needs no root and nothing but the built daemon, and ends
// all that it started. What it shows comes from the clients of package witness. Read main.go first; screen.go is how it looks.
package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"holdfast/test/group"
	"holdfast/test/witness"
)

const (
	members  = 3
	users    = 50 // at each member, by each protocol
	pace     = 6 * time.Millisecond
	patience = 30 * time.Second
)

func main() {
	watched := flag.Duration("watch", 4*time.Second, "how long to look on after each event")
	binary := flag.String("holdfast", "", "`binary` to run; empty: built from the tree")
	flag.Parse()
	s := newScreen(os.Stdout)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	if err := demonstrate(s, *binary, *watched, ended); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo is one showing.
type demo struct {
	*screen
	group   *group.Group
	crew    *witness.Crew
	watched time.Duration // after each event
	ended   <-chan os.Signal
	events  []event
	unkept  int // promises that the final table shows as broken
}

// event is what was done to a member, and what the clients of the others met.
type event struct {
	what   string
	others witness.Account
}

var errEnded = errors.New("ended on request")

func demonstrate(s *screen, binary string, watched time.Duration, ended <-chan os.Signal) error {
	dir, err := os.MkdirTemp("", "holdfast-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if binary == "" {
		if binary, err = group.Build(dir); err != nil {
			return err
		}
	}
	g, err := group.New(group.Options{Binary: binary, Dir: dir, Members: members})
	if err != nil {
		return err
	}
	defer g.Close()
	d := &demo{screen: s, group: g, watched: watched, ended: ended}
	if err := d.play(); err != nil {
		return d.explain(err)
	}
	if d.unkept > 0 {
		return fmt.Errorf("%d promises were not kept", d.unkept)
	}
	return nil
}

// explain shows the end of the members' logs, which are about to be removed.
func (d *demo) explain(err error) error {
	if errors.Is(err, errEnded) {
		return err
	}
	const tail = 1500
	for _, m := range d.group.Members {
		if b, e := os.ReadFile(m.Log()); e == nil {
			fmt.Fprintf(os.Stderr, "--- the end of %s\n%s\n", m.Log(), b[max(len(b)-tail, 0):])
		}
	}
	return err
}

func (d *demo) play() error {
	if err := d.begin(); err != nil {
		return err
	}
	leader, err := d.group.AwaitLeader(patience)
	if err != nil {
		return err
	}
	d.say("Everything is well. Every line below is half a second.")
	d.heading()
	if err := d.watch(0, nil); err != nil {
		return err
	}
	if err := d.kill(leader); err != nil {
		return err
	}
	if err := d.drain(d.next(leader)); err != nil {
		return err
	}
	d.crew.Stop()
	return d.end()
}

// begin starts the members and logs the users in.
func (d *demo) begin() error {
	d.say("Holdfast keeps the sessions, tokens and locks of an OpenStack control plane on all controllers at once.")
	d.say("Here are three members. Each stands for the daemon of one controller:")
	began := time.Now()
	if err := d.group.Start(patience); err != nil {
		return err
	}
	for _, m := range d.group.Members {
		d.print("    %s   Redis %-16s memcached %-16s", m.Name, m.Redis, m.Memcached)
	}
	d.say("They formed a group in %s. Now %d users log in, half of them by the Redis protocol and half by the memcached protocol, at all three.", took(time.Since(began)), 2*members*users)
	var all []witness.Member
	for _, m := range d.group.Members {
		all = append(all, witness.Member{Dial: func(p witness.Protocol) (net.Conn, error) {
			if p == witness.Redis {
				return m.Dial(m.Redis)
			}
			return m.Dial(m.Memcached)
		}})
	}
	d.crew = witness.NewCrew(all, witness.Options{Seed: rand.Uint64(), Pace: pace, Sessions: users})
	if err := d.crew.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(patience); d.crew.Progress().Sessions < 2*members*users; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("only %d users could log in within %v", d.crew.Progress().Sessions, patience)
		}
	}
	d.say("All are logged in. They open pages, and each page reads its session and saves it again. Meanwhile clients of every member")
	d.print("increment one counter, and compete for one lock.")
	return nil
}

// next is the member after m.
func (d *demo) next(m *group.Member) *group.Member {
	for i, one := range d.group.Members {
		if one == m {
			return d.group.Members[(i+1)%members]
		}
	}
	return m
}

func (d *demo) kill(m *group.Member) error {
	d.alarm("kill -9 %s, the leader: as if the daemon had crashed in the middle of everything.", m.Name)
	d.heading()
	from := d.crew.Now()
	m.Kill()
	if err := d.watch(from, m); err != nil {
		return err
	}
	d.tell("kill -9 of "+m.Name, from, m)
	return d.back(m)
}

func (d *demo) drain(m *group.Member) error {
	d.alarm("SIGTERM to %s, as in an upgrade: it hands over what it has, then it ends.", m.Name)
	d.heading()
	from := d.crew.Now()
	stopped := make(chan error, 1)
	var lasted time.Duration
	go func() {
		var err error
		lasted, err = m.Drain(patience)
		stopped <- err
	}()
	if err := d.watch(from, m); err != nil {
		return err
	}
	if err := <-stopped; err != nil {
		return err
	}
	d.print("%s was ready to stop after %s.", m.Name, took(lasted))
	d.tell("planned stop of "+m.Name, from, m)
	return d.back(m)
}

// back starts a member again and waits until it serves.
func (d *demo) back(m *group.Member) error {
	d.alarm("%s is started again, and catches up with what it has missed.", m.Name)
	d.heading()
	from := d.crew.Now()
	if err := m.Start(); err != nil {
		return err
	}
	began := time.Now()
	ready := make(chan error, 1)
	var lasted time.Duration
	go func() {
		err := m.AwaitReady(patience)
		lasted = time.Since(began)
		ready <- err
	}()
	if err := d.watch(from, m); err != nil {
		return err
	}
	if err := <-ready; err != nil {
		return err
	}
	d.print("%s was serving again after %s.", m.Name, took(lasted))
	d.tell("return of "+m.Name, from, m)
	return nil
}

// longest is what no request took longer than.
func longest(a witness.Account) time.Duration { return max(a.Wait, witness.Noticed) }

// others chooses the clients of all members but m.
func (d *demo) others(m *group.Member) func(*witness.Client) bool {
	return func(c *witness.Client) bool { return d.group.Members[c.Member] != m }
}

// tell says what the clients of the other members met since an event.
func (d *demo) tell(what string, from time.Duration, m *group.Member) {
	a := d.crew.Look(from, d.crew.Now(), d.others(m))
	d.events = append(d.events, event{what, a})
	mood := d.good
	if a.Failures() > 0 {
		mood = d.bad
	}
	mood("At the other members: %s, no request took longer than %s, and writing paused for %s.", count(a.Failures(), "error"), took(longest(a)), took(a.Gap))
	for what, n := range a.Errors {
		d.bad("    %d times: %s", n, what)
	}
}

// watch prints a line every half second; down is the member whose clients are not counted.
func (d *demo) watch(from time.Duration, down *group.Member) error {
	const step = 500 * time.Millisecond
	tick := time.NewTicker(step)
	defer tick.Stop()
	for end := time.Now().Add(d.watched); time.Now().Before(end); {
		select {
		case <-d.ended:
			return errEnded
		case <-tick.C:
		}
		now := d.crew.Now()
		var writes []string
		for i := range d.group.Members {
			a := d.crew.Look(now-step, now, func(c *witness.Client) bool { return c.Member == i })
			writes = append(writes, cell(a.Acks, d.group.Members[i] == down))
		}
		a := d.crew.Look(max(from, now-step), now, d.others(down))
		p := d.crew.Progress()
		d.row(took(now), strings.Join(writes, ""), took(a.Gap), fmt.Sprint(a.Failures()), fmt.Sprint(p.Sessions), fmt.Sprint(p.Counters), fmt.Sprint(p.LockHeld))
	}
	return nil
}

// end reads everything back and shows the table.
func (d *demo) end() error {
	d.say("Everybody stops. Now every session and both counters are read back at every member, and compared with what the clients were told.")
	v, err := d.crew.Judge()
	if err != nil {
		return err
	}
	d.say("What came out:")
	sum, open := 0, 0
	for _, c := range v.Counters {
		sum += c.Acknowledged
		open += c.Open
	}
	failures := 0
	for _, e := range d.events {
		d.result(e.what, fmt.Sprintf("writing paused for %s, longest request %s, %s", took(e.others.Gap), took(longest(e.others)), count(e.others.Failures(), "error")), e.others.Failures() == 0)
		failures += e.others.Failures()
	}
	d.result("errors at the other members' clients", fmt.Sprint(failures), failures == 0)
	d.result("acknowledged writes", fmt.Sprintf("%d, of which lost: %d", v.Writes, v.LostWrites), v.LostWrites == 0)
	d.result("sessions", fmt.Sprintf("%d, of which lost: %d", v.Sessions, v.LostSessions), v.LostSessions == 0)
	d.result("counters", fmt.Sprintf("%d increments acknowledged (%d more cut off by the kill), applied twice: %d", sum, open, v.AppliedTwice), v.AppliedTwice == 0)
	d.result("lock", fmt.Sprintf("held %d times, by two at once: %d", v.LockHeld, v.TwoHolders), v.TwoHolders == 0)
	d.result("reads of old values", fmt.Sprintf("%d in %d checked operations", v.StaleReads, v.Operations), v.StaleReads == 0)
	for _, fault := range v.Faults[:min(len(v.Faults), 10)] {
		d.bad("%s", fault)
	}
	d.unkept = len(v.Faults) + failures
	d.say("All that was started is stopped now. To run one yourself: make run, or docs/group.md for a group of three.")
	return nil
}
