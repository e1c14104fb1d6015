package redis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/engine"
	"holdfast/engine/enginetest"
	"holdfast/op"
)

// countingEngine counts the reads.
type countingEngine struct {
	*enginetest.Engine
	reads int
}

func (c *countingEngine) Read(r op.Read, s engine.Reader) bool {
	c.reads++
	return c.Engine.Read(r, s)
}

func get(key string) string { return fmt.Sprintf("*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", len(key), key) }

// Pipelined GETs are answered as single ones are, in fewer reads.
func TestPipelinedGets(t *testing.T) {
	sv := newServer(t, Config{})
	e := &countingEngine{Engine: sv.engine}
	c := sv.dialOver(e)
	c.ask("SET a 1\r\nHSET h f v\r\nSET long " + strings.Repeat("x", 5000) + "\r\nSET soon gone PX 50\r\n")
	keys := []string{"a", "h", "", "nothing", "long", "soon", "a", "\r\n$3"}
	for range 3 {
		keys = append(keys, keys...)
	}
	for _, proto := range []string{"2", "3"} {
		c.ask("HELLO " + proto + "\r\n")
		pipeline, want := "", ""
		for _, k := range keys {
			pipeline += get(k)
			want += c.ask("get \"" + strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(k) + "\"\r\n")
		}
		e.reads = 0
		if got := c.ask(pipeline + "PING\r\n"); got != want+"+PONG\r\n" {
			t.Fatalf("got\n%q\nwant\n%q", got, want)
		}
		if most := len(keys)/maxGets + 1; e.reads > most {
			t.Errorf("%d reads for %d GETs, at most %d are wanted", e.reads, len(keys), most)
		}
	}
	sv.engine.Advance(60 * time.Millisecond)
	if got := c.ask(get("a") + get("soon") + get("a")); got != "$1\r\n1\r\n_\r\n$1\r\n1\r\n" {
		t.Errorf("with an expired key: %q", got)
	}
}

// A GET behind a write of its own connection sees it; an incomplete one at the end of a run waits for its rest.
func TestPipelinedGetsKeepTheirPlace(t *testing.T) {
	c := newServer(t, Config{}).dial()
	if got := c.ask("SET a 1\r\n" + get("a") + get("a") + "SET a 2\r\n" + get("a") + get("a") + get("a")[:18]); got != "+OK\r\n$1\r\n1\r\n$1\r\n1\r\n+OK\r\n$1\r\n2\r\n$1\r\n2\r\n" {
		t.Errorf("got %q", got)
	}
	if got := c.ask(get("a")[18:] + get("a") + "MULTI\r\n" + get("a") + get("a") + "EXEC\r\n"); got != "$1\r\n2\r\n$1\r\n2\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n$1\r\n2\r\n$1\r\n2\r\n" {
		t.Errorf("got %q", got)
	}
	if got := c.ask("CLIENT REPLY SKIP\r\n" + get("a") + get("a")); got != "$1\r\n2\r\n" {
		t.Errorf("with a reply skipped: %q", got)
	}
}

// Replies are written out before they take more than about highWater, however large the values of one read are together.
func TestPipelinedGetsOfLargeValues(t *testing.T) {
	c := newServer(t, Config{}).dial()
	size := highWater / 2
	c.ask("*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$" + fmt.Sprint(size) + "\r\n" + strings.Repeat("v", size) + "\r\n")
	c.in = []byte(strings.Repeat(get("b"), 10))
	_, out, next := c.session.Process(c.in, nil)
	if len(out) > 2*highWater || next != 1 {
		t.Errorf("one Process replied %d bytes, next %d", len(out), next)
	}
	d := newServer(t, Config{}).dial()
	if got := d.ask(strings.Repeat(get("b"), 10)); got != strings.Repeat("$-1\r\n", 10) {
		t.Errorf("got %q", got)
	}
}
