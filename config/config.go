// Package config is what an operator can set: one struct, its defaults, and how it is read from a file, the
// environment and flags. Read Config first; settings.go reads values into it, validate.go says what is wrong
// with them, group.go what they say of the group.
//
// The package opens nothing and may not touch the network: it gets the text of a file, not its name.
package config

import "time"

// Size is a number of bytes, written as 512MiB, 64KiB, 2GiB or plain bytes.
type Size uint64

// Config is every setting of the daemon. The tags of a field are all that is said of it anywhere: its key in the file (the
// flag is the same with -- in front, the variable HOLDFAST_ and the key in capitals), what it means, and what it may be.
// The help and docs/settings.md are made from them.
type Config struct {
	Name        string `group:"The daemon" key:"name" doc:"Name of this controller among the members. Empty is the host's name."`
	Data        string `key:"data" doc:"Directory of the log and the snapshots. It is made if it is missing and belongs to one running daemon alone."`
	Durability  string `key:"durability" one:"always second memory" doc:"When a write is on disk. 'always': before it is acknowledged. 'second': within a second; a crash of the process loses nothing, one of the machine at most that second. 'memory': never, a restart begins empty."`
	MemoryLimit Size   `key:"memory-limit" min:"64MiB" zero:"no limit" doc:"Memory that the daemon may take in all: keys, values, log, buffers and snapshots in progress. An eighth of it bounds the requests and replies in flight."`
	Loops       int    `key:"loops" max:"64" zero:"one for each processor" doc:"Event loops that serve connections."`

	RedisListen        []string `group:"Where it serves" key:"redis-listen" doc:"Addresses of the Redis protocol: host:port, [v6]:port or unix:/path. Port 0 picks a free one. An empty list switches it off."`
	RedisTLSListen     []string `key:"redis-tls-listen" doc:"Addresses of the Redis protocol inside TLS."`
	SentinelListen     []string `key:"sentinel-listen" doc:"Addresses at which it answers as a Sentinel, for clients configured with Sentinel: without a password, and nothing but the way to itself. Port 26379 is where they look. SENTINEL is answered on the Redis ports too."`
	MemcachedListen    []string `key:"memcached-listen" doc:"Addresses of the memcached protocol."`
	MemcachedTLSListen []string `key:"memcached-tls-listen" doc:"Addresses of the memcached protocol inside TLS."`
	AdminListen        []string `key:"admin-listen" doc:"Addresses of health, metrics and status, by HTTP."`

	PeerListen  string   `group:"The group" key:"peer-listen" doc:"Address at which this controller serves the other members: host:port, or a host alone for port 7420. Empty: it is alone, a group of one."`
	PeerAddress string   `key:"peer-address" doc:"Address by which the other members reach it, where that is not the one in members or peer-listen."`
	Members     []string `key:"members" doc:"The controllers that found a group together, as name=host:port or name=host; the same list on each. This one may be left out. Once the group is there its log says who is a member, and the list is only where to look for them."`
	Join        []string `key:"join" doc:"Addresses of members of a running group that this controller enters, in place of members."`
	PeerCA      string   `key:"peer-ca" doc:"File with the authority, PEM, that must have signed the certificate of every member. 'holdfast cert' makes this file and the next two. Read again when they change."`
	PeerCert    string   `key:"peer-cert" doc:"File with this member's certificate, PEM."`
	PeerKey     string   `key:"peer-key" doc:"File with its private key, PEM."`
	Reads       string   `key:"reads" one:"lease readindex" doc:"How a read is known to be the newest. 'lease': from this controller's own memory while it holds a lease, which trusts that clocks run at nearly the same rate. 'readindex': by a round to a majority, which trusts no clock; the setting for virtual machines that are moved while they run."`

	Promise    time.Duration `group:"Timing of the group, the same on all members" key:"promise" min:"50ms" max:"1m" doc:"How long a member that has heard its leader lets nobody else lead: after a crash of the leader, writes wait for this long and up to as much again."`
	Lease      time.Duration `key:"lease" min:"20ms" max:"1m" doc:"How long a member may answer reads from its own memory after it asked for it: after a crash of a member that does not lead, writes wait for at most this. Below promise less drift."`
	Heartbeat  time.Duration `key:"heartbeat" min:"10ms" max:"10s" doc:"How often a leader is heard and leases are renewed. At most a third of promise."`
	Drift      int           `key:"drift" min:"1" max:"50" doc:"Hundredths by which the clocks of two members may differ in rate. 20 where the kernel has no CLOCK_MONOTONIC_RAW."`
	ClockBound time.Duration `key:"clock-bound" min:"10ms" max:"1h" zero:"any" doc:"How far the leader's wall clock may be from that of the majority before it is reported and brought back slowly: keys end by it."`

	RedisPassword     string   `group:"Who may come in" key:"redis-password" secret:"yes" doc:"Password of Redis clients, for the user 'default' or without a user. Prefer redis-password-file: flags and variables can be seen by others."`
	RedisPasswordFile string   `key:"redis-password-file" doc:"File whose first line is the password."`
	RedisUsers        []string `key:"redis-users" doc:"Further names of users that may come in with the same password, beside 'default'. kolla-ansible's older URLs name 'admin'."`
	MemcachedAuthFile string   `key:"memcached-auth-file" doc:"File with a line name:password for each user of the memcached ports, as memcached's option -Y has it. Its clients must then log in; few can."`
	UsersFile         string   `key:"users-file" doc:"File of users for both protocols, in place of the four settings before: a line 'user name rules...' for each, with the rules of Redis's access lists, as its aclfile has it. See docs/security.md. Read again on SIGHUP."`
	MemcachedUser     string   `key:"memcached-user" doc:"User of users-file whose rights a memcached client has before it logs in; it must be 'nopass'. Empty is 'default'."`
	TLSCert           string   `key:"tls-cert" doc:"File with the certificate chain of the TLS listeners, PEM."`
	TLSKey            string   `key:"tls-key" doc:"File with its private key, PEM."`
	TLSClientCA       string   `key:"tls-client-ca" doc:"File with the authorities, PEM, one of which must have signed the certificate that every TLS client then has to show."`
	SocketMode        string   `key:"socket-mode" doc:"Permissions of Unix sockets, octal. They, and those of the directory, say who may connect."`
	Insecure          bool     `key:"insecure" doc:"Allow listeners beyond loopback that are not encrypted or that anybody may use. Right only on a network that is closed by other means."`

	MaxClients    int           `group:"Limits" key:"max-clients" min:"1" max:"1000000" doc:"Client connections at a time. Those beyond are refused with a sentence."`
	IdleTimeout   time.Duration `key:"idle-timeout" min:"1s" max:"8760h" zero:"never" doc:"Close a client connection that has been silent for this long."`
	TCPKeepalive  time.Duration `key:"tcp-keepalive" min:"1s" max:"8760h" zero:"never" doc:"After how long without a word the system begins to ask whether a client is there still. One that does not answer four times, 15 s apart, is closed."`
	MaxRequest    Size          `key:"max-request" min:"64KiB" max:"1GiB" doc:"Bytes of one request, its values included; never more than a sixteenth of memory-limit. A client that sends a larger one reads an error and is closed. Redis's own bound for a value, 512 MiB, takes a memory-limit of 9 GiB."`
	OutputLimit   Size          `key:"output-limit" min:"64KiB" max:"4GiB" doc:"Bytes of replies that may wait for one client to take them, within the eighth of memory-limit that all share. A client that lets more gather is dropped."`
	SlowerThan    time.Duration `key:"slowlog-log-slower-than" max:"1h" zero:"none" doc:"From how long on a Redis command stands in SLOWLOG, what it waits for the group included."`
	SlowLog       int           `key:"slowlog-max-len" max:"100000" zero:"no SLOWLOG" doc:"How many commands SLOWLOG keeps."`
	HoldRedis     time.Duration `key:"hold-redis" min:"10ms" max:"10m" doc:"How long a request on a Redis port is held while it cannot be carried out (no quorum, disk full), before it is refused."`
	HoldMemcached time.Duration `key:"hold-memcached" min:"10ms" max:"10m" doc:"The same on a memcached port. oslo.cache gives up after 1 s and then shuns the server for 300 s: stay below."`

	RedisClasses      []string `group:"What keys are worth" key:"redis-classes" doc:"Class of the keys of each Redis database, as number=class. Databases that are not named are 'cache'. The classes are 'coordination' and 'session' (never evicted), 'token' (only those without a deadline) and 'cache' (evicted first, by use)."`
	MemcachedClasses  []string `key:"memcached-classes" doc:"Class of memcached keys by their name, as pattern=class: a * stands for anything, ? for one byte, [ab] for one of these; the first that fits counts. Keys that fit none are 'cache'."`
	MemcachedItemMax  Size     `key:"memcached-item-max" min:"1KiB" max:"512MiB" doc:"Bytes of the largest value on the memcached port."`
	MemcachedFlushAll string   `key:"memcached-flush-all" one:"cache all none" doc:"What flush_all removes: keys of class 'cache', all memcached keys, or 'none' (it is answered OK). Clients send it after a reconnect (memcache_pool_flush_on_reconnect)."`
	SentinelMasters   []string `key:"sentinel-masters" doc:"Names that SENTINEL knows as masters, for clients configured with Sentinel. This daemon answers with itself."`

	SnapshotLog Size   `group:"Snapshots and messages" key:"snapshot-log" min:"1MiB" max:"64GiB" zero:"a quarter of memory-limit, from 16MiB to 64MiB" doc:"Bytes of log after which a snapshot is taken, so that the log before it can go. A larger state waits for as much log as half of itself."`
	LogLevel    string `key:"log-level" one:"debug info warn error" doc:"The least important messages that are written to standard error."`
	LogFormat   string `key:"log-format" one:"text json" doc:"Their form."`
}

// Default returns the settings of a daemon that was told nothing: everything on loopback.
func Default() Config {
	return Config{
		Data:        "holdfast-data",
		Durability:  "second",
		MemoryLimit: 1 << 30,

		RedisListen:     []string{"127.0.0.1:6379"},
		MemcachedListen: []string{"127.0.0.1:11211"},
		AdminListen:     []string{"127.0.0.1:8630"},

		Reads:      "lease",
		Promise:    300 * time.Millisecond,
		Lease:      250 * time.Millisecond,
		Heartbeat:  40 * time.Millisecond,
		Drift:      5,
		ClockBound: time.Second,

		SocketMode: "0660",

		MaxClients:    10000,
		TCPKeepalive:  60 * time.Second,
		SlowerThan:    10 * time.Millisecond,
		SlowLog:       128,
		MaxRequest:    64 << 20,
		OutputLimit:   256 << 20,
		HoldRedis:     3 * time.Second,
		HoldMemcached: 900 * time.Millisecond,

		RedisClasses: []string{"0=coordination", "1=session", "2=token"},
		MemcachedClasses: []string{
			"*django.contrib.sessions.*=session",
			"_TOOZ_*=coordination", "__TOOZ_*=coordination", "_lock*=coordination",
		},
		MemcachedItemMax:  1 << 20,
		MemcachedFlushAll: "cache",
		SentinelMasters:   []string{"mymaster", "kolla", "pifpaf"},

		LogLevel:  "info",
		LogFormat: "text",
	}
}

// Buffers is how many bytes the requests and replies in flight may take together, 0 for no limit.
func (c *Config) Buffers() Size { return c.MemoryLimit / 8 }

// RequestLimit is how many bytes one request may have: while it arrives, its buffer and the smaller one before it must fit into Buffers.
func (c *Config) RequestLimit() Size {
	if c.MemoryLimit == 0 {
		return c.MaxRequest
	}
	return min(c.MaxRequest, c.Buffers()/2)
}
