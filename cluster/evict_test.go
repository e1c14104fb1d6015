package cluster

import (
	"fmt"
	"strings"
	"testing"

	"holdfast/op"
)

func cacheKey(k string) op.Key { return op.Key{Space: 3, Name: []byte(k)} }

// A cache that is written without end: nothing is refused, what is read stays, what is not cache stays.
func TestEviction(t *testing.T) {
	for _, tc := range []struct {
		size       int
		durability Durability
	}{{100, Memory}, {1000, Memory}, {1000, Always}, {100_000, Second}, {100_000, Always}} {
		t.Run(fmt.Sprint(tc), func(t *testing.T) {
			size := tc.size
			cfg := Config{Dir: t.TempDir(), Durability: tc.durability, Limit: MinLimit}
			cfg.Classes[3] = op.Cache
			cfg.Classes[1] = op.Session
			n := start(t, cfg)
			w := newWorker(n)
			session := op.Key{Space: 1, Name: []byte("session")}
			w.write(&op.Set{Key: session, Value: []byte("s")}, &op.Set{Key: cacheKey("hot"), Value: []byte("h")})
			value := []byte(strings.Repeat("x", size))
			budget := n.Status().Memory.Budget
			for written := uint64(0); written < budget+budget/2; {
				var ops []op.Write
				for range 50 {
					ops = append(ops, &op.Set{Key: cacheKey(fmt.Sprint(written)), Value: value})
					written += uint64(size) + 100
				}
				for _, a := range w.write(ops...) {
					if a.err != nil || a.res.Status != op.OK {
						t.Fatalf("after %d bytes a write came to %v, %v", written, a.res.Status, a.err)
					}
				}
				if a, _ := w.read(&op.Get{Key: cacheKey("hot")}); a.res.Status != op.OK {
					t.Fatalf("after %d bytes a key that is read all the time is gone", written)
				}
			}
			if a, _ := w.read(&op.Get{Key: session}); a.res.Status != op.OK {
				t.Error("a session is gone")
			}
			m := n.Status().Memory
			if m.Evicted == 0 || m.Refused != 0 || m.Used > budget/100*94 {
				t.Errorf("%d evicted, %d refused, %d of %d used", m.Evicted, m.Refused, m.Used, budget)
			}
		})
	}
}

// Sessions are never evicted: when they fill the memory, cache goes, and then they are refused.
func TestSessionsAreRefused(t *testing.T) {
	cfg := Config{Durability: Memory, Limit: MinLimit}
	cfg.Classes[3] = op.Cache
	cfg.Classes[1] = op.Session
	n := start(t, cfg)
	w := newWorker(n)
	value := []byte(strings.Repeat("x", 10000))
	for i := range 1000 {
		w.write(&op.Set{Key: cacheKey(fmt.Sprint(i)), Value: value})
	}
	kept := 0
	for i := 0; ; i++ {
		a := w.write(&op.Set{Key: op.Key{Space: 1, Name: fmt.Append(nil, i)}, Value: value})[0]
		if a.res.Status == op.OutOfMemory {
			break
		}
		kept++
		if i > 10000 {
			t.Fatal("sessions are never refused")
		}
	}
	m := n.Status().Memory
	if m.Class[op.Session].Keys != uint64(kept) || m.Class[op.Cache].Keys > 100 {
		t.Errorf("%d of %d sessions and %d cache entries are there", m.Class[op.Session].Keys, kept, m.Class[op.Cache].Keys)
	}
}

func TestMarks(t *testing.T) {
	m := newMarks(MinLimit)
	m.set(12345)
	if !m.take(12345) || m.take(12345) {
		t.Error("a mark is taken once")
	}
}

func TestBudget(t *testing.T) {
	for _, tc := range []struct{ limit, want uint64 }{
		{0, 0}, {64 << 20, (64 << 20) / 3}, {1 << 30, (1<<30)*7/10 - 24<<20}, {16 << 30, (16<<30)*7/10 - 24<<20},
	} {
		got, err := budget(tc.limit)
		if err != nil || got > tc.limit || got+16 < tc.want || got > tc.want+16 {
			t.Errorf("budget(%d) = %d, %v, want about %d", tc.limit, got, err, tc.want)
		}
	}
	if _, err := budget(10 << 20); err == nil || !strings.Contains(err.Error(), "64 MiB") {
		t.Errorf("a limit that is too small: %v", err)
	}
}
