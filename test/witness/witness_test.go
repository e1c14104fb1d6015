//go:build linux

package witness

import (
	"math"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// A witness that notices nothing would be worse than none: each is shown what it must notice, and what it must not.

func TestCounterNotices(t *testing.T) {
	for _, one := range []struct {
		name        string
		results     [2][]uint64
		open        int
		value       uint64
		twice, lost int
		faults      int
	}{
		{"all is well", [2][]uint64{{1, 3}, {2}}, 0, 3, 0, 0, 0},
		{"an open one was carried out", [2][]uint64{{1, 3}, {2}}, 1, 4, 0, 0, 0},
		{"an open one was not", [2][]uint64{{1, 3}, {2}}, 1, 3, 0, 0, 0},
		{"a result comes twice", [2][]uint64{{1, 2}, {2}}, 0, 3, 1, 0, 1},
		{"one was applied twice", [2][]uint64{{1, 4}, {2}}, 0, 4, 1, 0, 1},
		{"one is lost", [2][]uint64{{1, 3}, {2}}, 1, 2, 0, 1, 1},
	} {
		k := &counter{}
		for _, results := range one.results {
			k.join().results = results
		}
		k.all[0].open = one.open
		count, faults := k.sum()
		faults = append(faults, count.judge(one.value)...)
		if count.Twice != one.twice || count.Lost != one.lost || len(faults) != one.faults {
			t.Errorf("%s: %+v %q", one.name, count, faults)
		}
	}
}

func TestRegistersNotice(t *testing.T) {
	set := func(value string, from, to int64) porcupine.Operation {
		return porcupine.Operation{Input: access{true, value}, Call: from, Output: value, Return: to}
	}
	get := func(value string, from, to int64) porcupine.Operation {
		return porcupine.Operation{Input: access{false, value}, Call: from, Output: value, Return: to}
	}
	for _, one := range []struct {
		name    string
		history []porcupine.Operation
		wrong   bool
	}{
		{"all is well", []porcupine.Operation{get("", 0, 1), set("a", 2, 3), get("a", 4, 5)}, false},
		{"at the same time", []porcupine.Operation{set("a", 0, 9), get("", 1, 2), get("a", 3, 4)}, false},
		{"a stale read", []porcupine.Operation{set("a", 0, 1), set("b", 2, 3), get("a", 4, 5)}, true},
		{"a write that came undone", []porcupine.Operation{set("a", 0, 9), get("a", 1, 2), get("", 3, 4)}, true},
		{"an open write", []porcupine.Operation{set("a", 0, math.MaxInt64), set("b", 2, 3), get("b", 4, 5), get("a", 6, 7)}, false},
	} {
		r := &registry{}
		r.join().history["k"] = one.history
		if _, wrong, undecided := r.check(); len(wrong) > 0 != one.wrong || len(undecided) > 0 {
			t.Errorf("%s: wrong %v, undecided %v", one.name, wrong, undecided)
		}
	}
}

func TestLockNotices(t *testing.T) {
	l := &lock{}
	a, b := l.join(), l.join()
	a.spans = []span{{1, 5, 0}, {10, 15, 0}}
	b.spans = []span{{5, 9, 1}, {16, 20, 1}}
	if times, faults := l.check(); times != 4 || len(faults) > 0 {
		t.Errorf("held %d times, %q", times, faults)
	}
	b.spans[1].from = 14
	if _, faults := l.check(); len(faults) != 1 {
		t.Errorf("two holders: %q", faults)
	}
}

func TestSessionsNotice(t *testing.T) {
	s := &session{key: "k", saved: 3, tried: 4, open: []int{2, 4}}
	for n, bad := range map[int]bool{1: true, 2: false, 3: false, 4: false, 5: true} {
		if fault := s.fault(s.text(n), true); (fault != "") != bad {
			t.Errorf("save %d: %q", n, fault)
		}
	}
	if s.fault("", false) == "" {
		t.Error("a session that is gone is no fault")
	}
}

func TestLook(t *testing.T) {
	const second = time.Second
	c := &Crew{Clients: []*Client{
		{Member: 0, acks: []time.Duration{1 * second, 2 * second, 8 * second, 9 * second}},
		{Member: 1, acks: []time.Duration{1 * second, 5 * second, 9 * second}, waits: []Wait{{From: 5 * second, To: 8 * second}},
			troubles: []Trouble{{At: 3 * second, To: 4 * second, What: "oh"}}},
	}}
	all := func(*Client) bool { return true }
	first := func(one *Client) bool { return one.Member == 0 }
	for _, one := range []struct {
		name           string
		from, to       time.Duration
		which          func(*Client) bool
		gap, wait, ack time.Duration
		errors         int
	}{
		{"everything", 0, 10 * second, all, 3 * second, 3 * second, 1 * second, 1},
		{"one of them", 0, 10 * second, first, 6 * second, 0, 1 * second, 0},
		{"a gap from before to after", 3 * second, 4 * second, first, 6 * second, 0, 0, 0},
		{"the end of a gap", 6 * second, 7 * second, all, 3 * second, 3 * second, 0, 0},
		{"a gap that has not ended", 9 * second, 14 * second, all, 5 * second, 0, 9 * second, 0},
	} {
		a := c.Look(one.from, one.to, one.which)
		if a.Gap != one.gap || a.Wait != one.wait || a.Failures() != one.errors || a.FirstAck != one.ack {
			t.Errorf("%s: %+v", one.name, a)
		}
	}
}
