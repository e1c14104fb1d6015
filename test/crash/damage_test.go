package crash_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// filled returns a data directory whose log holds keys 0 to n-1 and whose daemon was killed.
func filled(t *testing.T, n int) string {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	d := start(t, "--data", data)
	c := dial(t, d.redis)
	for i := range n { // one entry of the log each
		if got := c.ask(t, fmt.Sprintf("SET k:%d %d", i, i)); got != "+OK" {
			t.Fatal(got)
		}
	}
	d.kill()
	return data
}

// there counts how many of the keys 0 to n-1 a daemon finds, which must be the first ones.
func there(t *testing.T, d *daemon, n int) int {
	t.Helper()
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprint("k:", i)
	}
	count := 0
	for i, v := range dial(t, d.redis).gets(t, keys) {
		if v == fmt.Sprint(i) {
			if count < i {
				t.Fatalf("key %d is there and key %d is not", i, count)
			}
			count++
		}
	}
	return count
}

// segments are the files of the log in a data directory.
const segments = "log/*.wal"

// newest returns the newest segment of the log: the last file by name.
func newest(t *testing.T, data string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(data, segments))
	if err != nil || len(files) == 0 {
		t.Fatalf("no log in %s (%v)", data, err)
	}
	sort.Strings(files)
	return files[len(files)-1]
}

// end is where the last record of a segment ends, but for the zeroes it may end in; reserved zeroes follow.
func end(log []byte) int { return len(bytes.TrimRight(log, "\x00")) }

// A torn tail is what a machine that went down leaves: the daemon starts, and lacks at most what was in the torn record.
func TestTornTail(t *testing.T) {
	const n = 200
	for name, tear := range map[string]func(log []byte) []byte{
		"cut short":         func(log []byte) []byte { return log[:end(log)-3] },
		"no room reserved":  func(log []byte) []byte { return log[:end(log)+64] },
		"garbage behind":    func(log []byte) []byte { copy(log[end(log)+64:], "this was never a record"); return log },
		"last byte wrong":   func(log []byte) []byte { log[end(log)-1] ^= 1; return log },
		"half of it zeroes": func(log []byte) []byte { clear(log[end(log)-8:]); return log },
	} {
		t.Run(name, func(t *testing.T) {
			data := filled(t, n)
			file := newest(t, data)
			log, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, tear(log), 0o600); err != nil {
				t.Fatal(err)
			}
			d := start(t, "--data", data)
			if got := there(t, d, n); got < n-1 {
				t.Errorf("%d of %d keys are there", got, n)
			}
			c := dial(t, d.redis)
			c.ask(t, "SET after tear")
			d.kill()
			d = start(t, "--data", data) // what is written behind the mended end must be readable again
			if got := dial(t, d.redis).gets(t, []string{"after"})[0]; got != "tear" {
				t.Errorf("written after the mending: %q", got)
			}
		})
	}
}

// Damage with good records behind it is not for the daemon to decide about: it says where, and repair keeps what it cuts off.
func TestDamagedMiddle(t *testing.T) {
	const n = 400
	data := filled(t, n)
	file := newest(t, data)
	log, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	log[end(log)/2] ^= 0x40
	if err := os.WriteFile(file, log, 0o600); err != nil {
		t.Fatal(err)
	}

	code, out := refuse(t, command("--data", data))
	if code != 1 || !strings.Contains(out, filepath.Base(file)) || !strings.Contains(out, "repair") || strings.Contains(out, "panic") {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	mended, err := exec.Command(binary, "repair", "--data", data).CombinedOutput()
	if err != nil {
		t.Fatalf("repair: %v\n%s", err, mended)
	}
	t.Logf("repair: %s", mended)

	d := start(t, "--data", data)
	if got := there(t, d, n); got < n/4 || got >= n {
		t.Errorf("%d of %d keys are there after cutting the log in the middle", got, n)
	}
	again, err := exec.Command(binary, "repair", "--data", data).CombinedOutput()
	if err == nil {
		t.Errorf("repair works beside a running daemon: %s", again)
	}
}

func TestRepairOfNothing(t *testing.T) {
	code, out := refuse(t, exec.Command(binary, "repair", "--data", filepath.Join(t.TempDir(), "none")))
	if code != 1 || !strings.Contains(out, "none") {
		t.Errorf("exit code %d: %s", code, out)
	}
}

func TestMemoryLeavesNothing(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	d := start(t, "--data", data, "--durability", "memory")
	dial(t, d.redis).ask(t, "SET k v")
	d.stop()
	d = start(t, "--data", data, "--durability", "memory")
	if got := dial(t, d.redis).gets(t, []string{"k"})[0]; got != "(nil)" {
		t.Errorf("a key survived without a log: %q", got)
	}
}
