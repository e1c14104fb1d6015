package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	failoverBefore = 30 * time.Second // of an election, that belong to it at most
	failoverAfter  = 5 * time.Second
	shownBefore    = time.Second // of what began it, that is shown
)

func (p Program) why() *cobra.Command {
	c := &cobra.Command{
		Use:   "why",
		Short: "Show the last failover as a timeline: what was seen when by whom, its cause, and what clients saw",
		Long: "Asks all members what they remember, brings it into one order by what is known of their clocks, and shows the last change of\n" +
			"leadership: the last sign of the old leader, who noticed, who voted for whom, who took over, and how long writes had to wait. What a\n" +
			"member remembers is bounded and ends with its process; the others saw the same from their side.",
		Example: "  holdfast why\n  holdfast why --back 1      # the failover before the last\n  holdfast why --all         # everything that is remembered",
		Args:    noArgs,
	}
	format := formatFlag(c)
	all := c.Flags().Bool("all", false, "show everything that the members remember")
	back := c.Flags().Int("back", 0, "show the failover that was so many before the last")
	d := p.daemonFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := format.check(); err != nil {
			return err
		}
		if *back < 0 {
			return usage{fmt.Errorf("--back is %d: write how many failovers to go back, 0 for the last", *back)}
		}
		h, err := d.history()
		if err != nil {
			return err
		}
		s := screenOf(c.OutOrStdout(), p.Environ)
		f := h.failover(*back)
		switch {
		case format.json() && *all:
			err = encodeJSON(s, h.all)
		case format.json():
			err = encodeJSON(s, f)
		case *all:
			h.writeAll(s)
		default:
			h.write(s, f)
		}
		if err != nil {
			return err
		}
		return s.flush()
	}
	return c
}

func encodeJSON(s *screen, v any) error {
	enc := json.NewEncoder(s)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// failover is one change of leadership as the members saw it.
type failover struct {
	Zero     time.Time `json:"at"`   // what began it
	From     string    `json:"from"` // the leader before, empty if nobody knows
	To       string    `json:"to"`
	Term     uint64    `json:"term"`
	Cause    string    `json:"cause"`
	TookMs   float64   `json:"took_ms"` // from Zero until all that tell it knew the new leader
	Paused   []event   `json:"paused"`  // how long writes had to wait, by member
	Refused  []event   `json:"refused"`
	Timeline []event   `json:"timeline"`
}

// failover finds the one that was back before the last, nil if none is remembered. An election with which a group began is none.
func (h *history) failover(back int) *failover {
	var terms []uint64
	seen := map[uint64]bool{} // who comes later, or back, finds a leader that others have long had
	for _, e := range h.all {
		if e.Kind == eventElected && !seen[e.Term] && h.caused(&e) {
			terms = append(terms, e.Term)
		}
		seen[e.Term] = seen[e.Term] || e.Kind == eventElected
	}
	slices.Sort(terms)
	if back >= len(terms) {
		return nil
	}
	return h.build(terms[len(terms)-1-back])
}

// caused says whether something before an election tells why there was one.
func (h *history) caused(elected *event) bool {
	return slices.ContainsFunc(h.before(elected), func(e event) bool {
		return slices.Contains([]string{eventSilent, eventDied, eventHandOver, eventDeposed}, e.Kind)
	})
}

// before is what led to an election: from behind the one before, and not longer than failoverBefore.
func (h *history) before(elected *event) (list []event) {
	for _, e := range h.all {
		switch {
		case !e.At.Before(elected.At):
			return list
		case e.Kind == eventElected && e.Term < elected.Term:
			list = nil
		case elected.At.Sub(e.At) < failoverBefore:
			list = append(list, e)
		}
	}
	return list
}

func (h *history) build(term uint64) *failover {
	first := slices.IndexFunc(h.all, func(e event) bool { return e.Kind == eventElected && e.Term == term })
	f := &failover{To: h.all[first].Member, Term: term}
	list := h.before(&h.all[first])
	for _, e := range h.all[first:] {
		if e.Kind == eventElected && e.Term > term || e.At.Sub(h.all[first].At) > failoverAfter {
			break
		}
		list = append(list, e)
	}
	for _, e := range list {
		if e.Kind == eventSilent { // the last sign came before it was missed
			e.Kind, e.At, e.TookMs, e.Text = "heard", e.At.Add(-e.took()), 0, "hears "+e.Member+", the leader, for the last time"
			f.Timeline = append(f.Timeline, e)
		}
	}
	f.Timeline = append(f.Timeline, list...)
	slices.SortStableFunc(f.Timeline, func(a, b event) int { return a.At.Compare(b.At) })
	f.explain(h.since)
	return f
}

// causes are the kinds of events that tell why there was an election, the surest first.
var causes = []struct{ kind, text string }{
	{eventDied, "the process of %s ended (crash, kill, out of memory)"},
	{eventHandOver, "%s gave its leadership away (drain, restart, upgrade)"},
	{eventSilent, "%s was not heard any more: its machine died or was cut off, or it hung"},
	{eventDeposed, "%s had no majority behind it any more"},
}

// explain finds what began it, and what clients saw. A member that was started after it began, as it is known from since, has elected nobody: it finds a leader.
func (f *failover) explain(since map[string]time.Time) {
	for _, c := range causes {
		at := slices.IndexFunc(f.Timeline, func(e event) bool { return e.Kind == c.kind })
		if at < 0 {
			continue
		}
		e := &f.Timeline[at]
		f.Zero, f.From, f.Cause = e.At, e.Member, fmt.Sprintf(c.text, e.Member)
		if c.kind == eventSilent {
			f.Zero = e.At.Add(-e.took())
		}
		break
	}
	f.Timeline = slices.DeleteFunc(f.Timeline, func(e event) bool {
		return f.Zero.Sub(e.At) > shownBefore || e.Kind == eventElected && since[e.By[0]].After(f.Zero)
	})
	for _, e := range f.Timeline {
		switch {
		case e.Kind == eventElected && e.Term == f.Term:
			f.TookMs = max(f.TookMs, float64(e.At.Sub(f.Zero))/1e6)
		case e.At.Before(f.Zero):
		case e.Kind == eventPaused:
			f.Paused = append(f.Paused, e)
		case e.Kind == eventRefused:
			f.Refused = append(f.Refused, e)
		}
	}
}

// write shows f, and how sure its times are.
func (h *history) write(s *screen, f *failover) {
	if f == nil {
		s.prose("", "No failover is remembered: leadership has not changed hands since these were started, or that is longer ago than what they remember ('holdfast why --all').")
	} else {
		h.writeFailover(s, f)
		h.writeSince(s, f)
	}
	s.line("")
	h.writeMemory(s)
}

func (h *history) writeFailover(s *screen, f *failover) {
	s.prose("", fmt.Sprintf("%s took over from %s at %s, %s ago, within %.0f ms (term %d).", f.To, or(f.From, "nobody"), f.Zero.Add(time.Duration(f.TookMs*1e6)).Format(time.DateTime+" MST"),
		age(h.now, f.Zero), f.TookMs, f.Term))
	s.prose("Cause:   ", f.Cause+".")
	s.prose("Clients: ", f.clients())
	s.line("")
	t := cells{right: map[int]bool{0: true}}
	for _, e := range merged(f.Timeline) {
		t.row(offset(f.Zero, e.At), strings.Join(e.By, ", "), e.Text)
	}
	s.table(&t)
}

// writeSince has what mattered after f, and was no failover.
func (h *history) writeSince(s *screen, f *failover) {
	last := f.Timeline[len(f.Timeline)-1].At
	all := merged(slices.DeleteFunc(slices.Clone(h.all), func(e event) bool { return !e.At.After(last) || slices.Contains(minor, e.Kind) }))
	if len(all) == 0 {
		return
	}
	s.title("Since then")
	if more := len(all) - lastEvents; more > 0 {
		s.line("(%d more: 'holdfast why --all')", more)
	}
	t := cells{}
	for _, e := range all[max(0, len(all)-lastEvents):] {
		t.row(e.At.Format(clockTime), age(h.now, e.At)+" ago", strings.Join(e.By, ", "), e.Text)
	}
	s.table(&t)
}

// clients says what the clients of each member saw.
func (f *failover) clients() string {
	var texts []string
	for _, e := range f.Paused {
		texts = append(texts, fmt.Sprintf("writes at %s waited for up to %.0f ms", e.By[0], e.TookMs))
	}
	for _, e := range f.Refused {
		texts = append(texts, fmt.Sprintf("%d requests at %s were refused, or nobody knows what came of them", e.Count, e.By[0]))
	}
	if len(f.Paused) == 0 {
		texts = append(texts, "no write that waited for 50 ms or more is remembered")
	}
	if len(f.Refused) == 0 {
		texts = append(texts, "no request was refused")
	}
	text := strings.Join(texts, "; ") + "."
	if f.From != "" && !strings.Contains(f.Cause, "gave") {
		text += " Clients of " + f.From + " itself lost their connections."
	}
	return text
}

// writeMemory says who remembers what, and how far the times can be relied on.
func (h *history) writeMemory(s *screen) {
	var clocks []string
	for _, name := range sorted(h.ahead) {
		if name != h.asked {
			clocks = append(clocks, fmt.Sprintf("%s %+.1f ms, give or take %.1f ms", name, float64(h.ahead[name])/1e6, float64(h.unsure[name])/1e6))
		}
	}
	if len(clocks) > 0 {
		s.prose("", fmt.Sprintf("Times are by the clock of %s; what the others' are ahead is taken off: %s.", h.asked, strings.Join(clocks, "; ")))
	}
	for _, name := range sorted(h.since) {
		s.prose("", fmt.Sprintf("%s remembers nothing from before %s, when it was started.", name, h.since[name].Format(time.DateTime+" MST")))
	}
	for _, name := range sorted(h.silent) {
		s.prose("", fmt.Sprintf("%s could not be asked: %s.", name, h.silent[name]))
	}
}

// writeAll shows everything that is remembered, the oldest first.
func (h *history) writeAll(s *screen) {
	t := cells{}
	for _, e := range merged(h.all) {
		t.row(e.At.Format("2006-01-02 15:04:05.000"), strings.Join(e.By, ", "), e.Text)
	}
	s.table(&t)
	s.line("")
	h.writeMemory(s)
}
