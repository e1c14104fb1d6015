//go:build linux

package witness

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// answerLimit is how long a client waits for an answer: longer than the daemon's longest budget (3 s on Redis).
const answerLimit = 8 * time.Second

// Protocol is what a client speaks.
type Protocol int

// The protocols.
const (
	Redis Protocol = iota
	Memcached
)

func (p Protocol) String() string { return [...]string{"Redis", "memcached"}[p] }

// Refusal is an error reply: the daemon says that it has not carried the request out. Any other error leaves that open.
type Refusal string

func (r Refusal) Error() string { return string(r) }

// conn is a connection with one request under way at a time.
type conn struct {
	net.Conn
	protocol Protocol
	r        *bufio.Reader
	out      []byte
}

func open(c net.Conn, p Protocol) *conn { return &conn{Conn: c, protocol: p, r: bufio.NewReader(c)} }

// send sends what is in out.
func (c *conn) send() error {
	c.SetDeadline(time.Now().Add(answerLimit))
	_, err := c.Write(c.out)
	c.out = c.out[:0]
	return err
}

// line reads a line without its end, and makes the error of it that it tells of.
func (c *conn) line() (string, error) {
	s, err := c.r.ReadString('\n')
	if err != nil {
		return "", plain(err)
	}
	s = strings.TrimSuffix(s, "\r\n")
	for _, word := range []string{"-", "SERVER_ERROR", "CLIENT_ERROR", "ERROR"} {
		if strings.HasPrefix(s, word) {
			return "", Refusal(s)
		}
	}
	return s, nil
}

// plain is err without addresses, so that equal troubles can be counted together.
func plain(err error) error {
	var timeout net.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("connection closed")
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("no answer within %v", answerLimit)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return err
}

// body reads a value of n bytes and what ends it.
func (c *conn) body(n int, end string) (string, error) {
	b := make([]byte, n+len(end))
	if _, err := io.ReadFull(c.r, b); err != nil {
		return "", plain(err)
	}
	if string(b[n:]) != end {
		return "", fmt.Errorf("a value of %d bytes ends in %q", n, b[n:])
	}
	return string(b[:n]), nil
}

// redis sends a command of Redis and reads the reply, whose first byte tells what it is; a string is "$" and its bytes, nil is "$-1".
func (c *conn) redis(args ...string) (string, error) {
	c.out = fmt.Appendf(c.out, "*%d\r\n", len(args))
	for _, a := range args {
		c.out = fmt.Appendf(c.out, "$%d\r\n%s\r\n", len(a), a)
	}
	if err := c.send(); err != nil {
		return "", plain(err)
	}
	s, err := c.line()
	if err != nil || s == "$-1" || s[:1] != "$" {
		return s, err
	}
	n, err := strconv.Atoi(s[1:])
	if err != nil {
		return "", fmt.Errorf("reply %q to %s", s, args[0])
	}
	s, err = c.body(n, "\r\n")
	return "$" + s, err
}

// memcached sends a request and reads the first line of the answer.
func (c *conn) memcached(format string, a ...any) (string, error) {
	c.out = fmt.Appendf(c.out, format, a...)
	if err := c.send(); err != nil {
		return "", plain(err)
	}
	return c.line()
}

// expect makes an error of any answer but good.
func expect(answer string, err error, good string) error {
	if err == nil && answer != good {
		return fmt.Errorf("answered %q, not %q", answer, good)
	}
	return err
}

// choose selects a database; memcached has none.
func (c *conn) choose(db int) error {
	if c.protocol == Memcached || db == 0 {
		return nil
	}
	s, err := c.redis("SELECT", strconv.Itoa(db))
	return expect(s, err, "+OK")
}

// set sets key for some seconds.
func (c *conn) set(key, value string, seconds int) error {
	if c.protocol == Redis {
		s, err := c.redis("SET", key, value, "EX", strconv.Itoa(seconds))
		return expect(s, err, "+OK")
	}
	s, err := c.memcached("set %s 0 %d %d\r\n%s\r\n", key, seconds, len(value), value)
	return expect(s, err, "STORED")
}

// get returns the value of key, or that there is none.
func (c *conn) get(key string) (value string, found bool, err error) {
	if c.protocol == Redis {
		s, err := c.redis("GET", key)
		if err != nil || s == "$-1" {
			return "", false, err
		}
		return s[1:], true, nil
	}
	s, err := c.memcached("get %s\r\n", key)
	if err != nil || s == "END" {
		return "", false, err
	}
	words := strings.Fields(s)
	if len(words) < 4 || words[1] != key {
		return "", false, fmt.Errorf("answered %q to get %s", s, key)
	}
	n, err := strconv.Atoi(words[3])
	if err != nil {
		return "", false, fmt.Errorf("answered %q to get %s", s, key)
	}
	value, err = c.body(n, "\r\nEND\r\n")
	return value, err == nil, err
}

// incr adds one to key, which exists if the protocol is memcached, and returns the sum.
func (c *conn) incr(key string) (uint64, error) {
	var s string
	var err error
	if c.protocol == Redis {
		s, err = c.redis("INCR", key)
		s = strings.TrimPrefix(s, ":")
	} else {
		s, err = c.memcached("incr %s 1\r\n", key)
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("a counter answered %q", s)
	}
	return n, nil
}

// lock takes a lock for some milliseconds if nobody holds it, as the Lock of redis-py does.
func (c *conn) lock(key, token string, ms int) (bool, error) {
	s, err := c.redis("SET", key, token, "NX", "PX", strconv.Itoa(ms))
	if err != nil || s == "$-1" {
		return false, err
	}
	return true, expect(s, nil, "+OK")
}

const unlockScript = `if redis.call("get", KEYS[1]) == ARGV[1] then return redis.call("del", KEYS[1]) else return 0 end`

// unlock gives a lock back; false: the lock was not ours any more.
func (c *conn) unlock(key, token string) (bool, error) {
	s, err := c.redis("EVAL", unlockScript, "1", key, token)
	return s == ":1", err
}
