package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// overview is a page of every member's admin port, as the one that was asked got it.
type overview struct {
	Asked   string
	Now     time.Time // by the wall clock of who was asked
	Members []memberPage
	Events  []event // of all members together, in order, by that clock

	own []byte // the page of who was asked, as it came
}

// memberPage is what a member says of itself, or why it says nothing.
type memberPage struct {
	Name, Address, Error string
	Self                 bool
	Heard                *time.Time
	TookMs               float64 `json:"took_ms"`
	AheadMs              float64 `json:"clock_ahead_ms"`
	Page                 json.RawMessage

	report   *report // its status, nil if it did not answer
	stranger bool    // the member that was asked does not know it
}

// ahead is how far its clock is before that of who was asked, give or take unsure.
func (m *memberPage) ahead() (by, unsure time.Duration) {
	within := func(ms float64) time.Duration { return time.Duration(min(max(ms, -mostClockMs), mostClockMs) * 1e6) }
	return within(m.AheadMs), within(m.TookMs) / 2
}

// mostClockMs bounds what is believed of a clock: a hundred years.
const mostClockMs = 3.2e12

// group returns a page of every member, by name.
func (d *daemon) group(page string) (*overview, error) {
	body, err := d.get("/group/" + page)
	if err != nil {
		return nil, err
	}
	return readGroup(body, page)
}

func readGroup(body []byte, page string) (*overview, error) {
	o := new(overview)
	if err := json.Unmarshal(body, o); err != nil || len(o.Members) == 0 {
		return nil, fmt.Errorf("what answers at the admin address gives no %s of a group: is it a holdfast of this version?", page)
	}
	sortBy(o.Members, func(m *memberPage) string { return m.Name })
	return o, nil
}

// overview asks for the status and the events of all members.
func (d *daemon) overview() (*overview, error) {
	o, err := d.group("status")
	if err != nil {
		return nil, err
	}
	if err := o.readReports(); err != nil {
		return nil, err
	}
	h, err := d.history()
	if err != nil {
		return nil, err
	}
	o.Events = h.all
	return o, nil
}

// readReports reads the pages of status.
func (o *overview) readReports() error {
	for i := range o.Members {
		m := &o.Members[i]
		if m.Error != "" {
			continue
		}
		r := new(report)
		if err := json.Unmarshal(m.Page, r); err != nil {
			m.Error = "what it says cannot be read: the versions are too far apart"
			continue
		}
		m.report = r
		if m.Self {
			o.own = m.Page
		}
	}
	if o.self() == nil {
		return errors.New("what answers at the admin address gives no status of its own")
	}
	o.addStrangers()
	return nil
}

// self is the report of who was asked.
func (o *overview) self() *report {
	for i := range o.Members {
		if o.Members[i].Self {
			return o.Members[i].report
		}
	}
	return nil
}

func (o *overview) member(name string) *memberPage {
	for i := range o.Members {
		if o.Members[i].Name == name {
			return &o.Members[i]
		}
	}
	return nil
}

// addStrangers puts in members that others than the one that was asked know of.
func (o *overview) addStrangers() {
	for i := range len(o.Members) {
		r := o.Members[i].report
		if r == nil {
			continue
		}
		for _, p := range r.Peers {
			if o.member(p.Name) == nil {
				o.Members = append(o.Members, memberPage{Name: p.Name, Address: p.Address, stranger: true, Error: fmt.Sprintf("%s does not know it, %s does", o.Asked, r.Name)})
			}
		}
	}
}

// best is the report that knows most of the group: that of the leader which has a majority behind it, or of whoever serves, or of who was asked.
func (o *overview) best() *report {
	best, rank := o.self(), -1
	for i := range o.Members {
		r := o.Members[i].report
		if r == nil {
			continue
		}
		now := 0
		if r.Ready && r.Quorum {
			now = 1
			if r.Role == leading {
				now = 2
			}
		}
		if now > rank || now == rank && r.Term > best.Term {
			best, rank = r, now
		}
	}
	return best
}

// writeJSON writes the status of who was asked, as /status has it, with what is known of the group beside it.
func (o *overview) writeJSON(out io.Writer, j *judgement) error {
	all := map[string]any{}
	if err := json.Unmarshal(o.own, &all); err != nil {
		return err
	}
	type memberJSON struct {
		Name    string          `json:"name"`
		Address string          `json:"address"`
		Error   string          `json:"error"`
		Heard   *time.Time      `json:"heard"`
		AheadMs float64         `json:"clock_ahead_ms"`
		Status  json.RawMessage `json:"status"`
	}
	members := []memberJSON{}
	for i := range o.Members {
		m := &o.Members[i]
		page := m.Page
		if m.report == nil {
			page = json.RawMessage("null")
		}
		members = append(members, memberJSON{m.Name, m.Address, m.Error, m.Heard, m.AheadMs, page})
	}
	all["group"] = map[string]any{
		"verdict": j.Verdict, "exit_code": j.Code, "headline": j.Headline, "can_lose": j.CanLose, "problems": none(j.Problems), "notes": none(j.Notes), "next": j.Next,
		"members": members, "events": none(o.Events),
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(all)
}

// none makes an empty list of no list, for JSON.
func none[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// write shows the group: the verdict, what is wrong, the members, what is kept, what happened, what to do.
func (o *overview) write(s *screen, j *judgement) {
	word, rest := j.Headline, ""
	if i := strings.IndexAny(word, ",:"); i > 0 {
		word, rest = word[:i], word[i:]
	}
	s.prose(s.colour(j.colour(), word), rest)
	for _, p := range j.Problems {
		s.prose("! ", p)
	}
	for _, n := range j.Notes {
		s.prose("- ", n)
	}
	best := o.best()
	s.line("asked %s at %s; leader %s, term %d", o.Asked, o.Now.Format(clockTime), or(best.Leader, "unknown"), best.Term)
	s.line("")
	o.writeMembers(s)
	s.line("")
	o.writeClasses(s)
	s.title("Last events")
	o.writeLast(s)
	s.line("")
	s.prose("Next: ", j.Next)
}

const (
	clockTime = "15:04:05 MST"
	leading   = "leader"
)

// writeMembers has a row for each member, a star before whoever leads, in its own words.
func (o *overview) writeMembers(s *screen) {
	t := cells{right: map[int]bool{4: true, 6: true, 7: true, 8: true}}
	t.row(" ", "MEMBER", "ROLE", "READS", "BEHIND", "MEMORY", "CLIENTS", "FSYNC", "CLOCK", "UP", "VERSION")
	newest := uint64(0)
	for i := range o.Members {
		if r := o.Members[i].report; r != nil {
			newest = max(newest, r.Commit)
		}
	}
	for i := range o.Members {
		m := &o.Members[i]
		r := m.report
		if m.stranger {
			t.row("", m.Name, m.Error)
			t.paint(yellow)
			continue
		}
		if r == nil {
			t.row("", m.Name, "does not answer, "+m.silence(o))
			t.paint(red)
			continue
		}
		mark := ""
		if r.Role == leading {
			mark = "*"
		}
		role := or(r.Role, "loading")
		if r.Draining {
			role += ", drained"
		}
		clock := "-"
		if by, unsure := m.ahead(); !m.Self && by.Abs() > max(unsure, time.Millisecond) {
			clock = fmt.Sprintf("%+.0f ms", m.AheadMs)
		}
		t.row(mark, m.Name, role, r.readsBy(), fmt.Sprint(newest-min(newest, r.Applied)), bytes(r.Resident)+" of "+limit(r.Limit), fmt.Sprint(r.Traffic.Connections),
			measured(r.FsyncMs, "%.1f ms"), clock, age(o.Now, r.Started), r.Version)
		if !r.Ready || !r.Quorum || r.Draining {
			t.paint(yellow)
		}
	}
	s.table(&t)
}

// silence says since when nothing has come from a member to the one that was asked.
func (m *memberPage) silence(o *overview) string {
	if m.Heard == nil {
		return "not heard since " + o.Asked + " was started"
	}
	return fmt.Sprintf("since %s (%s)", m.Heard.Format(clockTime), age(o.Now, *m.Heard))
}

// heardBy names the members that hear one that does not answer: then it is the network that is wrong.
func (o *overview) heardBy(name string) (names []string) {
	for i := range o.Members {
		if m := &o.Members[i]; m.report != nil && !m.Self {
			if p := m.report.peer(name); p != nil && p.Up && !p.Self {
				names = append(names, m.Name)
			}
		}
	}
	return names
}

// readsBy says in a word how it answers reads.
func (r *report) readsBy() string {
	switch {
	case !r.Ready, !r.Quorum && (r.LeaseMs == nil || *r.LeaseMs <= 0):
		return "none"
	case r.LeaseMs == nil:
		return "memory"
	case *r.LeaseMs > 0:
		return "lease"
	}
	return "by leader"
}

// writeClasses has a row for each class with keys, and what they are together.
func (o *overview) writeClasses(s *screen) {
	r := o.best()
	if !r.Ready {
		s.line("What is kept is not known before a controller has loaded it.")
		return
	}
	t := cells{right: map[int]bool{1: true, 2: true}}
	t.row("CLASS", "KEYS", "MEMORY", "")
	keys := uint64(0)
	for _, name := range sorted(r.Classes) {
		if c := r.Classes[name]; c.Keys > 0 {
			keys += c.Keys
			t.row(name, fmt.Sprint(c.Keys), bytes(c.Bytes), "")
		}
	}
	t.row("all", fmt.Sprint(keys), bytes(r.Used), fmt.Sprintf("of %s%s; %d expired, %d evicted, %d writes refused", limit(r.Budget), share(r.Used, r.Budget), r.Expired, r.Evicted, r.Refused))
	s.table(&t)
}

func share(part, whole uint64) string {
	if whole == 0 {
		return ""
	}
	return fmt.Sprintf(" (%.0f %%)", 100*float64(part)/float64(whole))
}

// age is how long ago it was, in two units at most.
func age(now, then time.Time) string {
	d := max(0, now.Sub(then))
	switch {
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}
