package replica

// sums remembers the sum of the state at some indexes, the same at every member, so that members can compare (design 3.7).
type sums struct {
	index, sum [sumsKept]uint64
	last       uint64 // the newest index
	next       int
}

const (
	sumsKept = 16
	sumsStep = 256 // indexes
)

// note is called for every entry applied; the first of each step is remembered.
func (s *sums) note(index, sum uint64) {
	if index/sumsStep == s.last/sumsStep {
		return
	}
	s.last = index
	s.index[s.next], s.sum[s.next] = index, sum
	s.next = (s.next + 1) % sumsKept
}

func (s *sums) newest() (index, sum uint64) {
	i := (s.next + sumsKept - 1) % sumsKept
	return s.index[i], s.sum[i]
}

// at returns the sum at an index, false if it is not remembered.
func (s *sums) at(index uint64) (sum uint64, ok bool) {
	for i, x := range s.index {
		if x == index && index != 0 {
			return s.sum[i], true
		}
	}
	return 0, false
}
