package memcache

import (
	"strconv"
	"strings"

	"holdfast/op"
)

// metaSet carries out ms.
func metaSet(s *Session, line, in []byte, end int) (n, next int, more bool) {
	w := s.w
	l, problem := cutMeta(line, 3, manyFlags)
	size, flags := nextArg(l.flags)
	if problem == "" && len(size) == 0 {
		problem = badFormat
	}
	length, ok := signed(size)
	if problem == "" && (!ok || length < 0 || length > maxLength) {
		problem = badFormat
	}
	if problem != "" {
		return s.say(end, false, problem)
	}
	l.flags = flags
	h := &w.head
	problem = w.meta.parse(flags)
	if problem == "" {
		h.key, problem = w.named(l.key)
	}
	if problem == "" && !validMode(w.meta.mode) {
		problem = badMetaMode
	}
	if problem == "" && w.meta.longText {
		problem = longOpaque
	}
	if problem != "" {
		return s.drop(end, int(length), problem)
	}
	h.flags, h.length = w.meta.flags, int(length)
	if h.size() > w.d.conf.MaxItem {
		return s.metaTooLarge(end)
	}
	all := end + h.length + 2
	if len(in) < all {
		return 0, all, false
	}
	h.value = in[end : all-2 : all-2]
	if in[all-2] != '\r' || in[all-1] != '\n' {
		return s.say(all, false, badChunk)
	}
	if s.full() {
		return 0, 0, false
	}
	s.submit(w.metaStore(), owed{reply: metaStored, text: l.keep()}, h.length)
	return all, 0, true
}

// drop answers a command whose data block is not wanted.
func (s *Session) drop(end, length int, problem string) (n, next int, more bool) {
	if n, next, more = s.say(end, false, problem); more {
		s.swallow = length + 2
	}
	return n, next, more
}

// metaTooLarge refuses an item, and takes the one that was there with it.
func (s *Session) metaTooLarge(end int) (n, next int, more bool) {
	if s.outstanding() > 0 {
		return 0, 0, false
	}
	s.w.count.add(tooLarge)
	s.swallow = s.w.head.length + 2
	s.submit(s.w.remove(s.w.head.key), owed{reply: replyTooLarge}, 0)
	return end, 0, true
}

func validMode(mode byte) bool { return mode == 0 || strings.IndexByte("EAPRS", mode) >= 0 }

// metaStore is the op that ms means.
func (w *worker) metaStore() op.Write {
	m, h := &w.meta, &w.head
	h.life = m.life
	switch m.mode {
	case 'E':
		return w.setIf(op.Cond{Kind: op.IfAbsent})
	case 'A', 'P':
		w.join(m.mode == 'P')
		if m.cas != 0 {
			w.splice.Cond = op.Cond{Kind: op.IfVersion, Version: m.cas}
		}
		return &w.splice
	}
	switch {
	case m.hasCas && m.outdate && m.cas != 0:
		return w.setIf(op.Cond{Kind: op.IfNotNewer, Version: m.cas})
	case m.hasCas:
		return w.setIf(op.Cond{Kind: op.IfVersion, Version: m.cas})
	case m.mode == 'R':
		return w.setIf(op.Cond{Kind: op.IfPresent})
	}
	return w.setIf(op.Cond{})
}

func metaStored(n *counters, out []byte, r *op.Result, o *owed) []byte {
	l := kept(o.text)
	n.add(setCmds)
	code := ""
	switch r.Status {
	case op.OK:
		if l.asks('q') {
			return out
		}
		code = "HD"
	case op.Stale:
		code = "EX"
	case op.Failed, op.TooLarge:
		code = "NS"
	case op.Missing:
		code = "NF"
		if mode := l.token('M'); mode == "A" || mode == "P" {
			code = "NS"
		}
	default:
		return refusal(n, out, r)
	}
	return append(appendFlags(append(out, code...), l.only("Okcb"), r, access{}), "\r\n"...)
}

// token is what stands behind a flag.
func (l metaLine) token(flag byte) string {
	for arg := range argsOf(l.flags) {
		if arg[0] == flag {
			return string(arg[1:])
		}
	}
	return ""
}

// only leaves some flags.
func (l metaLine) only(flags string) metaLine {
	var left []byte
	for arg := range argsOf(l.flags) {
		for i := range len(flags) {
			if arg[0] == flags[i] {
				left = append(append(left, arg...), ' ')
			}
		}
	}
	return metaLine{l.key, left}
}

// metaWrite begins md and ma: what is wrong with their flags is said in one way.
func (s *Session) metaWrite(line []byte) (l metaLine, key op.Key, problem string) {
	w := s.w
	if l, problem = cutMeta(line, 3, manyFlags); problem != "" {
		return l, key, problem
	}
	if w.meta.parse(l.flags) != "" {
		return l, key, badFlags
	}
	if key, problem = w.named(l.key); problem != "" {
		return l, key, badFlags
	}
	if w.meta.longText {
		return l, key, longOpaque
	}
	return l, key, ""
}

// metaDelete carries out md.
func metaDelete(s *Session, line, _ []byte, end int) (n, next int, more bool) {
	l, key, problem := s.metaWrite(line)
	if problem != "" {
		return s.say(end, false, problem)
	}
	if s.full() {
		return 0, 0, false
	}
	w := s.w
	m := &w.meta
	var cond op.Cond
	if m.hasCas {
		cond = op.Cond{Kind: op.IfVersion, Version: m.cas}
	}
	if m.outdate {
		w.outdate = op.Outdate{Key: key, Life: m.keep(), Cond: cond}
		s.submit(&w.outdate, owed{reply: metaOutdated, text: l.keep()}, 0)
		return end, 0, true
	}
	w.remove(key)
	w.del.Cond = cond
	s.submit(&w.del, owed{reply: metaDeleted, text: l.keep()}, 0)
	return end, 0, true
}

func metaDeleted(n *counters, out []byte, r *op.Result, o *owed) []byte {
	found := *r
	if r.Status == op.OK && r.Int == 0 {
		found.Status = op.Missing
	}
	if found.Status == op.OK {
		n.add(deleteHits)
	} else {
		n.add(deleteMisses)
	}
	return metaOutdated(n, out, &found, o)
}

func metaOutdated(n *counters, out []byte, r *op.Result, o *owed) []byte {
	l := kept(o.text)
	switch r.Status {
	case op.OK:
		if l.asks('q') {
			return out
		}
		out = append(out, "HD"...)
	case op.Missing:
		out = append(out, "NF"...)
	case op.Stale:
		out = append(out, "EX"...)
	default:
		return refusal(n, out, r)
	}
	return append(appendFlags(out, l, nil, access{}), "\r\n"...)
}

// metaCount carries out ma. Asked what the item has to live, it is a transaction that looks before and behind.
func metaCount(s *Session, line, _ []byte, end int) (n, next int, more bool) {
	l, key, problem := s.metaWrite(line)
	w := s.w
	m := &w.meta
	down := m.mode == 'D' || m.mode == '-'
	if problem == "" && m.mode != 0 && m.mode != 'I' && m.mode != '+' && !down {
		problem = badCountMode
	}
	if problem != "" {
		return s.say(end, false, problem)
	}
	if s.full() {
		return 0, 0, false
	}
	w.incr = op.Count{Key: key, Delta: m.delta, Down: down, Create: m.create, Initial: m.initial, Life: m.fresh, Renew: m.renew}
	if m.renew {
		w.incr.Life = m.life
	}
	if m.cas != 0 {
		w.incr.Cond = op.Cond{Kind: op.IfVersion, Version: m.cas}
	}
	o := owed{reply: metaCounted, text: l.keep()}
	if !l.asks('t') {
		s.submit(&w.incr, o, 0)
		return end, 0, true
	}
	w.get.Key = key
	w.tx = op.Tx{Body: w.tx.Body[:0]}
	w.tx.Add(&w.get)
	w.tx.Add(&w.incr)
	w.tx.Add(&w.get)
	s.submit(&w.tx, o, 0)
	return end, 0, true
}

func metaCounted(n *counters, out []byte, r *op.Result, o *owed) []byte {
	l := kept(o.text)
	life := r
	if len(r.List) == 3 {
		before, after := &r.List[0], &r.List[2]
		r, life = &r.List[1], after
		if l.former() && before.Status == op.OK {
			life = before
		}
	}
	hit, miss := incrHits, incrMisses
	if mode := l.token('M'); mode == "D" || mode == "-" {
		hit, miss = decrHits, decrMisses
	}
	switch r.Status {
	case op.OK:
		n.add(hit)
		if l.asks('q') {
			return out
		}
		return appendCounted(out, l, r, life)
	case op.Missing:
		n.add(miss)
		out = append(out, "NF"...)
	case op.Stale:
		out = append(out, "EX"...)
	case op.NotInteger:
		return append(out, notNumeric+"\r\n"...)
	default:
		return refusal(n, out, r)
	}
	return append(appendFlags(out, l, nil, access{}), "\r\n"...)
}

// former says whether the line has a t before a T.
func (l metaLine) former() bool {
	t := false
	for arg := range argsOf(l.flags) {
		if arg[0] == 'T' {
			return t
		}
		t = t || arg[0] == 't'
	}
	return false
}

// appendCounted answers ma; life is what is shown for t.
func appendCounted(out []byte, l metaLine, r, life *op.Result) []byte {
	var digits [20]byte
	text := strconv.AppendUint(digits[:0], r.Uint, 10)
	if l.asks('v') {
		out = strconv.AppendInt(append(out, "VA "...), int64(len(text)), 10)
	} else {
		out = append(out, "HD"...)
	}
	shown := *life
	shown.Version = r.Version
	out = append(appendFlags(out, l.only("tckOb"), &shown, access{}), "\r\n"...)
	if l.asks('v') {
		out = append(append(out, text...), "\r\n"...)
	}
	return out
}
