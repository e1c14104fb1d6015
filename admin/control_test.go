package admin_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"

	"holdfast/admin"
	"holdfast/engine"
)

// three are the members of a group in which all is well.
func three() []engine.Peer {
	return []engine.Peer{
		{Name: "a", Addr: "127.0.0.1:7420", ID: 1 << 63, Role: "leader", Self: true, InRoster: true, Level: 1},
		{Name: "b", Addr: "127.0.0.2:7420", ID: 2, Role: "follower", Up: true, InRoster: true, RoundTrip: 2e6, ClockOffset: -3e6, Lag: 4},
		{Name: "c", Addr: "127.0.0.3:7420", ID: 3, Role: "follower", Up: true, GrantLeft: 1e8},
	}
}

func group() engine.Status {
	return engine.Status{
		Role: "leader", Leader: "a", Members: 3, Quorum: true, Ready: true, CanLose: 1, Peers: three(), Visible: 41, Lease: 2e8,
		Elections: []engine.Election{{At: 1e18, Term: 7, Leader: "a", Cause: "leader lost", Took: 4e8}}, Causes: map[string]uint64{"leader lost": 2},
	}
}

// without is the group after a member has gone.
func without(name string) engine.Status {
	st := group()
	st.Missing, st.CanLose = []string{name}, 0
	for i := range st.Peers {
		if st.Peers[i].Name == name {
			st.Peers[i].Up = false
		}
	}
	return st
}

// actions notes what it is told.
type actions struct {
	did    []string
	err    error
	silent []string
	says   []admin.Answer
}

func (a *actions) Ask(_ context.Context, page string) []admin.Answer {
	a.did = append(a.did, "ask "+page)
	return a.says
}

func (a *actions) Silent() []string { return a.silent }

func (a *actions) Drain(context.Context) error {
	a.did = append(a.did, "drain")
	return a.err
}

func (a *actions) Remove(_ context.Context, name string) error {
	a.did = append(a.did, "remove "+name)
	return a.err
}

func post(t *testing.T, url string, change func(*http.Request)) (int, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Holdfast-Action", "yes")
	if change != nil {
		change(r)
	}
	res, err := http.DefaultClient.Do(r)
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

func TestActions(t *testing.T) {
	learner := group()
	learner.Peers[2].Role, learner.CanLose = "learner", 0
	alone := engine.Status{Ready: true, Quorum: true}
	lost := group()
	lost.Quorum, lost.Missing = false, []string{"b", "c"}
	for _, test := range []struct {
		name   string
		st     engine.Status
		path   string
		err    error
		code   int
		answer string
		did    string
	}{
		{"drain", group(), "/drain", nil, 200, "it is safe to stop a", "drain"},
		{"drain fails", group(), "/drain", errors.New("no other member is level"), 500, "not drained: no other member is level", "drain"},
		{"drain while one is missing", without("c"), "/drain", nil, 409, "not safe to stop: missing: c", ""},
		{"follower: drain while one is missing", group(), "/drain", nil, 409, "not safe to stop: missing: c", ""},
		{"follower: remove another than the missing one", group(), "/member/remove?name=b", nil, 409, "of the 2 that stay only 1 answer", ""},
		{"drain without a quorum", lost, "/drain", nil, 409, "not safe to stop: no quorum, missing: b, c", ""},
		{"drain one of two voters", learner, "/drain", nil, 409, "only 2 have a vote", ""},
		{"drain alone", alone, "/drain", nil, 409, "group of one", ""},
		{"drain while loading", engine.Status{}, "/drain", nil, 503, "being loaded", ""},
		{"remove", group(), "/member/remove?name=c", nil, 200, "c is no member any more", "remove c"},
		{"remove itself", group(), "/member/remove?name=a", nil, 200, "a is no member any more", "remove a"},
		{"remove the missing one", without("c"), "/member/remove?name=c", nil, 200, "c is no member", "remove c"},
		{"remove another than the missing one", without("c"), "/member/remove?name=b", nil, 409, "of the 2 that stay only 1 answer", ""},
		{"remove a learner", learner, "/member/remove?name=c", nil, 200, "c is no member", "remove c"},
		{"remove a stranger", group(), "/member/remove?name=x", nil, 404, `no member "x": there are a, b, c`, ""},
		{"remove nobody", group(), "/member/remove", nil, 404, `no member ""`, ""},
		{"remove when alone", alone, "/member/remove?name=a", nil, 404, "group of one", ""},
	} {
		a := &actions{err: test.err, silent: test.st.Missing}
		if strings.HasPrefix(test.name, "follower: ") {
			a.silent = []string{"c"} // which its status does not say
		}
		st := test.st
		code, body := post(t, startWith(t, &st, a)+test.path, nil)
		if code != test.code || !strings.Contains(body, test.answer) || strings.Join(a.did, ",") != test.did {
			t.Errorf("%s: %d %q, did %q; want %d %q, %q", test.name, code, body, a.did, test.code, test.answer, test.did)
		}
	}
}

func TestActionsOfStrangers(t *testing.T) {
	st, a := group(), &actions{}
	url := startWith(t, &st, a)
	for name, change := range map[string]func(*http.Request){
		"a page of another host": func(r *http.Request) { r.Header.Del("X-Holdfast-Action") },
		"a name pointed here":    func(r *http.Request) { r.Host = "evil.example:8630" },
	} {
		if code, body := post(t, url+"/drain", change); code != 403 {
			t.Errorf("%s: %d %q", name, code, body)
		}
	}
	if code, _ := get(t, url+"/drain"); code != 405 {
		t.Error("GET /drain:", code)
	}
	if len(a.did) > 0 {
		t.Error(a.did)
	}
	for _, host := range []string{"localhost:1", "127.0.0.1", "[::1]:8630", "holdfast"} {
		if code, body := post(t, url+"/drain", func(r *http.Request) { r.Host = host }); code != 200 {
			t.Errorf("%s: %d %q", host, code, body)
		}
	}
}

func TestGroupReport(t *testing.T) {
	st := group()
	url := start(t, &st)
	_, body := get(t, url+"/status")
	var r admin.Report
	if err := json.Unmarshal([]byte(body), &r); err != nil {
		t.Fatal(err, body)
	}
	if r.Verdict != admin.Healthy || r.CanLose != 1 || r.Visible != 41 || *r.LeaseMs != 200 || len(r.Peers) != 3 || r.Elections[0].TookMs != 400 || r.Causes["leader lost"] != 2 {
		t.Errorf("%+v", r)
	}
	a, b := r.Peers[0], r.Peers[1]
	if !a.Leader || !a.Up || a.ID != "8000000000000000" || b.Leader || b.RoundTripMs != 2 || b.OffsetMs != -3 || b.Lag != 4 {
		t.Errorf("%+v %+v", a, b)
	}
	if _, body := get(t, url+"/members"); !strings.Contains(body, `"name": "c"`) {
		t.Error(body)
	}
	_, body = get(t, url+"/metrics")
	for _, want := range []string{
		"holdfast_can_lose 1", "holdfast_visible_index 41", "holdfast_lease_seconds 0.2", "holdfast_leader_known 1", "holdfast_roster_members 2",
		`holdfast_member_up{member="c"} 1`, `holdfast_member_lag_entries{member="b"} 4`, `holdfast_member_round_trip_seconds{member="b"} 0.002`,
		`holdfast_member_clock_offset_seconds{member="b"} -0.003`, `holdfast_elections_total{cause="leader lost"} 2`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	st.Lease = math.MaxInt64
	if _, body := get(t, url+"/metrics"); !strings.Contains(body, "holdfast_lease_seconds +Inf") {
		t.Error("the lease of a group of one has an end")
	}
	if _, body := get(t, url+"/status"); !strings.Contains(body, `"lease_ms": null`) {
		t.Error(body)
	}
	st.Peers = append(st.Peers, engine.Peer{Name: "c", ID: 9, Role: "learner"})
	if code, body := get(t, url+"/metrics"); code != 200 {
		t.Error(code, body)
	}
}

func TestVerdicts(t *testing.T) {
	two := group()
	two.Peers, two.CanLose = two.Peers[:2], 0
	wrong := group()
	wrong.Peers[1].Differs = 40
	down := without("c")
	down.Quorum, down.Missing = false, []string{"b", "c"}
	for _, test := range []struct {
		name      string
		st        engine.Status
		word, why string
	}{
		{"group of one", engine.Status{Ready: true, Quorum: true}, admin.Healthy, ""},
		{"all there", group(), admin.Healthy, ""},
		{"one missing", without("c"), admin.Degraded, "missing: c"},
		{"another state", wrong, admin.Degraded, "after entry 40 the state of b was not that of this controller: a defect, or a machine that computes wrongly; report it, and give the wrong one an empty directory"},
		{"two voters", two, admin.Degraded, "only 2 have a vote"},
		{"majority lost", down, admin.NoQuorum, "no quorum, missing: b, c"},
		{"disk full", engine.Status{Ready: true, Problem: "the disk is full"}, admin.NoQuorum, "the disk is full"},
		{"loading", engine.Status{}, admin.NoQuorum, "the state is being loaded"},
		{"waiting for the others", engine.Status{Problem: "waits for b and c"}, admin.NoQuorum, "waits for b and c"},
	} {
		var r admin.Report
		_, body := get(t, start(t, &test.st)+"/status")
		if err := json.Unmarshal([]byte(body), &r); err != nil || r.Verdict != test.word || r.Why != test.why {
			t.Errorf("%s: %q %q %v", test.name, r.Verdict, r.Why, err)
		}
	}
}
