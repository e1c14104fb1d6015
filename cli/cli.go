// Package cli is the verbs for people. Read Program first; ask.go is how a running daemon is asked, status.go and group.go what it is asked for,
// certs.go makes files, load.go gathers settings.
//
// A verb either calls what the wiring gave it or asks a running daemon over its admin port. The package knows
// settings and words, and no key.
package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"holdfast/config"
)

// Exit codes of Run, for every verb but status.
const (
	ok        = 0
	failed    = 1 // it was tried and did not work
	misspoken = 2 // what was asked for does not exist
)

// Program is what the verbs stand on.
type Program struct {
	Version string
	Environ []string // as os.Environ gives it
	// Config names the configuration file of verbs that ask a daemon, where neither --config nor the environment does. It need not be there.
	Config string
	// Serve runs the daemon until it is told to stop. It may write its greeting to out.
	Serve func(c config.Config, out io.Writer) error
	// Repair mends the log and the snapshots in a data directory that no daemon uses, and says what it did.
	Repair func(dir string) (string, error)
	// Recover makes what is in a data directory that no daemon uses the beginning of a new group, and says what it did.
	Recover func(dir string) (string, error)
}

// Run carries out a command line without the program's name, and returns the exit code. An error is a sentence on stderr.
func (p Program) Run(args []string, stdout, stderr io.Writer) int {
	root := p.Command()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	ran, err := root.ExecuteC()
	var code exit
	switch {
	case err == nil:
		return ok
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintln(stderr, "holdfast:", err)
	switch {
	case ran.Name() == statusName:
		return statusUnknown
	case errors.As(err, &usage{}):
		return misspoken
	}
	return failed
}

// Command is the program with all its verbs, for Run and for what documents them.
func (p Program) Command() *cobra.Command {
	root := &cobra.Command{
		Use:           "holdfast",
		Short:         "Redis and memcached for OpenStack controllers, kept through a crash",
		Args:          noArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage{fmt.Errorf("%w; '%s --help' lists the flags", err, c.CommandPath())}
	})
	root.AddCommand(p.serve(), p.status(), p.why(), p.top(), p.bench(), p.supportBundle(), p.ping(), p.drain(), p.member(), p.cert(), p.deploy(), p.config(), p.importVerb(), p.sessions(), p.tokens(), p.groups(), p.locks(), p.doctor(), p.repair(), p.recover(), p.version())
	return root
}

// exit is the exit code of a verb that has said everything.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usage is an error in the command line itself.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// someArgs wants from lo to hi words, which are what.
func someArgs(lo, hi int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < lo || len(args) > hi {
			return usage{fmt.Errorf("'%s' wants %s", c.CommandPath(), what)}
		}
		return nil
	}
}

func oneArg(what string) cobra.PositionalArgs { return someArgs(1, 1, what) }

func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.HasAvailableSubCommands() {
		hint := fmt.Sprintf("; '%s --help' lists them", c.CommandPath())
		c.SuggestionsMinimumDistance = 2 // letters
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			hint = fmt.Sprintf("; did you mean %q?", near[0])
		}
		return usage{fmt.Errorf("there is no command %q%s", args[0], hint)}
	}
	return usage{fmt.Errorf("%q is one word too many for '%s'", args[0], c.CommandPath())}
}

func (p Program) serve() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon until SIGTERM",
		Args:  noArgs,
	}
	l := p.settingFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := l.load()
		if err != nil {
			return err
		}
		return p.Serve(cfg, c.OutOrStdout())
	}
	return c
}

func (p Program) config() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Print a configuration file that explains every setting, or what OpenStack's services should say",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := io.WriteString(c.OutOrStdout(), config.Example())
			return err
		},
	}
	c.AddCommand(&cobra.Command{
		Use:   "check FILE",
		Short: "Say what is wrong with a configuration file",
		Args:  oneArg("the name of one file"),
		RunE: func(c *cobra.Command, args []string) error {
			l := loader{file: args[0]}
			cfg, err := l.load()
			if err != nil {
				return err
			}
			for _, w := range append(cfg.Warnings(), missing(&cfg)...) {
				fmt.Fprintln(c.OutOrStdout(), "warning:", w)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s is good.\n", args[0])
			return nil
		},
	})
	c.AddCommand(p.serviceSettings()...)
	return c
}

func (p Program) repair() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "repair --data DIR",
		Short: "Mend a damaged log while no daemon runs: what is cut off is kept in a file beside it",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" {
				return usage{errors.New("'holdfast repair' wants to know the directory: --data DIR")}
			}
			did, err := p.Repair(dir)
			if err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), did)
			return nil
		},
	}
	c.Flags().StringVar(&dir, "data", "", "the data directory")
	return c
}

func (p Program) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		Run:   func(c *cobra.Command, _ []string) { fmt.Fprintln(c.OutOrStdout(), "holdfast", p.Version) },
	}
}
