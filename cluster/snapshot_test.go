package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/replica"
)

// When the log has grown enough a snapshot is taken, and the log before it goes.
func TestSnapshotBySize(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Segment: 64 << 10, SnapshotAfter: 1 << 20}
	n := start(t, cfg)
	w := newWorker(n)
	value := strings.Repeat("x", 10000)
	for i := 0; n.Status().Snapshot == 0; i++ {
		w.write(set(fmt.Sprint("k", i%10), value))
		if i > 1e6 {
			t.Fatal("no snapshot is taken")
		}
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		n.sync() // what is not synced keeps its segments
		if err := n.Snapshot(context.Background()); err != nil {
			t.Fatal(err)
		}
		s := n.Status()
		if s.LogBytes <= 200<<10 && s.SnapTime != 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after a snapshot the status is %+v", s)
		}
	}
	files, _ := filepath.Glob(filepath.Join(cfg.Dir, "snapshot", "*"))
	if len(files) != 1 {
		t.Errorf("there are snapshots %v", files)
	}
}

// A crash may leave an unfinished snapshot, or an older one beside a new one.
func TestLeftoverSnapshots(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	n := start(t, cfg)
	w := newWorker(n)
	w.write(set("a", "1"))
	if err := n.Snapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(cfg.Dir, "snapshot", "*"))
	older, _ := os.ReadFile(files[0])
	w.write(set("a", "2"))
	if err := n.Snapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
	n.Close()
	os.WriteFile(files[0], older, 0o600)
	os.WriteFile(filepath.Join(cfg.Dir, "snapshot", "new.tmp"), older[:20], 0o600)
	n = start(t, cfg)
	if v, _ := newWorker(n).get(t, "a"); v != "2" {
		t.Errorf("a is %q", v)
	}
}

// A snapshot that cannot be written leaves everything as it was, and another one can be taken.
func TestSnapshotFails(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	n := start(t, cfg)
	w := newWorker(n)
	w.write(set("a", "1"))
	blocker := filepath.Join(cfg.Dir, "snapshot", "new.tmp")
	if err := os.Mkdir(blocker, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := n.Snapshot(context.Background()); err == nil {
		t.Fatal("it was taken")
	}
	os.Remove(blocker)
	w.write(set("a", "2"))
	if err := n.Snapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
	n.Close()
	if v, _ := newWorker(start(t, cfg)).get(t, "a"); v != "2" {
		t.Errorf("a is %q", v)
	}
}

// Closing does not wait for a snapshot that is being written slowly.
func TestCloseDuringSnapshot(t *testing.T) {
	n := start(t, Config{Dir: t.TempDir(), SnapshotRate: 1000})
	newWorker(n).write(set("a", strings.Repeat("x", 1<<20)))
	done := make(chan error)
	go func() { done <- n.Snapshot(context.Background()) }()
	for { // until it has begun
		if _, err := os.Stat(filepath.Join(n.snapshotDir(), "new.tmp")); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	begin := time.Now()
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err == nil {
		t.Error("the snapshot was completed")
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("closing took %s", took)
	}
}

func FuzzReadSnapshot(f *testing.F) {
	file, err := os.Create(filepath.Join(f.TempDir(), "s"))
	if err != nil {
		f.Fatal(err)
	}
	w := snapshotWriter{to: file, file: file}
	w.begin(replica.Base{Index: 7, Term: 2, Members: []replica.Member{{ID: 1, Name: "c1"}}})
	w.block([]byte("some records"))
	w.end()
	whole, _ := os.ReadFile(file.Name())
	f.Add(whole)
	f.Fuzz(func(t *testing.T, b []byte) {
		var records []byte
		base, err := readSnapshot(bytes.NewReader(b), int64(len(b)), func(r []byte) error {
			records = append(records, r...)
			return nil
		})
		if err == nil && (base.Index == 0 || len(records) > len(b)) {
			t.Errorf("%x was read as %+v", b, base)
		}
	})
}

// What is written while a snapshot is being taken is not in it, and must stay in the log.
func TestLogBehindSnapshotStays(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), Segment: 16 << 10, SnapshotRate: 1e6}
	n := start(t, cfg)
	w := newWorker(n)
	for i := range 30 {
		w.write(set(fmt.Sprint("big", i), strings.Repeat("x", 10000)))
	}
	done := make(chan error, 1)
	go func() { done <- n.Snapshot(context.Background()) }()
	last := 0
	for len(done) == 0 {
		last++
		w.write(set("last", fmt.Sprint(last)+strings.Repeat(" ", 1000)))
		if last%20 == 0 {
			n.syncing <- struct{}{}
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	n.Close()
	if v, _ := newWorker(start(t, cfg)).get(t, "last"); strings.TrimSpace(v) != fmt.Sprint(last) {
		t.Errorf("the last of %d is %q", last, strings.TrimSpace(v))
	}
}
