package config

import (
	"strings"
	"testing"
)

func TestEdit(t *testing.T) {
	name := Value{"name", "ctl1"}
	members := Value{"members", "ctl1=10.0.0.1,ctl2=10.0.0.2"}
	for _, c := range []struct {
		what, text string
		values     []Value
		want       string // empty: the text as it was
		changes    int
	}{
		{"an empty file", "", []Value{name}, "name = \"ctl1\"\n", 1},
		{"no line break at the end", "loops = 2", []Value{name}, "loops = 2\nname = \"ctl1\"\n", 1},
		{"the line that documents it", "# The name.\n#name = \"\"\n\n#loops = 0\n", []Value{name}, "# The name.\nname = \"ctl1\"\n\n#loops = 0\n", 1},
		{"another value", "name=\"x\" # ours\nloops = 2\n", []Value{name}, "name = \"ctl1\"\nloops = 2\n", 1},
		{"the same value", " name =  'ctl1' # ours\n", []Value{name}, "", 0},
		{"the default, said aloud", "insecure = false\n", []Value{{"insecure", "false"}}, "", 0},
		{"the default, not said", "", []Value{{"loops", "0"}}, "loops = 0\n", 1},
		{"a list over lines", "members = [\n  \"a=1.1.1.1\", # ]\n]\nloops = 2\n", []Value{members}, "members = [\"ctl1=10.0.0.1\", \"ctl2=10.0.0.2\"]\nloops = 2\n", 1},
		{"a name that begins another", "memcached-item-max = \"1MiB\"\n#members = []\n", []Value{members}, "memcached-item-max = \"1MiB\"\nmembers = [\"ctl1=10.0.0.1\", \"ctl2=10.0.0.2\"]\n", 1},
	} {
		text, changes, err := Edit("f", []byte(c.text), c.values)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		if c.want == "" {
			c.want = c.text
		}
		if string(text) != c.want || len(changes) != c.changes {
			t.Errorf("%s: %d changes and\n%s\nwanted %d and\n%s", c.what, len(changes), text, c.changes, c.want)
		}
	}
}

func TestEditRefuses(t *testing.T) {
	for _, c := range []struct{ text, key, value, want string }{
		{"\"name\" = 'x'\n", "name", "y", "by hand"},
		{"nmae = 'x'\n", "name", "y", "did you mean"},
		{"name = \n", "name", "y", "not valid TOML"},
		{"", "nmae", "y", "did you mean"},
		{"", "loops", "many", "whole number"},
		{"name = '''\nloops = 1\n'''\n", "loops", "2", "by hand"},
	} {
		if _, _, err := Edit("f", []byte(c.text), []Value{{c.key, c.value}}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, wanted %q", c.text, err, c.want)
		}
	}
}

// Whatever Edit returns is a file that says what was wanted, and saying it once more changes nothing.
func FuzzEdit(f *testing.F) {
	f.Add([]byte(Example()), "ctl1")
	f.Add([]byte("members = [\n'a=1.1.1.1',\n]\n"), "x")
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		values := []Value{{"name", name}, {"members", "a=10.0.0.1,b=10.0.0.2"}}
		edited, _, err := Edit("f", text, values)
		if err != nil {
			return
		}
		again, changes, err := Edit("f", edited, values)
		if err != nil || len(changes) > 0 || string(again) != string(edited) {
			t.Fatalf("again: %v, %v, %q", err, changes, again)
		}
	})
}

// What Edit tells of a password is that it has changed.
func TestEditHidesSecrets(t *testing.T) {
	for text, was := range map[string]string{"": "", "redis-password = \"before\"\n": "(hidden)"} {
		edited, changes, err := Edit("f", []byte(text), []Value{{"redis-password", "after"}})
		if err != nil || string(edited) != "redis-password = \"after\"\n" || len(changes) != 1 || changes[0] != (Change{"redis-password", was, "(hidden)"}) {
			t.Errorf("%q: %v, %v", edited, changes, err)
		}
	}
}
