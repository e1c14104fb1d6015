package cli_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// redisPort is a server that knows what the load needs. It keeps what it was told.
type redisPort struct {
	net.Listener
	mu     sync.Mutex
	keys   map[string]string
	lives  map[string]bool
	hello  []string
	refuse string // in place of an answer to SET
}

func serveRedis(t *testing.T) *redisPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &redisPort{Listener: l, keys: map[string]string{}, lives: map[string]bool{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { r.talk(c) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return r
}

func (r *redisPort) talk(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		var n int
		if _, err := fmt.Fscanf(in, "*%d\r\n", &n); err != nil {
			return
		}
		words := make([]string, n)
		for i := range words {
			var size int
			fmt.Fscanf(in, "$%d\r\n", &size)
			b := make([]byte, size+2)
			if _, err := io.ReadFull(in, b); err != nil {
				return
			}
			words[i] = string(b[:size])
		}
		io.WriteString(c, r.answer(words))
	}
}

func (r *redisPort) answer(words []string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch words[0] {
	case "GET":
		v, ok := r.keys[words[1]]
		if !ok {
			return "$-1\r\n"
		}
		return fmt.Sprintf("$%d\r\n%s\r\n", len(v), v)
	case "SET":
		if r.refuse != "" {
			return "-" + r.refuse + "\r\n"
		}
		r.keys[words[1]] = words[2]
		r.lives[strings.Join(words[3:], " ")] = true
	case "DEL":
		n := 0
		for _, k := range words[1:] {
			if _, ok := r.keys[k]; ok {
				n++
				delete(r.keys, k)
			}
		}
		return fmt.Sprintf(":%d\r\n", n)
	default:
		r.hello = append(r.hello, strings.Join(words, " "))
		if words[0] == "AUTH" && words[len(words)-1] != "sesame" {
			return "-WRONGPASS no\r\n"
		}
	}
	return "+OK\r\n"
}

func TestBench(t *testing.T) {
	p, admin := serve(t)
	r := serveRedis(t)
	p.set("GET /status", text(t, says("c1", object{"traffic": object{"ports": []object{{"protocol": "memcached", "address": "127.0.0.1:1"}, {"protocol": "redis", "address": r.Addr().String()}}}})))
	p.set("GET /settings", `{"max-clients":"100","redis-classes":"0=coordination,1=session,2=token"}`)
	password, wrong := write(t, "password", "sesame\n"), write(t, "wrong", "open\n")
	code, stdout, stderr, _ := run(t, nil, "bench", "--for", "150ms", "--connections", "3", "--keys", "40", "--admin", admin, "--password-file", password, "--user", "u")
	for _, want := range []string{"This loads a production server: 3 connections to " + r.Addr().String(), "requests a second", "GET ", "SET ", "40 keys were removed"} {
		if code != 0 || !strings.Contains(strings.Join(strings.Fields(stdout), " ")+" ", strings.TrimSpace(want)) {
			t.Errorf("exit %d, no %q in\n%s%s", code, want, stdout, stderr)
		}
	}
	if len(r.keys) != 0 || !r.lives["EX 60"] || r.hello[0] != "AUTH u sesame" || r.hello[1] != "SELECT 15" {
		t.Error(r.keys, r.lives, r.hello)
	}
	r.refuse = "OOM no room"
	if code, stdout, stderr, _ = run(t, nil, "bench", "--for", "100ms", "--sets", "10", "--admin", admin); code != 0 || !strings.Contains(stdout, "were answered with an error, the first: OOM no room") {
		t.Error(code, stdout, stderr)
	}
	for args, want := range map[string]string{
		"--password-file " + wrong:       "AUTH at " + r.Addr().String() + ": WRONGPASS no",
		"--connections 11":               "11 connections are more than 10 % of max-clients, 100; --yes",
		"--keys 100000":                  "more than 1 % of the 700.0 MiB for keys",
		"--for 2m":                       "2m0s is more than 1m0s",
		"--database 1":                   "database 1 is of class session",
		"--connections 0":                "--connections is 0: write 1 to 1000",
		"--for 1ns":                      "--for is 1ns",
		"--at 127.0.0.1:1 --for 100ms":   "no connection to 127.0.0.1:1",
		"--at here":                      `"here" is no address`,
		"--at " + admin + " --for 100ms": "is it a Redis port?",
		"--password-file /nowhere/password --for 1ms": "--for is 1ms",
	} {
		if code, stdout, stderr, _ = run(t, nil, append([]string{"bench", "--admin", admin}, strings.Fields(args)...)...); code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("bench %s: %d %s%s", args, code, stdout, stderr)
		}
	}
	p.set("GET /status", text(t, says("c1", object{"verdict": "degraded"})))
	if code, _, stderr, _ = run(t, nil, "bench", "--admin", admin, "--at", r.Addr().String()); code != 1 || !strings.Contains(stderr, "the group is not healthy") {
		t.Error(code, stderr)
	}
	if code, _, stderr, _ = run(t, nil, "bench", "--admin", admin, "--yes"); code != 1 || !strings.Contains(stderr, "serves no Redis port without TLS") {
		t.Error(code, stderr)
	}
}
