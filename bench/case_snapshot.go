//go:build linux

package main

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"holdfast/bench/load"
)

// snapshotEvery makes holdfast take snapshots often enough for every window to have one.
const (
	snapshotEvery  = 10 * time.Second
	snapshotWindow = 12 * time.Second
	snapshotRounds = 3
)

func (b *bench) snapshots(s *section) error {
	entries := b.scale.state / sessionValue
	s.Title = "Snapshots and restart"
	s.intro("%d entries of %d bytes (%d MiB of values), open loop at %d requests a second as above, %s windows: holdfast with `durability second` "+
		"takes a snapshot every %s, redis (append-only file, everysec) is told to BGSAVE. Then the process is killed with -9 and started again: "+
		"until it is ready and answers.", entries, sessionValue, b.scale.state>>20, openRate, snapshotWindow, snapshotEvery)
	redis, err := b.startRedis("redis-server", b.pinned.server, redisMode{appendOnly: true})
	if err != nil {
		return err
	}
	lanes := []lane{{name: laneRedis, server: redis, protocol: "redis", during: func(r *server) {
		time.Sleep(b.scale.warm + snapshotWindow/4)
		if c, err := dialRedis(r.redis); err == nil {
			c.do("BGSAVE")
			c.close()
		}
	}}}
	holdfast, err := b.startHoldfast("second", b.pinned.server, "--snapshot-every", snapshotEvery.String())
	if err != nil {
		return err
	}
	lanes = append(lanes, lane{name: laneSecond, server: holdfast, protocol: "redis"})
	t := table{Head: []string{"", "p99 us", "p99.9 us", "longest ms, per window", "snapshots", "ready after kill -9, s"}}
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
	cfg := load.Config{Conns: 50, Depth: 1, Threads: 1, Rate: openRate, Keys: entries, Value: sessionValue, Sets: 1, Warm: b.scale.warm, Measure: snapshotWindow}
	var all runs
	var waits []string
	taken := 0
	for range snapshotRounds {
		before := snapshotFiles(l.server.data)
		res, err := b.drive(l, cfg, b.pinned.generator)
		if err != nil {
			return err
		}
		for name, at := range snapshotFiles(l.server.data) {
			if before[name] != at {
				taken++
			}
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
		if taken == 0 {
			g.Missing = "no snapshot was taken"
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

// snapshotFiles lists what looks like a snapshot under dir, with the time of its last change.
func snapshotFiles(dir string) map[string]time.Time {
	files := map[string]time.Time{}
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if name := filepath.Base(path); err == nil && !d.IsDir() && (strings.Contains(name, "snap") || strings.HasSuffix(name, ".rdb")) {
			if i, err := d.Info(); err == nil {
				files[path] = i.ModTime()
			}
		}
		return nil
	})
	return files
}
