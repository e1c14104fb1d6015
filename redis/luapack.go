package redis

import (
	"encoding/binary"
	"math"

	lua "github.com/yuin/gopher-lua"
)

// Bounds of cmsgpack, as in Redis; tables nested deeper are packed as nil.
const (
	maxPackDepth   = 16
	maxUnpackDepth = 1000
	maxUnpacked    = 8000 // values that one call may return
)

const errPackData = "Bad data format in input."

// openPack makes MessagePack known to scripts, as cmsgpack.
func (in *interp) openPack() {
	t := in.l.NewTable()
	in.function(t, "pack", func(l *lua.LState) int {
		if l.GetTop() == 0 {
			l.RaiseError("bad argument #0 to 'pack' (MessagePack pack needs input.)")
		}
		p := packer{l: l}
		for i := 1; i <= l.GetTop(); i++ {
			p.value(l.Get(i), 0)
		}
		l.Push(lua.LString(p.b))
		return 1
	})
	in.function(t, "unpack", func(l *lua.LState) int { return unpackMany(l, 0, 0, false) })
	in.function(t, "unpack_one", func(l *lua.LState) int { return unpackMany(l, 1, l.OptInt(2, 0), true) })
	in.function(t, "unpack_limit", func(l *lua.LState) int { return unpackMany(l, l.CheckInt(2), l.OptInt(3, 0), true) })
	t.RawSetString("_NAME", lua.LString("cmsgpack"))
	t.RawSetString("_VERSION", lua.LString("lua-cmsgpack 0.4.0"))
	in.library("cmsgpack", t)
}

type packer struct {
	l *lua.LState
	b []byte
}

func (p *packer) value(v lua.LValue, depth int) {
	checkSize(p.l, len(p.b))
	switch x := v.(type) {
	case lua.LString:
		p.head(len(x), 32, 0xa0, 0xd9)
		p.b = append(p.b, x...)
	case lua.LBool:
		if x {
			p.b = append(p.b, 0xc3)
		} else {
			p.b = append(p.b, 0xc2)
		}
	case lua.LNumber:
		p.number(float64(x))
	case *lua.LTable:
		if depth < maxPackDepth {
			p.table(x, depth)
			return
		}
		p.b = append(p.b, 0xc0)
	default:
		p.b = append(p.b, 0xc0)
	}
}

// head writes how long a string, array or map is: in the byte small if it is below limit, or behind the byte that stands for lengths of one byte
// (strings alone have it), or one of the next two.
func (p *packer) head(n, limit int, small, long byte) {
	switch {
	case n < limit:
		p.b = append(p.b, small|byte(n))
	case n < 1<<8 && long == 0xd9:
		p.b = append(p.b, long, byte(n))
	case n < 1<<16:
		p.b = binary.BigEndian.AppendUint16(append(p.b, long+1), uint16(n))
	default:
		p.b = binary.BigEndian.AppendUint32(append(p.b, long+2), uint32(n))
	}
}

func (p *packer) number(f float64) {
	if n := int64(f); float64(n) == f && math.Abs(f) < 1<<63 {
		p.integer(n)
	} else if g := float32(f); float64(g) == f {
		p.b = binary.BigEndian.AppendUint32(append(p.b, 0xca), math.Float32bits(g))
	} else {
		p.b = binary.BigEndian.AppendUint64(append(p.b, 0xcb), math.Float64bits(f))
	}
}

func (p *packer) integer(n int64) {
	be := binary.BigEndian
	switch {
	case n >= -32 && n < 1<<7:
		p.b = append(p.b, byte(n))
	case n >= 0 && n < 1<<8:
		p.b = append(p.b, 0xcc, byte(n))
	case n >= 0 && n < 1<<16:
		p.b = be.AppendUint16(append(p.b, 0xcd), uint16(n))
	case n >= 0 && n < 1<<32:
		p.b = be.AppendUint32(append(p.b, 0xce), uint32(n))
	case n >= 0:
		p.b = be.AppendUint64(append(p.b, 0xcf), uint64(n))
	case n >= math.MinInt8:
		p.b = append(p.b, 0xd0, byte(n))
	case n >= math.MinInt16:
		p.b = be.AppendUint16(append(p.b, 0xd1), uint16(n))
	case n >= math.MinInt32:
		p.b = be.AppendUint32(append(p.b, 0xd2), uint32(n))
	default:
		p.b = be.AppendUint64(append(p.b, 0xd3), uint64(n))
	}
}

// table writes an array if the keys are 1 to n, a map otherwise.
func (p *packer) table(t *lua.LTable, depth int) {
	count, most, array := 0, 0, true
	for k := range entries(t) {
		n, ok := k.(lua.LNumber)
		array = array && ok && n > 0 && n <= math.MaxInt32 && float64(n) == math.Trunc(float64(n))
		count++
		if array {
			most = max(most, int(n))
		}
	}
	if array && most == count {
		p.head(count, 16, 0x90, 0xdb)
		for i := 1; i <= count; i++ {
			p.value(t.RawGetInt(i), depth+1)
		}
		return
	}
	p.head(count, 16, 0x80, 0xdd)
	for k, v := range entries(t) {
		p.value(k, depth+1)
		p.value(v, depth+1)
	}
}

// unpackMany unpacks up to limit values, all if it is 0, from an offset on; where it tells the offset of what follows, -1 for nothing, that comes first.
func unpackMany(l *lua.LState, limit, offset int, tell bool) int {
	s := l.CheckString(1)
	if offset < 0 || limit < 0 {
		l.RaiseError("Invalid request to unpack with offset of %d and limit of %d.", offset, len(s))
	}
	if offset > len(s) {
		l.RaiseError("Start offset %d greater than input length %d.", offset, len(s))
	}
	if tell {
		l.Push(lua.LNil)
	}
	first := l.GetTop()
	u := unpacker{l: l, s: s[offset:]}
	n := 0
	for ; len(u.s) > 0 && (limit == 0 || n < limit); n++ {
		if n == maxUnpacked {
			l.RaiseError("too many return values at once; use unpack_one or unpack_limit instead.")
		}
		l.Push(u.value(0))
	}
	if !tell {
		return n
	}
	next := len(s) - len(u.s)
	if len(u.s) == 0 {
		next = -1
	}
	l.Replace(first, lua.LNumber(next))
	return n + 1
}

type unpacker struct {
	l *lua.LState
	s string
}

func (u *unpacker) take(n int) string {
	if n > len(u.s) || n < 0 {
		u.l.RaiseError("Missing bytes in input.")
	}
	v := u.s[:n]
	u.s = u.s[n:]
	return v
}

// uint reads an unsigned integer of n bytes.
func (u *unpacker) uint(n int) (v uint64) {
	for _, c := range []byte(u.take(n)) {
		v = v<<8 | uint64(c)
	}
	return v
}

func (u *unpacker) value(depth int) lua.LValue {
	if depth > maxUnpackDepth {
		u.l.RaiseError("Found too many nested data structures (%d)", depth)
	}
	c := u.take(1)[0]
	switch {
	case c < 0x80 || c >= 0xe0:
		return lua.LNumber(int8(c))
	case c < 0x90:
		return u.table(int(c&0xf), depth)
	case c < 0xa0:
		return u.array(int(c&0xf), depth)
	case c < 0xc0:
		return lua.LString(u.take(int(c & 0x1f)))
	}
	switch c {
	case 0xc0:
		return lua.LNil
	case 0xc2, 0xc3:
		return lua.LBool(c == 0xc3)
	case 0xca:
		return lua.LNumber(math.Float32frombits(uint32(u.uint(4))))
	case 0xcb:
		return lua.LNumber(math.Float64frombits(u.uint(8)))
	case 0xcc, 0xcd, 0xce, 0xcf:
		return lua.LNumber(u.uint(1 << (c - 0xcc)))
	case 0xd0, 0xd1, 0xd2, 0xd3:
		n := 1 << (c - 0xd0)
		return lua.LNumber(int64(u.uint(n)<<(64-8*n)) >> (64 - 8*n))
	case 0xd9, 0xda, 0xdb:
		return lua.LString(u.take(int(u.uint(1 << (c - 0xd9)))))
	case 0xdc, 0xdd:
		return u.array(int(u.uint(2<<(c-0xdc))), depth)
	case 0xde, 0xdf:
		return u.table(int(u.uint(2<<(c-0xde))), depth)
	}
	u.l.RaiseError(errPackData)
	return lua.LNil
}

func (u *unpacker) array(n, depth int) lua.LValue {
	t := u.l.NewTable()
	for i := range n {
		t.RawSetInt(i+1, u.value(depth+1))
	}
	return t
}

func (u *unpacker) table(n, depth int) lua.LValue {
	t := u.l.NewTable()
	for range n {
		k := u.value(depth + 1)
		v := u.value(depth + 1)
		if f, ok := k.(lua.LNumber); k == lua.LNil || ok && math.IsNaN(float64(f)) {
			u.l.RaiseError("table index is nil or NaN")
		}
		t.RawSet(k, v)
	}
	return t
}
