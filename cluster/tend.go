package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"holdfast/engine"
	"holdfast/op"
	"holdfast/replica"
)

const (
	tendEvery = time.Second
	lostAfter = 3 * time.Second // without a leader, a member looks around for one
)

// tendLoop looks after the group: a leader has the settings of all members agree, and a member that has been without a leader for long finds out
// whether it still has a place in the group.
func (n *Node) tendLoop() {
	t := time.NewTicker(tendEvery)
	defer t.Stop()
	alone := time.Duration(0)
	for {
		select {
		case <-n.stop:
			return
		case <-t.C:
		}
		n.mu.Lock()
		leads, leader, dead := n.leads(), !n.restoring && n.replica.Leader() != 0, n.dead
		if leader {
			n.waitsFor = ""
		}
		n.mu.Unlock()
		if leader {
			alone = 0
		} else {
			alone += tendEvery
		}
		switch {
		case dead:
			return
		case leads:
			n.lead()
		case alone >= lostAfter:
			n.lookAround()
		}
	}
}

// lead is what a leader does for the group.
func (n *Node) lead() {
	n.mu.Lock()
	members, _ := n.replica.Members()
	var ask []string // those of which nothing is known
	for _, m := range members {
		if _, ok := n.known[m.ID]; !ok && m.ID != n.record.id {
			ask = append(ask, m.Addr)
		}
	}
	n.mu.Unlock()
	for _, a := range ask {
		if s, err := n.ask1(a, askStanding, nil); err == nil {
			n.mu.Lock()
			n.note(&s)
			n.mu.Unlock()
		}
	}
	n.mu.Lock()
	defer n.unlock()
	if n.leads() && !n.dead && n.problem == nil {
		n.configure()
	}
}

// smallest is the smallest budget of the members, as far as it is known: no memory-limit is exceeded. Caller holds mu.
func (n *Node) smallest() uint64 {
	least := n.budget
	less := func(b uint64) {
		if b != 0 && (least == 0 || b < least) {
			least = b
		}
	}
	members, _ := n.replica.Members()
	for _, m := range members {
		if m.ID == n.record.id {
			continue
		}
		s, known := n.known[m.ID]
		if less(s.budget); !known && n.state.Config() != nil {
			less(n.state.Config().Budget) // it may have been made to fit that one
		}
	}
	return least
}

// lookAround asks the others where they stand. A member whose group has begun anew without it, or that cannot have a leader any more, stops: when it is
// started again it does what it must.
func (n *Node) lookAround() {
	n.mu.Lock()
	self := n.standing()
	n.mu.Unlock()
	others := n.census(self.log.Members)
	v := decide(&self, others)
	for i := range others {
		n.move(&self, &others[i])
	}
	n.mu.Lock()
	defer n.unlock()
	if n.dead || n.restoring || n.replica.Leader() != 0 {
		return
	}
	switch {
	case v.gone != nil:
		n.die(v.gone)
	case v.join != nil || v.found:
		if n.cfg.Durability != Memory {
			n.record.forgetful = true
			if err := n.record.write(n.cfg.Dir); err != nil {
				n.log.Error(err.Error())
				return
			}
		}
		n.die(errors.New("the group begins anew, since most members may have forgotten what they acknowledged: start this controller again, it takes part then"))
	default:
		why := "this controller " + v.why
		if n.waitsFor != why {
			n.log.Warn("there is no leader", slog.String("because", v.why))
		}
		n.waitsFor = why
	}
}

// move tells a member of the group if this one is to be reached at another address than it knows.
func (n *Node) move(self, o *standing) {
	for _, m := range o.log.Members {
		if o.condition == active && m.ID == self.id && m.Addr != self.addr {
			_, _ = n.ask1(o.addr, askJoin, self.append(nil)) // if it fails it is asked again
		}
	}
}

// pollEvery is how often it is looked whether something has come about.
const pollEvery = 3 * time.Millisecond

// heirWithin is how long a member that is drained waits for somebody who could take over: one that has just been started, or has lost its leader, cannot
// for a moment.
const heirWithin = 350 * time.Millisecond

// Drain gives the lease back and the leadership away, for good, and returns nil when the others do not notice any more when this member stops, and its
// clients' writes are answered.
func (n *Node) Drain(ctx context.Context) error {
	heirless := time.Time{}
	n.mu.Lock()
	if !n.told {
		n.told = true
		n.tell(engine.Drained, "", 0, "was told to give its leases and its leadership away")
	}
	n.mu.Unlock()
	for {
		n.mu.Lock()
		if n.dead || n.restoring {
			n.mu.Unlock()
			return nil
		}
		n.replica.Drain(n.now())
		n.drive()
		done := n.replica.Drained() && len(n.flying) == 0 && len(n.held) == 0
		heir := n.replica.Heir() || !n.leads() && n.majority()
		n.unlock()
		switch {
		case done:
			return nil
		case heir:
			heirless = time.Time{}
		case heirless.IsZero():
			heirless = time.Now()
		case time.Since(heirless) > heirWithin:
			return errHeirless
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the others have not taken over in time: %w", ctx.Err())
		case <-n.stop:
			return errClosed
		case <-time.After(pollEvery):
		}
	}
}

var errHeirless = errors.New("no other member can take over now")

// Remove takes the member of that name out of the group and returns nil when the group has agreed to it.
func (n *Node) Remove(ctx context.Context, name string) error {
	asked := time.Time{}
	for first := true; ; first = false {
		n.mu.Lock()
		if n.dead || n.restoring {
			gone := n.problem == errRemoved && name == n.cfg.Name
			n.mu.Unlock()
			if gone {
				return nil
			}
			return fmt.Errorf("%s cannot do that now", n.cfg.Name)
		}
		members, _ := n.replica.Members()
		at := slices.IndexFunc(members, func(m replica.Member) bool { return m.Name == name })
		if at >= 0 && time.Since(asked) > joinAgain {
			n.replica.Change(replica.Change{Kind: replica.Remove, Member: members[at]}, n.now())
			n.drive()
			asked = time.Now()
		}
		n.unlock()
		switch {
		case at < 0 && first:
			return fmt.Errorf("there is no member %s", name)
		case at < 0:
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the group has not agreed in time: %w", ctx.Err())
		case <-n.stop:
			return errClosed
		case <-time.After(pollEvery):
		}
	}
}

var errKeys = errors.New("a list of keys that cannot be read")

// wereUsed says of each of the keys whether it was read here since that was last asked.
func (n *Node) wereUsed(keys []byte) ([]byte, error) {
	var d op.Decoder
	o, rest, err := d.Next(keys)
	list, ok := o.(*op.Exists)
	if err != nil || !ok || len(rest) > 0 {
		return nil, errKeys
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	answer := make([]byte, len(list.Keys))
	for i, k := range list.Keys {
		if n.state != nil && n.used.take(n.state.Mark(k)) {
			answer[i] = 1
		}
	}
	return answer, nil
}
