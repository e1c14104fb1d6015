package redis

import (
	"testing"
	"time"
)

// While a pause is for all, nothing is answered but CLIENT UNPAUSE; its time ends it, and a second pause cannot make it shorter.
func TestPauseOfAll(t *testing.T) {
	sv := newServer(t, Config{})
	a, b := sv.dial(), sv.dial()
	held := func(want bool) {
		t.Helper()
		if got := b.do("client info"); (got == "") != want {
			t.Fatalf("held %v: %q", want, got)
		}
	}
	a.expect("client pause 100", "+OK\r\n")
	held(true)
	a.expect("client unpause", "+OK\r\n")
	if got := b.hear(); got == "" {
		t.Fatal("not woken")
	}
	held(false)
	a.expect("client pause 100 all", "+OK\r\n")
	held(true)
	a.expect("client unpause", "+OK\r\n")
	b.hear()
	a.expect("client pause 9223372036854775807", "-ERR timeout is out of range\r\n")
	a.expect("client pause 200 write", "+OK\r\n")
	a.expect("client pause 1 all", "+OK\r\n")
	b.out = nil
	b.in = append(b.in, encode("get k")+encode("set k v")+encode("get k")...)
	b.process()
	sv.engine.Advance(100 * time.Millisecond)
	a.due()
	if got := b.hear(); got != "" {
		t.Fatalf("heard %q", got)
	}
	sv.engine.Advance(100 * time.Millisecond)
	a.due()
	if got, want := b.hear(), "$-1\r\n+OK\r\n$1\r\nv\r\n"; got != want {
		t.Fatalf("%q, want %q", got, want)
	}
	a.expect("client pause 0", "+OK\r\n")
	a.due()
	held(false)
}

// Who goes while a pause holds it up is forgotten.
func TestPausedClientGoes(t *testing.T) {
	sv := newServer(t, Config{})
	a, b, c := sv.dial(), sv.dial(), sv.dial()
	a.expect("client pause 100000 write", "+OK\r\n")
	for _, w := range []*wire{b, c} {
		if got := w.do("set k v"); got != "" || !w.session.Patient() {
			t.Fatalf("%q, patient %v", got, w.session.Patient())
		}
	}
	b.session.Close()
	if n := sv.d.alert.held(); n != 1 {
		t.Errorf("%d are held up", n)
	}
	a.do("client kill id 3")
	if c.pass(); !c.closed {
		t.Error("not killed")
	}
	if n := sv.d.alert.held(); n != 0 {
		t.Errorf("%d are held up", n)
	}
	a.expect("client unpause", "+OK\r\n")
}

// Nothing of the pipelined GETs' short cut passes a pause.
func TestPauseOfPipelinedGets(t *testing.T) {
	sv := newServer(t, Config{})
	a, b := sv.dial(), sv.dial()
	a.do("client pause 100000")
	if got := b.ask("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"); got != "" {
		t.Fatalf("%q", got)
	}
	a.do("client unpause")
	if got := b.hear(); got != "$-1\r\n$-1\r\n" {
		t.Fatalf("%q", got)
	}
}
