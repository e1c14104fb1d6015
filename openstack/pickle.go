package openstack

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
)

// A pickle is a program, and running one that a stranger wrote is giving him the machine. This reads one as a text: which strings and numbers it
// pushes, one after the other, and never what it would make of them. So a dictionary's value is seen right behind its key.

const (
	maxSteps  = 200_000 // instructions
	maxMemo   = 20_000  // values that are remembered for being pushed again
	maxString = 1 << 10 // bytes of a string that is shown; a longer one counts as nothing
)

// atom is what was pushed: a string, a number, or anything else.
type atom struct {
	text     string
	number   float64
	isString bool
	isNumber bool
}

// pickled calls visit for every string and number, with what was pushed just before it, which is its key where it is a value of a dictionary. It
// returns false if b does not read as a pickle; then visit has seen what stood before.
func pickled(b []byte, visit func(key string, a atom)) bool {
	p := pickle{rest: b, visit: visit, memo: map[uint64]atom{}}
	for range maxSteps {
		if len(p.rest) == 0 {
			return false
		}
		code := p.rest[0]
		p.rest = p.rest[1:]
		if code == '.' {
			return true
		}
		if !p.step(code) {
			return false
		}
	}
	return false
}

type pickle struct {
	rest  []byte
	last  atom // pushed last
	memo  map[uint64]atom
	count uint64 // values that MEMOIZE has numbered
	visit func(key string, a atom)
}

// argument says what follows an instruction: so many bytes, a length in so many bytes and as much data, or lines.
type argument struct {
	bytes  int
	prefix int
	lines  int
	meaning
}

// meaning says what an instruction does to what was pushed last.
type meaning uint8

const (
	nothing meaning = iota + 1 // it pushes and pops nothing, or only marks
	other                      // it leaves something else than a string or a number on top
	text
	quotedText
	integer
	decimal
	float
	remember
	rememberLine
	number // numbers the value by itself
	recall
	recallLine
)

// instructions of the protocols 0 to 5.
var instructions = map[byte]argument{
	'(': {meaning: nothing}, 0x80: {bytes: 1, meaning: nothing}, 0x95: {bytes: 8, meaning: nothing},
	'X': {prefix: 4, meaning: text}, 0x8c: {prefix: 1, meaning: text}, 0x8d: {prefix: 8, meaning: text},
	'T': {prefix: 4, meaning: text}, 'U': {prefix: 1, meaning: text}, 'B': {prefix: 4, meaning: text}, 'C': {prefix: 1, meaning: text},
	0x8e: {prefix: 8, meaning: text}, 0x96: {prefix: 8, meaning: text}, 'V': {lines: 1, meaning: text}, 'S': {lines: 1, meaning: quotedText},
	'K': {bytes: 1, meaning: integer}, 'M': {bytes: 2, meaning: integer}, 'J': {bytes: 4, meaning: integer},
	'I': {lines: 1, meaning: decimal}, 'L': {lines: 1, meaning: decimal}, 'F': {lines: 1, meaning: decimal}, 'G': {bytes: 8, meaning: float},
	0x8a: {prefix: 1, meaning: other}, 0x8b: {prefix: 4, meaning: other},
	'q': {bytes: 1, meaning: remember}, 'r': {bytes: 4, meaning: remember}, 'p': {lines: 1, meaning: rememberLine}, 0x94: {meaning: number},
	'h': {bytes: 1, meaning: recall}, 'j': {bytes: 4, meaning: recall}, 'g': {lines: 1, meaning: recallLine},
	'c': {lines: 2, meaning: other}, 'i': {lines: 2, meaning: other}, 'P': {lines: 1, meaning: other},
	0x82: {bytes: 1, meaning: other}, 0x83: {bytes: 2, meaning: other}, 0x84: {bytes: 4, meaning: other},
	'}': {meaning: other}, ']': {meaning: other}, ')': {meaning: other}, 'd': {meaning: other}, 'l': {meaning: other}, 't': {meaning: other},
	's': {meaning: other}, 'u': {meaning: other}, 'a': {meaning: other}, 'e': {meaning: other}, '0': {meaning: other}, '1': {meaning: other},
	'2': {meaning: other}, 'N': {meaning: other}, 'Q': {meaning: other}, 'R': {meaning: other}, 'b': {meaning: other}, 'o': {meaning: other},
	0x81: {meaning: other}, 0x85: {meaning: other}, 0x86: {meaning: other}, 0x87: {meaning: other}, 0x88: {meaning: other}, 0x89: {meaning: other},
	0x8f: {meaning: other}, 0x90: {meaning: other}, 0x91: {meaning: other}, 0x92: {meaning: other}, 0x93: {meaning: other}, 0x97: {meaning: other},
	0x98: {meaning: nothing},
}

// step reads one instruction.
func (p *pickle) step(code byte) bool {
	in, known := instructions[code]
	if !known {
		return false
	}
	arg, ok := p.argument(in)
	if !ok {
		return false
	}
	switch in.meaning {
	case other:
		p.last = atom{}
	case text:
		p.pushText(arg)
	case quotedText:
		p.pushText(bytes.Trim(arg, `'"`))
	case integer:
		v := float64(little(arg))
		if code == 'J' {
			v = float64(int32(little(arg)))
		}
		p.push(atom{number: v, isNumber: true})
	case decimal:
		v, err := strconv.ParseFloat(string(bytes.TrimSuffix(arg, []byte("L"))), 64)
		p.push(atom{number: v, isNumber: err == nil})
	case float:
		p.push(atom{number: math.Float64frombits(binary.BigEndian.Uint64(arg)), isNumber: true})
	case remember, rememberLine, number:
		p.remember(in.meaning, arg)
	case recall, recallLine:
		p.push(p.memo[place(in.meaning, arg)])
	}
	return true
}

// argument takes what follows the instruction.
func (p *pickle) argument(in argument) ([]byte, bool) {
	n := uint64(in.bytes)
	if in.prefix > 0 {
		if len(p.rest) < in.prefix {
			return nil, false
		}
		n = little(p.rest[:in.prefix])
		p.rest = p.rest[in.prefix:]
	}
	if n > uint64(len(p.rest)) {
		return nil, false
	}
	arg := p.rest[:n]
	p.rest = p.rest[n:]
	for range in.lines {
		line, rest, found := bytes.Cut(p.rest, []byte("\n"))
		if !found {
			return nil, false
		}
		arg, p.rest = line, rest
	}
	return arg, true
}

func (p *pickle) pushText(b []byte) {
	if len(b) > maxString {
		p.last = atom{}
		return
	}
	p.push(atom{text: string(b), isString: true})
}

func (p *pickle) push(a atom) {
	if a.isString || a.isNumber {
		p.visit(p.last.text, a)
	}
	p.last = a
}

func (p *pickle) remember(m meaning, arg []byte) {
	at := p.count
	if m == number {
		p.count++
	} else {
		at = place(m, arg)
	}
	if len(p.memo) < maxMemo {
		p.memo[at] = p.last
	}
}

// place is the number under which a value is remembered.
func place(m meaning, arg []byte) uint64 {
	if m == rememberLine || m == recallLine {
		n, _ := strconv.ParseUint(string(arg), 10, 64)
		return n
	}
	return little(arg)
}

func little(b []byte) (n uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		n = n<<8 | uint64(b[i])
	}
	return n
}
