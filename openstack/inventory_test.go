package openstack_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"holdfast/engine/enginetest"
	"holdfast/op"
	"holdfast/openstack"
)

// state is an openstack.State over a real keyspace.
type state struct {
	*enginetest.Engine
	reads int
}

type shower func(*op.Result)

func (s shower) Show(res *op.Result) { s(res) }
func (s shower) Wake()               {}
func (s shower) Refuse(error)        {}

func (s *state) Read(r op.Read, show func(*op.Result)) error {
	s.reads++
	for !s.Engine.Read(r, shower(show)) {
		s.Flush()
	}
	return nil
}

type last struct{ res op.Result }

func (l *last) Done(res *op.Result, err error) {
	if err == nil {
		l.res = op.Result{Status: res.Status, Int: res.Int}
	}
}

func (s *state) Write(w op.Write) (op.Result, error) {
	var l last
	s.Engine.Write(w, &l)
	s.Flush()
	return l.res, s.Fail
}

func (s *state) set(space op.Space, key, value string, ms int64) {
	w := &op.Set{Key: op.Key{Space: space, Name: []byte(key)}, Value: []byte(value)}
	if ms > 0 {
		w.Life = op.Life{Kind: op.In, Ms: ms}
	}
	s.Write(w)
}

func (s *state) count() (n int64) {
	for space := range op.Space(op.Spaces) {
		s.Read(&op.Size{Space: space}, func(res *op.Result) { n += res.Int })
	}
	return n
}

func inventory() (*state, *openstack.Inventory) {
	s := &state{Engine: enginetest.New()}
	return s, &openstack.Inventory{State: s, Now: enginetest.Start}
}

const prefix = ":1:django.contrib.sessions.cache"

func sessionKey(n int) string { return fmt.Sprintf("%032d", n) }

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSessions(t *testing.T) {
	s, v := inventory()
	pickled := read(t, "session-4")
	s.set(1, prefix+sessionKey(1), pickled, 3_000_000)
	s.set(op.Memcache, prefix+sessionKey(2), "unreadable", 0)
	s.set(1, ":1:user_pk_x_restrict", "y", 0)
	s.Write(&op.HashSet{Key: op.Key{Space: 1, Name: []byte(prefix + sessionKey(3))}, Fields: []op.Field{{Name: []byte("a")}}})
	all, next, err := v.Sessions("")
	if err != nil || next != "" || len(all) != 2 {
		t.Fatal(all, next, err)
	}
	one := all[0]
	if one.User != "34abb6a18de74b1f92a5068c17109ed7" || one.UserName != "alice" || one.Keyspace != "db1" || one.Bytes != len(pickled) ||
		one.Expires.Sub(enginetest.Start).Round(time.Second) != 3000*time.Second || enginetest.Start.Sub(*one.LastActive).Round(time.Second) != 600*time.Second {
		t.Errorf("%+v", one)
	}
	if two := all[1]; two.User != "" || two.Keyspace != "memcached" || two.Expires != nil || two.LastActive != nil {
		t.Errorf("%+v", two)
	}
	for _, u := range all {
		if strings.Contains(sessionKey(1)+sessionKey(2), u.ID) || len(u.ID) != 12 {
			t.Errorf("the id %s shows the session key", u.ID)
		}
	}
	if id, err := v.EndSession(one.ID); err != nil || id != one.ID {
		t.Error(id, err)
	}
	for _, gone := range []string{one.ID, sessionKey(1), prefix + sessionKey(1), "", "*"} {
		if _, err := v.EndSession(gone); !errors.Is(err, openstack.ErrAsked) {
			t.Errorf("%q was ended again: %v", gone, err)
		}
	}
	if _, err := v.EndSession(sessionKey(2)); err != nil {
		t.Error(err)
	}
	if n := s.count(); n != 2 {
		t.Errorf("%d keys are left", n)
	}
}

// Many keys come in pages, each of bounded cost, and all of them come.
func TestPages(t *testing.T) {
	const sessions, others = 2000, 70_000
	s, v := inventory()
	for i := range sessions {
		s.set(1, prefix+sessionKey(i), "x", 0)
	}
	for i := range others {
		s.set(3, fmt.Sprintf("other%d", i), "x", 0)
	}
	seen := map[string]bool{}
	pages := 0
	for next := ""; ; {
		s.reads = 0
		var page []openstack.UserSession
		var err error
		page, next, err = v.Sessions(next)
		if err != nil || len(page) > 1000 || s.reads > 1500 {
			t.Fatal(len(page), s.reads, err)
		}
		for _, u := range page {
			seen[u.ID] = true
		}
		if pages++; next == "" {
			break
		}
	}
	if len(seen) != sessions || pages < 5 {
		t.Errorf("%d sessions in %d pages", len(seen), pages)
	}
	n, err := v.EndAllSessions()
	if err != nil || n != sessions || s.count() != others {
		t.Error(n, err, s.count())
	}
	for _, cursor := range []string{"x", "17-0", "-1-0", "1", "1-x"} {
		if _, _, err := v.Sessions(cursor); !errors.Is(err, openstack.ErrAsked) {
			t.Errorf("the cursor %q: %v", cursor, err)
		}
	}
}

func TestTokens(t *testing.T) {
	s, v := inventory()
	s.set(2, strings.Repeat("ab", 20), read(t, "dogpile-redis-token"), 0)
	s.set(op.Memcache, "tokens/"+strings.Repeat("ab", 32), read(t, "middleware-json"), 300_000)
	s.set(2, "other", "x", 0)
	all, next, err := v.Tokens("")
	if err != nil || next != "" || len(all) != 2 || all[0].What != "token" || all[1].What != "validation" || all[1].Expires == nil {
		t.Error(all, next, err)
	}
}

const token = "2d3f6800c74411f08de90242ac120002" // of a lock: a UUID of version 1

func TestGroupsAndLocks(t *testing.T) {
	s, v := inventory()
	hash := func(space op.Space, key string, fields ...string) {
		w := &op.HashSet{Key: op.Key{Space: space, Name: []byte(key)}}
		for _, f := range fields {
			w.Fields = append(w.Fields, op.Field{Name: []byte(f), Value: []byte("1")})
		}
		s.Write(w)
	}
	hash(0, "_tooz_group:central", "__created__", "agent-1", "agent-2")
	hash(0, "_tooz_group:empty", "__created__")
	hash(0, "my_group:of-somebody-else", "x")
	hash(1, "_tooz_group:just-now", "__created__", "agent-3")
	s.set(1, "_tooz_beats:agent-3", "Not dead!", 30_500) // this member's estimate of the time is behind
	s.set(0, "_tooz_beats:agent-1", "Not dead!", 20_000)
	s.set(0, "b'_tooz'_b'leader_of_central'_lock", token, 30_000)
	s.set(op.Memcache, "_TOOZ_GROUP_old", read(t, "tooz-group"), 0)
	s.set(op.Memcache, "_TOOZ_GROUP_nobody", "\x80", 0)
	s.set(op.Memcache, "_TOOZ_GROUP_LIST", "\x91\xa3old", 0)
	s.set(op.Memcache, "_TOOZ_MEMBER_agent-2", "It's alive!", 90_000)
	s.set(op.Memcache, "__TOOZ_LOCK__TOOZ_GROUP_LEADER_old", "agent-2", 30_000)

	all, next, err := v.Groups("", 30*time.Second)
	if err != nil || next != "" || len(all) != 5 {
		t.Fatal(all, next, err)
	}
	got := map[string]openstack.CoordinationGroup{}
	for _, g := range all {
		got[g.Keyspace+"/"+g.Name] = g
	}
	central := got["db0/central"]
	if len(central.Members) != 2 || central.Leader != "02:42:ac:12:00:02" || central.Members[0].Name != "agent-1" ||
		enginetest.Start.Sub(*central.Members[0].LastBeat).Round(time.Second) != 10*time.Second || central.Members[1].Expires != nil {
		t.Errorf("%+v", central)
	}
	old := got["memcached/old"]
	if len(old.Members) != 2 || old.Leader != "agent-2" || old.Members[1].LastBeat != nil || old.Members[1].Expires == nil {
		t.Errorf("%+v", old)
	}
	if m := got["db1/just-now"].Members; len(m) != 1 || m[0].LastBeat == nil || !m[0].LastBeat.Equal(v.Now) {
		t.Errorf("%+v", m)
	}
	if len(got["db0/empty"].Members) != 0 || len(got["memcached/nobody"].Members) != 0 {
		t.Errorf("%+v", all)
	}

	locks, next, err := v.Locks("")
	if err != nil || next != "" || len(locks) != 2 {
		t.Fatal(locks, next, err)
	}
	if l := locks[0]; l.Kind != "leader" || l.Name != "central" || l.Fencing == 0 || l.Since == nil || l.Expires == nil {
		t.Errorf("%+v", l)
	}
	first := locks[0].Fencing
	s.Write(&op.Delete{Keys: []op.Key{{Name: []byte("b'_tooz'_b'leader_of_central'_lock")}}})
	s.set(0, "b'_tooz'_b'leader_of_central'_lock", token, 30_000)
	if locks, _, _ = v.Locks(""); locks[0].Fencing <= first {
		t.Errorf("the next holder's number is %d, after %d", locks[0].Fencing, first)
	}
}

func TestStateFails(t *testing.T) {
	s, v := inventory()
	s.set(1, prefix+sessionKey(1), "x", 0)
	s.Fail = errors.New("no quorum")
	if _, err := v.EndAllSessions(); err == nil {
		t.Error("sessions were ended without a quorum")
	}
	if _, err := v.EndSession(sessionKey(1)); err == nil {
		t.Error("a session was ended without a quorum")
	}
}
