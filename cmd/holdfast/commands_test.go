package main

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"holdfast/memcache"
	"holdfast/redis"
)

var update = flag.Bool("update", false, "write the generated documents anew")

const (
	commandsIntroduction = `# Commands

Generated from the tables of the packages redis and memcache by ` + "`make docs`" + `; change it there.

*Kind* says what a command does to the state: *read* and *write* are one operation on it; a *transaction* reads and writes at once, and
nothing comes in between; *connection* is answered without the state, or concerns the connection itself. *Needed by* names a client in an
OpenStack deployment that sends the command.

Not there: streams, HyperLogLog, geo, functions, modules, and SWAPDB of Redis; conformance.md says what its own tests show.

## Redis

`
	memcachedHeading = "\n## memcached\n\nThe binary protocol, told apart by the first byte of a connection, has get, set, add, replace, delete, incr, decr, append, prepend, " +
		"touch, gat, flush, noop,\nversion, stat and quit, all their quiet and key-returning forms, and SASL PLAIN, with the same users. " +
		"`h` and `l` of mg and me, whether and when an item was found\nbefore, are what this controller remembers of meta commands, not what the group knows.\n\n"
)

func TestGeneratedCommands(t *testing.T) {
	const file = "../../docs/commands.md"
	want := bytes.NewBufferString(commandsIntroduction)
	if err := redis.WriteCommands(want); err != nil {
		t.Fatal(err)
	}
	want.WriteString(memcachedHeading)
	if err := memcache.WriteCommands(want); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have, err := os.ReadFile(file); err != nil || !bytes.Equal(have, want.Bytes()) {
		t.Errorf("%s is stale (%v): run make docs", file, err)
	}
}
