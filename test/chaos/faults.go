//go:build linux

package main

import (
	"strings"
	"time"

	"holdfast/test/group"
)

// kind is what is measured together. The goals bound the longest time in which no client of a survivor is acknowledged a write.
type kind struct {
	name         string
	median, most time.Duration // goals; 0: none
	helpless     bool          // there is no majority: errors are as it should be
}

const ms = time.Millisecond

// The goals of kills, stops, lost hosts and drains are the project's; the others are held to the promise of a pause under a second.
var (
	leaderKilled    = &kind{name: "leader killed (-9)", median: 250 * ms, most: 600 * ms}
	followerKilled  = &kind{name: "follower killed (-9)", most: 400 * ms}
	leaderStopped   = &kind{name: "leader stopped (SIGSTOP)", most: 700 * ms}
	followerStopped = &kind{name: "follower stopped (SIGSTOP)", most: 400 * ms}
	wokenUp         = &kind{name: "stopped member goes on", most: 400 * ms}
	leaderLost      = &kind{name: "leader's host lost", most: 700 * ms}
	followerLost    = &kind{name: "follower's host lost", most: 400 * ms}
	drained         = &kind{name: "leader drained", most: 20 * ms}
	followerDrained = &kind{name: "follower drained", most: 20 * ms}
	rolling         = &kind{name: "rolling restart, each member", most: 20 * ms}
	returned        = &kind{name: "member returns", most: 20 * ms}
	returnedEmpty   = &kind{name: "member returns with an empty disk", most: 20 * ms}
	leaderCut       = &kind{name: "leader cut off", most: 700 * ms}
	followerCut     = &kind{name: "follower cut off", most: 400 * ms}
	leaderMute      = &kind{name: "leader hears, is not heard", most: 700 * ms}
	leaderDeaf      = &kind{name: "leader is heard, does not hear", most: 700 * ms}
	followerMute    = &kind{name: "follower hears, is not heard", most: 400 * ms}
	followerDeaf    = &kind{name: "follower is heard, does not hear", most: 400 * ms}
	pairCut         = &kind{name: "link leader to follower cut", most: 1000 * ms}
	followersCut    = &kind{name: "link between the followers cut", most: 400 * ms}
	healed          = &kind{name: "links heal", most: 400 * ms}
	leaderSlow      = &kind{name: "leader's links slow", most: 1000 * ms}
	followerSlow    = &kind{name: "follower's links slow", most: 1000 * ms}
	leaderLossy     = &kind{name: "leader's links lossy", most: 1000 * ms}
	followerLossy   = &kind{name: "follower's links lossy", most: 1000 * ms}
	leaderDisk      = &kind{name: "leader's disk stuck", most: 1000 * ms}
	followerDisk    = &kind{name: "follower's disk stuck", most: 400 * ms}
	slowDisk        = &kind{name: "leader's disk slow", most: 1000 * ms}
	followerSlowDsk = &kind{name: "follower's disk slow", most: 400 * ms}
	leaderFull      = &kind{name: "leader's disk full", most: 1000 * ms}
	followerFull    = &kind{name: "follower's disk full", most: 400 * ms}
	nothing         = &kind{name: "nothing, for comparison"}
	twoDown         = &kind{name: "two of three killed", helpless: true}
	majorityBack    = &kind{name: "two members return", helpless: true}
)

type who int

const (
	leader who = iota
	follower
)

// fault is something to do to a member.
type fault struct {
	name  string
	who   who
	apart bool // needs members with hosts of their own
	do    func(*run, *group.Member) error
}

var faults = []fault{
	{"nothing", follower, false, func(r *run, _ *group.Member) error {
		return r.during(nothing, func() error { r.rest(3 * r.hold); return nil })
	}},
	{"kill -9 leader", leader, false, kill(leaderKilled)},
	{"kill -9 follower", follower, false, kill(followerKilled)},
	{"kill -9 leader, restarted at once", leader, false, restart(leaderKilled)},
	{"kill -9 follower, empty disk", follower, false, replace},
	{"stop leader", leader, false, stop(leaderStopped)},
	{"stop follower", follower, false, stop(followerStopped)},
	{"drain leader", leader, false, drain(drained)},
	{"drain follower", follower, false, drain(followerDrained)},
	{"rolling restart", leader, false, roll},
	{"two of three", leader, false, twoOfThree},
	{"lose leader's host", leader, true, lose(leaderLost)},
	{"lose follower's host", follower, true, lose(followerLost)},
	{"cut off leader", leader, true, link(leaderCut, group.Link{Cut: true}, both)},
	{"cut off follower", follower, true, link(followerCut, group.Link{Cut: true}, both)},
	{"mute leader", leader, true, link(leaderMute, group.Link{Cut: true}, out)},
	{"deafen leader", leader, true, link(leaderDeaf, group.Link{Cut: true}, in)},
	{"mute follower", follower, true, link(followerMute, group.Link{Cut: true}, out)},
	{"deafen follower", follower, true, link(followerDeaf, group.Link{Cut: true}, in)},
	{"cut link to leader", leader, true, cutPair},
	{"cut link between followers", leader, true, cutFollowers},
	{"slow leader's links", leader, true, link(leaderSlow, slow, both)},
	{"slow follower's links", follower, true, link(followerSlow, slow, both)},
	{"lossy leader's links", leader, true, link(leaderLossy, lossy, both)},
	{"lossy follower's links", follower, true, link(followerLossy, lossy, both)},
	{"stick leader's disk", leader, true, stick(leaderDisk)},
	{"stick follower's disk", follower, true, stick(followerDisk)},
	{"slow leader's disk", leader, true, slowDown(slowDisk)},
	{"slow follower's disk", follower, true, slowDown(followerSlowDsk)},
	{"fill leader's disk", leader, true, fill(leaderFull)},
	{"fill follower's disk", follower, true, fill(followerFull)},
}

var (
	slow  = group.Link{Delay: 25 * ms, Jitter: 25 * ms}
	lossy = group.Link{Loss: 0.05}
)

func (r *run) chosen(name string) bool { return strings.Contains(name, r.only) }

// comeBack starts a member that is down.
func (r *run) comeBack(k *kind, m *group.Member) error {
	return r.during(k, func() error { return r.start(m) }, m)
}

// start starts a member and looks on for a while when it is ready.
func (r *run) start(m *group.Member) error {
	if err := m.Start(); err != nil {
		return err
	}
	if err := m.AwaitReady(patience); err != nil {
		return err
	}
	r.rest(r.hold)
	return nil
}

func kill(k *kind) func(*run, *group.Member) error {
	return func(r *run, m *group.Member) error {
		r.during(k, func() error { r.kill(m); r.rest(2 * r.hold); return nil }, m)
		return r.comeBack(returned, m)
	}
}

func (r *run) kill(m *group.Member) {
	r.kills++
	m.Kill()
}

// restart is what systemd does with a daemon that crashed.
func restart(k *kind) func(*run, *group.Member) error {
	return func(r *run, m *group.Member) error {
		return r.during(k, func() error {
			r.kill(m)
			return r.start(m)
		}, m)
	}
}

func replace(r *run, m *group.Member) error {
	r.during(followerKilled, func() error { r.kill(m); r.rest(r.hold); return nil }, m)
	if err := m.Wipe(); err != nil {
		return err
	}
	return r.comeBack(returnedEmpty, m)
}

func stop(k *kind) func(*run, *group.Member) error {
	return func(r *run, m *group.Member) error {
		d := 3 * r.hold
		if r.random.IntN(3) == 0 {
			d = 10 * r.hold
		}
		r.during(k, func() error { m.Stop(); r.rest(d); return nil }, m)
		return r.during(wokenUp, func() error { m.Continue(); r.rest(2 * r.hold); return nil }, m)
	}
}

func drain(k *kind) func(*run, *group.Member) error {
	return func(r *run, m *group.Member) error {
		if err := r.drain(k, m); err != nil {
			return err
		}
		return r.comeBack(returned, m)
	}
}

func (r *run) drain(k *kind, m *group.Member) error {
	return r.during(k, func() error {
		took, err := m.Drain(drainFor)
		r.drains = append(r.drains, took)
		r.rest(r.hold)
		return err
	}, m)
}

// roll restarts one member after the other, as an upgrade does.
func roll(r *run, _ *group.Member) error {
	for _, m := range r.group.Members {
		err := r.during(rolling, func() error {
			took, err := m.Drain(drainFor)
			r.drains = append(r.drains, took)
			if err != nil {
				return err
			}
			if err := m.Start(); err != nil {
				return err
			}
			return m.AwaitReady(patience)
		}, m)
		if err != nil {
			return err
		}
		if err := r.settle(); err != nil {
			return err
		}
	}
	return nil
}

// twoOfThree leaves one member alone for longer than any request is held.
func twoOfThree(r *run, one *group.Member) error {
	two := r.other(one)
	if r.random.IntN(2) == 0 {
		one, two = two, r.other(one, two) // the leader stays
	}
	last := r.other(one, two)
	r.during(twoDown, func() error {
		r.kill(one)
		r.kill(two)
		time.Sleep(4 * time.Second)
		return nil
	}, one, two)
	return r.during(majorityBack, func() error {
		for _, m := range []*group.Member{one, two} {
			if err := m.Start(); err != nil {
				return err
			}
			r.rest(r.hold / 2)
		}
		for _, m := range []*group.Member{one, two, last} {
			if err := m.AwaitReady(patience); err != nil {
				return err
			}
		}
		r.rest(r.hold)
		return nil
	}, one, two)
}

// lose cuts the host off first, so that nobody hears of the process's end; it stays sound, since its disk keeps what was written.
func lose(k *kind) func(*run, *group.Member) error {
	return func(r *run, m *group.Member) error {
		r.during(k, func() error {
			r.group.Isolate(m, group.Link{Cut: true})
			r.kill(m)
			r.rest(2 * r.hold)
			return nil
		}, m)
		r.group.Isolate(m, group.Link{})
		return r.comeBack(returned, m)
	}
}

type direction int

const (
	out direction = 1 << iota
	in
	both = out | in
)

func link(k *kind, l group.Link, d direction) func(*run, *group.Member) error {
	return func(r *run, m *group.Member) error {
		r.during(k, func() error {
			if d&out != 0 {
				r.group.Links([]*group.Member{m}, r.group.Members, l)
			}
			if d&in != 0 {
				r.group.Links(r.group.Members, []*group.Member{m}, l)
			}
			r.rest(3 * r.hold)
			return nil
		}, m)
		return r.heal(m)
	}
}

func (r *run) heal(victims ...*group.Member) error {
	return r.during(healed, func() error {
		r.group.Links(r.group.Members, r.group.Members, group.Link{})
		r.rest(2 * r.hold)
		return nil
	}, victims...)
}

// cutPair takes the link between the leader and one follower, who then hears of the leader from nobody: it is the victim.
func cutPair(r *run, leads *group.Member) error {
	m := r.other(leads)
	pair := []*group.Member{leads, m}
	r.during(pairCut, func() error { r.group.Links(pair, pair, group.Link{Cut: true}); r.rest(3 * r.hold); return nil }, m)
	return r.heal(m)
}

// cutFollowers hurts nobody.
func cutFollowers(r *run, leads *group.Member) error {
	a := r.other(leads)
	pair := []*group.Member{a, r.other(leads, a)}
	r.during(followersCut, func() error { r.group.Links(pair, pair, group.Link{Cut: true}); r.rest(3 * r.hold); return nil })
	return r.heal()
}

func stick(k *kind) func(*run, *group.Member) error {
	return func(r *run, m *group.Member) error {
		d := r.hold + time.Duration(r.random.Int64N(int64(3*r.hold)))
		return r.during(k, func() error {
			err := m.Freeze(d)
			time.Sleep(d)
			r.rest(r.hold)
			return err
		}, m)
	}
}

// slowDown freezes the disk for most of the time.
func slowDown(k *kind) func(*run, *group.Member) error {
	return func(r *run, m *group.Member) error {
		return r.during(k, func() error {
			for end := time.Now().Add(3 * r.hold); time.Now().Before(end); {
				d := 50*ms + time.Duration(r.random.Int64N(int64(150*ms)))
				if err := m.Freeze(d); err != nil {
					return err
				}
				time.Sleep(d + 50*ms)
			}
			r.rest(r.hold)
			return nil
		}, m)
	}
}

// fill leaves no room on the disk. A daemon may end when it cannot write its log: that is what its neighbours are for.
func fill(k *kind) func(*run, *group.Member) error {
	return func(r *run, m *group.Member) error {
		err := r.during(k, func() error {
			err := m.Fill()
			r.rest(3 * r.hold)
			return err
		}, m)
		if err != nil {
			return err
		}
		if err := m.Empty(); err != nil {
			return err
		}
		return r.comeBack(returned, m)
	}
}
