package keyspace

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"holdfast/op"
)

const benchKeys = 1 << 20

func mapped(n int) []byte {
	b, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	syscall.Madvise(b, 14) // MADV_HUGEPAGE
	return b
}

func unmap(b []byte) { syscall.Munmap(b) }

// benchKey writes key i, of 40 bytes, into b.
func benchKey(b []byte, i uint64) []byte {
	b = append(b[:0], "token:0123456789abcdef0123456789"...)
	return binary.BigEndian.AppendUint64(b, i*0x9e3779b97f4a7c15)
}

type bench struct {
	s   *State
	e   Entry
	set op.Set
	key []byte
}

func newBench(keys uint64) *bench {
	b := &bench{s: New(mapped, unmap), e: Entry{Index: 1, Stamp: testStart, Kind: Hello}}
	b.s.Apply(&b.e, nil)
	b.e.Kind, b.e.Incarnation = Batch, 1
	b.set = op.Set{Value: make([]byte, 200), Life: op.Life{Kind: op.In, Ms: 1}}
	for i := range keys {
		b.put(i, 3600_000)
	}
	return b
}

func (b *bench) put(i uint64, life int64) {
	b.key = benchKey(b.key, i)
	b.set.Key.Name, b.set.Life.Ms = b.key, life+int64(i%4096)*256
	b.e.Index++
	b.e.Seq++
	b.e.Ops = b.set.Append(b.e.Ops[:0])
	b.s.Apply(&b.e, b)
}

func (b *bench) Result(*op.Result) {}

func (b *bench) close() {
	for _, c := range b.s.slab.chunks[1:] {
		unmap(c[:])
	}
}

func random(i uint64) uint64 { return fold(i^0x9e3779b97f4a7c15, 0xd6e8feb86659fd93) }

var sharedBench *bench

func benchState(b *testing.B) *bench {
	if sharedBench == nil {
		sharedBench = newBench(benchKeys)
	}
	b.ReportAllocs()
	begin := cpuTime()
	b.Cleanup(func() { b.ReportMetric(float64(cpuTime()-begin)/float64(b.N), "cpu-ns/op") }) // what a busy machine does not change
	b.ResetTimer()
	return sharedBench
}

func cpuTime() int64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

func BenchmarkGet(b *testing.B) {
	x := benchState(b)
	var res op.Result
	get := &op.Get{}
	for i := range uint64(b.N) {
		x.key = benchKey(x.key, random(i)%benchKeys)
		get.Key.Name = x.key
		if x.s.Read(get, testStart, &res) || res.Status != op.OK {
			b.Fatal(res.Status)
		}
	}
}

func BenchmarkSet(b *testing.B) {
	x := benchState(b)
	for i := range uint64(b.N) {
		x.put(random(i)%benchKeys, 3600_000)
	}
}

func BenchmarkNext(b *testing.B) {
	x := benchState(b)
	buf := make([]byte, 0, 1<<20)
	w := x.s.BeginSnapshot()
	for range b.N {
		if _, done := w.Next(buf, 64<<10); done {
			w = x.s.BeginSnapshot()
		}
	}
	w.Cancel()
}

func BenchmarkDigest(b *testing.B) {
	x := benchState(b)
	for range b.N {
		x.s.Digest()
	}
}

func resident() uint64 {
	debug.FreeOSMemory()
	b, _ := os.ReadFile("/proc/self/status")
	for _, l := range strings.Split(string(b), "\n") {
		var kb uint64
		if n, _ := fmt.Sscanf(l, "VmRSS: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	return 0
}

// TestResident measures what an entry costs of the machine's memory. It is skipped unless asked for: HOLDFAST_MEMORY=1.
func TestResident(t *testing.T) {
	if os.Getenv("HOLDFAST_MEMORY") == "" {
		t.Skip("set HOLDFAST_MEMORY=1 to measure")
	}
	begin := resident()
	const n = 1_000_000
	b := newBench(n)
	say := func(when string) {
		m := b.s.Memory()
		rss := resident()
		t.Logf("%s: RSS %.1f B/entry (whole process %.1f), physical %.1f, formula %.1f", when,
			float64(rss-begin)/n, float64(rss)/n, float64(b.s.Physical())/n, float64(m.Used)/n)
	}
	say("loaded")
	for i := range uint64(3 * n) {
		b.put(random(i)%n, 7200_000)
	}
	say("overwritten, same size")
	for i := range uint64(3 * n) {
		b.set.Value = b.set.Value[:100+random(i+7)%100]
		b.put(random(i)%n, 7200_000)
	}
	say("overwritten, 100 to 200 bytes")
	for i := range uint64(3 * n) {
		b.set.Value = make([]byte, 300)
		b.put(random(i)%n, 7200_000)
	}
	say("overwritten, 300 bytes")
	b.close()
}
