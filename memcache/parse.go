package memcache

import (
	"bytes"
	"iter"
	"math"

	"holdfast/op"
)

// Limits of what is read from a client.
const (
	// maxLine is how long a line may be, but for the commands with any number of keys.
	maxLine = 2048
	// maxKeyLine is how long those may be: 4,000 keys of the greatest length. memcached has no limit for them.
	maxKeyLine = 1 << 20
	// maxKey is the length of a key.
	maxKey = 250
	// maxArgs is how many arguments of a line are looked at; no command without a list of keys has more than 6.
	maxArgs = 8
	// maxLength is the largest number that counts as a length at all.
	maxLength = math.MaxInt32 - 2
	// itemOverhead is what memcached counts for an item beside its key and value: header, cas, terminators; flags other than 0 are 4 bytes more.
	itemOverhead = 48 + 8 + 1 + 2
	// maxRelative is the longest exptime that counts from now, in seconds; what is larger is a Unix time.
	maxRelative = 60 * 60 * 24 * 30
)

// nextArg cuts the first argument off a line. It is empty when there is none.
func nextArg(line []byte) (arg, rest []byte) {
	for len(line) > 0 && line[0] == ' ' {
		line = line[1:]
	}
	if i := bytes.IndexByte(line, ' '); i >= 0 {
		return line[:i], line[i+1:]
	}
	return line, line[len(line):]
}

// argsOf are the arguments of a line.
func argsOf(line []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for arg, rest := nextArg(line); len(arg) > 0 && yield(arg); arg, rest = nextArg(rest) {
		}
	}
}

// isSpace is C's isspace: what may stand around a number.
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// number reads a number as strtoul(3) does: blanks, a sign, digits, and then nothing or a blank with anything behind it.
func number(b []byte) (abs uint64, negative, ok bool) {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		negative = b[0] == '-'
		b = b[1:]
	}
	i := 0
	for ; i < len(b) && b[i]-'0' <= 9; i++ {
		digit := uint64(b[i] - '0')
		if abs > math.MaxUint64/10 || abs*10 > math.MaxUint64-digit {
			return 0, false, false
		}
		abs = abs*10 + digit
	}
	return abs, negative, i > 0 && (i == len(b) || isSpace(b[i]))
}

// unsigned reads an unsigned 64-bit number. As in memcached, a negative one counts if it is one in 64 bits only with its sign: -2^64+1 is 1.
func unsigned(b []byte) (uint64, bool) {
	n, negative, ok := number(b)
	if negative {
		n = -n
		ok = ok && int64(n) >= 0
	}
	return n, ok
}

// signed reads a number into 32 bits, dropping higher ones, as memcached does: 4294967295 is -1.
func signed(b []byte) (int32, bool) {
	n, negative, ok := number(b)
	if negative {
		return int32(-n), ok && n <= 1<<63
	}
	return int32(n), ok && n < 1<<63
}

// life is what an exptime means.
func life(exptime int32) op.Life {
	switch {
	case exptime == 0:
		return op.Life{}
	case exptime < 0:
		return op.Life{Kind: op.In}
	case exptime <= maxRelative:
		return op.Life{Kind: op.In, Ms: int64(exptime) * 1000}
	}
	return op.Life{Kind: op.At, Ms: int64(exptime) * 1000}
}

func memcacheKey(name []byte) op.Key { return op.Key{Space: op.Memcache, Name: name} }

// header is the line in front of a data block.
type header struct {
	key    op.Key
	flags  uint32
	life   op.Life
	length int
	unique uint64
	value  []byte
}

// parse reads the arguments of a storage command: key flags exptime length, and with cas the unique number.
func (h *header) parse(a [][]byte, cas bool) bool {
	flags, ok1 := unsigned(a[1])
	exptime, ok2 := signed(a[2])
	length, ok3 := signed(a[3])
	if len(a[0]) > maxKey || !ok1 || !ok2 || !ok3 || length < 0 || length > maxLength {
		return false
	}
	h.unique = 0
	if cas {
		var ok bool
		if h.unique, ok = unsigned(a[4]); !ok {
			return false
		}
	}
	h.key, h.flags, h.life, h.length = memcacheKey(a[0]), uint32(flags), life(exptime), int(length)
	return true
}

// size is what memcached would count for the item.
func (h *header) size() int { return itemSize(len(h.key.Name), h.flags, h.length) }

func itemSize(key int, flags uint32, value int) int {
	n := itemOverhead + key + value
	if flags != 0 {
		n += 4
	}
	return n
}

// gather makes keys of the arguments at the beginning of line, cap(keys) at most, and returns how much of line that was.
// It is not ok when a key is too long.
func gather(keys []op.Key, line []byte) (_ []op.Key, used int, ok bool) {
	for rest := line; len(keys) < cap(keys); used = len(line) - len(rest) {
		var name []byte
		if name, rest = nextArg(rest); len(name) == 0 {
			return keys, len(line), true
		}
		if len(name) > maxKey {
			return keys, 0, false
		}
		keys = append(keys, memcacheKey(name))
	}
	return keys, used, true
}

// keysFit says whether no argument is too long for a key.
func keysFit(line []byte) bool {
	for name := range argsOf(line) {
		if len(name) > maxKey {
			return false
		}
	}
	return true
}
