//go:build linux

package main

// Reasons that several exclusions share.
const (
	madeAs      = "OBJECT ENCODING says what Redis would of the value as it is, not of how it came to be"
	noStreams   = "streams: no client of OpenStack uses them"
	noSwap      = "SWAPDB is refused: a database has a class of its own, and what is never evicted in one could be in the other"
	noBusy      = "asks that other clients read BUSY while a script runs; here a script stands in nobody's way, SCRIPT KILL ends it, and none runs longer than 5 s"
	noSetUser   = "ACL SETUSER: users come from a file, the same on all controllers"
	noMaxMemory = "CONFIG SET maxmemory: memory-limit is set in Holdfast's own file"
	noFunctions = "functions: scripts are kept by the client that sends them"
)

// external lets a unit run against an external server that the suite leaves out there, though nothing in it needs more.
var external = &edit{"external:skip", ""}

// redisUnits are the units of the Tcl suite that are run. Which tests a unit is excused from, and why, stands beside it.
var redisUnits = []unit{
	{name: "unit/type/string", demanded: true, exclude: []exclusion{
		{`SETRANGE against integer-encoded key`, madeAs},
		{`trim on SET with big value`, "the suite has it only where INFO says that memory is jemalloc's"},
	}},
	{name: "unit/type/incr", demanded: true},
	{name: "unit/type/hash", demanded: true, exclude: []exclusion{
		{`Hash ziplist of various encodings( - sanitize dump)?`, "the order of the fields in HGETALL, which Redis promises to nobody"},
	}},
	{name: "unit/type/set", demanded: true, exclude: []exclusion{
		{`SINTER with same integer elements but different encoding`, madeAs},
	}},
	{name: "unit/type/list", demanded: true, exclude: []exclusion{
		{"Linked LMOVEs|Circular BRPOPLPUSH|PUSH resulting from BRPOPLPUSH affect WATCH",
			"what a push brings to a client that waits is an op of its own, behind the push, and the answer to the push does not wait for it"},
		{"SWAPDB awakes blocked client", noSwap},
	}},
	{name: "unit/type/list-2", demanded: true},
	{name: "unit/type/list-3", demanded: true},
	{name: "unit/type/zset", demanded: true},
	{name: "unit/keyspace", demanded: true, edit: &edit{"test {MOVE basic usage} {", "test {MOVE basic usage} {r flushdb"}, exclude: []exclusion{
		{`COPY basic usage for stream(-cgroups)?`, noStreams},
		{`Regression for pattern matching very long nested loops`, "asks that KEYS gives up on a pattern of 50,000 asterisks; here it finds the key, which does match"},
	}},
	{name: "unit/scan", demanded: true},
	{name: "unit/expire", demanded: true},
	{name: "unit/multi", demanded: true, exclude: []exclusion{
		{`SWAPDB is able to touch the watched keys that (do not )?exist`, noSwap},
		{`(MULTI and|EXEC and|MULTI-EXEC body and|just EXEC and) script timeout`, noBusy},
		{`Blocking commands ignores the timeout`, noStreams},
	}},
	{name: "unit/quit", demanded: true},
	{name: "unit/protocol", demanded: true},
	{name: "unit/info-command", demanded: true},
	{name: "unit/pubsub", demanded: true, exclude: []exclusion{
		{"Keyspace notifications: stream events test", noStreams},
	}},
	{name: "unit/tracking", demanded: true, exclude: []exclusion{
		{"After switching from normal tracking to BCAST mode, no invalidation message is produced for pre-BCAST keys",
			"who listens holds up nobody: another client may have the answer to its write before this one is told of it"},
		{"Tracking invalidation message of eviction keys should be before response", "the limit of the memory is not set by clients"},
	}},
	{name: "unit/scripting", demanded: true, edit: &edit{"foreach is_eval {0 1} {", "foreach is_eval {1} {"}, exclude: []exclusion{
		{`EVAL - Scripts can't run XREAD and XREADGROUP with BLOCK option`, noStreams},
		{`Script ACL check`, noSetUser},
		{`Try trick readonly table on basic types metatable`, "asks for the metatable of a coroutine too; scripts have no coroutines"},
		{`Timedout read-only scripts can be killed by SCRIPT KILL.*|Timedout script does not cause a false dead client`, noBusy},
		{`not enough good replicas`, "replication of Redis's own"},
		{`reject script do not cause a Lua stack leak|Consistent eval error reporting`, noMaxMemory},
	}},
	{name: "unit/sort", demanded: true},
	{name: "unit/bitops", demanded: true, exclude: []exclusion{
		{"SETBIT/BITFIELD only increase dirty when the value changed", "changes since the last save: there is nothing to save"},
	}},
	{name: "unit/bitfield", demanded: true},
	{name: "unit/introspection", demanded: true, exclude: []exclusion{
		{`MONITOR can log commands issued by functions`, noFunctions},
		{`CONFIG SET with multiple args|CONFIG SET rollback on set error`, noMaxMemory},
		{`CONFIG SET rollback on apply error`, "CONFIG SET of the port; ports are set in Holdfast's own file"},
		{`CONFIG GET hidden configs`, "a setting of the original for its own tests"},
	}},
	{name: "unit/introspection-2", demanded: true, exclude: []exclusion{
		{`TTL, TYPE and EXISTS do not alter the last access time of a key`, "when a key was last used is not kept (reads set a mark for eviction): OBJECT IDLETIME says 0"},
		{`COMMAND GETKEYSANDFLAGS`, "whether a key is overwritten, inserted or deleted; Holdfast tells reads from writes, which is what rights go by"},
		{`COMMAND GETKEYS XGROUP|XREAD command is marked with movablekeys`, noStreams},
		{`MIGRATE command is marked with movablekeys`, "MIGRATE: holdfast import copies keys"},
		{`GEORADIUS command is marked with movablekeys`, "no client of OpenStack uses them"},
	}},
	{name: "unit/slowlog", demanded: true, exclude: []exclusion{
		{`SLOWLOG - (Rewritten commands are logged as their original command|commands with too many arguments are trimmed|too long arguments are trimmed)`,
			"the arguments of writes; the slow log has only their names, since to keep the arguments until the group has answered would cost every write a copy"},
	}},
	{name: "unit/dump", demanded: true},
	{name: "unit/pause", demanded: true, exclude: []exclusion{
		{`Test special commands are paused by RO`, "PFADD and PFCOUNT: no client of OpenStack uses them"},
		{`Test RO scripts are not blocked by pause RO`, noFunctions},
		{`Test both active and passive expires are skipped during client pause`, "a pause holds for the clients of one controller; what expires does so in the whole group"},
	}},
	{name: "unit/other", demanded: true, exclude: []exclusion{
		{`RESET clears authenticated state`, noSetUser},
	}},
	{name: "unit/pendingquerybuf", demanded: true},
	{name: "unit/lazyfree", demanded: true, exclude: []exclusion{
		{`(UNLINK|FLUSHDB ASYNC) can reclaim memory in background`, "asks that used_memory comes below twice that of an empty server; here that is 0, and it does come to 0"},
	}},
	{name: "integration/redis-cli", demanded: true},
	{name: "integration/redis-benchmark", demanded: true, edit: external, exclude: []exclusion{
		{`benchmark: connecting using URI with authentication set,get`, "CONFIG SET masterauth: there are no replicas"},
		{`benchmark: clients idle mode should return error when reached maxclients limit`, "CONFIG SET maxclients: max-clients is set in Holdfast's own file"},
	}},
	{name: "unit/pubsubshard", demanded: true, edit: external},
	{name: "unit/auth", demanded: true, edit: external},
	{name: "unit/info", demanded: true, edit: external, exclude: []exclusion{
		{`errorstats: failed call within LUA|errorstats: failed call NOGROUP error`, noStreams},
		{`errorstats: rejected call by OOM error`, noMaxMemory},
		{`errorstats: rejected call by authorization error`, noSetUser},
	}},
	{name: "unit/latency-monitor", demanded: true, edit: &edit{"needs:latency", ""}, exclude: []exclusion{
		{`LATENCY of expire events are correctly collected|LATENCY RESET is able to reset events`,
			"the event of a large key's expiry, which here holds up nobody; a script makes that key for longer than 5 s"},
	}},
}

// redisLeftOut are the units that are not run, and why.
var redisLeftOut = []exclusion{
	{"unit/type/stream, unit/type/stream-cgroups", noStreams},
	{"unit/geo, unit/hyperloglog", "no client of OpenStack uses them"},
	{"unit/functions, and of unit/scripting the round with functions in the place of scripts", noFunctions},
	{"unit/cluster, unit/cluster-scripting, unit/cluster/*", "Redis Cluster: here every member has every key"},
	{"unit/moduleapi/*", "modules"},
	{"unit/aofrw, integration/* but redis-cli and redis-benchmark", "persistence files and replication of Redis's own; bench, chaos and crash tests are what Holdfast has instead"},
	{"unit/acl, unit/acl-v2", noSetUser},
	{"unit/limits, unit/maxmemory, unit/memefficiency, unit/networking, unit/obuf-limits, unit/oom-score-adj, unit/client-eviction, unit/querybuf, unit/replybufsize, " +
		"unit/shutdown, unit/tls, unit/violations, unit/wait",
		"the suite itself leaves these out against an external server: they start servers of their own, or set their limits and ports. (So it does unit/auth, info, " +
			"latency-monitor, pubsubshard and redis-benchmark, which need none of that and are run here.)"},
}
