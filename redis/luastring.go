package redis

import (
	"fmt"
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// openString replaces the functions that would take more memory or time than allowed, or read bytes as UTF-8.
func (in *interp) openString(t *lua.LTable) {
	t.RawSetString("dump", lua.LNil)
	in.function(t, "upper", func(l *lua.LState) int { return mapBytes(l, 'a', 'z') })
	in.function(t, "lower", func(l *lua.LState) int { return mapBytes(l, 'A', 'Z') })
	in.function(t, "rep", func(l *lua.LState) int {
		s, n := l.CheckString(1), max(l.CheckInt(2), 0)
		if n > maxString {
			n = maxString + 1
		}
		checkSize(l, len(s)*n)
		l.Push(lua.LString(strings.Repeat(s, n)))
		return 1
	})
	in.function(t, "format", luaFormat)
	in.function(t, "find", func(l *lua.LState) int { return in.find(l, true) })
	in.function(t, "match", func(l *lua.LState) int { return in.find(l, false) })
	in.function(t, "gmatch", in.gmatch)
	in.function(t, "gfind", in.gmatch)
	in.function(t, "gsub", in.gsub)
	t.RawSetString("__index", lua.LNil)
	in.library("string", t)
	mt := in.l.NewTable()
	mt.RawSetString("__index", t)
	mt.RawSetString("__metatable", in.globals.RawGetString("string"))
	in.l.SetMetatable(lua.LString(""), mt)
}

// mapBytes changes the case of the letters from low to high.
func mapBytes(l *lua.LState, low, high byte) int {
	b := []byte(l.CheckString(1))
	for i, c := range b {
		if low <= c && c <= high {
			b[i] = c ^ 0x20
		}
	}
	l.Push(lua.LString(b))
	return 1
}

func (in *interp) matcher(l *lua.LState, s, p string) *matcher {
	return &matcher{l: l, s: s, p: p, check: func() {
		if in.meter.check(); in.stop != nil {
			l.RaiseError("%s", in.stop.Error())
		}
	}}
}

// start turns the optional argument i, where to begin, into an offset.
func start(l *lua.LState, i int, s string) int {
	n := l.OptInt(i, 1)
	if n < 0 {
		n = max(len(s)+n+1, 1)
	}
	return min(max(n-1, 0), len(s))
}

func (in *interp) find(l *lua.LState, positions bool) int {
	s, p := l.CheckString(1), l.CheckString(2)
	from := start(l, 3, s)
	if positions && (lua.LVAsBool(l.Get(4)) || !strings.ContainsAny(p, "^$*+?.([%-")) {
		i := strings.Index(s[from:], p)
		if i < 0 {
			l.Push(lua.LNil)
			return 1
		}
		l.Push(lua.LNumber(from + i + 1))
		l.Push(lua.LNumber(from + i + len(p)))
		return 2
	}
	p, anchored := strings.CutPrefix(p, "^")
	m := in.matcher(l, s, p)
	for ; from <= len(s); from++ {
		m.level = 0
		if end := m.match(from, 0); end >= 0 {
			if !positions {
				return m.push(from, end)
			}
			l.Push(lua.LNumber(from + 1))
			l.Push(lua.LNumber(end))
			if m.level == 0 {
				return 2
			}
			return 2 + m.push(from, end)
		}
		if anchored {
			break
		}
	}
	l.Push(lua.LNil)
	return 1
}

func (in *interp) gmatch(l *lua.LState) int {
	s, p := l.CheckString(1), l.CheckString(2)
	at := 0
	l.Push(l.NewFunction(func(l *lua.LState) int {
		m := in.matcher(l, s, p)
		for ; at <= len(s); at++ {
			m.level = 0
			if end := m.match(at, 0); end >= 0 {
				from := at
				if at = end; end == from {
					at++
				}
				return m.push(from, end)
			}
		}
		return 0
	}))
	return 1
}

func (in *interp) gsub(l *lua.LState) int {
	s, p := l.CheckString(1), l.CheckString(2)
	by := l.Get(3)
	if n, ok := by.(lua.LNumber); ok {
		by = lua.LString(number(float64(n)))
	}
	switch by.Type() {
	case lua.LTString, lua.LTTable, lua.LTFunction:
	default:
		l.ArgError(3, "string/function/table expected")
	}
	most := l.OptInt(4, len(s)+1)
	p, anchored := strings.CutPrefix(p, "^")
	m := in.matcher(l, s, p)
	var b strings.Builder
	at, n := 0, 0
	for n < most {
		m.level = 0
		end := m.match(at, 0)
		if end >= 0 {
			n++
			m.replace(&b, by, at, end)
			checkSize(l, b.Len())
		}
		if end > at {
			at = end
		} else if at < len(s) {
			b.WriteByte(s[at])
			at++
		} else {
			break
		}
		if anchored {
			break
		}
	}
	if at < len(s) {
		b.WriteString(s[at:])
	}
	l.Push(lua.LString(b.String()))
	l.Push(lua.LNumber(n))
	return 2
}

// replace writes what stands for the match from s to end.
func (m *matcher) replace(b *strings.Builder, by lua.LValue, s, end int) {
	var v lua.LValue
	switch by := by.(type) {
	case lua.LString:
		m.expand(b, string(by), s, end)
		return
	case *lua.LTable:
		v = m.l.GetTable(by, m.value(0, s, end))
	default:
		m.l.Push(by)
		n := m.push(s, end)
		m.l.Call(n, 1)
		v = m.l.Get(-1)
		m.l.Pop(1)
	}
	if !lua.LVAsBool(v) {
		b.WriteString(m.s[s:end])
		return
	}
	t, ok := text(v)
	if !ok {
		m.l.RaiseError("invalid replacement value (a %s)", v.Type())
	}
	b.WriteString(t)
}

// expand writes by with %0 to %9 replaced by captures.
func (m *matcher) expand(b *strings.Builder, by string, s, end int) {
	for i := 0; i < len(by); i++ {
		if by[i] != '%' || i+1 == len(by) {
			b.WriteByte(by[i])
			continue
		}
		i++
		switch c := by[i]; {
		case c == '0':
			b.WriteString(m.s[s:end])
		case '1' <= c && c <= '9':
			t, _ := text(m.value(int(c-'1'), s, end))
			b.WriteString(t)
		default:
			b.WriteByte(c)
		}
		checkSize(m.l, b.Len())
	}
}

// luaFormat is string.format with the conversions of C that Lua has.
func luaFormat(l *lua.LState) int {
	f := l.CheckString(1)
	var b strings.Builder
	arg := 1
	for i := 0; i < len(f); i++ {
		if f[i] != '%' {
			b.WriteByte(f[i])
			continue
		}
		if i++; i < len(f) && f[i] == '%' {
			b.WriteByte('%')
			continue
		}
		from := i
		for i < len(f) && strings.IndexByte("-+ #0123456789.", f[i]) >= 0 {
			i++
		}
		if i == len(f) || i-from > 7 || digits(f[from:i]) > 2 {
			l.RaiseError("invalid format (width or precision too long)")
		}
		arg++
		formatOne(l, &b, "%"+f[from:i], f[i], arg)
		checkSize(l, b.Len())
	}
	l.Push(lua.LString(b.String()))
	return 1
}

// digits returns the length of the longest run of digits in s.
func digits(s string) int {
	longest, n := 0, 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			n = 0
			continue
		}
		n++
		longest = max(longest, n)
	}
	return longest
}

func formatOne(l *lua.LState, b *strings.Builder, spec string, verb byte, arg int) {
	switch verb {
	case 'c':
		b.WriteByte(byte(int(l.CheckNumber(arg))))
	case 'd', 'i':
		fmt.Fprintf(b, spec+"d", integer(float64(l.CheckNumber(arg))))
	case 'u':
		fmt.Fprintf(b, spec+"d", uint64(integer(float64(l.CheckNumber(arg)))))
	case 'o', 'x', 'X':
		fmt.Fprintf(b, spec+string(verb), uint64(integer(float64(l.CheckNumber(arg)))))
	case 'e', 'E', 'f', 'g', 'G':
		formatFloat(b, spec, verb, float64(l.CheckNumber(arg)))
	case 'q':
		quote(b, l.CheckString(arg))
	case 's':
		s, ok := text(l.Get(arg))
		if !ok {
			s = l.ToStringMeta(l.CheckAny(arg)).String()
		}
		if strings.ContainsAny(spec, "0123456789") {
			s = clip(spec, s)
		}
		b.WriteString(s)
	default:
		l.RaiseError("invalid option '%%%c' to 'format'", verb)
	}
}

// formatFloat writes f as C does, which has a precision of 6 where Go takes as many digits as needed.
func formatFloat(b *strings.Builder, spec string, verb byte, f float64) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		b.WriteString(number(f))
		return
	}
	if !strings.Contains(spec, ".") {
		spec += ".6"
	}
	fmt.Fprintf(b, spec+string(verb), f)
}

// clip cuts and pads bytes, where Go would count characters.
func clip(spec, s string) string {
	var width, precision int
	flags := strings.TrimLeft(spec[1:], "-+ #0")
	w, p, cut := strings.Cut(flags, ".")
	fmt.Sscan(w, &width)
	fmt.Sscan(p, &precision)
	if cut && precision < len(s) {
		s = s[:precision]
	}
	pad := strings.Repeat(" ", max(width-len(s), 0))
	if strings.Contains(spec, "-") {
		return s + pad
	}
	return pad + s
}

func quote(b *strings.Builder, s string) {
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\', '\n':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\r':
			b.WriteString(`\r`)
		case 0:
			b.WriteString(`\000`)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
}
