// Package memcache is the memcached dialect: it turns what memcached clients say into ops, and results
// into the bytes that memcached 1.6.18 would answer. What that program answers is the reference (oracle_test.go asks it).
//
// Read commands.go first: every command is a row of its table. session.go is one connection; parse.go has the rules for lines and numbers.
// meta.go begins the meta commands, binary.go the binary protocol, which a connection speaks whose first byte says so.
//
// The package decides nothing about keys, and may not touch a clock, the system, goroutines or the network.
package memcache

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/engine"
	"holdfast/op"
	"holdfast/users"
)

// Compatible is the memcached whose behaviour is spoken; VERSION names it, since clients read three integers out of it.
const Compatible = "1.6.18"

// Refusal is what a client reads that finds too many others connected.
const Refusal = "ERROR Too many open connections\r\n"

// TooLarge is what a client reads before it is closed for a request beyond the server's limit.
const TooLarge = objectTooLarge + "\r\n"

// Config is what a Dialect has to be told. The zero Config serves everybody, with memcached's default limits.
type Config struct {
	// MaxItem is the largest item in bytes, counted as memcached counts it: key, value and about 60 bytes more. 0 is 1 MiB.
	MaxItem int
	// FlushAll is what flush_all removes: "cache" (keys of that class, also when empty), "all" memcached keys, or "none" (it is answered OK).
	FlushAll string
	// Users may come in. Nil: everybody, and may do everything.
	Users *users.Set
	// Anonymous names the user that a client is before it logs in, if that one is on and needs no password. Empty: "default".
	Anonymous string
	// Product is what stats say beside the version, such as "holdfast 1.0.0".
	Product string
	// Host may be nil; then stats have zeros for what it would tell.
	Host Host
}

// Host tells stats what a dialect cannot know. Any goroutine may call it.
type Host interface {
	Facts() Facts
}

// Facts are what stats say of the process and its listeners.
type Facts struct {
	PID                     int
	UserTime, SystemTime    time.Duration // CPU used
	Threads                 int
	MaxConnections          int
	Connections             int    // open now, on this protocol
	TotalConnections        uint64 // since the start
	RejectedConnections     uint64
	BytesRead, BytesWritten uint64
	ListenDisabled          uint64 // how many times no connection could be accepted
	Accepting               bool
	Port                    int    // of the first listener
	Interface               string // its address
}

// Conn is what a session needs of its connection. Wake may be called on any goroutine, the others on the session's worker.
type Conn interface {
	Wake()
	ID() uint64
	RemoteAddr() string
	LocalAddr() string
}

// A Dialect makes sessions and counts what they do. Any goroutine may use it.
type Dialect struct {
	conf   Config
	users  atomic.Pointer[users.Set]
	rights atomic.Pointer[rights]

	accesses atomic.Pointer[accesses]

	mu      sync.Mutex // guards all below
	workers map[engine.Engine]*worker
	base    tally // what was counted before the last "stats reset"
}

// New makes a Dialect. It panics on a FlushAll that is none of those that Config names: settings are validated before.
func New(c Config) *Dialect {
	if c.MaxItem == 0 {
		c.MaxItem = 1 << 20
	}
	switch c.FlushAll {
	case "":
		c.FlushAll = "cache"
	case "cache", "all", "none":
	default:
		panic(fmt.Sprintf("memcache: FlushAll is %q: it must be cache, all or none", c.FlushAll))
	}
	if c.Anonymous == "" {
		c.Anonymous = users.Default
	}
	d := &Dialect{conf: c, workers: make(map[engine.Engine]*worker)}
	d.SetUsers(c.Users)
	return d
}

// SetUsers gives the dialect other users; nil is what it is in Config. Connections keep theirs if they are there still, with their new rights; the others
// are closed at their next request. Any goroutine may call it.
func (d *Dialect) SetUsers(set *users.Set) {
	if set != nil {
		d.rights.Store(rightsOf(set))
	}
	d.users.Store(set)
}

// Session makes the dialect of one connection. e belongs to the worker that will run it.
func (d *Dialect) Session(e engine.Engine, c Conn) *Session {
	s := &Session{w: d.worker(e), conn: c, users: d.users.Load()}
	s.user = s.anonymous()
	return s
}

func (d *Dialect) worker(e engine.Engine) *worker {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.workers[e]
	if w == nil {
		w = &worker{d: d, e: e}
		d.workers[e] = w
	}
	return w
}

// A worker holds what the sessions of one Engine share. They run one after another, so ops and arguments in the making are kept here
// once, not in each of thousands of sessions. Nothing but the counters outlives a call of Process.
type worker struct {
	d *Dialect
	e engine.Engine

	count counters

	args   [maxArgs][]byte
	head   header
	row    *command // of the read that is being shown,
	view   viewFunc // how one of its keys is,
	keys   []op.Key // its keys,
	shown  int      // and how many of them have been
	each   bool     // each is a command of its own, with an END of its own
	room   []op.Key // for the keys of a line; see batch
	packet packet   // of the binary protocol

	meta     meta         // of the meta command that is being carried out,
	metaLine metaLine     // and what else its answer needs
	found    []op.Key     // by the scan of cachedump
	wanted   bool         // whether what mg found is to be claimed
	keyRoom  [maxKey]byte // for a key that came encoded
	claim    op.Claim
	outdate  op.Outdate
	tx       op.Tx

	answering owed // the write whose outcome is being told
	get       op.Get
	many      op.GetMany
	set       op.Set
	splice    op.Splice
	del       op.Delete
	delKey    [1]op.Key
	incr      op.Count
	touch     op.Expire
	flush     op.Flush
}

// counter numbers what stats count.
type counter int

const (
	getHits counter = iota
	getMisses
	setCmds
	flushCmds
	touchHits
	touchMisses
	deleteHits
	deleteMisses
	incrHits
	incrMisses
	decrHits
	decrMisses
	casHits
	casMisses
	casBadval
	tooLarge
	noMemory
	authCmds
	authErrors
	metaCmds
	numCounters
)

// counters are written by one worker only, so adding is never contended, and read by whoever asks for stats.
type counters [numCounters]atomic.Uint64

func (c *counters) add(n counter) { c[n].Add(1) }

// tally is a sum of counters.
type tally [numCounters]uint64

// totals sums the counters of all workers. d.mu is held.
func (d *Dialect) totals() (t tally) {
	for _, w := range d.workers {
		for i := range t {
			t[i] += w.count[i].Load()
		}
	}
	return t
}

// counted says what happened since the last reset.
func (d *Dialect) counted() tally {
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.totals()
	for i := range t {
		t[i] -= d.base[i]
	}
	return t
}

func (d *Dialect) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.base = d.totals()
}
