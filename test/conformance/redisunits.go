//go:build linux

package main

// redisUnits are the units of the Tcl suite that are run. Which tests a unit is excused from, and why, stands beside it.
var redisUnits = []unit{
	{name: "unit/type/string", demanded: true},
	{name: "unit/type/incr", demanded: true},
	{name: "unit/type/hash", demanded: true},
	{name: "unit/type/set", demanded: true},
	{name: "unit/type/list", demanded: true},
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
	{name: "unit/pubsub", demanded: true},
	{name: "unit/tracking", demanded: true},
	{name: "unit/scripting", demanded: true},
	{name: "unit/sort"},
	{name: "unit/bitops"},
	{name: "unit/bitfield"},
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
	{"unit/functions", "functions: scripts are kept by the client that sends them"},
	{"unit/cluster, unit/cluster-scripting, unit/cluster/*, unit/pubsubshard", "Redis Cluster: here every member has every key"},
	{"unit/moduleapi/*", "modules"},
	{"unit/aofrw, integration/*", "persistence files and replication of Redis's own; bench, chaos and crash tests are what Holdfast has instead"},
	{"unit/acl, unit/acl-v2, unit/auth, unit/info, unit/limits, unit/maxmemory, unit/memefficiency, unit/networking, unit/obuf-limits, unit/oom-score-adj, " +
		"unit/client-eviction, unit/latency-monitor, unit/querybuf, unit/replybufsize, unit/shutdown, unit/tls, unit/violations, unit/wait",
		"the suite itself leaves these out against an external server"},
}
