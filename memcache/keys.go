package memcache

import (
	"bytes"
	"slices"
	"strconv"

	"holdfast/op"
)

// read carries out a command whose arguments are any number of keys, after an exptime if it touches them. It reads a batch of keys in one state,
// and is called again with the same line for the next batch, so that a line of short keys cannot ask for more memory than oneState and a value.
func (s *Session) read(row *command, rest []byte, end int) (n, next int, more bool) {
	if s.mustWait() {
		return 0, 0, false
	}
	w := s.w
	size := maxBatch
	if row.touches {
		var exptime []byte
		if exptime, rest = nextArg(rest); len(exptime) == 0 {
			return s.say(end, false, unknownCommand)
		}
		if !w.touchIn(exptime) {
			return s.say(end, false, badExptime)
		}
		size = maxTouch
	}
	line := rest[s.at:]
	keys, used, ok := gather(w.batch(size), line)
	if s.at == 0 {
		if !ok || used < len(line) && !keysFit(line[used:]) {
			return s.say(end, false, badFormat)
		}
		if len(keys) == 0 && !row.touches {
			return s.say(end, false, unknownCommand)
		}
	}
	if problem := s.turnedAway(); problem != "" {
		return s.say(end, false, problem)
	}
	if row.touches && len(keys) > 0 {
		s.at += used
		s.touch(row, keys)
		return 0, 0, false
	}
	shown, ok := s.show(row, keys)
	if !ok {
		return 0, 0, false
	}
	if shown < len(keys) {
		_, used, _ = gather(w.batch(shown), line)
	} else if used == len(line) {
		s.finished()
		s.out = append(s.out, endLine...)
		return end, 0, true
	}
	s.at += used
	return 0, 0, true
}

// endLine ends the values of a command.
const endLine = "END\r\n"

// batch is room for n keys.
func (w *worker) batch(n int) []op.Key {
	if w.room == nil {
		w.room = make([]op.Key, maxBatch)
	}
	return w.room[:0:n]
}

// failure says why the command cannot go on: one of its touches failed, or the read that was put off will not be carried out.
func (s *Session) failure() error {
	if s.failed == nil && s.waiting && s.news.Load() == refused {
		return *s.because.Load()
	}
	return s.failed
}

// mustWait says whether a read in front has to wait: for the answers of what came before it, or for what it was put off for.
func (s *Session) mustWait() bool { return s.outstanding() > 0 || s.waiting && s.news.Load() == 0 }

// turnedAway ends a read that cannot go on, and is its answer; empty for one that can.
func (s *Session) turnedAway() string {
	err := s.failure()
	if err == nil {
		return ""
	}
	s.finished()
	return noQuorum + err.Error()
}

func (s *Session) finished() { s.at, s.failed, s.waiting = 0, nil, false }

// touch queues an Expire for each of keys, with the life that is in w.touch. What they find is shown as row says.
func (s *Session) touch(row *command, keys []op.Key) {
	s.w.touch.Fetch = true
	for _, k := range keys {
		s.w.touch.Key = k
		s.submit(&s.w.touch, owed{value: row.value, text: bytes.Clone(k.Name)}, 0)
	}
}

// touched shows what one of them found.
func (s *Session) touched(out []byte, r *op.Result, o *owed) []byte {
	if r.Status != op.OK || o.value == nil {
		s.w.count.add(touchMisses)
		return out
	}
	s.w.count.add(touchHits)
	return o.value(out, o.text, r)
}

// show reads keys and appends the values of those that are there. It tells how many of keys are answered then, or that the read has to wait.
func (s *Session) show(row *command, keys []op.Key) (shown int, ok bool) {
	w := s.w
	w.row, w.view = row, (*Session).showLine
	return s.look(keys)
}

// look reads keys; w.view is called for each.
func (s *Session) look(keys []op.Key) (shown int, ok bool) {
	w := s.w
	if !s.user.All() {
		s.hide(keys)
	}
	w.keys, w.shown, s.waiting = keys, 0, false
	var r op.Read
	switch len(keys) {
	case 0:
		return 0, true
	case 1:
		w.get.Key = keys[0]
		r = &w.get
	default:
		w.many.Keys = keys
		r = &w.many
	}
	s.news.Store(0)
	if !w.e.Read(r, s) {
		s.waiting = true
		return 0, false
	}
	return w.shown, true
}

// Show implements engine.Reader, for the read that the worker is at.
func (s *Session) Show(res *op.Result) {
	w := s.w
	if len(w.keys) == 1 {
		w.shown = 1
		w.view(s, w.keys[0].Name, res)
		return
	}
	if w.keys == nil { // a scan brings its names
		for i := range res.List {
			w.view(s, res.List[i].Value, &res.List[i])
		}
		return
	}
	limit := len(s.out) + oneState
	for i := range res.List {
		w.shown++
		w.view(s, w.keys[i].Name, &res.List[i])
		if w.each {
			s.out = append(s.out, endLine...)
		}
		if len(s.out) > limit {
			return
		}
	}
}

// viewFunc shows what a read has found at a key.
type viewFunc func(s *Session, name []byte, res *op.Result)

// showLine is the one of get and its like.
func (s *Session) showLine(name []byte, res *op.Result) {
	w := s.w
	if res.Status != op.OK {
		w.count.add(getMisses)
		return
	}
	w.count.add(getHits)
	s.out = w.row.value(s.out, name, res)
}

// maxValueLine is more than the words and numbers around a key and a value take.
const maxValueLine = 64

// appendValue is how get shows an item.
func appendValue(out, name []byte, r *op.Result) []byte {
	out = appendHead(out, name, r)
	return appendData(out, r)
}

// appendUnique is how gets shows it.
func appendUnique(out, name []byte, r *op.Result) []byte {
	out = append(appendHead(out, name, r), ' ')
	return appendData(strconv.AppendUint(out, r.Version, 10), r)
}

func appendHead(out, name []byte, r *op.Result) []byte {
	out = slices.Grow(out, maxValueLine+len(name)+len(r.Value))
	out = append(append(out, "VALUE "...), name...)
	out = strconv.AppendUint(append(out, ' '), uint64(r.Flags), 10)
	return strconv.AppendUint(append(out, ' '), uint64(len(r.Value)), 10)
}

func appendData(out []byte, r *op.Result) []byte {
	out = append(append(out, "\r\n"...), r.Value...)
	return append(out, "\r\n"...)
}
