package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"holdfast/cluster/wal"
	"holdfast/engine"
	"holdfast/op"
)

// TestMain lets the test binary be the daemon that TestKill kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("CLUSTER_TEST_VICTIM"); dir != "" {
		victim(dir)
	}
	os.Exit(m.Run())
}

// victim counts up in four keys as fast as it can, and prints each count that was acknowledged, until it is killed.
func victim(dir string) {
	durability := Second
	if os.Getenv("CLUSTER_TEST_DURABILITY") == "always" {
		durability = Always
	}
	n, err := Start(Config{Dir: dir, Durability: durability, Segment: 256 << 10, SnapshotAfter: 1 << 20, Logger: quiet()})
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	var out sync.Mutex
	pad := strings.Repeat("x", 2000)
	for id := range 4 {
		w := newWorker(n)
		go func() {
			for {
				as := w.write(&op.IncrBy{Key: name(fmt.Sprint("n", id)), Delta: 1}, set(fmt.Sprint("pad", id), pad))
				out.Lock()
				fmt.Printf("%d %d\n", id, as[0].res.Int)
				out.Unlock()
			}
		}()
	}
	go func() {
		for {
			n.Snapshot(context.Background())
		}
	}()
	select {}
}

// A daemon killed at any moment, again and again, loses nothing that it had acknowledged and applies nothing twice.
func TestKill(t *testing.T) {
	for _, durability := range []string{"second", "always"} {
		t.Run(durability, func(t *testing.T) {
			dir := t.TempDir()
			acknowledged := map[int]int64{}
			for range 6 {
				runVictim(t, dir, durability, acknowledged)
				n := start(t, Config{Dir: dir, Segment: 256 << 10})
				w := newWorker(n)
				for id, want := range acknowledged {
					var got int64
					v, _ := w.get(t, fmt.Sprint("n", id))
					fmt.Sscan(v, &got)
					if got < want || got > want+1 { // one may have been on its way
						t.Fatalf("counter %d is %d, %d was acknowledged", id, got, want)
					}
					acknowledged[id] = got
				}
				if err := n.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func runVictim(t *testing.T, dir, durability string, acknowledged map[int]int64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CLUSTER_TEST_VICTIM="+dir, "CLUSTER_TEST_DURABILITY="+durability)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	after := 50 + rand.IntN(500)
	for i := 0; lines.Scan(); i++ {
		var id int
		var count int64
		if _, err := fmt.Sscan(lines.Text(), &id, &count); err != nil {
			if i <= after {
				t.Errorf("the daemon said %q", lines.Text())
			}
			break // cut off in the middle
		}
		acknowledged[id] = count
		if i == after {
			cmd.Process.Signal(syscall.SIGKILL)
		}
	}
	io.Copy(io.Discard, out)
	cmd.Wait()
}

// A log that ends anywhere: the daemon starts with a prefix of what it had, or refuses.
func TestLogEndsAnywhere(t *testing.T) {
	dir := t.TempDir()
	n := start(t, Config{Dir: dir, Segment: 64 << 10})
	w := newWorker(n)
	for i := range 40 {
		w.write(set("last", fmt.Sprint(i)))
	}
	n.Close()
	names, _ := filepath.Glob(filepath.Join(dir, "log", "*.wal"))
	last, err := os.ReadFile(names[len(names)-1])
	if err != nil {
		t.Fatal(err)
	}
	end := len(strings.TrimRight(string(last), "\x00"))
	highest := -1
	for size := 0; size <= end; size += 1 + rand.IntN(40) {
		cut := t.TempDir()
		os.Mkdir(filepath.Join(cut, "log"), 0o700)
		for i, from := range names {
			b, _ := os.ReadFile(from)
			if i == len(names)-1 {
				b = b[:size]
			}
			os.WriteFile(filepath.Join(cut, "log", filepath.Base(from)), b, 0o600)
		}
		n, err := Start(Config{Dir: cut, Segment: 64 << 10, Logger: quiet()})
		if err != nil {
			if !errors.Is(err, wal.ErrDamaged) {
				t.Fatalf("cut to %d bytes: %v", size, err)
			}
			continue
		}
		v, ok := newWorker(n).get(t, "last")
		got := -1
		if ok {
			fmt.Sscan(v, &got)
		}
		if got < highest {
			t.Fatalf("cut to %d bytes shows %d, a shorter log showed %d", size, got, highest)
		}
		highest = got
		n.Close()
	}
	if highest < 38 {
		t.Errorf("the longest log shows %d", highest)
	}
}

// The machine may go down when a snapshot is on stable storage and the end of the log before it is not.
func TestSnapshotAheadOfLog(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	n := start(t, cfg)
	w := newWorker(n)
	for i := range 20 {
		w.write(set("a", fmt.Sprint(i)))
	}
	if err := n.Snapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
	w.write(set("a", "behind the snapshot"))
	n.Close()
	names, _ := filepath.Glob(filepath.Join(cfg.Dir, "log", "*.wal"))
	if err := os.Truncate(names[len(names)-1], 1000); err != nil {
		t.Fatal(err)
	}
	for life := range 3 {
		n := start(t, cfg)
		w := newWorker(n)
		if v, _ := w.get(t, "a"); v != fmt.Sprint(19+life) {
			t.Errorf("life %d has %q", life, v)
		}
		w.write(set("a", fmt.Sprint(20+life)))
		n.Close()
	}
}

func TestDamagedSnapshot(t *testing.T) {
	dir := t.TempDir()
	n := start(t, Config{Dir: dir})
	newWorker(n).write(set("a", strings.Repeat("x", 5000)))
	if err := n.Snapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
	n.Close()
	names, _ := filepath.Glob(filepath.Join(dir, "snapshot", "*"))
	if len(names) != 1 {
		t.Fatal(names)
	}
	whole, _ := os.ReadFile(names[0])
	for range 50 {
		b := append([]byte(nil), whole...)
		if at := rand.IntN(len(b)); rand.IntN(2) == 0 {
			b[at] ^= 1 << rand.IntN(8)
		} else {
			b = b[:at]
		}
		os.WriteFile(names[0], b, 0o600)
		if n, err := Start(Config{Dir: dir, Logger: quiet()}); err == nil {
			n.Close()
			t.Fatal("a damaged snapshot was loaded")
		} else if !strings.Contains(err.Error(), "holdfast repair --data "+dir) {
			t.Fatalf("the error does not say what to do: %v", err)
		}
	}
	report, err := Repair(dir)
	if err != nil || !strings.Contains(report, filepath.Base(names[0])) {
		t.Errorf("repair: %q, %v", report, err)
	}
}

// fault makes the log fail on demand.
type fault struct {
	mu   sync.Mutex
	what string
	err  error
}

func (f *fault) set(what string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.what, f.err = what, err
}

func (f *fault) ask(does string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if does == f.what {
		return f.err
	}
	return nil
}

// On a full disk writes are held; when there is room again they are carried out, once each.
func TestDiskFull(t *testing.T) {
	for _, d := range []Durability{Second, Always} {
		t.Run(d.String(), func(t *testing.T) {
			var f fault
			cfg := Config{Dir: t.TempDir(), Durability: d, fault: f.ask}
			n := start(t, cfg)
			a, b := newWorker(n), newWorker(n)
			a.write(&op.IncrBy{Key: name("n"), Delta: 1})
			f.set("write", syscall.ENOSPC)
			var as [2]answer
			a.Write(&op.IncrBy{Key: name("n"), Delta: 1}, &as[0])
			a.Flush()
			b.Write(&op.IncrBy{Key: name("n"), Delta: 1}, &as[1])
			b.Flush()
			if s := n.Status(); as[0].done || as[1].done || s.Quorum || !strings.Contains(s.Problem, "full") {
				t.Errorf("answered %v, %v; status %+v", as[0].done, as[1].done, s)
			}
			if v, _ := b.get(t, "n"); v != "1" {
				t.Errorf("a read shows %q, only 1 was acknowledged", v)
			}
			f.set("", nil)
			for !as[0].done {
				<-a.woken
				a.Flush()
			}
			for !as[1].done {
				<-b.woken
				b.Flush()
			}
			if as[0].err != nil || as[1].err != nil || as[0].res.Int+as[1].res.Int != 5 {
				t.Errorf("with room again: %+v, %+v", as[0], as[1])
			}
			if s := n.Status(); !s.Quorum || s.Problem != "" {
				t.Errorf("with room again the status is %+v", s)
			}
		})
	}
}

// What is held for too long is refused: politely if it was never sent, else its outcome is unknown.
func TestDiskStaysFull(t *testing.T) {
	var f fault
	n := start(t, Config{Dir: t.TempDir(), fault: f.ask})
	a, b := newWorkerHolding(n, 50*time.Millisecond), newWorkerHolding(n, 50*time.Millisecond)
	f.set("write", syscall.ENOSPC)
	var as [2]answer
	a.Write(set("a", "1"), &as[0])
	a.Flush()
	b.Write(set("b", "1"), &as[1])
	b.Flush()
	for !as[0].done {
		<-a.woken
		a.Flush()
	}
	for !as[1].done {
		<-b.woken
		b.Flush()
	}
	if !errors.Is(as[0].err, engine.ErrUncertain) || !errors.Is(as[1].err, engine.ErrUnavailable) {
		t.Errorf("refused with %v and %v", as[0].err, as[1].err)
	}
	f.set("", nil)
	for n.Err() != nil {
		time.Sleep(time.Millisecond)
	}
	a.write(set("c", "1"))
	if _, ok := a.get(t, "b"); ok {
		t.Error("what was refused as not carried out was carried out")
	}
}

// After a failed fsync nothing is acknowledged any more.
func TestFailedFsync(t *testing.T) {
	for _, what := range []string{"sync", "write"} {
		for _, d := range []Durability{Second, Always} {
			t.Run(fmt.Sprint(what, " ", d), func(t *testing.T) {
				var f fault
				cfg := Config{Dir: t.TempDir(), Durability: d, fault: f.ask}
				n := start(t, cfg)
				w := newWorker(n)
				w.write(set("a", "1"))
				f.set(what, syscall.EIO)
				w.Write(set("a", "2"), new(answer))
				w.Flush()
				n.sync()
				<-n.Failed()
				w.Flush()
				as := w.write(set("a", "3"))
				if !errors.Is(as[0].err, engine.ErrUnavailable) {
					t.Errorf("a write after it: %+v", as[0])
				}
				if s := n.Status(); s.Quorum || s.Problem == "" || n.Err() == nil {
					t.Errorf("the status is %+v", s)
				}
				if _, ok := w.get(t, "a"); !ok {
					t.Error("nothing is read any more")
				}
				n.Close()
				f.set("", nil)
				if v, _ := newWorker(start(t, cfg)).get(t, "a"); v != "1" && v != "2" {
					t.Errorf("after a restart there is %q", v)
				}
			})
		}
	}
}

// A reader that waits for time to pass is refused when no time will pass any more.
func TestWaitingReaderIsRefused(t *testing.T) {
	var f fault
	n := start(t, Config{Dir: t.TempDir(), fault: f.ask})
	w := newWorkerHolding(n, 20*time.Millisecond)
	w.write(setIn("a", "1", 30))
	f.set("write", syscall.ENOSPC)
	w.Write(set("b", "1"), new(answer)) // so that the trouble is noticed
	w.Flush()
	for {
		a, err := w.read(&op.Get{Key: name("a")})
		if err != nil {
			if !errors.Is(err, engine.ErrUnavailable) {
				t.Errorf("refused with %v", err)
			}
			break
		}
		if a.res.Status != op.OK {
			t.Fatal("the key ended although nothing can be written")
		}
	}
}

// With durability always nothing is acknowledged, and nothing shown, before an fsync that began after it was written.
func TestAlwaysWaitsForFsync(t *testing.T) {
	var blocked atomic.Bool
	gate, asked := make(chan struct{}), make(chan struct{}, 100)
	n := start(t, Config{Dir: t.TempDir(), Durability: Always, fault: func(does string) error {
		if does == "sync" && blocked.Load() {
			asked <- struct{}{}
			<-gate
		}
		return nil
	}})
	w := newWorker(n)
	w.write(set("a", "1"))
	blocked.Store(true)
	var first, second answer
	w.Write(set("a", "2"), &first)
	w.Flush()
	<-asked // an fsync for the first has begun
	w.Write(set("a", "3"), &second)
	w.Flush()
	if v, _ := w.get(t, "a"); first.done || second.done || v != "1" {
		t.Errorf("answered %v, %v before the fsync; a read shows %q", first.done, second.done, v)
	}
	gate <- struct{}{}
	<-asked // the next one has begun, so the first is through
	for !first.done {
		<-w.woken
		w.Flush()
	}
	if second.done {
		t.Error("answered by an fsync that began before it was written")
	}
	blocked.Store(false)
	close(gate)
	for !second.done {
		<-w.woken
		w.Flush()
	}
}
