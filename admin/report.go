package admin

import (
	"time"

	"holdfast/op"
)

// Report is the JSON of /status. Fields are added, not renamed: scripts read them.
type Report struct {
	Name       string             `json:"name"`
	Version    string             `json:"version"`
	Ready      bool               `json:"ready"`
	Quorum     bool               `json:"quorum"`
	Problem    string             `json:"problem"` // what keeps writes from being carried out, empty if nothing is known
	Role       string             `json:"role"`
	Leader     string             `json:"leader"`
	Members    int                `json:"members"`
	Missing    []string           `json:"missing"`
	Term       uint64             `json:"term"`
	Commit     uint64             `json:"commit"`
	Applied    uint64             `json:"applied"`
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
}

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
		Data: st.Data, Durability: st.Durable, LogBytes: st.LogBytes, FsyncMs: float64(st.LogFsync) / 1e6,
		Snapshot: st.Snapshot, Limit: st.Limit, Resident: st.Resident,
		Budget: st.Memory.Budget, Used: st.Memory.Used,
		Expired: st.Memory.Expired, Evicted: st.Memory.Evicted, Refused: st.Memory.Refused,
		Classes: map[string]Holding{}, Spaces: map[string]Space{}, Traffic: s.o.Traffic(),
	}
	if st.SnapTime != 0 {
		at := time.Unix(0, st.SnapTime).UTC()
		r.SnapTime = &at
	}
	for i, c := range st.Memory.Class {
		r.Classes[op.Class(i).String()] = Holding(c)
	}
	for i, c := range st.Memory.Space {
		if c.Keys > 0 {
			r.Spaces[spaceName(i)] = Space(c)
		}
	}
	return r
}
