package memcache

import (
	"encoding/binary"

	"holdfast/op"
)

// What the binary protocol is made of: a header of 24 bytes, extras, a key and a value, in both directions.
const (
	magic       = 0x80 // the first byte of a request, and so of a client that speaks this protocol
	magicAnswer = 0x81
	headerSize  = 24
)

// status is how an answer says what became of its request.
type status uint16

const (
	statusOK          status = 0x00
	statusMissing     status = 0x01
	statusExists      status = 0x02
	statusTooLarge    status = 0x03
	statusInvalid     status = 0x04
	statusNotStored   status = 0x05
	statusNotNumeric  status = 0x06
	statusAuth        status = 0x20
	statusAuthMore    status = 0x21
	statusUnknown     status = 0x81
	statusOutOfMemory status = 0x82
	statusTemporary   status = 0x86
)

// said is what an answer says beside its status.
var said = map[status]string{
	statusMissing: "Not found", statusExists: "Data exists for key.", statusTooLarge: "Too large.", statusInvalid: "Invalid arguments",
	statusNotStored: "Not stored.", statusNotNumeric: "Non-numeric server-side value for incr or decr", statusAuth: "Auth failure.",
	statusUnknown: "Unknown command", statusOutOfMemory: "Out of memory",
}

// packet is a request. Its parts refer to the input.
type packet struct {
	opcode byte
	opaque uint32
	cas    uint64
	extras []byte
	key    op.Key
	value  []byte
	quiet  bool // whether its command is

	extraLen, keyLen, bodyLen int
}

// parse reads the header.
func (p *packet) parse(in []byte) {
	*p = packet{
		opcode: in[1], opaque: binary.BigEndian.Uint32(in[12:]), cas: binary.BigEndian.Uint64(in[16:]),
		extraLen: int(in[4]), keyLen: int(binary.BigEndian.Uint16(in[2:])), bodyLen: int(binary.BigEndian.Uint32(in[8:])),
	}
}

// cut finds the parts behind the header; value is as much of it as is there.
func (p *packet) cut(in []byte) {
	body := in[headerSize:min(len(in), headerSize+p.bodyLen)]
	p.extras = body[:p.extraLen]
	p.key = memcacheKey(body[p.extraLen : p.extraLen+p.keyLen : p.extraLen+p.keyLen])
	p.value = body[p.extraLen+p.keyLen : len(body) : len(body)]
}

func (p *packet) valueLen() int { return p.bodyLen - p.extraLen - p.keyLen }

// exptime is the number of seconds at extras[i:]. Here, unlike in text, it has no sign.
func (p *packet) exptime(i int) op.Life {
	n := int64(binary.BigEndian.Uint32(p.extras[i:]))
	if n <= maxRelative {
		return life(int32(n))
	}
	return op.Life{Kind: op.At, Ms: n * 1000}
}

// number is the 64-bit number at extras[i:].
func (p *packet) number(i int) uint64 { return binary.BigEndian.Uint64(p.extras[i:]) }

// cond is the condition that the packet's unique number makes; without one it is otherwise.
func (p *packet) cond(otherwise op.CondKind) op.Cond {
	if p.cas != 0 {
		return op.Cond{Kind: op.IfVersion, Version: p.cas}
	}
	return op.Cond{Kind: otherwise}
}

// appendPacket appends the header of an answer whose extras, key and value come next.
func appendPacket(out []byte, opcode byte, opaque uint32, st status, cas uint64, extras, key, value int) []byte {
	out = append(out, magicAnswer, opcode)
	out = binary.BigEndian.AppendUint16(out, uint16(key))
	out = append(out, byte(extras), 0)
	out = binary.BigEndian.AppendUint16(out, uint16(st))
	out = binary.BigEndian.AppendUint32(out, uint32(extras+key+value))
	out = binary.BigEndian.AppendUint32(out, opaque)
	return binary.BigEndian.AppendUint64(out, cas)
}

// appendProblem appends an answer that is not what was hoped for.
func appendProblem(out []byte, opcode byte, opaque uint32, st status, text string) []byte {
	if text == "" {
		text = said[st]
	}
	return append(appendPacket(out, opcode, opaque, st, 0, 0, 0, len(text)), text...)
}
