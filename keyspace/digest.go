package keyspace

import (
	"hash/crc32"

	"holdfast/op"
)

// Sum grows with every entry by what it carried and by what the account was behind it: members that applied the same entries and came to
// something else have, very likely, unequal sums. It costs next to nothing, and Digest is the proof.
func (s *State) Sum() uint64 { return s.sum }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (s *State) addUp(e *Entry) {
	h := fold(s.sum^0x9e3779b97f4a7c15, uint64(crc32.Checksum(e.Ops, castagnoli))<<32^e.Index^0xd6e8feb86659fd93)
	m := &s.memory
	s.sum = fold(h^uint64(e.Stamp), s.ops^m.Used<<16^m.Expired<<32^m.Evicted<<40^m.Refused<<48^0xa0761d6478bd642f)
}

// Digest sums up the logical content: equal states have equal digests, however they are laid out, and unequal ones practically never. It walks over all keys,
// which takes some 200 ns each.
func (s *State) Digest() [2]uint64 {
	x, y := newSecret(1), newSecret(2)
	b := s.appendHead(nil)
	sum := [2]uint64{x.hash(0, b), y.hash(0, b)}
	for sp := range op.Space(op.Spaces) {
		s.each(sp, func(r ref) {
			e := s.slab.at(r)
			b = s.appendRecord(appendFrameKey(b[:0], e), e)
			sum[0] += x.hash(1, b)
			sum[1] += y.hash(1, b)
		})
	}
	return sum
}
