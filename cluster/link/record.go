package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Behind the greetings everything is records: length 4, CRC-32C of the body 4, body. A checksum under TLS is one too many,
// and costs less than a second format would.
const recordHead = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errChecksum = errors.New("a checksum does not match: the network or a machine corrupts data")

// openRecord and sealRecord go around the bytes of a record's body, which stand behind b[at+recordHead].
func openRecord(b []byte) []byte { return append(b, make([]byte, recordHead)...) }

func sealRecord(b []byte, at int) {
	body := b[at+recordHead:]
	binary.BigEndian.PutUint32(b[at:], uint32(len(body)))
	binary.BigEndian.PutUint32(b[at+4:], crc32.Checksum(body, castagnoli))
}

func appendRecord(b []byte, body ...[]byte) []byte {
	at := len(b)
	b = openRecord(b)
	for _, part := range body {
		b = append(b, part...)
	}
	sealRecord(b, at)
	return b
}

// split appends the bodies of the whole records in b, which refer to b. used bytes are done with; the record that follows them
// has size bytes with its head, as far as is known.
func split(b []byte, limit int, bodies [][]byte) (_ [][]byte, used, size int, err error) {
	for {
		rest := b[used:]
		if len(rest) < recordHead {
			return bodies, used, recordHead, nil
		}
		n := int64(binary.BigEndian.Uint32(rest))
		if n > int64(limit) {
			return bodies, used, 0, fmt.Errorf("a record has %d bytes, more than %d", n, limit)
		}
		if int64(len(rest)) < recordHead+n {
			return bodies, used, recordHead + int(n), nil
		}
		body := rest[recordHead : recordHead+n : recordHead+n]
		if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(rest[4:]) {
			return bodies, used, 0, errChecksum
		}
		bodies = append(bodies, body)
		used += recordHead + int(n)
	}
}

const firstRead = 64 << 10 // bytes that are made room for before a record's own bytes have shown that there are more

// readRecord reads one record and not a byte more. Its body lies in buf, if that has the room.
func readRecord(r io.Reader, limit int, buf []byte) ([]byte, error) {
	var head [recordHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	if n > int64(limit) {
		return nil, fmt.Errorf("a record has %d bytes, more than %d", n, limit)
	}
	buf = buf[:0]
	for step := int64(max(cap(buf), firstRead)); int64(len(buf)) < n; step *= 2 {
		at := len(buf)
		buf = append(buf, make([]byte, min(step, n)-int64(at))...)
		if _, err := io.ReadFull(r, buf[at:]); err != nil {
			return nil, noEOF(err)
		}
	}
	if crc32.Checksum(buf, castagnoli) != binary.BigEndian.Uint32(head[4:]) {
		return nil, errChecksum
	}
	return buf, nil
}
