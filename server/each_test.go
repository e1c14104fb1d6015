package server

import "testing"

// Every open connection is there with what it brought and took, and gone when it is closed.
func TestEach(t *testing.T) {
	each(t, func(r *rig) {
		list := func() (all []*Conn) {
			r.Each(func(c *Conn) { all = append(all, c) })
			return all
		}
		c := r.dial()
		c.say("echo hello\n")
		c.hear("hello")
		all := list()
		if len(all) != 1 || all[0].Port() != "toy" {
			t.Fatalf("%v", all)
		}
		in, out := all[0].Bytes()
		if stats := r.Stats(); in < 11 || in != stats.BytesIn || out > 6 || out > stats.BytesOut { // what went out may be counted a moment later
			t.Error(in, out, stats)
		}
		c.Close()
		await(t, r.world.closed, "the session's end")
		if all := list(); len(all) != 0 {
			t.Errorf("%v", all)
		}
	})
}
