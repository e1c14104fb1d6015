//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"holdfast/test/group"
)

// patience is how long a server may take to accept connections.
const patience = 20 * time.Second

// server is a fresh one, for one unit.
type server struct {
	addr string // of the protocol that is tested
	dir  string // for what the run needs; removed with the server's data
	stop func()
}

func (s *server) port() string { _, port, _ := net.SplitHostPort(s.addr); return port }

// startHoldfast starts a group of one; address picks the port that is tested.
func startHoldfast(dir, binary string, address func(*group.Member) string, args ...string) (*server, error) {
	g, err := group.New(group.Options{Binary: binary, Dir: dir, Members: 1, Args: args})
	if err != nil {
		return nil, err
	}
	if err := g.Start(patience); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return &server{address(g.Members[0]), dir, func() { g.Close() }}, nil
}

// startOriginal starts a program that listens on a port.
func startOriginal(dir string, command func(port string) []string) (*server, error) {
	var said bytes.Buffer
	var last error
	for range 10 {
		port := strconv.Itoa(12000 + rand.IntN(20000))
		args := command(port)
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &said, &said
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		ended := make(chan struct{})
		go func() { cmd.Wait(); close(ended) }()
		s := &server{"127.0.0.1:" + port, dir, func() { cmd.Process.Kill(); <-ended }}
		if last = listens(s.addr, ended); last == nil {
			return s, nil
		}
		s.stop()
	}
	return nil, fmt.Errorf("no server would start: %w: %.500s", last, said.Bytes())
}

// listens waits until somebody accepts at addr.
func listens(addr string, ended <-chan struct{}) error {
	for end := time.Now().Add(patience); ; {
		select {
		case <-ended:
			return errors.New("it ended at once")
		case <-time.After(10 * time.Millisecond):
		}
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(end) {
			return err
		}
	}
}

// command runs a test program and returns all it said, and how it ended if that was not of itself. It gets a process group of its own: a test may
// send signals to that.
func command(limit time.Duration, dir string, env []string, name string, args ...string) (said []byte, ended string) {
	var out bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return nil, err.Error()
	}
	late := time.AfterFunc(limit, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err := cmd.Wait()
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it left behind
	if !late.Stop() {
		return out.Bytes(), fmt.Sprintf("it was not done after %v", limit)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return out.Bytes(), fmt.Sprintf("it ended with status %d", exit.ExitCode())
	}
	if err != nil {
		return out.Bytes(), err.Error()
	}
	return out.Bytes(), ""
}
