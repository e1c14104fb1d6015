package cluster

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"holdfast/cluster/link"
	"holdfast/engine"
	"holdfast/op"
)

// open opens a member and closes it at the end.
func (g *group) open(name string) *Node {
	g.t.Helper()
	cfg := g.configs[name]
	var err error
	if cfg.Listener, err = net.Listen("tcp", cfg.Addr); err != nil {
		g.t.Fatal(err)
	}
	n, err := Open(cfg)
	if err != nil {
		g.t.Fatal(err)
	}
	g.nodes[name] = n
	return n
}

// A member that waits for the others says so, holds requests and refuses them then, and carries out none before its group is there.
func TestRequestsBeforeTheGroup(t *testing.T) {
	g := newGroup(t, 3, nil)
	first := g.open("c1")
	check := func(n *Node, want string) {
		t.Helper()
		g.until("it says what it waits for", func() bool { s := n.Status(); return !s.Ready && strings.Contains(s.Problem, want) })
		w := newWorkerHolding(n, 200*time.Millisecond)
		begin := time.Now()
		a := w.write(set("a", "1"))
		if took := time.Since(begin); !errors.Is(a[0].err, engine.ErrUnavailable) || !strings.Contains(a[0].err.Error(), want) || took < 200*time.Millisecond {
			t.Errorf("a write came back with %v after %s", a[0].err, took)
		}
		if _, err := w.read(&op.Get{Key: name("a")}); !errors.Is(err, engine.ErrUnavailable) || !strings.Contains(err.Error(), want) {
			t.Errorf("a read came back with %v", err)
		}
	}
	check(first, "c2 at ")
	patient := newWorkerHolding(first, 20*time.Second)
	read, wrote := make(chan error, 1), make(chan error, 1)
	go func() { _, err := patient.read(&op.Get{Key: name("a")}); read <- err }()
	late := newWorkerHolding(first, 20*time.Second)
	go func() { wrote <- late.write(set("b", "1"))[0].err }()
	g.open("c2")
	check(first, "c3 at ")
	g.open("c3")
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	if err := <-read; err != nil {
		t.Error(err)
	}
	for _, n := range g.nodes {
		<-n.Serving()
	}
	g.voters(3)
	if _, ok := newWorker(first).get(t, "a"); ok {
		t.Error("what was refused was carried out")
	}
}

// A founder that is left alone before a majority has joined takes no requests, though it leads a group of one.
func TestFounderAloneServesNobody(t *testing.T) {
	g := newGroup(t, 3, nil)
	first := g.open("c1")
	for _, name := range []string{"c2", "c3"} {
		g.open(name)
	}
	g.until("it is founded", func() bool {
		first.mu.Lock()
		defer first.mu.Unlock()
		return first.leads()
	})
	for _, name := range []string{"c2", "c3"} {
		g.crash(name, 0)
	}
	first.mu.Lock()
	members, serving := 0, first.serving
	if !first.restoring {
		all, _ := first.replica.Members()
		members = len(all)
	}
	first.mu.Unlock()
	if serving {
		t.Skip("the others were faster")
	}
	t.Logf("%d members when the others died", members)
	w := newWorkerHolding(first, 300*time.Millisecond)
	if a := w.write(set("a", "1")); !errors.Is(a[0].err, engine.ErrUnavailable) {
		t.Errorf("a write came back with %v", a[0].err)
	}
	if _, err := w.read(&op.Get{Key: name("a")}); !errors.Is(err, engine.ErrUnavailable) {
		t.Errorf("a read came back with %v", err)
	}
}

// What ends the wait for a state says nothing of how new that state is: there is no pass for it.
func TestNoPassForAState(t *testing.T) {
	n, err := Start(Config{Durability: Memory, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	w := newWorkerHolding(n, 10*time.Second)
	r := &op.Get{Key: name("a")}
	n.mu.Lock()
	n.lockReaders()
	n.restoring = true
	n.reads.until.Store(0)
	n.unlockReaders()
	n.unlock()
	done := make(chan error, 1)
	go func() { _, err := w.read(r); done <- err }()
	for !n.waits.some.Load() {
		time.Sleep(time.Millisecond)
	}
	n.mu.Lock()
	n.lockReaders()
	n.restoring = false
	n.unlockReaders()
	n.applied = true
	n.unlock()
	time.Sleep(20 * time.Millisecond)
	w.Door.mu.Lock()
	for _, x := range w.Door.waiters {
		if x.state.Load() == passed {
			t.Error("there is a pass")
		}
	}
	w.Door.mu.Unlock()
	n.mu.Lock()
	n.publish(n.now())
	n.unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What a running member says of its log in a census is of its log as it is now: whoever has most founds a group anew.
func TestStandingIsOfNow(t *testing.T) {
	g := newGroup(t, 3, nil)
	g.start(g.all()...)
	g.voters(3)
	g.crash(g.leader(), 0) // another term
	w := newWorker(g.nodes[g.leader()])
	for range 10 {
		if a := w.write(set("a", "1")); a[0].err != nil {
			t.Fatal(a[0].err)
		}
	}
	for name, n := range g.nodes {
		n.mu.Lock()
		s, st := n.standing(), n.replica.Status(n.now())
		n.mu.Unlock()
		if s.log.Index != st.Last || s.log.Term != st.Term || len(s.log.Members) != 3 {
			t.Errorf("%s says %+v; its log ends at %d in term %d", name, s.log, st.Last, st.Term)
		}
	}
}

// A member without room for two states begins anew when the one that it gets breaks off.
func TestSnapshotBreaksOffInMemory(t *testing.T) {
	g := newGroup(t, 3, func(c *Config) { c.Durability = Memory })
	g.start(g.all()...)
	g.voters(3)
	n := g.nodes[g.another()]
	n.mu.Lock()
	base := n.replica.Base()
	n.mu.Unlock()
	base.Index += 1000
	var b bytes.Buffer
	out := snapshotWriter{to: &b}
	if err := out.begin(base); err != nil {
		t.Fatal(err)
	}
	if err := (handler{n}).Stream(link.Identity{ID: 1, Name: "c9"}, &b); err == nil {
		t.Fatal("half a snapshot was taken")
	}
	<-n.Failed()
	if err := n.Err(); !strings.Contains(err.Error(), "broke off") {
		t.Error(err)
	}
}
