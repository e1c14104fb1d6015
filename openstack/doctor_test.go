package openstack

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/doctor.md")

// group is what the rules compare with.
func group() *Place {
	p := threeControllers
	p.Classes = []string{"coordination", "session", "token", "cache", "cache"}
	return &p
}

func foundBy(all []Finding) string {
	var names []string
	for _, f := range all {
		names = append(names, fmt.Sprintf("%s:%d", f.Rule, f.Line))
	}
	return strings.Join(names, " ")
}

const pool = "memcache_servers = c1:11211,c2:11211,c3:11211\nmemcache_dead_retry = 30\n"

func TestRulesOfOslo(t *testing.T) {
	for _, c := range []struct{ text, wanted string }{
		{"", ""},
		{"[DEFAULT]\ndebug = true\n[database]\nconnection = mysql://x\n", ""},
		{"[cache]\nenabled = false\nbackend = dogpile.cache.memory", ""},
		{"[cache]\nenabled = true\nbackend = oslo_cache.memcache_pool\n" + pool, "cache-plain:4"},
		{"[cache]\nenabled = true", "cache-nothing:2"},
		{"[cache]\nbackend = oslo_cache.memcache_pool\n" + pool, "cache-nothing:2 cache-plain:3"},
		{"[cache]\nenabled = true\nbackend = dogpile.cache.memory", "cache-local:3"},
		{"[cache]\nenabled = true\nbackend = dogpile.cache.pymemcache\n" + pool, "cache-pymemcache:3 cache-plain:4"},
		{"[cache]\nenabled = true\nbackend = dogpile.cache.pymemcache\nenable_retry_client = true\nretry_attempts = 5\nhashclient_retry_attempts = 1\n" + pool, "cache-plain:7"},
		{"[cache]\nenabled = true\nbackend = oslo_cache.memcache_pool\ntls_enabled = true\n" + pool, "cache-every-server:5"},
		{"[cache]\nenabled = true\nbackend = oslo_cache.memcache_pool\nmemcache_dead_retry = 30", "cache-servers:3"},
		{"[cache]\nenabled = true\nbackend = oslo_cache.memcache_pool\nmemcache_dead_retry = 30\nmemcache_servers = 127.0.0.1:11211", "cache-servers:5"},
		{"[cache]\nenabled = true\nbackend = oslo_cache.memcache_pool\nmemcache_servers = c1:11211,c2:11211,c9:11211", "cache-dead-retry:3 cache-servers:4 cache-servers:4 cache-plain:4"},
		{"[cache]\nenabled = true\nbackend = oslo_cache.memcache_pool\nmemcache_dead_retry = 30\nmemcache_servers = $my_ip:11211", ""},
		{"[cache]\nenabled = true\nbackend = oslo_cache.memcache_pool\n" + pool + "memcache_socket_timeout = 0.5\nmemcache_pool_maxsize = 2\nmemcache_pool_flush_on_reconnect = True",
			"cache-plain:4 cache-short-timeout:6 cache-pool:7 cache-flush:8"},
		{"[cache]\nenabled = true\nbackend = oslo_cache.memcache_pool\n" + pool + "memcache_socket_timeout = 20", "cache-plain:4 cache-long-timeout:6"},
		{"[cache]\nenabled = true\nbackend = dogpile.cache.redis\nbackend_argument = host:c1\nbackend_argument = port:6379",
			"cache-redis-one:3 cache-redis-db:3 cache-redis-expiry:3 cache-redis-timeout:3 cache-redis-url:4"},
		{"[cache]\nenabled = true\nbackend = dogpile.cache.redis\nbackend_argument = url:redis://c1:6379/2\nbackend_argument = redis_expiration_time:900\nmemcache_socket_timeout = 5", "cache-redis-one:3"},
		{"[cache]\nenabled = true\nbackend = dogpile.cache.redis\nbackend_argument = url:redis://c1:6379/1\nbackend_argument = redis_expiration_time:900\nmemcache_socket_timeout = 5", "cache-redis-one:3 cache-redis-db:4"},
		{"[cache]\nenabled = true\nbackend = dogpile.cache.redis_sentinel\nredis_sentinels = c1:6379,c2:6379,c3:6379\nredis_db = 2\nredis_socket_timeout = 5\nbackend_expiration_time = 900", ""},
		{"[cache]\nenabled = true\nbackend = dogpile.cache.redis_sentinel\nredis_sentinels = c1:6379\nredis_db = 0\nredis_socket_timeout = 5\nbackend_expiration_time = 900", "cache-redis-one:4 cache-redis-db:5"},

		{"[coordination]\n", ""},
		{"[coordination]\nbackend_url = redis://c1:6379?sentinel=mymaster&sentinel_fallback=c2:6379&sentinel_fallback=c3:6379&db=0", ""},
		{"[coordination]\nbackend_url = file:///var/lib/x", "coordination-local:2"},
		{"[coordination]\nbackend_url = redis://c1:6379", "coordination-one:2"},
		{"[coordination]\nbackend_url = redis://c1:6379?sentinel=kolla", "coordination-one:2"},
		{"[coordination]\nbackend_url = redis://c1:6379?sentinel=kolla&sentinel_fallback=c2:6379", "coordination-one:2"},
		{"[coordination]\nbackend_url = memcached://c1:11211", "coordination-memcached:2"},
		{"[coordination]\nbackend_url = redis://admin:pw@c1:6379?sentinel=k&sentinel_fallback=c2&sentinel_fallback=c3&db=3&timeout=2&socket_timeout=1",
			"coordination-db:2 coordination-timeout:2 coordination-short-timeout:2 coordination-plain:2 coordination-user:2"},
		{"[coordination]\nbackend_url = redis://c1?sentinel=k&sentinel_fallback=c2&sentinel_fallback=c3&timeout=600", "coordination-timeout:2"},
		{"[storage]\ncoordination_url = redis://c1:6379", "coordination-one:2"},

		{"[keystone_authtoken]\nwww_authenticate_uri = x", "authtoken-local:1"},
		{"[keystone_authtoken]\nmemcached_servers = c1:11211,c2:11211,c3:11211", "authtoken-pool:1 authtoken-dead-retry:2 authtoken-plain:2"},
		{"[keystone_authtoken]\nmemcached_servers = c1:11211,c2:11211\n ,c3:11211\nmemcache_use_advanced_pool = true\nmemcache_pool_dead_retry = 30\nmemcache_security_strategy = ENCRYPT\n" +
			"memcache_secret_key = 0123456789abcdef0123", ""},
		{"[keystone_authtoken]\nmemcached_servers = c1:11211,c2:11211,c3:11211\nmemcache_use_advanced_pool = true\nmemcache_pool_dead_retry = 30\nmemcache_security_strategy = MAC\n" +
			"memcache_pool_socket_timeout = 0.5\ntoken_cache_time = 3600\nmemcache_tls_enabled = true\nmemcache_pool_maxsize = 3",
			"authtoken-every-server:2 authtoken-secret:5 authtoken-timeout:6 authtoken-long-cache:7 authtoken-pool:9"},
		{"[keystone_authtoken]\nmemcached_servers = c1:11211,c2:11211,c3:11211\nmemcache_use_advanced_pool = true\nmemcache_pool_dead_retry = 30\nmemcache_security_strategy = encrypt\nmemcache_secret_key = short", "authtoken-secret:6"},

		{"[token]\ndriver = kvs", "token-kvs:2"},
		{"[token]\ndriver = memcache_pool", "token-servers:2"},
		{"[token]\ndriver = memcache_pool\n[memcache]\nservers = localhost:11211", "token-servers:4"},
		{"[token]\nprovider = fernet", ""},

		{"[coordination]\nbackend_url = redis://:REPLACE-WITH-PASSWORD@127.0.0.1:6379?sentinel=k&sentinel_fallback=c2:6379", "coordination-one:2 placeholder:2"},
	} {
		if got := foundBy(Check([]File{{Name: "x.conf", Text: c.text}}, group())); got != c.wanted {
			t.Errorf("%s\n  found %s\n  not   %s", c.text, got, c.wanted)
		}
	}
}

func TestRulesOfHorizon(t *testing.T) {
	caches := func(backend, more string) string {
		return "CACHES = {\n 'default': {\n 'BACKEND': '" + backend + "',\n" + more + "}}\n"
	}
	const three = "'LOCATION': ['c1:11211', 'c2:11211', 'c3:11211'],\n"
	for _, c := range []struct{ text, wanted string }{
		{"", ""},
		{"SESSION_ENGINE = 'django.contrib.sessions.backends.cache'\n" + caches("django_redis.cache.RedisCache", "'LOCATION': 'redis://127.0.0.1:6379/1', 'OPTIONS': {'SOCKET_TIMEOUT': 5}"), "session-retry:4 session-one:5"},
		{caches("django_redis.cache.RedisCache", "'LOCATION': 'redis://127.0.0.1:6379/1', 'OPTIONS': {'SOCKET_TIMEOUT': 5, 'CONNECTION_POOL_KWARGS': {'retry': Retry(Backoff(cap=0.5), 5)}}"), "session-one:4"},
		{"SESSION_ENGINE = 'django.contrib.sessions.backends.file'", "session-engine:1"},
		{"SESSION_ENGINE = \"django.contrib.sessions.backends.signed_cookies\"  # why", "session-engine:1"},
		{caches("django.core.cache.backends.locmem.LocMemCache", ""), "session-local:3"},
		{"CACHES = {'default': {'BACKEND': 'django.core.cache.backends.locmem.LocMemCache'}}\nSESSION_ENGINE = 'django.contrib.sessions.backends.db'", "session-engine:2"},
		{caches("django.core.cache.backends.memcached.PyMemcacheCache", three), "session-hang:3 session-shun:3 session-plain:4"},
		{caches("django.core.cache.backends.memcached.PyMemcacheCache", three+"'OPTIONS': {'timeout': 3,\n'ignore_exc': True, 'retry_attempts': 0}"), "session-plain:4 session-ignore:6"},
		{caches("django.core.cache.backends.memcached.PyMemcacheCache", "'LOCATION': 'c1:11211', 'OPTIONS': {'timeout': .5}"), "session-servers:4 session-short-timeout:4 session-plain:4"},
		{caches("django.core.cache.backends.memcached.PyLibMCCache", three), "session-pylibmc:3 session-plain:4"},
		{caches("django_redis.cache.RedisCache", "'LOCATION': ['redis://c1/3', 'redis://c2/3'],\n'OPTIONS': {'SOCKET_TIMEOUT': 1, 'IGNORE_EXCEPTIONS': True, 'PASSWORD': 'REPLACE-WITH-PASSWORD'}"),
			"session-retry:3 session-replicas:4 session-db:4 session-plain:4 session-short-timeout:5 session-ignore:5 placeholder:5"},
		{caches("redis_cache.cache.RedisCache", "'LOCATION': '127.0.0.1:6379:1', 'OPTIONS': {'SOCKET_TIMEOUT': 5}"), "session-old-name:3 session-one:4"},
		{caches("django_redis.cache.RedisCache", "'LOCATION': 'redis://kolla/1', 'OPTIONS': {'CLIENT_CLASS': 'django_redis.client.SentinelClient', 'SENTINELS': [('c1', 6379), ('c2', 6379), ('c3', 6379)], 'SOCKET_TIMEOUT': 5}"),
			"session-sentinel-factory:2 session-retry:3"},
		{"SESSION_CACHE_ALIAS = 's'\nCACHES = {'default': {'BACKEND': 'x'}, 's': {'BACKEND': 'django.core.cache.backends.locmem.LocMemCache'}}", "session-local:2"},
		{caches("x", "") + "CACHES['default']['BACKEND'] = 'django.core.cache.backends.dummy.DummyCache'", "session-local:5"},
		{"import os\nif True:\n    CACHES = {'default': {'BACKEND': 'django.core.cache.backends.locmem.LocMemCache'}}\nCACHES = make(\n'CACHES')\n", ""},
	} {
		if got := foundBy(Check([]File{{Name: "local_settings.py", Text: c.text}}, group())); got != c.wanted {
			t.Errorf("%s\n  found %s\n  not   %s", c.text, got, c.wanted)
		}
	}
}

// What holdfast config prints, the doctor finds nothing worse than notes in, but for what must still be filled in.
func TestSettingsAreSound(t *testing.T) {
	for _, service := range Services {
		for _, protocol := range []string{Redis, Memcached} {
			for i := range 2 * len(releases) {
				at := group()
				at.Password = i%2 == 0
				r := Release(i / 2)
				text, err := Settings(service, r, protocol, *at)
				if err != nil {
					continue
				}
				file := map[bool]string{true: "local_settings.py", false: "x.conf"}[service == "horizon"]
				for _, f := range Check([]File{{Name: file, Text: text}}, at) {
					stated := strings.HasPrefix(f.Rule, "cache-redis") && r < dalmatian || f.Rule == "session-one" && r < zed ||
						f.Rule == "coordination-memcached" || f.Rule == "placeholder" ||
						at.Password && (f.Rule == "coordination-one" && r < dalmatian || f.Rule == "coordination-plain")
					if f.severity > Note && !stated {
						t.Errorf("%s by %s of %s: %s at %d: %s", service, protocol, r, f.Rule, f.Line, f.Text)
					}
				}
			}
		}
	}
}

// A group that asks for a password asks for it as Sentinel too, but for ports of sentinel-listen.
func TestSentinelPassword(t *testing.T) {
	at := group()
	at.Password, at.Sentinel = true, "26379"
	const url = "[coordination]\nbackend_url = redis://:pw@127.0.0.1?sentinel=k&sentinel_fallback=c2&sentinel_fallback=c3"
	const caches = "DJANGO_REDIS_CONNECTION_FACTORY = 'django_redis.pool.SentinelConnectionFactory'\nCACHES = {'default': {'BACKEND': 'django_redis.cache.RedisCache', 'LOCATION': 'redis://k/1',\n" +
		"'OPTIONS': {'CLIENT_CLASS': 'django_redis.client.SentinelClient', 'SENTINELS': [('c1', 1), ('c2', 1), ('c3', 1)], 'SOCKET_TIMEOUT': 5, 'PASSWORD': 'x', 'CONNECTION_POOL_KWARGS': {'retry': r}"
	for _, c := range []struct{ name, text, wanted string }{
		{"x.conf", url, "coordination-sentinel-password:2"},
		{"x.conf", url + "&sentinel_password=pw", ""},
		{"l.py", caches + "}}}", "session-sentinel-password:3"},
		{"l.py", caches + ", 'SENTINEL_KWARGS': {'password': 'x'}}}}", ""},
		{"x.conf", strings.ReplaceAll(strings.ReplaceAll(url, "c2", "c2:26379"), "c3", "c3:26379"), "coordination-sentinel-password:2"},
		{"x.conf", strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(url, "c2", "c2:26379"), "c3", "c3:26379"), "?", ":26379?"), ""},
		{"l.py", strings.ReplaceAll(caches, ", 1)", ", 26379)") + "}}}", ""},
		{"l.py", strings.Replace(caches, ", 1)", ", 26379)", 2) + "}}}", "session-sentinel-password:3"},
	} {
		if got := foundBy(Check([]File{{Name: c.name, Text: c.text}}, at)); got != c.wanted {
			t.Errorf("%s\n  found %s\n  not   %s", c.text, got, c.wanted)
		}
	}
}

// Files of one service count in the order in which it reads them.
func TestManyFiles(t *testing.T) {
	all := Check([]File{
		{Name: "keystone.conf", Text: "[cache]\nenabled = true\nbackend = dogpile.cache.memory\n"},
		{Name: "keystone.conf.d/1.conf", Text: "[cache]\nbackend = dogpile.cache.redis_sentinel\nredis_sentinels = c1:1,c2:1,c3:1\nredis_db = 2\nbackend_expiration_time = 900\nredis_socket_timeout = 5\nredis_password = x\n", Exposed: true},
	}, group())
	if len(all) != 1 || all[0].Rule != "secret-exposed" || all[0].File != "keystone.conf.d/1.conf" || all[0].Line != 7 {
		t.Errorf("%+v", all)
	}
	if worst, none := Worst(all); worst != Warning || none {
		t.Error(worst, none)
	}
	if _, none := Worst(nil); !none {
		t.Error("something was found in nothing")
	}
}

func TestPythonLiterals(t *testing.T) {
	for text, wanted := range map[string]string{
		`A = 'x'`: "x", `A = "a" 'b'`: "ab", `A = ('x')`: "x", `A = u'x'`: "x", `A = r'\n'`: `\n`, `A = 'a\tb'`: "a\tb",
		"A = '''x\ny'''": "x\ny", "A = 5": "5", "A = -1.5": "-1.5", "A = 60 * 60": "?", "A = True": "1", "A = None": "none", "A = f'x'": "?", "A = B": "?",
		"A = os.environ.get('x', {'A': 1})": "?", "A = ['x', 'y',]": "[x y]", "A = ('x',)": "[x]", "A = {'k': 'v', 'l': [1]}": "{k:v l:[1]}", "A = {": "?", "A = [1": "?",
		"A = {'x': f(1, 'y'), 'z': 2}": "{x:? z:2}", "A = [ # c\n1, # d\n2]": "[1 2]", "A = 'x' if b else 'y'": "?", "A = 'unended\nA = 1": "1", "A == 1": "", "A: str = 'x'": "",
		"A = \\\n 'x'": "x", "(": "", "'": "", "A = {**B, 'x': 1}": "{:? x:1}", "A = {'a' 'b': 1}": "{ab:1}", "A = 1; B = 2": "1", "A = [x for x in y]": "[?]", "A = ]": "?",
	} {
		p := python{}
		p.read("f", text)
		l, ok := p["A"]
		got := ""
		if ok {
			got = written(l)
		}
		if got != wanted {
			t.Errorf("%q is read as %s, not %s", text, got, wanted)
		}
	}
}

func written(l literal) string {
	var all []string
	for _, m := range l.items {
		text := written(m.value)
		if l.kind == isDict {
			text = m.key + ":" + text
		}
		all = append(all, text)
	}
	switch l.kind {
	case isText:
		return l.text
	case isNumber, isBool:
		return fmt.Sprint(l.num)
	case isNone:
		return "none"
	case isList:
		return "[" + strings.Join(all, " ") + "]"
	case isDict:
		return "{" + strings.Join(all, " ") + "}"
	}
	return "?"
}

func FuzzOslo(f *testing.F) {
	f.Add("[cache]\nenabled = true\nbackend = dogpile.cache.redis\nbackend_argument = url:redis://a:b@c1:6379/2\n more")
	f.Add("[keystone_authtoken]\nmemcached_servers = [::1]:11211,inet6:[::1]:1,unix:/x")
	f.Add("[coordination]\nbackend_url = redis://[::1?sentinel=%zz")
	f.Fuzz(func(t *testing.T, text string) {
		for _, finding := range Check([]File{{Name: "x.conf", Text: text}}, group()) {
			if finding.Text == "" || finding.File != "x.conf" {
				t.Errorf("%q: %+v", text, finding)
			}
		}
	})
}

func FuzzPython(f *testing.F) {
	f.Add("CACHES = {'default': {'BACKEND': \"x\", 'LOCATION': ['a', ('b', 1)], 'OPTIONS': {'T': 3.5, **y}}}\nCACHES['a']['b'] = f(\n1)\n")
	f.Add("A = '''x\n\\")
	f.Fuzz(func(t *testing.T, text string) {
		Check([]File{{Name: "local_settings.py", Text: text}}, group())
	})
}

func TestGeneratedRules(t *testing.T) {
	var b strings.Builder
	b.WriteString("# What `holdfast doctor` looks for\n\nMade from the table of rules (`openstack/rules.go`) by `make docs`: do not change it here.\n\n")
	b.WriteString("| rule | how bad | why | where that is known from |\n|---|---|---|---|\n")
	seen := map[string]bool{}
	for _, r := range rules {
		if r.name == "" || r.reason == "" || r.source == "" || seen[r.name] {
			t.Errorf("rule %q has no name, reason or source, or stands there twice", r.name)
		}
		seen[r.name] = true
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.name, r.severity, r.reason, r.source)
	}
	const name = "../docs/doctor.md"
	if *update {
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != b.String() {
		t.Errorf("%s is not what the table of rules says: make docs (%v)", name, err)
	}
}
