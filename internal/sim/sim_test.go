package sim

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// seeds is how many runs of each schedule make the test; SEEDS in the environment overrides it.
func seeds(usual int) uint64 {
	if n, err := strconv.Atoi(os.Getenv("SEEDS")); err == nil && n > 0 {
		return uint64(n)
	}
	if testing.Short() {
		usual = max(1, usual/10)
	}
	if race {
		usual = max(1, usual/8)
	}
	return uint64(usual)
}

// explain runs a seed once more, with words.
func explain(cfg Config) string {
	cfg.Verbose = true
	return Run(cfg).Trace
}

func TestSchedules(t *testing.T) {
	for _, p := range Schedules {
		t.Run(strings.ReplaceAll(p.Name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			bad, acked, local, undecided := 0, 0, 0, 0
			n := seeds(100)
			from := uint64(1)
			if f, err := strconv.Atoi(os.Getenv("SEED")); err == nil {
				from, n = uint64(f), 1
			}
			for seed := from; seed < from+n && bad < 3; seed++ {
				r := Run(Config{Seed: seed, Schedule: p})
				acked += r.Acked
				local += r.Local
				undecided += r.Undecided
				if len(r.Faults) > 0 {
					bad++
					t.Errorf("seed %d: %s", seed, strings.Join(r.Faults, "\n"))
					if os.Getenv("TRACE") != "" {
						os.WriteFile(fmt.Sprintf("%s/%s-%d.trace", os.Getenv("TRACE"), strings.ReplaceAll(p.Name, " ", "-"), seed), []byte(explain(Config{Seed: seed, Schedule: p})), 0o644)
					}
				}
			}
			t.Logf("%d ops, %d of them reads by lease; %d histories undecided", acked, local, undecided)
		})
	}
}
