package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"holdfast/op"
)

// did is one operation of a history: what was asked, and what came of it.
type did struct {
	key   string
	write int64 // value that was set; 0: a read, -1: an increment
	saw   int64 // value that came back
}

var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		by := map[string][]porcupine.Operation{}
		for _, o := range history {
			k := o.Input.(did).key
			by[k] = append(by[k], o)
		}
		for _, p := range by {
			parts = append(parts, p)
		}
		return parts
	},
	Init: func() any { return int64(0) },
	Step: func(state, input, _ any) (bool, any) {
		s, d := state.(int64), input.(did)
		switch d.write {
		case 0:
			return d.saw == s, s
		case -1:
			return d.saw == s+1, s + 1
		}
		return true, d.write
	},
}

// What several workers see of the same keys is as if one after the other had been carried out.
func TestLinearizable(t *testing.T) {
	everyDurability(t, func(t *testing.T, cfg Config) {
		cfg.Segment = 64 << 10
		n := start(t, cfg)
		begin := time.Now()
		var mu sync.Mutex
		var history []porcupine.Operation
		var wg sync.WaitGroup
		for id := range 5 {
			w := newWorker(n)
			wg.Go(func() {
				for i := range 150 {
					d := did{key: fmt.Sprint("k", rand.IntN(3)), write: int64(rand.IntN(3) - 1)}
					if d.write > 0 {
						d.write = int64(1000*(id+1) + i)
					}
					call := time.Since(begin)
					d.saw = perform(t, w, d)
					back := time.Since(begin)
					mu.Lock()
					history = append(history, porcupine.Operation{ClientId: id, Input: d, Call: int64(call), Output: d, Return: int64(back)})
					mu.Unlock()
				}
			})
		}
		if cfg.Durability != Memory {
			if err := n.Snapshot(context.Background()); err != nil {
				t.Error(err)
			}
		}
		wg.Wait()
		if !porcupine.CheckOperations(register, history) {
			t.Error("no order explains what was seen")
		}
	})
}

func perform(t *testing.T, w *worker, d did) int64 {
	switch d.write {
	case 0:
		v, _ := w.get(t, d.key)
		n, _ := strconv.ParseInt(v, 10, 64)
		return n
	case -1:
		return w.write(&op.IncrBy{Key: name(d.key), Delta: 1})[0].res.Int
	}
	w.write(set(d.key, fmt.Sprint(d.write)))
	return 0
}
