package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"holdfast/cli/bench"
	"holdfast/config"
)

// What a run may take of a running group without --yes.
const (
	modestShare = 0.01 // of the budget of keys
	modestConns = 0.1  // of max-clients
	modestTime  = time.Minute
	perKey      = 150 // bytes that a key takes besides its value, about
	benchClass  = "cache"
	maxConns    = 1000
	maxValue    = 1 << 20
	maxKeys     = 1 << 20
)

func (p Program) bench() *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Put a short load on the running daemon and say how fast it answers",
		Long: "Connects to a Redis port of the running daemon, writes and reads keys of its own for some seconds, says how many requests a second were\n" +
			"answered and how late, and removes its keys; what could not be removed ends by itself within a minute. THIS LOADS A PRODUCTION SERVER: it\n" +
			"takes processor time and writes to the logs of all members. A run that takes more than 1 % of the memory for keys, 10 % of the\n" +
			"connections or a minute, or whose database is not of class cache, or while the group is not healthy, wants --yes.",
		Example: "  holdfast bench\n  holdfast bench --connections 50 --for 10s --sets 1 --password-file /etc/holdfast/password",
		Args:    noArgs,
	}
	format := formatFlag(c)
	cfg := bench.Config{}
	f := c.Flags()
	f.DurationVar(&cfg.For, "for", 5*time.Second, "how long")
	f.IntVar(&cfg.Conns, "connections", 10, "connections, each with one request at a time")
	f.IntVar(&cfg.Sets, "sets", 3, "of 10 requests, how many write")
	f.IntVar(&cfg.Value, "value", 1024, "bytes of a value")
	f.IntVar(&cfg.Keys, "keys", 1000, "keys that are written and read")
	f.IntVar(&cfg.Database, "database", 15, "database of the keys")
	f.StringVar(&cfg.User, "user", "", "user to come in as")
	password := f.String("password-file", "", "file whose first line is the password")
	at := f.String("at", "", "address of a Redis port (default: the first without TLS of the daemon that is asked)")
	yes := f.Bool("yes", false, "do it, also if it is more than a modest run")
	d := p.daemonFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := errors.Join(format.check(), checkBench(&cfg)); err != nil {
			return err
		}
		if *password != "" {
			text, err := readFile(*password)
			if err != nil {
				return fmt.Errorf("--password-file: %w", err)
			}
			cfg.Password, _, _ = strings.Cut(strings.TrimRight(string(text), "\r\n"), "\n")
		}
		why, err := d.prepareBench(&cfg, *at)
		switch {
		case err != nil:
			return err
		case len(why) > 0 && !*yes:
			return fmt.Errorf("nothing was done: %s; --yes if this is what you want", strings.Join(why, ", and "))
		}
		s := screenOf(c.OutOrStdout(), p.Environ)
		if !format.json() {
			s.prose("", fmt.Sprintf("This loads a production server: %d connections to %s for %s, up to %d keys of %s in database %d.", cfg.Conns, cfg.Address, cfg.For, cfg.Keys, bytes(uint64(cfg.Value)), cfg.Database))
			if err := s.flush(); err != nil {
				return err
			}
		}
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		r, err := bench.Run(ctx, cfg)
		if err != nil {
			return err
		}
		if format.json() {
			err = encodeJSON(s, r)
		} else {
			writeBench(s, &r)
		}
		return errors.Join(err, s.flush())
	}
	return c
}

func checkBench(c *bench.Config) error {
	for _, n := range []struct {
		flag          string
		value, lo, hi int
	}{{"connections", c.Conns, 1, maxConns}, {"sets", c.Sets, 0, 10}, {"value", c.Value, 1, maxValue}, {"keys", c.Keys, 1, maxKeys}, {"database", c.Database, 0, 15}} {
		if n.value < n.lo || n.value > n.hi {
			return usage{fmt.Errorf("--%s is %d: write %d to %d", n.flag, n.value, n.lo, n.hi)}
		}
	}
	if c.For < 100*time.Millisecond || c.For > time.Hour {
		return usage{fmt.Errorf("--for is %s: write 100ms to 1h", c.For)}
	}
	return nil
}

// prepareBench completes c by what the daemon says of itself. why is what speaks against it.
func (d *daemon) prepareBench(c *bench.Config, at string) (why []string, err error) {
	r, _, err := d.report()
	if err != nil {
		return nil, err
	}
	if at == "" {
		for _, port := range r.Traffic.Ports {
			if port.Protocol == "redis" && !port.TLS && at == "" {
				at = port.Address
			}
		}
	}
	if at == "" {
		return nil, fmt.Errorf("%s serves no Redis port without TLS, and this verb speaks no TLS: say where with --at", r.Name)
	}
	l, err := config.ParseListener(at)
	if err != nil {
		return nil, usage{fmt.Errorf("--at: %w", err)}
	}
	c.Network, c.Address, c.Prefix = l.Network, l.Address, fmt.Sprintf("holdfast-bench:%x:", time.Now().UnixNano())
	body, err := d.get("/settings")
	if err != nil {
		return nil, err
	}
	settings := map[string]string{}
	if err := json.Unmarshal(body, &settings); err != nil {
		return nil, fmt.Errorf("what answers at the admin address gives no settings: %w", err)
	}
	return immodest(c, r, settings), nil
}

// immodest says what a run would take that is more than modest.
func immodest(c *bench.Config, r *report, settings map[string]string) (why []string) {
	if r.Verdict != "healthy" {
		why = append(why, "the group is not healthy")
	}
	if takes := uint64(c.Keys) * uint64(c.Value+perKey); r.Budget > 0 && float64(takes) > modestShare*float64(r.Budget) {
		why = append(why, fmt.Sprintf("the keys would take %s, more than 1 %% of the %s for keys", bytes(takes), bytes(r.Budget)))
	}
	if most, err := strconv.Atoi(settings["max-clients"]); err == nil && float64(c.Conns) > modestConns*float64(most) {
		why = append(why, fmt.Sprintf("%d connections are more than 10 %% of max-clients, %d", c.Conns, most))
	}
	if c.For > modestTime {
		why = append(why, fmt.Sprintf("%s is more than %s", c.For, modestTime))
	}
	for _, entry := range strings.Split(settings["redis-classes"], ",") {
		if number, class, _ := strings.Cut(entry, "="); number == strconv.Itoa(c.Database) && class != benchClass {
			why = append(why, fmt.Sprintf("database %d is of class %s", c.Database, class))
		}
	}
	return why
}

func writeBench(s *screen, r *bench.Result) {
	s.line("")
	s.line("%.0f requests a second, %d in %s", r.PerSecond(), r.Requests, r.Took.Round(time.Millisecond))
	if r.Failed > 0 {
		s.prose("! ", fmt.Sprintf("%d were answered with an error, the first: %s", r.Failed, r.Error))
	}
	s.line("")
	t := cells{right: map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true}}
	t.row("", "COUNT", "MEDIAN", "99 %", "99.9 %", "LONGEST")
	for _, l := range []struct {
		name string
		bench.Latency
	}{{"GET", r.Gets}, {"SET", r.Sets}} {
		if l.Count > 0 {
			t.row(l.name, fmt.Sprint(l.Count), millis(l.P50), millis(l.P99), millis(l.P999), millis(l.Max))
		}
	}
	s.table(&t)
	s.line("")
	s.prose("", fmt.Sprintf("%d keys were removed. The client ran on this machine and took its share of it.", r.Removed))
}

func millis(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }
