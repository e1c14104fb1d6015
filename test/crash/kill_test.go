package crash_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	rounds   = 10
	writers  = 4  // of each protocol
	inFlight = 16 // writes that a writer has sent and not seen answered
)

// writer writes its own keys over one connection until that breaks. What it remembers outlives the daemon.
type writer struct {
	name  string
	redis bool

	sent  int   // writes sent, over all rounds; number n set key n, and the last key "hot" to n
	acked []int // the numbers of those whose key is acknowledged; the reader's
	hot   int   // the highest number whose overwriting of "hot" was acknowledged
	count int   // INCRs acknowledged
	tried int   // INCRs sent
}

// TestKill kills the daemon at random instants under load. Every write that was acknowledged must be there afterwards, none twice.
func TestKill(t *testing.T) {
	for _, durability := range []string{"second", "always"} {
		t.Run(durability, func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			data := filepath.Join(t.TempDir(), "data")
			args := []string{"--data", data, "--durability", durability, "--snapshot-log", "1MiB"}
			var all []*writer
			for i := range writers {
				all = append(all, &writer{name: fmt.Sprint("r", i), redis: true}, &writer{name: fmt.Sprint("m", i)})
			}
			for round := range rounds {
				d := start(t, args...)
				check(t, d, all)
				var wg sync.WaitGroup
				for _, w := range all {
					address := d.memcached
					if w.redis {
						address = d.redis
					}
					c := dial(t, address)
					wg.Go(func() { w.run(c) })
				}
				time.Sleep(time.Duration(50+random.IntN(250)) * time.Millisecond) // the instant is what is random
				d.kill()
				wg.Wait()
				if t.Failed() {
					t.Fatalf("round %d", round)
				}
			}
			d := start(t, args...)
			check(t, d, all)
			total := 0
			for _, w := range all {
				total += len(w.acked)
			}
			t.Logf("%d acknowledged writes, %d rounds", total, rounds)
			d.stop()
		})
	}
}

// run writes until the connection ends. The reader half notes what was acknowledged.
func (w *writer) run(c *client) {
	slots := make(chan int, inFlight)
	var reader sync.WaitGroup
	reader.Go(func() {
		for n := range slots {
			if !w.read(c, n) {
				c.Close()
				for range slots {
				}
				return
			}
		}
	})
	out := bufio.NewWriter(c)
	for {
		n := w.sent
		w.sent++
		w.write(out, n)
		if out.Flush() != nil {
			break
		}
		slots <- n
	}
	close(slots)
	reader.Wait()
}

func (w *writer) key(n int) string { return w.name + ":" + strconv.Itoa(n) }

func (w *writer) write(out *bufio.Writer, n int) {
	value := strconv.Itoa(n)
	if w.redis {
		w.tried++
		out.Write(resp("SET", w.key(n), value, "EX", "3600"))
		out.Write(resp("SET", w.name+":hot", value))
		out.Write(resp("INCR", w.name+":count"))
		return
	}
	fmt.Fprintf(out, "set %s 0 3600 %d\r\n%s\r\n", w.key(n), len(value), value)
	fmt.Fprintf(out, "set %s:hot 0 0 %d\r\n%s\r\n", w.name, len(value), value)
}

// read takes the replies to write n and reports whether they came.
func (w *writer) read(c *client, n int) bool {
	good := "STORED"
	if w.redis {
		good = "+OK"
	}
	if s, err := c.line(); err != nil || s != good {
		return false
	}
	w.acked = append(w.acked, n)
	if s, err := c.line(); err != nil || s != good {
		return false
	}
	w.hot = n
	if w.redis {
		if s, err := c.line(); err != nil || s[0] != ':' {
			return false
		}
		w.count++
	}
	return true
}

// check compares the state with what the writers remember.
func check(t *testing.T, d *daemon, all []*writer) {
	t.Helper()
	for _, w := range all {
		if w.sent == 0 {
			continue
		}
		var keys []string
		for _, n := range w.acked {
			keys = append(keys, w.key(n))
		}
		values := w.values(t, d, append(keys, w.name+":hot", w.name+":count"))
		lost := 0
		for i, k := range keys {
			if w.name+":"+values[i] != k {
				lost++
			}
		}
		if lost > 0 {
			t.Errorf("%s: %d of %d acknowledged writes are lost", w.name, lost, len(keys))
		}
		hot, _ := strconv.Atoi(values[len(keys)])
		if hot < w.hot || hot >= w.sent {
			t.Errorf("%s: overwritten key holds %d; acknowledged %d, sent %d", w.name, hot, w.hot, w.sent)
		}
		if count, _ := strconv.Atoi(values[len(keys)+1]); w.redis && (count < w.count || count > w.tried) {
			t.Errorf("%s: counter is %d; acknowledged %d, sent %d", w.name, count, w.count, w.tried)
		}
	}
}

func (w *writer) values(t *testing.T, d *daemon, keys []string) []string {
	if w.redis {
		return dial(t, d.redis).gets(t, keys)
	}
	c := dial(t, d.memcached)
	go func() {
		out := bufio.NewWriter(c)
		for _, k := range keys {
			fmt.Fprintf(out, "get %s\r\n", k)
		}
		out.Flush()
	}()
	values := make([]string, len(keys))
	for i := range keys {
		head, err := c.line()
		if err != nil {
			t.Fatal(err)
		}
		if head == "END" {
			continue
		}
		var name string
		var flags, size int
		fmt.Sscanf(head, "VALUE %s %d %d", &name, &flags, &size)
		b := make([]byte, size+len("\r\nEND\r\n"))
		if _, err := io.ReadFull(c.r, b); err != nil {
			t.Fatal(err)
		}
		values[i] = string(b[:size])
	}
	return values
}

// TestStopInStream stops the daemon while a client sends a pipeline without end. What was answered must be there afterwards, and the
// answers must end between two replies.
func TestStopInStream(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	d := start(t, "--data", data)
	c := dial(t, d.redis)
	go func() {
		out := bufio.NewWriter(c)
		for n := 0; ; n++ {
			if _, err := out.Write(resp("SET", "s:"+strconv.Itoa(n), strconv.Itoa(n))); err != nil {
				return
			}
		}
	}()
	answered := 0
	for {
		s, err := c.line()
		if err != nil {
			if s != "" {
				t.Errorf("the stream ended inside a reply: %q", s)
			}
			break
		}
		if s != "+OK" {
			t.Errorf("reply %q", s)
		}
		if answered++; answered == 1000 {
			go func() {
				if took := d.stop(); took > 2*time.Second {
					t.Errorf("stopping took %v", took)
				}
			}()
		}
	}
	<-d.ended
	d = start(t, "--data", data)
	keys := make([]string, answered)
	for n := range keys {
		keys[n] = "s:" + strconv.Itoa(n)
	}
	for n, v := range dial(t, d.redis).gets(t, keys) {
		if v != strconv.Itoa(n) {
			t.Fatalf("write %d of %d answered ones is lost: %q", n, answered, v)
		}
	}
	t.Logf("%d writes were answered", answered)
}
