package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/engine"
	"holdfast/op"
)

// A member that is removed stops at once, also one that led.
func TestRemovedLeaderStops(t *testing.T) {
	g := newGroup(t, 3, nil)
	g.start(g.all()...)
	g.voters(3)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	gone := g.leader()
	n := g.nodes[gone]
	if err := g.nodes[g.another()].Remove(ctx, gone); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	<-n.Failed()
	if took := time.Since(begin); took > lostAfter/2 {
		t.Errorf("it went on for %s", took)
	}
	if err := n.Err(); !strings.Contains(err.Error(), "removed from the group") {
		t.Error(err)
	}
}

// A member that nobody can take over from does not wait for it when it is drained.
func TestDrainWithoutHeir(t *testing.T) {
	for _, who := range []string{"leader", "follower"} {
		t.Run(who, func(t *testing.T) {
			g := newGroup(t, 3, nil)
			g.start(g.all()...)
			g.voters(3)
			last := g.leader()
			if who == "follower" {
				last = g.another()
			}
			for _, name := range g.all() {
				if name != last {
					g.crash(name, 0)
				}
			}
			g.until("it misses both", func() bool { return len(g.nodes[last].Status().Missing) == 2 })
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			begin := time.Now()
			err := g.nodes[last].Drain(ctx)
			if took := time.Since(begin); !errors.Is(err, errHeirless) || took > 1500*time.Millisecond {
				t.Errorf("%v after %s", err, took)
			}
		})
	}
}

// Ten thousand batches that were held for too long are refused without holding up everybody else.
func TestMassRefusal(t *testing.T) {
	g := newGroup(t, 3, nil)
	g.start(g.all()...)
	g.voters(3)
	g.crash("c1", 0)
	g.crash("c2", 0)
	n := g.nodes["c3"]
	g.until("it notices", func() bool { return n.Status().Leader == "" })
	const count = 10_000
	d := n.Door(func() {}, time.Hour)
	answers := 0
	for i := range count {
		d.Write(set(fmt.Sprint("k", i), "v"), answered(func(err error) {
			if errors.Is(err, engine.ErrUnavailable) {
				answers++
			}
		}))
		d.Flush()
	}
	n.mu.Lock()
	waiting := len(n.flying)
	d.hold = 0
	begin := time.Now()
	n.refuseLate()
	took := time.Since(begin)
	left := len(n.flying)
	bytes := n.flyingBytes
	n.unlock()
	d.Flush()
	if waiting != count || left != 0 || bytes != 0 || answers != count {
		t.Errorf("%d waited, %d are left of %d bytes, %d were refused", waiting, left, bytes, answers)
	}
	if took > 100*time.Millisecond {
		t.Errorf("it took %s", took)
	}
	t.Log(took)
}

// answered is a Writer that is told whether something went wrong.
type answered func(err error)

func (a answered) Done(_ *op.Result, err error) { a(err) }
