package transfer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// Limits of what a server may answer.
const (
	maxLine     = 64 << 10  // bytes of a line
	maxBulk     = 512 << 20 // bytes of a string, Redis's own limit
	maxElements = 1 << 24   // of an array
	maxDepth    = 4         // arrays in arrays
	chunk       = 1 << 20   // bytes that are read before more memory is asked for
)

// reply is an answer of a Redis server, in RESP2.
type reply struct {
	kind byte // + - : $ or *; 0 for null
	text []byte
	n    int64
	list []reply
}

// failure is the text of an error reply, empty for any other.
func (r *reply) failure() string {
	if r.kind == '-' {
		return string(r.text)
	}
	return ""
}

// readReply reads one answer. The error says that the stream makes no sense any more.
func readReply(in *bufio.Reader) (reply, error) { return readNested(in, 0) }

func readNested(in *bufio.Reader, depth int) (reply, error) {
	line, err := readLine(in)
	if err != nil {
		return reply{}, err
	}
	if len(line) == 0 {
		return reply{}, errors.New("the server answered with an empty line: is it a Redis server?")
	}
	r := reply{kind: line[0], text: line[1:]}
	switch r.kind {
	case '+', '-':
		return r, nil
	case ':', '$', '*':
		if r.n, err = strconv.ParseInt(string(r.text), 10, 64); err != nil {
			return reply{}, fmt.Errorf("the server answered %.40q: is it a Redis server?", line)
		}
	default:
		return reply{}, fmt.Errorf("the server answered %.40q: is it a Redis server?", line)
	}
	switch {
	case r.kind == ':':
	case r.n == -1:
		r.kind = 0
	case r.n < 0, r.kind == '$' && r.n > maxBulk, r.kind == '*' && (r.n > maxElements || depth == maxDepth):
		return reply{}, fmt.Errorf("the server's answer begins with %.40q, which is beyond what is read", line)
	case r.kind == '$':
		r.text, err = readBulk(in, int(r.n))
	default:
		r.list, err = readList(in, int(r.n), depth)
	}
	return r, err
}

func readList(in *bufio.Reader, n, depth int) ([]reply, error) {
	list := make([]reply, 0, min(n, 1024))
	for range n {
		el, err := readNested(in, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, el)
	}
	return list, nil
}

// readLine reads to the next CR LF, which it drops.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			line = line[:len(line)-1]
			if n := len(line); n > 0 && line[n-1] == '\r' {
				line = line[:n-1]
			}
			return line, nil
		case err != bufio.ErrBufferFull:
			return nil, err
		case len(line) > maxLine:
			return nil, fmt.Errorf("the server's answer has a line of more than %d bytes", maxLine)
		}
	}
}

// readBulk reads n bytes and the line break behind them. Memory grows with what arrives, not with what is announced.
func readBulk(in *bufio.Reader, n int) ([]byte, error) {
	b := make([]byte, 0, min(n, chunk))
	for len(b) < n {
		from := len(b)
		b = append(b, make([]byte, min(n-from, chunk))...)
		if _, err := io.ReadFull(in, b[from:]); err != nil {
			return nil, err
		}
	}
	var end [2]byte
	if _, err := io.ReadFull(in, end[:]); err != nil {
		return nil, err
	}
	if string(end[:]) != "\r\n" {
		return nil, errors.New("a value of the server does not end where it should")
	}
	return b, nil
}
