package memcache

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/engine"
	"holdfast/engine/enginetest"
	"holdfast/op"
	"holdfast/users"
)

// client is a connection without a network, on a worker of its own.
type client struct {
	e      *enginetest.Engine
	s      *Session
	in     []byte
	woken  bool
	parked bool
	closed bool
}

func (c *client) Wake()              { c.woken = true }
func (c *client) ID() uint64         { return 7 }
func (c *client) RemoteAddr() string { return "127.0.0.1:40000" }
func (c *client) LocalAddr() string  { return "127.0.0.1:11211" }

func newClient(conf Config) *client { return New(conf).client(enginetest.New()) }

func (d *Dialect) client(e *enginetest.Engine) *client {
	c := &client{e: e}
	c.s = d.Session(e, c)
	return c
}

// send does what the server and its worker do when b has come, and returns the replies.
func (c *client) send(b string) string {
	c.in = append(c.in, b...)
	var out []byte
	for !c.closed {
		c.woken = false
		out = c.process(out)
		c.e.Flush()
		if !c.woken {
			break
		}
	}
	return string(out)
}

// process lets the session have its input until it wants something else.
func (c *client) process(out []byte) []byte {
	for {
		used, reply, next := c.s.Process(c.in, out)
		c.in, out, c.parked = c.in[used:], reply, next == 0
		if next < 0 {
			c.closed = true
			c.s.Close()
		}
		if next <= 0 || len(c.in) < next {
			return out
		}
	}
}

// lines makes a transcript readable: \n stands for \r\n.
func lines(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func TestTranscripts(t *testing.T) {
	for _, tt := range []struct{ name, send, want string }{
		{"set and get", "set a 7 0 3\nabc\nget a\n", "STORED\nVALUE a 7 3\nabc\nEND\n"},
		{"trailing blanks", "set a 7 0 3 \nabc\nget a \ndelete a \n", "STORED\nVALUE a 7 3\nabc\nEND\nDELETED\n"},
		{"pipeline", "set a 0 0 1\n1\nset b 0 0 1\n2\nadd a 0 0 1\n3\nget a b c\ndelete a\ndelete a\n",
			"STORED\nSTORED\nNOT_STORED\nVALUE a 0 1\n1\nVALUE b 0 1\n2\nEND\nDELETED\nNOT_FOUND\n"},
		{"noreply in order", "set a 0 0 1 noreply\n1\nadd a 0 0 1 noreply\n2\nget a\ndelete a noreply\nget a\n", "VALUE a 0 1\n1\nEND\nEND\n"},
		{"noreply hides errors", "set a 0 0 x noreply\nincr a x noreply\ndelete a 1 noreply\ntouch a x noreply\nflush_all x noreply\nmn\n", "MN\n"},
		{"delete with a time", "set a 0 0 1\n1\ndelete a 0\n", "STORED\nDELETED\n"},
		{"negative exptime", "set a 0 -1 1\n1\nget a\nset a 0 4294967295 1\n1\nget a\n", "STORED\nEND\nSTORED\nEND\n"},
		{"no key too long", "get " + strings.Repeat("k", 251) + "\nget a " + strings.Repeat("k", 251) + " b\n", badFormat + "\n" + badFormat + "\n"},
		{"quit", "set a 0 0 1\n1\nquit\nget a\n", "STORED\n"},
		{"counter", "set n 3 0 2\n10\nincr n 5\ndecr n 100\nincr n 18446744073709551615\nincr n 1\nincr x 1\nget n\n",
			"STORED\n15\n0\n18446744073709551615\n0\nNOT_FOUND\nVALUE n 3 1\n0\nEND\n"},
		{"touch", "touch a 0\nset a 0 0 1\n1\ntouch a 0\ntouch a 100\ntouch a 0\ntouch a -1\nget a\n",
			"NOT_FOUND\nSTORED\nTOUCHED\nTOUCHED\nTOUCHED\nTOUCHED\nEND\n"},
		{"gat", "set a 1 0 1\n1\nset b 2 0 1\n2\ngat 100 a x b\ngat 0\ngat\n", "STORED\nSTORED\nVALUE a 1 1\n1\nVALUE b 2 1\n2\nEND\nEND\nERROR\n"},
		{"browser", "GET / HTTP/1.1\nget a\n", ""},
		{"closed only behind writes", "set a 0 0 1\n1\nGET / HTTP/1.1\n", "STORED\n"},
		{"a long line behind a write", "set a 0 0 1\n1\n" + strings.Repeat("x", maxLine+1), "STORED\n"},
		{"binary protocol", "\x80\x00get a\n", ""},
		{"bad chunk", "set a 0 0 1\n12\nmn\n", "CLIENT_ERROR bad data chunk\nERROR\nMN\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := newClient(Config{}).send(lines(tt.send)); got != lines(tt.want) {
				t.Errorf("sent %q\n got %q\nwant %q", lines(tt.send), got, lines(tt.want))
			}
		})
	}
}

func TestExpiry(t *testing.T) {
	c := newClient(Config{})
	now := enginetest.Start.Unix()
	c.send(fmt.Sprintf("set a 0 10 1\r\n1\r\nset b 0 %d 1\r\n2\r\nset c 0 2592000 1\r\n3\r\nset d 0 2592001 1\r\n4\r\n", now+20))
	if got, want := c.send("get a b c d\r\n"), lines("VALUE a 0 1\n1\nVALUE b 0 1\n2\nVALUE c 0 1\n3\nEND\n"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	c.e.Advance(10*time.Second + time.Millisecond) // deadlines are rounded up
	if got, want := c.send("get a b\r\n"), lines("VALUE b 0 1\n2\nEND\n"); got != want {
		t.Errorf("after 10 s: %q, want %q", got, want)
	}
	c.send("touch b 60\r\ngat 60 c\r\n")
	c.e.Advance(50 * time.Second)
	if got, want := c.send("get b c\r\n"), lines("VALUE b 0 1\n2\nVALUE c 0 1\n3\nEND\n"); got != want {
		t.Errorf("touched: %q, want %q", got, want)
	}
	c.e.Advance(15 * time.Second)
	if got, want := c.send("get b c\r\n"), "END\r\n"; got != want {
		t.Errorf("after the touched time: %q, want %q", got, want)
	}
}

func TestCas(t *testing.T) {
	d, e := New(Config{}), enginetest.New()
	c, other := d.client(e), d.client(e)
	c.send("set a 0 0 1\r\n1\r\n")
	unique := func() (n uint64) {
		got := c.send("gets a\r\n")
		if _, err := fmt.Sscanf(got, "VALUE a 0 1 %d\r\n", &n); err != nil {
			t.Fatalf("gets: %q: %v", got, err)
		}
		return n
	}
	n := unique()
	if got := c.send(fmt.Sprintf("cas a 0 0 1 %d\r\n2\r\n", n)); got != "STORED\r\n" {
		t.Errorf("cas: %q", got)
	}
	if got := c.send(fmt.Sprintf("cas a 0 0 1 %d\r\n2\r\n", n)); got != "EXISTS\r\n" {
		t.Errorf("the same again: %q", got)
	}
	n = unique()
	other.send("set a 0 0 1\r\n3\r\n")
	if got := c.send(fmt.Sprintf("cas a 0 0 1 %d\r\n2\r\n", n)); got != "EXISTS\r\n" {
		t.Errorf("after another's set: %q", got)
	}
	if got := c.send("cas b 0 0 1 1\r\n2\r\n"); got != "NOT_FOUND\r\n" {
		t.Errorf("of no key: %q", got)
	}
}

func TestManyKeys(t *testing.T) {
	const n = 3*maxBatch + 17
	c := newClient(Config{})
	var set, get, want strings.Builder
	get.WriteString("get")
	for i := range n {
		fmt.Fprintf(&set, "set key-%d 0 0 4 noreply\r\n%04d\r\n", i, i)
		fmt.Fprintf(&get, " key-%d nokey-%d", i, i)
		fmt.Fprintf(&want, "VALUE key-%d 0 4\r\n%04d\r\n", i, i)
	}
	if got := c.send(set.String()); got != "" {
		t.Fatalf("noreply said %q", got)
	}
	want.WriteString("END\r\n")
	if got := c.send(get.String() + "\r\n"); got != want.String() {
		t.Errorf("%d bytes, want %d", len(got), want.Len())
	}
	if got := c.send(get.String() + " " + strings.Repeat("k", 251) + "\r\n"); got != badFormat+"\r\n" {
		t.Errorf("a key too long at the end: %d bytes beginning with %.60q", len(got), got)
	}
	gat := strings.Replace(get.String(), "get", "gat 100", 1)
	if got := c.send(gat + "\r\n"); got != want.String() {
		t.Errorf("gat: %d bytes, want %d", len(got), want.Len())
	}
	if got := c.send("get " + strings.Repeat("a ", maxKeyLine/2) + "\r\n"); got != "" || !c.closed {
		t.Errorf("a line over the limit: %.60q, closed %v", got, c.closed)
	}
}

// A short line must not ask for unbounded memory.
func TestReplyInSteps(t *testing.T) {
	c := newClient(Config{})
	value := strings.Repeat("v", 1<<20-100)
	c.send(fmt.Sprintf("set a 0 0 %d\r\n%s\r\n", len(value), value))
	c.in = []byte("get" + strings.Repeat(" a", 100) + "\r\n")
	var out []byte
	shown := 0
	for len(c.in) > 0 {
		used, reply, next := c.s.Process(c.in, out[:0])
		if len(reply) > oneState+len(value)+maxValueLine {
			t.Fatalf("%d bytes at once", len(reply))
		}
		shown += bytes.Count(reply, []byte("VALUE a 0 "))
		if c.in = c.in[used:]; len(c.in) > 0 && next != 1 {
			t.Fatalf("next is %d with a command unfinished", next)
		}
		if out = reply; next <= 0 {
			t.Fatalf("next is %d", next)
		}
	}
	if shown != 100 || !bytes.HasSuffix(out, []byte("END\r\n")) {
		t.Errorf("%d of 100 values, the end is %.10q", shown, out[max(0, len(out)-10):])
	}
}

func TestBigValueTellsItsSize(t *testing.T) {
	c := newClient(Config{})
	head := "set a 0 0 100000\r\n"
	used, reply, next := c.s.Process([]byte(head+"abc"), nil)
	if used != 0 || len(reply) != 0 || next != len(head)+100002 {
		t.Errorf("used %d, replied %q, next %d; want 0, nothing, %d", used, reply, next, len(head)+100002)
	}
}

func TestTooLarge(t *testing.T) {
	c := newClient(Config{MaxItem: 1000})
	set := func(verb, key string, flags, n int) string {
		return c.send(fmt.Sprintf("%s %s %d 0 %d\r\n%s\r\n", verb, key, flags, n, strings.Repeat("x", n)))
	}
	if got := set("set", "a", 0, 1000-itemOverhead-1); got != "STORED\r\n" {
		t.Errorf("the largest: %q", got)
	}
	if got := set("set", "b", 7, 1000-itemOverhead-1); got != objectTooLarge+"\r\n" {
		t.Errorf("with flags: %q", got)
	}
	if got := set("add", "c", 0, 100000) + c.send("mn\r\n"); got != objectTooLarge+"\r\nMN\r\n" {
		t.Errorf("too large: %q", got)
	}
	set("set", "a", 0, 1000)
	if got := c.send("get a\r\n"); got != "END\r\n" {
		t.Errorf("an item that its writer knows to be out of date is there: %.50q", got)
	}
	c.send("set d 0 0 5000 noreply\r\n")
	for range 10 {
		if got := c.send(strings.Repeat("get ", 125)); got != "" {
			t.Fatalf("data taken for commands: %q", got)
		}
	}
	if got := c.send("\r\nmn\r\n"); got != "MN\r\n" {
		t.Errorf("after the data: %q", got)
	}
}

func TestFlushAll(t *testing.T) {
	fill := "set :1:django.contrib.sessions.cacheabc 0 0 1\r\n1\r\nset token 0 0 1\r\n2\r\n"
	get := "get :1:django.contrib.sessions.cacheabc token\r\n"
	session, token := "VALUE :1:django.contrib.sessions.cacheabc 0 1\r\n1\r\n", "VALUE token 0 1\r\n2\r\n"
	for policy, want := range map[string]string{"cache": session, "": session, "all": "", "none": session + token} {
		c := newClient(Config{FlushAll: policy})
		if got := c.send(fill + "flush_all\r\n" + get); got != lines("STORED\nSTORED\nOK\n")+want+"END\r\n" {
			t.Errorf("%q: %q", policy, got)
		}
	}
	c := newClient(Config{FlushAll: "all"})
	if got := c.send(fill + "flush_all 30\r\n" + get); got != lines("STORED\nSTORED\nOK\n")+session+token+"END\r\n" {
		t.Errorf("before the delay: %q", got)
	}
	c.e.Advance(31 * time.Second)
	if got := c.send(get); got != "END\r\n" {
		t.Errorf("after the delay: %q", got)
	}
}

func TestUnavailable(t *testing.T) {
	c := newClient(Config{})
	c.send("set a 0 0 1\r\n1\r\n")
	c.e.Fail = engine.ErrUnavailable
	no := "SERVER_ERROR " + engine.ErrUnavailable.Error() + "\r\n"
	for send, want := range map[string]string{
		"set a 0 0 1\r\n2\r\n":               no,
		"set a 0 0 1 noreply\r\n2\r\nmn\r\n": "MN\r\n",
		"incr a 1\r\ndelete a\r\n":           no + no,
		"gat 10 a b c\r\nmn\r\n":             no + "MN\r\n",
		"flush_all\r\n":                      no,
		"set a 0 0 2000000\r\n" + string(make([]byte, 2000000)) + "\r\nmn\r\n": no + "MN\r\n",
	} {
		if got := c.send(send); got != want {
			t.Errorf("%.40q: got %q, want %q", send, got, want)
		}
	}
	c.e.Fail = fmt.Errorf("%w: c2 runs an older version", engine.ErrVersion)
	if got := c.send("set a 0 0 1\r\n2\r\n"); got != "SERVER_ERROR this command needs all controllers upgraded first: c2 runs an older version\r\n" || c.closed {
		t.Errorf("a write that is too new: %q, closed %v", got, c.closed)
	}
	c.e.Fail = engine.ErrUncertain
	if got := c.send("set a 0 0 1\r\n2\r\nset a 0 0 1\r\n3\r\nget a\r\n"); got != "" || !c.closed {
		t.Errorf("an uncertain outcome: %q, closed %v", got, c.closed)
	}
}

func TestOutOfMemory(t *testing.T) {
	c := newClient(Config{})
	c.e.Configure(&op.Configure{Budget: 1, Classes: [op.Spaces]op.Class{op.Memcache: op.Session}})
	if got := c.send("set a 0 0 1\r\n1\r\nadd a 0 0 1 noreply\r\n1\r\nmn\r\n"); got != outOfMemory+"\r\nMN\r\n" {
		t.Errorf("got %q", got)
	}
}

// waitingEngine puts every read off.
type waitingEngine struct {
	*enginetest.Engine
	asked int
}

func (w *waitingEngine) Read(op.Read, engine.Reader) bool { w.asked++; return false }

func TestReadThatWaits(t *testing.T) {
	e := enginetest.New()
	w := &waitingEngine{Engine: e}
	c := &client{e: e}
	c.s = New(Config{}).Session(w, c)
	in := []byte("get a b\r\nmn\r\n")
	process := func() (string, int) {
		used, out, next := c.s.Process(in, nil)
		in = in[used:]
		return string(out), next
	}
	for range 2 { // the second call is too early
		if out, next := process(); out != "" || next != 0 || w.asked != 1 {
			t.Fatalf("replied %q, next %d, asked %d times", out, next, w.asked)
		}
	}
	c.s.Wake()
	if out, next := process(); out != "" || next != 0 || w.asked != 2 {
		t.Fatalf("woken: replied %q, next %d, asked %d times", out, next, w.asked)
	}
	refusal := fmt.Errorf("%w: the disk is full", engine.ErrUnavailable)
	c.s.Refuse(refusal)
	want := "SERVER_ERROR " + refusal.Error() + "\r\nMN\r\n"
	if out, next := process(); out != want || next != 1 || w.asked != 2 {
		t.Fatalf("refused: replied %q, next %d, asked %d times", out, next, w.asked)
	}
}

// A session is bounded in what it has on its way, and takes up where it stopped.
func TestManyWrites(t *testing.T) {
	c := newClient(Config{})
	c.in = []byte(strings.Repeat("set a 0 0 1\r\n1\r\n", 10*maxOwed))
	c.process(nil)
	if n := c.s.outstanding(); n != maxOwed || !c.parked {
		t.Errorf("%d writes on their way, parked %v; want %d", n, c.parked, maxOwed)
	}
	c.e.Flush()
	if got := strings.Count(c.send(""), "STORED"); got != 10*maxOwed {
		t.Errorf("%d of %d answered", got, 10*maxOwed)
	}
	c.in = []byte(strings.Repeat("set a 0 0 600000\r\n"+string(make([]byte, 600000))+"\r\n", 5))
	c.process(nil)
	if n := c.s.outstanding(); n != 2 {
		t.Errorf("%d large writes on their way, want 2", n)
	}
}

func TestClosedWhileWriting(t *testing.T) {
	c := newClient(Config{})
	c.in = []byte("set a 0 0 1\r\n1\r\n")
	c.process(nil)
	c.s.Close()
	c.e.Flush()
	if got := New(Config{}).client(c.e).send("get a\r\n"); got != lines("VALUE a 0 1\n1\nEND\n") {
		t.Errorf("a write of a client that is gone: %q", got)
	}
}

// userSet reads a file of users, whose only commands are @all.
func userSet(t testing.TB, lines ...string) *users.Set {
	t.Helper()
	set, err := users.Parse(strings.Join(lines, "\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestLogin(t *testing.T) {
	conf := Config{Users: userSet(t, "user default off", "user bob on >secret ~* &* +@all", "user none on ~* &* +@all")}
	for send, want := range map[string]string{
		"get a\nadd a 0 0 1\n1\nversion\n":             strings.Repeat(notLoggedIn+"\n", 4),
		"set x 0 0 10\nbob secret\nget a\n":            "STORED\nEND\n",
		"set x 0 0 10\nbob secret\nset a 0 0 3\nbob\n": "STORED\nSTORED\n",
		"set x 0 0 10\nbob secreT\nget a\n":            badLogin + "\n" + notLoggedIn + "\n",
		"set x 0 0 10\nBob secret\nget a\n":            badLogin + "\n" + notLoggedIn + "\n",
		"set x 0 0 5\nnone \n":                         badToken + "\n",
		"set x 0 0 6\nno one\n":                        badLogin + "\n",
		"set x 0 0 3\nbob\n":                           badToken + "\n",
		"set x 0 0 9\nbob secret\n":                    badEnd + "\n" + notLoggedIn + "\n",
		"set x 0 0 9999999\nget a\n":                   "",
		strings.Repeat("x", maxLine+1):                 "",
	} {
		if got := newClient(conf).send(lines(send)); got != lines(want) {
			t.Errorf("%.50q: got %q, want %q", send, got, lines(want))
		}
	}
}

func TestLongLines(t *testing.T) {
	for send, want := range map[string]string{
		strings.Repeat("x", maxLine-1) + "\r\n":            "ERROR\r\n",
		strings.Repeat("x", maxLine+1):                     "",
		strings.Repeat("x", maxLine+1) + "\r\n":            "",
		"get " + strings.Repeat("a ", maxLine) + "\r\n":    "END\r\n",
		"gats 0 " + strings.Repeat("a ", maxLine) + "\r\n": "END\r\n",
		"delete " + strings.Repeat(" ", maxLine) + "a\r\n": "",
	} {
		for _, step := range []int{1000, len(send)} {
			c := newClient(Config{})
			got := ""
			for b := send; b != ""; {
				n := min(step, len(b))
				got += c.send(b[:n])
				b = b[n:]
			}
			if got != want || c.closed != (want == "") {
				t.Errorf("%.20q of %d bytes in steps of %d: %q, closed %v; want %q", send, len(send), step, got, c.closed, want)
			}
		}
	}
}

func TestStats(t *testing.T) {
	c := newClient(Config{Product: "holdfast 1.2.3", Host: facts{PID: 42, Connections: 3, TotalConnections: 9, MaxConnections: 5000, Accepting: true, BytesRead: 77}})
	c.send(lines("set a 0 0 1\n1\nget a b\nincr a 1\ndecr x 1\ntouch a 5\ntouch y 5\ndelete a\ndelete a\nflush_all\ncas a 0 0 1 1\n1\nset a 0 0 1 noreply\n1\ngat 5 a\n"))
	c.e.Advance(90 * time.Second)
	got := c.send("stats\r\n")
	for _, want := range []string{"pid 42", "uptime 90", "version " + Compatible, "product holdfast 1.2.3", "curr_connections 3", "total_connections 9", "cmd_get 2", "get_hits 1", "get_misses 1",
		"cmd_set 3", "cmd_flush 1", "incr_hits 1", "decr_misses 1", "touch_hits 2", "touch_misses 1", "delete_hits 1", "delete_misses 1", "cas_misses 1", "accepting_conns 1", "bytes_read 77"} {
		if !strings.Contains(got, "STAT "+want+"\r\n") {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	for _, name := range exported {
		if !strings.Contains(got, "STAT "+name+" ") {
			t.Errorf("memcached_exporter finds no %s", name)
		}
	}
	if got := c.send("stats reset\r\n"); got != "RESET\r\n" {
		t.Errorf("reset: %q", got)
	}
	if got := c.send("stats\r\n"); !strings.Contains(got, "STAT get_hits 0\r\n") || !strings.Contains(got, "STAT cmd_set 0\r\n") {
		t.Errorf("after the reset:\n%s", got)
	}
	for _, about := range []string{"settings", "items", "slabs", "sizes", "conns"} {
		got := c.send("stats " + about + "\r\n")
		for _, line := range strings.Split(strings.TrimSuffix(got, "END\r\n"), "\r\n") {
			if line != "" && len(strings.Fields(line)) < 3 {
				t.Errorf("stats %s: the line %q has no value", about, line)
			}
		}
		if !strings.HasSuffix(got, "END\r\n") {
			t.Errorf("stats %s: %q", about, got)
		}
	}
}

// exported are the statistics that memcached_exporter reads.
var exported = strings.Fields(`version uptime time cmd_get cmd_set get_hits get_misses delete_hits delete_misses incr_hits incr_misses decr_hits decr_misses
	cas_hits cas_misses cas_badval touch_hits touch_misses cmd_flush rusage_user rusage_system bytes limit_maxbytes curr_items total_items bytes_read
	bytes_written curr_connections total_connections rejected_connections conn_yields listen_disabled_num evictions reclaimed store_too_large
	store_no_memory lru_crawler_starts direct_reclaims crawler_items_checked crawler_reclaimed moves_to_cold moves_to_warm moves_within_lru
	accepting_conns total_malloced max_connections`)

type facts Facts

func (f facts) Facts() Facts { return Facts(f) }

func TestTable(t *testing.T) {
	for i := range commands {
		c := &commands[i]
		kinds := 0
		for _, set := range []bool{c.value != nil, c.store != nil, c.write != nil, c.meta != nil, c.conn != nil} {
			if set {
				kinds++
			}
		}
		if kinds != 1 || (c.store != nil || c.write != nil) != (c.reply != nil) {
			t.Errorf("%s is of %d kinds, or without a reply", c.name, kinds)
		}
		if c.needed == "" || lookup([]byte(c.name)) != c || c.max > maxArgs {
			t.Errorf("%s: nobody needs it, it cannot be found, or it takes more than %d arguments", c.name, maxArgs)
		}
	}
	var b bytes.Buffer
	if err := WriteCommands(&b); err != nil || strings.Count(b.String(), "\n") != len(commands)+2 {
		t.Errorf("%v, wrote\n%s", err, b.String())
	}
}

// fixedEngine answers every read with the same result at once, and writes when it is told to, with nothing in between.
type fixedEngine struct {
	engine.Engine
	res   op.Result
	owing engine.Writer
}

func (f *fixedEngine) Read(r op.Read, s engine.Reader) bool {
	if many, ok := r.(*op.GetMany); ok {
		f.res.List = f.res.List[:0]
		for range many.Keys {
			*f.res.Next() = op.Result{Value: fixedValue, Flags: 1}
		}
	}
	f.res.Value = fixedValue
	s.Show(&f.res)
	return true
}

func (f *fixedEngine) Write(_ op.Write, s engine.Writer) { f.owing = s }

func (f *fixedEngine) answer() {
	if f.owing != nil {
		f.owing.Done(&f.res, nil)
		f.owing = nil
	}
}

var fixedValue = make([]byte, 100)

func TestHotPathAllocatesNothing(t *testing.T) {
	allocatesNothing(t, "get a\r\n", "gets a b c\r\n", "set a 0 300 5\r\nvalue\r\n", "set a 0 300 5 noreply\r\nvalue\r\n", "delete a\r\n", "incr a 5\r\n", "touch a 5\r\n", "cas a 0 0 1 99\r\n1\r\n", "bogus\r\n", "version\r\n",
		"mg a v\r\n", "mg a s v t f c k O123 q\r\n", "mg YQ== b v h l\r\n", "mg a N30 R30 v\r\n")
	allocatesNothing(t, pack(0x00, 0, "", "a", ""), pack(0x0d, 0, "", "a", ""), packStore(0x01, 0, "a", "value", 1, 300), packStore(0x11, 0, "a", "value", 1, 300),
		packCount(0x05, 0, "a", 1, 2, 3), pack(0x04, 0, "", "a", ""), pack(0x0a, 0, "", "", ""))
}

// allocatesNothing sends each request many times, on one connection.
func allocatesNothing(t *testing.T, requests ...string) {
	t.Helper()
	e := &fixedEngine{Engine: enginetest.New()}
	s := New(Config{}).Session(e, &client{})
	out := make([]byte, 0, 64<<10)
	for _, request := range requests {
		in := []byte(request)
		if n := testing.AllocsPerRun(1000, func() {
			s.Process(in, out)
			e.answer()
			s.Process(nil, out)
		}); n != 0 {
			t.Errorf("%q allocates %v times", request, n)
		}
	}
}
