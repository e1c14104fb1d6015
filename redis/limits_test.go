package redis

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// TestReplyLimit asks for more than one reply may have, by every way that multiplies a small request.
func TestReplyLimit(t *testing.T) {
	const limit = 4096
	refusal := fmt.Sprintf("-ERR the reply would be larger than %d bytes, which is what memory-limit allows: ask for less at once", limit)
	w := newServer(t, Config{ReplyLimit: limit}).dial()
	big := strings.Repeat("x", limit+1)
	w.expect("set big "+big, "+OK\r\n")
	w.expect("set b "+big[:1000], "+OK\r\n")
	w.expect("hset h f "+big[:1000]+" g "+big[:1000], ":2\r\n")
	w.expect("hset one f "+big, ":1\r\n")
	var adds []string
	for i := range 500 {
		adds = append(adds, fmt.Sprintf("m%d", i))
	}
	w.expect("sadd s "+strings.Join(adds, " "), ":500\r\n")
	w.expect("hset wide "+strings.Join(adds, " "), ":250\r\n")
	for _, line := range []string{
		"mget b b b b b", "mget big b", "hmget h f g f g f", "smembers s", "hgetall wide", "sscan s 0 count 1000", "hscan wide 0 count 1000", "keys *",
	} {
		fits := line == "keys *"
		if reply := w.do(line); fits == strings.HasPrefix(reply, refusal) {
			t.Errorf("%.40s: %.200q", line, reply)
		}
	}
	for _, line := range []string{"get big", "hget one f", "mget b b b", "hmget h f g", "mget big", "sscan s 0 match m7", "hlen wide", "scard s"} {
		if reply := w.do(line); strings.HasPrefix(reply, "-") {
			t.Errorf("%s: %.200q", line, reply)
		}
	}
	w.expect("ping", "+PONG\r\n")
}

// TestReplyLimitOfComputations asks the same of scripts, and of a transaction that has to be computed.
func TestReplyLimitOfComputations(t *testing.T) {
	w := newServer(t, Config{ReplyLimit: 4096}).dial()
	w.expect("set b "+strings.Repeat("x", 1000), "+OK\r\n")
	for script, want := range map[string]string{
		"'return redis.call(\"mget\",unpack(ARGV))' 0 b b b b b":                               "-ERR the reply would be larger",
		"'return #redis.call(\"mget\",unpack(ARGV))' 0 b b b":                                  ":3",
		"'local v=redis.call(\"get\",\"b\") return {v,v,v,v,v}' 0":                             "-ERR the script was stopped: it needs too much memory",
		"'return redis.pcall(\"mget\",\"b\",\"b\",\"b\",\"b\",\"b\")[\"err\"]' 0":              "$",
		"'local n=0 for i=1,50 do n=n+#redis.call(\"mget\",\"b\",\"b\",\"b\") end return n' 0": ":150",
	} {
		if reply := w.do("eval " + script); !strings.HasPrefix(reply, want) {
			t.Errorf("%s: %.200q", script, reply)
		}
	}
	w.expect("multi", "+OK\r\n")
	w.expect("incrbyfloat n 1.5", "+QUEUED\r\n")
	for range 6 {
		w.expect("get b", "+QUEUED\r\n")
	}
	reply := w.do("exec")
	if !strings.HasPrefix(reply, "*7") || strings.Count(reply, "-ERR the reply would be larger") != 2 {
		t.Errorf("exec: %.100q with %d refusals", reply, strings.Count(reply, "-ERR"))
	}
}

// TestKeysOfAScript has a script read keys that are larger together than it may take.
func TestKeysOfAScript(t *testing.T) {
	sv := newServer(t, Config{})
	sv.d.scripts.limits.heap = 1 << 20
	w := sv.dial()
	for _, key := range []string{"a", "b"} {
		value := strings.Repeat("x", 700<<10)
		if reply := w.ask(fmt.Sprintf("*3\r\n$3\r\nset\r\n$1\r\n%s\r\n$%d\r\n%s\r\n", key, len(value), value)); reply != "+OK\r\n" {
			t.Fatal(reply)
		}
	}
	w.expect("eval 'return redis.call(\"strlen\",\"a\")' 0", ":716800\r\n")
	if reply := w.do("eval 'return redis.call(\"strlen\",\"a\")+redis.call(\"strlen\",\"b\")' 0"); !strings.HasPrefix(reply, "-"+string(errKeysMemory)) {
		t.Errorf("%.200q", reply)
	}
}

// allocated is how many bytes f takes of the heap, garbage included.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// What a computation collects for its reply, or reads again and again, does not grow beyond what the reply may have.
func TestComputationsThatMultiply(t *testing.T) {
	w := newServer(t, Config{ReplyLimit: 1 << 20}).dial()
	w.expect("set kx "+strings.Repeat("x", 50_000), "+OK\r\n")
	w.do("rpush l" + strings.Repeat(" x", 4000))
	for i := range 500 {
		w.do(fmt.Sprintf("zadd z 1 member%d", i))
	}
	for _, c := range []struct{ line, want string }{
		{"sort l by no get k*", "-ERR the reply would be larger"},
		{"sort l by no get k* store to", "-ERR the reply would be larger"},
		{"sort l by k* alpha limit 0 1", "-ERR the reply would be larger"},
		{"sort l by no limit 0 2 get k*", "*2"},
		{"zunionstore to 1000" + strings.Repeat(" z", 1000), ":500"},
	} {
		var reply string
		if n := allocated(func() { reply = w.do(c.line) }); n > 16<<20 || !strings.HasPrefix(reply, c.want) {
			t.Errorf("%.40s: %d MiB, %.60q", c.line, n>>20, reply)
		}
	}
}
