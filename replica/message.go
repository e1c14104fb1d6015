package replica

import (
	"encoding/binary"
	"errors"
	"fmt"

	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/keyspace"
	"holdfast/op"
)

// Kind says what a Message is. The numbers go over the wire: append only.
type Kind uint8

const (
	Raft    Kind = iota + 1 // Raft is raft's own. With a heartbeat: Beat, For (the promise it asks for, ns), Wall, Life, Level. With a vote: For (what was left of a promise, ns)
	Ack                     // answers a heartbeat: Term, Beat, Ask, Void, Life, Wall, Level, Index (applied), Fsync, Unfit, SumAt, Sum. Beat 0: a lease is given back
	Grant                   // a lease: Term, Ask, Life, For (ns), Index (what must be applied first)
	Recall                  // the leader of Term wants the lease back
	Release                 // the leader of Term ends the promises that were made to it
	Visible                 // Index may be applied, if it is committed. Commit is, of what the receiver has; what every member has up to Floor need not be kept
	Elected                 // the sender leads Term, since Text
	Forward                 // Entry is to be proposed by the leader, which gives it the stamp
	Propose                 // Change is to be proposed by the leader
	Here                    // the sender runs. It is for whoever drives: a replica passes it over
	Removed                 // the group has agreed, before or in Term, that the receiver is no member any more
)

// Message is what one member tells another. Which fields count depends on its Kind; the others are zero.
type Message struct {
	Kind     Kind
	From, To uint64 // members
	Term     uint64
	Index    uint64
	Floor    uint64
	Beat     uint64 // number of a heartbeat within the term
	Ask      uint64 // number of a question for a lease; 0 is none
	Void     uint64 // questions up to this one are withdrawn
	Life     uint64 // Config.Nonce of whoever asks
	For      int64  // ns
	Wall     int64  // the sender's wall clock, Unix ns
	Fsync    int64  // the sender's slowest of late, ns
	Level    uint32
	Unfit    bool   // the sender cannot lead now
	SumAt    uint64 // an index that the sender has applied
	Sum      uint64 // of its state then
	Commit   uint64

	Raft   *pb.Message
	Entry  *keyspace.Entry
	Change *Change
	Text   string
}

// Level is what this build knows, which it says in heartbeats and their answers. A new kind of message or of entry raises it as a new op does, unless members
// that do not know the kind may pass it over.
const Level = op.Level

// ErrMessage is what DecodeMessage returns for bytes that no message encodes to.
var ErrMessage = errors.New("replica: bytes that are no message")

// A message is kind(1) count(1) numbers(uvarint each) payload. A member of another version may know more numbers or fewer: those that are missing are
// zero, those beyond are skipped; a kind that it does not know it ignores.
func (m *Message) numbers() [17]uint64 {
	unfit := uint64(0)
	if m.Unfit {
		unfit = 1
	}
	return [...]uint64{
		m.From, m.To, m.Term, m.Index, m.Floor, m.Beat, m.Ask, m.Void, m.Life, uint64(m.For), uint64(m.Wall), uint64(m.Fsync), uint64(m.Level), unfit, m.SumAt, m.Sum, m.Commit,
	}
}

// Append encodes m behind b.
func (m *Message) Append(b []byte) []byte {
	n := m.numbers()
	last := len(n)
	for last > 0 && n[last-1] == 0 {
		last--
	}
	b = append(b, byte(m.Kind), byte(last))
	for _, v := range n[:last] {
		b = binary.AppendUvarint(b, v)
	}
	switch m.Kind {
	case Raft:
		b = appendRaft(b, m.Raft)
	case Forward:
		b = m.Entry.Append(b)
	case Propose:
		b = m.Change.append(b)
	case Elected:
		b = append(b, m.Text...)
	}
	return b
}

// DecodeMessage reads what Append wrote. What it returns refers into b.
func DecodeMessage(b []byte) (m Message, err error) {
	d := decoder{b: b}
	m.Kind = Kind(d.byte())
	var n [17]uint64
	for i := range int(d.byte()) {
		if v := d.uvarint(); i < len(n) {
			n[i] = v
		}
	}
	m.From, m.To, m.Term, m.Index, m.Floor, m.Beat, m.Ask, m.Void, m.Life = n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8]
	m.For, m.Wall, m.Fsync, m.Level = int64(n[9]), int64(n[10]), int64(n[11]), uint32(n[12])
	m.Unfit, m.SumAt, m.Sum, m.Commit = n[13] != 0, n[14], n[15], n[16]
	if d.bad {
		return m, ErrMessage
	}
	switch m.Kind {
	case Raft:
		m.Raft = d.raft()
	case Forward:
		e, err := keyspace.DecodeEntry(0, d.b)
		if err != nil {
			return m, ErrMessage
		}
		m.Entry, d.b = &e, nil
	case Propose:
		c := d.change()
		m.Change = &c
	case Elected:
		m.Text = string(d.b)
	}
	if d.bad {
		return m, ErrMessage
	}
	return m, nil
}

// appendRaft encodes one of raft's messages, whatever type it has; those that carry a snapshot are never sent.
func appendRaft(b []byte, m *pb.Message) []byte {
	flags := byte(0)
	if m.GetReject() {
		flags = 1
	}
	b = append(b, byte(m.GetType()), flags)
	for _, v := range [...]uint64{m.GetFrom(), m.GetTo(), m.GetTerm(), m.GetLogTerm(), m.GetIndex(), m.GetCommit(), m.GetRejectHint()} {
		b = binary.AppendUvarint(b, v)
	}
	b = binary.AppendUvarint(b, uint64(len(m.Context)))
	b = append(b, m.Context...)
	b = binary.AppendUvarint(b, uint64(len(m.Entries)))
	for _, e := range m.Entries {
		b = append(b, byte(e.GetType()))
		b = binary.AppendUvarint(b, e.GetTerm())
		b = binary.AppendUvarint(b, e.GetIndex())
		b = binary.AppendUvarint(b, uint64(len(e.Data)))
		b = append(b, e.Data...)
	}
	return b
}

// decoder takes bytes apart. Once something is wrong it is bad, and everything it returns is zero.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

// bytes refers into what is decoded.
func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

// least is the fewest bytes that an entry takes.
const least = 4

func (d *decoder) raft() *pb.Message {
	kind, flags := pb.MessageType(d.byte()), d.byte()
	m := &pb.Message{
		Type: &kind, From: new(d.uvarint()), To: new(d.uvarint()), Term: new(d.uvarint()), LogTerm: new(d.uvarint()),
		Index: new(d.uvarint()), Commit: new(d.uvarint()), RejectHint: new(d.uvarint()), Reject: new(flags&1 != 0),
	}
	if c := d.bytes(); len(c) > 0 {
		m.Context = c
	}
	n := d.uvarint()
	if n > uint64(len(d.b)/least) {
		d.bad = true
		return m
	}
	if n > 0 {
		m.Entries = make([]*pb.Entry, n)
	}
	for i := range m.Entries {
		kind := pb.EntryType(d.byte())
		m.Entries[i] = &pb.Entry{Type: &kind, Term: new(d.uvarint()), Index: new(d.uvarint()), Data: d.bytes()}
		if kind < pb.EntryNormal || kind > pb.EntryConfChangeV2 {
			d.bad = true
		}
	}
	if _, known := pb.MessageType_name[int32(kind)]; !known || local(kind) {
		d.bad = true
	}
	return m
}

// local says whether raft sends such messages to itself only: from elsewhere they would be a forgery.
func local(t pb.MessageType) bool {
	switch t {
	case pb.MsgHup, pb.MsgBeat, pb.MsgProp, pb.MsgSnap, pb.MsgSnapStatus, pb.MsgUnreachable, pb.MsgCheckQuorum, pb.MsgTransferLeader,
		pb.MsgStorageAppend, pb.MsgStorageAppendResp, pb.MsgStorageApply, pb.MsgStorageApplyResp, pb.MsgForgetLeader:
		return true
	}
	return false
}

var kindNames = [...]string{"?", "raft", "ack", "grant", "recall", "release", "visible", "elected", "forward", "propose", "here", "removed"}

// String is for traces.
func (m *Message) String() string {
	name := "?"
	if int(m.Kind) < len(kindNames) {
		name = kindNames[m.Kind]
	}
	s := fmt.Sprintf("%s %d>%d term %d", name, m.From, m.To, m.Term)
	switch m.Kind {
	case Raft:
		r := m.Raft
		s = fmt.Sprintf("%s %d>%d term %d log %d/%d commit %d", r.GetType(), m.From, m.To, r.GetTerm(), r.GetIndex(), r.GetLogTerm(), r.GetCommit())
		if len(r.Entries) > 0 {
			s += fmt.Sprintf(" entries to %d", r.Entries[len(r.Entries)-1].GetIndex())
		}
		if r.GetReject() {
			s += " reject"
		}
		if m.Beat != 0 {
			s += fmt.Sprintf(" beat %d", m.Beat)
		}
	case Ack:
		s += fmt.Sprintf(" beat %d ask %d void %d", m.Beat, m.Ask, m.Void)
	case Grant:
		s += fmt.Sprintf(" ask %d for %d ms index %d", m.Ask, m.For/1e6, m.Index)
	case Visible:
		s += fmt.Sprintf(" index %d floor %d", m.Index, m.Floor)
	case Forward:
		s += fmt.Sprintf(" batch %d/%d", m.Entry.Incarnation, m.Entry.Seq)
	}
	return s
}
