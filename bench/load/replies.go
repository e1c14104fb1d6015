//go:build linux

package load

import (
	"bytes"
	"fmt"
)

// maxLine bounds a reply's first line; a longer one fails the run.
const maxLine = 512

// Tally counts what the replies said.
type Tally struct {
	Errors, Misses uint64
	FirstError     string
}

func (t *Tally) add(o *Tally) {
	t.Errors += o.Errors
	t.Misses += o.Misses
	if t.FirstError == "" {
		t.FirstError = o.FirstError
	}
}

func (t *Tally) fail(line []byte) {
	if t.Errors++; t.FirstError == "" {
		t.FirstError = string(line)
	}
}

// replies splits one connection's replies to GETs and SETs, however reading cuts them.
type replies struct {
	skip int  // bytes of a value, and what follows it, that are still to come
	wait byte // what a WAIT must be answered with, a digit; 0: there are none
	part []byte
}

// feed takes what was read and returns how many replies ended in it.
func (p *replies) feed(b []byte, protocol byte, t *Tally) (n int, err error) {
	for len(b) > 0 {
		if p.skip > 0 {
			k := min(p.skip, len(b))
			b, p.skip = b[k:], p.skip-k
			if p.skip == 0 {
				n++
			}
			continue
		}
		end := bytes.IndexByte(b, '\n')
		if end < 0 {
			if p.part = append(p.part, b...); len(p.part) > maxLine {
				return n, fmt.Errorf("reply line of more than %d bytes: %q", maxLine, p.part)
			}
			return n, nil
		}
		line := b[:end+1]
		b = b[end+1:]
		if len(p.part) > 0 {
			p.part = append(p.part, line...)
			line = p.part
		}
		if p.skip, err = body(line, protocol, t); err != nil {
			return n, err
		}
		if p.wait != 0 && line[0] == ':' && line[1] != p.wait {
			t.fail(line)
		}
		if p.skip == 0 {
			n++
		}
		p.part = p.part[:0]
	}
	return n, nil
}

// body returns how many bytes of the reply follow its first line.
func body(line []byte, protocol byte, t *Tally) (int, error) {
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return 0, fmt.Errorf("reply line %q does not end in CR LF", line)
	}
	text := line[:len(line)-2]
	if protocol == 'r' {
		switch text[0] {
		case '$':
			if string(text) == "$-1" {
				t.Misses++
				return 0, nil
			}
			n, err := number(text[1:])
			return n + len("\r\n"), err
		case '+', ':':
			return 0, nil
		case '-':
			t.fail(text)
			return 0, nil
		}
		return 0, fmt.Errorf("unexpected reply %q", text)
	}
	switch {
	case bytes.HasPrefix(text, []byte("VALUE ")):
		n, err := number(text[bytes.LastIndexByte(text, ' ')+1:])
		return n + len("\r\nEND\r\n"), err
	case string(text) == "END":
		t.Misses++
	case string(text) != "STORED":
		t.fail(text)
	}
	return 0, nil
}

// number reads a length of at most nine digits.
func number(b []byte) (n int, err error) {
	if len(b) == 0 || len(b) > 9 {
		return 0, fmt.Errorf("length %q in a reply is no number", b)
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("length %q in a reply is no number", b)
		}
		n = n*10 + int(c-'0')
	}
	return n, nil
}
