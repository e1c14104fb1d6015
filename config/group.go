package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Limits of a group.
const (
	PeerPort   = 7420 // where members reach each other unless an address says otherwise
	MaxMembers = 7
)

// Peer is a member as the settings name it.
type Peer struct {
	Name    string
	Address string // host:port
}

// Group is what the settings say of the group that this controller belongs to.
type Group struct {
	Listen  Listener
	Address string   // by which the other members reach this one, host:port
	Members []Peer   // all that found the group, this one among them, in the order of the setting; empty with Join
	Join    []string // addresses of members of the running group that this one joins; empty with Members
}

// Alone says whether the settings name no other controller.
func (c *Config) Alone() bool { return c.PeerListen == "" }

// ParsePeer reads the address of a member: host:port, [v6]:port, or a host alone for port 7420. It returns host:port.
func ParsePeer(text string) (string, error) {
	full := text
	if !strings.Contains(text, ":") || strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		full = fmt.Sprintf("%s:%d", text, PeerPort)
	} else if ip, err := netip.ParseAddr(text); err == nil && ip.Is6() {
		full = fmt.Sprintf("[%s]:%d", text, PeerPort)
	}
	l, err := ParseListener(full)
	if err != nil || l.Network != "tcp" || strings.HasSuffix(l.Address, ":0") {
		return "", fmt.Errorf("%q is no address of a member: write host:port, or a host alone for port %d", text, PeerPort)
	}
	return l.Address, nil
}

// anyHost says whether a listener at address serves all addresses of the machine: others need to be told one.
func anyHost(address string) bool {
	host, _, _ := cutLast(address, ":")
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "" || err == nil && ip.IsUnspecified()
}

// Group returns the group, of which Name must be set: an empty one fits no member. The error names everything that is wrong.
func (c *Config) Group() (Group, error) {
	var p problems
	var g Group
	if c.Alone() {
		if len(c.Members) > 0 || len(c.Join) > 0 || c.PeerAddress != "" || c.peerFiles() > 0 {
			p.addf("there are settings of a group and peer-listen is empty: set it to the address at which this controller serves the other members")
		}
		return g, p.join()
	}
	if len(c.Members) > 0 && len(c.Join) > 0 {
		p.addf("settings members and join are both there: members found a group together, join enters one that runs; keep one")
	}
	g.Listen = c.peerListener(&p)
	g.Members = c.peers(&p)
	for _, text := range c.Join {
		address, err := ParsePeer(text)
		if err != nil {
			p.addf("setting join: %w", err)
			continue
		}
		g.Join = append(g.Join, address)
	}
	if len(p) == 0 {
		c.findSelf(&p, &g)
	}
	return g, p.join()
}

func (c *Config) peerListener(p *problems) Listener {
	address, err := ParsePeer(c.PeerListen)
	if err != nil {
		p.addf("setting peer-listen: %w", err)
		return Listener{}
	}
	l, _ := ParseListener(address) // ParsePeer did
	l.Setting, l.TLS = "peer-listen", c.peerFiles() > 0
	return l
}

// peers returns the setting members.
func (c *Config) peers(p *problems) []Peer {
	var all []Peer
	names, addresses := map[string]bool{}, map[string]string{}
	for _, text := range c.Members {
		name, at, ok := strings.Cut(text, "=")
		if !ok || !IsName(name) {
			p.addf("setting members has %q: write name=host:port, or name=host for port %d", text, PeerPort)
			continue
		}
		address, err := ParsePeer(at)
		switch {
		case err != nil:
			p.addf("setting members: %s: %w", name, err)
		case anyHost(address):
			p.addf("setting members has %q, which is no address of one machine: name the one by which the others reach %s", text, name)
		case names[name]:
			p.addf("setting members names %s twice: keep one", name)
		case addresses[address] != "":
			p.addf("setting members gives %s and %s the same address %s: give each its own", addresses[address], name, address)
		}
		names[name], addresses[address] = true, name
		all = append(all, Peer{name, address})
	}
	if len(all) > MaxMembers {
		p.addf("setting members has %d: at most %d are allowed, and 3 or 5 are right", len(all), MaxMembers)
	}
	return all
}

// findSelf says by which address the others reach this controller, and puts it among the members if they are the others alone.
func (c *Config) findSelf(p *problems, g *Group) {
	listed, namesake := "", ""
	if c.PeerAddress != "" {
		address, err := ParsePeer(c.PeerAddress)
		if err != nil || anyHost(address) {
			p.addf("setting peer-address is %q: write host:port by which the other members reach this controller", c.PeerAddress)
			return
		}
		g.Address = address
	}
	for _, m := range g.Members {
		if m.Name == c.Name {
			listed = m.Address
		}
	}
	switch {
	case listed != "" && g.Address != "" && g.Address != listed:
		p.addf("setting members has this controller, %s, at %s, and peer-address is %s: make them agree", c.Name, listed, c.PeerAddress)
		return
	case listed != "":
		g.Address = listed
		return
	case g.Address == "" && c.Name != "" && anyHost(g.Listen.Address):
		p.addf("setting peer-listen is %s, by which the other members cannot find this controller: set peer-address, or name %s among members", c.PeerListen, c.Name)
		return
	case g.Address == "":
		g.Address = g.Listen.Address
	}
	for _, m := range g.Members {
		if m.Address == g.Address {
			namesake = m.Name
		}
	}
	switch {
	case c.Name == "" || len(g.Members) == 0:
	case namesake != "":
		p.addf("setting members calls the controller at %s %s, and its name is %s: make them agree", g.Address, namesake, c.Name)
	default:
		g.Members = append(g.Members, Peer{c.Name, g.Address})
	}
}

// peerFiles counts which of the three files for TLS between members are there.
func (c *Config) peerFiles() int {
	n := 0
	for _, f := range []string{c.PeerCA, c.PeerCert, c.PeerKey} {
		if f != "" {
			n++
		}
	}
	return n
}

func (c *Config) checkGroup(p *problems) {
	if _, err := c.Group(); err != nil {
		*p = append(*p, err)
	}
	if n := c.peerFiles(); n == 1 || n == 2 {
		p.addf("of the settings peer-ca, peer-cert and peer-key some are missing: set all three, 'holdfast cert' makes the files")
	}
	if c.Lease*100 >= c.Promise*time.Duration(100-c.Drift) {
		p.addf("setting lease is %s: it must be below promise, which is %s, less drift, which is %d hundredths: or two could think that they may answer",
			short(c.Lease), short(c.Promise), c.Drift)
	}
	if 3*c.Heartbeat > c.Promise {
		p.addf("setting heartbeat is %s: it must be at most a third of promise, which is %s, or one lost message would end a leader", short(c.Heartbeat), short(c.Promise))
	}
}

// Warnings says what is allowed and probably not meant, one sentence each. Only for a Config that Validate found good.
func (c *Config) Warnings() []string {
	var all []string
	g, _ := c.Group()
	if n := len(g.Members); n > 0 && n%2 == 0 {
		all = append(all, fmt.Sprintf("setting members has %d: a group of %d may lose no more of them than one of %d; use 1, 3 or 5", n, n, n-1))
	}
	if !c.Alone() && c.Durability == "memory" {
		all = append(all, "setting durability is memory: when a majority of the members stops at once, everything is gone")
	}
	if len(c.MemcachedListen)+len(c.MemcachedTLSListen) > 0 && c.HoldMemcached >= time.Second {
		all = append(all, fmt.Sprintf("setting hold-memcached is %s: oslo.cache gives up after 1s and then shuns this controller for 300s; stay below", short(c.HoldMemcached)))
	}
	return all
}
