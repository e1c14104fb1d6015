package replica

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// tail is the end of the log that is kept in memory: raft's Storage. It holds the entries behind base.
type tail struct {
	base     uint64 // index of the entry before the first one here
	baseTerm uint64
	entries  []*pb.Entry // never changed once they are here; the one with index base+1 first
	bytes    int         // of their data
	hard     *pb.HardState
	group    *pb.ConfState // who is in the group, as of the last change that is committed
}

var _ raft.Storage = (*tail)(nil)

func (t *tail) last() uint64 { return t.base + uint64(len(t.entries)) }

// at returns the entry with that index, which must be here.
func (t *tail) at(index uint64) *pb.Entry { return t.entries[index-t.base-1] }

// append puts entries at the end, in place of what stood at their indexes. It says whether something was replaced.
func (t *tail) append(entries []*pb.Entry) (replaced bool) {
	for len(entries) > 0 && entries[0].GetIndex() <= t.base {
		entries = entries[1:]
	}
	if len(entries) == 0 {
		return false
	}
	keep := entries[0].GetIndex() - t.base - 1
	if keep > uint64(len(t.entries)) {
		panic("replica: entries with a gap before them are appended")
	}
	for _, e := range t.entries[keep:] {
		t.bytes -= len(e.Data)
		replaced = true
	}
	t.entries = append(t.entries[:keep], entries...)
	for _, e := range entries {
		t.bytes += len(e.Data)
	}
	return replaced
}

// compact forgets the entries up to index.
func (t *tail) compact(index uint64) {
	if index <= t.base {
		return
	}
	t.baseTerm = t.at(index).GetTerm()
	n := int(index - t.base)
	for _, e := range t.entries[:n] {
		t.bytes -= len(e.Data)
	}
	kept := copy(t.entries, t.entries[n:])
	clear(t.entries[kept:])
	t.entries = t.entries[:kept]
	t.base = index
}

// InitialState, Entries, Term, LastIndex, FirstIndex and Snapshot are for raft.
func (t *tail) InitialState() (*pb.HardState, *pb.ConfState, error) { return t.hard, t.group, nil }

func (t *tail) Entries(lo, hi, maxSize uint64) ([]*pb.Entry, error) {
	if lo <= t.base {
		return nil, raft.ErrCompacted
	}
	if hi > t.last()+1 {
		return nil, raft.ErrUnavailable
	}
	es := t.entries[lo-t.base-1 : hi-t.base-1]
	size, n := uint64(0), 0
	for n < len(es) && (n == 0 || size+entrySize(es[n]) <= maxSize) {
		size += entrySize(es[n])
		n++
	}
	return append([]*pb.Entry(nil), es[:n]...), nil // a copy, since the array is used again
}

// entrySize is at least what raft counts for an entry.
func entrySize(e *pb.Entry) uint64 { return uint64(len(e.Data)) + 32 }

func (t *tail) Term(i uint64) (uint64, error) {
	switch {
	case i == t.base:
		return t.baseTerm, nil
	case i < t.base:
		return 0, raft.ErrCompacted
	case i > t.last():
		return 0, raft.ErrUnavailable
	}
	return t.at(i).GetTerm(), nil
}

func (t *tail) LastIndex() (uint64, error)  { return t.last(), nil }
func (t *tail) FirstIndex() (uint64, error) { return t.base + 1, nil }

func (t *tail) Snapshot() (*pb.Snapshot, error) {
	return nil, raft.ErrSnapshotTemporarilyUnavailable
}
