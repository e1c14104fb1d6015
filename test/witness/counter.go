//go:build linux

package witness

import (
	"fmt"
	"slices"
	"sync/atomic"
)

// counter is one key that all its clients count up. No result may come twice, none may be lower than one that was known before
// the request was sent, and the sum lies between the acknowledged and the sent increments.
type counter struct {
	key     string
	highest atomic.Uint64 // result that anybody knows
	all     []*counting
}

// counting is one client's part.
type counting struct {
	of      *counter
	results []uint64
	open    int // increments of unknown outcome
	faults  []string
}

func (k *counter) join() *counting {
	one := &counting{of: k}
	k.all = append(k.all, one)
	return one
}

func (n *counting) step(c *Client) {
	known := n.of.highest.Load()
	var result uint64
	outcome := c.do(write, func(to *conn) (err error) {
		result, err = to.incr(n.of.key)
		return err
	})
	switch outcome {
	case unknown:
		n.open++
	case acked:
		n.results = append(n.results, result)
		if result <= known {
			n.faults = append(n.faults, fmt.Sprintf("counter %s: %d was known when an increment was sent, whose result is %d", n.of.key, known, result))
		}
		for {
			h := n.of.highest.Load()
			if h >= result || n.of.highest.CompareAndSwap(h, result) {
				break
			}
		}
	}
}

// Count is how a counter came out.
type Count struct {
	Key                    string
	Acknowledged, Open     int // increments; Open: of unknown outcome
	Value                  uint64
	Twice, Lost, Backwards int
}

func (k *counter) sum() (count Count, faults []string) {
	count.Key = k.key
	var all []uint64
	for _, one := range k.all {
		all = append(all, one.results...)
		count.Open += one.open
		faults = append(faults, one.faults...)
	}
	count.Backwards = len(faults)
	count.Acknowledged = len(all)
	slices.Sort(all)
	for i := 1; i < len(all); i++ {
		if all[i] == all[i-1] {
			count.Twice++
			faults = append(faults, fmt.Sprintf("counter %s: two increments have the result %d", k.key, all[i]))
		}
	}
	return count, faults
}

// judge compares with the value that was read in the end.
func (count *Count) judge(value uint64) (faults []string) {
	count.Value = value
	low, high := uint64(count.Acknowledged), uint64(count.Acknowledged+count.Open)
	if value < low {
		count.Lost = int(low - value)
		faults = append(faults, fmt.Sprintf("counter %s is %d after %d acknowledged increments", count.Key, value, low))
	}
	if value > high {
		count.Twice += int(value - high)
		faults = append(faults, fmt.Sprintf("counter %s is %d, though only %d increments were sent", count.Key, value, high))
	}
	return faults
}
