package memcache

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

var (
	longestKey = strings.Repeat("k", maxKey)
	tooLongKey = longestKey + "k"
)

// numbers are boundaries and oddities, for every place where a number stands.
var numbers = []string{
	"0", "1", "5", "05", "00", "+5", "-0", "-1", "-5", "2147483645", "2147483646", "2147483647", "2147483648", "-2147483648", "-2147483649",
	"4294967295", "4294967296", "4294967297", "-4294967295", "2592000", "2592001", "1000000000", "2000000000", "9223372036854775807",
	"9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616",
	"-18446744073709551615", "-18446744073709551616", "99999999999999999999999999999999", "", "x", "5x", "x5", "0x5", "5\tx", "\t5", "5\t", "-", "+", "--5", "1.5", "1e3", "noreply",
}

// fixedScripts are sent one by one, each from an empty keyspace.
func fixedScripts() (all []script) {
	for _, sent := range fixed {
		all = append(all, script{lines(sent)})
	}
	for _, n := range numbers {
		for _, tail := range []string{"", " ", " noreply", " noreply ", " x"} {
			for _, line := range []string{
				"set a " + n + " 0 1" + tail + "\n1\nget a\nmn\n",
				"set a 0 " + n + " 1" + tail + "\n1\nget a\nmn\n",
				"cas a 0 0 1 " + n + tail + "\n1\nget a\nmn\n",
				"set a 0 0 1\n1\ncas a 0 0 1 " + n + tail + "\n1\nget a\nmn\n",
				"incr a " + n + tail + "\nmn\n",
				"set a 3 0 1\n7\nincr a " + n + tail + "\nget a\nincr a 1\nget a\n",
				"set a 3 0 2\n70\ndecr a " + n + tail + "\nget a\ndecr a 1\nget a\n",
				"set a 3 0 1\n7\ntouch a " + n + tail + "\nget a\nmn\n",
				"touch a " + n + tail + "\nmn\n",
				"gat " + n + tail + " b\nmn\n",
				"flush_all " + n + tail + "\nmn\n",
				"verbosity " + n + tail + "\nmn\n",
				"delete a " + n + tail + "\nmn\n",
				"set a 0 0 1\n1\ndelete a " + n + tail + "\nget a\nmn\n",
			} {
				all = append(all, script{lines(line)})
			}
		}
		// Lengths that count make memcached wait for the data.
		if _, ok := signed([]byte(n)); !ok || strings.HasPrefix(n, "-") || n == "2147483646" || n == "2147483647" {
			all = append(all, script{lines("set a 0 0 " + n + "\nget a\nmn\n")})
		}
	}
	all = append(all, script{appendTwice})
	for _, value := range []string{"", "\r\n", "\r\n\r\n", "get a\r\n", "\x00", "\x00\xff\x80", "END\r\n", "VALUE a 0 1\r\n", strings.Repeat("v", 70000)} {
		for _, verb := range []string{"set", "add", "replace", "append", "prepend"} {
			all = append(all,
				script{fmt.Sprintf("%s a 1 0 %d\r\n%s\r\nget a\r\n", verb, len(value), value)},
				script{fmt.Sprintf("set a 2 0 3\r\nold\r\n%s a 1 0 %d\r\n%s\r\nget a\r\n", verb, len(value), value)},
				script{fmt.Sprintf("set a 2 0 3\r\nold\r\n%s a 1 0 %d noreply\r\n%s\r\nget a\r\n", verb, len(value), value)})
		}
	}
	for _, key := range []string{"\x01", "\x7f", "\x80", "\xff\xfe", "a\rb", "\r", "a\tb", "ключ", "tokens/b'aGk='", longestKey, "noreply", "0", "\x1b[31m"} {
		all = append(all, script{fmt.Sprintf("set %s 0 0 1\r\n1\r\nget %s\r\ngets\r\ndelete %s\r\nget %s x\r\n", key, key, key, key)},
			script{fmt.Sprintf("delete %s\r\ntouch %s 5\r\nincr %s 5\r\ngat 5 %s\r\n", key, key, key, key)})
	}
	// The largest item, and one byte more.
	for _, key := range []string{"a", longestKey} {
		for flags, more := range map[int]int{0: 0, 7: 4} {
			for over := range 2 {
				n := 1<<20 - itemOverhead - len(key) - more + over
				value := strings.Repeat("x", n)
				for _, verb := range []string{"set", "add", "replace"} {
					all = append(all, script{fmt.Sprintf("set %s 0 0 1\r\n1\r\n%s %s %d 0 %d\r\n%s\r\nget %s\r\nmn\r\n", key, verb, key, flags, n, value, key)},
						script{fmt.Sprintf("%s %s %d 0 %d noreply\r\n%s\r\nget %s\r\nmn\r\n", verb, key, flags, n, value, key)})
				}
			}
		}
	}
	all = append(all,
		script{"get" + strings.Repeat(" a", 2000) + "\r\n"},
		script{"set a 0 0 1\r\n1\r\nget" + strings.Repeat(" a b", 2000) + "  \r\nmn\r\n"},
		script{"set a 0 0 1\r\n1\r\ngets" + strings.Repeat(" a", 22) + "\r\nmn\r\n"},
		script{"gets a\r\nmn\r\nget" + strings.Repeat(" "+longestKey, 1000) + "\r\n"},
		script{"get" + strings.Repeat(" a", 50) + " " + tooLongKey + " b\r\nmn\r\n"},
		script{"set a 0 0 1\r\n1\r\ngets a\r\n", "cas a 5 0 1 {cas}\r\n2\r\ngets a\r\n", "cas a 5 0 1 {cas} noreply\r\n3\r\ngets a\r\n", "get a\r\n"},
		script{"set a 0 0 1\r\n1\r\ngets a\r\n", "set a 0 0 1\r\n1\r\ncas a 5 0 1 {cas}\r\n2\r\ngets a\r\n", "delete a\r\ncas a 5 0 1 {cas}\r\n3\r\nget a\r\n"},
		script{"set a 0 0 1\r\n1\r\ngets a\r\n", "append a 0 0 1\r\n1\r\ncas a 5 0 1 {cas}\r\n2\r\ngets a\r\n", "incr a 1\r\ncas a 5 0 1 {cas}\r\n3\r\nget a\r\n"},
		script{"set a 0 0 1\r\n1\r\ngets a\r\n", "get a\r\nadd a 0 0 1\r\n1\r\ncas a 5 0 1 {cas}\r\n2\r\ngets a\r\n"},
		script{"set a 0 0 1\r\n1\r\ngets a\r\n", "cas a 0 -1 1 {cas}\r\n2\r\ngets a\r\n"},
	)
	return all
}

// fixed has scripts of one part, with \n for \r\n.
var fixed = []string{
	"get\n", "get \n", "get a\n", "get a \n", "  get a\n", "GET a\n", "g\n", "\n", "\n\n\n", "get a\nget b\n", "gets\n", "gets \n", "gat\n", "gat 0\n", "gat x\n", "gat 0 a\n",
	"gat x a\n", "gats 0 a b c\n", "get a\r\n", "mn\r\n", "get\ta\n", "gett a\n", "m\n", "mx\n", "mn x\n", "mnn\n", "foo\n", "foo bar\n",
	"get " + tooLongKey + "\n", "get a " + tooLongKey + " b\n", "get a b " + tooLongKey + "\n", "gat 0 " + tooLongKey + "\n", "set " + tooLongKey + " 0 0 1\n1\n",
	"delete " + tooLongKey + "\n", "delete " + tooLongKey + " 1\n", "incr " + tooLongKey + " 1\n", "incr " + tooLongKey + " x\n", "touch " + tooLongKey + " x\n",
	"set a 0 0 1\n1\nget a a a\n", "set a 0 0 1 \n1\nget a \n", "set  a   0  0  1  \n1\nget   a   b  \n",
	"set\n", "set a\n", "set a 0\n", "set a 0 0\n1\n", "set a 0 0 1 noreply x\n1\nget a\n", "set a 0 0 1 NOREPLY\n1\nget a\n", "set a 0 0 x noreply\n1\nmn\n",
	"append a 0 0\n1\n", "cas a 0 0 1\n1\n", "cas a 0 0 1 noreply\n1\nmn\n", "cas a 0 0 1 1 noreply\n1\nmn\n", "cas a 0 0 1 1 x x\n1\nmn\n", "cas a 0 0 -1 x\n1\nmn\n",
	"set a 0 0 1\n12\nmn\n", "set a 0 0 1\n12345\nmn\n", "set a 0 0 3\n1\nmn\nmn\n", "set a 0 0 1 noreply\n1234\nmn\n", "add a 0 0 1\n12\nmn\n", "append a 0 0 1\n12\nmn\n",
	"shutdown\n", "shutdown graceful\n", "shutdown x\n", "verbosity\n", "verbosity 0\n", "verbosity 1 2\n", "verbosity 1 2 3\n", "verbosity 0 noreply\nmn\n", "verbosity noreply\nmn\n",
	"verbosity 0 0 noreply\nmn\n", "version\n", "version x\n", "version noreply\n", "quit\nmn\n", "quit x\nmn\n", "quit noreply\nmn\n",
	"flush_all\n", "flush_all \n", "flush_all 0 1\n", "flush_all noreply\nmn\n", "flush_all noreply 0\nmn\n", "flush_all x noreply\nmn\n", "flush_all 1 2 3\nmn\n", "flush_all 1 2 noreply\nmn\n",
	"set a 0 0 1\n1\nflush_all\nget a\n", "set a 0 0 1\n1\nflush_all 0\nget a\n", "set a 0 0 1\n1\nflush_all 100\nget a\n", "set a 0 0 1\n1\nflush_all -1\nget a\n", "set a 0 0 1\n1\nflush_all noreply\nget a\n",
	"set a 0 0 1\n1\nflush_all 4294967295\nget a\n", "set a 0 0 1\n1\nflush_all 2000000000\nget a\n",
	"stats foo\n", "stats noreply\nmn\n", "stats detail\n", "stats detail x\n", "stats detail dump\n", "stats detail on\nstats detail off\n", "stats reset\n", "stats reset x\n", "stats x y z\n", "stats extstore\n", "stats malloc\n",
	"stats sizes\n",
	"incr\n", "incr a\n", "incr a 1 x\n", "incr a 1 x y\n", "incr a 1 noreply\nmn\n", "touch\n", "touch a\n", "touch a 0 x\n", "touch a 0 x y\n", "touch a noreply\nmn\n",
	"delete\n", "delete a\n", "delete a 0\n", "delete a 1\n", "delete a noreply\nmn\n", "delete noreply\nmn\n", "delete a 0 noreply\nmn\n", "delete a noreply 0\nmn\n", "delete a 0 0\nmn\n",
	"delete a 1 noreply\nmn\n", "delete a 0 noreply x\nmn\n", "delete a 00\n", "delete a noreply noreply\nmn\n", "delete a 0 x\nmn\n",
	"GET / HTTP/1.1\nHost: x\n\n", "POST / HTTP/1.1\nmn\n", "get / HTTP/1.1\nmn\n", "foo HTTP/1.1\nmn\n", "HTTP/1.1\nmn\n", "GET / HTTP/1.1 \nmn\n", "mn\nPUT / HTTP/1.1\nmn\n",
	"mn\n\x80\x00\nmn\n", "\x81mn\nmn\n",
	"set a\x00b 0 0 1\n1\nget a\x00b\nmn\n", "get \x00\n", "get a\x00 b\n", "\x00\nmn\n", "get\x00\nmn\n", "mn\x00x\nmn\n",
	"set a 0 0 1\n1\nadd a 0 -1 1\n2\nreplace a 0 -1 1\n2\nget a\nreplace a 0 0 1\n3\nadd a 0 -1 1\n2\nadd a 0 0 1\n2\nget a\n",
	"set a 0 0 1\n1\ntouch a -1\nget a\ntouch a 0\n", "set a 1 0 1\n1\nappend a 7 100 1\n2\nget a\nprepend a 0 0 1\n0\nget a\n", "set a 1 0 1\n1\nappend a 7 -1 1\n2\nget a\n",
	"set a 5 0 0\n\nincr a 1\nget a\n", "set a 5 0 20\n18446744073709551615\nincr a 1\nget a\n", "set a 5 0 20\n18446744073709551616\nincr a 1\nget a\n", "set a 5 0 2\n5x\nincr a 1\nget a\n",
	"set a 5 0 2\n-5\nincr a 1\nget a\n", "set a 5 0 3\nabc\ndecr a 1\nget a\n", "set a 5 0 2\n10\ndecr a 11\nget a\n", "set a 5 100 2\n99\nincr a 1\ngat 0 a\nget a\n",
	"set a 0 100 1\n1\ngat 50 a b a\ntouch a 10\nget a\n", "set a 0 0 1 noreply\n1\nset b 0 0 1 noreply\n2\nget b a\ndelete a noreply\nget a b\n",
}

// loginScripts are what clients say where they have to log in.
var loginScripts = []string{
	"get a\n", "version\n", "quit\n", "\n", "add a 0 0 10\n", "set a 0 0 10\nbob secret\nget a\n", "set a 0 0 10\nbob secreT\n", "set a 0 0 10 noreply\nbob secret\nget a\n",
	"set a 0 0\n", "set a x y 10\nbob secret\nget a\n", "set a 0 0 3\nbob\n", "set a 0 0 12\nbob secret x\nget a\n", "set a 0 0 14\n  bob   secret\nget a\n", "set a 0 0 x\n", "set a 0 0 -1\n",
	"set a 0 0 10\nbob secret\nset a 0 0 3\nbob\nget a\n", "set a 0 0 0\n\n", "set " + tooLongKey + " 0 0 10\nbob secret\nversion\n", "set a 0 0 10 a b c\nbob secret\n", "set a 0 0 10\nbob\x00secret\n",
	"set a 0 0 10\nBob secret\n", "set a 0 0 9\nbob secre\n", "set a 0 0 11\nbob secrets\n", "set a 0 0 10\nbob\tsecret\n",
}

// differences are what is on purpose not as in memcached, with what is answered instead (\n for \r\n).
var differences = []struct {
	why  string
	sent script
	ours string
}{
	{"a touch is a change, so the unique number is another (watchers and other controllers see it)",
		script{"set a 0 0 1\r\n1\r\ngets a\r\n", "touch a 100\r\ncas a 0 0 1 {cas}\r\n2\r\n"}, "STORED\nVALUE a 0 1 cas1\n1\nEND\nTOUCHED\nEXISTS\n"},
	{"R asks what the item had to live when the command came, also behind a T", script{"ms a 1 T100\r\n1\r\nmg a T10 R50\r\n"}, "HD\nHD\n"},
	{"what mg creates has the life of N from the beginning", script{"mg a t N100\r\n"}, "HD t100 W\n"},
	{"the unique number is looked at before the value, also of an empty one", script{"ms a 0\r\n\r\nma a C1\r\n"}, "HD\nEX\n"},
	{"a key is shown as it is asked for, not as it was when it was stored", script{"ms ZGQ= 2 b\r\n11\r\nmg dd k\r\n"}, "HD\nHD kdd\n"},
	{"ma with q is quiet also when it creates", script{"ma a q J5 N0\r\nma a v\r\n"}, "VA 1\n6\n"},
	{"an encoded key is one or it is not", script{"me YQ=x b\r\n"}, badFormat + "\n"},
	{"a key that is too long takes only its own command's values with it, not the replies to those before in the same packet",
		script{"set a 0 0 1\r\n1\r\nget a " + tooLongKey + "\r\nmn\r\n"}, "STORED\n" + badFormat + "\nMN\n"},
	{"a line over the limit closes the connection however it came; memcached minds only those that came in parts",
		script{strings.Repeat("x", maxLine+1) + "\r\nmn\r\n"}, ""},
	{"there are no slabs, LRU and crawlers to tune", script{"slabs automove 1\r\nlru mode segmented\r\nlru_crawler crawl all\r\n"}, "ERROR\nERROR\nERROR\n"},
	{"the limit of memory is a setting", script{"cache_memlimit 64\r\n"}, "ERROR\n"},
	{"logs are not for clients", script{"watch\r\n"}, "ERROR\n"},
	{"a command that nobody has sent for ten years", script{"bget a\r\n"}, "ERROR\n"},
	{"an unknown command with HTTP at its end closes the connection, whatever its first letter", script{"sfoo HTTP/1.1\r\nmn\r\n"}, ""},
	{"a delay that is a time in the past is none; memcached does nothing", script{"set a 0 0 1\r\n1\r\nflush_all 1000000000\r\nget a\r\n"}, "STORED\nOK\nEND\n"},
	{"an item too large is refused before its data has come", script{"set a 0 0 2147483645\r\nget a\r\n"}, objectTooLarge + "\n"},
	{"an item without a deadline has the time 0; memcached says when the server started", script{"set a 0 0 1\r\n1\r\nstats cachedump 1 0\r\nstats cachedump 2 0\r\n"}, "STORED\nITEM a [1 b; 0 s]\nEND\nEND\n"},
	{"sizes are not counted", script{"stats sizes_enable\r\n"}, "ERROR\n"},
	{"a counter is digits and nothing else", script{"set a 0 0 3\r\n5 x\r\nincr a 1\r\nset a 0 0 2\r\n+5\r\nincr a 1\r\n"},
		"STORED\n" + notNumeric + "\nSTORED\n" + notNumeric + "\n"},
}

var appendTwice = fmt.Sprintf("set a 0 0 600000\r\n%s\r\nappend a 0 0 600000\r\n%[1]s\r\n", strings.Repeat("x", 600000))

// generate makes a script of some commands from a seed: mostly whole ones, some with something wrong.
func generate(seed uint64) script {
	g := generator{rand.New(rand.NewPCG(seed, 7))}
	var b strings.Builder
	for range 1 + g.IntN(20) {
		g.command(&b)
	}
	b.WriteString("mn\r\nmn\r\n") // memcached drops its replies when the end of the input comes within a data block
	return script{b.String()}
}

type generator struct{ *rand.Rand }

func (g generator) one(of ...string) string { return of[g.IntN(len(of))] }

func (g generator) key() string {
	if g.IntN(30) > 0 {
		return g.one("a", "b", "c", "a", "b", "k\x80\xff", "\x01", "a\rb", longestKey[1:])
	}
	b := make([]byte, 1+g.IntN(20))
	for i := range b {
		b[i] = byte(1 + g.IntN(255))
		if b[i] == '\n' || b[i] == ' ' {
			b[i] = 'x'
		}
	}
	return string(b)
}

func (g generator) value() string {
	if g.IntN(3) == 0 {
		// None at or above 2^63: before it counts in such a one, memcached looks for a '-' also behind its end, in whatever stood there before.
		return g.one("", "0", "9", "10", "99", "9223372036854775807", "9223372036854775806", "abc")
	}
	b := make([]byte, g.IntN(40))
	for i := range b {
		b[i] = "\r\n \x00\xffabc"[g.IntN(8)]
	}
	if v := string(b); strings.TrimSpace(v) != "" {
		return v
	}
	return "" // of blanks alone memcached makes a number with the help of whatever stands behind them
}

// number is mostly a sensible one of the kind that is asked for.
func (g generator) number(sensible ...string) string {
	if g.IntN(8) > 0 {
		return g.one(sensible...)
	}
	return g.one(numbers...)
}

func (g generator) tail() string {
	return g.one("", "", "", "", " noreply", " noreply", " noreply", " ", "  ", " noreply ", " x", " 0", " noreply x")
}

func (g generator) exptime() string {
	return g.number("0", "0", "100", "-1", "2000000000", "4294967295")
}

func (g generator) command(b *strings.Builder) {
	switch g.IntN(12) {
	case 0, 1, 2, 3:
		g.store(b)
		return
	case 4, 5, 6:
		b.WriteString(g.one("get", "get", "gets"))
		for range g.IntN(30) {
			b.WriteString(" " + g.key())
		}
	case 7:
		fmt.Fprintf(b, "%s %s", g.one("gat", "gats"), g.one("0", "100", "x", "2000000000", "-1"))
		for range g.IntN(4) {
			b.WriteString(" " + g.key())
		}
	case 8:
		fmt.Fprintf(b, "%s %s %s%s", g.one("incr", "decr"), g.key(), g.number("1", "9", "100", "9223372036854775807"), g.tail())
	case 9:
		fmt.Fprintf(b, "touch %s %s%s", g.key(), g.exptime(), g.tail())
	case 10:
		fmt.Fprintf(b, "delete %s%s", g.key(), g.one("", "", " 0", " noreply", " 0 noreply", g.tail()))
	case 11:
		// No flush_all with a delay: in memcached it brings back what another flush_all has removed.
		b.WriteString(g.one("mn", "version", "flush_all", "flush_all noreply", "flush_all 0", "verbosity 0", "", "bogus", "\x00", "stats detail dump", "shutdown"))
	}
	b.WriteString(g.one("", "", "", "", " ", "\r", "\x00 x") + g.one("\r\n", "\r\n", "\r\n", "\n"))
}

func (g generator) store(b *strings.Builder) {
	value := g.value()
	length := len(value)
	if g.IntN(40) == 0 {
		length = max(0, length+g.IntN(5)-2)
	}
	verb := g.one("set", "set", "set", "add", "replace", "append", "prepend", "cas")
	fmt.Fprintf(b, "%s %s %s %s %d", verb, g.key(), g.number("0", "1", "4294967295"), g.exptime(), length)
	if verb == "cas" {
		b.WriteString(" " + g.number("0", "1"))
	}
	b.WriteString(g.tail() + "\r\n" + value + "\r\n")
}
