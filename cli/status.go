package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"holdfast/config"
)

const (
	askTimeout = 5 * time.Second // for the answer of a running daemon
	maxAnswer  = 8 << 20         // bytes of it
)

// report is what status shows of the daemon's /status.
type report struct {
	Name, Version, Role, Leader, Data, Durability, Problem string
	Ready, Quorum                                          bool
	Members                                                int
	Missing                                                []string
	Started                                                time.Time
	Term, Applied, Ops, Expired, Evicted, Refused          uint64

	LogBytes int64      `json:"log_bytes"`
	FsyncMs  float64    `json:"slowest_fsync_ms"`
	SnapTime *time.Time `json:"snapshot_time"`
	Limit    uint64     `json:"memory_limit_bytes"`
	Resident uint64     `json:"memory_resident_bytes"`
	Budget   uint64     `json:"keys_budget_bytes"`
	Used     uint64     `json:"keys_used_bytes"`

	Classes   map[string]struct{ Keys, Bytes uint64 }
	Keyspaces map[string]struct{ Keys, Mortal uint64 }
	Traffic   struct {
		Ports []struct {
			Protocol, Address string
			TLS               bool
		}
		Connections                int
		Accepted, Refused, Dropped uint64
	}
}

func (p Program) status() *cobra.Command {
	var address string
	var raw bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Ask a running daemon how it is",
		Args:  noArgs,
	}
	c.Flags().StringVar(&address, "address", "", "admin address of the daemon (default: admin-listen of the configuration)")
	c.Flags().BoolVar(&raw, "json", false, "print it as JSON")
	l := &loader{environ: p.Environ}
	p.fileFlag(c, l)
	c.RunE = func(c *cobra.Command, _ []string) error {
		at, err := l.admin(address)
		if err != nil {
			return err
		}
		body, err := ask(at, "/status")
		if err != nil {
			return err
		}
		if raw {
			_, err = c.OutOrStdout().Write(body)
			return err
		}
		var r report
		if err := json.Unmarshal(body, &r); err != nil {
			return fmt.Errorf("%s answered something that is no status: %w", at.Address, err)
		}
		return r.write(c.OutOrStdout(), time.Now())
	}
	return c
}

// admin finds where the daemon's admin port is: as said, or as configured.
func (l *loader) admin(said string) (config.Listener, error) {
	if said != "" {
		at, err := config.ParseListener(said)
		if err != nil {
			return at, usage{fmt.Errorf("--address: %w", err)}
		}
		return at, nil
	}
	c, err := l.load()
	if err != nil {
		return config.Listener{}, err
	}
	all := c.Admin()
	if len(all) == 0 {
		return config.Listener{}, errors.New("setting admin-listen is empty: say where the daemon is with --address")
	}
	return all[0], nil
}

// ask gets a page of a daemon's admin port.
func ask(at config.Listener, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
	defer cancel()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, at.Network, at.Address)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://holdfast"+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no daemon answers at %s (%w): is 'holdfast serve' running there?", at.Address, errors.Unwrap(err))
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("it answered %s", res.Status)
	}
	if err != nil {
		return nil, fmt.Errorf("asking %s for %s: %w", at.Address, path, err)
	}
	return body, nil
}

// write prints r as a table; now is for the ages.
func (r *report) write(out io.Writer, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }

	line("controller", "%s, holdfast %s, up %s", r.Name, r.Version, ago(now, r.Started))
	line("serves", "%s", r.serves())
	line("group", "%d member%s, this one is %s, leader %s, term %d, entry %d", r.Members, plural(r.Members), r.Role, or(r.Leader, "unknown"), r.Term, r.Applied)
	line("ops", "%d applied, %d keys expired, %d evicted, %d writes refused", r.Ops, r.Expired, r.Evicted, r.Refused)
	line("memory", "%s of %s; keys take %s of %s", bytes(r.Resident), limit(r.Limit), bytes(r.Used), limit(r.Budget))
	line("data", "%s, durability %s, log %s, slowest fsync %.1f ms", or(r.Data, "nothing on disk"), r.Durability, bytes(uint64(max(r.LogBytes, 0))), r.FsyncMs)
	if r.SnapTime != nil {
		line("snapshot", "%s ago", ago(now, *r.SnapTime))
	}
	for _, name := range sorted(r.Classes) {
		if c := r.Classes[name]; c.Keys > 0 {
			line("class "+name, "%d keys, %s", c.Keys, bytes(c.Bytes))
		}
	}
	for _, name := range sorted(r.Keyspaces) {
		line("keyspace "+name, "%d keys, %d of them with a deadline", r.Keyspaces[name].Keys, r.Keyspaces[name].Mortal)
	}
	for _, port := range r.Traffic.Ports {
		tls := ""
		if port.TLS {
			tls = " (TLS)"
		}
		line(port.Protocol, "%s%s", port.Address, tls)
	}
	line("clients", "%d connected, %d since the start, %d refused, %d dropped", r.Traffic.Connections, r.Traffic.Accepted, r.Traffic.Refused, r.Traffic.Dropped)
	return w.Flush()
}

func (r *report) serves() string {
	switch {
	case !r.Ready:
		return "nothing yet: the state is being loaded"
	case !r.Quorum && r.Problem != "":
		return "no writes: " + r.Problem
	case !r.Quorum:
		return "no writes: no quorum, missing: " + or(strings.Join(r.Missing, ", "), "nobody")
	}
	return "reads and writes"
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func limit(n uint64) string {
	if n == 0 {
		return "no limit"
	}
	return bytes(n)
}

// bytes writes n with three digits or so.
func bytes(n uint64) string {
	v, unit := float64(n), 0
	for v >= 1000 && unit < 4 {
		v, unit = v/1024, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, []string{"", "KiB", "MiB", "GiB", "TiB"}[unit])
}

func ago(now, then time.Time) string {
	return now.Sub(then).Round(time.Second).String()
}
