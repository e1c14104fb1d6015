//go:build !linux

package cluster

import (
	"os"
	"syscall"
)

func bootID() uint64 { return 0 }

func resident() uint64 { return 0 }

func unslewed(mono int64) int64 { return mono }

func asleep(before int64) int64 { return before }

func writeBack(f *os.File, offset, n int64) {}

func lockFile(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
