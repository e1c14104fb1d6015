package redis

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"holdfast/resp"
)

// limited is a user with rights of every kind.
const limited = "user bob on >pw ~a:* %R~r:* %W~w:* resetchannels &ch* -@all +@read +set +del +client +config|get -client|kill +multi +exec +watch +eval +rename +publish +sort +sunionstore +zunionstore +lmpop"

// TestOracleUsers gives a real Redis and this one the same users, and compares what they may.
func TestOracleUsers(t *testing.T) {
	addr := startRedis(t)
	boss := dialPeer(t, addr)
	lines := []string{limited, "user most on nopass ~* &* +@all -@dangerous", "user none on nopass", "user gone off >pw ~* &* +@all"}
	for _, line := range lines {
		if got := boss.ask(t, encode("acl setuser "+strings.TrimPrefix(line, "user "))); got != ok {
			t.Fatal(line, got)
		}
	}
	for _, login := range []string{"bob pw", "most x", "none x", "gone pw", "bob wrong", "nobody pw"} {
		boss.ask(t, encode("flushall"))
		boss.ask(t, encode("set a:1 one"))
		p := dialPeer(t, addr)
		sv := newServer(t, Config{Users: userSet(t, lines...)})
		sv.dial().do("set a:1 one")
		w := sv.dial()
		for _, line := range append([]string{"auth " + login}, strings.Split(usersScript, "\n")...) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			want, got := p.ask(t, encode(line)), w.do(line)
			if got != want {
				t.Errorf("%s: %s\nRedis    %q\nHoldfast %q", login, line, want, got)
			}
		}
		p.Close()
	}
}

const usersScript = `
	get a:1
	get b
	get r:1
	GET w:1
	set a:1 one
	set r:1 x
	set w:1 x
	set w:1 x get
	mget a:1 b:1
	del w:1 r:1
	exists w:1
	type w:1
	rename a:1 w:1
	rename w:1 a:1
	rename b a:1
	flushall async extra
	config get nosuch
	config set nosuch x
	config resetstat x
	config nosuch
	client getname
	client kill id
	keys nosuch
	nosuch x
	get
	watch a:1 b
	unwatch
	publish x y
	publish ch1 y
	sort a:2
	sort b
	sort a:2 by nosort
	sort a:2 by x*
	sort a:2 get x*
	sort a:2 store b
	sort a:2 store w:9
	sunionstore w:9 r:1
	sunionstore r:9 a:1x
	sunionstore w:9 b
	zunionstore w:9 1 r:1
	zunionstore w:9 2 r:1 b
	zunionstore r:9 1 a:1x
	lmpop 1 a:x left
	lmpop 2 a:x b left
	eval "return redis.call('sort', 'a:2', 'get', 'x*')" 0
	echo x
	select 0
	select abc
	acl whoami x
	multi
	get b
	set a:1 x
	exec
	multi
	get a:1
	flushall async extra
	exec
	exec
	script exists
	eval "return redis.call('get', 'a:1')" 1 a:1
	eval "return redis.call('get', 'b')" 1 a:1
	eval "return redis.call('incr', 'a:1')" 0
	eval "return redis.pcall('incr', 'a:1').err" 0
	eval "return type(redis.pcall('get', 'b'))" 0
	eval "return 1" 1 b
	acl dryrun bob get b
	acl dryrun bob get a:1
	acl dryrun bob incr a:1
	acl dryrun nosuch get a
	acl dryrun bob nosuch
	acl dryrun bob get
	acl dryrun bob client kill id 4
	acl cat nosuch
	acl getuser nosuch
	acl log reset
	acl genpass abc
	acl genpass 0
	acl genpass 4097
	auth x
	auth default x
	acl whoami
	hello 3 auth bob nope
`

// TestOracleCategories compares the categories of all commands, and what they do with their keys, since rights hang on both.
func TestOracleCategories(t *testing.T) {
	p := dialPeer(t, startRedis(t))
	for row := range table.all() {
		if row.Group == "sentinel" || row.Flags&Hostile != 0 {
			continue
		}
		reply := p.ask(t, encode("command info "+row.Name))
		if strings.HasPrefix(reply, "*1\r\n*-1") || strings.HasPrefix(reply, "*1\r\n$-1") {
			continue
		}
		var want []string
		for _, name := range categories {
			if strings.Contains(reply, "+@"+name+"\r\n") {
				want = append(want, name)
			}
		}
		if head, _, found := strings.Cut(reply, row.Name+"|"); found { // without those of its subcommands
			want = slices.DeleteFunc(want, func(name string) bool { return !strings.Contains(head, "+@"+name+"\r\n") })
		}
		if !slices.Equal(row.categories, want) {
			t.Errorf("%s is of %q, in Redis of %q", row.Name, row.categories, want)
		}
	}
}

// What SORT takes for a pattern is no option, so that a key cannot hide behind one.
func TestSortNamesWhatItStores(t *testing.T) {
	for line, want := range map[string]string{
		"sort k store s by store asc":       "k s",
		"sort k by store store s limit 0 1": "k s",
		"sort k store s store a":            "k a",
		"sort k get store":                  "k",
		"sort_ro k by store limit 0 1":      "k",
	} {
		args := bytes.Fields([]byte(line))
		row, err := lookup(args)
		if err != nil {
			t.Fatal(err)
		}
		if keys, _ := row.keysOf(args); string(bytes.Join(keys, []byte(" "))) != want {
			t.Errorf("%s: keys %q, want %s", line, keys, want)
		}
	}
	w := newServer(t, Config{Users: userSet(t, "user default on nopass ~a* +@all")}).dial()
	w.do("rpush a 1")
	w.expect("sort a store secret by store asc", "-NOPERM this user has no permissions to access one of the keys used as arguments\r\n")
}

func TestUsersChange(t *testing.T) {
	sv := newServer(t, Config{Users: userSet(t, "user a on nopass ~* &* +@all", "user b on nopass ~* &* +@all", "user c on nopass ~* &* +@all")})
	a, b, c := sv.dial(), sv.dial(), sv.dial()
	a.do("auth a x")
	b.do("auth b x")
	c.do("auth c x")
	a.do("set k v")
	a.do("multi")
	a.do("set k w")
	sv.d.SetUsers(userSet(t, "user a on nopass ~* &* +@read +multi +exec", "user c off", "user default off"))
	a.expect("exec", "-EXECABORT Transaction discarded because of previous errors.\r\n")
	a.expect("get k", "$1\r\nv\r\n")
	a.expect("set k w", "-NOPERM this user has no permissions to run the 'set' command\r\n")
	for _, w := range []*wire{b, c} {
		if got := w.do("get k"); got != "" || !w.closed {
			t.Errorf("a user who is gone reads %q, closed %v", got, w.closed)
		}
	}
	if d := sv.dial(); d.do("get k") != "-NOAUTH Authentication required.\r\n" {
		t.Error("the default user is off, and comes in")
	}
}

// Who listens is asked nothing, and hears nothing more that its user may not.
func TestUsersChangeForListeners(t *testing.T) {
	sv := newServer(t, Config{Users: userSet(t, "user a on nopass &* +@all", "user b on nopass &* +@all", "user c on nopass &* +@all", "user d on nopass &* +@all ~*")})
	hears := map[string]string{"a": "", "b": "", "c": "*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$1\r\n1\r\n"}
	listeners := map[string]*wire{}
	for name := range hears {
		w := sv.dial()
		w.do("auth " + name + " x")
		w.do("subscribe x")
		listeners[name] = w
	}
	d := sv.dial()
	d.do("auth d x")
	sv.d.SetUsers(userSet(t, "user b on nopass &y +@all", "user c on nopass &x +@all", "user d on nopass &* +@all"))
	d.do("publish x 1")
	for name, want := range hears {
		w := listeners[name]
		if got := w.hear(); got != want || w.closed != (want == "") {
			t.Errorf("%s hears %q, closed %v", name, got, w.closed)
		}
	}
	if q := sv.d.hub.queued.Load(); q != 0 {
		t.Errorf("%d bytes are kept", q)
	}
}

func TestAclCommands(t *testing.T) {
	w := newServer(t, Config{Users: userSet(t, limited)}).dial()
	w.expect("acl users", "*2\r\n$3\r\nbob\r\n$7\r\ndefault\r\n")
	want := "user bob on #30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4 ~a:* %R~r:* %W~w:* resetchannels &ch* " +
		"-@all +@read +set +del +client +config|get -client|kill +multi +exec +watch +eval +rename +publish +sort +sunionstore +zunionstore +lmpop"
	if got := w.do("acl list"); !strings.Contains(got, want+"\r\n") || !strings.Contains(got, "user default on nopass ~* &* +@all\r\n") {
		t.Errorf("ACL LIST: %q", got)
	}
	if got := w.do("acl getuser bob"); !strings.HasPrefix(got, "*12\r\n$5\r\nflags\r\n*1\r\n+on\r\n$9\r\npasswords\r\n*1\r\n") || !strings.Contains(got, "%R~r:*") {
		t.Errorf("ACL GETUSER: %q", got)
	}
	for _, line := range []string{"acl setuser x", "acl deluser x", "acl load", "acl save"} {
		if got := w.do(line); !strings.Contains(got, "users-file") {
			t.Errorf("%s: %q", line, got)
		}
	}
	if got := w.do("acl genpass 5"); !strings.HasPrefix(got, "$2\r\n") {
		t.Errorf("ACL GENPASS 5: %q", got)
	}
	w.do("auth nobody x")
	w.do("auth bob pw")
	w.do("flushall")
	w.do("flushall")
	w.do("get secret")
	w.do("auth default x")
	got := w.do("acl log")
	for _, part := range []string{"*3\r\n*14\r\n$5\r\ncount\r\n:1\r\n$6\r\nreason\r\n$3\r\nkey\r\n$7\r\ncontext\r\n$8\r\ntoplevel\r\n$6\r\nobject\r\n$6\r\nsecret\r\n",
		"$5\r\ncount\r\n:2\r\n$6\r\nreason\r\n$7\r\ncommand\r\n", "$4\r\nauth\r\n", "$8\r\nusername\r\n$6\r\nnobody\r\n"} {
		if !strings.Contains(got, part) {
			t.Errorf("ACL LOG lacks %q: %q", part, got)
		}
	}
	if got := w.do("acl log 1"); !strings.HasPrefix(got, "*1\r\n") {
		t.Errorf("ACL LOG 1: %q", got)
	}
	w.expect("acl log reset", ok)
	w.expect("acl log", "*0\r\n")
}

func TestRightsAllocateNothing(t *testing.T) {
	set := userSet(t, limited)
	u := set.Find([]byte("bob"))
	for _, line := range []string{"get a:1", "mget a:1 r:1", "set w:1 x", "eval x 1 a:1", "publish ch x"} {
		var p resp.Parser
		p.Next([]byte(encode(line)))
		row, err := lookup(p.Args)
		if err != nil {
			t.Fatal(line, err)
		}
		if n := testing.AllocsPerRun(100, func() {
			if d := row.deny(u, p.Args); d.reason != allowed {
				t.Fatalf("%s: %s", line, d.object)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", line, n)
		}
	}
}

func BenchmarkRights(b *testing.B) {
	w := newServer(b, Config{Users: userSet(b, "user default on nopass ~a:* ~b:* ~c:* +@all -@dangerous")}).dial()
	var p resp.Parser
	p.Next([]byte(encode("get c:1")))
	row, _ := lookup(p.Args)
	for b.Loop() {
		if w.session.permit(row, p.Args) != nil {
			b.Fatal("refused")
		}
	}
}

// COMMAND says of keys what Redis says: where they are, and as far as rights go by it, what is done with them.
func TestKeySpecs(t *testing.T) {
	w := newServer(t, Config{}).dial()
	const find = "$12\r\nbegin_search\r\n*4\r\n$4\r\ntype\r\n$5\r\nindex\r\n$4\r\nspec\r\n*2\r\n$5\r\nindex\r\n"
	for command, want := range map[string]string{
		"get":    "*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RO\r\n+access\r\n" + find + ":1\r\n$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n*6\r\n$7\r\nlastkey\r\n:0\r\n$7\r\nkeystep\r\n:1\r\n$5\r\nlimit\r\n:0\r\n*0\r\n",
		"mset":   "*1\r\n*6\r\n$5\r\nflags\r\n*2\r\n+RW\r\n+update\r\n" + find + ":1\r\n$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$5\r\nrange\r\n$4\r\nspec\r\n*6\r\n$7\r\nlastkey\r\n:-1\r\n$7\r\nkeystep\r\n:2\r\n$5\r\nlimit\r\n:0\r\n*0\r\n",
		"exists": "*1\r\n*6\r\n$5\r\nflags\r\n*1\r\n+RO\r\n" + find,
		"lmpop":  "*1\r\n*6\r\n$5\r\nflags\r\n*3\r\n+RW\r\n+access\r\n+update\r\n" + find + ":1\r\n$9\r\nfind_keys\r\n*4\r\n$4\r\ntype\r\n$6\r\nkeynum\r\n$4\r\nspec\r\n*6\r\n$9\r\nkeynumidx\r\n:0\r\n$8\r\nfirstkey\r\n:1\r\n$7\r\nkeystep\r\n:1\r\n",
		"ping":   "*0\r\n*0\r\n*0\r\n",
	} {
		if got := w.do("command info " + command); !strings.Contains(got, want) {
			t.Errorf("COMMAND INFO %s lacks\n%q:\n%q", command, want, got)
		}
	}
	w.expect("command getkeysandflags set k v", "*1\r\n*2\r\n$1\r\nk\r\n*2\r\n+RW\r\n+update\r\n")
}
