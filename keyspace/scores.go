package keyspace

import (
	"math/bits"

	"holdfast/op"
)

const (
	fractionBits = 52
	hidden       = 1 << fractionBits // the bit before the point, which the bits of a float leave out
	exponents    = 1<<11 - 1         // the highest exponent: infinity
	guard        = 9                 // bits that an addend is moved up by, so that nothing is lost of the sum but what the last of them keeps in mind
)

// addScores adds as IEEE 754 says, rounding to the nearest, ties to even, in integers: so no processor or compiler has a say in what the state
// becomes. ok is false where the sum is no number: infinities of both signs.
func addScores(x, y op.Score) (sum op.Score, ok bool) {
	a, b := x.Bits(), y.Bits()
	if a&^(1<<63) < b&^(1<<63) {
		a, b = b, a // a is the larger one, whatever the signs
	}
	negative, differ := a>>63, a>>63 != b>>63
	ea, ma := unpack(a)
	eb, mb := unpack(b)
	if ea == exponents {
		return op.ScoreOf(a), eb != exponents || !differ
	}
	ma, mb = ma<<guard, mb<<guard
	if d := ea - eb; d > 63 {
		mb = min(mb, 1)
	} else if lost := mb & (1<<d - 1); lost != 0 {
		mb = mb>>d | 1
	} else {
		mb >>= d
	}
	if differ {
		ma -= mb
	} else {
		ma += mb
	}
	return op.ScoreOf(negative<<63 | pack(ea, ma)), true
}

// unpack gives the exponent and the mantissa, with its hidden bit.
func unpack(f uint64) (exponent uint, mantissa uint64) {
	exponent, mantissa = uint(f>>fractionBits)&exponents, f&(hidden-1)
	if exponent == 0 {
		return 1, mantissa
	}
	return exponent, mantissa | hidden
}

// pack makes the bits of a float without a sign of a mantissa that is moved up by guard.
func pack(exponent uint, m uint64) uint64 {
	if m == 0 {
		return 0
	}
	const top = fractionBits + guard + 1 // bits of a mantissa with its hidden bit
	if n := bits.Len64(m); n > top {
		m = m>>1 | m&1
		exponent++
	} else if up := min(uint(top-n), exponent-1); up > 0 {
		m <<= up
		exponent -= up
	}
	rest, half := m&(1<<guard-1), uint64(1)<<(guard-1)
	m >>= guard
	if rest > half || rest == half && m&1 == 1 {
		m++ // a carry into the exponent is right as it is
	}
	if m < hidden {
		exponent = 0
	} else {
		m -= hidden
	}
	if f := uint64(exponent)<<fractionBits + m; f < exponents<<fractionBits {
		return f
	}
	return exponents << fractionBits
}
