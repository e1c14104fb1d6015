package cluster

import (
	"slices"
	"testing"
	"time"
)

// Every member knows within about a second who is missing, also those that hear the leader alone, and when there is no leader any more.
func TestMissing(t *testing.T) {
	g := newGroup(t, 3, nil)
	g.start(g.all()...)
	g.voters(3)
	leader := g.leader()
	g.until("all see all", func() bool {
		for _, n := range g.nodes {
			if s := n.Status(); len(s.Missing) > 0 || s.CanLose != 1 {
				return false
			}
		}
		return true
	})
	gone := g.another()
	g.crash(gone, 0)
	left := g.another()
	begin := time.Now()
	g.until("the others miss it", func() bool {
		for _, n := range g.nodes {
			if s := n.Status(); !slices.Equal(s.Missing, []string{gone}) || s.CanLose != 0 || !s.Quorum {
				return false
			}
		}
		return true
	})
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
	g.crash(leader, 0)
	both := []string{gone, leader}
	slices.Sort(both)
	g.until("the last one misses both", func() bool {
		s := g.nodes[left].Status()
		return !s.Quorum && slices.Equal(s.Missing, both)
	})
}
