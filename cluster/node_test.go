package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/cluster/wal"
	"holdfast/engine"
	"holdfast/keyspace"
	"holdfast/op"
	"holdfast/replica"
)

// worker is a server's worker in miniature: it flushes when it is woken.
type worker struct {
	*Door
	woken chan struct{}
}

func newWorker(n *Node) *worker { return newWorkerHolding(n, 3*time.Second) }

func newWorkerHolding(n *Node, hold time.Duration) *worker {
	w := &worker{woken: make(chan struct{}, 1)}
	w.Door = n.Door(w.wakeUp, hold)
	return w
}

func (w *worker) wakeUp() {
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// answer is a Writer and a Reader that keeps what it gets.
type answer struct {
	res  op.Result
	err  error
	done bool
	wake chan error
}

func (a *answer) Done(r *op.Result, err error) { a.keep(r); a.err, a.done = err, true }
func (a *answer) Show(r *op.Result)            { a.keep(r); a.done = true }
func (a *answer) Wake()                        { a.wake <- nil }
func (a *answer) Refuse(err error)             { a.wake <- err }
func (a *answer) keep(r *op.Result) {
	a.res = *r
	a.res.Value = append([]byte(nil), r.Value...)
}

// write carries out ops as one pass and waits until all are answered.
func (w *worker) write(ops ...op.Write) []*answer {
	var as []*answer
	for _, o := range ops {
		a := new(answer)
		as = append(as, a)
		w.Write(o, a)
	}
	w.Flush()
	for !as[len(as)-1].done {
		<-w.woken
		w.Flush()
	}
	return as
}

// read waits for what a read shows.
func (w *worker) read(r op.Read) (*answer, error) {
	a := &answer{wake: make(chan error, 1)}
	for !w.Read(r, a) {
		if err := <-a.wake; err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (w *worker) get(t testing.TB, key string) (string, bool) {
	t.Helper()
	a, err := w.read(&op.Get{Key: name(key)})
	if err != nil {
		t.Fatal(err)
	}
	return string(a.res.Value), a.res.Status == op.OK
}

func name(key string) op.Key { return op.Key{Name: []byte(key)} }

func set(key, value string) *op.Set { return &op.Set{Key: name(key), Value: []byte(value)} }

func setIn(key, value string, ms int64) *op.Set {
	return &op.Set{Key: name(key), Value: []byte(value), Life: op.Life{Kind: op.In, Ms: ms}}
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func start(t *testing.T, cfg Config) *Node {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = quiet()
	}
	n, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// onDisk is the state that the snapshot and the log in a data directory amount to.
func onDisk(t *testing.T, cfg Config) *keyspace.State {
	t.Helper()
	n, err := prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.state = newState(&cfg)
	base, err := n.loadSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	if base == nil {
		base = new(replica.Base)
	}
	l, err := wal.Open(n.logDir(), wal.Options{Segment: wal.MinSegment}, func(r wal.Record) error {
		if r.Kind == recordEntry && r.Index > base.Index && len(r.Body) > entryHead {
			e, err := keyspace.DecodeEntry(r.Index, r.Body[entryHead:])
			if err != nil {
				return err
			}
			n.state.Apply(&e, nil)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return n.state
}

func everyDurability(t *testing.T, f func(t *testing.T, cfg Config)) {
	for _, d := range []Durability{Second, Always, Memory} {
		t.Run(d.String(), func(t *testing.T) {
			cfg := Config{Name: "one", Durability: d}
			if d != Memory {
				cfg.Dir = t.TempDir()
			}
			f(t, cfg)
		})
	}
}

func TestWriteAndRead(t *testing.T) {
	everyDurability(t, func(t *testing.T, cfg Config) {
		n := start(t, cfg)
		w, other := newWorker(n), newWorker(n)
		as := w.write(set("a", "1"), set("b", "2"), &op.IncrBy{Key: name("n"), Delta: 5}, &op.Set{Key: name("a"), Value: []byte("3"), Get: true})
		if as[2].res.Int != 5 {
			t.Errorf("the sum is %d, want 5", as[2].res.Int)
		}
		if v := string(as[3].res.Value); v != "1" {
			t.Errorf("SET with GET showed %q, want 1", v)
		}
		if v, ok := other.get(t, "a"); v != "3" || !ok {
			t.Errorf("another worker sees %q, %v", v, ok)
		}
		s := n.Status()
		if s.Role != "leader" || s.Leader != "one" || !s.Quorum || s.Durable != cfg.Durability.String() || s.Applied == 0 || s.Problem != "" {
			t.Errorf("the status is %+v", s)
		}
	})
}

// With second and memory a write is answered within Flush: the worker never has to be woken.
func TestAnsweredInFlush(t *testing.T) {
	for _, d := range []Durability{Second, Memory} {
		n := start(t, Config{Dir: t.TempDir(), Durability: d})
		door := n.Door(func() { t.Error("a worker was woken") }, time.Second)
		for range 100 {
			a := new(answer)
			door.Write(set("a", "1"), a)
			door.Flush()
			if !a.done {
				t.Fatalf("durability %s: not answered when Flush returned", d)
			}
		}
		n.Close()
	}
}

func TestBatchesAreBounded(t *testing.T) {
	n := start(t, Config{Durability: Memory})
	w := newWorker(n)
	var ops []op.Write
	for i := range 3*batchOps + 7 {
		ops = append(ops, set(fmt.Sprint("k", i), "v"))
	}
	before := n.Status().Applied
	w.write(ops...)
	if got := n.Status().Applied - before; got != 4 {
		t.Errorf("%d ops took %d entries, want 4", len(ops), got)
	}
}

func TestRestart(t *testing.T) {
	for _, d := range []Durability{Second, Always} {
		for _, snapshot := range []bool{false, true} {
			t.Run(fmt.Sprint(d, " snapshot ", snapshot), func(t *testing.T) {
				cfg := Config{Dir: t.TempDir(), Durability: d, Segment: 64 << 10, Logger: quiet()}
				for life := range 4 {
					n := start(t, cfg)
					w := newWorker(n)
					if life > 0 {
						for i := range 300 {
							if v, _ := w.get(t, fmt.Sprint("k", i)); v != fmt.Sprint("v", life-1, i) {
								t.Fatalf("life %d: k%d is %q", life, i, v)
							}
						}
					}
					for i := range 300 {
						w.write(set(fmt.Sprint("k", i), fmt.Sprint("v", life, i)))
						if snapshot && i == 150 {
							if err := n.Snapshot(context.Background()); err != nil {
								t.Fatal(err)
							}
						}
					}
					digest := n.state.Digest()
					if err := n.Close(); err != nil {
						t.Fatal(err)
					}
					if d := onDisk(t, cfg).Digest(); d != digest {
						t.Fatalf("life %d: on disk is %x, in memory was %x", life, d, digest)
					}
				}
			})
		}
	}
}

func TestExpiry(t *testing.T) {
	everyDurability(t, func(t *testing.T, cfg Config) {
		n := start(t, cfg)
		w := newWorker(n)
		w.write(setIn("a", "1", 60))
		var deadline int64
		for {
			before := n.clock.now()
			a, err := w.read(&op.Get{Key: name("a")})
			if err != nil {
				t.Fatal(err)
			}
			if a.res.Status == op.OK {
				deadline = a.res.Deadline * 1e6
				if before >= deadline {
					t.Fatalf("shown %s after its deadline", time.Duration(before-deadline))
				}
			} else if now := n.clock.now(); now < deadline {
				t.Fatalf("gone %s before its deadline", time.Duration(deadline-now))
			} else {
				break
			}
		}
		if deadline == 0 {
			t.Error("never shown")
		}
	})
}

// What nobody touches is removed nevertheless.
func TestReclaim(t *testing.T) {
	n := start(t, Config{Durability: Memory})
	w := newWorker(n)
	var ops []op.Write
	for i := range 1000 {
		ops = append(ops, setIn(fmt.Sprint("k", i), "v", 50))
	}
	w.write(ops...)
	deadline := time.Now().Add(10 * time.Second)
	for {
		a, _ := w.read(&op.Size{})
		if a.res.Int == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d dead keys are still there", a.res.Int)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestDirectoryIsLocked(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Logger: quiet()}
	start(t, cfg)
	_, err := Start(cfg)
	if err == nil || !strings.Contains(err.Error(), "another daemon is using the data directory "+cfg.Dir) {
		t.Errorf("a second daemon: %v", err)
	}
	if _, err := Repair(cfg.Dir); err == nil {
		t.Errorf("a directory in use was repaired")
	}
}

func TestBadConfig(t *testing.T) {
	for _, cfg := range []Config{
		{},
		{Durability: Always},
		{Durability: Memory, Limit: 1 << 20},
	} {
		if n, err := Start(cfg); err == nil {
			n.Close()
			t.Errorf("%+v was started", cfg)
		}
	}
}

func TestConfigureIsReplicated(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Limit: 100 << 20, Rules: []op.Rule{{Space: op.Memcache, Pattern: []byte("x*"), Class: op.Session}}}
	cfg.Classes[3] = op.Cache
	n := start(t, cfg)
	before := n.Status()
	if before.Memory.Budget != 46<<20 || n.state.Config().Classes[3] != op.Cache || len(n.state.Config().Rules) != 1 {
		t.Fatalf("budget %d, config %+v", before.Memory.Budget, n.state.Config())
	}
	n.Close()
	n = start(t, cfg)
	if after := n.Status(); after.Ops != before.Ops {
		t.Errorf("the same settings were proposed again")
	}
	n.Close()
	cfg.Limit = 200 << 20
	n = start(t, cfg)
	if b := n.Status().Memory.Budget; b != 116<<20 {
		t.Errorf("the budget is %d after a change of the limit", b)
	}
}

func TestAfterClose(t *testing.T) {
	n := start(t, Config{Dir: t.TempDir()})
	w := newWorker(n)
	w.write(set("a", "1"))
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	as := w.write(set("a", "2"))
	if !errors.Is(as[0].err, engine.ErrUnavailable) {
		t.Errorf("a write after Close: %v", as[0].err)
	}
	if v, _ := w.get(t, "a"); v != "1" {
		t.Errorf("a read after Close shows %q", v)
	}
	if err := n.Snapshot(context.Background()); err == nil {
		t.Errorf("a snapshot after Close was taken")
	}
}

// Many workers at once: counters end at the number of increments, and no worker sees one run backwards.
func TestManyDoors(t *testing.T) {
	everyDurability(t, func(t *testing.T, cfg Config) {
		cfg.Segment = 64 << 10
		n := start(t, cfg)
		rounds := 300
		if cfg.Durability == Always {
			rounds = 60
		}
		var wg sync.WaitGroup
		for range 4 {
			w := newWorker(n)
			wg.Go(func() {
				var last int64
				for i := range rounds {
					as := w.write(&op.IncrBy{Key: name("n"), Delta: 1}, &op.IncrBy{Key: name("n"), Delta: 1})
					if as[0].res.Int <= last || as[1].res.Int != as[0].res.Int+1 {
						t.Errorf("counted %d, %d after %d", as[0].res.Int, as[1].res.Int, last)
					}
					last = as[1].res.Int
					if i%50 == 25 && cfg.Durability != Memory {
						if err := n.Snapshot(context.Background()); err != nil {
							t.Error(err)
						}
					}
					var seen int64
					if v, _ := w.get(t, "n"); len(v) > 0 {
						fmt.Sscan(v, &seen)
					}
					if seen < last {
						t.Errorf("read %d after %d was acknowledged", seen, last)
					}
				}
			})
		}
		wg.Wait()
		if v, _ := newWorker(n).get(t, "n"); v != fmt.Sprint(4*2*rounds) {
			t.Errorf("counted to %s, want %d", v, 4*2*rounds)
		}
	})
}

func TestDirWithoutPermission(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may do anything")
	}
	dir := t.TempDir()
	os.Chmod(dir, 0o500)
	if _, err := Start(Config{Dir: dir + "/data", Logger: quiet()}); err == nil {
		t.Error("started where nothing may be written")
	}
}
