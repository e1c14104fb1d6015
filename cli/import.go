package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"holdfast/cli/transfer"
	"holdfast/config"
	"holdfast/openstack"
)

const leastFollow = 100 * time.Millisecond

// importKinds are the words of --only. Those of byDefault are what a service cannot make anew without a user noticing.
var importKinds = []struct {
	word      string
	kinds     []openstack.Kind
	byDefault bool
}{
	{"sessions", []openstack.Kind{openstack.Session}, true},
	{"tokens", []openstack.Kind{openstack.Token}, false},
	{"coordination", []openstack.Kind{openstack.Group, openstack.Heartbeat, openstack.Lock}, false},
	{"rest", []openstack.Kind{openstack.Rest}, true},
}

// importing is the verb import.
type importing struct {
	daemon       *daemon
	only         []string
	to           string
	passwordFile string
	toPassword   string
	caFile       string
	overwrite    bool
	dryRun       bool
	follow       time.Duration
}

func (p Program) importVerb() *cobra.Command {
	c := &cobra.Command{
		Use:   "import SOURCE",
		Short: "Copy living keys with their deadlines from a Redis or memcached server, while both serve",
		Long: "Copies living keys with their deadlines from a server into this group, through its own Redis or memcached port, while both serve their\n" +
			"clients. Nothing is removed anywhere, and a key that the group has already is left as it is. SOURCE is\n" +
			"  redis://[[user:]password@]host[:port][/db]   all databases without /db; rediss:// for TLS, unix:///path\n" +
			"  memcached://host[:port][,host[:port]...]     all servers that the clients share the keys out to\n" +
			"Without --only, sessions and the rest are copied. What of Keystone's cache is copied could outlive a revocation, and the members of\n" +
			"groups and the holders of locks come back by themselves, with their own heartbeats: these are copied when they are named.",
		Args: oneArg("the address of one server"),
	}
	i := &importing{daemon: p.daemonFlags(c)}
	f := c.Flags()
	f.StringSliceVar(&i.only, "only", nil, "what to copy: sessions, tokens, coordination, rest or all, between commas (default sessions,rest)")
	f.BoolVar(&i.overwrite, "overwrite", false, "replace keys that the group has already")
	f.BoolVar(&i.dryRun, "dry-run", false, "copy nothing, say what would be")
	f.DurationVar(&i.follow, "follow", 0, "go on until interrupted, looking at the source again every so often: what changes there changes here")
	f.StringVar(&i.passwordFile, "password-file", "", "file whose first line is the password of the source")
	f.StringVar(&i.to, "to", "", "address of the port to copy to, written as SOURCE is (default: what the daemon serves)")
	f.StringVar(&i.toPassword, "to-password-file", "", "file whose first line is the password there (default: that of the configuration)")
	f.StringVar(&i.caFile, "ca", "", "file with the authorities, PEM, for rediss:// (default: those of the system)")
	c.RunE = func(c *cobra.Command, args []string) error {
		return i.run(args[0], c.OutOrStdout(), c.ErrOrStderr())
	}
	return c
}

func (i *importing) run(source string, out, progress io.Writer) error {
	kinds, err := chosenKinds(i.only)
	if err != nil {
		return usage{err}
	}
	if i.follow != 0 && i.follow < leastFollow || i.follow != 0 && i.dryRun {
		return usage{fmt.Errorf("--follow is %s: write %s or more, and without --dry-run", i.follow, leastFollow)}
	}
	from, to, err := i.addresses(source)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	pass, problem := 0, ""
	return transfer.Run(ctx, from, to, transfer.Options{
		Only: kinds, Overwrite: i.overwrite, DryRun: i.dryRun, Follow: i.follow,
		Progress: func(r *transfer.Report, last bool) {
			switch {
			case !last:
				fmt.Fprintf(progress, "%d keys seen, %d copied ...\n", r.Seen, r.Copied+r.Renewed)
			case i.follow == 0 || pass == 0:
				writeImport(out, r, i.dryRun)
				pass++
			case r.Problem != problem: // said once, however often it is tried again
				problem = r.Problem
				fmt.Fprintf(out, "%s: %s\n", time.Now().Format(time.TimeOnly), or(problem, "it goes on"))
			case r.Copied+r.Renewed > 0:
				fmt.Fprintf(out, "%s: %d new, %d changed, %d as they were\n", time.Now().Format(time.TimeOnly), r.Copied, r.Renewed, r.Same)
			}
		},
	})
}

// addresses returns both ends.
func (i *importing) addresses(source string) (from, to *transfer.Address, err error) {
	if from, err = transfer.ParseAddress(source); err != nil {
		return nil, nil, usage{err}
	}
	if i.passwordFile != "" {
		if from.Password, err = firstLineOf(i.passwordFile); err != nil {
			return nil, nil, err
		}
	}
	if i.to != "" {
		if to, err = transfer.ParseAddress(i.to); err != nil {
			return nil, nil, usage{fmt.Errorf("--to: %w", err)}
		}
	} else if to, err = i.ownPort(from.Memcached()); err != nil {
		return nil, nil, err
	}
	if i.toPassword != "" {
		if to.Password, err = firstLineOf(i.toPassword); err != nil {
			return nil, nil, err
		}
	}
	if i.caFile != "" {
		text, err := readFile(i.caFile)
		if err != nil {
			return nil, nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, nil, fmt.Errorf("%s has no certificate in PEM", i.caFile)
		}
		from.TLS = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		to.TLS = from.TLS
	}
	return from, to, nil
}

// ownPort asks the daemon where it serves the protocol, and takes the password from the configuration.
func (i *importing) ownPort(memcached bool) (*transfer.Address, error) {
	protocol := "redis"
	if memcached {
		protocol = "memcached"
	}
	r, _, err := i.daemon.report()
	if err != nil {
		return nil, err
	}
	for _, port := range r.Traffic.Ports {
		if port.Protocol != protocol || port.TLS {
			continue
		}
		a := &transfer.Address{Scheme: protocol, Hosts: []string{reachable(port.Address)}, Database: -1}
		if path, ok := strings.CutPrefix(port.Address, "unix:"); ok || strings.HasPrefix(port.Address, "/") {
			if memcached {
				continue
			}
			a.Scheme, a.Hosts[0] = "unix", path
		}
		if !memcached {
			a.Password, err = i.daemon.redisPassword()
		}
		return a, err
	}
	return nil, fmt.Errorf("%s serves no %s without TLS: name a port with --to", r.Name, protocol)
}

// reachable puts loopback in the place of an address that stands for all.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// redisPassword is what the configuration says, empty without one.
func (d *daemon) redisPassword() (string, error) {
	c, err := d.loader.load()
	switch {
	case err != nil:
		return "", err
	case c.RedisPasswordFile != "":
		return firstLineOf(c.RedisPasswordFile)
	}
	return c.RedisPassword, nil
}

func firstLineOf(file string) (string, error) {
	text, err := readFile(file)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" || len(line) > config.MaxPassword {
		return "", fmt.Errorf("the first line of %s is empty or too long to be a password", file)
	}
	return line, nil
}

func chosenKinds(words []string) (kinds []openstack.Kind, err error) {
	known := map[string]bool{"all": true}
	for _, k := range importKinds {
		known[k.word] = true
	}
	chosen := map[string]bool{}
	for _, w := range words {
		if !known[w] {
			return nil, fmt.Errorf("--only names %.40q: write sessions, tokens, coordination, rest or all", w)
		}
		chosen[w] = true
	}
	for _, k := range importKinds {
		if chosen["all"] || chosen[k.word] || len(words) == 0 && k.byDefault {
			kinds = append(kinds, k.kinds...)
		}
	}
	if len(kinds) == 0 {
		return nil, errors.New("--only is empty")
	}
	return kinds, nil
}

func writeImport(out io.Writer, r *transfer.Report, dry bool) {
	verb := "copied"
	if dry {
		verb = "would be copied"
	}
	fmt.Fprintf(out, "%d key%s seen, %d %s\n", r.Seen, plural(r.Seen), r.Copied, verb)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, kind := range sorted(r.Kinds) {
		fmt.Fprintf(w, "  %s\t%d\n", kind, r.Kinds[kind])
	}
	w.Flush()
	for _, reason := range r.Reasons() {
		fmt.Fprintf(out, "  %d not: %s\n", r.Skipped[reason], reason)
	}
}
