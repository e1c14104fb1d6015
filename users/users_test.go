package users_test

import (
	"slices"
	"strings"
	"testing"

	"holdfast/users"
)

// names is a Catalogue of a few commands.
type names []string

var few = names{"get", "set", "del", "flushall", "client", "client|id", "client|kill"}

func (n names) Command(name string) (all []int) {
	for i, c := range n {
		if c == name || strings.HasPrefix(c, name+"|") {
			all = append(all, i)
		}
	}
	return all
}

func (n names) Category(name string) ([]int, bool) {
	switch name {
	case "read":
		return []int{0}, true
	case "write":
		return []int{1, 2, 3}, true
	case "dangerous":
		return []int{3, 6}, true
	}
	return nil, false
}

func (n names) number(name string) int { return slices.Index(n, name) }

func one(t *testing.T, rules string) *users.User {
	t.Helper()
	s, err := users.Parse("user u "+rules, few)
	if err != nil {
		t.Fatal(err)
	}
	return s.Find([]byte("u"))
}

func TestCommands(t *testing.T) {
	for _, c := range []struct{ rules, may string }{
		{"", ""},
		{"+@all", "get set del flushall client client|id client|kill"},
		{"allcommands", "get set del flushall client client|id client|kill"},
		{"+@all -@dangerous", "get set del client client|id"},
		{"-@dangerous +@all", "get set del flushall client client|id client|kill"},
		{"+@read +set", "get set"},
		{"+@READ +SET", "get set"},
		{"+@write -@dangerous", "set del"},
		{"+client -client|kill", "client client|id"},
		{"+client|id", "client|id"},
		{"+@all nocommands +get", "get"},
		{"+@all -get +get", "get set del flushall client client|id client|kill"},
		{"+@all reset", ""},
	} {
		u := one(t, c.rules)
		var may []string
		for i, name := range few {
			if u.May(i) {
				may = append(may, name)
			}
		}
		if got := strings.Join(may, " "); got != c.may {
			t.Errorf("%q may %q, want %q", c.rules, got, c.may)
		}
	}
}

func TestKeys(t *testing.T) {
	const read, write, both = users.Read, users.Write, users.Read | users.Write
	for _, c := range []struct {
		rules, key string
		access     users.Access
		may        bool
	}{
		{"", "k", 0, false},
		{"~*", "k", both, true},
		{"allkeys", "", both, true},
		{"~a:* ~b:*", "b:1", both, true},
		{"~a:* ~b:*", "c:1", read, false},
		{"%R~a:*", "a:1", read, true},
		{"%R~a:*", "a:1", write, false},
		{"%R~a:*", "a:1", 0, true},
		{"%W~a:*", "a:1", both, false},
		{"%RW~a:*", "a:1", both, true},
		{"%wr~a:*", "a:1", both, true},
		{"%R~a:* %W~a:*", "a:1", both, false}, // as Redis: one pattern has to allow all of it
		{"%R~*", "k", write, false},
		{"~* resetkeys", "k", read, false},
	} {
		if got := one(t, c.rules).MayKey([]byte(c.key), c.access); got != c.may {
			t.Errorf("%q, key %q, access %d: %v", c.rules, c.key, c.access, got)
		}
	}
}

func TestChannels(t *testing.T) {
	u := one(t, "&a* &b")
	for _, c := range []struct {
		name    string
		pattern bool
		may     bool
	}{{"ax", false, true}, {"b", false, true}, {"c", false, false}, {"a*", true, true}, {"ax", true, false}, {"*", true, false}} {
		if got := u.MayChannel([]byte(c.name), c.pattern); got != c.may {
			t.Errorf("%q, pattern %v: %v", c.name, c.pattern, got)
		}
	}
	if u := one(t, "&*"); !u.MayChannel([]byte("x*"), true) || one(t, "&* resetchannels").MayChannel([]byte("x"), false) {
		t.Error("all channels")
	}
}

func TestAll(t *testing.T) {
	for rules, all := range map[string]bool{"~* &* +@all": true, "~* +@all": false, "~* &* +@all -get": false, "&* +@all ~a*": false, "+@all ~* &* off": true} {
		if one(t, rules).All() != all {
			t.Errorf("%q: All is not %v", rules, all)
		}
	}
}

func TestAuthenticate(t *testing.T) {
	s, err := users.Parse(`
# people
user default off
user a on >one #3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3 +get
user b off >one
user c on nopass
user d on
user e on >one resetpass
user f on nopass >one
`, few)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, password string
		in             bool
	}{
		{"a", "one", true}, {"a", "two", true}, {"a", "three", false}, {"a", "", false}, {"b", "one", false}, {"c", "whatever", true},
		{"d", "", false}, {"e", "one", false}, {"f", "one", true}, {"f", "x", false}, {"nobody", "one", false}, {"default", "", false},
		{"a", strings.Repeat("x", users.MaxPassword+1), false},
	} {
		if u := s.Authenticate([]byte(c.name), []byte(c.password)); (u != nil) != c.in || u != nil && u.Name != c.name {
			t.Errorf("%s with %q comes in as %v", c.name, c.password, u)
		}
	}
	if s.Default() != nil || s.Anonymous("a") != nil || s.Anonymous("c") == nil {
		t.Error("who needs no password")
	}
	if u := users.New(few).Default(); u == nil || !u.All() {
		t.Error("the default of defaults may not do everything")
	}
}

func TestDescribe(t *testing.T) {
	for rules, want := range map[string]string{
		"on nopass ~* &* +@all": "user u on nopass ~* &* +@all",
		"":                      "user u off resetchannels -@all",
		"on >one %R~a* ~b &c +@read -get": "user u on #7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed " +
			"%R~a* ~b resetchannels &c -@all +@read -get",
	} {
		u := one(t, rules)
		if got := u.Describe(); got != want {
			t.Errorf("%q is described as\n%q, want\n%q", rules, got, want)
		}
		again, err := users.Parse(u.Describe(), few)
		if err != nil || again.Find([]byte("u")).Describe() != want {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"foo":                                  "line 1: write user, a name and rules",
		"user":                                 "line 1: write user",
		"\n\nuser a x":                         "line 3: user \"a\", rule 1: this is no rule",
		"user a on +nosuch":                    "user \"a\", rule \"+nosuch\": there is no such command or category",
		"user a -client|nosuch":                "there is no such command or category",
		"user a +@nosuch":                      "there is no such command or category",
		"user a #abc":                          "64 digits",
		"user a >":                             "user \"a\", rule 1: a password has",
		"user a >" + strings.Repeat("p", 513):  "user \"a\", rule 1: a password has",
		"user a on secret":                     "user \"a\", rule 2: this is no rule",
		"user a on >new <secret":               "user \"a\", rule 3: this is no rule",
		"user a ~":                             "a pattern has",
		"user a &":                             "a pattern has",
		"user a %X~a":                          "no rule",
		"user a %~a":                           "no rule",
		"user a %R":                            "no rule",
		"user a %RR~a":                         "no rule",
		"user a ~* ~b":                         "no effect",
		"user a &* &b":                         "no effect",
		"user a (+get":                         "selectors are not supported",
		"user a on\nuser a off":                "is there twice",
		"user default on\nuser default on":     "is there twice",
		"user " + strings.Repeat("n", 64):      "is no name",
		"user a" + strings.Repeat(" on", 1001): "has 1001 rules",
	} {
		if _, err := users.Parse(text, few); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	var b strings.Builder
	for i := range users.MaxUsers + 1 {
		b.WriteString("user u" + strings.Repeat("x", i%50) + string(rune('a'+i%26)) + strings.Repeat("y", i/1300) + strings.Repeat("z", i/50) + "\n")
	}
	if _, err := users.Parse(b.String(), few); err == nil {
		t.Error("too many users are taken")
	}
}

func TestChecksAllocateNothing(t *testing.T) {
	u := one(t, "on nopass ~a:* ~b:*x &c* +@read -set")
	key, channel := []byte("b:12x"), []byte("cc")
	if n := testing.AllocsPerRun(100, func() {
		if !u.May(few.number("get")) || !u.MayKey(key, users.Read) || !u.MayChannel(channel, false) {
			t.Error("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("user a on >x ~a* %R~b &c +@read -client|kill")
	f.Add("# x\nuser default off\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := users.Parse(text, few)
		if err != nil {
			return
		}
		for _, u := range s.Users() {
			again, err := users.Parse(u.Describe(), few)
			if err != nil {
				t.Fatalf("%q: %v", u.Describe(), err)
			}
			v := again.Find([]byte(u.Name))
			for i := range few {
				if u.May(i) != v.May(i) {
					t.Fatalf("%q: command %d", u.Describe(), i)
				}
			}
		}
	})
}
