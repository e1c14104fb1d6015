package redis

import (
	"encoding/binary"
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

const (
	maxStructInt   = 32 // bytes of an integer
	maxStructAlign = 8
)

// openStruct makes packing and unpacking of C structures known to scripts, as struct.
func (in *interp) openStruct() {
	t := in.l.NewTable()
	in.function(t, "pack", structPack)
	in.function(t, "unpack", structUnpack)
	in.function(t, "size", structSize)
	in.library("struct", t)
}

// layout reads the format of a structure, one item after the other.
type layout struct {
	l     *lua.LState
	f     string
	big   bool
	align int
}

func newLayout(l *lua.LState) *layout { return &layout{l: l, f: l.CheckString(1), align: 1} }

// number reads a number in front of the format, or gives what it is without one.
func (f *layout) number(without int) int {
	n, digits := 0, 0
	for ; digits < len(f.f) && '0' <= f.f[digits] && f.f[digits] <= '9'; digits++ {
		if n = n*10 + int(f.f[digits]-'0'); n > math.MaxInt32 {
			f.l.RaiseError("integral size overflow")
		}
	}
	if f.f = f.f[digits:]; digits == 0 {
		return without
	}
	return n
}

// next gives the next item, its size, and how many bytes stand before it if at bytes are there already. 0 is the end.
func (f *layout) next(at int) (item byte, size, gap int) {
	for len(f.f) > 0 {
		item, f.f = f.f[0], f.f[1:]
		switch item {
		case ' ':
		case '<', '>':
			f.big = item == '>'
		case '!':
			if f.align = f.number(maxStructAlign); f.align <= 0 || f.align&(f.align-1) != 0 {
				f.l.RaiseError("alignment is not a power of 2")
			}
		default:
			size = f.size(item)
			if to := min(size, f.align); item != 'c' && to > 0 && to&(to-1) == 0 {
				gap = (to - at&(to-1)) & (to - 1)
			}
			return item, size, gap
		}
	}
	return 0, 0, 0
}

func (f *layout) size(item byte) int {
	switch item {
	case 'b', 'B', 'x':
		return 1
	case 'h', 'H':
		return 2
	case 'f':
		return 4
	case 'l', 'L', 'T', 'd':
		return 8
	case 'c':
		return f.number(1)
	case 'i', 'I':
		n := f.number(4)
		if n > maxStructInt {
			f.l.RaiseError("integral size %d is larger than limit of %d", n, maxStructInt)
		}
		return n
	case 's':
		return 0
	}
	f.l.RaiseError("bad argument #1 to 'struct' (invalid format option '%c')", item)
	return 0
}

func structSize(l *lua.LState) int {
	f, n := newLayout(l), 0
	for {
		item, size, gap := f.next(n)
		switch {
		case item == 0:
			l.Push(lua.LNumber(n))
			return 1
		case item == 's', item == 'c' && size == 0:
			l.RaiseError("bad argument #1 to 'size' (option '%c' has no fixed size)", item)
		}
		n += gap + size
		checkSize(l, n)
	}
}

func structPack(l *lua.LState) int {
	f, arg := newLayout(l), 1
	var b []byte
	for {
		item, size, gap := f.next(len(b))
		checkSize(l, len(b)+size+gap)
		b = append(b, make([]byte, gap)...)
		if item != 'x' {
			arg++
		}
		switch item {
		case 0:
			l.Push(lua.LString(b))
			return 1
		case 'x':
			b = append(b, 0)
		case 'f':
			b = f.integer(b, uint64(math.Float32bits(float32(l.CheckNumber(arg)))), 4, false)
		case 'd':
			b = f.integer(b, math.Float64bits(float64(l.CheckNumber(arg))), 8, false)
		case 'c', 's':
			s := l.CheckString(arg)
			if size == 0 {
				size = len(s)
			}
			if len(s) < size {
				l.RaiseError("bad argument #%d to 'pack' (string too short)", arg+1)
			}
			checkSize(l, len(b)+size)
			if b = append(b, s[:size]...); item == 's' {
				b = append(b, 0)
			}
		default:
			n := float64(l.CheckNumber(arg))
			u := uint64(integer(n))
			if n >= 1<<63 && n < 1<<64 {
				u = uint64(n)
			}
			b = f.integer(b, u, size, n < 0)
		}
	}
}

// integer writes u in size bytes; what is beyond 8 repeats the sign.
func (f *layout) integer(b []byte, u uint64, size int, negative bool) []byte {
	at := len(b)
	for i := range size {
		c := byte(0)
		if i < 8 {
			c = byte(u >> (8 * i))
		} else if negative {
			c = 0xff
		}
		b = append(b, c)
	}
	if f.big {
		for i, j := at, len(b)-1; i < j; i, j = i+1, j-1 {
			b[i], b[j] = b[j], b[i]
		}
	}
	return b
}

func structUnpack(l *lua.LState) int {
	f, s := newLayout(l), l.CheckString(2)
	at := l.OptInt(3, 1) - 1
	if at < 0 {
		l.RaiseError("bad argument #3 to 'unpack' (offset must be 1 or greater)")
	}
	n := 0
	push := func(v lua.LValue) {
		if n++; n > maxUnpacked {
			l.RaiseError("too many results")
		}
		l.Push(v)
	}
	need := func(size int) string {
		if at > len(s) || size > len(s)-at {
			l.RaiseError("bad argument #2 to 'unpack' (data string too short)")
		}
		return s[at : at+size]
	}
	for {
		item, size, gap := f.next(at)
		at += gap
		switch item {
		case 0:
			l.Push(lua.LNumber(at + 1))
			return n + 1
		case 'x':
			need(1)
		case 'f':
			push(lua.LNumber(math.Float32frombits(uint32(f.unsigned(need(4))))))
		case 'd':
			push(lua.LNumber(math.Float64frombits(f.unsigned(need(8)))))
		case 'c':
			if size == 0 {
				last, ok := l.Get(-1).(lua.LNumber)
				if n == 0 || !ok || last < 0 || last > maxString {
					l.RaiseError("format 'c0' needs a previous size")
				}
				l.Pop(1)
				n, size = n-1, int(last)
			}
			push(lua.LString(need(size)))
		case 's':
			end := strings.IndexByte(need(0)+s[min(at, len(s)):], 0)
			if end < 0 {
				l.RaiseError("unfinished string in data")
			}
			push(lua.LString(s[at : at+end]))
			size = end + 1
		default:
			u := f.unsigned(need(size))
			if item >= 'a' && size > 0 {
				up := 64 - 8*min(size, 8)
				push(lua.LNumber(int64(u<<up) >> up))
			} else {
				push(lua.LNumber(u))
			}
		}
		at += size
	}
}

// unsigned reads the lowest 8 bytes of an integer.
func (f *layout) unsigned(s string) uint64 {
	var room [8]byte
	for i := range min(8, len(s)) {
		if room[i] = s[i]; f.big {
			room[i] = s[len(s)-1-i]
		}
	}
	return binary.LittleEndian.Uint64(room[:])
}
