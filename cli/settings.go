package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"holdfast/config"
	"holdfast/openstack"
)

// serviceSettings are the verbs that print what a service's configuration should say.
func (p Program) serviceSettings() (all []*cobra.Command) {
	for _, service := range openstack.Services {
		all = append(all, p.settingsOf(service))
	}
	return all
}

func (p Program) settingsOf(service string) *cobra.Command {
	var release, protocol string
	var controllers []string
	c := &cobra.Command{
		Use:   service,
		Short: "Print the settings of " + service + " for this group",
		Long: "Prints what the configuration of " + service + " should say for this group. The controllers are asked from the running daemon, or named\n" +
			"by --controllers, this one first. Databases, ports and whether there is a password come from the daemon and its configuration.",
		Args: noArgs,
	}
	d := p.daemonFlags(c)
	c.Flags().StringVar(&release, "release", openstack.Newest, "OpenStack's release, by name or number")
	c.Flags().StringVar(&protocol, "protocol", "", "redis or memcached (default: what is best for the service)")
	c.Flags().StringSliceVar(&controllers, "controllers", nil, "hosts of the controllers between commas, this one first (default: the members of the running group)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		r, err := openstack.ParseRelease(release)
		if err != nil {
			return usage{err}
		}
		if protocol != "" && protocol != openstack.Redis && protocol != openstack.Memcached {
			return usage{fmt.Errorf("--protocol is %.40q: write %s or %s", protocol, openstack.Redis, openstack.Memcached)}
		}
		at, err := d.place(controllers)
		if err != nil {
			return err
		}
		text, err := openstack.Settings(service, r, protocol, at)
		if err == nil {
			_, err = io.WriteString(c.OutOrStdout(), text)
		}
		return err
	}
	return c
}

// place finds out where the group serves. With controllers named, no daemon is needed.
func (d *daemon) place(controllers []string) (openstack.Place, error) {
	var at openstack.Place
	c, err := d.loader.load()
	if err != nil {
		return at, err
	}
	at.Password = c.RedisPassword != "" || c.RedisPasswordFile != ""
	if len(c.SentinelMasters) > 0 {
		at.Master = c.SentinelMasters[0]
	}
	if classes, err := c.RedisClassOf(); err == nil {
		at.Classes = classes[:]
		at.Sessions, at.Tokens, at.Groups = firstOf(classes[:], "session"), firstOf(classes[:], "token"), firstOf(classes[:], "coordination")
	}
	if len(controllers) > 0 {
		at.Hosts = controllers
		at.Redis, at.Sentinel, at.Memcached = portOf(c.Redis()), portOf(c.Sentinel()), portOf(c.Memcached())
		return at, nil
	}
	r, _, err := d.report()
	if err != nil {
		return at, fmt.Errorf("%w Or name the controllers with --controllers", err)
	}
	err = d.placeOf(r, &at)
	return at, err
}

// placeOf takes ports and hosts from a running daemon.
func (d *daemon) placeOf(r *report, at *openstack.Place) error {
	own := ""
	for _, port := range r.Traffic.Ports {
		host, number, err := net.SplitHostPort(port.Address)
		if err != nil || port.TLS {
			continue
		}
		switch {
		case port.Protocol == openstack.Redis && at.Redis == "":
			own, at.Redis = host, number
		case port.Protocol == "sentinel" && at.Sentinel == "":
			at.Sentinel = number
		case port.Protocol == openstack.Memcached && at.Memcached == "":
			own, at.Memcached = host, number
		}
	}
	var peers []peer
	body, err := d.get("/members")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, &peers); err != nil {
		return fmt.Errorf("what answers at the admin address gives no members: %w", err)
	}
	at.Hosts = hostsOf(peers, own)
	return nil
}

// hostsOf lists the members' hosts, the one that was asked first. When that one serves its clients on loopback alone, they can reach no other.
func hostsOf(peers []peer, own string) []string {
	var all []string
	self := ""
	for _, p := range peers {
		host, _, err := net.SplitHostPort(p.Address)
		switch {
		case err != nil || p.Role == learner:
		case p.Self:
			self = host
		default:
			all = append(all, host)
		}
	}
	ip, err := netip.ParseAddr(own)
	switch {
	case err == nil && ip.IsLoopback() && own != self, len(peers) == 0:
		if own == "" || ip.IsUnspecified() {
			own = "127.0.0.1"
		}
		return []string{own}
	case self == "":
		return all
	}
	return append([]string{self}, all...)
}

// firstOf returns the first database of a class, 0 if there is none.
func firstOf(classes []string, class string) int {
	for i, c := range classes {
		if c == class {
			return i
		}
	}
	return 0
}

// portOf returns the port of the first listener without TLS, empty if there is none.
func portOf(all []config.Listener) string {
	for _, l := range all {
		if _, port, err := net.SplitHostPort(strings.TrimSpace(l.Address)); err == nil && !l.TLS {
			return port
		}
	}
	return ""
}
