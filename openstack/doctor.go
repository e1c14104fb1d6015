package openstack

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Severity is how bad a finding is.
type Severity uint8

const (
	Note    Severity = iota // it may be meant
	Warning                 // it works until something fails
	Error                   // it does not work for a group
)

func (s Severity) String() string { return [...]string{"note", "warning", "error"}[s] }

// Finding is one thing that is wrong, or risky, with a service's configuration.
type Finding struct {
	Rule     string `json:"rule"`
	Severity string `json:"severity"`
	File     string `json:"file"`
	Line     int    `json:"line"` // 0 for the file itself
	Text     string `json:"text"` // what is wrong, and behind a semicolon how to mend it
	Source   string `json:"source"`

	severity Severity
}

// Worst returns the worst severity; none is false without findings.
func Worst(all []Finding) (worst Severity, none bool) {
	for _, f := range all {
		worst = max(worst, f.severity)
	}
	return worst, len(all) == 0
}

// File is a configuration file of a service, with its contents.
type File struct {
	Name    string
	Text    string
	Exposed bool // everybody on the machine may read it
}

// maxFindings bounds what is said of one service.
const maxFindings = 200

// Check says what is wrong with the configuration of one service, whose files are in the order in which the service reads them. at is what is known of the
// group; without hosts the servers that are named are not compared with it.
func Check(files []File, at *Place) []Finding {
	c := &checkup{Place: at, oslo: newOslo(), python: python{}}
	for _, f := range files {
		if strings.HasSuffix(f.Name, ".py") {
			c.python.read(f.Name, f.Text)
		} else {
			c.oslo.read(f.Name, f.Text)
		}
		if f.Exposed {
			c.exposed = append(c.exposed, f.Name)
		}
	}
	for i := range rules {
		c.rule = &rules[i]
		c.rule.check(c)
	}
	slices.SortStableFunc(c.findings, func(a, b Finding) int {
		if n := strings.Compare(a.File, b.File); n != 0 {
			return n
		}
		return a.Line - b.Line
	})
	return c.findings[:min(len(c.findings), maxFindings)]
}

// checkup is a Check under way.
type checkup struct {
	*Place
	oslo     *oslo
	python   python
	exposed  []string
	rule     *rule
	findings []Finding
}

// say notes what the present rule has found.
func (c *checkup) say(at position, format string, args ...any) {
	c.findings = append(c.findings, Finding{
		Rule: c.rule.name, Severity: c.rule.severity.String(), File: at.file, Line: at.line, Text: fmt.Sprintf(format, args...), Source: c.rule.source, severity: c.rule.severity,
	})
}

// opaque says whether a value is filled in elsewhere: by oslo.config, or by a template.
func opaque(s string) bool { return strings.ContainsAny(s, "$%{") }

// hostOf takes the host out of host:port, [v6]:port or inet6:[v6]:port; empty for a Unix socket and for what is filled in elsewhere.
func hostOf(server string) string {
	if opaque(server) || strings.HasPrefix(server, "unix:") || strings.HasPrefix(server, "/") {
		return ""
	}
	server = strings.TrimPrefix(strings.TrimPrefix(server, "inet6:"), "inet:")
	if rest, ok := strings.CutPrefix(server, "["); ok {
		host, _, _ := strings.Cut(rest, "]")
		return host
	}
	if strings.Count(server, ":") > 1 {
		return server
	}
	host, _, _ := strings.Cut(server, ":")
	return host
}

func isLoopback(host string) bool {
	return host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.")
}

// servers checks a list of memcached servers against the group.
func (c *checkup) servers(at position, what string, all []string) {
	if len(all) == 0 || slices.ContainsFunc(all, opaque) {
		return
	}
	if len(all) == 1 {
		if len(c.Hosts) != 1 {
			c.say(at, "%s names one server alone, and there is nothing to turn to when it stops; name every controller, this one first", what)
		}
		return
	}
	named := map[string]bool{}
	self := 0 // controllers that may be meant by loopback: this one
	for _, s := range all {
		host := hostOf(s)
		if named[s] {
			c.say(at, "%s names %s twice; name each controller once", what, s)
		}
		named[s], named[host] = true, true
		switch {
		case len(c.Hosts) < 2 || host == "" || slices.Contains(c.Hosts, host):
		case isLoopback(host):
			self = 1
		default:
			c.say(at, "%s names %s, which is no controller of the group (%s): keys would lie in two places; name the controllers alone", what, host, strings.Join(c.Hosts, ", "))
		}
	}
	out := slices.DeleteFunc(slices.Clone(c.Hosts), func(h string) bool { return named[h] })
	if len(c.Hosts) > 1 && len(out) > self {
		c.say(at, "%s leaves %s out; name every controller", what, strings.Join(out, ", "))
	}
}

// classOf returns the class of a Redis database, empty if it is not known.
func (c *checkup) classOf(db int) string {
	if db < 0 || db >= len(c.Classes) {
		return ""
	}
	return c.Classes[db]
}

// redisURL is what an address of a Redis client says.
type redisURL struct {
	scheme, host, port, user, password string
	path                               string
	query                              url.Values
}

// parseRedisURL reads redis://..., and the old host:port:db of django-redis; ok is false for anything else.
func parseRedisURL(text string) (u redisURL, ok bool) {
	if opaque(text) {
		return u, false
	}
	if !strings.Contains(text, "://") {
		parts := strings.Split(text, ":")
		if len(parts) != 3 {
			return u, false
		}
		return redisURL{scheme: "redis", host: parts[0], port: parts[1], path: parts[2], query: url.Values{}}, true
	}
	p, err := url.Parse(text)
	if err != nil {
		return u, false
	}
	u = redisURL{scheme: p.Scheme, host: p.Hostname(), port: p.Port(), user: p.User.Username(), path: strings.Trim(p.Path, "/"), query: p.Query()}
	u.password, _ = p.User.Password()
	return u, true
}

// db is the database that a URL names, 0 if none.
func (u *redisURL) db() int {
	text := u.query.Get("db")
	if text == "" {
		text = u.path
	}
	n := 0
	for _, d := range text {
		if d < '0' || d > '9' || n > 1000 {
			return 0
		}
		n = n*10 + int(d-'0')
	}
	return n
}
