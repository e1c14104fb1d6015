package keyspace

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSequence compares a sequence, and copies made of it on the way, with slices.
func TestSequence(t *testing.T) {
	for seed := range uint64(3) {
		g := rand.New(rand.NewPCG(seed, 3))
		type pair struct {
			q    sequence
			want []uint64
		}
		all := []pair{{}}
		bias := 2
		for step := range 8_000 {
			if step%3000 == 0 {
				bias = 1 + g.IntN(5)
			}
			x := &all[g.IntN(len(all))]
			n := len(x.want)
			switch {
			case g.IntN(5) < bias || n == 0:
				i := []int{0, n, g.IntN(n + 1)}[g.IntN(3)]
				v := g.Uint64()
				x.q.insert(i, element{key: v})
				x.want = slices.Insert(x.want, i, v)
			default:
				i := []int{0, n - 1, g.IntN(n)}[g.IntN(3)]
				if got := x.q.remove(i).key; got != x.want[i] {
					t.Fatalf("step %d: removed %d, should be %d", step, got, x.want[i])
				}
				x.want = slices.Delete(x.want, i, i+1)
			}
			if n = len(x.want); n > 0 && g.IntN(8) == 0 {
				i := g.IntN(n)
				if x.q.at(i).key != x.want[i] {
					t.Fatalf("step %d: place %d", step, i)
				}
				x.want[i] = g.Uint64()
				x.q.set(i, element{key: x.want[i]})
			}
			if g.IntN(500) == 0 {
				c := pair{x.q.clone(), slices.Clone(x.want)}
				if len(all) < 4 {
					all = append(all, c)
				} else {
					all[g.IntN(4)] = c
				}
			}
			if step%500 == 0 {
				for i := range all {
					compareSequence(t, &all[i].q, all[i].want, g)
				}
			}
		}
	}
}

func compareSequence(t *testing.T, q *sequence, want []uint64, g *rand.Rand) {
	t.Helper()
	if q.len() != len(want) {
		t.Fatalf("%d elements, should be %d", q.len(), len(want))
	}
	from := g.IntN(len(want) + 1)
	var got, back []uint64
	q.walk(from, func(el element) bool { got = append(got, el.key); return true })
	q.back(from-1, func(el element) bool { back = append(back, el.key); return true })
	slices.Reverse(back)
	if !slices.Equal(got, want[from:]) || !slices.Equal(back, want[:from]) {
		t.Fatalf("from %d: other elements", from)
	}
	if q.root != nil {
		checkNode(t, q.root)
	}
}

func checkNode(t *testing.T, n *node) (depth int) {
	if n.kids == nil {
		if n.n != len(n.leaf) || n.n > nodeMost {
			t.Fatalf("a leaf of %d says %d", len(n.leaf), n.n)
		}
		return 0
	}
	sum := 0
	for i, k := range n.kids {
		if d := checkNode(t, k); i > 0 && d != depth {
			t.Fatal("leaves are not equally deep")
		} else {
			depth = d
		}
		if k.n == 0 || n.ns[i] != k.n {
			t.Fatalf("a node of %d is said to be one of %d", k.n, n.ns[i])
		}
		sum += k.n
	}
	if sum != n.n || len(n.kids) > nodeMost {
		t.Fatalf("a node of %d says %d", sum, n.n)
	}
	return depth + 1
}

func TestSearch(t *testing.T) {
	var q sequence
	var want []string
	g := rand.New(rand.NewPCG(1, 1))
	for range 5000 {
		name := fmt.Sprint(g.IntN(4000))
		el := element{key: uint64(len(name)), name: []byte(name)}
		i := q.search(el)
		j, had := slices.BinarySearchFunc(want, name, func(a, b string) int {
			if len(a) != len(b) {
				return len(a) - len(b)
			}
			if a < b {
				return -1
			} else if a > b {
				return 1
			}
			return 0
		})
		if i != j {
			t.Fatalf("%s: found at %d, should be %d", name, i, j)
		}
		if had {
			q.remove(i)
			want = slices.Delete(want, i, i+1)
		} else {
			q.insert(i, el)
			want = slices.Insert(want, i, name)
		}
	}
}
