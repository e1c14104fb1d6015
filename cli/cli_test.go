package cli_test

import (
	"bytes"
	"errors"
	"io"
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
		Recover: func(dir string) (string, error) { return "began anew in " + dir, nil },
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
	names := write(t, "names.toml", `users-file = "users"`)
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
		{"config check " + names, 0, `setting users-file is "users", which counts from the directory that the daemon is started in`, ""},
		{"config check " + names, 0, "setting users-file: stat users: no such file or directory: put it there", ""},
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
		{"status --admin nonsense", 3, "", `"nonsense" is no address`},
		{"status --admin 127.0.0.1:1", 3, "", "no daemon answers at 127.0.0.1:1"},
		{"status --admin unix:/nowhere/s", 3, "", "no daemon answers at /nowhere/s"},
		{"status -o xml", 3, "", `--output is "xml": write text or json`},
		{"status --colour", 3, "", "unknown flag: --colour"},
		{"recover", 2, "", "--data DIR"},
		{"recover --data d", 1, "", "nothing was changed: what the lost controllers acknowledged and d does not have would be given up"},
		{"recover --data d --yes", 0, "began anew in d", ""},
		{"drain --admin 127.0.0.1:1", 1, "", "no daemon answers"},
		{"member", 0, "replace", ""},
		{"member lisst", 2, "", `there is no command "lisst"; did you mean "list"?`},
		{"member x", 2, "", `there is no command "x"; 'holdfast member --help' lists them`},
		{"status --watch=0s", 3, "", "--watch is 0s: write 250ms or more"},
		{"top --every 1ms", 2, "", "--every is 1ms: write 250ms or more"},
		{"ping --within 0", 2, "", "--within is 0s: write a duration such as 1s"},
		{"tokens --what tokens", 2, "", `--what is "tokens": write one of token, validation, encrypted, cache`},
		{"config keystone --protocol etcd", 2, "", `--protocol is "etcd": write redis or memcached`},
		{"member remove", 2, "", "wants the name of a member"},
		{"member add", 2, "", "wants the name of the new controller"},
		{"member add a/b", 2, "", `"a/b" is no name of a controller`},
		{"member add c4 nowhere:x", 2, "", `"nowhere:x" is no address of a member`},
		{"member replace c1", 2, "", "wants the names of the old and of the new"},
		{"member replace c1 c1", 2, "", "replaces itself: just start it"},
		{"member replace c1 c4 --wait 0", 2, "", "has to wait"},
		{"deploy c1 --wait 0", 2, "", "--wait is 0s and --pause is 5m10s: write durations"},
		{"deploy c1 --pause -1s", 2, "", "--pause is -1s: write durations"},
		{"cert", 0, "member", ""},
		{"cert member", 2, "", "wants the name of a controller"},
		{"cert member ca", 2, "", "what the files of the authority are called"},
		{"cert member c1 --host a:1", 2, "", `--host "a:1" is no name or address`},
		{"cert member c1 --dir /nowhere", 1, "", "make the authority first, with 'holdfast cert ca'"},
	} {
		code, stdout, stderr, _ := run(t, nil, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stdout, c.out) || !strings.Contains(stderr, c.err) || (c.code == 0) != (stderr == "") {
			t.Errorf("holdfast %s: exit %d\n%s%s\nwant exit %d, %q, %q", c.args, code, stdout, stderr, c.code, c.out, c.err)
		}
	}
}

// Without a word the verbs that ask a daemon read the file of the packages, and serve does not.
func TestUsualConfig(t *testing.T) {
	p, address := serve(t)
	p.set("GET /members", "[]")
	file := write(t, "holdfast.toml", `admin-listen = ["`+address+`"]`)
	list := func(program cli.Program, args ...string) (int, string) {
		var o, e bytes.Buffer
		code := program.Run(append([]string{"member", "list", "-o", "json"}, args...), &o, &e)
		return code, o.String() + e.String()
	}
	if code, said := list(cli.Program{Config: file}); code != 0 || said != "[]" {
		t.Error(code, said)
	}
	if code, said := list(cli.Program{Config: file, Environ: []string{"HOLDFAST_CONFIG=" + write(t, "other.toml", `admin-listen = ["127.0.0.1:1"]`)}}); code != 1 || !strings.Contains(said, "no daemon answers at 127.0.0.1:1 ") {
		t.Error(code, said)
	}
	nowhere := []string{"HOLDFAST_ADMIN_LISTEN=127.0.0.1:1"}
	if code, said := list(cli.Program{Config: file + ".not", Environ: nowhere}); code != 1 || !strings.Contains(said, "no daemon answers at 127.0.0.1:1 ") {
		t.Error(code, said)
	}
	if code, said := list(cli.Program{Config: write(t, "bad.toml", "max-client = 5")}); code != 1 || !strings.Contains(said, `there is no setting "max-client"`) {
		t.Error(code, said)
	}
	var got config.Config
	var e bytes.Buffer
	program := cli.Program{Config: file, Serve: func(c config.Config, _ io.Writer) error { got = c; return nil }}
	if code := program.Run([]string{"serve"}, io.Discard, &e); code != 0 || got.AdminListen[0] == address {
		t.Error(code, got.AdminListen, e.String())
	}
	if os.Getuid() == 0 {
		return // who may read everything
	}
	if err := os.Chmod(file, 0); err != nil {
		t.Fatal(err)
	}
	if code, said := list(cli.Program{Config: file, Environ: nowhere}); code != 1 || !strings.Contains(said, "no daemon answers at 127.0.0.1:1 ") {
		t.Error(code, said)
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
