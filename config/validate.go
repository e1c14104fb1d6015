package config

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Limits of what a setting may hold.
const (
	MaxName     = 63  // bytes of a controller's name
	MaxPassword = 512 // bytes of the password
	maxList     = 256 // elements of a list
)

// Databases is how many Redis databases there are.
const Databases = 16

// Classes are the names that a class setting may give (design, promise 4).
var Classes = []string{"coordination", "token", "session", "cache"}

// problems gathers one sentence for each thing that is wrong.
type problems []error

func (p *problems) addf(format string, args ...any) { *p = append(*p, fmt.Errorf(format, args...)) }
func (p problems) join() error                      { return errors.Join(p...) }

// Validate says everything that is wrong with c, one sentence a line: which setting, its value, what to do.
func (c *Config) Validate() error {
	var p problems
	for _, s := range c.Settings() {
		s.check(&p)
	}
	c.checkNames(&p)
	c.checkListeners(&p)
	c.checkGroup(&p)
	c.checkTLS(&p)
	if _, err := c.RedisClassOf(); err != nil {
		p = append(p, err)
	}
	if _, err := c.MemcachedRules(); err != nil {
		p = append(p, err)
	}
	if most := c.RequestLimit(); c.MemcachedItemMax > most {
		p.addf("setting memcached-item-max is %s: it must not be above %s, the largest request that max-request and a sixteenth of memory-limit allow",
			c.MemcachedItemMax, most)
	}
	if c.OutputLimit < c.MaxRequest {
		p.addf("setting output-limit is %s: it must not be below max-request, which is %s, or a value that was stored could not be read", c.OutputLimit, c.MaxRequest)
	}
	return p.join()
}

// check holds the value against the tags of its field.
func (s Setting) check(p *problems) {
	switch v := s.field.Interface().(type) {
	case Size:
		lo, _ := ParseSize(s.tag.Get("min"))
		hi, _ := ParseSize(s.tag.Get("max"))
		s.inRange(p, v == 0, v < lo, hi > 0 && v > hi)
	case time.Duration:
		lo, _ := time.ParseDuration(s.tag.Get("min"))
		hi, _ := time.ParseDuration(s.tag.Get("max"))
		s.inRange(p, v == 0, v < lo, hi > 0 && v > hi)
	case int:
		lo, _ := strconv.Atoi(s.tag.Get("min"))
		hi, _ := strconv.Atoi(s.tag.Get("max"))
		s.inRange(p, v == 0, v < lo, hi > 0 && v > hi)
	case []string:
		if len(v) > maxList {
			p.addf("setting %s has %d elements: at most %d are allowed", s.Key, len(v), maxList)
		}
	case string:
		if one := s.tag.Get("one"); one != "" && !contains(strings.Fields(one), v) {
			p.addf("setting %s is %q: write one of %s", s.Key, v, s.Range())
		}
	}
}

func (s Setting) inRange(p *problems, zero, below, above bool) {
	if zero && s.tag.Get("zero") != "" {
		return
	}
	if below || above {
		p.addf("setting %s is %s: allowed is %s", s.Key, s, s.Range())
	}
}

func (c *Config) checkNames(p *problems) {
	if c.Name != "" && !IsName(c.Name) {
		p.addf("setting name is %q: use up to %d letters, digits, dots, dashes and underscores", c.Name, MaxName)
	}
	if c.Data == "" {
		p.addf("setting data is empty: name the directory for the log and the snapshots")
	}
	checkAll(p, "sentinel-masters", c.SentinelMasters)
	if _, err := c.SocketPermissions(); err != nil {
		p.addf("setting socket-mode is %q: write up to four octal digits, such as 0660", c.SocketMode)
	}
	checkAll(p, "redis-users", c.RedisUsers)
	if len(c.RedisUsers) > 0 && c.RedisPassword == "" && c.RedisPasswordFile == "" {
		p.addf("setting redis-users has %q and there is no password for them: set redis-password-file", c.RedisUsers)
	}
	if c.UsersFile != "" && (c.RedisPassword != "" || c.RedisPasswordFile != "" || len(c.RedisUsers) > 0 || c.MemcachedAuthFile != "") {
		p.addf("setting users-file is %q and there are redis-password, redis-password-file, redis-users or memcached-auth-file beside it: move these users into the file", c.UsersFile)
	}
	if c.MemcachedUser != "" && c.UsersFile == "" {
		p.addf("setting memcached-user is %q and there is no file that says what it may do: set users-file", c.MemcachedUser)
	}
	if c.RedisPassword != "" && c.RedisPasswordFile != "" {
		p.addf("settings redis-password and redis-password-file are both there: keep one")
	}
	if len(c.RedisPassword) > MaxPassword || strings.ContainsAny(c.RedisPassword, "\r\n\x00") {
		p.addf("setting redis-password is too long or has a line break in it: use up to %d bytes on one line", MaxPassword)
	}
}

// SocketPermissions is socket-mode as a number.
func (c *Config) SocketPermissions() (uint32, error) {
	n, err := strconv.ParseUint(c.SocketMode, 8, 32)
	if err == nil && n > 0o777 {
		err = errors.New("more than permissions")
	}
	return uint32(n), err
}

func checkAll(p *problems, key string, names []string) {
	for _, n := range names {
		if !IsName(n) {
			p.addf("setting %s has %q: use up to %d letters, digits, dots, dashes and underscores", key, n, MaxName)
		}
	}
}

// IsName says whether a controller, a user or a master of Sentinel may be called s.
func IsName(s string) bool {
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
		default:
			return false
		}
	}
	return s != "" && len(s) <= MaxName
}

// Listener is one address that a setting asks to be served.
type Listener struct {
	Setting string // key of the setting that it comes from
	Network string // "tcp" or "unix"
	Address string // host:port or a path
	Local   bool   // whether only this machine can reach it
	TLS     bool
}

// ParseListener reads an address as the listen settings have it: host:port, [v6]:port, :port for all addresses, or unix:/path.
func ParseListener(text string) (Listener, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if !strings.HasPrefix(path, "/") || len(path) > 107 || strings.ContainsRune(path, 0) {
			return Listener{}, fmt.Errorf("%q is no socket: write unix: and an absolute path of up to 107 bytes", text)
		}
		return Listener{Network: "unix", Address: path, Local: true}, nil
	}
	host, port, ok := cutLast(text, ":")
	bare, bracketed := strings.CutPrefix(host, "[")
	if bracketed {
		var closed bool
		bare, closed = strings.CutSuffix(bare, "]")
		ok = ok && closed
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if !ok || err != nil || !bracketed && strings.Contains(host, ":") || strings.ContainsAny(host, " /,\x00") {
		return Listener{}, fmt.Errorf("%q is no address: write host:port, [v6]:port or unix:/path", text)
	}
	l := Listener{Network: "tcp", Address: host + ":" + strconv.FormatUint(n, 10), Local: bare == "localhost"}
	if ip, err := netip.ParseAddr(bare); err == nil {
		l.Local = ip.IsLoopback()
	} else if bracketed {
		return Listener{}, fmt.Errorf("%q is no address: between [ and ] stands an IPv6 address", text)
	}
	return l, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// Redis, Memcached and Admin return the listeners of a protocol, plain ones first. Only for a Config that Validate found good.
func (c *Config) Redis() []Listener {
	return append(listeners("redis-listen", c.RedisListen, false), listeners("redis-tls-listen", c.RedisTLSListen, true)...)
}

// Sentinel returns the listeners that answer as a Sentinel.
func (c *Config) Sentinel() []Listener { return listeners("sentinel-listen", c.SentinelListen, false) }

// Memcached returns the listeners of the memcached protocol.
func (c *Config) Memcached() []Listener {
	return append(listeners("memcached-listen", c.MemcachedListen, false), listeners("memcached-tls-listen", c.MemcachedTLSListen, true)...)
}

// Admin returns the listeners of health, metrics and status.
func (c *Config) Admin() []Listener { return listeners("admin-listen", c.AdminListen, false) }

// listeners leaves out what is no address: Validate has named it.
func listeners(setting string, texts []string, tls bool) []Listener {
	var all []Listener
	for _, text := range texts {
		if l, err := ParseListener(text); err == nil {
			l.Setting, l.TLS = setting, tls
			all = append(all, l)
		}
	}
	return all
}

func (c *Config) checkListeners(p *problems) {
	for _, s := range c.Settings() {
		if !strings.HasSuffix(s.Key, "-listen") {
			continue
		}
		list, _ := s.field.Interface().([]string) // peer-listen is one address, which Group reads
		for _, text := range list {
			if _, err := ParseListener(text); err != nil {
				p.addf("setting %s: %w", s.Key, err)
			}
		}
	}
	if len(c.RedisListen)+len(c.RedisTLSListen)+len(c.MemcachedListen)+len(c.MemcachedTLSListen) == 0 {
		p.addf("settings redis-listen and memcached-listen are empty and so are those for TLS: name an address of at least one")
	}
	taken := map[string]string{}
	all := append(append(append(c.Redis(), c.Sentinel()...), c.Memcached()...), c.Admin()...)
	if g, err := c.Group(); err == nil && !c.Alone() {
		all = append(all, g.Listen)
	}
	for _, l := range all {
		if before, ok := taken[l.Address]; ok && !strings.HasSuffix(l.Address, ":0") {
			p.addf("settings %s and %s both have %s: give each its own address", before, l.Setting, l.Address)
		}
		taken[l.Address] = l.Setting
		c.checkReach(p, l)
	}
}

// checkReach holds to the rule that what others can reach is encrypted and asks who they are (design 5).
func (c *Config) checkReach(p *problems, l Listener) {
	if l.Local || c.Insecure || l.Setting == "sentinel-listen" { // a Sentinel tells what anybody may know
		return
	}
	secret := c.RedisPassword != "" || c.RedisPasswordFile != "" || c.UsersFile != ""
	switch {
	case l.Setting == "admin-listen":
		p.addf("setting admin-listen has %s, which others can reach, and it has neither encryption nor passwords: use 127.0.0.1, or set insecure = true", l.Address)
	case l.Setting == "peer-listen" && !l.TLS:
		p.addf("setting peer-listen is %s, which others can reach, and is not encrypted: make certificates with 'holdfast cert' and set peer-ca, peer-cert and peer-key, or set insecure = true", l.Address)
	case !l.TLS:
		p.addf("setting %s has %s, which others can reach, and is not encrypted: use %s in its place, or set insecure = true",
			l.Setting, l.Address, strings.Replace(l.Setting, "-listen", "-tls-listen", 1))
	case c.TLSClientCA == "" && strings.HasPrefix(l.Setting, "memcached") && c.MemcachedAuthFile == "" && c.UsersFile == "":
		p.addf("setting %s has %s, which others can reach, and anybody may use it: set tls-client-ca (or users-file or memcached-auth-file, where the clients can log in), or insecure = true", l.Setting, l.Address)
	case c.TLSClientCA == "" && strings.HasPrefix(l.Setting, "redis") && !secret:
		p.addf("setting %s has %s, which others can reach, and anybody may use it: set redis-password-file, users-file or tls-client-ca, or insecure = true", l.Setting, l.Address)
	}
}

func (c *Config) checkTLS(p *problems) {
	tls := len(c.RedisTLSListen)+len(c.MemcachedTLSListen) > 0
	switch {
	case (c.TLSCert == "") != (c.TLSKey == ""):
		p.addf("of the settings tls-cert and tls-key only one is there: set both")
	case tls && c.TLSCert == "":
		p.addf("there are TLS listeners and no certificate: set tls-cert and tls-key")
	case !tls && c.TLSClientCA != "":
		p.addf("setting tls-client-ca is %q and there are no TLS listeners: set redis-tls-listen or memcached-tls-listen", c.TLSClientCA)
	}
}

// RedisClassOf returns the class of each Redis database.
func (c *Config) RedisClassOf() (classes [Databases]string, err error) {
	for i := range classes {
		classes[i] = "cache"
	}
	var p problems
	var seen [Databases]bool
	for _, text := range c.RedisClasses {
		number, class, _ := cutLast(text, "=")
		db, err := strconv.Atoi(number)
		switch {
		case err != nil || db < 0 || db >= Databases || !contains(Classes, class):
			p.addf("setting redis-classes has %q: write a database from 0 to %d, = and one of %s", text, Databases-1, strings.Join(Classes, ", "))
		case seen[db]:
			p.addf("setting redis-classes names database %d twice: keep one", db)
		default:
			seen[db], classes[db] = true, class
		}
	}
	return classes, p.join()
}

// Rule gives a class to the memcached keys whose names fit Pattern.
type Rule struct{ Pattern, Class string }

// MaxPattern bounds the pattern of a Rule, in bytes: memcached's keys are no longer.
const MaxPattern = 250

// MemcachedRules returns the rules of memcached-classes in their order.
func (c *Config) MemcachedRules() ([]Rule, error) {
	var rules []Rule
	var p problems
	for _, text := range c.MemcachedClasses {
		pattern, class, _ := cutLast(text, "=")
		if pattern == "" || len(pattern) > MaxPattern || !contains(Classes, class) {
			p.addf("setting memcached-classes has %q: write a pattern of keys (up to %d bytes), = and one of %s", text, MaxPattern, strings.Join(Classes, ", "))
			continue
		}
		rules = append(rules, Rule{pattern, class})
	}
	return rules, p.join()
}
