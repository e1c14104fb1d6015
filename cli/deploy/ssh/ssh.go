// Package ssh carries out commands on other machines by the system's own ssh program, so that the operator's configuration, keys, agent and
// known hosts count. It knows nothing of Holdfast. Read Host first.
package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Limits of one command on another machine.
const (
	maxOutput = 4 << 20  // bytes of what it says; more is an error
	maxErrors = 16 << 10 // bytes kept of the end of what it complains
	connectIn = 10       // seconds
	waitDelay = 5 * time.Second
)

// unreachable is ssh's own exit code: the command was not carried out, or the connection broke.
const unreachable = 255

// Session is what the hosts of one run share: a directory with the sockets over which ssh keeps its connections.
type Session struct {
	dir  string
	user string
}

// New begins a session in which commands are carried out as user, by sudo if that is not root.
func New(user string) (*Session, error) {
	dir, err := os.MkdirTemp("", "holdfast-ssh-")
	if err != nil {
		return nil, err
	}
	return &Session{dir: dir, user: user}, nil
}

// Close ends the connections.
func (s *Session) Close() {
	sockets, _ := filepath.Glob(filepath.Join(s.dir, "*"))
	for _, socket := range sockets {
		ctx, cancel := context.WithTimeout(context.Background(), connectIn*time.Second)
		// The name does not matter where the socket is named, but has to be there.
		exec.CommandContext(ctx, "ssh", "-o", "ControlPath="+socket, "-O", "exit", "--", "host").Run()
		cancel()
	}
	os.RemoveAll(s.dir)
}

// Host is a machine by the name under which ssh knows it.
type Host struct {
	name, user string
	dir        string
}

// Host returns a machine. user may be empty for that of the session. Neither may begin with a dash; both come from the command line.
func (s *Session) Host(user, name string) *Host {
	if user == "" {
		user = s.user
	}
	return &Host{name: name, user: user, dir: s.dir}
}

// Error is a command that went wrong.
type Error struct {
	// Unreachable says that the machine was not reached, or not to the end: what the command did is unknown.
	Unreachable bool
	Text        string // the last line of what it or ssh complained
}

func (e *Error) Error() string { return e.Text }

// Run has the machine's shell carry out script as root, with args as $1 and so on, and input as its standard input. It returns what that
// printed. No byte of args is ever seen by a shell as anything but an argument.
func (h *Host) Run(ctx context.Context, script string, args []string, input io.Reader) ([]byte, error) {
	words := append([]string{"sh", "-c", script, "holdfast-deploy"}, args...)
	if h.user != "root" {
		words = append([]string{"sudo", "-n", "--"}, words...)
	}
	cmd := exec.CommandContext(ctx, "ssh",
		"-o", "BatchMode=yes", "-o", fmt.Sprint("ConnectTimeout=", connectIn),
		"-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3",
		"-o", "ControlMaster=auto", "-o", "ControlPersist=60", "-o", "ControlPath="+filepath.Join(h.dir, "%C"),
		"-T", "-l", h.user, "--", h.name, quoteAll(words))
	out, complaints := &bounded{max: maxOutput}, &tail{max: maxErrors}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, out, complaints
	cmd.WaitDelay = waitDelay // the connection that ssh leaves behind holds stderr
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case out.over:
		return nil, &Error{Text: fmt.Sprintf("it printed more than %d bytes", maxOutput)}
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return out.text.Bytes(), nil
	case ctx.Err() != nil:
		return nil, &Error{Unreachable: true, Text: "no answer in time"}
	case errors.As(err, &exit) && exit.ExitCode() != unreachable:
		return nil, &Error{Text: complaints.last(exit.String())}
	case errors.As(err, &exit):
		return nil, &Error{Unreachable: true, Text: complaints.last("the connection broke")}
	}
	return nil, &Error{Unreachable: true, Text: err.Error()}
}

// quoteAll writes words so that a shell reads exactly these.
func quoteAll(words []string) string {
	var all []string
	for _, w := range words {
		all = append(all, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
	}
	return strings.Join(all, " ")
}

// bounded keeps what is written to it, up to a limit.
type bounded struct {
	text bytes.Buffer
	max  int
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.text.Len()+len(p) > b.max {
		b.over = true
		return 0, io.ErrShortWrite
	}
	return b.text.Write(p)
}

// tail keeps the end of what is written to it.
type tail struct {
	kept []byte
	max  int
}

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - t.max; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

// last is the last line that says something, as printable text.
func (t *tail) last(otherwise string) string {
	lines := strings.Split(strings.TrimSpace(string(t.kept)), "\n")
	line := strings.TrimSpace(lines[len(lines)-1])
	line = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return -1
		}
		return r
	}, line)
	if line = strings.TrimRight(line, "."); line == "" {
		return otherwise
	}
	return line
}
