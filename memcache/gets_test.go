package memcache

import (
	"strings"
	"testing"
	"time"
)

// Pipelined gets are answered as single ones are.
func TestPipelinedGets(t *testing.T) {
	c := newClient(Config{})
	c.send("set a 7 0 1\r\n1\r\nset soon 0 1 4\r\ngone\r\nset long 0 0 5000\r\n" + strings.Repeat("x", 5000) + "\r\n")
	lines := []string{"get a\r\n", "get nothing\r\n", "get long\r\n", "get soon\r\n", "get a soon\r\n", "get  a\r\n", "get a \r\n", "get a\n",
		"gets nothing\r\n", "get " + strings.Repeat("k", maxKey) + "\r\n", "get " + strings.Repeat("k", maxKey+1) + "\r\n", "get \r\n", "get\r\n", "get \x80\r\n"}
	for range 3 {
		lines = append(lines, lines...)
	}
	want := ""
	for _, l := range lines {
		want += c.send(l)
	}
	if got := c.send(strings.Join(lines, "") + "mn\r\n"); got != want+"MN\r\n" {
		t.Fatalf("got\n%q\nwant\n%q", got, want)
	}
	c.e.Advance(1001 * time.Millisecond)
	if got := c.send("get a\r\nget soon\r\nget a\r\n"); got != "VALUE a 7 1\r\n1\r\nEND\r\nEND\r\nVALUE a 7 1\r\n1\r\nEND\r\n" {
		t.Errorf("with an expired key: %q", got)
	}
	if got := c.send("set a 0 0 1\r\n2\r\nget a\r\nget a\r\nset a 0 0 1\r\n3\r\nget a\r\nget a\r\nge"); !strings.HasSuffix(got, "STORED\r\n"+strings.Repeat("VALUE a 0 1\r\n3\r\nEND\r\n", 2)) {
		t.Errorf("behind writes: %q", got)
	}
	if got := c.send("t a\r\nget a\r\n"); got != strings.Repeat("VALUE a 0 1\r\n3\r\nEND\r\n", 2) {
		t.Errorf("the rest of a line: %q", got)
	}
}
