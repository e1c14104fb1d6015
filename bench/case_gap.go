//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"time"
)

// Clients of the survivors, while a group is disturbed: how many at each member, and how often each of them writes.
const (
	gapClients = 4
	gapPace    = 4 * time.Millisecond
	gapBefore  = 300 * time.Millisecond
	gapAfter   = 1500 * time.Millisecond // longer than any gap that could be forgiven
	gapSlow    = 14 * time.Second        // the same for sentinels
)

// disturbance is one way to treat a group, again and again. A trial ends with the group as it was.
type disturbance struct {
	what        string
	trials      int
	trial       func(g *group) (noticed, error)
	median, max float64 // goals in ms; 0: none
}

// noticed is what clients saw of a trial.
type noticed struct {
	gap    time.Duration
	errors int
}

func (w noticed) and(o noticed) noticed { return noticed{max(w.gap, o.gap), w.errors + o.errors} }

func (b *bench) groupGaps(s *section) error {
	s.Title = "The longest gap in writes"
	s.intro("Writes of %d bytes, %d clients at every surviving member, each every %s: the longest time without an acknowledged write at one of the survivors, "+
		"in several trials. `durability second`. Errors are what those clients saw in all trials. A gap of a few milliseconds comes "+
		"from the pace and from sharing the processors: the first line. Of Redis with Sentinel (`down-after` 5 s, the usual setting) the master is killed; its "+
		"clients do what Sentinel's clients do, ask a sentinel and try again. A killed daemon leaves a small process behind that proves its "+
		"death to the others; a lost machine does not, so there that process is killed too.", pulseValue, gapClients, gapPace)
	t := table{Head: []string{"", "trials", "median ms", "longest ms", "errors"}}
	killed, err := b.holdfastGaps(s, &t)
	if err != nil {
		return err
	}
	failover, err := b.sentinelGaps(&t)
	if err != nil {
		return err
	}
	if killed > 0 && failover > 0 {
		s.intro("A killed master of Redis with Sentinel interrupts writes %s times as long as a killed leader.", number(failover/killed))
	}
	s.Tables = append(s.Tables, t)
	return nil
}

// disturbances of a group of Holdfast. Order matters only to who reads them.
func (b *bench) disturbances() []disturbance {
	return []disturbance{
		{what: "nothing done", trials: b.scale.trials, trial: func(g *group) (noticed, error) {
			return watch(at(g.members...), gapAfter, func() error { return nil })
		}},
		{what: "leader killed with -9", trials: 2*b.scale.trials - 1, median: 250, max: 600, trial: func(g *group) (noticed, error) {
			return lost(g, true, (*server).kill)
		}},
		{what: "leader lost with its machine", trials: b.scale.trials, max: 700, trial: func(g *group) (noticed, error) {
			return lost(g, true, (*server).powerOff)
		}},
		{what: "follower lost with its machine", trials: b.scale.trials, max: 400, trial: func(g *group) (noticed, error) {
			return lost(g, false, (*server).powerOff)
		}},
		{what: "leader stopped with SIGSTOP", trials: b.scale.trials, max: 700, trial: func(g *group) (noticed, error) {
			l, err := g.leader()
			if err != nil {
				return noticed{}, err
			}
			w, err := watch(at(g.others(l)...), gapAfter, func() error { return l.pause(true) })
			return w, errors.Join(err, l.pause(false))
		}},
		{what: "leader drained, clients of all three", trials: b.scale.trials, max: 20, trial: func(g *group) (noticed, error) {
			l, err := g.leader()
			if err != nil {
				return noticed{}, err
			}
			w, err := watch(at(g.members...), gapAfter, func() error { return l.verb("drain") })
			return w, errors.Join(err, l.drain(), l.start())
		}},
		{what: "rolling restart", trials: b.scale.trials, max: 20, trial: rollingRestart},
	}
}

// lost ends the leader, or a follower, in some way.
func lost(g *group, leader bool, end func(*server)) (noticed, error) {
	v, err := g.leader()
	if err != nil {
		return noticed{}, err
	}
	if !leader {
		v = g.others(v)[0]
	}
	w, err := watch(at(g.others(v)...), gapAfter, func() error { end(v); return nil })
	return w, errors.Join(err, v.start())
}

// rollingRestart ends and starts every member in turn, the leader first, each when all see the one before back.
func rollingRestart(g *group) (all noticed, err error) {
	l, err := g.leader()
	if err != nil {
		return all, err
	}
	for _, v := range append([]*server{l}, g.others(l)...) {
		w, err := watch(at(g.others(v)...), 0, func() error { return errors.Join(v.drain(), v.start(), g.settle()) })
		if err != nil {
			return all, err
		}
		all = all.and(w)
	}
	return all, nil
}

// watch has clients write while act is done, and for at least that long after it began.
func watch(beats []beat, long time.Duration, act func() error) (noticed, error) {
	p := startPulse(beats, gapClients, gapPace)
	time.Sleep(gapBefore)
	from := p.now()
	err := act()
	time.Sleep(from + long - p.now())
	to := p.now()
	p.end()
	if p.first != nil {
		log.Printf("  the first error: %v", p.first)
	}
	gap, errs := p.gap(from-gapBefore/3, to)
	return noticed{gap, errs}, err
}

// holdfastGaps returns the median of the gaps after a killed leader.
func (b *bench) holdfastGaps(s *section, t *table) (killed float64, err error) {
	for _, d := range b.disturbances() {
		gaps, errs, err := b.disturb(d)
		if err != nil || len(gaps) == 0 {
			return 0, err
		}
		t.gaps("holdfast, "+d.what, gaps, errs)
		s.gapGoal("gap in writes, "+d.what+", median", d.median, median(gaps), gaps)
		s.gapGoal("gap in writes, "+d.what+", longest", d.max, slices.Max(gaps), gaps)
		if d.median > 0 {
			killed = median(gaps)
		}
	}
	return killed, nil
}

// disturb treats a group in one way. Every way has a group of its own: one whose members failed again and again trusts them less.
func (b *bench) disturb(d disturbance) (gaps []float64, errs int, err error) {
	g, err := b.startHoldfastGroup("second")
	if g == nil || err != nil {
		return nil, 0, err
	}
	defer b.endGroup(g)
	for i := range d.trials {
		n, err := d.trial(g)
		if err == nil {
			err = g.settle()
		}
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", d.what, err)
		}
		gaps, errs = append(gaps, n.gap.Seconds()*1e3), errs+n.errors
		log.Printf("  %s %d/%d: %.1f ms, %d errors", d.what, i+1, d.trials, n.gap.Seconds()*1e3, n.errors)
	}
	return gaps, errs, nil
}

func (t *table) gaps(what string, gaps []float64, errs int) {
	t.row(what, strconv.Itoa(len(gaps)), number(median(gaps)), number(slices.Max(gaps)), strconv.Itoa(errs))
}

func (s *section) gapGoal(what string, limit, measured float64, all []float64) {
	if limit > 0 {
		s.Goals = append(s.Goals, goal{What: what, Limit: limit, Unit: " ms", Measured: measured, Range: number(slices.Min(all)) + "-" + number(slices.Max(all))})
	}
}

// sentinelGaps kills the master of Redis with Sentinel. Every trial has a group of its own: a sentinel waits for minutes before it fails over
// once more.
func (b *bench) sentinelGaps(t *table) (float64, error) {
	var gaps []float64
	errs := 0
	trials := max(1, b.scale.trials/2)
	for i := range trials {
		g, err := b.startRedisGroup(true)
		if g == nil || err != nil {
			return 0, err
		}
		master := beat{"the master", func() (string, error) { return askSentinels(g) }}
		w, err := watch([]beat{master}, gapSlow, func() error { g.members[0].kill(); return nil })
		b.endGroup(g)
		if err != nil {
			return 0, err
		}
		gaps, errs = append(gaps, w.gap.Seconds()*1e3), errs+w.errors
		log.Printf("  redis with sentinel, master killed %d/%d: %.0f ms, %d errors", i+1, trials, w.gap.Seconds()*1e3, w.errors)
	}
	t.gaps("redis with sentinel, master killed with -9", gaps, errs)
	return median(gaps), nil
}

// askSentinels is where the master is, by the first sentinel that answers.
func askSentinels(g *group) (string, error) {
	var last error
	for _, s := range g.guards {
		c, err := dialRedis(s.guard)
		if err != nil {
			last = err
			continue
		}
		defer c.close()
		c.limit = askLimit
		if err := c.send("SENTINEL", "get-master-addr-by-name", "mymaster"); err != nil {
			last = err
			continue
		}
		found, err := c.receiveList()
		if err != nil || len(found) != 2 {
			last = fmt.Errorf("a sentinel answered %v: %w", found, err)
			continue
		}
		return net.JoinHostPort(found[0], found[1]), nil
	}
	return "", last
}

// verb runs a verb of the daemon's program on a daemon.
func (s *server) verb(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), settleLimit)
	defer cancel()
	if out, err := exec.CommandContext(ctx, s.binary, name, "--admin", s.admin).CombinedOutput(); err != nil {
		return fmt.Errorf("%s of %s: %w: %s", name, s.member, err, tail(out, 600))
	}
	return nil
}
