package admin_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"holdfast/admin"
	"holdfast/engine"
	"holdfast/keyspace"
	"holdfast/op"
)

// start serves st on a free port and returns the address before the path.
func start(t *testing.T, st *engine.Status) string {
	t.Helper()
	return startWith(t, st, nil)
}

func startWith(t *testing.T, st *engine.Status, control admin.Control) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	name := "one"
	if len(st.Peers) > 0 {
		name = st.Peers[0].Name
	}
	s := admin.New(admin.Options{
		Name: name, Version: "1.2.3",
		Status: func() engine.Status { return *st },
		Traffic: func() admin.Traffic {
			return admin.Traffic{Ports: []admin.Port{{Protocol: "redis"}}, Connections: 7, Input: 99}
		},
		Control:  control,
		Work:     func() admin.Work { return admin.Work{Clients: []admin.Client{{Host: "10.0.0.9"}}} },
		Settings: map[string]string{"promise": "300ms", "data": "/d"},
		Log:      slog.New(slog.DiscardHandler),
	})
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.Close(ctx)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

func TestReadiness(t *testing.T) {
	var st engine.Status
	url := start(t, &st)
	steps := []struct {
		name string
		st   engine.Status
		path string
		code int
		want string
	}{
		{"alive while loading", engine.Status{}, "/healthz", 200, "ok"},
		{"loading", engine.Status{}, "/readyz", 503, "the state is being loaded"},
		{"loading", engine.Status{}, "/readyz?mode=read", 503, "the state is being loaded"},
		{"no quorum", engine.Status{Ready: true, Missing: []string{"b", "c"}}, "/readyz", 503, "no quorum, missing: b, c"},
		{"disk full", engine.Status{Ready: true, Problem: "the disk is full"}, "/readyz", 503, "not ready for writes: the disk is full"},
		{"election", engine.Status{Ready: true}, "/readyz", 503, "no leader is known"},
		{"no quorum, reads", engine.Status{Ready: true}, "/readyz?mode=read", 200, "ready"},
		{"good", engine.Status{Ready: true, Quorum: true}, "/readyz?mode=write", 200, "ready"},
		{"group, leased", engine.Status{Ready: true, Peers: three(), Lease: 1}, "/readyz?mode=read", 200, "ready"},
		{"group, leased, no quorum", engine.Status{Ready: true, Peers: three(), Lease: 1}, "/readyz", 503, "no leader is known"},
		{"group, by the leader", engine.Status{Ready: true, Peers: three(), Leader: "b"}, "/readyz?mode=read", 200, "ready"},
		{"group, cut off", engine.Status{Ready: true, Peers: three(), Missing: []string{"b", "c"}}, "/readyz?mode=read", 503, "not ready for reads: no quorum, missing: b, c"},
		{"draining", engine.Status{Ready: true, Quorum: true, Draining: true}, "/readyz", 404, "being drained"},
		{"draining", engine.Status{Ready: true, Quorum: true, Draining: true}, "/readyz?mode=read", 404, "being drained"},
		{"draining without quorum", engine.Status{Ready: true, Draining: true, Missing: []string{"ctl2"}}, "/readyz", 503, "ctl2"},
		{"alive while draining", engine.Status{Draining: true}, "/healthz", 200, "ok"},
		{"wrong mode", engine.Status{Ready: true, Quorum: true}, "/readyz?mode=all", 400, `mode is "all"`},
		{"index", engine.Status{}, "/", 200, "/metrics"},
		{"elsewhere", engine.Status{}, "/secrets", 404, ""},
	}
	for _, step := range steps {
		st = step.st
		code, body := get(t, url+step.path)
		if code != step.code || !strings.Contains(body, step.want) {
			t.Errorf("%s: %d %q, want %d %q", step.name, code, body, step.code, step.want)
		}
	}
	if res, err := http.Post(url+"/status", "text/plain", nil); err != nil || res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %v %v", res, err)
	}
}

func sample() *engine.Status {
	st := &engine.Status{Role: "leader", Leader: "one", Members: 1, Quorum: true, Ready: true, Applied: 42, LogFsync: 1500000, Started: 1e18, Durable: "second"}
	st.Memory = keyspace.Memory{Budget: 1000, Used: 500, Evicted: 3}
	st.Memory.Class[op.Session] = keyspace.ClassStat{Keys: 5, Bytes: 400}
	st.Memory.Space[op.Memcache] = keyspace.SpaceStat{Keys: 5, Mortal: 4}
	return st
}

func TestStatus(t *testing.T) {
	url := start(t, sample())
	_, body := get(t, url+"/status")
	var r admin.Report
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatal(err, body)
	}
	if r.Name != "one" || r.Applied != 42 || r.Classes["session"].Keys != 5 || r.Spaces["memcached"].Mortal != 4 || r.Traffic.Connections != 7 || r.Traffic.Ports[0].Protocol != "redis" || r.FsyncMs != 1.5 {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(body, `"missing": []`) || !strings.Contains(body, `"snapshot_time": null`) {
		t.Error(body)
	}
}

func TestMetrics(t *testing.T) {
	url := start(t, sample())
	code, body := get(t, url+"/metrics")
	if code != 200 {
		t.Fatal(code, body)
	}
	for _, want := range []string{
		"holdfast_ready 1", "holdfast_applied_index 42", "holdfast_log_fsync_max_seconds 0.0015", `holdfast_class_keys{class="session"} 5`,
		`holdfast_keyspace_mortal_keys{keyspace="memcached"} 4`, "holdfast_connections 7", "holdfast_evicted_total 3",
		`holdfast_build_info{version="1.2.3"} 1`, "go_goroutines", "process_open_fds",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	if m := regexp.MustCompile(`(?m)^holdfast_\w+_total .*`).FindAllString(body, -1); len(m) < 4 {
		t.Error(m)
	}
}

// A client that opens connections and says nothing must not keep others out for longer than the read timeout.
func TestSilentClients(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the read timeout of 5 s")
	}
	url := start(t, sample())
	for range 128 {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if code, _ := get(t, url+"/healthz"); code != 200 {
		t.Error(code)
	}
}
