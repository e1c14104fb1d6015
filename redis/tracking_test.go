package redis

import (
	"fmt"
	"testing"
	"time"

	"holdfast/op"
)

func invalidation(key string) string {
	return fmt.Sprintf(">2\r\n$10\r\ninvalidate\r\n*1\r\n$%d\r\n%s\r\n", len(key), key)
}

func tracker(sv *server, options string) *wire {
	w := sv.dial()
	w.do("hello 3")
	w.expect("client tracking on"+options, "+OK\r\n")
	return w
}

// A change that is applied after the read is told, whatever comes first to the session.
func TestTrackedReadIsToldOfEveryLaterChange(t *testing.T) {
	sv := newServer(t, Config{})
	a, b := tracker(sv, ""), sv.dial()
	for i := range 100 {
		if i > 0 {
			a.expect("get k", fmt.Sprintf("$%d\r\n%d\r\n", len(fmt.Sprint(i-1)), i-1))
		} else {
			a.expect("get k", "_\r\n")
		}
		b.do(fmt.Sprintf("set k %d", i))
		if got := a.hear(); got != invalidation("k") {
			t.Fatalf("heard %q", got)
		}
	}
}

// What EXEC read is kept, and told as changed when it was changed before the reply was written.
func TestTrackedTransactionIsToldBehindItsReply(t *testing.T) {
	sv := newServer(t, Config{})
	a, b := tracker(sv, ""), sv.dial()
	b.do("set k 1")
	a.out = nil
	a.in = []byte(encode("multi") + encode("get k") + encode("exec"))
	a.process()
	b.in = []byte(encode("set k 2"))
	b.process()
	sv.engine.Flush()
	a.pass()
	if got, want := string(a.out), "+OK\r\n+QUEUED\r\n*1\r\n$1\r\n1\r\n"+invalidation("k"); got != want {
		t.Fatalf("heard %q, want %q", got, want)
	}
}

func TestTrackedExpiry(t *testing.T) {
	sv := newServer(t, Config{})
	a, b := tracker(sv, ""), sv.dial()
	b.do("psetex k 10 v")
	a.expect("get k", "$1\r\nv\r\n")
	sv.engine.Advance(20 * time.Millisecond)
	sv.engine.Flush()
	if got := a.hear(); got != invalidation("k") {
		t.Fatalf("heard %q", got)
	}
}

// A change that was before the read is not told, though its word comes later; unless there is something that was read before it.
func TestTrackedReadDoesNotHearOfEarlierChanges(t *testing.T) {
	sv := newServer(t, Config{})
	a := tracker(sv, "")
	key := op.Key{Name: []byte("k")}
	note := func() []byte { return sv.d.Watcher().Note(nil, &op.Change{Key: key, Op: &op.Set{Key: key}}) }
	before := note()
	a.do("get k")
	sv.d.Watcher().Tell(before, nil)
	if got := a.hear(); got != "" {
		t.Fatalf("heard %q", got)
	}
	after := note()
	a.do("strlen k")
	sv.d.Watcher().Tell(after, nil)
	if got := a.hear(); got != invalidation("k") {
		t.Fatalf("heard %q", got)
	}
}

// When the member cannot hear of changes any more, or did not hear of some, everything has changed.
func TestTrackedAllIsOutOfDate(t *testing.T) {
	const all = ">2\r\n$10\r\ninvalidate\r\n_\r\n"
	sv := newServer(t, Config{})
	a, c, b := tracker(sv, ""), tracker(sv, " bcast"), sv.dial()
	a.do("get k")
	for _, f := range []func(){sv.d.Watcher().Stale, sv.d.Watcher().Missed} {
		if f(); a.hear() != all || c.hear() != all {
			t.Fatal("not told")
		}
	}
	b.do("set k 1")
	if got := a.hear(); got != "" {
		t.Fatalf("of what it does not keep any more it heard %q", got)
	}
}

// The older protocol is told through another connection.
func TestTrackingRedirected(t *testing.T) {
	sv := newServer(t, Config{})
	data, news, b := sv.dial(), sv.dial(), sv.dial()
	news.do("subscribe __redis__:invalidate")
	data.expect(fmt.Sprintf("client tracking on redirect %d", news.id), "+OK\r\n")
	data.expect("client getredir", fmt.Sprintf(":%d\r\n", news.id))
	data.do("get k")
	b.do("set k 1")
	if got := news.hear(); got != "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\nk\r\n" {
		t.Fatalf("heard %q", got)
	}
	b.do("flushall")
	if got := news.hear(); got != "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n" {
		t.Fatalf("heard %q", got)
	}
	data.do("hello 3")
	data.do("get k")
	news.session.Close()
	b.do("set k 2")
	if got := data.hear(); got != fmt.Sprintf(">2\r\n$21\r\ntracking-redir-broken\r\n:%d\r\n", news.id) {
		t.Fatalf("heard %q", got)
	}
}

// What is kept for clients does not outlast them.
func TestTrackingEnds(t *testing.T) {
	sv := newServer(t, Config{})
	a := tracker(sv, "")
	for i := range 1000 {
		a.do(fmt.Sprintf("get k%d", i))
	}
	a.session.Close()
	if r := &sv.d.hub.board.readers; len(r.cached) != 0 || len(r.tracked) != 0 || sv.d.hub.wants.Load() != 0 {
		t.Errorf("left behind: %d keys, %d clients", len(r.cached), len(r.tracked))
	}
}

func TestTrackingPrefixesAreBounded(t *testing.T) {
	w := newServer(t, Config{}).dial()
	w.do("hello 3")
	prefixes := func(from, n int) (line string) {
		for i := range n {
			line += fmt.Sprintf(" prefix %04d:", from+i)
		}
		return "client tracking on bcast" + line
	}
	w.expect(prefixes(0, maxPrefixes+1), "-"+string(errPrefixes)+"\r\n")
	w.expect(prefixes(0, maxPrefixes), ok)
	w.expect(prefixes(maxPrefixes, 1), "-"+string(errPrefixes)+"\r\n")
}

// What came while the client had nothing under way comes before the reply to what it asks next, even if it is looked at together with that.
func TestToldBeforeTheNextReply(t *testing.T) {
	sv := newServer(t, Config{})
	a, b := tracker(sv, ""), sv.dial()
	a.do("get k")
	b.do("set k 1")
	if got, want := a.do("ping"), invalidation("k")+"+PONG\r\n"; got != want {
		t.Fatalf("heard %q, want %q", got, want)
	}
}
