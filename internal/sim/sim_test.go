package sim

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// usual is how many seeds of each schedule a test runs; SEEDS in the environment says otherwise (make sim SEEDS=1000).
const usual = 90

func seeds() uint64 {
	if n, err := strconv.ParseUint(os.Getenv("SEEDS"), 10, 64); err == nil && n > 0 {
		return n
	}
	if race || testing.Short() {
		return usual / 9
	}
	return usual
}

func (p *Schedule) test() string { return strings.ReplaceAll(p.Name, " ", "-") }

// What is promised holds in every schedule, whatever the seed.
func TestSchedules(t *testing.T) {
	for _, p := range Schedules {
		t.Run(p.test(), func(t *testing.T) {
			t.Parallel()
			var sum Result
			for seed := range seeds() {
				r := Run(Config{Seed: seed + 1, Schedule: p})
				sum.Acked, sum.Local, sum.Undecided = sum.Acked+r.Acked, sum.Local+r.Local, sum.Undecided+r.Undecided
				if len(r.Faults) > 0 {
					again := Run(Config{Seed: seed + 1, Schedule: p, Verbose: true})
					t.Fatalf("seed %d (all of it: SCHEDULE=%q SEED=%d go test ./internal/sim -run One -v)\n%s\n%s",
						seed+1, p.Name, seed+1, strings.Join(r.Faults, "\n"), again.Trace)
				}
			}
			t.Logf("%d ops were answered, %d of them reads by lease; of %d histories the check could say nothing", sum.Acked, sum.Local, sum.Undecided)
		})
	}
}

// The same seed is the same run, with words or without.
func TestReproducible(t *testing.T) {
	for _, p := range Schedules {
		t.Run(p.test(), func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(2) {
				a := Run(Config{Seed: seed + 1, Schedule: p})
				b := Run(Config{Seed: seed + 1, Schedule: p, Verbose: true})
				if a.Hash != b.Hash || a.Acked != b.Acked {
					t.Errorf("seed %d: two runs differ: %x and %x, %d and %d ops", seed+1, a.Hash, b.Hash, a.Acked, b.Acked)
				}
			}
		})
	}
}
