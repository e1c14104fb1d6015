package openstack

import (
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"
	"time"
)

// CoordinationGroup is a group of tooz.
type CoordinationGroup struct {
	Name     string        `json:"name"`
	Keyspace string        `json:"keyspace"`
	Leader   string        `json:"leader"` // who holds the leader's lock, as Lock.Holder; empty if nobody does
	Members  []GroupMember `json:"members"`
}

// GroupMember is a member with its heartbeat. One without a deadline to come is gone: whoever looks at the group next removes it.
type GroupMember struct {
	Name     string     `json:"name"`
	LastBeat *time.Time `json:"last_heartbeat"` // reckoned from Expires and the timeout that the agents are configured with
	Expires  *time.Time `json:"expires"`
}

// HeldLock is a lock that somebody holds.
type HeldLock struct {
	Name     string     `json:"name"`
	Keyspace string     `json:"keyspace"`
	Kind     string     `json:"kind"`   // "lock", "leader" of a group, or "dogpile"
	Holder   string     `json:"holder"` // a member's name; or the host's hardware address, which its token names; empty if it names nobody
	Since    *time.Time `json:"since"`  // by the holder's clock
	Expires  *time.Time `json:"expires"`
	Fencing  uint64     `json:"fencing"` // larger than for any earlier holder
}

const (
	maxMembers = 10_000 // of a group that are shown
	maxNesting = 16     // of msgpack
	memberBits = 255    // bytes of a member's name
)

// groupOf reads the name of a key that holds a group's members; empty for any other key.
func groupOf(name []byte) (group, namespace string) {
	if len(name) > maxName {
		return "", ""
	}
	s := string(name)
	if rest, ok := strings.CutPrefix(s, groupPrefix); ok && s != groupList {
		return rest, ""
	}
	if rest := redisPart(s, groupInfix); rest != "" {
		return rest, s[:strings.Index(s, groupInfix)]
	}
	return "", ""
}

// createdField is no member: tooz puts it into a new group.
const createdField = "__created__"

// packedMembers reads the keys of the map in which tooz's memcached driver keeps a group; nil if it is none.
func packedMembers(b []byte) []string {
	n, b, ok := mapHead(b)
	if !ok {
		return nil
	}
	var all []string
	for range n {
		var name []byte
		if name, b, ok = packedText(b); !ok {
			return nil
		}
		if b, ok = skipPacked(b, 0); !ok {
			return nil
		}
		if len(all) < maxMembers {
			all = append(all, string(name))
		}
	}
	return all
}

func mapHead(b []byte) (n int, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	switch c := b[0]; {
	case c&0xf0 == 0x80:
		return int(c & 0x0f), b[1:], true
	case c == 0xde && len(b) >= 3:
		return int(binary.BigEndian.Uint16(b[1:])), b[3:], true
	case c == 0xdf && len(b) >= 5:
		return int(binary.BigEndian.Uint32(b[1:])), b[5:], true
	}
	return 0, nil, false
}

// packedText takes a string or bytes.
func packedText(b []byte) (s, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, nil, false
	}
	n, head := 0, 1
	switch c := b[0]; {
	case c&0xe0 == 0xa0:
		n = int(c & 0x1f)
	case (c == 0xd9 || c == 0xc4) && len(b) >= 2:
		n, head = int(b[1]), 2
	case (c == 0xda || c == 0xc5) && len(b) >= 3:
		n, head = int(binary.BigEndian.Uint16(b[1:])), 3
	case (c == 0xdb || c == 0xc6) && len(b) >= 5:
		n, head = int(binary.BigEndian.Uint32(b[1:])), 5
	default:
		return nil, nil, false
	}
	if n > len(b)-head {
		return nil, nil, false
	}
	return b[head : head+n], b[head+n:], true
}

// skipPacked passes over one value of msgpack.
func skipPacked(b []byte, depth int) (rest []byte, ok bool) {
	if len(b) == 0 || depth > maxNesting {
		return nil, false
	}
	if _, rest, ok := packedText(b); ok {
		return rest, true
	}
	if n, rest, ok := mapHead(b); ok {
		return skipMany(rest, 2*n, depth)
	}
	c, size := b[0], 1
	switch {
	case c < 0x80, c >= 0xe0, c == 0xc0, c == 0xc2, c == 0xc3:
	case c&0xf0 == 0x90:
		return skipMany(b[1:], int(c&0x0f), depth)
	case c == 0xdc && len(b) >= 3:
		return skipMany(b[3:], int(binary.BigEndian.Uint16(b[1:])), depth)
	case c == 0xdd && len(b) >= 5:
		return skipMany(b[5:], int(binary.BigEndian.Uint32(b[1:])), depth)
	case 0xcc <= c && c <= 0xcf:
		size += 1 << (c - 0xcc)
	case 0xd0 <= c && c <= 0xd3:
		size += 1 << (c - 0xd0)
	case c == 0xca, c == 0xcb:
		size += 4 << (c - 0xca)
	case 0xd4 <= c && c <= 0xd8: // an extension of fixed size, with its type
		size += 1 + 1<<(c-0xd4)
	case 0xc7 <= c && c <= 0xc9:
		width := 1 << (c - 0xc7)
		if len(b) < 1+width {
			return nil, false
		}
		n := 0
		for _, d := range b[1 : 1+width] {
			n = n<<8 | int(d)
		}
		size += width + 1 + n
	default:
		return nil, false
	}
	if size > len(b) {
		return nil, false
	}
	return b[size:], true
}

func skipMany(b []byte, n, depth int) (rest []byte, ok bool) {
	for range n {
		if b, ok = skipPacked(b, depth+1); !ok {
			return nil, false
		}
	}
	return b, true
}

// newLock puts together what is known of a lock. version is that of its key.
func newLock(space string, key, value []byte, deadline int64, version uint64) HeldLock {
	l := HeldLock{Keyspace: space, Kind: "lock", Expires: unixMilli(deadline), Fencing: version}
	name := string(key)
	if rest, ok := strings.CutPrefix(name, lockPrefix); ok { // of tooz's memcached driver: the value is the member
		l.Name, l.Holder = rest, memberName(value)
		if group, ok := strings.CutPrefix(rest, leaderPrefix); ok {
			l.Name, l.Kind = group, "leader"
		}
		l.Name = printable(l.Name)
		return l
	}
	l.Name = lockName(name)
	if strings.HasPrefix(name, dogpileLock) {
		l.Kind = "dogpile"
	}
	if group, ok := strings.CutPrefix(l.Name, leaderOf); ok {
		l.Name, l.Kind = group, "leader"
	}
	l.Name = printable(l.Name)
	l.Holder, l.Since = timeUUID(value)
	return l
}

// memberName reads a member's name as tooz's memcached driver writes it: plain, or as msgpack.
func memberName(value []byte) string {
	if s, rest, ok := packedText(value); ok && len(rest) == 0 {
		value = s
	}
	return printable(string(value[:min(len(value), memberBits)]))
}

// timeUUID reads the token that redis-py takes a lock with: a UUID of version 1 in hexadecimal, which is a time and the hardware address of the host.
func timeUUID(value []byte) (host string, at *time.Time) {
	var id [16]byte
	if len(value) != 32 {
		return "", nil
	}
	if _, err := hex.Decode(id[:], value); err != nil || id[6]>>4 != 1 || id[8]>>6 != 2 {
		return "", nil
	}
	const gregorian = 122192928000000000 // 100 ns from the 15th of October 1582 to 1970
	ticks := int64(binary.BigEndian.Uint32(id[0:])) | int64(binary.BigEndian.Uint16(id[4:]))<<32 | int64(binary.BigEndian.Uint16(id[6:])&0x0fff)<<48
	ticks -= gregorian
	if ticks > 0 && ticks < math.MaxInt64/100 {
		t := time.Unix(0, ticks*100).UTC()
		at = &t
	}
	var mac strings.Builder
	for i, b := range id[10:] {
		if i > 0 {
			mac.WriteByte(':')
		}
		mac.WriteString(hex.EncodeToString([]byte{b}))
	}
	return mac.String(), at
}
