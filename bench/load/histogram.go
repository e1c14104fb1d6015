//go:build linux

package load

import "math/bits"

// subBits sets the resolution: values below 1<<subBits are exact, above that a bucket is at most 1/128 of its value wide.
const subBits = 7

// Histogram counts values (nanoseconds) in logarithmic buckets. The zero value is empty and ready.
type Histogram struct {
	counts [(64 - subBits + 1) << subBits]uint64
	n, max uint64
}

func bucket(v uint64) int {
	if v < 1<<subBits {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - subBits
	return (shift+1)<<subBits + int(v>>shift) - 1<<subBits
}

// middle is the value that stands for a bucket.
func middle(b int) float64 {
	if b < 1<<subBits {
		return float64(b)
	}
	shift := b>>subBits - 1
	return (float64(1<<subBits+b&(1<<subBits-1)) + 0.5) * float64(uint64(1)<<shift)
}

// Record counts one value.
func (h *Histogram) Record(v uint64) {
	h.counts[bucket(v)]++
	h.n++
	h.max = max(h.max, v)
}

// Add counts everything that o has.
func (h *Histogram) Add(o *Histogram) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// Max is the greatest value, exactly; 0 when empty.
func (h *Histogram) Max() uint64 { return h.max }

// Count is how many values were recorded.
func (h *Histogram) Count() uint64 { return h.n }

// Quantile returns the value that a share q (0 to 1) of all values does not exceed, to 1/128; 0 when empty.
func (h *Histogram) Quantile(q float64) float64 {
	if h.n == 0 {
		return 0
	}
	rank := uint64(q * float64(h.n))
	var below uint64
	for b, c := range h.counts {
		if below += c; below > rank {
			return min(middle(b), float64(h.max))
		}
	}
	return float64(h.max)
}
