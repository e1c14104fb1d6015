package redis

import (
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
