package redis

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"holdfast/engine"
	"holdfast/resp"
	"holdfast/users"
)

// Every controller answers as the master of every configured name, at the address on which the client reached it: so a client that asks a
// Sentinel for the way stays on the controller it asked. One that is cut off from the majority is a master that is down: others may be better off.

var sentinelCommands = []Command{
	{Name: "sentinel", Arity: -2, Needed: "kolla-ansible's URLs: tooz, django-redis", subs: []Command{
		{Name: "masters", Arity: 2, Flags: Loading | NoScript, Needed: "redis-py Sentinel: tooz, django-redis", conn: sentinelMasters},
		{Name: "master", Arity: 3, Flags: Loading | NoScript, Needed: "exporters", conn: sentinelMaster},
		{Name: "slaves", Arity: 3, Flags: Loading | NoScript, Needed: "redis-py Sentinel: django-redis reads", conn: sentinelNone},
		{Name: "replicas", Arity: 3, Flags: Loading | NoScript, Needed: "newer clients", conn: sentinelNone},
		{Name: "sentinels", Arity: 3, Flags: Loading | NoScript, Needed: "go-redis, exporters", conn: sentinelNone},
		{Name: "get-master-addr-by-name", Arity: 3, Flags: Loading | NoScript, Needed: "go-redis and other languages", conn: sentinelAddr},
		{Name: "ckquorum", Arity: 3, Flags: Loading | NoScript, Needed: "operators", conn: sentinelQuorum},
	}},
}

// asksSentinel are the rules of who asks a Sentinel, where nobody needs a password: nothing of the data.
var asksSentinel = strings.Fields("on nopass &* -@all +sentinel +ping +echo +info +role +select +command +client|id +client|getname +client|setname +client|setinfo +client|info +client|reply " +
	"+auth +hello +quit +reset +subscribe +psubscribe +unsubscribe +punsubscribe")

// stranger is who asks a Sentinel.
func stranger() *users.User {
	set := users.New(Catalogue())
	rules := slices.DeleteFunc(slices.Clone(asksSentinel), func(r string) bool { return r[0] == '+' && table.Command(r[1:]) == nil })
	if err := set.Add("sentinel", rules...); err != nil {
		panic(err)
	}
	return set.Find([]byte("sentinel"))
}

// mode is what HELLO and INFO call the server.
func (s *Session) mode() string {
	if s.asked {
		return "sentinel"
	}
	return "standalone"
}

const errNoMaster = failure("ERR No such master with that name")

func (s *Session) masters(name []byte) bool { return slices.Contains(s.d.conf.Masters, string(name)) }

// address returns the host and port at which the client reaches this controller's data: where it has reached it already, unless that is only a Sentinel.
func (s *Session) address() (host, port string) {
	a, err := netip.ParseAddrPort(s.conn.LocalAddr())
	if err != nil {
		return "127.0.0.1", strconv.Itoa(s.d.facts().Port)
	}
	if s.asked {
		return a.Addr().Unmap().String(), strconv.Itoa(s.d.facts().Port)
	}
	return a.Addr().Unmap().String(), strconv.Itoa(int(a.Port()))
}

// cutOff says whether so many members do not answer that there may be a majority without this one. An election alone is no reason to send clients away.
func cutOff(st *engine.Status) bool { return !st.Quorum && 2*len(st.Missing) >= st.Members }

func (s *Session) sentinelEntry(b []byte, name string) []byte {
	host, port := s.address()
	status := s.e.Status()
	flags := "master"
	if cutOff(&status) {
		flags = "s_down,master"
	}
	fields := [][2]string{
		{"name", name}, {"ip", host}, {"port", port}, {"runid", s.d.facts().RunID}, {"flags", flags},
		{"link-pending-commands", "0"}, {"link-refcount", "1"}, {"last-ping-sent", "0"}, {"last-ok-ping-reply", "0"}, {"last-ping-reply", "0"},
		{"down-after-milliseconds", "5000"}, {"info-refresh", "0"}, {"role-reported", "master"}, {"role-reported-time", "0"},
		{"config-epoch", strconv.FormatUint(status.Term, 10)}, {"num-slaves", "0"}, {"num-other-sentinels", strconv.Itoa(max(status.Members-1, 0))},
		{"quorum", strconv.Itoa(status.Members/2 + 1)}, {"failover-timeout", "60000"}, {"parallel-syncs", "1"},
	}
	b = s.v.Map(b, len(fields))
	for _, f := range fields {
		b = pair(b, f[0], f[1])
	}
	return b
}

func sentinelMasters(s *Session, _ *request, b []byte) []byte {
	b = resp.Array(b, len(s.d.conf.Masters))
	for _, name := range s.d.conf.Masters {
		b = s.sentinelEntry(b, name)
	}
	return b
}

func sentinelMaster(s *Session, q *request, b []byte) []byte {
	if !s.masters(q.args[2]) {
		return resp.Err(b, string(errNoMaster))
	}
	return s.sentinelEntry(b, string(q.args[2]))
}

func sentinelNone(s *Session, q *request, b []byte) []byte {
	if !s.masters(q.args[2]) {
		return resp.Err(b, string(errNoMaster))
	}
	return resp.Array(b, 0)
}

func sentinelAddr(s *Session, q *request, b []byte) []byte {
	if st := s.e.Status(); !s.masters(q.args[2]) || cutOff(&st) {
		return s.v.NullArray(b)
	}
	host, port := s.address()
	return pair(resp.Array(b, 2), host, port)
}

func sentinelQuorum(s *Session, q *request, b []byte) []byte {
	if !s.masters(q.args[2]) {
		return resp.Err(b, string(errNoMaster))
	}
	status := s.e.Status()
	usable := strconv.Itoa(status.Members - len(status.Missing))
	if !status.Quorum {
		return resp.Err(b, "NOQUORUM "+usable+" usable Sentinels. Not enough available Sentinels to reach the specified quorum for this master")
	}
	return resp.Simple(b, "OK "+usable+" usable Sentinels. Quorum and failover authorization can be reached")
}
