package redis

import (
	"fmt"
	"strconv"

	"holdfast/op"
	"holdfast/resp"
)

var serverCommands = []Command{
	{Name: "info", Arity: -1, Flags: Loading, Needed: "tooz at start, taskflow, HAProxy, exporters", conn: info},
	{Name: "dbsize", Arity: 1, Flags: ReadOnly | Fast, Needed: "redis-cli --bigkeys", read: parseSize, reply: replyInt},
	{Name: "flushdb", Arity: -1, Flags: Write, Needed: "Django cache.clear()", write: parseFlush(false), reply: replyOK},
	{Name: "flushall", Arity: -1, Flags: Write, Needed: "operators", write: parseFlush(true), reply: replyOK},
	{Name: "swapdb", Arity: 3, Flags: Write | Fast, Needed: "nobody: refused", conn: swapDB},
	{Name: "time", Arity: 1, Flags: Loading | Fast, Needed: "tools", conn: serverTime},
	{Name: "lastsave", Arity: 1, Flags: Loading | Fast, Needed: "exporters", conn: lastSave},
	{Name: "role", Arity: 1, Flags: Admin | NoScript | Loading | Fast, Needed: "go-redis, operators", conn: role},
	{Name: "wait", Arity: 3, Flags: NoScript, Needed: "memtier", conn: wait},
	{Name: "save", Arity: 1, Flags: Admin | NoScript | NoMulti, Needed: "operators: nothing to do", conn: save},
	{Name: "bgsave", Arity: -1, Flags: Admin | NoScript, Needed: "operators: nothing to do", conn: save},
	{Name: "shutdown", Arity: -1, Flags: Admin | NoScript | NoMulti | Loading, Needed: "nobody: refused", conn: shutdown},
	{Name: "monitor", Arity: 1, Flags: Admin | NoScript | Loading, Needed: "operators", conn: monitor},
	{Name: "debug", Arity: -2, Flags: Admin | NoScript | Loading, Needed: "nobody: refused", conn: debug},
	{Name: "readonly", Arity: 1, Flags: Fast | Loading, Needed: "cluster clients: refused", conn: noCluster},
	{Name: "readwrite", Arity: 1, Flags: Fast | Loading, Needed: "cluster clients: refused", conn: noCluster},
	{Name: "asking", Arity: 1, Flags: Fast, Needed: "cluster clients: refused", conn: noCluster},
	{Name: "cluster", Arity: -2, Needed: "memtier, RedisInsight: refused", subs: []Command{
		{Name: "countkeysinslot", Arity: 3, Flags: Loading, Needed: "cluster clients: refused", conn: noCluster},
		{Name: "help", Arity: 2, Flags: Loading, Needed: "cluster clients: refused", conn: noCluster},
		{Name: "info", Arity: 2, Flags: Loading, Needed: "RedisInsight: refused", conn: noCluster},
		{Name: "keyslot", Arity: 3, Flags: Loading, Needed: "cluster clients: refused", conn: noCluster},
		{Name: "myid", Arity: 2, Flags: Loading, Needed: "cluster clients: refused", conn: noCluster},
		{Name: "nodes", Arity: 2, Flags: Loading, Needed: "cluster clients: refused", conn: noCluster},
		{Name: "reset", Arity: -2, Flags: Admin | NoScript, Needed: "nobody: refused", conn: noCluster},
		{Name: "shards", Arity: 2, Flags: Loading, Needed: "cluster clients: refused", conn: noCluster},
		{Name: "slots", Arity: 2, Flags: Loading, Needed: "memtier, cluster clients: refused", conn: noCluster},
	}},
	{Name: "command", Arity: -1, Flags: Loading, Needed: "redis-cli, RedisInsight", conn: commandAll, subs: introspection},
	{Name: "memory", Arity: -2, Needed: "redis-cli --memkeys", subs: []Command{
		{Name: "usage", Arity: -3, Keys: Keys{2, 2, 1}, Flags: ReadOnly, Needed: "redis-cli --memkeys", compute: memoryUsage},
		{Name: "doctor", Arity: 2, Flags: Loading, Needed: "people", conn: memoryDoctor},
		{Name: "stats", Arity: 2, Flags: Loading, Needed: "tools", conn: memoryStats},
		{Name: "purge", Arity: 2, Flags: Loading, Needed: "tools: nothing to do", conn: connOK},
		{Name: "malloc-stats", Arity: 2, Flags: Loading, Needed: "people", conn: memoryMalloc},
		{Name: "help", Arity: 2, Flags: Loading, Needed: "people", conn: help("MEMORY", "DOCTOR", "MALLOC-STATS", "PURGE", "STATS", "USAGE <key> [SAMPLES <count>]")},
	}},
}

// help makes the HELP of a container.
func help(name string, lines ...string) func(*Session, *request, []byte) []byte {
	return func(_ *Session, _ *request, b []byte) []byte {
		b = resp.Array(b, len(lines)+3)
		b = resp.Simple(b, name+" <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
		for _, l := range lines {
			b = resp.Simple(b, l)
		}
		b = resp.Simple(b, "HELP")
		return resp.Simple(b, "    Prints this help.")
	}
}

func parseSize(q *request) (op.Read, error) { return &op.Size{Space: q.space}, nil }

func parseFlush(all bool) func(*request) (op.Write, error) {
	return func(q *request) (op.Write, error) {
		if len(q.args) > 2 || len(q.args) == 2 && !is(q.args[1], "async") && !is(q.args[1], "sync") {
			return nil, errSyntax
		}
		if !all {
			return &op.Flush{Space: q.space}, nil
		}
		return &op.Flush{Space: q.space, All: true}, nil
	}
}

func noCluster(_ *Session, _ *request, b []byte) []byte { return resp.Err(b, string(errNoCluster)) }

func swapDB(_ *Session, q *request, b []byte) []byte {
	_, err := parseDB(q.args[1], failure("ERR invalid first DB index"))
	if err == nil {
		_, err = parseDB(q.args[2], failure("ERR invalid second DB index"))
	}
	if err == nil {
		err = failure("ERR SWAPDB is not supported: a database has a class of its own")
	}
	return resp.Err(b, err.Error())
}

func serverTime(s *Session, _ *request, b []byte) []byte {
	us := s.e.Status().Now / 1000
	return pair(resp.Array(b, 2), strconv.FormatInt(us/1e6, 10), strconv.FormatInt(us%1e6, 10))
}

func lastSave(s *Session, _ *request, b []byte) []byte {
	status := s.e.Status()
	return resp.Integer(b, max(status.SnapTime, status.Started)/1e9)
}

func role(s *Session, _ *request, b []byte) []byte {
	if s.asked {
		return bulks(resp.Bulk(resp.Array(b, 2), "sentinel"), s.d.conf.Masters)
	}
	b = resp.Bulk(resp.Array(b, 3), "master")
	b = resp.Integer(b, int64(s.e.Status().Applied))
	return resp.Array(b, 0)
}

// wait: an acknowledged write is on a majority already, and there are no replicas behind this server.
func wait(_ *Session, q *request, b []byte) []byte {
	_, ok := resp.Int(q.args[1])
	timeout, ok2 := resp.Int(q.args[2])
	switch {
	case !ok:
		return resp.Err(b, string(errInteger))
	case !ok2:
		return resp.Err(b, "ERR timeout is not an integer or out of range")
	case timeout < 0:
		return resp.Err(b, "ERR timeout is negative")
	}
	return resp.Integer(b, 0)
}

func save(_ *Session, q *request, b []byte) []byte {
	if len(q.args) > 2 || len(q.args) == 2 && !is(q.args[1], "schedule") {
		return resp.Err(b, string(errSyntax))
	}
	return resp.Err(b, "ERR there is nothing to save: the log and snapshots are kept without being asked")
}

func shutdown(_ *Session, _ *request, b []byte) []byte {
	return resp.Err(b, "ERR SHUTDOWN is not for clients: stop the service on its controller")
}

func debug(_ *Session, _ *request, b []byte) []byte {
	return resp.Err(b, `ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.`)
}

// memoryDoctor says how full the memory is.
func memoryDoctor(s *Session, _ *request, b []byte) []byte {
	m := s.e.Status().Memory
	text := fmt.Sprintf("%s of %s for keys and values are in use, %d keys were evicted and %d writes refused since the start.\n",
		human(m.Used), human(m.Budget), m.Evicted, m.Refused)
	if m.Refused > 0 {
		text += "Keys that may not be evicted fill the memory: raise memory-limit, or let what writes them write less.\n"
	}
	return s.v.Verbatim(b, "txt", text)
}

func memoryMalloc(s *Session, _ *request, b []byte) []byte {
	return s.v.Verbatim(b, "txt", fmt.Sprintf("Memory is Go's: the process has %s of the machine, limited to %s.\n", human(s.e.Status().Resident), human(s.e.Status().Limit)))
}

// memoryStats has the fields of Redis that mean something here.
func memoryStats(s *Session, _ *request, b []byte) []byte {
	st := s.e.Status()
	keys := int64(0)
	for _, sp := range st.Memory.Space[:op.Memcache] {
		keys += int64(sp.Keys)
	}
	used := int64(st.Memory.Used)
	b = s.v.Map(b, 10)
	for _, f := range []struct {
		name string
		n    int64
	}{{"peak.allocated", used}, {"total.allocated", used}, {"startup.allocated", 0}, {"clients.normal", s.d.facts().Buffered}, {"keys.count", keys},
		{"keys.bytes-per-key", used / max(keys, 1)}, {"dataset.bytes", used}, {"allocator.resident", int64(st.Resident)}} {
		b = resp.Integer(resp.Bulk(b, f.name), f.n)
	}
	b = s.v.Double(resp.Bulk(b, "dataset.percentage"), 100)
	return s.v.Double(resp.Bulk(b, "fragmentation"), float64(st.Resident)/float64(max(used, 1)))
}

// memoryUsage estimates what Redis would say; what an entry costs here, INFO sums up.
func memoryUsage(w *bench, q *request, b []byte) ([]byte, error) {
	if len(q.args) != 3 && (len(q.args) != 5 || !is(q.args[3], "samples")) {
		return b, errSyntax
	}
	if len(q.args) == 5 {
		if n, ok := resp.Int(q.args[4]); !ok {
			return b, errInteger
		} else if n < 0 {
			return b, errSyntax
		}
	}
	res, err := w.Do(&op.Dump{Keys: []op.Key{q.key(2)}})
	if err != nil {
		return b, err
	}
	if res.List[0].Status != op.OK {
		return w.Null(b), nil
	}
	const overhead = 48
	return resp.Integer(b, int64(overhead+len(q.args[2])+len(res.List[0].Value))), nil
}
