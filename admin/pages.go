package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime/pprof"
	"time"
)

// askTime bounds how long the other members are waited for. They answer within milliseconds, and somebody waits for what can be said without one.
const askTime = time.Second

// A page is what one member says of itself. Each can be had of this member, by its name, and of all members at once, below /group/: these ask each
// other over the connections between members, so that an admin port need be open to nobody but its own machine.
type page struct {
	name    string
	private bool // for its own machine, and the other members, alone
	kind    string
	show    func(s *Server) ([]byte, error)
}

const (
	isJSON = "application/json"
	isText = "text/plain; charset=utf-8"
)

var pages = []page{
	{"status", false, isJSON, func(s *Server) ([]byte, error) { return encode(s.report()) }},
	{"events", false, isJSON, func(s *Server) ([]byte, error) { return encode(s.events()) }},
	{"work", true, isJSON, func(s *Server) ([]byte, error) { return encode(s.o.Work()) }},
	{"settings", true, isJSON, func(s *Server) ([]byte, error) { return encode(s.o.Settings) }},
	{"metrics", false, isText, (*Server).scrape},
	{"goroutines", true, isText, goroutines},
}

// Answer shows a page to another member, whose Control.Ask asks for it. Any goroutine may call it.
func (s *Server) Answer(name string) ([]byte, error) {
	for i := range pages {
		if pages[i].name == name {
			return pages[i].show(s)
		}
	}
	return nil, fmt.Errorf("%s has no page %.40q: its version is %s", s.o.Name, name, s.o.Version)
}

// Answer is what another member said.
type Answer struct {
	Name    string
	Address string // for the other members
	Body    []byte
	Err     error // it has not answered; else nil
	Took    time.Duration
	Ahead   time.Duration // its wall clock before the own one, give or take half of Took
	Heard   int64         // Unix ns when anything last came from it; 0 if nothing has since the start
}

// GroupPage is the JSON of /group/*: a page of every member, as one of them got it.
type GroupPage struct {
	Asked   string       `json:"asked"` // the member that asked the others
	Now     time.Time    `json:"now"`   // its wall clock
	Members []MemberPage `json:"members"`
}

// MemberPage is what a member said of itself, or why it said nothing.
type MemberPage struct {
	Name    string          `json:"name"`
	Address string          `json:"address"`
	Self    bool            `json:"self"`
	Error   string          `json:"error"` // why there is no page, empty if there is one
	Heard   *time.Time      `json:"heard"` // when anything last came from it, null for never
	TookMs  float64         `json:"took_ms"`
	AheadMs float64         `json:"clock_ahead_ms"` // its wall clock before that of who asked, give or take half of took_ms
	Page    json.RawMessage `json:"page"`           // a string if it is text
}

// handle puts all pages in front of s's clients.
func (s *Server) handle(mux *http.ServeMux) {
	for i := range pages {
		p := &pages[i]
		if p.name != "metrics" { // which has a handler that compresses
			mux.HandleFunc("GET /"+p.name, s.guard(p.private, func(w http.ResponseWriter, _ *http.Request) { s.own(p, w) }))
		}
		mux.HandleFunc("GET /group/"+p.name, s.guard(p.private, func(w http.ResponseWriter, r *http.Request) { answerJSON(w, s.group(r.Context(), p)) }))
	}
}

// guard tells what is private to this machine alone: the port has no passwords.
func (s *Server) guard(private bool, show http.HandlerFunc) http.HandlerFunc {
	if !private {
		return show
	}
	return func(w http.ResponseWriter, r *http.Request) {
		if !fromHere(r) || !ownHost(r.Host) {
			answer(w, http.StatusForbidden, "this is told to the machine alone that the controller runs on")
			return
		}
		show(w, r)
	}
}

func (s *Server) own(p *page, w http.ResponseWriter) {
	body, err := p.show(s)
	if err != nil {
		answer(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", p.kind)
	_, _ = w.Write(body) // a client that is gone needs no answer
}

// group asks every member for a page.
func (s *Server) group(ctx context.Context, p *page) GroupPage {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	g := GroupPage{Asked: s.o.Name, Now: time.Now().UTC()}
	body, err := p.show(s)
	g.Members = append(g.Members, pageOf(p, Answer{Name: s.o.Name, Body: body, Err: err}))
	g.Members[0].Self = true
	if s.o.Control != nil {
		for _, a := range s.o.Control.Ask(ctx, p.name) {
			g.Members = append(g.Members, pageOf(p, a))
		}
	}
	return g
}

func pageOf(p *page, a Answer) MemberPage {
	m := MemberPage{Name: a.Name, Address: a.Address, TookMs: ms(int64(a.Took)), AheadMs: ms(int64(a.Ahead)), Heard: timeOf(a.Heard), Page: json.RawMessage("null")}
	switch {
	case a.Err != nil:
		m.Error = a.Err.Error()
	case p.kind == isText:
		m.Page, _ = json.Marshal(string(a.Body)) // a string always can be
	case json.Valid(a.Body):
		m.Page = a.Body
	default:
		m.Error = "what it answers is no JSON: the versions are too far apart"
	}
	return m
}

// scrape is /metrics as Prometheus gets it.
func (s *Server) scrape() ([]byte, error) {
	r, err := http.NewRequest(http.MethodGet, "/metrics", nil)
	if err != nil {
		return nil, err
	}
	w := &recorder{header: http.Header{}}
	s.metrics.ServeHTTP(w, r)
	return w.Bytes(), nil
}

// recorder keeps an answer.
type recorder struct {
	bytes.Buffer
	header http.Header
}

// Header and WriteHeader are http.ResponseWriter's.
func (r *recorder) Header() http.Header { return r.header }
func (r *recorder) WriteHeader(int)     {}

// goroutines is where in the code every goroutine is; there is nothing of a client's in it.
func goroutines(*Server) ([]byte, error) {
	var b bytes.Buffer
	err := pprof.Lookup("goroutine").WriteTo(&b, 1)
	return b.Bytes(), err
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return b.Bytes(), err
}
