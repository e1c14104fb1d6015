package cluster

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"holdfast/engine"
	"holdfast/keyspace"
	"holdfast/op"
)

// What becomes of members of different versions (op.Level): a write that not all members know yet is refused here, at its origin; a member whose version is too
// old for its group does not start, is not let in, and takes no entry and no snapshot that it does not know.

// takesUp notes the level of ops that may be submitted. Caller holds mu.
func (n *Node) takesUp() {
	if level := n.replica.Level(); level > n.usable.Load() {
		n.usable.Store(level)
	}
}

// early stands in for a write that not all members know: it takes its turn as a write of nothing, so that it is answered in its turn.
type early struct {
	engine.Writer
	because error
}

func (e early) Done(*op.Result, error) { e.Writer.Done(new(op.Result), e.because) }

// tooEarly says whom an op of a level has to wait for.
func (n *Node) tooEarly(level uint32) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.replica == nil {
		return engine.ErrVersion
	}
	var old []string
	members, _ := n.replica.Members()
	for _, m := range members {
		if m.ID != n.record.id && n.knows[m.ID] < level {
			old = append(old, m.Name)
		}
	}
	slices.Sort(old)
	switch len(old) {
	case 0:
		return fmt.Errorf("%w: they have been, the group takes it up in a moment", engine.ErrVersion)
	case 1:
		return fmt.Errorf("%w: %s runs an older version", engine.ErrVersion, old[0])
	}
	return fmt.Errorf("%w: %s run older versions", engine.ErrVersion, strings.Join(old, " and "))
}

// tooOld ends this member if err says that the group has gone on to what it does not know. Caller holds mu.
func (n *Node) tooOld(err error) {
	if isNewer(err) {
		n.die(err)
	}
}

func isNewer(err error) bool { return errors.As(err, new(*keyspace.Newer)) }
