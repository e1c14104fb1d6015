package openstack

import (
	"strings"
	"testing"
)

var threeControllers = Place{
	Hosts: []string{"c1", "c2", "c3"}, Redis: "6379", Memcached: "11211", Sessions: 1, Tokens: 2, Master: "mymaster",
}

func TestSettings(t *testing.T) {
	one, secure := threeControllers, threeControllers
	one.Hosts = []string{"127.0.0.1"}
	secure.Password = true
	apart := secure // its Sentinels have a port of their own
	apart.Sentinel = "26379"
	for _, c := range []struct {
		service, release, protocol string
		at                         Place
		has                        string // lines between |
		hasNot                     string
	}{
		{"horizon", "flamingo", "", threeControllers, `"SENTINELS": [("c1", 6379), ("c2", 6379), ("c3", 6379)]|"LOCATION": "redis://mymaster/1"|"retry_on_error": [ConnectionError, TimeoutError]`, "PASSWORD"},
		{"horizon", "zed", "", secure, `"PASSWORD": "REPLACE-WITH-PASSWORD"|"SENTINEL_KWARGS": {"password": "REPLACE-WITH-PASSWORD"`, ""},
		{"horizon", "epoxy", "", one, `"LOCATION": "redis://127.0.0.1:6379/1"|List all with --controllers|"retry": Retry(`, "SENTINELS"},
		{"horizon", "train", "", one, `"LOCATION": "redis://127.0.0.1:6379/1"`, "retry"},
		{"horizon", "mitaka", "", threeControllers, `"BACKEND": "redis_cache.cache.RedisCache"|"LOCATION": "c1:6379:1"`, "SENTINELS"},
		{"horizon", "zed", "memcached", threeControllers, `memcached.MemcachedCache|"dead_retry": 30`, "PyMemcache"},
		{"horizon", "2023.2", "memcached", threeControllers, `PyMemcacheCache|"LOCATION": ["c1:11211", "c2:11211", "c3:11211"]|"timeout": 3`, ""},
		{"horizon", "train", "memcached", threeControllers, `memcached.MemcachedCache|"dead_retry": 30`, "PyMemcache"},
		{"keystone", "2025.1", "", threeControllers, "backend = oslo_cache.memcache_pool|memcache_servers = c1:11211,c2:11211,c3:11211|memcache_socket_timeout = 1", "[token]"},
		{"keystone", "2025.1", "redis", secure, "backend = dogpile.cache.redis_sentinel|redis_sentinels = c1:6379,c2:6379,c3:6379|redis_db = 2|backend_expiration_time = 900|redis_password = REPLACE", ""},
		{"keystone", "2024.1", "redis", threeControllers, "redis_sentinel_service_name = mymaster|redis_expiration_time:900", "redis_db = "},
		{"keystone", "zed", "redis", secure, "backend_argument = url:redis://:REPLACE-WITH-PASSWORD@c1:6379/2|memcache_socket_timeout = 5", "redis_sentinels"},
		{"keystone", "Mitaka", "", threeControllers, "provider = uuid|driver = memcache_pool|servers = c1:11211,c2:11211,c3:11211|Not driver = kvs", ""},
		{"keystone", "juno", "", threeControllers, "driver = keystone.token.persistence.backends.memcache_pool.Token|backend = keystone.cache.memcache_pool", ""},
		{"keystone", "icehouse", "", threeControllers, "driver = keystone.token.backends.memcache.Token", "pool_maxsize = 50\npool_unused"},
		{"keystone", "ocata", "", threeControllers, "provider = fernet|are gone since Ocata", "uuid"},
		{"ceilometer", "zed", "", threeControllers, "backend_url = redis://c1:6379?sentinel=mymaster&sentinel_fallback=c2:6379&sentinel_fallback=c3:6379&db=0&timeout=30", "check_watchers"},
		{"ceilometer", "mitaka", "", one, "backend_url = redis://127.0.0.1:6379?db=0&timeout=30|heartbeat = 1.0|check_watchers = 10.0", ""},
		{"ceilometer", "2025.1", "", secure, "redis://:REPLACE-WITH-PASSWORD@c1:6379?|&sentinel_password=REPLACE-WITH-PASSWORD", ""},
		{"ceilometer", "zed", "", secure, "backend_url = redis://:REPLACE-WITH-PASSWORD@c1:6379?db=0&timeout=30|sends none there|sentinel-listen", "sentinel="},
		{"ceilometer", "zed", "", apart, "backend_url = redis://:REPLACE-WITH-PASSWORD@c1:26379?sentinel=mymaster&sentinel_fallback=c2:26379&sentinel_fallback=c3:26379&db=0&timeout=30", "sentinel_password"},
		{"horizon", "zed", "", apart, `"SENTINELS": [("c1", 26379), ("c2", 26379), ("c3", 26379)]|"SENTINEL_KWARGS": {"socket_connect_timeout": 1|"PASSWORD": "REPLACE-WITH-PASSWORD"`, ""},
		{"keystone", "2025.1", "redis", apart, "redis_sentinels = c1:26379,c2:26379,c3:26379|redis_password = REPLACE", ""},
		{"ceilometer", "zed", "memcached", threeControllers, "backend_url = memcached://c1:11211?timeout=30", ""},
		{"keystonemiddleware", "zed", "", threeControllers, "[keystone_authtoken]|memcached_servers = c1:11211,c2:11211,c3:11211|memcache_security_strategy = ENCRYPT", ""},
	} {
		r, err := ParseRelease(c.release)
		if err != nil {
			t.Fatal(err)
		}
		text, err := Settings(c.service, r, c.protocol, c.at)
		if err != nil {
			t.Errorf("%s of %s: %v", c.service, r, err)
			continue
		}
		for _, line := range strings.Split(c.has, "|") {
			if !strings.Contains(text, line) {
				t.Errorf("%s of %s lacks %q:\n%s", c.service, r, line, text)
			}
		}
		if c.hasNot != "" && strings.Contains(text, c.hasNot) {
			t.Errorf("%s of %s has %q:\n%s", c.service, r, c.hasNot, text)
		}
	}
}

func TestSettingsRefused(t *testing.T) {
	noRedis := threeControllers
	noRedis.Redis = ""
	for _, c := range []struct {
		service, protocol string
		at                Place
		err               string
	}{
		{"nova", "", threeControllers, "unknown: write one of horizon"},
		{"horizon", "etcd", threeControllers, "unknown: write redis or memcached"},
		{"horizon", "", noRedis, "serves no redis"},
		{"keystonemiddleware", "redis", threeControllers, "speaks memcached alone"},
		{"horizon", "", Place{}, "no controller is known"},
	} {
		if _, err := Settings(c.service, zed, c.protocol, c.at); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s by %q: %v, not %q", c.service, c.protocol, err, c.err)
		}
	}
	for _, text := range []string{"", "2022.2", "folsom"} {
		if r, err := ParseRelease(text); err == nil {
			t.Errorf("%q is taken for %s", text, r)
		}
	}
}
