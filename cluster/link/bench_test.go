package link

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func eachWay(b *testing.B, run func(b *testing.B, a, c *member)) {
	ca := newAuthority(b, "ca")
	for _, way := range []string{"plain", "tls"} {
		b.Run(way, func(b *testing.B) {
			at := func(n uint64) *member {
				var o option
				if o = withTLS(ca.member(b, fmt.Sprintf("c%d", n))); way == "plain" {
					o = func(*member, *Config) {}
				}
				return start(b, n, o)
			}
			a, c := at(1), at(2)
			run(b, a, c)
		})
	}
}

// A message of 1 KiB to the other one and back: no goroutine but the readers wakes up.
func BenchmarkRoundTrip(b *testing.B) {
	eachWay(b, func(b *testing.B, a, c *member) {
		payload := text(strings.Repeat("x", 1<<10))
		c.receive = func(Identity, [][]byte) error { c.Send(1, payload, false); c.Flush(); return nil }
		back := make(chan bool)
		a.receive = func(Identity, [][]byte) error { back <- true; return nil }
		connect(b, a, c)
		took := make([]time.Duration, 0, 1<<16)
		for b.Loop() {
			began := time.Now()
			a.Send(2, payload, false)
			a.Flush()
			<-back
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	})
}

func BenchmarkThroughput(b *testing.B) {
	for _, size := range []int{128, 1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			eachWay(b, func(b *testing.B, a, c *member) {
				payload := text(strings.Repeat("x", size))
				const window = 8 << 20
				came := make(chan int, 1<<20)
				c.receive = func(_ Identity, m [][]byte) error { came <- len(m); return nil }
				connect(b, a, c)
				b.SetBytes(int64(size))
				on := 0
				for b.Loop() {
					for on*size >= window {
						on -= <-came
					}
					a.Send(2, payload, false)
					if on++; on%16 == 0 || size > 4<<10 {
						a.Flush()
					}
				}
				a.Flush()
				for on > 0 {
					on -= <-came
				}
			})
		})
	}
}
