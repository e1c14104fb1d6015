package redis

import (
	"sync"
	"sync/atomic"
	"time"

	"holdfast/engine"
	"holdfast/users"
)

// Config is what the dialect is told by the wiring.
type Config struct {
	// Users may come in. Nil: everybody, and may do everything.
	Users *users.Set
	// Masters are the names that the Sentinel facade answers for. Nil: mymaster, kolla and pifpaf.
	Masters []string
	// Version of the product, for INFO.
	Version string
	// ReplyLimit is how many bytes the reply to one request may have, or what one script reads by one call: beyond it the client reads
	// an error. A reply of a single value is never too large. 0: no limit.
	ReplyLimit int
	// Clock tells how long commands take. Nil: nobody knows.
	Clock Clock
	// SlowerThan is from how many µs on a command stands in the slow log, -1 for none, and SlowLog how many stand there.
	SlowerThan, SlowLog int64
	// Host tells about the server around the dialect. Nil: nothing is known.
	Host Host
}

// Refusal is what a client reads that finds too many others connected.
const Refusal = "-ERR max number of clients reached\r\n"

// TooLarge is what a client reads before it is closed for a request beyond the server's limit.
const TooLarge = "-ERR Protocol error: invalid bulk length\r\n"

// Host tells about the server around the dialect. Any goroutine calls it.
type Host interface{ Facts() Facts }

// Facts is what INFO, CONFIG and the Sentinel facade say of the server.
type Facts struct {
	Port                int
	PID                 int
	RunID               string // 40 hex digits, new at every start
	OS                  string
	Executable          string
	ConfigFile          string
	Clients, MaxClients int
	Accepted, Rejected  uint64 // connections since the start
	Input, Output       uint64 // bytes since the start
	IdleTimeout         int64  // seconds, 0 for never
	KeepAlive           int64  // the same
	RequestLimit        int64  // bytes
	OutputLimit         int64  // bytes
	Dropped             uint64 // connections ended by a limit or a timeout, since the start
	Buffered            int64  // bytes of unfinished requests and untaken replies
	UserCPU, SystemCPU  float64
}

// Conn is what a session needs of its connection.
type Conn interface {
	Wake()                                         // makes the server call Process; from any goroutine
	After(d time.Duration, f func()) (stop func()) // calls f when d is over, on any goroutine
	ID() uint64
	RemoteAddr() string
	LocalAddr() string
}

// Dialect makes the sessions of a server. Safe for concurrent use.
type Dialect struct {
	conf     Config
	scripts  *scripts
	hub      hub
	bounds   bounds
	users    atomic.Pointer[users.Set]
	stranger *users.User // who asks a Sentinel
	refusals refusalLog
	alert    alert
	clock    Clock
	slow     slowLog
	events   latencyEvents
	shares   shares
	rate     rate
	knobs    sync.Map // by name, of what CONFIG SET takes and nothing heeds

	mu       sync.Mutex              // guards the two below
	desks    map[engine.Engine]*desk // one for each worker
	sessions map[uint64]*Session     // by connection id
}

// desk is what the sessions of one worker share: only that worker touches it, but for the counters.
type desk struct {
	ops     ops
	gets    gets
	bench   bench
	tallies []tally // of the commands, by number
	turn    uint    // counts commands, for the choice of those that are timed
	pass    uint    // counts calls of Process,
	doneIn  uint    // that one after which writes were done
	doneAt  int64   // when they were
	faults  faults
	stats
}

// stats counts what a worker did. The worker adds; anybody reads.
type stats struct{ commands, hits, misses atomic.Uint64 }

// New makes a dialect.
func New(c Config) *Dialect {
	if c.Masters == nil {
		c.Masters = []string{"mymaster", "kolla", "pifpaf"}
	}
	if c.Users == nil {
		c.Users = users.New(Catalogue())
	}
	d := &Dialect{
		conf: c, scripts: newScripts(),
		desks: map[engine.Engine]*desk{}, sessions: map[uint64]*Session{},
	}
	d.hub.d = d
	d.hub.most.Store(maxKept)
	d.users.Store(c.Users)
	d.stranger = stranger()
	d.bounds.init()
	if d.clock = c.Clock; d.clock == nil {
		d.clock = noClock{}
	}
	if c.SlowLog == 0 {
		c.SlowerThan = -1
	}
	d.slow.slower.Store(c.SlowerThan)
	d.slow.most.Store(c.SlowLog)
	return d
}

// Close ends the scripts that run and waits for them. The sessions must be closed already.
func (d *Dialect) Close() { d.scripts.close() }

// Session makes the session of a new connection. e is the engine of the connection's worker, on which all calls of the session must come.
func (d *Dialect) Session(e engine.Engine, c Conn) *Session { return d.session(e, c, false) }

// Sentinel is Session for a connection that is answered as by a Sentinel: without a password, and with nothing of the data.
func (d *Dialect) Sentinel(e engine.Engine, c Conn) *Session { return d.session(e, c, true) }

func (d *Dialect) session(e engine.Engine, c Conn, asked bool) *Session {
	d.mu.Lock()
	defer d.mu.Unlock()
	dk := d.desks[e]
	if dk == nil {
		dk = &desk{tallies: make([]tally, table.numbers)}
		d.desks[e] = dk
	}
	s := &Session{d: d, e: e, conn: c, desk: dk, asked: asked, born: d.clock.Second()}
	s.active.Store(s.born)
	s.reset()
	d.sessions[c.ID()] = s
	return s
}

func (d *Dialect) forget(s *Session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.sessions, s.conn.ID())
}

// each calls visit for every session, in no order.
func (d *Dialect) each(visit func(*Session)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.sessions {
		visit(s)
	}
}

// total sums up what the workers counted.
func (d *Dialect) total() (commands, hits, misses uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, dk := range d.desks {
		commands += dk.commands.Load()
		hits += dk.hits.Load()
		misses += dk.misses.Load()
	}
	return commands, hits, misses
}

func (d *Dialect) facts() Facts {
	if d.conf.Host == nil {
		return Facts{}
	}
	return d.conf.Host.Facts()
}

const (
	errWrongPass = failure("WRONGPASS invalid username-password pair or user is disabled.")
	errNoPass    = failure("ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?")
)

// SetUsers gives the dialect other users. Connections keep theirs if they are there still, with their new rights from the next request on;
// the others are closed then, as are those that listen to what they may not any more: of these nothing that comes later is heard. Any goroutine may
// call it.
func (d *Dialect) SetUsers(set *users.Set) { d.users.Store(set) }

// resetStats begins counting anew.
func (d *Dialect) resetStats() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, dk := range d.desks {
		dk.commands.Store(0)
		dk.hits.Store(0)
		dk.misses.Store(0)
		dk.faults.reset()
		for i := range dk.tallies {
			dk.tallies[i].reset()
		}
	}
}
