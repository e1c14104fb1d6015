package crash_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestStartAndStop(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	d := start(t, "--data", data)
	for _, want := range []string{data, "durability second", "redis-cli -p", "holdfast status"} {
		if !strings.Contains(d.greeting, want) {
			t.Errorf("no %q in the greeting:\n%s", want, d.greeting)
		}
	}
	if code, body := d.page("/readyz"); code != 200 {
		t.Error(code, body)
	}
	if code, body := d.page("/metrics"); code != 200 || !strings.Contains(body, "holdfast_ready 1") {
		t.Error(code, body)
	}
	r := dial(t, d.redis)
	if got := r.ask(t, "SET k v EX 100"); got != "+OK" {
		t.Error(got)
	}
	m := dial(t, d.memcached)
	if got := m.ask(t, "set k 7 100 1\r\nv"); got != "STORED" {
		t.Error(got)
	}
	out, err := exec.Command(binary, "status", "--admin", d.admin).CombinedOutput()
	for _, has := range []string{`^HEALTHY`, `\ncache +1 `, `\ncoordination +1 `} { // the key of memcached, and that of Redis
		if err != nil || !regexp.MustCompile(has).Match(out) {
			t.Errorf("%v: no %q in\n%s", err, has, out)
		}
	}
	if took := d.stop(); took > 2*time.Second {
		t.Errorf("stopping took %v", took)
	}
	if _, err := r.line(); err == nil {
		t.Error("an idle connection got a reply to nothing")
	}

	d = start(t, "--data", data)
	if got := dial(t, d.redis).gets(t, []string{"k"})[0]; got != "v" {
		t.Errorf("after a restart: %q", got)
	}
	if got := dial(t, d.memcached).ask(t, "get k"); got != "VALUE k 7 1" {
		t.Errorf("after a restart: %q", got)
	}
	if took := d.stop(); took > 2*time.Second {
		t.Errorf("stopping took %v", took)
	}
}

func TestUnixSockets(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "r.sock")
	for range 2 { // the second start finds the socket that a killed daemon has left
		d := start(t, "--data", filepath.Join(dir, "data"), "--redis-listen=unix:"+socket)
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		buf := make([]byte, 7)
		c.SetDeadline(time.Now().Add(patience))
		c.Write([]byte("PING\r\n"))
		if n, err := c.Read(buf); string(buf[:n]) != "+PONG\r\n" {
			t.Errorf("%q %v", buf[:n], err)
		}
		d.kill()
	}
}

// A client that does not take its replies is what stopping waits for, up to its bound.
func TestStopBesideStalledClient(t *testing.T) {
	d := start(t, "--data", filepath.Join(t.TempDir(), "data"))
	c := dial(t, d.redis)
	c.ask(t, "SET big "+strings.Repeat("x", 60000))
	c.Write([]byte(strings.Repeat("GET big\r\n", 2000))) // 120 MB, of which nothing is read
	if took := d.stop(); took > 3*time.Second {
		t.Errorf("stopping took %v", took)
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	d := start(t, "--data", filepath.Join(dir, "first"))
	bad := filepath.Join(dir, "bad.toml")
	os.WriteFile(bad, []byte("durabilty = \"always\"\n"), 0o600)
	os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o600)
	os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600)
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"Redis port in use", []string{"--redis-listen", d.redis}, 1, []string{"redis-listen", d.redis, "another process"}},
		{"memcached port in use", []string{"--memcached-listen", d.memcached}, 1, []string{"memcached-listen", d.memcached}},
		{"admin port in use", []string{"--admin-listen", d.admin}, 1, []string{"admin-listen", d.admin}},
		{"foreign address", []string{"--insecure", "--redis-listen", "192.0.2.1:6379"}, 1, []string{"redis-listen", "192.0.2.1:6379"}},
		{"same data", []string{"--data", filepath.Join(dir, "first")}, 1, []string{filepath.Join(dir, "first"), "another"}},
		{"data is a file", []string{"--data", filepath.Join(dir, "file")}, 1, []string{filepath.Join(dir, "file")}},
		{"unknown key", []string{"--config", bad}, 1, []string{bad, `"durabilty"`, `did you mean "durability"`}},
		{"unknown flag", []string{"--durabilty=always"}, 2, []string{"unknown flag", "--durabilty"}},
		{"no such file", []string{"--config", filepath.Join(dir, "no.toml")}, 1, []string{"no.toml"}},
		{"open to all", []string{"--memcached-listen", ":0"}, 1, []string{"memcached-listen", "insecure"}},
		{"no certificate", []string{"--redis-tls-listen", "127.0.0.1:0"}, 1, []string{"tls-cert"}},
		{"certificate is none", []string{"--redis-tls-listen", "127.0.0.1:0", "--tls-cert", bad, "--tls-key", bad}, 1, []string{"tls-cert", bad}},
		{"empty password", []string{"--redis-password-file", filepath.Join(dir, "empty")}, 1, []string{"redis-password-file", "empty"}},
		{"users are none", []string{"--memcached-auth-file", bad}, 1, []string{"memcached-auth-file", bad, "line 1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out := refuse(t, command(append([]string{"--data", filepath.Join(dir, "other")}, c.args...)...))
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in %q", want, out)
				}
			}
			if strings.Contains(out, "goroutine") || strings.Contains(out, "panic") {
				t.Error(out)
			}
		})
	}
	if code, body := d.page("/readyz"); code != 200 {
		t.Error("the first daemon has suffered:", code, body)
	}
}
