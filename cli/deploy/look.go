package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// facts is what holds on a host.
type facts struct {
	user               string // number of
	arch, kind         string // as Go names it; of its packages: deb or rpm
	installed          string // version of the package holdfast
	by                 string // SHA-256 of the file that this was installed from, if that was done here
	node, clone        string // of Pacemaker: what it calls the host, and the clone that runs the daemon
	systemd, ss, pcs   bool
	active, enabled    bool // the unit
	running            bool // a daemon, whoever started it
	stale              bool // what runs is not what is installed
	served             bool // the data directory is of a member that has served
	memory, free, disk uint64
	files              map[string]onHost // certificates and keys
	addresses          []netip.Addr
	names              map[string]netip.Addr // what it takes the names of the hosts for
	listeners          []listener
	units              map[string]unit // by process
	config             []byte
	status             *status
	ahead, aheadMostly time.Duration // its clock ahead of this machine's, and how far that may be wrong
}

// onHost is a file that is there.
type onHost struct {
	sha256     string
	attributes string // mode and group: 644:holdfast
}

// listener is a port that somebody serves.
type listener struct {
	address      netip.AddrPort // at any address: of an unspecified one
	program, pid string
}

// unit is what systemd calls a process, and whether Pacemaker has started it.
type unit struct {
	name      string
	pacemaker bool
}

// status is what this package needs of a daemon's /status.
type status struct {
	Name, Version, Verdict, Why, Leader, Role string
	Ready, Quorum, Draining                   bool
	Peers                                     []peer
}

// peer is a member of its group.
type peer struct {
	Name, Role string
	InRoster   bool `json:"in_roster"` // a leader alone knows that
}

const (
	healthy = "healthy" // the verdict
	learner = "learner" // the role of a member without a vote
)

// architectures by what uname calls them.
var architectures = map[string]string{"x86_64": "amd64", "aarch64": "arm64"}

const reachRemedy = "see that 'ssh -o BatchMode=yes %s true' works from here, with a key that needs no password and a host that is known, or name another user"

// look finds out how a host is.
func (d *deployment) look(ctx context.Context, h *host) error {
	return d.step(h, "look", "", func() (string, error) {
		names := make([]string, 0, len(d.hosts))
		for _, o := range d.hosts {
			names = append(names, o.Name)
		}
		out, err := d.run(ctx, h, lookScript, names...)
		if err != nil {
			return "", fmt.Errorf("not reached: %w: "+reachRemedy, err, h.Name)
		}
		if h.facts, err = parseFacts(string(out)); err != nil {
			return "", err
		}
		if h.facts.config, err = d.run(ctx, h, readConfig, configFile); err != nil {
			return "", fmt.Errorf("%s cannot be read: %w", configFile, err)
		}
		if h.facts.status, err = d.ask(ctx, h); err != nil {
			return "", err
		}
		f := &h.facts
		for _, l := range f.listeners {
			f.running = f.running || l.program == "holdfast"
		}
		f.running = f.running || f.active || f.status != nil
		return f.summary(), d.compareClock(ctx, h)
	})
}

// ask returns what the daemon says, nil if none answers.
func (d *deployment) ask(ctx context.Context, h *host) (*status, error) {
	out, err := d.run(ctx, h, askStatus, configFile)
	if err != nil || len(out) == 0 {
		return nil, err
	}
	s := new(status)
	if err := json.Unmarshal(out, s); err != nil || s.Name == "" {
		return nil, errors.New("what answers at the admin port gives no status: see what 'holdfast status -o json' prints there")
	}
	return s, nil
}

// compareClock measures how far the host's clock is from this machine's. The connection is there already, so that takes one round trip.
func (d *deployment) compareClock(ctx context.Context, h *host) error {
	begin := time.Now()
	out, err := d.run(ctx, h, clockScript)
	took := time.Since(begin)
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		return fmt.Errorf("its 'date' says %.40q, which is no time", out)
	}
	there := time.UnixMicro(int64(seconds * 1e6))
	h.facts.ahead, h.facts.aheadMostly = there.Sub(begin.Add(took/2)), took/2
	return nil
}

// summary says in a few words how the host was found.
func (f *facts) summary() string {
	var all []string
	if f.installed != "" {
		all = append(all, "holdfast "+f.installed)
	}
	switch {
	case f.status != nil:
		all = append(all, "running, "+f.status.Verdict)
	case f.running:
		all = append(all, "running")
	}
	return strings.Join(append(all, f.arch, f.kind), ", ")
}

// parseFacts reads what lookScript prints. What it does not know it passes over: a host may say more than was asked.
func parseFacts(text string) (facts, error) {
	f := facts{files: map[string]onHost{}, names: map[string]netip.Addr{}, units: map[string]unit{}}
	for line := range strings.Lines(text) {
		word, rest, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
		rest = strings.TrimSpace(rest)
		first, second, _ := strings.Cut(rest, " ")
		var err error
		switch word {
		case "user":
			f.user = rest
		case "arch":
			f.arch = architectures[rest]
		case "kind":
			f.kind = rest
		case "installed":
			f.installed = rest
		case "by":
			if second == f.installed { // another has been installed since
				f.by = first
			}
		case "systemd":
			f.systemd = true
		case "ss":
			f.ss = true
		case "active":
			f.active = true
		case "enabled":
			f.enabled = true
		case "served":
			f.served = true
		case "stale":
			f.stale = true
		case "pacemaker":
			f.node = rest
		case "pcs":
			f.pcs = true
		case "clone":
			f.clone = rest
		case "file":
			attributes, path, _ := strings.Cut(second, " ")
			f.files[path] = onHost{first, attributes}
		case "MemTotal:":
			f.memory, err = kib(rest)
		case "MemAvailable:":
			f.free, err = kib(rest)
		case "disk":
			f.disk, err = kib(rest)
		case "address":
			if a, err := netip.ParseAddr(rest); err == nil {
				f.addresses = append(f.addresses, a)
			}
		case "name":
			if a, err := netip.ParseAddr(second); err == nil && useful(a) && !f.names[first].IsValid() {
				f.names[first] = a
			}
		case "listens":
			if l, ok := parseListener(first, second); ok {
				f.listeners = append(f.listeners, l)
			}
		case "unit":
			name, by, _ := strings.Cut(second, " ")
			f.units[first] = unit{name, by != ""}
		}
		if err != nil {
			return f, fmt.Errorf("it says %.60q, which is no size", line)
		}
	}
	return f, nil
}

func kib(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 44)
	return n << 10, err
}

// parseListener reads a line of ss: 127.0.0.1:6379, [::1]:6379, *:6379 or 10.0.0.1%eth0:53, and users:(("redis-server",pid=812,fd=6)).
func parseListener(at, who string) (l listener, ok bool) {
	i := strings.LastIndexByte(at, ':')
	if i < 0 {
		return l, false
	}
	ip, _, _ := strings.Cut(strings.Trim(at[:i], "[]"), "%")
	if ip == "*" {
		ip = "::"
	}
	a, err := netip.ParseAddr(ip)
	port, err2 := strconv.ParseUint(at[i+1:], 10, 16)
	if err != nil || err2 != nil {
		return l, false
	}
	l.address = netip.AddrPortFrom(a.Unmap(), uint16(port))
	if _, rest, found := strings.Cut(who, `(("`); found {
		l.program, rest, _ = strings.Cut(rest, `"`)
		_, rest, _ = strings.Cut(rest, "pid=")
		l.pid, _, _ = strings.Cut(rest, ",")
	}
	return l, true
}
