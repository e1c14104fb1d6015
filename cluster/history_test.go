package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/engine"
)

func TestHistoryKeepsTheNewest(t *testing.T) {
	var h history
	for i := range 3 * keptEvents {
		h.add(engine.Event{At: int64(i)})
	}
	all := h.all()
	if len(all) != keptEvents || all[0].At != 2*keptEvents || all[keptEvents-1].At != 3*keptEvents-1 {
		t.Error(len(all), all[0].At, all[len(all)-1].At)
	}
}

func TestHistoryTellsAsOneWhatGoesOn(t *testing.T) {
	var h history
	text := func(e *engine.Event) string { return fmt.Sprint(e.Count, " ", e.Took) }
	for i := range 5 {
		h.more(engine.Event{At: int64(i) * int64(time.Second), Kind: engine.Refused, Count: 2, Took: int64(i)}, text)
	}
	h.more(engine.Event{At: int64(20 * time.Second), Kind: engine.Refused, Count: 1}, text)
	h.add(engine.Event{At: int64(20 * time.Second), Kind: engine.Lost})
	h.more(engine.Event{At: int64(21 * time.Second), Kind: engine.Refused, Count: 1}, text)
	var texts []string
	for _, e := range h.all() {
		texts = append(texts, e.Kind+" "+e.Text)
	}
	if want := []string{"refused 10 4", "refused 1 0", "lost ", "refused 1 0"}; !slices.Equal(texts, want) {
		t.Errorf("%q", texts)
	}
}

// kinds are what a member tells of what came after then, in order, each kind once.
func kinds(n *Node, then int64) (all []string) {
	for _, e := range n.Status().Events {
		if e.At >= then && !slices.Contains(all, e.Kind) {
			all = append(all, e.Kind)
		}
	}
	return all
}

// Who survives a leader tells when it was last heard, who asked for votes, who won, and whom it missed; and that it came back.
func TestFailoverIsTold(t *testing.T) {
	g := newGroup(t, 3, nil)
	g.start(g.all()...)
	g.voters(3)
	gone, then := g.leader(), time.Now().UnixNano()
	g.crash(gone, 0)
	g.until("it is told", func() bool {
		stood := 0
		for _, n := range g.nodes {
			k := kinds(n, then)
			if !slices.Contains(k, engine.Silent) || !slices.Contains(k, engine.Elected) || !slices.Contains(k, engine.Lost) {
				return false
			}
			if slices.Contains(k, engine.Stands) { // whoever was asked first votes and need not stand
				stood++
			}
		}
		return stood > 0
	})
	for name, n := range g.nodes {
		for _, e := range n.Status().Events {
			switch {
			case e.At < then:
			case e.Kind == engine.Silent && (e.Member != gone || e.Took < int64(250*time.Millisecond)), e.Kind == engine.Lost && e.Member != gone,
				e.Kind == engine.Elected && (e.Member == gone || e.Term == 0), e.Text == "":
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
	g.start(gone)
	g.until("its return is told", func() bool {
		for name, n := range g.nodes {
			if name != gone && !slices.Contains(kinds(n, then), engine.Returned) {
				return false
			}
		}
		return slices.Contains(kinds(g.nodes[gone], then), engine.Started)
	})
}

// A member asks all others at once, says who does not answer and since when, and reckons their clocks.
func TestAsk(t *testing.T) {
	ahead := map[string]time.Duration{"c2": 90 * time.Minute}
	g := newGroup(t, 3, func(c *Config) {
		name := c.Name
		c.ClockBound = time.Hour
		c.Wall = func() time.Time { return time.Now().Add(ahead[name]) }
		c.Answer = func(question string) ([]byte, error) {
			if question != "well?" {
				return nil, errors.New("what is " + question + "?")
			}
			return []byte(name + " is well"), nil
		}
	})
	g.start(g.all()...)
	g.voters(3)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	one := g.nodes["c1"]
	for _, a := range one.Ask(ctx, "well?") {
		off := a.Ahead - ahead[a.Name]
		if a.Err != nil || string(a.Body) != a.Name+" is well" || off.Abs() > a.Took || a.Heard == 0 {
			t.Errorf("%+v", a)
		}
	}
	for _, a := range one.Ask(ctx, "up?") {
		if a.Err == nil || !strings.Contains(a.Err.Error(), "what is up?") {
			t.Errorf("%+v", a)
		}
	}
	g.crash("c3", 0)
	for _, a := range one.Ask(ctx, "well?") {
		if (a.Err == nil) != (a.Name == "c2") || a.Heard == 0 {
			t.Errorf("%+v", a)
		}
	}
}
