//go:build linux

package main

// memcachedUnits are memccapable and the files below t/ that are run. Which tests a file is excused from, and why, stands beside it.
var memcachedUnits = []unit{
	{name: capable, demanded: true},
	{name: "00-startup", demanded: true},
	{name: "binary", demanded: true},
	{name: "binary-get", demanded: true},
	{name: "bogus-commands", demanded: true},
	{name: "cas", demanded: true},
	{name: "chunked-items", demanded: true},
	{name: "expirations", demanded: true},
	{name: "flags", demanded: true},
	{name: "flush-all", demanded: true},
	{name: "getandtouch", demanded: true},
	{name: "getset", demanded: true},
	{name: "incrdecr", demanded: true},
	{name: "issue_104", demanded: true},
	{name: "issue_108", demanded: true},
	{name: "issue_14", demanded: true},
	{name: "issue_140", demanded: true},
	{name: "issue_152", demanded: true},
	{name: "issue_163", demanded: true, exclude: []exclusion{{`Objects should be reclaimed`, "statistics of the slab class 31; there are no slab classes"}}},
	{name: "issue_192", demanded: true},
	{name: "issue_22", demanded: true},
	{name: "issue_29", demanded: true},
	{name: "issue_3", demanded: true},
	{name: "issue_41", demanded: true},
	{name: "issue_42", demanded: true, exclude: []exclusion{{`Check allocated size: .*`, "how many bytes ten items take in a slab; here they take fewer than it asks for at least"}}},
	{name: "issue_50", demanded: true},
	{name: "issue_61", demanded: true},
	{name: "issue_67", demanded: true},
	{name: "issue_68", demanded: true},
	{name: "issue_70", demanded: true},
	{name: "item_size_max", demanded: true},
	{name: "line-lengths", demanded: true},
	{name: "lru", demanded: true, exclude: []exclusion{{`some evictions happened|(big|item_\d+) == .*`, "which of the big items are evicted from 64 MiB of slabs of 1 MiB"}}},
	{name: "malicious-commands", demanded: true},
	{name: "maxconns", demanded: true, exclude: []exclusion{
		{`Got expected response from the server`, "asked of each connection beyond the limit; how many those are is not the same"},
	}},
	{name: "metaget", demanded: true},
	{name: "misbehave", demanded: true},
	{name: "multiversioning", demanded: true},
	{name: "noreply", demanded: true},
	{name: "quit", demanded: true},
	{name: "refhang", demanded: true},
	{name: "shutdown", demanded: true},
	{name: "stats", demanded: true, exclude: []exclusion{
		{`get_expired counter is 1|after flush and a get, get_flushed is 1`, "why a read found nothing is not counted: what has ended is not there any more"},
	}},
	{name: "stats-conns", demanded: true, exclude: []exclusion{
		{`one client is sending data|nonzero secs_since_last_cmd`, "stats conns shows the connection that asks, none beside it"},
	}},
	{name: "strtol-testing", demanded: true, exclude: []exclusion{
		{``, "slabs automove, of the two that have no name; the other is verbosity, which memcached's oracle test in memcache asks"},
	}},
	{name: "touch", demanded: true},
}

// memcachedLeftOut are the files that are not run, and why.
var memcachedLeftOut = []exclusion{}
