package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"holdfast/config"
)

// What a port is asked, whichever answer is a sign of life: also that a password is wanted, or that there are too many clients.
const (
	pingRedis    = "PING\r\n"
	pingMemcache = "version\r\n"
	pingAdmin    = "GET /readyz HTTP/1.0\r\nHost: holdfast\r\n\r\n" // its answer waits for what drives the log, and not for a majority
)

func (p Program) ping() *cobra.Command {
	c := &cobra.Command{
		Use:   "ping",
		Short: "Ask this machine's daemon for a sign of life on each of its ports, for whoever restarts it",
		Long: "Asks the daemon of a configuration for a sign of life on each port that it serves. Exit 0: all answered in time, whatever they said;\n" +
			"a daemon that waits for the others of its group is alive, and restarting it would not help. Exit 1: one did not, which is named.",
		Args: noArgs,
	}
	within := c.Flags().Duration("within", time.Second, "how long all answers may take")
	l := p.daemonLoader(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *within <= 0 {
			return usage{fmt.Errorf("--within is %s: write a duration such as 1s", *within)}
		}
		settings, err := l.load()
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), *within)
		defer cancel()
		if err := pingAll(ctx, &settings); err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), "alive")
		return nil
	}
	return c
}

// pingAll asks one port after the other until ctx ends, and names the first that does not answer.
func pingAll(ctx context.Context, c *config.Config) error {
	for _, protocol := range []struct {
		ports   []config.Listener
		request string
	}{{c.Redis(), pingRedis}, {c.Memcached(), pingMemcache}, {c.Admin(), pingAdmin}} {
		for _, port := range protocol.ports {
			if err := pingPort(ctx, port, protocol.request); err != nil {
				return err
			}
		}
	}
	return nil
}

// pingPort returns nil if anything answers.
func pingPort(ctx context.Context, port config.Listener, request string) error {
	conn, err := new(net.Dialer).DialContext(ctx, port.Network, port.Address)
	if err != nil {
		return fmt.Errorf("%s: nobody listens at %s: %w", port.Setting, port.Address, err)
	}
	defer conn.Close()
	if end, ok := ctx.Deadline(); ok {
		conn.SetDeadline(end)
	}
	if port.TLS {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // nothing is believed of what is said
	}
	_, err = conn.Write([]byte(request))
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	var alert *net.OpError // of TLS: a certificate is wanted, say
	if err == nil || port.TLS && errors.As(err, &alert) && alert.Op == "remote error" {
		return nil
	}
	return fmt.Errorf("%s: no answer at %s: %w", port.Setting, port.Address, err)
}
