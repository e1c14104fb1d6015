package cluster

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"holdfast/keyspace"
	"holdfast/op"
	"holdfast/replica"
)

// Eviction begins when the entries take more than highWater of the budget and ends below lowWater; above fullWater every pass of a writer makes
// room itself, so that no write of class cache is refused (keyspace does that at 94) because the sweep is slow. In hundredths.
const (
	lowWater  = 85
	highWater = 88
	fullWater = 90
	overWater = 92 // above it a group's leader evicts what it has not used itself, without asking the others: there is no time
)

const (
	victims = 128  // keys of one Evict
	lookAt  = 8    // candidates looked at for each of them
	polled  = 1024 // keys of which the other members are asked in one go whether they were used there

	pollWithin = time.Second // a member that does not answer within this has used none of them

	maxEvicts = 16 // Evicts that are proposed in one pass of a writer, and that are on their way together, at most
)

// marks says which keys were read since eviction last came by: a bit for many keys each, by their hash. It is not part of the state.
type marks struct {
	bits []atomic.Uint32
}

// newMarks has about a bit for each KiB of limit.
func newMarks(limit uint64) *marks {
	n := uint64(1 << 16)
	for n < limit>>8 && n < 1<<24 {
		n <<= 1
	}
	return &marks{make([]atomic.Uint32, n/32)}
}

func (m *marks) at(hash uint64) (*atomic.Uint32, uint32) {
	i := (hash ^ hash>>32) & uint64(len(m.bits)*32-1)
	return &m.bits[i/32], 1 << (i % 32)
}

// set marks; it loads first, so that keys read again and again cost no exclusive cache line.
func (m *marks) set(hash uint64) {
	if w, bit := m.at(hash); w.Load()&bit == 0 {
		w.Or(bit)
	}
}

// take clears a mark and says whether it was set.
func (m *marks) take(hash uint64) bool {
	w, bit := m.at(hash)
	return w.Load()&bit != 0 && w.And(^bit)&bit != 0
}

// evictor picks what has to go (design 3.7). Guarded by Node.mu.
type evictor struct {
	cursor  [op.Classes]uint64
	active  bool   // between high and low water
	flying  int    // Evicts on their way
	freeing uint64 // bytes that they will free, about
	rest    int64  // own clock: nothing was found, do not look again before this
	polling bool   // the other members are being asked
	found   []keyspace.Candidate
	victims []op.Guard
	average uint64 // bytes of a victim, about
}

// evict proposes one Evict if there should be one, or asks the other members first, and says whether it proposed one. Caller holds mu.
func (n *Node) evict() bool {
	e := &n.evictor
	now, level := n.clock.mono(), n.level()
	switch {
	case level < lowWater:
		e.active = false
	case level >= highWater:
		e.active = true
	}
	if !e.active || e.flying >= maxEvicts || now < e.rest || !n.leads() {
		return false
	}
	if n.solo || level >= overWater {
		n.pick(victims)
		return n.propose(e.victims)
	}
	if e.polling {
		return false
	}
	if n.pick(polled); len(e.victims) == 0 {
		return n.propose(nil)
	}
	members, _ := n.replica.Members()
	e.polling = true
	go n.poll(slices.Clone(e.victims), members)
	return false
}

// propose evicts vs, or rests if there are none. Caller holds mu.
func (n *Node) propose(vs []op.Guard) bool {
	e := &n.evictor
	if len(vs) == 0 {
		e.rest = n.clock.mono() + int64(tick)
		return false
	}
	size := uint64(len(vs)) * e.average
	b := &batch{node: n, then: func() { e.flying--; e.freeing -= size }}
	b.Batch = replica.Batch{Ops: (&op.Evict{Victims: vs}).Append(nil), Sink: b}
	e.flying++
	e.freeing += size
	n.submit(b)
	return true
}

// poll asks the other members which of vs they have used, and evicts those that nobody has.
func (n *Node) poll(vs []op.Guard, members []replica.Member) {
	ctx, cancel := context.WithTimeout(n.ctx, pollWithin)
	defer cancel()
	var keys op.Exists
	for _, v := range vs {
		keys.Keys = append(keys.Keys, v.Key)
	}
	request := keys.Append([]byte{requestVersion, askUsed})
	self := n.identity.Load().ID
	answers := make([][]byte, len(members))
	var asking sync.WaitGroup
	for i, m := range members {
		if m.ID != self {
			asking.Go(func() { answers[i], _ = n.link.Request(ctx, m.Addr, request) })
		}
	}
	asking.Wait()
	var unused []op.Guard
	for i, v := range vs {
		if !slices.ContainsFunc(answers, func(a []byte) bool { return len(a) == len(vs) && a[i] != 0 }) {
			unused = append(unused, v)
		}
	}
	n.mu.Lock()
	defer n.unlock()
	n.evictor.polling = false
	if n.dead || n.problem != nil || !n.leads() {
		return
	}
	for chunk := range slices.Chunk(unused, victims) {
		n.propose(chunk)
	}
	n.work()
}

// level is how much of the budget is used by what is expected, in hundredths. Caller holds mu.
func (n *Node) level() uint64 {
	m := n.state.Memory()
	if m.Budget == 0 {
		return 0
	}
	return n.expected() / (m.Budget/100 + 1)
}

// expected is how much entries will take when all is carried out that is on its way and one batch more, about. Caller holds mu.
func (n *Node) expected() uint64 {
	used := n.state.Memory().Used + n.flyingBytes + batchBytes
	return used - min(used, n.evictor.freeing)
}

// pick fills victims with at most so many keys that nobody used here since it last came by: of class cache, and when hardly any of those are left, of
// class token.
func (n *Node) pick(most int) {
	e := &n.evictor
	e.victims = e.victims[:0]
	m := n.state.Memory()
	expected := n.expected()
	need := expected - min(expected, m.Budget/100*lowWater)
	size := n.pickOf(op.Cache, need, most)
	if size < need && len(e.victims) < most && m.Class[op.Cache].Bytes < m.Budget/100 {
		size += n.pickOf(op.Token, need-size, most)
	}
	e.average = size / max(uint64(len(e.victims)), 1)
}

// pickOf looks for about need bytes among the next candidates of one class, up to two times at all of them: the first clears the marks of those
// in use. It returns how much they take, about.
func (n *Node) pickOf(class op.Class, need uint64, limit int) (size uint64) {
	e := &n.evictor
	c := n.state.Memory().Class[class]
	if c.Keys == 0 {
		return 0
	}
	before, average := len(e.victims), max(c.Bytes/c.Keys, 1)
	most := min(limit, before+int(min(need/average+1, uint64(limit))))
	for looked, wrapped := 0, 0; looked < lookAt*limit && wrapped < 2 && len(e.victims) < most; {
		// No more than are needed: a key that is passed over is looked at again only after all others, or its mark would mean little.
		ask := most - len(e.victims)
		e.found, e.cursor[class] = n.state.Candidates(e.cursor[class], ask, class, e.found[:0])
		if looked += max(ask, len(e.found)); len(e.found) == 0 {
			looked += victims // a long stretch without any
		}
		for _, c := range e.found {
			if len(e.victims) < most && !n.used.take(c.Mark) {
				e.victims = append(e.victims, c.Guard)
			}
		}
		if e.cursor[class] == 0 {
			wrapped++
		}
	}
	return uint64(len(e.victims)-before) * average
}
