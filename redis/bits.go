package redis

import (
	"math"
	"strconv"

	"holdfast/op"
	"holdfast/resp"
)

var bitCommands = []Command{
	{Name: "setbit", Arity: 4, Keys: one, Flags: Write | DenyOOM, Needed: "tools", write: parseSetBit, reply: replyInt},
	{Name: "getbit", Arity: 3, Keys: one, Flags: ReadOnly | Fast, Needed: "tools", read: parseGetBit, reply: replyInt},
	{Name: "bitcount", Arity: -2, Keys: one, Flags: ReadOnly, Needed: "tools", read: parseBitCount, reply: replyInt},
	{Name: "bitpos", Arity: -3, Keys: one, Flags: ReadOnly, Needed: "tools", read: parseBitPos, reply: replyInt},
	{Name: "bitop", Arity: -4, Keys: Keys{2, -1, 1}, Flags: Write | DenyOOM, Needed: "tools", compute: bitOp},
	{Name: "bitfield", Arity: -2, Keys: one, Flags: Write | DenyOOM, Needed: "tools", compute: bitField(false)},
	{Name: "bitfield_ro", Arity: -2, Keys: one, Flags: ReadOnly | Fast, Needed: "tools", compute: bitField(true)},
}

const (
	errBitOffset = failure("ERR bit offset is not an integer or out of range")
	errBit       = failure("ERR bit is not an integer or out of range")
	errBitArg    = failure("ERR The bit argument must be 1 or 0.")
	maxBits      = op.MaxValue * 8
)

// parseBitOffset reads the place of a bit; with # in front, where that is allowed, it counts fields of that many bits.
func parseBitOffset(b []byte, field int64) (int64, error) {
	scale := int64(1)
	if field > 0 && len(b) > 0 && b[0] == '#' {
		b, scale = b[1:], field
	}
	n, ok := resp.Int(b)
	if !ok || n < 0 || n > (maxBits-1)/scale {
		return 0, errBitOffset
	}
	return n * scale, nil
}

func parseSetBit(q *request) (op.Write, error) {
	at, err := parseBitOffset(q.args[2], 0)
	if err != nil {
		return nil, err
	}
	on, ok := resp.Int(q.args[3])
	if !ok || on&^1 != 0 {
		return nil, errBit
	}
	return &op.SetBit{Key: q.key(1), Offset: at, On: on == 1}, nil
}

// parseGetBit counts the one bit.
func parseGetBit(q *request) (op.Read, error) {
	at, err := parseBitOffset(q.args[2], 0)
	return &op.BitCount{Key: q.key(1), Start: at, End: at, Bits: true}, err
}

// parseUnit reads "BYTE" or "BIT".
func parseUnit(b []byte) (bits bool, err error) {
	if !is(b, "bit") && !is(b, "byte") {
		return false, errSyntax
	}
	return is(b, "bit"), nil
}

func parseBitCount(q *request) (op.Read, error) {
	o := &op.BitCount{Key: q.key(1), End: -1}
	n := len(q.args)
	switch {
	case n == 2:
		return o, nil
	case n != 4 && n != 5:
		return nil, errSyntax
	}
	var err error
	if o.Start, o.End, err = parseSpan(q); err == nil && n == 5 {
		o.Bits, err = parseUnit(q.args[4])
	}
	return o, err
}

func parseBitPos(q *request) (op.Read, error) {
	bit, ok := resp.Int(q.args[2])
	switch {
	case !ok:
		return nil, errInteger
	case bit&^1 != 0:
		return nil, errBitArg
	case len(q.args) > 6:
		return nil, errSyntax
	}
	o := &op.BitFind{Key: q.key(1), On: bit == 1, Open: len(q.args) < 5}
	if len(q.args) > 3 {
		if o.Start, ok = resp.Int(q.args[3]); !ok {
			return nil, errInteger
		}
	}
	if len(q.args) > 5 {
		var err error
		if o.Bits, err = parseUnit(q.args[5]); err != nil {
			return nil, err
		}
	}
	if len(q.args) > 4 {
		if o.End, ok = resp.Int(q.args[4]); !ok {
			return nil, errInteger
		}
	}
	return o, nil
}

func bitOp(w *bench, q *request, b []byte) ([]byte, error) {
	var join func(x, y byte) byte
	switch name := q.args[1]; {
	case is(name, "and"):
		join = func(x, y byte) byte { return x & y }
	case is(name, "or"):
		join = func(x, y byte) byte { return x | y }
	case is(name, "xor"):
		join = func(x, y byte) byte { return x ^ y }
	case !is(name, "not"):
		return b, errSyntax
	case len(q.args) != 4:
		return b, failure("ERR BITOP NOT must be called with a single source key.")
	}
	res, err := w.Do(&op.GetMany{Keys: q.keys(3, 1)})
	if err != nil {
		return b, err
	}
	size := 0
	for i := range res.List {
		if res.List[i].Status == op.WrongType {
			return b, errWrongType
		}
		size = max(size, len(res.List[i].Value))
	}
	sum := make([]byte, size)
	copy(sum, res.List[0].Value)
	if join == nil {
		for i := range sum {
			sum[i] = ^sum[i]
		}
	}
	for _, r := range res.List[1:] {
		for i := range sum {
			if i < len(r.Value) {
				sum[i] = join(sum[i], r.Value[i])
			} else {
				sum[i] = join(sum[i], 0)
			}
		}
	}
	if size == 0 {
		_, err = w.Do(&op.Delete{Keys: []op.Key{q.key(2)}})
	} else {
		_, err = w.Do(&op.Set{Key: q.key(2), Value: sum})
	}
	return resp.Integer(b, int64(size)), err
}

// overflow says what becomes of a field that its number does not fit into.
type overflow uint8

const (
	wrap overflow = iota
	saturate
	refuse
)

// fieldOp is one of the operations of a BITFIELD.
type fieldOp struct {
	verb     byte // g, s or i, for GET, SET and INCRBY
	signed   bool
	bits     uint
	at       int64
	value    int64
	overflow overflow
}

const (
	errFieldType = failure("ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.")
	errOverflows = failure("ERR Invalid OVERFLOW type specified")
	errFieldRO   = failure("ERR BITFIELD_RO only supports the GET subcommand")
)

func parseFieldOps(args [][]byte) (ops []fieldOp, err error) {
	over := wrap
	for len(args) > 0 {
		o := fieldOp{verb: lower(append(args[0], 0)[0]), overflow: over}
		n := 4
		switch {
		case is(args[0], "overflow") && len(args) > 1:
			switch {
			case is(args[1], "wrap"):
				over = wrap
			case is(args[1], "sat"):
				over = saturate
			case is(args[1], "fail"):
				over = refuse
			default:
				return nil, errOverflows
			}
			args = args[2:]
			continue
		case is(args[0], "get") && len(args) > 2:
			n = 3
		case (is(args[0], "set") || is(args[0], "incrby")) && len(args) > 3:
		default:
			return nil, errSyntax
		}
		if o.signed, o.bits, err = parseFieldType(args[1]); err != nil {
			return nil, err
		}
		if o.at, err = parseBitOffset(args[2], int64(o.bits)); err != nil {
			return nil, err
		}
		if n == 4 {
			var ok bool
			if o.value, ok = resp.Int(args[3]); !ok {
				return nil, errInteger
			}
			if o.at+int64(o.bits) > maxBits {
				return nil, errBitOffset
			}
		}
		ops, args = append(ops, o), args[n:]
	}
	return ops, nil
}

func parseFieldType(b []byte) (signed bool, bits uint, err error) {
	if len(b) < 2 || b[0] != 'i' && b[0] != 'u' {
		return false, 0, errFieldType
	}
	signed = b[0] == 'i'
	n, err := strconv.ParseUint(string(b[1:]), 10, 8)
	if err != nil || n < 1 || n > 64 || n == 64 && !signed {
		return false, 0, errFieldType
	}
	return signed, uint(n), nil
}

func bitField(readOnly bool) func(*bench, *request, []byte) ([]byte, error) {
	return func(w *bench, q *request, b []byte) ([]byte, error) {
		ops, err := parseFieldOps(q.args[2:])
		if err != nil {
			return b, err
		}
		size := int64(0)
		for i := range ops {
			if ops[i].verb != 'g' {
				size = max(size, (ops[i].at+int64(ops[i].bits)+7)/8)
			}
		}
		if size > 0 && readOnly {
			return b, errFieldRO
		}
		res, err := w.Do(&op.Get{Key: q.key(1)})
		if err != nil {
			return b, err
		}
		if res.Status == op.WrongType {
			return b, errWrongType
		}
		v, flags := make([]byte, max(size, int64(len(res.Value)))), res.Flags
		copy(v, res.Value)
		b = resp.Array(b, len(ops))
		for i := range ops {
			n, ok := ops[i].apply(v)
			if !ok {
				b = w.Null(b)
			} else {
				b = resp.Integer(b, n)
			}
		}
		if size > 0 {
			_, err = w.Do(&op.Set{Key: q.key(1), Value: v, Flags: flags, Life: op.Life{Kind: op.Keep}})
		}
		return b, err
	}
}

// apply carries o out on v and gives its reply; false is null.
func (o *fieldOp) apply(v []byte) (int64, bool) {
	old := o.get(v)
	if o.verb == 'g' {
		return old, true
	}
	from, by := o.value, int64(0)
	if o.verb == 'i' {
		from, by = old, o.value
	}
	new, over := o.fit(from, by)
	if over && o.overflow == refuse {
		return 0, false
	}
	o.put(v, uint64(new))
	if o.verb == 'i' {
		return new, true
	}
	return old, true
}

// get reads the field; what is behind the end is 0.
func (o *fieldOp) get(v []byte) int64 {
	u := uint64(0)
	for i := o.at; i < o.at+int64(o.bits); i++ {
		u <<= 1
		if i/8 < int64(len(v)) {
			u |= uint64(v[i/8]>>(7-i%8)) & 1
		}
	}
	return o.extend(u)
}

// extend makes a number of the lowest bits of u.
func (o *fieldOp) extend(u uint64) int64 {
	if o.signed {
		return int64(u<<(64-o.bits)) >> (64 - o.bits)
	}
	return int64(u & (1<<o.bits - 1))
}

func (o *fieldOp) put(v []byte, u uint64) {
	for i := o.at + int64(o.bits) - 1; i >= o.at; i-- {
		bit := byte(0x80) >> (i % 8)
		v[i/8] &^= bit
		if u&1 != 0 {
			v[i/8] |= bit
		}
		u >>= 1
	}
}

// fit gives from+by as the field can hold it, and whether it is another number than the sum.
func (o *fieldOp) fit(from, by int64) (n int64, over bool) {
	low, high := int64(0), int64(math.MaxInt64)
	switch {
	case o.signed && o.bits < 64:
		low, high = -1<<(o.bits-1), 1<<(o.bits-1)-1
	case o.signed:
		low = math.MinInt64
	case o.bits < 63:
		high = 1<<o.bits - 1
	}
	sum := from + by
	up := from > high || by > 0 && (sum < from || sum > high)
	down := from < low || by < 0 && (sum > from || sum < low)
	if !o.signed && from < 0 && by == 0 { // a number that is set counts as unsigned: it is too large
		up, down = true, false
	}
	switch {
	case !up && !down:
		return sum, false
	case o.overflow == wrap:
		return o.extend(uint64(sum)), true
	case up:
		return high, true
	}
	return low, true
}
