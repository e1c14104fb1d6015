package admin

import (
	"maps"
	"math"
	"strconv"
	"time"

	"holdfast/engine"
	"holdfast/op"
	"holdfast/openstack"
)

// Report is the JSON of /status. Fields are added, not renamed: scripts read them.
type Report struct {
	Name       string             `json:"name"`
	Version    string             `json:"version"`
	Verdict    string             `json:"verdict"` // Healthy, Degraded or NoQuorum
	Why        string             `json:"why"`     // it is not Healthy
	CanLose    int                `json:"can_lose"`
	Draining   bool               `json:"draining"`
	Ready      bool               `json:"ready"`
	Quorum     bool               `json:"quorum"`
	Problem    string             `json:"problem"` // what keeps writes from being carried out, empty if nothing is known
	Role       string             `json:"role"`
	Leader     string             `json:"leader"`
	Members    int                `json:"members"`
	Missing    []string           `json:"missing"`
	Term       uint64             `json:"term"`
	Commit     uint64             `json:"commit"`
	Visible    uint64             `json:"visible"`
	Applied    uint64             `json:"applied"`
	LeaseMs    *float64           `json:"lease_ms"` // null without an end: a group of one
	Ops        uint64             `json:"ops"`
	Started    time.Time          `json:"started"`
	GroupTime  time.Time          `json:"group_time"`
	Data       string             `json:"data"`
	Durability string             `json:"durability"`
	LogBytes   int64              `json:"log_bytes"`
	FsyncMs    float64            `json:"slowest_fsync_ms"`
	Snapshot   uint64             `json:"snapshot"`
	SnapTime   *time.Time         `json:"snapshot_time"`
	Limit      uint64             `json:"memory_limit_bytes"`
	Resident   uint64             `json:"memory_resident_bytes"`
	Budget     uint64             `json:"keys_budget_bytes"`
	Used       uint64             `json:"keys_used_bytes"`
	Expired    uint64             `json:"expired"`
	Evicted    uint64             `json:"evicted"`
	Refused    uint64             `json:"refused"`
	Classes    map[string]Holding `json:"classes"`
	Spaces     map[string]Space   `json:"keyspaces"`
	Traffic    Traffic            `json:"traffic"`
	Peers      []Peer             `json:"peers"`
	Elections  []Election         `json:"elections"`
	Causes     map[string]uint64  `json:"elections_by_cause"`
	Common     map[string]string  `json:"common_settings"` // those that should be the same on all members
}

// Peer is a member as the controller that was asked sees it: what it does not know is 0.
type Peer struct {
	Name        string     `json:"name"`
	Address     string     `json:"address"`
	ID          string     `json:"id"` // hexadecimal
	Role        string     `json:"role"`
	Leader      bool       `json:"leader"`
	Self        bool       `json:"self"`
	Up          bool       `json:"up"`
	Heard       *time.Time `json:"heard"` // when anything last came from it, null for never, and for itself
	InRoster    bool       `json:"in_roster"`
	LeaseMs     float64    `json:"lease_ms"`
	Match       uint64     `json:"match"`
	Lag         uint64     `json:"lag"`
	RoundTripMs float64    `json:"round_trip_ms"`
	OffsetMs    float64    `json:"clock_offset_ms"`
	FsyncMs     float64    `json:"slowest_fsync_ms"`
	Level       uint32     `json:"level"`
	Differs     uint64     `json:"differs"` // an entry after which its state was another one than here, 0 for none
}

// Election is a change of leadership.
type Election struct {
	At     time.Time `json:"at"`
	Term   uint64    `json:"term"`
	Leader string    `json:"leader"`
	Cause  string    `json:"cause"`
	TookMs float64   `json:"took_ms"`
}

// Event is something of note that a controller has seen; package engine has the kinds.
type Event struct {
	At     time.Time `json:"at"` // own wall clock
	Kind   string    `json:"kind"`
	Member string    `json:"member"` // whom it is about, empty for the group
	Term   uint64    `json:"term"`
	TookMs float64   `json:"took_ms"`
	Count  uint64    `json:"count"`
	Text   string    `json:"text"`
}

// Events is the JSON of /events.
type Events struct {
	Name    string    `json:"name"`
	Started time.Time `json:"started"`
	Events  []Event   `json:"events"` // the oldest first; a bounded number
}

func (s *Server) events() Events {
	st := s.o.Status()
	list := Events{Name: s.o.Name, Started: time.Unix(0, st.Started).UTC(), Events: []Event{}}
	for _, e := range st.Events {
		list.Events = append(list.Events, Event{time.Unix(0, e.At).UTC(), e.Kind, e.Member, e.Term, ms(e.Took), e.Count, e.Text})
	}
	return list
}

// common are the settings that members should have alike: timing, and what keys are worth.
var common = []string{"promise", "lease", "heartbeat", "drift", "reads", "redis-classes", "memcached-classes"}

// Holding is what the keys of a class amount to.
type Holding struct {
	Keys  uint64 `json:"keys"`
	Bytes uint64 `json:"bytes"`
}

// Space counts the keys of a keyspace; Mortal are those with a deadline.
type Space struct {
	Keys   uint64 `json:"keys"`
	Mortal uint64 `json:"mortal"`
}

func (s *Server) report() Report {
	st := s.o.Status()
	r := Report{
		Name: s.o.Name, Version: s.o.Version,
		Ready: st.Ready, Quorum: st.Quorum, Problem: st.Problem, Role: st.Role, Leader: st.Leader, Members: st.Members,
		Missing: append([]string{}, st.Missing...),
		Term:    st.Term, Commit: st.Commit, Applied: st.Applied, Ops: st.Ops,
		Started: time.Unix(0, st.Started).UTC(), GroupTime: time.Unix(0, st.Now).UTC(),
		Data: st.Data, Durability: st.Durable, LogBytes: st.LogBytes, FsyncMs: ms(st.LogFsync),
		Snapshot: st.Snapshot, SnapTime: timeOf(st.SnapTime), Limit: st.Limit, Resident: st.Resident,
		Budget: st.Memory.Budget, Used: st.Memory.Used,
		Expired: st.Memory.Expired, Evicted: st.Memory.Evicted, Refused: st.Memory.Refused,
		CanLose: st.CanLose, Draining: st.Draining, Visible: st.Visible, LeaseMs: leaseMs(st.Lease),
		Peers: peersOf(&st), Elections: []Election{}, Causes: map[string]uint64{},
		Classes: map[string]Holding{}, Spaces: map[string]Space{}, Traffic: s.o.Traffic(), Common: map[string]string{},
	}
	for _, key := range common {
		if v, ok := s.o.Settings[key]; ok {
			r.Common[key] = v
		}
	}
	r.Verdict, r.Why = verdict(&st)
	for _, e := range st.Elections {
		r.Elections = append(r.Elections, Election{time.Unix(0, e.At).UTC(), e.Term, e.Leader, e.Cause, ms(e.Took)})
	}
	maps.Copy(r.Causes, st.Causes)
	for i, c := range st.Memory.Class {
		r.Classes[op.Class(i).String()] = Holding(c)
	}
	for i, c := range st.Memory.Space {
		if c.Keys > 0 {
			r.Spaces[openstack.SpaceName(op.Space(i))] = Space(c)
		}
	}
	return r
}

// timeOf is nil for 0.
func timeOf(ns int64) *time.Time {
	if ns == 0 {
		return nil
	}
	at := time.Unix(0, ns).UTC()
	return &at
}

func ms(ns int64) float64 { return float64(ns) / 1e6 }

func leaseMs(ns int64) *float64 {
	if ns == math.MaxInt64 {
		return nil
	}
	v := ms(ns)
	return &v
}

func peersOf(st *engine.Status) []Peer {
	all := make([]Peer, len(st.Peers))
	for i, p := range st.Peers {
		all[i] = Peer{
			Name: p.Name, Address: p.Addr, ID: strconv.FormatUint(p.ID, 16), Role: p.Role, Leader: p.Name == st.Leader, Self: p.Self, Up: p.Up || p.Self,
			InRoster: p.InRoster, LeaseMs: ms(p.GrantLeft), Match: p.Match, Lag: p.Lag,
			Heard: timeOf(p.Heard), RoundTripMs: ms(p.RoundTrip), OffsetMs: ms(p.ClockOffset), FsyncMs: ms(p.Fsync), Level: p.Level, Differs: p.Differs,
		}
	}
	return all
}
