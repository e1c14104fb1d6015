package cli_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// pages is an admin port: what it answers by method and path, and what was asked of it.
type pages struct {
	mu     sync.Mutex
	code   map[string]int // other than 200
	answer map[string]string
	asked  []string
	next   map[string][]string // answers, one for each time that it is asked; then answer
}

// then has what is asked answered so, one after the other.
func (p *pages) then(what string, answers ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = map[string][]string{what: answers}
	p.answer[what] = ""
}

func (p *pages) set(what, answer string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer[what] = answer
}

func (p *pages) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what := r.Method + " " + r.URL.String()
	p.asked = append(p.asked, what)
	answer, ok := p.answer[what]
	if list := p.next[what]; len(list) > 0 {
		answer, p.next[what] = list[0], list[1:]
	}
	if r.Method == http.MethodPost && r.Header.Get("X-Holdfast-Action") == "" || r.Host != "holdfast" || !ok {
		w.WriteHeader(http.StatusForbidden)
	} else if p.code[what] != 0 {
		w.WriteHeader(p.code[what])
	}
	io.WriteString(w, answer)
}

// serve returns an admin port and its address.
func serve(t *testing.T) (*pages, string) {
	t.Helper()
	p := &pages{code: map[string]int{}, answer: map[string]string{}}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	return p, srv.Listener.Addr().(*net.TCPAddr).String()
}

const alonePage = `{"name":"one","version":"9","ready":true,"quorum":true,"role":"leader","leader":"one","members":1,"applied":12,"verdict":"healthy","lease_ms":null,
	"started":"2026-01-01T00:00:00Z","data":"/var/lib/holdfast","durability":"second","memory_resident_bytes":104857600,
	"classes":{"session":{"keys":5,"bytes":4096},"cache":{"keys":0}},"keyspaces":{"db1":{"keys":5,"mortal":4}},
	"traffic":{"ports":[{"protocol":"redis","address":"127.0.0.1:6379"}],"connections":3,"accepted":9}}`

const groupPage = `{"name":"c1","version":"9","ready":true,"quorum":true,"role":"leader","leader":"c1","members":3,"commit":120,"visible":119,"applied":118,
	"verdict":"degraded","why":"missing: c3","can_lose":0,"missing":["c3"],"lease_ms":210.4,"term":7,
	"peers":[
	{"name":"c1","address":"127.0.0.1:7420","id":"1","role":"leader","leader":true,"self":true,"up":true,"in_roster":true,"match":120,"slowest_fsync_ms":1.25,"level":1},
	{"name":"c2","address":"127.0.0.2:7420","id":"2","role":"follower","up":true,"in_roster":true,"lease_ms":180,"match":119,"lag":1,"round_trip_ms":0.21,"clock_offset_ms":-3.5,"level":1},
	{"name":"c3","address":"127.0.0.3:7420","id":"3","role":"follower","up":false,"lease_ms":90}],
	"elections":[{"at":"2026-01-01T00:00:00Z","term":7,"leader":"c1","cause":"leader lost","took_ms":412.4}]}`

// joined is groupPage with c4 in it.
func joined(role string) string {
	return strings.Replace(groupPage, `"peers":[`, `"peers":[{"name":"c4","address":"127.0.0.4:7420","role":"`+role+`","up":true},`, 1)
}

func TestDrain(t *testing.T) {
	p, address := serve(t)
	p.set("POST /drain", "drained: it is safe to stop c1\n")
	if code, stdout, _, _ := run(t, nil, "drain", "--admin", address); code != 0 || stdout != "drained: it is safe to stop c1\n" {
		t.Error(code, stdout)
	}
	p.code["POST /drain"] = http.StatusConflict
	p.set("POST /drain", "not safe to stop: missing: c3\nmore\n")
	if code, _, stderr, _ := run(t, nil, "drain", "--admin", address); code != 1 || stderr != "holdfast: not safe to stop: missing: c3\n" {
		t.Error(code, stderr)
	}
}

func TestMembers(t *testing.T) {
	p, address := serve(t)
	p.set("GET /status", groupPage)
	p.set("GET /members", "[]")
	p.set("POST /member/remove?name=c3", "c3 is no member any more")
	for _, c := range []struct {
		args string
		code int
		out  string
		err  string
	}{
		{"list", 0, "*  c1 (this one)  127.0.0.1:7420", ""},
		{"list -o json", 0, "[]", ""},
		{"remove c3", 0, "c3 is no member any more", ""},
		{"remove c&9", 1, "", "the daemon answered 403"},
		{"add c4 127.0.0.4 --wait 0", 0, "holdfast serve --name c4 --peer-listen 127.0.0.4:7420 --join 127.0.0.1:7420,127.0.0.2:7420,127.0.0.3:7420\n", ""},
		{"add c4 --wait 0", 0, "--peer-listen ITS-ADDRESS --join", ""},
		{"add c4 --wait 1ms", 1, "Waiting for c4, 1ms at most", "c4 has not become a member within 1ms"},
		{"add c2", 1, "", "c2 is a member already, at 127.0.0.2:7420"},
		{"replace c9 c4", 1, "", `there is no member "c9": there are c1, c2, c3`},
		{"replace c3 c2", 1, "", "c2 is a member already, and without c3 the group would be smaller"},
	} {
		args := append(append([]string{"member"}, strings.Fields(c.args)...), "--admin", address)
		code, stdout, stderr, _ := run(t, nil, args...)
		if code != c.code || !strings.Contains(stdout, c.out) || !strings.Contains(stderr, c.err) || (c.code == 0) != (stderr == "") {
			t.Errorf("member %s: exit %d\n%s%s\nwant exit %d, %q, %q", c.args, code, stdout, stderr, c.code, c.out, c.err)
		}
	}
	p.set("GET /status", alonePage)
	if code, _, stderr, _ := run(t, nil, "member", "add", "c4", "--admin", address); code != 1 || !strings.Contains(stderr, "one serves no other controllers: set peer-listen") {
		t.Error(code, stderr)
	}
	if code, stdout, _, _ := run(t, nil, "member", "list", "--admin", address); code != 0 || stdout != "one is a group of one\n" {
		t.Error(code, stdout)
	}
	p.set("GET /status", `{"name":"one","why":"this controller waits for all members"}`)
	if code, stdout, _, _ := run(t, nil, "member", "list", "--admin", address); code != 0 || stdout != "one is in no group yet: this controller waits for all members\n" {
		t.Error(code, stdout)
	}
}

// The old member goes only after the new one has its vote.
func TestReplace(t *testing.T) {
	p, address := serve(t)
	p.set("GET /status", joined("learner"))
	p.set("POST /member/remove?name=c3", "c3 is no member any more")
	if code, stdout, stderr, _ := run(t, nil, "member", "replace", "c3", "c4", "--wait", "1ms", "--admin", address); code != 1 || strings.Contains(stdout, "holdfast serve") || !strings.Contains(stderr, "has not become a member") {
		t.Error(code, stdout, stderr)
	}
	for _, what := range p.asked {
		if what != "GET /status" {
			t.Error(what)
		}
	}
	p.set("GET /status", joined("follower"))
	if code, stdout, stderr, _ := run(t, nil, "member", "replace", "c3", "c4", "--admin", address); code != 0 || !strings.Contains(stdout, "c3 is no member any more") {
		t.Error(code, stdout, stderr)
	}
}
