//go:build linux

package witness

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

const (
	sessionLife = 3600 // seconds, Horizon's
	sessionSize = 600  // bytes, about what Horizon keeps for a user with one project
)

// visitors is some users of a dashboard whose sessions one client keeps, in the keys that Django's cache back end uses. Each page view reads
// the session and saves it; a session that is not there has logged its user out.
type visitors struct {
	name     string
	most     int // sessions that are in use at a time; a new one takes the place of an old one, which must stay too
	sessions []*session
	in       []*session // in use
	faults   []string
	logins   atomic.Int64 // length of sessions
}

type session struct {
	key   string
	saved int   // the number of the last save that was acknowledged; 0: none
	tried int   // the number of the last save that was sent
	open  []int // saves of unknown outcome: each may take effect at any time
}

func (s *session) text(n int) string {
	head := fmt.Sprintf("%s/%d/", s.key, n)
	return head + strings.Repeat("s", max(sessionSize-len(head), 0))
}

// allows reports whether a value may be found now.
func (s *session) allows(value string) bool {
	return s.saved > 0 && value == s.text(s.saved) || slices.ContainsFunc(s.open, func(n int) bool { return value == s.text(n) })
}

func (v *visitors) step(c *Client) {
	if len(v.in) < v.most {
		v.logIn(c, len(v.in))
		return
	}
	i := c.random.IntN(v.most)
	if c.random.IntN(20) == 0 {
		v.logIn(c, i)
		return
	}
	v.view(c, v.in[i])
}

func (v *visitors) logIn(c *Client, place int) {
	s := &session{key: fmt.Sprintf(":1:django.contrib.sessions.cache%s%08d", v.name, len(v.sessions))}
	v.save(c, s)
	if s.saved == 0 {
		return // nobody was told that he is logged in
	}
	v.sessions = append(v.sessions, s)
	v.logins.Add(1)
	v.in = append(v.in[:place], append([]*session{s}, v.in[min(place+1, len(v.in)):]...)...)
}

func (v *visitors) view(c *Client, s *session) {
	var value string
	var found bool
	outcome := c.do(read, func(to *conn) (err error) {
		value, found, err = to.get(s.key)
		return err
	})
	if outcome != acked {
		return // an error, which is counted as one
	}
	if fault := s.fault(value, found); fault != "" {
		v.faults = append(v.faults, fault)
	}
	v.save(c, s)
}

func (v *visitors) save(c *Client, s *session) {
	s.tried++
	switch c.do(write, func(to *conn) error { return to.set(s.key, s.text(s.tried), sessionLife) }) {
	case acked:
		s.saved = s.tried
	case unknown:
		s.open = append(s.open, s.tried)
	}
}

// fault says what is wrong with what was found, empty if nothing is.
func (s *session) fault(value string, found bool) string {
	switch {
	case !found:
		return fmt.Sprintf("session %s is lost: save %d was acknowledged", s.key, s.saved)
	case !s.allows(value):
		return fmt.Sprintf("session %s holds %.80q: save %d was acknowledged last, %v are open", s.key, value, s.saved, s.open)
	}
	return ""
}
