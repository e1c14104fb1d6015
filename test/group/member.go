//go:build linux

package group

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	dialLimit = 300 * time.Millisecond // members are near: who does not accept at once is down, or its backlog is full
	pageLimit = time.Second
)

// Member is one daemon of a group, up or down. The addresses are as its own host sees them.
type Member struct {
	Name                          string
	Redis, Memcached, Admin, Peer string
	Data                          string // its data directory; only its own host sees it

	binary, log string
	args        []string
	host        *host // nil: this machine's
	process     *process
	stopped     bool // by SIGSTOP
}

// process is one life of a daemon.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // of Wait; after ended
}

// Status is what the harness reads of GET /status.
type Status struct {
	Verdict   string     `json:"verdict"` // healthy, or what is the matter
	Why       string     `json:"why"`
	Role      string     `json:"role"`
	Leader    string     `json:"leader"`
	Term      uint64     `json:"term"`
	Members   int        `json:"members"`
	Missing   []string   `json:"missing"`
	Peers     []Peer     `json:"peers"`
	Elections []Election `json:"elections"`
}

// Peer is a member as another sees it.
type Peer struct {
	Name    string `json:"name"`
	Differs uint64 `json:"differs"` // an entry after which its state was another one, 0 for none
}

// Election is a change of leadership that the member remembers.
type Election struct {
	At     time.Time `json:"at"`
	Term   uint64    `json:"term"`
	Leader string    `json:"leader"`
	Cause  string    `json:"cause"`
	TookMs float64   `json:"took_ms"`
}

// Log is the file that the member's daemons write to, all lives of it one after the other.
func (m *Member) Log() string { return m.log }

func (m *Member) fault(format string, a ...any) error {
	return fmt.Errorf("%s %s; its log is %s", m.Name, fmt.Sprintf(format, a...), m.log)
}

// on runs f where the member lives.
func (m *Member) on(f func() error) error {
	if m.host == nil {
		return f()
	}
	return m.host.do(f)
}

// Dial connects to an address from the member's own host. Safe for concurrent use.
func (m *Member) Dial(address string) (c net.Conn, err error) {
	err = m.on(func() error {
		c, err = net.DialTimeout("tcp", address, dialLimit)
		return err
	})
	return c, err
}

// Up reports whether the daemon's process is there.
func (m *Member) Up() bool {
	if m.process == nil {
		return false
	}
	select {
	case <-m.process.ended:
		return false
	default:
		return true
	}
}

// Use has the next Start start another binary.
func (m *Member) Use(binary string) { m.binary = binary }

// AwaitEnd returns when the process has ended by itself, and how.
func (m *Member) AwaitEnd(patience time.Duration) error {
	select {
	case <-m.process.ended:
		return m.process.err
	case <-time.After(patience):
		return m.fault("has not ended within %v", patience)
	}
}

// Start starts the daemon on its data and returns at once.
func (m *Member) Start() error {
	if m.Up() {
		return nil
	}
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(m.binary, m.args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "HOLDFAST_") }) // they would be settings
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}                           // Ctrl-C is for the harness, whose end is theirs
	if err := m.on(cmd.Start); err != nil {
		return m.fault("could not be started: %v", err)
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	m.process, m.stopped = p, false
	return nil
}

// AwaitReady returns when the member serves writes.
func (m *Member) AwaitReady(patience time.Duration) error {
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if !m.Up() {
			return m.fault("has ended (%v)", m.Ended())
		}
		code, body, err := m.Page("/readyz?mode=write")
		if code == http.StatusOK {
			return nil
		}
		if time.Now().After(end) {
			if err != nil {
				body = err.Error()
			}
			return m.fault("is not ready after %v: %s", patience.Round(time.Second), strings.TrimSpace(body))
		}
	}
}

// Ended is how the process came to its end, nil if it is there or ended with exit code 0.
func (m *Member) Ended() error {
	if m.process == nil || m.Up() {
		return nil
	}
	return m.process.err
}

// Kill ends the process at once, as kill -9 does.
func (m *Member) Kill() {
	if !m.Up() {
		return
	}
	m.process.cmd.Process.Kill()
	<-m.process.ended
}

// Drain asks for a clean end by SIGTERM and returns how long that took; the daemon must end with exit code 0.
func (m *Member) Drain(patience time.Duration) (time.Duration, error) {
	if !m.Up() {
		return 0, m.fault("has ended before it was told to (%v)", m.Ended())
	}
	began := time.Now()
	m.process.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-m.process.ended:
	case <-time.After(patience):
		return patience, m.fault("has not ended %v after SIGTERM", patience)
	}
	if err := m.process.err; err != nil {
		return time.Since(began), m.fault("ended with %v after SIGTERM", err)
	}
	return time.Since(began), nil
}

// Stop halts the process by SIGSTOP; its connections stay. Continue lets it go on.
func (m *Member) Stop() {
	m.stopped = true
	m.process.cmd.Process.Signal(syscall.SIGSTOP)
}

// Continue is the end of Stop.
func (m *Member) Continue() {
	m.stopped = false
	m.process.cmd.Process.Signal(syscall.SIGCONT)
}

// Wipe removes all data of a member that is down: it comes back with an empty disk.
func (m *Member) Wipe() error {
	return m.on(func() error { return os.RemoveAll(m.Data) })
}

// Status asks the daemon how it is.
func (m *Member) Status() (Status, error) {
	var s Status
	code, body, err := m.Page("/status")
	if err == nil && code != http.StatusOK {
		err = m.fault("answers /status with %d %s", code, strings.TrimSpace(body))
	}
	if err == nil {
		err = json.Unmarshal([]byte(body), &s)
	}
	return s, err
}

// Page gets a page of the admin port. Safe for concurrent use.
func (m *Member) Page(path string) (code int, body string, err error) {
	client := http.Client{Timeout: pageLimit, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(_ context.Context, _, address string) (net.Conn, error) { return m.Dial(address) },
	}}
	res, err := client.Get("http://" + m.Admin + path)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, string(b), err
}

func (m *Member) close() error {
	var err error
	if m.host != nil {
		err = m.host.thaw()
	}
	if m.Up() {
		m.Kill()
	}
	if m.host != nil {
		m.host.close()
	}
	return err
}
