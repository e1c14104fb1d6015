package keyspace

import (
	"bytes"

	"holdfast/op"
)

// item is the memory of one key and its value, and whatever lies behind it:
//
//	0   version    8
//	8   length of the value 4
//	12  length of the key   2; longKey: it stands in 4 bytes before the key
//	14  bits       1: type 3 (0: a free slot), mortal, flagged, treed, longKey, outdated
//	15  home       1: space 5, class 2, claimed
//	16  deadline   8, next 4, prev 4: only if mortal
//	    flags      4: only if flagged
//	    key, value
//
// Next and prev are the wheel's. The value of a treed item is the number of its tree in State.trees, 4 bytes.
type item []byte

const (
	headSize  = 16
	timerSize = 16
	typeMask  = 7
	mortal    = 8
	flagged   = 16
	treed     = 32
	longKey   = 64
	outdated  = 128
	claimed   = 128 // of home

	treeValue   = 4
	maxShortKey = 1<<16 - 1
)

func (e item) version() uint64     { return le.Uint64(e) }
func (e item) setVersion(v uint64) { le.PutUint64(e, v) }
func (e item) valueLen() int       { return int(le.Uint32(e[8:])) }
func (e item) bits() byte          { return e[14] }
func (e item) kind() op.Type       { return op.Type(e[14] & typeMask) }
func (e item) setFree()            { e[14] = 0 }
func (e item) mortal() bool        { return e[14]&mortal != 0 }
func (e item) space() op.Space     { return op.Space(e[15] & 31) }
func (e item) class() op.Class     { return op.Class(e[15] >> 5 & 3) }
func (e item) setClass(c op.Class) { e[15] = e[15]&(claimed|31) | byte(c)<<5 }
func (e item) next() ref           { return ref(le.Uint32(e[24:])) }
func (e item) prev() ref           { return ref(le.Uint32(e[28:])) }
func (e item) setNext(r ref)       { le.PutUint32(e[24:], uint32(r)) }
func (e item) setPrev(r ref)       { le.PutUint32(e[28:], uint32(r)) }

func (e item) deadline() int64 {
	if !e.mortal() {
		return 0
	}
	return int64(le.Uint64(e[16:]))
}

func (e item) recache() (r op.Recache) {
	if e[14]&outdated != 0 {
		r = op.Outdated
	}
	if e[15]&claimed != 0 {
		r |= op.Claimed
	}
	return r
}

func (e item) flags() uint32 {
	b := e.bits()
	if b&flagged == 0 {
		return 0
	}
	return le.Uint32(e[headSize+int(b&mortal)*(timerSize/mortal):])
}

// keyAt is where the key of an item with these bits begins.
func keyAt(b byte) int {
	return headSize + int(b&mortal)*(timerSize/mortal) + int(b&flagged)*4/flagged + int(b&longKey)*4/longKey
}

func (e item) keyLen() int {
	if b := e.bits(); b&longKey != 0 {
		return int(le.Uint32(e[keyAt(b)-4:]))
	}
	return int(le.Uint16(e[12:]))
}

func (e item) key() []byte {
	i := keyAt(e.bits())
	return e[i : i+e.keyLen() : i+e.keyLen()]
}

func (e item) value() []byte {
	i := keyAt(e.bits()) + e.keyLen()
	j := i + e.valueLen()
	return e[i:j:j]
}

func (e item) is(key []byte) bool {
	i := keyAt(e.bits())
	return e.keyLen() == len(key) && bytes.Equal(e[i:i+len(key)], key)
}

func (e item) name() op.Key { return op.Key{Space: e.space(), Name: e.key()} }

// tree is the number of the item's tree, 0 if it has none.
func (e item) tree() uint32 {
	if e.bits()&treed == 0 {
		return 0
	}
	return le.Uint32(e.value())
}

// size is how many bytes the item has.
func (e item) size() int { return keyAt(e.bits()) + e.keyLen() + e.valueLen() }

func (e item) shape() shape {
	return shape{e.kind(), e.tree(), e.flags(), e.deadline(), e.recache()}
}

// shape is what is to be known of an item besides its key and value.
type shape struct {
	kind     op.Type
	tree     uint32 // number in State.trees, 0 for none
	flags    uint32
	deadline int64 // Unix ms, 0 for none
	recache  op.Recache
}

func (h shape) bits(keyLen int) byte {
	b := byte(h.kind)
	if h.deadline != 0 {
		b |= mortal
	}
	if h.flags != 0 {
		b |= flagged
	}
	if h.tree != 0 {
		b |= treed
	}
	if keyLen > maxShortKey {
		b |= longKey
	}
	if h.recache&op.Outdated != 0 {
		b |= outdated
	}
	return b
}

func (h shape) size(keyLen, valueLen int) int { return keyAt(h.bits(keyLen)) + keyLen + valueLen }

// setHead writes everything before the key but the wheel's links.
func (e item) setHead(h shape, version uint64, space op.Space, class op.Class, keyLen, valueLen int) {
	b := h.bits(keyLen)
	le.PutUint64(e, version)
	le.PutUint32(e[8:], uint32(valueLen))
	le.PutUint16(e[12:], uint16(keyLen))
	e[14] = b
	e[15] = byte(space) | byte(class)<<5
	if h.recache&op.Claimed != 0 {
		e[15] |= claimed
	}
	if h.deadline != 0 {
		le.PutUint64(e[16:], uint64(h.deadline))
	}
	i := keyAt(b)
	if b&longKey != 0 {
		i -= 4
		le.PutUint32(e[i:], uint32(keyLen))
	}
	if b&flagged != 0 {
		le.PutUint32(e[i-4:], h.flags)
	}
}
