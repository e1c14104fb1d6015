package openstack

import (
	"bytes"
	"strings"
)

// Kind is what a key is to the services.
type Kind uint8

const (
	Rest      Kind = iota // anything else
	Session               // a session of Django's cache or cached_db engine
	Token                 // an entry of Keystone's cache, or of keystonemiddleware's
	Group                 // the members of a tooz group, or the list of groups
	Heartbeat             // of a member of tooz
	Lock                  // of tooz or dogpile.cache
)

// String names the kind in the plural, as options and reports have it.
func (k Kind) String() string {
	return [...]string{"rest", "sessions", "tokens", "groups", "heartbeats", "locks"}[k]
}

// sessionInfixes are what Django's session engines put between the cache's prefix and the session key. The prefix is KEY_PREFIX:VERSION: unless
// KEY_FUNCTION says otherwise.
var sessionInfixes = [][]byte{[]byte("django.contrib.sessions.cached_db"), []byte("django.contrib.sessions.cache")}

const (
	maxName      = 512 // bytes of a name of a group, a member or a lock that is looked at
	sessionKeys  = 32  // letters of Django's session keys
	sha1Hex      = 40
	groupInfix   = "_group:"
	groupsSuffix = "_groups"
	beatsInfix   = "_beats:"
	lockSuffix   = "_lock"
	dogpileLock  = "_lock"
	memberPrefix = "_TOOZ_MEMBER_" // these and the next of tooz's memcached driver
	groupPrefix  = "_TOOZ_GROUP_"
	groupList    = "_TOOZ_GROUP_LIST"
	lockPrefix   = "__TOOZ_LOCK_"
	leaderPrefix = "_TOOZ_GROUP_LEADER_"
	leaderOf     = "leader_of_"
	middleware   = "tokens/"
)

// KindOf tells what the key of that name is, as far as the name says it.
func KindOf(name []byte) Kind {
	switch {
	case sessionPart(name) != nil:
		return Session
	case isHex(name, sha1Hex), bytes.HasPrefix(name, []byte(middleware)):
		return Token
	case len(name) > maxName:
		return Rest
	}
	text := string(name)
	switch {
	case strings.HasPrefix(text, memberPrefix), redisPart(text, beatsInfix) != "":
		return Heartbeat
	case strings.HasPrefix(text, groupPrefix), redisPart(text, groupInfix) != "", isGroups(text):
		return Group
	case strings.HasPrefix(text, lockPrefix), lockName(text) != "":
		return Lock
	}
	return Rest
}

// sessionPart returns Django's session key out of the name of a session's key; nil for any other name.
func sessionPart(name []byte) []byte {
	if len(name) > maxName {
		return nil
	}
	for _, infix := range sessionInfixes {
		at := bytes.Index(name, infix)
		if at < 0 || at > 0 && name[at-1] != ':' {
			continue
		}
		key := name[at+len(infix):]
		if len(key) == sessionKeys && isAlphanumeric(key) {
			return key
		}
	}
	return nil
}

// redisPart returns what follows the infix in a key of tooz's Redis driver, whose names begin with a namespace ("_tooz" unless the URL says
// otherwise). Empty if the name is no such key.
func redisPart(name, infix string) string {
	space, rest, found := strings.Cut(name, infix)
	if !found || space == "" || strings.ContainsAny(space, ": /'") {
		return ""
	}
	return rest
}

func isGroups(name string) bool {
	space, ok := strings.CutSuffix(name, groupsSuffix)
	return ok && space != "" && !strings.ContainsAny(space, ": /'")
}

// lockName returns the name of the lock that the key of a Redis or dogpile lock stands for, empty for any other key. tooz before 9.0 formats
// bytes with %s on Python 3, so that its keys look like b'_tooz'_b'NAME'_lock; tooz 9 writes _tooz_NAME_lock.
func lockName(name string) string {
	if rest, ok := strings.CutPrefix(name, dogpileLock); ok && rest != "" {
		return rest
	}
	space, ok := strings.CutSuffix(name, lockSuffix)
	if !ok {
		return ""
	}
	if old, ok := strings.CutPrefix(space, "b'"); ok {
		_, quoted, found := strings.Cut(old, "'_b'")
		inner, ended := strings.CutSuffix(quoted, "'")
		if found && ended {
			return inner
		}
		return ""
	}
	if rest, ok := strings.CutPrefix(space, "_tooz_"); ok {
		return rest
	}
	return ""
}

func isAlphanumeric(b []byte) bool {
	for _, c := range b {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
			return false
		}
	}
	return true
}

// isHex says whether b is n lower-case hexadecimal digits.
func isHex(b []byte, n int) bool {
	if len(b) != n {
		return false
	}
	for _, c := range b {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return true
}
