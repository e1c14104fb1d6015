//go:build linux

package load

import (
	"bufio"
	"bytes"
	"math"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestHistogramQuantiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h, half Histogram
	var values []float64
	for i := range 20000 {
		v := uint64(math.Exp(rng.Float64() * 25)) // 1 ns to 72 s
		values = append(values, float64(v))
		if i%2 == 0 {
			h.Record(v)
		} else {
			half.Record(v)
		}
	}
	h.Add(&half)
	slices.Sort(values)
	for _, q := range []float64{0, 0.5, 0.99, 0.999, 0.9999} {
		want, got := values[int(q*20000)], h.Quantile(q)
		if math.Abs(got-want) > want/128 {
			t.Errorf("quantile %g: %g, want %g to 1/128", q, got, want)
		}
	}
	if h.Count() != 20000 || float64(h.Max()) != values[19999] || h.Quantile(1) != values[19999] {
		t.Errorf("count %d, max %d, quantile 1 %g; want 20000 and %g", h.Count(), h.Max(), h.Quantile(1), values[19999])
	}
}

func TestHistogramBounds(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 || h.Max() != 0 {
		t.Error("an empty histogram is not 0")
	}
	before := -1
	for _, v := range []uint64{0, 1, 127, 128, 129, 130, 255, 256, 258, 1 << 20, 1<<20 + 1<<13, 1 << 62, math.MaxUint64} {
		b := bucket(v)
		if b < before || b >= len(h.counts) {
			t.Errorf("bucket(%d) = %d after %d", v, b, before)
		}
		if m := middle(b); math.Abs(m-float64(v)) > float64(v)/128+0.5 {
			t.Errorf("middle of the bucket of %d is %g", v, m)
		}
		before = b
		h.Record(v)
	}
}

func TestReplies(t *testing.T) {
	for _, c := range []struct {
		name, protocol, text  string
		replies               int
		misses, errors        uint64
		firstError, wantError string
	}{
		{"value", "redis", "$5\r\nhello\r\n", 1, 0, 0, "", ""},
		{"value with line ends in it", "redis", "$6\r\n\r\n$-1\r\r\n+OK\r\n", 2, 0, 0, "", ""},
		{"empty value", "redis", "$0\r\n\r\n:1\r\n", 2, 0, 0, "", ""},
		{"miss", "redis", "$-1\r\n+OK\r\n", 2, 1, 0, "", ""},
		{"error", "redis", "-OOM no\r\n-ERR x\r\n", 2, 0, 2, "-OOM no", ""},
		{"array", "redis", "*1\r\n", 0, 0, 0, "", "unexpected"},
		{"no length", "redis", "$x\r\n", 0, 0, 0, "", "no number"},
		{"huge length", "redis", "$99999999999\r\n", 0, 0, 0, "", "no number"},
		{"bare line feed", "redis", "+OK\n", 0, 0, 0, "", "CR LF"},
		{"endless line", "redis", "+" + strings.Repeat("x", 600), 0, 0, 0, "", "reply line of more"},
		{"memcached value", "memcache", "VALUE k 0 3\r\nabc\r\nEND\r\nSTORED\r\n", 2, 0, 0, "", ""},
		{"memcached miss", "memcache", "END\r\nEND\r\n", 2, 2, 0, "", ""},
		{"memcached error", "memcache", "SERVER_ERROR out of memory\r\n", 1, 0, 1, "SERVER_ERROR out of memory", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for piece := 1; piece <= len(c.text); piece++ {
				var p replies
				var seen Tally
				got, err := 0, error(nil)
				for b := range slices.Chunk([]byte(c.text), piece) {
					var n int
					if n, err = p.feed(b, c.protocol[0], &seen); err != nil {
						break
					}
					got += n
				}
				if c.wantError != "" {
					if err == nil && piece < len(c.text) || err != nil && !strings.Contains(err.Error(), c.wantError) {
						t.Fatalf("in pieces of %d: error %v, want one with %q", piece, err, c.wantError)
					}
					continue
				}
				if err != nil || got != c.replies || seen != (Tally{c.errors, c.misses, c.firstError}) {
					t.Fatalf("in pieces of %d: %d replies, %+v, %v", piece, got, seen, err)
				}
			}
		})
	}
}

func FuzzReplies(f *testing.F) {
	f.Add([]byte("$5\r\nhello\r\n+OK\r\n"), 3)
	f.Add([]byte("VALUE k 0 3\r\nabc\r\nEND\r\n"), 1)
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		if cut < 0 || cut > len(text) {
			return
		}
		for _, protocol := range []byte("rm") {
			var whole, parts replies
			var a, b Tally
			n, err := whole.feed(text, protocol, &a)
			n1, err1 := parts.feed(text[:cut], protocol, &b)
			n2, err2 := 0, error(nil)
			if err1 == nil {
				n2, err2 = parts.feed(text[cut:], protocol, &b)
			}
			if err == nil && err1 == nil && err2 == nil && (n != n1+n2 || a != b) {
				t.Errorf("%q: %d replies at once, %d + %d in two parts", text, n, n1, n2)
			}
		}
	})
}

func TestSweepNamesEveryKeyOnce(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 64, 65, 1000, 4096} {
		for seed := range uint64(3) {
			seen := make([]bool, n)
			for i := range n {
				k := shuffled(i, n, seed)
				if k < 0 || k >= n || seen[k] {
					t.Fatalf("n %d seed %d: position %d is %d again or out of range", n, seed, i, k)
				}
				seen[k] = true
			}
		}
	}
}

func TestSourceMakesWellFormedRequests(t *testing.T) {
	for _, protocol := range []string{"redis", "memcache"} {
		cfg := &Config{Protocol: protocol, Depth: 7, Keys: 20, Value: 100, ValueMax: 300, Sweep: true, Conns: 1, Threads: 2}
		keys := map[string]bool{}
		for w := range 2 {
			s := newSource(cfg, w, 2)
			for b, n := s.fill(); n > 0; b, n = s.fill() {
				for _, k := range keysOf(t, b, protocol) {
					keys[k] = true
				}
			}
		}
		if len(keys) != 20 || !keys[Key(0)] || !keys[Key(19)] {
			t.Errorf("%s: a sweep over 20 keys stored %d", protocol, len(keys))
		}
	}
}

// keysOf parses SETs strictly and returns their keys.
func keysOf(t *testing.T, b []byte, protocol string) (keys []string) {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(b))
	line := func() string {
		l, err := r.ReadString('\n')
		if err != nil || !strings.HasSuffix(l, "\r\n") {
			t.Fatalf("line %q: %v", l, err)
		}
		return strings.TrimSuffix(l, "\r\n")
	}
	value := func(head string) string {
		n, err := number([]byte(head))
		text := line()
		if err != nil || len(text) != n {
			t.Fatalf("%q announces %d bytes", head, len(text))
		}
		return text
	}
	for r.Buffered() > 0 || len(keys) == 0 {
		head := line()
		if protocol == "memcache" {
			f := strings.Fields(head)
			if len(f) != 5 || f[0] != "set" {
				t.Fatalf("request %q", head)
			}
			value(f[4])
			keys = append(keys, f[1])
		} else {
			if head != "*5" {
				t.Fatalf("request %q", head)
			}
			var args []string
			for range 5 {
				args = append(args, value(line()[1:]))
			}
			if args[0] != "SET" || args[3] != "EX" || args[4] < "3600" || args[4] > "7199" {
				t.Fatalf("request %.80q", args)
			}
			keys = append(keys, args[1])
		}
		if _, err := r.Peek(1); err != nil {
			break
		}
	}
	return keys
}

// stub answers every request that begins with '*' by a constant, after a pause.
func stub(t *testing.T, pause time.Duration) string {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, 64<<10)
				for {
					n, err := c.Read(b)
					if err != nil {
						return
					}
					time.Sleep(pause)
					c.Write([]byte(strings.Repeat("+OK\r\n", bytes.Count(b[:n], []byte("*")))))
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestRunClosedLoop(t *testing.T) {
	res, err := Run(Config{Addr: stub(t, 0), Protocol: "redis", Conns: 4, Depth: 2, Threads: 2, Keys: 10, Value: 10, Sets: 5, Measure: 50 * time.Millisecond})
	if err != nil || res.Requests == 0 || res.Errors != 0 || res.P50 <= 0 {
		t.Fatalf("%+v %v", res, err)
	}
}

func TestRunSweep(t *testing.T) {
	res, err := Run(Config{Addr: stub(t, 0), Protocol: "redis", Conns: 3, Depth: 4, Threads: 1, Keys: 101, Value: 10, Sweep: true})
	if err != nil || res.Requests != 101 {
		t.Fatalf("%+v %v", res, err)
	}
}

// One connection to a server that takes 5 ms can answer 200 requests a second: of 1000 a second the later ones wait in line, and
// their wait must show although they were not sent yet.
func TestOpenLoopCountsFromTheIntendedInstant(t *testing.T) {
	res, err := Run(Config{Addr: stub(t, 5*time.Millisecond), Protocol: "redis", Conns: 1, Depth: 1, Threads: 1, Rate: 1000, Keys: 10, Value: 10, Sets: 5,
		Measure: 100 * time.Millisecond})
	if err != nil || res.P50 < 50_000 || res.Max < 200_000 {
		t.Fatalf("half of the requests waited less than 50 ms: %+v %v", res, err)
	}
}

func TestBusyLeavesIdleAndStolenTimeOut(t *testing.T) {
	got, err := busy("cpu  100 20 3000 1000000 500 7 3 99999 50 0")
	if err != nil || got != 31.30 {
		t.Errorf("busy: %g %v, want 31.30", got, err)
	}
	if _, err := busy("intr 1 2 3"); err == nil {
		t.Error("another line was taken")
	}
}
