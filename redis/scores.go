package redis

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"holdfast/op"
)

// Scores of sorted sets are floats here, and integers of the same order in an op.

func toScore(f float64) op.Score   { return op.ScoreOf(math.Float64bits(f)) }
func fromScore(s op.Score) float64 { return math.Float64frombits(s.Bits()) }

// parseDouble reads a float as C's strtod does. over says that it is beyond what a float holds, or too near to 0; f is the nearest one then.
func parseDouble(b []byte) (f float64, over, ok bool) {
	s := strings.ToLower(string(b))
	digits := strings.TrimLeft(s, "+-")
	if len(s)-len(digits) > 1 || strings.ContainsRune(s, '_') {
		return 0, false, false
	}
	hex := strings.HasPrefix(digits, "0x")
	if hex && !strings.ContainsRune(s, 'p') {
		s += "p0"
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || math.IsNaN(f) {
		return 0, false, false
	}
	mantissa, _, _ := strings.Cut(digits, "e")
	if hex {
		mantissa, _, _ = strings.Cut(digits[2:], "p")
	}
	return f, err != nil || f == 0 && strings.ContainsAny(mantissa, "123456789abcdef"), true
}

// parseScore reads a score, or the float of another option.
func parseScore(b []byte) (float64, bool) {
	f, over, ok := parseDouble(b)
	return f, ok && !over
}

// parseScoreBound reads an end of a range of scores. An open one is the score next to it.
func parseScoreBound(b []byte, low bool) (op.Score, bool) {
	open := len(b) > 0 && b[0] == '('
	if open {
		b = b[1:]
	}
	text := strings.TrimLeft(string(b), " \t\n\v\f\r")
	if text == "" {
		text = "0"
		if len(b) > 0 {
			return 0, false
		}
	}
	f, _, ok := parseDouble([]byte(text))
	s := toScore(f)
	switch {
	case open && low:
		s++
	case open:
		s--
	}
	return s, ok
}
