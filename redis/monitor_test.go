package redis

import (
	"bufio"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"holdfast/users"
)

// shownHead is what differs between two runs: the time, and the port of the client.
var shownHead = regexp.MustCompile(`^\+\d+\.\d{6} \[(\d+) (lua|127\.0\.0\.1):?\d*\]`)

// TestOracleMonitor compares what MONITOR shows.
func TestOracleMonitor(t *testing.T) {
	addr := startRedis(t)
	for _, section := range []string{
		"set k v\nget k\nset \"a b\" \"\\x00\\xff\\r\\n\\t\\a\\b\\\"\\\\\"\nSeT k 1 ex 10\nincrbyfloat k 1\nset k\nnosuch\nping\nselect 3\nget k\nset k v bad\nobject encoding k",
		"config get x\nclient id\nclient list\nclient setname a\nslowlog len\nauth secret\nauth user secret\nhello 3 auth a b\nreset\nping",
		"multi\nset k 1\nget k\nexec\nmulti\nset k\nexec\nmulti\nnosuch\nget k\nexec\nmulti\nget k\ndiscard\nexec\nwatch k\nunwatch",
		"multi\nget k\nselect 3\nget k\nexec\nget k",
		"eval \"redis.call('set',KEYS[1],ARGV[1]) return redis.pcall('get','a')\" 1 foo bar\neval \"return redis.call('nosuch')\" 0\nscript load \"return 1\"\nevalsha e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0\nevalsha nosuch 0",
		"blpop l 0.01\nrpush l a\nblpop l 0\npublish a b\nsubscribe a\nunsubscribe a\nmonitor",
	} {
		p, watcher := dialPeer(t, addr), dialPeer(t, addr)
		sv := newServer(t, Config{})
		w, monitor := sv.dial(), sv.dial()
		if watcher.ask(t, encode("monitor")) != "+OK\r\n" {
			t.Fatal("no MONITOR")
		}
		monitor.expect("monitor", "+OK\r\n")
		monitor.out = nil
		for _, line := range append(strings.Split(section, "\n"), "select 0", "reset", "echo done") {
			p.ask(t, encode(line))
			w.do(line)
			if w.session.blocked.Load() != nil { // its time is over
				sv.engine.Advance(1e9)
				w.pass()
			}
		}
		monitor.pass()
		got := shownLines(bufio.NewReader(strings.NewReader(string(monitor.out))))
		if want := shownLines(watcher.r); !slices.Equal(got, want) {
			t.Errorf("%s\nRedis    %q\nHoldfast %q", section, want, got)
		}
		p.Close()
		watcher.Close()
	}
}

// shownLines reads until "done".
func shownLines(r *bufio.Reader) (list []string) {
	for {
		line, err := r.ReadString('\n')
		list = append(list, shownHead.ReplaceAllString(line, "[$1 $2]"))
		if err != nil || strings.HasSuffix(line, "\"done\"\r\n") {
			return list
		}
	}
}

func TestMonitor(t *testing.T) {
	sv := newServer(t, Config{})
	a, b := sv.dial(), sv.dial()
	a.expect("monitor", "+OK\r\n")
	if got := b.do("client list"); !strings.Contains(got, " flags=O ") {
		t.Error(got)
	}
	if !a.session.Patient() {
		t.Error("dropped for being idle")
	}
	now := sv.engine.Status().Now / 1000
	head := fmt.Sprintf("+%d.%06d [0 127.0.0.1:40002] ", now/1e6, now%1e6)
	b.ask(encode("get k") + encode("get k")) // pipelined GETs have a short cut
	if got, want := a.hear(), strings.Repeat(head+"\"get\" \"k\"\r\n", 2); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	b.ask(fmt.Sprintf("*3\r\n$3\r\nset\r\n$1\r\nk\r\n$%d\r\n%s\r\n", maxShown, strings.Repeat("v", maxShown)))
	if got, want := a.hear(), head+"\"set\" \"k\" ...\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	b.do("client pause 10000 write")
	b.do("set k v")
	if got := a.hear(); got != "" {
		t.Errorf("shown before it is done: %q", got)
	}
	a.do("client unpause")
	b.pass()
	if got, want := a.hear(), head+"\"set\" \"k\" \"v\"\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := a.do("reset"); !strings.HasPrefix(got, "+RESET\r\n+") || !strings.HasSuffix(got, " [0 127.0.0.1:40001] \"reset\"\r\n") {
		t.Errorf("%q", got)
	}
	b.do("get k")
	if got := a.hear(); got != "" || sv.d.alert.some.Load() {
		t.Errorf("after RESET: %q", got)
	}
	a.do("monitor")
	a.session.Close()
	if sv.d.alert.some.Load() {
		t.Error("still there after its end")
	}
	b.do("multi")
	b.do("monitor")
	b.expect("exec", "*1\r\n-ERR MONITOR isn't allowed for DENY BLOCKING client\r\n")
}

// Only who may use every key is shown what others do, and only as long.
func TestMonitorNeedsAllKeys(t *testing.T) {
	set := func(keys string) *users.Set {
		s := users.New(Catalogue())
		if err := s.Add("default", "on", "nopass", "+@all", keys); err != nil {
			t.Fatal(err)
		}
		return s
	}
	sv := newServer(t, Config{Users: set("~*")})
	a := sv.dial()
	a.expect("monitor", "+OK\r\n")
	sv.d.SetUsers(set("~x*"))
	if a.pass(); !a.closed {
		t.Error("it still monitors")
	}
	sv.dial().expect("monitor", "-NOPERM MONITOR shows the keys of all users: it needs the right to every key\r\n")
}
