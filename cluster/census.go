package cluster

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"holdfast/keyspace"
	"holdfast/replica"
)

// A census is how members that have no group, or cannot know whether they may go on in it, find out what to do (design 3.6): each asks all the
// others again and again where they stand. It decides nothing by votes: what decides is that all must be there.

// condition is how far a member can be relied on. The numbers go over the wire: append only.
type condition uint8

const (
	empty     condition = iota + 1 // it has nothing
	forgetful                      // it may have forgotten what it acknowledged
	sound                          // it has all that it ever acknowledged, but knows no leader
	active                         // it is in a group that has a leader
)

// groupID tells groups apart, and how often one of them had to begin anew from what a single member had.
type groupID struct {
	id       uint64 // random; 0 for none
	founding uint64
}

// Peer is a member as the settings name it.
type Peer struct {
	Name string
	Addr string // host:port by which the others reach it
}

// standing is what a member says of itself.
type standing struct {
	name, addr string
	id         uint64 // raft's; 0 if it has none
	life       uint64 // of the process
	condition  condition
	group      groupID
	budget     uint64 // its own, for entries
	knows      uint32 // what its version knows: op.Level
	level      uint32 // of what it has; 0 if it has nothing
	settings   uint64 // a hash of those that have to be the same on all members
	configured []Peer // by its settings, in order; empty if it joins
	// What it knows of the members, as of what is committed, and where its log ends, committed or not.
	log replica.Base
}

// Requests between members. The first byte says which version of them it is, the second which one. Append only.
const (
	requestVersion = 1

	askStanding byte = 1 // nothing; the answer is a standing
	askJoin     byte = 2 // a standing of whoever wants to be in the group, or to be reached at another address; the answer is a standing
	askUsed     byte = 3 // an op.Exists; the answer has a byte for each key, 1 if it was read since that was last asked
	tellEnded   byte = 4 // nothing: the process of whoever asks has ended; the answer is nothing
	askAdmin    byte = 5 // a question for Config.Answer; the answer is the wall clock, Unix ns (8 bytes), and what that says
)

func (s *standing) append(b []byte) []byte {
	text := func(t string) {
		b = binary.AppendUvarint(b, uint64(len(t)))
		b = append(b, t...)
	}
	b = append(b, byte(s.condition))
	text(s.name)
	text(s.addr)
	for _, v := range [...]uint64{s.id, s.life, s.group.id, s.group.founding, s.budget, uint64(s.knows), uint64(s.level), s.settings, uint64(len(s.configured))} {
		b = binary.AppendUvarint(b, v)
	}
	for _, p := range s.configured {
		text(p.Name)
		text(p.Addr)
	}
	return s.log.Append(b)
}

var errStanding = errors.New("what a member says of itself cannot be read: the versions are too far apart")

func decodeStanding(b []byte) (s standing, err error) {
	number := func() (v uint64) {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			err, b = errStanding, nil
			return 0
		}
		b = b[n:]
		return v
	}
	text := func() string {
		n := number()
		if n > uint64(len(b)) {
			err, b = errStanding, nil
			return ""
		}
		t := string(b[:n])
		b = b[n:]
		return t
	}
	if len(b) == 0 {
		return s, errStanding
	}
	s.condition, b = condition(b[0]), b[1:]
	s.name, s.addr = text(), text()
	var knows, level uint64
	for _, v := range [...]*uint64{&s.id, &s.life, &s.group.id, &s.group.founding, &s.budget, &knows, &level, &s.settings} {
		*v = number()
	}
	s.knows, s.level = uint32(knows), uint32(level)
	for n := number(); n > 0 && err == nil; n-- {
		s.configured = append(s.configured, Peer{text(), text()})
	}
	log, ok := replica.DecodeBase(b)
	if s.log = log; !ok {
		err = errStanding
	}
	return s, err
}

// verdict is what a member makes of a census.
type verdict struct {
	join  *standing // ask this one to be let in
	found bool      // begin a group with what is here
	gone  error     // this member has no place in its group any more
	why   string    // otherwise: what it waits for
}

// decide says what self is to do now that others have said where they stand. all are those who have to be there before a group may be founded,
// by name, besides self.
func decide(self *standing, others []standing) verdict {
	for i := range others {
		if o := &others[i]; o.condition == active && o.name != self.name {
			return self.beside(o)
		}
	}
	if len(self.configured) == 0 && len(self.log.Members) == 0 {
		return verdict{why: "waits for a member of the group to join"}
	}
	switch why := self.missing(others); {
	case why == "":
	case self.condition >= sound: // a majority of such elects a leader, and needs nobody else
		return verdict{why: "waits for a majority of the members, or for all if some may have forgotten what they acknowledged: " + why}
	default:
		return verdict{why: "waits for all members, since none of them has a group that goes on: " + why}
	}
	all := append([]standing{*self}, others...)
	best := &all[0]
	for i := range all[1:] {
		if o := &all[i+1]; o.ahead(best) {
			best = o
		}
	}
	if best.mayElect(all) {
		return verdict{why: "waits until the others have elected a leader"}
	}
	if best.name != self.name {
		return verdict{why: fmt.Sprintf("waits for %s, which has most, to begin the group", best.name)}
	}
	return verdict{found: true}
}

// beside is what self is to do when o is in a group that has a leader.
func (s *standing) beside(o *standing) verdict {
	mine := s.condition != empty
	switch {
	case o.level > s.knows:
		return verdict{gone: &keyspace.Newer{Level: o.level, Known: s.knows}}
	case mine && s.group.id != 0 && s.group.id != o.group.id:
		return verdict{gone: fmt.Errorf("the data directory is of another group than the one that %s at %s is in: name the right members, or move the directory away to join that group with nothing",
			o.name, o.addr)}
	case s.condition != sound || s.group.founding < o.group.founding:
		return verdict{join: o}
	case s.group == o.group && !slices.ContainsFunc(o.log.Members, func(m replica.Member) bool { return m.ID == s.id }) && o.log.Index >= s.log.Index:
		return verdict{gone: errors.New("this controller was removed from the group: to have it join again as a new member, move its data directory away and start it")}
	}
	return verdict{why: fmt.Sprintf("waits for the leader that %s has", o.name)}
}

// missing says in a few words who is not there, or does not fit, of those that self needs.
func (s *standing) missing(others []standing) string {
	var no []string
	need := slices.Clone(s.configured)
	for _, m := range s.log.Members {
		if !slices.ContainsFunc(need, func(p Peer) bool { return p.Name == m.Name }) && !m.Learner {
			need = append(need, Peer{m.Name, m.Addr})
		}
	}
	for _, p := range need {
		if p.Name == s.name {
			continue
		}
		at := slices.IndexFunc(others, func(o standing) bool { return o.name == p.Name })
		switch {
		case at < 0:
			no = append(no, fmt.Sprintf("%s at %s does not answer", p.Name, p.Addr))
		case !samePeers(s.configured, others[at].configured):
			no = append(no, fmt.Sprintf("%s has another list of members in its settings", p.Name))
		case s.group.id != 0 && others[at].group.id != 0 && s.group.id != others[at].group.id:
			no = append(no, fmt.Sprintf("%s has the data of another group", p.Name))
		}
	}
	return strings.Join(no, ", ")
}

// ahead says whether s has more than o.
func (s *standing) ahead(o *standing) bool {
	if s.group.founding != o.group.founding {
		return s.group.founding > o.group.founding
	}
	return cmp.Or(cmp.Compare(s.log.Term, o.log.Term), cmp.Compare(s.log.Index, o.log.Index), -strings.Compare(s.name, o.name)) > 0
}

// mayElect says whether a majority of the voters of s's log can be relied on: then they elect a leader without anybody's help.
func (s *standing) mayElect(all []standing) bool {
	voters, good := 0, 0
	for _, m := range s.log.Members {
		if m.Learner {
			continue
		}
		voters++
		if slices.ContainsFunc(all, func(o standing) bool { return o.id == m.ID && o.condition >= sound }) {
			good++
		}
	}
	return voters > 0 && good > voters/2
}

// samePeers says whether a and b name the same, in whatever order.
func samePeers(a, b []Peer) bool {
	return slices.Equal(sorted(a), sorted(b))
}

func sorted(peers []Peer) []Peer {
	return slices.SortedFunc(slices.Values(peers), func(a, b Peer) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
}
