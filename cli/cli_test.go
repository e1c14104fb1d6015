package cli_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"holdfast/cli"
	"holdfast/config"
)

// run carries out a command line; what serve was given is in got.
func run(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string, got *config.Config) {
	t.Helper()
	p := cli.Program{
		Version: "1.2.3",
		Environ: environ,
		Serve: func(c config.Config, out io.Writer) error {
			got = &c
			return nil
		},
		Repair: func(dir string) (string, error) {
			if dir == "good" {
				return "nothing to mend in " + dir, nil
			}
			return "", errors.New("no log in " + dir)
		},
	}
	var o, e bytes.Buffer
	code = p.Run(args, &o, &e)
	return code, o.String(), e.String(), got
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWords(t *testing.T) {
	good := write(t, "good.toml", `max-clients = 5`)
	bad := write(t, "bad.toml", "max-client = 5\nloops = 1000")
	long := write(t, "long.toml", strings.Repeat("# long\n", 200000))
	for _, c := range []struct {
		args string
		code int
		out  string // is in stdout
		err  string // is in stderr
	}{
		{"version", 0, "holdfast 1.2.3", ""},
		{"", 0, "Available Commands", ""},
		{"--help", 0, "serve", ""},
		{"serve --help", 0, "--redis-listen list", ""},
		{"config", 0, "#redis-listen = [\"127.0.0.1:6379\"]", ""},
		{"config check " + good, 0, "good.toml is good.", ""},
		{"config check " + bad, 1, "", `there is no setting "max-client"; did you mean "max-clients"?`},
		{"config check " + long, 1, "", "is larger than 1048576 bytes"},
		{"config check nowhere.toml", 1, "", "nowhere.toml: no such file"},
		{"config check", 2, "", "wants the name of one file"},
		{"repair --data good", 0, "nothing to mend in good", ""},
		{"repair --data bad", 1, "", "holdfast: no log in bad"},
		{"repair", 2, "", "--data DIR"},
		{"sreve", 2, "", `there is no command "sreve"; did you mean "serve"?`},
		{"serve extra", 2, "", `"extra" is one word too many for 'holdfast serve'`},
		{"serve --redis-lisen x", 2, "", "unknown flag: --redis-lisen"},
		{"serve --loops many", 2, "", `setting loops is "many": write a whole number`},
		{"serve --durability never", 1, "", "write one of always, second, memory"},
		{"serve --config " + bad, 1, "", "bad.toml: there is no setting"},
		{"serve --redis-listen 0.0.0.0:6379", 1, "", "which others can reach"},
		{"status --address nonsense", 2, "", `"nonsense" is no address`},
		{"status --address 127.0.0.1:1", 1, "", "no daemon answers at 127.0.0.1:1"},
		{"status --address unix:/nowhere/s", 1, "", "no daemon answers at /nowhere/s"},
	} {
		code, stdout, stderr, _ := run(t, nil, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stdout, c.out) || !strings.Contains(stderr, c.err) || (c.code == 0) != (stderr == "") {
			t.Errorf("holdfast %s: exit %d\n%s%s\nwant exit %d, %q, %q", c.args, code, stdout, stderr, c.code, c.out, c.err)
		}
	}
}

func TestFlagOverEnvironmentOverFile(t *testing.T) {
	file := write(t, "h.toml", "data = \"file\"\nname = \"file\"\nmax-clients = 7\nredis-listen = [\"127.0.0.1:1\"]")
	environ := []string{"HOLDFAST_CONFIG=" + file, "HOLDFAST_DATA=env", "HOLDFAST_NAME=env"}
	code, _, stderr, c := run(t, environ, "serve", "--data", "flag", "--memcached-listen", "127.0.0.1:2", "--memcached-listen", "127.0.0.1:3,127.0.0.1:4", "--insecure", "--loops=1", "--loops=2")
	if code != 0 {
		t.Fatal(stderr)
	}
	if c.Data != "flag" || c.Name != "env" || c.MaxClients != 7 || c.RedisListen[0] != "127.0.0.1:1" || !c.Insecure || c.Loops != 2 {
		t.Errorf("%+v", c)
	}
	if strings.Join(c.MemcachedListen, " ") != "127.0.0.1:2 127.0.0.1:3 127.0.0.1:4" {
		t.Error(c.MemcachedListen)
	}
	if _, _, _, c = run(t, nil, "serve", "--memcached-listen", ""); c == nil || len(c.MemcachedListen) != 0 {
		t.Error("an empty list does not switch a protocol off")
	}
}

func TestStatus(t *testing.T) {
	const page = `{"name":"one","version":"9","ready":true,"quorum":true,"role":"leader","leader":"one","members":1,"applied":12,
		"started":"2026-01-01T00:00:00Z","data":"/var/lib/holdfast","durability":"second","memory_resident_bytes":104857600,
		"classes":{"session":{"keys":5,"bytes":4096},"cache":{"keys":0}},"keyspaces":{"db1":{"keys":5,"mortal":4}},
		"traffic":{"ports":[{"protocol":"redis","address":"127.0.0.1:6379"}],"connections":3,"accepted":9}}`
	answer := page
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status" {
			w.WriteHeader(http.StatusNotFound)
		}
		io.WriteString(w, answer)
	}))
	defer srv.Close()
	address := srv.Listener.Addr().(*net.TCPAddr).String()

	code, stdout, stderr, _ := run(t, []string{"HOLDFAST_ADMIN_LISTEN=" + address}, "status")
	for _, want := range []string{"reads and writes", "1 member, this one is leader", "100.0 MiB of no limit", "/var/lib/holdfast, durability second",
		"class session", "4.0 KiB", "keyspace db1", "3 connected, 9 since the start"} {
		if code != 0 || !strings.Contains(stdout, want) {
			t.Errorf("%d, no %q in\n%s%s", code, want, stdout, stderr)
		}
	}
	if strings.Contains(stdout, "class cache") {
		t.Error("shows a class without keys")
	}
	if code, stdout, _, _ = run(t, nil, "status", "--json", "--address", address); code != 0 || stdout != page {
		t.Error(code, stdout)
	}
	answer = "<html>"
	if code, _, stderr, _ = run(t, nil, "status", "--address", address); code != 1 || !strings.Contains(stderr, "no status") {
		t.Error(code, stderr)
	}
	if code, _, stderr, _ = run(t, []string{"HOLDFAST_ADMIN_LISTEN="}, "status"); code != 1 || !strings.Contains(stderr, "admin-listen is empty") {
		t.Error(code, stderr)
	}
}
