package redis

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"holdfast/op"
	"holdfast/resp"
)

// CONFIG shows what clients ask for by Redis's names. Holdfast is set up by its own file; what can be set here holds on this controller, until it
// stops.

var configCommands = []Command{
	{Name: "config", Arity: -2, Needed: "exporters, redis-benchmark", subs: []Command{
		{Name: "get", Arity: -3, Flags: Admin | NoScript | Loading, Needed: "exporters, redis-benchmark", conn: configGet},
		{Name: "set", Arity: -4, Flags: Admin | NoScript | Loading, Needed: "gnocchi, operators", conn: configSet},
		{Name: "resetstat", Arity: 2, Flags: Admin | NoScript | Loading, Needed: "tools", conn: configResetStat},
		{Name: "rewrite", Arity: 2, Flags: Admin | NoScript | Loading, Needed: "nobody: refused", conn: configRewrite},
		{Name: "help", Arity: 2, Flags: Loading, Needed: "people", conn: help("CONFIG", "GET <pattern>", "SET <directive> <value>", "RESETSTAT")},
	}},
}

// setting is what CONFIG knows under a name.
type setting struct {
	name string
	get  func(s *Session) string
	// set changes it, or says why not; nil for what cannot be set.
	set func(s *Session, value string) error
}

// settings are all, by name. The server's own come first, then the knobs.
var settings []setting

func init() {
	settings = slices.Concat(serverSettings, boundSettings(), knobSettings())
	slices.SortFunc(settings, func(a, b setting) int { return strings.Compare(a.name, b.name) })
}

// fixed is a setting that is the same everywhere.
func fixed(value string) func(*Session) string { return func(*Session) string { return value } }

func ofFacts(get func(f Facts) int64) func(*Session) string {
	return func(s *Session) string { return strconv.FormatInt(get(s.d.facts()), 10) }
}

var serverSettings = []setting{
	{name: "appendfsync", get: func(s *Session) string {
		return map[string]string{"always": "always", "second": "everysec", "memory": "no"}[s.e.Status().Durable]
	}},
	{name: "appendonly", get: func(s *Session) string {
		if s.e.Status().Durable == "memory" {
			return "no"
		}
		return "yes"
	}},
	{name: "aclfile", get: fixed("")},
	{name: "bind", get: fixed("")},
	{name: "client-output-buffer-limit", get: func(s *Session) string {
		n := strconv.FormatInt(s.d.facts().OutputLimit, 10)
		return "normal " + n + " 0 0 slave 0 0 0 pubsub " + n + " 0 0"
	}},
	{name: "client-query-buffer-limit", get: ofFacts(func(f Facts) int64 { return f.RequestLimit })},
	{name: "cluster-enabled", get: fixed("no")},
	{name: "daemonize", get: fixed("no")},
	{name: "databases", get: fixed(strconv.Itoa(int(op.Memcache)))},
	{name: "dbfilename", get: fixed("")},
	{name: "dir", get: func(s *Session) string { return s.e.Status().Data }},
	{name: "enable-debug-command", get: fixed("no")},
	{name: "enable-module-command", get: fixed("no")},
	{name: "enable-protected-configs", get: fixed("no")},
	{name: "hz", get: fixed("10")},
	{name: "io-threads", get: fixed("1")},
	{name: "latency-monitor-threshold", get: func(s *Session) string { return strconv.FormatInt(s.d.events.threshold.Load(), 10) },
		set: func(s *Session, value string) error { return setNumber(&s.d.events.threshold, value, 0, 1<<40) }},
	{name: "latency-tracking", get: func(s *Session) string { return map[bool]string{true: "no", false: "yes"}[s.d.shares.hidden.Load()] },
		set: func(s *Session, value string) error {
			if value != "yes" && value != "no" {
				return failure("argument must be 'yes' or 'no'")
			}
			s.d.shares.hidden.Store(value == "no")
			return nil
		}},
	{name: "latency-tracking-info-percentiles", get: func(s *Session) string { return s.d.shares.String() },
		set: func(s *Session, value string) error { return s.d.shares.parse(value) }},
	{name: "logfile", get: fixed("")},
	{name: "masterauth", get: fixed("")},
	{name: "maxclients", get: ofFacts(func(f Facts) int64 { return int64(f.MaxClients) })},
	{name: "maxmemory", get: func(s *Session) string { return strconv.FormatUint(s.e.Status().Memory.Budget, 10) }},
	{name: "maxmemory-clients", get: fixed("0")},
	{name: "maxmemory-policy", get: fixed("allkeys-lru")},
	{name: notifySetting, get: func(s *Session) string { return formatEvents(s.e.Status().Notify) }},
	{name: "port", get: ofFacts(func(f Facts) int64 { return int64(f.Port) })},
	{name: "proto-max-bulk-len", get: ofFacts(func(f Facts) int64 { return min(f.RequestLimit, resp.MaxBulk) })},
	{name: "replicaof", get: fixed("")},
	{name: "requirepass", get: fixed("")},
	{name: "save", get: fixed("")},
	{name: "slaveof", get: fixed("")},
	{name: "slowlog-log-slower-than", get: func(s *Session) string { return strconv.FormatInt(s.d.slow.slower.Load(), 10) },
		set: func(s *Session, value string) error { return setNumber(&s.d.slow.slower, value, -1, 1<<40) }},
	{name: "slowlog-max-len", get: func(s *Session) string { return strconv.FormatInt(s.d.slow.most.Load(), 10) },
		set: func(s *Session, value string) error {
			err := setNumber(&s.d.slow.most, value, 0, maxSlowLog)
			s.d.slow.cut()
			return err
		}},
	{name: "tcp-keepalive", get: ofFacts(func(f Facts) int64 { return f.KeepAlive })},
	{name: "tracking-table-max-keys", get: func(s *Session) string { return strconv.FormatInt(s.d.hub.most.Load(), 10) },
		set: func(s *Session, value string) error {
			err := setNumber(&s.d.hub.most, value, 0, maxKept)
			s.d.hub.cut()
			return err
		}},
	{name: "timeout", get: ofFacts(func(f Facts) int64 { return f.IdleTimeout })},
}

// notifySetting is the one setting that holds for the whole group: it is a write.
const notifySetting = "notify-keyspace-events"

// maxSlowLog bounds slowlog-max-len.
const maxSlowLog = 100000

// knobs say how Redis lays out memory, and when it lets others interrupt a script: here a script stands in nobody's way. They are taken, remembered, and mean
// nothing here.
var knobs = map[string]string{
	"busy-reply-threshold": busyFrom, "lua-time-limit": busyFrom,
	"activedefrag": "no", "activerehashing": "yes", "active-expire-effort": "1", "hll-sparse-max-bytes": "3000", "lazyfree-lazy-eviction": "no",
	"lazyfree-lazy-expire": "no", "lazyfree-lazy-server-del": "no", "lazyfree-lazy-user-del": "no", "lazyfree-lazy-user-flush": "no",
	"maxmemory-samples": "5", "sanitize-dump-payload": "no", "stream-node-max-bytes": "4096", "stream-node-max-entries": "100",
}

// busyFrom is scriptTime in ms, beyond which no script runs.
var busyFrom = strconv.FormatInt(scriptTime.Milliseconds(), 10)

// maxKnob bounds the value of one, in bytes.
const maxKnob = 64

// boundSettings are what OBJECT ENCODING goes by (encodings.go).
func boundSettings() (list []setting) {
	for i, b := range boundNames {
		for _, name := range []string{b.name, b.older} {
			if name != "" {
				list = append(list, setting{
					name: name,
					get:  func(s *Session) string { return strconv.FormatInt(s.d.bounds[i].Load(), 10) },
					set: func(s *Session, value string) error {
						return setNumber(&s.d.bounds[i], value, math.MinInt64, math.MaxInt64)
					},
				})
			}
		}
	}
	return list
}

func knobSettings() (list []setting) {
	for name, value := range knobs {
		list = append(list, setting{
			name: name,
			get: func(s *Session) string {
				if v, ok := s.d.knobs.Load(name); ok {
					return v.(string)
				}
				return value
			},
			set: func(s *Session, value string) error {
				if value == "" || len(value) > maxKnob {
					return failure("argument couldn't be parsed into an integer")
				}
				s.d.knobs.Store(name, strings.Clone(value))
				return nil
			},
		})
	}
	return list
}

// setNumber puts a number into where.
func setNumber(where interface{ Store(int64) }, value string, least, most int64) error {
	n, ok := resp.Int([]byte(value))
	switch {
	case !ok:
		return failure("argument couldn't be parsed into an integer")
	case n < least || n > most:
		return failf("argument must be between %d and %d inclusive", least, most)
	}
	where.Store(n)
	return nil
}

func configGet(s *Session, q *request, b []byte) []byte {
	var hits [][2]string
	for i := range settings {
		for _, pattern := range q.args[2:] {
			if op.Match([]byte(strings.ToLower(string(pattern))), []byte(settings[i].name)) {
				hits = append(hits, [2]string{settings[i].name, settings[i].get(s)})
				break
			}
		}
	}
	b = s.v.Map(b, len(hits))
	for _, h := range hits {
		b = pair(b, h[0], h[1])
	}
	return b
}

// configSet sets all or nothing. What is as it is to become needs no setting.
func configSet(s *Session, q *request, b []byte) []byte {
	args := q.args[2:]
	if len(args)%2 != 0 {
		return resp.Err(b, string(errSyntax))
	}
	var undo []func()
	var notify []byte
	for i := 0; i < len(args); i += 2 {
		set := findSetting(args[i])
		err := error(nil)
		switch {
		case set == nil:
			err = failure("ERR Unknown option or number of arguments for CONFIG SET - '" + string(args[i]) + "'")
		case hasName(args[:i], args[i]), hasName(args[i+2:], args[i]):
			err = errNotSet(set, failure("duplicate parameter"))
		case set.name == notifySetting:
			notify = args[i+1]
		case set.set == nil && set.get(s) != string(args[i+1]):
			err = errNotSet(set, failure("can't set immutable config"))
		case set.set != nil:
			was := set.get(s)
			if fault := set.set(s, string(args[i+1])); fault != nil {
				err = errNotSet(set, fault)
			}
			undo = append(undo, func() { set.set(s, was) })
		}
		if err != nil {
			for _, back := range undo {
				back()
			}
			return resp.Err(b, err.Error())
		}
	}
	if notify != nil {
		return s.setEvents(notify, b)
	}
	return append(b, "+OK\r\n"...)
}

func errNotSet(set *setting, why error) error {
	return failf("ERR CONFIG SET failed (possibly related to argument '%s') - %s", set.name, why)
}

// hasName says whether one of the names, each with a value behind it, is the name.
func hasName(pairs [][]byte, name []byte) bool {
	for i := 0; i < len(pairs); i += 2 {
		if strings.EqualFold(string(pairs[i]), string(name)) {
			return true
		}
	}
	return false
}

func findSetting(name []byte) *setting {
	for i := range settings {
		if is(name, settings[i].name) {
			return &settings[i]
		}
	}
	return nil
}

func configResetStat(s *Session, _ *request, b []byte) []byte {
	s.d.resetStats()
	return append(b, "+OK\r\n"...)
}

func configRewrite(_ *Session, _ *request, b []byte) []byte {
	return resp.Err(b, "ERR The server is running without a config file")
}
