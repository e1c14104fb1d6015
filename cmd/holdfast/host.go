package main

import (
	"crypto/rand"
	"encoding/hex"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"holdfast/admin"
	"holdfast/config"
	"holdfast/memcache"
	"holdfast/redis"
	"holdfast/server"
)

// host is what dialects and the admin port tell of the process and its listeners.
type host struct {
	runID      string // new at every start
	executable string
	config     *config.Config
	loops      int
	started    time.Time
	listeners  []open
	server     atomic.Pointer[server.Server] // nil until it serves
}

func newHost(listeners []open, c *config.Config) *host {
	var id [20]byte
	rand.Read(id[:])
	executable, _ := os.Executable()
	loops := c.Loops
	if loops == 0 {
		loops = runtime.GOMAXPROCS(0)
	}
	return &host{runID: hex.EncodeToString(id[:]), executable: executable, config: c, loops: loops, started: time.Now(), listeners: listeners}
}

func (h *host) stats() server.Stats {
	if s := h.server.Load(); s != nil {
		return s.Stats()
	}
	return server.Stats{}
}

// Now and Second are redis.Clock's.
func (h *host) Now() int64 { return int64(time.Since(h.started)) }

// Second is as coarse as the server's beat, and as cheap.
func (h *host) Second() int64 {
	if s := h.server.Load(); s != nil {
		return h.started.Unix() + s.Seconds()
	}
	return h.started.Unix()
}

// first is the address and port of a protocol's first listener.
func (h *host) first(protocol string) (where string, port int) {
	for _, o := range only(h.listeners, protocol) {
		return o.where(), o.port()
	}
	return "", 0
}

// cpu is the processor time that the process has used.
func cpu() (user, system time.Duration) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0, 0
	}
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())
}

// traffic is for the admin port.
func (h *host) traffic() admin.Traffic {
	st := h.stats()
	t := admin.Traffic{
		Connections: st.Connections, Accepted: st.Accepted, Refused: st.Refused, Dropped: st.Dropped,
		Input: st.BytesIn, Output: st.BytesOut, Buffered: st.Buffered,
	}
	for _, o := range h.listeners {
		t.Ports = append(t.Ports, admin.Port{Protocol: o.protocol, Address: o.where(), TLS: o.asked.TLS})
	}
	return t
}

// redisHost and memcacheHost tell each dialect what its clients ask for.
type redisHost struct{ *host }

// Facts is for INFO.
func (h redisHost) Facts() redis.Facts {
	st := h.stats()
	user, system := cpu()
	_, port := h.first(redisPort)
	return redis.Facts{
		Port: port, PID: os.Getpid(), RunID: h.runID, OS: runtime.GOOS + " " + runtime.GOARCH, Executable: h.executable,
		Clients: st.Connections, MaxClients: h.config.MaxClients, Accepted: st.Accepted, Rejected: st.Refused,
		IdleTimeout: int64(h.config.IdleTimeout.Seconds()), KeepAlive: int64(h.config.TCPKeepalive.Seconds()),
		RequestLimit: int64(h.config.RequestLimit()), OutputLimit: int64(h.config.OutputLimit), Dropped: st.Dropped, Buffered: st.Buffered,
		Input: st.BytesIn, Output: st.BytesOut, UserCPU: user.Seconds(), SystemCPU: system.Seconds(),
	}
}

type memcacheHost struct{ *host }

// Facts is for stats.
func (h memcacheHost) Facts() memcache.Facts {
	st := h.stats()
	user, system := cpu()
	where, port := h.first(memcachePort)
	return memcache.Facts{
		PID: os.Getpid(), UserTime: user, SystemTime: system, Threads: h.loops, MaxConnections: h.config.MaxClients,
		Connections: st.Connections, TotalConnections: st.Accepted, RejectedConnections: st.Refused,
		BytesRead: st.BytesIn, BytesWritten: st.BytesOut, Accepting: true, Port: port, Interface: where,
	}
}
