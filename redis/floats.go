package redis

import (
	"math/big"
	"strings"

	"holdfast/op"
)

// addFloat adds delta to the number in old, a missing one counting as 0; bad is the error for an old value that is no number.
// It counts with the 64 bits of mantissa that Redis's long double has, so that both give the same digits.
func addFloat(old *op.Result, delta []byte, bad error) ([]byte, error) {
	x, infX := new(big.Float), false
	if old.Status == op.OK {
		var ok bool
		if x, infX, ok = parseFloat(old.Value); !ok {
			return nil, bad
		}
	}
	y, infY, ok := parseFloat(delta)
	if !ok {
		return nil, errFloat
	}
	sum := new(big.Float).SetPrec(64).SetMode(big.ToNearestEven)
	if !infX && !infY {
		sum.Add(x.SetPrec(64), y.SetPrec(64))
	}
	if infX || infY || sum.IsInf() || sum.MantExp(nil) > maxExponent {
		return nil, failure("ERR increment would produce NaN or Infinity")
	}
	s := sum.Text('f', 17)
	s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	if s == "-0" || s == "" {
		s = "0"
	}
	return []byte(s), nil
}

// The range of a long double, and how long Redis lets a number be.
const (
	maxExponent = 16384
	minExponent = -16381
	maxFloat    = 256
)

func parseFloat(b []byte) (f *big.Float, inf, ok bool) {
	s := strings.ToLower(string(b))
	switch strings.TrimLeft(s, "+-") {
	case "inf", "infinity":
		return new(big.Float), true, len(s) <= len("-infinity")
	}
	// big.Float takes more than C's strtold: digits with "_", and the prefixes 0b and 0o. A big exponent would make it count for long.
	if len(s) == 0 || len(s) >= maxFloat || strings.ContainsAny(s, "_bo") && !strings.Contains(s, "0x") || bigExponent(s) {
		return nil, false, false
	}
	f, _, err := big.ParseFloat(s, 0, 64, big.ToNearestEven)
	if err != nil || f.MantExp(nil) > maxExponent || f.MantExp(nil) < minExponent {
		return nil, false, false
	}
	return f, false, true
}

// bigExponent says whether the exponent of s has more than four digits.
func bigExponent(s string) bool {
	marks := "e"
	if strings.Contains(s, "0x") {
		marks = "p"
	}
	i := strings.LastIndexAny(s, marks)
	return i >= 0 && len(strings.TrimLeft(s[i+1:], "+-0")) > 4
}
