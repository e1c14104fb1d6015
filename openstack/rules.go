package openstack

import (
	"slices"
	"strconv"
	"strings"
)

// rule is one thing that can be wrong. A rule that looks at a section that is not there says nothing.
type rule struct {
	name     string
	severity Severity
	reason   string // why it matters, for the documentation
	source   string // where that is known from: a client's source, or what was measured with it
	check    func(c *checkup)
}

const (
	holdMemcached = 0.9 // seconds that the group may hold a request
	holdRedis     = 3
	longShun      = 60 // seconds
	fewPooled     = 10
	leastSecret   = 16 // letters
)

// rules are all that is checked, by section. Those of Horizon are in rules_horizon.go.
var rules = slices.Concat(cacheRules, coordinationRules, middlewareRules, tokenRules, horizonRules, fileRules)

var memcacheBackends = []string{"oslo_cache.memcache_pool", "keystone.cache.memcache_pool", "dogpile.cache.memcached", "dogpile.cache.pymemcache", "dogpile.cache.pylibmc", "dogpile.cache.bmemcached"}

// caching returns the back end of [cache], empty if nothing is cached.
func (c *checkup) caching() (string, option) {
	on, backend := c.oslo.get("cache", "enabled"), c.oslo.get("cache", "backend")
	if !c.oslo.has("cache") || on.set && !on.is() {
		return "", backend
	}
	return backend.value, backend
}

func (c *checkup) cachesInMemcached() bool {
	b, _ := c.caching()
	return slices.Contains(memcacheBackends, b)
}

func (c *checkup) cachesInRedis() bool {
	b, _ := c.caching()
	return b == "dogpile.cache.redis" || b == "dogpile.cache.redis_sentinel"
}

// argument returns a value of [cache] backend_argument.
func (c *checkup) argument(name string) (string, option) {
	for _, o := range c.oslo.all("cache", "backend_argument") {
		if v, ok := strings.CutPrefix(o.value, name+":"); ok {
			return v, o
		}
	}
	return "", option{}
}

var cacheRules = []rule{
	{"cache-local", Error, "Each process has its own, so what one forgets, such as a revoked token, the others still know.", "dogpile.cache, oslo.cache: backends memory, memory_pickle and dict",
		func(c *checkup) {
			if b, o := c.caching(); slices.Contains([]string{"dogpile.cache.memory", "dogpile.cache.memory_pickle", "oslo_cache.dict", "dogpile.cache.dbm"}, b) {
				c.say(o.position, "[cache] backend = %s is in each process or on each machine alone, so a token that is revoked through one is good at the others; use oslo_cache.memcache_pool", b)
			}
		}},
	{"cache-nothing", Warning, "The default back end keeps nothing, and [cache] enabled is false by default.", "oslo.cache: _opts.py",
		func(c *checkup) {
			b, o := c.caching()
			on := c.oslo.get("cache", "enabled")
			switch null := b == "" || b == "dogpile.cache.null" || b == "oslo_cache.noop"; {
			case on.is() && null:
				c.say(on.position, "[cache] is enabled with a back end that keeps nothing; set backend = oslo_cache.memcache_pool")
			case !on.set && !null:
				c.say(o.position, "[cache] has a back end and enabled is not set, so some services cache nothing; set enabled = true")
			}
		}},
	{"cache-pymemcache", Warning, "It raises an error for a server that is gone, and in Zed has no time-out: with one of three servers killed 41 of 60 validations were answered with HTTP 500.", "measured with Keystone 22; dogpile.cache 1.1.8",
		func(c *checkup) {
			b, o := c.caching()
			again, tries := c.oslo.get("cache", "enable_retry_client"), c.oslo.get("cache", "hashclient_retry_attempts")
			if b == "dogpile.cache.pymemcache" && !(again.is() && tries.set) {
				c.say(o.position, "[cache] backend = %s answers HTTP 500 while a server is gone and hangs with one that hangs; use oslo_cache.memcache_pool, or enable_retry_client = true, retry_attempts = 5, hashclient_retry_attempts = 1", b)
			}
		}},
	{"cache-every-server", Error, "The library bmemcached writes to all servers of its list, so with a group each write is carried out once for each controller.", "python-binary-memcached: ReplicatingClient; oslo.cache: memcache_pool with TLS or SASL",
		func(c *checkup) {
			b, o := c.caching()
			servers := c.oslo.get("cache", "memcache_servers")
			tls := c.oslo.get("cache", "tls_enabled").is() || c.oslo.get("cache", "memcache_sasl_enabled").is()
			if (b == "dogpile.cache.bmemcached" || tls && strings.HasSuffix(b, "memcache_pool")) && len(servers.list()) > 1 {
				c.say(servers.or(o), "[cache] writes to all of memcache_servers with TLS or SASL, so a counter counts %d times; name this controller alone", len(servers.list()))
			}
		}},
	{"cache-servers", Warning, "Clients choose a server by the key; every controller has every key, so the list is whom to turn to.", "oslo.cache, python-memcached",
		func(c *checkup) {
			if !c.cachesInMemcached() {
				return
			}
			_, b := c.caching()
			o := c.oslo.get("cache", "memcache_servers")
			if _, url := c.argument("url"); url.set && !o.set {
				o = url
			}
			if !o.set {
				c.say(b.position, "[cache] memcache_servers is not set, which means localhost alone; name every controller, this one first")
				return
			}
			c.servers(o.position, "[cache] memcache_servers", o.list())
		}},
	{"cache-short-timeout", Error, "A group that chooses a new leader holds a memcached request for up to 0.9 s. A client that waits less takes all controllers for dead, one after the other.", "oslo.cache: memcache_socket_timeout, 1 s by default",
		func(c *checkup) {
			o := c.oslo.get("cache", "memcache_socket_timeout")
			if v, ok := o.number(1); ok && v <= holdMemcached && c.cachesInMemcached() {
				c.say(o.position, "[cache] memcache_socket_timeout is %s s, less than the 0.9 s that a request may be held while the group chooses a leader; set 1 or more", o.value)
			}
		}},
	{"cache-long-timeout", Warning, "Every request of a user waits that long for a controller that hangs.", "oslo.cache",
		func(c *checkup) {
			o := c.oslo.get("cache", "memcache_socket_timeout")
			if v, ok := o.number(1); ok && v > 5 && c.cachesInMemcached() {
				c.say(o.position, "[cache] memcache_socket_timeout is %s s, and a request waits that long for a controller that hangs; set 1 to 3", o.value)
			}
		}},
	{"cache-dead-retry", Warning, "A server that once did not answer is not asked for 300 s by default. The others have its keys; but when none answered for a moment, nothing is cached for that long.", "oslo.cache: memcache_dead_retry",
		func(c *checkup) {
			b, at := c.caching()
			if !strings.HasSuffix(b, "memcache_pool") && b != "dogpile.cache.memcached" {
				return
			}
			o := c.oslo.get("cache", "memcache_dead_retry")
			if v, ok := o.number(300); ok && v > longShun {
				c.say(o.or(at), "[cache] memcache_dead_retry is %g s, and so long nothing is cached after a moment in which no controller answered; set 30", v)
			}
		}},
	{"cache-pool", Warning, "A thread that finds the pool empty waits for up to memcache_pool_connection_get_timeout, 10 s by default.", "oslo.cache: memcache_pool",
		func(c *checkup) {
			o := c.oslo.get("cache", "memcache_pool_maxsize")
			if v, ok := o.number(10); ok && v < fewPooled && c.cachesInMemcached() {
				c.say(o.position, "[cache] memcache_pool_maxsize is %s, and threads wait up to 10 s for a connection; set at least the threads of a process", o.value)
			}
		}},
	{"cache-flush", Warning, "It sends flush_all to a server that comes back, meant for caches that each have their own keys. The group removes class cache then, for all controllers.", "oslo.cache: memcache_pool_flush_on_reconnect; python-memcached",
		func(c *checkup) {
			if o := c.oslo.get("cache", "memcache_pool_flush_on_reconnect"); o.is() {
				c.say(o.position, "[cache] memcache_pool_flush_on_reconnect empties the cache of all controllers whenever one comes back, which has missed nothing; set it to false")
			}
		}},
	{"cache-redis-one", Warning, "With its only Redis server gone Keystone answers every validation with HTTP 500.", "measured with Keystone 22: 60 of 60",
		func(c *checkup) {
			switch b, o := c.caching(); b {
			case "dogpile.cache.redis":
				c.say(o.position, "[cache] backend = dogpile.cache.redis knows one address, and requests fail with HTTP 500 while that is away; use oslo_cache.memcache_pool, or since 2024.1 dogpile.cache.redis_sentinel, with every controller")
			case "dogpile.cache.redis_sentinel":
				s := c.oslo.get("cache", "redis_sentinels")
				c.servers(s.or(o), "[cache] redis_sentinels", s.list())
			}
		}},
	{"cache-redis-url", Error, "oslo.cache before 2024.1 passes its list of memcached servers on as the address unless there is another one.", "oslo.cache 3.2: core.py; dogpile.cache.redis",
		func(c *checkup) {
			b, at := c.caching()
			_, u := c.argument("url")
			_, host := c.argument("host")
			if b == "dogpile.cache.redis" && !u.set && host.set && !c.oslo.get("cache", "redis_server").set {
				c.say(host.or(at), "[cache] backend_argument = host:... has no effect for dogpile.cache.redis, which is then given memcached servers as its address; write url:redis://HOST:PORT/DB, or redis_server since 2024.1")
			}
		}},
	{"cache-redis-db", Warning, "The database decides what may be evicted: of class coordination and session nothing is, and items of a cache without a deadline stay for ever.", "Holdfast: redis-classes",
		func(c *checkup) {
			if !c.cachesInRedis() {
				return
			}
			db, at := 0, c.oslo.get("cache", "redis_db")
			if v, ok := at.number(0); ok && at.set {
				db = int(v)
			} else if text, o := c.argument("url"); o.set {
				u, ok := parseRedisURL(text)
				if !ok {
					return
				}
				db, at = u.db(), o
			}
			if class := c.classOf(db); class == "coordination" || class == "session" {
				_, o := c.caching()
				c.say(at.or(o), "[cache] uses Redis database %d, whose keys are of class %s and never evicted; use database %d", db, class, c.Tokens)
			}
		}},
	{"cache-redis-expiry", Warning, "Without it items are stored without a deadline: 20 tokens left 20 keys that never end.", "measured with Keystone 22; dogpile.cache.redis: redis_expiration_time",
		func(c *checkup) {
			_, at := c.caching()
			_, o := c.argument("redis_expiration_time")
			if c.cachesInRedis() && !o.set && !c.oslo.get("cache", "backend_expiration_time").set {
				c.say(at.position, "[cache] stores items that never end; set backend_expiration_time = 900 (2025.1 and later) or backend_argument = redis_expiration_time:900, above expiration_time")
			}
		}},
	{"cache-redis-timeout", Warning, "A group that chooses a new leader holds a Redis request for up to 3 s, and a client that waits less answers HTTP 500.", "oslo.cache: redis_socket_timeout, 1 s by default; memcache_socket_timeout before 2024.1",
		func(c *checkup) {
			_, at := c.caching()
			o := c.oslo.get("cache", "redis_socket_timeout", "memcache_socket_timeout")
			if v, ok := o.number(1); ok && v < holdRedis && c.cachesInRedis() {
				c.say(o.or(at), "[cache] waits %g s for Redis, less than the 3 s that a request may be held while the group chooses a leader; set redis_socket_timeout = 5 (memcache_socket_timeout before 2024.1)", v)
			}
		}},
	{"cache-plain", Note, "What is cached decides who is let in.", "oslo.cache: tls_enabled",
		func(c *checkup) {
			o := c.oslo.get("cache", "memcache_servers")
			if c.cachesInMemcached() && !c.oslo.get("cache", "tls_enabled").is() && slices.ContainsFunc(o.list(), remote) {
				c.say(o.position, "[cache] crosses the network in plain text, and whoever can write there can make tokens good; keep that network closed to all but the controllers")
			}
		}},
}

func remote(server string) bool {
	h := hostOf(server)
	return h != "" && !isLoopback(h)
}

// or is where o stands, or otherwise another option if it is not set.
func (o option) or(other option) position {
	if o.set {
		return o.position
	}
	return other.position
}

// coordination returns [coordination] backend_url.
func (c *checkup) coordination() (u redisURL, o option, ok bool) {
	for _, section := range []string{"coordination", "storage"} {
		name := map[string]string{"coordination": "backend_url", "storage": "coordination_url"}[section]
		if o = c.oslo.get(section, name); o.set {
			u, ok = parseRedisURL(o.value)
			return u, o, ok
		}
	}
	return u, o, false
}

var coordinationRules = []rule{
	{"coordination-local", Error, "Agents on other controllers are not seen, so every controller does all of the work.", "tooz: drivers file, ipc, zake",
		func(c *checkup) {
			if u, o, ok := c.coordination(); ok && slices.Contains([]string{"file", "ipc", "zake", "kazoo+zake"}, u.scheme) {
				c.say(o.position, "[coordination] backend_url = %s:// is known to this machine alone, so each controller polls everything; use redis:// of the group", u.scheme)
			}
		}},
	{"coordination-one", Warning, "tooz knows other addresses by Sentinel alone; every controller answers as one, with itself as the master.", "tooz: drivers/redis.py",
		func(c *checkup) {
			u, o, ok := c.coordination()
			if !ok || !strings.HasPrefix(u.scheme, "redis") {
				return
			}
			switch fallbacks := u.query["sentinel_fallback"]; {
			case u.query.Get("sentinel") == "" && len(c.Hosts) != 1:
				c.say(o.position, "[coordination] backend_url knows one address, and agents lose their share while that is away; use sentinel=%s and a sentinel_fallback for each other controller", c.master())
			case u.query.Get("sentinel") != "" && len(fallbacks) == 0:
				c.say(o.position, "[coordination] backend_url has sentinel= without sentinel_fallback, so it still knows one address; add one for each other controller")
			case u.query.Get("sentinel") != "":
				c.servers(o.position, "[coordination] backend_url", append([]string{u.host}, fallbacks...))
			}
		}},
	{"coordination-sentinel-password", Error, "The Redis port answers as Sentinel too, and asks for the password. tooz sends one to Sentinel since 6.3, and only if it is told.", "tooz: sentinel_password",
		func(c *checkup) {
			u, o, ok := c.coordination()
			if ok && u.query.Get("sentinel") != "" && u.query.Get("sentinel_password") == "" && c.secretSentinel(append(u.query["sentinel_fallback"], ":"+u.port)) {
				c.say(o.position, "[coordination] backend_url has no sentinel_password, and the group asks for one; add it (tooz 6.3 and later), or name ports of sentinel-listen")
			}
		}},
	{"coordination-memcached", Warning, "tooz takes one server there, and gives a lock back in two steps, between which another may take it.", "tooz: drivers/memcached.py",
		func(c *checkup) {
			if u, o, ok := c.coordination(); ok && u.scheme == "memcached" {
				c.say(o.position, "[coordination] backend_url = memcached:// knows one server alone and gives locks back in two steps; use redis:// with Sentinel")
			}
		}},
	{"coordination-db", Error, "A heartbeat or a lock that is evicted is a member lost, or a lock held twice.", "Holdfast: redis-classes",
		func(c *checkup) {
			u, o, ok := c.coordination()
			if !ok || !strings.HasPrefix(u.scheme, "redis") {
				return
			}
			if class := c.classOf(u.db()); class == "cache" || class == "token" {
				c.say(o.position, "[coordination] backend_url uses database %d, whose keys are of class %s and may be evicted; write db=%d", u.db(), class, c.Groups)
			}
		}},
	{"coordination-timeout", Warning, "The timeout is when an agent that is not heard has left. Heartbeats come twice in it, and may be held for 3 s.", "tooz: membership_timeout",
		func(c *checkup) {
			u, o, ok := c.coordination()
			text := u.query.Get("timeout")
			v, err := strconv.ParseFloat(text, 64)
			switch {
			case !ok || err != nil:
			case v < 8:
				c.say(o.position, "[coordination] timeout=%s s leaves no room for a heartbeat that is held for 3 s, so agents would drop out when a controller dies; write 10 or more", text)
			case v > 120:
				c.say(o.position, "[coordination] timeout=%s s is how long nobody does the work of an agent that died; write 30", text)
			}
		}},
	{"coordination-short-timeout", Error, "A group that chooses a new leader holds a Redis request for up to 3 s.", "tooz: socket_timeout",
		func(c *checkup) {
			u, o, ok := c.coordination()
			if v, err := strconv.ParseFloat(u.query.Get("socket_timeout"), 64); ok && err == nil && v < holdRedis {
				c.say(o.position, "[coordination] socket_timeout=%g s is less than the 3 s that a request may be held while the group chooses a leader; write 10", v)
			}
		}},
	{"coordination-plain", Warning, "Whoever listens there can come in with it.", "Redis's protocol",
		func(c *checkup) {
			u, o, ok := c.coordination()
			if ok && u.password != "" && u.scheme == "redis" && !isLoopback(u.host) && u.query.Get("ssl") == "" {
				c.say(o.position, "[coordination] backend_url sends its password to %s in plain text; add ssl=true, or keep that network closed", u.host)
			}
		}},
	{"coordination-user", Note, "tooz before 6.0 ignores the user of a URL; later ones send it.", "tooz; kolla-ansible's older URLs",
		func(c *checkup) {
			if u, o, ok := c.coordination(); ok && u.user != "" && u.user != "default" && u.password != "" {
				c.say(o.position, "[coordination] backend_url comes in as the user %.40s; name it in Holdfast's setting redis-users", u.user)
			}
		}},
}

func (c *checkup) master() string {
	if c.Master == "" {
		return "mymaster"
	}
	return c.Master
}

// middleware returns an option of [keystone_authtoken]; ok is false without the section.
func (c *checkup) middleware(keys ...string) (o option, ok bool) {
	const section = "keystone_authtoken"
	return c.oslo.get(section, keys...), c.oslo.has(section)
}

var middlewareRules = []rule{
	{"authtoken-local", Warning, "Without servers every process keeps validated tokens in its own memory.", "keystonemiddleware: auth_token/_cache.py",
		func(c *checkup) {
			if o, ok := c.middleware("memcached_servers", "memcache_servers"); ok && !o.set {
				c.say(o.position, "[keystone_authtoken] memcached_servers is not set, so every process asks Keystone for itself and remembers in its own memory; name every controller, this one first")
			}
		}},
	{"authtoken-servers", Warning, "Every controller has every key, so the list is whom to turn to.", "keystonemiddleware",
		func(c *checkup) {
			o, _ := c.middleware("memcached_servers", "memcache_servers")
			c.servers(o.position, "[keystone_authtoken] memcached_servers", o.list())
		}},
	{"authtoken-every-server", Error, "With TLS or SASL it uses bmemcached, which writes to all servers.", "keystonemiddleware: memcache_tls_enabled, memcache_sasl_enabled",
		func(c *checkup) {
			o, _ := c.middleware("memcached_servers", "memcache_servers")
			tls, _ := c.middleware("memcache_tls_enabled")
			sasl, _ := c.middleware("memcache_sasl_enabled")
			if n := len(o.list()); n > 1 && (tls.is() || sasl.is()) {
				c.say(o.position, "[keystone_authtoken] writes to all %d servers with TLS or SASL; name this controller alone", n)
			}
		}},
	{"authtoken-pool", Warning, "Without the pool each green thread has connections of its own, which are never closed.", "keystonemiddleware: memcache_use_advanced_pool",
		func(c *checkup) {
			servers, _ := c.middleware("memcached_servers", "memcache_servers")
			o, _ := c.middleware("memcache_use_advanced_pool")
			size, _ := c.middleware("memcache_pool_maxsize")
			switch v, ok := size.number(10); {
			case !servers.set:
			case !o.is():
				c.say(o.position, "[keystone_authtoken] memcache_use_advanced_pool is not true, and connections gather; set it to true")
			case ok && v < fewPooled:
				c.say(size.position, "[keystone_authtoken] memcache_pool_maxsize is %s, and threads wait for a connection; set at least the threads of a process", size.value)
			}
		}},
	{"authtoken-timeout", Error, "A group that chooses a new leader holds a memcached request for up to 0.9 s.", "keystonemiddleware: memcache_pool_socket_timeout, 3 s by default",
		func(c *checkup) {
			o, _ := c.middleware("memcache_pool_socket_timeout")
			if v, ok := o.number(3); ok && v <= holdMemcached {
				c.say(o.position, "[keystone_authtoken] memcache_pool_socket_timeout is %s s, less than the 0.9 s that a request may be held; set 3", o.value)
			}
		}},
	{"authtoken-dead-retry", Warning, "As cache-dead-retry.", "keystonemiddleware: memcache_pool_dead_retry, 300 s by default",
		func(c *checkup) {
			servers, _ := c.middleware("memcached_servers", "memcache_servers")
			o, _ := c.middleware("memcache_pool_dead_retry")
			if v, ok := o.number(300); ok && v > longShun && servers.set {
				c.say(o.or(servers), "[keystone_authtoken] memcache_pool_dead_retry is %g s, and so long nothing is cached after a moment in which no controller answered; set 30", v)
			}
		}},
	{"authtoken-plain", Warning, "Whoever reaches the port can read tokens, and write one that the service then takes for validated.", "keystonemiddleware: memcache_security_strategy",
		func(c *checkup) {
			servers, _ := c.middleware("memcached_servers", "memcache_servers")
			o, _ := c.middleware("memcache_security_strategy")
			if servers.set && (!o.set || strings.EqualFold(o.value, "none")) {
				c.say(o.or(servers), "[keystone_authtoken] keeps tokens in plain text, and whoever reaches the port can make one good; set memcache_security_strategy = ENCRYPT and memcache_secret_key")
			}
		}},
	{"authtoken-secret", Error, "Without a secret the service refuses to start; with a short one, tokens can be forged.", "keystonemiddleware: memcache_secret_key",
		func(c *checkup) {
			o, _ := c.middleware("memcache_security_strategy")
			key, _ := c.middleware("memcache_secret_key")
			switch strategy := strings.ToUpper(o.value); {
			case strategy != "MAC" && strategy != "ENCRYPT":
			case key.value == "":
				c.say(o.position, "[keystone_authtoken] memcache_security_strategy = %s needs memcache_secret_key, the same on all controllers; make one with openssl rand -hex 32", strategy)
			case len(key.value) < leastSecret && !opaque(key.value):
				c.say(key.position, "[keystone_authtoken] memcache_secret_key has %d letters and can be guessed; make one with openssl rand -hex 32", len(key.value))
			}
		}},
	{"authtoken-long-cache", Warning, "A service believes a token for that long after it was revoked.", "keystonemiddleware: token_cache_time",
		func(c *checkup) {
			o, _ := c.middleware("token_cache_time")
			if v, ok := o.number(300); ok && v > 600 {
				c.say(o.position, "[keystone_authtoken] token_cache_time is %s s, and so long a revoked token is good here; set 300", o.value)
			}
		}},
}

var tokenRules = []rule{
	{"token-kvs", Error, "The kvs driver keeps tokens in the memory of the process that issued them.", "Keystone up to Ocata: token/persistence/backends/kvs.py",
		func(c *checkup) {
			if o := c.oslo.get("token", "driver"); o.value == "kvs" || strings.Contains(o.value, "backends.kvs") {
				c.say(o.position, "[token] driver = %s knows a token in the process alone that issued it; use memcache_pool with [memcache] servers of the group, or Fernet", o.value)
			}
		}},
	{"token-servers", Warning, "The drivers memcache and memcache_pool find tokens there. Every controller has every key.", "Keystone up to Newton: [memcache] servers",
		func(c *checkup) {
			driver := c.oslo.get("token", "driver")
			if !strings.Contains(driver.value, "memcache") {
				return
			}
			o := c.oslo.get("memcache", "servers")
			if !o.set {
				c.say(driver.position, "[memcache] servers is not set, which means localhost alone; name every controller, this one first")
				return
			}
			c.servers(o.position, "[memcache] servers", o.list())
		}},
}

var fileRules = []rule{
	{"placeholder", Error, "The settings that 'holdfast config' prints have it where a password belongs.", "Holdfast: holdfast config",
		func(c *checkup) {
			for _, all := range c.oslo.options { // Check sorts what is found
				for _, o := range all {
					if strings.Contains(o.value, secret) {
						c.say(o.position, "%s stands where a password belongs; put it in", secret)
					}
				}
			}
			if l, ok := findText(c.python["CACHES"], secret); ok {
				c.say(l, "%s stands where a password belongs; put it in", secret)
			}
		}},
	{"secret-exposed", Warning, "Everybody on the machine can come in with it.", "the file's mode",
		func(c *checkup) {
			if len(c.exposed) == 0 {
				return
			}
			for _, at := range c.secrets() {
				if slices.Contains(c.exposed, at.file) {
					c.say(at, "a password or a secret stands here and everybody on the machine may read the file; chmod o-r it")
				}
			}
		}},
}

// secrets returns where the files have one that is about the group.
func (c *checkup) secrets() (all []position) {
	for _, o := range []option{c.oslo.get("cache", "redis_password"), c.oslo.get("cache", "memcache_password"), c.oslo.get("keystone_authtoken", "memcache_secret_key")} {
		if o.set && o.value != "" {
			all = append(all, o.position)
		}
	}
	if u, o, ok := c.coordination(); ok && u.password != "" {
		all = append(all, o.position)
	}
	if text, o := c.argument("url"); o.set {
		if u, ok := parseRedisURL(text); ok && u.password != "" {
			all = append(all, o.position)
		}
	}
	cache, _ := c.horizonCache()
	options, _ := cache.get("OPTIONS")
	if p, ok := options.get("PASSWORD"); ok && p.kind == isText {
		all = append(all, p.position)
	}
	return all
}

// findText looks for a text in all that a literal holds.
func findText(l literal, part string) (position, bool) {
	if l.kind == isText && strings.Contains(l.text, part) {
		return l.position, true
	}
	for _, m := range l.items {
		if at, ok := findText(m.value, part); ok {
			return at, true
		}
	}
	return position{}, false
}
