package transfer

import (
	"bytes"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"holdfast/openstack"
)

const (
	maxListed = 20_000_000 // keys of all servers together
	busyTries = 20         // while another one lists the keys
	busyWait  = 250 * time.Millisecond
	relative  = 30 * 24 * time.Hour // longer lifetimes are written as Unix time
)

// memcachedSource is servers that share the keys out.
type memcachedSource struct{ servers []*conn }

func openMemcachedSource(a *Address) (source, error) {
	m := &memcachedSource{}
	for _, host := range a.Hosts {
		c, err := a.dial(host)
		if err != nil {
			m.Close()
			return nil, err
		}
		m.servers = append(m.servers, c)
	}
	return m, nil
}

func (m *memcachedSource) Close() {
	for _, c := range m.servers {
		c.Close()
	}
}

// listed is what a server says of one of its keys.
type listed struct {
	server  int
	ends    int64 // Unix seconds, 0 for never
	touched int64 // Unix seconds
}

// walk is source's. A key that several servers have, because the clients took one of them for dead for a while, counts where it ends last, then
// where it was used last.
func (m *memcachedSource) walk(want func([]byte) bool, take func([]entry) error, skip func(string)) error {
	all := map[string]listed{}
	for i, c := range m.servers {
		err := c.list(func(key string, l listed) error {
			l.server = i
			old, twice := all[key]
			switch {
			case twice:
				skip("another server has the same key, newer")
				if old.later(l) {
					return nil
				}
			case !want([]byte(key)):
				return nil
			case len(all) == maxListed:
				return fmt.Errorf("there are more than %d keys: leave the kinds out that need not be copied", maxListed)
			}
			all[key] = l
			return nil
		})
		if err != nil {
			return err
		}
	}
	for i, c := range m.servers {
		var names []string
		for key, l := range all {
			if l.server == i {
				names = append(names, key)
			}
		}
		for len(names) > 0 {
			some := names[:min(batchKeys, len(names))]
			names = names[len(some):]
			entries, err := c.getAll(some, all, skip)
			if err == nil {
				err = take(entries)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (l listed) later(than listed) bool {
	a, b := l.ends, than.ends
	if a != b {
		return a == 0 || b != 0 && a > b
	}
	return l.touched >= than.touched
}

// list has the server name its keys.
func (c *conn) list(take func(string, listed) error) error {
	for try := 0; ; try++ {
		c.out = append(c.out, "lru_crawler metadump all\r\n"...)
		if err := c.flush(); err != nil {
			return err
		}
		line, err := readLine(c.in)
		switch {
		case err != nil:
			return c.lost(err)
		case bytes.HasPrefix(line, []byte("BUSY")) && try < busyTries:
			time.Sleep(busyWait)
			continue
		case string(line) != "END" && !bytes.HasPrefix(line, []byte("key=")):
			return fmt.Errorf("%s answers %.60q: %w", c.where, line, errNoDump)
		}
		for ; string(line) != "END"; line, err = readLine(c.in) {
			if err != nil {
				return c.lost(err)
			}
			key, l, ok := parseListed(line)
			if !ok {
				return fmt.Errorf("%s lists %.60q, which is no key", c.where, line)
			}
			if err := take(key, l); err != nil {
				return err
			}
			if err := c.SetDeadline(time.Now().Add(ioTimeout)); err != nil {
				return err
			}
		}
		return nil
	}
}

// parseListed reads a line of a metadump: key=NAME exp=-1 la=1700000000 cas=7 fetch=yes cls=2 size=66, the name URL-encoded.
func parseListed(line []byte) (key string, l listed, ok bool) {
	for _, word := range strings.Fields(string(line)) {
		name, v, _ := strings.Cut(word, "=")
		var err error
		switch name {
		case "key":
			key, err = url.PathUnescape(v)
		case "exp":
			l.ends, err = strconv.ParseInt(v, 10, 64)
		case "la":
			l.touched, err = strconv.ParseInt(v, 10, 64)
		}
		if err != nil {
			return "", l, false
		}
	}
	l.ends = max(l.ends, 0)
	return key, l, speakable(key)
}

// speakable says whether a text command can name the key.
func speakable(key string) bool {
	if key == "" || len(key) > 250 {
		return false
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] == 0x7f {
			return false
		}
	}
	return true
}

// getAll reads values.
func (c *conn) getAll(names []string, all map[string]listed, skip func(string)) ([]entry, error) {
	c.out = append(c.out, "gets "+strings.Join(names, " ")+"\r\n"...)
	if err := c.flush(); err != nil {
		return nil, err
	}
	var entries []entry
	for {
		key, e, _, done, err := c.readValue()
		if err != nil {
			return nil, c.lost(err)
		}
		if done {
			break
		}
		l, asked := all[key]
		if !asked {
			return nil, fmt.Errorf("%s gives a key that it was not asked for", c.where)
		}
		if l.ends != 0 {
			e.ends = time.Unix(l.ends, 0)
		}
		entries = append(entries, e)
	}
	for range len(names) - len(entries) {
		skip(Gone)
	}
	return entries, nil
}

// readValue reads VALUE key flags length cas and what follows, or END.
func (c *conn) readValue() (key string, e entry, cas string, done bool, err error) {
	line, err := readLine(c.in)
	if err != nil || string(line) == "END" {
		return "", e, "", true, err
	}
	words := strings.Fields(string(line))
	if len(words) < 4 || words[0] != "VALUE" {
		return "", e, "", false, fmt.Errorf("it answers %.60q in place of a value", line)
	}
	flags, err := strconv.ParseUint(words[2], 10, 32)
	if err != nil {
		return "", e, "", false, err
	}
	n, err := strconv.Atoi(words[3])
	if err != nil || n < 0 || n > maxBulk {
		return "", e, "", false, fmt.Errorf("it announces a value of %.20q bytes", words[3])
	}
	if len(words) > 4 {
		cas = words[4]
	}
	b, err := readBulk(c.in, n)
	e = entry{key: []byte(words[1]), flags: uint32(flags), value: value{form: "string", parts: [][]byte{b}}, kind: openstack.KindOf([]byte(words[1]))}
	return words[1], e, cas, false, err
}

// memcachedTarget is one server: with Holdfast every member has every key.
type memcachedTarget struct{ *conn }

func openMemcached(a *Address) (target, error) {
	c, err := a.dial(a.Hosts[0])
	if err != nil {
		return nil, err
	}
	return &memcachedTarget{c}, nil
}

// put is target's.
func (m *memcachedTarget) put(all []entry, was []uint64, overwrite bool) ([]outcome, error) {
	verbs, cas, err := m.verbs(all, was, overwrite)
	if err != nil {
		return nil, err
	}
	results := make([]outcome, len(all))
	for i := range all {
		results[i] = m.store(&all[i], verbs[i], cas[i])
	}
	if err := m.flush(); err != nil {
		return nil, err
	}
	for i := range all {
		if results[i] != "" {
			continue
		}
		line, err := readLine(m.in)
		if err != nil {
			return nil, m.lost(err)
		}
		switch {
		case string(line) == "STORED":
		case string(line) == "NOT_STORED":
			results[i] = Conflict
		case string(line) == "EXISTS", string(line) == "NOT_FOUND":
			results[i] = Changed
		case bytes.HasPrefix(line, []byte("SERVER_ERROR no quorum")), string(line) == "ERROR":
			return nil, fmt.Errorf("%s answers %s", m.where, line)
		default:
			results[i] = outcome(fmt.Sprintf("the target says %s", line))
		}
	}
	return results, nil
}

// verbs chooses how each entry is stored. Of those that must still be as they were it asks for what is there.
func (m *memcachedTarget) verbs(all []entry, was []uint64, overwrite bool) (verbs, cas []string, err error) {
	verbs, cas = make([]string, len(all)), make([]string, len(all))
	at := map[string]int{}
	var names []string
	for i := range all {
		switch {
		case overwrite:
			verbs[i] = "set"
		case was[i] == 0:
			verbs[i] = "add"
		default:
			at[string(all[i].key)] = i
			names = append(names, string(all[i].key))
		}
	}
	if len(names) == 0 {
		return verbs, cas, nil
	}
	err = m.each(names, func(key, version string, e *entry) {
		if i, asked := at[key]; asked && e.value.sum() == was[i] {
			verbs[i], cas[i] = "cas", " "+version
		}
	})
	return verbs, cas, err
}

// has is target's.
func (m *memcachedTarget) has(all []entry) ([]bool, error) {
	there := make([]bool, len(all))
	at := map[string]int{}
	names := make([]string, len(all))
	for i := range all {
		names[i] = string(all[i].key)
		at[names[i]] = i
	}
	err := m.each(names, func(key, _ string, _ *entry) {
		if i, asked := at[key]; asked {
			there[i] = true
		}
	})
	return there, err
}

// each gets what is there of the names.
func (m *memcachedTarget) each(names []string, take func(key, version string, e *entry)) error {
	m.out = append(m.out, "gets "+strings.Join(names, " ")+"\r\n"...)
	if err := m.flush(); err != nil {
		return err
	}
	for {
		key, e, version, done, err := m.readValue()
		switch {
		case err != nil:
			return m.lost(err)
		case done:
			return nil
		}
		take(key, version, &e)
	}
}

// store puts the command into out, or says why not.
func (m *memcachedTarget) store(e *entry, verb, cas string) outcome {
	left, living := e.left(time.Now())
	switch {
	case !living:
		return Gone
	case verb == "":
		return Changed
	}
	exptime := int64(0)
	switch {
	case left > relative:
		exptime = e.ends.Unix()
	case left > 0:
		exptime = max(1, int64(left/time.Second))
	}
	m.out = fmt.Appendf(m.out, "%s %s %d %d %d%s\r\n", verb, e.key, e.flags, exptime, len(e.value.parts[0]), cas)
	m.out = append(append(m.out, e.value.parts[0]...), "\r\n"...)
	return ""
}
