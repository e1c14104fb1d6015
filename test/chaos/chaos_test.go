//go:build linux

package main

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// seedVariable chooses the faults of TestChaos; without it every run has its own.
const seedVariable = "HOLDFAST_CHAOS_SEED"

// TestChaos is a minute of `make chaos`.
func TestChaos(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute of faults is not short")
	}
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv(seedVariable); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("%s=%s: not a number", seedVariable, s)
		}
		seed = n
	}
	t.Logf("%s=%d", seedVariable, seed)
	p := plan{members: 3, duration: 45 * time.Second, seed: seed, hold: 600 * time.Millisecond, pace: 10 * time.Millisecond, say: t.Logf}
	r, err := p.run()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.broken() {
		t.Error(s)
	}
	t.Logf("\n%s", r.report())
}
