package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"holdfast/admin"
	"holdfast/cluster"
	"holdfast/config"
	"holdfast/engine"
	"holdfast/memcache"
	"holdfast/op"
	"holdfast/redis"
	"holdfast/server"
)

const (
	// handOver is how long giving leases and leadership away may take at the end; when it does not work, the others wait for them to run out.
	handOver = 2 * time.Second
	// loadEnds is how long a stop waits for the state that is being loaded.
	loadEnds = 200 * time.Millisecond
	// drain is how long clients may take to be answered after that.
	drain = 1500 * time.Millisecond
	// adminDrain is the same for the admin port, which goes last.
	adminDrain = 200 * time.Millisecond
	// readyWithin is how long systemd is kept waiting for a controller that has recovered and waits for others to form its group: its start is not
	// to fail because of them.
	readyWithin = 10 * time.Second
	// together is how far apart two signals may be that mean one: timeout(1), for example, sends two.
	together = 300 * time.Millisecond
)

// serve runs the daemon until a signal or a failure ends it.
func serve(c config.Config, out io.Writer) (err error) {
	log := logger(&c)
	slog.SetDefault(log)
	stop := stopSignal(log)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP) // one that comes while the state is being loaded waits
	defer signal.Stop(hup)

	d := &process{config: &c, log: log, started: time.Now(), stop: stop}
	defer func() {
		if err != nil { // the next start may fail too: clients had better be refused and turn to another controller
			release(d.listeners)
		}
		d.close()
	}()
	if err := d.begin(); err != nil {
		return err
	}
	loaded := make(chan error, 1)
	go func() { loaded <- d.load() }()
	select {
	case err := <-loaded:
		if err != nil {
			return err
		}
	case <-stop:
		select {
		case <-loaded:
		case <-time.After(loadEnds): // reading what is on disk changes nothing that must be finished
		}
		return nil
	}
	if err := d.open(); err != nil {
		return err
	}
	return d.wait(out, hup)
}

// process is the running daemon: what it has begun, close ends in reverse.
type process struct {
	config    *config.Config
	log       *slog.Logger
	started   time.Time
	name      string
	tls       *certificates // for clients; nil without a certificate
	group     config.Group
	peers     *certificates // nil without TLS between members
	listeners []open
	host      *host
	admin     *admin.Server
	desk      *desk // of the admin port
	dialects  dialects
	node      atomic.Pointer[cluster.Node] // nil until the state is loaded
	server    *server.Server
	workers   []*worker       // of the server, fixed once it is there
	stop      <-chan struct{} // closed by a signal
}

// begin reads secrets, binds all addresses and answers on the admin port.
func (d *process) begin() (err error) {
	c := d.config
	if d.name = c.Name; d.name == "" {
		if d.name, err = os.Hostname(); err != nil {
			return fmt.Errorf("the host has no name (%w): choose one with the setting name", err)
		}
	}
	c.Name = d.name
	if !c.Alone() && !config.IsName(c.Name) {
		return fmt.Errorf("the host's name %q is no name of a member: choose one with the setting name", c.Name)
	}
	if d.group, err = c.Group(); err != nil {
		return err
	}
	for _, w := range c.Warnings() {
		d.log.Warn(w)
	}
	if d.peers, err = peerTLS(c, d.name, d.log); err != nil {
		return err
	}
	if c.Data, err = filepath.Abs(c.Data); err != nil {
		return fmt.Errorf("setting data: %w", err)
	}
	who, err := readAccess(c)
	if err != nil {
		return err
	}
	if d.tls, err = clientTLS(c, d.log); err != nil {
		return err
	}
	var peers []config.Listener
	if !c.Alone() {
		peers = append(peers, d.group.Listen)
	}
	if d.listeners, err = listenAll(c, peers); err != nil {
		return err
	}
	keep(d.listeners)
	d.host = newHost(d.listeners, c)
	d.dialects = dialects{
		redis: redis.New(redis.Config{
			Users: who.redis, Masters: c.SentinelMasters, Version: versionName(), Host: redisHost{d.host},
			ReplyLimit: replyLimit(c), Clock: d.host, SlowerThan: slowerThan(c), SlowLog: int64(c.SlowLog),
		}),
		memcache: memcache.New(memcache.Config{
			MaxItem: int(c.MemcachedItemMax), FlushAll: c.MemcachedFlushAll, Users: who.memcached, Anonymous: c.MemcachedUser, Product: "holdfast " + versionName(), Host: memcacheHost{d.host},
		}),
	}
	d.desk = newDesk(c.HoldRedis)
	d.admin = admin.New(admin.Options{
		Name: d.name, Version: versionName(), Status: d.status, Traffic: d.host.traffic, Work: d.work, Settings: openSettings(c), Control: control{d}, State: d.desk, Log: d.log,
	})
	for _, o := range only(d.listeners, adminPort) {
		go func() {
			if err := d.admin.Serve(o.Listener); err != nil {
				d.log.Error("the admin port is gone", "error", err)
			}
		}()
	}
	return nil
}

// status is the node's, or says that the state is being loaded.
func (d *process) status() engine.Status {
	if n := d.node.Load(); n != nil {
		st := n.Status()
		st.Draining = st.Draining || d.isStopping()
		return st
	}
	return engine.Status{Members: max(1, len(d.group.Members)), Started: d.started.UnixNano(), Now: time.Now().UnixNano(), Data: d.config.Data, Durable: d.config.Durability}
}

func (d *process) isStopping() bool {
	select {
	case <-d.stop:
		return true
	default:
		return false
	}
}

// load recovers the state. Finding the group goes on behind it.
func (d *process) load() error {
	c := d.config
	cfg := cluster.Config{
		Name: d.name, Dir: c.Data, Durability: durability(c.Durability), Limit: uint64(c.MemoryLimit), ReplyLimit: replyLimit(c),
		SnapshotAfter: int64(c.SnapshotLog), Logger: d.log, Stopping: d.stop, Watcher: d.dialects.redis.Watcher(), Answer: d.admin.Answer,
		ReadIndex: c.Reads == "readindex", Promise: c.Promise, Lease: c.Lease, Heartbeat: c.Heartbeat, ClockBound: c.ClockBound, Drift: c.Drift,
	}
	for _, o := range only(d.listeners, peerPort) {
		cfg.Listener, cfg.Addr, cfg.Join = o.Listener, d.group.Address, d.group.Join
		for _, m := range d.group.Members {
			cfg.Members = append(cfg.Members, cluster.Peer{Name: m.Name, Addr: m.Address})
		}
		if d.peers != nil {
			cfg.TLS = d.peers.now
		}
	}
	databases, err := c.RedisClassOf()
	if err != nil {
		return err
	}
	for i, class := range databases {
		cfg.Classes[i] = classOf(class)
	}
	cfg.Classes[op.Memcache] = op.Cache
	rules, err := c.MemcachedRules()
	if err != nil {
		return err
	}
	for _, r := range rules {
		cfg.Rules = append(cfg.Rules, op.Rule{Space: op.Memcache, Pattern: []byte(r.Pattern), Class: classOf(r.Class)})
	}
	node, err := cluster.Open(cfg)
	if err != nil {
		return err
	}
	d.node.Store(node)
	d.desk.open(node)
	return nil
}

// openSettings are the settings in force, without those that are secret.
func openSettings(c *config.Config) map[string]string {
	all := map[string]string{}
	for _, s := range c.Settings() {
		if !s.Secret {
			all[s.Key] = s.String()
		}
	}
	return all
}

func durability(name string) cluster.Durability {
	for _, d := range []cluster.Durability{cluster.Always, cluster.Second, cluster.Memory} {
		if d.String() == name {
			return d
		}
	}
	panic("a durability that was validated is unknown: " + name)
}

func classOf(name string) op.Class {
	for c := range op.Class(op.Classes) {
		if c.String() == name {
			return c
		}
	}
	panic("a class that was validated is unknown: " + name)
}

// slowerThan is in µs, -1 for never.
func slowerThan(c *config.Config) int64 {
	if c.SlowerThan == 0 {
		return -1
	}
	return c.SlowerThan.Microseconds()
}

// replyLimit is how many bytes the reply to one request may have: while it waits to be taken it must fit into what all share, with room for another.
func replyLimit(c *config.Config) int {
	if c.MemoryLimit == 0 {
		return int(c.OutputLimit)
	}
	return int(min(c.OutputLimit, max(c.Buffers()/2, 1<<20)))
}

// open serves the clients.
func (d *process) open() error {
	c := d.config
	cfg := server.Config{
		Loops: c.Loops, MaxClients: c.MaxClients, InputLimit: int(c.RequestLimit()), OutputLimit: int(c.OutputLimit),
		BufferLimit: int64(c.Buffers()), IdleTimeout: c.IdleTimeout, KeepAlive: c.TCPKeepalive, Logger: d.log,
	}
	for _, o := range d.listeners {
		l := server.Listener{Name: o.name(), Listener: o.Listener}
		switch o.protocol {
		case adminPort, peerPort:
			continue
		case redisPort, sentinelPort:
			l.Refusal, l.TooLarge = []byte(redis.Refusal), []byte(redis.TooLarge)
		case memcachePort:
			l.Refusal, l.TooLarge = []byte(memcache.Refusal), []byte(memcache.TooLarge)
		}
		if o.asked.TLS {
			l.TLS = d.tls.server()
		}
		cfg.Listeners = append(cfg.Listeners, l)
	}
	node := d.node.Load()
	var err error
	d.server, err = server.Start(cfg, func(wake func()) server.Worker {
		w := &worker{dialects: d.dialects, redisDoor: node.Door(wake, c.HoldRedis), memcacheDoor: node.Door(wake, c.HoldMemcached), wake: wake}
		d.workers = append(d.workers, w)
		return w
	})
	if err == nil {
		d.host.server.Store(d.server)
	}
	return err
}

// reload reads the users and the certificates again; what is wrong with them is logged, and the old ones stay in use.
func (d *process) reload() {
	who, err := readAccess(d.config)
	if err != nil {
		d.log.Error("the users are not read again: the old ones stay in use", "error", err)
	} else {
		d.dialects.redis.SetUsers(who.redis)
		d.dialects.memcache.SetUsers(who.memcached)
		d.log.Info("the users were read again")
	}
	for _, k := range []*certificates{d.tls, d.peers} {
		if k != nil {
			k.now()
		}
	}
}

// wait says when this controller serves, and returns when a signal says so, or when the node cannot go on: then with its reason. hup is told to read
// again what can be.
func (d *process) wait(out io.Writer, hup <-chan os.Signal) error {
	d.watchdog()
	node := d.node.Load()
	serving, late := node.Serving(), time.After(readyWithin)
	ready := sync.OnceFunc(func() { notify(daemon.SdNotifyReady) })
	for {
		select {
		case <-hup:
			d.reload()
		case <-serving:
			serving = nil
			d.greet(out)
			ready()
			if !d.config.Alone() {
				go appointCoroner(d.config, d.log, node, d.stop)
			}
		case <-late: // requests are answered, if only with a refusal, and it is not this controller that is at fault
			ready()
		case <-d.stop:
			d.handOver()
			return nil
		case <-node.Failed():
			if serving != nil {
				return node.Err()
			}
			return fmt.Errorf("stopped, no write can be carried out any more: %w", node.Err())
		}
	}
}

// close stops what was begun, top-down, within a bound.
func (d *process) close() {
	notify(daemon.SdNotifyStopping)
	if d.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), drain)
		if err := d.server.Close(ctx); err != nil {
			d.log.Warn("not every client could be answered", "error", err)
		}
		cancel()
	}
	if d.dialects.redis != nil {
		d.dialects.redis.Close()
	}
	if node := d.node.Load(); node != nil {
		d.desk.close()
		if err := node.Close(); err != nil {
			d.log.Error("closing the log", "error", err)
		}
	}
	if d.admin != nil {
		ctx, cancel := context.WithTimeout(context.Background(), adminDrain)
		d.admin.Close(ctx)
		cancel()
	}
	closeAll(d.listeners)
}

// logger writes to standard error.
func logger(c *config.Config) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		panic("a log level that was validated is unknown: " + c.LogLevel)
	}
	o := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}

// stopSignal is closed by the first SIGTERM or SIGINT. A second one, later than together, ends the process at once, which loses nothing
// that was acknowledged.
func stopSignal(log *slog.Logger) <-chan struct{} {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	signal.Ignore(syscall.SIGPIPE) // whoever reads our output may go away
	stop := make(chan struct{})
	go func() {
		log.Info("stopping", "signal", <-signals)
		first := time.Now()
		close(stop)
		for s := range signals {
			if time.Since(first) > together {
				log.Warn("stopping at once", "signal", s)
				os.Exit(1)
			}
		}
	}()
	return stop
}

// notify tells systemd, if it started us.
func notify(state string) {
	_, _ = daemon.SdNotify(false, state) // without systemd there is nobody to tell
}
