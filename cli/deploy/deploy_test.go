package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/cli/cert"
	"holdfast/config"
)

// world is some hosts that know no shell: each script is known by its text, and changes what it would change.
type world struct {
	mu    sync.Mutex
	hosts map[string]*machine
	names []string
	fails map[string]string // host and script: what it says once
	did   []string          // host and script, of those that change something
	down  int               // how many daemons were down at once, at most, since a group was there
}

type machine struct {
	w                        *world
	name, address            string
	files, modes             map[string]string
	installed, by            string
	running, enabled, served bool
	draining                 bool
	clone                    bool
	banned                   map[string]bool
	pacemaker                bool
	facts                    string // further lines of what it says of itself, before the others
	clock                    time.Duration
	deaf                     bool // the daemon does not come up
}

// known are the scripts by name.
var known = map[string]script{
	"look": lookScript, "clock": clockScript, "config": readConfig, "status": askStatus, "show": showStatus, "words": lastWordsScript,
	"upload": uploadScript, "install": installScript, "write": writeScript, "restore": restoreScript, "keep": keepScript, "remove": removeScript, "check": checkScript,
	"start": startScript, "stop": stopScript, "drain": drainScript, "restart": restartScript, "clone": cloneScript, "unclone": uncloneScript,
	"allow": allowScript, "cleanup": cleanupScript, "leave": leaveScript,
}

var looking = []string{"look", "words", "clock", "config", "status", "show", "check"}

func newWorld(names ...string) *world {
	w := &world{hosts: map[string]*machine{}, names: names, fails: map[string]string{}}
	for i, name := range names {
		w.hosts[name] = &machine{w: w, name: name, address: fmt.Sprint("10.0.0.", i+1), files: map[string]string{}, modes: map[string]string{}, banned: map[string]bool{}}
	}
	return w
}

func (m *machine) Run(ctx context.Context, text string, args []string, input io.Reader) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	name := ""
	for n, s := range known {
		if s.text == text {
			name = n
		}
	}
	if !slices.Contains(looking, name) {
		m.w.did = append(m.w.did, m.name+" "+name)
	}
	if says, ok := m.w.fails[m.name+" "+name+" nothing"]; ok { // it failed before it did anything
		delete(m.w.fails, m.name+" "+name+" nothing")
		return nil, errors.New(says)
	}
	if says, ok := m.w.fails[m.name+" "+name]; ok {
		if name == "write" { // the connection broke when it was done
			m.put(args[0], input)
		}
		delete(m.w.fails, m.name+" "+name)
		return nil, errors.New(says)
	}
	var in string
	if input != nil {
		b, err := io.ReadAll(input)
		if err != nil {
			return nil, err
		}
		in = string(b)
	}
	out, err := m.carryOut(name, args, in)
	down := 0
	for _, o := range m.w.hosts {
		if o.served && (!o.running || o.draining) {
			down++
		}
	}
	m.w.down = max(m.w.down, down)
	return []byte(out), err
}

func (m *machine) put(path string, input io.Reader) {
	b, _ := io.ReadAll(input)
	if old, ok := m.files[path]; ok {
		m.files[path+".before-deploy"] = old
	} else {
		m.files[path+".not-before-deploy"] = ""
	}
	m.files[path] = string(b)
}

func (m *machine) forget(path string) {
	delete(m.files, path+".before-deploy")
	delete(m.files, path+".not-before-deploy")
}

func (m *machine) carryOut(name string, args []string, in string) (string, error) {
	switch name {
	case "look":
		return m.describe(), nil
	case "clock":
		now := time.Now().Add(m.clock)
		return fmt.Sprintf("%d.%09d\n", now.Unix(), now.Nanosecond()), nil
	case "config":
		return m.files[configFile], nil
	case "status":
		return m.status(), nil
	case "show":
		return "HEALTHY\n", nil
	case "words":
		return "holdfast: no such luck\n", nil
	case "upload":
		m.files[args[0]] = in
	case "install":
		m.installed, m.by = "1:"+m.files[args[1]], args[2]
		delete(m.files, args[1])
		if m.running { // the package restarts what systemd runs
			m.draining = m.clone
		}
	case "write":
		m.forget(args[0])
		m.put(args[0], strings.NewReader(in))
		m.modes[args[0]] = args[1]
	case "restore":
		if old, ok := m.files[args[0]+".before-deploy"]; ok {
			m.files[args[0]] = old
		} else if _, ok := m.files[args[0]+".not-before-deploy"]; ok {
			delete(m.files, args[0])
		}
		m.forget(args[0])
	case "remove":
		delete(m.files, args[0])
	case "keep":
		for _, path := range args {
			m.forget(path)
		}
	case "check":
		c := config.Default()
		return "", c.ApplyFile("f", []byte(m.files[configFile]))
	case "start", "restart":
		m.running, m.draining = !m.deaf, false
		m.enabled = m.enabled || name == "start"
	case "stop":
		m.running, m.enabled = false, false
	case "leave":
		m.enabled = false
	case "drain":
		m.draining = true
	case "clone":
		for _, o := range m.w.hosts {
			o.clone, o.banned = true, map[string]bool{}
			if slices.Contains(args, o.name) {
				o.banned[o.name] = true
			} else {
				o.running = true
			}
		}
	case "unclone":
		for _, o := range m.w.hosts {
			o.clone, o.running = false, o.running && o.banned[o.name]
		}
	case "allow":
		m.enabled, m.running, m.draining, m.banned = false, true, false, map[string]bool{}
	case "cleanup":
		m.running = true
	default:
		return "", fmt.Errorf("the world knows no script %q", name)
	}
	return "", nil
}

func (m *machine) describe() string {
	var b strings.Builder
	say := func(when bool, format string, args ...any) {
		if when {
			fmt.Fprintf(&b, format+"\n", args...)
		}
	}
	b.WriteString(m.facts)
	say(true, "user 0\narch x86_64\nsystemd\nkind deb\nss\nMemTotal: 16000000\nMemAvailable: 8000000\ndisk 50000000\naddress 127.0.0.1\naddress %s", m.address)
	say(m.installed != "", "installed %s\nby %s %s", m.installed, m.by, m.installed)
	say(m.running && !m.clone, "active")
	say(m.enabled, "enabled")
	say(m.served, "served")
	say(m.pacemaker, "pacemaker %s\npcs", m.name)
	say(m.clone, "clone %s", cloneName)
	for path, text := range m.files {
		say(strings.HasSuffix(path, ".pem"), "file %s %s:holdfast %s", sum([]byte(text)), m.modes[path], path)
	}
	for name, o := range m.w.hosts {
		say(o != m, "name %s %s", name, o.address)
		say(o == m, "name %s 127.0.1.1", name)
	}
	return b.String()
}

// status is that of a group which is there as soon as all its daemons are.
func (m *machine) status() string {
	if !m.running {
		return ""
	}
	whole := true
	var peers []string
	for _, name := range m.w.names {
		whole = whole && m.w.hosts[name].running
		peers = append(peers, fmt.Sprintf(`{"name":%q,"role":"follower","in_roster":true}`, name))
	}
	verdict := "no quorum"
	if whole {
		verdict = healthy
		for _, o := range m.w.hosts {
			o.served = true
		}
	}
	serves := whole || m.served
	return fmt.Sprintf(`{"name":%q,"verdict":%q,"why":"somebody is missing","leader":%q,"role":"follower","ready":true,"quorum":%v,"draining":%v,"peers":[%s]}`,
		m.name, verdict, m.w.names[0], serves, m.draining, strings.Join(peers, ","))
}

// drawer is a Keeper in memory.
type drawer map[string]cert.Pair

func (d drawer) Read(name string) (cert.Pair, error)     { return d[name], nil }
func (d drawer) Write(name string, pair cert.Pair) error { d[name] = pair; return nil }
func (d drawer) Where() string                           { return "the drawer" }

// options are those of a plain run in w. text is what is in the package.
func options(t *testing.T, w *world, kept drawer, text string) Options {
	targets, err := ParseTargets(w.names)
	if err != nil {
		t.Fatal(err)
	}
	p := &Package{Name: "holdfast_" + text + "_amd64.deb", SHA256: sum([]byte(text)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader([]byte(text))), nil
	}}
	return Options{Targets: targets, Dial: func(t Target) Host { return w.hosts[t.Name] },
		Package: func(string, string) (*Package, error) { return p, nil }, Keeper: kept, Wait: time.Millisecond, Tell: func(Event) {}}
}

func three() *world { return newWorld("ctl1", "ctl2", "ctl3") }

func mustRun(t *testing.T, o Options) {
	t.Helper()
	if _, err := Run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
}

func TestFoundsAndChangesNothingAgain(t *testing.T) {
	w, kept := three(), drawer{}
	mustRun(t, options(t, w, kept, "one"))
	for name, m := range w.hosts {
		if !m.running || !m.enabled || m.files[configDir+name+"-key.pem"] != string(kept[name].Key) {
			t.Errorf("%s: %+v", name, m)
		}
		for path := range m.files {
			if strings.Contains(path, "before") || strings.Contains(path, "package") {
				t.Errorf("%s still has %s", name, path)
			}
		}
	}
	w.did = nil
	o := options(t, w, kept, "one")
	slices.Reverse(o.Targets)
	mustRun(t, o)
	mustRun(t, options(t, w, kept, "another")) // without --upgrade a running controller keeps what it has
	if len(w.did) > 0 {
		t.Errorf("a second run did %q", w.did)
	}
}

// A key that the daemon cannot read is written again, and no daemon is restarted for it.
func TestCertificatesAreMended(t *testing.T) {
	w, kept := three(), drawer{}
	mustRun(t, options(t, w, kept, "one"))
	w.did = nil
	w.hosts["ctl2"].modes[configDir+"ctl2-key.pem"] = "600"
	delete(w.hosts["ctl3"].files, configDir+"ca.pem")
	mustRun(t, options(t, w, kept, "one"))
	if slices.Sort(w.did); fmt.Sprint(w.did) != "[ctl2 keep ctl2 write ctl3 keep ctl3 write]" {
		t.Errorf("it did %q", w.did)
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	w, kept := three(), drawer{}
	o := options(t, w, kept, "one")
	o.DryRun = true
	said := ""
	o.Tell = func(e Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		said += e.Host + " " + e.Text + "\n"
	}
	mustRun(t, o)
	if len(w.did) > 0 || len(kept) > 0 {
		t.Errorf("it did %q and kept %v", w.did, kept)
	}
	for _, want := range []string{"ctl1 install holdfast_one_amd64.deb", "ctl2 write its certificate", `ctl3 set name = "ctl3"`, "ctl3 enable and start it"} {
		if !strings.Contains(said, want) {
			t.Errorf("it did not say %q but\n%s", want, said)
		}
	}
}

// Whatever fails on whichever host: no daemon runs, no setting and no certificate is left, the host and the step are named, and the next run succeeds.
func TestFailureLeavesNoHalfGroup(t *testing.T) {
	for _, pacemaker := range []bool{false, true} {
		for _, name := range []string{"look", "clock", "config", "upload", "install", "write", "write nothing", "check", "start", "clone"} {
			for _, host := range []string{"ctl1", "ctl2", "ctl3"} {
				if pacemaker != (name == "clone") && (name == "start" || name == "clone") || name == "clone" && host != "ctl1" {
					continue
				}
				w, kept := three(), drawer{}
				before := map[string]string{configFile: "# ours\nloops = 2\n"}
				for _, m := range w.hosts {
					m.files, m.pacemaker = maps.Clone(before), true
				}
				w.fails[host+" "+name] = "the disk is full"
				o := options(t, w, kept, "one")
				o.Pacemaker = pacemaker
				_, err := Run(context.Background(), o)
				var f *Failure
				if !errors.As(err, &f) || f.Host != host || f.Step == "" || !strings.Contains(err.Error(), "the disk is full") || strings.HasSuffix(err.Error(), ".") {
					t.Errorf("%s on %s: %v", name, host, err)
				}
				for _, m := range w.hosts {
					if m.running || m.enabled || m.clone || !maps.Equal(m.files, before) {
						t.Errorf("%s on %s: on %s are left %v, %+v", name, host, m.name, m.files, m)
					}
				}
				mustRun(t, o)
				if s := w.hosts["ctl3"].files[configFile]; !strings.HasPrefix(s, before[configFile]) || !w.hosts["ctl3"].running {
					t.Errorf("after a second run, settings are\n%s", s)
				}
			}
		}
	}
}

// A controller that does not come up is a failure too, of a group that is not there yet.
func TestDeafControllerIsTakenBack(t *testing.T) {
	w := three()
	w.hosts["ctl2"].deaf = true
	_, err := Run(context.Background(), options(t, w, drawer{}, "one"))
	if err == nil || !strings.Contains(err.Error(), "ctl2, join: after 1ms the daemon does not answer, and said \"holdfast: no such luck\"") {
		t.Errorf("%v", err)
	}
	for _, m := range w.hosts {
		if m.running || m.enabled || len(m.files) > 0 {
			t.Errorf("left on %s: %+v", m.name, m)
		}
	}
}

func TestInterruptedRunIsTakenBack(t *testing.T) {
	w := three()
	ctx, cancel := context.WithCancel(context.Background())
	o := options(t, w, drawer{}, "one")
	o.Tell = func(e Event) {
		if e.Step == "settings" && e.Text != "" {
			cancel()
		}
	}
	if _, err := Run(ctx, o); err == nil {
		t.Error("it went on")
	}
	for _, m := range w.hosts {
		if m.running || m.enabled || len(m.files) > 0 {
			t.Errorf("left on %s: %+v", m.name, m)
		}
	}
}

func TestUpgradeRolls(t *testing.T) {
	w, kept := three(), drawer{}
	mustRun(t, options(t, w, kept, "one"))
	w.did, w.down = nil, 0
	o := options(t, w, kept, "two")
	o.Upgrade = true
	o.Pause = 30 * time.Millisecond
	begin, pauses := time.Now(), 0
	o.Tell = func(e Event) {
		if e.Step == "pause" && e.Text != "" {
			pauses++
		}
	}
	mustRun(t, o)
	if took := time.Since(begin); pauses != 2 || took < 2*o.Pause {
		t.Errorf("%d pauses in %s", pauses, took)
	}
	var order []string
	for _, d := range w.did {
		if host, did, _ := strings.Cut(d, " "); did == "install" {
			order = append(order, host)
		}
	}
	if fmt.Sprint(order) != "[ctl2 ctl3 ctl1]" || w.down != 1 { // ctl1 leads
		t.Errorf("installed on %v, %d down at once", order, w.down)
	}
	w.did = nil
	mustRun(t, o)
	if len(w.did) > 0 {
		t.Errorf("a second run did %q", w.did)
	}
}

// The first that fails ends an upgrade: the next is not touched, and it serves again unless it is the restart that failed.
func TestUpgradeStops(t *testing.T) {
	for _, name := range []string{"drain", "upload", "install"} {
		w, kept := three(), drawer{}
		mustRun(t, options(t, w, kept, "one"))
		w.down = 0
		w.fails["ctl3 "+name] = "no"
		o := options(t, w, kept, "two")
		o.Upgrade = true
		_, err := Run(context.Background(), o)
		if err == nil || !strings.Contains(err.Error(), "ctl3, ") || !strings.Contains(err.Error(), "ctl1 was not touched") {
			t.Errorf("%s: %v", name, err)
		}
		if w.hosts["ctl1"].installed != "1:one" || w.hosts["ctl2"].installed != "1:two" || w.hosts["ctl3"].draining || w.down > 1 {
			t.Errorf("%s: %+v, %d down at once", name, w.hosts["ctl3"], w.down)
		}
		mustRun(t, o)
		if w.hosts["ctl1"].installed != "1:two" {
			t.Errorf("%s: the next run did not go on", name)
		}
	}
}

// One that does not come back ends it too, and the rest go on serving.
func TestUpgradeStopsAtOneThatDoesNotReturn(t *testing.T) {
	w, kept := three(), drawer{}
	mustRun(t, options(t, w, kept, "one"))
	w.hosts["ctl2"].deaf = true
	o := options(t, w, kept, "one")
	o.Set = []config.Value{{Key: "loops", Text: "2"}}
	_, err := Run(context.Background(), o)
	if err == nil || !strings.Contains(err.Error(), "ctl2, return: after") || !strings.Contains(err.Error(), "ctl3, ctl1 were not touched") {
		t.Errorf("%v", err)
	}
	if !w.hosts["ctl1"].running || !w.hosts["ctl3"].running {
		t.Error("the others do not run")
	}
}

// A group that is not whole is not rolled.
func TestUpgradeWaitsForTheOthers(t *testing.T) {
	w, kept := three(), drawer{}
	mustRun(t, options(t, w, kept, "one"))
	w.hosts["ctl3"].running, w.hosts["ctl3"].deaf = false, true
	o := options(t, w, kept, "two")
	o.Upgrade = true
	if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), "ctl3, join") {
		t.Errorf("%v", err)
	}
	if w.hosts["ctl1"].installed != "1:one" || !w.hosts["ctl1"].running {
		t.Errorf("%+v", w.hosts["ctl1"])
	}
	if m := w.hosts["ctl3"]; m.files[configFile] == "" || m.files[configDir+"ctl3.pem"] == "" {
		t.Error("what a member had before was taken from it")
	}
}

func TestHandsOverToPacemaker(t *testing.T) {
	w, kept := three(), drawer{}
	for _, m := range w.hosts {
		m.pacemaker = true
	}
	mustRun(t, options(t, w, kept, "one"))
	w.did, w.down = nil, 0
	o := options(t, w, kept, "one")
	o.Pacemaker = true
	mustRun(t, o)
	if got, want := fmt.Sprint(w.did), "[ctl1 clone ctl1 drain ctl1 allow ctl2 drain ctl2 allow ctl3 drain ctl3 allow]"; got != want || w.down > 1 {
		t.Errorf("it did %s, %d down at once, wanted %s", got, w.down, want)
	}
	w.did = nil
	mustRun(t, o)
	if len(w.did) > 0 {
		t.Errorf("a second run did %q", w.did)
	}
}

func TestSettingsOfTheOperatorStay(t *testing.T) {
	w, kept := three(), drawer{}
	mustRun(t, options(t, w, kept, "one"))
	m := w.hosts["ctl2"]
	m.files[configFile] = strings.Replace(m.files[configFile], "#loops = 0", "loops = 3", 1)
	o := options(t, w, kept, "one")
	o.Set = []config.Value{{Key: "loops", Text: "2"}}
	w.did = nil
	_, err := Run(context.Background(), o)
	if err == nil || !strings.Contains(err.Error(), "ctl2, check: /etc/holdfast/holdfast.toml there says loops = 3, and not 2: --overwrite") || len(w.did) > 0 {
		t.Errorf("%v, did %q", err, w.did)
	}
	o.Overwrite = true
	w.down = 0
	mustRun(t, o)
	for name, m := range w.hosts {
		if !strings.Contains(m.files[configFile], "\nloops = 2\n") || !m.running || m.draining || w.down > 1 {
			t.Errorf("%s: %+v", name, m)
		}
	}
}

// Everything that stands against a deployment is said at once, before anything is changed.
func TestChecks(t *testing.T) {
	for _, c := range []struct {
		what string
		do   func(w *world, o *Options)
		want []string
	}{
		{"servers of before", func(w *world, o *Options) {
			w.hosts["ctl2"].facts = "listens 127.0.0.1:6379 users:((\"redis-server\",pid=812,fd=6))\nunit 812 redis-server.service \nlistens *:11211 users:((\"memcached\",pid=9,fd=1))\nunit 9 memcached.service pacemaker\n"
		}, []string{"ctl2, check: redis-server (process 812, redis-server.service) has 127.0.0.1:6379", "systemctl disable --now redis-server.service", "--set redis-listen=",
			"memcached (process 9, memcached.service) has [::]:11211", "pcs resource delete"}},
		{"the same ports elsewhere", func(w *world, o *Options) {
			w.hosts["ctl2"].facts = "listens 10.9.9.9:6379 users:((\"redis-server\",pid=812,fd=6))\nlistens 127.0.0.1:6380 users:((\"x\",pid=1,fd=6))\nlistens rubbish\n"
		}, nil},
		{"a clock", func(w *world, o *Options) { w.hosts["ctl3"].clock = -time.Hour }, []string{"ctl3, check: its clock is 1h0m0s behind that of ctl"}},
		{"memory", func(w *world, o *Options) { o.Set = []config.Value{{Key: "memory-limit", Text: "15GiB"}} }, []string{"ctl1, check: memory-limit is 15GiB", "ctl3, check"}},
		{"a setting", func(w *world, o *Options) { o.Set = []config.Value{{Key: "lease", Text: "10s"}} }, []string{"setting lease is 10s"}},
		{"a name that is not known", func(w *world, o *Options) { w.hosts["ctl2"].address = "127.0.0.2" }, []string{"does not know the address of the name ctl2", "ctl2=ADDRESS"}},
		{"no package", func(w *world, o *Options) { o.Package = func(string, string) (*Package, error) { return nil, nil } }, []string{"there is no deb for amd64", "--package"}},
		{"another authority", func(w *world, o *Options) { w.hosts["ctl1"].files[configDir+"ca.pem"] = "x" }, []string{"ctl1, check: the authority", "the drawer", "--dir"}},
		{"another group's state", func(w *world, o *Options) { w.hosts["ctl1"].served = true }, []string{"ctl1, check: /var/lib/holdfast there has the state of another group"}},
		{"no Pacemaker", func(w *world, o *Options) { o.Pacemaker = true }, []string{"ctl1, check: no Pacemaker runs there"}},
		{"settings that cannot be read", func(w *world, o *Options) { w.hosts["ctl1"].files[configFile] = "nmae = 1\n" }, []string{"ctl1, check: ", "there is no setting \"nmae\""}},
	} {
		w, kept := three(), drawer{}
		o := options(t, w, kept, "one")
		o.DryRun = true
		c.do(w, &o)
		_, err := Run(context.Background(), o)
		if len(c.want) == 0 && err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, wanted %q", c.what, err, want)
			}
		}
		if len(w.did) > 0 {
			t.Errorf("%s: it did %q", c.what, w.did)
		}
	}
}

func TestUnusableHosts(t *testing.T) {
	good := "user 0\narch aarch64\nsystemd\nkind rpm\nss\n"
	for _, c := range []struct{ without, want string }{
		{"user 0", "root"}, {"arch aarch64", "x86_64"}, {"systemd", "systemd"}, {"kind rpm", "rpm"}, {"ss", "iproute2"}, {"nothing", ""},
	} {
		f, err := parseFacts(strings.Replace(good, c.without+"\n", "", 1))
		if err != nil {
			t.Fatal(err)
		}
		if err := f.usable(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("without %s: %v", c.without, err)
		}
	}
}

func TestTargets(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"ctl1", " ctl1 invalid IP"}, {"ops@ctl1", "ops ctl1 invalid IP"}, {"ops@ctl1=10.0.0.1", "ops ctl1 10.0.0.1"}, {"ctl1=fd00::1", " ctl1 fd00::1"}, {"10.0.0.1", " 10.0.0.1 invalid IP"},
		{"", "is no host"}, {"-oProxyCommand=x", "is no host"}, {"a b", "is no host"}, {"a;b", "is no host"}, {"$(id)", "is no host"}, {"ca", "is no host"}, {"-x@a", "no user"}, {"@a", "no user"},
		{"a=", "IP address"}, {"a=127.0.0.1", "IP address"}, {"a=fe80::1%eth0", "IP address"}, {"a=b", "IP address"}, {strings.Repeat("a", 64), "is no host"},
	} {
		got, err := ParseTarget(c.text)
		text := fmt.Sprintf("%s %s %s", got.User, got.Name, got.Address)
		if err != nil {
			text = err.Error()
		}
		if text != c.want && (err == nil || !strings.Contains(text, c.want)) {
			t.Errorf("%q: %s, wanted %s", c.text, text, c.want)
		}
	}
	for _, list := range [][]string{{}, {"a", "a"}, {"a=10.0.0.1", "b=10.0.0.1"}, strings.Split("a b c d e f g h", " ")} {
		if _, err := ParseTargets(list); err == nil {
			t.Errorf("%q is good", list)
		}
	}
}

// What a host says is read without trusting it.
func FuzzFacts(f *testing.F) {
	f.Add((&machine{w: three(), name: "ctl1", address: "10.0.0.1"}).describe())
	f.Add("listens [::1%lo]:6379 users:((\"a\",pid=1,fd=2))\ndisk x\nby a b\nunit 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		if facts, err := parseFacts(text); err == nil {
			facts.summary()
			facts.usable()
		}
	})
}
