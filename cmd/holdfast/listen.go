package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"

	"holdfast/config"
	"holdfast/server"
)

// Protocols, as a listener's name begins.
const (
	redisPort    = "redis"
	sentinelPort = "sentinel"
	memcachePort = "memcached"
	adminPort    = "admin"
	peerPort     = "members"
)

// open is a listener that is bound.
type open struct {
	net.Listener
	asked    config.Listener // what the setting says
	protocol string
}

// name is what the listener is called: unique, the protocol first.
func (o open) name() string { return o.protocol + " " + o.where() }

// protocolOf is the protocol of the listener with that name.
func protocolOf(name string) string {
	protocol, _, _ := strings.Cut(name, " ")
	return protocol
}

// where is the address as it came to be: with the port that was picked for port 0.
func (o open) where() string {
	if o.asked.Network == "unix" {
		return "unix:" + o.asked.Address
	}
	return o.Addr().String()
}

// port is the number of the port, 0 for a Unix socket.
func (o open) port() int {
	if a, ok := o.Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}

// listenAll binds every address of c, so that clients that come while the state is being loaded wait and are not refused. Those that systemd has
// bound are taken from it.
func listenAll(c *config.Config, peers []config.Listener) (all []open, err error) {
	mode, err := c.SocketPermissions()
	if err != nil {
		return nil, fmt.Errorf("setting socket-mode: %w", err)
	}
	passed, err := inherited()
	if err != nil {
		return nil, err
	}
	wanted := asked(c, peers)
	places := make([]string, len(wanted))
	for i, o := range wanted {
		places[i] = bound(o.asked)
	}
	if err := leave(passed, places); err != nil {
		return nil, err
	}
	for i, o := range wanted {
		o.Listener = passed[places[i]].Listener
		delete(passed, places[i])
		if o.Listener == nil {
			if o.Listener, err = server.Listen(o.asked.Address, os.FileMode(mode)); err != nil {
				closeAll(all)
				return nil, explain(o.asked, err)
			}
		}
		all = append(all, o)
	}
	return all, nil
}

// asked lists what is to be bound.
func asked(c *config.Config, peers []config.Listener) (all []open) {
	for _, group := range []struct {
		protocol  string
		listeners []config.Listener
	}{{redisPort, c.Redis()}, {sentinelPort, c.Sentinel()}, {memcachePort, c.Memcached()}, {adminPort, c.Admin()}, {peerPort, peers}} {
		for _, l := range group.listeners {
			all = append(all, open{asked: l, protocol: group.protocol})
		}
	}
	return all
}

// leave closes what systemd passed and is at none of the wanted places. What it kept for an earlier life it has closed too when leave returns: the settings may name the
// same port at another address now.
func leave(all map[string]passed, wanted []string) error {
	forgotten := false
	for where, p := range all {
		if slices.Contains(wanted, where) {
			continue
		}
		address := p.Addr().String()
		p.Close()
		delete(all, where)
		if !p.kept {
			return fmt.Errorf("systemd has opened %s for this service and no setting names it: write ListenStream= in its socket unit as the settings have it", address)
		}
		forget(address)
		forgotten = true
	}
	if forgotten {
		barrier()
	}
	return nil
}

// passed is a listener that systemd has passed.
type passed struct {
	net.Listener
	kept bool // for an earlier life of the daemon, and not opened by a socket unit
}

// inherited returns the listeners that systemd passed, by where they listen.
func inherited() (map[string]passed, error) {
	all := map[string]passed{}
	for _, f := range activation.Files(true) {
		ln, err := net.FileListener(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("systemd passed %s, which is no listening socket: its socket unit may have lines of ListenStream= alone", f.Name())
		}
		all[place(ln.Addr())] = passed{ln, strings.HasPrefix(f.Name(), keptPrefix)}
	}
	return all, nil
}

// bound is where l will listen: a name is looked up.
func bound(l config.Listener) string {
	a, err := net.ResolveTCPAddr("tcp", l.Address)
	if l.Network == "unix" || err != nil {
		return l.Address
	}
	return place(a)
}

// place says where an address is. 0.0.0.0, [::] and no host at all are the same: of all of them net makes a listener that hears whatever the machine hears.
func place(a net.Addr) string {
	if a, ok := a.(*net.TCPAddr); ok && (a.IP == nil || a.IP.IsUnspecified()) {
		return ":" + strconv.Itoa(a.Port)
	}
	return a.String()
}

func closeAll(all []open) {
	for _, o := range all {
		o.Close()
	}
}

// explain says which setting cannot be had and what to do.
func explain(l config.Listener, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("setting %s: %s is in use by another process (redis-server, memcached or a second holdfast?): stop that one or choose another address", l.Setting, l.Address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("setting %s: %s is no address of this machine: choose one of its own", l.Setting, l.Address)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("setting %s: this user may not listen at %s: choose another address", l.Setting, l.Address)
	}
	return fmt.Errorf("setting %s: cannot listen at %s: %w", l.Setting, l.Address, err)
}

// only returns the listeners of a protocol.
func only(all []open, protocol string) (some []open) {
	for _, o := range all {
		if o.protocol == protocol {
			some = append(some, o)
		}
	}
	return some
}
