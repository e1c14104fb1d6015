package redis

import (
	"bytes"

	"holdfast/op"
	"holdfast/resp"
)

// maxGets is how many pipelined GETs become one read.
const maxGets = 16

// getHead is how clients begin a GET.
var getHead = []byte("*2\r\n$3\r\nGET\r\n$")

// gets is a run of GETs in front of the input: their keys, and where each request ends.
type gets struct {
	read op.GetMany
	ends [maxGets]int
}

// gets answers the GETs in front of in, if there are several: pipelined, they become one read, so that they take the lock and the
// clock once and wait for memory together. It returns how long those that it answered are, 0 if it left them to next. wait says
// that the read has to wait.
//
// This is the one short cut past the table of commands; each GET is answered as its row would.
func (s *Session) gets(in []byte) (used int, wait bool) {
	if !bytes.HasPrefix(in, getHead) || s.user == nil || !s.user.All() || s.multi != nil || s.silence != speak || s.turnedAway != nil || s.track != nil ||
		!s.pending.empty() || s.parser.Begun() || s.paused || s.d.alert.some.Load() {
		return 0, false
	}
	g := &s.desk.gets
	g.read.Keys = g.read.Keys[:0]
	for at := 0; len(g.read.Keys) < maxGets && bytes.HasPrefix(in[at:], getHead); {
		key, end := resp.BulkAt(in, at+len(getHead))
		if end == 0 {
			break
		}
		g.ends[len(g.read.Keys)] = end
		g.read.Keys = append(g.read.Keys, op.Key{Space: s.space, Name: key})
		at = end
	}
	if len(g.read.Keys) < 2 {
		return 0, false
	}
	s.shown = showing{row: rowGet, each: true}
	if !s.e.Read(&g.read, s) {
		s.waits(moment{at: s.held})
		s.waiting = true
		return 0, true
	}
	s.commands += uint64(s.shown.count)
	s.desk.tallies[rowGet.number].calls.Add(uint64(s.shown.count))
	s.held = 0
	return g.ends[s.shown.count-1], false
}

// showEach answers one GET after the other, until the replies have to be written out.
func (s *Session) showEach(list []op.Result) {
	w := &s.shown
	for i := range list {
		if w.count > 0 && len(s.out) >= highWater {
			return
		}
		s.count(w.row, &list[i])
		s.out = w.row.appendReply(s.out, answer{s.v, 0, s.d}, &list[i])
		w.count++
	}
}
