package sim

import (
	"fmt"
	"strings"
)

// traced is how many events the trace keeps, unless Config.Lines says so.
const traced = 400

// trace is what happened: a hash of all of it, and the end of it in words.
type trace struct {
	hash    uint64
	verbose bool
	last    []line
	n       int
}

// line is one event; its words are made when somebody wants to read them.
type line struct {
	at     int64
	who    string
	format string
	args   [4]uint64
	words  string
}

// say notes an event: format has verbs for the first of args, of which there are at most four; the others count for the hash. m is nil for the world's own.
func (w *World) say(m *machine, format string, args ...uint64) { w.tell(m, "", format, args...) }

// tell is say with words that only the verbose trace has.
func (w *World) tell(m *machine, words, format string, args ...uint64) {
	t := &w.trace
	l := &t.last[t.n%len(t.last)]
	t.n++
	*l = line{at: w.now, format: format, words: words}
	if m != nil {
		l.who = m.name
	}
	copy(l.args[:], args)
	t.mix(uint64(w.now))
	for _, c := range []byte(l.who) {
		t.mix(uint64(c))
	}
	t.mix(uint64(len(format)))
	for _, a := range args {
		t.mix(a)
	}
}

func (t *trace) mix(v uint64) {
	t.hash ^= v
	t.hash *= 0x9e3779b97f4a7c15
	t.hash ^= t.hash >> 29
}

// String gives the newest events in words.
func (t *trace) String() string {
	var b strings.Builder
	for i := max(0, t.n-len(t.last)); i < t.n; i++ {
		l := &t.last[i%len(t.last)]
		fmt.Fprintf(&b, "%11.4f ms %-3s ", float64(l.at)/1e6, l.who)
		args := make([]any, strings.Count(l.format, "%"))
		for j := range args {
			args[j] = l.args[j]
		}
		fmt.Fprintf(&b, l.format, args...)
		if l.words != "" {
			b.WriteString(": " + l.words)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
