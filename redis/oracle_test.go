package redis

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"holdfast/resp"
)

// split takes a line apart as the inline parser does.
func split(line string) []string {
	var p resp.Parser
	if _, _, err := p.Next([]byte(line + "\n")); err != nil {
		panic(line + ": " + err.Error())
	}
	var words []string
	for _, a := range p.Args {
		words = append(words, string(a))
	}
	return words
}

// startRedis starts a real redis-server on a free port.
func startRedis(t *testing.T, args ...string) string {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed: no oracle to compare with (make prepare installs it)")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir()}, args...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	for end := time.Now().Add(10 * time.Second); ; {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr
		}
		if time.Now().After(end) {
			t.Fatal("redis-server does not answer")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// peer is a connection to the real server.
type peer struct {
	net.Conn
	r *bufio.Reader
}

func dialPeer(t *testing.T, addr string) *peer {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return &peer{c, bufio.NewReader(c)}
}

func (p *peer) ask(t *testing.T, b string) string {
	p.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(p, b); err != nil {
		return "(closed)"
	}
	var out bytes.Buffer
	err := readReply(p.r, &out)
	if errors.Is(err, io.EOF) {
		return out.String() + "(closed)"
	}
	if err != nil {
		t.Fatalf("%.60q after %.200q: %v", b, out.String(), err)
	}
	return out.String()
}

// readReply copies one reply of either format.
func readReply(r *bufio.Reader, out *bytes.Buffer) error {
	line, err := r.ReadString('\n')
	out.WriteString(line)
	if err != nil {
		return err
	}
	n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
	switch line[0] {
	case '$', '=', '!':
		if n < 0 {
			return nil
		}
		_, err = io.CopyN(out, r, int64(n)+2)
		return err
	case '%':
		n *= 2
		fallthrough
	case '*', '~', '>':
		for ; n > 0 && err == nil; n-- {
			err = readReply(r, out)
		}
	}
	return err
}

// unordered sorts the elements of a reply whose order means nothing; pairs keeps two together.
func unordered(s string, group int) string {
	r := bufio.NewReader(strings.NewReader(s))
	head, _ := r.ReadString('\n')
	var list []string
	for {
		var one bytes.Buffer
		for range group {
			readReply(r, &one)
		}
		if one.Len() == 0 {
			break
		}
		list = append(list, one.String())
	}
	slices.Sort(list)
	return head + strings.Join(list, "")
}

// TestOracle sends the lines of testdata/oracle.txt to a real Redis 7.0 and here, and compares the replies byte for byte. A section begins
// with fresh connections to empty servers. A line may begin with
//
//	~    its reply is a set: the order means nothing
//	~~   its reply is a map
//	!    it is known to differ, for the reason given by the comment before
func TestOracle(t *testing.T) {
	addr := startRedis(t)
	text, err := os.ReadFile("testdata/oracle.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, version := range []int{2, 3} {
		for i, sec := range strings.Split(string(text), "\n\n") {
			lines += compareSection(t, addr, fmt.Sprintf("section %d, RESP%d", i+1, version), version, sec)
		}
	}
	t.Logf("%d replies compared", lines)
}

func compareSection(t *testing.T, addr, name string, version int, sec string) (lines int) {
	p := dialPeer(t, addr)
	defer p.Close()
	w := newServer(t, Config{}).dial()
	p.ask(t, encode("flushall"))
	p.ask(t, encode("script flush"))
	if version == 3 {
		p.ask(t, encode("hello 3"))
		w.do("hello 3")
	}
	for _, line := range strings.Split(sec, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		prefix, command := "", line
		if i := strings.IndexByte(line, ' '); i > 0 && strings.Trim(line[:i], "~!") == "" {
			prefix, command = line[:i], line[i+1:]
		}
		want, got := p.ask(t, encode(command)), w.do(command)
		if w.closed {
			got += "(closed)"
			if !strings.HasSuffix(want, "(closed)") {
				want += p.ask(t, "")
			}
		}
		switch prefix {
		case "~":
			want, got = unordered(want, 1), unordered(got, 1)
		case "~~":
			n := 1
			if version == 2 {
				n = 2
			} else {
				n = 2
			}
			want, got = unordered(want, n), unordered(got, n)
		case "!":
			if want == got {
				t.Errorf("%s: %s: does not differ any more", name, command)
			}
			continue
		}
		lines++
		if want != got {
			t.Errorf("%s: %s\nRedis    %q\nHoldfast %q", name, command, want, got)
		}
		if w.closed {
			return lines
		}
	}
	return lines
}

// TestOracleProtocol compares what becomes of bytes that are not quite requests.
func TestOracleProtocol(t *testing.T) {
	addr := startRedis(t)
	for _, raw := range []string{
		"*2147483648\r\n", "*-1\r\nPING\r\n", "*01\r\n", "*\r\nPING\r\n", "*1\r\n$-1\r\n", "*1\r\n$536870913\r\n", "*1\r\n$01\r\n", "*1\r\nfoo\r\n", "*1\r\n$4\r\nPINGxx", "*0\r\nPING\r\n",
		"SET \"a\r\n", "set k \"a\"b\r\n", "'a\\'b'\r\n", "ECHO \"\\x41\\n\\t\\\"\\q\"\r\n", "ECHO 'a\\n'\r\n", "  PING  \r\n", "\r\n\r\nPING\n",
		"*2\r\n$4\r\nECHO\r\n$3\r\n\x00\xff\r\r\n", "post / http\r\n", "host: foo\r\n", "*1\r\n$4\r\nQUIT\r\n", strings.Repeat("a", 70000),
		"*1" + strings.Repeat("1", 70000), "*1\r\n$1" + strings.Repeat("1", 70000), "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n", "*1\r\n$0\r\n\r\n",
	} {
		p := dialPeer(t, addr)
		want := p.ask(t, raw)
		w := newServer(t, Config{}).dial()
		got := w.ask(raw)
		if w.closed {
			got += "(closed)"
			if !strings.HasSuffix(want, "(closed)") {
				want += p.ask(t, "")
			}
		}
		if got != want {
			t.Errorf("%.60q\nRedis    %q\nHoldfast %q", raw, want, got)
		}
		p.Close()
	}
}
