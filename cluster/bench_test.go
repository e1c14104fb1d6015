package cluster

import (
	"fmt"
	"syscall"
	"testing"

	"holdfast/op"
)

type nobody struct{}

func (nobody) Done(*op.Result, error) {}
func (nobody) Show(*op.Result)        {}
func (nobody) Wake()                  {}
func (nobody) Refuse(error)           {}

// cpuTime is what the process has used so far, ns. On a machine that is shared it says more than the time on the wall.
func cpuTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

func BenchmarkSet(b *testing.B) {
	for _, d := range []Durability{Second, Memory, Always} {
		for _, batch := range []int{1, 5, 50} {
			b.Run(fmt.Sprintf("%s/batch %d", d, batch), func(b *testing.B) {
				n, err := Start(Config{Dir: b.TempDir(), Durability: d, Logger: quiet(), SnapshotAfter: 1 << 40})
				if err != nil {
					b.Fatal(err)
				}
				defer n.Close()
				w := newWorker(n)
				value := make([]byte, 1024)
				keys := make([][]byte, 10000)
				for i := range keys {
					keys[i] = fmt.Appendf(nil, "key:%036d", i)
				}
				var s op.Set
				b.ReportAllocs()
				i, cpu := 0, cpuTime()
				for b.Loop() {
					for range batch {
						s = op.Set{Key: op.Key{Name: keys[i%len(keys)]}, Value: value, Life: op.Life{Kind: op.In, Ms: 600000}}
						w.Write(&s, nobody{})
						i++
					}
					w.Flush()
					if d == Always {
						<-w.woken
						w.Flush()
					}
				}
				b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
				b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N*batch), "cpu-ns/set")
			})
		}
	}
}

func BenchmarkGet(b *testing.B) {
	n, err := Start(Config{Durability: Memory, Logger: quiet()})
	if err != nil {
		b.Fatal(err)
	}
	defer n.Close()
	w := newWorker(n)
	w.write(setIn("a", string(make([]byte, 1024)), 600000))
	g := &op.Get{Key: name("a")}
	b.ReportAllocs()
	for b.Loop() {
		w.Read(g, nobody{})
	}
}

// Batches of writes at one member of a group of three in one process: what all three do for them.
func BenchmarkGroupSet(b *testing.B) {
	for _, at := range []string{"leader", "follower"} {
		for _, batch := range []int{1, 50} {
			b.Run(fmt.Sprintf("%s/batch %d", at, batch), func(b *testing.B) {
				g := newGroup(b, 3, func(c *Config) { c.Logger, c.Segment = quiet(), 0 })
				g.start(g.all()...)
				g.voters(3)
				n := g.nodes[g.leader()]
				if at == "follower" {
					n = g.nodes[g.another()]
				}
				w := newWorker(n)
				value := make([]byte, 1024)
				keys := make([][]byte, 10000)
				for i := range keys {
					keys[i] = fmt.Appendf(nil, "key:%036d", i)
				}
				b.ReportAllocs()
				i, cpu := 0, cpuTime()
				for b.Loop() {
					last := new(answer)
					for j := range batch {
						s := op.Set{Key: op.Key{Name: keys[i%len(keys)]}, Value: value, Life: op.Life{Kind: op.In, Ms: 600000}}
						if j < batch-1 {
							w.Write(&s, nobody{})
						} else {
							w.Write(&s, last)
						}
						i++
					}
					for w.Flush(); !last.done; w.Flush() {
						<-w.woken
					}
				}
				b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N*batch), "cpu-ns/set")
			})
		}
	}
}
