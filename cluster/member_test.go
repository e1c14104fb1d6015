package cluster

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A directory whose log is gone has lost acknowledged writes: that is not for the daemon to pass over.
func TestLostLog(t *testing.T) {
	for _, snapshot := range []bool{false, true} {
		dir := t.TempDir()
		n := start(t, Config{Dir: dir})
		w := newWorker(n)
		w.write(set("old", "1"))
		if snapshot {
			if err := n.Snapshot(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		w.write(set("new", "2"))
		n.Close()
		if err := os.RemoveAll(filepath.Join(dir, "log")); err != nil {
			t.Fatal(err)
		}
		for range 2 { // a start that refused changes nothing
			n, err := Start(Config{Dir: dir, Logger: quiet()})
			if err == nil {
				n.Close()
				t.Fatalf("snapshot %v: a directory without its log was started", snapshot)
			}
			if s := err.Error(); !strings.Contains(s, filepath.Join(dir, "log")) || !strings.Contains(s, "holdfast repair --data "+dir) {
				t.Errorf("the error does not say where and what to do: %v", err)
			}
		}
		report, err := Repair(dir)
		if err != nil || !strings.Contains(report, "empty log") || strings.Contains(report, "given up") != snapshot {
			t.Fatalf("snapshot %v: repair: %q, %v", snapshot, report, err)
		}
		for range 2 { // and what is written after the repair stays
			n = start(t, Config{Dir: dir})
			w = newWorker(n)
			if _, ok := w.get(t, "old"); ok != snapshot {
				t.Errorf("snapshot %v: the old key is there: %v", snapshot, ok)
			}
			w.write(set("again", "3"))
			n.Close()
		}
		n = start(t, Config{Dir: dir})
		if v, _ := newWorker(n).get(t, "again"); v != "3" {
			t.Errorf("what was written after the repair is %q", v)
		}
	}
}

// A directory from before the file, and one of an unknown format.
func TestMemberFile(t *testing.T) {
	dir := t.TempDir()
	n := start(t, Config{Dir: dir})
	newWorker(n).write(set("a", "1"))
	n.Close()
	path := filepath.Join(dir, memberFile)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	start(t, Config{Dir: dir}).Close()
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), "format 2, made 2") {
		t.Fatalf("%q, %v", text, err)
	}
	os.WriteFile(path, []byte(strings.Replace(string(text), "format 2", "format 3", 1)), 0o600)
	if n, err := Start(Config{Dir: dir, Logger: quiet()}); err == nil {
		n.Close()
		t.Error("a format of the future was started")
	} else if !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}
