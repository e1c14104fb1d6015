package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"

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

// listenAll binds every address of c, so that clients that come while the state is being loaded wait and are not refused.
func listenAll(c *config.Config, peers []config.Listener) (all []open, err error) {
	mode, err := c.SocketPermissions()
	if err != nil {
		return nil, fmt.Errorf("setting socket-mode: %w", err)
	}
	for _, group := range []struct {
		protocol  string
		listeners []config.Listener
	}{{redisPort, c.Redis()}, {sentinelPort, c.Sentinel()}, {memcachePort, c.Memcached()}, {adminPort, c.Admin()}, {peerPort, peers}} {
		for _, l := range group.listeners {
			ln, err := server.Listen(l.Address, os.FileMode(mode))
			if err != nil {
				closeAll(all)
				return nil, explain(l, err)
			}
			all = append(all, open{ln, l, group.protocol})
		}
	}
	return all, nil
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
