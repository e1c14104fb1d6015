package cli

import (
	"io"
	"strings"
	"testing"
)

// Whatever answers at the admin address, what is made of it is text.
func FuzzGroup(f *testing.F) {
	const events = `{"asked":"c1","now":"2026-03-01T03:12:30Z","members":[{"name":"c1","self":true,"took_ms":0.4,"clock_ahead_ms":-3,"page":{"started":"2026-03-01T00:00:00Z","events":[
		{"at":"2026-03-01T03:11:00Z","kind":"silent","member":"c2","term":7,"took_ms":300},{"at":"2026-03-01T03:11:00.1Z","kind":"elected","member":"c1","term":8,"took_ms":-1e300},
		{"at":"2026-03-01T03:11:01Z","kind":"paused","count":3,"took_ms":90},{"at":"2026-03-01T03:11:02Z","kind":"refused","count":1}]}},{"name":"c2","error":"away"}]}`
	const status = `{"asked":"c1","now":"2026-03-01T03:12:30Z","members":[{"name":"c1","self":true,"page":{"name":"c1","verdict":"degraded","ready":true,"quorum":true,"role":"leader","leader":"c1",
		"peers":[{"name":"c1","self":true,"up":true},{"name":"c2","differs":4},{"name":"c3"}],"classes":{"token":{"keys":3}},"common_settings":{"promise":"1s"},"commit":9}},
		{"name":"c2","error":"away","heard":"2026-03-01T03:12:00Z"},{"name":"","page":{"verdict":"no quorum","draining":true,"problem":"disk"}}]}`
	f.Add(status, events)
	f.Add("{}", "[]")
	f.Fuzz(func(t *testing.T, status, events string) {
		s := &screen{out: io.Discard, width: leastWidth}
		if h, err := readGroup([]byte(events), "events"); err == nil {
			h.history().write(s, h.history().failover(0))
			h.history().writeAll(s)
		}
		o, err := readGroup([]byte(status), "status")
		if err != nil || o.readReports() != nil {
			return
		}
		j, err := judge(o)
		if err != nil {
			return
		}
		o.write(s, &j)
		if err := o.writeJSON(s, &j); err != nil {
			t.Error(err)
		}
		if !strings.Contains(s.String(), "Next: ") {
			t.Error(s.String())
		}
	})
}
