package memcache

import (
	"strconv"

	"holdfast/op"
)

// metaGet carries out mg. It is a read as long as nothing is to be changed; when it finds that something is, it becomes a Claim, which looks again.
func metaGet(s *Session, line, _ []byte, end int) (n, next int, more bool) {
	if s.mustWait() {
		return 0, 0, false
	}
	if problem := s.turnedAway(); problem != "" {
		return s.say(end, false, problem)
	}
	w := s.w
	l, problem := cutMeta(line, 3, "CLIENT_ERROR options flags are too long")
	if problem == "" {
		problem = w.meta.parse(l.flags)
	}
	var key op.Key
	if problem == "" {
		key, problem = w.named(l.key)
	}
	if problem != "" {
		return s.say(end, false, problem)
	}
	w.metaLine = l
	if w.meta.watch {
		w.d.watch(w.e)
	}
	if w.meta.renew {
		s.claim(key, l)
		return end, 0, true
	}
	w.view, w.wanted = (*Session).showMeta, false
	if _, ok := s.look(append(w.batch(1), key)); !ok {
		return 0, 0, false
	}
	if w.wanted {
		s.claim(key, l)
	}
	return end, 0, true
}

// claim queues what mg becomes when it may have to change something.
func (s *Session) claim(key op.Key, l metaLine) {
	w := s.w
	m := &w.meta
	w.claim = op.Claim{Key: key, Life: m.keep(), Soon: m.soon, Create: m.create, Fresh: m.fresh}
	o := owed{reply: s.claimed, text: l.keep()}
	if !l.former() {
		s.submit(&w.claim, o, 0)
		return
	}
	w.get.Key = key
	w.tx = op.Tx{Body: w.tx.Body[:0]}
	w.tx.Add(&w.get)
	w.tx.Add(&w.claim)
	s.submit(&w.tx, o, 0)
}

// keep is the line as one text, for the answer of a write.
func (l metaLine) keep() []byte {
	return append(append(append(make([]byte, 0, len(l.key)+1+len(l.flags)), l.key...), ' '), l.flags...)
}

// kept takes such a text apart.
func kept(text []byte) (l metaLine) {
	l.key, l.flags = nextArg(text)
	return l
}

// asks says whether the line has a flag.
func (l metaLine) asks(flag byte) bool {
	for arg := range argsOf(l.flags) {
		if arg[0] == flag {
			return true
		}
	}
	return false
}

// showMeta is the view of mg.
func (s *Session) showMeta(_ []byte, r *op.Result) {
	w := s.w
	m := &w.meta
	if m.longText && (r.Status == op.OK || !m.create) {
		s.line(longOpaque)
		return
	}
	if r.Status != op.OK {
		if w.wanted = m.create; !w.wanted {
			w.count.add(getMisses)
			s.out = appendNothing(s.out, w.metaLine, m.quiet)
		}
		return
	}
	if w.wanted = r.Recache&op.Claimed == 0 && (r.Recache&op.Outdated != 0 || endsBefore(r, m.soon)); w.wanted {
		return
	}
	w.count.add(getHits)
	s.out = appendFound(s.out, w.metaLine, r, w.d.accessed(r, m.still), m.value)
}

// endsBefore says whether what was read ends before l, counted from when it was.
func endsBefore(r *op.Result, l op.Life) bool {
	at := l.Ms
	if l.Kind == op.In {
		at += r.Now
	}
	return r.Deadline != 0 && l.Kind >= op.In && r.Deadline < at
}

// claimed answers a Claim, with a Get before it if it was asked what the item had to live until then.
func (s *Session) claimed(n *counters, out []byte, r *op.Result, o *owed) []byte {
	l := kept(o.text)
	if len(r.List) == 2 {
		former := &r.List[0]
		if r = &r.List[1]; former.Status == op.OK {
			r.Deadline = former.Deadline
		}
	}
	hit, miss := getHits, getMisses
	if l.asks('T') {
		hit, miss = touchHits, touchMisses
	}
	switch r.Status {
	case op.OK:
		n.add(hit)
		return appendFound(out, l, r, s.w.d.accessed(r, l.asks('u')), l.asks('v'))
	case op.Missing:
		n.add(miss)
		return appendNothing(out, l, l.asks('q'))
	}
	return refusal(n, out, r)
}

// appendNothing answers mg where there is no item.
func appendNothing(out []byte, l metaLine, quiet bool) []byte {
	if quiet {
		return out
	}
	return append(appendFlags(append(out, "EN"...), l, nil, access{}), "\r\n"...)
}

// appendFound answers mg where there is one.
func appendFound(out []byte, l metaLine, r *op.Result, last access, value bool) []byte {
	if value {
		out = strconv.AppendInt(append(out, "VA "...), int64(len(r.Value)), 10)
	} else {
		out = append(out, "HD"...)
	}
	out = appendFlags(out, l, r, last)
	if r.Recache&op.Claimed != 0 {
		out = append(out, " Z"...)
	}
	if r.Recache&op.Outdated != 0 {
		out = append(out, " X"...)
	}
	if r.Found {
		out = append(out, " W"...)
	}
	if value {
		return appendData(out, r)
	}
	return append(out, "\r\n"...)
}

// metaDebug carries out me.
func metaDebug(s *Session, line, _ []byte, end int) (n, next int, more bool) {
	if s.mustWait() {
		return 0, 0, false
	}
	if problem := s.turnedAway(); problem != "" {
		return s.say(end, false, problem)
	}
	w := s.w
	raw, rest := nextArg(line)
	if len(raw) == 0 || len(raw) > maxKey {
		return s.say(end, false, badFormat)
	}
	flag, _ := nextArg(rest)
	w.meta = meta{base64: string(flag) == "b"}
	key, problem := w.named(raw)
	if problem != "" {
		return s.say(end, false, badFormat)
	}
	w.d.watch(w.e)
	w.view, w.metaLine = (*Session).showDebug, metaLine{key: raw}
	if _, ok := s.look(append(w.batch(1), key)); !ok {
		return 0, 0, false
	}
	w.count.add(metaCmds)
	return end, 0, true
}

// showDebug is the view of me.
func (s *Session) showDebug(name []byte, r *op.Result) {
	if r.Status != op.OK {
		s.line("EN")
		return
	}
	last := s.w.d.accessed(r, true)
	fetched := "no"
	if last.before {
		fetched = "yes"
	}
	s.out = append(append(s.out, "ME "...), s.w.metaLine.key...)
	s.out = strconv.AppendInt(append(s.out, " exp="...), min(-1, -secondsLeft(r)), 10)
	s.out = strconv.AppendInt(append(s.out, " la="...), last.ago/1000, 10)
	s.out = strconv.AppendUint(append(s.out, " cas="...), r.Version, 10)
	s.out = append(append(append(s.out, " fetch="...), fetched...), " cls=1 size="...)
	s.out = strconv.AppendInt(s.out, int64(itemSize(len(name), r.Flags, len(r.Value))), 10)
	s.out = append(s.out, "\r\n"...)
}
