// Package server is the front of the daemon: listeners, connections, limits, TLS, replies in order, and stopping without losing any.
//
// It knows no word of any protocol: a Session, made by the Worker that the caller wires in, turns bytes into bytes. Two drivers run
// sessions. On Linux an epoll loop for each processor serves plain connections (loop_linux.go, sock_linux.go); TLS connections and
// other systems have a goroutine for each connection, in groups that share a Worker (group.go). Both pass the same tests.
// Read this file first, then conn.go.
//
// The package may not import any other of ours.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Session is the dialect of one connection. All calls come one at a time, on the connection's worker.
type Session interface {
	// Process consumes requests from in and appends replies to out, which may already hold some that were not yet written.
	// It returns how many bytes of in it used, out extended, and when to call again:
	//
	//	next > 0: as soon as at least next bytes of unconsumed input are there. 1 after stopping at an output high-water mark: the replies are
	//	          written first, and other connections get their turn. For an incomplete request: how many bytes it has in all.
	//	          A Wake can bring the call before.
	//	next == 0: parked, not before Wake. Replies appended so far are still the client's. A Wake that was on its way before can bring
	//	          the call early: a session that still has to wait returns 0 again.
	//	next < 0: write the replies, then close.
	//
	// in is only valid during the call. Process must stop appending at a bound of its own (64 KiB, say): the server bounds only what waits
	// for a slow client.
	Process(in, out []byte) (used int, reply []byte, next int)
	// Close is called once, when the connection is gone.
	Close()
}

// Patient is a Session whose client may wait for the server, not the other way round, though the session waits for input too: while Patient says so, the
// connection is not dropped for being idle.
type Patient interface{ Patient() bool }

// Worker is a single-threaded context for sessions: no two calls to a Worker and its sessions overlap.
type Worker interface {
	// Session makes the session of a new connection of the listener named port.
	Session(port string, c *Conn) Session
	// Flush is called after the sessions that had something to do were processed, before the worker's thread may block.
	Flush()
}

// Limits and times that are not settings.
const (
	beat         = time.Second      // how often timeouts are looked at, and their grain
	stallBeats   = 60               // a client that takes no byte of its replies for so many beats is dropped
	handshake    = 10 * time.Second // for a TLS handshake
	grace        = 20 * time.Millisecond
	acceptPause  = 50 * time.Millisecond // before accepting again when the process has no descriptors left
	keepInterval = 15                    // seconds between probes of TCP,
	keepCount    = 4                     // and how many may be lost
	maxRefusal   = 1024
)

// Listener says where to listen and for whom.
type Listener struct {
	Name     string       // what Worker.Session is told; unique
	Address  string       // "host:port", or the path of a Unix socket (anything with a slash); unused if Listener is given
	Listener net.Listener // already listening; the Server closes it
	Mode     os.FileMode  // permissions of the Unix socket; 0 leaves them to the umask
	TLS      *tls.Config  // nil for plain. TLS 1.2 is the least unless MinVersion says otherwise
	Refusal  []byte       // said to a client beyond MaxClients before closing, at most 1 KiB; TLS clients are closed without
	TooLarge []byte       // said behind the replies so far to a client whose request is beyond InputLimit before closing
}

// Config is what Start needs. The zero value of each field but Listeners means its default.
type Config struct {
	Listeners   []Listener
	Loops       int           // epoll loops, each with a worker of its own; default one for each processor
	Groups      int           // workers for TLS and non-Linux connections; default two for each processor
	MaxClients  int           // connections at the same time, default 10,000
	InputLimit  int           // bytes of one request, default 513 MiB; who needs more reads TooLarge and is closed
	OutputLimit int           // bytes of replies that wait for a client to take them, default 513 MiB; who has more is dropped
	BufferLimit int64         // bytes of unfinished requests and untaken replies of all connections, default 2 GiB; who goes beyond is dropped
	IdleTimeout time.Duration // after which a silent client is dropped, in whole seconds, rounded up; default never
	KeepAlive   time.Duration // after which TCP probes a silent peer, in whole seconds; 0: never
	Logger      *slog.Logger  // default slog.Default

	portable bool // for tests: no epoll loops
}

const (
	defaultMaxClients  = 10_000
	defaultRequest     = 513 << 20 // the largest value of Redis, 512 MiB, and what is around it
	defaultBufferLimit = 2 << 30
)

// processors is how many the process may use, before makeHomes changes it.
var processors = runtime.GOMAXPROCS(0)

func (c *Config) complete() error {
	if len(c.Listeners) == 0 {
		return errors.New("no listeners: name at least one address to listen at")
	}
	names := map[string]bool{}
	for _, l := range c.Listeners {
		if names[l.Name] {
			return fmt.Errorf("two listeners are named %q: give each a name of its own", l.Name)
		}
		names[l.Name] = true
		if len(l.Refusal) > maxRefusal {
			return fmt.Errorf("the refusal of listener %q has %d bytes: at most %d are allowed", l.Name, len(l.Refusal), maxRefusal)
		}
	}
	if c.Loops < 0 || c.Groups < 0 || c.MaxClients < 0 || c.InputLimit < 0 || c.OutputLimit < 0 || c.BufferLimit < 0 || c.IdleTimeout < 0 {
		return errors.New("a negative number in the server's configuration: use 0 for the default")
	}
	orDefault(&c.Loops, processors)
	orDefault(&c.Groups, 2*processors)
	orDefault(&c.MaxClients, defaultMaxClients)
	orDefault(&c.InputLimit, defaultRequest)
	orDefault(&c.OutputLimit, defaultRequest)
	orDefault(&c.BufferLimit, defaultBufferLimit)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return nil
}

func orDefault[T int | int64](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// Server is a set of listeners and their connections, from Start to Close.
type Server struct {
	config    Config
	idleBeats uint32
	ports     []*port
	homes     []home       // all workers' homes; fixed after Start
	clients   atomic.Int64 // connections now, refused ones not counted
	conns     sync.Map     // *Conn by id: those that are open
	accepted  atomic.Uint64
	refused   atomic.Uint64
	beats     atomic.Uint32 // beats since Start, never 0
	draining  atomic.Bool   // no new connections; close each as soon as it is answered
	forced    atomic.Bool   // close all now
	force     chan struct{} // closed with forced
	stop      chan struct{} // closed when Close begins
	closing   sync.Once
	accepting sync.WaitGroup // acceptors and the beat
	working   sync.WaitGroup // homes and their connections
}

// home is where connections live with the worker that they share: an epoll loop or a group.
type home interface {
	run()            // until Close is done
	poke()           // from any goroutine: run a pass, look at the server's state
	count() *account // of this home's connections
}

// account counts what goes on in one home, so that homes do not contend. Any goroutine may read it.
type account struct {
	in, out  atomic.Uint64 // bytes
	dropped  atomic.Uint64 // connections ended by a limit or timeout
	buffered atomic.Int64  // bytes of buffers that belong to connections
	_        [96]byte      // a cache line of its own
}

// Start listens and serves until Close. newWorker is called for each loop and group before Start returns; its wake may be called
// from any goroutine, at any time, and makes the worker's Flush be called soon.
func Start(config Config, newWorker func(wake func()) Worker) (*Server, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	s := &Server{config: config, force: make(chan struct{}), stop: make(chan struct{})}
	s.beats.Store(1)
	s.idleBeats = uint32((config.IdleTimeout + beat - 1) / beat)
	err := s.listen()
	if err == nil {
		err = s.house(newWorker)
	}
	if err != nil {
		for _, p := range s.ports {
			p.close()
		}
		return nil, err
	}
	for _, h := range s.homes {
		s.working.Go(h.run)
	}
	for _, p := range s.ports {
		s.accepting.Go(p.accept)
	}
	s.accepting.Go(s.tick)
	return s, nil
}

// house makes the loops and groups that the ports need.
func (s *Server) house(newWorker func(wake func()) Worker) error {
	for _, fast := range []bool{true, false} {
		var homes []home
		for _, p := range s.ports {
			if p.fast != fast {
				continue
			}
			if homes == nil {
				var err error
				if homes, err = s.makeHomes(fast, newWorker); err != nil {
					return err
				}
				s.homes = append(s.homes, homes...)
			}
			p.homes = homes
			p.load = make([]atomic.Int64, len(homes))
		}
	}
	return nil
}

func (s *Server) makeHomes(fast bool, newWorker func(wake func()) Worker) (homes []home, err error) {
	if !fast {
		for range s.config.Groups {
			homes = append(homes, newGroup(s, newWorker))
		}
		return homes, nil
	}
	// A loop keeps Go's right to a processor (its P) while it works and for a while after it blocks. With no more Ps than loops, a goroutine
	// that a loop has woken waits for the system monitor to take one away: measured, a hand-off then took milliseconds.
	if spare := s.config.Loops + processors; runtime.GOMAXPROCS(0) < spare {
		runtime.GOMAXPROCS(spare)
	}
	for range s.config.Loops {
		l, err := newLoop(s, newWorker)
		if err != nil {
			return nil, err
		}
		homes = append(homes, l)
	}
	return homes, nil
}

// tick is the server's sense of time.
func (s *Server) tick() {
	t := time.NewTicker(beat)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
			s.pulse()
		}
	}
}

// pulse lets one beat pass.
func (s *Server) pulse() {
	s.beats.Add(1)
	s.pokeAll()
}

func (s *Server) pokeAll() {
	for _, h := range s.homes {
		h.poke()
	}
}

// expired tells whether a connection that waits for its client (to take replies, or to ask) since a beat is to be dropped now.
func (s *Server) expired(of Session, now, since uint32, replies bool) bool {
	waited := now - since
	if replies && waited > stallBeats {
		return true
	}
	if s.idleBeats == 0 || waited <= s.idleBeats {
		return false
	}
	p, ok := of.(Patient)
	return replies || !ok || !p.Patient()
}

const overInput = "its request is larger than the input limit"

func (s *Server) logDrop(c *Conn, reason string) {
	s.config.Logger.Info("client dropped", "listener", c.port.name, "client", c.remote, "id", c.id, "reason", reason)
}

// room tells whether all connections together may buffer n bytes more.
func (s *Server) room(n int) bool {
	return s.buffered()+int64(n) <= s.config.BufferLimit
}

func (s *Server) buffered() (n int64) {
	for _, h := range s.homes {
		n += h.count().buffered.Load()
	}
	return n
}

// Seconds is how long it has been running, cheap to ask: it moves once a second. Any goroutine may call it.
func (s *Server) Seconds() int64 { return int64(s.beats.Load()) * int64(beat/time.Second) }

// Addr is the address at which the listener with that name listens, nil if there is none.
func (s *Server) Addr(name string) net.Addr {
	for _, p := range s.ports {
		if p.name == name {
			return p.listener.Addr()
		}
	}
	return nil
}

// Stats is what the server counts, since Start where it does not say now.
type Stats struct {
	Connections int    // now
	Accepted    uint64 // connections, without the refused ones
	Refused     uint64 // connections beyond MaxClients
	Dropped     uint64 // connections ended by a limit or a timeout
	BytesIn     uint64
	BytesOut    uint64
	Buffered    int64 // bytes of unfinished requests and untaken replies, now
}

// Each calls visit for every open connection, in no order. Any goroutine may call it.
func (s *Server) Each(visit func(*Conn)) {
	s.conns.Range(func(_, c any) bool {
		visit(c.(*Conn))
		return true
	})
}

// Stats may be called from any goroutine. Its numbers are not of one instant.
func (s *Server) Stats() Stats {
	st := Stats{Connections: int(s.clients.Load()), Accepted: s.accepted.Load(), Refused: s.refused.Load(), Buffered: s.buffered()}
	for _, h := range s.homes {
		a := h.count()
		st.BytesIn += a.in.Load()
		st.BytesOut += a.out.Load()
		st.Dropped += a.dropped.Load()
	}
	return st
}

// Close stops accepting, lets every request that has arrived be answered (parked sessions too), closes the connections, and waits for
// all that. When ctx ends first, what is left is closed unanswered, and the error says so. It may be called more than once.
func (s *Server) Close(ctx context.Context) error {
	s.closing.Do(func() {
		close(s.stop)
		for _, p := range s.ports {
			p.close()
		}
		s.accepting.Wait()
		s.draining.Store(true)
		s.pokeAll()
	})
	done := make(chan struct{})
	go func() {
		s.working.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	left := s.clients.Load()
	if !s.forced.Swap(true) {
		close(s.force)
	}
	s.pokeAll()
	<-done
	return fmt.Errorf("%d connections were closed before they were answered: %w", left, context.Cause(ctx))
}
