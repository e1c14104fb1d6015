//go:build linux

package main

import (
	"fmt"
	"strings"
	"time"

	"holdfast/bench/load"
)

// snapshotWindows is how many windows are watched. Holdfast takes a snapshot when the log has grown by half of the state; scale.save
// is long enough for that at openRate.
const snapshotWindows = 2

func (b *bench) snapshots(s *section) error {
	entries := b.scale.state / sessionValue
	s.Title = "Snapshots and restart"
	s.intro("%d entries of %d bytes (%d MiB of values), open loop of %d SETs a second, %d windows of %s. Holdfast with `durability second` takes a "+
		"snapshot when its log has grown by half of the state, redis (append-only file, everysec) is told to BGSAVE in every window. Then the process "+
		"is killed with -9 and started again: until it is ready and answers.",
		entries, sessionValue, b.scale.state>>20, openRate, snapshotWindows, b.scale.save)
	redis, err := b.startRedis("redis-server", b.pinned.server, redisMode{appendOnly: true})
	if err != nil {
		return err
	}
	lanes := []lane{{name: laneRedis, server: redis, protocol: "redis", during: func(r *server) {
		time.Sleep(b.scale.warm + b.scale.save/4)
		if c, err := dialRedis(r.redis); err == nil {
			c.do("BGSAVE")
			c.close()
		}
	}}}
	holdfast, err := b.startHoldfast("second", b.pinned.server, "--snapshot-log", "1MiB")
	if err != nil {
		return err
	}
	lanes = append(lanes, lane{name: laneSecond, server: holdfast, protocol: "redis"})
	t := table{Head: []string{"", "p99 us", "p99.9 us", "longest ms, per window", "windows with a snapshot", "ready after kill -9, s"}}
	for _, l := range lanes {
		if l.server == nil {
			continue
		}
		if err := b.snapshotsOf(s, l, entries, &t); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		b.discard(l.server)
	}
	s.Tables = append(s.Tables, t)
	return nil
}

func (b *bench) snapshotsOf(s *section, l lane, entries int, t *table) error {
	if _, err := b.fill(l, entries, sessionValue, 0, b.pinned); err != nil {
		return err
	}
	cfg := load.Config{Conns: 50, Depth: 1, Threads: 1, Rate: openRate, Keys: entries, Value: sessionValue, Sets: 10, Warm: b.scale.warm, Measure: b.scale.save}
	var all runs
	var waits []string
	taken := 0
	for range snapshotWindows {
		before, err := lastSave(l.server)
		if err != nil {
			return err
		}
		res, err := b.drive(l, cfg, b.pinned.generator)
		if err != nil {
			return err
		}
		after, err := lastSave(l.server)
		if err != nil {
			return err
		}
		if after != before {
			taken++
		}
		all = append(all, res)
		waits = append(waits, number(res.Max/1e3))
	}
	ready, err := restart(l.server, entries)
	if err != nil {
		return err
	}
	t.row(l.name, number(median(all.each(p99))), number(median(all.each(p999))), strings.Join(waits, ", "), fmt.Sprint(taken), number(ready.Seconds()))
	if l.name == laneSecond {
		g := goal{What: "longest request while a snapshot is taken", Limit: 20, Unit: " ms", Measured: median(all.each(longest)) / 1e3, Range: strings.Join(waits, ", ")}
		if taken < snapshotWindows {
			g.Missing = "a window had no snapshot"
		}
		s.Goals = append(s.Goals, g)
	}
	return nil
}

// restart kills the server and returns how long it takes until it serves its entries again. Losing one is an error.
func restart(s *server, entries int) (time.Duration, error) {
	s.kill()
	started := time.Now()
	if err := s.start(); err != nil {
		return 0, err
	}
	took := time.Since(started)
	c, err := dialRedis(s.redis)
	if err != nil {
		return 0, err
	}
	defer c.close()
	size, err := c.do("DBSIZE")
	if err == nil && size != fmt.Sprint(entries) {
		err = fmt.Errorf("%s entries after kill -9 and a restart, %d before", size, entries)
	}
	return took, err
}

// lastSave is when the server's newest snapshot was finished, in Unix seconds as LASTSAVE says.
func lastSave(s *server) (string, error) {
	c, err := dialRedis(s.redis)
	if err != nil {
		return "", err
	}
	defer c.close()
	return c.do("LASTSAVE")
}
