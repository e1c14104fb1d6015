package redis

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"holdfast/op"
)

// bulk takes the string out of the reply that is one.
func bulk(t *testing.T, reply string) string {
	t.Helper()
	head, rest, _ := strings.Cut(reply, "\r\n")
	n, err := strconv.Atoi(strings.TrimPrefix(head, "$"))
	if err != nil || len(rest) != n+2 {
		t.Fatalf("%.100q is no string", reply)
	}
	return rest[:n]
}

func args(words ...string) string {
	b := fmt.Appendf(nil, "*%d\r\n", len(words))
	for _, w := range words {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(w), w)
	}
	return string(b)
}

// rdbValues make keys in every form that a Redis 7.0 has for them.
func rdbValues() map[string][]string {
	long, zeros := strings.Repeat("abcdefgh", 30), strings.Repeat("\x00", 5000)
	v := map[string][]string{
		"int8": {"set", "12"}, "int16": {"set", "-300"}, "int32": {"set", "70000"}, "int64": {"set", "12345678901"}, "text": {"set", "hello"},
		"packed": {"set", long}, "zeros": {"set", zeros}, "binary": {"set", "\x00\xff\r\n"}, "empty": {"set", ""},
		"list": {"rpush", "a", "-1", "300", "-40000", "9000000", "-3000000000", "5000000000000", long, "", strings.Repeat("x", 5000)},
		"ints": {"sadd", "1", "-2", "300"}, "ints4": {"sadd", "1", "70000"}, "ints8": {"sadd", "1", "-5000000000"}, "set": {"sadd", "a", "b", "1"},
		"hash": {"hset", "f", "1", "g", long, "100", "-100"}, "sorted": {"zadd", "1", "a", "-2.5", "b", "inf", "c", "0.1", "d", "1e300", "100"},
		"bigset": {"sadd"}, "bighash": {"hset"}, "bigsorted": {"zadd"}, "biglist": {"rpush"},
	}
	for i := range 700 {
		n := strconv.Itoa(i * 7919)
		v["bigset"] = append(v["bigset"], "member"+n)
		v["bighash"] = append(v["bighash"], "field"+n, n)
		v["bigsorted"] = append(v["bigsorted"], n+".5", "member"+n)
		v["biglist"] = append(v["biglist"], strings.Repeat(n, i%40))
	}
	return v
}

// TestOracleDump has values go from a real Redis to here, and from here to there, and compares what is read of them.
func TestOracleDump(t *testing.T) {
	p := dialPeer(t, startRedis(t))
	defer p.Close()
	w := newServer(t, Config{}).dial()
	reads := map[string]string{"set": "get %s", "rpush": "lrange %s 0 -1", "sadd": "sort %s alpha", "hset": "hgetall %s", "zadd": "zrange %s 0 -1 withscores"}
	for key, made := range rdbValues() {
		make := args(append([]string{made[0], key}, made[1:]...)...)
		p.ask(t, make)
		w.ask(make)
		read := fmt.Sprintf(reads[made[0]], key)
		want := p.ask(t, encode(read))
		theirs, ours := bulk(t, p.ask(t, encode("dump "+key))), bulk(t, w.ask(encode("dump "+key)))
		if reply := w.ask(args("restore", key, "0", theirs, "replace")); reply != "+OK\r\n" {
			t.Errorf("%s from there: %q", key, reply)
		}
		if reply := p.ask(t, args("restore", key, "0", ours, "replace")); reply != "+OK\r\n" {
			t.Errorf("%s from here: %q", key, reply)
		}
		same := func(a, b string) bool {
			if made[0] == "hset" {
				return unordered(a, 2) == unordered(b, 2)
			}
			return a == b
		}
		if got := w.ask(encode(read)); !same(got, want) {
			t.Errorf("%s here:\n%.300q, should be\n%.300q", key, got, want)
		}
		if got := p.ask(t, encode(read)); !same(got, want) {
			t.Errorf("%s there:\n%.300q, should be\n%.300q", key, got, want)
		}
		if reply := w.ask(args("restore", key, "0", theirs)); reply != "-BUSYKEY Target key name already exists.\r\n" {
			t.Errorf("%s again: %q", key, reply)
		}
	}
	w.expect("restore x 0 "+"abc", "-"+string(errPayload)+"\r\n")
}

// older are values as older versions packed them, without the footer.
var older = map[string]string{
	"list of ziplists":  "\x0e\x01\x1b\x1b\x00\x00\x00\x12\x00\x00\x00\x03\x00\x00\xf2\x02\x01a\x03\xc0\xff\x7f\x04\x02bc\xff",
	"hash as ziplist":   "\x0d\x11\x11\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01f\x03\x01v\xff",
	"sorted as ziplist": "\x0c\x10\x10\x00\x00\x00\x0d\x00\x00\x00\x02\x00\x00\x01m\x03\xf3\xff",
	"hash as zipmap":    "\x09\x08\x01\x01f\x02\x00vw\xff",
	"sorted with text":  "\x03\x02\x01a\x031.5\x01b\xfe",
}

func sealed(payload string) []byte {
	b := append([]byte(payload), rdbVersion, 0)
	sum := checksum(b)
	for range 8 {
		b = append(b, byte(sum))
		sum >>= 8
	}
	return b
}

func TestRestoreOfOlderForms(t *testing.T) {
	for name, want := range map[string][]string{
		"hash as ziplist": {"f=v"}, "hash as zipmap": {"f=vw"}, "sorted as ziplist": {"m=2"}, "sorted with text": {"a=1.5", "b=+Inf"},
	} {
		v, err := parseRDB(sealed(older[name]))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, f := range v.items {
			text := string(f.Value)
			if v.of == op.Sorted {
				text = strconv.FormatFloat(fromScore(op.ScoreIn(f.Value)), 'g', -1, 64)
			}
			got = append(got, string(f.Name)+"="+text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, should be %q", name, got, want)
		}
	}
}

func FuzzRDB(f *testing.F) {
	f.Add([]byte(nil))
	for _, payload := range older {
		f.Add([]byte(payload))
	}
	for _, v := range []*value{
		{op.String, []op.Field{{Value: []byte("abc")}}},
		{op.List, []op.Field{{Name: []byte("a")}, {Name: []byte("300")}}},
		{op.Hash, []op.Field{{Name: []byte("f"), Value: []byte("v")}}},
		{op.Sorted, []op.Field{{Name: []byte("m"), Value: op.AppendScore(nil, toScore(math.Inf(1)))}}},
	} {
		b := appendRDB(nil, v)
		f.Add(b[:len(b)-rdbFooter])
	}
	f.Add([]byte("\x10\x0f\x0f\x00\x00\x00\x04\x00\x81f\x02\xc1\x2c\x02\x01\x01\xff"))
	f.Add([]byte("\x00\xc3\x04\x08\x00a\x80\x00"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		v, err := parseRDB(sealed(string(payload)))
		if err != nil {
			return
		}
		again, err := parseRDB(appendRDB(nil, v))
		if err != nil || again.of != v.of || len(again.items) != len(v.items) {
			t.Fatalf("%q is not read back: %v", payload, err)
		}
		for i := range v.items {
			if !bytes.Equal(v.items[i].Name, again.items[i].Name) || !bytes.Equal(v.items[i].Value, again.items[i].Value) {
				t.Fatalf("%q: element %d", payload, i)
			}
		}
	})
}

// What is packed in a small payload takes no more memory than its bound.
func TestRestoreOfWhatIsMuchLarger(t *testing.T) {
	// A ziplist of 0s packed by LZF: what repeats is its entry of 2 bytes, "the one before has 2 bytes" and "0".
	const entries = 1 << 20
	size := 10 + 2*entries + 1
	packed := append([]byte{11}, make([]byte, 10)...)
	packed = append(packed, 2, 0xf1)
	for n := size - 1 - len(packed) + 1; n > 0; {
		run := min(n, 264)
		switch {
		case run < 3:
			packed = append(append(packed, byte(run-1)), []byte{2, 0xf1}[:run]...)
		case run < 9:
			packed = append(packed, byte(run-2)<<5, 1)
		default:
			packed = append(packed, 7<<5, byte(run-9), 1)
		}
		n -= run
	}
	packed = append(packed, 0, 255)
	node := append(append([]byte{0xc3}, appendRDBLength(nil, len(packed))...), appendRDBLength(nil, size)...)
	node = append(node, packed...)
	payload := append([]byte{rdbQuick}, appendRDBLength(nil, 2)...)
	payload = append(append(payload, node...), node...)
	for room, want := range map[uint64]int{1 << 20: 0, 100 << 20: 0, 200 << 20: 2 * entries} {
		v, err := unpackRDB(payload, room)
		if want == 0 && err == nil || want > 0 && (err != nil || len(v.items) != want) {
			t.Errorf("%d bytes with room for %d: %v", len(payload), room, err)
		}
	}
}
