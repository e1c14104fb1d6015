package cli

import (
	"strings"
	"testing"
)

func TestHostsOf(t *testing.T) {
	group := []peer{{Address: "c1:7420"}, {Address: "c2:7420", Self: true}, {Address: "c3:7420"}, {Address: "c4:7420", Role: learner}}
	loopback := []peer{{Address: "127.0.0.1:7420", Self: true}, {Address: "127.0.0.2:7420"}}
	for _, c := range []struct {
		peers  []peer
		own    string
		wanted string
	}{
		{group, "10.0.0.2", "c2 c1 c3"},
		{group, "0.0.0.0", "c2 c1 c3"},
		{group, "127.0.0.1", "127.0.0.1"}, // clients reach their own controller alone
		{group, "", "c2 c1 c3"},
		{loopback, "127.0.0.1", "127.0.0.1 127.0.0.2"},
		{nil, "127.0.0.1", "127.0.0.1"},
		{nil, "::", "127.0.0.1"},
		{nil, "", "127.0.0.1"},
	} {
		if got := strings.Join(hostsOf(c.peers, c.own), " "); got != c.wanted {
			t.Errorf("of %v, asked at %q: %s, not %s", c.peers, c.own, got, c.wanted)
		}
	}
}

func TestReachable(t *testing.T) {
	for address, wanted := range map[string]string{
		"0.0.0.0:6379": "127.0.0.1:6379", "[::]:6379": "127.0.0.1:6379", "10.1.1.1:6379": "10.1.1.1:6379", "[::1]:1": "[::1]:1",
	} {
		if got := reachable(address); got != wanted {
			t.Errorf("%s is reached at %s, not %s", address, got, wanted)
		}
	}
}
