package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A connection begins with a hello of the one who dialed, and an answer. Both are:
//
//	magic 8, length of the body 2, body
//
// The body of a hello is
//
//	lowest and highest version of the protocol that it speaks 2 2, purpose 1, id that it expects to meet, or 0 8, identity
//
// and of an answer
//
//	0 1, version chosen 2, identity     or     1 1, sentence of refusal
//
// where an identity is: id 8, life 8, level 4, length of the name 1, name. All numbers are big-endian. This much is the same in
// all versions; later ones may put more behind it, which is passed over.
const (
	magic = "HOLDFAST"

	lowestVersion  = 1
	highestVersion = 1

	maxHello    = 1 << 10 // bytes of a body
	maxSentence = 512     // bytes of a refusal
	maxName     = 255
)

// purpose is what a connection is for. Append only: peers know them by number.
type purpose uint8

const (
	forMessages purpose = iota + 1
	forUrgent           // messages that wait for no others
	forStream
	forRequest
)

type hello struct {
	lowest, highest uint16
	purpose         purpose
	to              uint64
	self            Identity
}

var (
	errShort   = errors.New("it is cut short")
	errForeign = errors.New("it does not speak the peer protocol of Holdfast")
)

func (h *hello) append(b []byte) []byte {
	body := binary.BigEndian.AppendUint16(nil, h.lowest)
	body = binary.BigEndian.AppendUint16(body, h.highest)
	body = append(body, byte(h.purpose))
	body = binary.BigEndian.AppendUint64(body, h.to)
	return appendGreeting(b, appendIdentity(body, h.self))
}

func parseHello(b []byte) (h hello, err error) {
	if len(b) < 13 {
		return h, errShort
	}
	h.lowest, h.highest = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	h.purpose, h.to = purpose(b[4]), binary.BigEndian.Uint64(b[5:])
	h.self, err = parseIdentity(b[13:])
	return h, err
}

func appendAnswer(b []byte, version uint16, self Identity) []byte {
	body := binary.BigEndian.AppendUint16([]byte{0}, version)
	return appendGreeting(b, appendIdentity(body, self))
}

func appendRefusal(b []byte, sentence string) []byte {
	return appendGreeting(b, append([]byte{1}, sentence[:min(len(sentence), maxSentence)]...))
}

// parseAnswer returns what an answer says; refused is not empty if it is a refusal.
func parseAnswer(b []byte) (version uint16, peer Identity, refused string, err error) {
	switch {
	case len(b) >= 1 && b[0] == 1:
		return 0, peer, printable(b[1:]), nil
	case len(b) < 3:
		return 0, peer, "", errShort
	case b[0] != 0:
		return 0, peer, "", fmt.Errorf("its answer has the unknown code %d", b[0])
	}
	peer, err = parseIdentity(b[3:])
	return binary.BigEndian.Uint16(b[1:]), peer, "", err
}

func appendIdentity(b []byte, i Identity) []byte {
	name := i.Name[:min(len(i.Name), maxName)]
	b = binary.BigEndian.AppendUint64(b, i.ID)
	b = binary.BigEndian.AppendUint64(b, i.Life)
	b = binary.BigEndian.AppendUint32(b, i.Level)
	return append(append(b, byte(len(name))), name...)
}

func parseIdentity(b []byte) (i Identity, err error) {
	if len(b) < 21 || len(b) < 21+int(b[20]) {
		return i, errShort
	}
	i.ID, i.Life, i.Level = binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint32(b[16:])
	i.Name = string(b[21 : 21+int(b[20])])
	if i.Name == "" || printable([]byte(i.Name)) != i.Name {
		return i, fmt.Errorf("the name %q is empty or has characters that no name has", i.Name)
	}
	return i, nil
}

// printable makes what a stranger says fit for a log: printable ASCII, nothing else.
func printable(b []byte) string {
	out := make([]byte, 0, min(len(b), maxSentence))
	for _, c := range b[:min(len(b), maxSentence)] {
		if c < ' ' || c > '~' {
			c = '?'
		}
		out = append(out, c)
	}
	return string(out)
}

func appendGreeting(b, body []byte) []byte {
	b = append(b, magic...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

// readGreeting reads the body of a hello or an answer, and not a byte more.
func readGreeting(r io.Reader) ([]byte, error) {
	var head [len(magic) + 2]byte
	for n := 0; n < len(head); {
		m, err := r.Read(head[n:])
		n += m
		if seen := min(n, len(magic)); string(head[:seen]) != magic[:seen] {
			return nil, fmt.Errorf("%w%s", errForeign, guess(head[:n]))
		}
		if err != nil && n < len(head) {
			return nil, err
		}
	}
	size := int(binary.BigEndian.Uint16(head[len(magic):]))
	if size > maxHello {
		return nil, fmt.Errorf("its greeting has %d bytes, more than %d", size, maxHello)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, noEOF(err)
	}
	return body, nil
}

// guess says what a stranger's first bytes look like.
func guess(b []byte) string {
	if len(b) >= 2 && (b[0] == 0x15 || b[0] == 0x16) && b[1] == 3 {
		return " in plain TCP, but TLS: give both sides certificates, or neither"
	}
	return fmt.Sprintf(": it began with %q", printable(b))
}

// choose returns the highest version that both speak.
func choose(mine, its hello) (uint16, error) {
	v := min(mine.highest, its.highest)
	if v < mine.lowest || v < its.lowest {
		return 0, fmt.Errorf("%s speaks versions %d to %d of the peer protocol and %s speaks %d to %d: upgrade the older one",
			mine.self.Name, mine.lowest, mine.highest, its.self.Name, its.lowest, its.highest)
	}
	return v, nil
}

// noEOF is for an end where there must be more.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
