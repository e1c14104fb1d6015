//go:build linux

package main

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

// missing is how do shows a null reply.
const missing = "(nil)"

// redisConn is one plain connection for what the load generator cannot do: watching keys die and asking a server about itself.
type redisConn struct {
	c     net.Conn
	r     *bufio.Reader
	limit time.Duration // for a reply
}

func dialRedis(addr string) (*redisConn, error) {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return nil, err
	}
	return &redisConn{c, bufio.NewReader(c), startLimit}, nil
}

func (c *redisConn) close() { c.c.Close() }

// do sends one command and returns its reply, a single value, as text.
func (c *redisConn) do(args ...string) (string, error) {
	if err := c.send(args...); err != nil {
		return "", err
	}
	return c.receive()
}

func (c *redisConn) send(args ...string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	_, err := io.WriteString(c.c, b.String())
	return err
}

// receiveList is for a reply that is an array of single values; a null one has none.
func (c *redisConn) receiveList() (all []string, err error) {
	line, err := c.line()
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimPrefix(line, "*"))
	if err != nil || line[0] != '*' || n > 64 {
		return nil, fmt.Errorf("reply %q: no short array", line)
	}
	for range n {
		v, err := c.receive()
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

func (c *redisConn) line() (string, error) {
	if err := c.c.SetReadDeadline(time.Now().Add(c.limit)); err != nil {
		return "", err
	}
	line, err := c.r.ReadString('\n')
	return strings.TrimSuffix(line, "\r\n"), err
}

func (c *redisConn) receive() (string, error) {
	line, err := c.line()
	if err != nil {
		return "", err
	}
	switch {
	case line == "$-1":
		return missing, nil
	case strings.HasPrefix(line, "-"):
		return "", errors.New("server answered: " + line[1:])
	case strings.HasPrefix(line, "$"):
		n, err := strconv.Atoi(line[1:])
		if err != nil || n < 0 || n > 1<<20 {
			return "", fmt.Errorf("reply %q: no length", line)
		}
		b := make([]byte, n+2)
		_, err = io.ReadFull(c.r, b)
		return string(b[:n]), err
	case strings.HasPrefix(line, "+"), strings.HasPrefix(line, ":"):
		return line[1:], nil
	}
	return "", fmt.Errorf("unexpected reply %q", line)
}
