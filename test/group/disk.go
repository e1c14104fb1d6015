//go:build linux

package group

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// diskSize is a sparse file's: it takes only what is written.
const diskSize = 1 << 30

func image(dir string, index int) string {
	return filepath.Join(dir, fmt.Sprintf("disk%d.img", index+1))
}

// mountDisk mounts a file system of the host's own at dir. It runs on the host's thread.
func (h *host) mountDisk(dir string) error {
	file := image(filepath.Dir(dir), h.index)
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(diskSize); err != nil {
		return err
	}
	for _, c := range []*exec.Cmd{
		exec.Command("mkfs.ext4", "-q", "-F", "-m", "0", file),
		exec.Command("mount", "-o", "loop", file, dir),
	} {
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", c.Args[0], err, out)
		}
	}
	h.disk = dir
	return nil
}

// Freeze stops the member's disk for a while: whoever writes to it waits. It returns at once. The thaw is a process of its own, so
// that it comes even if this one is killed.
func (m *Member) Freeze(d time.Duration) error {
	script := fmt.Sprintf("fsfreeze -f %[1]q && sleep %.3[2]f; fsfreeze -u %[1]q", m.host.disk, d.Seconds())
	cmd := exec.Command("sh", "-c", script)
	if err := m.host.do(cmd.Start); err != nil {
		return err
	}
	go cmd.Wait()
	return nil
}

// thaw ends a Freeze that may still last: a process that writes to a frozen disk cannot even be killed.
func (h *host) thaw() error {
	if h.disk == "" {
		return nil
	}
	_ = h.run("fsfreeze", "-u", h.disk) // fails where nothing is frozen
	return h.empty()
}

func (h *host) ballastFile() string { return filepath.Join(h.disk, "ballast") }

// Fill takes all room on the member's disk, Empty gives it back.
func (m *Member) Fill() error {
	h := m.host
	return h.do(func() error {
		var s unix.Statfs_t
		if err := unix.Statfs(h.disk, &s); err != nil {
			return err
		}
		f, err := os.Create(h.ballastFile())
		if err != nil {
			return err
		}
		defer f.Close()
		h.ballast = true
		for size := int64(s.Bavail) * s.Bsize; size >= s.Bsize; size /= 2 { // the file's own blocks take room too
			var at unix.Stat_t
			if err := unix.Fstat(int(f.Fd()), &at); err != nil {
				return err
			}
			for unix.Fallocate(int(f.Fd()), 0, at.Size, size) == nil {
				at.Size += size
			}
		}
		return nil
	})
}

// Empty is the end of Fill.
func (m *Member) Empty() error { return m.host.empty() }

func (h *host) empty() error {
	if !h.ballast {
		return nil
	}
	h.ballast = false
	return h.do(func() error { return os.Remove(h.ballastFile()) })
}
