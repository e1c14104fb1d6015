package keyspace

import (
	"math"
	"math/rand/v2"
	"testing"

	"holdfast/op"
)

// TestAddScores compares with what the processor makes of the same floats.
func TestAddScores(t *testing.T) {
	g := rand.New(rand.NewPCG(1, 2))
	special := []float64{0, 1, -1, 0.1, -0.1, math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 53, 1<<53 + 2, 0x1p-1022, 0x1p-1074, 0x1.fffffffffffffp-1023, 3e-308}
	pick := func() float64 {
		for {
			f := special[g.IntN(len(special))]
			switch g.IntN(4) {
			case 0:
				f = math.Float64frombits(g.Uint64())
			case 1:
				f = math.Ldexp(g.Float64()-0.5, g.IntN(120)-60)
			case 2:
				f = float64(g.IntN(2000)-1000) / 8
			}
			if !math.IsNaN(f) {
				return f
			}
		}
	}
	for range 200_000 {
		x, y := pick(), pick()
		checkSum(t, x, y)
		if g.IntN(3) == 0 {
			checkSum(t, x, -math.Nextafter(x, y))
		}
	}
}

func checkSum(t *testing.T, x, y float64) {
	t.Helper()
	want := x + y
	got, ok := addScores(op.ScoreOf(math.Float64bits(x)), op.ScoreOf(math.Float64bits(y)))
	if ok == math.IsNaN(want) {
		t.Fatalf("%v + %v: a number: %v", x, y, ok)
	}
	if ok && math.Float64frombits(got.Bits()) != want {
		t.Fatalf("%v + %v = %v, should be %v", x, y, math.Float64frombits(got.Bits()), want)
	}
}
