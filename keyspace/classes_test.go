package keyspace

import (
	"fmt"
	"testing"

	"holdfast/op"
)

func TestClassesAndBudget(t *testing.T) {
	f := newFeeder(New(nil, nil))
	const budget = 1_000_000
	f.one(testConfig(budget))
	value := make([]byte, 800)
	refused := [op.Classes]uint64{}
	spaces := [op.Classes]op.Space{op.Coordination: 0, op.Token: 2, op.Session: 1, op.Cache: 3}
	for _, c := range []op.Class{op.Cache, op.Token, op.Session, op.Coordination} {
		for i := 0; ; i++ {
			r := f.one(&op.Set{Key: key(spaces[c], fmt.Sprint(i)), Value: value})
			if r.Status == op.OutOfMemory {
				refused[c] = f.s.Memory().Used * 1000 / budget
				break
			}
		}
	}
	if want := [op.Classes]uint64{op.Coordination: 999, op.Token: 959, op.Session: 979, op.Cache: 939}; refused != want {
		t.Errorf("refused at %v per mille, should be at %v", refused, want)
	}
	if r := f.one(&op.Set{Key: key(3, "1"), Value: value}); r.Status != op.OK {
		t.Error("a write of the same size:", r.Status)
	}
	if r := f.one(&op.HashSet{Key: key(3, "h"), Fields: []op.Field{{Name: value, Value: value}}}); r.Status != op.OutOfMemory {
		t.Error("a hash:", r.Status)
	}
	if r := f.one(&op.SetMany{Pairs: []op.Pair{{Key: key(0, "1")}, {Key: key(3, "new"), Value: value}}}); r.Status != op.OutOfMemory {
		t.Error("several:", r.Status)
	}
	if r := f.one(&op.Delete{Keys: []op.Key{key(3, "1")}}); r.Int != 1 {
		t.Error("a delete:", r.Status)
	}
	if m := f.s.Memory(); m.Refused != 6 {
		t.Error("refused", m.Refused)
	}
	c := testConfig(budget)
	c.Classes[3] = op.Session
	f.one(c)
	verify(t, f.s)
	if m := f.s.Memory(); m.Class[op.Cache].Keys != 0 {
		t.Error("keys of class cache after it was taken away:", m.Class[op.Cache].Keys)
	}
}

// TestTreeBudget lets a large set grow until it is refused, and accepts what does not grow.
func TestTreeBudget(t *testing.T) {
	f := newFeeder(New(nil, nil))
	f.one(testConfig(100_000))
	for i := 0; ; i++ {
		if r := f.one(&op.SetAdd{Key: key(3, "s"), Members: [][]byte{fmt.Append(nil, i)}}); r.Status == op.OutOfMemory {
			break
		}
		if i > 2000 {
			t.Fatal("never refused")
		}
	}
	if r := f.one(&op.SetAdd{Key: key(3, "s"), Members: [][]byte{[]byte("1"), []byte("2")}}); r.Status != op.OK || r.Int != 0 {
		t.Errorf("members that are there: %+v", r)
	}
	verify(t, f.s)
}

func TestEviction(t *testing.T) {
	f := newFeeder(New(nil, nil))
	f.one(testConfig(0))
	for sp := range op.Space(4) {
		for i := range 500 {
			life := op.Life{Kind: op.In, Ms: 1000}
			if i%2 == 0 {
				life = op.Life{}
			}
			f.one(&op.Set{Key: key(sp, fmt.Sprint(i)), Life: life})
		}
	}
	for class, want := range [op.Classes]int{op.Token: 250, op.Cache: 500} {
		var all []Candidate
		cursor := uint64(0)
		for {
			n := len(all)
			all, cursor = f.s.Candidates(cursor, 50, op.Class(class), all)
			if len(all)-n > 50+bucketSlots {
				t.Error("too many in a call")
			}
			if cursor == 0 {
				break
			}
		}
		seen := map[string]bool{}
		var victims []op.Guard
		for _, c := range all {
			seen[string(c.Key.Name)] = true
			if r := f.read(&op.Get{Key: c.Key}); r.Version != c.Version || r.Mark != c.Mark || c.Mark != f.s.Mark(c.Key) {
				t.Fatalf("%+v, but %+v", c, r)
			}
			victims = append(victims, c.Guard)
		}
		if len(seen) != want {
			t.Errorf("class %d: %d candidates, should be %d", class, len(seen), want)
		}
		if len(victims) == 0 {
			continue
		}
		victims[0].Version++
		if r := f.one(&op.Evict{Victims: victims}); int(r.Int) != want-1 {
			t.Errorf("class %d: %d evicted, should be %d", class, r.Int, want-1)
		}
	}
	victims := []op.Guard{{Key: key(2, "1")}, {Key: key(0, "1")}}
	for i := range victims {
		victims[i].Version = f.read(&op.Versions{Keys: []op.Key{victims[i].Key}}).List[0].Version
	}
	if r := f.one(&op.Evict{Victims: victims}); r.Int != 0 {
		t.Error("evicted what must stay")
	}
	if r := f.read(&op.Get{Key: key(2, "1")}); r.Status != op.OK || r.Mark != 0 {
		t.Errorf("a token with a deadline: %+v", r)
	}
}
