package server

import (
	"fmt"
	"testing"
)

// A session may say something unasked: while its client is silent, in the middle of a request, and while it is busy.
func TestUnasked(t *testing.T) {
	each(t, func(r *rig) {
		c := r.dial()
		for i := range 200 {
			c.say("later %d\n", i)
			c.hear(fmt.Sprint(i))
		}
		c.say("later a\nec")
		c.hear("a")
		c.say("ho b\n")
		c.hear("b")
		c.say("later a\ntake 1000\n%0999d", 1)
		c.hear("a")
		c.say("x")
		c.hear("took 1000")
	})
}

func TestUnaskedAmidRequests(t *testing.T) {
	each(t, func(r *rig) {
		c := r.dial()
		const rounds = 2000
		go func() {
			for i := range rounds {
				fmt.Fprintf(c, "later %d\nwrite w\n", i)
			}
			fmt.Fprintf(c, "echo end\n")
		}()
		writes := 0
		for {
			line, err := c.r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			switch line {
			case "w\n":
				writes++
			case "end\n":
				if writes != rounds {
					t.Fatalf("%d of %d writes were answered", writes, rounds)
				}
				return
			}
		}
	})
}

// Who is patient is not dropped for being idle, but for not reading.
func TestPatient(t *testing.T) {
	s := &Server{idleBeats: 2}
	for _, c := range []struct {
		of      Session
		waited  uint32
		replies bool
		want    bool
	}{
		{nil, 3, false, true},
		{patient(false), 3, false, true},
		{patient(true), 3, false, false},
		{patient(true), 3, true, true},
		{patient(true), stallBeats + 1, true, true},
		{patient(false), 2, true, false},
	} {
		if got := s.expired(c.of, 10+c.waited, 10, c.replies); got != c.want {
			t.Errorf("%v after %d beats, replies %v: dropped %v", c.of, c.waited, c.replies, got)
		}
	}
}

type patient bool

func (p patient) Patient() bool                          { return bool(p) }
func (patient) Process(_, out []byte) (int, []byte, int) { return 0, out, 1 }
func (patient) Close()                                   {}
