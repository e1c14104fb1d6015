//go:build linux

package group

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"
)

// hosts makes some members with hosts of their own and no daemon.
func hosts(t *testing.T, n int) *Group {
	t.Helper()
	if err := Apartable(); err != nil {
		t.Skip(err)
	}
	g, err := New(Options{Binary: "/bin/true", Dir: t.TempDir(), Members: n, Apart: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

// echo answers every line with itself, on the host of m.
func echo(t *testing.T, m *Member) {
	t.Helper()
	var l net.Listener
	err := m.on(func() (err error) {
		l, err = net.Listen("tcp", m.Peer)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for in := bufio.NewScanner(c); in.Scan(); {
					fmt.Fprintf(c, "%s\n", in.Text())
				}
			}()
		}
	}()
}

// ping returns how long an echo takes, or that there is none within limit.
func ping(c net.Conn, limit time.Duration) (time.Duration, error) {
	began := time.Now()
	c.SetDeadline(began.Add(limit))
	b := make([]byte, 100)
	fmt.Fprintln(c, "x")
	_, err := c.Read(b)
	return time.Since(began), err
}

func TestLinks(t *testing.T) {
	g := hosts(t, 3)
	a, b, c := g.Members[0], g.Members[1], g.Members[2]
	echo(t, b)
	dial := func(m *Member) net.Conn {
		t.Helper()
		to, err := m.Dial(b.Peer)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { to.Close() })
		return to
	}
	fromA, fromC := dial(a), dial(c)
	expect := func(from net.Conn, least, most time.Duration) {
		t.Helper()
		d, err := ping(from, 5*time.Second)
		if err != nil || d < least || d > most {
			t.Errorf("an echo after %v (%v), expected after %v to %v", d, err, least, most)
		}
	}
	expect(fromA, 0, time.Second)

	g.Links([]*Member{a}, []*Member{b}, Link{Delay: 60 * time.Millisecond})
	expect(fromA, 60*time.Millisecond, time.Second)
	expect(fromC, 0, 59*time.Millisecond)

	for _, one := range []struct{ from, to *Member }{{a, b}, {b, a}} {
		g.Links(g.Members, g.Members, Link{})
		expect(fromA, 0, 3*time.Second) // what was sent into the cut arrives late
		g.Links([]*Member{one.from}, []*Member{one.to}, Link{Cut: true})
		if _, err := ping(fromA, 200*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s to %s is cut, and an echo comes: %v", one.from.Name, one.to.Name, err)
		}
		expect(fromC, 0, time.Second)
	}
	g.Isolate(b, Link{Cut: true})
	if c, err := a.Dial(b.Peer); err == nil {
		c.Close()
		t.Error("a connection came about over a cut link")
	}
	g.Isolate(b, Link{Loss: 0.2})
	for range 8 {
		if _, err := ping(fromC, 10*time.Second); err != nil {
			t.Fatalf("no echo over a lossy link: %v", err)
		}
	}
}

func TestDisks(t *testing.T) {
	m := hosts(t, 1).Members[0]
	write := func() (took time.Duration, err error) {
		began := time.Now()
		err = m.on(func() error { return os.WriteFile(m.host.disk+"/file", make([]byte, 1<<16), 0o644) })
		return time.Since(began), err
	}
	if _, err := write(); err != nil {
		t.Fatal(err)
	}
	if err := m.Freeze(400 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // until the program that freezes it has begun
	if took, err := write(); err != nil || took < 100*time.Millisecond {
		t.Errorf("a write to a frozen disk took %v (%v)", took, err)
	}
	if err := m.on(func() error { return os.Remove(m.host.disk + "/file") }); err != nil {
		t.Fatal(err)
	}
	if err := m.Fill(); err != nil {
		t.Fatal(err)
	}
	if _, err := write(); err == nil {
		t.Error("there is room on a full disk")
	}
	if err := m.Empty(); err != nil {
		t.Fatal(err)
	}
	if _, err := write(); err != nil {
		t.Error(err)
	}
}
