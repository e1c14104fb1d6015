package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Kinds of events that something is made of here; package engine has all.
const (
	eventStarted  = "started"
	eventSilent   = "silent"
	eventDied     = "died"
	eventDeposed  = "deposed"
	eventStands   = "stands"
	eventVoted    = "voted"
	eventElected  = "elected"
	eventHandOver = "hand-over"
	eventPaused   = "paused"
	eventRefused  = "refused"
	eventEnded    = "ended"
)

// event is one of a member's history.
type event struct {
	By     []string  `json:"by"` // who saw it
	At     time.Time `json:"at"` // by the clock of the member that was asked
	Kind   string    `json:"kind"`
	Member string    `json:"member"`
	Term   uint64    `json:"term"`
	TookMs float64   `json:"took_ms"`
	Count  uint64    `json:"count"`
	Text   string    `json:"text"`
}

// took is never negative, nor more than some days, whatever a member said.
func (e *event) took() time.Duration { return time.Duration(min(max(e.TookMs, 0), mostTookMs) * 1e6) }

// history is what all members remember.
type history struct {
	asked  string
	now    time.Time
	all    []event
	silent map[string]string        // members that could not be asked, and why
	since  map[string]time.Time     // of the others: since when they can remember, since they were started then
	ahead  map[string]time.Duration // how far their clocks are ahead
	unsure map[string]time.Duration // give or take
}

// history asks all members what they remember, and brings it into one order.
func (d *daemon) history() (*history, error) {
	o, err := d.group("events")
	if err != nil {
		return nil, err
	}
	return o.history(), nil
}

// history reads the pages of events.
func (o *overview) history() *history {
	h := &history{asked: o.Asked, now: o.Now, silent: map[string]string{}, since: map[string]time.Time{}, ahead: map[string]time.Duration{}, unsure: map[string]time.Duration{}}
	for i := range o.Members {
		m := &o.Members[i]
		var said struct {
			Started time.Time
			Events  []event
		}
		if m.Error == "" && json.Unmarshal(m.Page, &said) != nil {
			m.Error = "what it says cannot be read: the versions are too far apart"
		}
		if m.Error != "" {
			h.silent[m.Name] = m.Error
			continue
		}
		by, unsure := m.ahead()
		if by.Abs() <= unsure { // no more than cannot be told
			by = 0
		}
		h.ahead[m.Name], h.unsure[m.Name], h.since[m.Name] = by, unsure, said.Started.Add(-by)
		for _, e := range said.Events {
			e.By, e.At = []string{m.Name}, e.At.Add(-by)
			h.all = append(h.all, e)
		}
	}
	slices.SortStableFunc(h.all, func(a, b event) int { return a.At.Compare(b.At) })
	return h
}

// minor are steps on the way to what is worth to be told in a line of its own.
var minor = []string{eventSilent, eventDeposed, eventStands, eventVoted, eventHandOver}

const (
	mostTookMs = 1e9
	lastEvents = 8               // that status shows
	seenWithin = 2 * time.Second // several members that see the same within this are told as one
)

// writeLast shows the last events that matter, what several saw once.
func (o *overview) writeLast(s *screen) {
	all := merged(slices.DeleteFunc(slices.Clone(o.Events), func(e event) bool { return slices.Contains(minor, e.Kind) }))
	if len(all) == 0 {
		s.line("none is remembered")
		return
	}
	t := cells{}
	for _, e := range all[max(0, len(all)-lastEvents):] {
		when := e.At.Format(clockTime)
		if o.Now.Sub(e.At) > 20*time.Hour {
			when = e.At.Format(time.DateTime)
		}
		t.row(when, age(o.Now, e.At)+" ago", strings.Join(e.By, ", "), e.Text)
	}
	s.table(&t)
}

// merged tells once what several members saw of the same.
func merged(all []event) (list []event) {
	for _, e := range all {
		at := slices.IndexFunc(list, func(o event) bool {
			return e.Member != "" && o.Kind == e.Kind && o.Member == e.Member && o.Term == e.Term && e.At.Sub(o.At) < seenWithin && !slices.Contains(o.By, e.By[0])
		})
		if at < 0 {
			list = append(list, e)
			continue
		}
		list[at].By = append(slices.Clone(list[at].By), e.By...)
		slices.Sort(list[at].By)
		if e.TookMs > list[at].TookMs {
			list[at].TookMs, list[at].Text = e.TookMs, e.Text
		}
	}
	return list
}

// sortBy sorts all by a text.
func sortBy[T any](all []T, text func(*T) string) {
	slices.SortStableFunc(all, func(a, b T) int { return cmp.Compare(text(&a), text(&b)) })
}

// offset is t from zero on, in words for a timeline.
func offset(zero, t time.Time) string { return fmt.Sprintf("%+.3f s", t.Sub(zero).Seconds()) }
