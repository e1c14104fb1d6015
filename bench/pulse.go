//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"holdfast/bench/load"
)

// A pulse is some clients that write at a steady pace and note when each write was acknowledged: what happens to them while a group is
// disturbed. Every client has a connection of its own and one write in flight; a write counts from the instant at which it was due.
const (
	pulseValue = 1024
	pulseKeys  = 10_000
	redialPace = 10 * time.Millisecond
	pulseLimit = 15 * time.Second // longer than any failover; a write that takes longer fails
)

type pulse struct {
	began time.Time
	stop  chan struct{}
	wg    sync.WaitGroup

	mu     sync.Mutex
	acks   map[string][]ack // by whom was asked
	errors map[string][]time.Duration
	first  error
}

// ack is an acknowledged write, in time since the pulse began.
type ack struct{ due, at time.Duration }

// source of a pulse: who is asked, and at what address at the moment.
type beat struct {
	name string
	addr func() (string, error)
}

// startPulse has clients for each beat, every one of which writes once in pace.
func startPulse(beats []beat, clients int, pace time.Duration) *pulse {
	p := &pulse{began: time.Now(), stop: make(chan struct{}), acks: map[string][]ack{}, errors: map[string][]time.Duration{}}
	for k, b := range beats {
		for i := range clients {
			first := pace * time.Duration(i) / time.Duration(clients)
			p.wg.Go(func() { p.client(b, k*clients+i, first, pace) })
		}
	}
	return p
}

// at is the address of a member that stays where it is.
func at(members ...*server) (beats []beat) {
	for _, m := range members {
		beats = append(beats, beat{m.redis, func() (string, error) { return m.redis, nil }})
	}
	return beats
}

func (p *pulse) client(b beat, number int, due, pace time.Duration) {
	var c *redisConn
	value := strings.Repeat("v", pulseValue)
	for n := number; ; n += 97 {
		select {
		case <-p.stop:
			if c != nil {
				c.close()
			}
			return
		case <-time.After(time.Until(p.began.Add(due))):
		}
		err := p.write(&c, b, load.Key(n%pulseKeys), value)
		now := time.Since(p.began)
		p.mu.Lock()
		if err == nil {
			p.acks[b.name] = append(p.acks[b.name], ack{due, now})
		} else {
			p.errors[b.name] = append(p.errors[b.name], now)
			if p.first == nil {
				p.first = fmt.Errorf("%s: %w", b.name, err)
			}
		}
		p.mu.Unlock()
		if err != nil {
			time.Sleep(redialPace)
			continue // the same write is still due
		}
		if due += pace; due < now-pace {
			due = now // what a long pause left undone is not made up for
		}
	}
}

func (p *pulse) write(c **redisConn, b beat, key, value string) (err error) {
	defer func() {
		if err != nil && *c != nil {
			(*c).close()
			*c = nil
		}
	}()
	if *c == nil {
		addr, err := b.addr()
		if err != nil {
			return err
		}
		if *c, err = dialRedis(addr); err != nil {
			return err
		}
		(*c).limit = pulseLimit
	}
	_, err = (*c).do("SET", key, value)
	return err
}

// end stops the clients.
func (p *pulse) end() {
	close(p.stop)
	p.wg.Wait()
}

// now is the time since the pulse began.
func (p *pulse) now() time.Duration { return time.Since(p.began) }

// gap is the longest time in a span without an acknowledged write at one of those asked, and how many errors their clients saw. After end.
func (p *pulse) gap(from, to time.Duration) (longest time.Duration, errors int) {
	for _, acks := range p.acks {
		longest = max(longest, longestGap(acks, from, to))
	}
	for _, all := range p.errors {
		for _, at := range all {
			if at >= from && at < to {
				errors++
			}
		}
	}
	return longest, errors
}

// longestGap is the longest time between two acknowledgements next to each other that touches the span.
func longestGap(acks []ack, from, to time.Duration) (longest time.Duration) {
	var times []time.Duration
	for _, a := range acks {
		times = append(times, a.at)
	}
	slices.Sort(times)
	last := from
	for _, t := range times {
		if t >= to {
			break
		}
		if t >= from {
			longest = max(longest, t-last)
		}
		last = t
	}
	return max(longest, to-max(last, from))
}

// latency is a quantile of the writes that were due in a span, in microseconds, and their number. After end.
func (p *pulse) latency(q float64, from, to time.Duration) (us float64, n int) {
	var h load.Histogram
	for _, acks := range p.acks {
		for _, a := range acks {
			if a.due >= from && a.due < to {
				h.Record(uint64(a.at - a.due))
			}
		}
	}
	return h.Quantile(q) / 1e3, int(h.Count())
}
