package redis

import (
	"fmt"
	"testing"
	"time"

	"holdfast/engine"
	"holdfast/engine/enginetest"
	"holdfast/op"
)

func (w *wire) all(lines ...string) {
	w.t.Helper()
	for _, l := range lines {
		w.do(l)
	}
}

func TestWatchSeesOthers(t *testing.T) {
	for _, c := range []struct {
		name   string
		mine   []string // before WATCH k
		theirs []string // after it
		want   string
	}{
		{"nothing", nil, nil, "*1\r\n+PONG\r\n"},
		{"a write", nil, []string{"set k v"}, "*-1\r\n"},
		{"the same value", []string{"set k v"}, []string{"set k v"}, "*-1\r\n"},
		{"there and gone", nil, []string{"set k v", "del k"}, "*1\r\n+PONG\r\n"},
		{"deleted", []string{"set k v"}, []string{"del k"}, "*-1\r\n"},
		{"deleted and there again", []string{"set k v"}, []string{"del k", "set k v"}, "*-1\r\n"},
		{"a deletion of nothing", nil, []string{"del k"}, "*1\r\n+PONG\r\n"},
		{"flushed", []string{"set k v"}, []string{"flushall"}, "*-1\r\n"},
		{"flushed without it", nil, []string{"set other v", "flushdb"}, "*1\r\n+PONG\r\n"},
		{"expire", []string{"set k v"}, []string{"expire k 100"}, "*-1\r\n"},
		{"expire of nothing", nil, []string{"expire k 100"}, "*1\r\n+PONG\r\n"},
		{"another database", []string{"set k v"}, []string{"select 1", "set k w"}, "*1\r\n+PONG\r\n"},
		{"a failed write", []string{"set k v"}, []string{"incr k", "set k w nx"}, "*1\r\n+PONG\r\n"},
		{"a script", []string{"set k v"}, []string{"eval \"redis.call('set','k','w')\" 0"}, "*-1\r\n"},
		{"a transaction", []string{"set k v"}, []string{"multi", "set k w", "exec"}, "*-1\r\n"},
		{"renamed away", []string{"set k v"}, []string{"rename k l"}, "*-1\r\n"},
	} {
		sv := newServer(t, Config{})
		w, other := sv.dial(), sv.dial()
		w.all(c.mine...)
		w.do("watch k")
		other.all(c.theirs...)
		w.do("multi")
		w.do("ping")
		if got := w.do("exec"); got != c.want {
			t.Errorf("%s: EXEC gives %q, want %q", c.name, got, c.want)
		}
		// The watch is over, whatever came of it.
		other.do("set k again")
		w.do("multi")
		w.expect("exec", "*0\r\n")
	}
}

// WATCH of a key that ends, as in Redis 7: its end is a change, unless it was over before the WATCH.
func TestWatchAndExpiry(t *testing.T) {
	for _, c := range []struct {
		before, after time.Duration
		want          string
	}{
		{0, 50 * time.Millisecond, "*0\r\n"},
		{0, 200 * time.Millisecond, "*-1\r\n"},
		{200 * time.Millisecond, 200 * time.Millisecond, "*0\r\n"},
	} {
		w := newServer(t, Config{}).dial()
		w.do("set k v px 100")
		w.engine.Advance(c.before)
		w.do("watch k")
		w.engine.Advance(c.after)
		w.do("multi")
		if got := w.do("exec"); got != c.want {
			t.Errorf("%v before and %v after WATCH: %q, want %q", c.before, c.after, got, c.want)
		}
	}
}

// The null of an aborted EXEC has a form of its own in each version.
func TestAbortedExec(t *testing.T) {
	for version, want := range map[int]string{2: "*-1\r\n", 3: "_\r\n"} {
		for _, body := range []string{"", "get k", "set k w", "incrbyfloat n 1", "eval 'return 1' 0"} {
			sv := newServer(t, Config{})
			w, other := sv.dial(), sv.dial()
			w.do(fmt.Sprintf("hello %d", version))
			w.do("watch k")
			other.do("set k v")
			w.do("multi")
			if body != "" {
				w.do(body)
			}
			w.expect("exec", want)
		}
	}
}

// An EXEC without commands, or with commands for the connection alone, leaves no entry in the log.
func TestEmptyExecIsARead(t *testing.T) {
	w := newServer(t, Config{}).dial()
	w.do("set k v")
	before := w.engine.Status().Commit
	w.all("watch k", "exists k", "multi", "exec", "watch k", "multi", "ping")
	w.expect("exec", "*1\r\n+PONG\r\n")
	w.expect("eval \"return redis.call('get','k')\" 0", "$1\r\nv\r\n")
	w.expect("eval \"return redis.call('mget','k','l')\" 0", "*2\r\n$1\r\nv\r\n$-1\r\n")
	w.expect("object encoding k", "$6\r\nembstr\r\n")
	if after := w.engine.Status().Commit; after != before {
		t.Errorf("%d entries", after-before)
	}
}

// A mixed transaction is one entry, which shows nothing to others before all of it is done.
func TestExecIsOneEntry(t *testing.T) {
	w := newServer(t, Config{}).dial()
	w.all("multi", "set a 1", "get a", "hset h f v", "ping", "incr a", "incr h")
	before := w.engine.Status().Commit
	w.expect("exec", "*6\r\n+OK\r\n$1\r\n1\r\n:1\r\n+PONG\r\n:2\r\n-WRONGTYPE Operation against a key holding the wrong kind of value\r\n")
	if after := w.engine.Status().Commit; after != before+1 {
		t.Errorf("%d entries", after-before)
	}
}

// Computed commands are done again when others change what they read.
func TestComputedCommandsAreRetried(t *testing.T) {
	sv := newServer(t, Config{})
	var wires []*wire
	for range 20 {
		wires = append(wires, sv.dial())
	}
	rounds := 0
	for _, line := range []string{"incrbyfloat f 0.5", `eval "redis.call('set','f',redis.call('get','f')+0.5)" 0`, "exec"} {
		sv.dial().do("set f 0")
		for _, w := range wires {
			if line == "exec" {
				w.all("multi", "incrbyfloat f 0.5", "get f")
			}
			w.in = append(w.in, encode(line)...)
			w.process()
		}
		// All have computed over the same state; one of them wins each round.
		for busy := true; busy; rounds++ {
			for _, w := range wires {
				for w.session.work != nil && w.session.work.stage == running {
					w.await()
					w.process()
				}
			}
			sv.engine.Flush()
			busy = false
			for _, w := range wires {
				w.process()
				busy = busy || w.session.work != nil
			}
		}
		sv.dial().expect("get f", "$2\r\n10\r\n")
	}
	if rounds < 30 {
		t.Errorf("%d rounds: they did not get in each other's way", rounds)
	}
}

// A command that never finds what it read unchanged gives up in the end.
func TestGivingUp(t *testing.T) {
	sv := newServer(t, Config{})
	w := sv.dialOver(&contrary{sv.engine})
	w.expect("incrbyfloat f 1", "-"+string(errGaveUp)+"\r\n")
	w.expect("eval \"return redis.call('incr','f')\" 0", "-"+string(errGaveUp)+"\r\n")
}

// contrary is an Engine where somebody else is always faster.
type contrary struct{ *enginetest.Engine }

func (e *contrary) Write(w op.Write, s engine.Writer) {
	e.Engine.Write(&op.Set{Key: op.Key{Name: []byte("f")}, Value: []byte("1")}, nobody{})
	e.Engine.Write(w, s)
}

type nobody struct{}

func (nobody) Done(*op.Result, error) {}

// However many keys are watched, another one costs no look at all of them.
func TestWatchManyKeys(t *testing.T) {
	sv := newServer(t, Config{})
	w, other := sv.dial(), sv.dial()
	for i := range 20 {
		line := "watch k0"
		for j := range 5000 {
			line += fmt.Sprintf(" k%d", 5000*i+j)
		}
		w.expect(line, ok)
		other.do("set k0 v") // the first WATCH counts
	}
	w.expect("multi", ok)
	w.expect("exec", "*-1\r\n")
	w.expect("watch k0", ok)
	w.expect("multi", ok)
	w.expect("exec", "*0\r\n")
}
