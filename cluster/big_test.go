package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"holdfast/op"
)

// TestGigabyte measures what people wait for when there is a gigabyte of state. It is for people too: HOLDFAST_BIG=1, some GB of memory and disk.
func TestGigabyte(t *testing.T) {
	if os.Getenv("HOLDFAST_BIG") == "" {
		t.Skip("set HOLDFAST_BIG to run it")
	}
	cfg := Config{Dir: t.TempDir(), SnapshotAfter: 1 << 40, Logger: quiet()}
	const keys = 1_000_000
	value := make([]byte, 1024)
	key := func(i int) op.Key { return op.Key{Name: fmt.Appendf(nil, "key:%036d", i)} }
	n := start(t, cfg)
	w := newWorker(n)
	begin := time.Now()
	for i := 0; i < keys; {
		for range 500 {
			w.Write(&op.Set{Key: key(i), Value: value, Life: op.Life{Kind: op.In, Ms: 3600000}}, nobody{})
			i++
		}
		w.Flush()
	}
	t.Logf("loaded in %s, log %d MB, resident %d MB, used %d MB", time.Since(begin), n.Status().LogBytes>>20, resident()>>20, n.Status().Memory.Used>>20)

	stop := make(chan struct{})
	var load sync.WaitGroup
	var mu sync.Mutex
	writes, reads := []time.Duration{}, []time.Duration{}
	for range 2 {
		w := newWorker(n)
		load.Go(func() {
			var ws, rs []time.Duration
			for {
				select {
				case <-stop:
					mu.Lock()
					writes, reads = append(writes, ws...), append(reads, rs...)
					mu.Unlock()
					return
				case <-time.After(500 * time.Microsecond):
				}
				begin := time.Now()
				for range 10 {
					w.Write(&op.Set{Key: key(rand.IntN(keys)), Value: value}, nobody{})
				}
				w.Flush()
				ws = append(ws, time.Since(begin))
				begin = time.Now()
				w.Read(&op.Get{Key: key(rand.IntN(keys))}, nobody{})
				rs = append(rs, time.Since(begin))
			}
		})
	}
	report := func(what string) {
		close(stop)
		load.Wait()
		for _, l := range []struct {
			name string
			d    []time.Duration
		}{{"writes", writes}, {"reads", reads}} {
			slices.Sort(l.d)
			t.Logf("%s: %d %s, p50 %s p99 %s p99.9 %s max %s", what, len(l.d), l.name, l.d[len(l.d)/2], l.d[len(l.d)*99/100], l.d[len(l.d)*999/1000], l.d[len(l.d)-1])
		}
	}
	begin = time.Now()
	if os.Getenv("HOLDFAST_BIG") == "idle" {
		time.Sleep(8 * time.Second)
	} else if err := n.Snapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Logf("snapshot in %s, resident %d MB", time.Since(begin), resident()>>20)
	report("meanwhile")
	n.Close()
	begin = time.Now()
	start(t, cfg)
	t.Logf("recovered in %s, resident %d MB", time.Since(begin), resident()>>20)
}
