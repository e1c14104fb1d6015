//go:build linux

package group

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Apartable says why members cannot have hosts of their own here, nil if they can.
func Apartable() error {
	if os.Geteuid() != 0 {
		return errors.New("network namespaces need root")
	}
	if err := unix.Access("/dev/net/tun", unix.R_OK|unix.W_OK); err != nil {
		return fmt.Errorf("/dev/net/tun: %w", err)
	}
	return nil
}

// host is a network and a mount namespace. Both belong to a thread that does what is asked of it; whatever it mounted and configured
// is gone when the thread and the processes that it started are, however this process ends.
type host struct {
	calls   chan func()
	network *network
	index   int
	disk    string // where its own disk is mounted; empty: it has none
	ballast bool
}

func newHost(n *network, index int, dir string) (*host, error) {
	h := &host{calls: make(chan func()), network: n, index: index}
	began := make(chan error)
	go h.live(began)
	err := <-began
	if err == nil {
		err = h.do(func() error { return n.plug(index) })
	}
	if err == nil {
		err = h.do(func() error { return h.mountDisk(dir) })
	}
	if err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

// live is the thread's life. It never unlocks the thread, so that the runtime ends it with the goroutine.
func (h *host) live(began chan<- error) {
	runtime.LockOSThread()
	err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS)
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	began <- err
	for f := range h.calls {
		f()
	}
}

// do runs f on the host's thread. Safe for concurrent use.
func (h *host) do(f func() error) error {
	done := make(chan error, 1)
	h.calls <- func() { done <- f() }
	return <-done
}

// run runs a program on the host.
func (h *host) run(name string, args ...string) error {
	var out strings.Builder
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := h.do(cmd.Start); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(out.String()))
	}
	return nil
}

func (h *host) close() {
	h.network.unplug(h.index)
	if h.disk != "" {
		h.do(func() error { return unix.Unmount(h.disk, unix.MNT_DETACH) })
		os.Remove(image(filepath.Dir(h.disk), h.index))
	}
	close(h.calls)
}
