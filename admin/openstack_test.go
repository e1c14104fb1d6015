package admin_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"holdfast/admin"
	"holdfast/engine"
	"holdfast/op"
)

// emptyState has nothing in it, or fails.
type emptyState struct{ err error }

func (s *emptyState) Read(_ op.Read, show func(*op.Result)) error {
	if s.err == nil {
		show(&op.Result{})
	}
	return s.err
}

func (s *emptyState) Write(op.Write) (op.Result, error) { return op.Result{}, s.err }

func TestInventory(t *testing.T) {
	state := &emptyState{}
	status := group()
	s := admin.New(admin.Options{
		Name: "a", Status: func() engine.Status { return status }, Traffic: func() admin.Traffic { return admin.Traffic{} }, State: state, Log: slog.New(slog.DiscardHandler),
	})
	defer s.Close(context.Background())
	ask := func(method, path, from, host string) (int, string) {
		r := httptest.NewRequest(method, "http://"+host+path, nil)
		r.RemoteAddr = from
		r.Header.Set("X-Holdfast-Action", "yes")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		body, _ := io.ReadAll(w.Body)
		return w.Code, string(body)
	}
	const here = "127.0.0.1:5000"
	for _, c := range []struct {
		method, path, from, host string
		err                      error
		code                     int
		has                      string
	}{
		{"GET", "/openstack/sessions", here, "127.0.0.1", nil, 200, `"items": []`},
		{"GET", "/openstack/tokens", here, "holdfast", nil, 200, `"next": ""`},
		{"GET", "/openstack/groups?timeout=5s", here, "localhost", nil, 200, `"now":`},
		{"GET", "/openstack/locks", here, "127.0.0.1", nil, 200, `"items": []`},
		{"GET", "/openstack/groups?timeout=x", here, "127.0.0.1", nil, 400, "write a duration"},
		{"GET", "/openstack/sessions?cursor=x", here, "127.0.0.1", nil, 400, "the cursor"},
		{"GET", "/openstack/sessions", "10.0.0.9:5000", "127.0.0.1", nil, 403, "the machine alone"},
		{"GET", "/openstack/sessions", here, "evil.example", nil, 403, "the machine alone"},
		{"GET", "/openstack/locks", here, "127.0.0.1", engine.ErrUnavailable, 503, "no quorum"},
		{"POST", "/openstack/sessions/end?key=abc", here, "127.0.0.1", nil, 400, "there is no such session"},
		{"POST", "/openstack/sessions/end?all=yes", here, "127.0.0.1", nil, 200, "0 sessions ended"},
		{"POST", "/openstack/sessions/end?all=yes&key=abc", here, "127.0.0.1", nil, 400, "name one session"},
		{"POST", "/openstack/sessions/end", here, "127.0.0.1", nil, 400, "name one session"},
		{"POST", "/openstack/sessions/end?all=yes", "10.0.0.9:5000", "127.0.0.1", nil, 403, "must come from the machine"},
		{"POST", "/openstack/sessions/end?all=yes", here, "127.0.0.1", engine.ErrUnavailable, 503, "0 sessions ended, then: no quorum"},
		{"GET", "/openstack/sessions/end?all=yes", here, "127.0.0.1", nil, 405, ""},
	} {
		state.err = c.err
		code, text := ask(c.method, c.path, c.from, c.host)
		if code != c.code || !strings.Contains(text, c.has) {
			t.Errorf("%s %s from %s: %d %s, not %d with %q", c.method, c.path, c.from, code, text, c.code, c.has)
		}
		if code == http.StatusOK && c.method == "GET" && !json.Valid([]byte(text)) {
			t.Errorf("%s is no JSON: %s", c.path, text)
		}
	}
}
