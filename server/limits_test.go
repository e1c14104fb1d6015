package server

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// A client that does not read is not processed any further, costs one reply, delays nobody, and is dropped in the end.
func TestNeverReads(t *testing.T) {
	each(t, func(r *rig) {
		c := r.dial()
		c.say("echo a\n")
		c.hear("a")
		go io.WriteString(c, strings.Repeat("big 60000\n", 100_000)) // 6 GB, if it were read
		other := r.dial()
		for range 200 {
			other.say("big 1000\n")
			other.hear(strings.Repeat("x", 1000))
		}
		if n := r.Stats().Buffered; n > 2<<20 {
			t.Errorf("%d bytes are buffered for one client", n)
		}
		for range stallBeats + 2 {
			r.pulse()
			other.say("echo b\n") // so that each pulse is attended to, and other is not idle
			other.hear("b")
		}
		for len(r.dropped) == 0 {
			r.pulse() // the socket may have taken something after the first
			other.say("echo b\n")
			other.hear("b")
		}
		if s := await(t, r.world.closed, "the session's end"); s.conn.RemoteAddr() == "" {
			t.Error("no address")
		}
	})
}

func TestOutputLimit(t *testing.T) {
	each(t, func(r *rig) {
		c := r.dial()
		c.say("big 20000000\n")
		await(t, r.dropped, "the drop")
		await(t, r.world.closed, "the session's end")
		if r.Stats().Dropped != 1 {
			t.Error("not counted")
		}
	}, func(c *Config) { c.OutputLimit = 1 << 20 })
}

func TestInputLimit(t *testing.T) {
	each(t, func(r *rig) {
		c := r.dial()
		c.say("take 90000\n%90000d", 1)
		c.hear("took 90000")
		c.say("echo before\ntake 100001\n")
		await(t, r.dropped, "the drop")
		c.hear("before")
		c.hear("too large")
		c.end()
	}, func(c *Config) { c.InputLimit = 100_000 })
}

func TestBufferLimit(t *testing.T) {
	each(t, func(r *rig) {
		for range 4 {
			go fmt.Fprintf(r.dial(), "take 450000\n%400000d", 1)
		}
		if reason := await(t, r.dropped, "the drop"); !strings.Contains(reason, "buffer limit") {
			t.Error(reason)
		}
	}, func(c *Config) { c.BufferLimit = 1 << 20 })
}

// Who announces much and sends little gets little.
func TestAnnounced(t *testing.T) {
	each(t, func(r *rig) {
		for range 20 {
			c := r.dial()
			c.say("take 500000000\nabc")
			if n := await(t, r.world.wanting, "the announcement"); n < 500_000_000 {
				t.Fatal(n)
			}
		}
		if n := r.Stats().Buffered; n > 20*inputStep {
			t.Errorf("%d bytes are buffered", n)
		}
	})
}

func TestMaxClients(t *testing.T) {
	each(t, func(r *rig) {
		a, b := r.dial(), r.dial()
		for _, c := range []*client{a, b} {
			c.say("echo a\n")
			c.hear("a")
		}
		c := r.dial()
		if !strings.HasSuffix(r.driver, "tls") {
			c.hear("full")
		}
		c.end()
		if s := r.Stats(); s.Connections != 2 || s.Refused != 1 || s.Accepted != 2 {
			t.Errorf("%+v", s)
		}
		a.Conn.Close()
		await(t, r.world.closed, "the session's end")
		d := r.dial()
		d.say("echo d\n")
		d.hear("d")
	}, func(c *Config) { c.MaxClients = 2 })
}

func TestIdle(t *testing.T) {
	each(t, func(r *rig) {
		idle, parked, busy := r.dial(), r.dial(), r.dial()
		idle.say("echo a\n")
		idle.hear("a")
		parked.say("never\n")
		s := await(t, r.world.parked, "the parked session")
		for len(r.dropped) == 0 {
			r.pulse()
			busy.say("echo b\n")
			busy.hear("b")
		}
		idle.end()
		s.ready.Store(true)
		s.wake()
		parked.hear("")
		busy.say("echo b\n")
		busy.hear("b")
		if n := r.Stats().Dropped; n != 1 {
			t.Error(n, "dropped")
		}
	}, func(c *Config) { c.IdleTimeout = 1500 * time.Second }) // so many beats that the ticker's own do not matter
}
