//go:build linux

// Package haproxy_test runs real HAProxy with the lines of docs/haproxy.md in front of a group, and has clients that know its address alone.
package haproxy_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"holdfast/test/group"
	"holdfast/test/witness"
)

const (
	patience = 20 * time.Second
	crews    = 3               // of clients, all at the same address
	onward   = 3 * time.Second // within which every client is served anew
)

// fronted is a group with HAProxy in front, under load.
type fronted struct {
	*testing.T
	*group.Group
	binary           string
	redis, memcached string // HAProxy's addresses
	stats            string // the socket at which it says what it thinks of the servers
	crew             *witness.Crew
}

func TestDocumentedLines(t *testing.T) {
	if _, err := exec.LookPath("haproxy"); err != nil {
		if os.Getenv("HOLDFAST_TEST_REQUIRE") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	f := begin(t)
	one, two, three := f.Members[0], f.Members[1], f.Members[2]

	f.during("a drain", 0, func() {
		if out, err := exec.Command(f.binary, "drain", "--admin", one.Admin).CombinedOutput(); err != nil {
			t.Fatalf("drain: %v: %s", err, out)
		}
		f.await(one, "NOLB")
	})
	each := len(f.crew.Clients)
	f.during("the stop of who was drained", each, func() {
		if _, err := one.Drain(patience); err != nil {
			t.Fatal(err)
		}
	})
	f.again(one)
	f.during("kill -9", each, two.Kill)
	f.again(two)
	f.during("a daemon that hangs", each, func() {
		three.Stop()
		f.await(three, "DOWN")
	})
	three.Continue()
	f.judge()
}

func begin(t *testing.T) *fronted {
	dir := t.TempDir()
	binary, err := group.Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	g, err := group.New(group.Options{Binary: binary, Dir: dir, Members: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	if err := g.Start(patience); err != nil {
		t.Fatal(err)
	}
	f := &fronted{T: t, Group: g, binary: binary}
	f.startProxy(dir)
	var all []witness.Member
	for range crews {
		all = append(all, witness.Member{Dial: func(p witness.Protocol) (net.Conn, error) {
			if p == witness.Redis {
				return net.Dial("tcp", f.redis)
			}
			return net.Dial("tcp", f.memcached)
		}})
	}
	f.crew = witness.NewCrew(all, witness.Options{Seed: 1, Pace: 10 * time.Millisecond, Sessions: 10})
	if err := f.crew.Start(); err != nil {
		t.Fatal(err)
	}
	return f
}

// lines finds the configuration in the document.
var lines = regexp.MustCompile("(?s)```haproxy\n(.*?)```")

// startProxy runs HAProxy with the documented lines, in which only addresses are other ones.
func (f *fronted) startProxy(dir string) {
	document, err := os.ReadFile("../../docs/haproxy.md")
	if err != nil {
		f.Fatal(err)
	}
	found := lines.FindSubmatch(document)
	if found == nil {
		f.Fatal("docs/haproxy.md has no configuration")
	}
	f.redis, f.memcached = free(f.T), free(f.T)
	addresses := []string{"10.0.0.10:6379", f.redis, "10.0.0.10:11211", f.memcached}
	for i, m := range f.Members {
		_, admin, _ := net.SplitHostPort(m.Admin) // all controllers have the same, and these have not
		for port, at := range map[string]string{"6379": m.Redis, "11211": m.Memcached} {
			addresses = append(addresses, fmt.Sprintf("10.0.0.%d:%s\n", i+1, port), at+" port "+admin+"\n")
		}
	}
	config := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(config, []byte(strings.NewReplacer(addresses...).Replace(string(found[1]))), 0o644); err != nil {
		f.Fatal(err)
	}
	f.stats = filepath.Join(dir, "stats")
	beside := filepath.Join(dir, "stats.cfg")
	if err := os.WriteFile(beside, []byte("global\n    stats socket "+f.stats+"\n"), 0o644); err != nil {
		f.Fatal(err)
	}
	cmd := exec.Command("haproxy", "-db", "-f", beside, "-f", config)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if f.Failed() {
			f.Log(said.String())
		}
	})
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", f.memcached) // the last that it listens at
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			f.Fatalf("HAProxy does not listen: %v", err)
		}
	}
}

func free(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// during does something to the group and expects that at most some requests fail, and that all clients go on.
func (f *fronted) during(what string, failures int, do func()) {
	f.Helper()
	from := f.crew.Now()
	do()
	f.goOn(onward)
	seen := f.crew.Look(from, f.crew.Now(), func(*witness.Client) bool { return true })
	f.Logf("%s: %d writes acknowledged, %d requests failed %v, at most %v without a write", what, seen.Acks, seen.Failures(), seen.Errors, seen.Gap.Round(time.Millisecond))
	if seen.Failures() > failures {
		f.Errorf("%s: %d requests failed, at most %d should have: %v", what, seen.Failures(), failures, seen.Errors)
	}
}

// goOn waits until every client was answered anew.
func (f *fronted) goOn(within time.Duration) {
	f.Helper()
	now := f.crew.Now()
	for end := time.Now().Add(within); !f.crew.Fresh(now); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			f.Fatalf("a client was not answered for %v", within)
		}
	}
}

// await waits until HAProxy says the same of a member on both ports.
func (f *fronted) await(m *group.Member, state string) {
	f.Helper()
	name := "controller" + strings.TrimPrefix(m.Name, "c")
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		found, all := 0, f.states()
		for server, is := range all {
			if strings.HasSuffix(server, "/"+name) && is == state {
				found++
			}
		}
		if found == 2 {
			return
		}
		if time.Now().After(end) {
			f.Fatalf("%s is not %s for HAProxy: %v", name, state, all)
		}
	}
}

// states is what HAProxy thinks of each server: UP, DOWN, or NOLB for one that gets no new clients.
func (f *fronted) states() map[string]string {
	c, err := net.Dial("unix", f.stats)
	if err != nil {
		f.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintln(c, "show stat")
	all := map[string]string{}
	for in := bufio.NewScanner(c); in.Scan(); {
		if fields := strings.Split(in.Text(), ","); len(fields) > 17 { // pxname,svname,...,status
			all[fields[0]+"/"+fields[1]] = fields[17]
		}
	}
	return all
}

// again brings a member back.
func (f *fronted) again(m *group.Member) {
	if err := m.Start(); err != nil {
		f.Fatal(err)
	}
	if err := f.AwaitWhole(patience); err != nil {
		f.Fatal(err)
	}
	f.await(m, "UP")
}

func (f *fronted) judge() {
	f.crew.Stop()
	if err := f.AwaitWhole(patience); err != nil {
		f.Fatal(err)
	}
	verdict, err := f.crew.Judge()
	if err != nil {
		f.Fatal(err)
	}
	for _, fault := range verdict.Faults {
		f.Error(fault)
	}
	f.Logf("%d writes, %d sessions, lock held %d times", verdict.Writes, verdict.Sessions, verdict.LockHeld)
}
