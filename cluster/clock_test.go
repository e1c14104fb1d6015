package cluster

import (
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	wall := time.Unix(1_700_000_000, 0)
	c := newClock(func() time.Time { return wall }, 0)
	at := func(mono time.Duration) int64 { return int64(mono) + c.offset.Load() }
	start := at(0)
	if start != wall.UnixNano() {
		t.Fatalf("it begins at %d", start)
	}
	step := func(mono, ahead time.Duration) time.Duration { // the wall clock is ahead of where it should be
		return c.adjust(int64(mono), wall.Add(mono+ahead).UnixNano())
	}
	for i := range 100 {
		if j := step(time.Duration(i)*tick, 0); j != 0 {
			t.Fatalf("an even clock jumped by %s", j)
		}
	}
	if got := at(time.Second) - start; got != int64(time.Second) {
		t.Errorf("a second took %d ns", got)
	}
	// Set back by an hour: it goes on, a little slower.
	for i := range 1000 {
		before := at(time.Second + time.Duration(i)*tick)
		step(time.Second+time.Duration(i+1)*tick, -time.Hour)
		if after := at(time.Second + time.Duration(i+1)*tick); after <= before {
			t.Fatalf("it went back by %d ns", before-after)
		}
	}
	if late := int64(11*time.Second) - (at(11*time.Second) - start); late < int64(49*time.Millisecond) || late > int64(51*time.Millisecond) {
		t.Errorf("in 10 s it fell back by %s", time.Duration(late))
	}
	// Set forward: it follows, and says so.
	if j := step(11*time.Second, time.Hour); j < time.Hour || at(11*time.Second) != wall.Add(11*time.Second+time.Hour).UnixNano() {
		t.Errorf("set forward by an hour it jumped by %s", j)
	}
}

func TestClockBeginsBehindState(t *testing.T) {
	wall := time.Unix(1_700_000_000, 0)
	stamp := wall.Add(time.Minute).UnixNano()
	if got := newClock(func() time.Time { return wall }, stamp).now(); got < stamp {
		t.Errorf("it begins %s before the newest stamp", time.Duration(stamp-got))
	}
}

// A lifetime is kept when the wall clock is set back meanwhile.
func TestExpiryWithClockSetBack(t *testing.T) {
	begin := time.Now()
	n := start(t, Config{Durability: Memory, Wall: func() time.Time {
		if time.Since(begin) > 20*time.Millisecond {
			return time.Now().Add(-time.Hour)
		}
		return time.Now()
	}})
	w := newWorker(n)
	written := time.Now()
	w.write(setIn("a", "1", 100))
	for {
		if _, ok := w.get(t, "a"); !ok {
			break
		}
		if time.Since(written) > 5*time.Second {
			t.Fatal("it does not end")
		}
		time.Sleep(time.Millisecond)
	}
	if lived := time.Since(written); lived < 98*time.Millisecond {
		t.Errorf("it lived for %s", lived)
	}
}

// Mono never runs backwards, and runs as the clock that nobody slews.
func TestMono(t *testing.T) {
	c := newClock(nil, 0)
	first, _, _ := c.moment()
	begin := unslewed(c.mono())
	last := first.Mono
	for i := range 20000 {
		now, mono, _ := c.moment()
		if i%3 == 0 {
			now = c.instant()
		}
		if now.Mono < last {
			t.Fatalf("Mono went back by %d ns at %d", last-now.Mono, mono)
		}
		last = now.Mono
		if i%5000 == 0 {
			c.lookAsleep(time.Now())
			time.Sleep(30 * time.Millisecond)
		}
	}
	if took, mono := unslewed(c.mono())-begin, last-first.Mono; took-mono > 5e6 || mono-took > 5e6 {
		t.Errorf("in %d ns Mono went on by %d", took, mono)
	}
}
