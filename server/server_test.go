package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// drivers are the ways to serve a connection. Everything in this file holds for all of them.
var drivers = []string{"loop", "loop-unix", "group", "group-unix", "group-tls"}

const patience = 20 * time.Second // for what must come at once

// rig is a server of toys.
type rig struct {
	*testing.T
	*Server
	world   *toyWorld
	driver  string
	dropped chan string // reasons
}

func each(t *testing.T, f func(r *rig), configure ...func(*Config)) {
	for _, d := range drivers {
		t.Run(d, func(t *testing.T) { f(newRig(t, d, configure...)) })
	}
}

func newRig(t *testing.T, driver string, configure ...func(*Config)) *rig {
	r := &rig{T: t, world: newToyWorld(), driver: driver, dropped: make(chan string, 1000)}
	l := Listener{Name: "toy", Address: "127.0.0.1:0", Refusal: []byte("full\n"), TooLarge: []byte("too large\n")}
	if strings.HasSuffix(driver, "unix") {
		l.Address = filepath.Join(t.TempDir(), "s")
	}
	if strings.HasSuffix(driver, "tls") {
		l.TLS = &tls.Config{Certificates: []tls.Certificate{certificate()}}
	}
	c := Config{Listeners: []Listener{l}, Loops: 2, Groups: 2, Logger: slog.New(r), portable: !strings.HasPrefix(driver, "loop")}
	for _, f := range configure {
		f(&c)
	}
	var err error
	if r.Server, err = Start(c, r.world.worker); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r.Close(ctx)
		close(r.world.later)
		r.world.stop.Wait()
		if n := r.Stats(); n.Connections != 0 || n.Buffered != 0 {
			t.Errorf("after Close: %+v", n)
		}
	})
	return r
}

// The rig is the server's log handler.
func (r *rig) Enabled(context.Context, slog.Level) bool { return true }
func (r *rig) WithAttrs([]slog.Attr) slog.Handler       { return r }
func (r *rig) WithGroup(string) slog.Handler            { return r }
func (r *rig) Handle(_ context.Context, rec slog.Record) error {
	rec.Attrs(func(a slog.Attr) bool {
		if a.Key == "reason" {
			r.dropped <- a.Value.String()
		}
		return true
	})
	return nil
}

var certificate = sync.OnceValue(func() tls.Certificate {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, _ := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// client is one connection to the rig.
type client struct {
	net.Conn
	t *testing.T
	r *bufio.Reader
}

func (r *rig) dial() *client {
	r.Helper()
	a := r.Addr("toy")
	nc, err := net.Dial(a.Network(), a.String())
	if err == nil && strings.HasSuffix(r.driver, "tls") {
		nc = tls.Client(nc, &tls.Config{InsecureSkipVerify: true})
	}
	if err != nil {
		r.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(patience))
	r.Cleanup(func() { nc.Close() })
	return &client{nc, r.T, bufio.NewReader(nc)}
}

func (c *client) say(format string, args ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c, format, args...); err != nil {
		c.t.Fatal("say: ", err)
	}
}

func (c *client) hear(lines ...string) {
	c.t.Helper()
	for _, want := range lines {
		got, err := c.r.ReadString('\n')
		if got != want+"\n" {
			c.t.Fatalf("heard %.60q (%d bytes), %v; want %.60q", got, len(got), err, want)
		}
	}
}

// end expects that nothing comes any more.
func (c *client) end() {
	c.t.Helper()
	if b, err := io.ReadAll(c.r); len(b) > 0 || errors.Is(err, context.DeadlineExceeded) {
		c.t.Fatalf("heard %.60q, %v; want the end", b, err)
	} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
		c.t.Fatal("the connection stays open")
	}
}

func await[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatal("waited in vain for ", what)
	}
	return v
}

func TestRequests(t *testing.T) {
	long := strings.Repeat("y", 100_000)
	for _, tt := range []struct{ name, say, hear string }{
		{"one", "echo a\n", "a"},
		{"pipelined", "echo a\necho b\necho c\n", "a b c"},
		{"written in the pass", "write a\nwrite b\necho c\n", "a b c"},
		{"more writes than may wait", strings.Repeat("write a\n", 1000) + "echo b\n", strings.Repeat("a ", 1000) + "b"},
		{"committed elsewhere", "echo a\ncommit b\nwrite c\ncommit d\necho e\n", "a b c d e"},
		{"waiting", "echo a\nwait b\nwait c\necho d\n", "a b c d"},
		{"value", "take 5\nabcdetake 0\necho x\n", "took 5|took 0|x"},
		{"large value", "echo a\ntake 300000\n" + strings.Repeat("z", 300_000) + "echo b\n", "a|took 300000|b"},
		{"large value after large value", strings.Repeat("take 300000\n"+strings.Repeat("z", 300_000), 3), "took 300000|took 300000|took 300000"},
		{"long line", "echo " + long + "\necho b\n", long + " b"},
		{"large reply", "big 3000000\necho a\n", strings.Repeat("x", 3_000_000) + " a"},
		{"beyond the high-water mark", strings.Repeat("big 9999\n", 50), strings.TrimSpace(strings.Repeat(strings.Repeat("x", 9999)+" ", 50))},
		{"closing", "echo a\nclose\necho b\n", "a bye"},
		{"closing with writes before", "write a\nclose\n", "a bye"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			each(t, func(r *rig) {
				c := r.dial()
				sent := make(chan struct{})
				go func() {
					io.WriteString(c, tt.say)
					close(sent)
				}()
				sep := " "
				if strings.Contains(tt.hear, "|") || strings.HasPrefix(tt.hear, "took") {
					sep = "|"
				}
				c.hear(strings.Split(tt.hear, sep)...)
				await(t, sent, "the writer")
				if strings.Contains(tt.say, "close\n") {
					c.end()
				}
			})
		})
	}
}

// Replies before a write and the write's own, done in the same pass, are one write of the server: the client never sees less at once.
func TestOneWrite(t *testing.T) {
	each(t, func(r *rig) {
		c := r.dial()
		for range 200 {
			c.say("echo a\nwrite b\nwrite c\necho d\n")
			var b [100]byte
			if n, err := c.Conn.Read(b[:]); string(b[:n]) != "a\nb\nc\nd\n" {
				t.Fatalf("read %q at once, %v", b[:n], err)
			}
		}
	})
}

func TestByteByByte(t *testing.T) {
	each(t, func(r *rig) {
		c := r.dial()
		for _, b := range []byte("echo hello\nwrite a\ntake 3\nabcwait b\n") {
			c.say("%c", b)
		}
		c.hear("hello", "a", "took 3", "b")
	})
}

func TestStorm(t *testing.T) {
	each(t, func(r *rig) {
		var all sync.WaitGroup
		for i := range 24 {
			c := r.dial()
			var say bytes.Buffer
			var hear []string
			for j := range 400 {
				verb := []string{"echo", "write", "write", "commit", "wait"}[(i+j*j)%5]
				fmt.Fprintf(&say, "%s %d.%d\n", verb, i, j)
				hear = append(hear, fmt.Sprintf("%d.%d", i, j))
			}
			all.Go(func() {
				for b := say.Bytes(); len(b) > 0; {
					n := min(len(b), 1+i*50)
					if _, err := c.Write(b[:n]); err != nil {
						t.Error(err)
						return
					}
					b = b[n:]
				}
			})
			all.Go(func() {
				for _, want := range hear {
					if got, err := c.r.ReadString('\n'); got != want+"\n" {
						t.Errorf("heard %q, %v; want %q", got, err, want)
						c.Conn.Close()
						return
					}
				}
			})
		}
		all.Wait()
	})
}

func TestHalfClose(t *testing.T) {
	each(t, func(r *rig) {
		for range 20 {
			c := r.dial()
			c.say("echo a\nwrite b\ncommit c\nbig 500000\nwait d\ntake 10\nabc")
			if err := c.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			c.hear("a", "b", "c", strings.Repeat("x", 500000), "d")
			c.end()
			await(t, r.world.closed, "the session's end")
		}
	})
}

func TestClientVanishes(t *testing.T) {
	each(t, func(r *rig) {
		for _, say := range []string{"", "echo a\n", "big 10000000\n", "take 100\nabc", "wait a\nbig 1000000\nwait b\n", "commit a\n"} {
			c := r.dial()
			c.say("echo a\n%s", say)
			c.hear("a")
			c.Conn.Close()
			s := await(t, r.world.closed, "the session's end after "+say)
			for range 3 {
				s.wake() // harmless
			}
		}
		c := r.dial()
		c.say("echo a\n")
		c.hear("a")
	})
}

func TestWakeAfterClose(t *testing.T) {
	each(t, func(r *rig) {
		var gone []*toy
		for range 10 {
			c := r.dial()
			c.say("never\n")
			gone = append(gone, await(t, r.world.parked, "the parked session"))
			c.Conn.Close()
		}
		var wakers sync.WaitGroup
		for range 4 {
			wakers.Go(func() {
				for range 1000 {
					for _, s := range gone {
						s.ready.Store(true)
						s.wake()
					}
				}
			})
		}
		for i := range 50 {
			c := r.dial()
			c.say("wait %d\nwrite a\n", i)
			c.hear(fmt.Sprint(i), "a")
			c.Conn.Close()
		}
		wakers.Wait()
		for range 60 {
			await(t, r.world.closed, "the end of all sessions")
		}
	})
}

func TestClose(t *testing.T) {
	each(t, func(r *rig) {
		idle, parked, partial, large := r.dial(), r.dial(), r.dial(), r.dial()
		for _, c := range []*client{idle, parked, partial, large} {
			c.say("echo a\n")
			c.hear("a")
		}
		parked.say("echo b\nnever\n")
		s := await(t, r.world.parked, "the parked session")
		parked.say("echo c\n") // not read while it is parked, and answered nevertheless
		partial.say("take 10\nabc")
		await(t, r.world.wanting, "the partial request")
		large.say("big 30000000\n")
		if b, err := large.r.ReadByte(); b != 'x' {
			t.Fatal(err)
		}
		closed := make(chan error)
		go func() { closed <- r.Close(t.Context()) }()
		idle.end()
		partial.end()
		parked.hear("b")
		if c, err := net.Dial(r.Addr("toy").Network(), r.Addr("toy").String()); err == nil {
			c.Close()
			t.Error("still accepting")
		}
		select {
		case err := <-closed:
			t.Fatal("closed with sessions parked: ", err)
		default:
		}
		s.ready.Store(true)
		s.wake()
		parked.hear("", "c")
		parked.end()
		large.hear(strings.Repeat("x", 30000000-1))
		large.end()
		if err := await(t, closed, "Close"); err != nil {
			t.Error(err)
		}
	})
}

func TestCloseForced(t *testing.T) {
	each(t, func(r *rig) {
		parked, stuck, fresh := r.dial(), r.dial(), r.dial()
		stuck.say("big 30000000\n")
		stuck.r.ReadByte()
		parked.say("never\n")
		s := await(t, r.world.parked, "the parked session")
		ctx, cancel := context.WithCancel(t.Context())
		closed := make(chan error)
		go func() { closed <- r.Close(ctx) }()
		cancel()
		if err := await(t, closed, "Close"); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		parked.end()
		fresh.end()
		s.wake()
		r.world.workers[0].wake() // after the end: harmless
		if err := r.Close(t.Context()); err != nil {
			t.Error("again: ", err)
		}
	})
}

// A flood on one listener does not starve another.
func TestFlood(t *testing.T) {
	each(t, func(r *rig) {
		stop := make(chan struct{})
		var flooders sync.WaitGroup
		for range 4 {
			c := r.dial()
			c.SetDeadline(time.Time{})
			flooders.Go(func() {
				flood := bytes.Repeat([]byte("big 10000\nwrite a\n"), 1000)
				for {
					if _, err := c.Write(flood); err != nil {
						return
					}
				}
			})
			flooders.Go(func() { io.Copy(io.Discard, c) })
			go func() { <-stop; c.Conn.Close() }()
		}
		a := r.Addr("quiet")
		for range 4 {
			nc, err := net.Dial(a.Network(), a.String())
			if err != nil {
				t.Fatal(err)
			}
			nc.SetDeadline(time.Now().Add(patience))
			c := &client{nc, t, bufio.NewReader(nc)}
			for range 20 {
				c.say("write a\n")
				c.hear("a")
			}
			nc.Close()
		}
		close(stop)
		flooders.Wait()
	}, func(c *Config) {
		c.Loops, c.Groups = 1, 1
		c.Listeners = append(c.Listeners, Listener{Name: "quiet", Address: "127.0.0.1:0"})
	})
}

// Connections of each listener are spread evenly, even if clients open them in turn.
func TestSpread(t *testing.T) {
	each(t, func(r *rig) {
		for range 10 {
			a, b := r.Addr("toy"), r.Addr("other")
			for _, a := range []net.Addr{a, b} {
				nc, err := net.Dial(a.Network(), a.String())
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
			}
		}
		c := r.dial() // accepted after all others of its port
		c.say("echo a\n")
		c.hear("a")
		for i := range r.ports[0].load {
			if n := r.ports[0].load[i].Load(); n < 5 || n > 6 {
				t.Errorf("%d of 11 connections in home %d", n, i)
			}
		}
	}, func(c *Config) {
		c.Listeners = append(c.Listeners, Listener{Name: "other", Address: "127.0.0.1:0"})
	})
}

func TestConn(t *testing.T) {
	each(t, func(r *rig) {
		c := r.dial()
		c.say("never\n")
		s := await(t, r.world.parked, "the parked session")
		local := r.Addr("toy").String()
		remote := local
		if _, ok := c.LocalAddr().(*net.TCPAddr); ok {
			remote = c.LocalAddr().String()
		}
		if s.port != "toy" || s.conn.ID() != 1 || s.conn.RemoteAddr() != remote || s.conn.LocalAddr() != local {
			t.Error(s.port, s.conn.ID(), s.conn.RemoteAddr(), s.conn.LocalAddr())
		}
	})
}

func TestConfig(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	ok := Listener{Name: "a", Address: "127.0.0.1:0"}
	for name, c := range map[string]Config{
		"none":     {},
		"twice":    {Listeners: []Listener{ok, ok}},
		"taken":    {Listeners: []Listener{ok, {Name: "b", Address: taken.Addr().String()}}},
		"file":     {Listeners: []Listener{{Address: "/dev/null"}}},
		"negative": {Listeners: []Listener{ok}, MaxClients: -1},
		"refusal":  {Listeners: []Listener{{Refusal: make([]byte, maxRefusal+1)}}},
	} {
		if s, err := Start(c, newToyWorld().worker); err == nil {
			t.Errorf("%s: no error", name)
			s.Close(t.Context())
		}
	}
}

// A socket file that a killed process has left is replaced, a live one is not.
func TestStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	if _, err := Listen(path, 0o600); err == nil {
		t.Error("took a socket that is in use")
	}
	ln.Close()
	ln, err = Listen(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
}
