package keyspace

import (
	"encoding/binary"
	"errors"
	"slices"

	"holdfast/op"
)

// A record is one key's value as op.Dump gives it, Import takes it and a snapshot holds it: a byte with the type, the form and what is known of its renewal, then flags and
// deadline (Unix ms, 0 for none), then how much follows: the bytes of a string or of a packed collection, or the elements of a tree.
// All numbers are uvarints. The form must be kept because the order of a collection's elements depends on it.

const (
	recordTree    = 16 // bits of the first byte: the form,
	recordRecache = 32 // and the lowest of an op.Recache

	maxDumpFlags = 1<<32 - 1
)

var errRecord = errors.New("keyspace: bytes that are no record of a key")

// appendRecord appends the record of e.
func (s *State) appendRecord(b []byte, e item) []byte {
	if n := e.tree(); n != 0 {
		t := s.trees[n]
		b = appendRecordHead(b, e, t.len())
		t.main().walk(0, func(el element) bool {
			b = appendElement(b, el, t.kind)
			return true
		})
		return b
	}
	return append(appendRecordHead(b, e, e.valueLen()), e.value()...)
}

func appendRecordHead(b []byte, e item, n int) []byte {
	form := byte(e.kind()) | byte(e.recache())*recordRecache
	if e.tree() != 0 {
		form |= recordTree
	}
	b = binary.AppendUvarint(append(b, form), uint64(e.flags()))
	b = binary.AppendUvarint(b, uint64(e.deadline()))
	return binary.AppendUvarint(b, uint64(n))
}

// fields takes bytes apart; after the first thing that does not fit it is bad and yields zeroes.
type fields struct {
	b   []byte
	bad bool
}

func (r *fields) fail() { r.b, r.bad = nil, true }

func (r *fields) uint(max uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > max {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *fields) byte() byte { return byte(r.bytes(1)[0]) }

var zeroes [1]byte

func (r *fields) bytes(n int) []byte {
	if n > len(r.b) || n < 0 {
		r.fail()
		return zeroes[:min(n, 1)]
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *fields) sized(max uint64) []byte { return r.bytes(int(r.uint(max))) }

// unfinished is a record whose parts are still coming.
type unfinished struct {
	key     op.Key
	version uint64
	shape   shape
	left    int    // bytes, or elements of the tree, still to come
	value   []byte // what is there of it
	tree    *tree  // likewise
}

// begin reads a record's head.
func (u *unfinished) begin(b []byte) (rest []byte, err error) {
	r := fields{b: b}
	form := r.byte()
	u.shape.kind = op.Type(form & typeMask)
	u.shape.recache = op.Recache(form/recordRecache) & (op.Outdated | op.Claimed)
	u.shape.flags = uint32(r.uint(maxDumpFlags))
	u.shape.deadline = int64(r.uint(maxDeadline))
	u.left = int(r.uint(op.MaxValue))
	treed := form&recordTree != 0
	if r.bad || u.shape.kind == 0 || u.shape.kind > op.Sorted || form&^(recordTree|typeMask|recordRecache*3) != 0 || treed && (u.shape.kind == op.String || u.left == 0) {
		return nil, errRecord
	}
	if treed {
		u.tree = newTree(u.shape.kind)
	}
	return r.b, nil
}

// more takes the next part.
func (u *unfinished) more(b []byte) error {
	if u.tree == nil {
		if len(b) > u.left {
			return errRecord
		}
		u.value = append(u.value, b...)
		u.left -= len(b)
		return nil
	}
	r := fields{b: b}
	for len(r.b) > 0 {
		el := element{name: r.sized(op.MaxValue)}
		if hasValues(u.shape.kind) {
			el.value = r.sized(op.MaxValue)
		}
		if r.bad || u.left == 0 || u.shape.kind == op.Sorted && !el.score().Valid() || !u.tree.put(el) {
			return errRecord
		}
		u.left--
	}
	return nil
}

// sound says whether the value is what its type demands, once nothing is left to come.
func (u *unfinished) sound() bool {
	if u.tree != nil || u.shape.kind == op.String {
		return true
	}
	if len(u.value) < packedHead || len(u.value) > maxPackedBytes {
		return false
	}
	r, n := fields{b: u.value[packedHead:]}, 0
	for last := (element{}); len(r.b) > 0; n++ {
		el := element{name: r.sized(maxPackedBytes)}
		if hasValues(u.shape.kind) {
			el.value = r.sized(maxPackedBytes)
		}
		if u.shape.kind == op.Sorted {
			el.key = uint64(el.score())
			if !el.score().Valid() || !last.before(el) {
				return false
			}
			last = el
		}
	}
	return !r.bad && n > 0 && n <= maxPackedElements && n == int(le.Uint16(u.value))
}

// Import puts a record as given by op.Dump in place of the key name, at that version, without asking whether there is room for it. The name may be another
// than it had. Not while a snapshot is being taken, which tells by versions what is new.
func (s *State) Import(name op.Key, record []byte, version uint64) error {
	if version == 0 || name.Space >= op.Spaces || len(name.Name) > op.MaxKey {
		return errRecord
	}
	u := unfinished{key: name, version: version}
	rest, err := u.begin(record)
	if err != nil {
		return err
	}
	if err = u.more(rest); err != nil {
		return err
	}
	if u.left > 0 || !u.sound() {
		return errRecord
	}
	s.restore(&u)
	s.ops = max(s.ops, version)
	return nil
}

// restore makes an item of u, at its version. Nobody is told: nothing is applied.
func (s *State) restore(u *unfinished) {
	f := found{key: u.key, hash: s.hash(u.key)}
	if f.e, f.spot = s.tables[u.key.Space].find(&s.slab, f.hash, u.key.Name); f.e != nil {
		f.r = f.spot.ref()
	}
	ops, observer := s.ops, s.Observer
	s.ops, s.Observer = u.version-1, nil
	if u.tree != nil {
		u.shape.tree = s.addTree(u.tree)
		s.write(&f, u.shape, treeValue, 0)
	} else {
		copy(s.write(&f, u.shape, len(u.value), 0), u.value)
	}
	s.ops, s.Observer = ops, observer
}

// appendHead appends all of the state that is not keys.
func (s *State) appendHead(b []byte) []byte {
	for _, v := range []uint64{uint64(s.level) + 1, s.index, uint64(s.stamp), s.ops, s.sum, s.keys(), s.memory.Expired, s.memory.Evicted, s.memory.Refused} {
		b = binary.AppendUvarint(b, v)
	}
	for _, f := range s.flushes {
		b = binary.AppendUvarint(b, uint64(f.at))
		only := byte(0)
		if f.only {
			only = 1
		}
		b = append(b, only, byte(f.cl))
	}
	ids := make([]uint64, 0, len(s.origins))
	//rooms:any-order they are sorted
	for id := range s.origins {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	b = binary.AppendUvarint(b, uint64(len(ids)))
	for _, id := range ids {
		o := s.origins[id]
		for _, v := range []uint64{id, o.incarnation, o.seq} {
			b = binary.AppendUvarint(b, v)
		}
	}
	b = s.config.Append(b)
	if s.notify.Events != 0 {
		b = s.notify.Append(b)
	}
	return b
}

// The format of a snapshot is its group's level and 1: so whoever may be sent one, or start on one, can read it, however much newer the version is that
// wrote it; and members of different versions have equal digests. A field that a version adds to the head is written from its level on. Format 1
// was of level 1 too, without the sum.

// loadHead takes what appendHead gave and returns how many keys belong to it.
func (s *State) loadHead(b []byte) (keys uint64, err error) {
	const any = 1<<64 - 1
	r := fields{b: b}
	format := r.uint(any)
	if format == 0 {
		return 0, errSnapshot
	}
	if err := readable(format); err != nil {
		return 0, err
	}
	s.level = uint32(max(format-1, 1))
	s.index, s.stamp, s.ops = r.uint(any), int64(r.uint(1<<63-1)), r.uint(any)
	if format > 1 {
		s.sum = r.uint(any)
	}
	keys = r.uint(any)
	s.memory.Expired, s.memory.Evicted, s.memory.Refused = r.uint(any), r.uint(any), r.uint(any)
	for i := range s.flushes {
		s.flushes[i] = schedule{at: int64(r.uint(maxDeadline)), only: r.byte() != 0, cl: op.Class(r.byte() % op.Classes)}
	}
	for n := r.uint(any); n > 0 && !r.bad; n-- {
		s.origins[r.uint(any)] = &origin{r.uint(any), r.uint(any)}
	}
	o, rest, err := s.dec.Next(r.b)
	c, ok := o.(*op.Configure)
	if r.bad || err != nil || !ok {
		return 0, errSnapshot
	}
	s.configure(c)
	if len(rest) > 0 {
		if o, rest, err = s.dec.Next(rest); err != nil || len(rest) > 0 || o.Kind() != op.KindNotify {
			return 0, errSnapshot
		}
		s.notify = *o.(*op.Notify)
	}
	s.scheduled()
	s.now, s.compacted = s.stamp/ms, s.ops
	s.wheel.opened = s.now >> tickShift
	return keys, nil
}
