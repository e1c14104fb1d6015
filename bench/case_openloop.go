//go:build linux

package main

import (
	"fmt"
	"syscall"
	"time"

	"holdfast/bench/load"
)

// openRate is the open loop's requests a second.
const openRate = 20_000

func (b *bench) openLoop(s *section) error {
	s.Title = "Open loop"
	s.intro("%d requests a second arriving at random over 50 connections, 9 GETs to a SET, entries of %d + %d bytes with a deadline; latency "+
		"counts from the intended instant. Server and generator have a processor each. Holdfast's collector is forced twice in every window "+
		"(not if -holdfast named a binary built elsewhere); its share of the CPU is taken before that, over the load and one window.",
		openRate, load.KeySize, entryValue)
	for _, n := range b.scale.entries {
		if err := b.openLoopAt(s, n); err != nil {
			return err
		}
		b.stopAll()
	}
	return nil
}

func (b *bench) openLoopAt(s *section, entries int) error {
	redis, err := b.startRedis("redis-server", b.pinned.server, redisMode{})
	if err != nil {
		return err
	}
	holdfast, err := b.startHoldfast("memory", b.pinned.server)
	if err != nil {
		return err
	}
	collect := func(h *server) {
		for i := 0; i < 2 && b.collects; i++ {
			time.Sleep(b.scale.warm/3 + b.scale.open/3)
			h.cmd.Process.Signal(syscall.SIGUSR2)
		}
	}
	lanes := []lane{{name: laneRedis, server: redis, protocol: "redis"}, {name: laneHoldfast, server: holdfast, protocol: "redis", during: collect}}
	for _, l := range lanes {
		if l.server == nil {
			continue
		}
		if _, err := b.fill(l, entries, entryValue, 0, b.pinned); err != nil {
			return err
		}
	}
	what := millions(entries)
	cfg := load.Config{Conns: 50, Depth: 1, Threads: 1, Rate: openRate, Keys: entries, Value: entryValue, Sets: 1, Warm: b.scale.warm, Measure: b.scale.open}
	if err := b.collectorShare(s, holdfast, cfg, what); err != nil {
		return err
	}
	all, err := b.compare("open loop, "+what, lanes, cfg, b.pinned)
	if err != nil {
		return err
	}
	t := table{Caption: what + ":", Head: []string{"", "requests/s", "p50 us", "p99 us", "p99.9 us", "longest us", "cores used"}}
	for _, l := range lanes {
		if r := all[l.name]; len(r) > 0 {
			m := func(f func(load.Result) float64) string { return number(median(r.each(f))) }
			t.row(l.name, m(throughput), m(p50), m(p99), m(p999), m(longest), m(func(r load.Result) float64 { return r.ServerCores }))
		}
	}
	s.Tables = append(s.Tables, t)
	s.ratioGoal("p99.9 of redis, open loop, "+what, ratioOf(all[laneHoldfast].each(p999), all[laneRedis].each(p999)), 1, false)
	return nil
}

// collectorShare says how much of the daemon's CPU time since its start, the load and one window included, went to its collector.
func (b *bench) collectorShare(s *section, h *server, cfg load.Config, what string) error {
	if h == nil {
		return nil
	}
	if _, err := b.drive(lane{name: laneHoldfast, server: h, protocol: "redis"}, cfg, b.pinned.generator); err != nil {
		return err
	}
	g := goal{What: "collector's share of the CPU, " + what, Limit: 1, Unit: " %"}
	spent, err := load.ProcessCPU(h.pid())
	if err != nil {
		return err
	}
	collector, err := h.collectorSeconds()
	if err != nil {
		return err
	}
	g.Measured = 100 * collector / spent
	s.Goals = append(s.Goals, g)
	return nil
}

// millions names a count of entries.
func millions(n int) string { return fmt.Sprintf("%g M entries", float64(n)/1e6) }
