package deploy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"holdfast/config"
)

// plan is what is to be done on a host.
type plan struct {
	address  netip.Addr
	install  *Package        // nil: nothing
	text     []byte          // of the configuration file, nil: as it is
	changes  []config.Change // that this makes
	settings config.Config   // as they are afterwards
	files    []file          // certificates and keys that are missing there, once they are made
	certify  bool            // whether there are any
	roll     bool            // a running daemon has to be restarted
	managed  bool            // by Pacemaker
	notes    []string        // what the operator should know
}

// file is one that is written to a host.
type file struct {
	path, mode string
	text       []byte
}

// decide makes the plans of all hosts. The error names everything that stands against deploying, on every host.
func (d *deployment) decide() error {
	var all []error
	complain := func(h *host, err error) {
		if err != nil {
			all = append(all, &Failure{Host: h.Name, Step: "check", Err: err})
		}
	}
	for _, h := range d.hosts {
		complain(h, h.facts.usable())
	}
	if len(all) > 0 {
		return errors.Join(all...)
	}
	for _, h := range d.hosts {
		var err error
		h.plan.address, err = d.addressOf(h)
		complain(h, err)
	}
	if len(all) > 0 {
		return errors.Join(all...)
	}
	for _, h := range d.hosts {
		h.plan.managed = d.Pacemaker || d.clone() != ""
		complain(h, d.planPackage(h))
		complain(h, d.planSettings(h))
		complain(h, d.planCertificates(h))
		complain(h, d.mayTake(h))
		for _, err := range h.blocked() {
			complain(h, err)
		}
		complain(h, h.tooSmall())
		complain(h, d.clockOff(h))
		h.plan.roll = h.facts.running && (h.plan.install != nil || h.plan.text != nil || d.Upgrade && h.facts.stale)
	}
	return errors.Join(all...)
}

// clone is what Pacemaker calls the clone that runs the daemon, empty if there is none.
func (d *deployment) clone() string {
	for _, h := range d.hosts {
		if h.facts.clone != "" {
			return h.facts.clone
		}
	}
	return ""
}

// usable says what keeps a host from being one at all.
func (f *facts) usable() error {
	switch {
	case f.user != "0":
		return errors.New("commands are not carried out as root there: log in as root, or as a user who may sudo without a password")
	case f.arch == "":
		return errors.New("its processor is neither x86_64 nor aarch64, for which there is no holdfast")
	case !f.systemd:
		return errors.New("systemd does not run there: deploy works by it; holdfast itself does not need it")
	case f.kind == "":
		return errors.New("it has neither dpkg nor rpm: install holdfast by hand, as docs/group.md says")
	case !f.ss:
		return errors.New("it has no program ss, which says who serves the ports: install iproute2")
	}
	return nil
}

// addressOf finds out at which address a host serves: the one that was named, or the one that the other hosts take its name for.
func (d *deployment) addressOf(h *host) (netip.Addr, error) {
	a := h.Address
	if !a.IsValid() {
		for _, o := range d.hosts {
			if o == h && len(d.hosts) > 1 { // Debian has a host take its own name for 127.0.1.1
				continue
			}
			n := o.facts.names[h.Name]
			switch {
			case !n.IsValid():
				return a, fmt.Errorf("%s does not know the address of the name %s: write it to its /etc/hosts, or name the host as %s=ADDRESS", o.Name, h.Name, h.Name)
			case a.IsValid() && a != n:
				return a, fmt.Errorf("the other hosts do not agree on its address, which is %s or %s: name it as %s=ADDRESS", a, n, h.Name)
			}
			a = n
		}
	}
	if !slices.Contains(h.facts.addresses, a) {
		return a, fmt.Errorf("%s is no address of its own (it has %s): name it as %s=ADDRESS", a, list(h.facts.addresses), h.Name)
	}
	for _, o := range d.hosts {
		if o.plan.address == a && o != h {
			return a, fmt.Errorf("its address %s is that of %s too: is it the same machine?", a, o.Name)
		}
	}
	return a, nil
}

func list(addresses []netip.Addr) string {
	var all []string
	for _, a := range addresses {
		if useful(a) {
			all = append(all, a.String())
		}
	}
	if len(all) == 0 {
		return "none that others can reach"
	}
	return strings.Join(all, ", ")
}

func (d *deployment) planPackage(h *host) error {
	f := &h.facts
	p, err := d.Package(f.kind, f.arch)
	switch {
	case err != nil:
		return err
	case p == nil && f.installed == "", p == nil && d.Upgrade:
		return fmt.Errorf("there is no %s for %s to install: make one with 'make packages', or name the file with --package", f.kind, f.arch)
	case p == nil, p.SHA256 == f.by:
	case f.running && !d.Upgrade:
		h.plan.notes = append(h.plan.notes, fmt.Sprintf("holdfast %s stays, %s was not installed there: --upgrade does that", f.installed, p.Name))
	default:
		h.plan.install = p
	}
	if f.stale && !d.Upgrade {
		h.plan.notes = append(h.plan.notes, "the daemon is of a version that is not the installed one any more: --upgrade restarts it")
	}
	return nil
}

// settings are those that h must have.
func (d *deployment) settings(h *host) []config.Value {
	var members []string
	for _, o := range d.hosts {
		at := o.plan.address.String()
		if o.plan.address.Is6() {
			at = "[" + at + "]"
		}
		members = append(members, o.Name+"="+at)
	}
	slices.Sort(members) // the order in which the hosts are named makes no difference
	own := func(port uint16) string { return netip.AddrPortFrom(h.plan.address, port).String() }
	values := []config.Value{
		{Key: "name", Text: h.Name},
		{Key: "peer-listen", Text: own(config.PeerPort)},
		{Key: "members", Text: strings.Join(members, ",")},
		{Key: "peer-ca", Text: configDir + Authority + ".pem"},
		{Key: "peer-cert", Text: configDir + h.Name + ".pem"},
		{Key: "peer-key", Text: configDir + h.Name + "-key.pem"},
	}
	if d.Insecure {
		values = append(values,
			config.Value{Key: "redis-listen", Text: "127.0.0.1:6379," + own(6379)},
			config.Value{Key: "memcached-listen", Text: "127.0.0.1:11211," + own(11211)},
			config.Value{Key: "insecure", Text: "true"})
	}
	for _, v := range d.Set {
		values = slices.DeleteFunc(values, func(o config.Value) bool { return o.Key == v.Key })
	}
	return append(values, d.Set...)
}

func (d *deployment) planSettings(h *host) error {
	text := h.facts.config
	if len(text) == 0 {
		text = []byte(config.Example())
	}
	edited, changes, err := config.Edit(configFile, text, d.settings(h))
	if err != nil {
		return err
	}
	if !d.Overwrite {
		var others []string
		for _, c := range changes {
			if c.Was != "" {
				others = append(others, fmt.Sprintf("%s = %s, and not %s", c.Key, c.Was, c.Now))
			}
		}
		if len(others) > 0 {
			return fmt.Errorf("%s there says %s: --overwrite changes that, or keep it with --set", configFile, strings.Join(others, "; "))
		}
	}
	c := &h.plan.settings
	*c = config.Default()
	if err := errors.Join(c.ApplyFile(configFile, edited), c.Validate()); err != nil {
		return err
	}
	if len(changes) > 0 {
		h.plan.text, h.plan.changes = edited, changes
	}
	return nil
}

// mayTake says what there is on a host that is not of this group.
func (d *deployment) mayTake(h *host) error {
	f := &h.facts
	if d.Pacemaker {
		switch {
		case f.node == "":
			return errors.New("no Pacemaker runs there: form the cluster first, or leave out --pacemaker")
		case !f.pcs:
			return errors.New("it has no pcs: install it, or leave out --pacemaker")
		}
	}
	if alone := f.status == nil || len(f.status.Peers) == 0; alone && f.served && f.files[configDir+Authority+".pem"].sha256 == "" && len(d.hosts) > 1 {
		return errors.New("/var/lib/holdfast there has the state of another group, perhaps of that controller alone: stop holdfast and move the directory away")
	}
	if f.status == nil {
		if f.running {
			return errors.New("a daemon runs there and says nothing of itself: see 'systemctl status holdfast' and 'holdfast status' there")
		}
		return nil
	}
	for _, p := range f.status.Peers {
		if !slices.ContainsFunc(d.hosts, func(o *host) bool { return o.Name == p.Name }) {
			return fmt.Errorf("its group has the member %s too: name all its controllers, or run 'holdfast member remove %s' there first", p.Name, p.Name)
		}
	}
	return nil
}

// blocked says who has the ports that the settings name.
func (h *host) blocked() (all []error) {
	c := &h.plan.settings
	wanted := append(append(c.Redis(), c.Memcached()...), c.Admin()...)
	if g, err := c.Group(); err == nil {
		wanted = append(wanted, g.Listen)
	}
	said := map[string]bool{}
	for _, l := range h.facts.listeners {
		for _, w := range wanted {
			if l.program == "holdfast" || said[l.pid+l.program] || !l.blocks(w) {
				continue
			}
			said[l.pid+l.program] = true
			all = append(all, fmt.Errorf("%s has %s, which holdfast is to serve: %s, or give holdfast other ports with --set %s=ADDRESS:PORT",
				l.who(h.facts.units), l.address, l.remedy(h.facts.units), w.Setting))
		}
	}
	return all
}

func (l *listener) blocks(w config.Listener) bool {
	host, port := w.Address, ""
	if i := strings.LastIndexByte(w.Address, ':'); i >= 0 {
		host, port = w.Address[:i], w.Address[i+1:]
	}
	if w.Network != "tcp" || port != fmt.Sprint(l.address.Port()) {
		return false
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err != nil || a.IsUnspecified() || l.address.Addr().IsUnspecified() || a.Unmap() == l.address.Addr()
}

func (l *listener) who(units map[string]unit) string {
	if l.program == "" {
		return "somebody"
	}
	if u := units[l.pid].name; u != "" {
		return fmt.Sprintf("%s (process %s, %s)", l.program, l.pid, u)
	}
	return fmt.Sprintf("%s (process %s)", l.program, l.pid)
}

func (l *listener) remedy(units map[string]unit) string {
	switch u := units[l.pid]; {
	case u.pacemaker:
		return "move its data (docs/replace-memcached-and-redis.md) and remove its resource from Pacemaker with 'pcs resource delete'"
	case u.name != "":
		return fmt.Sprintf("move its data (docs/replace-memcached-and-redis.md) and stop it with 'systemctl disable --now %s'", u.name)
	}
	return "stop it"
}

// What a host must have left.
const (
	memoryShare = 4         // the daemon may have all but one of so many parts of the memory
	leastDisk   = 512 << 20 // bytes
)

func (h *host) tooSmall() error {
	f, limit := &h.facts, uint64(h.plan.settings.MemoryLimit)
	switch {
	case limit > f.memory/memoryShare*(memoryShare-1):
		return fmt.Errorf("memory-limit is %s and it has %s in all: set less with --set memory-limit=SIZE", h.plan.settings.MemoryLimit, mib(f.memory))
	case f.disk < leastDisk:
		return fmt.Errorf("there are only %s free for /var/lib/holdfast: make room", mib(f.disk))
	}
	if !f.running && limit > f.free {
		h.plan.notes = append(h.plan.notes, fmt.Sprintf("only %s of its memory are free now, and memory-limit is %s", mib(f.free), h.plan.settings.MemoryLimit))
	}
	if f.disk < 2*limit {
		h.plan.notes = append(h.plan.notes, fmt.Sprintf("only %s are free for /var/lib/holdfast: a full state of %s takes twice that", mib(f.disk), h.plan.settings.MemoryLimit))
	}
	return nil
}

func mib(bytes uint64) string { return fmt.Sprintf("%d MiB", bytes>>20) }

// clockOff compares a host's clock with the one in the middle of all.
func (d *deployment) clockOff(h *host) error {
	hosts := slices.Clone(d.hosts)
	slices.SortFunc(hosts, func(a, b *host) int { return int(a.facts.ahead - b.facts.ahead) })
	middle := hosts[(len(hosts)-1)/2]
	off := h.facts.ahead - middle.facts.ahead
	word := "ahead of"
	if off < 0 {
		off, word = -off, "behind"
	}
	sure := off - h.facts.aheadMostly - middle.facts.aheadMostly
	if bound := h.plan.settings.ClockBound; bound > 0 && sure > bound {
		return fmt.Errorf("its clock is %s %s that of %s: set it and have it kept, by chrony for example", off.Round(time.Millisecond*100), word, middle.Name)
	}
	return nil
}

// announce tells what will be done.
func (d *deployment) announce() {
	for _, h := range d.hosts {
		for _, what := range d.intent(h) {
			d.Tell(Event{Host: h.Name, Step: "plan", Text: what})
		}
		for _, n := range h.plan.notes {
			d.Tell(Event{Host: h.Name, Step: "note", Text: n})
		}
	}
}

// intent says in words what a plan does. A dry run says what each setting will be.
func (d *deployment) intent(h *host) (all []string) {
	p := &h.plan
	if p.install != nil {
		all = append(all, "install "+p.install.Name)
	}
	if p.certify {
		all = append(all, "write its certificate")
	}
	var keys []string
	for _, c := range p.changes {
		switch {
		case c.Was != "":
			all = append(all, fmt.Sprintf("set %s = %s, which is %s", c.Key, c.Now, c.Was))
		case d.DryRun:
			all = append(all, fmt.Sprintf("set %s = %s", c.Key, c.Now))
		default:
			keys = append(keys, c.Key)
		}
	}
	if len(keys) > 0 {
		all = append(all, "set "+strings.Join(keys, ", "))
	}
	switch {
	case p.roll:
		all = append(all, "drain and restart it, when its turn comes")
	case h.facts.running:
	case p.managed:
		all = append(all, "have Pacemaker start it, when all hosts are prepared")
	default:
		all = append(all, "enable and start it, when all hosts are prepared")
	}
	if d.handsOver(h) {
		all = append(all, "hand it to Pacemaker, when its turn comes")
	}
	if len(all) == 0 {
		all = []string{"nothing to do"}
	}
	return all
}
