//go:build linux

package main

// redisUnits are the units of the Tcl suite that are run. Which tests a unit is excused from, and why, stands beside it.
var redisUnits = []unit{
	{name: "unit/type/string", demanded: true},
	{name: "unit/type/incr", demanded: true},
	{name: "unit/type/hash", demanded: true},
	{name: "unit/type/set", demanded: true},
	{name: "unit/type/list", demanded: true, exclude: []exclusion{
		{"Linked LMOVEs|Circular BRPOPLPUSH|PUSH resulting from BRPOPLPUSH affect WATCH",
			"what a push brings to a client that waits is an op of its own, behind the push, and the answer to the push does not wait for it"},
		{"SWAPDB awakes blocked client", "SWAPDB is refused: a database has a class of its own"},
	}},
	{name: "unit/type/list-2", demanded: true},
	{name: "unit/type/list-3", demanded: true},
	{name: "unit/type/zset", demanded: true},
	{name: "unit/keyspace", demanded: true},
	{name: "unit/scan", demanded: true},
	{name: "unit/expire", demanded: true},
	{name: "unit/multi", demanded: true},
	{name: "unit/quit", demanded: true},
	{name: "unit/protocol", demanded: true},
	{name: "unit/info-command", demanded: true},
	{name: "unit/pubsub", demanded: true, exclude: []exclusion{
		{"Keyspace notifications: stream events test", "streams: no client of OpenStack uses them"},
	}},
	{name: "unit/tracking", demanded: true, exclude: []exclusion{
		{"After switching from normal tracking to BCAST mode, no invalidation message is produced for pre-BCAST keys",
			"who listens holds up nobody: another client may have the answer to its write before this one is told of it"},
		{"Tracking invalidation message of eviction keys should be before response", "the limit of the memory is not set by clients"},
	}},
	{name: "unit/scripting", demanded: true, edit: &edit{"foreach is_eval {0 1} {", "foreach is_eval {1} {"}},
	{name: "unit/sort", demanded: true},
	{name: "unit/bitops", demanded: true, exclude: []exclusion{
		{"SETBIT/BITFIELD only increase dirty when the value changed", "changes since the last save: there is nothing to save"},
	}},
	{name: "unit/bitfield", demanded: true},
	{name: "unit/introspection"},
	{name: "unit/introspection-2"},
	{name: "unit/slowlog"},
	{name: "unit/dump"},
	{name: "unit/pause"},
	{name: "unit/other"},
	{name: "unit/pendingquerybuf"},
	{name: "unit/lazyfree"},
}

// redisLeftOut are the units that are not run, and why.
var redisLeftOut = []exclusion{
	{"unit/type/stream, unit/type/stream-cgroups", "streams: no client of OpenStack uses them"},
	{"unit/geo, unit/hyperloglog", "no client of OpenStack uses them"},
	{"unit/functions, and of unit/scripting the round with functions in the place of scripts", "functions: scripts are kept by the client that sends them"},
	{"unit/cluster, unit/cluster-scripting, unit/cluster/*, unit/pubsubshard", "Redis Cluster: here every member has every key"},
	{"unit/moduleapi/*", "modules"},
	{"unit/aofrw, integration/*", "persistence files and replication of Redis's own; bench, chaos and crash tests are what Holdfast has instead"},
	{"unit/acl, unit/acl-v2, unit/auth, unit/info, unit/limits, unit/maxmemory, unit/memefficiency, unit/networking, unit/obuf-limits, unit/oom-score-adj, " +
		"unit/client-eviction, unit/latency-monitor, unit/querybuf, unit/replybufsize, unit/shutdown, unit/tls, unit/violations, unit/wait",
		"the suite itself leaves these out against an external server"},
}
