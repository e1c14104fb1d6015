package op

import (
	"encoding/binary"
	"errors"
)

// ErrCorrupt is what Decoder returns for bytes that no op encodes to.
var ErrCorrupt = errors.New("op: bytes that are no op")

// Decoder reads ops from their encoding without allocating: it keeps one op of each kind and hands out that one.
// Not for concurrent use.
type Decoder struct {
	ops [256]Op
	r   reader
}

// Next decodes the op in front of b and returns what is behind it. The op refers into b and is valid until the next call.
func (d *Decoder) Next(b []byte) (o Op, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, ErrCorrupt
	}
	o = d.ops[b[0]]
	if o == nil {
		k := &kinds[b[0]]
		if k.make == nil {
			return nil, nil, ErrCorrupt
		}
		o = k.make()
		d.ops[b[0]] = o
	}
	d.r = reader{b: b[1:]}
	o.decode(&d.r)
	if d.r.bad {
		return nil, nil, ErrCorrupt
	}
	return o, d.r.b, nil
}

// reader takes an encoding apart. After the first thing that does not fit it is bad and yields zeroes.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) fail() {
	r.bad, r.b = true, nil
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	u := r.uint()
	return int64(u>>1) ^ -int64(u&1)
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) bool() bool { return r.byte() != 0 }

func (r *reader) bytes() []byte {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// count reads how many elements follow; each takes a byte at least, so that a wrong number cannot ask for much memory.
func (r *reader) count() int {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) space() Space {
	s := Space(r.byte())
	if s >= Spaces {
		r.fail()
		return 0
	}
	return s
}

func (r *reader) class() Class {
	c := Class(r.byte())
	if c >= Classes {
		r.fail()
		return 0
	}
	return c
}

func (r *reader) key() Key {
	s := r.space()
	return Key{s, r.bytes()}
}

func (r *reader) life() Life {
	l := Life{Kind: LifeKind(r.byte())}
	switch {
	case l.Kind > At:
		r.fail()
	case l.Kind >= In:
		l.Ms = r.int()
	}
	return l
}

func (r *reader) cond() Cond {
	c := Cond{Kind: CondKind(r.byte())}
	switch {
	case c.Kind > IfNotNewer:
		r.fail()
	case c.Kind >= IfVersion:
		c.Version = r.uint()
	}
	return c
}

func list[T any](r *reader, into []T, one func(*reader) T) []T {
	into = into[:0]
	for n := r.count(); n > 0 && !r.bad; n-- {
		into = append(into, one(r))
	}
	return into
}

func readGuard(r *reader) Guard { return Guard{r.key(), r.uint()} }
func readPair(r *reader) Pair   { return Pair{r.key(), r.bytes()} }
func readField(r *reader) Field { return Field{r.bytes(), r.bytes()} }
func readRule(r *reader) Rule {
	return Rule{r.space(), r.bytes(), r.class()}
}

func appendUint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }
func appendInt(b []byte, v int64) []byte   { return binary.AppendUvarint(b, uint64(v<<1)^uint64(v>>63)) }
func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}
func appendBytes(b, v []byte) []byte { return append(appendUint(b, uint64(len(v))), v...) }
func appendKey(b []byte, k Key) []byte {
	return appendBytes(append(b, byte(k.Space)), k.Name)
}
func appendLife(b []byte, l Life) []byte {
	b = append(b, byte(l.Kind))
	if l.Kind >= In {
		b = appendInt(b, l.Ms)
	}
	return b
}
func appendCond(b []byte, c Cond) []byte {
	b = append(b, byte(c.Kind))
	if c.Kind >= IfVersion {
		b = appendUint(b, c.Version)
	}
	return b
}
func appendKeys(b []byte, keys []Key) []byte {
	b = appendUint(b, uint64(len(keys)))
	for _, k := range keys {
		b = appendKey(b, k)
	}
	return b
}
func appendStrings(b []byte, s [][]byte) []byte {
	b = appendUint(b, uint64(len(s)))
	for _, v := range s {
		b = appendBytes(b, v)
	}
	return b
}
func appendGuards(b []byte, gs []Guard) []byte {
	b = appendUint(b, uint64(len(gs)))
	for _, g := range gs {
		b = appendUint(appendKey(b, g.Key), g.Version)
	}
	return b
}

func (o *Set) Kind() Kind { return KindSet }
func (o *Set) Append(b []byte) []byte {
	b = appendBytes(appendKey(append(b, byte(KindSet)), o.Key), o.Value)
	b = appendLife(appendUint(b, uint64(o.Flags)), o.Life)
	return appendBool(appendCond(b, o.Cond), o.Get)
}
func (o *Set) decode(r *reader) {
	*o = Set{r.key(), r.bytes(), uint32(r.uint()), r.life(), r.cond(), r.bool()}
}

func (o *SetMany) Kind() Kind { return KindSetMany }
func (o *SetMany) Append(b []byte) []byte {
	b = appendUint(append(b, byte(KindSetMany)), uint64(len(o.Pairs)))
	for _, p := range o.Pairs {
		b = appendBytes(appendKey(b, p.Key), p.Value)
	}
	return appendBool(b, o.IfNone)
}
func (o *SetMany) decode(r *reader) { *o = SetMany{list(r, o.Pairs, readPair), r.bool()} }

func (o *Splice) Kind() Kind { return KindSplice }
func (o *Splice) Append(b []byte) []byte {
	b = appendBytes(appendKey(append(b, byte(KindSplice)), o.Key), o.Value)
	return appendUint(appendCond(appendBool(appendBool(b, o.Front), o.Create), o.Cond), o.Most)
}
func (o *Splice) decode(r *reader) {
	*o = Splice{r.key(), r.bytes(), r.bool(), r.bool(), r.cond(), r.uint()}
}

func (o *SetRange) Kind() Kind { return KindSetRange }
func (o *SetRange) Append(b []byte) []byte {
	return appendBytes(appendInt(appendKey(append(b, byte(KindSetRange)), o.Key), o.Offset), o.Value)
}
func (o *SetRange) decode(r *reader) { *o = SetRange{r.key(), r.int(), r.bytes()} }

func (o *Delete) Kind() Kind { return KindDelete }
func (o *Delete) Append(b []byte) []byte {
	return appendCond(appendKeys(append(b, byte(KindDelete)), o.Keys), o.Cond)
}
func (o *Delete) decode(r *reader) { *o = Delete{list(r, o.Keys, (*reader).key), r.cond()} }

func (o *IncrBy) Kind() Kind { return KindIncrBy }
func (o *IncrBy) Append(b []byte) []byte {
	return appendInt(appendKey(append(b, byte(KindIncrBy)), o.Key), o.Delta)
}
func (o *IncrBy) decode(r *reader) { *o = IncrBy{r.key(), r.int()} }

func (o *Count) Kind() Kind { return KindCount }
func (o *Count) Append(b []byte) []byte {
	b = appendUint(appendKey(append(b, byte(KindCount)), o.Key), o.Delta)
	b = appendUint(appendBool(appendBool(b, o.Down), o.Create), o.Initial)
	return appendBool(appendCond(appendLife(b, o.Life), o.Cond), o.Renew)
}
func (o *Count) decode(r *reader) {
	*o = Count{r.key(), r.uint(), r.bool(), r.bool(), r.uint(), r.life(), r.cond(), r.bool()}
}

func (o *Expire) Kind() Kind { return KindExpire }
func (o *Expire) Append(b []byte) []byte {
	b = appendLife(appendKey(append(b, byte(KindExpire)), o.Key), o.Life)
	return appendBool(append(b, byte(o.Cond)), o.Fetch)
}
func (o *Expire) decode(r *reader) {
	*o = Expire{r.key(), r.life(), ExpireCond(r.byte()), r.bool()}
}

func (o *Rename) Kind() Kind { return KindRename }
func (o *Rename) Append(b []byte) []byte {
	b = appendKey(appendKey(append(b, byte(KindRename)), o.From), o.To)
	return appendBool(appendBool(b, o.IfAbsent), o.Copy)
}
func (o *Rename) decode(r *reader) { *o = Rename{r.key(), r.key(), r.bool(), r.bool()} }

func (o *HashSet) Kind() Kind { return KindHashSet }
func (o *HashSet) Append(b []byte) []byte {
	b = appendUint(appendKey(append(b, byte(KindHashSet)), o.Key), uint64(len(o.Fields)))
	for _, f := range o.Fields {
		b = appendBytes(appendBytes(b, f.Name), f.Value)
	}
	return appendBool(b, o.IfAbsent)
}
func (o *HashSet) decode(r *reader) {
	*o = HashSet{r.key(), list(r, o.Fields, readField), r.bool()}
}

func (o *HashDelete) Kind() Kind { return KindHashDelete }
func (o *HashDelete) Append(b []byte) []byte {
	return appendStrings(appendKey(append(b, byte(KindHashDelete)), o.Key), o.Fields)
}
func (o *HashDelete) decode(r *reader) {
	*o = HashDelete{r.key(), list(r, o.Fields, (*reader).bytes)}
}

func (o *HashIncrBy) Kind() Kind { return KindHashIncrBy }
func (o *HashIncrBy) Append(b []byte) []byte {
	b = appendBytes(appendKey(append(b, byte(KindHashIncrBy)), o.Key), o.Field)
	return appendInt(b, o.Delta)
}
func (o *HashIncrBy) decode(r *reader) { *o = HashIncrBy{r.key(), r.bytes(), r.int()} }

func (o *SetAdd) Kind() Kind { return KindSetAdd }
func (o *SetAdd) Append(b []byte) []byte {
	return appendStrings(appendKey(append(b, byte(KindSetAdd)), o.Key), o.Members)
}
func (o *SetAdd) decode(r *reader) { *o = SetAdd{r.key(), list(r, o.Members, (*reader).bytes)} }

func (o *SetRemove) Kind() Kind { return KindSetRemove }
func (o *SetRemove) Append(b []byte) []byte {
	return appendStrings(appendKey(append(b, byte(KindSetRemove)), o.Key), o.Members)
}
func (o *SetRemove) decode(r *reader) {
	*o = SetRemove{r.key(), list(r, o.Members, (*reader).bytes)}
}

func (o *Flush) Kind() Kind { return KindFlush }
func (o *Flush) Append(b []byte) []byte {
	b = append(b, byte(KindFlush), byte(o.Space))
	b = append(appendBool(appendBool(b, o.All), o.OnlyClass), byte(o.Only))
	return appendLife(b, o.Life)
}
func (o *Flush) decode(r *reader) {
	*o = Flush{r.space(), r.bool(), r.bool(), r.class(), r.life()}
}

func (o *Tx) Kind() Kind { return KindTx }
func (o *Tx) Append(b []byte) []byte {
	b = appendUint(appendGuards(append(b, byte(KindTx)), o.Guards), uint64(o.Count))
	return appendBytes(b, o.Body)
}
func (o *Tx) decode(r *reader) {
	*o = Tx{Guards: list(r, o.Guards, readGuard), Count: r.count(), Body: r.bytes()}
	if o.Count > len(o.Body) {
		r.fail()
	}
}

func (o *Evict) Kind() Kind { return KindEvict }
func (o *Evict) Append(b []byte) []byte {
	return appendGuards(append(b, byte(KindEvict)), o.Victims)
}
func (o *Evict) decode(r *reader) { *o = Evict{list(r, o.Victims, readGuard)} }

func (o *Configure) Kind() Kind { return KindConfigure }
func (o *Configure) Append(b []byte) []byte {
	b = appendUint(append(b, byte(KindConfigure)), o.Budget)
	for _, c := range o.Classes {
		b = append(b, byte(c))
	}
	b = appendUint(b, uint64(len(o.Rules)))
	for _, p := range o.Rules {
		b = append(appendBytes(append(b, byte(p.Space)), p.Pattern), byte(p.Class))
	}
	return b
}
func (o *Configure) decode(r *reader) {
	o.Budget = r.uint()
	for i := range o.Classes {
		o.Classes[i] = r.class()
	}
	o.Rules = list(r, o.Rules, readRule)
}

func (o *Get) Kind() Kind             { return KindGet }
func (o *Get) Append(b []byte) []byte { return appendKey(append(b, byte(KindGet)), o.Key) }
func (o *Get) decode(r *reader)       { o.Key = r.key() }

func (o *GetMany) Kind() Kind             { return KindGetMany }
func (o *GetMany) Append(b []byte) []byte { return appendKeys(append(b, byte(KindGetMany)), o.Keys) }
func (o *GetMany) decode(r *reader)       { o.Keys = list(r, o.Keys, (*reader).key) }

func (o *Exists) Kind() Kind             { return KindExists }
func (o *Exists) Append(b []byte) []byte { return appendKeys(append(b, byte(KindExists)), o.Keys) }
func (o *Exists) decode(r *reader)       { o.Keys = list(r, o.Keys, (*reader).key) }

func (o *Deadline) Kind() Kind             { return KindDeadline }
func (o *Deadline) Append(b []byte) []byte { return appendKey(append(b, byte(KindDeadline)), o.Key) }
func (o *Deadline) decode(r *reader)       { o.Key = r.key() }

func (o *TypeOf) Kind() Kind             { return KindTypeOf }
func (o *TypeOf) Append(b []byte) []byte { return appendKey(append(b, byte(KindTypeOf)), o.Key) }
func (o *TypeOf) decode(r *reader)       { o.Key = r.key() }

func (o *Length) Kind() Kind { return KindLength }
func (o *Length) Append(b []byte) []byte {
	return append(appendKey(append(b, byte(KindLength)), o.Key), byte(o.Of))
}
func (o *Length) decode(r *reader) { *o = Length{r.key(), Type(r.byte())} }

func (o *GetRange) Kind() Kind { return KindGetRange }
func (o *GetRange) Append(b []byte) []byte {
	return appendInt(appendInt(appendKey(append(b, byte(KindGetRange)), o.Key), o.Start), o.End)
}
func (o *GetRange) decode(r *reader) { *o = GetRange{r.key(), r.int(), r.int()} }

func (o *HashGet) Kind() Kind { return KindHashGet }
func (o *HashGet) Append(b []byte) []byte {
	return appendStrings(appendKey(append(b, byte(KindHashGet)), o.Key), o.Fields)
}
func (o *HashGet) decode(r *reader) { *o = HashGet{r.key(), list(r, o.Fields, (*reader).bytes)} }

func (o *HashAll) Kind() Kind { return KindHashAll }
func (o *HashAll) Append(b []byte) []byte {
	return appendBool(appendBool(appendKey(append(b, byte(KindHashAll)), o.Key), o.Names), o.Values)
}
func (o *HashAll) decode(r *reader) { *o = HashAll{r.key(), r.bool(), r.bool()} }

func (o *SetHas) Kind() Kind { return KindSetHas }
func (o *SetHas) Append(b []byte) []byte {
	return appendStrings(appendKey(append(b, byte(KindSetHas)), o.Key), o.Members)
}
func (o *SetHas) decode(r *reader) { *o = SetHas{r.key(), list(r, o.Members, (*reader).bytes)} }

func (o *SetAll) Kind() Kind             { return KindSetAll }
func (o *SetAll) Append(b []byte) []byte { return appendKey(append(b, byte(KindSetAll)), o.Key) }
func (o *SetAll) decode(r *reader)       { o.Key = r.key() }

func (o *Versions) Kind() Kind             { return KindVersions }
func (o *Versions) Append(b []byte) []byte { return appendKeys(append(b, byte(KindVersions)), o.Keys) }
func (o *Versions) decode(r *reader)       { o.Keys = list(r, o.Keys, (*reader).key) }

func (o *Scan) Kind() Kind { return KindScan }
func (o *Scan) Append(b []byte) []byte {
	b = appendUint(append(b, byte(KindScan), byte(o.Space)), o.Cursor)
	return append(appendBytes(appendInt(b, o.Count), o.Match), byte(o.Of))
}
func (o *Scan) decode(r *reader) {
	*o = Scan{r.space(), r.uint(), r.int(), r.bytes(), Type(r.byte())}
}

func (o *Size) Kind() Kind             { return KindSize }
func (o *Size) Append(b []byte) []byte { return append(b, byte(KindSize), byte(o.Space)) }
func (o *Size) decode(r *reader)       { o.Space = r.space() }

func (o *RandomKey) Kind() Kind { return KindRandomKey }
func (o *RandomKey) Append(b []byte) []byte {
	return appendUint(append(b, byte(KindRandomKey), byte(o.Space)), o.Seed)
}
func (o *RandomKey) decode(r *reader) { *o = RandomKey{r.space(), r.uint()} }

func (o *Dump) Kind() Kind             { return KindDump }
func (o *Dump) Append(b []byte) []byte { return appendKeys(append(b, byte(KindDump)), o.Keys) }
func (o *Dump) decode(r *reader)       { o.Keys = list(r, o.Keys, (*reader).key) }
