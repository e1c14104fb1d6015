package cluster

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"holdfast/op"
)

// group is members in one process, on loopback.
type group struct {
	t       *testing.T
	peers   []Peer
	configs map[string]Config
	nodes   map[string]*Node
	logs    map[string]*logBuffer
	mu      sync.Mutex
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newGroup prepares a group of size members; with changes each.
func newGroup(t *testing.T, size int, change func(*Config)) *group {
	t.Helper()
	g := &group{t: t, configs: map[string]Config{}, nodes: map[string]*Node{}, logs: map[string]*logBuffer{}}
	dir := t.TempDir()
	for i := range size {
		g.peers = append(g.peers, Peer{fmt.Sprint("c", i+1), freeAddr(t)})
	}
	for _, p := range g.peers {
		g.configure(p, Config{Dir: filepath.Join(dir, p.Name), Members: g.peers}, change)
	}
	t.Cleanup(func() {
		for _, n := range g.nodes {
			n.Close()
		}
		if t.Failed() {
			for name, l := range g.logs {
				t.Logf("%s said:\n%s", name, l)
			}
		}
	})
	return g
}

func (g *group) configure(p Peer, cfg Config, change func(*Config)) {
	g.logs[p.Name] = new(logBuffer)
	cfg.Name, cfg.Addr, cfg.Segment = p.Name, p.Addr, 64<<10
	cfg.Logger = slog.New(slog.NewTextHandler(g.logs[p.Name], &slog.HandlerOptions{Level: slog.LevelInfo}))
	if change != nil {
		change(&cfg)
	}
	g.configs[p.Name] = cfg
}

func freeAddr(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start starts members, all at once, and returns when they serve.
func (g *group) start(names ...string) {
	g.t.Helper()
	var wg sync.WaitGroup
	for _, name := range names {
		wg.Go(func() { g.begin(name) })
	}
	wg.Wait()
	if g.t.Failed() {
		g.t.FailNow()
	}
}

func (g *group) begin(name string) {
	cfg := g.configs[name]
	var err error
	for range 100 { // the address may still be given up
		if cfg.Listener, err = net.Listen("tcp", cfg.Addr); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		g.t.Error(err)
		return
	}
	stop := make(chan struct{})
	timer := time.AfterFunc(30*time.Second, func() { close(stop) })
	defer timer.Stop()
	cfg.Stopping = stop
	n, err := Start(cfg)
	if err != nil {
		g.t.Errorf("%s: %v", name, err)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.nodes[name] = n
}

func (g *group) all() (names []string) {
	for _, p := range g.peers {
		names = append(names, p.Name)
	}
	return names
}

// leader waits for one and names it.
func (g *group) leader() string {
	g.t.Helper()
	leader := ""
	g.until("there is a leader", func() bool {
		for name, n := range g.nodes {
			if s := n.Status(); s.Role == "leader" && s.Quorum {
				leader = name
			}
		}
		return leader != ""
	})
	return leader
}

// another is a member that does not lead.
func (g *group) another() string {
	leader := g.leader()
	for _, p := range g.peers {
		if g.nodes[p.Name] != nil && p.Name != leader {
			return p.Name
		}
	}
	return ""
}

func (g *group) until(what string, ok func() bool) {
	g.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			for name, n := range g.nodes {
				g.t.Logf("%s: %+v", name, n.Status())
			}
			g.t.Fatalf("never: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// voters waits until that many members vote.
func (g *group) voters(count int) {
	g.t.Helper()
	g.until(fmt.Sprint(count, " members vote"), func() bool {
		n := 0
		for _, p := range g.nodes[g.leader()].Status().Peers {
			if p.Role != "learner" && p.Up {
				n++
			}
		}
		return n == count
	})
}

func (g *group) stop(name string) {
	g.t.Helper()
	if err := g.nodes[name].Close(); err != nil {
		g.t.Error(err)
	}
	delete(g.nodes, name)
}

// workers makes one for each member.
func (g *group) workers() map[string]*worker {
	all := map[string]*worker{}
	for name, n := range g.nodes {
		all[name] = newWorker(n)
	}
	return all
}

// What is acknowledged at one member is read at every other at once.
func TestThreeMembers(t *testing.T) {
	everyDurability(t, func(t *testing.T, cfg Config) {
		g := newGroup(t, 3, func(c *Config) {
			if c.Durability = cfg.Durability; c.Durability == Memory {
				c.Dir = ""
			}
		})
		g.start(g.all()...)
		g.voters(3)
		w := g.workers()
		for i := range 30 {
			for member, at := range w {
				key, value := fmt.Sprint("k", i%7), fmt.Sprint(member, i)
				if a := at.write(set(key, value), &op.IncrBy{Key: name("sum"), Delta: 1}); a[0].err != nil || a[1].err != nil {
					t.Fatal(a[0].err, a[1].err)
				}
				for other, w := range w {
					if v, _ := w.get(t, key); v != value {
						t.Fatalf("%s wrote %s, %s reads %q", member, value, other, v)
					}
				}
			}
		}
		for _, w := range w {
			if v, _ := w.get(t, "sum"); v != "90" {
				t.Errorf("counted to %s, want 90", v)
			}
		}
	})
}
