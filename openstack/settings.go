package openstack

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Place is where a group serves.
type Place struct {
	Hosts     []string // of the controllers, the one that the settings are for first; no ports
	Redis     string   // port of the Redis protocol, empty without one
	Memcached string   // port of the memcached protocol, empty without one
	Sentinel  string   // port that answers as a Sentinel alone, which asks for no password; empty without one: the Redis port answers too
	Password  bool     // whether Redis clients need one
	Sessions  int      // the Redis database of class session
	Tokens    int      // of class token
	Groups    int      // of class coordination
	Master    string   // a name that the group answers to as Sentinel
	Classes   []string // of each Redis database, empty if they are not known
}

// sentinelPort is where the group answers as a Sentinel.
func (p *Place) sentinelPort() string { return cmp.Or(p.Sentinel, p.Redis) }

// secretSentinel says whether one of these servers (host:port) asks for a password where it is asked as Sentinel.
func (p *Place) secretSentinel(servers []string) bool {
	return p.Password && slices.ContainsFunc(servers, func(s string) bool { return p.Sentinel == "" || !strings.HasSuffix(s, ":"+p.Sentinel) })
}

// Services are those that Settings knows.
var Services = []string{"horizon", "keystone", "ceilometer", "keystonemiddleware"}

// Protocols are what a service can speak with the group.
const (
	Redis     = "redis"
	Memcached = "memcached"
)

// secret stands in the settings where a password belongs, and must be replaced.
const secret = "REPLACE-WITH-PASSWORD"

// Settings returns the part of a service's configuration file that is about the group, with comments that say why. protocol is Redis or Memcached, or
// empty for the one that is best for the service.
func Settings(service string, r Release, protocol string, at Place) (string, error) {
	if len(at.Hosts) == 0 {
		return "", fmt.Errorf("no controller is known: name them")
	}
	w := &settingsWriter{Place: at, release: r}
	write, best := map[string]func(string){
		"horizon": w.horizon, "keystone": w.keystone, "ceilometer": w.ceilometer, "keystonemiddleware": w.middleware,
	}[service], Redis
	switch {
	case write == nil:
		return "", fmt.Errorf("the service %.40q is unknown: write one of %s", service, strings.Join(Services, ", "))
	case service == "keystone", service == "keystonemiddleware":
		best = Memcached
	}
	if protocol == "" {
		protocol = best
	}
	switch {
	case protocol != Redis && protocol != Memcached:
		return "", fmt.Errorf("the protocol %.40q is unknown: write %s or %s", protocol, Redis, Memcached)
	case protocol == Redis && service == "keystonemiddleware":
		return "", fmt.Errorf("keystonemiddleware speaks memcached alone")
	case protocol == Redis && at.Redis == "", protocol == Memcached && at.Memcached == "":
		return "", fmt.Errorf("the group serves no %s", protocol)
	}
	write(protocol)
	return w.text.String(), nil
}

// settingsWriter writes one.
type settingsWriter struct {
	Place
	release Release
	text    strings.Builder
}

func (w *settingsWriter) line(format string, args ...any) { fmt.Fprintf(&w.text, format+"\n", args...) }

// servers lists the controllers with a port, this one first: so each client talks to its own controller while that is there.
func (w *settingsWriter) servers(port string) []string {
	all := make([]string, len(w.Hosts))
	for i, h := range w.Hosts {
		all[i] = hostPort(h, port)
	}
	return all
}

// sentinel says whether clients can be given all controllers: by Sentinel, since Redis clients know nothing else.
func (w *settingsWriter) sentinel() bool { return len(w.Hosts) > 1 }

// sentinels lists the controllers as Sentinels.
func (w *settingsWriter) sentinels() []string { return w.servers(w.sentinelPort()) }

// hostPort joins both, with brackets around an address of IPv6.
func hostPort(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}

// header says what file this is for.
func (w *settingsWriter) header(file string) {
	w.line("# For %s of %s. Every controller of the group has every key, so the order of servers only says", file, w.release)
	w.line("# whom a client asks first: this one is for %s. Print the file for each controller on that controller.", w.Hosts[0])
	if !w.sentinel() {
		w.line("# Only one address is known here: with it a service sees its own controller stop. List all with --controllers.")
	}
}

func (w *settingsWriter) horizon(protocol string) {
	w.header("Horizon's local_settings.py")
	w.line(`SESSION_ENGINE = "django.contrib.sessions.backends.cache"`)
	switch {
	case protocol == Memcached:
		w.djangoMemcached()
	case w.release <= newton:
		w.djangoOld()
	case w.sentinel() && w.release >= zed:
		w.djangoSentinel()
	default:
		w.djangoRedis()
	}
}

// quoted lists texts as Python writes them.
func quoted(all []string) string { return `"` + strings.Join(all, `", "`) + `"` }

// djangoMemcached: python-memcached turns to the next server by itself, and with one of three killed logged nobody out; pymemcache, which is what Django 4.1 and
// later are left with (OpenStack 2023.2), has the request that meets the dead server fail, in each thread.
func (w *settingsWriter) djangoMemcached() {
	backend, options := "PyMemcacheCache", `            # The first request of each thread to a server that has died fails, and its user is at the form: sessions by Redis do without that.
            # Without time-outs a server that hangs hangs every page.
            "connect_timeout": 1,
            "timeout": 3,
            "no_delay": True,
            # One failure is enough: then the next server is asked, which has every session, and the failed one only after a while.
            "retry_attempts": 0,
            "dead_timeout": 300,
            "ignore_exc": False,  # True turns one refused log-in into 20,000 connections
`
	if w.release < bobcat {
		backend, options = "MemcachedCache", `            "dead_retry": 30,
            "socket_timeout": 3,
`
	}
	w.line(`CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.memcached.%s",
        "LOCATION": [%s],
        "OPTIONS": {
%s        },
    },
}`, backend, quoted(w.servers(w.Memcached)), options)
}

// django-redis 3.8 knows the class by its old name, and host:port:db.
func (w *settingsWriter) djangoOld() {
	w.line(`CACHES = {
    "default": {
        # django-redis before 4.0; later ones want "django_redis.cache.RedisCache" and "redis://%[1]s:%[2]s/%[3]d".
        "BACKEND": "redis_cache.cache.RedisCache",
        "LOCATION": "%[1]s:%[2]s:%[3]d",
        "OPTIONS": {
            "SOCKET_TIMEOUT": 5,%[4]s
        },
    },
}`, w.Hosts[0], w.Redis, w.Sessions, w.passwordOption())
}

func (w *settingsWriter) passwordOption() string {
	if !w.Password {
		return ""
	}
	return fmt.Sprintf("\n            \"PASSWORD\": %q,", secret)
}

func (w *settingsWriter) djangoRedis() {
	imports, retry := w.redisRetry()
	w.line(`%sCACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": "redis://%s/%d",
        "OPTIONS": {
            "CLIENT_CLASS": "django_redis.client.DefaultClient",
            # The group holds a request for up to 3 s while it chooses a new leader: wait longer than that.
            "SOCKET_CONNECT_TIMEOUT": 1,
            "SOCKET_TIMEOUT": 5,%s%s
        },
    },
}`, imports, hostPort(w.Hosts[0], w.Redis), w.Sessions, retry, w.passwordOption())
	w.line(`# Do not list several servers in LOCATION: django-redis reads from any of them but writes to the first alone, and has no fail-over for reads.`)
}

func (w *settingsWriter) djangoSentinel() {
	pairs := make([]string, len(w.Hosts))
	for i, h := range w.Hosts {
		pairs[i] = fmt.Sprintf("(%q, %s)", h, w.sentinelPort())
	}
	note, password := "", ""
	if w.secretSentinel(w.sentinels()) {
		note = "            # This Sentinel port is the Redis port, with the same password.\n"
		password = fmt.Sprintf("\"password\": %q, ", secret)
	}
	imports, retry := w.redisRetry()
	w.line(`%s# Each controller answers as Sentinel, with itself as the master: a client stays at the first that answers.
DJANGO_REDIS_CONNECTION_FACTORY = "django_redis.pool.SentinelConnectionFactory"
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": "redis://%s/%d",
        "OPTIONS": {
            "CLIENT_CLASS": "django_redis.client.SentinelClient",
            "CONNECTION_POOL_CLASS": "redis.sentinel.SentinelConnectionPool",
            "SENTINELS": [%s],
%s            "SENTINEL_KWARGS": {%s"socket_connect_timeout": 1, "socket_timeout": 5},
            # The group holds a request for up to 3 s while it chooses a new leader: wait longer than that.
            "SOCKET_CONNECT_TIMEOUT": 1,
            "SOCKET_TIMEOUT": 5,%s%s
        },
    },
}`, imports, w.Master, w.Sessions, strings.Join(pairs, ", "), note, password, retry, w.passwordOption())
}

// redisRetry has redis-py ask again what was on its way when a member died, for a little longer than a service manager needs to start one again: without it
// that page finds no session, and its user is at the form. It came with redis-py 4.1.
func (w *settingsWriter) redisRetry() (imports, option string) {
	if w.release < zed {
		return "", ""
	}
	return `from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError, TimeoutError
from redis.retry import Retry

`, `
            # What was on its way when a member died is asked again: of the next one, or of the same when it is back.
            "CONNECTION_POOL_KWARGS": {
                "retry": Retry(ExponentialBackoff(cap=0.5, base=0.02), 5),
                "retry_on_error": [ConnectionError, TimeoutError],
            },`
}

func (w *settingsWriter) keystone(protocol string) {
	w.header("keystone.conf")
	if w.release <= newton {
		w.tokens()
	} else if w.release == ocata {
		w.line("# The token drivers memcache and memcache_pool are gone since Ocata, and kvs keeps tokens in each process's own memory: use Fernet.")
		w.line("[token]\nprovider = fernet\n")
	}
	w.line("[cache]\nenabled = true\n# Seconds until an item is not believed any more. A revocation is seen at all controllers at once, since they have one cache.\nexpiration_time = 600")
	if protocol == Redis {
		w.oslocacheRedis()
		return
	}
	w.line("backend = %s", w.poolBackend())
	w.line("memcache_servers = %s", strings.Join(w.servers(w.Memcached), ","))
	w.line(`# A request is held for up to 0.9 s while the group chooses a new leader: not less than 1.
memcache_socket_timeout = 1
# A server that did not answer is left alone for so many seconds; the others have all of its keys.
memcache_dead_retry = 30
# At least the threads of a process.
memcache_pool_maxsize = 50
memcache_pool_unused_timeout = 60
memcache_pool_connection_get_timeout = 10`)
}

// poolBackend is what the cache with a pool is called: Keystone's own moved into oslo.cache.
func (w *settingsWriter) poolBackend() string {
	if w.release < mitaka {
		return "keystone.cache.memcache_pool"
	}
	return "oslo_cache.memcache_pool"
}

// tokens is for the time when Keystone stored tokens.
func (w *settingsWriter) tokens() {
	driver := "memcache_pool"
	switch {
	case w.release == icehouse:
		driver = "keystone.token.backends.memcache.Token"
	case w.release < liberty:
		driver = "keystone.token.persistence.backends.memcache_pool.Token"
	}
	provider := "uuid"
	if w.release == icehouse || w.release == juno {
		provider = "keystone.token.providers.uuid.Provider"
	}
	w.line(`[token]
# Tokens themselves in the group, by memcached's protocol. Not driver = kvs: that keeps them in the memory of one process, and articles on
# "kvs with Redis" mean [cache] backend = dogpile.cache.redis.
provider = %s
driver = %s

[memcache]
servers = %s
socket_timeout = 3
dead_retry = 30`, provider, driver, strings.Join(w.servers(w.Memcached), ","))
	if w.release > icehouse {
		w.line("pool_maxsize = 50\npool_unused_timeout = 60\npool_connection_get_timeout = 10")
	}
	w.line("")
}

func (w *settingsWriter) credentials() string {
	if w.Password {
		return ":" + secret + "@"
	}
	return ""
}

// oslocacheRedis: the options redis_* came with oslo.cache 3.7 (2024.1), redis_db with 3.8, backend_expiration_time with 3.10.
func (w *settingsWriter) oslocacheRedis() {
	switch {
	case w.release < caracal:
		w.line("backend = dogpile.cache.redis")
		w.line("# One address, with no other to turn to when it is gone: memcached's protocol has that, see --protocol memcached.")
		w.line("backend_argument = url:redis://%s%s/%d", w.credentials(), hostPort(w.Hosts[0], w.Redis), w.Tokens)
		w.line("backend_argument = redis_expiration_time:900")
		w.line("# For this back end too the time-out of a request. It is held for up to 3 s while the group chooses a new leader.\nmemcache_socket_timeout = 5")
		return
	case w.sentinel():
		w.line("# Each controller answers as Sentinel, with itself as the master.\nbackend = dogpile.cache.redis_sentinel")
		w.line("redis_sentinels = %s\nredis_sentinel_service_name = %s", strings.Join(w.sentinels(), ","), w.Master)
	default:
		w.line("backend = dogpile.cache.redis\nredis_server = %s", hostPort(w.Hosts[0], w.Redis))
	}
	if w.Password {
		w.line("redis_password = %s", secret)
	}
	if w.release >= dalmatian {
		w.line("redis_db = %d", w.Tokens)
	} else {
		w.line("# Only database 0 can be used (redis_db came with 2024.2), whose keys are of class coordination: never evicted. Prefer --protocol memcached.")
	}
	w.line("# A request is held for up to 3 s while the group chooses a new leader.\nredis_socket_timeout = 5")
	if w.release >= epoxy {
		w.line("# Items leave the group by themselves some time after they are not believed any more.\nbackend_expiration_time = 900")
	} else {
		w.line("backend_argument = redis_expiration_time:900")
	}
}

func (w *settingsWriter) ceilometer(protocol string) {
	w.header("ceilometer.conf")
	w.line("[coordination]")
	switch {
	case protocol == Memcached:
		w.line("# tooz takes one memcached server alone.\nbackend_url = memcached://%s?timeout=30", hostPort(w.Hosts[0], w.Memcached))
	case w.sentinel() && w.secretSentinel(w.sentinels()) && w.release < dalmatian:
		w.line("# The Redis port asks for the password where it is asked as Sentinel too, and tooz before 6.3 (2024.2) sends none there: so one address alone.")
		w.line("# With sentinel-listen the group has a port that asks for none, and this file names all controllers.")
		w.line("backend_url = %s", w.oneURL())
	case w.sentinel():
		w.line("# Each controller answers as Sentinel, with itself as the master.")
		w.line("backend_url = %s", w.toozURL())
	default:
		w.line("backend_url = %s", w.oneURL())
	}
	w.line("# timeout: an agent that has not been heard for so many seconds has left; its share is polled by the others then.")
	if w.release < queens {
		w.line("# Seconds between two heartbeats, and between two looks at who is there. Both can stay as they are by default.\nheartbeat = 1.0\ncheck_watchers = 10.0")
	}
}

func (w *settingsWriter) oneURL() string {
	return fmt.Sprintf("redis://%s%s?db=%d&timeout=30", w.credentials(), hostPort(w.Hosts[0], w.Redis), w.Groups)
}

func (w *settingsWriter) toozURL() string {
	all := w.sentinels()
	url := fmt.Sprintf("redis://%s%s?sentinel=%s", w.credentials(), all[0], w.Master)
	for _, s := range all[1:] {
		url += "&sentinel_fallback=" + s
	}
	if w.secretSentinel(all) {
		url += "&sentinel_password=" + secret
	}
	return url + fmt.Sprintf("&db=%d&timeout=30", w.Groups)
}

func (w *settingsWriter) middleware(string) {
	w.header("the file of each service that checks tokens (nova.conf, glance-api.conf, ...)")
	section := "keystone_authtoken"
	w.line("[%s]\nmemcached_servers = %s", section, strings.Join(w.servers(w.Memcached), ","))
	w.line(`memcache_use_advanced_pool = true
memcache_pool_socket_timeout = 3
# A server that did not answer is left alone for so many seconds; the others have all of its keys. The default is 300.
memcache_pool_dead_retry = 30
# At least the threads of a process.
memcache_pool_maxsize = 50
memcache_pool_unused_timeout = 60
memcache_pool_conn_get_timeout = 10
# Without these two, whoever reaches the port reads tokens and can write some. The same secret on all controllers: openssl rand -hex 32
memcache_security_strategy = ENCRYPT
memcache_secret_key = %s
token_cache_time = 300`, secret)
}
