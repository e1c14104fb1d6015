//go:build linux

package witness

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	registers   = 3               // keys written and read at the same time
	registerAge = 2 * time.Second // after which all clients go on to new keys, so that each history stays short
	// checkLimit bounds the search for an order in one history.
	checkLimit = 20 * time.Second
)

// registry is keys that are set to values never used twice, and read, by all its clients at once. Their history must be linearizable.
type registry struct {
	name string
	all  []*registering
}

// registering is one client's part.
type registering struct {
	of      *registry
	id, seq int
	history map[string][]porcupine.Operation
}

type access struct {
	write bool
	value string // written, or read; empty: the key was not there
}

func (r *registry) join() *registering {
	one := &registering{of: r, id: len(r.all), history: map[string][]porcupine.Operation{}}
	r.all = append(r.all, one)
	return one
}

func (r *registering) step(c *Client) {
	key := fmt.Sprintf("%s:%d:%d", r.of.name, time.Since(c.began)/registerAge, c.random.IntN(registers))
	a := access{write: c.random.IntN(2) == 0}
	r.seq++
	if a.write {
		a.value = strconv.Itoa(r.id) + "." + strconv.Itoa(r.seq)
	}
	what := read
	if a.write {
		what = write
	}
	sent := time.Since(c.began)
	outcome := c.do(what, func(to *conn) (err error) {
		if a.write {
			return to.set(key, a.value, 3600)
		}
		a.value, _, err = to.get(key)
		return err
	})
	back := int64(time.Since(c.began))
	if outcome == refused || outcome == unknown && !a.write {
		return
	}
	if outcome == unknown {
		back = math.MaxInt64 // it may be carried out at any time from now on
	}
	r.history[key] = append(r.history[key], porcupine.Operation{ClientId: r.id, Input: a, Call: int64(sent), Output: a.value, Return: back})
}

var registerModel = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		if a := input.(access); a.write {
			return true, a.value
		}
		return output == state, state
	},
	Equal: func(a, b any) bool { return a == b },
}

// check looks for an order in every history. It returns how many operations it looked at, the keys without an order, and those where
// it did not find out in time.
func (r *registry) check() (operations int, wrong, undecided []string) {
	histories := map[string][]porcupine.Operation{}
	for _, one := range r.all {
		for key, h := range one.history {
			histories[key] = append(histories[key], h...)
			operations += len(h)
		}
	}
	for key, h := range histories {
		switch porcupine.CheckOperationsTimeout(registerModel, h, checkLimit) {
		case porcupine.Illegal:
			wrong = append(wrong, key)
		case porcupine.Unknown:
			undecided = append(undecided, key)
		}
	}
	return operations, wrong, undecided
}
