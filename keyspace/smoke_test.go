package keyspace

import (
	"fmt"
	"testing"

	"holdfast/op"
)

func TestSmoke(t *testing.T) {
	s := New(nil, nil)
	s.Apply(&Entry{Index: 1, Stamp: 1e18, Origin: 7, Kind: Hello}, nil)
	var o []byte
	for i := range 100000 {
		o = (&op.Set{Key: op.Key{Name: []byte(fmt.Sprint("k", i))}, Value: make([]byte, i%3000), Life: op.Life{Kind: op.In, Ms: int64(i)}}).Append(o[:0])
		s.Apply(&Entry{Index: uint64(i + 2), Stamp: 1e18, Origin: 7, Incarnation: 1, Seq: uint64(i + 1), Kind: Batch, Ops: o}, nil)
	}
	for i := range 2000 {
		s.Apply(&Entry{Index: uint64(i + 200002), Stamp: 1e18 + int64(i)*50*ms, Origin: 7, Kind: Tick}, nil)
	}
	t.Logf("%+v %d", s.Memory(), s.Physical())
	var r op.Result
	t.Log(s.Read(&op.Get{Key: op.Key{Name: []byte("k99999")}}, 1e18, &r), len(r.Value))
}
