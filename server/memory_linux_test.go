package server

import (
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// An idle connection of a loop costs less than 2 KiB: it keeps no buffer.
func TestIdleMemory(t *testing.T) {
	const conns = 9_900
	if testing.Short() {
		t.Skip("opens 20,000 descriptors")
	}
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil || lim.Cur < 2*conns+100 {
		t.Skipf("needs %d descriptors, may have %d: raise ulimit -n", 2*conns+100, lim.Cur)
	}
	r := newRig(t, "loop-unix", func(c *Config) { c.MaxClients = conns })
	before := inUse()
	name := r.Addr("toy").String()
	fds := make([]int, conns)
	line := []byte("echo hello\n")
	for i := range fds {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: name}); err != nil {
			t.Fatal(err)
		}
		fds[i] = fd
	}
	for _, fd := range fds { // each has been used
		unix.Write(fd, line[:4])
		unix.Write(fd, line[4:])
		var b [64]byte
		if n, err := unix.Read(fd, b[:]); err != nil || string(b[:n]) != "hello\n" {
			t.Fatal(n, err)
		}
	}
	each := (inUse() - before) / conns
	t.Logf("%d bytes for each of %d connections, with the toy's session", each, conns)
	if each > 2<<10 {
		t.Error("too much")
	}
	if n := r.Stats(); n.Connections != conns || n.Buffered != 0 {
		t.Errorf("%+v", n)
	}
}

func inUse() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}
