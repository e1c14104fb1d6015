package redis

import (
	"math"
	"strings"
	"testing"

	"holdfast/engine"
	"holdfast/engine/enginetest"
)

// grouped is an engine that is a member of a group.
type grouped struct {
	*enginetest.Engine
	lease int64
}

func (g grouped) Status() engine.Status {
	st := g.Engine.Status()
	st.Role, st.Leader, st.Visible, st.CanLose, st.Lease = "follower", "b", 41, 1, g.lease
	st.Peers = []engine.Peer{
		{Name: "a", Addr: "127.0.0.1:7420", Role: "follower", Self: true, InRoster: true},
		{Name: "b", Addr: "127.0.0.2:7420", Role: "leader", Up: true, InRoster: true, ClockOffset: -15e5},
		{Name: "c", Addr: "127.0.0.3:7420", Role: "learner", Lag: 7},
	}
	return st
}

func TestInfoOfAGroup(t *testing.T) {
	sv := newServer(t, Config{Host: testHost{}})
	got := sv.dialOver(grouped{sv.engine, 2e8}).do("info holdfast replication")
	for _, want := range []string{
		"role:master\r\n", "holdfast_role:follower\r\n", "holdfast_leader:b\r\n", "holdfast_visible:41\r\n", "holdfast_can_lose:1\r\n", "holdfast_lease_ms:200\r\n",
		"holdfast_roster:a,b\r\n", "holdfast_member0:name=a,address=127.0.0.1:7420,role=follower,up=1,lag=0,offset_ms=0.0\r\n",
		"holdfast_member1:name=b,address=127.0.0.2:7420,role=leader,up=1,lag=0,offset_ms=-1.5\r\n", "holdfast_member2:name=c,address=127.0.0.3:7420,role=learner,up=0,lag=7,",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("INFO lacks %q:\n%s", want, got)
		}
	}
	if got := sv.dialOver(grouped{sv.engine, math.MaxInt64}).do("info holdfast"); !strings.Contains(got, "holdfast_lease_ms:-1\r\n") {
		t.Error(got)
	}
}

func TestClientListTellsWhatIsUnread(t *testing.T) {
	w := newServer(t, Config{}).dial()
	if got := w.ask(encode("client info") + encode("ping")); !strings.Contains(got, " qbuf=40 ") {
		t.Error(got)
	}
}
