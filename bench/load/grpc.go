//go:build linux

package load

import (
	"encoding/binary"
	"errors"
	"strings"
)

// etcd is spoken to in gRPC as its own client does, cut down to what a generator needs: one call in flight on a connection, requests made
// beforehand but for the number of the stream, and of a reply no more than whether it ended with a message and how long that was.

// maxPut keeps a request within one frame and within the windows that every peer starts with.
const maxPut = 8 << 10

// Frame types and flags of HTTP/2, RFC 9113 section 6.
const (
	frameData, frameHeaders, frameReset, frameSettings, framePing, frameGoAway = 0, 1, 3, 4, 6, 7

	flagEndStream, flagAck, flagEndHeaders = 1, 1, 4

	frameHead = 9
)

// preface opens a connection: no settings of ours, and a window for more replies than a run can bring.
var preface = append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
	0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0xff, 0, 0)

// settingsAck accepts the settings of the other side.
var settingsAck = []byte{0, 0, 0, frameSettings, flagAck, 0, 0, 0, 0}

func frame(kind, flags byte, payload string) string {
	n := len(payload)
	return string([]byte{byte(n >> 16), byte(n >> 8), byte(n), kind, flags, 0, 0, 0, 0}) + payload
}

// etcdTemplate is a call of etcdserverpb.KV: Put with a value of size bytes, or Range of one key, linearizable as is its default, if size is 0.
func etcdTemplate(size int) template {
	key := strings.Repeat("k", KeySize)
	method, message := "Range", "\x0a"+string(byte(KeySize))+key
	if size > 0 {
		method = "Put"
		message += "\x12" + string(binary.AppendUvarint(nil, uint64(size))) + strings.Repeat("x", size)
	}
	path := "/etcdserverpb.KV/" + method
	headers := "\x83\x86" + // POST, http
		"\x04" + string(byte(len(path))) + path +
		"\x01\x04etcd" + // authority
		"\x0f\x10\x10application/grpc" +
		"\x00\x02te\x08trailers"
	text := frame(frameHeaders, flagEndHeaders, headers)
	second := len(text)
	text += frame(frameData, flagEndStream, "\x00"+string(binary.BigEndian.AppendUint32(nil, uint32(len(message))))+message)
	return template{text: []byte(text), key: strings.Index(text, key), ttl: -1, streams: []int{5, second + 5}}
}

// frames splits what a gRPC server sends, however reading cuts it.
type frames struct {
	head    [frameHead]byte
	got     int    // bytes of head that are there
	left    int    // bytes of the payload that are still to come
	ping    []byte // payload of a ping so far
	message int    // bytes of the reply's message so far
	least   int    // bytes without which the reply is a miss
}

// feed takes what was read and returns how many replies ended in it, and what has to be sent to keep the connection.
func (f *frames) feed(b []byte, t *Tally) (n int, answer []byte, err error) {
	for len(b) > 0 {
		if f.got < frameHead {
			k := copy(f.head[f.got:], b)
			f.got, b = f.got+k, b[k:]
			if f.got < frameHead {
				return n, answer, nil
			}
			f.left = int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2])
		}
		k := min(f.left, len(b))
		if f.head[3] == framePing {
			f.ping = append(f.ping, b[:k]...)
		}
		if f.head[3] == frameData {
			f.message += k
		}
		if f.left, b = f.left-k, b[k:]; f.left > 0 {
			return n, answer, nil
		}
		f.got = 0
		ended, reply, err := f.end(t)
		if err != nil {
			return n, answer, err
		}
		if answer = append(answer, reply...); ended {
			n++
		}
	}
	return n, answer, nil
}

// end is called at the end of each frame. A call that fails has no message, by the rules of gRPC.
func (f *frames) end(t *Tally) (ended bool, answer []byte, err error) {
	kind, flags := f.head[3], f.head[4]
	switch kind {
	case frameData, frameHeaders:
		if flags&flagEndStream == 0 {
			return false, nil, nil
		}
		switch {
		case f.message == 0:
			t.fail([]byte("a call failed"))
		case f.message < f.least:
			t.Misses++
		}
		f.message = 0
		return true, nil, nil
	case frameSettings:
		if flags&flagAck == 0 {
			return false, settingsAck, nil
		}
	case framePing:
		if flags&flagAck == 0 {
			answer = []byte(frame(framePing, flagAck, string(f.ping)))
		}
		f.ping = f.ping[:0]
		return false, answer, nil
	case frameReset:
		return false, nil, errors.New("server reset a call")
	case frameGoAway:
		return false, nil, errors.New("server said goodbye")
	}
	return false, nil, nil
}
