package cli_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// serveLists serves lists in pages of one item each.
func serveLists(t *testing.T, lists map[string][]string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			fmt.Fprintln(w, r.URL.RawQuery)
			return
		}
		items, known := lists[strings.TrimPrefix(r.URL.Path, "/openstack/")]
		if !known {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		n, next := 0, ""
		fmt.Sscan(r.URL.Query().Get("cursor"), &n)
		item := ""
		if n < len(items) {
			item = items[n]
		}
		if n+1 < len(items) {
			next = fmt.Sprint(n + 1)
		}
		fmt.Fprintf(w, `{"items": [%s], "next": %q, "now": "2026-01-01T00:01:00Z"}`, item, next)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

func TestLists(t *testing.T) {
	at := serveLists(t, map[string][]string{
		"sessions": {
			`{"id": "aaa", "keyspace": "db1", "user": "u1", "user_name": "alice", "logged_in": "2026-01-01T00:00:00Z", "expires": "2026-01-01T01:01:00Z", "bytes": 5}`,
			`{"id": "bbb", "keyspace": "db1", "user": "", "bytes": 2048}`,
			`{"id": "ccc", "keyspace": "memcached", "user": "u2", "expires": "2026-01-01T00:01:30Z"}`,
		},
		"tokens": {`{"key": "0123", "what": "token", "user": "u1", "stored": "2026-01-01T00:00:59Z"}`, `{"key": "4567", "what": "cache"}`},
		"groups": {
			`{"name": "central", "leader": "x", "keyspace": "db0", "members": [{"name": "a", "last_heartbeat": "2026-01-01T00:00:50Z", "expires": "2026-01-01T00:01:20Z"}, {"name": "b"}]}`,
			`{"name": "none", "keyspace": "db0", "members": []}`,
		},
		"locks": {`{"name": "v", "kind": "lock", "holder": "h", "since": "2026-01-01T00:00:55Z", "expires": "2026-01-01T00:01:25Z", "fencing": 42, "keyspace": "db0"}`},
	})
	for _, c := range []struct {
		args string
		code int
		has  string // words with single blanks, lines between |
	}{
		{"sessions", 0, "aaa u1 alice 1m0s - 1h0m0s 5 B db1|bbb - - - - never 2.0 KiB db1|ccc u2 - - - 30s 0 B memcached|3 sessions of 2 known users"},
		{"sessions --user alice", 0, "aaa u1|1 session of 1 known user"},
		{"sessions --limit 1", 0, "aaa|1 session of 1 known user, and there are more: --limit 1 stopped here"},
		{"sessions --limit 3", 0, "|3 sessions of 2 known users|"},
		{"sessions -o json --limit 0", 0, `{"id":"ccc","keyspace":"memcached","user":"u2"`},
		{"sessions -o yaml", 2, "write text or json"},
		{"sessions --limit -1", 2, "--limit is -1"},
		{"sessions end aaa", 0, "key=aaa"},
		{"sessions end --all", 0, "all=yes"},
		{"sessions end", 2, "wants the id of a session, or --all"},
		{"sessions end aaa --all", 2, "wants the id of a session, or --all"},
		{"tokens", 0, "0123 token u1 1s - never|2 entries, 1 cache, 1 token"},
		{"tokens --what cache", 0, "4567|1 entries, 1 cache"},
		{"groups", 0, "central x a 10s 20s db0|central x b none gone db0|none - (empty) db0|2 groups, 2 members"},
		{"groups --timeout 0s", 2, "--timeout is 0s"},
		{"locks", 0, "v lock h 5s 25s 42 db0|1 lock"},
	} {
		code, stdout, stderr, _ := run(t, nil, append(strings.Fields(c.args), "--admin", at)...)
		text := ""
		for line := range strings.Lines(stdout + stderr) {
			text += strings.Join(strings.Fields(line), " ") + "|"
		}
		if code != c.code {
			t.Errorf("%s: exit code %d, not %d: %s", c.args, code, c.code, text)
		}
		for _, line := range strings.Split(c.has, "|") {
			if !strings.Contains(text, line) {
				t.Errorf("%s: no %q in %s", c.args, line, text)
			}
		}
	}
	code, _, stderr, _ := run(t, nil, "locks", "--admin", serveLists(t, nil))
	if code != 1 || !strings.Contains(stderr, "/openstack/locks: not now") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}
