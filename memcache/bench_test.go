package memcache

import (
	"testing"

	"holdfast/engine/enginetest"
)

const benchKey = ":1:django.contrib.sessions.cacheabcdefghijklmnopqrstuvwxyz012345"

func BenchmarkGet(b *testing.B)        { benchmark(b, "get "+benchKey+"\r\n") }
func BenchmarkGetTenKeys(b *testing.B) { benchmark(b, "get a b c d e f g h i j\r\n") }
func BenchmarkSet(b *testing.B)        { benchmark(b, "set "+benchKey+" 1 3600 5\r\nvalue\r\n") }
func BenchmarkVersion(b *testing.B)    { benchmark(b, "version\r\n") }

// benchmark measures the dialect's own time: its engine does nothing.
func benchmark(b *testing.B, request string) {
	e := &fixedEngine{Engine: enginetest.New()}
	s := New(Config{}).Session(e, &client{})
	in := []byte(request)
	out := make([]byte, 0, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		s.Process(in, out)
		if e.owing != nil {
			e.answer()
			s.Process(nil, out)
		}
	}
}
