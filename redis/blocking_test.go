package redis

import (
	"fmt"
	"testing"
)

// Who came first is served first, also when several elements come at once.
func TestBlockedAreServedInOrder(t *testing.T) {
	sv := newServer(t, Config{})
	var ws []*wire
	for range 20 {
		w := sv.dial()
		w.do("blpop b 0")
		ws = append(ws, w)
	}
	p := sv.dial()
	p.do("rpush b 0 1 2")
	for i := 3; i < 20; i++ {
		p.do(fmt.Sprintf("rpush b %d", i))
	}
	for range ws { // each that is served calls the next
		for _, w := range ws {
			w.pass()
		}
	}
	for i, w := range ws {
		n := fmt.Sprint(i)
		if got, want := string(w.out), fmt.Sprintf("*2\r\n$1\r\nb\r\n$%d\r\n%s\r\n", len(n), n); got != want {
			t.Errorf("client %d got %q, want %q", i, got, want)
		}
	}
	if len(sv.d.hub.board.lines) != 0 || sv.d.hub.wants.Load() != 0 {
		t.Errorf("left behind: %v", sv.d.hub.board.lines)
	}
}

// Who waits for another type than what comes does not keep it from those behind him.
func TestWhoWaitsForAnotherTypeIsPassedOver(t *testing.T) {
	sv := newServer(t, Config{})
	sorted, list, p := sv.dial(), sv.dial(), sv.dial()
	sorted.do("bzpopmin k 0")
	list.do("blpop k 0")
	p.do("rpush k 1")
	if got := list.hear(); got != "*2\r\n$1\r\nk\r\n$1\r\n1\r\n" {
		t.Fatalf("who waits for a list got %q", got)
	}
	list.do("blpop k 0")
	p.do("zadd k 1 m")
	if got := sorted.hear(); got != "*3\r\n$1\r\nk\r\n$1\r\nm\r\n$1\r\n1\r\n" {
		t.Fatalf("who waits for a sorted set got %q", got)
	}
}

// Nothing is popped for a client that has gone, and whoever waits behind it is served.
func TestNothingIsPoppedForWhoHasGone(t *testing.T) {
	sv := newServer(t, Config{})
	gone, next, p := sv.dial(), sv.dial(), sv.dial()
	gone.do("blpop k 0")
	next.do("blpop k 0")
	p.do("rpush k 1") // gone is called, and leaves before it is processed
	gone.session.Close()
	if got := next.hear(); got != "*2\r\n$1\r\nk\r\n$1\r\n1\r\n" {
		t.Fatalf("the next one got %q", got)
	}
	p.expect("llen k", ":0\r\n")
}

func TestClientUnblock(t *testing.T) {
	sv := newServer(t, Config{})
	a, b := sv.dial(), sv.dial()
	for _, c := range []struct{ how, want string }{
		{"", "*-1\r\n"}, {" timeout", "*-1\r\n"}, {" error", "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n"},
	} {
		a.do("blpop k 0")
		b.expect(fmt.Sprintf("client unblock %d%s", a.id, c.how), ":1\r\n")
		b.expect(fmt.Sprintf("client unblock %d%s", a.id, c.how), ":0\r\n")
		if got := a.hear(); got != c.want {
			t.Errorf("unblocked%s: %q", c.how, got)
		}
	}
	a.do("client reply off")
	a.do("blpop k 0")
	b.do("rpush k 1")
	if got := a.hear(); got != "" {
		t.Errorf("a client that wants no replies got %q", got)
	}
}

// What is sent behind a command that waits is answered behind it.
func TestPipelineBehindABlockedCommand(t *testing.T) {
	sv := newServer(t, Config{})
	a, b := sv.dial(), sv.dial()
	if got := a.ask(encode("set x 1") + encode("blpop k 0") + encode("get x") + encode("incr x")); got != "+OK\r\n" {
		t.Fatalf("before: %q", got)
	}
	b.do("rpush k 1")
	if got := a.hear(); got != "*2\r\n$1\r\nk\r\n$1\r\n1\r\n$1\r\n1\r\n:2\r\n" {
		t.Fatalf("behind: %q", got)
	}
}

// Who comes too late for one of its keys is served from another that has had something all the while.
func TestBlockedLooksAtItsOtherKeys(t *testing.T) {
	sv := newServer(t, Config{})
	w, p := sv.dial(), sv.dial()
	w.do("blpop a b 0")
	p.in = []byte(encode("rpush a 1") + encode("rpush b 2"))
	p.process()
	sv.engine.Flush()
	p.in = []byte(encode("lpop a")) // comes before w's pop of a
	p.process()
	w.process()
	sv.engine.Flush()
	if got := w.hear(); got != "*2\r\n$1\r\nb\r\n$1\r\n2\r\n" {
		t.Fatalf("got %q", got)
	}
}
