//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// groupSize is the size of every group that is measured. Nothing of it is pinned: members and generator share all processors.
const groupSize = 3

// settleLimit is how long a group may take until every member is as it was before a disturbance.
const settleLimit = 30 * time.Second

// askLimit bounds a question to a member.
const askLimit = time.Second

// group is three servers that are one store.
type group struct {
	members []*server
	guards  []*server               // Redis's sentinels
	leads   func() (*server, error) // nil: the first does, always
}

func (g *group) all() []*server {
	return append(g.members[:len(g.members):len(g.members)], g.guards...)
}

// others are the members but for one.
func (g *group) others(but *server) (rest []*server) {
	for _, m := range g.members {
		if m != but {
			rest = append(rest, m)
		}
	}
	return rest
}

// lane leads to one member; the CPU time of all counts.
func (g *group) lane(name, protocol string, m *server) lane {
	return lane{name: name, server: m, protocol: protocol, company: g.others(m)}
}

// leader asks who leads until somebody does.
func (g *group) leader() (*server, error) {
	if g.leads == nil {
		return g.members[0], nil
	}
	var err error
	for end := time.Now().Add(settleLimit); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		var m *server
		if m, err = g.leads(); err == nil && m != nil {
			return m, nil
		}
	}
	return nil, fmt.Errorf("no member leads after %s: %w", settleLimit, err)
}

// place finds an address for the i-th member. Ports are below those that the kernel gives away, and stay free while a member is down.
func place(i int) (string, error) {
	ip := fmt.Sprint("127.0.0.", i+1)
	for range 100 {
		l, err := net.Listen("tcp4", fmt.Sprintf("%s:%d", ip, 12000+rand.IntN(20000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String(), nil
		}
	}
	return "", fmt.Errorf("no free port on %s after 100 attempts", ip)
}

// launchGroup starts all members, then waits for each.
func (b *bench) launchGroup(servers []*server) error {
	b.servers = append(b.servers, servers...)
	for _, s := range servers {
		if err := s.spawn(); err != nil {
			return err
		}
	}
	for _, s := range servers {
		if err := s.awaitServing(); err != nil {
			return err
		}
	}
	return nil
}

// endGroup ends it and removes what it had on disk.
func (b *bench) endGroup(g *group) {
	for _, s := range g.all() {
		b.discard(s)
	}
}

// startHoldfastGroup runs three daemons as their defaults have them; nil if only the peers are measured.
func (b *bench) startHoldfastGroup(durability string) (*group, error) {
	if b.holdfast == "none" {
		return nil, nil
	}
	g := &group{}
	var list []string
	for i := range groupSize {
		s, err := b.prepareServer("holdfast, "+durability, b.holdfast, b.loose.server)
		if err != nil {
			return nil, err
		}
		for _, a := range []*string{&s.redis, &s.memc, &s.admin, &s.peer} {
			if *a, err = place(i); err != nil {
				return nil, err
			}
		}
		s.member = fmt.Sprint("c", i+1)
		list = append(list, s.member+"="+s.peer)
		g.members = append(g.members, s)
	}
	for _, s := range g.members {
		s.args = []string{"serve", "--name", s.member, "--data", filepath.Join(s.data, "state"), "--durability", durability, "--memory-limit", "0",
			"--peer-listen", s.peer, "--members", strings.Join(list, ","),
			"--redis-listen", s.redis, "--memcached-listen", s.memc, "--admin-listen", s.admin, "--log-level", "warn"}
	}
	g.leads = g.holdfastLeader
	if err := b.launchGroup(g.members); err != nil {
		return nil, err
	}
	return g, g.settle()
}

// memberStatus is what is read of a daemon's /status.
type memberStatus struct {
	Role  string
	Term  uint64
	Peers []struct {
		Up       bool
		InRoster bool `json:"in_roster"`
	}
}

func (s *server) status() (st memberStatus, err error) {
	client := http.Client{Timeout: askLimit}
	r, err := client.Get("http://" + s.admin + "/status")
	if err != nil {
		return st, err
	}
	defer r.Body.Close()
	return st, json.NewDecoder(r.Body).Decode(&st)
}

// holdfastLeader is the member with the newest term of those that say that they lead; nil: none does.
func (g *group) holdfastLeader() (leader *server, err error) {
	var newest uint64
	for _, m := range g.members {
		st, err := m.status()
		if err == nil && st.Role == "leader" && st.Term >= newest {
			leader, newest = m, st.Term
		}
	}
	return leader, nil
}

// settle waits until the leader sees every member up and answering reads by itself, and some more.
func (g *group) settle() error {
	var st memberStatus
	for end := time.Now().Add(settleLimit); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		leader, err := g.leader()
		if err != nil {
			return err
		}
		if st, err = leader.status(); err != nil {
			continue
		}
		level := 0
		for _, p := range st.Peers {
			if p.Up && p.InRoster {
				level++
			}
		}
		if level == groupSize {
			time.Sleep(500 * time.Millisecond)
			return nil
		}
	}
	return fmt.Errorf("after %s the leader still sees %+v", settleLimit, st.Peers)
}

// startRedisGroup runs a redis-server with two replicas, none of which keeps anything on disk, and three sentinels with the usual 5 s if
// they are asked for; nil if the machine has no redis-server.
func (b *bench) startRedisGroup(sentinels bool) (*group, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, nil
	}
	g := &group{}
	for i := range groupSize {
		s, err := b.prepareServer("redis", path, b.loose.server)
		if err != nil {
			return nil, err
		}
		if s.redis, err = place(0); err != nil { // on one address: see addSentinels
			return nil, err
		}
		ip, p, _ := net.SplitHostPort(s.redis)
		s.args = []string{"--bind", ip, "--port", p, "--dir", s.data, "--save", "", "--appendonly", "no", "--io-threads", "1", "--repl-diskless-sync-delay", "0"}
		if i > 0 {
			ip, p, _ := net.SplitHostPort(g.members[0].redis)
			s.args = append(s.args, "--replicaof", ip, p)
		}
		g.members = append(g.members, s)
	}
	if err := b.launchGroup(g.members); err != nil {
		return nil, err
	}
	if err := awaitText(g.members[0].redis, "connected_slaves:2", "INFO", "replication"); err != nil {
		return nil, err
	}
	if !sentinels {
		return g, nil
	}
	return g, b.addSentinels(g, path)
}

// addSentinels has them watch the group. All are on one address: they know each other and the replicas by where connections come from.
func (b *bench) addSentinels(g *group, path string) error {
	ip, p, _ := net.SplitHostPort(g.members[0].redis)
	for range groupSize {
		s, err := b.prepareServer("sentinel", path, b.loose.server)
		if err != nil {
			return err
		}
		if s.guard, err = place(0); err != nil {
			return err
		}
		own, port, _ := net.SplitHostPort(s.guard)
		file := filepath.Join(s.data, "sentinel.conf")
		text := fmt.Sprintf("bind %s\nport %s\ndir %s\nsentinel monitor mymaster %s %s 2\nsentinel down-after-milliseconds mymaster 5000\n", own, port, s.data, ip, p)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
		s.args = []string{file, "--sentinel"}
		g.guards = append(g.guards, s)
	}
	if err := b.launchGroup(g.guards); err != nil {
		return err
	}
	for _, s := range g.guards {
		if err := awaitText(s.guard, "slaves=2,sentinels=3", "INFO", "sentinel"); err != nil {
			return err
		}
	}
	return nil
}

// awaitText asks a Redis server until its reply has text in it.
func awaitText(addr, text string, args ...string) error {
	var reply string
	for end := time.Now().Add(settleLimit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		c, err := dialRedis(addr)
		if err != nil {
			continue
		}
		reply, _ = c.do(args...)
		c.close()
		if strings.Contains(reply, text) {
			return nil
		}
	}
	return fmt.Errorf("%s does not say %q after %s: %s", strings.Join(args, " "), text, settleLimit, tail([]byte(reply), 400))
}

// startEtcd runs three etcd as their defaults have them; nil if the machine has none.
func (b *bench) startEtcd() (*group, error) {
	path, err := exec.LookPath("etcd")
	if err != nil {
		return nil, nil
	}
	g := &group{}
	var list []string
	for i := range groupSize {
		s, err := b.prepareServer("etcd", path, b.loose.server)
		if err != nil {
			return nil, err
		}
		for _, a := range []*string{&s.etcd, &s.peer} {
			if *a, err = place(i); err != nil {
				return nil, err
			}
		}
		s.member = fmt.Sprint("e", i+1)
		list = append(list, s.member+"=http://"+s.peer)
		g.members = append(g.members, s)
	}
	for _, s := range g.members {
		s.args = []string{"--name", s.member, "--data-dir", filepath.Join(s.data, "state"), "--initial-cluster", strings.Join(list, ","),
			"--listen-client-urls", "http://" + s.etcd, "--advertise-client-urls", "http://" + s.etcd,
			"--listen-peer-urls", "http://" + s.peer, "--initial-advertise-peer-urls", "http://" + s.peer,
			"--quota-backend-bytes", "8589934592", "--logger", "zap", "--log-outputs", "stderr", "--log-level", "error"}
	}
	g.leads = g.etcdLeader
	return g, b.launchGroup(g.members)
}

// etcdLeader is the member whose own identity is that of the leader it knows.
func (g *group) etcdLeader() (*server, error) {
	client := http.Client{Timeout: askLimit}
	for _, m := range g.members {
		r, err := client.Post("http://"+m.etcd+"/v3/maintenance/status", "application/json", strings.NewReader("{}"))
		if err != nil {
			return nil, err
		}
		var st struct {
			Leader string
			Header struct {
				ID string `json:"member_id"`
			}
		}
		err = json.NewDecoder(r.Body).Decode(&st)
		r.Body.Close()
		if err != nil {
			return nil, err
		}
		if st.Leader != "" && st.Leader == st.Header.ID {
			return m, nil
		}
	}
	return nil, errors.New("no etcd says that it leads")
}

// children are the processes that s has started.
func (s *server) children() (pids []int) {
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range all {
		text, _ := os.ReadFile(f) // a process that has ended has none
		_, rest, _ := strings.Cut(string(text), ") ")
		if f := strings.Fields(rest); len(f) < 2 || f[1] != strconv.Itoa(s.pid()) {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(f, "/")[2]); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// powerOff ends the server and what it has started, so that nobody is left who could tell.
func (s *server) powerOff() {
	pids := s.children()
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGSTOP)
	}
	s.kill()
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// pause stops the process as it stands, or lets it go on.
func (s *server) pause(stopped bool) error {
	if stopped {
		return s.cmd.Process.Signal(syscall.SIGSTOP)
	}
	return s.cmd.Process.Signal(syscall.SIGCONT)
}

// drain ends the server as systemd does and waits for that.
func (s *server) drain() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	late := time.AfterFunc(settleLimit, func() { s.cmd.Process.Kill() })
	defer late.Stop()
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("%s after SIGTERM: %w", s.name, err)
	}
	return nil
}
