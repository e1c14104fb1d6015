package link

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// text is a message.
type text string

func (m text) Append(b []byte) []byte { return append(b, m...) }

// member is links whose handler passes on what it is called with.
type member struct {
	*Links
	t        testing.TB
	idMu     sync.Mutex // for id, which become changes
	id       Identity
	addr     string
	got      chan string // messages
	up, down chan Identity
	logged   chan string

	receive func(Identity, [][]byte) error
	stream  func(Identity, io.Reader) error
	request func(Identity, []byte) ([]byte, error)
}

// ears are a member's handler.
type ears member

func (m *ears) Receive(from Identity, messages [][]byte) error {
	if m.receive != nil {
		return m.receive(from, messages)
	}
	for _, b := range messages {
		m.got <- from.Name + " " + string(b)
	}
	return nil
}

func (m *ears) Stream(from Identity, r io.Reader) error            { return m.stream(from, r) }
func (m *ears) Request(from Identity, body []byte) ([]byte, error) { return m.request(from, body) }
func (m *ears) Up(peer Identity)                                   { m.up <- peer }
func (m *ears) Down(peer Identity)                                 { m.down <- peer }

// Write takes the lines of the logger.
func (m *member) Write(line []byte) (int, error) {
	select {
	case m.logged <- string(line):
	default:
	}
	return len(line), nil
}

// option changes a member before it starts.
type option func(*member, *Config)

func withTLS(cfg *tls.Config) option {
	return func(_ *member, c *Config) { c.TLS = func() *tls.Config { return cfg } }
}

func start(t testing.TB, n uint64, options ...option) *member {
	t.Helper()
	m := &member{t: t, id: Identity{ID: n, Name: fmt.Sprintf("c%d", n), Life: n * 100, Level: 7},
		got: make(chan string, 10000), up: make(chan Identity, 100), down: make(chan Identity, 100), logged: make(chan string, 100)}
	cfg := Config{Self: m.self, Handler: (*ears)(m), Logger: slog.New(slog.NewTextHandler(m, nil))}
	for _, o := range options {
		o(m, &cfg)
	}
	if cfg.Listener == nil {
		var err error
		if cfg.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	m.addr = cfg.Listener.Addr().String()
	m.Links = Start(cfg)
	t.Cleanup(m.Close)
	return m
}

func (m *member) self() Identity {
	m.idMu.Lock()
	defer m.idMu.Unlock()
	return m.id
}

// become gives a member another id while it runs.
func (m *member) become(id uint64) {
	m.idMu.Lock()
	defer m.idMu.Unlock()
	m.id.ID = id
}

func (m *member) peer() Peer { return Peer{m.id.ID, m.id.Name, m.addr} }

// connect makes all know all, and waits until they are connected.
func connect(t testing.TB, members ...*member) {
	t.Helper()
	var peers []Peer
	for _, m := range members {
		peers = append(peers, m.peer())
	}
	for _, m := range members {
		m.SetPeers(peers)
	}
	for _, m := range members {
		for range len(members) - 1 {
			await(t, m.up)
		}
	}
}

func await[T any](t testing.TB, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
	}
	return v
}

// awaitLine waits for a line of the log that has all the words.
func (m *member) awaitLine(words ...string) {
	m.t.Helper()
	for {
		line := await(m.t, m.logged)
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			return
		}
		m.t.Logf("%s logged: %s", m.id.Name, line)
	}
}

func (m *member) post(to *member, s string, urgent bool) {
	m.t.Helper()
	if !m.Send(to.id.ID, text(s), urgent) {
		m.t.Errorf("%q was dropped", s)
	}
	m.Flush()
}

// authority is a CA.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{}
	a.cert, a.key = issue(t, a, &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func issue(t testing.TB, by *authority, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(1), time.Unix(0, 0), time.Unix(1<<33, 0)
	parent, parentKey := by.cert, by.key
	if parent == nil {
		parent, parentKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made, key
}

// member returns the configuration of a member of that name.
func (a *authority) member(t testing.TB, name string) *tls.Config {
	t.Helper()
	cert, key := issue(t, a, &x509.Certificate{Subject: pkix.Name{CommonName: "a member"}, DNSNames: []string{name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	return &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}}}
}

// bothWays runs a test on plain TCP and on TLS.
func bothWays(t *testing.T, test func(t *testing.T, start func(n uint64, o ...option) *member)) {
	t.Run("plain", func(t *testing.T) {
		test(t, func(n uint64, o ...option) *member { return start(t, n, o...) })
	})
	t.Run("tls", func(t *testing.T) {
		ca := newAuthority(t, "ca")
		test(t, func(n uint64, o ...option) *member {
			return start(t, n, append(o, withTLS(ca.member(t, fmt.Sprintf("c%d", n))))...)
		})
	})
}

func TestMessages(t *testing.T) {
	bothWays(t, func(t *testing.T, start func(uint64, ...option) *member) {
		a, b, c := start(1), start(2), start(3)
		connect(t, a, b, c)
		for i := range 1000 {
			a.Send(2, text(fmt.Sprint(i)), false)
			a.Send(3, text(fmt.Sprint(i)), true)
			if i%7 == 0 {
				a.Flush()
			}
		}
		a.Flush()
		b.post(a, "", false)
		for i := range 1000 {
			want := fmt.Sprint("c1 ", i)
			if g, h := await(t, b.got), await(t, c.got); g != want || h != want {
				t.Fatalf("came %q and %q, not %q", g, h, want)
			}
		}
		if g := await(t, a.got); g != "c2 " {
			t.Errorf("came %q", g)
		}
		if a.Send(9, text("x"), false) {
			t.Error("something was sent to a stranger")
		}
		for _, s := range a.Stats() {
			if !s.Connected || s.Sent == 0 || s.Dropped != 0 || s.Waiting != 0 || s.Err != "" {
				t.Errorf("%+v", s)
			}
		}
	})
}

// Larger than the socket's buffers, so that the goroutine that may wait has its share.
func TestBigMessages(t *testing.T) {
	bothWays(t, func(t *testing.T, start func(uint64, ...option) *member) {
		a, b := start(1), start(2)
		connect(t, a, b)
		big := strings.Repeat("0123456789abcdef", 1<<20) // 16 MiB
		for _, s := range []string{"before", big, "after", big[1:], big[:200<<10]} {
			a.post(b, s, false)
		}
		for _, want := range []string{"before", big, "after", big[1:], big[:200<<10]} {
			if g := await(t, b.got); g != "c1 "+want {
				t.Fatalf("came %d bytes, not %d", len(g)-3, len(want))
			}
		}
	})
}

// An urgent message arrives while the reader of the others is stuck.
func TestUrgentOvertakes(t *testing.T) {
	stuck, free := make(chan bool), make(chan bool)
	a, b := start(t, 1), start(t, 2, func(m *member, c *Config) {
		m.receive = func(from Identity, messages [][]byte) error {
			if string(messages[0]) == "slow" {
				stuck <- true
				<-free
			}
			m.got <- string(messages[0])
			return nil
		}
	})
	connect(t, a, b)
	a.post(b, "slow", false)
	await(t, stuck)
	a.post(b, "beat", true)
	if g := await(t, b.got); g != "beat" {
		t.Errorf("came %q", g)
	}
	close(free)
	if g := await(t, b.got); g != "slow" {
		t.Errorf("came %q", g)
	}
}

func TestDropsWhatWaitsTooLong(t *testing.T) {
	stuck, free := make(chan bool, 100), make(chan bool)
	a := start(t, 1, func(_ *member, c *Config) { c.Waiting = 32 << 20 })
	b := start(t, 2, func(m *member, c *Config) {
		m.receive = func(Identity, [][]byte) error {
			select {
			case stuck <- true:
			default:
			}
			<-free
			return nil
		}
	})
	connect(t, a, b)
	m := text(strings.Repeat("x", 1<<20))
	for a.Send(2, m, false) {
		a.Flush()
	}
	await(t, stuck)
	s := a.Stats()[0]
	if s.Dropped == 0 || s.Waiting > 34<<20 || s.Waiting < 32<<20 {
		t.Errorf("%+v", s)
	}
	if !a.Send(2, text("beat"), true) {
		t.Error("an urgent message was dropped because others wait")
	}
	close(free)
}

func TestReconnect(t *testing.T) {
	bothWays(t, func(t *testing.T, start func(uint64, ...option) *member) {
		a, b := start(1), start(2)
		connect(t, a, b)
		b.Close()
		if gone := await(t, a.down); gone != b.id {
			t.Errorf("gone is %+v", gone)
		}
		again := start(2, func(m *member, c *Config) {
			m.id.Life++
			var err error
			if c.Listener, err = net.Listen("tcp", b.addr); err != nil {
				t.Fatal(err)
			}
		})
		for up := await(t, a.up); up != again.id; up = await(t, a.up) {
			t.Errorf("up is %+v", up)
		}
		a.post(again, "hello", false)
		if g := await(t, again.got); g != "c1 hello" {
			t.Errorf("came %q", g)
		}
	})
}

// A member that comes back with an empty disk has another id: what is for the old one does not reach it.
func TestOtherID(t *testing.T) {
	a := start(t, 1)
	b := start(t, 2)
	a.SetPeers([]Peer{{ID: 5, Name: "c2", Addr: b.addr}})
	a.awaitLine("id 2, not 5")
	b.awaitLine("id 2, not 5")
	a.SetPeers([]Peer{b.peer()})
	await(t, a.up)
	a.post(b, "x", false)
	await(t, b.got)

	a.become(11)
	a.SetPeers([]Peer{b.peer()})
	await(t, a.up)
	a.post(b, "y", false)
	if g := await(t, b.got); g != "c1 y" {
		t.Errorf("came %q", g)
	}
	a.SetPeers(nil)
	if a.Send(2, text("z"), false) || len(a.Stats()) != 0 {
		t.Error("a peer that is gone is still there")
	}
	for g := await(t, b.down); g.ID != 11; g = await(t, b.down) {
	}
}

func TestCertificates(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	for _, c := range []struct {
		name           string
		cfg            *tls.Config
		dialer, dialed []string // what the one who dialed is told, and what the other logs
	}{
		{"wrong CA", theirs.member(t, "c2"), []string{"its certificate", "not valid"}, []string{"refuses the TLS handshake"}},
		{"wrong name", ours.member(t, "c3"), []string{"does not name the member", "c2"}, []string{"does not name the member", "c2", "c3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := start(t, 1, withTLS(ours.member(t, "c1")))
			b := start(t, 2, withTLS(c.cfg))
			b.SetPeers([]Peer{a.peer()})
			b.awaitLine(append(c.dialer, "c1")...)
			a.awaitLine(append(c.dialed, "127.0.0.1")...)
			if _, err := b.Request(t.Context(), a.addr, nil); err == nil {
				t.Error("a request went through")
			}
			if _, err := a.Request(t.Context(), b.addr, nil); err == nil {
				t.Error("a request to it went through")
			} else {
				t.Log(err)
			}
			if a.Send(2, text("x"), false) || len(a.up) > 0 || len(b.up) > 0 {
				t.Error("they are connected")
			}
		})
	}
	// A trusted CA does not help who trusts another one: a stranger's certificate is named in the log.
	roots := x509.NewCertPool()
	roots.AddCert(ours.cert)
	bad := theirs.member(t, "c2")
	bad.RootCAs = roots
	a, b := start(t, 1, withTLS(ours.member(t, "c1"))), start(t, 2, withTLS(bad))
	if _, err := b.Request(t.Context(), a.addr, nil); err == nil || !strings.Contains(err.Error(), "refuses the TLS handshake") {
		t.Error(err)
	}
	a.awaitLine("not valid", "a member", "theirs", "c2")
	conn, err := tls.Dial("tcp", a.addr, &tls.Config{RootCAs: roots, InsecureSkipVerify: true})
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
		conn.Close()
	}
	if err == nil {
		t.Error("somebody without a certificate was let in")
	}
	a.awaitLine("showed no certificate")
	naked := start(t, 3, withTLS(&tls.Config{RootCAs: roots}))
	if _, err := naked.Request(t.Context(), a.addr, nil); err == nil || !strings.Contains(err.Error(), "no certificate of its own") {
		t.Error(err)
	}
}

func TestPlainAndTLS(t *testing.T) {
	ca := newAuthority(t, "ca")
	plain, secure := start(t, 1), start(t, 2, withTLS(ca.member(t, "c2")))
	if _, err := plain.Request(t.Context(), secure.addr, nil); err == nil || !strings.Contains(err.Error(), "TLS only") {
		t.Error(err)
	}
	secure.awaitLine("speaks plain TCP, but not TLS")
	if _, err := secure.Request(t.Context(), plain.addr, nil); err == nil || !strings.Contains(err.Error(), "speaks plain TCP") {
		t.Error(err)
	}
	plain.awaitLine("but TLS")
	bad := start(t, 3, withTLS(&tls.Config{}))
	if _, err := bad.Request(t.Context(), plain.addr, nil); err == nil || !strings.Contains(err.Error(), "no certificate authority") {
		t.Error(err)
	}
}

// Certificates are asked for anew for every connection.
func TestReload(t *testing.T) {
	old, now := newAuthority(t, "old"), newAuthority(t, "now")
	var mu sync.Mutex
	cfg := [2]*tls.Config{old.member(t, "c1"), old.member(t, "c2")}
	with := func(i int) option {
		return func(m *member, c *Config) {
			m.request = func(Identity, []byte) ([]byte, error) { return nil, nil }
			c.TLS = func() *tls.Config { mu.Lock(); defer mu.Unlock(); return cfg[i] }
		}
	}
	a, b := start(t, 1, with(0)), start(t, 2, with(1))
	for range 2 {
		if _, err := a.Request(t.Context(), b.addr, nil); err != nil {
			t.Error(err)
		}
		mu.Lock()
		cfg = [2]*tls.Config{now.member(t, "c1"), now.member(t, "c2")}
		mu.Unlock()
	}
}

func dialRaw(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func TestStrangers(t *testing.T) {
	a := start(t, 1)
	h := hello{1, 1, forRequest, 0, Identity{ID: 2, Name: "c2"}}
	with := func(change func(*hello)) string {
		g := h
		change(&g)
		return string(g.append(nil))
	}
	for _, c := range []struct{ name, says, logged, told string }{
		{"http", "GET / HTTP/1.1\r\n\r\n", "GET / HT", ""},
		{"redis", "*1\r\n", "does not speak", ""},
		{"newer", with(func(h *hello) { h.lowest, h.highest = 7, 9 }), "c1 speaks versions 1 to 1 of the peer protocol and c2 speaks 7 to 9", "c1 speaks versions 1 to 1"},
		{"purpose", with(func(h *hello) { h.purpose = 77 }), "purpose 77", "purpose 77"},
		{"other id", with(func(h *hello) { h.to = 0xabc }), "not abc", "not abc"},
		{"nameless", with(func(h *hello) { h.self.Name = "" }), "is empty", "is empty"},
		{"strange name", with(func(h *hello) { h.self.Name = "a\nb" }), "characters", "characters"},
		{"huge hello", magic + "\xff\xff", "more than 1024", ""},
		{"short hello", magic + "\x00\x02\x00\x00", "cut short", "cut short"},
		{"huge request", string(h.append(nil)) + "\xff\xff\xff\xff\x00\x00\x00\x00", "request of c2", ""},
		{"bad checksum", string(h.append(nil)) + "\x00\x00\x00\x01\x00\x00\x00\x00x", "checksum", ""},
	} {
		a.strikes.began.Store(0) // logs all of them
		conn := dialRaw(t, a.addr)
		io.WriteString(conn, c.says)
		got, _ := io.ReadAll(conn)
		if !strings.Contains(string(got), c.told) {
			t.Errorf("%s: was told %q, not %q", c.name, got, c.told)
		}
		a.awaitLine(c.logged, "127.0.0.1")
	}
	for range 30 {
		conn := dialRaw(t, a.addr)
		io.WriteString(conn, "garbage beyond all measure")
		io.ReadAll(conn)
	}
	if n := len(a.logged); n > 10 {
		t.Errorf("%d lines in the log", n)
	}
}

// Messages that make no sense end the connection.
func TestBadMessages(t *testing.T) {
	a := start(t, 1)
	greeting := (&hello{1, 1, forMessages, 1, Identity{ID: 2, Name: "c2"}}).append(nil)
	for _, bad := range []string{"\xff\xff\xff\xff\x00\x00\x00\x00", "\x00\x00\x00\x01\x00\x00\x00\x00x", "\x00"} {
		conn := dialRaw(t, a.addr)
		conn.Write(appendRecord(greeting, []byte("good")))
		if g := await(t, a.got); g != "c2 good" {
			t.Errorf("came %q", g)
		}
		io.WriteString(conn, bad)
		conn.(*net.TCPConn).CloseWrite()
		io.ReadAll(conn)
		await(t, a.down)
		a.awaitLine("lost the connection from a member", "c2")
	}
}

// The newer one of two connections from a peer stays; nothing of the older one is delivered after anything of the newer one.
func TestReplaced(t *testing.T) {
	stuck, free := make(chan bool), make(chan bool)
	a := start(t, 1, func(m *member, c *Config) {
		m.receive = func(_ Identity, messages [][]byte) error {
			if string(messages[0]) == "old" {
				stuck <- true
				<-free
			}
			m.got <- string(messages[0])
			return nil
		}
	})
	h := hello{1, 1, forMessages, 1, Identity{ID: 2, Name: "c2"}}
	old, now := dialRaw(t, a.addr), dialRaw(t, a.addr)
	old.Write(appendRecord(h.append(nil), []byte("old")))
	await(t, stuck)
	now.Write(appendRecord(h.append(nil), []byte("new")))
	io.ReadAll(old) // until it is closed, although its message is not done with
	close(free)
	if g, h := await(t, a.got), await(t, a.got); g != "old" || h != "new" {
		t.Errorf("came %q, %q", g, h)
	}
	for _, s := range a.Stats() {
		t.Errorf("%+v", s)
	}
}

// Who connects and says nothing does not keep members out.
func TestManySilent(t *testing.T) {
	a, b := start(t, 1), start(t, 2)
	b.request = func(Identity, []byte) ([]byte, error) { return []byte("yes"), nil }
	var silent []net.Conn
	for range maxGreeting + 1 {
		silent = append(silent, dialRaw(t, b.addr))
	}
	if n, err := silent[0].Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the first one read %d bytes, %v", n, err)
	}
	if reply, err := a.Request(t.Context(), b.addr, nil); string(reply) != "yes" {
		t.Errorf("%q, %v", reply, err)
	}
}

func TestRequest(t *testing.T) {
	bothWays(t, func(t *testing.T, start func(uint64, ...option) *member) {
		a, b := start(1), start(2)
		hangs := make(chan bool)
		b.request = func(from Identity, body []byte) ([]byte, error) {
			switch string(body) {
			case "no":
				return nil, errors.New("there is no such member")
			case "hang":
				hangs <- true
				<-hangs
			case "much":
				return make([]byte, maxRequest+1), nil
			}
			return fmt.Appendf(nil, "%+v asked with %d bytes", from, len(body)), nil
		}
		reply, err := a.Request(t.Context(), b.addr, make([]byte, maxRequest))
		if want := fmt.Sprintf("%+v asked with %d bytes", a.id, maxRequest); string(reply) != want || err != nil {
			t.Errorf("%q, %v", reply, err)
		}
		_, err = a.Request(t.Context(), b.addr, []byte("no"))
		if r := new(Refusal); !errors.As(err, &r) || r.Sentence != "there is no such member" || r.By != "c2" {
			t.Error(err)
		}
		if _, err = a.Request(t.Context(), b.addr, []byte("much")); err == nil {
			t.Error("too large a reply came")
		}
		if _, err = a.Request(t.Context(), b.addr, make([]byte, maxRequest+1)); err == nil {
			t.Error("too large a request went")
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-hangs; cancel() }()
		if _, err = a.Request(ctx, b.addr, []byte("hang")); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		hangs <- true
		b.Close()
		if _, err = a.Request(t.Context(), b.addr, nil); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Error(err)
		}
	})
}

func TestStream(t *testing.T) {
	bothWays(t, func(t *testing.T, start func(uint64, ...option) *member) {
		a, b := start(1), start(2)
		connect(t, a, b)
		ended := make(chan error, 1)
		var want, got bytes.Buffer
		b.stream = func(from Identity, r io.Reader) error {
			got.Reset()
			_, err := io.Copy(&got, r)
			ended <- err
			return err
		}
		err := a.Stream(t.Context(), 2, func(w io.Writer) error {
			for i := range 3000 {
				part := bytes.Repeat([]byte{byte(i)}, i)
				want.Write(part)
				if _, err := w.Write(part); err != nil {
					return err
				}
			}
			_, err := w.Write(want.Bytes()[:3<<20])
			return err
		})
		want.Write(want.Bytes()[:3<<20])
		if err != nil || await(t, ended) != nil || !bytes.Equal(want.Bytes(), got.Bytes()) {
			t.Errorf("%v, %d bytes of %d", err, got.Len(), want.Len())
		}
		wrong := errors.New("the disk is gone")
		err = a.Stream(t.Context(), 2, func(w io.Writer) error { w.Write(make([]byte, 1<<20)); return wrong })
		if err != wrong {
			t.Error(err)
		}
		if err := await(t, ended); err == nil {
			t.Error("half a stream was taken for a whole one")
		}
		b.stream = func(from Identity, r io.Reader) error {
			io.ReadFull(r, make([]byte, 100))
			return errors.New("no room")
		}
		err = a.Stream(t.Context(), 2, func(w io.Writer) error {
			for {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return err
				}
			}
		})
		if r := new(Refusal); !errors.As(err, &r) || r.Sentence != "no room" {
			t.Error(err)
		}
		if err := a.Stream(t.Context(), 3, nil); err == nil {
			t.Error("a stream to nobody")
		}
	})
}

func TestClose(t *testing.T) {
	a, b := start(t, 1), start(t, 2)
	connect(t, a, b)
	asked := make(chan bool)
	b.stream = func(_ Identity, r io.Reader) error { _, err := io.ReadAll(r); return err }
	b.request = func(Identity, []byte) ([]byte, error) { close(asked); return nil, nil }
	done := make(chan error)
	go func() {
		done <- a.Stream(t.Context(), 2, func(w io.Writer) error {
			for {
				if _, err := w.Write(make([]byte, 1000)); err != nil {
					return err
				}
			}
		})
	}()
	a.Request(t.Context(), b.addr, nil)
	await(t, asked)
	b.Close()
	if err := await(t, done); err == nil {
		t.Error("the stream is whole")
	}
	a.Close()
	a.SetPeers([]Peer{b.peer()})
	if a.Send(2, text("x"), false) {
		a.Flush()
	}
	if _, err := a.Request(t.Context(), b.addr, nil); err == nil {
		t.Error("closed links asked")
	}
}

func TestChoose(t *testing.T) {
	mine := func(l, h uint16) hello { return hello{lowest: l, highest: h, self: Identity{Name: "c"}} }
	for _, c := range [][5]uint16{{1, 1, 1, 1, 1}, {1, 3, 2, 5, 3}, {2, 5, 1, 3, 3}, {1, 2, 3, 4, 0}, {3, 4, 1, 2, 0}, {1, 9, 4, 4, 4}} {
		v, err := choose(mine(c[0], c[1]), mine(c[2], c[3]))
		if v != c[4] || (err == nil) != (c[4] != 0) {
			t.Errorf("%v: %d, %v", c, v, err)
		}
	}
}

func FuzzHello(f *testing.F) {
	h := hello{1, 2, forStream, 3, Identity{4, "c5", 6, 7}}
	f.Add(h.append(nil))
	f.Add(appendAnswer(nil, 1, h.self))
	f.Add(appendRefusal(nil, "no"))
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := readGreeting(bytes.NewReader(b))
		if err != nil {
			return
		}
		if h, err := parseHello(body); err == nil {
			again, err := readGreeting(bytes.NewReader(h.append(nil)))
			if g, err2 := parseHello(again); err != nil || err2 != nil || g != h {
				t.Errorf("%+v became %+v, %v, %v", h, g, err, err2)
			}
		}
		if v, peer, refused, err := parseAnswer(body); err == nil && refused == "" && body[0] == 0 {
			again, _ := readGreeting(bytes.NewReader(appendAnswer(nil, v, peer)))
			if v2, p2, _, err := parseAnswer(again); v2 != v || p2 != peer || err != nil {
				t.Errorf("%+v became %+v, %v", peer, p2, err)
			}
		}
	})
}

// In whatever pieces bytes come, the same records come out of them, and those that readRecord finds.
func FuzzRecords(f *testing.F) {
	b := appendRecord(appendRecord(nil, []byte("one"), []byte("more")), nil)
	f.Add(b, uint8(3))
	f.Add(b[:len(b)-1], uint8(1))
	f.Add(append(b, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0), uint8(200))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		const limit = 1000
		whole, used, _, wrong := split(b, limit, nil)
		var got [][]byte
		in := &inbound{}
		h := &ears{receive: func(_ Identity, messages [][]byte) error {
			for _, m := range messages {
				got = append(got, bytes.Clone(m))
			}
			return nil
		}}
		l := &Links{cfg: Config{Handler: h}}
		if err := l.deliver(&pieces{b: b, step: int(step) + 1}, Identity{}, in); err == nil || (err == io.EOF) != (wrong == nil && used == len(b)) {
			if !slices.ContainsFunc(sizes(b), func(n uint32) bool { return n > limit }) { // deliver allows more
				t.Errorf("ended with %v; split: %v", err, wrong)
			}
		}
		r := bytes.NewReader(b)
		for i, body := range whole {
			one, err := readRecord(r, limit, nil)
			if err != nil || !bytes.Equal(one, body) || i >= len(got) || !bytes.Equal(got[i], body) {
				t.Fatalf("record %d: %q, %v, and %d were delivered", i, one, err, len(got))
			}
		}
		if _, err := readRecord(r, limit, nil); err == nil {
			t.Error("readRecord finds one more")
		}
	})
}

func sizes(b []byte) (all []uint32) {
	for i := range max(0, len(b)-3) {
		all = append(all, binary.BigEndian.Uint32(b[i:]))
	}
	return all
}

// pieces is a connection on which b comes step by step.
type pieces struct {
	net.Conn
	b    []byte
	step int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.step)], p.b)
	p.b = p.b[n:]
	return n, nil
}
