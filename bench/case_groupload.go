//go:build linux

package main

import (
	"fmt"
	"log"
	"slices"
	"strings"

	"holdfast/bench/load"
)

// Lanes of groups. Each ends in whom is asked.
const (
	laneOne         = "holdfast alone, second"
	laneReplicas    = "redis with two replicas, WAIT 2"
	laneEtcd        = "etcd, leader"
	laneEtcdOther   = "etcd, follower"
	atLeader        = ", leader"
	atFollower      = ", follower"
	atOtherFollower = ", other follower"
)

func holdfastLane(durability, at string) string { return "holdfast, " + durability + at }

// groupKeys is few enough for etcd to be filled in seconds.
const groupKeys = 20_000

// groupRate is the open loop's requests a second, which leaves three members and the generator room on two processors. Etcd cannot follow.
const groupRate = 10_000

// groupConns are the numbers of connections that groups are asked over. The goals are for the middle one.
var groupConns = []int{1, 64, 256}

// fleet is something that is started, measured and ended once in every round: what idles beside the measured would cost as much as it
// measures. Nil lanes: it is not here.
type fleet func() (lanes []lane, end func(), err error)

// inTurn runs every fleet once in a round and sends every load to all its lanes. Results are by load, then by lane.
func (b *bench) inTurn(what string, fleets []fleet, loads []load.Config) ([]map[string]runs, error) {
	all := make([]map[string]runs, len(loads))
	for i := range all {
		all[i] = map[string]runs{}
	}
	fleets = slices.Clone(fleets)
	for round := range b.scale.rounds {
		for _, f := range fleets {
			if err := b.round(fmt.Sprintf("%s %d/%d", what, round+1, b.scale.rounds), f, loads, all); err != nil {
				return nil, err
			}
		}
		slices.Reverse(fleets)
	}
	return all, nil
}

func (b *bench) round(what string, f fleet, loads []load.Config, all []map[string]runs) error {
	lanes, end, err := f()
	if err != nil || len(lanes) == 0 {
		return err
	}
	defer end()
	if _, err := b.fill(lanes[0], groupKeys, sessionValue, 0, b.loose); err != nil {
		return err
	}
	for i, cfg := range loads {
		for _, l := range lanes {
			if cfg.Rate > 0 && l.protocol == "etcd" {
				continue
			}
			res, err := b.drive(l, cfg, b.loose.generator)
			if err != nil {
				return err
			}
			all[i][l.name] = append(all[i][l.name], res)
			log.Printf("  %s, %3d connections, %-44s %8.0f/s  p50 %6.0f us  p99 %7.0f us  servers %.2f generator %.2f others %.2f", what, cfg.Conns,
				l.name, res.RPS, res.P50, res.P99, res.ServerCores, res.GeneratorCores, res.OtherCores)
		}
	}
	return nil
}

// holdfastFleet is a group, asked at its leader and at one or both followers.
func (b *bench) holdfastFleet(durability string, followers int) fleet {
	return func() ([]lane, func(), error) {
		g, err := b.startHoldfastGroup(durability)
		if g == nil || err != nil {
			return nil, nil, err
		}
		leader, err := g.leader()
		if err != nil {
			return nil, nil, err
		}
		lanes := []lane{g.lane(holdfastLane(durability, atLeader), "redis", leader)}
		for i, m := range g.others(leader)[:followers] {
			lanes = append(lanes, g.lane(holdfastLane(durability, []string{atFollower, atOtherFollower}[i]), "redis", m))
		}
		return lanes, func() { b.endGroup(g) }, nil
	}
}

func (b *bench) redisFleet() ([]lane, func(), error) {
	g, err := b.startRedisGroup(false)
	if g == nil || err != nil {
		return nil, nil, err
	}
	waiting := g.lane(laneReplicas, "redis", g.members[0])
	waiting.wait = groupSize - 1
	return []lane{waiting}, func() { b.endGroup(g) }, nil
}

func (b *bench) etcdFleet() ([]lane, func(), error) {
	g, err := b.startEtcd()
	if g == nil || err != nil {
		return nil, nil, err
	}
	leader, err := g.leader()
	if err != nil {
		return nil, nil, err
	}
	lanes := []lane{g.lane(laneEtcd, "etcd", leader), g.lane(laneEtcdOther, "etcd", g.others(leader)[0])}
	return lanes, func() { b.endGroup(g) }, nil
}

func (b *bench) aloneFleet() ([]lane, func(), error) {
	s, err := b.startHoldfast("second", b.loose.server)
	if s == nil || err != nil {
		return nil, nil, err
	}
	return []lane{{name: laneOne, server: s, protocol: "redis"}}, func() { b.discard(s) }, nil
}

// groupLoads is the same load over each number of connections.
func (b *bench) groupLoads(sets int) (loads []load.Config) {
	for _, conns := range groupConns {
		cfg := b.sessions(conns, 1, 1)
		cfg.Keys, cfg.Sets, cfg.Measure = groupKeys, sets, b.scale.group
		loads = append(loads, cfg)
	}
	return loads
}

func (b *bench) groupWrites(s *section) error {
	s.Title = "Writes of a group"
	s.intro("SET of %d bytes, closed loop, one request in flight on a connection; three members, the generator and nothing else share the processors. "+
		"Of redis, one that keeps nothing on disk: each client sends SET and WAIT 2 0 in one write and waits for both answers. Sentinels change nothing "+
		"here. Etcd is asked in gRPC, every client on a connection of its own, and has its defaults: it fsyncs. Every store is started anew in each round.", sessionValue)
	fleets := []fleet{b.redisFleet, b.holdfastFleet("memory", 1), b.holdfastFleet("second", 1), b.holdfastFleet("always", 1), b.etcdFleet}
	all, err := b.inTurn("writes", fleets, b.groupLoads(10))
	if err != nil {
		return err
	}
	memory, second, always := holdfastLane("memory", atLeader), holdfastLane("second", atLeader), holdfastLane("always", atLeader)
	memoryFollower, secondFollower, alwaysFollower := holdfastLane("memory", atFollower), holdfastLane("second", atFollower), holdfastLane("always", atFollower)
	for i, conns := range groupConns {
		of := func(a, z string) ratio { return ratioOf(all[i][a].each(throughput), all[i][z].each(throughput)) }
		t := table{Caption: connections(conns) + ", requests a second:", Head: []string{"", "of redis with WAIT 2", "of etcd"}}
		for _, l := range []string{memory, memoryFollower, second, secondFollower, always, alwaysFollower} {
			t.row(l, of(l, laneReplicas).String(), of(l, laneEtcd).String())
		}
		s.Tables = append(s.Tables, t)
		s.groupResults(connections(conns), all[i], []string{laneReplicas, memory, memoryFollower, second, secondFollower, always, alwaysFollower, laneEtcd, laneEtcdOther})
		if conns != 64 {
			continue
		}
		s.ratioGoal("SETs of redis with WAIT 2, at the leader, memory", of(memory, laneReplicas), 1.3, true)
		s.ratioGoal("SETs of redis with WAIT 2, at a follower, memory", of(memoryFollower, laneReplicas), 1, true)
		s.ratioGoal("SETs of etcd's puts, second", of(second, laneEtcd), 10, true)
		s.ratioGoal("SETs of etcd's puts, always", of(always, laneEtcd), 2.5, true)
	}
	lone := all[0][secondFollower]
	g := goal{What: "a lone SET at a follower of an idle group, p50, second", Limit: 0.6, Unit: " ms", Measured: median(lone.each(p50)) / 1e3}
	if len(lone) == 0 {
		g.Missing = "holdfast is left out"
	}
	s.Goals = append(s.Goals, g)
	return nil
}

func (b *bench) groupReads(s *section) error {
	s.Title = "Reads of a group"
	s.intro("9 GETs to a SET, %d keys of %d bytes; every member of a group of three is asked in turn, and so is the same binary as a group "+
		"of one. All reads are linearizable: Holdfast's by leases, from the memory of the member that is asked, etcd's as it does them when nothing is said. "+
		"In the closed loop every processor is busy, and here one write in ten costs three members what it costs one: what the member that is asked "+
		"spends itself, as it would on a machine of its own, is the last column. In the open loop, %d requests a second arriving at random, there is room.",
		groupKeys, sessionValue, groupRate)
	loads := b.groupLoads(1)
	open := loads[1]
	open.Rate = groupRate
	fleets := []fleet{b.aloneFleet, b.holdfastFleet("second", 2), b.etcdFleet}
	all, err := b.inTurn("reads", fleets, append(loads, open))
	if err != nil {
		return err
	}
	captions := append(connectionsOf(groupConns), fmt.Sprintf("%d connections, open loop", open.Conns))
	members := []string{holdfastLane("second", atLeader), holdfastLane("second", atFollower), holdfastLane("second", atOtherFollower)}
	for i, what := range captions {
		of := func(figure func(load.Result) float64, a, z string) ratio {
			return ratioOf(all[i][a].each(figure), all[i][z].each(figure))
		}
		t := table{Caption: what + ":", Head: []string{"", "requests of a group of one", "p50 of GETs of a group of one", "requests of etcd", "CPU of the member asked, of a group of one"}}
		for _, l := range members {
			t.row(l, of(throughput, l, laneOne).String(), of(readP50, l, laneOne).String(), of(throughput, l, laneEtcd).String(), of(askedCPU, l, laneOne).String())
		}
		s.Tables = append(s.Tables, t)
		s.groupResults(what, all[i], append([]string{laneOne}, append(members, laneEtcd, laneEtcdOther)...))
		for _, l := range members {
			at := l[strings.LastIndex(l, ", ")+2:]
			switch i {
			case 1:
				s.ratioGoal("GETs of a group of one, one write in ten, at the "+at, of(throughput, l, laneOne), 0.9, true)
				s.ratioGoal("p50 of GETs of a group of one, closed loop, at the "+at, of(readP50, l, laneOne), 1.1, false)
				s.ratioGoal("GETs of etcd, one write in ten, at the "+at, of(throughput, l, laneEtcd), 10, true)
			case 3:
				s.ratioGoal("p50 of GETs of a group of one, open loop, at the "+at, of(readP50, l, laneOne), 1.1, false)
			}
		}
	}
	return nil
}

func connectionsOf(all []int) (names []string) {
	for _, n := range all {
		names = append(names, connections(n))
	}
	return names
}

// groupResults adds a table with the medians of every lane.
func (s *section) groupResults(caption string, all map[string]runs, lanes []string) {
	t := table{Caption: caption + ":", Head: []string{"", "requests/s", "p50 us", "p99 us", "p50 us of GETs", "cores used", "CPU s per million, all members", "the member asked"}}
	for _, l := range lanes {
		r := all[l]
		if len(r) == 0 {
			continue
		}
		m := func(f func(load.Result) float64) string { return number(median(r.each(f))) }
		t.row(l, m(throughput), m(p50), m(p99), m(readP50), m(func(r load.Result) float64 { return r.ServerCores }), m(cpu), m(askedCPU))
	}
	s.Tables = append(s.Tables, t)
}
