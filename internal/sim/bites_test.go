package sim

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"holdfast/replica"
)

// planted are the faults that the simulator must notice, each with the schedule that is aimed at it, or where random ones show it often enough.
var planted = []struct {
	rule     string // that is broken
	fault    replica.Fault
	own      fault
	schedule string
	within   int // seeds
	want     int // bites
}{
	{"a write is visible when the roster has it, not at commit", replica.FaultGateAtCommit, 0, "slow appends", 40, 4},
	{"a pending key is not read", replica.FaultNoPending, 0, "slow notices", 40, 4},
	{"a key is pending until its entry is applied", replica.FaultPendingToVisible, 0, "slow notices", 60, 4},
	{"a lease counts from its question", replica.FaultLeaseFromReceipt, 0, "late grants", 40, 4},
	{"promises, not stickiness: a late vote", replica.FaultNoPromise, 0, "late vote", 80, 3},
	{"promises, not stickiness: a late rejection", replica.FaultNoPromise, 0, "late rejection", 60, 4},
	{"no vote right after a restart", replica.FaultVoteAtStart, 0, "restart and vote", 20, 4},
	{"no grant before the first entry of the term", replica.FaultGrantBeforeNoop, 0, "beginning of a term", 60, 3},
	{"the highest index of all grants counts", replica.FaultOldGrant, 0, "overtaken grants", 80, 3},
	{"a lease that was given back stays so", replica.FaultGiveBack, 0, "give-back", 40, 4},
	{"the roster shrinks late", replica.FaultRosterEarly, 0, "roster", 40, 4},
	{"nothing is applied past the own commit", replica.FaultNoticePastCommit, 0, "two suffixes", 40, 4},
	{"the membership changes at commit", replica.FaultChangeGated, 0, "gated change", 200, 2},
	{"a number is never given twice", replica.FaultNewNumber, 0, "lost forwards", 20, 4},
	{"what a snapshot covers is not sent again", replica.FaultResendAfterSnapshot, 0, "covered batch", 20, 4},
	{"what has expired is the log's to say", 0, ownClock, "clocks", 60, 4},
	{"every write has a version of its own", 0, sharedVersion, "versions", 60, 3},
}

// Each rule of the design that is broken on purpose is noticed.
func TestTheSimulatorBites(t *testing.T) {
	var mu sync.Mutex
	lines := make([]string, len(planted))
	t.Run("faults", func(t *testing.T) {
		for i, p := range planted {
			t.Run(strings.NewReplacer(" ", "-", ":", "", ",", "").Replace(p.rule), func(t *testing.T) {
				t.Parallel()
				want := p.want
				if race {
					want = 1
				}
				bites, runs := 0, 0
				var first string
				for ; runs < p.within && bites < want; runs++ {
					cfg := Config{Seed: uint64(runs) + 1, Schedule: FindSchedule(p.schedule), Fault: p.fault, Own: p.own}
					if faults := bite(cfg); len(faults) > 0 {
						if bites++; first == "" {
							first, _, _ = strings.Cut(faults[0], "\n")
						}
					}
				}
				mu.Lock()
				lines[i] = fmt.Sprintf("%-58s %-22s %2d of %2d  %s", p.rule, p.schedule, bites, runs, first)
				mu.Unlock()
				if bites < want {
					t.Errorf("broken in %d runs of %q, and noticed %d times: the simulator is blind to it", runs, p.schedule, bites)
				}
			})
		}
	})
	t.Logf("bites of each planted fault, and what the first of them was:\n%s", strings.Join(lines, "\n"))
}

// The three ways around raft's own stickiness that the design names (3.4). The seeds are those in which raft alone would let two leaders be; promises do not.
func TestStickinessAlone(t *testing.T) {
	for _, c := range []struct {
		schedule string
		runs     uint64
		bites    bool // without promises it goes wrong in some of the runs
	}{
		{"late vote", 40, true},      // a candidate's late MsgVote after a dethroned leader's heartbeat was answered
		{"late rejection", 20, true}, // a late pre-vote rejection makes a follower forget its leader
		{"late transfer", 20, false}, // a forced vote after an aborted transfer: there authority has ended before, for the rest of the term
	} {
		t.Run(strings.ReplaceAll(c.schedule, " ", "-"), func(t *testing.T) {
			t.Parallel()
			late, bites := 0, 0
			for seed := range c.runs {
				cfg := Config{Seed: seed + 1, Schedule: FindSchedule(c.schedule)}
				r := Run(cfg)
				late += r.Late
				if len(r.Faults) > 0 {
					t.Fatalf("seed %d: %s", cfg.Seed, strings.Join(r.Faults, "\n"))
				}
				if cfg.Fault = replica.FaultNoPromise; c.bites && len(bite(cfg)) > 0 {
					bites++
				}
			}
			if late == 0 || c.bites && bites == 0 {
				t.Errorf("the moment never came: %d late messages, %d runs that go wrong without promises", late, bites)
			}
		})
	}
}

// bite runs a world in which something may well panic.
func bite(cfg Config) (faults []string) {
	defer func() {
		if p := recover(); p != nil {
			said, _, _ := strings.Cut(fmt.Sprint(p), "\n")
			faults = []string{"panic: " + said}
		}
	}()
	return Run(cfg).Faults
}
