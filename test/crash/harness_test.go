// Package crash_test runs the built daemon, kills it, stops it and damages its files, and looks at what its clients find afterwards.
package crash_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for anything that must happen.
const patience = 20 * time.Second

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "holdfast-crash-")
	if err == nil {
		binary = filepath.Join(dir, "holdfast")
		cmd := exec.Command("go", "build", "-o", binary, "holdfast/cmd/holdfast")
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		err = cmd.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "building the daemon:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// daemon is a running holdfast on free ports.
type daemon struct {
	t                       *testing.T
	cmd                     *exec.Cmd
	greeting                string
	redis, memcached, admin string // addresses
	ended                   chan struct{}
	err                     error // of Wait; after ended

	mu  sync.Mutex
	log bytes.Buffer // what it said on standard error
}

// command is holdfast with free ports and these further arguments.
func command(args ...string) *exec.Cmd {
	all := append([]string{"serve", "--redis-listen=127.0.0.1:0", "--memcached-listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"}, args...)
	cmd := exec.Command(binary, all...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "HOLDFAST_") }) // they would be settings
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// start runs a daemon and returns when it serves.
func start(t *testing.T, args ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, cmd: command(args...), ended: make(chan struct{})}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	d.cmd.Stderr = d
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.kill)
	late := time.AfterFunc(patience, func() { d.cmd.Process.Kill() })
	d.greet(out)
	late.Stop()
	go func() {
		io.Copy(io.Discard, out)
		d.err = d.cmd.Wait()
		close(d.ended)
	}()
	if d.admin == "" {
		<-d.ended
		t.Fatalf("the daemon did not begin to serve (%v):\n%s%s", d.err, d.greeting, d.said())
	}
	return d
}

// greet reads what the daemon says when it serves, up to its last line.
func (d *daemon) greet(out io.Reader) {
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadString('\n')
		d.greeting += line
		words := strings.Fields(line)
		if err != nil {
			d.admin = ""
			return
		}
		if len(words) < 2 {
			continue
		}
		if len(words) > 2 && words[2] == "(TLS)" {
			continue
		}
		switch words[0] {
		case "Redis":
			d.redis = words[1]
		case "memcached":
			d.memcached = words[1]
		case "admin":
			d.admin = strings.TrimPrefix(words[1], "http://")
		case "stop":
			return
		}
	}
}

func (d *daemon) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.Write(b)
}

// said is what the daemon wrote on standard error so far.
func (d *daemon) said() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.String()
}

// kill ends it as a power failure of the process would.
func (d *daemon) kill() {
	d.cmd.Process.Kill()
	<-d.ended
}

// stop sends SIGTERM and returns how long the daemon took; it must end with exit code 0.
func (d *daemon) stop() time.Duration {
	d.t.Helper()
	began := time.Now()
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(patience):
		d.t.Fatalf("not stopped after %v:\n%s", patience, d.said())
	}
	if d.err != nil {
		d.t.Errorf("stopped with %v:\n%s", d.err, d.said())
	}
	return time.Since(began)
}

// refuse runs a command that must fail, and returns its exit code and what it wrote.
func refuse(t *testing.T, cmd *exec.Cmd) (code int, out string) {
	t.Helper()
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer late.Stop()
	err := cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("%v: %v, want a refusal\n%s", cmd.Args, err, b.String())
	}
	return exit.ExitCode(), b.String()
}

func (d *daemon) page(path string) (int, string) {
	d.t.Helper()
	res, err := http.Get("http://" + d.admin + path)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(body)
}

// client is a connection of either protocol, whose requests and replies are lines (and values).
type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, address string) *client {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(2 * patience))
	return &client{c, bufio.NewReader(c)}
}

// line reads a line without its end.
func (c *client) line() (string, error) {
	s, err := c.r.ReadString('\n')
	return strings.TrimSuffix(s, "\r\n"), err
}

// bulk reads a reply of Redis that is a string; missing is "(nil)".
func (c *client) bulk() (string, error) {
	head, err := c.line()
	if err != nil || head == "$-1" || head == "_" {
		return "(nil)", err
	}
	var n int
	if _, err := fmt.Sscanf(head, "$%d", &n); err != nil {
		return head, fmt.Errorf("%q is no string", head)
	}
	b := make([]byte, n+2)
	if _, err := io.ReadFull(c.r, b); err != nil {
		return "", err
	}
	return string(b[:n]), nil
}

// ask sends an inline command of Redis and returns the line of the reply.
func (c *client) ask(t *testing.T, command string) string {
	t.Helper()
	fmt.Fprintf(c, "%s\r\n", command)
	s, err := c.line()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return s
}

// resp encodes a command as clients do.
func resp(args ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(a), a)
	}
	return b.Bytes()
}

// gets reads many keys by one pipeline of GETs.
func (c *client) gets(t *testing.T, keys []string) []string {
	t.Helper()
	go func() {
		w := bufio.NewWriter(c)
		for _, k := range keys {
			w.Write(resp("GET", k))
		}
		w.Flush()
	}()
	values := make([]string, len(keys))
	for i := range keys {
		v, err := c.bulk()
		if err != nil {
			t.Fatalf("GET %s: %v", keys[i], err)
		}
		values[i] = v
	}
	return values
}
