package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"holdfast/replica"
)

func member(id uint64, name string) replica.Member {
	return replica.Member{ID: id, Name: name, Addr: name + ":7420"}
}

func TestStandingEncoding(t *testing.T) {
	s := standing{
		name: "c1", addr: "c1:7420", id: 7, life: 1 << 63, condition: forgetful, group: groupID{9, 2}, budget: 1 << 40, settings: 3,
		configured: []Peer{{"c1", "c1:7420"}, {"c2", "c2:7420"}},
		log:        replica.Base{Index: 5, Term: 2, Members: []replica.Member{member(7, "c1"), {ID: 8, Name: "c2", Addr: "x", Learner: true}}},
	}
	b := s.append(nil)
	got, err := decodeStanding(b)
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("%+v came back as %+v, %v", s, got, err)
	}
	for n := range b {
		if _, err := decodeStanding(b[:n]); err == nil {
			t.Errorf("%d bytes of %d were read", n, len(b))
		}
	}
}

func FuzzStanding(f *testing.F) {
	s := standing{name: "c1", configured: []Peer{{"c1", "c1:7420"}}, log: replica.Base{Members: []replica.Member{member(7, "c1")}}}
	f.Add(s.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := decodeStanding(b); err == nil && len(s.configured) > len(b) {
			t.Errorf("%x has %d members", b, len(s.configured))
		}
	})
}

// What a member without a group does, by where the others stand.
func TestDecide(t *testing.T) {
	three := []Peer{{"c1", "c1:7420"}, {"c2", "c2:7420"}, {"c3", "c3:7420"}}
	voters := []replica.Member{member(11, "c1"), member(12, "c2"), member(13, "c3")}
	of := groupID{5, 1}
	at := func(name string, c condition, index uint64) standing {
		s := standing{name: name, addr: name + ":7420", condition: c, configured: three}
		if c != empty {
			s.group, s.id, s.log = of, voters[name[1]-'1'].ID, replica.Base{Index: index, Term: 3, Members: voters}
		}
		return s
	}
	with := func(s standing, f func(*standing)) standing { f(&s); return s }
	alone := func(s *standing) { s.configured = nil }
	for _, c := range []struct {
		what   string
		self   standing
		others []standing
		want   string // "found", "join x", "gone", or a part of what it waits for
	}{
		{"all are new", at("c1", empty, 0), []standing{at("c2", empty, 0), at("c3", empty, 0)}, "found"},
		{"all are new, another name is lower", at("c2", empty, 0), []standing{at("c1", empty, 0), at("c3", empty, 0)}, "waits for c1"},
		{"one is not there", at("c1", empty, 0), []standing{at("c3", empty, 0)}, "c2 at c2:7420 does not answer"},
		{"one is not there, and this one may have forgotten", at("c1", forgetful, 9), []standing{at("c3", sound, 9)}, "waits for all members"},
		{"the two others are gone", at("c1", sound, 9), nil, "waits for a majority of the members"},
		{"another list", at("c1", empty, 0), []standing{at("c2", empty, 0), with(at("c3", empty, 0), alone)}, "c3 has another list"},
		{"a group runs", at("c3", empty, 0), []standing{at("c1", active, 9), at("c2", active, 9)}, "join c1"},
		{"a group runs without all", at("c3", empty, 0), []standing{at("c2", active, 9)}, "join c2"},
		{"it may elect", at("c3", empty, 0), []standing{at("c1", sound, 9), at("c2", sound, 9)}, "elected a leader"},
		{"it cannot", at("c3", empty, 0), []standing{at("c1", sound, 9), at("c2", forgetful, 8)}, "waits for c1"},
		{"the one with most cannot be relied on", at("c2", forgetful, 10), []standing{at("c1", sound, 9), at("c3", empty, 0)}, "found"},
		{"the one with most can", at("c1", sound, 10), []standing{at("c2", forgetful, 9), at("c3", forgetful, 8)}, "found"},
		{"a later term counts more", at("c1", forgetful, 10), []standing{with(at("c2", forgetful, 2), func(s *standing) { s.log.Term = 4 }), at("c3", forgetful, 8)}, "waits for c2"},
		{"power is back", at("c1", forgetful, 9), []standing{at("c2", forgetful, 9), at("c3", forgetful, 9)}, "found"},
		{"it waits for the members of its log too", with(at("c1", forgetful, 9), alone), []standing{with(at("c2", forgetful, 9), alone)}, "c3 at c3:7420 does not answer"},
		{"who only joins founds nothing", with(at("c4", empty, 0), alone), []standing{with(at("c1", empty, 0), alone)}, "a member of the group to join"},
		{"another group", at("c3", forgetful, 3), []standing{with(at("c1", active, 9), func(s *standing) { s.group.id = 6 })}, "gone"},
		{"a sound one waits for its leader", at("c3", sound, 9), []standing{at("c1", active, 9)}, "waits for the leader that c1 has"},
		{"it was removed", at("c3", sound, 9), []standing{with(at("c1", active, 12), func(s *standing) { s.log.Members = voters[:2] })}, "gone"},
		{"its group began anew", at("c3", sound, 9), []standing{with(at("c1", active, 9), func(s *standing) { s.group.founding = 2; s.log.Members = voters[:1] })}, "join c1"},
	} {
		v := decide(&c.self, c.others)
		got := v.why
		switch {
		case v.found:
			got = "found"
		case v.join != nil:
			got = "join " + v.join.name
		case v.gone != nil:
			got = "gone"
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %s does %q, want %q", c.what, c.self.name, got, c.want)
		}
	}
}

func TestRecordText(t *testing.T) {
	for _, r := range []record{
		{made: "2026-01-02T15:04:05Z", id: 7, group: groupID{1 << 63, 3}, durability: "always"},
		{made: "2026-01-02T15:04:05Z", id: 1 << 63, durability: "second", served: true, forgetful: true, adopt: 42},
	} {
		if got, ok := parseRecord(r.String()); !ok || got != r {
			t.Errorf("%+v came back as %+v", r, got)
		}
	}
	if got, ok := parseRecord("holdfast data directory, format 1, made 2026-01-02T15:04:05Z\n"); !ok || got.id != firstID || !got.served {
		t.Errorf("the first format is read as %+v, %v", got, ok)
	}
	for _, text := range []string{"", "holdfast data directory, format 2, made now\n", "holdfast data directory, format 2, made now\nid 7\nsomething else\n"} {
		if got, ok := parseRecord(text); ok {
			t.Errorf("%q is read as %+v", text, got)
		}
	}
}

// Adopting a snapshot may be interrupted anywhere: begun again it comes to the same.
func TestAdoptInterrupted(t *testing.T) {
	steps := []func(dir, joined, final string) error{
		func(dir, joined, final string) error { return nil },
		func(dir, joined, final string) error { return os.Rename(joined, final) },
		func(dir, joined, final string) error {
			return errors.Join(os.Rename(joined, final), os.RemoveAll(filepath.Join(dir, "log")))
		},
		func(dir, joined, final string) error {
			return errors.Join(os.Rename(joined, final), os.Truncate(logFiles(dir)[0], 20))
		},
	}
	for i, interrupted := range steps {
		dir := t.TempDir()
		n := start(t, Config{Dir: dir, Name: "c1"})
		newWorker(n).write(set("a", "old"))
		n.Close()
		if _, err := Recover(dir); err != nil { // which leaves a snapshot and an empty log
			t.Fatal(err)
		}
		all, err := listSnapshots(filepath.Join(dir, "snapshot"))
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		final := filepath.Join(dir, "snapshot", all[0].name)
		r, err := readRecord(dir)
		if err == nil {
			r.adopt = all[0].index
			err = errors.Join(r.write(dir), os.Rename(final, final+joinedEnd))
		}
		if err == nil {
			err = interrupted(dir, final+joinedEnd, final)
		}
		if err != nil {
			t.Fatal(err)
		}
		n = start(t, Config{Dir: dir, Name: "c1"})
		if v, _ := newWorker(n).get(t, "a"); v != "old" {
			t.Errorf("interrupted at %d, a is %q", i, v)
		}
		n.Close()
		n = start(t, Config{Dir: dir, Name: "c1"})
		if v, _ := newWorker(n).get(t, "a"); v != "old" {
			t.Errorf("interrupted at %d and started again, a is %q", i, v)
		}
		n.Close()
	}
}

func logFiles(dir string) []string {
	all, _ := filepath.Glob(filepath.Join(dir, "log", "*.wal"))
	return all
}

// A majority that is lost for good: what one member has is the group.
func TestRecoverByHand(t *testing.T) {
	g := newGroup(t, 3, nil)
	g.start(g.all()...)
	g.voters(3)
	stop := g.traffic("c1", "c2", "c3")
	time.Sleep(100 * time.Millisecond)
	acked, unsure, _ := stop()
	survivor := g.another()
	for _, name := range g.all() {
		g.crash(name, 0)
	}
	report, err := Recover(g.configs[survivor].Dir)
	if err != nil || !strings.Contains(report, "begins a group") {
		t.Fatal(report, err)
	}
	g.start(survivor)
	g.sum(acked, unsure)
	for _, name := range g.all() {
		if name != survivor {
			if err := os.RemoveAll(g.configs[name].Dir); err != nil {
				t.Fatal(err)
			}
			g.start(name)
		}
	}
	g.voters(3)
	g.sum(acked, unsure)
	g.equal()
}
