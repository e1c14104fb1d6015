package memcache

import (
	"math/rand/v2"
	"testing"

	"holdfast/engine/enginetest"
)

// FuzzSession sends anything, whole and in pieces: the replies must be the same, and it must never panic or stand still.
func FuzzSession(f *testing.F) {
	for i, s := range fixedScripts() {
		if i%8 == 0 && len(s[0]) < 4096 {
			f.Add([]byte(s[0]), uint64(len(s[0])))
		}
	}
	for seed := range uint64(50) {
		f.Add([]byte(generate(seed)[0]), seed)
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		conf := Config{FlushAll: "all", MaxItem: 10_000}
		if seed%16 == 0 {
			conf.Users = map[string]string{"bob": "secret"}
		}
		whole := newClient(conf)
		want := whole.send(string(in))
		pieces, got := newClient(conf), ""
		g := rand.New(rand.NewPCG(seed, 1))
		for rest := string(in); rest != "" && !pieces.closed; {
			n := 1 + g.IntN(min(len(rest), 1+g.IntN(100)))
			got += pieces.send(rest[:n])
			rest = rest[n:]
		}
		if got != want || pieces.closed != whole.closed {
			t.Errorf("in pieces %q, closed %v\n whole    %q, closed %v", got, pieces.closed, want, whole.closed)
		}
		if whole.parked && !whole.closed {
			t.Errorf("parked with nothing to wait for")
		}
	})
}

// FuzzNumber holds the numbers against their bounds.
func FuzzNumber(f *testing.F) {
	for _, n := range numbers {
		f.Add([]byte(n))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, ok := unsigned(b)
		i, iok := signed(b)
		if ok && iok && n < 1<<31 && int64(i) != int64(n) && b[0] != '-' {
			t.Errorf("%q is %d and %d", b, n, i)
		}
		life(i)
	})
}

func BenchmarkGet(b *testing.B) {
	benchmark(b, "get :1:django.contrib.sessions.cacheabcdefghijklmnopqrstuvwxyz012345\r\n")
}
func BenchmarkGetMiss(b *testing.B) {
	benchmark(b, "get :1:django.contrib.sessions.cacheabcdefghijklmnopqrstuvwxyz01234x\r\n")
}
func BenchmarkVersion(b *testing.B)    { benchmark(b, "version\r\n") }
func BenchmarkSetNoreply(b *testing.B) { benchmark(b, "set key 0 300 5 noreply\r\nvalue\r\n") }
func BenchmarkGetTenKeys(b *testing.B) { benchmark(b, "get a b c d e f g h i j\r\n") }

// fixedEngine answers every read with the same result at once and forgets writes: what is left is the dialect's own time.
func benchmark(b *testing.B, request string) {
	e := &fixedEngine{Engine: enginetest.New()}
	c := &client{}
	s := New(Config{}).Session(e, c)
	in := []byte(request)
	out := make([]byte, 0, 64<<10)
	b.ReportAllocs()
	for b.Loop() {
		_, out, _ = s.Process(in, out[:0])
		e.answer()
	}
}
