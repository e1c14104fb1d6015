//go:build linux

package main

import (
	"errors"
	"fmt"
	"log"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/bench/load"
)

// idleClients are connected to a group and say nothing.
const idleClients = 10_000

// groupIdle measures what three members cost that nobody asks anything.
func (b *bench) groupIdle(s *section) error {
	s.Title = "An idle group"
	s.intro("CPU of all three members together, in percent of one processor, over %s; then the same with %d clients that have said PING and nothing more, spread over "+
		"the members.", b.scale.idle, idleClients)
	t := table{Head: []string{"", "no clients", fmt.Sprintf("%d clients", idleClients)}}
	for _, peer := range []struct {
		name  string
		start func() (*group, error)
		goal  float64
	}{
		{"redis with two replicas and three sentinels", func() (*group, error) { return b.startRedisGroup(true) }, 0},
		{"etcd", b.startEtcd, 0},
		{"holdfast, second", func() (*group, error) { return b.startHoldfastGroup("second") }, 10},
	} {
		g, err := peer.start()
		if err != nil {
			return err
		}
		if g == nil {
			continue
		}
		alone, crowded, err := b.idleGroup(g)
		b.endGroup(g)
		if err != nil {
			return fmt.Errorf("%s: %w", peer.name, err)
		}
		log.Printf("  idle %s: %.2f %%, with clients %.2f %%", peer.name, alone, crowded)
		with := "-"
		if crowded > 0 {
			with = number(crowded)
		}
		t.row(peer.name, number(alone), with)
		if peer.goal > 0 {
			s.Goals = append(s.Goals,
				goal{What: "CPU of three idle members", Limit: peer.goal, Unit: " %", Measured: alone},
				goal{What: fmt.Sprintf("CPU of three idle members with %d idle clients", idleClients), Limit: peer.goal, Unit: " %", Measured: crowded})
		}
	}
	s.Tables = append(s.Tables, t)
	return nil
}

func (b *bench) idleGroup(g *group) (alone, crowded float64, err error) {
	if alone, err = b.groupCPU(g); err != nil || g.members[0].redis == "" {
		return alone, 0, err
	}
	clients, err := connectIdle(g, idleClients)
	defer func() {
		for _, c := range clients {
			c.close()
		}
	}()
	if err != nil {
		return alone, 0, err
	}
	crowded, err = b.groupCPU(g)
	return alone, crowded, err
}

// groupCPU is the share of a processor that all processes of a group use.
func (b *bench) groupCPU(g *group) (percent float64, err error) {
	quiet(2 * time.Second)
	sum := func() (all float64) {
		for _, s := range g.all() {
			for _, pid := range append(s.children(), s.pid()) {
				used, e := load.ProcessCPU(pid)
				all, err = all+used, errors.Join(err, e)
			}
		}
		return all
	}
	before := sum()
	time.Sleep(b.scale.idle)
	return 100 * (sum() - before) / b.scale.idle.Seconds(), err
}

// connectIdle has n clients say PING, evenly among the members.
func connectIdle(g *group, n int) (clients []*redisConn, err error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil, err
	}
	if limit.Cur < uint64(n)+200 {
		return nil, fmt.Errorf("%d files may be open here, too few for %d clients", limit.Cur, n)
	}
	for i := range n {
		c, err := dialRedis(g.members[i%groupSize].redis)
		if err != nil {
			return clients, fmt.Errorf("client %d: %w", i, err)
		}
		clients = append(clients, c)
		if _, err := c.do("PING"); err != nil {
			return clients, fmt.Errorf("client %d: %w", i, err)
		}
	}
	return clients, nil
}
