package redis

import (
	"fmt"
	"math"
	"math/bits"

	lua "github.com/yuin/gopher-lua"
)

// openBit makes the operations on the bits of 32-bit integers known to scripts, as bit.
func (in *interp) openBit() {
	t := in.l.NewTable()
	one := func(name string, f func(uint32) uint32) {
		in.function(t, name, func(l *lua.LState) int { return pushBits(l, f(bitsOf(l, 1))) })
	}
	many := func(name string, f func(x, y uint32) uint32) {
		in.function(t, name, func(l *lua.LState) int {
			x := bitsOf(l, 1)
			for i := 2; i <= l.GetTop(); i++ {
				x = f(x, bitsOf(l, i))
			}
			return pushBits(l, x)
		})
	}
	shift := func(name string, f func(x uint32, n int) uint32) {
		in.function(t, name, func(l *lua.LState) int { return pushBits(l, f(bitsOf(l, 1), int(bitsOf(l, 2)&31))) })
	}
	one("tobit", func(x uint32) uint32 { return x })
	one("bnot", func(x uint32) uint32 { return ^x })
	one("bswap", bits.ReverseBytes32)
	many("band", func(x, y uint32) uint32 { return x & y })
	many("bor", func(x, y uint32) uint32 { return x | y })
	many("bxor", func(x, y uint32) uint32 { return x ^ y })
	shift("lshift", func(x uint32, n int) uint32 { return x << n })
	shift("rshift", func(x uint32, n int) uint32 { return x >> n })
	shift("arshift", func(x uint32, n int) uint32 { return uint32(int32(x) >> n) })
	shift("rol", bits.RotateLeft32)
	shift("ror", func(x uint32, n int) uint32 { return bits.RotateLeft32(x, -n) })
	in.function(t, "tohex", func(l *lua.LState) int {
		x, n := bitsOf(l, 1), 8
		if l.GetTop() > 1 {
			n = int(int32(bitsOf(l, 2)))
		}
		format := "%08x"
		if n < 0 {
			format, n = "%08X", -max(n, -8)
		}
		s := fmt.Sprintf(format, x)
		l.Push(lua.LString(s[8-min(n, 8):]))
		return 1
	})
	in.library("bit", t)
}

// bitsOf is argument i as 32 bits: the nearest integer, without what does not fit.
func bitsOf(l *lua.LState, i int) uint32 {
	f := math.RoundToEven(float64(l.CheckNumber(i)))
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	f = math.Mod(f, 1<<32)
	return uint32(int64(f))
}

func pushBits(l *lua.LState, x uint32) int {
	l.Push(lua.LNumber(int32(x)))
	return 1
}
