package replica

import (
	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/keyspace"
)

// sole spares the only member of a group raft's messages for every single batch.
//
// What it proposes as the leader is appended under the index and the term that raft would give, and is committed as soon as it is stored, since
// the member is the majority. Raft is told of many such entries at once: at every tick, when they are many, and before anything else
// happens to it. So it never has an entry that is not in the log, or another one in its place; all else, terms and votes and
// the membership above all, goes through raft, as in a group of several.
type sole struct {
	fresh  []*pb.Entry // appended, and not yet given out by Ready
	untold []*pb.Entry // raft does not know them
	bytes  int         // of their data
	last   uint64      // the highest index appended in this way
}

// Raft is told when there are so many entries, or bytes of them.
const (
	tellEntries = 64
	tellBytes   = 1 << 20
)

// mayAppend says whether this member alone decides what is appended, and raft has nothing else under way. When very much waits to be stored
// raft is asked, which drops what is too much.
func (r *Replica) mayAppend() bool {
	return r.role == raft.StateLeader && r.alone() && r.log.bytes < maxUncommitted/2 && !r.raft.HasReady()
}

// appendOwn appends e behind the log.
func (r *Replica) appendOwn(e *keyspace.Entry) {
	s := &r.sole
	raw := &pb.Entry{Term: r.log.hard.Term, Index: new(r.log.last() + 1), Data: e.Append(make([]byte, 0, len(e.Ops)+entryHead))}
	r.log.append([]*pb.Entry{raw})
	r.log.untold++
	s.fresh = append(s.fresh, raw)
	s.untold = append(s.untold, raw)
	s.bytes += len(raw.Data)
	s.last = raw.GetIndex()
}

// entryHead is at most what an entry takes beside its ops, in bytes.
const entryHead = 1 + 8 + 3*10

// tell proposes to raft what was appended without it.
func (r *Replica) tell() {
	s := &r.sole
	if len(s.untold) == 0 {
		return
	}
	if err := r.raft.Step(&pb.Message{Type: pb.MsgProp.Enum(), Entries: s.untold}); err != nil {
		panic("replica: raft refuses what the only member of the group has appended: " + err.Error())
	}
	clear(s.untold) // raft has made copies
	s.untold, s.bytes, r.log.untold = s.untold[:0], 0, 0
}

// unknown returns those of raft's entries that are not in the log already.
func (s *sole) unknown(entries []*pb.Entry) []*pb.Entry {
	for len(entries) > 0 && entries[0].GetIndex() <= s.last {
		entries = entries[1:]
	}
	return entries
}
