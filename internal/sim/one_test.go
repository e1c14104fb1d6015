package sim

import (
	"os"
	"strconv"
	"testing"

	"holdfast/replica"
)

// TestOne runs the seed SEED of the schedule SCHEDULE, with the planted FAULT (a number) if there is one, and shows all of its trace.
func TestOne(t *testing.T) {
	seed, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64)
	p := FindSchedule(os.Getenv("SCHEDULE"))
	if err != nil || p == nil {
		t.Skip("SEED and SCHEDULE say which")
	}
	fault, _ := strconv.Atoi(os.Getenv("FAULT"))
	r := Run(Config{Seed: seed, Schedule: p, Verbose: true, Lines: 1 << 20, Fault: replica.Fault(fault)})
	t.Logf("%v\n%s", r.Faults, r.Trace)
}
