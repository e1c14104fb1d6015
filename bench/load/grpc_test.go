//go:build linux

package load

import (
	"bytes"
	"strings"
	"testing"
)

func TestPutIsTwoFrames(t *testing.T) {
	put := setTemplate("etcd", 300, 0)
	text := string(put.text)
	for i, at := range put.streams {
		length := int(text[at-5])<<16 | int(text[at-4])<<8 | int(text[at-3])
		end := len(text)
		if i == 0 {
			end = put.streams[1] - 5
		}
		if got := end - at - 4; got != length {
			t.Errorf("frame %d has %d bytes, says %d", i, got, length)
		}
	}
	message := text[put.streams[1]+4:]
	want := "\x00\x00\x00\x01\x59" + "\x0a\x28" + strings.Repeat("k", KeySize) + "\x12\xac\x02" + strings.Repeat("x", 300)
	if message != want {
		t.Errorf("message %q, want %q", message, want)
	}
}

func TestFramesHoweverTheyAreCut(t *testing.T) {
	replies := frame(frameSettings, 0, "\x00\x03\x00\x00\x00\x01") + // asks for an answer
		frame(frameHeaders, flagEndHeaders, "status") + frame(frameData, 0, strings.Repeat("m", 1100)) + frame(frameHeaders, flagEndHeaders|flagEndStream, "grpc-status 0") +
		frame(framePing, 0, "12345678") +
		frame(frameHeaders, flagEndHeaders, "status") + frame(frameData, 0, "short") + frame(frameHeaders, flagEndHeaders|flagEndStream, "grpc-status 0") +
		frame(frameHeaders, flagEndHeaders|flagEndStream, "grpc-status 14")
	for step := 1; step <= len(replies); step++ {
		f := frames{least: 1024}
		var seen Tally
		var answers bytes.Buffer
		n := 0
		for rest := replies; rest != ""; {
			k := min(step, len(rest))
			got, answer, err := f.feed([]byte(rest[:k]), &seen)
			if err != nil {
				t.Fatal(err)
			}
			n += got
			answers.Write(answer)
			rest = rest[k:]
		}
		if want := string(settingsAck) + frame(framePing, flagAck, "12345678"); n != 3 || answers.String() != want {
			t.Fatalf("pieces of %d: %d replies, answered %q; want 3 and %q", step, n, answers.String(), want)
		}
		if seen.Misses != 1 || seen.Errors != 1 {
			t.Fatalf("pieces of %d: %+v, want a miss and an error", step, seen)
		}
	}
}

func TestGoodbyeIsAnError(t *testing.T) {
	var f frames
	if _, _, err := f.feed([]byte(frame(frameGoAway, 0, "12345678")), new(Tally)); err == nil {
		t.Error("a server that closes the connection was not noticed")
	}
}

// A SET with WAIT has two answers, and the second must be the number of replicas.
func TestWait(t *testing.T) {
	set := setTemplate("redis", 10, 2)
	if !strings.HasSuffix(string(set.text), "*3\r\n$4\r\nWAIT\r\n$1\r\n2\r\n$1\r\n0\r\n") {
		t.Errorf("request %q does not end in WAIT 2 0", set.text)
	}
	for reply, errors := range map[string]uint64{":2\r\n": 0, ":1\r\n": 1} {
		p := replies{wait: '2'}
		var seen Tally
		if n, err := p.feed([]byte("+OK\r\n"+reply), 'r', &seen); n != 2 || err != nil || seen.Errors != errors {
			t.Errorf("%q: %d replies, %v, %d errors; want 2, none, %d", reply, n, err, seen.Errors, errors)
		}
	}
}
