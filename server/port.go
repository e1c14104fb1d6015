package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// port is a listener at work. Its accept runs on a goroutine of its own and gives every connection to one of homes.
type port struct {
	server   *Server
	name     string
	listener net.Listener
	tls      *tls.Config
	refusal  []byte
	tooLarge []byte
	fast     bool     // homes are epoll loops
	file     *os.File // of the listening socket, if fast: net gives no access to accept4
	homes    []home
	load     []atomic.Int64 // connections of this port in each of homes
}

func (s *Server) listen() error {
	for _, l := range s.config.Listeners {
		ln := l.Listener
		if ln == nil {
			var err error
			if ln, err = Listen(l.Address, l.Mode); err != nil {
				return fmt.Errorf("listening for %q: %w", l.Name, err)
			}
		}
		p := &port{server: s, name: l.Name, listener: ln, refusal: l.Refusal, tooLarge: l.TooLarge}
		if l.TLS == nil && !s.config.portable {
			p.open()
		}
		if l.TLS != nil {
			p.tls = l.TLS.Clone()
			if p.tls.MinVersion == 0 {
				p.tls.MinVersion = tls.VersionTLS12
			}
			p.tls.DynamicRecordSizingDisabled = true // one record for a write: these are answers, not pages
			p.refusal = nil
		}
		s.ports = append(s.ports, p)
	}
	return nil
}

// Listen listens at "host:port", or at the path of a Unix socket (anything with a slash), in whose place it removes what a killed process
// has left. mode is for the socket, 0 leaves it to the umask. It is for callers who want to hold their addresses before Start.
func Listen(address string, mode os.FileMode) (net.Listener, error) {
	if !strings.Contains(address, "/") {
		return net.Listen("tcp", address)
	}
	if err := removeStale(address); err != nil {
		return nil, err
	}
	ln, err := net.Listen("unix", address)
	if err == nil && mode != 0 {
		if err = os.Chmod(address, mode); err != nil {
			ln.Close()
		}
	}
	return ln, err
}

// removeStale removes the socket that a process which was killed has left at path.
func removeStale(path string) error {
	fi, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if fi.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%s is there and is not a socket: remove it or choose another path", path)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return fmt.Errorf("another process listens at %s: stop it or choose another path", path)
	}
	return os.Remove(path)
}

func (p *port) close() {
	p.listener.Close()
	if p.file != nil {
		p.file.Close()
	}
}

func (p *port) accept() {
	take := p.acceptSocket
	if !p.fast {
		take = p.acceptStream
	}
	for failing := false; ; {
		err := take()
		if err == nil {
			failing = false
			continue
		}
		select {
		case <-p.server.stop: // Close has closed the listener
			return
		default:
		}
		if !failing {
			failing = true
			p.server.config.Logger.Warn("cannot accept connections: trying again", "listener", p.name, "error", err)
		}
		select {
		case <-p.server.stop:
			return
		case <-time.After(acceptPause):
		}
	}
}

// admit counts a new connection in, or says that there are too many.
func (p *port) admit() bool {
	s := p.server
	if s.clients.Add(1) > int64(s.config.MaxClients) {
		s.clients.Add(-1)
		s.refused.Add(1)
		return false
	}
	return true
}

// settle gives an admitted connection its number and the home with the fewest connections of this port: a client that opens
// connections to two ports in turn would otherwise have all of one port in one home.
func (p *port) settle(c *Conn, remote, local string) home {
	least := 0
	for i := range p.load {
		if p.load[i].Load() < p.load[least].Load() {
			least = i
		}
	}
	p.load[least].Add(1)
	c.port, c.place = p, least
	c.id = p.server.accepted.Add(1)
	c.remote, c.local = remote, local
	p.server.conns.Store(c.id, c)
	return p.homes[least]
}

func (p *port) acceptStream() error {
	nc, err := p.listener.Accept()
	if err != nil {
		return err
	}
	if !p.admit() {
		if len(p.refusal) > 0 {
			nc.SetWriteDeadline(time.Now().Add(grace))
			nc.Write(p.refusal)
		}
		nc.Close()
		return nil
	}
	if t, ok := nc.(*net.TCPConn); ok {
		idle := p.server.config.KeepAlive
		t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: idle > 0, Idle: idle, Interval: keepInterval * time.Second, Count: keepCount})
	}
	c := newStream(nc, p.tls)
	g := p.settle(&c.Conn, p.addr(nc.RemoteAddr()), p.addr(nc.LocalAddr())).(*group)
	g.adopt(c)
	return nil
}

func (p *port) addr(a net.Addr) string {
	if _, ok := a.(*net.UnixAddr); ok {
		a = p.listener.Addr()
	}
	return a.String()
}
