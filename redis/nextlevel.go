//go:build nextlevel

package redis

import "holdfast/op"

// The command of the op that a build with the tag nextlevel knows besides (op/nextlevel.go).
func init() {
	table.add(&Command{Name: "nudge", Arity: 2, Keys: one, Flags: Write | DenyOOM | NoScript, Group: "string", Needed: "tests of upgrades", reply: replyInt,
		write: func(q *request) (op.Write, error) {
			return &op.Nudge{IncrBy: op.IncrBy{Key: q.key(1), Delta: 1}}, nil
		}})
}
