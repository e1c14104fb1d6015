// The benchmark builds the daemon with this file laid over cmd/holdfast, so that it can have a collection whenever it
// wants one. The daemon that people run has nothing of the kind.
package main

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func init() {
	wanted := make(chan os.Signal, 1)
	signal.Notify(wanted, syscall.SIGUSR2)
	go func() {
		for range wanted {
			runtime.GC()
		}
	}()
}
