package openstack

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"holdfast/op"
)

// State is a state that can be asked. Both wait until there is an answer, or an error says why there will be none.
type State interface {
	// Read shows the result to show, which must be quick and copy what it keeps: the state stands still meanwhile.
	Read(r op.Read, show func(res *op.Result)) error
	// Write carries out w.
	Write(w op.Write) (op.Result, error)
}

// Bounds of what one call costs, so that the state is never held up by it.
const (
	scanKeys  = 256    // that one read looks at
	pageKeys  = 50_000 // that one page looks at
	pageItems = 500    // that one page has, or a few more
	readKeys  = 32     // whose values one read copies
	maxRead   = 256 << 10
	endKeys   = 256 // that one write removes

	clockSlack = 2 * time.Second // by which a member's estimate of the group's time may be behind
)

// Inventory reads a state in the services' terms. Now is the group's time.
type Inventory struct {
	State State
	Now   time.Time
}

// cursor is where a walk through all keyspaces goes on.
type cursor struct {
	space op.Space
	pos   uint64
}

func (c cursor) String() string { return fmt.Sprintf("%d-%d", c.space, c.pos) }

// parseCursor reads what String wrote; empty is the beginning.
func parseCursor(text string) (c cursor, err error) {
	if text == "" {
		return c, nil
	}
	space, pos, _ := strings.Cut(text, "-")
	n, err := strconv.ParseUint(space, 10, 8)
	if err == nil {
		c.pos, err = strconv.ParseUint(pos, 10, 64)
	}
	if err != nil || n >= op.Spaces {
		return c, fmt.Errorf("the cursor %.40q is none: begin without one: %w", text, ErrAsked)
	}
	c.space = op.Space(n)
	return c, nil
}

// ErrAsked says that what was asked for makes no sense, or is not there.
var ErrAsked = errors.New("nothing was done")

// found is a key with what is there.
type found struct {
	op.Key
	value    []byte
	deadline int64
	version  uint64
}

// SpaceName is how people call a keyspace.
func SpaceName(s op.Space) string {
	if s == op.Memcache {
		return "memcached"
	}
	return fmt.Sprintf("db%d", s)
}

// Sessions returns a page of sessions, and the cursor of the next page: empty after the last. A session that comes or goes meanwhile may be missing.
func (v *Inventory) Sessions(from string) (all []UserSession, next string, err error) {
	next, err = v.strings(from, func(name []byte) bool { return sessionPart(name) != nil }, func(f *found) int {
		all = append(all, newSession(SpaceName(f.Space), sessionPart(f.Name), f.value, f.deadline))
		return len(all)
	})
	return all, next, err
}

// Tokens is the same of entries of token caches.
func (v *Inventory) Tokens(from string) (all []CachedToken, next string, err error) {
	next, err = v.strings(from, func(name []byte) bool { return KindOf(name) == Token }, func(f *found) int {
		all = append(all, newToken(SpaceName(f.Space), f.Name, f.value, f.deadline))
		return len(all)
	})
	return all, next, err
}

// Locks is the same of locks that are held.
func (v *Inventory) Locks(from string) (all []HeldLock, next string, err error) {
	next, err = v.strings(from, func(name []byte) bool { return KindOf(name) == Lock }, func(f *found) int {
		all = append(all, newLock(SpaceName(f.Space), f.Name, f.value, f.deadline, f.version))
		return len(all)
	})
	return all, next, err
}

// strings gives the strings with fitting names to take, which returns how many items the page has.
func (v *Inventory) strings(from string, fits func([]byte) bool, take func(*found) int) (next string, err error) {
	at, err := parseCursor(from)
	if err != nil {
		return "", err
	}
	items := 0
	return v.walk(at, fits, func(keys []op.Key) (bool, error) {
		for len(keys) > 0 {
			some := keys[:min(readKeys, len(keys))]
			keys = keys[len(some):]
			all, err := v.get(some)
			if err != nil {
				return false, err
			}
			for i := range all {
				items = take(&all[i])
			}
		}
		return items < pageItems, nil
	})
}

// walk gives the keys with fitting names to take, until take wants no more or the page has cost enough.
func (v *Inventory) walk(at cursor, fits func([]byte) bool, take func([]op.Key) (more bool, err error)) (next string, err error) {
	for looked := 0; at.space < op.Spaces; {
		var keys []op.Key
		r := op.Scan{Space: at.space, Cursor: at.pos, Count: scanKeys}
		err := v.State.Read(&r, func(res *op.Result) {
			keys = keys[:0]
			looked += len(res.List) + 1
			at.pos = res.Uint
			for i := range res.List {
				if name := res.List[i].Value; fits(name) {
					keys = append(keys, op.Key{Space: at.space, Name: append([]byte(nil), name...)})
				}
			}
		})
		if err != nil {
			return "", err
		}
		if at.pos == 0 {
			at.space++
		}
		more, err := take(keys)
		if err != nil {
			return "", err
		}
		if (!more || looked > pageKeys) && at.space < op.Spaces {
			return at.String(), nil
		}
	}
	return "", nil
}

// get reads strings; keys that are gone or hold something else are left out, and of a value no more than maxRead bytes are copied.
func (v *Inventory) get(keys []op.Key) ([]found, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	var all []found
	err := v.State.Read(&op.GetMany{Keys: keys}, func(res *op.Result) {
		all = all[:0]
		for i := range res.List {
			if r := &res.List[i]; r.Status == op.OK {
				value := append([]byte(nil), r.Value[:min(len(r.Value), maxRead)]...)
				all = append(all, found{Key: keys[i], value: value, deadline: r.Deadline, version: r.Version})
			}
		}
	})
	return all, err
}

// Groups returns a page of groups with their members; timeout is what the agents are configured with, for the times of heartbeats.
func (v *Inventory) Groups(from string, timeout time.Duration) (all []CoordinationGroup, next string, err error) {
	at, err := parseCursor(from)
	if err != nil {
		return nil, "", err
	}
	next, err = v.walk(at, func(name []byte) bool { g, _ := groupOf(name); return g != "" }, func(keys []op.Key) (bool, error) {
		for _, k := range keys {
			g, err := v.group(k, timeout)
			if err != nil {
				return false, err
			}
			if g != nil {
				all = append(all, *g)
			}
		}
		return len(all) < pageItems, nil
	})
	return all, next, err
}

// group reads one; nil if the key is none after all.
func (v *Inventory) group(k op.Key, timeout time.Duration) (*CoordinationGroup, error) {
	name, namespace := groupOf(k.Name)
	members, ok, err := v.members(k, namespace)
	if err != nil || !ok {
		return nil, err
	}
	g := &CoordinationGroup{Name: printable(name), Keyspace: SpaceName(k.Space), Members: []GroupMember{}}
	for len(members) > 0 {
		some := members[:min(readKeys, len(members))]
		members = members[len(some):]
		keys := make([]op.Key, len(some))
		for i, m := range some {
			keys[i] = op.Key{Space: k.Space, Name: []byte(heartbeatOf(m, namespace))}
		}
		beats, err := v.get(keys)
		if err != nil {
			return nil, err
		}
		deadlines := map[string]int64{}
		for i := range beats {
			deadlines[string(beats[i].Name)] = beats[i].deadline
		}
		for i, m := range some {
			g.Members = append(g.Members, v.member(m, deadlines[string(keys[i].Name)], timeout))
		}
	}
	g.Leader, err = v.leader(k.Space, name, namespace)
	return g, err
}

// heartbeatOf is the key that a member of tooz keeps alive.
func heartbeatOf(member, namespace string) string {
	if namespace == "" {
		return memberPrefix + member
	}
	return namespace + beatsInfix + member
}

func (v *Inventory) member(name string, deadline int64, timeout time.Duration) GroupMember {
	m := GroupMember{Name: printable(name), Expires: unixMilli(deadline)}
	if deadline == 0 {
		return m
	}
	at := m.Expires.Add(-timeout)
	if early := at.Sub(v.Now); early > clockSlack {
		return m // the agents have a longer timeout than that
	} else if early > 0 {
		at = v.Now
	}
	m.LastBeat = &at
	return m
}

// members reads who is in a group: the fields of a hash, or a map in msgpack.
func (v *Inventory) members(k op.Key, namespace string) (all []string, ok bool, err error) {
	if namespace == "" {
		found, err := v.get([]op.Key{k})
		if err != nil || len(found) == 0 {
			return nil, false, err
		}
		all = packedMembers(found[0].value)
		return all, all != nil || len(found[0].value) == 1, nil
	}
	created := false
	err = v.State.Read(&op.HashAll{Key: k, Names: true}, func(res *op.Result) {
		all, created = nil, false
		for i := range res.List {
			switch name := string(res.List[i].Value); {
			case name == createdField:
				created = true
			case len(all) < maxMembers:
				all = append(all, name)
			}
		}
	})
	return all, created, err
}

// leader returns who holds the lock of the group's leader.
func (v *Inventory) leader(space op.Space, group, namespace string) (string, error) {
	names := []string{lockPrefix + leaderPrefix + group}
	if namespace != "" {
		lock := leaderOf + group
		names = []string{namespace + "_" + lock + lockSuffix, "b'" + namespace + "'_b'" + lock + "'" + lockSuffix}
	}
	for _, name := range names {
		all, err := v.get([]op.Key{{Space: space, Name: []byte(name)}})
		if err != nil {
			return "", err
		}
		if len(all) > 0 {
			l := newLock("", []byte(name), all[0].value, 0, 0)
			return l.Holder, nil
		}
	}
	return "", nil
}

// errNoSession says that there is no such session.
var errNoSession = fmt.Errorf("there is no such session: it has ended, or the key is another's: %w", ErrAsked)

// EndSession logs one session out and returns its id. key is an id as Sessions gives it, the session key itself, or the name of the key.
func (v *Inventory) EndSession(key string) (string, error) {
	if key == "" {
		return "", errNoSession
	}
	var victims []op.Key
	id := ""
	err := v.eachSession(func(k op.Key) {
		part := sessionPart(k.Name)
		if string(part) == key || sessionID(part) == key || string(k.Name) == key {
			victims = append(victims, k)
			id = sessionID(part)
		}
	}, nil)
	if err != nil {
		return "", err
	}
	if len(victims) == 0 {
		return "", errNoSession
	}
	n, err := v.remove(victims)
	if err == nil && n == 0 {
		err = errNoSession
	}
	return id, err
}

// EndAllSessions logs everybody out and returns how many sessions it ended.
func (v *Inventory) EndAllSessions() (ended int64, err error) {
	var some []op.Key
	err = v.eachSession(func(k op.Key) { some = append(some, k) }, func() error {
		n, err := v.remove(some)
		ended += n
		some = some[:0]
		return err
	})
	return ended, err
}

// eachSession names every session; after every so many it calls then.
func (v *Inventory) eachSession(take func(op.Key), then func() error) error {
	for next := ""; ; {
		at, err := parseCursor(next)
		if err != nil {
			return err
		}
		next, err = v.walk(at, func(name []byte) bool { return sessionPart(name) != nil }, func(keys []op.Key) (bool, error) {
			for _, k := range keys {
				take(k)
			}
			if then == nil {
				return true, nil
			}
			return true, then()
		})
		if err != nil || next == "" {
			return err
		}
	}
}

// remove deletes keys.
func (v *Inventory) remove(keys []op.Key) (n int64, err error) {
	for len(keys) > 0 {
		some := keys[:min(endKeys, len(keys))]
		keys = keys[len(some):]
		res, err := v.State.Write(&op.Delete{Keys: some})
		if err != nil {
			return n, err
		}
		n += res.Int
	}
	return n, nil
}
