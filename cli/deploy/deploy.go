// Package deploy brings a group into being on other machines, and rolls it to a new version: what holds on each host, what is missing there, and
// the steps in which that is done, undone when a group cannot be formed. Read Run first; look.go finds out how a host is, plan.go decides
// without asking anybody, prepare.go, start.go and roll.go do what was decided, scripts.go is all that runs on a host.
//
// It reaches hosts, files and certificates by the interfaces in this file alone, and touches neither the network nor the disk itself.
package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"holdfast/cli/cert"
	"holdfast/config"
)

// Host is a machine on which scripts of the shell are carried out as root. Several goroutines may use several hosts, one goroutine one host.
type Host interface {
	// Run has the host carry out script with args as $1 and so on and input, which may be nil, as its standard input, and returns what it prints.
	// The error is what went wrong in a few words, without the name of the host.
	Run(ctx context.Context, script string, args []string, input io.Reader) ([]byte, error)
}

// Package is a file that a host can install.
type Package struct {
	Name   string // of the file, without directories
	SHA256 string // hexadecimal
	Open   func() (io.ReadCloser, error)
}

// Keeper keeps the certificates of a group on the machine that deploys it, for the next time. The authority is kept as Authority.
type Keeper interface {
	// Read returns what is kept under a name, a Pair without Cert if there is nothing.
	Read(name string) (cert.Pair, error)
	// Write keeps it in place of what is there. The key must be readable by the operator alone.
	Write(name string, p cert.Pair) error
	// Where says where that is, for messages.
	Where() string
}

// Authority is the name under which a Keeper keeps the authority.
const Authority = "ca"

// Options says what to do.
type Options struct {
	Targets []Target
	Dial    func(Target) Host
	// Package returns the file for hosts that have packages of this kind (deb, rpm) and architecture (as Go names it), nil if there is none.
	Package func(kind, arch string) (*Package, error)
	Keeper  Keeper

	Set       []config.Value // further settings, the same on all hosts
	Insecure  bool           // serve clients at the hosts' addresses, unencrypted
	Overwrite bool           // settings that have another value on a host
	Upgrade   bool           // running controllers too, one after the other
	Pacemaker bool           // leaves starting and stopping to Pacemaker, as a clone
	DryRun    bool
	Wait      time.Duration // how long to wait for the group, and for each controller that was restarted
	// Pause is how long to wait before the next controller is restarted: a client that leaves a server alone for a while when its connection was
	// cut must know this one again, or it might know none in the end.
	Pause time.Duration

	// Tell hears what happens, from several goroutines.
	Tell func(Event)
}

// Event is something that happened on a host, or on all if Host is empty.
type Event struct {
	Host, Step string
	Text       string // what came of it; empty: it begins
	Took       time.Duration
	Err        error
}

// Failure is a step that failed on a host.
type Failure struct {
	Host, Step string
	Err        error
	Remedy     string // what to do, without a stop
}

func (f *Failure) Error() string {
	text := fmt.Sprintf("%s, %s: %v", f.Host, f.Step, f.Err)
	if f.Remedy != "" {
		text += ": " + f.Remedy
	}
	return text
}

func (f *Failure) Unwrap() error { return f.Err }

// deployment is one run.
type deployment struct {
	Options
	hosts     []*host
	restarted bool // one of them that was running, so the next one waits for Pause
}

// host is one of the machines, and what is known and decided about it. Between the phases of a run only one goroutine has it.
type host struct {
	Target
	dialed Host
	facts  facts
	plan   plan
	undo   []undo // what to do, last first, to leave it as it was found
}

// undo takes one thing back.
type undo struct {
	script script
	args   []string
}

// Run carries out o and returns the status text of the first host, empty after a dry run. The error names every host, step and remedy. Until all hosts
// are prepared nothing is started; if one cannot be, or does not start, what was written to the others is taken back.
func Run(ctx context.Context, o Options) (status string, err error) {
	d := &deployment{Options: o}
	for _, t := range o.Targets {
		d.hosts = append(d.hosts, &host{Target: t, dialed: o.Dial(t)})
	}
	if err := d.each(d.hosts, func(h *host) error { return d.look(ctx, h) }); err != nil {
		return "", err
	}
	if err := d.decide(); err != nil {
		return "", err
	}
	d.announce()
	if d.DryRun {
		return "", nil
	}
	if err := d.certify(); err != nil {
		return "", err
	}
	if err := d.found(ctx); err != nil {
		return "", err
	}
	if err := d.roll(ctx); err != nil {
		return "", err
	}
	if err := d.handToPacemaker(ctx); err != nil {
		return "", err
	}
	if err := d.together(ctx); err != nil {
		return "", err
	}
	text, err := d.run(ctx, d.hosts[0], showStatus)
	return string(text), err
}

// found prepares and starts the hosts on which no daemon runs.
func (d *deployment) found(ctx context.Context) error {
	var fresh []*host
	for _, h := range d.hosts {
		if !h.facts.running {
			fresh = append(fresh, h)
		}
	}
	err := d.each(fresh, func(h *host) error { return d.prepare(ctx, h) })
	if err == nil {
		err = d.start(ctx, fresh)
	}
	if err == nil {
		return nil
	}
	// The operator may have interrupted the run: that must not keep hosts from being left as they were.
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoWithin)
	defer cancel()
	return errors.Join(err, d.each(fresh, func(h *host) error { return d.takeBack(clean, h) }))
}

// each has do done for all hosts at once, and gathers what went wrong, in the order of the hosts.
func (d *deployment) each(hosts []*host, do func(*host) error) error {
	errs := make([]error, len(hosts))
	var all sync.WaitGroup
	for i, h := range hosts {
		all.Go(func() { errs[i] = do(h) })
	}
	all.Wait()
	return errors.Join(errs...)
}

// step does one thing on a host and tells that. what is what came of it, empty for nothing worth saying.
func (d *deployment) step(h *host, name, remedy string, do func() (what string, err error)) error {
	begin := time.Now()
	d.Tell(Event{Host: h.Name, Step: name})
	what, err := do()
	if err != nil {
		err = &Failure{h.Name, name, err, remedy}
		what = "failed"
	}
	d.Tell(Event{Host: h.Name, Step: name, Text: what, Took: time.Since(begin), Err: err})
	return err
}

// run has a host carry out a script.
func (d *deployment) run(ctx context.Context, h *host, s script, args ...string) ([]byte, error) {
	return d.feed(ctx, h, nil, s, args...)
}

func (d *deployment) feed(ctx context.Context, h *host, input io.Reader, s script, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, s.within)
	defer cancel()
	return h.dialed.Run(ctx, s.text, args, input)
}
