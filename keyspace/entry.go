package keyspace

import (
	"encoding/binary"
	"errors"
	"math"

	"holdfast/op"
)

// EntryKind says what an Entry is for. The numbers are written into logs: append only.
type EntryKind uint8

const (
	Hello EntryKind = iota + 1 // makes Origin known; its incarnation is the entry's index
	Batch                      // carries ops of Origin
	Tick                       // carries the stamp only
	Raise                      // raises the level of the group to Seq: ops of that level may follow
)

// Outcome is what Apply made of an entry for its origin (design 3.2).
type Outcome uint8

const (
	Applied   Outcome = iota
	Duplicate         // the batch was applied before
	Gap               // a batch before this one is missing
	Unknown           // nobody has said Hello with that origin and incarnation
)

// MaxOps bounds the encoded ops of one entry, in bytes: the largest op is a SetRange or Set of MaxValue with MaxKey.
const MaxOps = op.MaxValue + op.MaxKey + 1<<20

// ErrCorruptEntry is what DecodeEntry returns for bytes that no entry encodes to.
var ErrCorruptEntry = errors.New("keyspace: bytes that are no log entry")

// Entry is one record of the replicated log: all that Apply may know.
type Entry struct {
	Index       uint64 // place in the log; not encoded, the log has it
	Stamp       int64  // the group's time, Unix ns
	Origin      uint64 // the member whose clients sent the ops
	Incarnation uint64 // index of the origin's Hello
	Seq         uint64 // number of the batch within the incarnation, from 1; of a Hello a nonce, of a Raise the level
	Kind        EntryKind
	Ops         []byte // encoded ops, one after the other
}

// Append encodes everything but Index behind b.
func (e *Entry) Append(b []byte) []byte {
	b = append(b, byte(e.Kind))
	b = binary.LittleEndian.AppendUint64(b, uint64(e.Stamp))
	b = binary.AppendUvarint(b, e.Origin)
	b = binary.AppendUvarint(b, e.Incarnation)
	b = binary.AppendUvarint(b, e.Seq)
	return append(b, e.Ops...)
}

// DecodeEntry reads what Append wrote. Ops refers into b.
func DecodeEntry(index uint64, b []byte) (Entry, error) {
	e := Entry{Index: index}
	if len(b) < 9 || b[0] < byte(Hello) || b[0] > byte(Raise) {
		return e, ErrCorruptEntry
	}
	e.Kind = EntryKind(b[0])
	e.Stamp = int64(binary.LittleEndian.Uint64(b[1:]))
	b = b[9:]
	for _, v := range []*uint64{&e.Origin, &e.Incarnation, &e.Seq} {
		u, n := binary.Uvarint(b)
		if n <= 0 {
			return e, ErrCorruptEntry
		}
		*v, b = u, b[n:]
	}
	if e.Stamp < 0 || len(b) > MaxOps || e.Kind != Batch && len(b) > 0 || e.Kind == Raise && e.Seq > math.MaxUint32 {
		return e, ErrCorruptEntry
	}
	e.Ops = b
	return e, nil
}
