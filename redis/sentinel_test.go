package redis

import (
	"fmt"
	"strings"
	"testing"

	"holdfast/engine"
	"holdfast/engine/enginetest"
)

// abandoned is an engine that is a member of a group without leader, of which some members do not answer.
type abandoned struct {
	*enginetest.Engine
	missing []string
}

func (a *abandoned) Status() engine.Status {
	st := a.Engine.Status()
	st.Members, st.Missing, st.Quorum = 3, a.missing, false
	return st
}

func TestSentinelWithoutLeader(t *testing.T) {
	for _, c := range []struct {
		missing []string
		flags   string
		master  bool
	}{
		{nil, "$6\r\nmaster\r\n", true}, // an election
		{[]string{"b"}, "$6\r\nmaster\r\n", true},
		{[]string{"b", "c"}, "$13\r\ns_down,master\r\n", false},
	} {
		sv := newServer(t, Config{})
		w := sv.dialOver(&abandoned{sv.engine, c.missing})
		if got := w.do("sentinel master kolla"); !strings.Contains(got, "$5\r\nflags\r\n"+c.flags) {
			t.Errorf("without %v: %q", c.missing, got)
		}
		if got := w.do("sentinel get-master-addr-by-name kolla"); strings.HasPrefix(got, "*2") != c.master {
			t.Errorf("without %v the master is %q", c.missing, got)
		}
	}
}

// Who needs no password hears nothing of the data, and may not make much be kept.
func TestSentinelListeners(t *testing.T) {
	sv := newServer(t, Config{Users: userSet(t, "user default on >pw ~* &* +@all")})
	w, a := sv.dial(), sv.dial()
	w.session.Close()
	w.session = sv.d.Sentinel(sv.engine, w)
	a.do("auth pw")
	a.do("config set notify-keyspace-events KEA")
	w.expect("psubscribe *", "*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n")
	w.expect("subscribe news", "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:2\r\n")
	a.expect("publish news secret", ":0\r\n")
	a.do("set k v")
	if got := w.hear(); got != "" {
		t.Errorf("heard %q", got)
	}
	w.expect("unsubscribe news", "*3\r\n$11\r\nunsubscribe\r\n$4\r\nnews\r\n:1\r\n")
	for range maxOfStranger / 8 {
		w.do("subscribe" + strings.Repeat(" x", 8))
	}
	n := 0
	for ; n < 2*maxOfStranger && strings.HasPrefix(w.do(fmt.Sprintf("subscribe c%d", n)), "*3"); n++ {
	}
	if n != maxOfStranger-2 {
		t.Errorf("it may listen to %d channels more", n)
	}
	if got := w.ask("*11\r\n"); !strings.HasPrefix(got, "-ERR Protocol error: unauthenticated") {
		t.Errorf("a long request: %q", got)
	}
}
