package memcache

import (
	"math/rand/v2"
	"testing"

	"holdfast/op"
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
		f.Add([]byte(generateMeta(seed)[0]), seed)
	}
	f.Fuzz(inPieces)
}

// FuzzMeta sends flags of meta commands, whole and in pieces.
func FuzzMeta(f *testing.F) {
	for i, sent := range metaFixed {
		f.Add([]byte(lines(sent)), uint64(i))
	}
	f.Fuzz(func(t *testing.T, in []byte, seed uint64) {
		commands := []string{"mg a ", "ms a 1 ", "md a ", "ma a ", "me "}
		command := commands[seed%uint64(len(commands))]
		inPieces(t, []byte("ms a 1 T100\r\n5\r\n"+command+string(in)+"\r\nx\r\nmn\r\n"), seed)
	})
}

// inPieces sends in, whole and in pieces that come from seed, and holds the answers against each other.
func inPieces(t *testing.T, in []byte, seed uint64) {
	conf := Config{FlushAll: "all", MaxItem: 10_000}
	if seed%16 == 0 {
		conf.Users = userSet(t, "user default off", "user bob on >secret ~* &* +@all")
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
		if l := life(i); l.Kind == op.Keep || l.Kind == op.Forever && i != 0 {
			t.Errorf("exptime %d lives %+v", i, l)
		}
	})
}
