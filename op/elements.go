package op

// Combination says how sets are put together. Append only.
type Combination uint8

const (
	Union Combination = iota
	Intersection
	Difference // of the first set and all others
)

// Combine reads what comes of several sets, a missing one being empty: List has OK and Value for each member. With Count, Int is how many there are, counted
// up to Limit if that is not 0, and List stays empty.
type Combine struct {
	Keys  []Key
	How   Combination
	Count bool
	Limit int64
}

// SetStore stores what comes of several sets in the place of a key, without a deadline; nothing removes the key. Int is how many members there are.
type SetStore struct {
	To   Key
	Keys []Key
	How  Combination
}

// SetMove moves a member from one set to another; Int is 1, or 0 if it was not there. WrongType if one of them is of another type.
type SetMove struct {
	From, To Key
	Member   []byte
}

// SetPop removes Count members of a set, picked by Seed: List has OK and Value for each.
type SetPop struct {
	Key   Key
	Count int64
	Seed  uint64
}

// Sample reads elements picked by Seed from a hash, set or sorted set Of that type: Count different ones, or all; if Count is negative, as many, and
// some perhaps several times. List has OK and Value for each, with the value of a field behind its name if Values, and in Uint the score of a member.
type Sample struct {
	Key    Key
	Of     Type
	Count  int64
	Seed   uint64
	Values bool
}

// ScanIn walks the elements of a hash, set or sorted set Of that type, as Scan walks keys. List has OK and Value for each element, then the value
// of a field; Uint has the score of a member. A small one is shown whole.
type ScanIn struct {
	Key    Key
	Of     Type
	Cursor uint64
	Count  int64
	Match  []byte
}

// Describe reads what is to be known of a key without its value: the Type in Int; Found says whether each of its elements, or the string, is an integer, of
// a large collection never; List has in Int how many elements or bytes there are, the bytes of the longest element (0 if there are very many), and
// what the key costs by the memory account. Missing if it is not there.
type Describe struct{ Key Key }

// Store puts a whole value in the place of a key, as far as Cond allows (otherwise Failed). A hash has Items of name and value, a set and a list of names, a sorted set of a
// name and the score in 8 bytes, the highest first; a string is the one Item's value. Without items the key is removed. Int is how many elements it has.
type Store struct {
	Key   Key
	Of    Type
	Items []Field
	Life  Life
	Cond  Cond
}

// SetBit sets or clears the bit at Offset of a string, the highest bit of a byte being the first, and grows the string as needed. Int is what it was.
type SetBit struct {
	Key    Key
	Offset int64
	On     bool
}

// BitCount counts the bits that are set from Start to End, both included, backwards from -1; they are bytes, or bits if Bits.
type BitCount struct {
	Key        Key
	Start, End int64
	Bits       bool
}

// BitFind looks for the first bit that is On in such a range: its place is in Int, -1 if there is none. With Open, End does not count, and a clear bit is
// found behind the last one.
type BitFind struct {
	Key        Key
	Start, End int64
	Bits       bool
	On         bool
	Open       bool
}

func (*SetStore) write() {}
func (*SetMove) write()  {}
func (*SetPop) write()   {}
func (*Store) write()    {}
func (*SetBit) write()   {}
func (*Combine) read()   {}
func (*Sample) read()    {}
func (*ScanIn) read()    {}
func (*Describe) read()  {}
func (*BitCount) read()  {}
func (*BitFind) read()   {}

func (r *reader) combination() Combination {
	c := Combination(r.byte())
	if c > Difference {
		r.fail()
	}
	return c
}

func (o *Combine) Kind() Kind { return KindCombine }
func (o *Combine) Append(b []byte) []byte {
	b = append(appendKeys(append(b, byte(KindCombine)), o.Keys), byte(o.How))
	return appendInt(appendBool(b, o.Count), o.Limit)
}
func (o *Combine) decode(r *reader) {
	*o = Combine{list(r, o.Keys, (*reader).key), r.combination(), r.bool(), r.int()}
}

func (o *SetStore) Kind() Kind { return KindSetStore }
func (o *SetStore) Append(b []byte) []byte {
	return append(appendKeys(appendKey(append(b, byte(KindSetStore)), o.To), o.Keys), byte(o.How))
}
func (o *SetStore) decode(r *reader) {
	*o = SetStore{r.key(), list(r, o.Keys, (*reader).key), r.combination()}
}

func (o *SetMove) Kind() Kind { return KindSetMove }
func (o *SetMove) Append(b []byte) []byte {
	return appendBytes(appendKey(appendKey(append(b, byte(KindSetMove)), o.From), o.To), o.Member)
}
func (o *SetMove) decode(r *reader) { *o = SetMove{r.key(), r.key(), r.bytes()} }

func (o *SetPop) Kind() Kind { return KindSetPop }
func (o *SetPop) Append(b []byte) []byte {
	return appendUint(appendInt(appendKey(append(b, byte(KindSetPop)), o.Key), o.Count), o.Seed)
}
func (o *SetPop) decode(r *reader) { *o = SetPop{r.key(), r.int(), r.uint()} }

func (o *Sample) Kind() Kind { return KindSample }
func (o *Sample) Append(b []byte) []byte {
	b = append(appendKey(append(b, byte(KindSample)), o.Key), byte(o.Of))
	return appendBool(appendUint(appendInt(b, o.Count), o.Seed), o.Values)
}
func (o *Sample) decode(r *reader) {
	*o = Sample{r.key(), Type(r.byte()), r.int(), r.uint(), r.bool()}
}

func (o *ScanIn) Kind() Kind { return KindScanIn }
func (o *ScanIn) Append(b []byte) []byte {
	b = append(appendKey(append(b, byte(KindScanIn)), o.Key), byte(o.Of))
	return appendBytes(appendInt(appendUint(b, o.Cursor), o.Count), o.Match)
}
func (o *ScanIn) decode(r *reader) {
	*o = ScanIn{r.key(), Type(r.byte()), r.uint(), r.int(), r.bytes()}
}

func (o *Describe) Kind() Kind             { return KindDescribe }
func (o *Describe) Append(b []byte) []byte { return appendKey(append(b, byte(KindDescribe)), o.Key) }
func (o *Describe) decode(r *reader)       { o.Key = r.key() }

func (o *Store) Kind() Kind { return KindStore }
func (o *Store) Append(b []byte) []byte {
	b = append(appendKey(append(b, byte(KindStore)), o.Key), byte(o.Of))
	b = appendUint(b, uint64(len(o.Items)))
	for _, f := range o.Items {
		b = appendBytes(appendBytes(b, f.Name), f.Value)
	}
	return appendCond(appendLife(b, o.Life), o.Cond)
}
func (o *Store) decode(r *reader) {
	*o = Store{r.key(), Type(r.byte()), list(r, o.Items, readField), r.life(), r.cond()}
	if !o.sound() {
		r.fail()
	}
}

// sound says whether the items fit the type.
func (o *Store) sound() bool {
	switch o.Of {
	case Hash, Members, List:
		return true
	case String:
		return len(o.Items) <= 1
	case Sorted:
		for _, f := range o.Items {
			if !ScoreIn(f.Value).Valid() {
				return false
			}
		}
		return true
	}
	return false
}

// AppendScore appends a score in 8 bytes, the highest first.
func AppendScore(b []byte, s Score) []byte {
	return append(b, byte(s>>56), byte(s>>48), byte(s>>40), byte(s>>32), byte(s>>24), byte(s>>16), byte(s>>8), byte(s))
}

// ScoreIn reads what AppendScore wrote; of anything else it makes no valid score.
func ScoreIn(b []byte) (s Score) {
	if len(b) != 8 {
		return 0
	}
	for _, c := range b {
		s = s<<8 | Score(c)
	}
	return s
}

func (o *SetBit) Kind() Kind { return KindSetBit }
func (o *SetBit) Append(b []byte) []byte {
	return appendBool(appendInt(appendKey(append(b, byte(KindSetBit)), o.Key), o.Offset), o.On)
}
func (o *SetBit) decode(r *reader) { *o = SetBit{r.key(), r.int(), r.bool()} }

func (o *BitCount) Kind() Kind { return KindBitCount }
func (o *BitCount) Append(b []byte) []byte {
	return appendBool(appendInt(appendInt(appendKey(append(b, byte(KindBitCount)), o.Key), o.Start), o.End), o.Bits)
}
func (o *BitCount) decode(r *reader) { *o = BitCount{r.key(), r.int(), r.int(), r.bool()} }

func (o *BitFind) Kind() Kind { return KindBitFind }
func (o *BitFind) Append(b []byte) []byte {
	b = appendInt(appendInt(appendKey(append(b, byte(KindBitFind)), o.Key), o.Start), o.End)
	return appendBool(appendBool(appendBool(b, o.Bits), o.On), o.Open)
}
func (o *BitFind) decode(r *reader) {
	*o = BitFind{r.key(), r.int(), r.int(), r.bool(), r.bool(), r.bool()}
}
