package memcache

import (
	"encoding/base64"
	"strconv"

	"holdfast/op"
)

// Limits of what stands in a line of a meta command.
const (
	maxMetaTokens = 20 // with the command, and one more that memcached counts behind the end
	maxOpaque     = 32
)

const (
	badFlags      = "CLIENT_ERROR invalid or duplicate flag"
	manyFlags     = "CLIENT_ERROR options flags too long"
	longOpaque    = "CLIENT_ERROR opaque token too long"
	badMetaNumber = "CLIENT_ERROR bad token in command line format"
	badBase64     = "CLIENT_ERROR error decoding key"
	badMetaMode   = "CLIENT_ERROR invalid mode for ms M token"
	badCountMode  = "CLIENT_ERROR invalid mode for ma M token"
)

// meta is what the flags of a meta command ask for. Each flag is a letter, some with a token behind it.
type meta struct {
	seen     [2]uint64 // the letters that were there, a bit for each
	base64   bool      // b: the key is encoded
	quiet    bool      // q: what is expected is not answered
	value    bool      // v
	still    bool      // u: not counted as an access
	outdate  bool      // I
	create   bool      // N
	opaque   bool      // O, and it is not too long
	hasCas   bool      // C
	renew    bool      // T
	watch    bool      // h or l
	life     op.Life   // T
	fresh    op.Life   // N
	soon     op.Life   // R
	flags    uint32    // F
	cas      uint64    // C
	mode     byte      // M
	initial  uint64    // J
	delta    uint64    // D, or 1
	longText bool      // O, and it is
}

// parse reads the flags in line. It returns what is wrong with them, as memcached says it.
func (m *meta) parse(line []byte) (problem string) {
	*m = meta{delta: 1}
	for flag := range argsOf(line) {
		c := flag[0]
		if c >= 127 || m.seen[c/64]&(1<<(c%64)) != 0 {
			return "CLIENT_ERROR duplicate flag"
		}
		m.seen[c/64] |= 1 << (c % 64)
		text, known := m.take(c, flag[1:])
		if !known {
			return "CLIENT_ERROR invalid flag"
		}
		if text != "" {
			problem = text
		}
	}
	return problem
}

// take reads one flag.
func (m *meta) take(c byte, token []byte) (problem string, known bool) {
	ok := true
	switch c {
	case 'b':
		m.base64 = true
	case 'q':
		m.quiet = true
	case 'v':
		m.value = true
	case 'u':
		m.still = true
	case 'I':
		m.outdate = true
	case 'h', 'l':
		m.watch = true
	case 'O':
		m.opaque, m.longText = len(token) < maxOpaque, len(token) >= maxOpaque
	case 'k', 's', 't', 'c', 'f', 'P', 'L':
	case 'N':
		m.create = true
		m.fresh, ok = exptime(token)
	case 'T':
		m.renew = true
		if m.life, ok = exptime(token); m.create {
			m.fresh = m.life // the last one counts
		}
	case 'R':
		m.soon, ok = exptime(token)
	default:
		return m.takeOfWrites(c, token)
	}
	if !ok {
		return badMetaNumber, true
	}
	return "", true
}

// takeOfWrites reads one flag that only writes have a use for.
func (m *meta) takeOfWrites(c byte, token []byte) (problem string, known bool) {
	ok := true
	switch c {
	case 'F':
		var n uint64
		n, ok = unsigned(token)
		m.flags, problem = uint32(n), badFormat
	case 'C':
		m.hasCas = true
		m.cas, ok = unsigned(token)
		problem = badMetaNumber
	case 'M':
		if ok = len(token) == 1; ok {
			m.mode = token[0]
		}
		problem = "CLIENT_ERROR incorrect length for M token"
	case 'J':
		m.initial, ok = unsigned(token)
		problem = "CLIENT_ERROR invalid numeric initial value"
	case 'D':
		m.delta, ok = unsigned(token)
		problem = "CLIENT_ERROR invalid numeric delta value"
	default:
		return "", false
	}
	if ok {
		problem = ""
	}
	return problem, true
}

func exptime(token []byte) (op.Life, bool) {
	t, ok := signed(token)
	return life(t), ok
}

// keep is the life that T asks for, or none.
func (m *meta) keep() op.Life {
	if m.renew {
		return m.life
	}
	return op.Life{Kind: op.Keep}
}

// metaLine is a meta command before its flags were read.
type metaLine struct {
	key   []byte // as the client wrote it
	flags []byte
}

// cutMeta takes a line apart; size is how many tokens may not be flags.
func cutMeta(line []byte, size int, tooMany string) (l metaLine, problem string) {
	l.key, l.flags = nextArg(line)
	if len(l.key) == 0 {
		return l, unknownCommand
	}
	if len(l.key) > maxKey {
		return l, badFormat
	}
	n := size
	for range argsOf(l.flags) {
		if n++; n > maxMetaTokens {
			return l, tooMany
		}
	}
	return l, ""
}

// named is the key, once the flags have said how it is written.
func (w *worker) named(raw []byte) (k op.Key, problem string) {
	if !w.meta.base64 {
		return memcacheKey(raw), ""
	}
	n, err := base64.StdEncoding.Decode(w.keyRoom[:], raw)
	if err != nil || n == 0 {
		return k, badBase64
	}
	return memcacheKey(w.keyRoom[:n]), ""
}

// appendFlags answers the flags that ask for something of an item. r is what was found; seen says whether and when it was found before.
func appendFlags(out []byte, l metaLine, r *op.Result, last access) []byte {
	encoded := l.asks('b')
	for flag := range argsOf(l.flags) {
		out = appendFlag(out, flag, l.key, encoded, r, last)
	}
	return out
}

func appendFlag(out, flag, key []byte, encoded bool, r *op.Result, last access) []byte {
	switch c := flag[0]; c {
	case 'O':
		return append(append(out, ' '), flag...)
	case 'k':
		out = append(append(out, " k"...), key...)
		if encoded {
			out = append(out, " b"...)
		}
	}
	if r == nil {
		return out
	}
	switch c := flag[0]; c {
	case 's':
		out = strconv.AppendInt(append(out, " s"...), int64(len(r.Value)), 10)
	case 't':
		out = strconv.AppendInt(append(out, " t"...), secondsLeft(r), 10)
	case 'c':
		out = strconv.AppendUint(append(out, " c"...), r.Version, 10)
	case 'f':
		out = strconv.AppendUint(append(out, " f"...), uint64(r.Flags), 10)
	case 'h':
		out = append(append(out, " h"...), '0'+byte(bit(last.before)))
	case 'l':
		out = strconv.AppendInt(append(out, " l"...), last.ago/1000, 10)
	}
	return out
}

// secondsLeft is what an item has to live, -1 for ever.
func secondsLeft(r *op.Result) int64 {
	if r.Deadline == 0 {
		return -1
	}
	return max(0, (r.Deadline-r.Now+500)/1000)
}
