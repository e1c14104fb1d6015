package keyspace

import (
	"encoding/binary"
	"math/bits"

	"holdfast/op"
)

var le = binary.LittleEndian

// secret is what a seed becomes: both factors of every product in hash contain a word of it, so that who does not know
// the seed cannot choose keys that meet.
type secret struct{ a, b uint64 }

func newSecret(seed uint64) secret {
	return secret{fold(seed^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93), fold(seed^0xc2b2ae3d27d4eb4f, 0xa0761d6478bd642f)}
}

// fold multiplies to 128 bits and adds the halves without carry.
func fold(x, y uint64) uint64 {
	hi, lo := bits.Mul64(x, y)
	return hi ^ lo
}

// hash is a multiply-and-fold hash over eight-byte words.
func (s *secret) hash(salt uint64, k []byte) uint64 {
	h := s.a ^ (uint64(len(k))<<8|salt)*0x9e3779b97f4a7c15
	for len(k) > 16 {
		h = fold(le.Uint64(k)^s.b, le.Uint64(k[8:])^h)
		k = k[16:]
	}
	var x, y uint64
	switch n := len(k); {
	case n >= 8:
		x, y = le.Uint64(k), le.Uint64(k[n-8:])
	case n >= 4:
		x, y = uint64(le.Uint32(k)), uint64(le.Uint32(k[n-4:]))
	case n > 0:
		x = uint64(k[0])<<16 | uint64(k[n>>1])<<8 | uint64(k[n-1])
	}
	h = fold(x^s.b, y^h)
	return fold(h^s.a, s.b)
}

var plain = newSecret(0)

// Hash is a hash of a key that is the same everywhere; that of the table, and marks, depend on Seed.
func Hash(k op.Key) uint64 { return plain.hash(uint64(k.Space), k.Name) }

// Mark is the hash of a key that results and candidates of this state have as their Mark.
func (s *State) Mark(k op.Key) uint64 { return s.hash(k) }

func (s *State) hash(k op.Key) uint64 { return s.secret.hash(uint64(k.Space), k.Name) }
