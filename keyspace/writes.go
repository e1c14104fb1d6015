package keyspace

import (
	"math"
	"unsafe"

	"holdfast/op"
)

// do carries out one op. Reads come here inside a Tx.
func (s *State) do(o op.Op, res *op.Result) {
	s.doing = o
	switch o := o.(type) {
	case *op.Set:
		s.set(o, res)
	case *op.SetMany:
		s.setMany(o, res)
	case *op.Splice:
		s.splice(o, res)
	case *op.SetRange:
		s.setRange(o, res)
	case *op.Delete:
		s.delete(o, res)
	case *op.IncrBy:
		s.incrBy(o, res)
	case *op.Count:
		s.count(o, res)
	case *op.Expire:
		s.expireKey(o, res)
	case *op.Claim:
		s.claim(o, res)
	case *op.Outdate:
		s.outdate(o, res)
	case *op.Rename:
		s.rename(o, res)
	case *op.HashSet:
		s.hashSet(o, res)
	case *op.HashDelete:
		s.hashDelete(o, res)
	case *op.HashIncrBy:
		s.hashIncrBy(o, res)
	case *op.SetAdd:
		s.setAdd(o, res)
	case *op.SetRemove:
		s.setRemove(o, res)
	case *op.ListPush:
		s.listPush(o, res)
	case *op.ListPop:
		s.listPop(o, res)
	case *op.ListMove:
		s.listMove(o, res)
	case *op.ListSet:
		s.listSet(o, res)
	case *op.ListInsert:
		s.listInsert(o, res)
	case *op.ListRemove:
		s.listRemove(o, res)
	case *op.ListTrim:
		s.listTrim(o, res)
	case *op.SortedAdd:
		s.sortedAdd(o, res)
	case *op.SortedRemove:
		s.sortedRemove(o, res)
	case *op.SortedCut:
		s.sortedCut(o, res)
	case *op.SortedPop:
		s.sortedPop(o, res)
	case *op.SetPop:
		s.setPop(o, res)
	case *op.SetMove:
		s.setMove(o, res)
	case *op.SetStore:
		s.setStore(o, res)
	case *op.Store:
		s.storeWhole(o, res)
	case *op.SetBit:
		s.setBit(o, res)
	case *op.Flush:
		s.flush(o, res)
	case *op.Tx:
		s.transact(o, res)
	case *op.Evict:
		s.evict(o, res)
	case *op.Configure:
		s.configure(o)
	case *op.Publish:
		s.publish(o, res)
	case *op.Notify:
		s.notify = *o
	case op.Read:
		s.read(o, s.stamp, res)
	}
}

// meets says whether the condition of a write holds for f, and the outcome if not.
func meets(c op.Cond, f *found) (op.Status, bool) {
	switch c.Kind {
	case op.IfAbsent:
		return op.Failed, f.e == nil
	case op.IfPresent:
		return op.Failed, f.e != nil
	case op.IfVersion:
		if f.e == nil {
			return op.Missing, false
		}
		return op.Stale, f.version() == c.Version
	case op.IfNotNewer:
		if f.e == nil {
			return op.Missing, false
		}
		return op.Stale, f.version() >= c.Version
	}
	return op.OK, true
}

// maxDeadline is the last deadline, in Unix ms, that can be told in ns.
const maxDeadline = math.MaxInt64 / ms

// when gives the deadline of a Life of kind In or At in Unix ms. At or before s.now it is past.
func (s *State) when(l op.Life) int64 {
	if l.Kind == op.At {
		return min(l.Ms, maxDeadline)
	}
	if l.Ms <= 0 {
		return s.now
	}
	begin := s.now
	if s.stamp%ms != 0 {
		begin++ // rounded up, so that no key ends early
	}
	return min(l.Ms, maxDeadline-begin) + begin
}

// deadline gives what l makes of a key that has the deadline old. alive is false when the key is dead at once.
func (s *State) deadline(l op.Life, old int64) (d int64, alive bool) {
	switch l.Kind {
	case op.Forever:
		return 0, true
	case op.Keep:
		return old, true
	}
	d = s.when(l)
	return d, d > s.now
}

func (s *State) delete(o *op.Delete, res *op.Result) {
	for _, k := range o.Keys {
		f := s.at(k)
		if st, ok := meets(o.Cond, &f); !ok {
			res.Status = st
			continue
		}
		if f.e != nil {
			s.remove(&f)
			res.Int++
		}
	}
}

func (s *State) expireKey(o *op.Expire, res *op.Result) {
	f := s.at(o.Key)
	if f.e == nil {
		res.Status = op.Missing
		return
	}
	if o.Fetch {
		if f.kind() != op.String {
			res.Status = op.WrongType
			return
		}
		res.Scratch = append(res.Scratch[:0], f.e.value()...)
		res.Value, res.Flags = res.Scratch, f.e.flags()
	}
	if s.changesLife(o, f.e.deadline()) {
		res.Int = 1
		h := f.e.shape()
		d, alive := s.deadline(o.Life, h.deadline)
		if !alive {
			s.remove(&f)
			return
		}
		h.deadline = d
		s.write(&f, h, f.e.valueLen(), f.e.valueLen())
	}
	res.Version, res.Deadline = f.version(), f.e.deadline()
}

// changesLife says whether Expire does something to a key with the deadline old. No deadline counts as infinitely late.
func (s *State) changesLife(o *op.Expire, old int64) bool {
	new := int64(never)
	switch o.Life.Kind {
	case op.Keep:
		return false
	case op.Forever:
		if old == 0 {
			return false
		}
	default:
		new = s.when(o.Life)
	}
	late := old
	if old == 0 {
		late = never
	}
	return (o.Cond&op.ExpireNX == 0 || old == 0) &&
		(o.Cond&op.ExpireXX == 0 || old != 0) &&
		(o.Cond&op.ExpireGT == 0 || new > late) &&
		(o.Cond&op.ExpireLT == 0 || new < late)
}

func (s *State) rename(o *op.Rename, res *op.Result) {
	from := s.at(o.From)
	if from.e == nil {
		res.Status = op.Missing
		return
	}
	to := s.at(o.To)
	if to.e != nil && o.IfAbsent {
		return
	}
	res.Int = 1
	if to.r == from.r {
		return
	}
	if st := s.copyItem(&from, &to, o.Copy); st != op.OK {
		res.Status, res.Int = st, 0
		return
	}
	res.Version = to.version()
	if !o.Copy {
		from = s.at(o.From) // the table may have changed
		s.remove(&from)
	}
}

// copyItem puts what from holds in the place of to. If from is to stay and has a tree, to gets a clone.
func (s *State) copyItem(from, to *found, stays bool) op.Status {
	h, v := from.e.shape(), from.e.value()
	new, old := cost(h.size(len(to.key.Name), len(v))), uint64(0)
	if h.tree != 0 {
		new += s.trees[h.tree].bytes
	}
	if to.e != nil {
		old = s.costOf(to.e)
	}
	if !stays {
		old += s.costOf(from.e)
	}
	if !s.admit(s.classOf(to.key), old, new) {
		return op.OutOfMemory
	}
	if h.tree != 0 {
		h.tree = s.addTree(s.trees[h.tree].clone())
		s.write(to, h, treeValue, 0)
	} else {
		copy(s.write(to, h, len(v), 0), v)
	}
	return op.OK
}

func (s *State) evict(o *op.Evict, res *op.Result) {
	for _, g := range o.Victims {
		f := s.at(g.Key)
		if f.e != nil && f.version() == g.Version && f.e.evictable() {
			s.end(&f, op.Evicted)
			s.memory.Evicted++
			res.Int++
		}
	}
}

func (s *State) transact(o *op.Tx, res *op.Result) {
	if !s.sound(o) {
		res.Status = op.Aborted
		return
	}
	for _, g := range o.Guards {
		if f := s.at(g.Key); f.version() != g.Version {
			res.Status = op.Aborted
			return
		}
	}
	b, size := o.Body, 0
	for range o.Count {
		in, rest, _ := s.inner.Next(b)
		r := res.Next()
		s.do(in, r)
		if n := shown(r); s.ReplyLimit > 0 && n > 0 && (size > 0 || len(r.List) > 1) && size+n > s.ReplyLimit {
			*r = op.Result{Status: op.TooLarge}
		} else {
			own(r)
			size += n
		}
		b = rest
	}
}

// sound says whether the body of a transaction is what it should be; it is checked first, because a transaction is carried out whole or not at all.
func (s *State) sound(o *op.Tx) bool {
	b := o.Body
	for range o.Count {
		in, rest, err := s.inner.Next(b)
		if err != nil || in.Kind() == op.KindTx {
			return false
		}
		b = rest
	}
	return len(b) == 0
}

// shown is about how many bytes a copy of r takes beyond r itself.
func shown(r *op.Result) int {
	n := len(r.Value) + len(r.List)*int(unsafe.Sizeof(*r))
	for i := range r.List {
		n += len(r.List[i].Value)
	}
	return n
}

// own copies what r shows of the state, which the next op of a transaction may change, into r's own memory.
func own(r *op.Result) {
	keep := func(v []byte) []byte {
		if v == nil {
			return nil
		}
		i := len(r.Scratch)
		r.Scratch = append(r.Scratch, v...)
		return r.Scratch[i:len(r.Scratch):len(r.Scratch)]
	}
	r.Value = keep(r.Value)
	for i := range r.List {
		r.List[i].Value = keep(r.List[i].Value)
	}
}
