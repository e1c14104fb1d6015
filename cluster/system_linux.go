package cluster

import (
	"hash/fnv"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// bootID is a number for this run of the machine, 0 if unknown.
func bootID() uint64 {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return 0
	}
	h := fnv.New64a()
	h.Write(b)
	return h.Sum64()
}

// resident is how many bytes of the machine's memory the process has.
func resident() uint64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(f[1], 10, 64)
	return pages * uint64(os.Getpagesize())
}

// unslewed is ns of a clock that is neither set nor slewed, and stands still while the machine is suspended. mono is one that is slewed.
func unslewed(mono int64) int64 {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC_RAW, &t) != nil {
		return mono
	}
	return t.Nano()
}

// asleep is for how long the machine has been suspended since it was started, ns; before is what it was when last asked. The two clocks cannot be read at
// the same time: a difference that may come of that counts for nothing.
func asleep(before int64) int64 {
	var first, boot, second unix.Timespec
	for range 5 {
		if unix.ClockGettime(unix.CLOCK_MONOTONIC, &first) != nil || unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot) != nil ||
			unix.ClockGettime(unix.CLOCK_MONOTONIC, &second) != nil {
			return before
		}
		if second.Nano()-first.Nano() < 100_000 {
			break
		}
	}
	low, high := boot.Nano()-second.Nano(), boot.Nano()-first.Nano()
	return min(max(before, low), high)
}

// writeBack starts bringing a range of a file to the disk and waits for the one before it, so that the page cache never holds much of the file and nobody
// else's write has to wait behind it.
func writeBack(f *os.File, offset, n int64) {
	fd := int(f.Fd())
	_ = unix.SyncFileRange(fd, offset, n, unix.SYNC_FILE_RANGE_WRITE)
	if offset >= n {
		_ = unix.SyncFileRange(fd, offset-n, n, unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
	}
}

// lockFile takes the file for this process; false if another one has it.
func lockFile(f *os.File) bool {
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}
