package transfer

import (
	"bufio"
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast/openstack"
)

// start runs a server of the originals on a free port and returns its address.
func start(t *testing.T, program string, args func(port string) []string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed: make prepare installs it", program)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, args(port)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not listen at %s", program, addr)
		}
	}
}

func startRedis(t *testing.T, more ...string) string {
	return start(t, "redis-server", func(port string) []string {
		return append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir()}, more...)
	})
}

func startMemcached(t *testing.T) string {
	return start(t, "memcached", func(port string) []string {
		args := []string{"-l", "127.0.0.1", "-p", port, "-U", "0", "-t", "1", "-m", "64"}
		if os.Getuid() == 0 {
			args = append(args, "-u", "nobody")
		}
		return args
	})
}

func address(t *testing.T, text string) *Address {
	t.Helper()
	a, err := ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// tell runs lines of commands on a Redis server, words between blanks, and returns what the last one answered.
func tell(t *testing.T, addr string, lines ...string) string {
	t.Helper()
	r, err := openRedis(address(t, "redis://"+addr))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text := ""
	for _, line := range lines {
		rep, err := r.must(strings.Fields(line)...)
		if err != nil {
			t.Fatal(err)
		}
		text = flat(&rep)
	}
	return text
}

func flat(r *reply) string {
	if r.kind == ':' {
		return strconv.FormatInt(r.n, 10)
	}
	if r.kind == 0 {
		return "nothing"
	}
	text := string(r.text)
	if r.kind == '*' {
		text = ""
		for i := range r.list {
			text += flat(&r.list[i]) + " "
		}
	}
	return text
}

// memo sends lines to a memcached and returns all that it answers.
func memo(t *testing.T, addr, lines string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write([]byte(lines + "quit\r\n")); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for in := bufio.NewScanner(c); in.Scan(); {
		all.WriteString(in.Text() + "\n")
	}
	return all.String()
}

var everything = []openstack.Kind{openstack.Rest, openstack.Session, openstack.Token, openstack.Group, openstack.Heartbeat, openstack.Lock}

func run(t *testing.T, from, to string, o Options) *Report {
	t.Helper()
	var end *Report
	o.Progress = func(r *Report, _ bool) { end = r }
	if o.Only == nil {
		o.Only = everything
	}
	if err := Run(context.Background(), address(t, from), address(t, to), o); err != nil {
		t.Fatal(err)
	}
	return end
}

func want(t *testing.T, what, got, wanted string) {
	t.Helper()
	if got != wanted {
		t.Errorf("%s: %q, not %q", what, got, wanted)
	}
}

const sessionKey = ":1:django.contrib.sessions.cacheabcdefghijklmnopqrstuvwxyz012345"

func TestRedis(t *testing.T) {
	from, to := startRedis(t), startRedis(t)
	big := make([]string, 0, 3000)
	for i := range 2500 {
		big = append(big, "m"+strconv.Itoa(i))
	}
	tell(t, from,
		"set plain value", "select 1", "set "+sessionKey+" data px 600000", "set here old", "hset h a 1 b 2", "pexpire h 500000",
		"sadd s x y", "sadd big "+strings.Join(big, " "), "rpush l 1", "zadd z 1 a", "set _tooz_x_lock token px 30000")
	tell(t, to, "select 1", "set here new")

	dry := run(t, "redis://"+from, "redis://"+to, Options{DryRun: true})
	want(t, "keys after a dry run", tell(t, to, "select 1", "dbsize"), "1")
	if dry.Seen != 9 || dry.Copied != 6 || dry.Skipped[Conflict] != 1 {
		t.Errorf("dry run: %+v", dry)
	}

	only := []openstack.Kind{openstack.Session, openstack.Rest}
	r := run(t, "redis://"+from, "redis://"+to, Options{Only: only})
	if r.Copied != 5 || r.Skipped[Conflict] != 1 || r.Skipped["it is of locks, which --only leaves out"] != 1 ||
		r.Skipped["it is a list, and only strings, hashes and sets are copied"] != 1 || r.Skipped["it is a zset, and only strings, hashes and sets are copied"] != 1 || r.Kinds["sessions"] != 1 {
		t.Errorf("%+v", r)
	}
	want(t, "plain", tell(t, to, "get plain"), "value")
	want(t, "its deadline", tell(t, to, "pttl plain"), "-1")
	want(t, "session", tell(t, to, "select 1", "get "+sessionKey), "data")
	want(t, "hash", tell(t, to, "select 1", "hmget h a b"), "1 2 ")
	want(t, "set", tell(t, to, "select 1", "scard big"), "2500")
	want(t, "what was there", tell(t, to, "select 1", "get here"), "new")
	for _, key := range []string{sessionKey, "h"} {
		a, _ := strconv.Atoi(tell(t, from, "select 1", "pttl "+key))
		b, _ := strconv.Atoi(tell(t, to, "select 1", "pttl "+key))
		if b < a-3000 || b > a+3000 || b <= 0 {
			t.Errorf("%s has %d ms left, and %d at the source", key, b, a)
		}
	}
	again := run(t, "redis://"+from, "redis://"+to, Options{Only: only})
	if again.Copied != 0 || again.Skipped[Conflict] != 6 {
		t.Errorf("again: %+v", again)
	}
	over := run(t, "redis://"+from+"/1", "redis://"+to, Options{Only: only, Overwrite: true})
	if over.Copied != 5 {
		t.Errorf("with overwrite: %+v", over)
	}
	want(t, "what was overwritten", tell(t, to, "select 1", "get here"), "old")
}

func TestRedisPassword(t *testing.T) {
	from, to := startRedis(t, "--requirepass", "p w/d"), startRedis(t)
	r, err := openRedis(address(t, "redis://:p%20w%2Fd@"+from))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.must("SET", "k", "v"); err != nil {
		t.Fatal(err)
	}
	if rep := run(t, "redis://:p%20w%2Fd@"+from, "redis://"+to, Options{}); rep.Copied != 1 {
		t.Errorf("%+v", rep)
	}
	o := Options{Only: everything, Progress: func(*Report, bool) {}}
	for _, wrong := range []string{"redis://" + from, "redis://:wrong@" + from} {
		err := Run(context.Background(), address(t, wrong), address(t, "redis://"+to), o)
		if err == nil || !strings.Contains(err.Error(), "let us in") && !strings.Contains(err.Error(), "NOAUTH") || strings.Contains(err.Error(), "wrong@") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// What has changed at the source is changed at the target, unless somebody has changed it there.
func TestFollow(t *testing.T) {
	from, to := startRedis(t), startRedis(t)
	tell(t, from, "set a 1", "set b 1", "set c 1 px 1000000", "hset h f 1")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	pass := 0
	var reports []Report
	o := Options{Only: everything, Follow: time.Millisecond, Progress: func(r *Report, last bool) {
		if !last {
			return
		}
		reports = append(reports, *r)
		switch pass++; pass {
		case 1:
			tell(t, from, "set a 2", "set b 2", "set new 1", "hset h f 2")
			tell(t, to, "set b mine")
		case 2:
			want(t, "changed", tell(t, to, "get a"), "2")
			want(t, "hash", tell(t, to, "hget h f"), "2")
			want(t, "changed on both sides", tell(t, to, "get b"), "mine")
			want(t, "new", tell(t, to, "get new"), "1")
			tell(t, to, "del a")
			tell(t, from, "pexpire c 2000000")
		case 3:
			want(t, "removed at the target", tell(t, to, "exists a"), "0")
			if ms, _ := strconv.Atoi(tell(t, to, "pttl c")); ms < 1500000 {
				t.Errorf("the longer deadline has not come over: %d ms", ms)
			}
			cancel()
		}
	}}
	if err := Run(ctx, address(t, "redis://"+from), address(t, "redis://"+to), o); err != nil || pass < 3 {
		t.Fatal(err, pass)
	}
	if r := reports[1]; r.Renewed != 2 || r.Same != 1 || r.Copied != 1 || r.Skipped[Changed] != 1 {
		t.Errorf("second pass: %+v", r)
	}
}

func TestMemcached(t *testing.T) {
	a, b, to := startMemcached(t), startMemcached(t), startMemcached(t)
	now := time.Now().Unix()
	memo(t, a, "set "+sessionKey+" 1 600 4\r\ndata\r\nset forever 16 0 2\r\n\r\n\r\nset twice 0 100 3\r\nold\r\nset here 0 0 3\r\nold\r\nset empty 3 0 0\r\n\r\n")
	memo(t, b, "set twice 2 900 3\r\nnew\r\nset far 0 "+strconv.FormatInt(now+40*24*3600, 10)+" 1\r\nx\r\nset caf\xc3\xa9 0 0 1\r\ny\r\n")
	memo(t, to, "set here 0 0 3\r\nnew\r\n")
	r := run(t, "memcached://"+a+","+b, "memcached://"+to, Options{})
	if r.Copied != 6 || r.Skipped[Conflict] != 1 || r.Skipped["another server has the same key, newer"] != 1 || r.Kinds["sessions"] != 1 {
		t.Errorf("%+v", r)
	}
	want(t, "values", memo(t, to, "get "+sessionKey+" forever twice here far caf\xc3\xa9 empty\r\n"), "VALUE "+sessionKey+" 1 4\ndata\nVALUE forever 16 2\n\n\nVALUE twice 2 3\nnew\n"+
		"VALUE here 0 3\nnew\nVALUE far 0 1\nx\nVALUE caf\xc3\xa9 0 1\ny\nVALUE empty 3 0\n\nEND\n")
	ends := map[string]int64{}
	m, err := openMemcachedSource(address(t, "memcached://"+to))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.(*memcachedSource).servers[0].list(func(key string, l listed) error { ends[key] = l.ends; return nil }); err != nil {
		t.Fatal(err)
	}
	for key, left := range map[string]int64{sessionKey: 600, "twice": 900, "far": 40 * 24 * 3600} {
		if d := ends[key] - now - left; d < -3 || d > 3 {
			t.Errorf("%s ends %d s off", key, d)
		}
	}
	if ends["forever"] != 0 || len(ends) != 7 {
		t.Errorf("%v", ends)
	}
}

func TestFollowMemcached(t *testing.T) {
	from, to := startMemcached(t), startMemcached(t)
	memo(t, from, "set a 0 0 1\r\n1\r\nset b 0 0 1\r\n1\r\n")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	pass := 0
	o := Options{Only: everything, Follow: time.Millisecond, Progress: func(r *Report, last bool) {
		if !last {
			return
		}
		if pass++; pass == 1 {
			memo(t, from, "set a 0 0 1\r\n2\r\nset b 0 0 1\r\n2\r\n")
			memo(t, to, "set b 0 0 4\r\nmine\r\n")
			return
		}
		want(t, "values", memo(t, to, "get a b\r\n"), "VALUE a 0 1\n2\nVALUE b 0 4\nmine\nEND\n")
		if r.Renewed != 1 || r.Skipped[Changed] != 1 {
			t.Errorf("%+v", r)
		}
		cancel()
	}}
	if err := Run(ctx, address(t, "memcached://"+from), address(t, "memcached://"+to), o); err != nil || pass < 2 {
		t.Fatal(err, pass)
	}
}

// A source that goes away is asked again; one that was never there is an error.
func TestFollowWithoutSource(t *testing.T) {
	var source *exec.Cmd
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	to := startRedis(t)
	begin := func() {
		path, err := exec.LookPath("redis-server")
		if err != nil {
			t.Skip("redis-server is not installed: make prepare installs it")
		}
		_, port, _ := net.SplitHostPort(addr)
		source = exec.Command(path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
		if err := source.Start(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			if c, err := net.Dial("tcp", addr); err == nil {
				c.Close()
				return
			}
			if time.Now().After(end) {
				t.Fatal("redis-server does not listen")
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	problems, pass := 0, 0
	o := Options{Only: everything, Follow: 10 * time.Millisecond, Progress: func(r *Report, last bool) {
		if !last {
			return
		}
		pass++
		switch {
		case pass == 1:
			source.Process.Kill()
			source.Wait()
		case r.Problem != "":
			if problems++; problems == 3 {
				begin()
				tell(t, addr, "set back 1")
			}
		case problems >= 3 && r.Copied == 1:
			cancel()
		}
	}}
	if err := Run(ctx, address(t, "redis://"+addr), address(t, "redis://"+to), o); err == nil || pass > 0 {
		t.Fatal("a source that is not there is no error")
	}
	begin()
	defer func() { source.Process.Kill(); source.Wait() }()
	if err := Run(ctx, address(t, "redis://"+addr), address(t, "redis://"+to), o); err != nil || problems < 3 {
		t.Fatal(err, problems)
	}
	want(t, "copied after it was back", tell(t, to, "get back"), "1")
}

func TestParseAddress(t *testing.T) {
	for text, wanted := range map[string]Address{
		"redis://h":                    {Scheme: "redis", Hosts: []string{"h:6379"}, Database: -1},
		"redis://[::1]:7/3":            {Scheme: "redis", Hosts: []string{"[::1]:7"}, Database: 3},
		"redis://[::1]/0":              {Scheme: "redis", Hosts: []string{"[::1]:6379"}},
		"rediss://u:p%40@h:1?db=2":     {Scheme: "rediss", Hosts: []string{"h:1"}, User: "u", Password: "p@", Database: 2},
		"redis://secret@h":             {Scheme: "redis", Hosts: []string{"h:6379"}, Password: "secret", Database: -1},
		"unix:///run/redis.sock?db=1":  {Scheme: "unix", Hosts: []string{"/run/redis.sock"}, Database: 1},
		"memcached://a:1,b,[::1]":      {Scheme: "memcached", Hosts: []string{"a:1", "b:11211", "[::1]:11211"}, Database: -1},
		"h:6379":                       {},
		"redis://":                     {},
		"redis://h/x":                  {},
		"redis://h/-1":                 {},
		"memcached://":                 {},
		"memcached://a b":              {},
		"http://h":                     {},
		"redis://:secret word@h:99999": {},
		"redis://h:port":               {},
	} {
		a, err := ParseAddress(text)
		switch {
		case err != nil && strings.Contains(err.Error(), "secret"):
			t.Errorf("%s: the error shows a password: %v", text, err)
		case (err != nil) != (wanted.Scheme == ""):
			t.Errorf("%s: %+v, %v", text, a, err)
		case err == nil && (a.Scheme != wanted.Scheme || strings.Join(a.Hosts, ",") != strings.Join(wanted.Hosts, ",") ||
			a.User != wanted.User || a.Password != wanted.Password || a.Database != wanted.Database):
			t.Errorf("%s: %+v", text, a)
		}
	}
}

func TestReplies(t *testing.T) {
	for text, wanted := range map[string]string{
		"+OK\r\n":                        "OK",
		":-5\r\n":                        "-5",
		"$3\r\na\nb\r\n":                 "a\nb",
		"$-1\r\n":                        "nothing",
		"*-1\r\n":                        "nothing",
		"*2\r\n$1\r\nx\r\n*1\r\n:1\r\n":  "x 1  ",
		"*0\r\n":                         "",
		"$3\r\nabcd\r\n":                 "!",
		"$99999999999\r\n":               "!",
		"*99999999999\r\n":               "!",
		"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n": "!",
		"$x\r\n":                         "!",
		"\r\n":                           "!",
		"HTTP/1.1 400\r\n":               "!",
		"$5\r\nab":                       "!",
		strings.Repeat("+a", 100000):     "!",
	} {
		r, err := readReply(bufio.NewReader(strings.NewReader(text)))
		got := "!"
		if err == nil {
			got = flat(&r)
		}
		if got != wanted {
			t.Errorf("%.40q is read as %q, not %q (%v)", text, got, wanted, err)
		}
	}
}

func FuzzReply(f *testing.F) {
	for _, s := range []string{"*2\r\n$1\r\nx\r\n*1\r\n:1\r\n", "$-1\r\n", "-ERR x\r\n", "$536870912\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for in := bufio.NewReader(strings.NewReader(string(b))); ; {
			if _, err := readReply(in); err != nil {
				return
			}
		}
	})
}

func FuzzListed(f *testing.F) {
	f.Add([]byte("key=a%20b exp=-1 la=1700000000 cas=7 fetch=yes cls=2 size=66"))
	f.Fuzz(func(t *testing.T, b []byte) {
		key, l, ok := parseListed(b)
		if ok && (key == "" || l.ends < 0 || strings.ContainsAny(key, " \r\n")) {
			t.Errorf("%q: %q %+v", b, key, l)
		}
	})
}

func FuzzAddress(f *testing.F) {
	f.Add("rediss://u:p%40@h:1?db=2")
	f.Fuzz(func(t *testing.T, text string) {
		if a, err := ParseAddress(text); err == nil && (len(a.Hosts) == 0 || a.Database < -1) {
			t.Errorf("%q: %+v", text, a)
		}
	})
}
