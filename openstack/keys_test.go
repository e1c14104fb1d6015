package openstack

import (
	"strings"
	"testing"
)

var namesOfKinds = []struct {
	name string
	kind Kind
	part string // the session key, or the lock's name
}{
	{":1:django.contrib.sessions.cache" + strings.Repeat("a1", 16), Session, strings.Repeat("a1", 16)},
	{"horizon:2:django.contrib.sessions.cached_db" + strings.Repeat("z9", 16), Session, strings.Repeat("z9", 16)},
	{"django.contrib.sessions.cache" + strings.Repeat("0", 32), Session, strings.Repeat("0", 32)},
	{":1:django.contrib.sessions.cache" + strings.Repeat("a", 31), Rest, ""},
	{":1:django.contrib.sessions.cache" + strings.Repeat("a", 31) + "'", Rest, ""},
	{":1:xdjango.contrib.sessions.cache" + strings.Repeat("a", 32), Rest, ""},
	{":1:template.cache.angular.ecc88c83a9db24fcf351c4b456980a3e", Rest, ""},
	{":1:user_pk_34abb6a18de74b1f92a5068c17109ed7_restrict", Rest, ""},
	{"0123456789abcdef0123456789abcdef01234567", Token, ""},
	{"0123456789ABCDEF0123456789abcdef01234567", Rest, ""},
	{"tokens/" + strings.Repeat("e", 64), Token, ""},
	{"tokens/b'QUJD=='", Token, ""},
	{"_tooz_groups", Group, ""},
	{"_tooz_group:central-global", Group, ""},
	{"myspace_group:g", Group, ""},
	{"_tooz_beats:agent-1", Heartbeat, ""},
	{"_TOOZ_GROUP_LIST", Group, ""},
	{"_TOOZ_GROUP_central", Group, ""},
	{"_TOOZ_MEMBER_x", Heartbeat, ""},
	{"_tooz_cinder-volume_lock", Lock, "cinder-volume"},
	{"b'_tooz'_b'leader_of_g'_lock", Lock, "leader_of_g"},
	{"__TOOZ_LOCK_x", Lock, ""},
	{"_lock0123456789abcdef0123456789abcdef01234567", Lock, "0123456789abcdef0123456789abcdef01234567"},
	{"b'_tooz'_b'unended_lock", Rest, ""},
	{"some_lock", Rest, ""},
	{"a:b_group:c", Rest, ""},
	{"", Rest, ""},
	{strings.Repeat("x", 1<<20), Rest, ""},
}

func TestKindOf(t *testing.T) {
	for _, c := range namesOfKinds {
		if k := KindOf([]byte(c.name)); k != c.kind {
			t.Errorf("%.80q is of %s, not of %s", c.name, k, c.kind)
		}
		part := string(sessionPart([]byte(c.name)))
		if c.kind == Lock {
			part = lockName(c.name)
		}
		if part != c.part {
			t.Errorf("%.80q has the part %q, not %q", c.name, part, c.part)
		}
	}
}

func FuzzKindOf(f *testing.F) {
	for _, c := range namesOfKinds {
		f.Add([]byte(c.name))
	}
	f.Fuzz(func(t *testing.T, name []byte) {
		if k := KindOf(name); k.String() == "" || (k == Session) != (len(sessionPart(name)) == sessionKeys) {
			t.Errorf("%q is of %s with the session key %q", name, k, sessionPart(name))
		}
	})
}
