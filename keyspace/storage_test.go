package keyspace

import (
	"bytes"
	"fmt"
	"math"
	"testing"

	"holdfast/op"
)

// TestWipe flushes many keys at once, with and without a snapshot on its way, and uses the state again.
func TestWipe(t *testing.T) {
	f := newFeeder(New(nil, nil))
	for round := range 3 {
		for i := range wipeFrom {
			f.one(&op.Set{Key: key(op.Space(i%2), fmt.Sprint(i)), Value: make([]byte, i%900), Life: op.Life{Kind: op.In, Ms: int64(1 + i)}})
		}
		big := op.Field{Name: make([]byte, 9000), Value: make([]byte, 300_000)}
		f.do(&op.Set{Key: key(1, "big"), Value: big.Value}, &op.HashSet{Key: key(1, "hash"), Fields: []op.Field{big}})
		want := f.s.Digest()
		if round == 1 {
			w := f.s.BeginSnapshot()
			c := reload(t, w, 1, 100_000, func() { f.one(&op.Flush{All: true}) })
			if c.Digest() != want {
				t.Error("the snapshot is not the state at its beginning")
			}
		} else if r := f.one(&op.Flush{All: true}); r.Int != wipeFrom+2 {
			t.Error("flushed", r.Int)
		}
		verify(t, f.s)
		if m := f.s.Memory(); m.Used != 0 || f.s.Due(never) {
			t.Errorf("something is left: %+v", m)
		}
	}
}

// A space of few keys is scanned in one call, whatever count is asked for, as a client expects that looks at one call only.
func TestScanOfFewKeys(t *testing.T) {
	f := newFeeder(New(nil, nil))
	for i := range 5 {
		f.one(&op.Set{Key: key(0, fmt.Sprint(i))})
	}
	if res := f.read(&op.Scan{Count: 10}); len(res.List) != 5 || res.Uint != 0 {
		t.Errorf("%d keys, cursor %d", len(res.List), res.Uint)
	}
}

// TestScan walks while keys come and go: those that are there all the time must be seen.
func TestScan(t *testing.T) {
	f := newFeeder(New(nil, nil))
	for i := range 3000 {
		f.do(&op.Set{Key: key(0, fmt.Sprint("stay", i))}, &op.Set{Key: key(1, fmt.Sprint("other", i))})
	}
	f.one(&op.Set{Key: key(0, "stay dead"), Life: op.Life{Kind: op.In, Ms: 1}})
	seen := map[string]bool{}
	cursor, calls := uint64(0), 0
	for {
		var res op.Result
		f.s.Read(&op.Scan{Cursor: cursor, Count: 20, Match: []byte("stay*"), Of: op.String}, f.stamp+ms, &res)
		for _, r := range res.List {
			seen[string(r.Value)] = true
		}
		if len(res.List) > 60 {
			t.Errorf("%d keys in one call", len(res.List))
		}
		calls++
		if cursor = res.Uint; cursor == 0 {
			break
		}
		for i := range 40 {
			f.one(&op.Set{Key: key(0, fmt.Sprint("new", calls, ".", i))})
		}
	}
	if len(seen) != 3000 || seen["stay dead"] {
		t.Errorf("%d keys seen, in %d calls", len(seen), calls)
	}
	if res := f.read(&op.Scan{Count: -1}); int64(len(res.List)) != f.read(&op.Size{}).Int || res.Uint != 0 {
		t.Error("all at once:", len(res.List))
	}
	for _, cursor := range []uint64{math.MaxUint64, 1 << 58, 12345} {
		f.read(&op.Scan{Cursor: cursor, Count: 1})
		f.s.Candidates(cursor, 1, op.Cache, nil)
	}
	if f.read(&op.RandomKey{Space: 2, Seed: 3}).Status != op.Missing {
		t.Error("a random key of an empty space")
	}
	picked := map[string]bool{}
	for i := range uint64(200) {
		picked[string(f.read(&op.RandomKey{Space: 1, Seed: i}).Value)] = true
	}
	if len(picked) < 150 {
		t.Error("random keys:", len(picked))
	}
}

// TestCompaction changes the sizes of many keys and looks whether memory follows.
func TestCompaction(t *testing.T) {
	f := newFeeder(New(nil, nil))
	g := newGenerator(1)
	const keys = 30_000
	for round, size := range []int{100, 900, 300, 5000, 50} {
		n := keys
		if size == 5000 {
			n = 4000
		}
		for i := range keys {
			k := key(op.Space(i%3), fmt.Sprint("k", i))
			if i < n {
				f.one(&op.Set{Key: k, Value: bytes.Repeat([]byte{byte(i)}, size+g.IntN(50)), Life: op.Life{Kind: op.In, Ms: 1000_000 + int64(i%5000)*1000}})
			} else if i%2 == 0 {
				f.one(&op.Delete{Keys: []op.Key{k}})
			}
		}
		want, w := f.s.Digest(), f.s.BeginSnapshot()
		if c := reload(t, w, 3, 20_000, f.tick); c.Digest() != want {
			t.Fatal("the snapshot is not the state at its beginning")
		}
		verify(t, f.s)
		m := &f.s.slab
		if m.spare > m.used/spareRatio+spareFloor+chunkSize {
			t.Errorf("round %d: %d bytes in free slots beside %d in use", round, m.spare, m.used)
		}
		for i := range n {
			if v := f.read(&op.Get{Key: key(op.Space(i%3), fmt.Sprint("k", i))}).Value; len(v) < size || v[0] != byte(i) || v[len(v)-1] != byte(i) {
				t.Fatalf("round %d: key %d has another value", round, i)
			}
		}
	}
	f.stamp += 10_000_000 * ms
	for f.s.Due(f.stamp) {
		f.tick()
	}
	verify(t, f.s)
	for sp, n := range f.s.Memory().Space {
		if n.Mortal != 0 {
			t.Errorf("space %d: %d keys did not end", sp, n.Mortal)
		}
	}
}

// TestMemoryComesBack takes and frees large values.
func TestMemoryComesBack(t *testing.T) {
	taken := 0
	s := New(func(n int) []byte { taken += n; return make([]byte, n) }, func(b []byte) { taken -= len(b) })
	f := newFeeder(s)
	for i := range 20 {
		f.one(&op.Set{Key: key(0, fmt.Sprint(i%3)), Value: make([]byte, 200_000+i*50_000)})
	}
	f.one(&op.Splice{Key: key(0, "0"), Value: []byte("x")})
	verify(t, s)
	if s.Physical() != uint64(taken) {
		t.Errorf("physical %d, taken %d", s.Physical(), taken)
	}
	if f.one(&op.Flush{All: true}); s.Physical() != uint64(len(s.slab.chunks)-1)*chunkSize || s.slab.used != 0 {
		t.Errorf("after a flush physical is %d, %d used", s.Physical(), s.slab.used)
	}
}

// TestKeysOfOneHash fills a segment with keys that only who knows the seed can find.
func TestKeysOfOneHash(t *testing.T) {
	f := newFeeder(New(nil, nil))
	name := func(i int) string { return string(le.AppendUint64(le.AppendUint64(nil, f.s.secret.b), uint64(i))) }
	if f.s.hash(key(0, name(1))) != f.s.hash(key(0, name(2))) {
		t.Fatal("these keys have different hashes")
	}
	const n = buckets * bucketSlots
	for i := range n {
		f.do(set(name(i), fmt.Sprint(i)), set(fmt.Sprint("other", i), "x"))
	}
	for i := range n {
		if r := f.read(get(name(i))); string(r.Value) != fmt.Sprint(i) {
			t.Fatalf("key %d: %+v", i, r)
		}
	}
	verify(t, f.s)
	if got := len(f.read(&op.Scan{Count: -1, Match: []byte("*")}).List); got != 2*n {
		t.Errorf("%d keys in a scan, should be %d", got, 2*n)
	}
	for i := range n {
		if i%3 > 0 {
			f.one(&op.Delete{Keys: []op.Key{key(0, name(i))}})
		}
	}
	for i := range n {
		if r := f.read(get(name(i))); (r.Status == op.OK) != (i%3 == 0) {
			t.Fatalf("key %d: %+v", i, r)
		}
	}
}

// What the results of one transaction show is bounded; all of it is carried out nevertheless.
func TestReplyLimit(t *testing.T) {
	f := newFeeder(New(nil, nil))
	f.s.ReplyLimit = 4096
	for name, size := range map[string]int{"10": 10, "1000": 1000, "1500": 1500, "5000": 5000} {
		f.one(&op.Set{Key: key(0, name), Value: make([]byte, size)})
		f.one(&op.HashSet{Key: key(0, "h"+name), Fields: []op.Field{{Name: []byte("a"), Value: make([]byte, size)}, {Name: []byte("b")}}})
	}
	get := func(name string) op.Op { return &op.Get{Key: key(0, name)} }
	all := func(name string) op.Op { return &op.HashAll{Key: key(0, name), Values: true} }
	count := &op.IncrBy{Key: key(0, "count"), Delta: 1}
	for name, c := range map[string]struct {
		ops  []op.Op
		kept []bool
	}{
		"one value beyond it":  {[]op.Op{get("5000")}, []bool{true}},
		"values beyond it":     {[]op.Op{get("1500"), get("1500"), get("1500"), get("1000")}, []bool{true, true, false, true}},
		"no values at all":     {[]op.Op{get("5000"), count, count}, []bool{true, true, true}},
		"a list":               {[]op.Op{all("h1500"), get("10"), all("h1500"), all("h1500")}, []bool{true, true, true, false}},
		"one list beyond it":   {[]op.Op{all("h5000"), get("10")}, []bool{false, true}},
		"behind a large value": {[]op.Op{get("5000"), get("10"), count}, []bool{true, false, true}},
	} {
		tx := &op.Tx{}
		for _, o := range c.ops {
			tx.Add(o)
		}
		f.one(&op.Delete{Keys: []op.Key{key(0, "count")}})
		res := f.one(tx)
		for i, kept := range c.kept {
			r := res.List[i]
			if kept != (r.Status == op.OK) || !kept && (r.Status != op.TooLarge || r.Value != nil || r.List != nil) {
				t.Errorf("%s: result %d is %v with %d bytes and %d more", name, i, r.Status, len(r.Value), len(r.List))
			}
		}
		if name == "behind a large value" && res.List[2].Int != 1 {
			t.Error("what follows was not carried out")
		}
	}
}
