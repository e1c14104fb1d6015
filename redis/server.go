package redis

import (
	"strconv"
	"strings"

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
	{Name: "save", Arity: 1, Flags: Admin | NoScript, Needed: "operators: nothing to do", conn: save},
	{Name: "bgsave", Arity: -1, Flags: Admin | NoScript, Needed: "operators: nothing to do", conn: save},
	{Name: "shutdown", Arity: -1, Flags: Admin | NoScript | NoMulti | Loading, Needed: "nobody: refused", conn: shutdown},
	{Name: "debug", Arity: -2, Flags: Admin | NoScript | Loading, Needed: "nobody: refused", conn: debug},
	{Name: "readonly", Arity: 1, Flags: Fast | Loading, Needed: "cluster clients: refused", conn: noCluster},
	{Name: "readwrite", Arity: 1, Flags: Fast | Loading, Needed: "cluster clients: refused", conn: noCluster},
	{Name: "asking", Arity: 1, Flags: Fast, Needed: "cluster clients: refused", conn: noCluster},
	{Name: "cluster", Arity: -2, Flags: Loading, Needed: "memtier, RedisInsight: refused", conn: noCluster},
	{Name: "command", Arity: -1, Flags: Loading, Needed: "redis-cli, RedisInsight", conn: commandAll, subs: introspection},
	{Name: "config", Arity: -2, Needed: "exporters, redis-benchmark", subs: []Command{
		{Name: "get", Arity: -3, Flags: Admin | NoScript | Loading, Needed: "exporters, redis-benchmark", conn: configGet},
		{Name: "set", Arity: -4, Flags: Admin | NoScript | Loading, Needed: "gnocchi; refused unless nothing changes", conn: configSet},
		{Name: "resetstat", Arity: 2, Flags: Admin | NoScript | Loading, Needed: "tools", conn: configResetStat},
		{Name: "rewrite", Arity: 2, Flags: Admin | NoScript | Loading, Needed: "nobody: refused", conn: configRewrite},
		{Name: "help", Arity: 2, Flags: Loading, Needed: "people", conn: help("CONFIG", "GET <pattern>", "SET <directive> <value>", "RESETSTAT")},
	}},
	{Name: "memory", Arity: -2, Needed: "redis-cli --memkeys", subs: []Command{
		{Name: "usage", Arity: -3, Keys: Keys{2, 2, 1}, Flags: ReadOnly, Needed: "redis-cli --memkeys", compute: memoryUsage},
		{Name: "doctor", Arity: 2, Flags: Loading, Needed: "people", conn: memoryDoctor},
		{Name: "help", Arity: 2, Flags: Loading, Needed: "people", conn: help("MEMORY", "DOCTOR", "USAGE <key> [SAMPLES <count>]")},
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

func memoryDoctor(s *Session, _ *request, b []byte) []byte {
	return s.v.Verbatim(b, "txt", "See the daemon's own status: holdfast status\n")
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

// The settings that CONFIG GET shows. Those that clients ask for by name, and no promises: Holdfast is set up by its own file.
func (s *Session) settings() [][2]string {
	f, status := s.d.facts(), s.e.Status()
	appendonly, fsync := "yes", "everysec"
	switch status.Durable {
	case "memory":
		appendonly, fsync = "no", "no"
	case "always":
		fsync = "always"
	}
	return append(s.d.bounds.settings(), [][2]string{
		{"appendfsync", fsync}, {"appendonly", appendonly}, {"bind", ""}, {"cluster-enabled", "no"}, {"databases", strconv.Itoa(int(op.Memcache))},
		{"dbfilename", ""}, {"dir", status.Data}, {"hz", "10"}, {"io-threads", "1"}, {"lua-time-limit", strconv.Itoa(int(scriptTime.Milliseconds()))},
		{"maxclients", strconv.Itoa(f.MaxClients)}, {"maxmemory", strconv.FormatUint(status.Memory.Budget, 10)}, {"maxmemory-policy", "allkeys-lru"},
		{"notify-keyspace-events", formatEvents(status.Notify)}, {"port", strconv.Itoa(f.Port)}, {"proto-max-bulk-len", strconv.Itoa(resp.MaxBulk)}, {"save", ""},
		{"slowlog-log-slower-than", "-1"}, {"slowlog-max-len", "0"}, {"tcp-keepalive", "300"}, {"timeout", "0"},
	}...)
}

func configGet(s *Session, q *request, b []byte) []byte {
	var hits [][2]string
	for _, set := range s.settings() {
		for _, pattern := range q.args[2:] {
			if op.Match([]byte(strings.ToLower(string(pattern))), []byte(set[0])) {
				hits = append(hits, set)
				break
			}
		}
	}
	b = s.v.Map(b, len(hits))
	for _, h := range hits {
		b = pair(b, h[0], h[1])
	}
	return b
}

// configSet takes what changes nothing; a setting of Holdfast is changed in its file.
func configSet(s *Session, q *request, b []byte) []byte {
	if len(q.args)%2 != 0 {
		return resp.Err(b, "ERR wrong number of arguments for 'config|set' command")
	}
	known := s.settings()
	var events []byte
	for i := 2; i < len(q.args); i += 2 {
		if is(q.args[i], "notify-keyspace-events") {
			events = q.args[i+1]
			continue
		}
		if s.d.bounds.set(q.args[i], q.args[i+1]) {
			continue
		}
		found, same := false, false
		for _, k := range known {
			if is(q.args[i], k[0]) {
				found, same = true, string(q.args[i+1]) == k[1]
			}
		}
		if !found {
			return resp.Err(b, "ERR Unknown option or number of arguments for CONFIG SET - '"+string(q.args[i])+"'")
		}
		if !same {
			return resp.Err(b, "ERR CONFIG SET failed (possibly related to argument '"+string(q.args[i])+"') - can't set immutable config")
		}
	}
	if events != nil {
		return s.setEvents(events, b)
	}
	return append(b, "+OK\r\n"...)
}

func configResetStat(s *Session, _ *request, b []byte) []byte {
	s.d.resetStats()
	return append(b, "+OK\r\n"...)
}

func configRewrite(_ *Session, _ *request, b []byte) []byte {
	return resp.Err(b, "ERR The server is running without a config file")
}
