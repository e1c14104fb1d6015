//go:build linux

// Package group runs a group of holdfast daemons for tests and disturbs it: it starts and ends members, stops them, cuts and slows
// the links between them, and freezes and fills their disks. It knows no word of either protocol and imports nothing of the daemon's:
// a member is the built binary and what its admin port says.
//
// With root each member gets a host of its own: a network namespace whose only way out is a switch in this process, and a disk of
// its own. Without, the members share 127.0.0.1, .2, .3 and only their processes can be disturbed. Read group.go first, then member.go,
// then host.go, network.go and disk.go.
package group

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Options say what to start. Binary and Dir are required.
type Options struct {
	Binary  string   // the built daemon
	Dir     string   // for data, disks and logs; the caller removes it after Close
	Members int      // 1, 3 or 5
	Apart   bool     // every member on a host of its own, which needs root: see Apartable
	Args    []string // further arguments of every member
}

// Group is some members. Its methods and those of one member are not safe for concurrent use, unless they say so.
type Group struct {
	Members []*Member
	network *network // nil unless Apart
}

// Build builds the daemon into dir, with flags of go build, and returns the binary's path.
func Build(dir string, flags ...string) (string, error) {
	path := filepath.Join(dir, "holdfast")
	cmd := exec.Command("go", append(append([]string{"build", "-o", path}, flags...), "holdfast/cmd/holdfast")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the daemon: %w\n%s", err, out)
	}
	return path, nil
}

// New makes the hosts and the members, and starts none.
func New(o Options) (*Group, error) {
	g := &Group{}
	if o.Apart {
		g.network = newNetwork(o.Members)
	}
	for i := range o.Members {
		m := &Member{Name: fmt.Sprint("c", i+1), binary: o.Binary, log: filepath.Join(o.Dir, fmt.Sprintf("c%d.log", i+1))}
		m.Data = filepath.Join(o.Dir, m.Name, "data")
		g.Members = append(g.Members, m)
		if err := g.place(m, i, filepath.Join(o.Dir, m.Name)); err != nil {
			g.Close()
			return nil, err
		}
	}
	for _, m := range g.Members {
		m.args = append([]string{"serve", "--data", m.Data, "--redis-listen", m.Redis, "--memcached-listen", m.Memcached, "--admin-listen", m.Admin}, o.Args...)
		if o.Members > 1 {
			m.args = append(m.args, "--name", m.Name, "--peer-listen", m.Peer, "--members", g.list())
		}
	}
	if o.Apart && o.Members > 1 {
		if err := g.certify(filepath.Join(o.Dir, "certificates")); err != nil {
			g.Close()
			return nil, err
		}
	}
	return g, nil
}

// certify makes the members talk mutual TLS, as they must beyond loopback, with certificates of the daemon's own making.
func (g *Group) certify(dir string) error {
	run := func(m *Member, args ...string) error {
		if out, err := exec.Command(m.binary, append(args, "--dir", dir)...).CombinedOutput(); err != nil {
			return fmt.Errorf("making certificates: %w: %s", err, out)
		}
		return nil
	}
	if err := run(g.Members[0], "cert", "ca"); err != nil {
		return err
	}
	for _, m := range g.Members {
		if err := run(m, "cert", "member", m.Name); err != nil {
			return err
		}
		m.args = append(m.args, "--peer-ca", filepath.Join(dir, "ca.pem"), "--peer-cert", filepath.Join(dir, m.Name+".pem"), "--peer-key", filepath.Join(dir, m.Name+"-key.pem"))
	}
	return nil
}

// place gives a member its addresses, and a host if there are hosts.
func (g *Group) place(m *Member, i int, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if g.network != nil {
		host, err := newHost(g.network, i, dir)
		if err != nil {
			return fmt.Errorf("making a host for %s: %w", m.Name, err)
		}
		m.host = host
		m.Redis, m.Memcached, m.Admin, m.Peer = "127.0.0.1:6379", "127.0.0.1:11211", "127.0.0.1:8630", net.JoinHostPort(address(i), "7420")
		return nil
	}
	ip := fmt.Sprint("127.0.0.", i+1)
	for _, at := range []*string{&m.Redis, &m.Memcached, &m.Admin, &m.Peer} {
		port, err := freePort(ip)
		if err != nil {
			return err
		}
		*at = net.JoinHostPort(ip, strconv.Itoa(port))
	}
	return nil
}

// freePort finds a port below those that the kernel gives to outgoing connections, so that it stays free while the member is down.
func freePort(ip string) (int, error) {
	var last error
	for range 100 {
		port := 12000 + rand.IntN(20000)
		l, err := net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
		if err == nil {
			l.Close()
			return port, nil
		}
		last = err
	}
	return 0, fmt.Errorf("no free port on %s after 100 attempts: %w", ip, last)
}

// list is the value of --members.
func (g *Group) list() string {
	var all []string
	for _, m := range g.Members {
		all = append(all, m.Name+"="+m.Peer)
	}
	return strings.Join(all, ",")
}

// Start starts all members and returns when the group is whole.
func (g *Group) Start(patience time.Duration) error {
	for _, m := range g.Members {
		if err := m.Start(); err != nil {
			return err
		}
	}
	return g.AwaitWhole(patience)
}

// AwaitWhole returns when every member serves writes and says that all are there and have a vote: from then on any one may be lost.
func (g *Group) AwaitWhole(patience time.Duration) error {
	end := time.Now().Add(patience)
	for _, m := range g.Members {
		if err := m.AwaitReady(time.Until(end)); err != nil {
			return err
		}
	}
	for ; ; time.Sleep(20 * time.Millisecond) {
		err := g.whole()
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// whole says what is missing, by the word of every member.
func (g *Group) whole() error {
	for _, m := range g.Members {
		s, err := m.Status()
		if err != nil {
			return err
		}
		if s.Verdict != "healthy" || s.Members != len(g.Members) {
			return m.fault("says that the group is %s: %s (%d members, missing: %v)", s.Verdict, s.Why, s.Members, s.Missing)
		}
	}
	return nil
}

// Leader returns the member that says that it leads, of several the one with the newest term. Nil: none says so.
func (g *Group) Leader() *Member {
	var leader *Member
	var newest uint64
	for _, m := range g.Members {
		if !m.Up() || m.stopped {
			continue
		}
		s, err := m.Status()
		if err == nil && s.Role == "leader" && s.Term >= newest {
			leader, newest = m, s.Term
		}
	}
	return leader
}

// AwaitLeader is Leader for those who can wait for one.
func (g *Group) AwaitLeader(patience time.Duration) (*Member, error) {
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if m := g.Leader(); m != nil {
			return m, nil
		}
		if time.Now().After(end) {
			return nil, fmt.Errorf("no member has said for %v that it leads; their logs are %s and its neighbours", patience, g.Members[0].log)
		}
	}
}

// Close ends every process and takes everything down that New put up, but for the files in Options.Dir.
func (g *Group) Close() error {
	var all []error
	for _, m := range g.Members {
		all = append(all, m.close())
	}
	return errors.Join(all...)
}
