package memcache

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The oracle is a real memcached: the same bytes go to it and to the dialect, and the same bytes have to come back.
// corpus_test.go has what is sent.

// oracle starts a memcached and returns its address.
func oracle(t *testing.T, args ...string) string {
	path, err := exec.LookPath("memcached")
	if err != nil {
		t.Skip("memcached is not installed: make test installs it")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	args = append([]string{"-l", "127.0.0.1", "-p", port, "-U", "0", "-t", "1", "-m", "128"}, args...)
	if os.Getuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	cmd := exec.Command(path, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr
		}
		if time.Now().After(deadline) {
			t.Fatalf("memcached does not listen at %s", addr)
		}
	}
}

// script is what one connection sends. A part is sent when the replies to the one before have ended with END; "{cas}" in it is the last
// unique number that they had.
type script []string

var uniqueNumber = regexp.MustCompile(`VALUE [^\n]+ \d+ \d+ (\d+)\r\n`)

func insertUnique(part, replies string) string {
	if found := uniqueNumber.FindAllStringSubmatch(replies, -1); len(found) > 0 {
		return strings.ReplaceAll(part, "{cas}", found[len(found)-1][1])
	}
	return part
}

// askOracle plays s on a connection of its own. Its end is the end of the sending: memcached answers all there was before it closes.
func askOracle(t *testing.T, addr string, s script) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	var replies []byte
	for i, part := range s {
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			io.WriteString(c, insertUnique(part, string(replies)))
			if i == len(s)-1 {
				c.(*net.TCPConn).CloseWrite()
			}
		}()
		from := len(replies)
		for i == len(s)-1 || !bytes.HasSuffix(replies[from:], []byte("END\r\n")) {
			var buf [16 << 10]byte
			n, err := c.Read(buf[:])
			replies = append(replies, buf[:n]...)
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				t.Fatalf("%.300q: no end after %.300q", s, replies)
			}
			if err != nil {
				break // closed by memcached, perhaps with input unread
			}
		}
		<-sent
	}
	return string(replies)
}

// askDialect plays it on a client of the dialect.
func askDialect(c *client, s script) string {
	var replies string
	for _, part := range s {
		replies += c.send(insertUnique(part, replies))
	}
	return replies
}

var (
	valueLine = regexp.MustCompile(`^VALUE ([^\n ]+) (\d+) (\d+)( \d+)?\r\n`)
	metaValue = regexp.MustCompile(`^VA (\d+)([^\n]*)\r\n`)
	metaCode  = regexp.MustCompile(`^(HD|EN|NF|EX|NS)[^\n]*\r\n`)
	metaCas   = regexp.MustCompile(` c\d+`)
)

// plainKeys are the generator's encoded keys as they are when they are not: memcached shows a key as it was stored.
var plainKeys = strings.NewReplacer(" kYQ== b", " ka", " kYg== b", " kb", " kYw== b", " kc", " k/w== b", " k\xff")

// normalMeta rewrites the flags of a meta answer: unique numbers are not compared, and a second may have passed for one of both.
func normalMeta(flags string) string {
	flags = plainKeys.Replace(flags)
	return strings.ReplaceAll(metaCas.ReplaceAllString(flags, " c"), " t99", " t100")
}

// normal rewrites replies so that they can be compared: unique numbers become their order of appearance, and counters lose the blanks that
// memcached leaves behind them when they become shorter.
func normal(replies string) string {
	var b strings.Builder
	seen := map[string]int{}
	for replies != "" {
		if m := valueLine.FindStringSubmatch(replies); m != nil {
			n, _ := strconv.Atoi(m[3])
			if rest := replies[len(m[0]):]; len(rest) >= n {
				value := strings.TrimRight(rest[:n], " ")
				b.WriteString("VALUE " + m[1] + " " + m[2] + " " + strconv.Itoa(len(value)))
				if m[4] != "" {
					if seen[m[4]] == 0 {
						seen[m[4]] = len(seen) + 1
					}
					b.WriteString(" cas" + strconv.Itoa(seen[m[4]]))
				}
				b.WriteString("\r\n" + value)
				replies = rest[n:]
				continue
			}
		}
		if m := metaValue.FindStringSubmatch(replies); m != nil {
			n, _ := strconv.Atoi(m[1])
			if rest := replies[len(m[0]):]; len(rest) >= n {
				value := strings.TrimRight(rest[:n], " ")
				flags := regexp.MustCompile(` s\d+`).ReplaceAllString(m[2], fmt.Sprint(" s", len(value)))
				b.WriteString("VA " + strconv.Itoa(len(value)) + normalMeta(flags) + "\r\n" + value)
				replies = rest[n:]
				continue
			}
		}
		if m := metaCode.FindString(replies); m != "" {
			b.WriteString(normalMeta(m))
			replies = replies[len(m):]
			continue
		}
		end := strings.IndexByte(replies, '\n') + 1
		if end == 0 {
			end = len(replies)
		}
		b.WriteString(replies[:end])
		replies = replies[end:]
	}
	return b.String()
}

// both plays s on both, from an empty keyspace.
func both(t *testing.T, addr string, s script) (theirs, ours string) {
	t.Helper()
	if got := askOracle(t, addr, script{"flush_all\r\n"}); got != "OK\r\n" {
		t.Fatalf("flush_all: %q", got)
	}
	c := newClient(Config{FlushAll: "all"})
	c.send(strings.Repeat("set x 0 0 1\r\n1\r\n", 20) + "delete x\r\n") // unique numbers that are no longer small
	theirs = askOracle(t, addr, s)
	return normal(theirs), normal(askDialect(c, s))
}

func TestOracle(t *testing.T) {
	addr := oracle(t)
	for _, s := range fixedScripts() {
		if theirs, ours := both(t, addr, s); theirs != ours {
			t.Errorf("sent      %s\nmemcached %s\nholdfast  %s", brief(s...), brief(theirs), brief(ours))
		}
	}
}

var casOrder = regexp.MustCompile(` cas\d+\r\n`)

func TestOracleGenerated(t *testing.T) {
	addr := oracle(t)
	n := 1500
	if testing.Short() {
		n = 150
	}
	for seed := range n {
		s := generate(uint64(seed))
		theirs, ours := both(t, addr, s)
		// Touches make the unique numbers differ; see differences.
		theirs, ours = casOrder.ReplaceAllString(theirs, " cas\r\n"), casOrder.ReplaceAllString(ours, " cas\r\n")
		if theirs != ours {
			t.Errorf("seed %d sent\n%s\nmemcached %s\nholdfast  %s", seed, brief(s...), brief(theirs), brief(ours))
			break
		}
	}
}

// TestDifferences keeps the list of differences true: each is there.
func TestDifferences(t *testing.T) {
	addr := oracle(t)
	for _, d := range differences {
		theirs, ours := both(t, addr, d.sent)
		if theirs == ours {
			t.Errorf("%s: no difference to memcached any more:\nsent %s\nboth %s", d.why, brief(d.sent...), brief(ours))
		}
		if want := lines(d.ours); ours != want {
			t.Errorf("%s:\nsent %s\n got %s\nwant %s", d.why, brief(d.sent...), brief(ours), brief(want))
		}
	}
}

func TestOracleLogin(t *testing.T) {
	file, err := os.CreateTemp("", "users") // not in t.TempDir, which memcached's user may not enter
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(file.Name())
	file.WriteString("bob:secret\n")
	file.Chmod(0o644)
	file.Close()
	addr := oracle(t, "-Y", file.Name())
	d := New(Config{Users: userSet(t, "user default off", "user bob on >secret ~* &* +@all")})
	for _, sent := range loginScripts {
		s := script{lines(sent)}
		theirs, ours := askOracle(t, addr, s), askDialect(d.client(newClient(Config{}).e), s)
		if theirs != ours {
			t.Errorf("sent      %s\nmemcached %s\nholdfast  %s", brief(s...), brief(theirs), brief(ours))
		}
	}
}

// brief quotes texts and leaves out the middle of long ones.
func brief(texts ...string) string {
	var b strings.Builder
	for _, s := range texts {
		if len(s) > 1000 {
			s = s[:500] + "..." + s[len(s)-500:]
		}
		b.WriteString(strconv.Quote(s) + " ")
	}
	return b.String()
}
