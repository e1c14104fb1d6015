package sim

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/anishathalye/porcupine"

	"holdfast/op"
)

// history is what the clients asked and were told.
type history struct {
	calls []*call
	order int
	acked int
	local int
}

// next numbers the beginnings and ends of calls in the order in which they happen.
func (h *history) next() int {
	h.order++
	return h.order
}

// seen is what the world, which sees everything, has seen of the log.
type seen struct {
	entries  map[uint64]applied // by index, as the first member applied them
	stamp    int64              // the newest applied anywhere
	passed   []passing          // when it got there
	versions map[uint64]uint64  // for sharedVersion: the last version of the same batch and key
}

// applied is what a member has after an entry.
type applied struct {
	stamp int64
	ops   uint64
	who   string
}

// passing is when a stamp was applied for the first time: what ends by it is dead from then on.
type passing struct {
	stamp int64
	order int
}

// applied compares a member that has just applied an entry with the first one that did; order is the moment just before.
func (n *seen) applied(m *machine, order int) {
	if n.entries == nil {
		n.entries = map[uint64]applied{}
	}
	index := m.state.Index()
	is := applied{m.state.Stamp(), m.state.Ops(), m.name}
	first, ok := n.entries[index]
	switch {
	case !ok:
		n.entries[index] = is
		m.w.say(m, "applies entry %d first", index)
	case first.stamp != is.stamp || first.ops != is.ops:
		m.w.fail("entry %d is another one at %s (stamp %d, %d ops) than it was at %s (stamp %d, %d ops)",
			index, m.name, is.stamp, is.ops, first.who, first.stamp, first.ops)
	}
	if is.stamp > n.stamp {
		n.stamp = is.stamp
		n.passed = append(n.passed, passing{is.stamp, order})
	}
}

// died tells when a deadline had passed everywhere: the order of the first applied stamp at or behind it. 0 if that never happened.
func (n *seen) died(deadline int64) int {
	i, _ := slices.BinarySearchFunc(n.passed, deadline*ms, func(p passing, d int64) int {
		if p.stamp < d {
			return -1
		}
		return 1
	})
	if i == len(n.passed) {
		return 0
	}
	return n.passed[i].order
}

// shares notes, if that fault is planted, which versions a batch would share if it had one for each key.
func (w *World) shares(b *batch) {
	if w.cfg.Own != sharedVersion {
		return
	}
	if w.seen.versions == nil {
		w.seen.versions = map[uint64]uint64{}
	}
	for i, x := range b.calls {
		for _, later := range b.calls[i+1:] {
			if later.cell == x.cell && later.newVersion > x.newVersion && x.newVersion != 0 {
				w.seen.versions[x.newVersion] = later.newVersion
			}
		}
	}
}

// shared is the version that a call asks for.
func (w *World) shared(x *call) uint64 {
	if v := w.seen.versions[x.version]; v != 0 {
		return v
	}
	return x.version
}

// check finds out whether all held.
func (w *World) check() {
	if len(w.faults) > 0 {
		return // it ended early
	}
	w.checkAnswered()
	w.checkEqual()
	w.checkCounts()
	w.checkOrder()
}

// checkAnswered wants nothing to hang.
func (w *World) checkAnswered() {
	for _, m := range w.machines {
		switch {
		case m.r == nil && !m.gone:
			w.fail("%s is down for good", m.name)
		case !m.settled():
			st := m.r.Status(m.instant())
			w.fail("%s has not settled %d s after everything healed: %d reads and %d batches wait, term %d, leader %d, applied %d of %d, in the group: %v",
				m.name, recovery/s, len(m.reads), len(m.batches), st.Term, st.Leader, st.Applied, st.Commit, m.in())
		}
	}
	for _, c := range w.clients {
		if c.call != nil {
			w.fail("client %d waits for op %d for ever", c.n, c.call.id)
		}
	}
}

// checkEqual wants all members to have the same state.
func (w *World) checkEqual() {
	if len(w.faults) > 0 {
		return
	}
	up := w.running()
	first := up[0]
	for _, m := range up[1:] {
		if m.state.Index() != first.state.Index() {
			w.fail("%s has applied %d, %s %d", m.name, m.state.Index(), first.name, first.state.Index())
		} else if m.state.Digest() != first.state.Digest() {
			w.fail("%s and %s differ", m.name, first.name)
		}
	}
}

// checkCounts wants every acknowledged increment counted once, and none more often than it was sent. It says the same as the order does, more plainly.
func (w *World) checkCounts() {
	for cell := range cells {
		acked, sent := int64(0), int64(0)
		results := map[int64]int{}
		for _, x := range w.history.calls {
			if x.cell != cell || x.do != incr || x.state == never {
				continue
			}
			sent++
			if x.state == answered {
				acked++
				if other, twice := results[x.out[0]]; twice {
					w.fail("ops %d and %d both counted to %d", other, x.id, x.out[0])
				}
				results[x.out[0]] = x.id
			}
		}
		if sent == 0 {
			continue
		}
		var res op.Result
		m := w.running()[0]
		m.state.Read(&op.Get{Key: key(cell, 0)}, 0, &res)
		if total := max(number(&res, true), 0); total < acked || total > sent {
			w.fail("the counter %s stands at %d: %d were acknowledged and %d sent", cells[cell].name, total, acked, sent)
		}
	}
}

// allows says whether a cell in state v allows x to come to what it came to, and what the cell is afterwards. Whatever x is told counts only
// if it was answered.
func allows(v value, x *call) (bool, value) {
	told := x.state == answered
	is := func(a, b int64) bool { return !told || a == b }
	yes := func(b bool) bool { return !told || x.ok == b }
	switch x.do {
	case get, readBoth:
		return x.out == v, v
	case set, setLife:
		return true, value{x.put, absent}
	case setNX:
		if v[0] == absent {
			return yes(true), value{x.put, absent}
		}
		return yes(false), v
	case swap:
		if v[0] == x.expects && v[0] != absent {
			return yes(true), value{x.put, absent}
		}
		return yes(false), v
	case unlock:
		if v[0] == x.expects && v[0] != absent {
			return yes(true), value{absent, absent}
		}
		return yes(false), v
	case del:
		n := int64(0)
		if v[0] != absent {
			n = 1
		}
		return is(x.out[0], n), value{absent, absent}
	case getSet:
		return is(x.out[0], v[0]), value{x.put, absent}
	case incr:
		n := max(v[0], 0) + 1
		return is(x.out[0], n), value{n, absent}
	case setBoth:
		return true, value{x.put, x.put}
	case moveOne:
		n := value{or0(v[0]) - 1, or0(v[1]) + 1}
		return !told || x.out == n, n
	case expire:
		if v[0] == x.expects {
			return true, value{absent, absent}
		}
		return true, v
	}
	panic("sim: an action without a meaning")
}

func or0(v int64) int64 {
	if v == absent {
		return 0
	}
	return v
}

// patience is how many steps the search for an order takes at most. Whether one exists is hard to say when much is unknown: then nothing is said.
const patience = 200_000

// explained says whether some order explains ops.
func explained(ops []porcupine.Operation) (ok, sure bool) {
	steps := 0
	model := porcupine.Model{
		Init: func() any { return value{absent, absent} },
		Step: func(state, input, _ any) (bool, any) {
			if steps++; steps > patience {
				return false, state
			}
			ok, next := allows(state.(value), input.(*call))
			return ok, next
		},
	}
	ok = porcupine.CheckOperations(model, ops)
	return ok, ok || steps <= patience
}

// checkOrder wants each cell's history to be linearizable: some order of what was asked, in which each lies between its beginning and its end,
// explains all that was told. An expiry is a write of nobody's.
func (w *World) checkOrder() {
	for cell := range cells {
		ops := w.operations(cell)
		switch ok, sure := explained(ops); {
		case !sure:
			w.undecided++
		case !ok:
			w.fail("no order explains what clients saw of %s:%s", cells[cell].name, w.show(ops))
		}
	}
}

func (w *World) operations(cell int) (ops []porcupine.Operation) {
	add := func(x *call, end int) {
		ops = append(ops, porcupine.Operation{ClientId: len(ops), Input: x, Call: int64(x.begin), Return: int64(end)})
	}
	for _, x := range w.history.calls {
		if x.cell != cell || x.state == never || x.do.reads() && x.state != answered {
			continue
		}
		end := x.end
		if x.state != answered {
			end = math.MaxInt32
		}
		add(x, end)
		if x.do != setLife && x.do != setNX || x.state == answered && !x.ok {
			continue
		}
		gone := &call{id: x.id, client: x.client, cell: cell, do: expire, expects: x.put, state: answered, begin: x.begin}
		if x.state != answered {
			add(gone, math.MaxInt32) // its deadline is not known
		} else if died := w.seen.died(x.deadline); died != 0 {
			gone.begin = max(died, x.begin)
			add(gone, max(died, x.end))
		}
	}
	return ops
}

// show lists the operations in the order of their beginning.
func (w *World) show(ops []porcupine.Operation) string {
	ops = slices.Clone(ops)
	slices.SortStableFunc(ops, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var b strings.Builder
	for _, o := range ops {
		x := o.Input.(*call)
		who := ""
		if x.m != nil {
			who = x.m.name
		}
		end := fmt.Sprint(o.Return)
		if o.Return == math.MaxInt32 {
			end = "?"
		}
		lease := ""
		if x.local {
			lease = ", by lease"
		}
		fmt.Fprintf(&b, "\n  %5d-%-5s op %d at %s: %s put %d = %v %v (expects %d%s)", o.Call, end, x.id, who, actionNames[x.do], x.put, x.out, x.ok, x.expects, lease)
	}
	return b.String()
}
