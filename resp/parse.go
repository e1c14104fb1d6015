// Package resp is the Redis wire format: it takes requests out of a stream of bytes and writes replies.
//
// It does not know any command. Read parse.go first (requests), then append.go (replies) and inline.go (requests typed by hand).
// The package imports nothing of Holdfast.
package resp

import "bytes"

// Limits of a request; those of Redis 7.0, but for MaxArgs, which is what Redis had before 7.0.
const (
	MaxLine   = 64 << 10  // bytes of an inline request, and of a header line before its end is seen
	MaxArgs   = 1 << 20   // arguments of a request
	MaxBulk   = 512 << 20 // bytes of one argument (proto-max-bulk-len)
	MaxBuffer = 1 << 30   // bytes of a whole request (client-query-buffer-limit)

	strangerArgs = 10       // arguments of a request of a client that has not authenticated
	strangerBulk = 16 << 10 // bytes of one of them
)

// Error is a violation of the protocol: its text is the error reply, without "-" in front. Nothing behind it can be understood,
// so the connection is closed after the reply. The text is empty when Redis closes without one.
type Error string

func (e Error) Error() string { return string(e) }

const (
	errInlineLength  = Error("ERR Protocol error: too big inline request")
	errQuotes        = Error("ERR Protocol error: unbalanced quotes in request")
	errCountLength   = Error("ERR Protocol error: too big mbulk count string")
	errCount         = Error("ERR Protocol error: invalid multibulk length")
	errStrangerCount = Error("ERR Protocol error: unauthenticated multibulk length")
	errBulkLine      = Error("ERR Protocol error: too big bulk count string")
	errBulk          = Error("ERR Protocol error: invalid bulk length")
	errStrangerBulk  = Error("ERR Protocol error: unauthenticated bulk length")
	errBuffer        = Error("")
)

// Parser takes requests out of a stream. It remembers how far it came in an incomplete request, so that no byte is
// looked at twice. The zero Parser is ready. Not for concurrent use.
type Parser struct {
	// Args are the arguments of the request that Next returned. They refer into the input, or into memory that the next call uses again.
	Args [][]byte
	// Stranger holds the client to the lower limits of one that has not authenticated.
	Stranger bool

	spans []span // the arguments so far of an incomplete request
	pos   int    // how much of it is parsed
	left  int    // how many arguments are still to come; 0 when its header has not been read
	plain []byte // unquoted arguments of an inline request
}

// span is where an argument stands in the input.
type span struct{ from, to int }

// keep bounds how many arguments' worth of memory a Parser holds on to between requests.
const keep = 1024

// Next parses the request in front of in. When it is complete, Args are set and used says how long it was; Args are empty for a request
// that asks nothing (an empty line, an array of none). When it is incomplete, used is 0 and need says how many bytes must be there before
// it is worth calling again, with the same bytes in front. An err is an Error.
func (p *Parser) Next(in []byte) (used, need int, err error) {
	if len(in) == 0 {
		return 0, 1, nil
	}
	if in[0] != '*' {
		return p.inline(in)
	}
	if p.left == 0 {
		if need, err = p.header(in); err != nil || need != 0 {
			return 0, need, err
		}
		if p.left == 0 {
			used, p.pos = p.pos, 0
			return used, 0, nil
		}
	}
	for p.left > 0 {
		if need, err = p.bulk(in); err != nil || need != 0 {
			return 0, need, err
		}
	}
	if cap(p.Args) < len(p.spans) {
		p.Args = make([][]byte, 0, max(len(p.spans), 8))
	}
	p.Args = p.Args[:0]
	for _, s := range p.spans {
		p.Args = append(p.Args, in[s.from:s.to:s.to])
	}
	used, p.pos = p.pos, 0
	p.spans = p.spans[:0]
	return used, 0, nil
}

// Begun says whether a part of a request was taken notice of: its rest must go to Next.
func (p *Parser) Begun() bool { return p.pos > 0 }

// BulkAt reads "<length>\r\n<bytes>\r\n", the part of a bulk string behind its "$", at in[from]; end is behind it, and 0 when it is incomplete or
// anything else is there than what Next takes.
func BulkAt(in []byte, from int) (b []byte, end int) {
	n, at, need, ok := number(in, from)
	if need > 0 || !ok || n < 0 || n > MaxBulk || at+int(n)+2 > len(in) {
		return nil, 0
	}
	return in[at : at+int(n) : at+int(n)], at + int(n) + 2
}

// Release gives memory back after an unusually big request. Args are void.
func (p *Parser) Release() {
	if cap(p.Args) > keep {
		p.Args, p.spans = nil, nil
	}
	if cap(p.plain) > keep {
		p.plain = nil
	}
}

// header reads "*<count>\r\n".
func (p *Parser) header(in []byte) (need int, err error) {
	p.Args = p.Args[:0]
	p.spans = p.spans[:0]
	n, end, need, ok := number(in, 1)
	switch {
	case need > MaxLine:
		return 0, errCountLength
	case need > 0:
		return need, nil
	case !ok || n > MaxArgs:
		return 0, errCount
	case n > strangerArgs && p.Stranger:
		return 0, errStrangerCount
	}
	p.pos = end
	p.left = max(int(n), 0)
	return 0, nil
}

// bulk reads "$<length>\r\n<bytes>\r\n". Like Redis it does not look at the last two bytes.
func (p *Parser) bulk(in []byte) (need int, err error) {
	rest := in[p.pos:]
	if len(rest) == 0 {
		return len(in) + 1, nil
	}
	n, end, need, ok := number(rest, 1)
	switch {
	case need > MaxLine:
		return 0, errBulkLine
	case need > 0:
		return p.pos + need, nil
	case rest[0] != '$':
		return 0, Error("ERR Protocol error: expected '$', got '" + string(rest[:1]) + "'")
	case !ok || n < 0 || n > MaxBulk:
		return 0, errBulk
	case n > strangerBulk && p.Stranger:
		return 0, errStrangerBulk
	}
	all := p.pos + end + int(n) + 2
	if all > MaxBuffer {
		return 0, errBuffer
	}
	if all > len(in) {
		return all, nil
	}
	p.spans = append(p.spans, span{p.pos + end, all - 2})
	p.pos = all
	p.left--
	return 0, nil
}

// number reads the decimal number that begins at b[from] and ends before "\r\n"; end is behind those. need > 0 says that the line is
// incomplete and how many bytes of b there must be at the least.
func number(b []byte, from int) (n int64, end, need int, ok bool) {
	// The usual lengths have few digits: no search for the end of the line.
	i := from
	for i < len(b) && i-from < 10 && '0' <= b[i] && b[i] <= '9' {
		n = n*10 + int64(b[i]-'0')
		i++
	}
	if i+1 < len(b) && b[i] == '\r' && i > from && (b[from] != '0' || i == from+1) {
		return n, i + 2, 0, true
	}
	cr := bytes.IndexByte(b, '\r')
	if cr < 0 || cr+1 >= len(b) {
		return 0, 0, len(b) + 1, false
	}
	n, ok = Int(b[min(from, cr):cr])
	return n, cr + 2, 0, ok
}

// Int reads a decimal integer of 64 bits as Redis does: no sign but "-", no leading zero, no blank, nothing behind it.
func Int(b []byte) (int64, bool) {
	neg := len(b) > 0 && b[0] == '-'
	if neg {
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 19 || b[0] == '0' && (len(b) > 1 || neg) {
		return 0, false
	}
	var u uint64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		u = u*10 + uint64(c-'0')
	}
	if neg {
		return -int64(u), u <= 1<<63
	}
	return int64(u), u < 1<<63
}
