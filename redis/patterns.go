package redis

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// Lua's patterns. The interpreter's own matcher recurses once for each byte and copies the subject once for each replacement.

const (
	maxCaptures = 32
	maxDepth    = 200 // items of a pattern that lie in each other
)

const errPatternEnd = "malformed pattern (ends with '%')"

// A capture is open until its ")" is met; one of "()" is a position.
const (
	openCapture     = -1
	positionCapture = -2
)

type capture struct{ from, n int }

// matcher matches a pattern against a subject.
type matcher struct {
	l        *lua.LState
	check    func() // looks at the meter
	s, p     string
	level    int
	captures [maxCaptures]capture
	depth    int
	steps    uint
}

// match matches the pattern from p on against the subject from s on and returns the end of the match, or -1.
func (m *matcher) match(s, p int) int {
	if m.depth++; m.depth > maxDepth {
		m.l.RaiseError("pattern too complex")
	}
	defer func() { m.depth-- }()
	for p < len(m.p) {
		if m.steps++; m.steps%4096 == 0 {
			m.check()
		}
		switch m.p[p] {
		case '(':
			if p+1 < len(m.p) && m.p[p+1] == ')' {
				return m.open(s, p+2, positionCapture)
			}
			return m.open(s, p+1, openCapture)
		case ')':
			return m.close(s, p+1)
		case '$':
			if p+1 == len(m.p) {
				if s == len(m.s) {
					return s
				}
				return -1
			}
		case '%':
			if end, next, special := m.escape(s, p); special {
				if end < 0 {
					return -1
				}
				s, p = end, next
				continue
			}
		}
		next := m.itemEnd(p)
		suffix := byte(0)
		if next < len(m.p) {
			suffix = m.p[next]
		}
		switch suffix {
		case '?':
			if m.single(s, p, next) {
				if end := m.match(s+1, next+1); end >= 0 {
					return end
				}
			}
			p = next + 1
		case '*':
			return m.longest(s, p, next, 0)
		case '+':
			return m.longest(s, p, next, 1)
		case '-':
			return m.shortest(s, p, next)
		default:
			if !m.single(s, p, next) {
				return -1
			}
			s, p = s+1, next
		}
	}
	return s
}

// escape matches %b, %f and back references; special is false for an escaped character or a class.
func (m *matcher) escape(s, p int) (end, next int, special bool) {
	if p+1 == len(m.p) {
		m.l.RaiseError("%s", errPatternEnd)
	}
	switch c := m.p[p+1]; {
	case c == 'b':
		return m.balanced(s, p+2), p + 4, true
	case c == 'f':
		if p += 2; p == len(m.p) || m.p[p] != '[' {
			m.l.RaiseError("missing '[' after '%s' in pattern", "%f")
		}
		next := m.itemEnd(p)
		before, at := byte(0), byte(0)
		if s > 0 {
			before = m.s[s-1]
		}
		if s < len(m.s) {
			at = m.s[s]
		}
		if m.inSet(before, p, next-1) || !m.inSet(at, p, next-1) {
			return -1, 0, true
		}
		return s, next, true
	case '0' <= c && c <= '9':
		i := int(c) - '1'
		if i < 0 || i >= m.level || m.captures[i].n == openCapture {
			m.l.RaiseError("invalid capture index")
		}
		want := m.captured(i)
		if !strings.HasPrefix(m.s[s:], want) {
			return -1, 0, true
		}
		return s + len(want), p + 2, true
	}
	return 0, 0, false
}

func (m *matcher) balanced(s, p int) int {
	if p+1 >= len(m.p) {
		m.l.RaiseError("unbalanced pattern")
	}
	if s >= len(m.s) || m.s[s] != m.p[p] {
		return -1
	}
	for open, i := 1, s+1; i < len(m.s); i++ {
		switch m.s[i] {
		case m.p[p+1]:
			if open--; open == 0 {
				return i + 1
			}
		case m.p[p]:
			open++
		}
	}
	return -1
}

// longest matches as many of the item as it can, at least least, and gives them back one by one.
func (m *matcher) longest(s, p, next, least int) int {
	n := 0
	for m.single(s+n, p, next) {
		n++
	}
	for ; n >= least; n-- {
		if end := m.match(s+n, next+1); end >= 0 {
			return end
		}
	}
	return -1
}

func (m *matcher) shortest(s, p, next int) int {
	for {
		if end := m.match(s, next+1); end >= 0 {
			return end
		}
		if !m.single(s, p, next) {
			return -1
		}
		s++
	}
}

func (m *matcher) open(s, p, kind int) int {
	if m.level == maxCaptures {
		m.l.RaiseError("too many captures")
	}
	m.captures[m.level] = capture{s, kind}
	m.level++
	end := m.match(s, p)
	if end < 0 {
		m.level--
	}
	return end
}

func (m *matcher) close(s, p int) int {
	i := m.level - 1
	for i >= 0 && m.captures[i].n != openCapture {
		i--
	}
	if i < 0 {
		m.l.RaiseError("invalid pattern capture")
	}
	m.captures[i].n = s - m.captures[i].from
	end := m.match(s, p)
	if end < 0 {
		m.captures[i].n = openCapture
	}
	return end
}

// itemEnd returns what is behind the single-character item at p.
func (m *matcher) itemEnd(p int) int {
	c := m.p[p]
	p++
	switch c {
	case '%':
		if p == len(m.p) {
			m.l.RaiseError("%s", errPatternEnd)
		}
		return p + 1
	case '[':
		if p < len(m.p) && m.p[p] == '^' {
			p++
		}
		for first := true; first || p < len(m.p) && m.p[p] != ']'; first = false {
			if p == len(m.p) {
				break
			}
			if p++; m.p[p-1] == '%' && p < len(m.p) {
				p++
			}
		}
		if p >= len(m.p) {
			m.l.RaiseError("malformed pattern (missing ']')")
		}
		return p + 1
	}
	return p
}

// single says whether the item between p and end matches the character at s.
func (m *matcher) single(s, p, end int) bool {
	if s >= len(m.s) {
		return false
	}
	c := m.s[s]
	switch m.p[p] {
	case '.':
		return true
	case '%':
		return inClass(c, m.p[p+1])
	case '[':
		return m.inSet(c, p, end-1)
	}
	return m.p[p] == c
}

// inSet says whether c is in the set whose "[" is at p and whose "]" is at end.
func (m *matcher) inSet(c byte, p, end int) bool {
	hit := true
	p++
	if m.p[p] == '^' {
		hit = false
		p++
	}
	for ; p < end; p++ {
		switch {
		case m.p[p] == '%':
			p++
			if inClass(c, m.p[p]) {
				return hit
			}
		case p+2 < end && m.p[p+1] == '-':
			if m.p[p] <= c && c <= m.p[p+2] {
				return hit
			}
			p += 2
		case m.p[p] == c:
			return hit
		}
	}
	return !hit
}

// inClass says whether c is in the class %class; an upper-case class is the rest.
func inClass(c, class byte) bool {
	letter := 'a' <= c|0x20 && c|0x20 <= 'z'
	digit := '0' <= c && c <= '9'
	var in bool
	switch class | 0x20 {
	case 'a':
		in = letter
	case 'c':
		in = c < ' ' || c == 0x7f
	case 'd':
		in = digit
	case 'l':
		in = 'a' <= c && c <= 'z'
	case 'p':
		in = '!' <= c && c <= '~' && !letter && !digit
	case 's':
		in = c == ' ' || '\t' <= c && c <= '\r'
	case 'u':
		in = 'A' <= c && c <= 'Z'
	case 'w':
		in = letter || digit
	case 'x':
		in = digit || 'a' <= c|0x20 && c|0x20 <= 'f'
	case 'z':
		in = c == 0
	default:
		return class == c
	}
	if class&0x20 == 0 && 'A' <= class && class <= 'Z' {
		return !in
	}
	if class < 'A' {
		return class == c
	}
	return in
}

func (m *matcher) captured(i int) string {
	c := m.captures[i]
	return m.s[c.from : c.from+c.n]
}

// value returns capture i, or the whole match from s to end if there are none.
func (m *matcher) value(i, s, end int) lua.LValue {
	switch {
	case i >= m.level && i > 0:
		m.l.RaiseError("invalid capture index")
	case i >= m.level:
		return lua.LString(m.s[s:end])
	case m.captures[i].n == positionCapture:
		return lua.LNumber(m.captures[i].from + 1)
	case m.captures[i].n == openCapture:
		m.l.RaiseError("unfinished capture")
	}
	return lua.LString(m.captured(i))
}

// push pushes all captures, or the whole match if there are none.
func (m *matcher) push(s, end int) int {
	n := max(m.level, 1)
	for i := range n {
		m.l.Push(m.value(i, s, end))
	}
	return n
}
