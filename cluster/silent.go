package cluster

import (
	"slices"
	"sync"
)

// Silent asks all other members and returns the names of those that cannot be relied on now: they do not answer, or may have forgotten what they
// acknowledged. A follower's Status does not know that, since it hears the leader alone. It takes up to askWithin.
func (n *Node) Silent() (names []string) {
	n.mu.Lock()
	if n.link == nil || n.replica == nil {
		n.mu.Unlock()
		return nil
	}
	members, _ := n.replica.Members()
	self := n.identity.Load().ID
	n.mu.Unlock()
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, m := range members {
		if m.ID == self {
			continue
		}
		asking.Go(func() {
			s, err := n.ask1(m.Addr, askStanding, nil)
			if err == nil && s.id == m.ID && (s.condition == sound || s.condition == active) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			names = append(names, m.Name)
		})
	}
	asking.Wait()
	slices.Sort(names)
	return names
}
