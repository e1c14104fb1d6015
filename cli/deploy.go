package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"holdfast/cli/cert"
	"holdfast/cli/deploy"
	"holdfast/cli/deploy/ssh"
	"holdfast/config"
)

const deployLong = `Brings a group into being on the hosts named, by ssh, from a machine that is none of them: checks each host, installs the package, makes the
certificates, writes the settings, starts all, waits for the group and prints its status. It may be run again at any time, and changes what is
not as it should be. Nothing is started before all hosts are prepared; if one cannot be, or does not start, the others are left as they were
found, but for the package.

A host is named as ssh knows it: NAME, USER@NAME, or NAME=ADDRESS where the other hosts take NAME for another address than the one to use.
ssh must reach it without asking anything. Settings that somebody wrote on a host stay; one that must be otherwise is shown, and changed with
--overwrite alone. The authority in --dir makes members: keep it where no controller runs.

Clients are served at the hosts' loopback addresses unless --insecure, or --set with other addresses, says otherwise.`

// deployFlags are the flags of the verb.
type deployFlags struct {
	user, dir, file string
	set             []string
	deploy.Options
}

func (p Program) deploy() *cobra.Command {
	var f deployFlags
	c := &cobra.Command{
		Use:     "deploy HOST...",
		Short:   "Bring a group into being on other machines, by ssh; upgrade it; hand it to Pacemaker",
		Long:    deployLong,
		Example: "  holdfast deploy controller1 controller2 controller3 --dry-run\n  holdfast deploy controller1 controller2 controller3 --insecure --set memory-limit=4GiB\n  holdfast deploy controller1 controller2 controller3 --upgrade",
		Args:    someArgs(1, config.MaxMembers, fmt.Sprintf("the names of 1 to %d hosts", config.MaxMembers)),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := os.Stat(f.file); err != nil && c.Flags().Changed("package") {
				return fmt.Errorf("--package: %w", err)
			}
			return f.run(args, c.OutOrStdout())
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.BoolVar(&f.DryRun, "dry-run", false, "say what would be done on each host, and change nothing")
	flags.BoolVar(&f.Upgrade, "upgrade", false, "install the package on running controllers too, one drained controller at a time")
	flags.BoolVar(&f.Pacemaker, "pacemaker", false, "have Pacemaker run it, as a clone of the OCF resource holdfast")
	flags.BoolVar(&f.Insecure, "insecure", false, "serve clients at the hosts' addresses, unencrypted and without a password: on a network that is closed by other means")
	flags.StringArrayVar(&f.set, "set", nil, "a further setting for all hosts, as KEY=VALUE; may be given again")
	flags.BoolVar(&f.Overwrite, "overwrite", false, "change settings that have another value on a host")
	flags.StringVar(&f.file, "package", "dist", "package file, or directory of them, of which the newest is taken that fits the host")
	flags.StringVar(&f.dir, "dir", "holdfast-deploy", "directory of the group's certificates, for now and later")
	flags.StringVar(&f.user, "user", "root", "whom to log in as; anybody but root needs sudo without a password")
	flags.DurationVar(&f.Wait, "wait", 2*time.Minute, "how long to wait for the group, and for each controller that was restarted")
	flags.DurationVar(&f.Pause, "pause", 310*time.Second, "how long to wait between restarts: memcached clients leave a server whose connection was cut alone for a while, 300s as 'holdfast config' has it")
	return c
}

func (f *deployFlags) run(args []string, out io.Writer) error {
	var err error
	if f.Targets, err = deploy.ParseTargets(args); err != nil {
		return usage{err}
	}
	if !deploy.IsUser(f.user) {
		return usage{fmt.Errorf("--user %.80q is no name of a user", f.user)}
	}
	if f.Wait <= 0 || f.Pause < 0 {
		return usage{fmt.Errorf("--wait is %s and --pause is %s: write durations such as 2m0s", f.Wait, f.Pause)}
	}
	for _, text := range f.set {
		v, err := config.ParseValue(text)
		if err != nil {
			return usage{fmt.Errorf("--set: %w", err)}
		}
		f.Set = append(f.Set, v)
	}
	session, err := ssh.New(f.user)
	if err != nil {
		return err
	}
	defer session.Close()
	f.Dial = func(t deploy.Target) deploy.Host { return session.Host(t.User, t.Name) }
	f.Package = (&shelf{path: f.file}).find
	f.Keeper = keeper(f.dir)
	shown := newProgress(out, f.Targets)
	f.Tell = shown.tell

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	status, err := deploy.Run(ctx, f.Options)
	if err != nil {
		return fmt.Errorf("not deployed:\n%w", err)
	}
	switch {
	case f.DryRun:
		fmt.Fprintln(out, "Nothing was changed.")
	case !shown.changed:
		fmt.Fprintf(out, "Everything was as it should be: nothing was changed.\n\n%s", status)
	default:
		fmt.Fprintf(out, "\n%s", status)
	}
	return nil
}

// keeper is the directory that the certificates are kept in, as 'holdfast cert' makes it.
type keeper string

func (k keeper) Where() string { return string(k) }

func (k keeper) Read(name string) (cert.Pair, error) {
	p, err := readPair(string(k), name)
	if errors.Is(err, os.ErrNotExist) {
		return cert.Pair{}, nil
	}
	return p, err
}

// Write replaces each file at once; the key first, which is of no use without the certificate.
func (k keeper) Write(name string, p cert.Pair) error {
	if err := os.MkdirAll(string(k), 0o700); err != nil {
		return err
	}
	w := filesOf(string(k), name)
	for _, f := range []struct {
		name string
		text []byte
		mode os.FileMode
	}{{w.key, p.Key, 0o600}, {w.cert, p.Cert, 0o644}} {
		os.Remove(f.name + ".new")
		if err := writeNew(f.name+".new", f.text, f.mode); err != nil {
			return err
		}
		if err := os.Rename(f.name+".new", f.name); err != nil {
			return err
		}
	}
	return nil
}

// shelf finds package files. Several goroutines may use it.
type shelf struct {
	path string
	mu   sync.Mutex
	seen map[string]*deploy.Package // by the end of the file's name
}

// endings of the names of packages, by kind and architecture.
var endings = map[string]map[string]string{
	"deb": {"amd64": "_amd64.deb", "arm64": "_arm64.deb"},
	"rpm": {"amd64": ".x86_64.rpm", "arm64": ".aarch64.rpm"},
}

// find returns the package for hosts of a kind and architecture, nil if there is none.
func (s *shelf) find(kind, arch string) (*deploy.Package, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ending := endings[kind][arch]
	if p, ok := s.seen[ending]; ok {
		return p, nil
	}
	path, err := s.newest(ending)
	if err != nil || path == "" {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	p := &deploy.Package{Name: filepath.Base(path), SHA256: hex.EncodeToString(h.Sum(nil)), Open: func() (io.ReadCloser, error) { return os.Open(path) }}
	if s.seen == nil {
		s.seen = map[string]*deploy.Package{}
	}
	s.seen[ending] = p
	return p, nil
}

// newest returns the file that was changed last of those in the directory that end so, or the file itself; empty if there is none.
func (s *shelf) newest(ending string) (string, error) {
	info, err := os.Stat(s.path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	case !info.IsDir() && strings.HasSuffix(s.path, ending):
		return s.path, nil
	case !info.IsDir():
		return "", nil
	}
	all, err := filepath.Glob(filepath.Join(s.path, "holdfast*"+ending))
	newest, at := "", time.Time{}
	for _, path := range all {
		if info, err := os.Stat(path); err == nil && info.ModTime().After(at) {
			newest, at = path, info.ModTime()
		}
	}
	return newest, err
}

// progress prints a line for everything that is done on a host, and on a terminal one below for what is going on.
type progress struct {
	mu       sync.Mutex
	out      io.Writer
	width    int // of the longest name
	terminal bool
	busy     []string // hosts and steps, oldest first
	changed  bool     // something was done
}

func newProgress(out io.Writer, targets []deploy.Target) *progress {
	p := &progress{out: out}
	for _, t := range targets {
		p.width = max(p.width, len(t.Name))
	}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// looksOn are the steps that change nothing.
var looksOn = map[string]bool{"look": true, "plan": true, "note": true, "group": true, "pause": true, "take back": true}

const (
	eraseLine = "\r\x1b[K"
	maxBusy   = 79 // bytes: a line that wrapped could not be erased
)

func (p *progress) tell(e deploy.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	doing := e.Host + " " + e.Step
	p.busy = slices.DeleteFunc(p.busy, func(s string) bool { return s == doing })
	line := ""
	if e.Text == "" {
		p.busy = append(p.busy, doing)
	} else {
		p.changed = p.changed || e.Err == nil && !looksOn[e.Step]
		took := ""
		if e.Took >= 100*time.Millisecond {
			took = fmt.Sprintf("  (%.1f s)", e.Took.Seconds())
		}
		line = fmt.Sprintf("%-*s  %-11s  %s%s\n", p.width, e.Host, e.Step, e.Text, took)
	}
	if p.terminal {
		line = eraseLine + line
		if len(p.busy) > 0 {
			now := "... " + strings.Join(p.busy, ", ")
			line += now[:min(len(now), maxBusy)]
		}
	}
	io.WriteString(p.out, line)
}
