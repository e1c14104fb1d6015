package main

import (
	"testing"
	"testing/synctest"
	"time"
)

// systemd hears nothing while one worker is stuck, or the node.
func TestWatch(t *testing.T) {
	for stuck, want := range map[string]int{"nobody": 4, "a worker": 0, "the node": 0} {
		t.Run(stuck, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				workers := []*worker{{}, {}}
				for i, w := range workers {
					w.wake = func() {
						if stuck != "a worker" || i == 0 {
							w.turns.Add(1)
						}
					}
				}
				free, stop, told := make(chan struct{}), make(chan struct{}), 0
				status := func() {
					if stuck == "the node" {
						<-free
					}
				}
				go watch(8*time.Second, workers, status, func() { told++ }, stop)
				time.Sleep(9 * time.Second)
				synctest.Wait()
				if told != want {
					t.Errorf("systemd was told %d times in 9 s, want %d", told, want)
				}
				close(stop)
				close(free)
			})
		})
	}
}
