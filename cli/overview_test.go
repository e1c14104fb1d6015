package cli_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write what is rendered to the golden files")

// golden holds got against testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// now is when everything is asked.
var now = time.Date(2026, 3, 1, 3, 12, 30, 0, time.UTC)

func before(d time.Duration) time.Time { return now.Add(-d) }

// object is what a member says, as JSON.
type object = map[string]any

// told is a member's page as the one that was asked got it: page nil for none.
func told(name string, page any, more object) object {
	m := object{"name": name, "address": "10.0.0." + name[1:] + ":7420", "page": page, "error": "", "heard": before(40 * time.Millisecond), "took_ms": 0.4, "clock_ahead_ms": 0.1}
	for k, v := range more {
		m[k] = v
	}
	return m
}

func self(name string, page any) object {
	return told(name, page, object{"self": true, "heard": nil, "took_ms": 0, "clock_ahead_ms": 0})
}

func silent(name string) object {
	return told(name, nil, object{"heard": before(4 * time.Minute), "error": "request to 10.0.0." + name[1:] + ":7420: dial: connect: connection refused"})
}

// says is the status of one of c1, c2, c3, of which c1 leads and all is well.
func says(name string, more object) object {
	role := "follower"
	if name == "c1" {
		role = "leader"
	}
	var peers []object
	for _, p := range []string{"c1", "c2", "c3"} {
		peers = append(peers, object{"name": p, "up": true, "self": p == name, "heard": before(40 * time.Millisecond), "role": "follower"})
	}
	r := object{"name": name, "version": "1.2.3", "verdict": "healthy", "why": "", "can_lose": 1, "ready": true, "quorum": true, "role": role, "leader": "c1", "members": 3, "term": 7,
		"commit": 12000, "applied": 12000, "lease_ms": 210, "started": before(76 * time.Hour), "data": "/var/lib/holdfast", "slowest_fsync_ms": 1.25,
		"memory_limit_bytes": 1 << 30, "memory_resident_bytes": 151 << 20, "keys_budget_bytes": 700 << 20, "keys_used_bytes": 93 << 20, "expired": 811, "evicted": 3,
		"classes":         object{"session": object{"keys": 1204, "bytes": 9 << 20}, "token": object{"keys": 40122, "bytes": 84 << 20}, "coordination": object{"keys": 12, "bytes": 1800}, "cache": object{}},
		"traffic":         object{"connections": 41},
		"common_settings": object{"promise": "300ms", "lease": "250ms", "memcached-classes": "*=cache"},
		"peers":           peers}
	for k, v := range more {
		r[k] = v
	}
	return r
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// group puts what the members say to the admin port of the first one.
func (p *pages) group(t *testing.T, members ...object) {
	t.Helper()
	p.set("GET /group/status", text(t, object{"asked": members[0]["name"], "now": now, "members": members}))
	if p.answer["GET /group/events"] == "" {
		p.events(t, told("c1", object{"started": before(76 * time.Hour), "events": []object{}}, object{"self": true}))
	}
}

func (p *pages) events(t *testing.T, members ...object) {
	t.Helper()
	p.set("GET /group/events", text(t, object{"asked": "c1", "now": now, "members": members}))
}

func happened(at time.Time, kind, member, text string, more object) object {
	e := object{"at": at, "kind": kind, "member": member, "text": text}
	for k, v := range more {
		e[k] = v
	}
	return e
}

// A last cell that is too long goes on below itself.
func TestLongEvents(t *testing.T) {
	p, address := serve(t)
	p.set("GET /group/events", text(t, object{"asked": "c1", "now": now, "members": []object{self("c1", object{"started": before(time.Hour), "events": []object{
		happened(before(time.Minute), "refused", "", strings.Repeat("1 request refused, since: no quorum; ", 9), object{"count": 1}),
	}})}}))
	code, stdout, stderr, _ := run(t, []string{"COLUMNS=80"}, "why", "--all", "--admin", address)
	if code != 0 || strings.Count(strings.Join(strings.Fields(stdout), " "), "no quorum;") != 9 || !strings.Contains(stdout, "\n                             ") {
		t.Error(code, stdout, stderr)
	}
	for line := range strings.Lines(stdout) {
		if len(strings.TrimSuffix(line, "\n")) > 80 {
			t.Errorf("wider than 80: %s", line)
		}
	}
}

// What status shows in every state, its exit code, and that nothing is wider than a terminal.
func TestStatus(t *testing.T) {
	alone := says("c1", object{"members": 1, "can_lose": 0, "lease_ms": nil, "peers": nil})
	lost := object{"verdict": "degraded", "why": "missing: c3", "can_lose": 0, "missing": []string{"c3"}}
	noQuorum := object{"verdict": "no quorum", "why": "no quorum, missing: c2, c3", "quorum": false, "can_lose": 0, "lease_ms": 0, "role": "candidate", "leader": ""}
	electing := object{"verdict": "no quorum", "why": "no leader is known", "quorum": false, "can_lose": 0, "lease_ms": 0, "role": "candidate", "leader": ""}
	full := object{"verdict": "no quorum", "quorum": false, "problem": "the disk of /var/lib/holdfast is full: make room, writes are held and then refused until then",
		"why": "the disk of /var/lib/holdfast is full: make room, writes are held and then refused until then"}
	for _, m := range []object{lost, noQuorum} {
		m["peers"] = []object{{"name": "c1", "self": true, "up": true}, {"name": "c2"}, {"name": "c3"}}
	}
	starting := object{"verdict": "no quorum", "ready": false, "quorum": false, "role": "", "leader": "", "term": 0, "peers": nil, "classes": nil, "keys_used_bytes": 0,
		"why": "this controller waits for all members, since none of them has a group that goes on: c2 at 10.0.0.2:7420 does not answer, c3 at 10.0.0.3:7420 does not answer"}
	two := []object{{"name": "c1", "role": "leader", "up": true}, {"name": "c2", "role": "follower", "up": true}}
	fullAlone := says("c1", full)
	fullAlone["peers"], fullAlone["can_lose"] = nil, 0
	differs := says("c1", nil)
	differs["peers"].([]object)[1]["differs"] = 4711
	for _, c := range []struct {
		name    string
		code    int
		members []object
	}{
		{"alone", 0, []object{self("c1", alone)}},
		{"healthy", 0, []object{self("c1", says("c1", nil)), told("c3", says("c3", nil), nil), told("c2", says("c2", nil), nil)}},
		{"one-dead", 1, []object{self("c1", says("c1", lost)), told("c2", says("c2", lost), nil), silent("c3")}},
		{"two-dead", 2, []object{self("c1", says("c1", noQuorum)), silent("c2"), silent("c3")}},
		{"no-leader", 2, []object{self("c1", says("c1", electing)), told("c2", says("c2", electing), nil), told("c3", says("c3", electing), nil)}},
		{"readindex", 0, []object{self("c1", says("c1", object{"lease_ms": 0})), told("c2", says("c2", object{"lease_ms": 0}), nil), told("c3", says("c3", object{"lease_ms": 0}), nil)}},
		{"drained", 1, []object{self("c1", says("c1", nil)), told("c2", says("c2", object{"draining": true, "lease_ms": 0}), nil), told("c3", says("c3", nil), nil)}},
		{"disk-full-here", 2, []object{self("c1", fullAlone)}},
		{"starting", 2, []object{self("c1", says("c1", starting)), silent("c2"), silent("c3")}},
		{"cut-off", 1, []object{self("c1", says("c1", lost)), told("c2", says("c2", nil), nil), silent("c3")}},
		{"disk-full-there", 1, []object{self("c1", says("c1", nil)), told("c2", says("c2", full), nil), told("c3", says("c3", nil), nil)}},
		{"loading-here", 1, []object{self("c3", says("c3", object{"verdict": "no quorum", "ready": false, "quorum": false, "role": "", "leader": "", "problem": "this controller waits for the leader that c1 has"})),
			told("c1", says("c1", nil), nil), told("c2", says("c2", nil), nil)}},
		{"two-leaders", 1, []object{self("c1", says("c1", nil)), told("c2", says("c2", object{"role": "leader", "leader": "c2", "term": 8}), nil), told("c3", says("c3", object{"leader": "c2", "term": 8}), nil)}},
		{"settings", 1, []object{self("c1", says("c1", nil)), told("c2", says("c2", object{"common_settings": object{"promise": "500ms", "lease": "250ms", "memcached-classes": "*=cache"}}), nil), told("c3", says("c3", nil), nil)}},
		{"differs", 1, []object{self("c1", differs), told("c2", says("c2", nil), nil), told("c3", says("c3", nil), nil)}},
		{"members", 1, []object{self("c1", says("c1", nil)), told("c2", says("c2", object{"peers": []object{{"name": "c2"}, {"name": "c4"}}}), nil), told("c3", says("c3", nil), nil)}},
		{"two-voters", 1, []object{self("c1", says("c1", object{"verdict": "degraded", "why": "only 2 have a vote", "can_lose": 0, "peers": two})), told("c2", says("c2", object{"peers": two}), nil)}},
		{"notes", 0, []object{self("c1", says("c1", object{"keys_used_bytes": 690 << 20})), told("c2", says("c2", object{"version": "1.3.0", "slowest_fsync_ms": 840}), nil),
			told("c3", says("c3", nil), object{"clock_ahead_ms": -1700})}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, address := serve(t)
			p.group(t, c.members...)
			if c.name == "one-dead" {
				p.events(t, told("c1", object{"started": before(76 * time.Hour), "events": []object{
					happened(before(30*time.Hour), "started", "", "serves, 1.05s after its start", nil),
					happened(before(4*time.Minute), "lost", "c3", "nothing came from c3 for 812 ms: it counts as missing", object{"took_ms": 812}),
					happened(before(4*time.Minute-time.Second), "stands", "c1", "asks for votes", nil)}}, object{"self": true}),
					told("c2", object{"started": before(time.Hour), "events": []object{
						happened(before(4*time.Minute), "ended", "c3", "the process of c3 ended: proved by the process that watched it", nil),
						happened(before(4*time.Minute-10*time.Millisecond), "lost", "c3", "nothing came from c3 for 840 ms: it counts as missing", object{"took_ms": 840})}}, nil), silent("c3"))
			}
			code, stdout, stderr, _ := run(t, nil, "status", "--admin", address)
			if code != c.code || stderr != "" {
				t.Errorf("exit %d, want %d\n%s", code, c.code, stderr)
			}
			golden(t, "status-"+c.name+".golden", stdout)
			for _, line := range strings.Split(stdout, "\n") {
				if len(line) > 110 || strings.Contains(line, "\x1b") {
					t.Errorf("not for a terminal of 110 columns without colours: %q", line)
				}
			}
			code, stdout, _, _ = run(t, nil, "status", "--admin", address, "-o", "json")
			var all struct {
				Name, Version string
				Peers         []any
				Group         struct {
					Verdict        string
					Exit_code      int
					Next, Headline string
					Members        []any
				}
			}
			if err := json.Unmarshal([]byte(stdout), &all); err != nil || code != c.code || all.Group.Exit_code != code || all.Group.Next == "" || len(all.Group.Members) < len(c.members) ||
				all.Version != "1.2.3" || all.Name != c.members[0]["name"] {
				t.Error(code, err, stdout)
			}
		})
	}
}

func TestStatusOfStrangers(t *testing.T) {
	p, address := serve(t)
	for answer, want := range map[string]string{
		"<html>": "gives no status of a group",
		"{}":     "gives no status of a group",
		text(t, object{"asked": "c1", "now": now, "members": []object{self("c1", object{"name": "c1", "verdict": "superb"})}}):       `"superb", which this version does not know`,
		text(t, object{"asked": "c1", "now": now, "members": []object{self("c1", []int{1})}}):                                        "gives no status of its own",
		text(t, object{"asked": "c1", "now": now, "members": []object{told("c2", object{"name": "c2", "verdict": "healthy"}, nil)}}): "gives no status of its own",
	} {
		p.set("GET /group/status", answer)
		p.events(t, self("c1", object{}))
		if code, _, stderr, _ := run(t, nil, "status", "--admin", address); code != 3 || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d %s", answer, code, stderr)
		}
	}
	if code, _, stderr, _ := run(t, []string{"HOLDFAST_ADMIN_LISTEN="}, "status"); code != 3 || !strings.Contains(stderr, "admin-listen is empty") {
		t.Error(code, stderr)
	}
	p.group(t, self("c1", says("c1", nil)), told("c2", json.RawMessage(`"nonsense"`), nil), told("c3", says("c3", nil), nil))
	if code, stdout, _, _ := run(t, nil, "status", "--admin", address); code != 1 || !strings.Contains(strings.Join(strings.Fields(stdout), " "), "the versions are too far apart") {
		t.Error(code, stdout)
	}
}

// failoverEvents are what c2 and c3 saw of the end of c1, c3's clock being 1.5 s ahead.
func failoverEvents(t *testing.T, p *pages) {
	zero := before(90 * time.Second)
	at := func(ms int) time.Time { return zero.Add(time.Duration(ms) * time.Millisecond) }
	three := func(ms int) time.Time { return at(ms + 1500) }
	p.set("GET /group/events", text(t, object{"asked": "c2", "now": now, "members": []object{
		self("c2", object{"started": before(time.Hour), "events": []object{
			happened(before(50*time.Minute), "handed", "c3", "c3 hands its leadership over", nil),
			happened(before(30*time.Minute), "hand-over", "c3", "c3 hands its leadership over", object{"term": 6}),
			happened(before(30*time.Minute-5*time.Millisecond), "elected", "c1", "c1 leads, term 7; without a sign of a leader for 3 ms", object{"term": 7, "took_ms": 3}),
			happened(at(300), "silent", "c1", "nothing came from the leader c1 for 300 ms", object{"term": 7, "took_ms": 300}),
			happened(at(305), "stands", "c2", "asks for votes", object{"term": 7}),
			happened(at(330), "elected", "c2", "c2 leads, term 8; without a sign of a leader for 330 ms", object{"term": 8, "took_ms": 330}),
			happened(at(345), "paused", "", "12 writes acknowledged that had to wait, the longest for 341 ms", object{"took_ms": 341, "count": 12}),
			happened(before(20*time.Second), "ended", "c3", "the process of c3 ended: proved by the process that watched it", nil),
			happened(at(820), "lost", "c1", "nothing came from c1 for 820 ms: it counts as missing", object{"took_ms": 820}),
		}}),
		told("c1", nil, object{"error": "request to 10.0.0.1:7420: dial: i/o timeout"}),
		told("c3", object{"started": three(-3_000_000), "events": []object{
			happened(three(295), "silent", "c1", "nothing came from the leader c1 for 298 ms", object{"term": 7, "took_ms": 298}),
			happened(three(312), "voted", "c2", "votes for c2, term 8", object{"term": 8}),
			happened(three(331), "elected", "c2", "c2 leads, term 8; without a sign of a leader for 334 ms", object{"term": 8, "took_ms": 334}),
			happened(three(900), "refused", "", "3 requests refused or of unknown outcome, since: no quorum", object{"count": 3}),
			happened(three(822), "lost", "c1", "nothing came from c1 for 825 ms: it counts as missing", object{"took_ms": 825}),
		}}, object{"clock_ahead_ms": 1500, "took_ms": 0.6}),
	}}))
}

// A leader that is started again at once has taken part in no election: it was over before.
func TestWhyWhenTheOldLeaderIsBack(t *testing.T) {
	p, address := serve(t)
	zero := before(90 * time.Second)
	at := func(ms int) time.Time { return zero.Add(time.Duration(ms) * time.Millisecond) }
	p.set("GET /group/events", text(t, object{"asked": "c2", "now": now, "members": []object{
		self("c2", object{"started": before(time.Hour), "events": []object{
			happened(zero, "died", "c1", "the process of the leader c1 ended: proved by the process that watched it", object{"term": 7}),
			happened(at(11), "elected", "c2", "c2 leads, term 8; without a sign of a leader for 48 ms", object{"term": 8, "took_ms": 48}),
		}}),
		told("c1", object{"started": at(1000), "events": []object{
			happened(at(1400), "elected", "c2", "c2 leads, term 8; without a sign of a leader for 0 ms", object{"term": 8}),
			happened(at(1410), "started", "c1", "serves, 410ms after its start", nil),
		}}, nil),
	}}))
	code, stdout, stderr, _ := run(t, nil, "why", "--admin", address)
	if code != 0 || !strings.Contains(stdout, "within 11 ms (term 8)") || !strings.Contains(stdout, "c2  c2 leads, term 8") || !strings.Contains(stdout, "c1  serves, 410ms") {
		t.Error(code, stdout, stderr)
	}
}

func TestWhy(t *testing.T) {
	p, address := serve(t)
	failoverEvents(t, p)
	for name, args := range map[string]string{"last": "", "before": "--back 1", "none": "--back 9", "all": "--all"} {
		code, stdout, stderr, _ := run(t, nil, append([]string{"why", "--admin", address}, strings.Fields(args)...)...)
		if code != 0 || stderr != "" {
			t.Error(code, stderr)
		}
		golden(t, fmt.Sprintf("why-%s.golden", name), stdout)
	}
	var f struct {
		From, To string
		Term     int
		Took     float64 `json:"took_ms"`
		Timeline []any
	}
	_, stdout, _, _ := run(t, nil, "why", "--admin", address, "-o", "json")
	if err := json.Unmarshal([]byte(stdout), &f); err != nil || f.From != "c1" || f.To != "c2" || f.Term != 8 || f.Took < 325 || f.Took > 335 || len(f.Timeline) < 10 {
		t.Error(err, stdout)
	}
	if code, _, stderr, _ := run(t, nil, "why", "--back", "-1"); code != 2 || !strings.Contains(stderr, "--back is -1") {
		t.Error(code, stderr)
	}
	p.set("GET /group/events", "what?")
	if code, _, stderr, _ := run(t, nil, "why", "--admin", address); code != 1 || !strings.Contains(stderr, "gives no events of a group") {
		t.Error(code, stderr)
	}
}
