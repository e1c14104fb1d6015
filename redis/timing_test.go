package redis

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// testClock moves by itself: every look at it takes a step.
type testClock struct{ now, step int64 }

func (c *testClock) Now() int64    { c.now += c.step; return c.now }
func (c *testClock) Second() int64 { return c.now / 1e9 }

func TestSlowLog(t *testing.T) {
	clock := &testClock{step: 1e6}
	sv := newServer(t, Config{Clock: clock, SlowerThan: 10_000, SlowLog: 3})
	w := sv.dial()
	w.do("client setname me")
	w.do("hset h f v")
	w.do("hgetall h")
	w.expect("slowlog len", ":0\r\n")
	clock.step = 20e6
	w.do("hgetall " + strings.Repeat("x", 200))
	w.do("set k v")
	clock.step = 1e6
	w.expect("slowlog len", ":2\r\n")
	got := w.do("slowlog get")
	for _, want := range []string{
		"*2\r\n*6\r\n:1\r\n:0\r\n:20000\r\n*2\r\n$3\r\nset\r\n$20\r\n(arguments not kept)\r\n$15\r\n127.0.0.1:40001\r\n$2\r\nme\r\n",
		"*6\r\n:0\r\n", "$7\r\nhgetall\r\n$147\r\n" + strings.Repeat("x", 128) + "... (72 more bytes)\r\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("SLOWLOG GET lacks %q:\n%q", want, got)
		}
	}
	if got := w.do("slowlog get 1"); !strings.HasPrefix(got, "*1\r\n") {
		t.Errorf("SLOWLOG GET 1: %q", got)
	}
	w.expect("config get slowlog-*", "*4\r\n$23\r\nslowlog-log-slower-than\r\n$5\r\n10000\r\n$15\r\nslowlog-max-len\r\n$1\r\n3\r\n")
	w.expect("config set slowlog-max-len 1", ok)
	w.expect("slowlog len", ":1\r\n")
	w.expect("config set slowlog-log-slower-than 0", ok)
	w.do("get k")
	w.do("smembers s")
	w.expect("config set slowlog-max-len 3", ok)
	for range 3 { // not sampled
		w.do("ping")
	}
	if got := w.do("slowlog get"); strings.Count(got, "ping") != 3 {
		t.Errorf("with slowlog-log-slower-than 0 every command is slow: %q", got)
	}
	w.expect("config set slowlog-log-slower-than -1", ok)
	w.do("slowlog reset")
	w.expect("slowlog len", ":0\r\n")
	clock.step = 1e9
	w.do("hgetall h")
	w.expect("slowlog len", ":0\r\n")
}

func TestWhatCommandsTook(t *testing.T) {
	clock := &testClock{step: 1e5}
	w := newServer(t, Config{Clock: clock}).dial()
	for range 2 * sampled {
		w.do("get k")
	}
	w.do("set k v")
	w.do("set k")
	w.do("incr k")
	w.do("hgetall k")
	w.do("nosuch")
	w.ask(strings.Repeat(encode("get k"), 10)) // the short cut
	got := w.do("info commandstats errorstats latencystats")
	for _, want := range []string{
		"cmdstat_get:calls=138,usec=13800,usec_per_call=100.00,rejected_calls=0,failed_calls=0\r\n",
		"cmdstat_set:calls=1,usec=100,usec_per_call=100.00,rejected_calls=1,failed_calls=0\r\n",
		"cmdstat_incr:calls=1,usec=100,usec_per_call=100.00,rejected_calls=0,failed_calls=1\r\n",
		"cmdstat_hgetall:calls=1,", "errorstat_ERR:count=3\r\n", "errorstat_WRONGTYPE:count=1\r\n",
		"latency_percentiles_usec_get:p50=128.000,p99=128.000,p99.9=128.000\r\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("INFO lacks %q:\n%s", want, got)
		}
	}
	if got := w.do("latency histogram set nosuch"); got != "*2\r\n$3\r\nset\r\n*4\r\n$5\r\ncalls\r\n:1\r\n$14\r\nhistogram_usec\r\n*2\r\n:128\r\n:1\r\n" {
		t.Errorf("LATENCY HISTOGRAM: %q", got)
	}
	w.do("config resetstat")
	if got := w.do("info commandstats"); strings.Contains(got, "cmdstat_set") || strings.Contains(got, "cmdstat_get") {
		t.Errorf("after RESETSTAT: %q", got)
	}
}

func TestLatencyEvents(t *testing.T) {
	clock := &testClock{step: 20e6}
	w := newServer(t, Config{Clock: clock}).dial()
	w.do("hgetall h")
	w.expect("latency latest", "*0\r\n")
	w.expect("config set latency-monitor-threshold 15", ok)
	w.do("latency reset")
	clock.step = 1e5
	w.expect("latency latest", "*1\r\n*4\r\n$7\r\ncommand\r\n:0\r\n:20\r\n:20\r\n")
	w.expect("latency history command", "*1\r\n*2\r\n:0\r\n:20\r\n")
	w.expect("latency history nosuch", "*0\r\n")
	if got := w.do("latency doctor"); !strings.Contains(got, "the longest 20 ms") {
		t.Errorf("LATENCY DOCTOR: %q", got)
	}
	w.expect("latency reset nosuch", ":0\r\n")
	w.expect("latency reset", ":1\r\n")
	w.expect("latency latest", "*0\r\n")
}

func TestClientsAge(t *testing.T) {
	clock := &testClock{}
	sv := newServer(t, Config{Clock: clock})
	old := sv.dial()
	old.do("multi")
	clock.now = 5e9
	w := sv.dial()
	clock.now = 7e9
	got := w.do("client list")
	for _, want := range []string{" age=7 idle=7 flags=x db=0 ", " cmd=multi ", " age=2 idle=0 flags=N ", " cmd=client|list "} {
		if !strings.Contains(got, want) {
			t.Errorf("CLIENT LIST lacks %q:\n%s", want, got)
		}
	}
}

// A session that is timed allocates no more than one that is not.
func TestTimingAllocatesNothing(t *testing.T) {
	w := newServer(t, Config{Clock: &testClock{step: 1}, SlowerThan: 1e6, SlowLog: 10}).dial()
	w.do("set k v")
	in, out := []byte(encode("get k")+encode("hgetall h")), make([]byte, 0, 1<<16)
	if n := testing.AllocsPerRun(100, func() { w.session.Process(in, out[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Errors are counted where they happen: in a transaction, in a script, of a command that waited.
func TestErrorsAreCounted(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  []string
		total int
	}{
		{[]string{"multi", "set a b", "auth a", "exec", "exec"}, []string{"cmdstat_set:calls=1, rejected_calls=0,failed_calls=0", "cmdstat_auth:calls=1, rejected_calls=0,failed_calls=1",
			"cmdstat_exec:calls=2, rejected_calls=0,failed_calls=1", "errorstat_ERR:count=2"}, 2},
		{[]string{"multi", "set", "exec"}, []string{"cmdstat_set:calls=0, rejected_calls=1,failed_calls=0", "cmdstat_multi:calls=1, rejected_calls=0,failed_calls=0",
			"cmdstat_exec:calls=1, rejected_calls=0,failed_calls=1", "errorstat_ERR:count=1", "errorstat_EXECABORT:count=1"}, 2},
		{[]string{`eval "redis.pcall('lpush','a','b') redis.pcall('incr','a')" 0`}, []string{"cmdstat_lpush:calls=1, rejected_calls=0,failed_calls=0",
			"cmdstat_incr:calls=1, rejected_calls=0,failed_calls=1", "cmdstat_eval:calls=1, rejected_calls=0,failed_calls=0", "errorstat_WRONGTYPE:count=1"}, 1},
		{[]string{`eval "redis.call('lpush','a','b') redis.call('incr','a')" 0`}, []string{"cmdstat_incr:calls=1, rejected_calls=0,failed_calls=1", "errorstat_WRONGTYPE:count=1"}, 1},
		{[]string{"set a b", "blpop a 0"}, []string{"cmdstat_blpop:calls=1, rejected_calls=0,failed_calls=1", "errorstat_WRONGTYPE:count=1"}, 1},
		{[]string{"rpush a b", "blpop a 0"}, []string{"cmdstat_blpop:calls=1, rejected_calls=0,failed_calls=0", "latency_percentiles_usec_blpop:p50="}, 0},
	} {
		w := newServer(t, Config{Clock: &testClock{step: 1e5}}).dial()
		for _, line := range c.lines {
			w.do(line)
		}
		got := regexp.MustCompile(`usec=[^:]*,rejected`).ReplaceAllString(w.do("info everything"), " rejected")
		for _, want := range append(c.want, fmt.Sprintf("total_error_replies:%d\r\n", c.total)) {
			if !strings.Contains(got, want) {
				t.Errorf("%q: INFO lacks %q:\n%s", c.lines, want, got[strings.Index(got, "# Commandstats"):])
			}
		}
	}
}

func TestPercentiles(t *testing.T) {
	w := newServer(t, Config{Clock: &testClock{step: 1e5}}).dial()
	w.do("get k")
	w.do(`config set latency-tracking-info-percentiles "0 50 99.95 100"`)
	if got, want := w.do("info latencystats"), "latency_percentiles_usec_get:p0=128.000,p50=128.000,p99.95=128.000,p100=128.000\r\n"; !strings.Contains(got, want) {
		t.Errorf("%q lacks %q", got, want)
	}
	w.do("config set latency-tracking no")
	if got := w.do("info latencystats"); strings.Contains(got, "usec") {
		t.Errorf("%q", got)
	}
}
