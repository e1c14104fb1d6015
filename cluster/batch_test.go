package cluster

import (
	"bytes"
	"testing"

	"holdfast/op"
)

// TestReplyLimitOfATransaction copies what a transaction gives back as far as the limit goes.
func TestReplyLimitOfATransaction(t *testing.T) {
	value := func(n int) op.Result { return op.Result{Value: bytes.Repeat([]byte("x"), n)} }
	list := func(n int) op.Result { return op.Result{List: []op.Result{value(n), value(n)}} }
	b := &batch{node: &Node{cfg: Config{ReplyLimit: 4096}}}
	for name, c := range map[string]struct {
		in   []op.Result
		kept []bool
	}{
		"one value beyond it":  {[]op.Result{value(5000)}, []bool{true}},
		"values beyond it":     {[]op.Result{value(1500), value(1500), value(1500), value(1000)}, []bool{true, true, false, true}},
		"no values at all":     {[]op.Result{value(5000), {Int: 1}, {Int: 2}}, []bool{true, true, true}},
		"a list":               {[]op.Result{list(1000), list(1000)}, []bool{true, false}},
		"one list beyond it":   {[]op.Result{list(3000), value(10)}, []bool{false, true}},
		"behind a large value": {[]op.Result{value(5000), value(1)}, []bool{true, false}},
	} {
		b.results = nil
		b.Result(&op.Result{List: c.in})
		got := b.results[0]
		for i, kept := range c.kept {
			r, in := got.List[i], c.in[i]
			if kept && (r.Status != op.OK || !bytes.Equal(r.Value, in.Value) || len(r.List) != len(in.List) || r.Int != in.Int) {
				t.Errorf("%s: result %d is not the copy of it", name, i)
			}
			if !kept && (r.Status != op.TooLarge || r.Value != nil || r.List != nil) {
				t.Errorf("%s: result %d was copied", name, i)
			}
		}
	}
}
