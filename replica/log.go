package replica

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"
)

// tail is the end of the log that is kept in memory: raft's Storage. It holds the entries behind base.
type tail struct {
	base     uint64 // index of the entry before the first one here
	baseTerm uint64
	entries  []*pb.Entry // never changed once they are here; those before head are gone, the one at head has the index base+1
	head     int
	bytes    int // of their data
	hard     *pb.HardState
	group    *pb.ConfState                       // who is in the group, as of the last change that is committed
	snapshot func() (*pb.SnapshotMetadata, bool) // what a snapshot taken now would contain
}

var _ raft.Storage = (*tail)(nil)

func (t *tail) last() uint64 { return t.base + uint64(len(t.entries)-t.head) }

// live are the entries that are here.
func (t *tail) live() []*pb.Entry { return t.entries[t.head:] }

// behind are those with a higher index.
func (t *tail) behind(index uint64) []*pb.Entry {
	return t.entries[uint64(t.head)+max(index, t.base)-t.base:]
}

// cut forgets the entries behind index, which must be here.
func (t *tail) cut(index uint64) {
	keep := t.head + int(index-t.base)
	for _, e := range t.entries[keep:] {
		t.bytes -= len(e.Data)
	}
	clear(t.entries[keep:])
	t.entries = t.entries[:keep]
}

// at returns the entry with that index, which must be here.
func (t *tail) at(index uint64) *pb.Entry { return t.entries[uint64(t.head)+index-t.base-1] }

// append puts entries at the end, in place of what stood at their indexes. It says whether something was replaced.
func (t *tail) append(entries []*pb.Entry) (replaced bool) {
	for len(entries) > 0 && entries[0].GetIndex() <= t.base {
		entries = entries[1:]
	}
	if len(entries) == 0 {
		return false
	}
	if entries[0].GetIndex() > t.last()+1 {
		panic("replica: entries with a gap before them are appended")
	}
	keep := t.head + int(entries[0].GetIndex()-t.base-1)
	for _, e := range t.entries[keep:] {
		t.bytes -= len(e.Data)
		replaced = true
	}
	clear(t.entries[keep:])
	t.entries = append(t.entries[:keep], entries...)
	for _, e := range entries {
		t.bytes += len(e.Data)
	}
	return replaced
}

// moveAt is how many forgotten entries are before head at most when that is more than are behind it.
const moveAt = 64

// compact forgets the entries up to index.
func (t *tail) compact(index uint64) {
	if index <= t.base {
		return
	}
	t.baseTerm = t.at(index).GetTerm()
	next := t.head + int(index-t.base)
	for _, e := range t.entries[t.head:next] {
		t.bytes -= len(e.Data)
	}
	clear(t.entries[t.head:next])
	t.head, t.base = next, index
	if left := len(t.entries) - t.head; left == 0 || t.head > moveAt && t.head > left {
		kept := copy(t.entries, t.entries[t.head:])
		clear(t.entries[kept:])
		t.entries, t.head = t.entries[:kept], 0
	}
}

// keepWithin is an index up to which compact may go so that at most limit bytes are left.
func (t *tail) keepWithin(limit int) uint64 {
	index, bytes := t.base, t.bytes
	for _, e := range t.live() {
		if bytes <= limit {
			break
		}
		bytes -= len(e.Data)
		index = e.GetIndex()
	}
	return index
}

// reset forgets everything: the log goes on behind a snapshot.
func (t *tail) reset(index, term uint64, group *pb.ConfState) {
	clear(t.entries)
	t.entries, t.head, t.bytes = t.entries[:0], 0, 0
	t.base, t.baseTerm, t.group = index, term, group
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
	es := t.live()[lo-t.base-1 : hi-t.base-1]
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
	m, ok := t.snapshot()
	if !ok {
		return nil, raft.ErrSnapshotTemporarilyUnavailable
	}
	return &pb.Snapshot{Metadata: m}, nil
}
