//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"holdfast/bench/load"
)

// noiseLimit is how many cores' worth of CPU other processes may use during a run; above it the run is done again.
const noiseLimit = 0.10

// After noiseRetries for a run, or discardLimit in all, the quietest try counts, and the report says so.
const (
	noiseRetries = 3
	discardLimit = 80
)

// lane is one server and how it is spoken to; in a comparison all lanes run in turn.
type lane struct {
	name     string
	server   *server
	protocol string
	tls      bool
	during   func(*server) // runs alongside each window, e.g. to force collections
	wait     int           // replicas that a SET waits for, by Redis's WAIT
	company  []*server     // the other members of its group, whose CPU time counts with it
}

func (l lane) pids() []int {
	pids := []int{l.server.pid()}
	for _, s := range l.company {
		pids = append(pids, s.pid())
	}
	return pids
}

// runs are the results of a lane, one for each round.
type runs []load.Result

// drive sends load to a lane once, on the generator's processors, and once more if the machine was not quiet.
func (b *bench) drive(l lane, cfg load.Config, cpus []int) (best load.Result, err error) {
	cfg.PIDs, cfg.Protocol, cfg.Addr = l.pids(), l.protocol, l.server.addr(l.protocol)
	cfg.Wait = l.wait
	if l.tls {
		cfg.Addr, cfg.CA = l.server.tls, b.cert
	}
	for try := 0; ; try++ {
		b.seed++
		cfg.Seed = b.seed
		stop := l.alongside()
		res, err := generate(cfg, cpus)
		stop()
		if err != nil {
			return best, fmt.Errorf("load on %s: %w", l.name, err)
		}
		b.raw = append(b.raw, rawRun{l.name, cfg, res})
		if try == 0 || res.OtherCores < best.OtherCores {
			best = res
		}
		if best.OtherCores <= noiseLimit || cfg.Sweep {
			return best, nil
		}
		if try == noiseRetries || b.discarded == discardLimit {
			b.noisy++
			return best, nil
		}
		b.discarded++
	}
}

func (l lane) alongside() (stop func()) {
	if l.during == nil {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.during(l.server)
	}()
	return func() { <-done }
}

// generate runs the generator as a process of its own.
func generate(cfg load.Config, cpus []int) (res load.Result, err error) {
	self, err := os.Executable()
	if err != nil {
		return res, err
	}
	in, err := json.Marshal(cfg)
	if err != nil {
		return res, err
	}
	cmd := exec.Command(self, generatorVerb)
	cmd.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1") // its loops want no signals
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &out, &said
	if err := startOn(cmd, cpus); err != nil {
		return res, err
	}
	if err := cmd.Wait(); err != nil {
		return res, fmt.Errorf("generator: %w: %s", err, tail(said.Bytes(), 600))
	}
	return res, json.Unmarshal(out.Bytes(), &res)
}

// compare runs all lanes in turn, b.scale.rounds times, in alternating order, so that what is compared happened within
// seconds. Lanes without a server are left out.
func (b *bench) compare(what string, lanes []lane, cfg load.Config, at placement) (map[string]runs, error) {
	lanes = slices.DeleteFunc(slices.Clone(lanes), func(l lane) bool { return l.server == nil })
	all := map[string]runs{}
	for round := range b.scale.rounds {
		for _, l := range lanes {
			res, err := b.drive(l, cfg, at.generator)
			if err != nil {
				return nil, err
			}
			all[l.name] = append(all[l.name], res)
			log.Printf("  %s %d/%d %-24s %8.0f/s  p99.9 %7.0f us  %6.2f CPU s/M  server %.2f generator %.2f others %.2f", what,
				round+1, b.scale.rounds, l.name, res.RPS, res.P999, res.ServerCPU, res.ServerCores, res.GeneratorCores, res.OtherCores)
		}
		slices.Reverse(lanes)
	}
	return all, nil
}

// fill stores every one of cfg.Keys keys once, in a random order, and returns how many were stored a second.
func (b *bench) fill(l lane, keys, value, valueMax int, at placement) (float64, error) {
	started := time.Now()
	cfg := load.Config{Conns: 4, Depth: 32, Threads: 1, Keys: keys, Sweep: true, Value: value, ValueMax: valueMax}
	if l.protocol == "etcd" {
		cfg.Conns, cfg.Depth = 64, 1
	}
	res, err := b.drive(l, cfg, at.generator)
	if err == nil && res.Requests != uint64(keys) {
		err = fmt.Errorf("stored %d of %d keys in %s", res.Requests, keys, l.name)
	}
	log.Printf("  stored %d keys in %s in %s", keys, l.name, time.Since(started).Round(time.Millisecond))
	return res.RPS, err
}

// each picks one figure of all runs.
func (r runs) each(figure func(load.Result) float64) []float64 {
	v := make([]float64, len(r))
	for i := range r {
		v[i] = figure(r[i])
	}
	return v
}

func askedCPU(r load.Result) float64   { return r.AskedCPU }
func readP50(r load.Result) float64    { return r.ReadP50 }
func throughput(r load.Result) float64 { return r.RPS }
func cpu(r load.Result) float64        { return r.ServerCPU }
func p50(r load.Result) float64        { return r.P50 }
func p99(r load.Result) float64        { return r.P99 }
func p999(r load.Result) float64       { return r.P999 }
func longest(r load.Result) float64    { return r.Max }

// ratio is a figure of one server relative to another's, taken round by round.
type ratio struct {
	Median, Min, Max float64
	N                int // rounds; 0: not measured
}

// ratioOf pairs a[i] with b[i].
func ratioOf(a, b []float64) ratio {
	n := min(len(a), len(b))
	if n == 0 {
		return ratio{}
	}
	q := make([]float64, n)
	for i := range q {
		q[i] = a[i] / b[i]
	}
	return ratio{median(q), slices.Min(q), slices.Max(q), n}
}

// median of v; the mean of the middle two when their number is even; 0 of none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
