package keyspace

import "holdfast/op"

// Memory is the account of a state by its formula, equal on every member.
type Memory struct {
	Budget  uint64                // what entries may take, bytes; 0 for no limit
	Used    uint64                // what they take
	Class   [op.Classes]ClassStat // by class
	Space   [op.Spaces]SpaceStat  // by keyspace
	Expired uint64                // keys removed because their deadline came
	Evicted uint64                // keys removed to make room
	Refused uint64                // writes refused for want of room
}

// ClassStat counts what one class holds.
type ClassStat struct{ Keys, Bytes uint64 }

// SpaceStat counts what one keyspace holds; Mortal are the keys with a deadline.
type SpaceStat struct{ Keys, Mortal uint64 }

const (
	// MaxBudget bounds the budget in force, in bytes, whatever is configured: refs reach 60 GiB, and memory may be somewhat sparse.
	MaxBudget = 48 << 30

	keyCost     = 16  // bytes that the table and the wheel take for a key, about
	elementCost = 112 // bytes that an element of a tree takes besides its name and value, about
)

// shares is how much of the budget may be used after a write of each class, in percent: so the higher classes find room when the lower
// ones are refused.
var shares = [op.Classes]uint64{op.Coordination: 100, op.Token: 96, op.Session: 98, op.Cache: 94}

// cost is the formula: what an item of that size counts.
func cost(size int) uint64 { return uint64(slotSize(size)) + keyCost }

func (s *State) costOf(e item) uint64 {
	c := cost(e.size())
	if n := e.tree(); n != 0 {
		c += s.trees[n].bytes
	}
	return c
}

// charge puts e into the account, discharge takes it out.
func (s *State) charge(e item) {
	c := &s.memory.Class[e.class()]
	n := s.costOf(e)
	c.Keys++
	c.Bytes += n
	s.memory.Used += n
	sp := &s.memory.Space[e.space()]
	sp.Keys++
	if e.mortal() {
		sp.Mortal++
	}
}

func (s *State) discharge(e item) {
	c := &s.memory.Class[e.class()]
	n := s.costOf(e)
	c.Keys--
	c.Bytes -= n
	s.memory.Used -= n
	sp := &s.memory.Space[e.space()]
	sp.Keys--
	if e.mortal() {
		sp.Mortal--
	}
}

// admit says whether a write that replaces what counted old by what counts new may be carried out, and counts the refusal if not.
// What does not grow always may.
func (s *State) admit(c op.Class, old, new uint64) bool {
	if new <= old || s.memory.Used+(new-old) <= s.ceiling[c] {
		return true
	}
	s.memory.Refused++
	return false
}

// classOf gives the class of a key by the settings.
func (s *State) classOf(k op.Key) op.Class {
	for i := range s.config.Rules {
		r := &s.config.Rules[i]
		if r.Space == k.Space && op.Match(r.Pattern, k.Name) {
			return r.Class
		}
	}
	return s.config.Classes[k.Space]
}

// evictable says whether promise 4 lets e go for want of room.
func (e item) evictable() bool {
	return e.class() == op.Cache || e.class() == op.Token && !e.mortal()
}

// Memory returns the account.
func (s *State) Memory() Memory { return s.memory }
