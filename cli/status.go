package cli

import (
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
	InRoster            bool    `json:"in_roster"`
	LeaseMs             float64 `json:"lease_ms"`
	Match, Lag          uint64
	RoundTripMs         float64 `json:"round_trip_ms"`
	OffsetMs            float64 `json:"clock_offset_ms"`
	FsyncMs             float64 `json:"slowest_fsync_ms"`
	Level               uint32
}

func (p Program) status() *cobra.Command {
	c := &cobra.Command{
		Use:   statusName,
		Short: "Ask a running daemon how it and its group are",
		Long: "Asks a running daemon how it and its group are. The exit code is that of a monitoring plug-in: 0 HEALTHY, 1 DEGRADED (writes go on, but\n" +
			"a controller is missing or no more may be lost), 2 NO QUORUM (no writes), 3 nobody could be asked.",
		Args: noArgs,
	}
	format := formatFlag(c)
	d := p.daemonFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := format.check(); err != nil {
			return err
		}
		r, body, err := d.report()
		if err != nil {
			return err
		}
		v, known := verdicts[r.Verdict]
		if !known {
			return fmt.Errorf("the daemon's verdict on its group is %.40q, which this version does not know", r.Verdict)
		}
		if format.json() {
			_, err = c.OutOrStdout().Write(body)
		} else {
			err = r.write(c.OutOrStdout(), time.Now())
		}
		if err == nil && v.code != statusHealthy {
			err = exit(v.code)
		}
		return err
	}
	return c
}

// write prints r as a table; now is for the ages.
func (r *report) write(out io.Writer, now time.Time) error {
	fmt.Fprintln(out, r.headline())
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }

	line("controller", "%s, holdfast %s, up %s", r.Name, r.Version, ago(now, r.Started))
	line("serves", "%s", r.serves())
	line("group", "%d member%s, this one is %s, leader %s, term %d", r.Members, plural(r.Members), or(r.Role, "loading"), or(r.Leader, "unknown"), r.Term)
	line("log", "committed %d, visible %d, applied %d", r.Commit, r.Visible, r.Applied)
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
	if err := w.Flush(); err != nil {
		return err
	}
	if len(r.Peers) > 0 {
		fmt.Fprintln(out)
		if err := r.writeMembers(out); err != nil {
			return err
		}
	}
	return r.writeElections(out)
}

// headline is the verdict: what an operator reads first, perhaps alone.
func (r *report) headline() string {
	text := verdicts[r.Verdict].headline
	switch {
	case !r.Ready, !r.Quorum:
	case len(r.Peers) < 2:
		text += ", a group of one"
	default:
		text += fmt.Sprintf(", can lose %d more", r.CanLose)
	}
	if r.Why != "" {
		text += ": " + r.Why
	}
	if r.Draining {
		text += "; this controller is drained, or is being"
	}
	return text
}

func (r *report) serves() string {
	switch {
	case !r.Ready:
		return "nothing yet: " + r.Why
	case !r.Quorum:
		return "no writes: " + r.Why
	case r.LeaseMs == nil:
		return "reads and writes"
	case *r.LeaseMs > 0:
		return fmt.Sprintf("reads and writes, reads from its own memory (lease: %.0f ms more)", *r.LeaseMs)
	}
	return "reads and writes, reads by a round to the leader (no lease)"
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

func (r *report) writeElections(out io.Writer) error {
	if len(r.Elections) == 0 {
		return nil
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "election\tterm\tleader\tcause\twithout leader")
	for _, e := range r.Elections {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%.0f ms\n", e.At.Format(time.DateTime), e.Term, or(e.Leader, "unknown"), or(e.Cause, "unknown"), e.TookMs)
	}
	return w.Flush()
}

func (r *report) peer(name string) *peer {
	for i := range r.Peers {
		if r.Peers[i].Name == name {
			return &r.Peers[i]
		}
	}
	return nil
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

func ago(now, then time.Time) string {
	return now.Sub(then).Round(time.Second).String()
}
