//go:build linux

package main

import (
	"time"

	"holdfast/bench/load"
)

// overwrites is how often everything is overwritten.
const overwrites = 3

func (b *bench) memory(s *section) error {
	s.Title = "Memory"
	s.intro("Resident memory of the whole process divided by its entries (%d + %d bytes, with a deadline): after loading them in random order, after "+
		"overwriting all %d times in random order, and after overwriting all twice more with values of half to one and a half times the size.",
		load.KeySize, entryValue, overwrites)
	for i, n := range b.scale.entries {
		if err := b.memoryAt(s, n, i == 0); err != nil {
			return err
		}
	}
	return nil
}

// memoryAt loads each server in turn with n entries; thorough overwrites them too.
func (b *bench) memoryAt(s *section, n int, thorough bool) error {
	t := table{Caption: millions(n) + ", bytes per entry:", Head: []string{"", "after load", "after overwriting", "after other sizes", "stored/s at load"}}
	loaded := map[string]float64{}
	for _, name := range []string{laneRedis, laneValkey, laneMemcached, laneHoldfast, laneSecond} {
		l, err := b.memoryLane(name)
		if err != nil {
			return err
		}
		if l.server == nil {
			continue
		}
		speed, err := b.fill(l, n, entryValue, 0, b.loose)
		if err != nil {
			return err
		}
		first, err := l.perEntry(n)
		if err != nil {
			return err
		}
		loaded[name] = first
		then, other := "-", "-"
		if thorough {
			after, varied, err := b.overwrite(l, n)
			if err != nil {
				return err
			}
			then, other = number(after), number(varied)
			if name == laneHoldfast {
				s.ratioGoal("bytes per entry of its own after overwriting everything, "+millions(n), single(after, first), 1.05, false)
			}
		}
		t.row(name, number(first), then, other, number(speed))
		b.discard(l.server)
	}
	s.Tables = append(s.Tables, t)
	s.ratioGoal("bytes per entry of memcached, "+millions(n), single(loaded[laneHoldfast], loaded[laneMemcached]), 0.95, false)
	s.ratioGoal("bytes per entry of redis, "+millions(n), single(loaded[laneHoldfast], loaded[laneRedis]), 0.8, false)
	return nil
}

func (b *bench) memoryLane(name string) (l lane, err error) {
	l = lane{name: name, protocol: "redis"}
	switch name {
	case laneRedis, laneValkey:
		l.server, err = b.startRedis(name+"-server", b.loose.server, redisMode{})
	case laneMemcached:
		l.protocol = "memcache"
		l.server, err = b.startMemcached(b.loose.server)
	case laneHoldfast:
		l.server, err = b.startHoldfast("memory", b.loose.server)
	case laneSecond:
		l.server, err = b.startHoldfast("second", b.loose.server)
	}
	return l, err
}

func (l lane) perEntry(n int) (float64, error) {
	quiet(2 * time.Second)
	bytes, err := l.server.rss()
	return bytes / float64(n), err
}

// overwrite returns the bytes per entry after overwriting all with the same size, and after doing so with other sizes.
func (b *bench) overwrite(l lane, n int) (same, varied float64, err error) {
	for range overwrites {
		if _, err := b.fill(l, n, entryValue, 0, b.loose); err != nil {
			return 0, 0, err
		}
	}
	if same, err = l.perEntry(n); err != nil {
		return 0, 0, err
	}
	for range 2 {
		if _, err := b.fill(l, n, entryValue/2, entryValue*3/2, b.loose); err != nil {
			return 0, 0, err
		}
	}
	varied, err = l.perEntry(n)
	return same, varied, err
}

// single is a ratio measured once.
func single(a, z float64) ratio {
	if a == 0 || z == 0 {
		return ratio{}
	}
	return ratioOf([]float64{a}, []float64{z})
}
