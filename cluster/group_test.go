package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"holdfast/engine"
	"holdfast/op"
)

// group is members in one process, on loopback.
type group struct {
	t       testing.TB
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

// newGroup prepares a group of size members, in parallel with other tests; change may change the settings of each.
func newGroup(t testing.TB, size int, change func(*Config)) *group {
	t.Helper()
	if t, ok := t.(*testing.T); ok {
		t.Parallel() // most of the time they wait
	}
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

func freeAddr(t testing.TB) string {
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

// voters waits until that many members vote, as the leader knows and as whoever runs knows: a promotion binds those that have heard of it.
func (g *group) voters(count int) {
	g.t.Helper()
	g.until(fmt.Sprint(count, " members vote"), func() bool {
		leader := g.leader()
		for name, n := range g.nodes {
			voters := 0
			for _, p := range n.Status().Peers {
				if p.Role != "learner" && (p.Up || name != leader) {
					voters++
				}
			}
			if voters != count {
				return false
			}
		}
		return true
	})
}

func (g *group) stop(name string) {
	g.t.Helper()
	if err := g.nodes[name].Close(); err != nil {
		g.t.Error(err)
	}
	delete(g.nodes, name)
}

// crash ends a member as kill -9 would; with another boot, as a power failure that took what was not on the disk.
func (g *group) crash(name string, boot uint64) {
	n := g.nodes[name]
	delete(g.nodes, name)
	n.halt()
	n.mu.Lock()
	n.dead = true
	n.over.Store(true)
	n.mu.Unlock()
	if n.lock != nil {
		n.lock.Close()
	}
	cfg := g.configs[name]
	cfg.boot += boot
	g.configs[name] = cfg
}

// traffic counts up at members until stop is called, which returns how many increments were acknowledged, how many may have been carried out besides,
// and the longest wait for one.
func (g *group) traffic(names ...string) (stop func() (acked, unsure int64, longest time.Duration)) {
	var done atomic.Bool
	var acked, unsure, longest atomic.Int64
	var wg sync.WaitGroup
	for _, name := range names {
		w := newWorker(g.nodes[name])
		wg.Go(func() {
			for !done.Load() {
				begin := time.Now()
				a := w.write(&op.IncrBy{Key: op.Key{Name: []byte("sum")}, Delta: 1})[0]
				switch {
				case a.err == nil:
					acked.Add(1)
				case errors.Is(a.err, engine.ErrUncertain):
					unsure.Add(1)
				}
				for took := int64(time.Since(begin)); ; {
					was := longest.Load()
					if took <= was || longest.CompareAndSwap(was, took) {
						break
					}
				}
			}
		})
	}
	return func() (int64, int64, time.Duration) {
		done.Store(true)
		wg.Wait()
		return acked.Load(), unsure.Load(), time.Duration(longest.Load())
	}
}

// sure ends traffic of which no outcome may be unknown.
func (g *group) sure(stop func() (acked, unsure int64, longest time.Duration)) (acked int64) {
	g.t.Helper()
	acked, unsure, longest := stop()
	g.t.Logf("%d acknowledged, the longest wait was %s", acked, longest)
	if unsure != 0 {
		g.t.Errorf("%d of unknown outcome", unsure)
	}
	return acked
}

// sum checks what traffic has counted, at all members.
func (g *group) sum(acked, unsure int64) {
	g.t.Helper()
	for name, w := range g.workers() {
		v, _ := w.get(g.t, "sum")
		if n, _ := strconv.ParseInt(v, 10, 64); n < acked || n > acked+unsure {
			g.t.Errorf("%s counted to %q, %d were acknowledged and %d may have been", name, v, acked, unsure)
		}
	}
}

// equal waits until all members have applied the same and compares their states.
func (g *group) equal() {
	g.t.Helper()
	g.until("all are equal", func() bool {
		var all []string
		for _, n := range g.nodes {
			n.mu.Lock()
			all = append(all, fmt.Sprint(n.state.Index(), n.state.Digest()))
			n.mu.Unlock()
		}
		slices.Sort(all)
		return len(slices.Compact(all)) == 1
	})
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

func TestMemberIsKilled(t *testing.T) {
	for _, which := range []string{"leader", "follower"} {
		t.Run(which, func(t *testing.T) {
			g := newGroup(t, 3, nil)
			g.start(g.all()...)
			g.voters(3)
			victim := g.leader()
			if which == "follower" {
				victim = g.another()
			}
			var others []string
			for _, name := range g.all() {
				if name != victim {
					others = append(others, name)
				}
			}
			stop := g.traffic(others...)
			time.Sleep(200 * time.Millisecond)
			g.crash(victim, 0)
			time.Sleep(1500 * time.Millisecond)
			g.start(victim)
			g.voters(3)
			acked, unsure, longest := stop()
			t.Logf("%d acknowledged, the longest wait was %s", acked, longest)
			if unsure != 0 || longest > 2500*time.Millisecond {
				t.Errorf("%d of unknown outcome, the longest wait was %s", unsure, longest)
			}
			g.sum(acked, unsure)
			g.equal()
		})
	}
}

// A member whose machine went down comes back under a new id, since it may have forgotten what it acknowledged.
func TestForgetfulMember(t *testing.T) {
	for _, d := range []Durability{Second, Always, Memory} {
		t.Run(d.String(), func(t *testing.T) {
			g := newGroup(t, 3, func(c *Config) { c.Durability = d })
			g.start(g.all()...)
			g.voters(3)
			victim := g.leader()
			id := g.nodes[victim].record.id
			stop := g.traffic(g.another())
			g.crash(victim, 1)
			g.start(victim)
			g.voters(3)
			acked, unsure, _ := stop()
			if again := g.nodes[victim].record.id; (again == id) != (d == Always) {
				t.Errorf("its id was %x and is %x", id, again)
			}
			g.sum(acked, unsure)
			g.equal()
		})
	}
}

// When the machines of all members went down the group goes on from the most advanced log.
func TestAllMachinesGoDown(t *testing.T) {
	for _, down := range []int{2, 3} {
		t.Run(fmt.Sprint(down), func(t *testing.T) {
			g := newGroup(t, 3, nil)
			g.start(g.all()...)
			g.voters(3)
			stop := g.traffic(g.all()...)
			time.Sleep(300 * time.Millisecond)
			acked, unsure, _ := stop()
			for i, name := range g.all() {
				boot := uint64(1)
				if i >= down {
					boot = 0
				}
				g.crash(name, boot)
			}
			if down == 3 {
				g.start(g.all()...)
				g.voters(3)
				g.sum(acked, unsure)
				g.equal()
				return
			}
			// The one that can be relied on gives up and must be started again.
			g.begin("c3")
			given := g.nodes["c3"]
			var wg sync.WaitGroup
			for _, name := range []string{"c1", "c2"} {
				wg.Go(func() { g.begin(name) })
			}
			<-given.Failed()
			given.Close()
			wg.Go(func() { g.begin("c3") })
			wg.Wait()
			g.voters(3)
			g.sum(acked, unsure)
			g.equal()
		})
	}
}

// outrun crashes a member, and writes until it is further behind than a log of 100 KiB goes back.
func (g *group) outrun(victim string) {
	g.t.Helper()
	g.crash(victim, 0)
	w := newWorker(g.nodes[g.leader()])
	for i := range 300 {
		if a := w.write(set(fmt.Sprint("big", i), strings.Repeat("x", 10000))); a[0].err != nil {
			g.t.Fatal(a[0].err)
		}
	}
}

// A member that is further behind than the log goes back is brought up by a snapshot while the others go on.
func TestSnapshotForMember(t *testing.T) {
	for _, d := range []Durability{Second, Memory} {
		t.Run(d.String(), func(t *testing.T) {
			g := newGroup(t, 3, func(c *Config) { c.Durability, c.retain = d, 100<<10 })
			g.start(g.all()...)
			g.voters(3)
			victim := g.another()
			g.outrun(victim)
			stop := g.traffic(g.leader())
			g.start(victim)
			g.voters(3)
			acked, unsure, longest := stop()
			t.Logf("%d acknowledged, the longest wait was %s", acked, longest)
			g.sum(acked, unsure)
			g.equal()
			if s := g.logs[victim].String(); !strings.Contains(s, "took over a snapshot") {
				t.Error("there was no snapshot")
			}
			if d == Memory {
				return
			}
			g.crash(victim, 0) // what it took over is there after a restart
			g.start(victim)
			g.sum(acked, unsure)
			g.equal()
		})
	}
}

// A group is founded by all its members, and does not serve before a majority is in it.
func TestFounding(t *testing.T) {
	g := newGroup(t, 3, nil)
	for _, name := range []string{"c1", "c2"} {
		cfg := g.configs[name]
		stop := make(chan struct{})
		cfg.Listener, _ = net.Listen("tcp", cfg.Addr)
		cfg.Stopping = stop
		began := make(chan error, 1)
		go func() { _, err := Start(cfg); began <- err }()
		time.Sleep(600 * time.Millisecond)
		close(stop)
		if err := <-began; !errors.Is(err, errClosed) {
			t.Fatalf("%s came back with %v", name, err)
		}
	}
	g.start(g.all()...)
	g.voters(3)
}

func TestFiveMembers(t *testing.T) {
	g := newGroup(t, 5, nil)
	g.start(g.all()...)
	g.voters(5)
	first := g.leader()
	second := g.another()
	var others []string
	for _, name := range g.all() {
		if name != first && name != second {
			others = append(others, name)
		}
	}
	stop := g.traffic(others...)
	g.crash(first, 0)
	g.crash(second, 1)
	time.Sleep(time.Second)
	g.start(first, second)
	g.voters(5)
	g.sum(g.sure(stop), 0)
	g.equal()
}

// A controller joins a running group, one is removed, and the leader is drained, while clients notice nothing.
func TestMembersComeAndGo(t *testing.T) {
	g := newGroup(t, 3, nil)
	g.start(g.all()...)
	g.voters(3)
	stop := g.traffic("c1", "c2")
	fourth := Peer{"c4", freeAddr(t)}
	g.peers = append(g.peers, fourth)
	g.configure(fourth, Config{Dir: t.TempDir(), Join: []string{g.peers[2].Addr}}, nil)
	g.start("c4")
	g.voters(4)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := g.nodes["c4"].Remove(ctx, "c3"); err != nil {
		t.Fatal(err)
	}
	<-g.nodes["c3"].Failed()
	if err := g.nodes["c3"].Err(); !strings.Contains(err.Error(), "removed from the group") {
		t.Error(err)
	}
	g.stop("c3")
	g.voters(3)
	g.sum(g.sure(stop), 0)
	g.equal()
}

func TestDrain(t *testing.T) {
	g := newGroup(t, 3, nil)
	g.start(g.all()...)
	g.voters(3)
	for range 3 {
		time.Sleep(700 * time.Millisecond) // a member that was just started helps nobody to lead for a while
		leader := g.leader()
		var others []string
		for _, name := range g.all() {
			if name != leader {
				others = append(others, name)
			}
		}
		stop := g.traffic(others...)
		time.Sleep(100 * time.Millisecond)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if err := g.nodes[leader].Drain(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		g.stop(leader)
		time.Sleep(100 * time.Millisecond)
		g.sure(stop)
		g.start(leader)
		g.voters(3)
	}
}

// Without a majority requests are held for the budget and then refused; with one again they are carried out.
func TestNoMajority(t *testing.T) {
	g := newGroup(t, 3, nil)
	g.start(g.all()...)
	g.voters(3)
	g.crash("c1", 0)
	g.crash("c2", 0)
	n := g.nodes["c3"]
	g.until("it notices", func() bool { return !n.Status().Quorum && n.Status().Leader == "" })
	w := newWorkerHolding(n, 300*time.Millisecond)
	begin := time.Now()
	a := w.write(set("a", "1"))
	if took := time.Since(begin); !errors.Is(a[0].err, engine.ErrUnavailable) || took < 300*time.Millisecond || took > 900*time.Millisecond {
		t.Errorf("a write came back with %v after %s", a[0].err, took)
	}
	begin = time.Now()
	_, err := w.read(&op.Get{Key: name("a")})
	if took := time.Since(begin); !errors.Is(err, engine.ErrUnavailable) || took < 300*time.Millisecond || took > 900*time.Millisecond {
		t.Errorf("a read came back with %v after %s", err, took)
	}
	patient := newWorkerHolding(n, 20*time.Second)
	read, wrote := make(chan error, 1), make(chan error, 1)
	go func() { _, err := patient.read(&op.Get{Key: name("a")}); read <- err }()
	late := newWorkerHolding(n, 20*time.Second)
	go func() { wrote <- late.write(set("b", "1"))[0].err }()
	time.Sleep(50 * time.Millisecond)
	g.start("c1")
	if err := <-read; err != nil {
		t.Error(err)
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
	if _, ok := w.get(t, "a"); ok {
		t.Error("what was refused was carried out")
	}
}

// Any two of three that nobody has written to yet go on after a power failure, whoever was let in last: each has in its log who votes.
func TestFreshGroupRestarts(t *testing.T) {
	for _, second := range []string{"c2", "c3"} {
		t.Run(second, func(t *testing.T) {
			g := newGroup(t, 3, func(c *Config) { c.Durability = Always })
			g.start(g.all()...)
			g.voters(3)
			var most uint64
			since := time.Now()
			g.until("nothing more comes", func() bool {
				for _, n := range g.nodes {
					if a := n.Status().Applied; a > most {
						most, since = a, time.Now()
					}
				}
				return time.Since(since) > 300*time.Millisecond
			})
			for _, name := range g.all() {
				g.crash(name, 1)
			}
			g.start("c1", second)
			g.leader()
		})
	}
}

// What clients of all members see while members crash and come back is as if one after the other had been carried out.
func TestLinearizableGroup(t *testing.T) {
	for _, index := range []bool{false, true} {
		t.Run(fmt.Sprint("by index ", index), func(t *testing.T) {
			g := newGroup(t, 3, func(c *Config) { c.ReadIndex = index })
			g.start(g.all()...)
			g.voters(3)
			begin := time.Now()
			var mu sync.Mutex
			var history []porcupine.Operation
			var wg sync.WaitGroup
			var done atomic.Bool
			for id := range 6 {
				w := newWorkerHolding(g.nodes[g.peers[id%2].Name], 20*time.Second)
				wg.Go(func() {
					for i := 0; !done.Load() || i < 100; i++ {
						d := did{key: fmt.Sprint("k", rand.IntN(3)), write: int64(rand.IntN(3) - 1)}
						if d.write > 0 {
							d.write = int64(100000*(id+1) + i)
						}
						call := time.Since(begin)
						d.saw = perform(t, w, d)
						back := time.Since(begin)
						mu.Lock()
						history = append(history, porcupine.Operation{ClientId: id, Input: d, Call: int64(call), Output: d, Return: int64(back)})
						mu.Unlock()
						time.Sleep(time.Duration(rand.IntN(4)) * time.Millisecond)
					}
				})
			}
			for i := range 3 {
				g.crash("c3", uint64(i%2))
				time.Sleep(300 * time.Millisecond)
				g.start("c3")
			}
			done.Store(true)
			wg.Wait()
			if !porcupine.CheckOperations(register, history) {
				t.Error("no order explains what was seen")
			}
			t.Logf("%d operations", len(history))
		})
	}
}

// What is read at any member stays when memory gets short; but for a few whose mark another key shares.
func TestEvictionInGroup(t *testing.T) {
	g := newGroup(t, 3, func(c *Config) {
		c.Durability, c.Limit = Memory, MinLimit
		for i := range c.Classes {
			c.Classes[i] = op.Cache
		}
	})
	g.start(g.all()...)
	g.voters(3)
	reader, writer := newWorker(g.nodes[g.another()]), newWorker(g.nodes[g.leader()])
	for i := range 100 {
		writer.write(set(fmt.Sprint("hot", i), strings.Repeat("x", 1000)))
	}
	leader := g.nodes[g.leader()]
	gone := map[int]bool{}
	for i := range 350 {
		var ops []op.Write
		for j := range 100 {
			ops = append(ops, set(fmt.Sprint("cold", i, " ", j), strings.Repeat("x", 1000)))
		}
		for _, a := range writer.write(ops...) {
			if a.err != nil || a.res.Status != op.OK {
				t.Fatal(a.err, a.res.Status)
			}
		}
		for j := range 100 {
			if _, ok := reader.get(t, fmt.Sprint("hot", j)); !ok {
				gone[j] = true
			}
		}
		g.until("there is room without evicting in haste", func() bool {
			leader.mu.Lock()
			defer leader.mu.Unlock()
			return leader.level() < highWater
		})
	}
	if len(gone) > 8 {
		t.Errorf("%d of 100 keys that are read all the time are gone", len(gone))
	}
	if m := g.nodes[g.leader()].Status().Memory; m.Evicted < 10000 {
		t.Errorf("only %d keys were evicted", m.Evicted)
	}
	g.equal()
}

// A member that was removed while it was down finds out, and stops with a sentence.
func TestRemovedWhileDown(t *testing.T) {
	g := newGroup(t, 3, nil)
	g.start(g.all()...)
	g.voters(3)
	gone := g.another()
	g.crash(gone, 0)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := g.nodes[g.leader()].Remove(ctx, gone); err != nil {
		t.Fatal(err)
	}
	g.start(gone)
	select {
	case <-g.nodes[gone].Failed():
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on")
	}
	if err := g.nodes[gone].Err(); !strings.Contains(err.Error(), "removed from the group") {
		t.Error(err)
	}
}

// After a failed fsync, and after a repair, a member is caught up by the others under a new id.
func TestLogIsGivenUp(t *testing.T) {
	for _, why := range []string{"fsync", "repair"} {
		t.Run(why, func(t *testing.T) {
			var f fault
			g := newGroup(t, 3, func(c *Config) {
				if c.Name == "c3" {
					c.fault = f.ask
				}
			})
			g.start(g.all()...)
			g.voters(3)
			id := g.nodes["c3"].record.id
			stop := g.traffic("c1", "c2")
			time.Sleep(50 * time.Millisecond)
			if why == "fsync" {
				f.set("sync", syscall.EIO)
				<-g.nodes["c3"].Failed()
				f.set("", nil)
				g.crash("c3", 0)
			} else {
				g.crash("c3", 0)
				if _, err := Repair(g.configs["c3"].Dir); err != nil {
					t.Fatal(err)
				}
			}
			g.start("c3")
			g.voters(3)
			acked, unsure, _ := stop()
			if g.nodes["c3"].record.id == id {
				t.Error("it has its old id")
			}
			g.sum(acked, unsure)
			g.equal()
		})
	}
}

// A member may come back at another address.
func TestMemberMoves(t *testing.T) {
	g := newGroup(t, 3, nil)
	g.start(g.all()...)
	g.voters(3)
	name := g.another()
	stop := g.traffic(g.leader())
	g.stop(name)
	cfg := g.configs[name]
	cfg.Addr = freeAddr(t)
	cfg.Members = slices.Clone(cfg.Members)
	for i := range cfg.Members {
		if cfg.Members[i].Name == name {
			cfg.Members[i].Addr = cfg.Addr
		}
	}
	g.configs[name] = cfg
	g.start(name)
	g.voters(3)
	acked, unsure, _ := stop()
	g.sum(acked, unsure)
	g.equal()
}
