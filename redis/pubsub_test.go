package redis

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast/op"
)

// hear returns what came unasked.
func (w *wire) hear() string {
	w.t.Helper()
	w.out = nil
	w.pass()
	return string(w.out)
}

// TestOraclePush sends the lines of testdata/push.txt to a real Redis and here, over several connections, and compares what each of them gets for each
// line: answers and what comes unasked, in any order. A line begins with the number of its connection; "!" before it says that it is known to differ. A section
// begins with fresh connections to empty servers; the numbers from 5 on speak RESP3. Commands with " ; " between them are sent together. A number alone lets so many ms pass here.
func TestOraclePush(t *testing.T) {
	addr := startRedis(t)
	text, err := os.ReadFile("testdata/push.txt")
	if err != nil {
		t.Fatal(err)
	}
	for i, sec := range strings.Split(string(text), "\n\n") {
		comparePushes(t, addr, fmt.Sprintf("section %d", i+1), sec)
	}
}

func comparePushes(t *testing.T, addr, name, sec string) {
	sv := newServer(t, Config{})
	peers, wires := map[byte]*peer{}, map[byte]*wire{}
	first := dialPeer(t, addr)
	defer first.Close()
	for _, c := range []string{"flushall", "config set notify-keyspace-events ''"} {
		first.ask(t, encode(c))
	}
	for _, line := range strings.Split(sec, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if ms, err := strconv.Atoi(line); err == nil {
			sv.engine.Advance(time.Duration(ms) * time.Millisecond)
			continue
		}
		differs := line[0] == '!'
		line = strings.TrimPrefix(line, "!")
		c, command := line[0], line[2:]
		if peers[c] == nil {
			peers[c], wires[c] = dialPeer(t, addr), sv.dial()
			defer peers[c].Close()
			if c >= '5' {
				peers[c].ask(t, encode("hello 3"))
				wires[c].do("hello 3")
			}
		}
		for _, w := range wires {
			w.out = nil
		}
		var text string
		for _, one := range strings.Split(command, " ; ") {
			text += encode(one)
		}
		fmt.Fprint(peers[c], text)
		wires[c].send(text)
		same := true
		for range wires { // who is served may call another
			for _, w := range wires {
				w.settle()
			}
		}
		others := slices.DeleteFunc(slices.Collect(maps.Keys(peers)), func(n byte) bool { return n == c })
		for _, n := range append([]byte{c}, others...) { // first whose line it is: what it does is done then
			p := peers[n]
			wires[n].pass()
			got := frames(string(wires[n].out))
			var want []string
			switch {
			case wires[n].session.blocked.Load() != nil, wires[n].session.paused:
			case wires[n].session.multi == nil:
				want = p.until(t, line, fmt.Sprintf("~%c~", n))
			case n == c: // a PING would be queued
				want = []string{p.one(t, line)}
			}
			wires[n].out = nil
			if !slices.Equal(want, got) {
				if same = false; !differs {
					t.Errorf("%s: %s: connection %c\nRedis    %q\nHoldfast %q", name, line, n, want, got)
				}
			}
		}
		if same && differs {
			t.Errorf("%s: %s: does not differ any more", name, line)
		}
	}
}

// one reads one reply.
func (p *peer) one(t *testing.T, line string) string {
	var b bytes.Buffer
	p.SetDeadline(time.Now().Add(5 * time.Second))
	if err := readReply(p.r, &b); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return b.String()
}

// until reads all that comes before the answer to a PING with mark, sorted.
func (p *peer) until(t *testing.T, line, mark string) (list []string) {
	fmt.Fprintf(p, "*2\r\n$4\r\nPING\r\n$%d\r\n%s\r\n", len(mark), mark)
	for {
		reply := p.one(t, line)
		if strings.Contains(reply, mark) {
			slices.Sort(list)
			return list
		}
		list = append(list, reply)
	}
}

// frames takes replies apart, sorted.
func frames(s string) (list []string) {
	r := bufio.NewReader(strings.NewReader(s))
	for {
		var b bytes.Buffer
		if readReply(r, &b) != nil {
			slices.Sort(list)
			return list
		}
		list = append(list, b.String())
	}
}

func TestMessagesInOrder(t *testing.T) {
	sv := newServer(t, Config{})
	a, b := sv.dial(), sv.dial()
	a.do("subscribe c")
	a.do("psubscribe *")
	for i := range 100 {
		b.expect(fmt.Sprintf("publish c %d", i), ":2\r\n")
	}
	got := a.hear()
	for i := range 100 {
		for _, form := range []string{"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n%s", "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n%s"} {
			n := fmt.Sprint(i)
			want := fmt.Sprintf(form, fmt.Sprintf("$%d\r\n%s\r\n", len(n), n))
			if !strings.HasPrefix(got, want) {
				t.Fatalf("message %d: %.80q", i, got)
			}
			got = got[len(want):]
		}
	}
	if got != "" {
		t.Fatalf("and then %q", got)
	}
}

// Nothing comes behind the answer to an unsubscription.
func TestUnsubscribedHearsNoMore(t *testing.T) {
	sv := newServer(t, Config{})
	a, b := sv.dial(), sv.dial()
	a.do("subscribe c")
	b.do("publish c 1")
	a.expect("unsubscribe", "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\n1\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n")
	b.expect("publish c 2", ":0\r\n")
	if got := a.hear(); got != "" {
		t.Fatalf("heard %q", got)
	}
	if w := sv.d.hub.wants.Load(); w != 0 {
		t.Errorf("nobody listens, but %b is noted", w)
	}
}

// Who does not take what it listens to is dropped, and costs no more than the bound.
func TestSlowListenerIsDropped(t *testing.T) {
	sv := newServer(t, Config{})
	a, b := sv.dial(), sv.dial()
	a.do("subscribe c")
	big := strings.Repeat("x", 1<<20)
	n := 0
	for ; n <= maxInbox>>20+1; n++ {
		b.ask(fmt.Sprintf("*3\r\n$7\r\npublish\r\n$1\r\nc\r\n$%d\r\n%s\r\n", len(big), big))
	}
	if q := sv.d.hub.queued.Load(); q != 0 {
		t.Errorf("%d bytes are kept for it", q)
	}
	a.hear()
	if !a.closed {
		t.Fatal("it is still there")
	}
	b.expect("publish c 1", ":0\r\n")
	b.expect("pubsub channels", "*0\r\n")
}

func TestMissedEndsListening(t *testing.T) {
	sv := newServer(t, Config{})
	a, b := sv.dial(), sv.dial()
	a.do("subscribe c")
	sv.d.Watcher().Missed()
	a.hear()
	if b.hear(); !a.closed || b.closed {
		t.Fatalf("who listens is gone: %v; who does not: %v", a.closed, b.closed)
	}
}

func TestEventsAreNotedOnlyForListeners(t *testing.T) {
	sv := newServer(t, Config{})
	a := sv.dial()
	a.do("config set notify-keyspace-events KEA")
	for _, c := range []struct {
		subscribe string
		wants     uint32
	}{
		{"subscribe news", wantMessages},
		{"psubscribe news*", wantMessages},
		{"subscribe __keyspace@0__:x", wantMessages | wantEvents},
		{"psubscribe __key*", wantMessages | wantEvents},
		{"psubscribe *", wantMessages | wantEvents},
		{"psubscribe _?key*", wantMessages | wantEvents},
		{"ssubscribe __keyspace@0__:x", wantMessages},
	} {
		w := sv.dial()
		w.do(c.subscribe)
		if got := sv.d.hub.wants.Load(); got != c.wants {
			t.Errorf("%s: %b is noted, want %b", c.subscribe, got, c.wants)
		}
		w.session.Close()
	}
	if note := sv.d.hub.Note(nil, &op.Change{Key: op.Key{Name: []byte("k")}, Op: &op.Set{}, Events: 1<<32 - 1}); note != nil {
		t.Errorf("noted %q for nobody", note)
	}
}

// Every op that writes has a name for what it does to a key, or is told to have none.
func TestEveryWriteHasAnEvent(t *testing.T) {
	none := []op.Kind{op.KindCount, op.KindDelete, op.KindFlush, op.KindTx, op.KindEvict, op.KindConfigure, op.KindPublish, op.KindNotify,
		op.KindClaim, op.KindOutdate}
	for _, o := range op.Kinds() {
		w, ok := o.(op.Write)
		if !ok || slices.Contains(none, o.Kind()) {
			continue
		}
		if b := noteEvents(nil, &op.Change{Op: w, Events: 1<<32 - 1}); len(b) == 0 {
			t.Errorf("%T has no event", w)
		}
	}
	for i, e := range events {
		if numbered[e.name] != byte(i) {
			t.Errorf("two events are named %s", e.name)
		}
	}
}

// A key that a RENAME finds to be dead has expired, and was not moved.
func TestExpiryInARename(t *testing.T) {
	h := &New(Config{}).hub
	h.wants.Store(wantEvents)
	from, to := op.Key{Name: []byte("a")}, op.Key{Name: []byte("b")}
	for _, k := range []op.Key{from, to} {
		c := op.Change{How: op.Expired, Key: k, Events: 1<<32 - 1}
		want := h.Note(nil, &c)
		c.Op = &op.Rename{From: from, To: to}
		if got := h.Note(nil, &c); len(got) != len(want) {
			t.Errorf("%s: noted %q, want as %q", k.Name, got, want)
		}
	}
}

// What is too much for all inboxes together is not taken because it is one message.
func TestLargeMessagesAreBoundedTogether(t *testing.T) {
	sv := newServer(t, Config{})
	var all []*wire
	for range 4 {
		w := sv.dial()
		w.do("subscribe c")
		all = append(all, w)
	}
	big := make([]byte, maxInboxes/3)
	sv.d.hub.board.mu.Lock()
	sv.d.hub.bring(toChannels, []byte("c"), big)
	sv.d.hub.board.mu.Unlock()
	if q := sv.d.hub.queued.Load(); q > maxInboxes {
		t.Errorf("%d bytes are kept", q)
	}
	for _, w := range all {
		w.session.Close()
	}
	if q := sv.d.hub.queued.Load(); q != 0 {
		t.Errorf("%d bytes are left", q)
	}
}
