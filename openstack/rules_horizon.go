package openstack

import (
	"strconv"
	"strings"
)

const (
	sessionEngine = "django.contrib.sessions.backends."
	cacheBackend  = "django.core.cache.backends."
)

// horizonCache returns the cache that sessions are in; ok is false if the settings have none that can be read.
func (c *checkup) horizonCache() (cache literal, ok bool) {
	alias := "default"
	if a := c.python["SESSION_CACHE_ALIAS"]; a.kind == isText {
		alias = a.text
	}
	caches := c.python["CACHES"]
	cache, ok = caches.get(alias)
	return cache, ok && cache.kind == isDict
}

// backend is the class of the cache that sessions are in, empty if it is not known.
func (c *checkup) backend() (string, literal) {
	cache, _ := c.horizonCache()
	b, _ := cache.get("BACKEND")
	return b.text, b
}

// cacheOption returns an option of that cache.
func (c *checkup) cacheOption(names ...string) (v literal, ok bool) {
	cache, _ := c.horizonCache()
	options, there := cache.get("OPTIONS")
	if !there {
		return cache, false
	}
	for _, name := range names {
		if v, ok = options.get(name); ok {
			return v, true
		}
	}
	return options, false
}

// locations returns the servers of that cache.
func (c *checkup) locations() (all []string, at position) {
	cache, _ := c.horizonCache()
	l, _ := cache.get("LOCATION")
	if l.kind == isText {
		return strings.FieldsFunc(l.text, func(r rune) bool { return r == ',' || r == ';' }), l.position
	}
	for _, m := range l.items {
		if m.value.kind == isText {
			all = append(all, m.value.text)
		}
	}
	return all, l.position
}

func (c *checkup) djangoRedis() bool {
	b, _ := c.backend()
	return strings.HasPrefix(b, "django_redis.") || strings.HasPrefix(b, "redis_cache.")
}

func (c *checkup) sentinelClient() bool {
	v, _ := c.cacheOption("CLIENT_CLASS")
	return strings.HasSuffix(v.text, "SentinelClient")
}

// djangoSentinels returns SENTINELS, as host:port.
func (c *checkup) djangoSentinels() (at position, servers []string) {
	list, _ := c.cacheOption("SENTINELS")
	for _, m := range list.items {
		if pair := m.value.items; len(pair) == 2 {
			servers = append(servers, hostPort(pair[0].value.text, strconv.Itoa(int(pair[1].value.num))))
		}
	}
	return list.position, servers
}

var horizonRules = []rule{
	{"session-engine", Warning, "Sessions that are not in the cache are in a database, in a file or with the user.", "Django: contrib/sessions/backends",
		func(c *checkup) {
			e := c.python["SESSION_ENGINE"]
			switch name, ours := strings.CutPrefix(e.text, sessionEngine); {
			case e.kind != isText || !ours || name == "cache" || name == "cached_db":
			case name == "file":
				c.say(e.position, "SESSION_ENGINE keeps sessions in files of this machine, so other controllers log users out; use %scache", sessionEngine)
			case name == "signed_cookies":
				c.say(e.position, "SESSION_ENGINE keeps sessions with the users, where nobody can end them and large ones do not fit; use %scache", sessionEngine)
			case name == "db":
				c.say(e.position, "SESSION_ENGINE keeps sessions in the database, some ten times slower than the cache; use %scache", sessionEngine)
			}
		}},
	{"session-local", Error, "Each process has sessions of its own: a user is logged out by the next request that another one answers.", "Django: core/cache/backends/locmem.py; Debian's _0006_debian_cache.py sets it, so later files must set another",
		func(c *checkup) {
			if name, ours := strings.CutPrefix(c.python["SESSION_ENGINE"].text, sessionEngine); ours && name != "cache" && name != "cached_db" {
				return // they are elsewhere, as session-engine says
			}
			b, at := c.backend()
			switch name, _ := strings.CutPrefix(b, cacheBackend); name {
			case "locmem.LocMemCache", "dummy.DummyCache", "filebased.FileBasedCache":
				c.say(at.position, "CACHES keeps sessions in %s, so other processes or controllers log users out; use django_redis.cache.RedisCache or PyMemcacheCache", name)
			}
		}},
	{"session-servers", Warning, "Every controller has every session, so the list is whom to turn to.", "Django, pymemcache, python-memcached",
		func(c *checkup) {
			if b, _ := c.backend(); strings.HasPrefix(b, cacheBackend+"memcached.") {
				all, at := c.locations()
				c.servers(at, "LOCATION", all)
			}
		}},
	{"session-hang", Error, "Without time-outs a server that takes connections and never answers hangs a worker for ever.", "measured: PyMemcacheCache in Django 3.2 with a stopped server; django-redis the same",
		func(c *checkup) {
			b, at := c.backend()
			switch {
			case strings.HasSuffix(b, ".PyMemcacheCache"):
				if _, ok := c.cacheOption("timeout"); !ok {
					c.say(at.position, "PyMemcacheCache has no time-out by default, and a controller that hangs hangs every page; set OPTIONS connect_timeout 1 and timeout 3")
				}
			case c.djangoRedis(), b == cacheBackend+"redis.RedisCache":
				if _, ok := c.cacheOption("SOCKET_TIMEOUT", "socket_timeout"); !ok {
					c.say(at.position, "%s has no time-out by default, and a controller that hangs hangs every page; set OPTIONS SOCKET_CONNECT_TIMEOUT 1 and SOCKET_TIMEOUT 5", b)
				}
			}
		}},
	{"session-short-timeout", Error, "Any error while a session is read logs the user out, and a group that chooses a new leader holds a request: 3 s on a Redis port, 0.9 s on a memcached port.", "Django: contrib/sessions/backends/cache.py; measured for 13 kinds of failure",
		func(c *checkup) {
			least := holdMemcached
			if c.djangoRedis() {
				least = holdRedis
			}
			if v, ok := c.cacheOption("SOCKET_TIMEOUT", "socket_timeout", "timeout"); ok && v.kind == isNumber && v.num <= least {
				c.say(v.position, "the cache gives up after %g s, less than a request may be held while the group chooses a leader (%g s), and that logs users out; set 5", v.num, least)
			}
		}},
	{"session-ignore", Warning, "A log-in that is refused is tried 10,000 times, with a new connection for each.", "measured: 20,001 connections in 16 s with pymemcache; Django: SessionStore.create",
		func(c *checkup) {
			if v, ok := c.cacheOption("ignore_exc", "IGNORE_EXCEPTIONS"); ok && v.kind == isBool && v.num == 1 {
				c.say(v.position, "ignoring exceptions turns one refused log-in into 20,000 requests and an error into a log-out without a trace; set it to False")
			}
		}},
	{"session-pylibmc", Warning, "It does not turn to another server by itself: with one of three killed, 33 of 100 log-ins failed.", "measured with pylibmc 1.6",
		func(c *checkup) {
			if b, at := c.backend(); strings.HasSuffix(b, ".PyLibMCCache") {
				c.say(at.position, "PyLibMCCache turns to no other server, and log-ins fail while one is away; use PyMemcacheCache")
			}
		}},
	{"session-shun", Warning, "pymemcache raises one error for each process when a server is gone, and again whenever it tries it again; each logs a user out.", "pymemcache: HashClient; retry_attempts 2, dead_timeout 60 s by default",
		func(c *checkup) {
			b, at := c.backend()
			all, _ := c.locations()
			v, ok := c.cacheOption("retry_attempts")
			if strings.HasSuffix(b, ".PyMemcacheCache") && len(all) > 1 && (!ok || v.kind == isNumber && v.num > 0) {
				c.say(at.position, "pymemcache asks a server that is gone three times before it turns to the next, and each time logs a user out; set OPTIONS retry_attempts 0 and dead_timeout 300")
			}
		}},
	{"session-replicas", Error, "The clients write to the first server and read from any; no read turns to another server.", "django-redis: client/default.py; Django: core/cache/backends/redis.py",
		func(c *checkup) {
			b, _ := c.backend()
			all, at := c.locations()
			if (c.djangoRedis() && !c.sentinelClient() || b == cacheBackend+"redis.RedisCache") && len(all) > 1 {
				c.say(at, "LOCATION names %d Redis servers, of which the first alone is written to and a read from one that is gone logs out; name this controller alone, or use SentinelClient", len(all))
			}
		}},
	{"session-one", Warning, "Redis clients turn to another server by Sentinel alone; every controller answers as one, with itself as the master.", "django-redis: pool.SentinelConnectionFactory",
		func(c *checkup) {
			if !c.djangoRedis() || len(c.Hosts) == 1 {
				return
			}
			all, at := c.locations()
			if !c.sentinelClient() {
				if len(all) == 1 {
					c.say(at, "LOCATION knows one address, and users are logged out while that is away; use SentinelClient with every controller, or have the load balancer take this Horizon out with its Holdfast")
				}
				return
			}
			at, servers := c.djangoSentinels()
			c.servers(at, "SENTINELS", servers)
		}},
	{"session-retry", Note, "redis-py from 4.1 on can ask again what was on its way when its server died; without that the page finds no session, and its user is at the form.", "measured with Horizon 23: one of 30 users; redis-py: retry, retry_on_error",
		func(c *checkup) {
			if b, at := c.backend(); strings.HasPrefix(b, "django_redis.") {
				pool, _ := c.cacheOption("CONNECTION_POOL_KWARGS")
				if _, again := pool.get("retry"); !again {
					c.say(at.position, "CONNECTION_POOL_KWARGS has no retry, so a user whose page is on its way when a controller dies is logged out; take it from 'holdfast config horizon'")
				}
			}
		}},
	{"session-sentinel-factory", Error, "Without it django-redis takes the name of the master for the name of a host.", "django-redis: pool.py",
		func(c *checkup) {
			cache, _ := c.horizonCache()
			_, own := c.cacheOption("CONNECTION_FACTORY")
			f := c.python["DJANGO_REDIS_CONNECTION_FACTORY"]
			if c.sentinelClient() && !own && !strings.HasSuffix(f.text, "SentinelConnectionFactory") {
				c.say(cache.position, "SentinelClient needs DJANGO_REDIS_CONNECTION_FACTORY = \"django_redis.pool.SentinelConnectionFactory\"; add it")
			}
		}},
	{"session-sentinel-password", Error, "The Redis port answers as Sentinel too, and asks for the password.", "django-redis: SENTINEL_KWARGS; redis-py: Sentinel",
		func(c *checkup) {
			kwargs, set := c.cacheOption("SENTINEL_KWARGS")
			_, servers := c.djangoSentinels()
			if _, ok := kwargs.get("password"); c.sentinelClient() && !(set && ok) && c.secretSentinel(servers) {
				c.say(kwargs.position, "SENTINEL_KWARGS has no password, and the group asks for one; add \"password\" there beside PASSWORD, or name ports of sentinel-listen")
			}
		}},
	{"session-db", Error, "The database decides what may be evicted: a session that is, is a user logged out.", "Holdfast: redis-classes",
		func(c *checkup) {
			all, at := c.locations()
			b, _ := c.backend()
			if len(all) == 0 || !c.djangoRedis() && b != cacheBackend+"redis.RedisCache" {
				return
			}
			u, ok := parseRedisURL(all[0])
			if v, set := c.cacheOption("DB", "db"); set && v.kind == isNumber && u.path == "" {
				u.path = strconv.Itoa(int(v.num))
			}
			if class := c.classOf(u.db()); ok && (class == "cache" || class == "token") {
				c.say(at, "LOCATION uses database %d, whose keys are of class %s and may be evicted; use database %d", u.db(), class, c.Sessions)
			}
		}},
	{"session-old-name", Note, "django-redis 4.0 and later do not know it.", "django-redis 3.8: redis_cache is an alias that warns",
		func(c *checkup) {
			if b, at := c.backend(); strings.HasPrefix(b, "redis_cache.") {
				c.say(at.position, "%s is the name that django-redis had before 4.0; with a later one write django_redis.cache.RedisCache", b)
			}
		}},
	{"session-plain", Note, "Sessions hold the tokens of users.", "Redis's and memcached's protocols",
		func(c *checkup) {
			all, at := c.locations()
			for _, l := range all {
				u, ok := parseRedisURL(l)
				_, tls := c.cacheOption("tls_context", "CONNECTION_POOL_KWARGS")
				b, _ := c.backend()
				plain := ok && u.scheme == "redis" && !isLoopback(u.host) && !c.sentinelClient() || strings.HasPrefix(b, cacheBackend+"memcached.") && remote(l)
				if plain && !tls {
					c.say(at, "sessions cross the network in plain text; keep that network closed to all but the controllers, or use TLS")
					return
				}
			}
		}},
}
