package redis

import (
	"bytes"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// How long commands take: counts for INFO and LATENCY, and the slow log. A command takes from where it is looked at until its reply is
// written for the client, what it waits for the group included.
//
// Reading a clock costs as much as a look-up of a key. So what takes constant time and does not wait is timed once in sampled times; all that can
// be slow is timed each time: what waits, what writes, what takes longer the more there is.

// Clock tells the time. Any goroutine calls it.
type Clock interface {
	Now() int64    // ns since some instant
	Second() int64 // Unix seconds, cheaper, about
}

// noClock is the clock of a dialect that has none.
type noClock struct{}

func (noClock) Now() int64    { return 0 }
func (noClock) Second() int64 { return 0 }

// sampled is of how many fast commands one is timed.
const sampled = 64

// buckets of latencies: bucket i has those of less than 2^i µs, the last one all others.
const buckets = 26

// tally is what a worker knows of one command. The worker adds; anybody reads.
type tally struct {
	calls, ns, rejected, failed atomic.Uint64
	latency                     [buckets]atomic.Uint64
}

func (t *tally) add(calls, ns uint64) {
	t.ns.Add(calls * ns)
	t.latency[min(bits.Len64(ns/1000), buckets-1)].Add(calls)
}

func (t *tally) reset() {
	for _, n := range []*atomic.Uint64{&t.calls, &t.ns, &t.rejected, &t.failed} {
		n.Store(0)
	}
	for i := range t.latency {
		t.latency[i].Store(0)
	}
}

// sum is a tally of all workers.
type sum struct {
	calls, ns, rejected, failed uint64
	latency                     [buckets]uint64
}

func (s *sum) add(t *tally) {
	s.calls += t.calls.Load()
	s.ns += t.ns.Load()
	s.rejected += t.rejected.Load()
	s.failed += t.failed.Load()
	for i := range s.latency {
		s.latency[i] += t.latency[i].Load()
	}
}

// percentile is about the µs within which that share of the calls ended: the end of the bucket that it falls into.
func (s *sum) percentile(share float64) uint64 {
	timed := s.timedCalls()
	below := uint64(0)
	for i, n := range s.latency {
		if below += n; below > 0 && float64(below) >= share*float64(timed) {
			return 1 << i
		}
	}
	return 0
}

// shares are what INFO says of latencies: within which time that many of a hundred calls ended.
type shares struct {
	hidden  atomic.Bool // nothing is said
	percent atomic.Pointer[[]float64]
}

// maxShares bounds them.
const maxShares = 32

// list is the percentages; those of Redis until others are set.
func (h *shares) list() []float64 {
	if p := h.percent.Load(); p != nil {
		return *p
	}
	return []float64{50, 99, 99.9}
}

func (h *shares) String() string {
	var words []string
	for _, p := range h.list() {
		words = append(words, percent(p))
	}
	return strings.Join(words, " ")
}

func (h *shares) parse(text string) error {
	words := strings.Fields(text)
	if len(words) > maxShares {
		return failf("there may be %d percentiles", maxShares)
	}
	list := []float64{}
	for _, w := range words {
		p, err := strconv.ParseFloat(w, 64)
		switch {
		case err != nil, math.IsNaN(p):
			return failure("Invalid latency-tracking-info-percentiles parameters")
		case p < 0 || p > 100:
			return failure("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]")
		}
		list = append(list, p)
	}
	h.percent.Store(&list)
	return nil
}

// percent writes a percentage as Redis does.
func percent(p float64) string { return strconv.FormatFloat(p, 'g', 6, 64) }

// moment is when a command began, and for how many its time counts. The zero one is of a command that is not timed.
type moment struct {
	at     int64
	weight uint64
}

// passTime is when the session's Process began to look at writes: a clock for all those that came together.
func (s *Session) passTime() int64 {
	if s.passed == 0 {
		s.passed = s.d.clock.Now()
	}
	return s.passed
}

// began takes note that a command is looked at.
func (s *Session) began(row *Command) moment {
	s.desk.turn++
	if s.last.Load() != row {
		s.last.Store(row)
	}
	switch {
	case s.held != 0:
		return moment{s.held, 1}
	case row.write != nil:
		return moment{s.passTime(), 1}
	case row.Flags&Fast == 0,
		s.d.slow.slower.Load() == 0,               // every command is slow then
		s.desk.tallies[row.number].ns.Load() == 0: // the first one, so that something is known of what comes seldom
		return moment{s.d.clock.Now(), 1}
	case s.desk.turn%sampled == 0:
		return moment{s.d.clock.Now(), sampled}
	}
	return moment{}
}

// waits takes note that the command that began at m is left in the input, to be looked at again.
func (s *Session) waits(m moment) {
	if s.held = m.at; s.held == 0 {
		s.held = s.d.clock.Now()
	}
}

// answered takes note that a command is answered, with an error if failed. args are those of the request, as far as they are known still.
func (s *Session) answered(row *Command, m moment, args [][]byte, failed bool) {
	s.held = 0
	t := &s.desk.tallies[row.number]
	t.calls.Add(1)
	if failed {
		t.failed.Add(1)
	}
	if m.weight > 0 {
		s.spent(row, t, m, s.d.clock.Now()-m.at, args)
	}
}

// written is answered for a write, whose arguments are gone. What is done between two calls of Process is done at one time.
func (s *Session) written(row *Command, at int64, failed bool) {
	k := s.desk
	if k.doneIn != k.pass {
		k.doneIn, k.doneAt = k.pass, s.d.clock.Now()
	}
	t := &k.tallies[row.number]
	t.calls.Add(1)
	if failed {
		t.failed.Add(1)
	}
	s.spent(row, t, moment{at, 1}, k.doneAt-at, nil)
}

// spent adds the time of a command.
func (s *Session) spent(row *Command, t *tally, m moment, ns int64, args [][]byte) {
	t.add(m.weight, uint64(max(ns, 0)))
	s.d.slow.notice(s, row, ns, args)
	s.d.events.notice(s, row, ns)
}

// Bounds of what the slow log keeps of a command, as in Redis.
const (
	slowArgs     = 32
	slowArgBytes = 128
)

// slowLog has the newest commands that took long, oldest first. Any worker adds to it.
type slowLog struct {
	slower atomic.Int64 // µs from which on a command is slow; negative: none is
	most   atomic.Int64 // entries

	mu   sync.Mutex
	next int64
	list []slowEntry
}

type slowEntry struct {
	id, at, us   int64 // at in Unix seconds
	args         []string
	client, name string
}

func (l *slowLog) notice(s *Session, row *Command, ns int64, args [][]byte) {
	if slower := l.slower.Load(); slower < 0 || ns < slower*1000 {
		return
	}
	e := slowEntry{at: s.d.clock.Second(), us: ns / 1000, args: slowWords(row, args), client: s.conn.RemoteAddr(), name: s.name}
	l.mu.Lock()
	defer l.mu.Unlock()
	e.id = l.next
	l.next++
	l.list = append(l.list, e)
	l.trim()
}

func (l *slowLog) trim() {
	if most := int(l.most.Load()); len(l.list) > most {
		l.list = append(l.list[:0], l.list[len(l.list)-most:]...)
	}
}

// slowWords shortens the words of a request. Of writes that waited for the group only the command is known still; of what has a password in it
// no more is told.
func slowWords(row *Command, args [][]byte) []string {
	if len(args) == 0 || row.Flags&NoAuth != 0 {
		return []string{row.Name, "(arguments not kept)"}
	}
	var words []string
	for i, a := range args {
		if i == slowArgs-1 && len(args) > slowArgs {
			return append(words, "... ("+strconv.Itoa(len(args)-i)+" more arguments)")
		}
		if len(a) > slowArgBytes {
			words = append(words, string(a[:slowArgBytes])+"... ("+strconv.Itoa(len(a)-slowArgBytes)+" more bytes)")
			continue
		}
		words = append(words, string(a))
	}
	return words
}

// cut drops what is too much after a change of most.
func (l *slowLog) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trim()
}

// newest returns up to n entries, the newest first; all if n is negative.
func (l *slowLog) newest(n int) []slowEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n < 0 {
		n = len(l.list)
	}
	var list []slowEntry
	for i := len(l.list) - 1; i >= 0 && len(list) < n; i-- {
		list = append(list, l.list[i])
	}
	return list
}

func (l *slowLog) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.list)
}

func (l *slowLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = nil
}

// maxSpikes is how many entries LATENCY HISTORY keeps, as Redis.
const maxSpikes = 160

// latencyEvents are the seconds in which a command took longer than a threshold, by event. Any worker adds.
type latencyEvents struct {
	threshold atomic.Int64 // ms; 0: none are kept

	mu   sync.Mutex
	list map[string]*spikes
}

// spikes are those of one event, oldest first.
type spikes struct {
	list []spike
	most int64 // ms, since the last reset
}

type spike struct{ at, ms int64 } // at in Unix seconds

func (v *latencyEvents) notice(s *Session, row *Command, ns int64) {
	t := v.threshold.Load()
	if t <= 0 || ns < t*1e6 {
		return
	}
	name := "command"
	if row.Flags&Fast != 0 {
		name = "fast-command"
	}
	at, ms := s.d.clock.Second(), ns/1e6
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.list == nil {
		v.list = map[string]*spikes{}
	}
	e := v.list[name]
	if e == nil {
		e = &spikes{}
		v.list[name] = e
	}
	e.most = max(e.most, ms)
	if n := len(e.list); n > 0 && e.list[n-1].at == at {
		e.list[n-1].ms = max(e.list[n-1].ms, ms)
		return
	}
	e.list = append(e.list, spike{at, ms})
	if len(e.list) > maxSpikes {
		e.list = append(e.list[:0], e.list[1:]...)
	}
}

// sums adds up what the workers counted of each command, by number.
func (d *Dialect) sums() []sum {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]sum, table.numbers)
	for _, dk := range d.desks {
		for i := range all {
			all[i].add(&dk.tallies[i])
		}
	}
	return all
}

// maxFaults bounds how many codes of errors are told apart; scripts can make any.
const maxFaults = 128

// faults counts error replies by their code, the first word.
type faults struct {
	mu     sync.Mutex
	byCode map[string]uint64
}

func (f *faults) add(text []byte) {
	code := text
	if i := bytes.IndexAny(text, " \r\n"); i >= 0 {
		code = text[:i]
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.byCode == nil {
		f.byCode = map[string]uint64{}
	}
	if _, ok := f.byCode[string(code)]; !ok && (len(f.byCode) >= maxFaults || len(code) > slowArgBytes) {
		code = []byte("ERR")
	}
	f.byCode[string(code)]++
}

func (f *faults) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byCode = nil
}

// faults adds up the error replies of all workers.
func (d *Dialect) faults() (byCode map[string]uint64, total uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	byCode = map[string]uint64{}
	for _, dk := range d.desks {
		dk.faults.mu.Lock()
		for code, n := range dk.faults.byCode {
			byCode[code] += n
			total += n
		}
		dk.faults.mu.Unlock()
	}
	return byCode, total
}

// rate counts commands over time, for INFO: since the last time that it was asked a second ago or more.
type rate struct {
	mu        sync.Mutex
	at        int64 // ns
	commands  uint64
	perSecond uint64
}

func (r *rate) of(commands uint64, now int64) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if past := now - r.at; past >= 1e9 {
		r.perSecond = uint64(float64(commands-min(r.commands, commands)) * 1e9 / float64(past))
		r.at, r.commands = now, commands
	}
	return r.perSecond
}
