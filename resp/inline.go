package resp

import "bytes"

// inline parses a request that is a line of words, as typed by hand or sent by a load balancer's check.
func (p *Parser) inline(in []byte) (used, need int, err error) {
	p.Args = p.Args[:0]
	end := bytes.IndexByte(in, '\n')
	if end < 0 {
		if len(in) > MaxLine {
			return 0, 0, errInlineLength
		}
		return 0, len(in) + 1, nil
	}
	if end > MaxLine {
		return 0, 0, errInlineLength
	}
	line := in[:end]
	if end > 0 && line[end-1] == '\r' {
		line = line[:end-1]
	}
	if !p.split(line) {
		return 0, 0, errQuotes
	}
	return end + 1, 0, nil
}

// split takes a line apart as Redis's sdssplitargs does: words between blanks, "..." with escapes, '...' with \' alone; a quote must be
// followed by a blank or the end. Words without quotes refer into line.
func (p *Parser) split(line []byte) bool {
	if len(p.plain) < len(line) {
		p.plain = make([]byte, len(line))
	}
	free := p.plain // no word gets longer by unquoting
	for i := 0; ; {
		for i < len(line) && isSpace(line[i]) {
			i++
		}
		// Redis reads a string of C here: what is behind a zero byte is not there.
		if i == len(line) || line[i] == 0 {
			return true
		}
		n, next, ok := word(free, line, i)
		if !ok {
			return false
		}
		p.Args = append(p.Args, free[:n:n])
		free, i = free[n:], next
	}
}

// word copies the word that begins at line[i], unquoted, to the front of into.
func word(into, line []byte, i int) (n, next int, ok bool) {
	for i < len(line) && line[i] != 0 && !isSpace(line[i]) {
		switch line[i] {
		case '"', '\'':
			quoted, next, ok := quotation(into[n:], line, i)
			return n + quoted, next, ok
		default:
			into[n] = line[i]
			n++
			i++
		}
	}
	return n, i, true
}

// quotation copies what stands between the quote at line[i] and its like.
func quotation(into, line []byte, i int) (n, next int, ok bool) {
	quote := line[i]
	for i++; i < len(line) && line[i] != 0; i++ {
		c := line[i]
		switch {
		case c == quote:
			return n, i + 1, i+1 == len(line) || isSpace(line[i+1]) || line[i+1] == 0
		case c != '\\' || i+1 == len(line):
		case quote == '\'':
			if line[i+1] == '\'' {
				c = '\''
				i++
			}
		case i+3 < len(line) && line[i+1] == 'x' && isHex(line[i+2]) && isHex(line[i+3]):
			c = hex(line[i+2])<<4 | hex(line[i+3])
			i += 3
		default:
			i++
			c = unescape(line[i])
		}
		into[n] = c
		n++
	}
	return 0, 0, false
}

func unescape(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	case 'b':
		return '\b'
	case 'a':
		return '\a'
	}
	return c
}

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }
func isHex(c byte) bool   { return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f' }

func hex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
