package main

import (
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// A process can be there and serve nobody: a loop that never ends, a lock that is never given back. systemd, where WatchdogSec asks for it, ends such a
// process (with the stacks of all goroutines in the journal) and starts it anew. What it is told here is no sign of a timer but of the work itself.

// looks is how often it is looked within the time that systemd waits, so that one that is late does no harm.
const looks = 4

// watch tells systemd, until stop is closed, that every worker gets its turn and that status answers.
func watch(within time.Duration, workers []*worker, status func(), alive func(), stop <-chan struct{}) {
	t := time.NewTicker(within / looks)
	defer t.Stop()
	seen := make([]uint64, len(workers))
	for {
		for i, w := range workers {
			seen[i] = w.turns.Load()
			w.wake()
		}
		status() // takes the node's lock: it does not come back while that is stuck
		select {
		case <-stop:
			return
		case <-t.C:
		}
		if turned(workers, seen) {
			alive()
		}
	}
}

// turned tells whether every worker has had a turn since seen.
func turned(workers []*worker, seen []uint64) bool {
	for i, w := range workers {
		if w.turns.Load() == seen[i] {
			return false
		}
	}
	return true
}

// watchdog watches for systemd, if that wants to know.
func (d *process) watchdog() {
	within, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		d.log.Warn("systemd will not be told that this process is alive", "error", err)
		return
	}
	if within > 0 {
		go watch(within, d.workers, func() { d.node.Load().Status() }, func() { notify(daemon.SdNotifyWatchdog) }, d.stop)
	}
}
