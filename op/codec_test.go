package op

import (
	"bytes"
	"math"
	"reflect"
	"testing"
)

func k(s string) Key { return Key{3, []byte(s)} }

// samples has one op of every kind with every field set to something that is not its zero.
func samples() []Op {
	v, life := []byte("value\x00\r\n"), Life{At, 1 << 60}
	tx := &Tx{Guards: []Guard{{k("a"), 7}, {k(""), 0}}}
	tx.Add(&Set{Key: k("x"), Value: v, Life: Life{In, -5}})
	tx.Add(&Get{k("x")})
	return []Op{
		&Set{k("key"), v, 1<<32 - 1, life, Cond{IfVersion, 1 << 63}, true},
		&SetMany{[]Pair{{k("a"), v}, {k("b"), []byte{}}}, true},
		&Splice{k("key"), v, true, true, Cond{IfNotNewer, 8}, 1 << 20},
		&SetRange{k("key"), 1 << 40, v},
		&Delete{[]Key{k("a"), k("b")}, Cond{IfVersion, 9}},
		&IncrBy{k("key"), -1 << 63},
		&Count{k("key"), 1<<64 - 1, true, true, 5, life, Cond{IfVersion, 1}, true},
		&Expire{k("key"), Life{Kind: Keep}, ExpireGT | ExpireXX, true},
		&Rename{k("a"), k("b"), true, true},
		&HashSet{k("h"), []Field{{[]byte("f"), v}}, true},
		&HashDelete{k("h"), [][]byte{[]byte("f"), {}}},
		&HashIncrBy{k("h"), []byte("f"), -3},
		&SetAdd{k("s"), [][]byte{v}},
		&SetRemove{k("s"), [][]byte{v, v}},
		&Flush{Memcache, true, true, Cache, Life{In, 1000}},
		tx,
		&Evict{[]Guard{{k("e"), 12}}},
		&Configure{1 << 40, [Spaces]Class{1: Session, 16: Cache}, []Rule{{Memcache, []byte("*:1:*"), Session}}},
		&Get{k("key")},
		&GetMany{[]Key{k("a"), k("b")}},
		&Exists{[]Key{k("a")}},
		&Deadline{k("key")},
		&TypeOf{k("key")},
		&Length{k("key"), Members},
		&GetRange{k("key"), -5, 1 << 50},
		&HashGet{k("h"), [][]byte{v}},
		&HashAll{k("h"), true, true},
		&SetHas{k("s"), [][]byte{v}},
		&SetAll{k("s")},
		&Versions{[]Key{k("a")}},
		&Scan{5, 1<<64 - 1, -1, []byte("*"), Hash},
		&Size{4},
		&RandomKey{4, 1 << 63},
		&Dump{[]Key{k("a")}},
		&ListPush{k("l"), [][]byte{v, {}}, true, true},
		&ListPop{[]Key{k("l"), k("m")}, 5, true},
		&ListMove{k("l"), k("m"), true, true},
		&ListSet{k("l"), -2, v},
		&ListInsert{k("l"), []byte("p"), v, true},
		&ListRemove{k("l"), -1, v},
		&ListTrim{k("l"), 1, -2},
		&SortedAdd{k("z"), []Scored{{MaxScore, v}}, SortedXX | SortedGT, true},
		&SortedRemove{k("z"), [][]byte{v}},
		&SortedCut{k("z"), Range{By: ByScore, Min: MinScore - 1, Max: MaxScore + 1, Skip: 1, Limit: -1}},
		&SortedPop{[]Key{k("z")}, 3, true},
		&SetPop{k("s"), 2, 1 << 63},
		&SetMove{k("s"), k("t"), v},
		&SetStore{k("d"), []Key{k("s"), k("t")}, Difference},
		&Store{k("z"), Sorted, []Field{{v, AppendScore(nil, MinScore)}}, life, Cond{Kind: IfAbsent}},
		&SetBit{k("b"), 1 << 31, true},
		&Publish{[]byte("news"), v, true},
		&Notify{1<<32 - 1},
		&Claim{k("key"), Life{Kind: Keep}, life, true, Life{In, 30_000}},
		&Outdate{k("key"), Life{Kind: Keep}, Cond{IfVersion, 3}},
		&ListRange{k("l"), 1, -1},
		&ListFind{k("l"), v, -1, 2, 3},
		&SortedScore{k("z"), [][]byte{v}},
		&SortedRank{k("z"), v, true},
		&SortedRange{k("z"), Range{By: ByLex, Reverse: true, From: Bound{v, Excluding}, To: Bound{[]byte{}, Highest}, Skip: 1, Limit: 2}, true},
		&Combine{[]Key{k("s")}, Intersection, true, 7},
		&Sample{k("h"), Hash, -3, 9, true},
		&ScanIn{k("h"), Hash, 1 << 60, 10, []byte("*")},
		&Describe{k("a")},
		&BitCount{k("b"), 1, -1, true},
		&BitFind{k("b"), 1, -1, true, true, true},
	}
}

func TestEveryOpSurvivesItsEncoding(t *testing.T) {
	var d Decoder
	seen := map[Kind]bool{}
	for _, o := range samples() {
		b := o.Append(nil)
		got, rest, err := d.Next(append(b, "behind"...))
		if err != nil || string(rest) != "behind" {
			t.Fatalf("%T: rest %q, error %v", o, rest, err)
		}
		if !reflect.DeepEqual(got, o) {
			t.Errorf("%T came back as\n%+v\nnot as\n%+v", o, got, o)
		}
		if seen[o.Kind()] {
			t.Errorf("%T shares its kind %d", o, o.Kind())
		}
		seen[o.Kind()] = true
		for i := range b {
			if _, _, err := d.Next(b[:i]); err == nil {
				t.Errorf("%T cut at %d of %d was taken", o, i, len(b))
			}
		}
	}
	for kind := range 256 {
		if kinds[kind].make != nil && !seen[Kind(kind)] {
			t.Errorf("no sample of kind %d", kind)
		}
	}
}

// The numbers are in every log and snapshot: a change of one is a change of format.
func TestKindsAreFixed(t *testing.T) {
	for kind, want := range map[Kind]byte{KindSet: 1, KindDelete: 5, KindTx: 16, KindConfigure: 18, KindListPush: 19, KindSetBit: 34, KindGet: 64, KindDump: 79, KindBitFind: 90} {
		if byte(kind) != want {
			t.Errorf("kind %d should be %d", kind, want)
		}
	}
}

func TestScoresAreInTheOrderOfTheirFloats(t *testing.T) {
	last := Score(0)
	for _, f := range []float64{math.Inf(-1), -math.MaxFloat64, -1.5, -1, -math.SmallestNonzeroFloat64, 0, math.SmallestNonzeroFloat64, 1, 1.5, math.MaxFloat64, math.Inf(1)} {
		s := ScoreOf(math.Float64bits(f))
		if s <= last || !s.Valid() || math.Float64frombits(s.Bits()) != f || ScoreIn(AppendScore(nil, s)) != s {
			t.Errorf("%v has the score %x, behind %x", f, s, last)
		}
		last = s
	}
	if ScoreOf(math.Float64bits(math.Copysign(0, -1))) != ScoreOf(0) || ScoreOf(math.Float64bits(math.NaN())).Valid() {
		t.Error("-0 is another score than 0, or NaN is one")
	}
}

func TestDecoderDoesNotAllocate(t *testing.T) {
	var d Decoder
	b := samples()[0].Append(nil)
	d.Next(b)
	if n := testing.AllocsPerRun(100, func() { d.Next(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDecoder(f *testing.F) {
	for _, o := range samples() {
		f.Add(o.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var d Decoder
		o, rest, err := d.Next(b)
		if err != nil {
			return
		}
		Keys(o, nil)
		// What was decoded encodes to something that decodes to the same.
		again := o.Append(nil)
		var e Decoder
		o2, rest2, err := e.Next(again)
		if err != nil || len(rest2) != 0 {
			t.Fatalf("%+v encodes to what does not decode: %v", o, err)
		}
		if !bytes.Equal(o2.Append(nil), again) {
			t.Fatalf("%+v is not stable", o)
		}
		_ = rest
	})
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "abc", true}, {"a*c", "abbc", true}, {"a*c", "abbd", false},
		{"a?c", "abc", true}, {"a?c", "ac", false}, {"[abc]", "b", true}, {"[^abc]", "b", false}, {"[a-c]x", "bx", true}, {"[c-a]", "b", true},
		{"[*]x", "*x", true}, {"[*]x", "ax", false}, {`\*x`, "*x", true}, {`\*x`, "ax", false}, {"h[a", "ha", true}, {"[", "[", false},
		{`[\]]`, "]", true}, {"*a*b*c", "xxaxxbxxc", true}, {"a**b", "ab", true}, {":1:django*", ":1:django.x", true}, {`a\`, `a\`, true},
	} {
		if got := Match([]byte(c.pattern), []byte(c.s)); got != c.want {
			t.Errorf("Match(%q, %q) is %v", c.pattern, c.s, got)
		}
	}
	long := bytes.Repeat([]byte("a"), 1<<16)
	if Match(bytes.Repeat([]byte("a*"), 500), append(long, 'b')) != true {
		t.Error("a long subject must end well")
	}
	if Match(append(bytes.Repeat([]byte("*a"), 500), "*c"...), long) {
		t.Error("a pattern of many stars must end well")
	}
}

func TestKeysOfATransaction(t *testing.T) {
	tx := &Tx{Guards: []Guard{{k("g"), 1}}}
	tx.Add(&Rename{From: k("a"), To: k("b")})
	tx.Add(&GetMany{[]Key{k("c")}})
	var names []string
	for _, key := range Keys(tx, nil) {
		names = append(names, string(key.Name))
	}
	if got := len(names); got != 4 {
		t.Errorf("keys %v", names)
	}
}
