package memcache

import (
	"slices"
	"strings"
	"testing"

	"holdfast/users"
)

// catalogue has a few of Redis's commands.
type catalogue []string

func (c catalogue) Command(name string) []int {
	if i := slices.Index(c, name); i >= 0 {
		return []int{i}
	}
	return nil
}
func (c catalogue) Category(string) ([]int, bool) { return nil, false }

// What a user may not read is not there, what it may not do is refused in its turn, and no byte of either gets lost.
func TestRights(t *testing.T) {
	set, err := users.Parse(strings.Join([]string{
		"user default off", "user boss on >pw ~* &* +@all", "user some on >pw ~a* %R~r* +get +set +incrby +del",
	}, "\n"), catalogue{"get", "set", "append", "del", "incrby", "expire", "flushall", "info"})
	if err != nil {
		t.Fatal(err)
	}
	d := New(Config{Users: set, FlushAll: "all"})
	boss := newClient(Config{})
	boss = d.client(boss.e)
	boss.send("set x 0 0 7\r\nboss pw\r\nset a 0 0 1\r\n1\r\nset r 0 0 1\r\n2\r\nset x 0 0 1\r\n3\r\n")
	c := d.client(boss.e)
	no := denied + "\n"
	for _, step := range []struct{ send, want string }{
		{"set x 0 0 7\nsome pw\n", "STORED\n"},
		{"get a r x\n", "VALUE a 0 1\n1\nVALUE r 0 1\n2\nEND\n"},
		{"get x\nget a\nget x\n", "END\nVALUE a 0 1\n1\nEND\nEND\n"},
		{"set a 0 0 1\n5\nset r 0 0 1\n6\nset x 0 0 1\n7\nget a\n", "STORED\n" + no + no + "VALUE a 0 1\n5\nEND\n"},
		{"set x 0 0 1 noreply\n7\nincr a 1\nincr r 1\n", "6\n" + no},
		{"delete r\ndelete a\nappend a 0 0 1\nx\n", no + "DELETED\n" + no},
		{"touch a 100\nflush_all\nflush_all noreply\nstats\n", no + no + no},
		{"gat 100 r\n", "VALUE r 0 1\n2\nEND\n"},
		{"mg x v\nms x 1\n9\nmd r\nma r\nmg r v\n", "EN\n" + no + no + no + "VA 1\n2\n"},
	} {
		if got := c.send(lines(step.send)); got != lines(step.want) {
			t.Errorf("%q: got %q, want %q", step.send, got, lines(step.want))
		}
	}
	if got := boss.send("get r x\r\n"); got != lines("VALUE r 0 1\n2\nVALUE x 0 1\n3\nEND\n") {
		t.Errorf("afterwards: %q", got)
	}
}

// Users may be read again where there are none.
func TestNobodyIsAsked(t *testing.T) {
	c := newClient(Config{})
	d := c.s.w.d
	if d.SetUsers(nil); c.send("set a 0 0 1\r\n1\r\n") != "STORED\r\n" {
		t.Error("nothing is stored")
	}
	set, err := users.Parse("user default on nopass", catalogue{"set"})
	if err != nil {
		t.Fatal(err)
	}
	if d.SetUsers(set); c.send("delete a\r\n") != denied+"\r\n" {
		t.Error("the user of the connection is gone, and may do what it did")
	}
	if d.SetUsers(nil); c.send("delete a\r\n") != "DELETED\r\n" {
		t.Error("there are no users any more, and one may do nothing")
	}
}
