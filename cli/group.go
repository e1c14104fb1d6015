package cli

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"holdfast/config"
)

// pollEvery is how often a daemon is asked whether a member has come.
const pollEvery = 200 * time.Millisecond

func (p Program) drain() *cobra.Command {
	c := &cobra.Command{
		Use:   "drain",
		Short: "Have a daemon give its leases and its leadership away: exit 0 says that it is safe to stop the machine",
		Long: "Has a running daemon give its leases back and its leadership away, so that stopping it is not noticed. It serves its clients\n" +
			"on, takes neither again until it is restarted, and /readyz says no. Exit 0: it is safe to stop the daemon, or the machine.\n" +
			"Exit 1: it is not, with the reason; nothing was given away if the others could not go on.",
		Args: noArgs,
	}
	d := p.daemonFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		did, err := d.do("/drain")
		if err == nil {
			fmt.Fprintln(c.OutOrStdout(), did)
		}
		return err
	}
	return c
}

func (p Program) recover() *cobra.Command {
	var dir string
	var yes bool
	c := &cobra.Command{
		Use:   "recover --data DIR",
		Short: "Begin a new group with what one controller has, when the majority is lost for good",
		Long: "For when a majority of the controllers will never come back, while no daemon runs: makes the controller with this data directory\n" +
			"the founder of a new group. What only the lost ones had acknowledged is given up. Choose the controller with the newest entry, and\n" +
			"do this on one alone: the others come back by --join, with an empty directory.",
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if dir == "" {
				return usage{errors.New("'holdfast recover' wants to know the directory: --data DIR")}
			}
			if !yes {
				return fmt.Errorf("nothing was changed: what the lost controllers acknowledged and %s does not have would be given up, and nobody can say what that is; --yes if this is what you want", dir)
			}
			report, err := p.Recover(dir)
			if err == nil {
				fmt.Fprintln(c.OutOrStdout(), report)
			}
			return err
		},
	}
	c.Flags().StringVar(&dir, "data", "", "the data directory")
	c.Flags().BoolVar(&yes, "yes", false, "do it")
	return c
}

func (p Program) member() *cobra.Command {
	c := &cobra.Command{
		Use:   "member",
		Short: "List, add, remove or replace the controllers of a running group",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(p.memberList(), p.memberAdd(), p.memberRemove(), p.memberReplace())
	return c
}

func (p Program) memberList() *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the members as one of them sees them",
		Args:  noArgs,
	}
	asJSON := formatFlag(c)
	d := p.daemonFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := asJSON.check(); err != nil {
			return err
		}
		if asJSON.json() {
			body, err := d.get("/members")
			if err == nil {
				_, err = c.OutOrStdout().Write(body)
			}
			return err
		}
		r, _, err := d.report()
		switch {
		case err != nil:
		case len(r.Peers) == 0 && !r.Ready:
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s is in no group yet: %s\n", r.Name, r.Why)
		case len(r.Peers) == 0:
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s is a group of one\n", r.Name)
		default:
			err = r.writeMembers(c.OutOrStdout())
		}
		return err
	}
	return c
}

func (p Program) memberRemove() *cobra.Command {
	c := &cobra.Command{
		Use:   "remove NAME",
		Short: "Take a controller out of the group, whether it runs or not",
		Args:  oneArg("the name of a member"),
	}
	d := p.daemonFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error { return d.remove(args[0], c.OutOrStdout()) }
	return c
}

func (d *daemon) remove(name string, out io.Writer) error {
	did, err := d.do("/member/remove?name=" + url.QueryEscape(name))
	if err == nil {
		fmt.Fprintln(out, did)
	}
	return err
}

func (p Program) memberAdd() *cobra.Command {
	c := &cobra.Command{
		Use:   "add NAME [HOST[:PORT]]",
		Short: "Say how a new controller enters the group, and wait until it has",
		Args:  someArgs(1, 2, "the name of the new controller, and its address if you like"),
	}
	wait := waitFlag(c)
	d := p.daemonFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return d.await(args[0], args[1:], *wait, c.OutOrStdout())
	}
	return c
}

func (p Program) memberReplace() *cobra.Command {
	c := &cobra.Command{
		Use:   "replace OLD NEW [HOST[:PORT]]",
		Short: "Say how a new controller enters the group, wait until it has, and remove the old one",
		Long: "Adds NEW as 'member add' does and then removes OLD, so that the group never has fewer members than it had; asked again, it goes on from\n" +
			"where it was. A controller that comes back under its old name, be it with an empty directory, replaces itself: just start it.",
		Args: someArgs(2, 3, "the names of the old and of the new controller, and the address of the new one if you like"),
	}
	wait := waitFlag(c)
	d := p.daemonFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		old := args[0]
		if old == args[1] {
			return usage{fmt.Errorf("a controller that comes back as %s, be it with an empty directory, replaces itself: just start it", old)}
		}
		if *wait <= 0 {
			return usage{errors.New("'holdfast member replace' has to wait for the new controller: use add and remove")}
		}
		r, _, err := d.report()
		if err != nil {
			return err
		}
		if r.peer(old) == nil {
			return fmt.Errorf("there is no member %q: there are %s", old, strings.Join(r.names(), ", "))
		}
		switch now := r.peer(args[1]); {
		case now != nil && now.Role != learner && len(r.Peers)%2 == 1: // an odd number has nobody in it who was added to replace another
			return fmt.Errorf("%s is a member already, and without %s the group would be smaller: name a new controller, or say 'holdfast member remove %s' if that is meant", now.Name, old, old)
		case now == nil || now.Role == learner:
			if err := d.await(args[1], args[2:], *wait, c.OutOrStdout()); err != nil {
				return err
			}
		}
		return d.remove(old, c.OutOrStdout())
	}
	return c
}

func waitFlag(c *cobra.Command) *time.Duration {
	return c.Flags().Duration("wait", 10*time.Minute, "how long to wait for the new controller; 0: do not")
}

// await says how the new member is started and waits until it has a vote.
func (d *daemon) await(name string, at []string, wait time.Duration, out io.Writer) error {
	if err := memberName(name); err != nil {
		return err
	}
	listen := "ITS-ADDRESS"
	if len(at) > 0 {
		var err error
		if listen, err = config.ParsePeer(at[0]); err != nil {
			return usage{err}
		}
	}
	r, _, err := d.report()
	switch {
	case err != nil:
		return err
	case len(r.Peers) == 0:
		return fmt.Errorf("%s serves no other controllers: set peer-listen and start it again", r.Name)
	case r.peer(name) == nil:
		fmt.Fprintf(out, "Start %s on its machine, with the settings of the others but for\n  holdfast serve --name %s --peer-listen %s --join %s\n", name, name, listen, strings.Join(r.addresses(), ","))
	case r.peer(name).Role != learner:
		return fmt.Errorf("%s is a member already, at %s", name, r.peer(name).Address)
	}
	if wait <= 0 {
		return nil
	}
	fmt.Fprintf(out, "Waiting for %s, %s at most ...\n", name, wait)
	for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(pollEvery) {
		now, _, err := d.report()
		if err != nil {
			return err
		}
		if m := now.peer(name); m != nil && m.Role != learner {
			fmt.Fprintf(out, "%s is a member.\n", name)
			return nil
		}
	}
	return fmt.Errorf("%s has not become a member within %s: its log says why; ask again with the same words", name, wait)
}
