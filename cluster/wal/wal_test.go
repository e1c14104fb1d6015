package wal

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const kept, entry = 1, 2

// reading is what Open found.
type reading struct {
	kept    string
	entries []string // by index, from 1; a lower index replaces what is there
}

func (r *reading) take(rec Record) error {
	if rec.Kind == kept {
		r.kept = string(rec.Body)
		return nil
	}
	if int(rec.Index) > len(r.entries)+1 || rec.Index == 0 {
		return fmt.Errorf("index %d behind %d", rec.Index, len(r.entries))
	}
	r.entries = append(r.entries[:rec.Index-1], string(rec.Body))
	return nil
}

// tempDir is a directory where an fsync costs nothing, if there is one: these tests look at what is read back, thousands of times.
func tempDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "wal")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func options(boot uint64) Options {
	return Options{Segment: MinSegment, Boot: boot, Kept: []uint8{kept}}
}

func open(t *testing.T, dir string, boot uint64) (*Log, *reading) {
	t.Helper()
	r := new(reading)
	l, err := Open(dir, options(boot), r.take)
	if err != nil {
		t.Fatal(err)
	}
	return l, r
}

func body(i int) string { return fmt.Sprintf("%d:%s", i, strings.Repeat("x", i*37%500)) }

func (l *Log) put(t *testing.T, i int) {
	t.Helper()
	b := body(i)
	l.Append(entry, uint64(i), []byte(b[:1]), []byte(b[1:]))
	if err := l.Write(); err != nil {
		t.Fatal(err)
	}
}

func check(t *testing.T, r *reading, n int) {
	t.Helper()
	if len(r.entries) != n {
		t.Fatalf("%d entries were read, want %d", len(r.entries), n)
	}
	for i, e := range r.entries {
		if e != body(i+1) {
			t.Fatalf("entry %d is %.40q", i+1, e)
		}
	}
}

func TestWriteAndReadBack(t *testing.T) {
	dir := tempDir(t)
	n := 0
	for life := range 5 {
		l, r := open(t, dir, uint64(life))
		check(t, r, n)
		if life > 0 && r.kept != fmt.Sprint("life ", life-1) {
			t.Errorf("life %d kept %q", life, r.kept)
		}
		l.Append(kept, 0, []byte(fmt.Sprint("life ", life)), nil)
		for range 100 {
			n++
			l.put(t, n)
			if n%17 == 0 {
				if err := l.Sync(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if life%2 == 0 { // a crash of the process leaves everything that was written
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestReplacedSuffix(t *testing.T) {
	dir := tempDir(t)
	l, _ := open(t, dir, 1)
	for i := range 40 {
		l.put(t, i+1)
	}
	for i := 20; i < 30; i++ { // another leader's entries
		l.put(t, i)
	}
	l.Close()
	_, r := open(t, dir, 1)
	check(t, r, 29)
}

func TestRelease(t *testing.T) {
	dir := tempDir(t)
	l, _ := open(t, dir, 1)
	l.Append(kept, 0, []byte("remember"), nil)
	for i := range 200 {
		l.put(t, i+1)
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	before := l.Bytes()
	if err := l.Release(150); err != nil {
		t.Fatal(err)
	}
	if after := l.Bytes(); after >= before/2 {
		t.Errorf("%d of %d bytes are left", after, before)
	}
	l.Close()
	first, keep := uint64(0), ""
	l, err := Open(dir, options(1), func(r Record) error {
		if r.Kind == kept {
			keep = string(r.Body)
		} else if first == 0 {
			first = r.Index
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if first < 2 || first > 151 || keep != "remember" {
		t.Errorf("the log begins with %d, keeping %q", first, keep)
	}
}

// cutAt copies the log in dir with its last segment cut to size bytes, or changed by f.
func copyLog(t *testing.T, dir string, f func(last []byte) []byte) string {
	t.Helper()
	to := tempDir(t)
	names, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for i, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if i == len(names)-1 {
			b = f(b)
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(name)), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// crashed is a log that a process left without Close: the last fsync was after synced entries. ends is where each entry of the last segment ends.
func crashed(t *testing.T, synced, all int, segment int64) (dir string, first int, ends []int64) {
	dir = tempDir(t)
	l, err := Open(dir, Options{Segment: segment, Boot: 1}, new(reading).take)
	if err != nil {
		t.Fatal(err)
	}
	seq := uint64(0)
	for i := 1; i <= all; i++ {
		l.put(t, i)
		if i == synced {
			if err := l.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		if l.cur.seq != seq {
			seq, first, ends = l.cur.seq, i, nil
		}
		ends = append(ends, l.cur.size)
	}
	if len(ends) < 4 {
		t.Fatalf("the last segment has only %d entries", len(ends))
	}
	return dir, first, ends
}

// A last segment that ends anywhere: what is whole before is kept, or the start is refused.
func TestTruncatedAnywhere(t *testing.T) {
	dir, first, ends := crashed(t, 0, 29, MinSegment)
	for size := range ends[len(ends)-1] + 1 {
		cut := copyLog(t, dir, func(b []byte) []byte { return b[:size] })
		r := new(reading)
		l, err := Open(cut, options(1), r.take)
		if err != nil {
			if !errors.Is(err, ErrDamaged) || size >= headerBytes {
				t.Fatalf("cut to %d bytes: %v", size, err)
			}
			continue
		}
		want := first - 1
		for _, e := range ends {
			if e <= size {
				want++
			}
		}
		check(t, r, want)
		// It goes on from there, and what it writes is read again.
		l.put(t, want+1)
		l.Close()
		_, r = open(t, cut, 1)
		check(t, r, want+1)
	}
}

// One bit anywhere in what was written: refused if anything stands behind it, else only the last record is gone.
func TestFlippedAnywhere(t *testing.T) {
	dir, _, ends := crashed(t, 0, 29, MinSegment)
	end, before := ends[len(ends)-1], ends[len(ends)-2]
	rnd := rand.New(rand.NewPCG(1, 2))
	for at := range end {
		bad := copyLog(t, dir, func(b []byte) []byte {
			b[at] ^= 1 << rnd.IntN(8)
			return b
		})
		r := new(reading)
		l, err := Open(bad, options(1), r.take)
		switch {
		case err == nil && at < before:
			t.Fatalf("a flipped bit at %d of %d was overlooked", at, end)
		case err == nil:
			check(t, r, 28)
			l.Close()
		case at >= before || !errors.Is(err, ErrDamaged):
			t.Fatalf("a flipped bit at %d of %d: %v", at, end, err)
		case !strings.Contains(err.Error(), "holdfast repair --data") || !strings.Contains(err.Error(), ".wal"):
			t.Fatalf("the error does not say what to do: %v", err)
		}
	}
}

// After the machine went down, what stood behind the last fsync may have holes: it is cut off at the first. What was synced must not.
func TestPowerLoss(t *testing.T) {
	for _, tc := range []struct {
		name    string
		boot    uint64
		hole    int // the entry that is gone
		refused bool
	}{
		{"unsynced, the machine went down", 2, 27, false},
		{"unsynced, the machine stayed up", 1, 27, true},
		{"synced, the machine went down", 2, 24, true},
		{"synced, the machine stayed up", 1, 24, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir, first, ends := crashed(t, 25, 30, 64<<10)
			from, to := ends[tc.hole-first-1], ends[tc.hole-first]
			bad := copyLog(t, dir, func(b []byte) []byte {
				clear(b[from:to])
				return b
			})
			r := new(reading)
			l, err := Open(bad, options(tc.boot), r.take)
			if tc.refused {
				if !errors.Is(err, ErrDamaged) {
					t.Fatalf("it was opened, or: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			check(t, r, tc.hole-1)
			l.Close()
		})
	}
}

func TestDamageInOlderSegment(t *testing.T) {
	dir := tempDir(t)
	l, _ := open(t, dir, 1)
	for i := range 60 {
		l.put(t, i+1)
	}
	l.Close()
	names, _ := filepath.Glob(filepath.Join(dir, "*.wal"))
	if len(names) < 3 {
		t.Fatal("too few segments")
	}
	b, _ := os.ReadFile(names[1])
	b[200] ^= 1
	os.WriteFile(names[1], b, 0o600)
	for _, boot := range []uint64{1, 2} {
		_, err := Open(dir, options(boot), new(reading).take)
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), filepath.Base(names[1])) {
			t.Fatalf("boot %d: %v", boot, err)
		}
	}
	report, err := Repair(dir)
	if err != nil || !strings.Contains(report, filepath.Base(names[1])) {
		t.Fatalf("repair: %q, %v", report, err)
	}
	l, r := open(t, dir, 1)
	n := len(r.entries)
	check(t, r, n)
	if n == 0 || n >= 60 {
		t.Errorf("%d entries are left", n)
	}
	l.put(t, n+1)
	l.Close()
	cut, _ := filepath.Glob(filepath.Join(dir, "*.cut"))
	if len(cut) != len(names)-1 {
		t.Errorf("copies: %v", cut)
	}
	if again, err := Repair(dir); err != nil || !strings.Contains(again, "in order") {
		t.Errorf("a second repair: %q, %v", again, err)
	}
}

func TestMissingSegment(t *testing.T) {
	dir := tempDir(t)
	l, _ := open(t, dir, 1)
	for i := range 60 {
		l.put(t, i+1)
	}
	l.Close()
	names, _ := filepath.Glob(filepath.Join(dir, "*.wal"))
	os.Remove(names[1])
	if _, err := Open(dir, options(1), new(reading).take); !errors.Is(err, ErrDamaged) {
		t.Errorf("a log without its second segment: %v", err)
	}
}

// A client's value that looks like a record is none.
func TestForgedRecord(t *testing.T) {
	dir := tempDir(t)
	l, _ := open(t, dir, 1)
	l.put(t, 1)
	first, _ := filepath.Glob(filepath.Join(dir, "*.wal"))
	b, _ := os.ReadFile(first[0])
	real := b[headerBytes:l.cur.size]
	l.Append(entry, 2, nil, bytes.Repeat(real, 5))
	at := l.cur.size
	if err := l.Write(); err != nil {
		t.Fatal(err)
	}
	torn := copyLog(t, dir, func(b []byte) []byte { return b[:at+int64(recordBytes+len(real)*3)] })
	l2, r := open(t, torn, 1)
	check(t, r, 1)
	l2.Close()
	l.Close()
}

func FuzzReadRecord(f *testing.F) {
	b := appendRecord(nil, 3, 7, []byte("head"), []byte("body"))
	seal(b, 5, 100)
	f.Add(b, uint32(5), int64(100))
	f.Fuzz(func(t *testing.T, b []byte, salt uint32, offset int64) {
		r, n := readRecord(b, salt, offset)
		if n == 0 {
			return
		}
		again := appendRecord(nil, r.Kind, r.Index, nil, r.Body)
		seal(again, salt, offset)
		if !bytes.Equal(again, b[:n]) {
			t.Errorf("%x was read as %+v", b[:n], r)
		}
	})
}

// A snapshot from elsewhere may take the place of what the log has, and of what it never had.
func TestJump(t *testing.T) {
	dir := tempDir(t)
	l, _ := open(t, dir, 1)
	for i := range 60 {
		l.put(t, i+1)
	}
	l.Jump(500)
	for i := 501; i < 600; i++ {
		l.put(t, i)
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := l.Release(500); err != nil {
		t.Fatal(err)
	}
	l.put(t, 600)
	var got []uint64
	l, err := Open(dir, options(1), func(r Record) error { got = append(got, r.Index); return nil })
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if n := len(got); n < 100 || got[n-1] != 600 || got[n-100] != 501 {
		t.Errorf("read back %d", got)
	}
}

func TestIntact(t *testing.T) {
	dir := tempDir(t)
	open := func(boot uint64, want bool) *Log {
		t.Helper()
		l, _ := open(t, dir, boot)
		if l.Intact() != want {
			t.Errorf("in run %d of the machine: intact %v", boot, l.Intact())
		}
		return l
	}
	l := open(1, true) // new
	l.put(t, 1)
	l = open(1, true) // the process was killed
	l.put(t, 2)
	l = open(2, false) // the machine went down
	l.put(t, 3)
	l.Close()
	l = open(3, true) // it went down behind a Close
	l.Close()
	open(3, true)
	open(0, false) // nobody knows
}
