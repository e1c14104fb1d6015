package resp

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"
)

// transcript parses all of in and returns what came of it.
func transcript(p *Parser, in []byte) string {
	var out strings.Builder
	for len(in) > 0 {
		used, need, err := p.Next(in)
		switch {
		case err != nil:
			fmt.Fprintf(&out, "error %q", err.Error())
			return out.String()
		case used == 0:
			if need <= len(in) {
				panic(fmt.Sprintf("needs %d with %d there", need, len(in)))
			}
			return out.String() + "more"
		}
		fmt.Fprintf(&out, "%q ", p.Args)
		in = in[used:]
	}
	return out.String() + "end"
}

func TestRequests(t *testing.T) {
	long := strings.Repeat("x", MaxLine+1)
	for _, c := range []struct{ in, want string }{
		{"*1\r\n$4\r\nPING\r\n", `["PING"] end`},
		{"*2\r\n$3\r\nGET\r\n$0\r\n\r\n*0\r\n", `["GET" ""] [] end`},
		{"*-1\r\nPING\r\n", `[] ["PING"] end`},
		{"*1\r\n$4\r\nPINGxxPING\n", `["PING"] ["PING"] end`},
		{"\r\n  \nPING\r\n", `[] [] ["PING"] end`},
		{"set \"a\\x41\\n\\\"\" 'it\\'s \\n' b\"c\"\r\n", `["set" "aA\n\"" "it's \\n" "bc"] end`},
		{"a \"\" ''\n", `["a" "" ""] end`},
		{"a \"b\"c\r\n", `error "ERR Protocol error: unbalanced quotes in request"`},
		{"a \"b\r\n", `error "ERR Protocol error: unbalanced quotes in request"`},
		{"a 'b\r\n", `error "ERR Protocol error: unbalanced quotes in request"`},
		{"a \"\\x4", "more"},
		{"*01\r\n", `error "ERR Protocol error: invalid multibulk length"`},
		{"*+1\r\n", `error "ERR Protocol error: invalid multibulk length"`},
		{"*\r\n", `error "ERR Protocol error: invalid multibulk length"`},
		{"*1048577\r\n", `error "ERR Protocol error: invalid multibulk length"`},
		{"*99999999999999999999\r\n", `error "ERR Protocol error: invalid multibulk length"`},
		{"*1\r\n$-1\r\n", `error "ERR Protocol error: invalid bulk length"`},
		{"*1\r\n$536870913\r\n", `error "ERR Protocol error: invalid bulk length"`},
		{"*1\r\nfoo\r\n", `error "ERR Protocol error: expected '$', got 'f'"`},
		{"*1\r\n\r\n", `error "ERR Protocol error: expected '$', got '\r'"`},
		{"*1" + long, `error "ERR Protocol error: too big mbulk count string"`},
		{"*1\r\n$1" + long, `error "ERR Protocol error: too big bulk count string"`},
		{long, `error "ERR Protocol error: too big inline request"`},
		{long + "\n", `error "ERR Protocol error: too big inline request"`},
		{"*3\r\n$1\r\na", "more"},
	} {
		if got := transcript(new(Parser), []byte(c.in)); got != c.want {
			t.Errorf("%.40q gives %s, want %s", c.in, got, c.want)
		}
	}
}

func TestStrangers(t *testing.T) {
	for in, want := range map[string]string{
		"*10\r\n":            "more",
		"*11\r\n":            `error "ERR Protocol error: unauthenticated multibulk length"`,
		"*1\r\n$16384\r\n":   "more",
		"*1\r\n$16385\r\nab": `error "ERR Protocol error: unauthenticated bulk length"`,
	} {
		if got := transcript(&Parser{Stranger: true}, []byte(in)); got != want {
			t.Errorf("%q gives %s, want %s", in, got, want)
		}
	}
}

func TestNeed(t *testing.T) {
	p := new(Parser)
	in := []byte("*2\r\n$3\r\nGET\r\n$1000\r\nab")
	used, need, err := p.Next(in)
	if want := len(in) - 2 + 1002; used != 0 || need != want || err != nil {
		t.Errorf("used %d, need %d, error %v; want 0, %d, nil", used, need, err, want)
	}
}

func TestNextDoesNotAllocate(t *testing.T) {
	p := new(Parser)
	in := []byte("*3\r\n$3\r\nSET\r\n$5\r\nkey:1\r\n$5\r\nvalue\r\nset key value\r\n")
	transcript(p, in)
	if n := testing.AllocsPerRun(100, func() {
		used, _, _ := p.Next(in)
		p.Next(in[used:])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestInt(t *testing.T) {
	for s, want := range map[string]int64{"0": 0, "-1": -1, "9223372036854775807": math.MaxInt64, "-9223372036854775808": math.MinInt64} {
		if n, ok := Int([]byte(s)); !ok || n != want {
			t.Errorf("%s is %d, %v", s, n, ok)
		}
	}
	for _, s := range []string{"", "-", "-0", "00", "01", "+1", " 1", "1 ", "9223372036854775808", "-9223372036854775809", "99999999999999999999", "1e3"} {
		if n, ok := Int([]byte(s)); ok {
			t.Errorf("%q is taken for %d", s, n)
		}
	}
}

func TestReplies(t *testing.T) {
	for _, v := range []struct {
		v    Version
		want string
	}{
		{V2, "$-1\r\n*-1\r\n*4\r\n*2\r\n*2\r\n$3\r\n1.5\r\n$3\r\ninf\r\n:1\r\n:0\r\n$2\r\nhi\r\n$2\r\n99\r\n"},
		{V3, "_\r\n_\r\n%2\r\n~2\r\n>2\r\n,1.5\r\n,inf\r\n#t\r\n#f\r\n=6\r\ntxt:hi\r\n(99\r\n"},
	} {
		b := v.v.NullArray(v.v.Null(nil))
		b = v.v.Push(v.v.Set(v.v.Map(b, 2), 2), 2)
		b = v.v.Double(v.v.Double(b, 1.5), math.Inf(1))
		b = v.v.Bool(v.v.Bool(b, true), false)
		b = v.v.BigNumber(v.v.Verbatim(b, "txt", "hi"), big.NewInt(99))
		if string(b) != v.want {
			t.Errorf("version %d: %q, want %q", v.v, b, v.want)
		}
	}
	b := Simple(Err(Integer(Bulk(Array(nil, 12), "a"), -5), "ERR a\r\nb"), "OK")
	if want := "*12\r\n$1\r\na\r\n:-5\r\n-ERR a  b\r\n+OK\r\n"; string(b) != want {
		t.Errorf("%q, want %q", b, want)
	}
}

// FuzzParser feeds the same bytes whole and in pieces: both must say the same, and neither may panic.
func FuzzParser(f *testing.F) {
	for _, s := range []string{"*2\r\n$3\r\nGET\r\n$1\r\na\r\n", "set \"a\\x41\" 'b'\r\n", "*1\r\nfoo\r\n", "*-1\r\n\r\n*0\r\nPING\r\n", "*1\r\n$-1\r\n", "a\x00b\n"} {
		f.Add([]byte(s), uint8(1), false)
	}
	f.Fuzz(func(t *testing.T, in []byte, step uint8, stranger bool) {
		whole := transcript(&Parser{Stranger: stranger}, bytes.Clone(in))
		if got := pieces(&Parser{Stranger: stranger}, in, int(step)%7+1); got != whole {
			t.Errorf("in pieces of %d: %s\nwhole: %s", int(step)%7+1, got, whole)
		}
	})
}

// pieces parses in as it arrives step bytes at a time, each time in other memory.
func pieces(p *Parser, in []byte, step int) string {
	var out strings.Builder
	start, need := 0, 1
	for end := 0; end < len(in); {
		end = min(end+step, len(in))
		for start < end && end-start >= need {
			used, n, err := p.Next(bytes.Clone(in[start:end]))
			if err != nil {
				fmt.Fprintf(&out, "error %q", err.Error())
				return out.String()
			}
			need = n
			if used == 0 {
				break
			}
			fmt.Fprintf(&out, "%q ", p.Args)
			start += used
			need = 1
		}
	}
	if start < len(in) {
		return out.String() + "more"
	}
	return out.String() + "end"
}
