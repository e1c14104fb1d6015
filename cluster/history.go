package cluster

import (
	"fmt"
	"time"

	"holdfast/engine"
	"holdfast/replica"
)

const (
	keptEvents = 256                    // of the history; the oldest go first
	together   = 2 * time.Second        // apart, or less: one after the other of the same kind is told as one
	longWrite  = 50 * time.Millisecond  // a write that takes longer is told
	slowFsync  = 300 * time.Millisecond // the same for an fsync of the log
	absentAt   = 2 * time.Second        // after the start; a member that was not heard by then is missing
	lookHere   = 10                     // ticks from one look at who is missing to the next
)

// history is what this member has seen of note, for people. Guarded by Node.mu.
type history struct {
	ring   [keptEvents]told
	count  int              // that were ever put in
	last   map[string]int64 // by kind, Unix ns: when one was last added to, of those that are told as one
	absent map[uint64]int64 // members that are missing: since when, Unix ns
	heard  map[uint64]bool  // members whose presence is known
}

// told is an event. Where text is not nil it makes the text of it, when somebody asks: those that come by the thousand are only counted.
type told struct {
	engine.Event
	text func(e *engine.Event) string
}

// all returns what is kept, the oldest first.
func (h *history) all() []engine.Event {
	kept := min(h.count, keptEvents)
	list := make([]engine.Event, 0, kept)
	for i := h.count - kept; i < h.count; i++ {
		t := &h.ring[i%keptEvents]
		if t.text != nil {
			t.Text = t.text(&t.Event)
		}
		list = append(list, t.Event)
	}
	return list
}

func (h *history) add(e engine.Event) {
	h.ring[h.count%keptEvents] = told{Event: e}
	h.count++
}

// more adds e to the newest event, if that is of the same kind and about the same member, and goes on; else it begins a new one.
func (h *history) more(e engine.Event, text func(e *engine.Event) string) {
	if h.last == nil {
		h.last = map[string]int64{}
	}
	newest := &h.ring[(h.count+keptEvents-1)%keptEvents]
	goesOn := h.count > 0 && newest.Kind == e.Kind && newest.Member == e.Member && e.At-h.last[e.Kind] < int64(together)
	h.last[e.Kind] = e.At
	if goesOn {
		newest.Count, newest.Took = newest.Count+e.Count, max(newest.Took, e.Took)
		return
	}
	h.add(e)
	h.ring[(h.count-1)%keptEvents].text = text
}

// tell puts an event of now into the history. Caller holds mu.
func (n *Node) tell(kind, member string, took time.Duration, text string) {
	n.history.add(engine.Event{At: n.wall().UnixNano(), Kind: kind, Member: member, Took: int64(took), Text: text})
}

// tellEvents puts in what the replica has seen. Caller holds mu.
func (n *Node) tellEvents(all []replica.Event) {
	members, _ := n.replica.Members()
	for _, e := range all {
		name := n.cfg.Name
		if e.Peer != n.record.id {
			if m := find(members, e.Peer); m != nil {
				name = m.Name
			} else {
				continue // it joins, and does not know yet who is who
			}
		}
		kind, text := wordsOf(&e, name)
		n.history.add(engine.Event{At: e.At, Kind: kind, Member: name, Term: e.Term, Took: e.Took, Text: text})
	}
}

func wordsOf(e *replica.Event, name string) (kind, text string) {
	switch e.Kind {
	case replica.Silence:
		return engine.Silent, fmt.Sprintf("nothing came from the leader %s for %d ms", name, e.Took/1e6)
	case replica.Death:
		return engine.Died, "the process of the leader " + name + " ended: proved by the process that watched it"
	case replica.Deposed:
		return engine.Deposed, "leads no more"
	case replica.Candidacy:
		return engine.Stands, "asks for votes"
	case replica.Voted:
		return engine.Voted, fmt.Sprintf("votes for %s, term %d", name, e.Term)
	case replica.HandedOver:
		return engine.HandOver, name + " hands its leadership over"
	case replica.Won:
		if e.Took == 0 {
			return engine.Elected, fmt.Sprintf("%s leads, term %d", name, e.Term)
		}
		return engine.Elected, fmt.Sprintf("%s leads, term %d; without a sign of a leader for %d ms", name, e.Term, e.Took/1e6)
	}
	return "unknown", fmt.Sprintf("event %d of %s", e.Kind, name)
}

// nameOf is the name of a member. Caller holds mu.
func (n *Node) nameOf(id uint64) string {
	members, _ := n.replica.Members()
	if m := find(members, id); m != nil {
		return m.Name
	}
	return fmt.Sprintf("%x", id)
}

// lookWho puts in who is missing, and who is there again. Caller holds mu.
func (n *Node) lookWho() {
	if n.link == nil || n.replica == nil || n.dead {
		return
	}
	h := &n.history
	if h.absent == nil {
		h.absent, h.heard = map[uint64]int64{}, map[uint64]bool{}
	}
	members, _ := n.replica.Members()
	now, mono := n.wall().UnixNano(), n.clock.mono()
	for _, m := range members {
		if m.ID == n.record.id {
			continue
		}
		since, missing := h.absent[m.ID]
		switch here := n.meets(m.ID); {
		case here && missing:
			delete(h.absent, m.ID)
			n.tell(engine.Returned, m.Name, time.Duration(now-since), fmt.Sprintf("%s is heard again, after %s", m.Name, roughly(now-since)))
		case here:
			h.heard[m.ID] = true
		case missing:
		case h.heard[m.ID]:
			silent := mono - n.met[m.ID]
			h.absent[m.ID] = now - silent
			n.tell(engine.Lost, m.Name, time.Duration(silent), fmt.Sprintf("nothing came from %s for %d ms: it counts as missing", m.Name, silent/1e6))
		case now-n.started > int64(absentAt):
			h.absent[m.ID] = n.started
			n.tell(engine.Lost, m.Name, 0, m.Name+" was not heard since the start of this daemon")
		}
	}
}

func plural(n uint64) string {
	if n == 1 {
		return ""
	}
	return "s"
}

func roughly(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < 10*time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// lookChanges puts in who has come and gone between two lists of the members. Caller holds mu.
func (n *Node) lookChanges(before, after []replica.Member) {
	if len(before) == 0 {
		return
	}
	for _, m := range after {
		if find(before, m.ID) == nil {
			n.tell(engine.Joined, m.Name, 0, m.Name+" joined the group")
		} else if find(before, m.ID).Learner && !m.Learner {
			n.tell(engine.Joined, m.Name, 0, m.Name+" has a vote now")
		}
	}
	for _, m := range before {
		if find(after, m.ID) == nil {
			n.tell(engine.Removed, m.Name, 0, fmt.Sprintf("%s (id %x) is no member any more", m.Name, m.ID))
		}
	}
}

func find(all []replica.Member, id uint64) *replica.Member {
	for i := range all {
		if all[i].ID == id {
			return &all[i]
		}
	}
	return nil
}

// paused puts in that a batch of a client's writes took long, if it did. The ticks tell it cheaply. Caller holds mu.
func (n *Node) paused(b *batch) {
	if n.ticks-b.tick < int(longWrite/tick) {
		return
	}
	took := n.clock.mono() - b.since
	n.history.more(engine.Event{At: n.wall().UnixNano(), Kind: engine.Paused, Took: took, Count: uint64(len(b.writers))}, func(e *engine.Event) string {
		return fmt.Sprintf("acknowledged %d write%s that had to wait, the longest for %d ms", e.Count, plural(e.Count), e.Took/1e6)
	})
}

// refusals puts in that requests of clients were refused. Caller holds mu.
func (n *Node) refusals(count int, why error) {
	if count == 0 || n.dead {
		return
	}
	n.history.more(engine.Event{At: n.wall().UnixNano(), Kind: engine.Refused, Count: uint64(count)}, func(e *engine.Event) string {
		return fmt.Sprintf("%d request%s refused or of unknown outcome, since: %v", e.Count, plural(e.Count), why)
	})
}
