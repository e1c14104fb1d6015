package server

import (
	"runtime"
	"testing"
	"time"

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

// Input behind a parked request does not keep the loop awake.
func TestSleeps(t *testing.T) {
	r := newRig(t, "loop", func(c *Config) { c.Loops = 1 })
	c, other := r.dial(), r.dial()
	c.say("never\n")
	s := await(t, r.world.parked, "the parked session")
	c.say("echo a\n")
	other.say("echo b\n")
	other.hear("b")
	l := r.homes[0].(*loop)
	for end := time.Now().Add(patience); !l.sleeping.Load(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("the loop does not sleep")
		}
	}
	s.ready.Store(true)
	s.wake()
	c.hear("", "a")
}

// pong answers every byte with a kilobyte, after parking once.
type pong struct {
	conn   *Conn
	parked []*pong // the worker's
	asked  int
}

func (p *pong) Session(_ string, c *Conn) Session { p.conn = c; return p }
func (p *pong) Close()                            {}

func (p *pong) Flush() {
	for _, c := range p.parked {
		c.conn.Wake()
	}
	p.parked = p.parked[:0]
}

func (p *pong) Process(in, out []byte) (used int, reply []byte, next int) {
	if p.asked == 0 {
		p.asked = len(in)
		p.parked = append(p.parked, p)
		return 0, append(out, 'p'), 0
	}
	p.asked = 0
	return len(in), append(out, kilobyte[1:]...), 1
}

var kilobyte = make([]byte, 1024)

// A request, even one that waits for a flush of the worker, allocates nothing.
func TestAllocations(t *testing.T) {
	path := t.TempDir() + "/s"
	s, err := Start(Config{Listeners: []Listener{{Address: path}}, Loops: 1}, func(func()) Worker { return &pong{} })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close(t.Context())
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var before, after runtime.MemStats
	var b [2048]byte
	const warm, rounds = 100, 2000
	for i := range warm + rounds {
		if i == warm {
			runtime.ReadMemStats(&before)
		}
		unix.Write(fd, b[:1])
		if n, err := unix.Read(fd, b[:]); n != 1024 {
			t.Fatal(n, err)
		}
	}
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > rounds/10 {
		t.Errorf("%d allocations for %d requests", n, rounds)
	}
}
