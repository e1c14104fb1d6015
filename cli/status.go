package cli

import (
	"errors"
	"fmt"
	"io"
	"sort"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

const statusName = "status"

// Exit codes of status: those of a monitoring plug-in.
const (
	statusHealthy  = 0
	statusDegraded = 1
	statusNoQuorum = 2
	statusUnknown  = 3
)

// verdicts gives the daemon's word for the group its code and its headline.
var verdicts = map[string]struct {
	code     int
	headline string
}{
	"healthy":   {statusHealthy, "HEALTHY"},
	"degraded":  {statusDegraded, "DEGRADED"},
	"no quorum": {statusNoQuorum, "NO QUORUM"},
}

const learner = "learner"

// report is what status shows of the daemon's /status.
type report struct {
	Name, Version, Role, Leader, Data, Durability, Problem, Verdict, Why string
	Ready, Quorum, Draining                                              bool
	Members                                                              int
	Missing                                                              []string
	Started                                                              time.Time
	Term, Commit, Visible, Applied, Ops, Expired, Evicted, Refused       uint64

	CanLose  int        `json:"can_lose"`
	LeaseMs  *float64   `json:"lease_ms"` // null: without an end
	LogBytes int64      `json:"log_bytes"`
	FsyncMs  float64    `json:"slowest_fsync_ms"`
	SnapTime *time.Time `json:"snapshot_time"`
	Limit    uint64     `json:"memory_limit_bytes"`
	Resident uint64     `json:"memory_resident_bytes"`
	Budget   uint64     `json:"keys_budget_bytes"`
	Used     uint64     `json:"keys_used_bytes"`

	Common    map[string]string `json:"common_settings"`
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
	Peers     []peer
	Elections []struct {
		At            time.Time
		Term          uint64
		Leader, Cause string
		TookMs        float64 `json:"took_ms"`
	}
}

// peer is a member.
type peer struct {
	Name, Address, Role string
	Leader, Self, Up    bool
	Heard               *time.Time
	Differs             uint64
	InRoster            bool    `json:"in_roster"`
	LeaseMs             float64 `json:"lease_ms"`
	Match, Lag          uint64
	RoundTripMs         float64 `json:"round_trip_ms"`
	OffsetMs            float64 `json:"clock_offset_ms"`
	FsyncMs             float64 `json:"slowest_fsync_ms"`
	Level               uint32
}

// watchDefault is how often --watch asks, unless it says.
const watchDefault = 2 * time.Second

func (p Program) status() *cobra.Command {
	c := &cobra.Command{
		Use:   statusName,
		Short: "Say how the group is: a verdict, every member, what is kept, the last events, what to do now",
		Long: "Asks a running daemon, which asks all members of its group, each for itself, and shows what they say and where they disagree.\n" +
			"The exit code is that of a monitoring plug-in: 0 HEALTHY, 1 DEGRADED (writes go on, but a controller is missing, or no more may be\n" +
			"lost, or something is not as it should be), 2 NO QUORUM (no writes), 3 nobody could be asked.",
		Example: "  holdfast status\n  holdfast status --watch\n  holdfast status -o json | jq .verdict",
		Args:    noArgs,
	}
	format := formatFlag(c)
	watch := c.Flags().DurationP("watch", "w", watchDefault, "show it again and again, every so often, until interrupted")
	c.Flags().Lookup("watch").NoOptDefVal = watchDefault.String()
	d := p.daemonFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := format.check(); err != nil {
			return err
		}
		s := screenOf(c.OutOrStdout(), p.Environ)
		if !c.Flags().Changed("watch") {
			return d.showStatus(s, format.json())
		}
		if err := checkWatch("watch", *watch); err != nil {
			return err
		}
		for ; ; time.Sleep(*watch) {
			s.clear()
			if err := d.showStatus(s, format.json()); err != nil && !errors.As(err, new(exit)) {
				fmt.Fprintln(s, err)
			}
			if err := s.flush(); err != nil {
				return err
			}
		}
	}
	return c
}

// showStatus writes the status of the group once. The error is its exit code, if that is not 0.
func (d *daemon) showStatus(s *screen, asJSON bool) error {
	o, err := d.overview()
	if err != nil {
		return err
	}
	j, err := judge(o)
	if err != nil {
		return err
	}
	if asJSON {
		err = o.writeJSON(s, &j)
	} else {
		o.write(s, &j)
	}
	if err == nil {
		err = s.flush()
	}
	if err == nil && j.Code != statusHealthy {
		err = exit(j.Code)
	}
	return err
}

// writeMembers prints the table of members, a star before the leader.
func (r *report) writeMembers(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, " \tmember\taddress\trole\treads\tlog\tround trip\tfsync\tclock\tlevel")
	for i := range r.Peers {
		p := &r.Peers[i]
		mark, name := " ", p.Name
		if p.Leader {
			mark = "*"
		}
		if p.Self {
			name += " (this one)"
		}
		if !p.Up {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s, does not answer\t%s\n", mark, name, p.Address, p.Role, r.reads(p))
			continue
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", mark, name, p.Address, p.Role, r.reads(p), p.log(),
			measured(p.RoundTripMs, "%.2f ms"), measured(p.FsyncMs, "%.1f ms"), measured(p.OffsetMs, "%+.1f ms"), measured(float64(p.Level), "%.0f"))
	}
	if err := w.Flush(); err != nil || r.Leader == r.Name || r.Leader == "" {
		return err
	}
	_, err := fmt.Fprintf(out, "Only %s, which leads, knows all of this.\n", r.Leader)
	return err
}

// reads says how a member answers reads, or when what it was granted for that ends: of others a leader alone knows that.
func (r *report) reads(p *peer) string {
	switch {
	case !p.Self && r.Leader != r.Name:
		return "-"
	case p.InRoster && p.LeaseMs > 0:
		return fmt.Sprintf("lease, %.0f ms", p.LeaseMs)
	case p.InRoster:
		return "lease"
	case p.LeaseMs > 0:
		return fmt.Sprintf("ends in %.0f ms", p.LeaseMs)
	}
	return "by leader"
}

// log says which entry it has, and how far behind that is.
func (p *peer) log() string {
	if p.Lag > 0 {
		return fmt.Sprintf("%d, %d behind", p.Match, p.Lag)
	}
	if p.Match == 0 {
		return "-"
	}
	return fmt.Sprint(p.Match)
}

// measured writes a figure, or a dash for one that is not known.
func measured(v float64, format string) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

func (r *report) peer(name string) *peer {
	for i := range r.Peers {
		if r.Peers[i].Name == name {
			return &r.Peers[i]
		}
	}
	return nil
}

// hears says whether it has heard a member of late.
func (r *report) hears(name string) bool {
	p := r.peer(name)
	return p != nil && p.Up
}

func (r *report) names() (all []string) {
	for i := range r.Peers {
		all = append(all, r.Peers[i].Name)
	}
	return all
}

// addresses are where a new member finds the group.
func (r *report) addresses() (all []string) {
	for i := range r.Peers {
		all = append(all, r.Peers[i].Address)
	}
	return all
}

// format is the flag -o.
type format struct{ name string }

func formatFlag(c *cobra.Command) *format {
	f := new(format)
	c.Flags().StringVarP(&f.name, "output", "o", "text", "text or json")
	return f
}

func (f *format) json() bool { return f.name == "json" }

func (f *format) check() error {
	if f.name != "text" && f.name != "json" {
		return usage{fmt.Errorf("--output is %.40q: write text or json", f.name)}
	}
	return nil
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
