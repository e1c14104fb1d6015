package memcache

import (
	"bytes"
	"strconv"

	"holdfast/op"
)

// maxDump is how many items cachedump shows at most.
const maxDump = maxBatch

// cachedump lists some items, for libmemcached's memcdump: all of them are in the class 1. It is a scan and then a look at what that found.
func (s *Session) cachedump(a [][]byte, end int) (n, next int, more bool) {
	if s.mustWait() {
		return 0, 0, false
	}
	if problem := s.turnedAway(); problem != "" {
		return s.say(end, false, problem)
	}
	if len(a) < 2 {
		return s.say(end, false, badFormat)
	}
	class, ok1 := unsigned(a[0])
	limit, ok2 := unsigned(a[1])
	switch {
	case !ok1 || !ok2:
		return s.say(end, false, badFormat)
	case !s.user.All():
		return s.say(end, false, denied)
	case class != 1:
		return s.say(end, false, "END")
	case limit == 0 || limit > maxDump:
		limit = maxDump
	}
	w := s.w
	w.keys, w.found = nil, w.batch(int(limit))
	w.view = (*Session).collect
	s.waiting = !w.e.Read(&op.Scan{Space: op.Memcache, Count: int64(limit)}, s)
	if s.waiting {
		return 0, 0, false
	}
	w.view = (*Session).showDumped
	if len(w.found) > 0 {
		if _, ok := s.look(w.found); !ok {
			return 0, 0, false
		}
	}
	s.out = append(s.out, endLine...)
	return end, 0, true
}

// collect is the view of the scan.
func (s *Session) collect(name []byte, _ *op.Result) {
	if w := s.w; len(w.found) < cap(w.found) {
		w.found = append(w.found, memcacheKey(bytes.Clone(name)))
	}
}

// showDumped is the view of what it found.
func (s *Session) showDumped(name []byte, r *op.Result) {
	if r.Status != op.OK {
		return
	}
	s.out = append(append(append(s.out, "ITEM "...), name...), " ["...)
	s.out = strconv.AppendInt(s.out, int64(len(r.Value)), 10)
	s.out = strconv.AppendInt(append(s.out, " b; "...), r.Deadline/1000, 10)
	s.out = append(s.out, " s]\r\n"...)
}
