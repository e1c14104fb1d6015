package main

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownEnd returns a file that becomes readable when this process has ended (pidfd_open(2)): all its threads, however it came about.
func ownEnd() (*os.File, error) {
	fd, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "own end"), nil
}

// awaitEnd returns when the process of ownEnd has ended.
func awaitEnd(end *os.File) error {
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(end.Fd()), Events: unix.POLLIN}}, -1)
		if n == 1 && err == nil {
			return nil
		}
		if err != nil && err != unix.EINTR {
			return err
		}
	}
}

// apart keeps a child out of what is sent to the daemon's process group.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// ignoreSignals has the coroner outlive what asks the daemon to stop.
func ignoreSignals() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGPIPE)
}
