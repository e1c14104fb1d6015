package redis

import (
	"bytes"
	"slices"

	"holdfast/op"
	"holdfast/resp"
)

// maxCommon bounds the table of an LCS, in cells: it takes time too, and others wait for it.
const maxCommon = 16 << 20

// common is the longest common subsequence of two strings.
type common struct {
	a, b   []byte
	length []uint32 // of the beginnings of both, a row of len(b)+1 for each beginning of a
}

// match is a run of bytes that stands in both strings, the places being those of its first bytes.
type match struct{ a, b, n int }

func newCommon(a, b []byte) *common {
	c := &common{a, b, make([]uint32, (len(a)+1)*(len(b)+1))}
	w := len(b) + 1
	for i := range a {
		for j := range b {
			at := (i+1)*w + j + 1
			if a[i] == b[j] {
				c.length[at] = c.length[at-w-1] + 1
			} else {
				c.length[at] = max(c.length[at-w], c.length[at-1])
			}
		}
	}
	return c
}

func (c *common) at(i, j int) uint32 { return c.length[i*(len(c.b)+1)+j] }

// matches gives the runs from the last to the first.
func (c *common) matches() (runs []match) {
	open := false // whether the last run may grow to the front
	for i, j := len(c.a), len(c.b); i > 0 && j > 0; {
		switch {
		case c.a[i-1] == c.b[j-1]:
			i, j = i-1, j-1
			if last := len(runs) - 1; open && runs[last].a == i+1 && runs[last].b == j+1 {
				runs[last] = match{i, j, runs[last].n + 1}
			} else {
				runs = append(runs, match{i, j, 1})
			}
			open = true
		case c.at(i-1, j) > c.at(i, j-1):
			i, open = i-1, false
		default:
			j, open = j-1, false
		}
	}
	return runs
}

func lcs(w *bench, q *request, b []byte) ([]byte, error) {
	res, err := w.Do(&op.GetMany{Keys: []op.Key{q.key(1), q.key(2)}})
	if err != nil {
		return b, err
	}
	var both [2][]byte
	for i := range both {
		if res.List[i].Status == op.WrongType {
			return b, failure("ERR The specified keys must contain string values")
		}
		both[i] = res.List[i].Value
	}
	places, length, lengths, least := false, false, false, int64(0)
	for i := 3; i < len(q.args); i++ {
		switch arg := q.args[i]; {
		case is(arg, "idx"):
			places = true
		case is(arg, "len"):
			length = true
		case is(arg, "withmatchlen"):
			lengths = true
		case is(arg, "minmatchlen") && i+1 < len(q.args):
			i++
			var ok bool
			if least, ok = resp.Int(q.args[i]); !ok {
				return b, errInteger
			}
		default:
			return b, errSyntax
		}
	}
	if places && length {
		return b, failure("ERR If you want both the length and indexes, please just use IDX.")
	}
	if int64(len(both[0])+1)*int64(len(both[1])+1) > maxCommon {
		return b, failure("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
	}
	c := newCommon(both[0], both[1])
	total := int64(c.length[len(c.length)-1])
	switch {
	case length:
		return resp.Integer(b, total), nil
	case places:
		return c.appendPlaces(b, w.Version, least, lengths, total), nil
	}
	runs := c.matches()
	slices.Reverse(runs)
	var text bytes.Buffer
	for _, m := range runs {
		text.Write(c.a[m.a : m.a+m.n])
	}
	return resp.Bulk(b, text.Bytes()), nil
}

// appendPlaces writes where the runs of at least that length stand.
func (c *common) appendPlaces(b []byte, v resp.Version, least int64, lengths bool, total int64) []byte {
	runs := slices.DeleteFunc(c.matches(), func(m match) bool { return int64(m.n) < least })
	b = resp.Array(resp.Bulk(v.Map(b, 2), "matches"), len(runs))
	for _, m := range runs {
		n := 2
		if lengths {
			n = 3
		}
		b = resp.Array(b, n)
		for _, at := range []int{m.a, m.b} {
			b = resp.Integer(resp.Integer(resp.Array(b, 2), int64(at)), int64(at+m.n-1))
		}
		if lengths {
			b = resp.Integer(b, int64(m.n))
		}
	}
	return resp.Integer(resp.Bulk(b, "len"), total)
}
