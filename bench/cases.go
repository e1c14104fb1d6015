//go:build linux

package main

import (
	"fmt"
	"runtime"
	"strconv"
	"time"

	"holdfast/bench/load"
)

// benchCase is one question that the benchmark answers. Servers it leaves running are stopped after it.
type benchCase struct {
	name string
	part string // of the report
	run  func(*bench, *section) error
}

var cases = []benchCase{
	{"cpu", partOne, (*bench).cpuPerRequest},
	{"throughput", partOne, (*bench).throughputUnpinned},
	{"openloop", partOne, (*bench).openLoop},
	{"memory", partOne, (*bench).memory},
	{"expiry", partOne, (*bench).expiry},
	{"tls", partOne, (*bench).tlsCost},
	{"durable", partOne, (*bench).durableWrites},
	{"snapshot", partOne, (*bench).snapshots},
	{"writes", partGroup, (*bench).groupWrites},
	{"reads", partGroup, (*bench).groupReads},
	{"gaps", partGroup, (*bench).groupGaps},
	{"return", partGroup, (*bench).groupReturn},
	{"idle", partGroup, (*bench).groupIdle},
}

func caseNames() (names []string) {
	for _, c := range cases {
		names = append(names, c.name)
	}
	return names
}

// Lanes, as reports name them. Holdfast is compared with `memory` where the peers keep nothing on disk; `second`, its default,
// stands beside it.
const (
	laneLimit      = "C limit"
	laneValkey     = "valkey"
	laneRedis      = "redis"
	laneHoldfast   = "holdfast, memory"
	laneSecond     = "holdfast, second"
	laneHoldfastMC = "holdfast, memory, memcached port"
	laneMemcached  = "memcached"
)

// What the sessions of the closed-loop cases look like.
const (
	sessionKeys  = 100_000
	sessionValue = 1024
	entryValue   = 200 // of the cases that count entries
)

// fleet starts every server in memory, loads it with sessions, and returns a lane for each way to speak to it. Neighbours in
// the list are those that are compared.
func (b *bench) fleet(at placement) ([]lane, error) {
	redis, err1 := b.startRedis("redis-server", at.server, redisMode{})
	valkey, err2 := b.startRedis("valkey-server", at.server, redisMode{})
	memcached, err3 := b.startMemcached(at.server)
	holdfast, err4 := b.startHoldfast("memory", at.server)
	second, err5 := b.startHoldfast("second", at.server)
	for _, err := range []error{err1, err2, err3, err4, err5} {
		if err != nil {
			return nil, err
		}
	}
	lanes := []lane{
		{name: laneValkey, server: valkey, protocol: "redis"},
		{name: laneSecond, server: second, protocol: "redis"},
		{name: laneRedis, server: redis, protocol: "redis"},
		{name: laneHoldfast, server: holdfast, protocol: "redis"},
		{name: laneHoldfastMC, server: holdfast, protocol: "memcache"},
		{name: laneMemcached, server: memcached, protocol: "memcache"},
	}
	for _, l := range lanes {
		if l.server == nil {
			continue
		}
		if _, err := b.fill(l, sessionKeys, sessionValue, 0, at); err != nil {
			return nil, err
		}
	}
	return lanes, nil
}

// sessions is the closed loop of dashboards: nine reads to a write.
func (b *bench) sessions(conns, depth, threads int) load.Config {
	return load.Config{Conns: conns, Depth: depth, Threads: threads, Keys: sessionKeys, Value: sessionValue, Sets: 1,
		Warm: b.scale.warm, Measure: b.scale.measure}
}

func (b *bench) cpuPerRequest(s *section) error {
	s.Title = "CPU per request, one processor"
	s.intro("Closed loop, %d keys of %d bytes, values of %d bytes, 9 GETs to a SET with a lifetime. The server has one processor (holdfast one loop, "+
		"memcached one thread), the generator another. CPU is the server's, from its threads' schedstat.", sessionKeys, load.KeySize, sessionValue)
	lanes, err := b.fleet(b.pinned)
	if err != nil {
		return err
	}
	limit, err := b.startLimitServer(b.pinned.server, sessionValue)
	if err != nil {
		return err
	}
	lanes = append([]lane{{name: laneLimit, server: limit, protocol: "redis"}}, lanes...)
	for _, c := range []struct {
		depth                            int
		what                             string
		redis, valkey, memcached, climit float64
	}{
		{1, "50 connections", 0.75, 0.85, 0.95, 1.25},
		{16, "50 connections, 16 in flight each", 0.45, 0.6, 0.25, 0},
	} {
		all, err := b.compare("depth "+strconv.Itoa(c.depth), lanes, b.sessions(50, c.depth, 1), b.pinned)
		if err != nil {
			return err
		}
		s.results(c.what, lanes, all)
		s.ratios(c.what, all)
		of := func(a, z string) ratio { return ratioOf(all[a].each(cpu), all[z].each(cpu)) }
		s.ratioGoal("CPU per request of redis, "+c.what, of(laneHoldfast, laneRedis), c.redis, false)
		s.ratioGoal("CPU per request of valkey, "+c.what, of(laneHoldfast, laneValkey), c.valkey, false)
		s.ratioGoal("CPU per request of memcached, "+c.what, of(laneHoldfastMC, laneMemcached), c.memcached, false)
		if c.climit > 0 {
			s.ratioGoal("CPU per request of the C limit, "+c.what, of(laneHoldfast, laneLimit), c.climit, false)
		}
	}
	return nil
}

func (b *bench) throughputUnpinned(s *section) error {
	s.Title = "Throughput on two processors, nothing pinned"
	s.intro("The same load; servers (holdfast two loops, memcached four threads) and the generator's two threads share two processors.")
	lanes, err := b.fleet(b.loose)
	if err != nil {
		return err
	}
	for _, conns := range []int{10, 50, 200} {
		what := connections(conns)
		all, err := b.compare(what, lanes, b.sessions(conns, 1, 2), b.loose)
		if err != nil {
			return err
		}
		s.results(what, lanes, all)
		s.ratios(what, all)
		s.ratioGoal("throughput of redis, unpinned, "+what, ratioOf(all[laneHoldfast].each(throughput), all[laneRedis].each(throughput)), 1.1, true)
		s.ratioGoal("throughput of memcached, unpinned, "+what, ratioOf(all[laneHoldfastMC].each(throughput), all[laneMemcached].each(throughput)), 1.0, true)
	}
	return nil
}

func (b *bench) tlsCost(s *section) error {
	s.Title = "TLS, one processor"
	s.intro("The load of the first case inside TLS 1.3, 50 connections. The generator's own TLS is Go's and is not counted.")
	redis, err := b.startRedis("redis-server", b.pinned.server, redisMode{tls: true})
	if err != nil {
		return err
	}
	holdfast, err := b.startHoldfast("memory", b.pinned.server)
	if err != nil {
		return err
	}
	lanes := []lane{
		{name: laneRedis, server: redis, protocol: "redis", tls: true},
		{name: laneHoldfast, server: holdfast, protocol: "redis", tls: true},
	}
	for _, l := range lanes {
		if l.tls = false; l.server == nil {
			continue
		}
		if _, err := b.fill(l, sessionKeys, sessionValue, 0, b.pinned); err != nil {
			return err
		}
	}
	all, err := b.compare("TLS", lanes, b.sessions(50, 1, 1), b.pinned)
	if err != nil {
		return err
	}
	s.results("50 connections", lanes, all)
	s.ratioGoal("CPU per request of redis, both with TLS", ratioOf(all[laneHoldfast].each(cpu), all[laneRedis].each(cpu)), 0.75, false)
	return nil
}

func (b *bench) durableWrites(s *section) error {
	s.Title = "Writes kept on disk"
	s.intro("SET only, values of %d bytes, nothing pinned: `durability second` against `appendonly yes`, `appendfsync everysec`. Rewriting of the "+
		"append-only file and snapshots come as the defaults of each have them.", sessionValue)
	redis, err := b.startRedis("redis-server", b.loose.server, redisMode{appendOnly: true})
	if err != nil {
		return err
	}
	holdfast, err := b.startHoldfast("second", b.loose.server)
	if err != nil {
		return err
	}
	lanes := []lane{{name: laneRedis, server: redis, protocol: "redis"}, {name: laneSecond, server: holdfast, protocol: "redis"}}
	for _, conns := range []int{1, 50, 200} {
		cfg := b.sessions(conns, 1, 2)
		cfg.Sets = 10
		what := connections(conns)
		all, err := b.compare("SET, "+what, lanes, cfg, b.loose)
		if err != nil {
			return err
		}
		s.results(what, lanes, all)
		s.ratioGoal("SETs a second of redis with appendonly everysec, "+what,
			ratioOf(all[laneSecond].each(throughput), all[laneRedis].each(throughput)), 1, true)
	}
	return nil
}

// results adds a table with the medians of every lane.
func (s *section) results(caption string, lanes []lane, all map[string]runs) {
	t := table{Caption: caption + ":", Head: []string{"", "requests/s", "p50 us", "p99 us", "p99.9 us", "CPU s per million", "cores used"}}
	for _, l := range lanes {
		r := all[l.name]
		if len(r) == 0 {
			continue
		}
		m := func(f func(load.Result) float64) string { return number(median(r.each(f))) }
		t.row(l.name, m(throughput), m(p50), m(p99), m(p999), m(cpu), m(func(r load.Result) float64 { return r.ServerCores }))
	}
	s.Tables = append(s.Tables, t)
}

// ratios adds a table of holdfast against each peer, on the peer's protocol.
func (s *section) ratios(caption string, all map[string]runs) {
	t := table{Caption: caption + ", ratios:", Head: []string{"", "CPU per request", "throughput"}}
	for _, p := range [][2]string{
		{laneHoldfast, laneRedis}, {laneSecond, laneRedis}, {laneHoldfast, laneValkey}, {laneHoldfastMC, laneMemcached},
		{laneHoldfast, laneLimit}, {laneRedis, laneLimit},
	} {
		c, r := ratioOf(all[p[0]].each(cpu), all[p[1]].each(cpu)), ratioOf(all[p[0]].each(throughput), all[p[1]].each(throughput))
		if c.N > 0 {
			t.row(p[0]+" : "+p[1], c.String(), r.String())
		}
	}
	if len(t.Rows) > 0 {
		s.Tables = append(s.Tables, t)
	}
}

func connections(n int) string {
	if n == 1 {
		return "1 connection"
	}
	return strconv.Itoa(n) + " connections"
}

func (r ratio) String() string {
	if r.N == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f-%.2f)", r.Median, r.Min, r.Max)
}

// quiet lets a server finish what it does after a load, before its memory is read or its idleness watched.
func quiet(d time.Duration) {
	runtime.GC()
	time.Sleep(d)
}
