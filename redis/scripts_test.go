package redis

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

const debian = "/usr/lib/python3/dist-packages/"

// clientScripts reads the scripts of the real clients out of their Debian packages, by SHA-1.
func clientScripts(t *testing.T) map[string]string {
	scripts := map[string]string{}
	for _, file := range []string{"tooz/drivers/redis.py", "redis/lock.py", "django_redis/client/default.py"} {
		text, err := os.ReadFile(debian + file)
		if err != nil {
			t.Skip("the clients' packages are not installed (make prepare installs them): ", err)
		}
		for _, m := range regexp.MustCompile(`(?s)"""(.*?)"""`).FindAllSubmatch(text, -1) {
			s := strings.NewReplacer("${group_existence_key}", "__created__", "${group_existence_value}", "1").Replace(string(m[1]))
			sum := sha1.Sum([]byte(s))
			scripts[hex.EncodeToString(sum[:])] = s
		}
	}
	return scripts
}

// TestClientScripts runs the scripts that sessions, locks and groups stand on, with every outcome that the clients know.
func TestClientScripts(t *testing.T) {
	const hash, set = "'_tooz_group:g'", "_tooz_groups"
	texts := clientScripts(t)
	for _, c := range []struct {
		name, sha string
		steps     []string // a command and, behind " -> ", its reply; EVALSHA gets the script's SHA-1
	}{
		{"tooz create_group", "c6ec40a30128b8d86488e3850e926d1c60118037", []string{
			"EVALSHA 2 " + hash + " " + set + " g -> :1", "hgetall " + hash + " -> *2 $11 __created__ $1 1", "smembers " + set + " -> *1 $1 g",
			"EVALSHA 2 " + hash + " " + set + " g -> :0",
		}},
		{"tooz delete_group", "e47a96214548e256ec64eb168ba17283d16099f1", []string{
			"EVALSHA 2 " + hash + " " + set + " g -> :-1", "hset " + hash + " __created__ 1 -> :1", "EVALSHA 2 " + hash + " " + set + " g -> :-2",
			"sadd " + set + " g -> :1", "hset " + hash + " member x -> :1", "EVALSHA 2 " + hash + " " + set + " g -> :-3",
			"hdel " + hash + " member -> :1", "EVALSHA 2 " + hash + " " + set + " g -> :1", "exists " + hash + " " + set + " -> :0",
		}},
		{"tooz update_capabilities", "cccb120b934124a8e613a354221a1636a0ced4bd", []string{
			"EVALSHA 1 " + hash + " m c -> :-1", "hset " + hash + " __created__ 1 -> :1", "EVALSHA 1 " + hash + " m c -> :-2",
			"hset " + hash + " m old -> :1", "EVALSHA 1 " + hash + " m new -> :1", "hget " + hash + " m -> $3 new",
		}},
		{"redis-py release", "c3f8721cbb97f72bc19e972846bd7aaf91901658", []string{
			"EVALSHA 1 lock token -> :0", "set lock token px 30000 nx -> +OK", "EVALSHA 1 lock other -> :0", "get lock -> $5 token",
			"EVALSHA 1 lock token -> :1", "exists lock -> :0",
		}},
		{"redis-py reacquire", "1cac51482acf5858da00f6d685d68f886cd6b6b2", []string{
			"EVALSHA 1 lock token 5000 -> :0", "set lock token px 30000 nx -> +OK", "EVALSHA 1 lock other 5000 -> :0", "pttl lock -> :30000",
			"EVALSHA 1 lock token 5000 -> :1", "pttl lock -> :5000",
		}},
		{"redis-py extend", "a4e8783852e6b949f9ef3a97212805108459a890", []string{
			"EVALSHA 1 lock token 5000 0 -> :0", "set lock token -> +OK", "EVALSHA 1 lock token 5000 0 -> :0", "set lock token px 30000 -> +OK",
			"EVALSHA 1 lock other 5000 0 -> :0", "EVALSHA 1 lock token 5000 0 -> :1", "pttl lock -> :35000",
			"EVALSHA 1 lock token 5000 1 -> :1", "pttl lock -> :5000",
		}},
		{"django-redis incr", "f4a7da3e5d8ea3b46642af08427151cae0190400", []string{
			"EVAL 1 n 5 -> $-1", "set n 1 ex 100 -> +OK", "EVAL 1 n 5 -> :6", "ttl n -> :100", "EVAL 1 n -7 -> :-1",
			"set n x -> +OK", "EVAL 1 n 1 -> -ERR value is not an integer or out of range script: f4a7da3e5d8ea3b46642af08427151cae0190400, on @user_script:4.",
		}},
		{"django-redis incr of anything", "4d15273b16b10c15e1d9202cbe93c959ab7d250b", []string{"EVAL 1 n 5 -> :5", "EVAL 1 n 5 -> :10"}},
	} {
		text, found := texts[c.sha]
		if !found {
			t.Errorf("%s: no text with the SHA-1 %s in the packages", c.name, c.sha)
			continue
		}
		w := newServer(t, Config{}).dial()
		w.expect("evalsha "+c.sha+" 0", "-NOSCRIPT No matching script. Please use EVAL.\r\n")
		w.expect("script exists "+c.sha, "*1\r\n:0\r\n")
		load := fmt.Sprintf("*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$%d\r\n%s\r\n", len(text), text)
		if got := w.ask(load); got != "$40\r\n"+c.sha+"\r\n" {
			t.Errorf("%s: SCRIPT LOAD gives %q", c.name, got)
		}
		w.expect("script exists "+c.sha, "*1\r\n:1\r\n")
		for _, step := range c.steps {
			line, want, _ := strings.Cut(step, " -> ")
			if rest, ok := strings.CutPrefix(line, "EVALSHA "); ok {
				line = "EVALSHA " + c.sha + " " + rest
			}
			request := encode(line)
			if rest, ok := strings.CutPrefix(line, "EVAL "); ok {
				args := split(rest)
				request = fmt.Sprintf("*%d\r\n$4\r\nEVAL\r\n$%d\r\n%s\r\n", len(args)+2, len(text), text)
				for _, a := range args {
					request += fmt.Sprintf("$%d\r\n%s\r\n", len(a), a)
				}
			}
			got := strings.TrimSuffix(w.ask(request), "\r\n")
			if got[0] != '-' {
				got = strings.ReplaceAll(got, "\r\n", " ")
			}
			if got != want {
				t.Errorf("%s: %s gives %q, want %q", c.name, line, got, want)
			}
		}
	}
}

// A script that goes on for ever, or takes all memory, is stopped; what it wrote has not happened, and the next one runs as ever.
func TestScriptsAreStopped(t *testing.T) {
	w := newServer(t, Config{}).dial()
	w.d.scripts.limits = limits{500 * time.Millisecond, 32 << 20}
	for _, text := range []string{
		"local s='x' while true do s=s..s end",
		"local s='x' while true do s=s..s..s end",
		"local t={} for i=1,1e9 do t[i]={} end",
		"local t={} for i=1,1e9 do t[i]=string.rep('x',1e6)..i end",
		"local t={} for i=1,1e9 do local u={} u[1000000]=1 t[i]=u end",
		"return string.rep('x',1e9)",
		"return ('x'):rep(1e6):gsub('x',('y'):rep(1e6))",
		"local t={} for i=1,1e5 do t[i]='xxxxxxxxxx' end for j=1,9 do t[#t+1]=table.concat(t) end",
		"return string.format('%99999d',1)",
		"local function f() return 1+f() end return f()",
		"local function f() return f() end return f()",
		"local function g() end local function f() return f(pcall(g)) end return pcall(f)",
		"return unpack({},1,1e8)",
		"return string.rep('x',1e6):byte(1,-1)",
		"return string.rep('(',1e5):find(string.rep('(',1e5))",
		"return string.rep('a',30):find(string.rep('a-',1e5))",
		"local t={} t[1]=t return t",
		"local t={} t[1]=t return cjson.encode(t)",
		"local t={} for i=1,90 do t={t,t} end return t",
		"local t={} for i=1,90 do t={map={a=t,b=t}} end return t",
		"local t={} for i=1,90 do t={t,t} end return cjson.encode(t)",
		"local t,s={},string.rep('x',1e6) for i=1,1000 do t[i]=s end return t",
		"return cjson.decode(string.rep('[',1e6))",
		"return " + strings.Repeat("not ", 10000) + "1",
		"return " + strings.Repeat("{", 10000) + strings.Repeat("}", 10000),
		strings.Repeat("do ", 10000) + strings.Repeat("end ", 10000),
		"return " + strings.Repeat("function() return ", 10000) + strings.Repeat("end ", 10000),
		"return loadstring(string.rep('(',1e5))()",
		"x" + strings.Repeat(".x", 100000) + "=1",
	} {
		got := w.ask(fmt.Sprintf("*3\r\n$4\r\nEVAL\r\n$%d\r\nredis.call('set','mark','1') %s\r\n$1\r\n0\r\n", len(text)+len("redis.call('set','mark','1') "), text))
		if !strings.Contains(got, "-ERR ") {
			t.Errorf("%.60s gives %.200q", text, got)
		}
		w.expect("eval 'return 7' 0", ":7\r\n")
	}
}

func TestScriptTime(t *testing.T) {
	w := newServer(t, Config{}).dial()
	w.d.scripts.limits.time = 100 * time.Millisecond
	for _, text := range []string{
		"redis.call('set','k','v') while true do pcall(function() while true do end end) end",
		"while true do xpcall(function() while true do end end, function() while true do end end) end",
		"while true do pcall(error) end",
		"redis.call('set','k','v') return string.rep('a',1e6):find(string.rep('a*',20)..'b')",
	} {
		w.expect(`eval "`+text+`" 0`, "-"+string(errScriptTime)+"\r\n")
	}
	w.expect("get k", "$-1\r\n")
}

func TestScriptKill(t *testing.T) {
	sv := newServer(t, Config{})
	w, other := sv.dial(), sv.dial()
	other.expect("script kill", "-"+string(errNotBusy)+"\r\n")
	w.in = append(w.in, encode(`eval "redis.call('set','k','v') while true do end" 0`)...)
	w.process()
	for other.do("script kill") != ok {
		time.Sleep(time.Millisecond)
	}
	w.await()
	w.process()
	if want := "-" + string(errScriptTime) + "\r\n"; string(w.out) != want {
		t.Errorf("%q, want %q", w.out, want)
	}
	other.expect("get k", "$-1\r\n")
}

// What one script does to the interpreter is not there for the next.
func TestScriptsAreApart(t *testing.T) {
	w := newServer(t, Config{}).dial()
	for range maxRunning - 1 { // all in the same interpreter
		<-w.d.scripts.slots
	}
	for _, text := range []string{
		"KEYS[1]='changed'", "ARGV.x=1", "table.insert(string,'evil')", "table.insert(_G,'evil')", "rawset(_G,'evil',1)", "rawset(redis,'call',nil)", "_G.evil=1", "string.evil=1",
		"getmetatable('').evil=1", "getmetatable('').__index.evil=1", "rawset(getmetatable(''),'__index',{})", "rawset(getmetatable(_G),'__index',{})",
		"setmetatable(string,{})", "setmetatable(_G,{__index={}})", "getmetatable(_G).__newindex=nil", "table.sort(_G)", "table.remove(_G)", "error(redis)", "math.randomseed(9)",
		"redis.setresp(3)", "redis.call('select','7')", "loadstring('evil=1')()", "setmetatable({},getmetatable(_G)).evil=1", "table.concat(_G)",
		"local t=setmetatable({},{__index=function() error('x') end}) return t.x", "for k in pairs(_G) do end", "next(_G)", "unpack(_G)",
	} {
		w.do(`eval "` + text + `" 1 key arg`)
		w.expect(`eval "return {KEYS[1],ARGV[1],#ARGV,type(rawget(_G,'evil')),type(rawget(string,'evil')),type(string.evil),('x'):rep(2),type(redis.call('get','k')),#_G}" 1 a b`,
			"*9\r\n$1\r\na\r\n$1\r\nb\r\n:1\r\n$3\r\nnil\r\n$3\r\nnil\r\n$3\r\nnil\r\n$2\r\nxx\r\n$7\r\nboolean\r\n:0\r\n")
		if got := w.do(`eval "return evil" 0`); !strings.Contains(got, "nonexistent global variable 'evil'") {
			t.Errorf("evil is %q", got)
		}
		if t.Failed() {
			t.Fatalf("after %s", text)
		}
	}
}

func TestScriptCache(t *testing.T) {
	w := newServer(t, Config{}).dial()
	for i := range maxCached + 10 {
		w.do(fmt.Sprintf(`script load "return %d"`, i))
	}
	if n, _ := w.d.scripts.cached(); n != maxCached {
		t.Errorf("%d scripts are kept", n)
	}
	big := strings.Repeat(" ", maxScript-20)
	for i := range 20 {
		text := fmt.Sprintf("return %d%s", i, big)
		w.ask(fmt.Sprintf("*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$%d\r\n%s\r\n", len(text), text))
	}
	if _, n := w.d.scripts.cached(); n > maxCachedBytes {
		t.Errorf("%d bytes are kept", n)
	}
}

// Many scripts at a time, on a few interpreters.
func TestScriptsAtOnce(t *testing.T) {
	sv := newServer(t, Config{})
	var wires []*wire
	for range 30 {
		w := sv.dial()
		w.in = append(w.in, encode(`eval "local s=0 for i=1,10000 do s=s+i end return redis.call('incr',KEYS[1])" 1 k`+fmt.Sprint(w.id))...)
		w.process()
		wires = append(wires, w)
	}
	for _, w := range wires {
		for w.session.work != nil {
			w.await()
			w.process()
			sv.engine.Flush()
			w.process()
		}
		if string(w.out) != ":1\r\n" {
			t.Errorf("%q", w.out)
		}
	}
}

// FuzzScript runs whatever comes as a script: no panic, and the interpreter is as good as new afterwards.
func FuzzScript(f *testing.F) {
	text, err := os.ReadFile("testdata/oracle.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if line, ok := strings.CutPrefix(strings.TrimPrefix(line, "! "), "eval "); ok {
			if args := split(line); len(args) > 0 {
				f.Add(args[0])
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		w := newServer(t, Config{}).dial()
		w.d.scripts.limits = limits{50 * time.Millisecond, 32 << 20}
		for range maxRunning - 1 {
			<-w.d.scripts.slots
		}
		w.ask(fmt.Sprintf("*3\r\n$4\r\nEVAL\r\n$%d\r\n%s\r\n$1\r\n0\r\n", len(text), text))
		w.expect(`eval "return {type(rawget(_G,'evil')),('x'):rep(2),#_G}" 0`, "*3\r\n$3\r\nnil\r\n$2\r\nxx\r\n:0\r\n")
	})
}

// Calls in tail position take no stack, but the trace of an error would have a line for each of them.
func TestScriptTailCalls(t *testing.T) {
	w := newServer(t, Config{}).dial()
	w.d.scripts.limits.time = time.Minute // far beyond what it takes to count them
	w.expect(`eval "local function f() return f() end return f()" 0`, "-"+string(errScriptTails)+"\r\n")
	w.expect(`eval "local function f(n) if n == 0 then return 'done' end return f(n-1) end return f(90000)" 0`, "$4\r\ndone\r\n")
}

// What a script makes of a table is the same each time: clients compare what scripts have stored.
func TestTablesAreWrittenInOneOrder(t *testing.T) {
	w := newServer(t, Config{}).dial()
	w.do("hello 3")
	for range 20 {
		w.expect(`eval "return cjson.encode({x=nil,e=1,d=2,c=3,b=4,a=5})" 0`, "$31\r\n{\"e\":1,\"d\":2,\"c\":3,\"b\":4,\"a\":5}\r\n")
		w.expect(`eval "return cmsgpack.pack({e=1,d=2,c=3,b=4,a=5})" 0`, "$16\r\n\x85\xa1e\x01\xa1d\x02\xa1c\x03\xa1b\x04\xa1a\x05\r\n")
		w.expect(`eval "return {map={c=1,b=2,a=3}}" 0`, "%3\r\n$1\r\nc\r\n:1\r\n$1\r\nb\r\n:2\r\n$1\r\na\r\n:3\r\n")
		w.expect(`eval "return {set={c=1,b=2,a=3}}" 0`, "~3\r\n$1\r\nc\r\n$1\r\nb\r\n$1\r\na\r\n")
	}
}
