package resp

import (
	"math"
	"math/big"
	"strconv"
)

// Version is which of the two wire formats a connection speaks. Their difference is in the replies only.
type Version uint8

const (
	V2 Version = 2
	V3 Version = 3
)

// Simple appends "+s"; s has no line break.
func Simple(b []byte, s string) []byte { return line(append(append(b, '+'), s...)) }

// Err appends "-s"; line breaks in s become blanks, as Redis does.
func Err(b []byte, s string) []byte {
	b = append(b, '-')
	for i := range len(s) {
		c := s[i]
		if c == '\r' || c == '\n' {
			c = ' '
		}
		b = append(b, c)
	}
	return line(b)
}

// Integer appends ":n".
func Integer(b []byte, n int64) []byte {
	return line(strconv.AppendInt(append(b, ':'), n, 10))
}

// Bulk appends "$" with length and bytes.
func Bulk[T []byte | string](b []byte, s T) []byte {
	return line(append(length(b, '$', len(s)), s...))
}

// Array appends the head of an array of n elements.
func Array(b []byte, n int) []byte { return length(b, '*', n) }

// Null appends what stands for nothing in place of a string.
func (v Version) Null(b []byte) []byte {
	if v == V3 {
		return append(b, "_\r\n"...)
	}
	return append(b, "$-1\r\n"...)
}

// NullArray appends what stands for nothing in place of an array.
func (v Version) NullArray(b []byte) []byte {
	if v == V3 {
		return append(b, "_\r\n"...)
	}
	return append(b, "*-1\r\n"...)
}

// Map appends the head of a map of n pairs.
func (v Version) Map(b []byte, n int) []byte {
	if v == V3 {
		return length(b, '%', n)
	}
	return length(b, '*', 2*n)
}

// Set appends the head of a set of n elements.
func (v Version) Set(b []byte, n int) []byte {
	if v == V3 {
		return length(b, '~', n)
	}
	return length(b, '*', n)
}

// Push appends the head of a message of n elements that answers no request. Only V3 has it; a V2 client sees an array.
func (v Version) Push(b []byte, n int) []byte {
	if v == V3 {
		return length(b, '>', n)
	}
	return length(b, '*', n)
}

// Double appends a floating-point number, as a string in V2.
func (v Version) Double(b []byte, f float64) []byte {
	var room [32]byte
	s := strconv.AppendFloat(room[:0], f, 'g', 17, 64)
	switch {
	case math.IsInf(f, 1):
		s = append(s[:0], "inf"...)
	case math.IsInf(f, -1):
		s = append(s[:0], "-inf"...)
	case math.IsNaN(f):
		s = append(s[:0], "nan"...)
	}
	if v == V3 {
		return line(append(append(b, ','), s...))
	}
	return Bulk(b, s)
}

// Bool appends a truth value, as 1 or 0 in V2.
func (v Version) Bool(b []byte, t bool) []byte {
	switch {
	case v == V3 && t:
		return append(b, "#t\r\n"...)
	case v == V3:
		return append(b, "#f\r\n"...)
	case t:
		return Integer(b, 1)
	}
	return Integer(b, 0)
}

// Verbatim appends a text whose kind is named by three letters such as "txt"; V2 sees a plain string.
func (v Version) Verbatim(b []byte, kind, s string) []byte {
	if v == V3 {
		b = length(b, '=', len(s)+4)
		return line(append(append(append(b, kind...), ':'), s...))
	}
	return Bulk(b, s)
}

// BigNumber appends an integer of any size, as a string in V2.
func (v Version) BigNumber(b []byte, n *big.Int) []byte {
	if v == V3 {
		return line(n.Append(append(b, '('), 10))
	}
	return Bulk(b, n.String())
}

func line(b []byte) []byte { return append(b, '\r', '\n') }

func length(b []byte, kind byte, n int) []byte {
	b = append(b, kind)
	if 0 <= n && n < 10 {
		return append(b, '0'+byte(n), '\r', '\n')
	}
	return line(strconv.AppendInt(b, int64(n), 10))
}
