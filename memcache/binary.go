package memcache

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"

	"holdfast/op"
)

// An opcode is a row of the table of the binary protocol. Exactly one of view, write, store and conn is set: what kind of command it is.
type opcode struct {
	name   string
	quiet  bool  // answers nothing that is expected: no miss of a read, no success of anything else
	extras int   // bytes of them
	parts  parts // what else there is

	view  viewFunc // how a read shows what it has found
	write func(w *worker, p *packet) op.Write
	store func(w *worker, p *packet) op.Write // with a value
	reply replyFunc
	conn  func(s *Session, p *packet)
}

// parts says of what a request consists.
type parts byte

const (
	hasKey     parts = 1 << iota
	mayKey           // or may not
	mayValue         // up to maxLogin bytes
	lessExtras       // the extras may be missing
)

var opcodes = func() (t [256]*opcode) {
	loud := map[byte]opcode{
		0x00: {name: "get", parts: hasKey, view: (*Session).showPacket},
		0x01: {name: "set", extras: 8, parts: hasKey, store: packetSet, reply: packetStored},
		0x02: {name: "add", extras: 8, parts: hasKey, store: packetAdd, reply: packetStored},
		0x03: {name: "replace", extras: 8, parts: hasKey, store: packetReplace, reply: packetStored},
		0x04: {name: "delete", parts: hasKey, write: packetDelete, reply: packetDeleted},
		0x05: {name: "incr", extras: 20, parts: hasKey, write: packetIncr, reply: packetCounted},
		0x06: {name: "decr", extras: 20, parts: hasKey, write: packetDecr, reply: packetCounted},
		0x07: {name: "quit", conn: packetQuit},
		0x08: {name: "flush", extras: 4, parts: lessExtras, write: packetFlush, reply: packetFlushed},
		0x0a: {name: "noop", conn: packetNoop},
		0x0b: {name: "version", conn: packetVersion},
		0x0c: {name: "getk", parts: hasKey, view: (*Session).showPacket},
		0x0e: {name: "append", parts: hasKey, store: packetAppend, reply: packetStored},
		0x0f: {name: "prepend", parts: hasKey, store: packetPrepend, reply: packetStored},
		0x10: {name: "stat", parts: mayKey, conn: packetStat},
		0x1c: {name: "touch", extras: 4, parts: hasKey, write: packetTouch, reply: packetTouched},
		0x1d: {name: "gat", extras: 4, parts: hasKey, write: packetTouch, reply: packetTouched},
		0x20: {name: "sasl_list", conn: packetMechanisms},
		0x21: {name: "sasl_auth", parts: hasKey | mayValue, conn: packetLogin},
		0x22: {name: "sasl_step", parts: hasKey | mayValue, conn: packetLogin},
		0x23: {name: "gatk", extras: 4, parts: hasKey, write: packetTouch, reply: packetTouched},
	}
	quiet := map[byte]byte{0x00: 0x09, 0x01: 0x11, 0x02: 0x12, 0x03: 0x13, 0x04: 0x14, 0x05: 0x15, 0x06: 0x16, 0x07: 0x17, 0x08: 0x18, 0x0c: 0x0d,
		0x0e: 0x19, 0x0f: 0x1a, 0x1d: 0x1e, 0x23: 0x24}
	for code, row := range loud {
		t[code] = &row
		if q := quiet[code]; q != 0 {
			row := row
			row.name, row.quiet = row.name+"q", true
			t[q] = &row
		}
	}
	return t
}()

// Codes of commands that the answer of a shared function depends on.
const (
	codeAdd       = 0x02
	codeReplace   = 0x03
	codeVersion   = 0x0b
	codeGetK      = 0x0c
	codeGetKQ     = 0x0d
	codeAppend    = 0x0e
	codePrepend   = 0x0f
	codeAddQ      = 0x12
	codeReplaceQ  = 0x13
	codeAppendQ   = 0x19
	codePrependQ  = 0x1a
	codeDecr      = 0x06
	codeDecrQ     = 0x16
	codeTouch     = 0x1c
	codeMechanism = 0x20
	codeLogin     = 0x21
	codeStep      = 0x22
	codeGatK      = 0x23
	codeGatKQ     = 0x24
)

// packet carries out one request of the binary protocol.
func (s *Session) packet(in []byte) (n, next int, more bool) {
	if len(in) < headerSize {
		return 0, headerSize, false
	}
	if in[0] != magic {
		return s.close()
	}
	p := &s.w.packet
	p.parse(in)
	front := headerSize + p.extraLen + p.keyLen
	row := opcodes[p.opcode]
	switch {
	case p.extraLen+p.keyLen > p.bodyLen:
		return s.fail(p, statusUnknown)
	case s.user == nil && p.opcode != codeVersion && p.opcode != codeMechanism && p.opcode != codeLogin && p.opcode != codeStep:
		return s.fail(p, statusAuth)
	case p.keyLen > maxKey:
		return s.fail(p, statusInvalid)
	case row == nil:
		return s.refuse(p, statusUnknown, "")
	case !row.fits(p):
		return s.fail(p, statusInvalid)
	case len(in) < front:
		return 0, front, false
	}
	p.cut(in)
	p.quiet = row.quiet
	if row.store != nil && itemSize(p.keyLen, row.flags(p), p.valueLen()) > s.w.d.conf.MaxItem {
		return s.packetTooLarge(row, p)
	}
	all := headerSize + p.bodyLen
	if len(in) < all {
		return 0, all, false
	}
	return s.dispatch(row, p, all)
}

// fits says whether the parts of a request have the lengths that its command wants.
func (row *opcode) fits(p *packet) bool {
	extras := p.extraLen == row.extras || p.extraLen == 0 && row.parts&lessExtras != 0
	key := row.parts&mayKey != 0 || row.parts&hasKey != 0 == (p.keyLen > 0)
	value := row.store != nil || p.valueLen() == 0 || row.parts&mayValue != 0 && p.valueLen() <= maxLogin
	return extras && key && value
}

// flags are those that a store gives to its item.
func (row *opcode) flags(p *packet) uint32 {
	if row.extras == 0 {
		return 0
	}
	return binary.BigEndian.Uint32(p.extras)
}

func (s *Session) dispatch(row *opcode, p *packet, all int) (n, next int, more bool) {
	w := s.w
	if row.write != nil || row.store != nil {
		if s.full() {
			return 0, 0, false
		}
		how := row.write
		if row.store != nil {
			how = row.store
		}
		what := how(w, p)
		if what == nil {
			return s.agree(p, all, row.quiet)
		}
		o := owed{reply: row.reply, quiet: row.quiet, opcode: p.opcode, opaque: p.opaque}
		if p.opcode == codeGatK || p.opcode == codeGatKQ {
			o.text = bytes.Clone(p.key.Name)
		}
		s.submit(what, o, len(p.value))
		return all, 0, true
	}
	if s.outstanding() > 0 {
		return 0, 0, false
	}
	if row.conn != nil {
		mark := len(s.out)
		row.conn(s, p)
		if row.quiet {
			s.out = s.out[:mark]
		}
		return all, 0, true
	}
	return s.readPacket(row, p, all)
}

// readPacket carries out a get.
func (s *Session) readPacket(row *opcode, p *packet, all int) (n, next int, more bool) {
	if s.waiting {
		if s.news.Load() == 0 {
			return 0, 0, false
		}
		if err := s.failure(); err != nil {
			s.finished()
			s.out = appendProblem(s.out, p.opcode, p.opaque, statusTemporary, err.Error())
			return all, 0, true
		}
	}
	w := s.w
	w.view = row.view
	if _, ok := s.look(append(w.batch(1), p.key)); !ok {
		return 0, 0, false
	}
	return all, 0, true
}

// showPacket is the view of get and getk.
func (s *Session) showPacket(name []byte, res *op.Result) {
	w := s.w
	p := &w.packet
	if p.opcode != codeGetK && p.opcode != codeGetKQ {
		name = nil
	}
	if res.Status == op.OK {
		w.count.add(getHits)
		s.out = appendItem(s.out, p.opcode, p.opaque, name, res)
		return
	}
	w.count.add(getMisses)
	if !p.quiet {
		s.out = appendMiss(s.out, p.opcode, p.opaque, name)
	}
}

// appendMiss answers a read that found nothing; with a name it says that in place of a text.
func appendMiss(out []byte, opcode byte, opaque uint32, name []byte) []byte {
	if len(name) == 0 {
		return appendProblem(out, opcode, opaque, statusMissing, "")
	}
	return append(appendPacket(out, opcode, opaque, statusMissing, 0, 0, len(name), 0), name...)
}

// appendItem appends an answer with an item in it.
func appendItem(out []byte, opcode byte, opaque uint32, name []byte, r *op.Result) []byte {
	out = slices.Grow(out, headerSize+4+len(name)+len(r.Value))
	out = appendPacket(out, opcode, opaque, statusOK, r.Version, 4, len(name), len(r.Value))
	out = binary.BigEndian.AppendUint32(out, r.Flags)
	return append(append(out, name...), r.Value...)
}

// fail answers a request that nothing more can be made of, and closes.
func (s *Session) fail(p *packet, st status) (n, next int, more bool) {
	if s.outstanding() > 0 {
		return 0, 0, false
	}
	s.out = appendProblem(s.out, p.opcode, p.opaque, st, "")
	return s.close()
}

// refuse answers a request with a problem and drops its body.
func (s *Session) refuse(p *packet, st status, text string) (n, next int, more bool) {
	if s.outstanding() > 0 {
		return 0, 0, false
	}
	s.out = appendProblem(s.out, p.opcode, p.opaque, st, text)
	s.swallow = p.bodyLen
	return headerSize, 0, true
}

// agree answers a write that is not to be carried out as if it had been.
func (s *Session) agree(p *packet, all int, quiet bool) (n, next int, more bool) {
	if s.outstanding() > 0 {
		return 0, 0, false
	}
	if !quiet {
		s.out = appendPacket(s.out, p.opcode, p.opaque, statusOK, 0, 0, 0, 0)
	}
	return all, 0, true
}

// packetTooLarge refuses an item. As in text, a set takes the item that was there with it.
func (s *Session) packetTooLarge(row *opcode, p *packet) (n, next int, more bool) {
	if s.outstanding() > 0 {
		return 0, 0, false
	}
	s.w.count.add(tooLarge)
	if !strings.HasPrefix(row.name, "set") {
		return s.refuse(p, statusTooLarge, "")
	}
	s.submit(s.w.remove(p.key), owed{reply: packetTooLargeReply, opcode: p.opcode, opaque: p.opaque}, 0)
	s.swallow = p.bodyLen
	return headerSize, 0, true
}

func packetTooLargeReply(_ *counters, out []byte, _ *op.Result, o *owed) []byte {
	return appendProblem(out, o.opcode, o.opaque, statusTooLarge, "")
}

func packetNoop(s *Session, p *packet) {
	s.out = appendPacket(s.out, p.opcode, p.opaque, statusOK, 0, 0, 0, 0)
}

func packetQuit(s *Session, p *packet) {
	packetNoop(s, p)
	s.closing = true
}

func packetVersion(s *Session, p *packet) {
	s.out = append(appendPacket(s.out, p.opcode, p.opaque, statusOK, 0, 0, 0, len(Compatible)), Compatible...)
}

// packetStat answers with a packet for each number, and an empty one behind them.
func packetStat(s *Session, p *packet) {
	mark := len(s.out)
	switch end := s.stats(bytes.Fields(p.key.Name)); end {
	case "END", "OK", "RESET":
		packetNoop(s, p)
	default:
		s.out = appendProblem(s.out[:mark], p.opcode, p.opaque, statusMissing, "")
	}
}

func (s *Session) statPacket(name, value string) {
	p := &s.w.packet
	s.out = append(append(appendPacket(s.out, p.opcode, p.opaque, statusOK, 0, 0, len(name), len(value)), name...), value...)
}

// mechanism is the only way of SASL to log in: "[as whom]\0name\0password".
const mechanism = "PLAIN"

func packetMechanisms(s *Session, p *packet) {
	if s.users == nil {
		s.out = appendProblem(s.out, p.opcode, p.opaque, statusUnknown, "")
		return
	}
	s.out = append(appendPacket(s.out, p.opcode, p.opaque, statusOK, 0, 0, 0, len(mechanism)), mechanism...)
}

// packetLogin carries out SASL. A client may send the name and password with its first request, or be asked for them.
func packetLogin(s *Session, p *packet) {
	parts := bytes.Split(p.value, []byte{0})
	switch {
	case s.users == nil:
		s.out = appendProblem(s.out, p.opcode, p.opaque, statusUnknown, "")
	case p.opcode == codeLogin && string(p.key.Name) == mechanism && len(p.value) == 0:
		s.out = appendPacket(s.out, p.opcode, p.opaque, statusAuthMore, 0, 0, 0, 0)
	case string(p.key.Name) == mechanism && len(parts) == 3 && s.authenticate(parts[1], parts[2]):
		const text = "Authenticated"
		s.out = append(appendPacket(s.out, p.opcode, p.opaque, statusOK, 0, 0, 0, len(text)), text...)
	default:
		s.out = appendProblem(s.out, p.opcode, p.opaque, statusAuth, "")
	}
}
