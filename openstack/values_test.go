package openstack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const alice = "34abb6a18de74b1f92a5068c17109ed7"

// stored reads what testdata/make.py has made.
func stored(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadSession(t *testing.T) {
	whole := sessionFacts{user: alice, name: "alice", issued: 1700000000, lasts: 3600}
	for what, c := range map[string]struct {
		value  []byte
		wanted sessionFacts
	}{
		"protocol 0": {stored(t, "session-0"), whole},
		"protocol 2": {stored(t, "session-2"), whole},
		"protocol 4": {stored(t, "session-4"), whole},
		"protocol 5": {stored(t, "session-5"), whole},
		"cut off":    {stored(t, "session-4")[:500], sessionFacts{}},
		"JSON":       {[]byte(`{"_auth_user_id": "` + alice + `", "_session_expiry": 60}`), sessionFacts{user: alice, lasts: 60}},
		"numbers":    {[]byte(`{"_auth_user_id": 7, "_session_expiry": "x"}`), sessionFacts{}},
		"a screen's": {[]byte(`{"_auth_user_id": "\u001b[2J"}`), sessionFacts{}},
		"compressed": {[]byte("x\x9c\x01\x02\x03"), sessionFacts{}},
		"empty":      {nil, sessionFacts{}},
	} {
		if got := readSession(c.value); got != c.wanted {
			t.Errorf("%s: %+v, not %+v", what, got, c.wanted)
		}
	}
}

func TestNewToken(t *testing.T) {
	for _, c := range []struct {
		key, file, what, user string
		stored, valid         string
	}{
		{"0123", "dogpile-redis-token", whatToken, alice, "2023-11-14T22:13:20.25Z", "2026-11-22T03:00:00Z"},
		{"0123", "dogpile-redis-catalog", whatCache, "", "2023-11-14T22:13:20.25Z", ""},
		{"0123", "dogpile-memcached-token", whatToken, alice, "2023-11-14T22:13:20.25Z", "2026-11-22T03:00:00Z"},
		{"tokens/0123", "middleware-json", whatValidated, alice, "", "2026-11-22T03:00:00Z"},
		{"tokens/0123", "session-0", whatEncrypted, "", "", ""},
		{"0123", "middleware-json", whatCache, "", "", ""},
	} {
		got := newToken("db2", []byte(c.key), stored(t, c.file), 0)
		if got.What != c.what || got.User != c.user || shown(got.Stored) != c.stored || shown(got.Valid) != c.valid {
			t.Errorf("%s: %+v, stored %s, valid until %s", c.file, got, shown(got.Stored), shown(got.Valid))
		}
	}
}

func shown(at *time.Time) string {
	if at == nil {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}

func TestPackedMembers(t *testing.T) {
	if got := strings.Join(packedMembers(stored(t, "tooz-group")), " "); got != "agent-1 agent-2" {
		t.Errorf("members %q", got)
	}
	deep := "\x81\xa1a" + strings.Repeat("\x91", 100) + "\x00"
	for _, b := range []string{"", "\x82\xa1a\xc0", "\xdf\xff\xff\xff\xff", "\xa1a", "\x81\xc6\xff\xff\xff\xffa\xc0", "\x81\xa1a\xdd\xff\xff\xff\xff", "\x81\xa1a\xc9\xff\xff\xff\xff\x00", deep} {
		if got := packedMembers([]byte(b)); got != nil {
			t.Errorf("%q has the members %q", b, got)
		}
	}
}

func TestNewLock(t *testing.T) {
	uuid := []byte("2d3f6800c74411f08de90242ac120002")
	for _, c := range []struct {
		key, value           string
		name, kind, who, day string
	}{
		{"_tooz_volume_lock", string(uuid), "volume", "lock", "02:42:ac:12:00:02", "2025-11-22"},
		{"b'_tooz'_b'leader_of_g'_lock", string(uuid), "g", "leader", "02:42:ac:12:00:02", "2025-11-22"},
		{"_lockabc", "1", "abc", "dogpile", "", ""},
		{"__TOOZ_LOCK_x", "agent-1", "x", "lock", "agent-1", ""},
		{"__TOOZ_LOCK_x", "\xc4\x07agent-1", "x", "lock", "agent-1", ""},
		{"__TOOZ_LOCK__TOOZ_GROUP_LEADER_g", "agent-2", "g", "leader", "agent-2", ""},
		{"_tooz_v_lock", strings.Repeat("z", 32), "v", "lock", "", ""},
		{"_tooz_v_lock", strings.Repeat("0", 32), "v", "lock", "", ""},
		{"_tooz_\x1b[2J_lock", "x", "", "lock", "", ""},
	} {
		l := newLock("db0", []byte(c.key), []byte(c.value), 0, 7)
		day, _, _ := strings.Cut(shown(l.Since), "T")
		if l.Name != c.name || l.Kind != c.kind || l.Holder != c.who || day != c.day || l.Fencing != 7 {
			t.Errorf("%s = %q: %+v since %s", c.key, c.value, l, day)
		}
	}
}

func FuzzPickle(f *testing.F) {
	for _, name := range []string{"session-0", "session-2", "session-5", "dogpile-memcached-token"} {
		f.Add(stored(f, name))
	}
	f.Add([]byte("\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff."))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		pickled(b, func(string, atom) { n++ })
		if n > len(b) || n > maxSteps {
			t.Errorf("%d values out of %d bytes", n, len(b))
		}
	})
}

func FuzzSession(f *testing.F) {
	f.Add(stored(f, "session-4"))
	f.Add([]byte(`{"_auth_user_id": "x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newSession("db1", []byte("key"), b, 1)
		if strings.ContainsAny(s.User+s.UserName, "\x1b\n") || len(s.User) > 255 {
			t.Errorf("%q: %+v", b, s)
		}
	})
}

func FuzzToken(f *testing.F) {
	for _, name := range []string{"dogpile-redis-token", "dogpile-memcached-token", "middleware-json"} {
		f.Add(name == "middleware-json", stored(f, name))
	}
	f.Fuzz(func(t *testing.T, validation bool, b []byte) {
		key := "0123"
		if validation {
			key = "tokens/0123"
		}
		if got := newToken("db2", []byte(key), b, 1); got.What == "" {
			t.Errorf("%q is nothing", b)
		}
	})
}

func FuzzTooz(f *testing.F) {
	f.Add([]byte("__TOOZ_LOCK_x"), stored(f, "tooz-group"))
	f.Add([]byte("_tooz_volume_lock"), []byte("2d3f6800c74411f08de90242ac120002"))
	f.Fuzz(func(t *testing.T, key, b []byte) {
		if n := len(packedMembers(b)); n > len(b) {
			t.Errorf("%d members in %d bytes", n, len(b))
		}
		if l := newLock("db0", key, b, 1, 1); strings.ContainsAny(l.Holder+l.Name, "\x1b\n") {
			t.Errorf("%q %q: %+v", key, b, l)
		}
	})
}
