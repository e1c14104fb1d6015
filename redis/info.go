package redis

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"

	"holdfast/engine"
	"holdfast/op"
)

// redisVersion is the version that clients compare with: exactly three integers, or redis-py and tooz stumble.
const redisVersion = "7.2.4"

// section is a part of INFO.
type section struct {
	name  string
	usual bool // also without being asked for by name
	write func(i *infoText)
}

var sections = []section{
	{"Server", true, infoServer},
	{"Clients", true, infoClients},
	{"Memory", true, infoMemory},
	{"Persistence", true, infoPersistence},
	{"Stats", true, infoStats},
	{"Replication", true, infoReplication},
	{"CPU", true, infoCPU},
	{"Modules", true, func(*infoText) {}},
	{"Commandstats", false, infoCommands},
	{"Errorstats", true, infoErrors},
	{"Latencystats", false, infoLatency},
	{"Holdfast", true, infoHoldfast},
	{"Cluster", true, infoCluster},
	{"Keyspace", true, infoKeyspace},
}

// sentinelSections are those that a Sentinel tells.
var sentinelSections = []section{
	{"Server", true, infoServer},
	{"Clients", true, infoClients},
	{"CPU", true, infoCPU},
	{"Stats", true, infoStats},
	{"Sentinel", true, infoSentinel},
}

// infoText is an INFO being written, with what it is about.
type infoText struct {
	strings.Builder
	s      *Session
	facts  Facts
	status engine.Status
	heard  func() census // who listens and waits, counted once
}

func (i *infoText) line(name string, value any) {
	fmt.Fprintf(i, "%s:%v\r\n", name, value)
}

func info(s *Session, q *request, b []byte) []byte {
	i := &infoText{s: s, facts: s.d.facts(), status: s.e.Status(), heard: sync.OnceValue(s.d.hub.census)}
	all := sections
	if s.asked {
		all = sentinelSections
	}
	for _, sec := range all {
		if !sec.wanted(q.args[1:]) {
			continue
		}
		if i.Len() > 0 {
			i.WriteString("\r\n")
		}
		i.WriteString("# " + sec.name + "\r\n")
		sec.write(i)
	}
	return s.v.Verbatim(b, "txt", i.String())
}

func (sec *section) wanted(names [][]byte) bool {
	for _, n := range names {
		if is(n, strings.ToLower(sec.name)) || is(n, "all") || is(n, "everything") || is(n, "default") && sec.usual {
			return true
		}
	}
	return len(names) == 0 && sec.usual
}

func infoServer(i *infoText) {
	i.line("redis_version", redisVersion)
	i.line("server_name", "holdfast")
	i.line("holdfast_version", i.s.d.conf.Version)
	i.line("redis_mode", i.s.mode())
	i.line("redis_git_sha1", "00000000")
	i.line("redis_git_dirty", 0)
	i.line("redis_build_id", "0")
	i.line("os", i.facts.OS)
	i.line("arch_bits", 64)
	i.line("multiplexing_api", "epoll")
	i.line("process_supervised", "no")
	i.line("process_id", i.facts.PID)
	i.line("run_id", i.facts.RunID)
	i.line("tcp_port", i.facts.Port)
	i.line("server_time_usec", i.status.Now/1000)
	up := max(i.status.Now-i.status.Started, 0) / 1e9
	i.line("uptime_in_seconds", up)
	i.line("uptime_in_days", up/86400)
	i.line("hz", 10)
	i.line("configured_hz", 10)
	i.line("io_threads_active", 0)
	i.line("executable", i.facts.Executable)
	i.line("config_file", i.facts.ConfigFile)
}

func infoClients(i *infoText) {
	i.line("connected_clients", i.facts.Clients)
	i.line("cluster_connections", 0)
	i.line("maxclients", i.facts.MaxClients)
	i.line("client_recent_max_input_buffer", 0)
	i.line("client_recent_max_output_buffer", 0)
	heard := i.heard()
	i.line("blocked_clients", heard.blocked+i.s.d.alert.held())
	i.line("tracking_clients", heard.tracked)
	i.line("clients_in_timeout_table", 0)
}

func infoMemory(i *infoText) {
	m := &i.status.Memory
	n, scripts := i.s.d.scripts.cached()
	i.size("used_memory", m.Used)
	i.size("used_memory_rss", i.status.Resident)
	i.size("used_memory_peak", m.Used)
	i.line("used_memory_peak_perc", "100.00%")
	i.line("used_memory_overhead", 0)
	i.line("used_memory_startup", 0)
	i.line("used_memory_dataset", m.Used)
	i.line("used_memory_dataset_perc", "100.00%")
	i.line("allocator_allocated", m.Used)
	i.line("allocator_active", i.status.Resident)
	i.line("allocator_resident", i.status.Resident)
	i.size("used_memory_lua", 0)
	i.line("used_memory_vm_eval", 0)
	i.line("number_of_cached_scripts", n)
	i.line("number_of_functions", 0)
	i.line("number_of_libraries", 0)
	i.size("used_memory_scripts", uint64(scripts))
	i.size("maxmemory", m.Budget)
	i.line("maxmemory_policy", "allkeys-lru")
	used := max(m.Used, 1)
	i.line("mem_fragmentation_ratio", fmt.Sprintf("%.2f", float64(i.status.Resident)/float64(used)))
	i.line("mem_fragmentation_bytes", int64(i.status.Resident)-int64(m.Used))
	i.line("mem_not_counted_for_evict", 0)
	i.line("mem_replication_backlog", 0)
	i.line("mem_clients_slaves", 0)
	i.line("mem_clients_normal", i.facts.Buffered)
	i.line("mem_aof_buffer", 0)
	i.line("mem_allocator", "go")
	i.line("active_defrag_running", 0)
	i.line("lazyfree_pending_objects", 0)
	i.line("memory_limit", i.status.Limit)
}

// size writes a number of bytes, for machines and for people.
func (i *infoText) size(name string, n uint64) {
	i.line(name, n)
	i.line(name+"_human", human(n))
}

func human(n uint64) string {
	const units = "BKMGTP"
	f, u := float64(n), 0
	for f >= 1024 && u < len(units)-1 {
		f, u = f/1024, u+1
	}
	if u == 0 {
		return fmt.Sprintf("%dB", n)
	}
	return fmt.Sprintf("%.2f%c", f, units[u])
}

func infoPersistence(i *infoText) {
	loading := b2i(!i.status.Ready)
	i.line("loading", loading)
	i.line("async_loading", 0)
	if loading == 1 {
		i.line("loading_eta_seconds", 1)
	}
	i.line("rdb_changes_since_last_save", 0)
	i.line("rdb_bgsave_in_progress", 0)
	i.line("rdb_last_save_time", max(i.status.SnapTime, i.status.Started)/1e9)
	i.line("rdb_last_bgsave_status", "ok")
	i.line("rdb_last_bgsave_time_sec", -1)
	i.line("rdb_current_bgsave_time_sec", -1)
	i.line("rdb_last_cow_size", 0)
	i.line("aof_enabled", b2i(i.status.Durable != "memory"))
	i.line("aof_rewrite_in_progress", 0)
	i.line("aof_rewrite_scheduled", 0)
	i.line("aof_last_rewrite_time_sec", -1)
	i.line("aof_current_rewrite_time_sec", -1)
	i.line("aof_last_bgrewrite_status", "ok")
	i.line("aof_last_write_status", "ok")
	i.line("aof_last_cow_size", 0)
	i.line("aof_current_size", i.status.LogBytes)
}

func infoStats(i *infoText) {
	heard := i.heard()
	d := i.s.d
	commands, hits, misses := d.total()
	_, errors := d.faults()
	i.line("total_connections_received", i.facts.Accepted)
	i.line("total_commands_processed", commands)
	i.line("instantaneous_ops_per_sec", d.rate.of(commands, d.clock.Now()))
	i.line("total_net_input_bytes", i.facts.Input)
	i.line("total_net_output_bytes", i.facts.Output)
	i.line("rejected_connections", i.facts.Rejected)
	i.line("sync_full", 0)
	i.line("sync_partial_ok", 0)
	i.line("sync_partial_err", 0)
	i.line("expired_keys", i.status.Memory.Expired)
	i.line("expired_stale_perc", "0.00")
	i.line("expired_time_cap_reached_count", 0)
	i.line("evicted_keys", i.status.Memory.Evicted)
	i.line("keyspace_hits", hits)
	i.line("keyspace_misses", misses)
	i.line("pubsub_channels", heard.channels)
	i.line("pubsub_patterns", heard.patterns)
	i.line("latest_fork_usec", 0)
	i.line("total_forks", 0)
	i.line("migrate_cached_sockets", 0)
	i.line("slave_expires_tracked_keys", 0)
	for _, name := range []string{"hits", "misses", "key_hits", "key_misses"} {
		i.line("active_defrag_"+name, 0)
	}
	i.line("tracking_total_keys", heard.keys)
	i.line("tracking_total_items", heard.items)
	i.line("tracking_total_prefixes", heard.prefixes)
	i.line("unexpected_error_replies", 0)
	i.line("total_error_replies", errors)
	i.line("dump_payload_sanitizations", 0)
	i.line("client_output_buffer_limit_disconnections", i.facts.Dropped)
}

// infoCommands tells what commands took: see timing.go for what counts.
func infoCommands(i *infoText) {
	sums := i.s.d.sums()
	for row := range table.all() {
		t := &sums[row.number]
		if t.calls+t.rejected == 0 {
			continue
		}
		each := 0.0 // of those that were timed, for those that were not
		if n := t.timedCalls(); n > 0 {
			each = float64(t.ns) / 1000 / float64(n)
		}
		us := uint64(each * float64(t.calls))
		i.line("cmdstat_"+row.Name, fmt.Sprintf("calls=%d,usec=%d,usec_per_call=%.2f,rejected_calls=%d,failed_calls=%d", t.calls, us, each, t.rejected, t.failed))
	}
}

func infoErrors(i *infoText) {
	codes, _ := i.s.d.faults()
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		i.line("errorstat_"+code, fmt.Sprintf("count=%d", codes[code]))
	}
}

func infoLatency(i *infoText) {
	if i.s.d.shares.hidden.Load() {
		return
	}
	sums, shares := i.s.d.sums(), i.s.d.shares.list()
	for row := range table.all() {
		t := &sums[row.number]
		if t.timedCalls() == 0 {
			continue
		}
		var list []string
		for _, p := range shares {
			list = append(list, fmt.Sprintf("p%s=%d.000", percent(p), t.percentile(p/100)))
		}
		i.line("latency_percentiles_usec_"+row.Name, strings.Join(list, ","))
	}
}

// infoReplication says what makes every health check happy: any controller is a good master.
func infoReplication(i *infoText) {
	i.line("role", "master")
	i.line("connected_slaves", 0)
	i.line("slave_priority", 100)
	i.line("master_failover_state", "no-failover")
	i.line("master_replid", i.facts.RunID)
	i.line("master_replid2", strings.Repeat("0", 40))
	i.line("master_repl_offset", i.status.Applied)
	i.line("second_repl_offset", -1)
	i.line("repl_backlog_active", 0)
	i.line("repl_backlog_size", 0)
	i.line("repl_backlog_first_byte_offset", 0)
	i.line("repl_backlog_histlen", 0)
}

func infoCPU(i *infoText) {
	i.line("used_cpu_sys", fmt.Sprintf("%.6f", i.facts.SystemCPU))
	i.line("used_cpu_user", fmt.Sprintf("%.6f", i.facts.UserCPU))
	i.line("used_cpu_sys_children", "0.000000")
	i.line("used_cpu_user_children", "0.000000")
}

// infoHoldfast is what Redis has no field for.
func infoHoldfast(i *infoText) {
	st := &i.status
	i.line("holdfast_role", st.Role)
	i.line("holdfast_leader", st.Leader)
	i.line("holdfast_members", st.Members)
	i.line("holdfast_missing", strings.Join(st.Missing, ","))
	i.line("holdfast_quorum", b2i(st.Quorum))
	i.line("holdfast_term", st.Term)
	i.line("holdfast_commit", st.Commit)
	i.line("holdfast_visible", st.Visible)
	i.line("holdfast_applied", st.Applied)
	i.line("holdfast_can_lose", st.CanLose)
	i.line("holdfast_draining", b2i(st.Draining))
	i.line("holdfast_lease_ms", leaseLeft(st.Lease))
	i.line("holdfast_roster", roster(st.Peers))
	for n, p := range st.Peers {
		i.line(fmt.Sprintf("holdfast_member%d", n), fmt.Sprintf("name=%s,address=%s,role=%s,up=%d,lag=%d,offset_ms=%.1f",
			p.Name, p.Addr, p.Role, b2i(p.Up || p.Self), p.Lag, float64(p.ClockOffset)/1e6))
	}
	i.line("holdfast_durability", st.Durable)
	i.line("holdfast_refused_writes", st.Memory.Refused)
	for c, stat := range st.Memory.Class {
		i.line("holdfast_class_"+op.Class(c).String(), fmt.Sprintf("keys=%d,bytes=%d", stat.Keys, stat.Bytes))
	}
}

// leaseLeft is in ms, -1 without an end, as TTL has it.
func leaseLeft(ns int64) int64 {
	if ns == math.MaxInt64 {
		return -1
	}
	return ns / 1e6
}

// roster names the members that answer reads from their own memory.
func roster(peers []engine.Peer) string {
	var names []string
	for i := range peers {
		if peers[i].InRoster {
			names = append(names, peers[i].Name)
		}
	}
	return strings.Join(names, ",")
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func infoSentinel(i *infoText) {
	i.line("sentinel_masters", len(i.s.d.conf.Masters))
	i.line("sentinel_tilt", 0)
	i.line("sentinel_tilt_since_seconds", -1)
	i.line("sentinel_running_scripts", 0)
	i.line("sentinel_scripts_queue_length", 0)
	i.line("sentinel_simulate_failure_flags", 0)
	host, port := i.s.address()
	status := "ok"
	if !i.status.Quorum {
		status = "odown"
	}
	for n, name := range i.s.d.conf.Masters {
		i.line(fmt.Sprintf("master%d", n), fmt.Sprintf("name=%s,status=%s,address=%s:%s,slaves=0,sentinels=%d", name, status, host, port, max(i.status.Members, 1)))
	}
}

func infoCluster(i *infoText) { i.line("cluster_enabled", 0) }

func infoKeyspace(i *infoText) {
	for n, sp := range i.status.Memory.Space[:op.Memcache] {
		if sp.Keys > 0 {
			i.line(fmt.Sprintf("db%d", n), fmt.Sprintf("keys=%d,expires=%d,avg_ttl=0", sp.Keys, sp.Mortal))
		}
	}
}
