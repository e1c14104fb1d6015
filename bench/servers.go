//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"holdfast/bench/load"
)

// startLimit is how long a server may take until it serves, restarts with a gigabyte of state included.
const startLimit = 2 * time.Minute

// placement says on which processors server and generator run.
type placement struct{ server, generator []int }

// server is a running server under measurement.
type server struct {
	name   string
	redis  string // its address for the Redis protocol, if it has one
	tls    string
	memc   string // its address for the memcached protocol
	etcd   string // its address for etcd's clients
	guard  string // its address as a sentinel
	admin  string
	member string // its name in its group, if it has one
	peer   string // its address for the other members
	data   string // its directory
	cpus   []int
	binary string
	args   []string
	env    []string
	cmd    *exec.Cmd
	log    *os.File
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// addr is where s speaks protocol.
func (s *server) addr(protocol string) string {
	switch protocol {
	case "memcache":
		return s.memc
	case "etcd":
		return s.etcd
	}
	return s.redis
}

// start runs the server on its processors and waits until it serves.
func (s *server) start() error {
	if err := s.spawn(); err != nil {
		return err
	}
	return s.awaitServing()
}

// spawn runs the server and does not wait.
func (s *server) spawn() error {
	s.cmd = exec.Command(s.binary, s.args...)
	s.cmd.Env = append(os.Environ(), s.env...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := startOn(s.cmd, s.cpus); err != nil {
		return fmt.Errorf("starting %s: %w", s.binary, err)
	}
	return nil
}

// awaitServing returns once it serves; one that does not is ended.
func (s *server) awaitServing() error {
	if err := s.awaitReady(); err != nil {
		s.stop()
		said, _ := os.ReadFile(s.log.Name())
		log.Printf("%s %s: %s", s.binary, strings.Join(s.args, " "), tail(said, 600))
		return fmt.Errorf("starting %s: %w (what it said stands in the output of the benchmark)", s.name, err)
	}
	return nil
}

func tail(b []byte, n int) string { return strings.TrimSpace(string(b[max(0, len(b)-n):])) }

// awaitReady returns once s answers from its state on all its ports.
func (s *server) awaitReady() error {
	var err error
	for deadline := time.Now().Add(startLimit); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if err = s.ready(); err == nil {
			return nil
		}
		if s.cmd.Process.Signal(syscall.Signal(0)) != nil || exited(s.pid()) {
			return errors.New("it ended at once")
		}
	}
	return fmt.Errorf("not ready within %s: %w", startLimit, err)
}

func exited(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(b), ") Z ")
}

func (s *server) ready() error {
	if s.admin != "" {
		r, err := http.Get("http://" + s.admin + "/readyz")
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return fmt.Errorf("readyz: %s", r.Status)
		}
	}
	if s.redis != "" {
		c, err := dialRedis(s.redis)
		if err != nil {
			return err
		}
		defer c.close()
		if _, err := c.do("GET", "is it loading"); err != nil {
			return err
		}
	}
	if s.etcd != "" {
		r, err := http.Get("http://" + s.etcd + "/health") // that of the group
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return fmt.Errorf("health: %s", r.Status)
		}
	}
	if s.memc != "" {
		c, err := net.Dial("tcp", s.memc)
		if err != nil {
			return err
		}
		c.Close()
	}
	return nil
}

// kill ends the server as a crash does.
func (s *server) kill() {
	if s.cmd == nil {
		return // it was never started
	}
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// stop ends the server; what it had on disk stays until cleanup.
func (s *server) stop() {
	if s.cmd == nil || s.cmd.ProcessState == nil {
		s.kill()
	}
	s.log.Close()
}

// rss is the server's resident memory in bytes.
func (s *server) rss() (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid()))
	if err != nil {
		return 0, err
	}
	return residentBytes(string(b))
}

// residentBytes finds VmRSS in /proc/PID/status.
func residentBytes(status string) (float64, error) {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			return kib * 1024, err
		}
	}
	return 0, errors.New("no VmRSS in the status of the process")
}

// startOn starts cmd on the given processors: a child inherits the affinity of the thread that forks it, so all its threads have it.
func startOn(cmd *exec.Cmd, cpus []int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, wanted unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return err
	}
	for _, c := range cpus {
		wanted.Set(c)
	}
	if err := unix.SchedSetaffinity(0, &wanted); err != nil {
		return err
	}
	return errors.Join(cmd.Start(), unix.SchedSetaffinity(0, &before))
}

// processors lists those that this process may use.
func processors() (cpus []int, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, err
	}
	for c := range 1024 {
		if set.IsSet(c) {
			cpus = append(cpus, c)
		}
	}
	return cpus, nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// prepareServer gives a new server its directory and its log file.
func (b *bench) prepareServer(name, binary string, cpus []int) (*server, error) {
	dir, err := os.MkdirTemp(b.scratch, "")
	if err != nil {
		return nil, err
	}
	out, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		return nil, err
	}
	s := &server{name: name, binary: binary, data: dir, log: out, cpus: cpus}
	return s, nil
}

func (b *bench) launch(s *server) (*server, error) {
	if err := s.start(); err != nil {
		return nil, err
	}
	b.servers = append(b.servers, s)
	return s, nil
}

// redisMode is what a Redis server keeps on disk, and whether it speaks TLS.
type redisMode struct{ appendOnly, tls bool }

// startRedis runs redis-server or valkey-server; nil if the machine has none of that name.
func (b *bench) startRedis(binary string, cpus []int, mode redisMode) (*server, error) {
	path, err := exec.LookPath(binary)
	if err != nil {
		return nil, nil
	}
	s, err := b.prepareServer(strings.TrimSuffix(binary, "-server"), path, cpus)
	if err != nil {
		return nil, err
	}
	if s.redis, err = freePort(); err != nil {
		return nil, err
	}
	s.args = []string{"--bind", "127.0.0.1", "--port", port(s.redis), "--dir", s.data, "--save", "", "--io-threads", "1"}
	if mode.appendOnly {
		s.args = append(s.args, "--appendonly", "yes", "--appendfsync", "everysec")
	} else {
		s.args = append(s.args, "--appendonly", "no")
	}
	if mode.tls {
		if s.tls, err = freePort(); err != nil {
			return nil, err
		}
		s.args = append(s.args, "--tls-port", port(s.tls), "--tls-cert-file", b.cert, "--tls-key-file", b.key, "--tls-auth-clients", "no")
	}
	return b.launch(s)
}

// startMemcached runs memcached with its four threads, or with one on a single processor; nil if there is none here.
func (b *bench) startMemcached(cpus []int) (*server, error) {
	path, err := exec.LookPath("memcached")
	if err != nil {
		return nil, nil
	}
	s, err := b.prepareServer("memcached", path, cpus)
	if err != nil {
		return nil, err
	}
	if s.memc, err = freePort(); err != nil {
		return nil, err
	}
	threads := 4
	if len(cpus) == 1 {
		threads = 1
	}
	s.args = []string{"-l", "127.0.0.1", "-p", port(s.memc), "-U", "0", "-m", "16384", "-c", "4096", "-t", strconv.Itoa(threads)}
	if os.Geteuid() == 0 {
		s.args = append(s.args, "-u", "root")
	}
	return b.launch(s)
}

// startHoldfast runs the daemon with one event loop per processor that it gets; nil if only the peers are measured.
func (b *bench) startHoldfast(durability string, cpus []int, more ...string) (*server, error) {
	if b.holdfast == "none" {
		return nil, nil
	}
	s, err := b.prepareServer("holdfast, "+durability, b.holdfast, cpus)
	if err != nil {
		return nil, err
	}
	for _, a := range []*string{&s.redis, &s.tls, &s.memc, &s.admin} {
		if *a, err = freePort(); err != nil {
			return nil, err
		}
	}
	s.args = append([]string{
		"serve", "--data", filepath.Join(s.data, "state"), "--durability", durability, "--memory-limit", "0", "--loops", strconv.Itoa(len(cpus)),
		"--redis-listen", s.redis, "--memcached-listen", s.memc, "--admin-listen", s.admin,
		"--redis-tls-listen", s.tls, "--tls-cert", b.cert, "--tls-key", b.key, "--log-level", "warn",
	}, more...)
	s.env = []string{"GODEBUG=gctrace=1"}
	return b.launch(s)
}

// startLimitServer runs the C server that answers a constant; nil without a C compiler.
func (b *bench) startLimitServer(cpus []int, value int) (*server, error) {
	if b.climit == "" {
		return nil, nil
	}
	s, err := b.prepareServer("C limit", b.climit, cpus)
	if err != nil {
		return nil, err
	}
	get, set := load.Templates("redis", value)
	s.cmd = exec.Command(b.climit, strconv.Itoa(len(get)), strconv.Itoa(len(set)), strconv.Itoa(value))
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startOn(s.cmd, cpus); err != nil {
		return nil, fmt.Errorf("starting %s: %w", b.climit, err)
	}
	b.servers = append(b.servers, s)
	line, err := bufio.NewReader(out).ReadString('\n')
	s.redis = "127.0.0.1:" + strings.TrimSpace(line)
	return s, err
}

// collectorSeconds sums what the collector has used so far, from the trace that GODEBUG=gctrace=1 makes the daemon write.
func (s *server) collectorSeconds() (float64, error) {
	trace, err := os.ReadFile(s.log.Name())
	if err != nil {
		return 0, err
	}
	return collectorTrace(string(trace))
}

// collectorTrace adds up the CPU times of lines such as
// "gc 1 @0.018s 1%: 0.01+0.4+0.07 ms clock, 0.1+0.4/0.5/0.03+0.5 ms cpu, 4->4->0 MB, ...".
func collectorTrace(text string) (seconds float64, err error) {
	for line := range strings.Lines(text) {
		_, rest, ok := strings.Cut(line, " ms clock, ")
		if !ok || !strings.HasPrefix(line, "gc ") {
			continue
		}
		times, _, _ := strings.Cut(rest, " ms cpu")
		for t := range strings.FieldsFuncSeq(times, func(r rune) bool { return r == '+' || r == '/' }) {
			ms, err := strconv.ParseFloat(t, 64)
			if err != nil {
				return 0, fmt.Errorf("collector trace %q: %w", line, err)
			}
			seconds += ms / 1e3
		}
	}
	return seconds, nil
}

// stopAll ends every server and removes what it had on disk.
func (b *bench) stopAll() {
	for len(b.servers) > 0 {
		b.discard(b.servers[0])
	}
}

// discard does so for one, so that the next has the memory.
func (b *bench) discard(s *server) {
	s.stop()
	if err := os.RemoveAll(s.data); err != nil {
		log.Print(err)
	}
	b.servers = slices.DeleteFunc(b.servers, func(o *server) bool { return o == s })
}
