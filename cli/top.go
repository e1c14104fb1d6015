package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	topEvery    = 2 * time.Second
	topCommands = 12 // that are shown
	topClients  = 10
)

// work is what clients had done at a member until a moment; see package admin.
type work struct {
	At       time.Time
	Commands map[string]map[string]uint64
	Clients  []client
}

type client struct {
	Host, Protocol string
	Connections    int
	Input          uint64 `json:"input_bytes"`
	Output         uint64 `json:"output_bytes"`
}

func (p Program) top() *cobra.Command {
	c := &cobra.Command{
		Use:   "top",
		Short: "Watch what clients do: requests a second by member, protocol and command, and the busiest clients",
		Long: "Asks all members again and again what their clients have had done, and shows the rates in between. memcached's reads are counted by\n" +
			"keys. A client is a host: its connections are taken together, and what closed ones brought is not counted. Which keys are asked for is not\n" +
			"known: nothing is written down for a read. Only the controller's own machine may ask.",
		Example: "  holdfast top\n  holdfast top --once --every 10s",
		Args:    noArgs,
	}
	format := formatFlag(c)
	once := c.Flags().Bool("once", false, "show one interval and end, for scripts")
	every := c.Flags().Duration("every", topEvery, "the interval")
	d := p.daemonFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := format.check(); err != nil {
			return err
		}
		if err := checkWatch("every", *every); err != nil {
			return err
		}
		s := screenOf(c.OutOrStdout(), p.Environ)
		before, err := d.work()
		if err != nil {
			return err
		}
		for {
			time.Sleep(*every)
			after, err := d.work()
			if err != nil {
				return err
			}
			r := rate(before, after)
			if !*once {
				s.clear()
			}
			if format.json() {
				err = encodeJSON(s, r)
			} else {
				r.write(s)
			}
			if err == nil {
				err = s.flush()
			}
			if err != nil || *once {
				return err
			}
			before = after
		}
	}
	return c
}

// works is the work of all members by their names, and why that of some is not known.
type works struct {
	asked  string
	now    time.Time
	by     map[string]work
	silent map[string]string
}

func (d *daemon) work() (*works, error) {
	o, err := d.group("work")
	if err != nil {
		return nil, err
	}
	all := &works{asked: o.Asked, now: o.Now, by: map[string]work{}, silent: map[string]string{}}
	for i := range o.Members {
		m := &o.Members[i]
		var w work
		switch {
		case m.Error != "":
			all.silent[m.Name] = m.Error
		case json.Unmarshal(m.Page, &w) != nil:
			all.silent[m.Name] = "what it says cannot be read: the versions are too far apart"
		default:
			all.by[m.Name] = w
		}
	}
	return all, nil
}

// rates is what happened a second between two looks.
type rates struct {
	Asked   string            `json:"asked"`
	Now     time.Time         `json:"now"`
	Seconds float64           `json:"seconds"`
	Members []memberRate      `json:"members"`
	Calls   []commandRate     `json:"commands"`
	Clients []clientRate      `json:"clients"`
	Silent  map[string]string `json:"silent"`
}

type memberRate struct {
	Name        string             `json:"name"`
	Requests    map[string]float64 `json:"requests_per_second"` // by protocol
	Input       float64            `json:"input_bytes_per_second"`
	Output      float64            `json:"output_bytes_per_second"`
	Connections int                `json:"connections"`
}

type commandRate struct {
	Protocol string             `json:"protocol"`
	Command  string             `json:"command"`
	All      float64            `json:"per_second"`
	By       map[string]float64 `json:"by_member"`
}

type clientRate struct {
	Host        string  `json:"host"`
	Protocol    string  `json:"protocol"`
	Member      string  `json:"member"`
	Connections int     `json:"connections"`
	Input       float64 `json:"input_bytes_per_second"`
	Output      float64 `json:"output_bytes_per_second"`
}

// rate takes one look from the next. A member that was not there before, or was started anew, has no rates yet.
func rate(before, after *works) *rates {
	r := &rates{Asked: after.asked, Now: after.now, Silent: after.silent, Members: []memberRate{}, Calls: []commandRate{}, Clients: []clientRate{}}
	calls := map[string]*commandRate{}
	for _, name := range sorted(after.by) {
		now, was := after.by[name], before.by[name]
		m := memberRate{Name: name, Requests: map[string]float64{}}
		seconds := now.At.Sub(was.At).Seconds()
		if was.At.IsZero() || seconds <= 0 {
			seconds, was = 1, now
		}
		r.Seconds = max(r.Seconds, seconds)
		for protocol, commands := range now.Commands {
			for command, n := range commands {
				per := float64(n-min(n, was.Commands[protocol][command])) / seconds
				m.Requests[protocol] += per
				key := protocol + " " + command
				if calls[key] == nil {
					calls[key] = &commandRate{Protocol: protocol, Command: command, By: map[string]float64{}}
				}
				calls[key].All += per
				calls[key].By[name] += per
			}
		}
		for _, c := range now.Clients {
			m.Connections += c.Connections
			old := c.before(was.Clients)
			cr := clientRate{Host: c.Host, Protocol: c.Protocol, Member: name, Connections: c.Connections,
				Input: float64(c.Input-min(c.Input, old.Input)) / seconds, Output: float64(c.Output-min(c.Output, old.Output)) / seconds}
			m.Input, m.Output = m.Input+cr.Input, m.Output+cr.Output
			r.Clients = append(r.Clients, cr)
		}
		r.Members = append(r.Members, m)
	}
	for _, key := range sorted(calls) {
		if calls[key].All > 0 {
			r.Calls = append(r.Calls, *calls[key])
		}
	}
	slices.SortStableFunc(r.Calls, func(a, b commandRate) int { return cmp.Compare(b.All, a.All) })
	slices.SortStableFunc(r.Clients, func(a, b clientRate) int { return cmp.Compare(b.Input+b.Output, a.Input+a.Output) })
	return r
}

func (c *client) before(all []client) client {
	for _, o := range all {
		if o.Host == c.Host && o.Protocol == c.Protocol {
			return o
		}
	}
	return client{}
}

func (r *rates) write(s *screen) {
	s.line("asked %s at %s, over %.1f s", r.Asked, r.Now.Format(clockTime), r.Seconds)
	s.line("")
	t := cells{right: map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true}}
	t.row("MEMBER", "REDIS/s", "MEMCACHED/s", "IN/s", "OUT/s", "CLIENTS")
	for _, m := range r.Members {
		t.row(m.Name, count(m.Requests["redis"]), count(m.Requests["memcached"]), bytes(uint64(m.Input)), bytes(uint64(m.Output)), fmt.Sprint(m.Connections))
	}
	for _, name := range sorted(r.Silent) {
		t.row(name, "does not answer: "+r.Silent[name])
		t.paint(red)
	}
	s.table(&t)
	s.title("Commands a second")
	r.writeCommands(s)
	s.title("Busiest clients")
	r.writeClients(s)
}

func (r *rates) writeCommands(s *screen) {
	if len(r.Calls) == 0 {
		s.line("none")
		return
	}
	t := cells{right: map[int]bool{2: true}}
	head := []string{"PROTOCOL", "COMMAND", "ALL"}
	for i, m := range r.Members {
		head = append(head, m.Name)
		t.right[3+i] = true
	}
	t.row(head...)
	for _, c := range r.Calls[:min(len(r.Calls), topCommands)] {
		row := []string{c.Protocol, strings.ReplaceAll(c.Command, "|", " "), count(c.All)}
		for _, m := range r.Members {
			row = append(row, count(c.By[m.Name]))
		}
		t.row(row...)
	}
	s.table(&t)
}

func (r *rates) writeClients(s *screen) {
	if len(r.Clients) == 0 {
		s.line("none is connected")
		return
	}
	t := cells{right: map[int]bool{3: true, 4: true, 5: true}}
	t.row("CLIENT", "PROTOCOL", "AT", "CONNECTIONS", "IN/s", "OUT/s")
	for _, c := range r.Clients[:min(len(r.Clients), topClients)] {
		t.row(c.Host, c.Protocol, c.Member, fmt.Sprint(c.Connections), bytes(uint64(c.Input)), bytes(uint64(c.Output)))
	}
	s.table(&t)
}

// count writes a rate.
func count(v float64) string {
	if v != 0 && v < 10 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
