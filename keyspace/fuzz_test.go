package keyspace

import (
	"bytes"
	"testing"

	"holdfast/op"
)

func FuzzDecodeEntry(f *testing.F) {
	f.Add((&Entry{Kind: Batch, Stamp: testStart, Origin: 3, Incarnation: 9, Seq: 1 << 40, Ops: set("a", "b").Append(nil)}).Append(nil))
	f.Add((&Entry{Kind: Tick, Stamp: 1}).Append(nil))
	f.Add((&Entry{Kind: Raise, Seq: 2}).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := DecodeEntry(5, b)
		if err != nil {
			return
		}
		again, err := DecodeEntry(5, e.Append(nil))
		if err != nil || again.Kind != e.Kind || again.Stamp != e.Stamp || again.Origin != e.Origin || again.Incarnation != e.Incarnation ||
			again.Seq != e.Seq || !bytes.Equal(again.Ops, e.Ops) {
			t.Fatalf("%+v became %+v, %v", e, again, err)
		}
	})
}

func FuzzLoad(f *testing.F) {
	for seed := range uint64(3) {
		g := newGenerator(seed)
		x := newFeeder(New(nil, nil))
		for range 100 {
			x.do(g.write())
			g.pass(x)
		}
		var b []byte
		w := x.s.BeginSnapshot()
		for done := false; !done; {
			b, done = w.Next(b, 1000)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := New(nil, nil)
		rest, err := s.Load(b)
		if err != nil || len(rest) > 0 || s.Loading() {
			return
		}
		verify(t, s)
		s.Digest()
		e := Entry{Index: s.Index() + 1, Stamp: s.Stamp(), Kind: Tick}
		if e.Index != 0 {
			s.Apply(&e, nil)
		}
	})
}

// harmless says whether b begins with ops that no test regrets: none asks for much memory. It returns them alone.
func harmless(b []byte) (ops []byte) {
	var dec op.Decoder
	for n := 0; n < 50; n++ {
		o, rest, err := dec.Next(b[len(ops):])
		if err != nil {
			break
		}
		switch o := o.(type) {
		case *op.SetRange:
			if o.Offset > 1<<20 {
				return ops
			}
		case *op.SetBit:
			if o.Offset > 1<<23 {
				return ops
			}
		case *op.Configure:
			return ops
		case *op.Tx:
			if in := harmless(o.Body); len(in) != len(o.Body) {
				return ops
			}
		}
		ops = b[:len(b)-len(rest)]
	}
	return ops
}

func FuzzApply(f *testing.F) {
	g := newGenerator(4)
	for range 60 {
		var b []byte
		for range 5 {
			b = g.write().Append(b)
		}
		f.Add(b, g.read().Append(b))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		x, y := newFeeder(New(nil, nil)), newFeeder(New(nil, nil))
		y.s.Seed(5)
		// The table is empty yet for keys: only the seed differs from here on.
		for i, ops := range [][]byte{harmless(a), harmless(b), harmless(a)} {
			for _, f := range []*feeder{x, y} {
				f.seq++
				f.stamp += 100 * ms
				f.entry(Entry{Kind: Batch, Incarnation: 1, Seq: f.seq, Ops: ops})
			}
			if len(x.results) != len(y.results) {
				t.Fatal("other results")
			}
			if x.s.Digest() != y.s.Digest() {
				t.Fatal("digests differ after entry", i)
			}
		}
		verify(t, x.s)
		z := reload(t, y.s.BeginSnapshot(), 7, 100, func() {})
		if z.Digest() != y.s.Digest() {
			t.Fatal("the loaded state is another one")
		}
	})
}

func TestLoadRefuses(t *testing.T) {
	f := newFeeder(New(nil, nil))
	f.do(set("a", "1"), set("b", "2"), &op.SetAdd{Key: key(0, "s"), Members: [][]byte{[]byte("a")}})
	var frames [][]byte
	w := f.s.BeginSnapshot()
	for done := false; !done; {
		var b []byte
		if b, done = w.Next(nil, 1); len(b) > 0 {
			for len(b) > 0 {
				n := 4 + int(le.Uint32(b))
				frames = append(frames, b[:n])
				b = b[n:]
			}
		}
	}
	if len(frames) != 5 {
		t.Fatal(len(frames), "frames")
	}
	for _, order := range [][]int{{1}, {0, 0}, {0, 4}, {0, 1, 2, 4}, {0, 1, 2, 3, 4, 4}} {
		s := New(nil, nil)
		var err error
		for _, i := range order {
			if err == nil {
				_, err = s.Load(frames[i])
			}
		}
		if err == nil {
			t.Error("no error for frames", order)
		}
	}
	whole := bytes.Join(frames, nil)
	for i := range whole {
		s := New(nil, nil)
		if rest, err := s.Load(whole[:i]); err != nil || len(rest) > i || !s.Loading() && i > len(frames[0]) {
			t.Errorf("%d bytes of it: %v, %v", i, err, s.Loading())
		}
	}
}
