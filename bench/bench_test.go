//go:build linux

package main

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestMedianAndRatio(t *testing.T) {
	if got := median([]float64{9, 1, 5}); got != 5 {
		t.Errorf("median of three: %g", got)
	}
	if got := median([]float64{4, 1, 2, 100}); got != 3 {
		t.Errorf("median of four: %g", got)
	}
	if got := median(nil); got != 0 {
		t.Errorf("median of none: %g", got)
	}
	// The pairs count, not the medians: machine noise that hits both of a pair cancels out.
	r := ratioOf([]float64{1, 20, 3}, []float64{2, 40, 3})
	if r != (ratio{0.5, 0.5, 1, 3}) {
		t.Errorf("ratio: %+v", r)
	}
	if r := ratioOf(nil, []float64{1}); r.N != 0 {
		t.Errorf("ratio of nothing: %+v", r)
	}
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		g    goal
		want string
	}{
		{goal{Limit: 0.75, Measured: 0.7}, "met"},
		{goal{Limit: 0.75, Measured: 0.75}, "met"},
		{goal{Limit: 0.75, Measured: 0.90}, "**missed** by 20 %"},
		{goal{Limit: 1.1, AtLeast: true, Measured: 1.2}, "met"},
		{goal{Limit: 1.1, AtLeast: true, Measured: 1.1}, "met"},
		{goal{Limit: 1, AtLeast: true, Measured: 0.8}, "**missed** by 20 %"},
		{goal{Limit: 0, Measured: 3}, "**missed**"},
		{goal{Limit: 0, Measured: 0}, "met"},
		{goal{Missing: "no valkey"}, "not measured: no valkey"},
	} {
		if got := c.g.verdict(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.g, got, c.want)
		}
	}
}

func TestReportShowsGoalsAndTables(t *testing.T) {
	s := &section{Name: "x", Title: "A case", Part: partOne}
	s.intro("Said of %d.", 3)
	s.ratioGoal("speed", ratio{0.8, 0.7, 0.9, 5}, 0.75, false)
	s.ratioGoal("other", ratio{}, 1, true)
	s.Tables = append(s.Tables, table{Caption: "c:", Head: []string{"", "v"}, Rows: [][]string{{"a", "1"}}})
	var b strings.Builder
	r := report{machine: "m", sections: []*section{s}, versions: func(string) []string { return nil }}
	old := "# Benchmarks\n\n" + parts[0].mark() + "what was measured before\n" + parts[1].mark() + "and is measured anew\n"
	if err := r.write(&b, old); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| speed | at most 0.75 | 0.80 | 0.70-0.90 | **missed** by 7 % |",
		"| other | at least 1.00 | - |  | not measured: one of the two is not here |",
		parts[0].mark() + "what was measured before\n" + parts[1].mark() + "## One controller\n",
		"### A case\n\nSaid of 3.\n\nc:\n\n|  | v |\n|---|---|\n| a | 1 |",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, b.String())
		}
	}
}

func TestTraceAndStatus(t *testing.T) {
	trace := "gc 1 @0.018s 1%: 0.018+0.46+0.071 ms clock, 1+2/3/0+4 ms cpu, 4->4->0 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 2 P\nother\n" +
		"gc 2 @0.018s 1%: 0.018+0.46+0.071 ms clock, 10+20/30/0+40 ms cpu, 4->4->0 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 2 P (forced)\n"
	if v, err := collectorTrace(trace); err != nil || math.Abs(v-0.110) > 1e-9 {
		t.Errorf("collector: %g s, %v; want 0.11", v, err)
	}
	if v, err := residentBytes("Name:\tx\nVmRSS:\t    2048 kB\n"); err != nil || v != 2<<20 {
		t.Errorf("rss: %g %v", v, err)
	}
	if _, err := residentBytes("Name:\tx\n"); err == nil {
		t.Error("found a size that is not there")
	}
}

func TestLongestGap(t *testing.T) {
	ms := func(all ...int) (acks []ack) {
		for _, v := range all {
			acks = append(acks, ack{at: time.Duration(v) * time.Millisecond})
		}
		return acks
	}
	for _, c := range []struct {
		acks []ack
		want int
	}{
		{ms(90, 110, 140, 200), 60},
		{ms(140, 200, 110, 90), 60},  // clients note theirs in any order
		{ms(90, 195), 105},           // from before the span
		{ms(101, 102, 130, 250), 70}, // until its end
		{nil, 100},
		{ms(10), 100},
	} {
		if got := longestGap(c.acks, 100*time.Millisecond, 200*time.Millisecond); got != time.Duration(c.want)*time.Millisecond {
			t.Errorf("%v: %s, want %d ms", c.acks, got, c.want)
		}
	}
}

func TestPulseCountsWhatHappenedInItsSpan(t *testing.T) {
	p := &pulse{
		acks:   map[string][]ack{"a": {{10, 12}, {20, 29}, {30, 31}}, "b": {{10, 100}}},
		errors: map[string][]time.Duration{"b": {5, 15, 25}},
	}
	if _, errs := p.gap(10, 20); errs != 1 {
		t.Errorf("%d errors, want 1", errs)
	}
	if us, n := p.latency(1, 20, 40); n != 2 || us != 9e-3 {
		t.Errorf("%d writes of at most %g us, want 2 of 0.009", n, us)
	}
}
