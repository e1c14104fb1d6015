package keyspace

import (
	"math"
	"strconv"

	"holdfast/op"
)

// store makes f a string of n bytes if memory allows; the first keep bytes stay what they were.
func (s *State) store(f *found, h shape, n, keep int) (value []byte, st op.Status) {
	class, old := op.Class(0), uint64(0)
	if f.e == nil {
		class = s.classOf(f.key)
	} else {
		class, old = f.e.class(), s.costOf(f.e)
	}
	if !s.admit(class, old, cost(h.size(len(f.key.Name), n))) {
		return nil, op.OutOfMemory
	}
	return s.write(f, h, n, keep), op.OK
}

func (s *State) set(o *op.Set, res *op.Result) {
	f := s.at(o.Key)
	if o.Get && f.e != nil {
		if f.kind() != op.String {
			res.Status = op.WrongType
			return
		}
		res.Scratch = append(res.Scratch[:0], f.e.value()...)
		res.Value, res.Found = res.Scratch, true
	}
	if st, ok := meets(o.Cond, &f); !ok {
		res.Status = st
		return
	}
	if o.Cond.Kind == op.IfNotNewer && f.version() > o.Cond.Version {
		h := shape{op.String, 0, o.Flags, f.e.deadline(), f.e.recache() | op.Outdated}
		s.storeAs(&f, h, o.Value, res)
		return
	}
	s.setString(&f, o.Value, o.Flags, o.Life, res)
}

// setString replaces f by a string, or removes it when its life is over at once.
func (s *State) setString(f *found, v []byte, flags uint32, l op.Life, res *op.Result) {
	old := int64(0)
	if f.e != nil {
		old = f.e.deadline()
	}
	d, alive := s.deadline(l, old)
	if !alive {
		if f.e != nil {
			s.remove(f)
		}
		s.ops++
		res.Version = s.ops
		return
	}
	s.storeAs(f, shape{kind: op.String, flags: flags, deadline: d}, v, res)
}

// storeAs makes f the string v if memory allows.
func (s *State) storeAs(f *found, h shape, v []byte, res *op.Result) {
	var to []byte
	if to, res.Status = s.store(f, h, len(v), 0); res.Status == op.OK {
		copy(to, v)
		res.Version, res.Deadline = f.version(), h.deadline
	}
}

func (s *State) setMany(o *op.SetMany, res *op.Result) {
	need, class := uint64(0), op.Coordination
	for _, p := range o.Pairs {
		f := s.at(p.Key)
		new := cost(shape{kind: op.String}.size(len(p.Key.Name), len(p.Value)))
		if f.e == nil {
			need += new
		} else if o.IfNone {
			return
		} else if old := s.costOf(f.e); new > old {
			need += new - old
		}
		if c := s.classOf(p.Key); s.ceiling[c] < s.ceiling[class] {
			class = c
		}
	}
	if !s.admit(class, 0, need) {
		res.Status = op.OutOfMemory
		return
	}
	for _, p := range o.Pairs {
		f := s.at(p.Key)
		copy(s.write(&f, shape{kind: op.String}, len(p.Value), 0), p.Value)
	}
	res.Int = 1
}

func (s *State) splice(o *op.Splice, res *op.Result) {
	f := s.at(o.Key)
	if st, ok := meets(o.Cond, &f); !ok {
		res.Status = st
		return
	}
	h, n := shape{kind: op.String}, 0
	switch {
	case f.e != nil && f.kind() != op.String:
		res.Status = op.WrongType
		return
	case f.e != nil:
		h, n = f.e.shape(), f.e.valueLen()
		h.recache = 0
	case !o.Create:
		res.Status = op.Missing
		return
	}
	total := n + len(o.Value)
	if total > op.MaxValue || o.Most != 0 && uint64(total) > o.Most {
		res.Status = op.TooLarge
		return
	}
	var v []byte
	if v, res.Status = s.store(&f, h, total, n); res.Status != op.OK {
		return
	}
	if o.Front {
		copy(v[len(o.Value):], v[:n])
		copy(v, o.Value)
	} else {
		copy(v[n:], o.Value)
	}
	res.Int, res.Version = int64(total), f.version()
}

func (s *State) setRange(o *op.SetRange, res *op.Result) {
	f := s.at(o.Key)
	h, n := shape{kind: op.String}, 0
	if f.e != nil {
		if f.kind() != op.String {
			res.Status = op.WrongType
			return
		}
		h, n = f.e.shape(), f.e.valueLen()
	}
	if len(o.Value) == 0 {
		res.Int = int64(n)
		return
	}
	if o.Offset < 0 || o.Offset > int64(op.MaxValue-len(o.Value)) {
		res.Status = op.TooLarge
		return
	}
	off := int(o.Offset)
	total := max(n, off+len(o.Value))
	var v []byte
	if v, res.Status = s.store(&f, h, total, n); res.Status != op.OK {
		return
	}
	if off > n {
		clear(v[n:off])
	}
	copy(v[off:], o.Value)
	res.Int, res.Version = int64(total), f.version()
}

// parseInt reads a decimal signed integer in the one form that printing it gives, as Redis does.
func parseInt(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	v, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0, false
	}
	var room [20]byte
	return v, string(strconv.AppendInt(room[:0], v, 10)) == string(b)
}

// addInt adds without wrapping.
func addInt(a, b int64) (int64, bool) {
	return a + b, !(b > 0 && a > math.MaxInt64-b || b < 0 && a < math.MinInt64-b)
}

func (s *State) incrBy(o *op.IncrBy, res *op.Result) {
	f := s.at(o.Key)
	h, old, ok := shape{kind: op.String}, int64(0), true
	if f.e != nil {
		if f.kind() != op.String {
			res.Status = op.WrongType
			return
		}
		h = f.e.shape()
		if old, ok = parseInt(f.e.value()); !ok {
			res.Status = op.NotInteger
			return
		}
	}
	sum, ok := addInt(old, o.Delta)
	if !ok {
		res.Status = op.Overflow
		return
	}
	var room [20]byte
	text := strconv.AppendInt(room[:0], sum, 10)
	var v []byte
	if v, res.Status = s.store(&f, h, len(text), 0); res.Status == op.OK {
		copy(v, text)
		res.Int, res.Version = sum, f.version()
	}
}

// maxCounter is the longest counter that memcached takes, in digits.
const maxCounter = 20

func parseCounter(b []byte) (uint64, bool) {
	if len(b) == 0 || len(b) > maxCounter {
		return 0, false
	}
	v, err := strconv.ParseUint(string(b), 10, 64)
	return v, err == nil
}

func (s *State) count(o *op.Count, res *op.Result) {
	f := s.at(o.Key)
	var room [maxCounter]byte
	switch {
	case f.e == nil && !o.Create:
		res.Status = op.Missing
		return
	case f.e == nil:
		res.Uint = o.Initial
		s.setString(&f, strconv.AppendUint(room[:0], o.Initial, 10), 0, o.Life, res)
		return
	}
	if st, ok := meets(o.Cond, &f); !ok {
		res.Status = st
		return
	}
	if f.kind() != op.String {
		res.Status = op.NotInteger
		return
	}
	v, ok := parseCounter(f.e.value())
	switch {
	case !ok:
		res.Status = op.NotInteger
		return
	case !o.Down:
		v += o.Delta
	case v > o.Delta:
		v -= o.Delta
	default:
		v = 0
	}
	text, h := strconv.AppendUint(room[:0], v, 10), f.e.shape()
	if o.Renew {
		var alive bool
		if h.deadline, alive = s.deadline(o.Life, h.deadline); !alive {
			s.remove(&f)
			s.ops++
			res.Uint, res.Version = v, s.ops
			return
		}
	}
	if s.storeAs(&f, h, text, res); res.Status == op.OK {
		res.Uint = v
	}
}
