//go:build linux

package main

import (
	"fmt"
	"log"
	"slices"
	"strconv"
	"time"

	"holdfast/bench/load"
)

// Expiry is watched on keys whose deadlines are spread evenly, given as absolute milliseconds (PXAT): client and server share the
// machine's clock, so a reply can be judged by the client's clock just before it asked and just after it was answered.
const (
	expiryLead   = 3 * time.Second      // from storing the first key to the first deadline
	expirySpread = 4 * time.Second      // from the first deadline to the last
	watched      = 500                  // keys that are polled until they are gone
	watchSpan    = 4 * time.Millisecond // polled from this long before the deadline; under half of expirySpread / watched
	idleEntries  = 1_000_000
)

func (b *bench) expiry(s *section) error {
	s.Title = "Expiry"
	s.intro("Watched keys are polled with GET from %s before their deadline until they are gone; \"early\" is how long before its deadline a key was "+
		"missing, \"late\" how long after it one was still answered, both at least, by the client's clock around each request. Reclaiming is "+
		"watched on %d other keys by DBSIZE alone, nothing touches them: how long after its deadline a key was still counted. A burst is "+
		"as many keys with one deadline: the time until all are gone.", watchSpan, b.scale.expire)
	t := table{Head: []string{"", "keys seen to die", "early, ms", "late, ms", "reclaimed late, ms", "burst gone after, ms"}}
	for _, name := range []string{laneRedis, laneHoldfast, laneSecond} {
		l, err := b.memoryLane(name)
		if err != nil {
			return err
		}
		if l.server == nil {
			continue
		}
		if err := b.expiryOf(s, l, &t); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		b.discard(l.server)
	}
	s.Tables = append(s.Tables, t)
	return b.idle(s)
}

func (b *bench) expiryOf(s *section, l lane, t *table) error {
	early, late, err := watchDeaths(l.server.redis)
	if err != nil {
		return err
	}
	reclaim, err := watchReclaim(l.server.redis, b.scale.expire, expirySpread)
	if err != nil {
		return err
	}
	burst, err := watchReclaim(l.server.redis, b.scale.expire, 0)
	if err != nil {
		return err
	}
	ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 }
	t.row(l.name, strconv.Itoa(watched), number(ms(early)), number(ms(late)), number(ms(reclaim)), number(ms(burst)))
	if l.name == laneSecond {
		s.Goals = append(s.Goals,
			goal{What: "a key was missing before its deadline", Unit: " ms", Measured: ms(early)},
			goal{What: "a key was answered after its deadline", Unit: " ms", Measured: ms(late)},
			goal{What: "reclaimed after the deadline, untouched", Limit: 20, Unit: " ms", Measured: ms(reclaim)})
	}
	return nil
}

// storeDying stores n keys with deadlines from first on, spread evenly, and returns the deadlines in order.
func storeDying(c *redisConn, n int, first time.Time, spread time.Duration) ([]time.Time, error) {
	const batch = 100
	deadlines := make([]time.Time, n)
	for i := 0; i < n; i += batch {
		end := min(n, i+batch)
		for k := i; k < end; k++ {
			ms := first.Add(spread * time.Duration(k) / time.Duration(n)).UnixMilli()
			deadlines[k] = time.UnixMilli(ms)
			if err := c.send("SET", load.Key(k), "value", "PXAT", strconv.FormatInt(ms, 10)); err != nil {
				return nil, err
			}
		}
		for range end - i {
			if _, err := c.receive(); err != nil {
				return nil, err
			}
		}
	}
	if time.Now().After(first) {
		return nil, fmt.Errorf("storing %d keys took until after the first deadline", n)
	}
	return deadlines, nil
}

// watchDeaths polls each key around its deadline.
func watchDeaths(addr string) (early, late time.Duration, err error) {
	c, err := dialRedis(addr)
	if err != nil {
		return 0, 0, err
	}
	defer c.close()
	deadlines, err := storeDying(c, watched, time.Now().Add(expiryLead/2), expirySpread)
	if err != nil {
		return 0, 0, err
	}
	for k, deadline := range deadlines {
		time.Sleep(time.Until(deadline.Add(-watchSpan)))
		for gone := false; !gone; {
			asked := time.Now().Round(0) // the wall clock, as the server reads it
			reply, err := c.do("GET", load.Key(k))
			if err != nil {
				return 0, 0, err
			}
			answered := time.Now().Round(0)
			if gone = reply == missing; gone {
				early = max(early, deadline.Sub(answered))
			} else {
				late = max(late, asked.Sub(deadline))
			}
		}
	}
	return early, late, nil
}

// watchReclaim counts keys while they die and returns how long after its deadline one was still counted.
func watchReclaim(addr string, n int, spread time.Duration) (late time.Duration, err error) {
	c, err := dialRedis(addr)
	if err != nil {
		return 0, err
	}
	defer c.close()
	deadlines, err := storeDying(c, n, time.Now().Add(expiryLead), spread)
	if err != nil {
		return 0, err
	}
	time.Sleep(time.Until(deadlines[0].Add(-10 * time.Millisecond)))
	for giveUp := deadlines[n-1].Add(startLimit); ; time.Sleep(500 * time.Microsecond) {
		asked := time.Now().Round(0)
		reply, err := c.do("DBSIZE")
		if err != nil {
			return 0, err
		}
		left, err := strconv.Atoi(reply)
		if err != nil || left > n {
			return 0, fmt.Errorf("DBSIZE answered %s while at most %d keys were there", reply, n)
		}
		if left == 0 {
			return late, nil
		}
		late = max(late, asked.Sub(deadlines[n-left])) // the earliest deadline that may still be counted
		if asked.After(giveUp) {
			log.Printf("  %d of %d dead keys are still there after %s", left, n, startLimit)
			return late, nil
		}
	}
}

// idle measures what a million far deadlines cost a server that is not asked anything.
func (b *bench) idle(s *section) error {
	t := table{Caption: "Idle, in percent of a processor:", Head: []string{"", "empty", "1 M keys with far deadlines", "difference"}}
	for _, name := range []string{laneRedis, laneHoldfast, laneSecond} {
		l, err := b.memoryLane(name)
		if err != nil {
			return err
		}
		if l.server == nil {
			continue
		}
		empty, err := b.idleCPU(l.server)
		if err != nil {
			return err
		}
		if _, err := b.fill(l, idleEntries, entryValue, 0, b.loose); err != nil {
			return err
		}
		loaded, err := b.idleCPU(l.server)
		if err != nil {
			return err
		}
		t.row(name, percent(empty), percent(loaded), percent(loaded-empty))
		if name == laneSecond {
			s.Goals = append(s.Goals, goal{What: "CPU of a million deadlines, idle", Limit: 0.1, Unit: " %", Measured: max(0, loaded-empty)})
		}
		b.discard(l.server)
	}
	s.Tables = append(s.Tables, t)
	return nil
}

func percent(v float64) string { return fmt.Sprintf("%.3f", v) }

// idleCPU is the share of a processor that s uses while nobody asks it anything: the median of three spans.
func (b *bench) idleCPU(s *server) (float64, error) {
	quiet(2 * time.Second)
	var shares []float64
	for range 3 {
		before, err := load.ProcessCPU(s.pid())
		if err != nil {
			return 0, err
		}
		time.Sleep(b.scale.idle / 3)
		after, err := load.ProcessCPU(s.pid())
		if err != nil {
			return 0, err
		}
		shares = append(shares, 100*(after-before)/(b.scale.idle/3).Seconds())
	}
	slices.Sort(shares)
	return shares[1], nil
}
