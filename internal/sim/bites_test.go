package sim

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"holdfast/replica"
)

func TestSurvey(t *testing.T) {
	if os.Getenv("SURVEY") == "" {
		t.Skip()
	}
	for f := replica.FaultGateAtCommit; f <= replica.FaultResendAfterSnapshot; f++ {
		if os.Getenv("FAULT") != "" && !strings.Contains(os.Getenv("FAULT"), fmt.Sprintf(",%d,", f)) {
			continue
		}
		t.Run(fmt.Sprint(f), func(t *testing.T) {
			t.Parallel()
			line := ""
			for _, p := range Schedules {
				if o := os.Getenv("ONLY"); o != "" && !strings.Contains(o, p.Name) {
					continue
				}
				bites := 0
				for seed := range seeds(60) {
					if len(bite(Config{Seed: seed + 1, Schedule: p, Fault: f})) > 0 {
						bites++
					}
				}
				if bites > 0 {
					line += fmt.Sprintf("  %s %d", p.Name, bites)
				}
			}
			t.Logf("fault %d: %s", f, line)
		})
	}
}

func bite(cfg Config) (faults []string) {
	defer func() {
		if p := recover(); p != nil {
			faults = []string{"panic"}
		}
	}()
	return Run(cfg).Faults
}
