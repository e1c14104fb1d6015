package admin_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"holdfast/admin"
	"holdfast/engine"
)

// /group/* has a page of every member, and why there is none.
func TestGroupPages(t *testing.T) {
	st := group()
	st.Events = []engine.Event{{At: 5e9, Kind: engine.Lost, Member: "c3", Took: 8e8, Text: "nothing came from c3"}}
	a := &actions{says: []admin.Answer{
		{Name: "c2", Address: "b:1", Body: []byte(`{"name":"c2"}`), Took: 3 * time.Millisecond, Ahead: -time.Second, Heard: 7e9},
		{Name: "c3", Address: "c:1", Err: errors.New("it is away")},
		{Name: "c4", Body: []byte("<html>")},
	}}
	url := startWith(t, &st, a)
	for _, page := range []string{"status", "events", "work", "settings"} {
		code, body := get(t, url+"/group/"+page)
		var g admin.GroupPage
		if err := json.Unmarshal([]byte(body), &g); err != nil || code != 200 || g.Asked != "a" || len(g.Members) != 4 {
			t.Fatal(page, code, err, body)
		}
		own, two, three, four := g.Members[0], g.Members[1], g.Members[2], g.Members[3]
		_, alone := get(t, url+"/"+page)
		if !own.Self || own.Error != "" || strings.Join(strings.Fields(string(own.Page)), "") != strings.Join(strings.Fields(alone), "") && page != "status" {
			t.Errorf("%s: %+v\n%s", page, own, alone)
		}
		if two.Self || two.TookMs != 3 || two.AheadMs != -1000 || two.Heard.UnixNano() != 7e9 || !strings.Contains(string(two.Page), `"c2"`) {
			t.Errorf("%+v", two)
		}
		if three.Error != "it is away" || string(three.Page) != "null" || three.Heard != nil || !strings.Contains(four.Error, "no JSON") {
			t.Errorf("%+v %+v", three, four)
		}
	}
	if _, body := get(t, url+"/events"); !strings.Contains(body, `"kind": "lost"`) || !strings.Contains(body, `"took_ms": 800`) {
		t.Error(body)
	}
	if _, body := get(t, url+"/status"); !strings.Contains(body, `"promise": "300ms"`) || strings.Contains(body, `"/d"`) {
		t.Error(body)
	}
	if _, body := get(t, url+"/group/goroutines"); !strings.Contains(body, "goroutine profile") {
		t.Error(body)
	}
	a.says = []admin.Answer{{Name: "c2", Body: []byte("holdfast_ready 1\n")}}
	if _, body := get(t, url+"/group/metrics"); !strings.Contains(body, `holdfast_ready 1\n`) || strings.Count(body, "holdfast_ready 1") != 2 {
		t.Error(body)
	}
}

// What says who the clients are, how it is set up and what it does is told to its own machine alone.
func TestPrivatePages(t *testing.T) {
	st := group()
	url := startWith(t, &st, &actions{})
	for page, private := range map[string]bool{"status": false, "events": false, "metrics": false, "work": true, "settings": true, "goroutines": true} {
		for _, path := range []string{"/" + page, "/group/" + page} {
			r, err := http.NewRequest(http.MethodGet, url+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = "pinned.example" // as a page in somebody's browser would
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if refused := res.StatusCode == http.StatusForbidden; refused != private {
				t.Errorf("%s: %d", path, res.StatusCode)
			}
		}
	}
}

// Other members are told by name.
func TestAnswer(t *testing.T) {
	st := group()
	s := admin.New(admin.Options{Name: "c1", Version: "9", Status: func() engine.Status { return st }, Traffic: func() admin.Traffic { return admin.Traffic{} }, Log: slog.New(slog.DiscardHandler)})
	if b, err := s.Answer("status"); err != nil || !json.Valid(b) {
		t.Error(err, string(b))
	}
	if b, err := s.Answer("metrics"); err != nil || !strings.Contains(string(b), "holdfast_ready") {
		t.Error(err, string(b))
	}
	if _, err := s.Answer("sessions"); err == nil || !strings.Contains(err.Error(), `c1 has no page "sessions": its version is 9`) {
		t.Error(err)
	}
}
