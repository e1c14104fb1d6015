package keyspace

import (
	"fmt"

	"holdfast/op"
)

// Level is the level of ops that may follow in the log: all members know them. It never falls.
func (s *State) Level() uint32 { return s.level }

// Newer is what data of a group is whose level is above what a version knows.
type Newer struct{ Level, Known uint32 }

func (n *Newer) Error() string {
	return fmt.Sprintf("the group's data is of level %d and this version knows no more than level %d: start the version that ran here before, or a newer one", n.Level, n.Known)
}

// Readable returns a Newer if b, the beginning of a snapshot, says that this version cannot load what follows.
func Readable(b []byte) error {
	if len(b) < framePrefix || b[4] != frameHead {
		return nil // Load will say what is wrong with it
	}
	r := fields{b: b[framePrefix:]}
	return readable(r.uint(1<<64 - 1))
}

func readable(format uint64) error {
	if level := format - 1; format > 1 && level > op.Level {
		return &Newer{uint32(min(level, 1<<32-1)), op.Level}
	}
	return nil
}
