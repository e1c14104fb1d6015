package crash_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A daemon that is still loading its state says so, lets clients wait, and ends at once when it is told to.
func TestStopWhileLoading(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	d := start(t, "--data", data)
	dial(t, d.redis).ask(t, "SET k v")
	d.stop()

	// The newest snapshot is a pipe: who loads it gets nothing to read, for ever.
	pipe := filepath.Join(data, "snapshot", "ffffffffffffffff.snapshot")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	socket := func(name string) string { return filepath.Join(dir, name) }
	cmd := command("--data", data, "--redis-listen", "unix:"+socket("r"), "--admin-listen", "unix:"+socket("a"))
	loading := &daemon{t: t, cmd: cmd, ended: make(chan struct{})}
	cmd.Stderr = loading
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		loading.err = cmd.Wait()
		close(loading.ended)
	}()
	t.Cleanup(loading.kill)
	opened := make(chan *os.File, 1)
	go func() {
		f, _ := os.OpenFile(pipe, os.O_WRONLY, 0) // returns when the daemon reads
		opened <- f
	}()
	select {
	case f := <-opened:
		defer f.Close()
	case <-loading.ended:
		t.Fatalf("ended with %v:\n%s", loading.err, loading.said())
	case <-time.After(patience):
		t.Fatalf("the snapshot is not read:\n%s", loading.said())
	}

	web := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket("a"))
	}}}
	res, err := web.Get("http://admin/readyz")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	if res.StatusCode != 503 || !strings.Contains(string(body), "being loaded") {
		t.Error(res.StatusCode, string(body))
	}
	c, err := net.Dial("unix", socket("r"))
	if err != nil {
		t.Fatal("a client is refused:", err)
	}
	defer c.Close()
	if took := loading.stop(); took > 2*time.Second {
		t.Errorf("stopping took %v", took)
	}

	os.Remove(pipe)
	d = start(t, "--data", data)
	if got := dial(t, d.redis).gets(t, []string{"k"})[0]; got != "v" {
		t.Errorf("afterwards: %q", got)
	}
}

// When the log cannot be written any more, the daemon ends with a sentence and an exit code by which it is started again.
func TestEndWithoutLog(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	d := start(t, "--data", data)
	c := dial(t, d.redis)
	if got := c.ask(t, "SET k v"); got != "+OK" {
		t.Fatal(got)
	}
	if err := os.Rename(filepath.Join(data, "log"), filepath.Join(data, "gone")); err != nil {
		t.Fatal(err)
	}
	value := strings.Repeat("x", 1<<20)
	for range 1000 { // until the log needs a new segment
		c.Write(resp("SET", "big", value))
		if got, err := c.line(); err != nil || got != "+OK" {
			t.Logf("the last write was answered %q (%v)", got, err)
			break
		}
	}
	select {
	case <-d.ended:
	case <-time.After(patience):
		t.Fatalf("it goes on without a log:\n%s", d.said())
	}
	if code := d.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if !strings.Contains(d.said(), "no write can be carried out any more") || strings.Contains(d.said(), "goroutine ") {
		t.Error(d.said())
	}

	if err := os.Rename(filepath.Join(data, "gone"), filepath.Join(data, "log")); err != nil {
		t.Fatal(err)
	}
	d = start(t, "--data", data)
	if got := dial(t, d.redis).gets(t, []string{"k"})[0]; got != "v" {
		t.Errorf("afterwards: %q", got)
	}
}
