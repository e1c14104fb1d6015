package keyspace

import (
	"math/bits"

	"holdfast/op"
)

// maxBit is the last bit of the longest string.
const maxBit = op.MaxValue*8 - 1

func (s *State) setBit(o *op.SetBit, res *op.Result) {
	f := s.at(o.Key)
	h, n := shape{kind: op.String}, 0
	if f.e != nil {
		if f.kind() != op.String {
			res.Status = op.WrongType
			return
		}
		h, n = f.e.shape(), f.e.valueLen()
	}
	if o.Offset < 0 || o.Offset > maxBit {
		res.Status = op.TooLarge
		return
	}
	at, bit := int(o.Offset/8), byte(0x80)>>(o.Offset%8)
	old := byte(0)
	if at < n {
		old = f.e.value()[at]
	}
	total := max(n, at+1)
	var v []byte
	if v, res.Status = s.store(&f, h, total, n); res.Status != op.OK {
		return
	}
	clear(v[n:])
	if v[at] = old &^ bit; o.On {
		v[at] |= bit
	}
	if old&bit != 0 {
		res.Int = 1
	}
	res.Version = f.version()
}

// bitSpan turns a range of bytes or bits of a string of n bytes into one of bits, half open. As in stringSpan, an end before the first is the first.
func bitSpan(start, end int64, inBits bool, n int) (i, j int64) {
	scale := int64(8)
	if inBits {
		scale = 1
	}
	most := int64(n) * 8 / scale
	if end < 0 {
		end = max(end+most, 0)
	}
	i, j = span(start, end, most)
	return min(i, most) * scale, max(j, 0) * scale
}

func (s *State) bitCount(o *op.BitCount, p int64, res *op.Result) (due bool) {
	if due = s.get(o.Key, p, res); due || res.Status != op.OK {
		return due
	}
	v := res.Value
	res.Value = nil
	if o.Start < 0 && o.Start > o.End {
		return false
	}
	i, j := bitSpan(o.Start, o.End, o.Bits, len(v))
	for ; i < j && i%8 != 0; i++ {
		res.Int += int64(v[i/8] >> (7 - i%8) & 1)
	}
	for ; j > i && j%8 != 0; j-- {
		res.Int += int64(v[(j-1)/8] >> (7 - (j-1)%8) & 1)
	}
	if i < j {
		v = v[i/8 : j/8]
		for ; len(v) >= 8; v = v[8:] {
			res.Int += int64(bits.OnesCount64(le.Uint64(v)))
		}
		for _, c := range v {
			res.Int += int64(bits.OnesCount8(c))
		}
	}
	return false
}

func (s *State) bitFind(o *op.BitFind, p int64, res *op.Result) (due bool) {
	if due = s.get(o.Key, p, res); due || res.Status == op.WrongType {
		return due
	}
	missing := res.Status == op.Missing
	v := res.Value
	res.Status, res.Value, res.Int = op.OK, nil, -1
	if missing {
		if !o.On {
			res.Int = 0
		}
		return false
	}
	end := o.End
	if o.Open {
		end = -1
	}
	i, j := bitSpan(o.Start, end, o.Bits, len(v))
	skip := byte(0xff) // a byte without what is looked for
	if o.On {
		skip = 0
	}
	empty := i >= j
	for i < j {
		if c := v[i/8]; i%8 == 0 && c == skip {
			i += 8
		} else if (c>>(7-i%8)&1 == 1) == o.On {
			res.Int = i
			return false
		} else {
			i++
		}
	}
	if !o.On && o.Open && !empty {
		res.Int = int64(len(v)) * 8
	}
	return false
}
