package redis

import (
	"fmt"
	"strings"
	"testing"

	"holdfast/users"
)

const ok = "+OK\r\n"

// userSet reads a file of users.
func userSet(t testing.TB, lines ...string) *users.Set {
	t.Helper()
	set, err := users.Parse(strings.Join(lines, "\n"), Catalogue())
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestAuthentication(t *testing.T) {
	const (
		noAuth = "-NOAUTH Authentication required.\r\n"
		wrong  = "-WRONGPASS invalid username-password pair or user is disabled.\r\n"
	)
	sv := newServer(t, Config{Users: userSet(t, "user default on >secret ~* &* +@all", "user admin on >other ~* &* +@all")})
	w := sv.dial()
	w.expect("get k", noAuth)
	w.expect("ping", noAuth)
	w.expect("multi", noAuth)
	w.expect("watch a", noAuth)
	w.expect("eval 'return 1' 0", noAuth)
	w.expect("client setname x", noAuth)
	w.expect("nosuch", "-ERR unknown command 'nosuch', with args beginning with: \r\n")
	w.expect("hello 3", "-"+string(errHelloAuth)+"\r\n")
	w.expect("hello 3 auth default wrong", wrong)
	w.expect("auth wrong", wrong)
	w.expect("auth ''", wrong)
	w.expect("auth admin secret", wrong)
	w.expect("auth nobody secret", wrong)
	w.expect("auth nobody ''", wrong)
	w.expect("auth a b c", "-ERR syntax error\r\n")
	w.expect("ping", noAuth)
	w.expect("auth secret", ok)
	w.expect("ping", "+PONG\r\n")
	w.expect("acl whoami", "$7\r\ndefault\r\n")
	w.expect("auth admin wrong", wrong)
	w.expect("ping", "+PONG\r\n") // a failed AUTH does not log out
	w.expect("auth admin other", ok)
	w.expect("acl whoami", "$5\r\nadmin\r\n")
	w.expect("reset", "+RESET\r\n")
	w.expect("ping", noAuth)
	if got := w.do("hello 3 auth default secret setname me"); !strings.HasPrefix(got, "%7\r\n") {
		t.Errorf("HELLO gives %q", got)
	}
	w.expect("client getname", "$2\r\nme\r\n")
	w.expect("get k", "_\r\n")
	w.expect("quit", ok)

	stranger := sv.dial()
	got := stranger.ask("*11\r\n$4\r\nAUTH\r\n")
	if want := "-ERR Protocol error: unauthenticated multibulk length\r\n"; got != want || !stranger.closed {
		t.Errorf("%q, closed %v", got, stranger.closed)
	}
	w = newServer(t, Config{}).dial()
	w.expect("auth secret", "-"+string(errNoPass)+"\r\n")
	w.expect("auth default anything", ok)
	w.expect("auth admin anything", wrong)
	// Without a password of its own, the default user is no way around the others' passwords.
	w = newServer(t, Config{Users: userSet(t, "user default off", "user admin on >x ~* &* +@all")}).dial()
	w.expect("ping", noAuth)
	w.expect("auth default ''", wrong)
	w.expect("auth ''", wrong)
	w.expect("auth admin x", ok)
}

func TestClients(t *testing.T) {
	sv := newServer(t, Config{})
	a, b := sv.dial(), sv.dial()
	a.do("client setname alice")
	a.do("client setinfo lib-name redis-py")
	a.do("client setinfo LIB-VER 8.0.0")
	a.expect("client setinfo foo x", "-ERR Unrecognized option 'foo'\r\n")
	a.expect("client setinfo lib-name 'a b'", "-ERR lib-name cannot contain spaces, newlines or special characters.\r\n")
	b.do("select 3")
	b.do("multi")
	list := a.do("client list")
	for _, want := range []string{
		"id=1 addr=127.0.0.1:40001 laddr=127.0.0.1:6379 ", " name=alice ", " lib-name=redis-py lib-ver=8.0.0\n",
		"id=2 addr=127.0.0.1:40002 ", " db=3 ", " multi=0 ",
	} {
		if !strings.Contains(list, want) {
			t.Errorf("CLIENT LIST lacks %q:\n%s", want, list)
		}
	}
	if got := a.do("client list id 2"); strings.Count(got, "\n") != 3 || !strings.Contains(got, "id=2 ") {
		t.Errorf("CLIENT LIST ID 2 gives %q", got)
	}
	a.expect("client id", ":1\r\n")
	a.expect("client kill id 1", ":0\r\n") // not oneself
	a.expect("client kill 127.0.0.1:40002", ok)
	if b.send(encode("ping")); !b.closed || len(b.out) > len("+OK\r\n+OK\r\n") {
		t.Errorf("the killed connection lives: %q", b.out)
	}
	a.expect("client kill 127.0.0.1:40002", "-ERR No such client\r\n")
	a.expect("client kill id 1 skipme no", ":1\r\n")
	if !a.closed {
		t.Error("killed itself and lives")
	}
}

func TestClientReply(t *testing.T) {
	w := newServer(t, Config{}).dial()
	var in strings.Builder
	for _, line := range []string{"client reply skip", "set a 1", "get a", "client reply skip", "ping", "client reply off", "set a 2", "ping", "get a", "nosuch", "incrbyfloat a 1",
		"multi", "get a", "exec", "eval 'return 1' 0", "client reply on", "get a", "client reply skip", "nosuch", "get a"} {
		in.WriteString(encode(line))
	}
	if got := w.ask(encode("client reply skip") + encode("client reply on") + encode("ping")); got != "+OK\r\n+PONG\r\n" {
		t.Errorf("ON behind SKIP: %q", got)
	}
	if got, want := w.ask(in.String()), "$1\r\n1\r\n+OK\r\n$1\r\n3\r\n$1\r\n3\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSentinel(t *testing.T) {
	w := newServer(t, Config{}).dial()
	w.expect("sentinel get-master-addr-by-name kolla", "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n")
	w.expect("sentinel get-master-addr-by-name other", "*-1\r\n")
	w.expect("SENTINEL SLAVES mymaster", "*0\r\n")
	w.expect("sentinel replicas pifpaf", "*0\r\n")
	w.expect("sentinel sentinels mymaster", "*0\r\n")
	w.expect("sentinel master other", "-ERR No such master with that name\r\n")
	w.expect("sentinel slaves other", "-ERR No such master with that name\r\n")
	w.expect("sentinel ckquorum kolla", "+OK 1 usable Sentinels. Quorum and failover authorization can be reached\r\n")
	got := w.do("sentinel masters")
	for _, want := range []string{"*3\r\n*40\r\n$4\r\nname\r\n$8\r\nmymaster\r\n", "$5\r\nflags\r\n$6\r\nmaster\r\n", "$2\r\nip\r\n$9\r\n127.0.0.1\r\n", "$19\r\nnum-other-sentinels\r\n$1\r\n0\r\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("SENTINEL MASTERS lacks %q: %q", want, got)
		}
	}
	w.do("hello 3")
	if got := w.do("sentinel masters"); !strings.HasPrefix(got, "*3\r\n%20\r\n") {
		t.Errorf("SENTINEL MASTERS gives %.40q", got)
	}
}

func TestSentinelPort(t *testing.T) {
	sv := newServer(t, Config{Host: testHost{}, Users: userSet(t, "user default on >secret ~* &* +@all")})
	sv.dial().expect("sentinel masters", "-NOAUTH Authentication required.\r\n")
	w := sv.dial()
	w.session = sv.d.Sentinel(sv.engine, w)
	w.expect("sentinel get-master-addr-by-name kolla", "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n")
	w.expect("ping", "+PONG\r\n")
	w.expect("role", "*2\r\n$8\r\nsentinel\r\n*3\r\n$8\r\nmymaster\r\n$5\r\nkolla\r\n$6\r\npifpaf\r\n")
	if got := w.do("hello 3"); !strings.HasPrefix(got, "%6\r\n") || !strings.Contains(got, "$4\r\nmode\r\n$8\r\nsentinel\r\n") {
		t.Errorf("HELLO: %q", got)
	}
	if got := w.do("info"); !strings.Contains(got, "redis_mode:sentinel\r\n") || !strings.Contains(got, "master1:name=kolla,status=ok,address=127.0.0.1:6379,slaves=0,sentinels=1\r\n") ||
		strings.Contains(got, "# Keyspace") {
		t.Errorf("INFO: %q", got)
	}
	for range 2 { // a login as one who may do everything changes nothing
		for _, row := range Commands() {
			if row.Keys.First == 0 && row.Flags&MovingKeys == 0 && row.Flags&Admin == 0 || row.Arity < -6 || row.Flags&NoAuth != 0 || row.Group == "sentinel" {
				continue
			}
			line := strings.ReplaceAll(row.Name, "|", " ") + strings.Repeat(" 1", max(row.Arity, -row.Arity)-1-strings.Count(row.Name, "|"))
			if got := w.do(line); !strings.HasPrefix(got, "-NOPERM ") && row.Name != "role" {
				t.Errorf("a Sentinel answers %s with %.60q", line, got)
			}
		}
		for _, line := range []string{"dbsize", "flushall", "flushdb", "keys *", "scan 0", "randomkey", "multi", "script flush", "config get *", "client list", "client kill id 1", "acl list"} {
			if got := w.do(line); !strings.HasPrefix(got, "-NOPERM ") {
				t.Errorf("a Sentinel answers %s with %.60q", line, got)
			}
		}
		w.expect("auth wrong", "-WRONGPASS invalid username-password pair or user is disabled.\r\n")
		w.expect("auth secret", ok)
	}
	sv.d.SetUsers(userSet(t, "user default off"))
	w.expect("ping", "+PONG\r\n")
	w.expect("reset", "+RESET\r\n")
	w.expect("ping", "+PONG\r\n")
}

type testHost struct{}

func (testHost) Facts() Facts {
	return Facts{Port: 6379, Clients: 7, MaxClients: 10000, RunID: strings.Repeat("a", 40)}
}

func TestInfo(t *testing.T) {
	w := newServer(t, Config{Host: testHost{}, Version: "1.2"}).dial()
	w.do("set k v ex 100")
	w.do("get k")
	w.do("get nokey")
	all := w.do("info")
	for _, want := range []string{
		"# Server\r\n", "\r\nredis_version:7.2.4\r\n", "server_name:holdfast\r\nholdfast_version:1.2\r\n", "tcp_port:6379", "connected_clients:7\r\n", "maxclients:10000",
		"loading:0\r\n", "role:master\r\n", "slave_priority:100\r\n", "keyspace_hits:1\r\nkeyspace_misses:1\r\n", "cluster_enabled:0", "db0:keys=1,expires=1,avg_ttl=0\r\n",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("INFO lacks %q:\n%s", want, all)
		}
	}
	for _, line := range strings.Split(strings.TrimSuffix(all[strings.Index(all, "\n")+1:], "\r\n"), "\r\n") {
		if line != "" && line[0] != '#' && !strings.Contains(line, ":") {
			t.Errorf("INFO has the line %q", line)
		}
	}
	if got := w.do("info replication"); !strings.Contains(got, "# Replication\r\nrole:master\r\n") || strings.Contains(got, "# Server") {
		t.Errorf("INFO replication: %q", got)
	}
	for _, line := range []string{"info all", "INFO everything", "info default", "info server keyspace"} {
		if got := w.do(line); !strings.Contains(got, "redis_version") || !strings.Contains(got, "# Keyspace") {
			t.Errorf("%s: %q", line, got)
		}
	}
	w.expect("info nosuch", "$0\r\n\r\n")
	w.do("config resetstat")
	if got := w.do("info stats"); !strings.Contains(got, "keyspace_hits:0\r\n") {
		t.Errorf("after CONFIG RESETSTAT: %q", got)
	}
	w.do("hello 3")
	if got := w.do("info cluster"); got != "=36\r\ntxt:# Cluster\r\ncluster_enabled:0\r\n\r\n" && !strings.HasPrefix(got, "=") {
		t.Errorf("INFO in RESP3: %q", got)
	}
}

func TestConfig(t *testing.T) {
	w := newServer(t, Config{Host: testHost{}}).dial()
	w.expect("config set slowlog-max-len 5 hash-max-listpack-value 7", ok)
	w.expect("config get hash-max-listpack-value", "*2\r\n$23\r\nhash-max-listpack-value\r\n$1\r\n7\r\n")
	w.expect("config set slowlog-max-len 6 nosuch 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n")
	w.expect("config set slowlog-max-len 6 slowlog-max-len 7", "-ERR CONFIG SET failed (possibly related to argument 'slowlog-max-len') - duplicate parameter\r\n")
	w.expect("config get slowlog-max-len", "*2\r\n$15\r\nslowlog-max-len\r\n$1\r\n5\r\n")
	w.expect("config get save appendonly", "*4\r\n$10\r\nappendonly\r\n$2\r\nno\r\n$4\r\nsave\r\n$0\r\n\r\n")
	w.expect("config get PORT", "*2\r\n$4\r\nport\r\n$4\r\n6379\r\n")
	w.expect("config set maxmemory 1 maxmemory 2", "-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - duplicate parameter\r\n")
	w.expect("config set lua-time-limit 10", ok)
	w.expect("config get lua-time-limit", "*2\r\n$14\r\nlua-time-limit\r\n$2\r\n10\r\n")
	w.expect("config set appendonly no save ''", ok)
	w.expect("config set appendonly yes", "-ERR CONFIG SET failed (possibly related to argument 'appendonly') - can't set immutable config\r\n")
	w.expect("config set nosuch 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n")
	if got := w.do("config get *"); !strings.Contains(got, "maxmemory-policy") {
		t.Errorf("CONFIG GET *: %q", got)
	}
}

func TestServerFacts(t *testing.T) {
	w := newServer(t, Config{}).dial()
	w.expect("time", "*2\r\n$10\r\n1767323045\r\n$6\r\n678901\r\n")
	w.expect("lastsave", ":1767323045\r\n")
	if got := w.do("role"); !strings.HasPrefix(got, "*3\r\n$6\r\nmaster\r\n:") {
		t.Errorf("ROLE: %q", got)
	}
	for _, line := range []string{"save", "bgsave", "bgsave schedule", "shutdown", "shutdown nosave", "swapdb 0 1", "debug sleep 0"} {
		if got := w.do(line); !strings.HasPrefix(got, "-ERR ") {
			t.Errorf("%s: %q", line, got)
		}
	}
	for _, raw := range []string{"POST / HTTP/1.1\r\n", "Host: x\r\n"} {
		w := newServer(t, Config{}).dial()
		if got := w.ask(raw + "set k v\r\n"); got != "" || !w.closed {
			t.Errorf("%q gives %q, closed %v", raw, got, w.closed)
		}
	}
}

func TestIntrospection(t *testing.T) {
	w := newServer(t, Config{}).dial()
	n := len(table.rows)
	w.expect("command count", fmt.Sprintf(":%d\r\n", n))
	for _, line := range []string{"command", "command info", "command docs"} {
		if got := w.do(line); !strings.HasPrefix(got, fmt.Sprintf("*%d\r\n", n)) && !strings.HasPrefix(got, fmt.Sprintf("*%d\r\n", 2*n)) {
			t.Errorf("%s: %.30q", line, got)
		}
	}
	if got := w.do("command list"); !strings.HasPrefix(got, fmt.Sprintf("*%d\r\n", table.numbers)) || !strings.Contains(got, "client|id") {
		t.Errorf("COMMAND LIST, which has the subcommands too: %.30q", got)
	}
	if got := w.do("command info GET client|id"); !strings.HasPrefix(got, "*2\r\n*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n") {
		t.Errorf("COMMAND INFO: %q", got)
	}
	for _, row := range Commands() {
		classes := 0
		for _, is := range []bool{row.write != nil, row.read != nil, row.compute != nil, row.conn != nil} {
			if is {
				classes++
			}
		}
		if classes != 1 {
			t.Errorf("%s is of %d classes", row.Name, classes)
		}
		if (row.write != nil || row.read != nil) != (row.reply != nil) {
			t.Errorf("%s: a write or read has a reply, others have none", row.Name)
		}
		if row.Needed == "" || row.Name != strings.ToLower(row.Name) || row.Arity == 0 {
			t.Errorf("%s is incomplete: %+v", row.Name, row)
		}
		if (row.write != nil) && row.Flags&(Write|PubSub) == 0 || (row.read != nil) && row.Flags&ReadOnly == 0 {
			t.Errorf("%s has the wrong flags", row.Name)
		}
		if row.conn != nil && row.Flags&Write != 0 && row.Name != "swapdb" {
			t.Errorf("%s cannot write", row.Name)
		}
	}
	var b strings.Builder
	if err := WriteCommands(&b); err != nil || strings.Count(b.String(), "\n") != len(Commands())+2 {
		t.Errorf("WriteCommands: %v\n%s", err, b.String())
	}
}
