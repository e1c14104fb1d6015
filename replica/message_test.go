package replica

import (
	"bytes"
	"reflect"
	"testing"

	"go.etcd.io/raft/v3"
	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/keyspace"
)

func samplesOfMessages() []Message {
	app, normal, change := pb.MsgApp, pb.EntryNormal, pb.EntryConfChange
	return []Message{
		{Kind: Raft, From: 1 << 62, To: 2, Beat: 7, For: 300e6, Wall: 1e18, Level: 1, Raft: &pb.Message{
			Type: &app, From: new(uint64(1 << 62)), To: new(uint64(2)), Term: new(uint64(3)), LogTerm: new(uint64(2)), Index: new(uint64(9)),
			Commit: new(uint64(8)), RejectHint: new(uint64(1)), Reject: new(true), Context: []byte("0123456789abcdef"),
			Entries: []*pb.Entry{
				{Type: &normal, Term: new(uint64(3)), Index: new(uint64(10)), Data: []byte("hello")},
				{Type: &change, Term: new(uint64(3)), Index: new(uint64(11)), Data: []byte{}},
			},
		}},
		{Kind: Ack, From: 1, To: 2, Term: 3, Beat: 4, Ask: 5, Void: 6, Life: 7, Wall: -8, Level: 9, Index: 10, Fsync: 11},
		{Kind: Grant, From: 1, To: 2, Term: 3, Ask: 5, Life: 7, For: 250e6, Index: 10},
		{Kind: Visible, From: 1, To: 2, Term: 3, Index: 4, Floor: 5},
		{Kind: Elected, From: 1, To: 2, Term: 3, Text: "no heartbeat of c1"},
		{Kind: Forward, From: 1, To: 2, Entry: &keyspace.Entry{Kind: keyspace.Batch, Origin: 1, Incarnation: 5, Seq: 6, Ops: incr("a", 1)}},
		{Kind: Propose, From: 1, To: 2, Change: &Change{Add, Member{ID: 9, Name: "c4", Addr: "127.0.0.4:7420", Learner: true}}},
	}
}

func TestMessagesAreReadAsWritten(t *testing.T) {
	for _, m := range samplesOfMessages() {
		b := m.Append(nil)
		got, err := DecodeMessage(b)
		if err != nil {
			t.Errorf("%s: %v", &m, err)
			continue
		}
		if again := got.Append(nil); !bytes.Equal(again, b) {
			t.Errorf("%s became %s", &m, &got)
		}
		if m.Raft == nil && !reflect.DeepEqual(got, m) {
			t.Errorf("%+v became %+v", m, got)
		}
	}
}

// A member of the next version says more, and other things; one of the last version says less.
func TestMessagesOfOtherVersions(t *testing.T) {
	more := []byte{byte(Grant), 19}
	for v := range byte(19) {
		more = append(more, v)
	}
	if m, err := DecodeMessage(more); err != nil || m.To != 1 || m.Level != 12 || !m.Unfit {
		t.Errorf("numbers that are not known yet: %+v, %v", m, err)
	}
	if m, err := DecodeMessage([]byte{byte(Grant), 2, 5, 6}); err != nil || m.From != 5 || m.To != 6 || m.Term != 0 {
		t.Errorf("numbers that are missing: %+v, %v", m, err)
	}
	if m, err := DecodeMessage([]byte{200, 1, 5, 'x', 'y'}); err != nil || m.Kind != 200 {
		t.Errorf("a kind that is not known yet: %+v, %v", m, err)
	}
	w := newWorld(t, 1)
	w.r[1].Step(Message{Kind: 200, To: 1}, w.now)
}

func FuzzDecodeMessage(f *testing.F) {
	for _, m := range samplesOfMessages() {
		f.Add(m.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := DecodeMessage(b)
		if err != nil {
			return
		}
		c := m.Append(nil)
		again, err := DecodeMessage(c)
		if err != nil || m.Kind <= Propose && !bytes.Equal(again.Append(nil), c) {
			t.Errorf("%x is read as %s, which is written as %x (%v)", b, &m, c, err)
		}
		_ = m.String()
	})
}

// What comes from the wire must not make raft panic, whatever it says.
func TestForgedRaftMessages(t *testing.T) {
	for kind := pb.MessageType(0); int(kind) < len(pb.MessageType_name); kind++ {
		m := Message{Kind: Raft, From: 2, To: 1, Raft: &pb.Message{Type: &kind, From: new(uint64(2)), To: new(uint64(1)), Term: new(uint64(1))}}
		got, err := DecodeMessage(m.Append(nil))
		if local(kind) {
			if err == nil {
				t.Errorf("%s from elsewhere is taken", kind)
			}
			continue
		}
		w := newWorld(t, 3)
		w.ready()
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		w.r[1].Step(got, w.now)
		w.until("it goes on", func() bool { return w.leader() != 0 && w.r[1].role != raft.StateCandidate })
	}
}

func FuzzDecodeBase(f *testing.F) {
	b := Base{Index: 5, Term: 2, Members: []Member{{ID: 1, Name: "c1", Addr: "127.0.0.1:7420"}, {ID: 2, Learner: true}}}
	f.Add(b.Append(nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		if b, ok := DecodeBase(in); ok {
			if again, ok := DecodeBase(b.Append(nil)); !ok || !reflect.DeepEqual(b, again) {
				t.Errorf("%+v became %+v", b, again)
			}
		}
	})
}
