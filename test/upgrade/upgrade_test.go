//go:build linux

// Package upgrade_test takes a group from this version to one that knows an op more, and back, under load: a build with the tag nextlevel
// stands for the next version.
package upgrade_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/test/group"
	"holdfast/test/witness"
)

const (
	patience = 30 * time.Second
	members  = 3
	settled  = 500 * time.Millisecond // what a restart does to clients of the others shows within this
)

// rolling is a group under load whose members are started anew, one after the other.
type rolling struct {
	*testing.T
	*group.Group
	crew      *witness.Crew
	old, next string // binaries
}

func begin(t *testing.T) *rolling {
	dir := t.TempDir()
	u := &rolling{T: t}
	for _, b := range []struct {
		path *string
		name string
		tags []string
	}{{&u.old, "old", nil}, {&u.next, "next", []string{"-tags", "nextlevel"}}} {
		where := filepath.Join(dir, b.name)
		err := os.Mkdir(where, 0o755)
		if err == nil {
			*b.path, err = group.Build(where, b.tags...)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	g, err := group.New(group.Options{Binary: u.old, Dir: dir, Members: members})
	if err != nil {
		t.Fatal(err)
	}
	u.Group = g
	t.Cleanup(func() {
		if t.Failed() {
			u.showLogs()
		}
		g.Close()
	})
	if err := g.Start(patience); err != nil {
		t.Fatal(err)
	}
	var all []witness.Member
	for _, m := range g.Members {
		all = append(all, witness.Member{Dial: func(p witness.Protocol) (net.Conn, error) {
			if p == witness.Redis {
				return m.Dial(m.Redis)
			}
			return m.Dial(m.Memcached)
		}})
	}
	u.crew = witness.NewCrew(all, witness.Options{Seed: 1, Pace: 10 * time.Millisecond, Sessions: 10})
	if err := u.crew.Start(); err != nil {
		t.Fatal(err)
	}
	return u
}

func (u *rolling) showLogs() {
	const tail = 3000
	for _, m := range u.Members {
		if b, err := os.ReadFile(m.Log()); err == nil {
			u.Logf("the end of %s:\n%s", m.Log(), b[max(0, len(b)-tail):])
		}
	}
}

// quietly does something to m, of which the clients of the other members may see no error.
func (u *rolling) quietly(what string, m *group.Member, do func() error) {
	u.Helper()
	from := u.crew.Now()
	if err := do(); err != nil {
		u.Fatalf("%s: %v", what, err)
	}
	time.Sleep(settled)
	a := u.crew.Look(from, u.crew.Now(), func(c *witness.Client) bool { return u.Members[c.Member] != m })
	if a.Failures() > 0 {
		u.Errorf("%s: clients of the other members saw %v", what, a.Errors)
	}
	u.Logf("%s: the longest request elsewhere took %v", what, a.Wait.Round(time.Millisecond))
}

// roll starts m anew as another version.
func (u *rolling) roll(m *group.Member, binary string) {
	u.Helper()
	u.quietly(fmt.Sprintf("%s goes to the %s version", m.Name, filepath.Base(filepath.Dir(binary))), m, func() error {
		if _, err := m.Drain(patience); err != nil {
			return err
		}
		m.Use(binary)
		if err := m.Start(); err != nil {
			return err
		}
		return u.AwaitWhole(patience)
	})
}

// ask sends inline commands to m and returns the first line of the last answer.
func (u *rolling) ask(m *group.Member, commands ...string) (answer string) {
	u.Helper()
	c, err := m.Dial(m.Redis)
	if err != nil {
		u.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	for _, text := range commands {
		if _, err := fmt.Fprint(c, text, "\r\n"); err != nil {
			u.Fatal(err)
		}
		if answer, err = r.ReadString('\n'); err != nil {
			u.Fatalf("%s at %s: %v", text, m.Name, err)
		}
	}
	return strings.TrimSpace(answer)
}

func (u *rolling) expect(m *group.Member, answer string, commands ...string) {
	u.Helper()
	if got := u.ask(m, commands...); got != answer {
		u.Errorf("%s at %s was answered %q, not %q", strings.Join(commands, ", "), m.Name, got, answer)
	}
}

// tooOld starts m as the old version, which must end by itself and say why.
func (u *rolling) tooOld(m *group.Member, wipe bool) {
	u.Helper()
	u.quietly("the old version comes back as "+m.Name, m, func() error {
		if _, err := m.Drain(patience); err != nil {
			return err
		}
		if wipe {
			if err := m.Wipe(); err != nil {
				return err
			}
		}
		before, _ := os.ReadFile(m.Log())
		m.Use(u.old)
		if err := m.Start(); err != nil {
			return err
		}
		if err := m.AwaitEnd(patience); err == nil || m.Up() {
			return fmt.Errorf("it did not end as if something were wrong: %v", err)
		}
		const sentence = "the group's data is of level 2 and this version knows no more than level 1: start the version that ran here before, or a newer one"
		after, _ := os.ReadFile(m.Log())
		if said := string(after[len(before):]); !strings.Contains(said, sentence) || strings.Contains(said, "goroutine") {
			return fmt.Errorf("it does not say in a sentence why it ended:\n%s", said)
		}
		m.Use(u.next)
		if err := m.Start(); err != nil {
			return err
		}
		return u.AwaitWhole(patience)
	})
}

func TestRollingUpgrade(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute of restarts is not short")
	}
	u := begin(t)
	c1, c2, c3 := u.Members[0], u.Members[1], u.Members[2]
	const refused = "-ERR this command needs all controllers upgraded first: "

	u.roll(c1, u.next)
	u.expect(c1, refused+"c2 and c3 run older versions", "NUDGE n")
	u.roll(c2, u.next)
	u.expect(c1, refused+"c3 runs an older version", "NUDGE n")
	u.expect(c2, refused+"c3 runs an older version", "MULTI", "SET other 1", "NUDGE n", "EXEC")
	u.expect(c2, "$-1", "GET other")
	u.roll(c2, u.old)
	u.expect(c1, refused+"c2 and c3 run older versions", "NUDGE n")
	u.roll(c2, u.next)
	u.expect(c2, refused+"c3 runs an older version", "NUDGE n")
	u.roll(c3, u.next)
	u.expect(c1, ":1", "NUDGE n")
	u.expect(c2, ":2", "NUDGE n")
	u.expect(c3, "*2", "MULTI", "SET other 1", "NUDGE n", "EXEC")
	u.expect(c3, "$1", "GET other")

	u.tooOld(c1, false) // by what is in its log
	u.tooOld(c2, true)  // by what the others say
	u.expect(c1, ":4", "NUDGE n")

	u.crew.Stop()
	v, err := u.crew.Judge()
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range v.Faults {
		t.Error(fault)
	}
	t.Logf("%d writes were acknowledged", v.Writes)

	for _, m := range u.Members {
		m.Kill()
	}
	if err := u.Start(patience); err != nil {
		t.Fatal(err)
	}
	u.expect(c2, ":5", "NUDGE n")
}
