package redis

import (
	"encoding/binary"
	"hash/crc64"
	"math"
	"strconv"

	"holdfast/op"
)

// DUMP and RESTORE speak the format in which Redis keeps a value in its RDB files: the type, the value, the version of the format
// and a checksum. Written are the plain forms, which every version reads; read are all forms up to Redis 7.2 that are not a stream's or a module's.

const (
	rdbVersion   = 10 // of what is written, Redis 7.0's
	rdbNewest    = 12 // of what is read
	rdbFooter    = 10 // bytes of version and checksum
	rdbString    = 0
	rdbList      = 1
	rdbSet       = 2
	rdbSorted    = 3
	rdbHash      = 4
	rdbSorted2   = 5
	rdbZipmap    = 9
	rdbListZip   = 10
	rdbIntset    = 11
	rdbSortedZip = 12
	rdbHashZip   = 13
	rdbQuick     = 14
	rdbHashPack  = 16
	rdbSortPack  = 17
	rdbQuick2    = 18
	rdbSetPack   = 20
)

// jones is the polynomial of Redis's checksum, the highest power last.
var jones = crc64.MakeTable(0x95ac9329ac4bc9b5)

// checksum is a plain one: what the standard library turns at both ends is turned back.
func checksum(b []byte) uint64 { return ^crc64.Update(math.MaxUint64, jones, b) }

// value is what a key holds, of any type, as op.Store takes it.
type value struct {
	of    op.Type
	items []op.Field
}

// appendRDB writes v as DUMP does.
func appendRDB(b []byte, v *value) []byte {
	at := len(b)
	if v.of == op.String {
		b = appendRDBString(append(b, rdbString), v.items[0].Value)
	} else {
		b = append(b, map[op.Type]byte{op.List: rdbList, op.Members: rdbSet, op.Hash: rdbHash, op.Sorted: rdbSorted2}[v.of])
		b = appendRDBLength(b, len(v.items))
		for _, f := range v.items {
			b = appendRDBString(b, f.Name)
			switch v.of {
			case op.Hash:
				b = appendRDBString(b, f.Value)
			case op.Sorted:
				b = binary.LittleEndian.AppendUint64(b, op.ScoreIn(f.Value).Bits())
			}
		}
	}
	b = binary.LittleEndian.AppendUint16(b, rdbVersion)
	return binary.LittleEndian.AppendUint64(b, checksum(b[at:]))
}

func appendRDBLength(b []byte, n int) []byte {
	switch {
	case n < 1<<6:
		return append(b, byte(n))
	case n < 1<<14:
		return append(b, 0x40|byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint32(append(b, 0x80), uint32(n))
}

// appendRDBString writes a string; one that is a small integer takes less room.
func appendRDBString(b, s []byte) []byte {
	if n, err := strconv.ParseInt(string(s), 10, 32); err == nil && strconv.FormatInt(n, 10) == string(s) {
		switch {
		case n == int64(int8(n)):
			return append(b, 0xc0, byte(n))
		case n == int64(int16(n)):
			return binary.LittleEndian.AppendUint16(append(b, 0xc1), uint16(n))
		}
		return binary.LittleEndian.AppendUint32(append(b, 0xc2), uint32(n))
	}
	return append(appendRDBLength(b, len(s)), s...)
}

// rdb takes a value apart. After the first thing that does not fit it is bad and yields zeroes.
type rdb struct {
	b    []byte
	room uint64 // bytes that what was packed may still take
	bad  bool
}

// A small payload may unpack to a large value, and that to very many elements.
const (
	maxPayload = op.MaxValue // bytes of all that was packed, and
	itemCost   = 64          // of each element, about, which an element of a payload that is not packed may always take
)

const (
	errPayload = failure("ERR DUMP payload version or checksum are wrong")
	errRDB     = failure("ERR Bad data format")
)

// parseRDB reads what DUMP wrote, here or elsewhere. What v shows refers to b or to memory of its own.
func parseRDB(b []byte) (v *value, err error) {
	if len(b) < rdbFooter {
		return nil, errPayload
	}
	foot := b[len(b)-rdbFooter:]
	if binary.LittleEndian.Uint16(foot) > rdbNewest || binary.LittleEndian.Uint64(foot[2:]) != checksum(b[:len(b)-8]) {
		return nil, errPayload
	}
	return unpackRDB(b[:len(b)-rdbFooter], maxPayload)
}

// unpackRDB reads a type and value, with that much room for what was packed.
func unpackRDB(b []byte, room uint64) (*value, error) {
	r := rdb{b: b, room: room + itemCost*uint64(len(b))}
	v := r.value(r.byte())
	if r.bad || len(r.b) > 0 || len(v.items) == 0 {
		return nil, errRDB
	}
	return v, nil
}

// spend takes n bytes of the room, if there are as many.
func (r *rdb) spend(n uint64) bool {
	if n > r.room {
		r.fail()
		return false
	}
	r.room -= n
	return true
}

func (r *rdb) fail() { r.b, r.bad = nil, true }

func (r *rdb) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *rdb) byte() byte {
	if v := r.take(1); v != nil {
		return v[0]
	}
	return 0
}

// fixed reads an unsigned integer of n bytes, the lowest first.
func (r *rdb) fixed(n uint64) (u uint64) {
	v := r.take(n)
	for i := len(v) - 1; i >= 0; i-- {
		u = u<<8 | uint64(v[i])
	}
	return u
}

// length reads a length, or with special the number of an encoding.
func (r *rdb) length() (n uint64, special bool) {
	c := r.byte()
	switch {
	case c < 0x40:
		return uint64(c), false
	case c < 0x80:
		return uint64(c&0x3f)<<8 | uint64(r.byte()), false
	case c == 0x80:
		if v := r.take(4); v != nil {
			return uint64(binary.BigEndian.Uint32(v)), false
		}
	case c == 0x81:
		if v := r.take(8); v != nil {
			return binary.BigEndian.Uint64(v), false
		}
	case c >= 0xc0:
		return uint64(c & 0x3f), true
	}
	r.fail()
	return 0, false
}

// count reads how many elements follow; each takes a byte at least.
func (r *rdb) count() uint64 {
	n, special := r.length()
	if special || n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return n
}

func (r *rdb) string() []byte {
	n, special := r.length()
	if !special {
		return r.take(n)
	}
	switch n {
	case 0:
		return number10(int64(int8(r.fixed(1))))
	case 1:
		return number10(int64(int16(r.fixed(2))))
	case 2:
		return number10(int64(int32(r.fixed(4))))
	case 3:
		packed, _ := r.length()
		size, _ := r.length()
		return r.lzf(r.take(packed), size)
	}
	r.fail()
	return nil
}

func number10(n int64) []byte { return strconv.AppendInt(nil, n, 10) }

// lzf unpacks what LibLZF has packed: runs of plain bytes, and references to what was there before.
func (r *rdb) lzf(in []byte, size uint64) (out []byte) {
	if size > op.MaxValue || !r.spend(size) {
		r.fail()
		return nil
	}
	for len(in) > 0 {
		c := int(in[0])
		in = in[1:]
		if c < 32 {
			if c+1 > len(in) {
				r.fail()
				return nil
			}
			out, in = append(out, in[:c+1]...), in[c+1:]
		} else {
			n := c >> 5
			if n == 7 && len(in) > 0 {
				n, in = n+int(in[0]), in[1:]
			}
			if len(in) == 0 {
				r.fail()
				return nil
			}
			from := len(out) - (c&31<<8 | int(in[0])) - 1
			in = in[1:]
			if from < 0 {
				r.fail()
				return nil
			}
			for i := range n + 2 {
				out = append(out, out[from+i])
			}
		}
		if uint64(len(out)) > size {
			break
		}
	}
	if uint64(len(out)) != size {
		r.fail()
	}
	return out
}

// value reads a value of that type.
func (r *rdb) value(form byte) *value {
	v := &value{}
	switch form {
	case rdbString:
		v.of = op.String
		v.items = append(v.items, op.Field{Value: r.string()})
	case rdbList:
		v.of = op.List
		r.each(v, func() { v.name(r.string()) })
	case rdbSet:
		v.of = op.Members
		r.each(v, func() { v.name(r.string()) })
	case rdbHash:
		v.of = op.Hash
		r.each(v, func() { v.items = append(v.items, op.Field{Name: r.string(), Value: r.string()}) })
	case rdbSorted:
		v.of = op.Sorted
		r.each(v, func() { r.scored(v, r.string(), r.oldDouble()) })
	case rdbSorted2:
		v.of = op.Sorted
		r.each(v, func() { r.scored(v, r.string(), math.Float64frombits(r.fixed(8))) })
	case rdbQuick:
		v.of = op.List
		r.each(v, func() { r.ziplist(r.string(), v.name) })
	case rdbQuick2:
		v.of = op.List
		r.each(v, func() {
			if plain, _ := r.length(); plain == 1 {
				v.name(r.string())
			} else {
				r.listpack(r.string(), v.name)
			}
		})
	default:
		r.packed(form, v)
	}
	return v
}

// packed reads the forms that are one string.
func (r *rdb) packed(form byte, v *value) {
	var all [][]byte
	collect := func(b []byte) { all = append(all, b) }
	blob := r.string()
	switch form {
	case rdbListZip, rdbSortedZip, rdbHashZip:
		r.ziplist(blob, collect)
	case rdbHashPack, rdbSortPack, rdbSetPack:
		r.listpack(blob, collect)
	case rdbIntset:
		r.intset(blob, collect)
	case rdbZipmap:
		r.zipmap(blob, collect)
	default:
		r.fail()
		return
	}
	v.of = map[byte]op.Type{rdbListZip: op.List, rdbSortedZip: op.Sorted, rdbSortPack: op.Sorted, rdbHashZip: op.Hash, rdbHashPack: op.Hash,
		rdbZipmap: op.Hash, rdbIntset: op.Members, rdbSetPack: op.Members}[form]
	if v.of == op.List || v.of == op.Members {
		for _, b := range all {
			v.name(b)
		}
		return
	}
	if len(all)%2 != 0 {
		r.fail()
		return
	}
	for i := 0; i < len(all); i += 2 {
		if v.of == op.Hash {
			v.items = append(v.items, op.Field{Name: all[i], Value: all[i+1]})
		} else if f, ok := parseScore(all[i+1]); ok {
			r.scored(v, all[i], f)
		} else {
			r.fail()
		}
	}
}

func (r *rdb) each(v *value, one func()) {
	for n := r.count(); n > 0 && !r.bad && r.spend(itemCost); n-- {
		one()
	}
}

func (v *value) name(b []byte) { v.items = append(v.items, op.Field{Name: b}) }

func (r *rdb) scored(v *value, name []byte, f float64) {
	if math.IsNaN(f) {
		r.fail()
		return
	}
	v.items = append(v.items, op.Field{Name: name, Value: op.AppendScore(nil, toScore(f))})
}

// oldDouble reads a float written as text.
func (r *rdb) oldDouble() float64 {
	switch n := r.byte(); n {
	case 253:
		return math.NaN()
	case 254:
		return math.Inf(1)
	case 255:
		return math.Inf(-1)
	default:
		f, ok := parseScore(r.take(uint64(n)))
		if !ok {
			r.fail()
		}
		return f
	}
}

// intset reads integers of one size.
func (r *rdb) intset(b []byte, one func([]byte)) {
	in := rdb{b: b}
	size, n := in.fixed(4), in.fixed(4)
	if size != 2 && size != 4 && size != 8 || n*size != uint64(len(in.b)) {
		r.fail()
		return
	}
	for ; n > 0 && r.spend(itemCost); n-- {
		one(number10(int64(in.fixed(size)<<(64-8*size)) >> (64 - 8*size)))
	}
}

// zipmap reads what hashes of very old versions look like.
func (r *rdb) zipmap(b []byte, one func([]byte)) {
	in := rdb{b: b}
	in.byte() // how many, or too many to say
	for !in.bad && len(in.b) > 0 && in.b[0] != 255 && r.spend(itemCost) {
		one(in.take(in.zipmapLength()))
		n := in.zipmapLength()
		free := in.byte()
		one(in.take(n))
		in.take(uint64(free))
	}
	if in.bad || len(in.b) != 1 {
		r.fail()
	}
}

func (r *rdb) zipmapLength() uint64 {
	switch n := r.byte(); n {
	case 254:
		return r.fixed(4)
	case 255:
		r.fail()
		return 0
	default:
		return uint64(n)
	}
}

// ziplist reads a list as versions before 7 pack it: 10 bytes of head, entries with the length of the one before, and an end.
func (r *rdb) ziplist(b []byte, one func([]byte)) {
	in := rdb{b: b}
	in.take(10)
	for !in.bad && len(in.b) > 0 && in.b[0] != 255 && r.spend(itemCost) {
		if in.byte() == 254 {
			in.take(4)
		}
		one(in.zipEntry())
	}
	if in.bad || len(in.b) != 1 {
		r.fail()
	}
}

func (r *rdb) zipEntry() []byte {
	c := r.byte()
	switch {
	case c < 0x40:
		return r.take(uint64(c))
	case c < 0x80:
		return r.take(uint64(c&0x3f)<<8 | uint64(r.byte()))
	case c == 0x80:
		if v := r.take(4); v != nil {
			return r.take(uint64(binary.BigEndian.Uint32(v)))
		}
		return nil
	case c > 0xf0 && c < 0xfe:
		return number10(int64(c&0xf) - 1)
	}
	size, ok := map[byte]uint64{0xc0: 2, 0xd0: 4, 0xe0: 8, 0xf0: 3, 0xfe: 1}[c]
	if !ok {
		r.fail()
		return nil
	}
	return number10(int64(r.fixed(size)<<(64-8*size)) >> (64 - 8*size))
}

// listpack reads a list as versions from 7 on pack it: 6 bytes of head, entries with their own length behind them, and an end.
func (r *rdb) listpack(b []byte, one func([]byte)) {
	in := rdb{b: b}
	in.take(6)
	for !in.bad && len(in.b) > 0 && in.b[0] != 255 && r.spend(itemCost) {
		left := len(in.b)
		one(in.packEntry())
		switch size := left - len(in.b); {
		case size < 1<<7:
			in.take(1)
		case size < 1<<14:
			in.take(2)
		case size < 1<<21:
			in.take(3)
		case size < 1<<28:
			in.take(4)
		default:
			in.take(5)
		}
	}
	if in.bad || len(in.b) != 1 {
		r.fail()
	}
}

func (r *rdb) packEntry() []byte {
	c := r.byte()
	switch {
	case c < 0x80:
		return number10(int64(c))
	case c < 0xc0:
		return r.take(uint64(c & 0x3f))
	case c < 0xe0:
		n := int64(c&0x1f)<<8 | int64(r.byte())
		return number10(n << 51 >> 51)
	case c < 0xf0:
		return r.take(uint64(c&0xf)<<8 | uint64(r.byte()))
	case c == 0xf0:
		return r.take(r.fixed(4))
	case c > 0xf4:
		r.fail()
		return nil
	}
	size := map[byte]uint64{0xf1: 2, 0xf2: 3, 0xf3: 4, 0xf4: 8}[c]
	return number10(int64(r.fixed(size)<<(64-8*size)) >> (64 - 8*size))
}
