package openstack

import (
	"strconv"
	"strings"
)

// Horizon's settings are a Python program. This reads the literals that it assigns at the beginning of a line, and takes everything else for
// unknown: a call, a name, a sum. Nothing is carried out.

const (
	maxPython = 1 << 20 // bytes of a file
	maxNested = 40      // brackets in brackets
	maxKeys   = 1000    // that are assigned to one dictionary after another
)

// literal is a value as far as it stands there in letters.
type literal struct {
	position
	kind  literalKind
	text  string   // of a string
	num   float64  // of a number; 1 and 0 for True and False
	items []member // of a list or dictionary
}

type literalKind uint8

const (
	unknown literalKind = iota
	isText
	isNumber
	isBool
	isNone
	isList
	isDict
)

type member struct {
	key   string
	value literal
}

// get returns a value of a dictionary; ok is false without one.
func (l *literal) get(key string) (v literal, ok bool) {
	for i := len(l.items) - 1; i >= 0 && l.kind == isDict; i-- {
		if l.items[i].key == key {
			return l.items[i].value, true
		}
	}
	return literal{position: l.position}, false
}

// python is what settings files assign, in the order in which they are read.
type python map[string]literal

// read takes a file in.
func (p python) read(file, text string) {
	r := &pythonReader{file: file, in: text[:min(len(text), maxPython)], line: 1}
	for r.pos < len(r.in) {
		r.statement(p)
		r.skipLine()
	}
}

// pythonReader goes through a text.
type pythonReader struct {
	file string
	in   string
	pos  int
	line int
}

func (r *pythonReader) at() position { return position{r.file, r.line} }

func (r *pythonReader) peek() byte {
	if r.pos < len(r.in) {
		return r.in[r.pos]
	}
	return 0
}

func (r *pythonReader) next() byte {
	c := r.in[r.pos]
	if r.pos++; c == '\n' {
		r.line++
	}
	return c
}

// blanks skips what means nothing: inside brackets line breaks and comments too.
func (r *pythonReader) blanks(inside bool) {
	for r.pos < len(r.in) {
		switch c := r.peek(); {
		case c == ' ', c == '\t', c == '\r', inside && c == '\n':
			r.next()
		case c == '\\' && r.pos+1 < len(r.in) && r.in[r.pos+1] == '\n':
			r.next()
			r.next()
		case inside && c == '#':
			for r.pos < len(r.in) && r.peek() != '\n' {
				r.next()
			}
		default:
			return
		}
	}
}

// statement reads NAME = value and NAME['key']... = value at the beginning of a line.
func (r *pythonReader) statement(into python) {
	name := r.name()
	if name == "" {
		return
	}
	var path []string
	r.blanks(false)
	for r.peek() == '[' && len(path) < maxNested {
		r.next()
		key := r.value(0)
		if r.peek() != ']' || key.kind != isText {
			return
		}
		r.next()
		path = append(path, key.text)
		r.blanks(false)
	}
	at := r.at()
	if r.peek() != '=' || strings.HasPrefix(r.in[r.pos:], "==") {
		return
	}
	r.next()
	r.blanks(false)
	v := r.expression(0, false)
	v.position = at
	into[name] = assign(into[name], path, v)
}

// assign puts v into the dictionaries below base.
func assign(base literal, path []string, v literal) literal {
	if len(path) == 0 {
		return v
	}
	if base.kind != isDict {
		base = literal{position: v.position, kind: isDict}
	}
	for i := range base.items {
		if base.items[i].key == path[0] {
			base.items[i].value = assign(base.items[i].value, path[1:], v)
			return base
		}
	}
	if len(base.items) < maxKeys {
		base.items = append(base.items, member{path[0], assign(literal{}, path[1:], v)})
	}
	return base
}

func (r *pythonReader) name() string {
	from := r.pos
	for r.pos < len(r.in) {
		c := r.peek()
		if c != '_' && !('a' <= c|0x20 && c|0x20 <= 'z') && (r.pos == from || c < '0' || c > '9') {
			break
		}
		r.next()
	}
	return r.in[from:r.pos]
}

// skipLine goes to the next logical line that is not in a bracket or a text.
func (r *pythonReader) skipLine() {
	depth := 0
	for r.pos < len(r.in) {
		switch c := r.peek(); {
		case c == '\n' && depth <= 0:
			r.next()
			return
		case c == '\\' && r.pos+1 < len(r.in):
			r.next()
			r.next()
		case c == '#':
			for r.pos < len(r.in) && r.peek() != '\n' {
				r.next()
			}
		case c == '"', c == '\'':
			r.quoted(false)
		case strings.IndexByte("([{", c) >= 0:
			depth++
			r.next()
		case strings.IndexByte(")]}", c) >= 0:
			depth--
			r.next()
		default:
			r.next()
		}
	}
}

// value reads one element inside brackets, up to what ends it.
func (r *pythonReader) value(depth int) literal { return r.expression(depth, true) }

// expression reads a literal; anything behind it that makes it more than one makes it unknown.
func (r *pythonReader) expression(depth int, inside bool) literal {
	r.blanks(inside)
	v := r.atom(depth, inside)
	v.position.file = r.file
	r.blanks(inside)
	if c := r.peek(); r.pos < len(r.in) && c != '\n' && c != '#' && c != ';' && !(inside && strings.IndexByte(",:)]}", c) >= 0) {
		v.kind = unknown
		r.skipExpression(inside)
	}
	return v
}

// skipExpression goes to what ends an element, or a statement.
func (r *pythonReader) skipExpression(inside bool) {
	depth := 0
	for r.pos < len(r.in) {
		c := r.peek()
		switch {
		case depth == 0 && (inside && strings.IndexByte(",)]}", c) >= 0 || !inside && c == '\n'):
			return
		case c == '"', c == '\'':
			r.quoted(false)
			continue
		case c == '#':
			r.blanks(true)
			continue
		case strings.IndexByte("([{", c) >= 0:
			depth++
		case strings.IndexByte(")]}", c) >= 0:
			if depth--; depth < 0 {
				return
			}
		}
		r.next()
	}
}

func (r *pythonReader) atom(depth int, inside bool) literal {
	v := literal{position: r.at()}
	c := r.peek()
	switch {
	case depth > maxNested || r.pos >= len(r.in):
	case c == '"', c == '\'':
		v.kind, v.text = isText, r.texts(inside)
	case c == '[', c == '(', c == '{':
		return r.collection(depth)
	case c == '-' || c == '.' || '0' <= c && c <= '9':
		v.kind, v.num = r.number()
	default:
		switch name := r.name(); name {
		case "True", "False":
			v.kind = isBool
			if name == "True" {
				v.num = 1
			}
		case "None":
			v.kind = isNone
		case "u", "U", "b", "B", "r", "R", "rb", "br", "Rb", "rB", "bR":
			if q := r.peek(); q == '"' || q == '\'' {
				v.kind, v.text = isText, r.quoted(strings.ContainsAny(name, "rR"))
			}
		}
	}
	return v
}

// texts reads strings that stand one after the other.
func (r *pythonReader) texts(inside bool) string {
	var all strings.Builder
	for c := r.peek(); c == '"' || c == '\''; c = r.peek() {
		all.WriteString(r.quoted(false))
		r.blanks(inside)
	}
	return all.String()
}

// quoted reads one string; what is not ended ends with the line, or the file for three quotes.
func (r *pythonReader) quoted(raw bool) string {
	q := r.peek()
	end := string(q)
	if triple := strings.Repeat(end, 3); strings.HasPrefix(r.in[r.pos:], triple) {
		end = triple
	}
	r.pos += len(end)
	var s strings.Builder
	for r.pos < len(r.in) && !strings.HasPrefix(r.in[r.pos:], end) {
		c := r.peek()
		if c == '\n' && len(end) == 1 {
			return s.String()
		}
		r.next()
		if c == '\\' && !raw && r.pos < len(r.in) {
			c = r.next()
			switch c {
			case 'n':
				c = '\n'
			case 't':
				c = '\t'
			case '\n':
				continue
			}
		}
		s.WriteByte(c)
	}
	r.pos = min(r.pos+len(end), len(r.in))
	return s.String()
}

func (r *pythonReader) number() (literalKind, float64) {
	from := r.pos
	for r.pos < len(r.in) && strings.IndexByte("+-.eE_0123456789", r.peek()) >= 0 {
		r.next()
	}
	v, err := strconv.ParseFloat(strings.ReplaceAll(r.in[from:r.pos], "_", ""), 64)
	if err != nil {
		return unknown, 0
	}
	return isNumber, v
}

// collection reads a list, a tuple, a set or a dictionary.
func (r *pythonReader) collection(depth int) literal {
	v := literal{position: r.at(), kind: isList}
	open := r.next()
	shut := map[byte]byte{'[': ']', '(': ')', '{': '}'}[open]
	if open == '{' {
		v.kind = isDict
	}
	commas := false
	for {
		r.blanks(true)
		c := r.peek()
		if r.pos >= len(r.in) || strings.IndexByte(")]}", c) >= 0 {
			break
		}
		before := r.pos
		el := r.value(depth + 1)
		m := member{value: el}
		if r.peek() == ':' {
			r.next()
			m = member{el.text, r.value(depth + 1)}
		}
		v.items = append(v.items, m)
		if r.peek() == ',' {
			commas = true
			r.next()
		} else if r.pos == before {
			r.next() // nothing that ends or begins anything
		}
	}
	if r.peek() == shut && r.pos < len(r.in) {
		r.next()
	} else {
		v.kind = unknown
		if r.pos < len(r.in) {
			r.next()
		}
	}
	if open == '(' && !commas && len(v.items) == 1 { // no tuple, only brackets
		return v.items[0].value
	}
	return v
}
