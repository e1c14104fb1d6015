package memcache

import (
	"bytes"

	"holdfast/op"
)

// maxGets is how many pipelined gets become one read.
const maxGets = 16

// getHead is how clients begin a get.
var (
	getName = []byte("get")
	getHead = []byte("get ")
)

// gets answers the gets of one key each in front of in, if there are several: pipelined, they become one read, so that they take the lock and
// the clock once and wait for memory together. It returns how long those that it answered are, 0 if it left them to step. wait says that
// the read has to wait. It is the one short cut past the table of commands; each get is answered as its row would.
func (s *Session) gets(in []byte) (used int, wait bool) {
	if !bytes.HasPrefix(in, getHead) || s.user == nil || !s.user.All() || s.swallow > 0 || s.outstanding() > 0 || s.at > 0 || s.waiting {
		return 0, false
	}
	w := s.w
	keys := w.batch(maxGets)
	var ends [maxGets]int
	for at := 0; len(keys) < maxGets; {
		key, end := plainGet(in, at)
		if end == 0 {
			break
		}
		ends[len(keys)] = end
		keys = append(keys, op.Key{Space: op.Memcache, Name: key})
		at = end
	}
	if len(keys) < 2 {
		return 0, false
	}
	w.each = true
	shown, ok := s.show(lookup(getName), keys)
	w.each = false
	if !ok {
		return 0, true // step comes back to the first of them
	}
	s.scanned = 0
	return ends[shown-1], false
}

// plainGet reads "get <key>\r\n" at in[at:] with nothing unusual about it. end is behind it, 0 if something else is there.
func plainGet(in []byte, at int) (key []byte, end int) {
	if !bytes.HasPrefix(in[at:], getHead) {
		return nil, 0
	}
	from := at + len(getHead)
	for i := from; i < len(in) && i-from <= maxKey; i++ {
		if in[i] > ' ' {
			continue
		}
		if i > from && in[i] == '\r' && i+1 < len(in) && in[i+1] == '\n' {
			return in[from:i:i], i + 2
		}
		break
	}
	return nil, 0
}
