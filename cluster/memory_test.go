package cluster

import "testing"

// What a group keeps besides entries fits beside them, whatever the limit.
func TestGroupFitsIntoLimit(t *testing.T) {
	for limit := uint64(MinLimit); limit <= 64<<30; limit *= 2 {
		b, err := budget(limit)
		if err != nil {
			t.Fatal(err)
		}
		group := uint64(retain(limit) + unsettled(limit) + 2*waitingBytes(limit))
		if b+group+program > limit {
			t.Errorf("of %d MiB entries may take %d, the program %d, and a group %d", limit>>20, b>>20, program>>20, group>>20)
		}
	}
}
