package keyspace

import (
	"bytes"
	"slices"

	"holdfast/op"
)

// configure takes settings over. When they give keys other classes it walks over all of them: that is rare.
func (s *State) configure(o *op.Configure) {
	same := o.Classes == s.config.Classes && slices.EqualFunc(o.Rules, s.config.Rules, func(a, b op.Rule) bool {
		return a.Space == b.Space && a.Class == b.Class && bytes.Equal(a.Pattern, b.Pattern)
	})
	s.config.Budget = o.Budget
	if !same {
		s.config.Classes = o.Classes
		s.config.Rules = nil
		for _, r := range o.Rules {
			r.Pattern = slices.Clone(r.Pattern)
			s.config.Rules = append(s.config.Rules, r)
		}
		for sp := range op.Space(op.Spaces) {
			s.each(sp, s.reclass)
		}
	}
	s.configured()
}

func (s *State) reclass(r ref) {
	e := s.slab.at(r)
	s.discharge(e)
	e.setClass(s.classOf(e.name()))
	s.charge(e)
}

// configured works out what follows from the settings.
func (s *State) configured() {
	s.memory.Budget = s.config.Budget
	budget := uint64(MaxBudget)
	if s.config.Budget != 0 {
		budget = min(s.config.Budget, MaxBudget)
	}
	for c, share := range shares {
		s.ceiling[c] = budget * share / 100
	}
}

// each calls do for every item of a space; do may remove it.
func (s *State) each(sp op.Space, do func(ref)) {
	var room [2 * bucketSlots]ref
	for pos, more := (position{}), true; more; {
		var refs []ref
		refs, more = s.tables[sp].collect(s, &pos, room[:0])
		for _, r := range refs {
			do(r)
		}
	}
}

// schedule is a flush that waits for its time.
type schedule struct {
	at   int64 // Unix ms, 0 for none
	only bool
	cl   op.Class
}

// flush removes keys, or schedules it. The place behind the spaces is for flushes of all of them.
func (s *State) flush(o *op.Flush, res *op.Result) {
	i := int(o.Space)
	if o.All {
		i = op.Spaces
	}
	s.flushes[i] = schedule{}
	if o.Life.Kind >= op.In {
		if at := s.when(o.Life); at > s.now {
			s.flushes[i] = schedule{at, o.OnlyClass, o.Only}
			s.scheduled()
			return
		}
	}
	s.scheduled()
	res.Int = int64(s.flushNow(i, o.OnlyClass, o.Only))
}

// scheduled finds the earliest scheduled flush.
func (s *State) scheduled() {
	s.flushAt = never
	for _, f := range s.flushes {
		if f.at != 0 {
			s.flushAt = min(s.flushAt, f.at)
		}
	}
}

// flushScheduled carries out the flushes whose time has come, earliest first.
func (s *State) flushScheduled() {
	for s.flushAt <= s.now {
		for i, f := range s.flushes {
			if f.at == s.flushAt {
				s.flushes[i] = schedule{}
				s.flushNow(i, f.only, f.cl)
			}
		}
		s.scheduled()
	}
}

// wipeFrom is the number of keys from which on a state that is to be empty is wiped, not emptied key by key.
const wipeFrom = 10_000

// flushNow empties the space i, or all of them, and says how many keys went. It takes some 200 ns a key, nothing if all the state goes.
func (s *State) flushNow(i int, only bool, c op.Class) int {
	s.tell(op.Flushed, op.Key{Space: op.Space(i)})
	all := s.keys()
	if here := i == op.Spaces || s.memory.Space[i].Keys == all; here && !only && all >= wipeFrom && s.snap == nil {
		s.wipe()
		return int(all)
	}
	if i == op.Spaces {
		n := 0
		for sp := range op.Spaces {
			n += s.flushSpace(op.Space(sp), only, c)
		}
		return n
	}
	return s.flushSpace(op.Space(i), only, c)
}

func (s *State) flushSpace(sp op.Space, only bool, c op.Class) (n int) {
	s.each(sp, func(r ref) {
		if !only || s.slab.at(r).class() == c {
			f := s.foundAt(r)
			s.unlink(&f)
			n++
		}
	})
	if s.memory.Space[sp].Keys == 0 {
		s.tables[sp].reset(&s.slab)
	}
	return n
}

// keys counts the keys of all spaces.
func (s *State) keys() (n uint64) {
	for _, sp := range s.memory.Space {
		n += sp.Keys
	}
	return n
}

// wipe forgets all keys at once. No snapshot is being taken.
func (s *State) wipe() {
	s.slab.wipe()
	s.tables = [op.Spaces]table{}
	w := &s.wheel
	clear(w.heads)
	clear(w.filled)
	w.listed, w.heap = 0, nil
	s.trees, s.noTrees = make([]*tree, 1), nil
	m := &s.memory
	m.Used, m.Class, m.Space = 0, [op.Classes]ClassStat{}, [op.Spaces]SpaceStat{}
}
