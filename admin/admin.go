// Package admin shows a daemon to people and to monitoring, by HTTP: health, readiness, metrics, status; and has it drain and remove members for
// those on its machine. Read Server first; metrics.go has the table of metrics, control.go what changes something, verdict.go how good it all is,
// pages.go what members tell each other, openstack.go what is in there for those on its machine.
//
// The package asks an engine how it is; of keys it knows what package openstack says.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"holdfast/engine"
	"holdfast/openstack"
)

// Limits of what a client of the admin port may cost.
const (
	maxConns      = 128              // connections at a time; others wait in the kernel's queue
	maxHeader     = 16 << 10         // bytes of a request's header
	readTimeout   = 5 * time.Second  // for a whole request
	writeTimeout  = 30 * time.Second // for a whole answer
	idleTimeout   = time.Minute      // between requests
	maxBodyIgnore = 64 << 10         // bytes of a body that is read only to be thrown away
)

// Port is a listener.
type Port struct {
	Protocol string `json:"protocol"`
	Address  string `json:"address"`
	TLS      bool   `json:"tls,omitempty"`
}

// Traffic is what the listeners of clients have done since the start, all together.
type Traffic struct {
	Ports       []Port `json:"ports"`
	Connections int    `json:"connections"` // open now
	Accepted    uint64 `json:"accepted"`    // without the refused ones
	Refused     uint64 `json:"refused"`     // for max-clients
	Dropped     uint64 `json:"dropped"`     // ended by a limit or a timeout
	Input       uint64 `json:"input_bytes"`
	Output      uint64 `json:"output_bytes"`
	Buffered    int64  `json:"buffered_bytes"` // unfinished requests and untaken replies, now
}

// Work is what clients have had done since the start: of two of them the rates between can be told.
type Work struct {
	At       time.Time                    `json:"at"`
	Commands map[string]map[string]uint64 `json:"commands"` // by protocol and name: how many were carried out
	Clients  []Client                     `json:"clients"`  // those with the most bytes among the open connections, by host and protocol
}

// Client is a host with what its open connections have brought and taken since they were opened.
type Client struct {
	Host        string `json:"host"`
	Protocol    string `json:"protocol"`
	Connections int    `json:"connections"`
	Input       uint64 `json:"input_bytes"`
	Output      uint64 `json:"output_bytes"`
}

// Options say what a Server shows.
type Options struct {
	Name    string // of the controller
	Version string
	Status  func() engine.Status // from any goroutine
	Traffic func() Traffic       // from any goroutine
	Work    func() Work          // from any goroutine
	// Settings by their keys, as they are in force; what is secret is not among them.
	Settings map[string]string
	Control  Control
	State    openstack.State // from any goroutine
	Log      *slog.Logger
}

// Server serves the admin port.
type Server struct {
	o       Options
	http    http.Server
	metrics http.Handler
}

// New returns a server that has no listener yet.
func New(o Options) *Server {
	s := &Server{o: o, metrics: metrics(o)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("GET /healthz", s.health)
	mux.HandleFunc("GET /readyz", s.ready)
	s.handle(mux)
	mux.HandleFunc("GET /members", s.members)
	mux.Handle("GET /metrics", s.metrics)
	mux.HandleFunc("GET /openstack/sessions", s.inventory(listSessions))
	mux.HandleFunc("GET /openstack/tokens", s.inventory(listTokens))
	mux.HandleFunc("GET /openstack/groups", s.inventory(listGroups))
	mux.HandleFunc("GET /openstack/locks", s.inventory(listLocks))
	mux.HandleFunc("POST /openstack/sessions/end", s.action(s.endSessions))
	mux.HandleFunc("POST /drain", s.action(s.drain))
	mux.HandleFunc("POST /member/remove", s.action(s.remove))
	s.http = http.Server{
		Handler:           http.MaxBytesHandler(mux, maxBodyIgnore),
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return s
}

// Serve answers the clients of l until Close; then it returns nil. It may be called for several listeners.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.Serve(limit(l))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("admin port %s: %w", l.Addr(), err)
}

// Close closes the listeners and waits for the answers in progress, until ctx ends them.
func (s *Server) Close(ctx context.Context) {
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
}

// health says that the process runs. It is for whoever restarts it, and must not depend on the group.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") }

// ready says whether clients are served: for mode=read whether reads are, else whether writes are too. A controller that serves those whom it has and
// should get no others, since it is being drained, answers 404: HAProxy's disable-on-404 does just that, and for everybody else it is a no.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	st := s.o.Status()
	why := ""
	switch mode := r.URL.Query().Get("mode"); mode {
	case "read":
		why = notRead(&st)
	case "", "write":
		why = notWrite(&st)
	default:
		answer(w, http.StatusBadRequest, fmt.Sprintf("mode is %.40q: use read or write", mode))
		return
	}
	if why != "" {
		answer(w, http.StatusServiceUnavailable, why)
		return
	}
	if st.Draining {
		answer(w, http.StatusNotFound, "not ready for more clients: it is being drained")
		return
	}
	answer(w, http.StatusOK, "ready")
}

func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, "holdfast "+s.o.Version+" on "+s.o.Name+`

/healthz            whether the process runs
/readyz             whether reads and writes are served; ?mode=read: whether reads are
/status             how it is, JSON
/members            the controllers of its group, JSON
/events             the last things of note that it has seen, JSON
/metrics            how it is, for Prometheus
/group/status       the same of every member of the group, JSON; also /group/events, /group/metrics

From its own machine, also as /group/...:
/work               what clients have had done: commands, busiest clients, JSON
/settings           settings in force, without secrets, JSON
/goroutines         what the process is doing, for a defect report

From its own machine, JSON, in pages: ?cursor= goes on with what next says:
/openstack/sessions   sessions of the dashboard, never what is in them
/openstack/tokens     entries of token caches
/openstack/groups     groups of agents with their members; ?timeout=30s is what the agents have
/openstack/locks      locks that are held

From its own machine, with the header `+actionHeader+`:
POST /openstack/sessions/end?key=ID   log a user out; ?all=yes: everybody
POST /drain                     give leases and leadership away; answers when it is safe to stop
POST /member/remove?name=NAME   take a controller out of the group`)
}

func (s *Server) members(w http.ResponseWriter, _ *http.Request) {
	st := s.o.Status()
	answerJSON(w, peersOf(&st))
}

func answerJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // a client that is gone needs no answer
}

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	fmt.Fprintln(w, text)
}

// limit lets at most maxConns connections of l be open at a time.
func limit(l net.Listener) net.Listener {
	return &limited{l, make(chan struct{}, maxConns)}
}

type limited struct {
	net.Listener
	slots chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.slots <- struct{}{}
	return &slotConn{Conn: c, slots: l.slots}, nil
}

// slotConn gives its slot back once, however often it is closed.
type slotConn struct {
	net.Conn
	slots chan struct{}
	once  sync.Once
}

func (c *slotConn) Close() error {
	c.once.Do(func() { <-c.slots })
	return c.Conn.Close()
}
