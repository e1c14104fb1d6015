package cli_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// The rates of two looks; a member that was started anew in between has none, and what a client's closed connections brought is not below zero.
func TestTop(t *testing.T) {
	p, address := serve(t)
	look := func(at time.Time, gets, sets, keys, in uint64) string {
		return text(t, object{"asked": "c1", "now": at, "members": []object{
			self("c1", object{"at": at, "commands": object{"redis": object{"get": gets, "set": sets, "client|setname": 5}, "memcached": object{"get": keys}},
				"clients": []object{{"host": "10.0.0.11", "protocol": "redis", "connections": 20, "input_bytes": in, "output_bytes": 3 * in},
					{"host": "10.0.0.12", "protocol": "memcached", "connections": 2, "input_bytes": 1 << 50 / (1 + in), "output_bytes": 9}}}),
			told("c2", object{"at": at, "commands": object{"redis": object{"get": gets / 2}}, "clients": []object{}}, nil),
			silent("c3"),
		}})
	}
	p.then("GET /group/work", look(before(2*time.Second), 1000, 100, 10, 1<<20), look(now, 7001, 101, 50, 5<<20))
	code, stdout, stderr, _ := run(t, nil, "top", "--once", "--every", "250ms", "--admin", address)
	if code != 0 || stderr != "" {
		t.Error(code, stderr)
	}
	golden(t, "top.golden", stdout)
	p.then("GET /group/work", look(now, 7001, 101, 50, 5<<20), look(before(-time.Second), 3, 0, 0, 1<<20))
	_, stdout, _, _ = run(t, nil, "top", "--once", "--every", "250ms", "--admin", address, "-o", "json")
	var r struct {
		Members  []any
		Commands []any
		Clients  []struct {
			In float64 `json:"input_bytes_per_second"`
		}
	}
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || len(r.Members) != 2 || len(r.Commands) != 0 || r.Clients[0].In < 0 {
		t.Error(err, stdout)
	}
	p.set("GET /group/work", "no")
	if code, _, stderr, _ = run(t, nil, "top", "--once", "--admin", address); code != 1 || !strings.Contains(stderr, "gives no work of a group") {
		t.Error(code, stderr)
	}
}
