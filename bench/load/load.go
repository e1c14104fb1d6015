//go:build linux

// Package load is the benchmark's load generator: one call of Run drives one server over one protocol and says how fast it
// answered, how late, and what that cost the server in CPU time.
//
// It may not know who the server is, start anything, or judge a result. It must not be the bottleneck: requests are
// preformatted, replies are only split, and every thread is an epoll loop on raw system calls. Read load.go, then epoll.go.
package load

import (
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Config says what to send, where, and for how long.
type Config struct {
	Addr     string // host:port
	Protocol string // "redis", "memcache" or "etcd"
	CA       string // PEM file of the authority that signed the server's certificate; not empty: speak TLS
	PIDs     []int  // the server's processes, the one that is asked first, for their CPU time; none: not measured

	Conns   int
	Depth   int     // requests in flight per connection: a batch is sent when the one before is answered
	Threads int     // epoll loops; TLS has one goroutine per connection instead
	Rate    float64 // requests a second, all connections together, arriving at random (open loop); 0: closed loop

	Keys  int  // keys are chosen uniformly among this many; each has KeySize bytes
	Sets  int  // of 10 requests, how many are SETs (with a lifetime of one to two hours; etcd's without)
	Wait  int  // redis: a WAIT for so many replicas goes with each SET, which is answered when both are; all requests must be SETs
	Sweep bool // SET every key exactly once, in a random order, then end; Sets, Warm and Measure do not matter

	Value    int // bytes of a value
	ValueMax int // above Value: sizes are spread evenly from Value to ValueMax

	Seed    uint64
	Warm    time.Duration // before the measured window
	Measure time.Duration
}

// KeySize is the length of every key in bytes.
const KeySize = 40

// Result is what one run measured. Latencies are in microseconds, per batch, in the open loop from the intended instant.
type Result struct {
	RPS, P50, P99, P999, Max float64
	ReadP50, ReadP99         float64 // of GETs alone; 0 in batches
	Requests, Errors, Misses uint64
	FirstError               string
	ServerCPU                float64 // CPU seconds of the server per million requests
	AskedCPU                 float64 // the same of the first process alone
	ServerCores              float64 // CPU seconds of the server per second
	GeneratorCores           float64
	OtherCores               float64 // what all other processes of the machine used meanwhile
}

// patience is how long the generator waits for any answer; a server silent for longer fails the run.
const patience = 20 * time.Second

var errSilent = errors.New("server left requests unanswered for " + patience.String())

// window is the measured span, in nanoseconds since epoch. A request belongs to it by its (intended) start.
type window struct{ start, end int64 }

// run is what the threads of one Run share.
type run struct {
	cfg    *Config
	epoch  time.Time
	window atomic.Pointer[window] // nil while warming up
}

// now is monotonic nanoseconds since the run began.
func (r *run) now() int64 { return int64(time.Since(r.epoch)) }

// worker is one thread's (or TLS connection's) part: its requests and what it saw. Only ops is read by others meanwhile.
type worker struct {
	run  *run
	src  *source
	ops  atomic.Uint64
	hist Histogram
	gets Histogram // those batches that are one GET
	seen Tally
}

func (w *worker) record(t0, t1 int64, n int, get bool) {
	w.ops.Add(uint64(n))
	if win := w.run.window.Load(); win != nil && t0 >= win.start && t0 < win.end {
		w.hist.Record(uint64(t1 - t0))
		if get {
			w.gets.Record(uint64(t1 - t0))
		}
	}
}

// over says whether a request of that instant comes after the window and is not sent any more.
func (w *worker) over(t int64) bool {
	win := w.run.window.Load()
	return win != nil && t >= win.end
}

// Run sends the load and returns what it measured. It turns this process's collector off: call it in a process of its own.
func Run(cfg Config) (Result, error) {
	if err := cfg.validate(); err != nil {
		return Result{}, err
	}
	r := &run{cfg: &cfg, epoch: time.Now()}
	if cfg.Sweep {
		r.window.Store(&window{0, 1 << 62})
	}
	workers, serve, err := r.connect()
	if err != nil {
		return Result{}, err
	}
	before, err := observe(cfg.PIDs)
	if err != nil {
		return Result{}, err
	}
	errs := make(chan error, len(workers))
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			if err := serve[i](); err != nil {
				errs <- err
			}
		})
	}
	var after observation
	var ops uint64
	if cfg.Sweep {
		wg.Wait()
		after, err = observe(cfg.PIDs)
		ops = total(workers)
	} else {
		before, after, ops, err = r.measure(workers)
		wg.Wait()
	}
	select {
	case err := <-errs:
		return Result{}, err
	default:
	}
	if err != nil {
		return Result{}, err
	}
	return summary(workers, before, after, ops), nil
}

func (c *Config) validate() error {
	switch {
	case c.Protocol != "redis" && c.Protocol != "memcache" && c.Protocol != "etcd":
		return fmt.Errorf("protocol %q: want redis, memcache or etcd", c.Protocol)
	case c.Protocol == "etcd" && (c.Depth != 1 || c.CA != "" || c.Value > maxPut || c.ValueMax > maxPut):
		return fmt.Errorf("etcd: one request in flight on a connection, no TLS, and values of at most %d bytes", maxPut)
	case c.Wait < 0 || c.Wait > 9 || c.Wait > 0 && (c.Protocol != "redis" || c.Sets != 10 && !c.Sweep || c.CA != ""):
		return fmt.Errorf("waiting for %d replicas: want at most 9, SETs alone, the redis protocol and no TLS", c.Wait)
	case c.Conns < 1 || c.Depth < 1 || c.Threads < 1 || c.Keys < 1 || c.Value < 1:
		return fmt.Errorf("connections, depth, threads, keys and value size must be at least 1: %+v", *c)
	case c.Rate > 0 && c.Depth != 1:
		return fmt.Errorf("depth %d: the open loop sends one request at a time", c.Depth)
	case c.CA != "" && c.Rate > 0:
		return errors.New("the open loop does not speak TLS")
	}
	c.Threads = min(c.Threads, c.Conns)
	return nil
}

// connect opens all connections; serve[i] is the body of worker i.
func (r *run) connect() (workers []*worker, serve []func() error, err error) {
	if r.cfg.CA != "" {
		return r.connectTLS()
	}
	debug.SetGCPercent(-1) // nothing is allocated once the threads run
	runtime.GOMAXPROCS(r.cfg.Threads + 1)
	for i := range r.cfg.Threads {
		t, err := newThread(r, i)
		if err != nil {
			return nil, nil, err
		}
		workers, serve = append(workers, &t.worker), append(serve, t.loop)
	}
	return workers, serve, nil
}

// measure opens the window, waits for its end and returns what the machine did in it, and how many requests were answered.
func (r *run) measure(workers []*worker) (before, after observation, ops uint64, err error) {
	time.Sleep(r.cfg.Warm)
	if before, err = observe(r.cfg.PIDs); err == nil {
		ops = total(workers)
		start := r.now()
		r.window.Store(&window{start, start + int64(r.cfg.Measure)})
		time.Sleep(r.cfg.Measure)
		ops = total(workers) - ops
		after, err = observe(r.cfg.PIDs)
	}
	if err != nil {
		r.window.Store(&window{}) // ends the threads
	}
	return before, after, ops, err
}

func total(workers []*worker) (n uint64) {
	for _, w := range workers {
		n += w.ops.Load()
	}
	return n
}

func summary(workers []*worker, before, after observation, ops uint64) Result {
	var h, gets Histogram
	var seen Tally
	for _, w := range workers {
		h.Add(&w.hist)
		gets.Add(&w.gets)
		seen.add(&w.seen)
	}
	seconds := after.at.Sub(before.at).Seconds()
	server, self := after.server-before.server, after.self-before.self
	res := Result{
		RPS: float64(ops) / seconds, Requests: ops,
		P50: h.Quantile(0.5) / 1e3, P99: h.Quantile(0.99) / 1e3, P999: h.Quantile(0.999) / 1e3, Max: float64(h.Max()) / 1e3,
		ReadP50: gets.Quantile(0.5) / 1e3, ReadP99: gets.Quantile(0.99) / 1e3,
		Errors: seen.Errors, Misses: seen.Misses, FirstError: seen.FirstError,
		ServerCores: server / seconds, GeneratorCores: self / seconds,
		OtherCores: max(0, (after.machine-before.machine-server-self)/seconds),
	}
	if ops > 0 {
		res.ServerCPU = server / float64(ops) * 1e6
		res.AskedCPU = (after.asked - before.asked) / float64(ops) * 1e6
	}
	return res
}
