//go:build linux

package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"
)

// Writes elsewhere, while a member returns: how many clients at each of the others, and how often each of them writes.
const (
	returnClients = 8
	returnPace    = 8 * time.Millisecond
	returnLimit   = 30 * time.Second
	returnLonger  = 2.0 // what may become of p99 meanwhile
)

// groupReturn has a member come back and measures how long it is until it serves, and what that costs the writes of the others.
func (b *bench) groupReturn(s *section) error {
	entries := b.scale.state / sessionValue
	s.Title = "A member returns"
	s.intro("%d entries of %d bytes (%d MiB of values), `durability second`. A follower is killed with -9, and started again after a while with its disk or "+
		"with an empty one. It serves when it says that it is ready and answers a GET. Meanwhile %d clients at each of the other two write %d bytes every %s; latency "+
		"counts from when a write was due. The usual p99 is that of a span of the same length with all three present.",
		entries, sessionValue, b.scale.state>>20, returnClients, pulseValue, returnPace)
	g, err := b.startHoldfastGroup("second")
	if g == nil || err != nil {
		return err
	}
	defer b.endGroup(g)
	leader, err := g.leader()
	if err != nil {
		return err
	}
	if _, err := b.fill(g.lane(holdfastLane("second", atLeader), "redis", leader), entries, sessionValue, 0, b.loose); err != nil {
		return err
	}
	t := table{Head: []string{"", "serves after, s", "usual p99 ms", "p99 ms meanwhile", "ratio", "longest ms meanwhile", "errors"}}
	for _, empty := range []bool{false, true} {
		if err := b.returns(s, &t, g, empty); err != nil {
			return err
		}
	}
	s.Tables = append(s.Tables, t)
	return nil
}

func (b *bench) returns(s *section, t *table, g *group, empty bool) error {
	leader, err := g.leader()
	if err != nil {
		return err
	}
	v := g.others(leader)[0]
	quiet(2 * time.Second)
	p := startPulse(at(g.others(v)...), returnClients, returnPace)
	time.Sleep(b.scale.save / 3)
	usual := p.now()
	v.kill()
	time.Sleep(time.Second)
	what := "with its disk"
	if empty {
		what = "with an empty disk"
		err = os.RemoveAll(filepath.Join(v.data, "state"))
	}
	from := p.now()
	err = errors.Join(err, v.start())
	served := p.now()
	err = errors.Join(err, g.settle())
	p.end()
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	before, _ := p.latency(0.99, gapBefore, usual)
	during, n := p.latency(0.99, from, served)
	longest, _ := p.latency(1, from, served)
	_, errs := p.gap(from, served)
	took := (served - from).Seconds()
	log.Printf("  %s: serves after %.2f s, p99 %.0f us of %d writes, usual %.0f us", what, took, during, n, before)
	t.row(what, number(took), number(before/1e3), number(during/1e3), number(during/before), number(longest/1e3), fmt.Sprint(errs))
	s.Goals = append(s.Goals,
		goal{What: fmt.Sprintf("a member that returns %s serves (%d MiB)", what, b.scale.state>>20), Limit: returnLimit.Seconds(), Unit: " s", Measured: took},
		goal{What: "p99 of writes elsewhere of the usual, a member returns " + what, Limit: returnLonger, Measured: during / before})
	return nil
}
