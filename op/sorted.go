package op

// A Score orders the members of a sorted set. It stands for a 64-bit float that is not NaN, as an integer in the same order, so that neither this package nor
// keyspace touches a float: the bits of the float, all of them turned if it is negative, else the sign alone. 0 and -0 are one score.
type Score uint64

// ScoreOf gives the score for the bits of a float that is not NaN.
func ScoreOf(bits uint64) Score {
	switch {
	case bits == signBit:
		return signBit
	case bits&signBit != 0:
		return Score(^bits)
	}
	return Score(bits | signBit)
}

// Bits gives the bits of the float that s stands for.
func (s Score) Bits() uint64 {
	if s&signBit != 0 {
		return uint64(s &^ signBit)
	}
	return ^uint64(s)
}

const signBit = 1 << 63

// MinScore and MaxScore stand for the infinities. Nothing beyond them is a score.
const (
	MinScore Score = 0x000f_ffff_ffff_ffff
	MaxScore Score = 0xfff0_0000_0000_0000
)

// Valid says whether s stands for a float that is not NaN.
func (s Score) Valid() bool { return MinScore <= s && s <= MaxScore }

// Scored is a member of a sorted set and its score.
type Scored struct {
	Score  Score
	Member []byte
}

// SortedCond restricts SortedAdd. The bits are Redis's NX, XX, GT and LT. Append only.
type SortedCond uint8

const (
	SortedNX SortedCond = 1 << iota // only members that are not there
	SortedXX                        // only members that are
	SortedGT                        // a member that is there only to a higher score
	SortedLT                        // only to a lower one
)

// SortedAdd gives scores to members of a sorted set. Int is how many are new, Uint how many are new or have another score now.
// With Incr the one member's score is added to what it has, a new one counting as 0: Uint is the score that it has then, or the outcome is Failed when
// Cond kept it as it was, Overflow when the sum is no number.
type SortedAdd struct {
	Key     Key
	Members []Scored
	Cond    SortedCond
	Incr    bool
}

// SortedRemove removes members; Int is how many were there.
type SortedRemove struct {
	Key     Key
	Members [][]byte
}

// RangeKind says what a Range goes by. Append only.
type RangeKind uint8

const (
	ByRank  RangeKind = iota // places Start to End, both included, backwards from -1
	ByScore                  // scores Min to Max, both included
	ByLex                    // members from From to To, all having one score
)

// Bound is an end of a range of members.
type Bound struct {
	Value []byte
	Kind  BoundKind
}

// BoundKind says what a Bound means. Append only.
type BoundKind uint8

const (
	Including BoundKind = iota
	Excluding
	Lowest  // before all members; Value is empty
	Highest // behind all
)

// Range is a part of a sorted set. With Reverse it goes from the highest to the lowest: places then count from there, and
// the bounds stay what they are. By score and by lex, Skip of its members are left out first, and there are Limit at most if it is not negative.
type Range struct {
	By          RangeKind
	Reverse     bool
	Start, End  int64
	Min, Max    Score
	From, To    Bound
	Skip, Limit int64
}

// SortedCut removes the members in a range, whose Reverse, Skip and Limit do not count; Int is how many there were.
type SortedCut struct {
	Key   Key
	Range Range
}

// SortedPop takes the Count lowest members, or highest if Max, from the first of the sorted sets that is there: List has OK, Value and the score in Uint for each,
// Value the name of the key. Missing if none is; WrongType if a key of another type comes first.
type SortedPop struct {
	Keys  []Key
	Count int64
	Max   bool
}

// SortedScore reads scores: List has OK and the score in Uint, or Missing, for each member.
type SortedScore struct {
	Key     Key
	Members [][]byte
}

// SortedRank reads the place of a member into Int, from the highest if Reverse. Missing if it is not there.
type SortedRank struct {
	Key     Key
	Member  []byte
	Reverse bool
}

// SortedRange reads the members in a range: List has OK, Value and the score in Uint for each. With Count, Int is how many there are, and List stays empty.
type SortedRange struct {
	Key   Key
	Range Range
	Count bool
}

func (*SortedAdd) write()    {}
func (*SortedRemove) write() {}
func (*SortedCut) write()    {}
func (*SortedPop) write()    {}
func (*SortedScore) read()   {}
func (*SortedRank) read()    {}
func (*SortedRange) read()   {}

func (r *reader) score() Score {
	s := Score(r.uint())
	if !s.Valid() {
		r.fail()
	}
	return s
}

func readScored(r *reader) Scored { return Scored{r.score(), r.bytes()} }

func (r *reader) bound() Bound {
	b := Bound{r.bytes(), BoundKind(r.byte())}
	if b.Kind > Highest || b.Kind >= Lowest && len(b.Value) > 0 {
		r.fail()
	}
	return b
}

func (r *reader) rang() Range {
	x := Range{By: RangeKind(r.byte()), Reverse: r.bool()}
	switch x.By {
	case ByRank:
		x.Start, x.End = r.int(), r.int()
		return x
	case ByScore:
		x.Min, x.Max = Score(r.uint()), Score(r.uint())
	case ByLex:
		x.From, x.To = r.bound(), r.bound()
	default:
		r.fail()
	}
	x.Skip, x.Limit = r.int(), r.int()
	return x
}

func appendRange(b []byte, x *Range) []byte {
	b = appendBool(append(b, byte(x.By)), x.Reverse)
	switch x.By {
	case ByRank:
		return appendInt(appendInt(b, x.Start), x.End)
	case ByScore:
		b = appendUint(appendUint(b, uint64(x.Min)), uint64(x.Max))
	default:
		b = append(appendBytes(b, x.From.Value), byte(x.From.Kind))
		b = append(appendBytes(b, x.To.Value), byte(x.To.Kind))
	}
	return appendInt(appendInt(b, x.Skip), x.Limit)
}

func (o *SortedAdd) Kind() Kind { return KindSortedAdd }
func (o *SortedAdd) Append(b []byte) []byte {
	b = appendUint(appendKey(append(b, byte(KindSortedAdd)), o.Key), uint64(len(o.Members)))
	for _, m := range o.Members {
		b = appendBytes(appendUint(b, uint64(m.Score)), m.Member)
	}
	return appendBool(append(b, byte(o.Cond)), o.Incr)
}
func (o *SortedAdd) decode(r *reader) {
	*o = SortedAdd{r.key(), list(r, o.Members, readScored), SortedCond(r.byte()), r.bool()}
	if o.Incr && len(o.Members) != 1 {
		r.fail()
	}
}

func (o *SortedRemove) Kind() Kind { return KindSortedRemove }
func (o *SortedRemove) Append(b []byte) []byte {
	return appendStrings(appendKey(append(b, byte(KindSortedRemove)), o.Key), o.Members)
}
func (o *SortedRemove) decode(r *reader) {
	*o = SortedRemove{r.key(), list(r, o.Members, (*reader).bytes)}
}

func (o *SortedCut) Kind() Kind { return KindSortedCut }
func (o *SortedCut) Append(b []byte) []byte {
	return appendRange(appendKey(append(b, byte(KindSortedCut)), o.Key), &o.Range)
}
func (o *SortedCut) decode(r *reader) { *o = SortedCut{r.key(), r.rang()} }

func (o *SortedPop) Kind() Kind { return KindSortedPop }
func (o *SortedPop) Append(b []byte) []byte {
	return appendBool(appendInt(appendKeys(append(b, byte(KindSortedPop)), o.Keys), o.Count), o.Max)
}
func (o *SortedPop) decode(r *reader) {
	*o = SortedPop{list(r, o.Keys, (*reader).key), r.int(), r.bool()}
}

func (o *SortedScore) Kind() Kind { return KindSortedScore }
func (o *SortedScore) Append(b []byte) []byte {
	return appendStrings(appendKey(append(b, byte(KindSortedScore)), o.Key), o.Members)
}
func (o *SortedScore) decode(r *reader) {
	*o = SortedScore{r.key(), list(r, o.Members, (*reader).bytes)}
}

func (o *SortedRank) Kind() Kind { return KindSortedRank }
func (o *SortedRank) Append(b []byte) []byte {
	return appendBool(appendBytes(appendKey(append(b, byte(KindSortedRank)), o.Key), o.Member), o.Reverse)
}
func (o *SortedRank) decode(r *reader) { *o = SortedRank{r.key(), r.bytes(), r.bool()} }

func (o *SortedRange) Kind() Kind { return KindSortedRange }
func (o *SortedRange) Append(b []byte) []byte {
	return appendBool(appendRange(appendKey(append(b, byte(KindSortedRange)), o.Key), &o.Range), o.Count)
}
func (o *SortedRange) decode(r *reader) { *o = SortedRange{r.key(), r.rang(), r.bool()} }
