package admin

import (
	"math"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"holdfast/engine"
	"holdfast/op"
	"holdfast/openstack"
)

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

// metric is one number of a Status under the name that Prometheus knows.
type metric struct {
	name, help string
	kind       prometheus.ValueType
	value      func(st *engine.Status) float64
}

var table = []metric{
	{"ready", "Whether the state is loaded and requests are answered.", gauge, func(st *engine.Status) float64 { return yes(st.Ready) }},
	{"quorum", "Whether writes can be carried out.", gauge, func(st *engine.Status) float64 { return yes(st.Quorum) }},
	{"leader", "Whether this controller leads.", gauge, func(st *engine.Status) float64 { return yes(st.Role == "leader") }},
	{"leader_known", "Whether a leader is known.", gauge, func(st *engine.Status) float64 { return yes(st.Leader != "") }},
	{"can_lose", "How many more controllers may be lost before writes stop.", gauge, func(st *engine.Status) float64 { return float64(st.CanLose) }},
	{"draining", "Whether this controller gives up what it holds, to be stopped.", gauge, func(st *engine.Status) float64 { return yes(st.Draining) }},
	{"lease_seconds", "How long reads may still be answered from memory alone.", gauge, func(st *engine.Status) float64 { return lease(st.Lease) }},
	{"roster_members", "Controllers that may answer reads from their own memory.", gauge, func(st *engine.Status) float64 { return float64(roster(st)) }},
	{"members", "Controllers of the group.", gauge, func(st *engine.Status) float64 { return float64(st.Members) }},
	{"members_missing", "Controllers that do not answer.", gauge, func(st *engine.Status) float64 { return float64(len(st.Missing)) }},
	{"term", "Raft term.", gauge, func(st *engine.Status) float64 { return float64(st.Term) }},
	{"commit_index", "Newest committed entry.", gauge, func(st *engine.Status) float64 { return float64(st.Commit) }},
	{"visible_index", "Newest entry that may be applied.", gauge, func(st *engine.Status) float64 { return float64(st.Visible) }},
	{"applied_index", "Newest applied entry.", gauge, func(st *engine.Status) float64 { return float64(st.Applied) }},
	{"ops_total", "Ops applied since the beginning of the state.", counter, func(st *engine.Status) float64 { return float64(st.Ops) }},
	{"start_time_seconds", "When this daemon started.", gauge, func(st *engine.Status) float64 { return float64(st.Started) / 1e9 }},
	{"group_time_seconds", "The group's present time.", gauge, func(st *engine.Status) float64 { return float64(st.Now) / 1e9 }},
	{"log_bytes", "Log on disk.", gauge, func(st *engine.Status) float64 { return float64(st.LogBytes) }},
	{"log_fsync_max_seconds", "Slowest fsync of the log in the last minute.", gauge, func(st *engine.Status) float64 { return float64(st.LogFsync) / 1e9 }},
	{"snapshot_index", "Entry up to which the newest snapshot reaches.", gauge, func(st *engine.Status) float64 { return float64(st.Snapshot) }},
	{"snapshot_time_seconds", "When it was taken, 0 for never.", gauge, func(st *engine.Status) float64 { return float64(st.SnapTime) / 1e9 }},
	{"memory_limit_bytes", "The setting memory-limit, 0 for none.", gauge, func(st *engine.Status) float64 { return float64(st.Limit) }},
	{"memory_resident_bytes", "Memory that the process has of the machine.", gauge, func(st *engine.Status) float64 { return float64(st.Resident) }},
	{"keys_budget_bytes", "What keys and values may take by the formula, 0 for no limit.", gauge, func(st *engine.Status) float64 { return float64(st.Memory.Budget) }},
	{"keys_used_bytes", "What keys and values take by the formula.", gauge, func(st *engine.Status) float64 { return float64(st.Memory.Used) }},
	{"expired_total", "Keys removed because their deadline came.", counter, func(st *engine.Status) float64 { return float64(st.Memory.Expired) }},
	{"evicted_total", "Keys removed to make room.", counter, func(st *engine.Status) float64 { return float64(st.Memory.Evicted) }},
	{"refused_total", "Writes refused for want of room.", counter, func(st *engine.Status) float64 { return float64(st.Memory.Refused) }},
}

var (
	classKeys   = desc("class_keys", "Keys of a class.", "class")
	classBytes  = desc("class_bytes", "What the keys of a class take by the formula.", "class")
	spaceKeys   = desc("keyspace_keys", "Keys of a keyspace: a Redis database or memcached's.", "keyspace")
	spaceMortal = desc("keyspace_mortal_keys", "Those of them with a deadline.", "keyspace")
	connections = desc("connections", "Open client connections.")
	accepted    = desc("connections_accepted_total", "Client connections accepted.")
	refused     = desc("connections_refused_total", "Client connections refused for max-clients.")
	dropped     = desc("connections_dropped_total", "Client connections ended by a limit or a timeout.")
	buffered    = desc("buffered_bytes", "Unfinished requests and replies that clients have not taken.")
	inputBytes  = desc("input_bytes_total", "Bytes read from clients.")
	outputBytes = desc("output_bytes_total", "Bytes written to clients.")
	buildInfo   = desc("build_info", "Always 1; says which version runs.", "version")
)

// peerMetric is one number of a member, under its name as a label.
type peerMetric struct {
	desc  *prometheus.Desc
	value func(p *engine.Peer) float64
}

var peerTable = []peerMetric{
	{desc("member_up", "Whether a member answers.", "member"), func(p *engine.Peer) float64 { return yes(p.Up || p.Self) }},
	{desc("member_voter", "Whether it has a vote.", "member"), func(p *engine.Peer) float64 { return yes(p.Role != "learner") }},
	{desc("member_in_roster", "Whether it may answer reads from its own memory.", "member"), func(p *engine.Peer) float64 { return yes(p.InRoster) }},
	{desc("member_lag_entries", "Entries that it is behind the leader.", "member"), func(p *engine.Peer) float64 { return float64(p.Lag) }},
	{desc("member_round_trip_seconds", "Round trip to it.", "member"), func(p *engine.Peer) float64 { return float64(p.RoundTrip) / 1e9 }},
	{desc("member_clock_offset_seconds", "How far its wall clock is ahead.", "member"), func(p *engine.Peer) float64 { return float64(p.ClockOffset) / 1e9 }},
	{desc("member_differs", "Whether its state was found to be another one than here, which must not be.", "member"), func(p *engine.Peer) float64 { return yes(p.Differs != 0) }},
	{desc("member_fsync_max_seconds", "Slowest fsync of its last minute.", "member"), func(p *engine.Peer) float64 { return float64(p.Fsync) / 1e9 }},
}

var elections = desc("elections_total", "Changes of leadership seen since the start.", "cause")

// lease is the rest of a lease in seconds; that of a group of one has no end.
func lease(ns int64) float64 {
	if ns == math.MaxInt64 {
		return math.Inf(1)
	}
	return float64(ns) / 1e9
}

func roster(st *engine.Status) (n int) {
	for i := range st.Peers {
		if st.Peers[i].InRoster {
			n++
		}
	}
	return n
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("holdfast_"+name, help, labels, nil)
}

// metrics returns the handler of /metrics with a registry of its own.
func metrics(o Options) http.Handler {
	c := collector{o: o}
	for _, m := range table {
		c.descs = append(c.descs, desc(m.name, m.help))
	}
	r := prometheus.NewRegistry()
	r.MustRegister(c, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// collector asks for the status once a scrape, so that the numbers of a scrape belong together.
type collector struct {
	o     Options
	descs []*prometheus.Desc // of table, in its order
}

// Describe names all metrics that Collect yields.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		to <- d
	}
	for i := range peerTable {
		to <- peerTable[i].desc
	}
	for _, d := range []*prometheus.Desc{elections, classKeys, classBytes, spaceKeys, spaceMortal, connections, accepted, refused, dropped, buffered, inputBytes, outputBytes, buildInfo} {
		to <- d
	}
}

// Collect yields the numbers of this moment.
func (c collector) Collect(to chan<- prometheus.Metric) {
	st, traffic := c.o.Status(), c.o.Traffic()
	put := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	for i, m := range table {
		put(c.descs[i], m.kind, m.value(&st))
	}
	named := map[string]bool{}
	for i := range st.Peers {
		p := &st.Peers[i]
		if named[p.Name] {
			continue // one that came back under a new id, while the old one is being removed
		}
		named[p.Name] = true
		for _, m := range peerTable {
			put(m.desc, gauge, m.value(p), p.Name)
		}
	}
	for cause, n := range st.Causes {
		put(elections, counter, float64(n), or(cause, "unknown"))
	}
	for i, h := range st.Memory.Class {
		put(classKeys, gauge, float64(h.Keys), op.Class(i).String())
		put(classBytes, gauge, float64(h.Bytes), op.Class(i).String())
	}
	for i, s := range st.Memory.Space {
		put(spaceKeys, gauge, float64(s.Keys), openstack.SpaceName(op.Space(i)))
		put(spaceMortal, gauge, float64(s.Mortal), openstack.SpaceName(op.Space(i)))
	}
	put(connections, gauge, float64(traffic.Connections))
	put(accepted, counter, float64(traffic.Accepted))
	put(refused, counter, float64(traffic.Refused))
	put(dropped, counter, float64(traffic.Dropped))
	put(buffered, gauge, float64(traffic.Buffered))
	put(inputBytes, counter, float64(traffic.Input))
	put(outputBytes, counter, float64(traffic.Output))
	put(buildInfo, gauge, 1, c.o.Version)
}

// spaceName is "db0" to "db15" or "memcached".
func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
