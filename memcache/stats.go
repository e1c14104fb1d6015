package memcache

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"holdfast/engine"
	"holdfast/op"
)

// connVersion and the rest answer what concerns no key.
func connVersion(s *Session, _ [][]byte) { s.line("VERSION " + Compatible) }
func connNoop(s *Session, _ [][]byte)    { s.line("MN") }
func connQuit(s *Session, _ [][]byte)    { s.closing = true }
func connShutdown(s *Session, _ [][]byte) {
	s.line("ERROR: shutdown not enabled")
}

func connVerbosity(s *Session, a [][]byte) {
	if _, ok := unsigned(a[0]); !ok {
		s.line(badFormat)
		return
	}
	s.line("OK")
}

func (s *Session) line(text string) { s.out = append(append(s.out, text...), "\r\n"...) }

// connStats answers stats. What memcached knows and Holdfast has no such thing of is 0, or left out where nobody asks for it.
func connStats(s *Session, a [][]byte) { s.line(s.stats(a)) }

// stats writes what was asked for and returns the line behind it, unknownCommand or another error if there is nothing of the name.
func (s *Session) stats(a [][]byte) (end string) {
	if !s.mayAsk() {
		return denied
	}
	about := ""
	if len(a) > 0 {
		about = string(a[0])
	}
	switch about {
	case "":
		s.statsGeneral()
	case "settings":
		s.statsSettings()
	case "items":
		s.statsItems()
	case "slabs":
		s.statsSlabs()
	case "sizes":
		s.stat("sizes_status", "disabled")
	case "conns":
		s.statsConns()
	case "extstore":
	case "reset":
		s.w.d.reset()
		return "RESET"
	case "detail":
		return s.statsDetail(a[1:])
	default:
		return unknownCommand
	}
	return "END"
}

func (s *Session) stat(name string, value any) {
	if s.binary {
		s.statPacket(name, fmt.Sprint(value))
		return
	}
	s.out = fmt.Appendf(s.out, "STAT %s %v\r\n", name, value)
}

// yes is how settings say it.
func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// seconds is a time as rusage has it.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 6, 64) }

func (d *Dialect) facts() Facts {
	if d.conf.Host == nil {
		return Facts{Accepting: true}
	}
	return d.conf.Host.Facts()
}

func (s *Session) statsGeneral() {
	d := s.w.d
	st, f, n := s.w.e.Status(), d.facts(), d.counted()
	s.stat("pid", f.PID)
	s.stat("uptime", max(0, (st.Now-st.Started)/int64(time.Second)))
	s.stat("time", st.Now/int64(time.Second))
	s.stat("version", Compatible)
	s.stat("product", cmp.Or(d.conf.Product, "holdfast"))
	s.stat("pointer_size", 64)
	s.stat("rusage_user", seconds(f.UserTime))
	s.stat("rusage_system", seconds(f.SystemTime))
	s.stat("max_connections", f.MaxConnections)
	s.stat("curr_connections", f.Connections)
	s.stat("total_connections", f.TotalConnections)
	s.stat("rejected_connections", f.RejectedConnections)
	s.stat("connection_structures", f.Connections)
	s.statsCommands(&n)
	s.stat("bytes_read", f.BytesRead)
	s.stat("bytes_written", f.BytesWritten)
	s.stat("limit_maxbytes", cmp.Or(st.Memory.Budget, st.Limit))
	s.stat("accepting_conns", bit(f.Accepting))
	s.stat("listen_disabled_num", f.ListenDisabled)
	s.stat("time_in_listen_disabled_us", 0)
	s.stat("threads", f.Threads)
	s.stat("conn_yields", 0)
	s.stat("malloc_fails", 0)
	s.stat("bytes", st.Memory.Used)
	s.stat("curr_items", st.Memory.Space[op.Memcache].Keys)
	s.stat("total_items", n[setCmds])
	s.stat("total_malloced", st.Memory.Used)
	s.stat("evictions", st.Memory.Evicted)
	s.stat("reclaimed", st.Memory.Expired)
	for _, name := range [...]string{"hash_is_expanding", "slab_reassign_running", "slabs_moved", "lru_crawler_running", "lru_crawler_starts",
		"expired_unfetched", "evicted_unfetched", "evicted_active", "crawler_reclaimed", "crawler_items_checked", "lrutail_reflocked",
		"moves_to_cold", "moves_to_warm", "moves_within_lru", "direct_reclaims", "lru_bumps_dropped"} {
		s.stat(name, 0)
	}
}

func (s *Session) statsCommands(n *tally) {
	s.stat("cmd_get", n[getHits]+n[getMisses])
	s.stat("cmd_set", n[setCmds])
	s.stat("cmd_flush", n[flushCmds])
	s.stat("cmd_touch", n[touchHits]+n[touchMisses])
	s.stat("cmd_meta", n[metaCmds])
	for _, c := range [...]struct {
		name string
		n    counter
	}{
		{"get_hits", getHits}, {"get_misses", getMisses},
		{"delete_misses", deleteMisses}, {"delete_hits", deleteHits},
		{"incr_misses", incrMisses}, {"incr_hits", incrHits},
		{"decr_misses", decrMisses}, {"decr_hits", decrHits},
		{"cas_misses", casMisses}, {"cas_hits", casHits}, {"cas_badval", casBadval},
		{"touch_hits", touchHits}, {"touch_misses", touchMisses},
		{"store_too_large", tooLarge}, {"store_no_memory", noMemory},
		{"auth_cmds", authCmds}, {"auth_errors", authErrors},
	} {
		s.stat(c.name, n[c.n])
	}
	s.stat("get_expired", 0)
	s.stat("get_flushed", 0)
}

func (s *Session) statsSettings() {
	d := s.w.d
	st, f := s.w.e.Status(), d.facts()
	s.stat("maxbytes", cmp.Or(st.Memory.Budget, st.Limit))
	s.stat("maxconns", f.MaxConnections)
	s.stat("tcpport", f.Port)
	s.stat("udpport", 0)
	s.stat("inter", cmp.Or(f.Interface, "NULL"))
	s.stat("verbosity", 0)
	s.stat("oldest", 0)
	s.stat("evictions", "on")
	s.stat("domain_socket", "NULL")
	s.stat("shutdown_command", "no")
	s.stat("growth_factor", "1.00")
	s.stat("chunk_size", itemOverhead)
	s.stat("num_threads", f.Threads)
	s.stat("stat_key_prefix", ":")
	s.stat("detail_enabled", "no")
	s.stat("cas_enabled", "yes")
	s.stat("binding_protocol", "auto-negotiate")
	s.stat("auth_enabled_sasl", yes(s.users != nil))
	s.stat("auth_enabled_ascii", yes(s.anonymous() == nil))
	s.stat("item_size_max", d.conf.MaxItem)
	s.stat("maxconns_fast", "yes")
	s.stat("slab_reassign", "no")
	s.stat("slab_automove", 0)
	s.stat("lru_crawler", "no")
	s.stat("lru_crawler_sleep", 0)
	s.stat("lru_crawler_tocrawl", 0)
	s.stat("flush_enabled", yes(d.conf.FlushAll != "none"))
	s.stat("dump_enabled", "no")
	s.stat("lru_maintainer_thread", "no")
	s.stat("lru_segmented", "no")
	s.stat("hot_lru_pct", 0)
	s.stat("warm_lru_pct", 0)
	s.stat("idle_timeout", 0)
}

// ofMemcached says how many items there are, and what one takes in the mean of all keys, since bytes are not counted by port.
func ofMemcached(st *engine.Status) (keys, size uint64) {
	m, all := &st.Memory, uint64(0)
	for i := range m.Space {
		all += m.Space[i].Keys
	}
	return m.Space[op.Memcache].Keys, m.Used / max(1, all)
}

// statsItems and statsSlabs show all items as one slab class; there are no slabs.
func (s *Session) statsItems() {
	st := s.w.e.Status()
	m := &st.Memory
	keys, size := ofMemcached(&st)
	if keys == 0 {
		return
	}
	s.stat("items:1:number", keys)
	s.stat("items:1:number_hot", 0)
	s.stat("items:1:number_warm", 0)
	s.stat("items:1:number_cold", keys)
	s.stat("items:1:age", 0)
	s.stat("items:1:mem_requested", keys*size)
	s.stat("items:1:evicted", m.Evicted)
	s.stat("items:1:evicted_nonzero", 0)
	s.stat("items:1:evicted_time", 0)
	s.stat("items:1:outofmemory", m.Refused)
	s.stat("items:1:tailrepairs", 0)
	s.stat("items:1:reclaimed", m.Expired)
	s.stat("items:1:expired_unfetched", 0)
	s.stat("items:1:evicted_unfetched", 0)
	s.stat("items:1:crawler_reclaimed", 0)
	s.stat("items:1:crawler_items_checked", 0)
	s.stat("items:1:lrutail_reflocked", 0)
}

func (s *Session) statsSlabs() {
	d := s.w.d
	st, n := s.w.e.Status(), d.counted()
	m := &st.Memory
	keys, size := ofMemcached(&st)
	if keys == 0 {
		s.stat("active_slabs", 0)
		s.stat("total_malloced", 0)
		return
	}
	s.stat("1:chunk_size", size+1)
	s.stat("1:chunks_per_page", 1)
	s.stat("1:total_pages", 1)
	s.stat("1:total_chunks", keys)
	s.stat("1:used_chunks", keys)
	s.stat("1:free_chunks", 0)
	s.stat("1:free_chunks_end", 0)
	s.stat("1:mem_requested", keys*size)
	s.stat("1:get_hits", n[getHits])
	s.stat("1:cmd_set", n[setCmds])
	s.stat("1:delete_hits", n[deleteHits])
	s.stat("1:incr_hits", n[incrHits])
	s.stat("1:decr_hits", n[decrHits])
	s.stat("1:cas_hits", n[casHits])
	s.stat("1:cas_badval", n[casBadval])
	s.stat("1:touch_hits", n[touchHits])
	s.stat("active_slabs", 1)
	s.stat("total_malloced", m.Used)
}

// statsConns shows the connection that asks; the others are the server's.
func (s *Session) statsConns() {
	c := s.conn
	id := strconv.FormatUint(c.ID(), 10)
	s.stat(id+":addr", "tcp:"+c.RemoteAddr())
	s.stat(id+":listen_addr", "tcp:"+c.LocalAddr())
	s.stat(id+":state", "conn_parse_cmd")
	s.stat(id+":secs_since_last_cmd", 0)
}

// statsDetail keeps no counts by prefix; it answers like a memcached in which nothing has happened.
func (s *Session) statsDetail(a [][]byte) (end string) {
	what := ""
	if len(a) > 0 {
		what = string(a[0])
	}
	switch what {
	case "on", "off":
		return "OK"
	case "dump":
		return "END"
	}
	return "CLIENT_ERROR usage: stats detail on|off|dump"
}
