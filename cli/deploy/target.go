package deploy

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"holdfast/config"
)

// Target is a host as the command line names it.
type Target struct {
	User    string     // for ssh; empty: as for all
	Name    string     // by which ssh knows it, and which the controller gets
	Address netip.Addr // at which it serves; not valid: what the other hosts take its name for
}

// ParseTarget reads [USER@]NAME[=ADDRESS].
func ParseTarget(text string) (t Target, err error) {
	rest, address, given := strings.Cut(text, "=")
	t.Name = rest
	if user, name, ok := strings.Cut(rest, "@"); ok {
		t.User, t.Name = user, name
		if !IsUser(user) {
			return t, fmt.Errorf("%.80q names no user: write USER@NAME, or NAME alone", text)
		}
	}
	if !config.IsName(t.Name) || t.Name[0] == '-' || t.Name == Authority {
		return t, fmt.Errorf("%.80q is no host: write NAME, USER@NAME or NAME=ADDRESS, where NAME is what ssh calls it, of up to %d letters, digits, dots, dashes and underscores",
			text, config.MaxName)
	}
	if given {
		if t.Address, err = netip.ParseAddr(address); err != nil || !useful(t.Address) {
			return t, fmt.Errorf("%.80q: behind the = stands the IP address by which the other controllers reach %s", text, t.Name)
		}
	}
	return t, nil
}

// IsUser says whether somebody may be called s on a host.
func IsUser(s string) bool { return config.IsName(s) && s[0] != '-' }

// useful says whether others can reach a machine at an address.
func useful(a netip.Addr) bool {
	return a.IsValid() && !a.IsLoopback() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLinkLocalUnicast() && a.Zone() == ""
}

// ParseTargets reads the hosts of a group: 1 to config.MaxMembers of different names, at different addresses.
func ParseTargets(texts []string) ([]Target, error) {
	var all []Target
	names, addresses := map[string]bool{}, map[netip.Addr]bool{}
	for _, text := range texts {
		t, err := ParseTarget(text)
		switch {
		case err != nil:
			return nil, err
		case names[t.Name]:
			return nil, fmt.Errorf("%s is named twice", t.Name)
		case addresses[t.Address]:
			return nil, fmt.Errorf("two hosts have the address %s", t.Address)
		}
		names[t.Name] = true
		if t.Address.IsValid() {
			addresses[t.Address] = true
		}
		all = append(all, t)
	}
	switch {
	case len(all) == 0:
		return nil, errors.New("no host is named")
	case len(all) > config.MaxMembers:
		return nil, fmt.Errorf("%d hosts are named: at most %d are allowed, and 3 or 5 are right", len(all), config.MaxMembers)
	}
	return all, nil
}
