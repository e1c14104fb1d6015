package redis

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

// Bounds of cjson, its own.
const (
	maxJSONDepth = 1000
	maxJSONHoles = 10 // an array with more than twice as many places as elements is refused beyond this index
)

func (in *interp) openJSON() {
	t := in.l.NewTable()
	null := in.l.NewUserData()
	t.RawSetString("null", null)
	in.function(t, "encode", func(l *lua.LState) int {
		if l.GetTop() != 1 {
			l.RaiseError("bad argument #1 to 'encode' (expected 1 argument)")
		}
		e := jsonEncoder{l: l, null: null, set: &in.json}
		e.value(l.Get(1), 0)
		l.Push(lua.LString(e.b.String()))
		return 1
	})
	in.function(t, "decode", func(l *lua.LState) int {
		if l.GetTop() != 1 {
			l.RaiseError("bad argument #1 to 'decode' (expected 1 argument)")
		}
		d := jsonDecoder{l: l, null: null, s: l.CheckString(1), set: &in.json}
		l.Push(d.document())
		return 1
	})
	in.function(t, "encode_keep_buffer", func(*lua.LState) int { return 0 }) // none is kept
	in.function(t, "encode_max_depth", func(l *lua.LState) int { return setDepth(l, &in.json.encode) })
	in.function(t, "decode_max_depth", func(l *lua.LState) int { return setDepth(l, &in.json.decode) })
	in.function(t, "encode_invalid_numbers", func(l *lua.LState) int {
		if l.GetTop() > 0 {
			in.json.anyNumber = l.CheckBool(1)
		}
		l.Push(lua.LBool(in.json.anyNumber))
		return 1
	})
	in.library("cjson", t)
}

// jsonSettings are what a script may set of cjson, for itself: the next one finds newJSON.
type jsonSettings struct {
	encode, decode int  // most levels of tables
	anyNumber      bool // NaN and the infinities are written too
}

var newJSON = jsonSettings{encode: maxJSONDepth, decode: maxJSONDepth}

// setDepth sets a number of levels, which may not be more than they are from the start, and returns it.
func setDepth(l *lua.LState, depth *int) int {
	if l.GetTop() > 0 {
		n := l.CheckInt(1)
		if n < 1 || n > maxJSONDepth {
			l.ArgError(1, "expected integer between 1 and "+strconv.Itoa(maxJSONDepth))
		}
		*depth = n
	}
	l.Push(lua.LNumber(*depth))
	return 1
}

type jsonEncoder struct {
	l    *lua.LState
	set  *jsonSettings
	null *lua.LUserData
	b    strings.Builder
}

func (e *jsonEncoder) value(v lua.LValue, depth int) {
	checkSize(e.l, e.b.Len())
	switch x := v.(type) {
	case lua.LString:
		e.string(string(x))
	case lua.LNumber:
		e.b.WriteString(e.number(x))
	case lua.LBool:
		e.b.WriteString(strconv.FormatBool(bool(x)))
	case *lua.LNilType:
		e.b.WriteString("null")
	case *lua.LTable:
		if depth++; depth > e.set.encode {
			e.l.RaiseError("Cannot serialise, excessive nesting (%d)", depth)
		}
		if n, ok := e.arrayLength(x); ok {
			e.array(x, n, depth)
		} else {
			e.object(x, depth)
		}
	default:
		if v == e.null {
			e.b.WriteString("null")
			return
		}
		e.l.RaiseError("Cannot serialise %s: type not supported", v.Type())
	}
}

func (e *jsonEncoder) number(n lua.LNumber) string {
	if f := float64(n); !e.set.anyNumber && (math.IsInf(f, 0) || math.IsNaN(f)) {
		e.l.RaiseError("Cannot serialise number: must not be NaN or Inf")
	}
	return number(float64(n))
}

// arrayLength says whether t has only positive integers as keys, and the highest of them.
func (e *jsonEncoder) arrayLength(t *lua.LTable) (n int, ok bool) {
	count := 0
	for k := range entries(t) {
		i, isNumber := k.(lua.LNumber)
		if !isNumber || i < 1 || float64(i) != math.Trunc(float64(i)) {
			return 0, false
		}
		count++
		n = max(n, int(i))
	}
	if count == 0 {
		return 0, false
	}
	if n > maxJSONHoles && n > 2*count {
		e.l.RaiseError("Cannot serialise table: excessively sparse array")
	}
	return n, true
}

func (e *jsonEncoder) array(t *lua.LTable, n, depth int) {
	e.b.WriteByte('[')
	for i := range n {
		if i > 0 {
			e.b.WriteByte(',')
		}
		e.value(t.RawGet(lua.LNumber(i+1)), depth)
	}
	e.b.WriteByte(']')
}

func (e *jsonEncoder) object(t *lua.LTable, depth int) {
	e.b.WriteByte('{')
	first := true
	for k, v := range entries(t) {
		if !first {
			e.b.WriteByte(',')
		}
		first = false
		switch k := k.(type) {
		case lua.LString:
			e.string(string(k))
		case lua.LNumber:
			e.b.WriteString(`"` + e.number(k) + `"`)
		default:
			e.l.RaiseError("Cannot serialise table: table key must be a number or string")
		}
		e.b.WriteByte(':')
		e.value(v, depth)
	}
	e.b.WriteByte('}')
}

func (e *jsonEncoder) string(s string) {
	checkSize(e.l, e.b.Len()+len(s))
	e.b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\' || c == '/':
			e.b.WriteByte('\\')
			e.b.WriteByte(c)
		case c == '\b':
			e.b.WriteString(`\b`)
		case c == '\f':
			e.b.WriteString(`\f`)
		case c == '\n':
			e.b.WriteString(`\n`)
		case c == '\r':
			e.b.WriteString(`\r`)
		case c == '\t':
			e.b.WriteString(`\t`)
		case c < ' ' || c == 0x7f:
			fmt.Fprintf(&e.b, `\u%04x`, c)
		default:
			e.b.WriteByte(c)
		}
	}
	e.b.WriteByte('"')
}

// jsonDecoder reads a JSON text from left to right.
type jsonDecoder struct {
	set  *jsonSettings
	l    *lua.LState
	null *lua.LUserData
	s    string
	i    int
}

func (d *jsonDecoder) document() lua.LValue {
	v := d.value(0)
	if d.space(); d.i < len(d.s) {
		d.expected("the end")
	}
	return v
}

func (d *jsonDecoder) space() {
	for d.i < len(d.s) && strings.IndexByte(" \t\r\n", d.s[d.i]) >= 0 {
		d.i++
	}
}

// expected says what should have stood here.
func (d *jsonDecoder) expected(what string) {
	found, at := "T_END", d.i+1
	if d.i < len(d.s) {
		switch c := d.s[d.i]; {
		case c == '"':
			found = "T_STRING"
		case c == '-' || '0' <= c && c <= '9':
			found = "T_NUMBER"
		case c == '{':
			found = "T_OBJ_BEGIN"
		case c == '}':
			found = "T_OBJ_END"
		case c == '[':
			found = "T_ARR_BEGIN"
		case c == ']':
			found = "T_ARR_END"
		case c == ',':
			found = "T_COMMA"
		case c == ':':
			found = "T_COLON"
		case strings.HasPrefix(d.s[d.i:], "null"):
			found = "T_NULL"
		case strings.HasPrefix(d.s[d.i:], "true"), strings.HasPrefix(d.s[d.i:], "false"):
			found = "T_BOOLEAN"
		default:
			found = "invalid token"
		}
	}
	d.l.RaiseError("Expected %s but found %s at character %d", what, found, at)
}

// take takes c if it comes next.
func (d *jsonDecoder) take(c byte) bool {
	d.space()
	if d.i < len(d.s) && d.s[d.i] == c {
		d.i++
		return true
	}
	return false
}

func (d *jsonDecoder) value(depth int) lua.LValue {
	d.space()
	rest := d.s[d.i:]
	switch {
	case d.take('{'):
		return d.object(d.descend(depth))
	case d.take('['):
		return d.array(d.descend(depth))
	case strings.HasPrefix(rest, `"`):
		return lua.LString(d.string())
	case strings.HasPrefix(rest, "true"):
		d.i += 4
		return lua.LTrue
	case strings.HasPrefix(rest, "false"):
		d.i += 5
		return lua.LFalse
	case strings.HasPrefix(rest, "null"):
		d.i += 4
		return d.null
	}
	return d.number()
}

// descend goes one level down, into what began before d.i.
func (d *jsonDecoder) descend(depth int) int {
	if depth++; depth > d.set.decode {
		d.l.RaiseError("Found too many nested data structures (%d) at character %d", depth, d.i)
	}
	return depth
}

func (d *jsonDecoder) number() lua.LValue {
	from := d.i
	for d.i < len(d.s) && strings.IndexByte("+-.0123456789eE", d.s[d.i]) >= 0 {
		d.i++
	}
	f, err := strconv.ParseFloat(d.s[from:d.i], 64)
	if err != nil && !math.IsInf(f, 0) {
		d.i = from
		d.expected("value")
	}
	return lua.LNumber(f)
}

func (d *jsonDecoder) array(depth int) lua.LValue {
	t := d.l.NewTable()
	if d.take(']') {
		return t
	}
	for {
		t.Append(d.value(depth))
		if d.take(']') {
			return t
		}
		if !d.take(',') {
			d.expected("comma or array end")
		}
	}
}

func (d *jsonDecoder) object(depth int) lua.LValue {
	t := d.l.NewTable()
	if d.take('}') {
		return t
	}
	for {
		if d.space(); d.i == len(d.s) || d.s[d.i] != '"' {
			d.expected("object key string")
		}
		key := d.string()
		if !d.take(':') {
			d.expected("colon")
		}
		t.RawSetString(key, d.value(depth))
		if d.take('}') {
			return t
		}
		if !d.take(',') {
			d.expected("comma or object end")
		}
	}
}

func (d *jsonDecoder) string() string {
	var b []byte
	d.i++
	for d.i < len(d.s) {
		c := d.s[d.i]
		d.i++
		switch {
		case c == '"':
			return string(b)
		case c == '\\' && d.i < len(d.s):
			b = d.escaped(b)
		default:
			b = append(b, c)
		}
	}
	d.expected("string end")
	return ""
}

func (d *jsonDecoder) escaped(b []byte) []byte {
	c := d.s[d.i]
	d.i++
	switch c {
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		r := d.hex4()
		if utf16.IsSurrogate(r) && strings.HasPrefix(d.s[d.i:], `\u`) {
			d.i += 2
			r = utf16.DecodeRune(r, d.hex4())
		}
		return utf8.AppendRune(b, r)
	case '"', '\\', '/':
	default:
		d.i--
		d.l.RaiseError("Expected value but found invalid escape code at character %d", d.i)
	}
	return append(b, c)
}

func (d *jsonDecoder) hex4() rune {
	if d.i+4 <= len(d.s) {
		if n, err := strconv.ParseUint(d.s[d.i:d.i+4], 16, 16); err == nil {
			d.i += 4
			return rune(n)
		}
	}
	d.l.RaiseError("Expected value but found invalid unicode escape code at character %d", d.i-1)
	return 0
}
