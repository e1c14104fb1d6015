package keyspace

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"holdfast/op"
)

// diary is an Observer that writes down what it is told.
type diary []string

func (d *diary) Changed(c *op.Change) {
	by := "time"
	if c.Op != nil {
		by = strings.TrimPrefix(fmt.Sprintf("%T", c.Op), "*op.")
	}
	*d = append(*d, fmt.Sprintf("%s %s %s", by, [...]string{"written", "created", "removed", "expired", "evicted", "flushed", "published"}[c.How], c.Key.Name))
}

func TestObserverIsToldEveryChangeOnce(t *testing.T) {
	set := func(name string, life op.Life) op.Write {
		return &op.Set{Key: key(0, name), Value: []byte("v"), Life: life}
	}
	key := func(name string) op.Key { return key(0, name) }
	tx := &op.Tx{}
	tx.Add(set("a", op.Life{}))
	tx.Add(&op.Delete{Keys: []op.Key{key("a"), key("absent")}})
	var many [][]byte
	for i := range 2 * maxPackedElements {
		many = append(many, fmt.Append(nil, i))
	}
	h := newFeeder(New(nil, nil))
	h.do(set("old", op.Life{Kind: op.In, Ms: 1000}))
	var d diary
	h.s.Observer = &d
	for _, step := range []struct {
		w    op.Write
		want string
	}{
		{set("k", op.Life{}), "Set created k"},
		{set("k", op.Life{}), "Set written k"},
		{set("k", op.Life{Kind: op.In, Ms: -1}), "Set removed k"},
		{set("k", op.Life{Kind: op.In, Ms: -1}), ""},
		{&op.SetMany{Pairs: []op.Pair{{Key: key("p")}, {Key: key("q")}}}, "SetMany created p, SetMany created q"},
		{&op.Rename{From: key("p"), To: key("r")}, "Rename created r, Rename removed p"},
		{&op.Expire{Key: key("r"), Life: op.Life{Kind: op.In, Ms: 5000}}, "Expire written r"},
		{&op.Expire{Key: key("r"), Life: op.Life{Kind: op.In, Ms: 5000}, Cond: op.ExpireNX}, ""},
		{tx, "Set created a, Delete removed a"},
		{&op.SetAdd{Key: key("s"), Members: [][]byte{[]byte("m")}}, "SetAdd created s"},
		{&op.SetAdd{Key: key("s"), Members: [][]byte{[]byte("m")}}, ""},
		{&op.SetRemove{Key: key("s"), Members: [][]byte{[]byte("m")}}, "SetRemove removed s"},
		{&op.SetAdd{Key: key("big"), Members: many}, "SetAdd created big"},
		{&op.SetRemove{Key: key("big"), Members: many[:1]}, "SetRemove written big"},
		{&op.SetRemove{Key: key("big"), Members: many}, "SetRemove removed big"},
		{&op.ListPush{Key: key("l"), Values: many}, "ListPush created l"},
		{&op.ListPush{Key: key("l"), Values: many[:1]}, "ListPush written l"},
		{&op.ListMove{From: key("l"), To: key("m")}, "ListMove created m, ListMove written l"},
		{&op.ListPop{Keys: []op.Key{key("no"), key("m")}, Count: 1}, "ListPop removed m"},
		{&op.SortedAdd{Key: key("z"), Members: []op.Scored{{Score: op.MaxScore, Member: many[0]}}}, "SortedAdd created z"},
		{&op.SortedPop{Keys: []op.Key{key("z")}, Count: 1}, "SortedPop removed z"},
		{&op.Publish{Channel: []byte("c")}, "Publish published "},
		{&op.Flush{}, "Flush flushed "},
	} {
		d = nil
		h.do(step.w)
		if got := strings.Join(d, ", "); got != step.want {
			t.Errorf("%T: told %q, want %q", step.w, got, step.want)
		}
	}
	h.s.Observer = nil
	h.do(set("due", op.Life{Kind: op.In, Ms: 10}))
	h.s.Observer, d = &d, nil
	h.stamp += 20 * ms
	h.do(&op.Delete{Keys: []op.Key{key("due")}})
	if !slices.Equal(d, diary{"time expired due"}) {
		t.Errorf("of a key whose time has come it was told %q", d)
	}
}

func TestEventsToTellAreStateAndInSnapshots(t *testing.T) {
	h := newFeeder(New(nil, nil))
	before := h.s.Digest()
	h.do(&op.Notify{Events: 5})
	if h.s.Events() != 5 || h.s.Digest() == before {
		t.Fatalf("events %d", h.s.Events())
	}
	other := reload(t, h.s.BeginSnapshot(), 1, 100, func() {})
	if other.Events() != 5 || other.Digest() != h.s.Digest() {
		t.Fatalf("after a snapshot events %d", other.Events())
	}
}

func TestObserverIsNotToldWhatIsLoaded(t *testing.T) {
	h := newFeeder(New(nil, nil))
	h.do(&op.Set{Key: key(0, "k")})
	var d diary
	to := New(nil, nil)
	to.Observer = &d
	if _, err := to.Load(snapshotOf(h.s)); err != nil || len(d) > 0 {
		t.Fatalf("told %q, %v", d, err)
	}
}
