package wal

import (
	"encoding/binary"
	"hash/crc32"
)

// A segment file begins with a header, and records follow one behind the other up to zeroes or the end of the file.
//
//	header: magic(8) salt(4) zero(4) seq(8) first(8) boot(8) crc(4)
//	record: length(4) kind(1) zero(3) index(8) crc of the body(4) crc of the fields before(4), then length bytes of body
//
// All numbers are little endian. A record's checksums begin with the segment's salt, a random number, and the second with its
// offset too: so that neither an old record nor a client's value that looks like one is ever taken for a record.
const (
	headerBytes = 44
	recordBytes = 24
	maxBody     = 1 << 30 // bytes of a record's body
	jumpKind    = 254     // says that the next index is another one than the records before let expect: the index before it(8)
	markKind    = 255     // says up to where the log was synced when it was written: seq(8) offset(8)
)

var (
	magic      = [8]byte{'h', 'o', 'l', 'd', 'w', 'a', 'l', 1}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	le         = binary.LittleEndian
)

// MaxBody is the longest body of a record, in bytes.
const MaxBody = maxBody

func appendHeader(b []byte, salt uint32, seq, first, boot uint64) []byte {
	b = append(b, magic[:]...)
	b = le.AppendUint32(b, salt)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, seq)
	b = le.AppendUint64(b, first)
	b = le.AppendUint64(b, boot)
	return le.AppendUint32(b, crc32.Checksum(b[len(b)-40:], castagnoli))
}

type header struct {
	salt             uint32
	seq, first, boot uint64
}

func readHeader(b []byte) (h header, ok bool) {
	if len(b) < headerBytes || [8]byte(b[:8]) != magic || le.Uint32(b[40:]) != crc32.Checksum(b[:40], castagnoli) {
		return h, false
	}
	return header{le.Uint32(b[8:]), le.Uint64(b[16:]), le.Uint64(b[24:]), le.Uint64(b[32:])}, true
}

// appendRecord appends a record without its checksums, which depend on the place it will have: seal puts them in.
func appendRecord(b []byte, kind uint8, index uint64, head, body []byte) []byte {
	if len(head)+len(body) > maxBody {
		panic("wal: a record is longer than MaxBody")
	}
	b = le.AppendUint32(b, uint32(len(head)+len(body)))
	b = append(b, kind, 0, 0, 0)
	b = le.AppendUint64(b, index)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, head...)
	return append(b, body...)
}

func appendMark(b []byte, p position) []byte {
	var body [16]byte
	le.PutUint64(body[:], p.seq)
	le.PutUint64(body[8:], uint64(p.offset))
	return appendRecord(b, markKind, 0, body[:], nil)
}

func appendJump(b []byte, index uint64) []byte {
	var body [8]byte
	le.PutUint64(body[:], index)
	return appendRecord(b, jumpKind, 0, body[:], nil)
}

// seal puts the checksums into the records of b, which are to stand at offset.
func seal(b []byte, salt uint32, offset int64) {
	for len(b) > 0 {
		n := recordBytes + int(le.Uint32(b))
		le.PutUint32(b[16:], crc32.Update(salt, castagnoli, b[recordBytes:n]))
		le.PutUint32(b[20:], headSum(b, salt, offset))
		b, offset = b[n:], offset+int64(n)
	}
}

func headSum(b []byte, salt uint32, offset int64) uint32 {
	return crc32.Update(salt^uint32(offset)*0x9e3779b1^uint32(offset>>32), castagnoli, b[:20])
}

// Record is one record of the log.
type Record struct {
	Kind  uint8
	Index uint64
	Body  []byte
}

// recordLen is the length of the record whose beginning b is and which stands at offset, 0 if that is none.
func recordLen(b []byte, salt uint32, offset int64) int {
	if len(b) < recordBytes || b[4] == 0 || b[5]|b[6]|b[7] != 0 {
		return 0
	}
	if size := int(le.Uint32(b)); size <= maxBody && le.Uint32(b[20:]) == headSum(b, salt, offset) {
		return recordBytes + size
	}
	return 0
}

// readRecord reads the record in front of b, which stands at offset; n is its length, 0 if there is no valid one.
func readRecord(b []byte, salt uint32, offset int64) (r Record, n int) {
	if n = recordLen(b, salt, offset); n == 0 || n > len(b) {
		return r, 0
	}
	r = Record{b[4], le.Uint64(b[8:]), b[recordBytes:n:n]}
	if le.Uint32(b[16:]) != crc32.Update(salt, castagnoli, r.Body) {
		return Record{}, 0
	}
	return r, n
}

func readMark(r Record) (position, bool) {
	if r.Kind != markKind || len(r.Body) != 16 {
		return position{}, false
	}
	return position{le.Uint64(r.Body), int64(le.Uint64(r.Body[8:]))}, true
}

func readJump(r Record) (index uint64, ok bool) {
	if r.Kind != jumpKind || len(r.Body) != 8 {
		return 0, false
	}
	return le.Uint64(r.Body), true
}
