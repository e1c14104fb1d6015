package redis

import (
	"fmt"
	"strings"

	"holdfast/resp"
)

// What timing.go knows, as SLOWLOG and LATENCY tell it.

var timingCommands = []Command{
	{Name: "slowlog", Arity: -2, Needed: "exporters", subs: []Command{
		{Name: "len", Arity: 2, Flags: Admin | Loading, Needed: "exporters", conn: slowlogLen},
		{Name: "get", Arity: -2, Flags: Admin | Loading, Needed: "exporters", conn: slowlogGet},
		{Name: "reset", Arity: 2, Flags: Admin | Loading, Needed: "tools", conn: slowlogReset},
		{Name: "help", Arity: 2, Flags: Loading, Needed: "people", conn: help("SLOWLOG", "GET [<count>]", "LEN", "RESET")},
	}},
	{Name: "latency", Arity: -2, Needed: "exporters", subs: []Command{
		{Name: "latest", Arity: 2, Flags: Admin | NoScript | Loading, Needed: "exporters", conn: latencyLatest},
		{Name: "history", Arity: 3, Flags: Admin | NoScript | Loading, Needed: "tools", conn: latencyHistory},
		{Name: "histogram", Arity: -2, Flags: Admin | NoScript | Loading, Needed: "exporters", conn: latencyHistogram},
		{Name: "reset", Arity: -2, Flags: Admin | NoScript | Loading, Needed: "tools", conn: latencyReset},
		{Name: "doctor", Arity: 2, Flags: Admin | NoScript | Loading, Needed: "people", conn: latencyDoctor},
		{Name: "help", Arity: 2, Flags: Loading, Needed: "people", conn: help("LATENCY", "DOCTOR", "HISTOGRAM [COMMAND ...]", "HISTORY <event>", "LATEST", "RESET [<event> ...]")},
	}},
}

func slowlogLen(s *Session, _ *request, b []byte) []byte {
	return resp.Integer(b, int64(s.d.slow.len()))
}

func slowlogReset(s *Session, _ *request, b []byte) []byte {
	s.d.slow.reset()
	return append(b, "+OK\r\n"...)
}

func slowlogGet(s *Session, q *request, b []byte) []byte {
	n := int64(10)
	switch {
	case len(q.args) > 3:
		return resp.Err(b, string(wrongSubcommand("SLOWLOG", "get")))
	case len(q.args) == 3:
		var ok bool
		if n, ok = resp.Int(q.args[2]); !ok || n < -1 {
			return resp.Err(b, "ERR count should be greater than or equal to -1")
		}
	}
	list := s.d.slow.newest(int(n))
	b = resp.Array(b, len(list))
	for i := range list {
		e := &list[i]
		b = resp.Integer(resp.Array(b, 6), e.id)
		b = resp.Integer(resp.Integer(b, e.at), e.us)
		b = bulks(b, e.args)
		b = pair(b, e.client, e.name)
	}
	return b
}

func latencyLatest(s *Session, _ *request, b []byte) []byte {
	v := &s.d.events
	v.mu.Lock()
	defer v.mu.Unlock()
	b = resp.Array(b, len(v.list))
	for name, e := range v.list {
		newest := e.list[len(e.list)-1]
		b = resp.Bulk(resp.Array(b, 4), name)
		b = resp.Integer(resp.Integer(resp.Integer(b, newest.at), newest.ms), e.most)
	}
	return b
}

func latencyHistory(s *Session, q *request, b []byte) []byte {
	v := &s.d.events
	v.mu.Lock()
	defer v.mu.Unlock()
	e := v.list[string(q.args[2])]
	if e == nil {
		return resp.Array(b, 0)
	}
	b = resp.Array(b, len(e.list))
	for _, one := range e.list {
		b = resp.Integer(resp.Integer(resp.Array(b, 2), one.at), one.ms)
	}
	return b
}

func latencyReset(s *Session, q *request, b []byte) []byte {
	v := &s.d.events
	v.mu.Lock()
	defer v.mu.Unlock()
	was := len(v.list)
	if len(q.args) == 2 {
		clear(v.list)
	}
	for _, name := range q.args[2:] {
		delete(v.list, string(name))
	}
	return resp.Integer(b, int64(was-len(v.list)))
}

func latencyDoctor(s *Session, _ *request, b []byte) []byte {
	v := &s.d.events
	v.mu.Lock()
	defer v.mu.Unlock()
	var text strings.Builder
	switch {
	case v.threshold.Load() <= 0:
		text.WriteString("Latency events are not kept: CONFIG SET latency-monitor-threshold <milliseconds> begins it on this controller.\n")
	case len(v.list) == 0:
		text.WriteString("No command has taken longer than latency-monitor-threshold.\n")
	}
	for name, e := range v.list {
		fmt.Fprintf(&text, "%s: %d seconds in which one took too long, the longest %d ms. SLOWLOG GET names them; 'holdfast status' tells whether the group or a disk is slow.\n",
			name, len(e.list), e.most)
	}
	return s.v.Verbatim(b, "txt", text.String())
}

// latencyHistogram gives the calls that ended within 1, 2, 4... µs, each number with those before it.
func latencyHistogram(s *Session, q *request, b []byte) []byte {
	var rows []*Command
	sums := s.d.sums()
	known := func(row *Command) {
		if row != nil && sums[row.number].timedCalls() > 0 {
			rows = append(rows, row)
		}
	}
	if len(q.args) == 2 {
		for row := range table.all() {
			known(row)
		}
	}
	for _, name := range q.args[2:] {
		row := named(name)
		known(row)
		if row != nil {
			for i := range row.subs {
				known(&row.subs[i])
			}
		}
	}
	b = s.v.Map(b, len(rows))
	for _, row := range rows {
		b = sums[row.number].histogram(s.v, resp.Bulk(b, row.Name))
	}
	return b
}

func (s *sum) timedCalls() (n uint64) {
	for _, c := range s.latency {
		n += c
	}
	return n
}

func (s *sum) histogram(v resp.Version, b []byte) []byte {
	n := 0
	for _, c := range s.latency {
		if c > 0 {
			n++
		}
	}
	b = v.Map(b, 2)
	b = resp.Integer(resp.Bulk(b, "calls"), int64(s.timedCalls()))
	b = v.Map(resp.Bulk(b, "histogram_usec"), n)
	below := int64(0)
	for i, c := range s.latency {
		if below += int64(c); c > 0 {
			b = resp.Integer(resp.Integer(b, 1<<i), below)
		}
	}
	return b
}
