package cluster

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// hugeFrom is the memory-limit, in bytes, from which on huge pages are used: below it what they take too much counts.
const hugeFrom = 1 << 30

// allocHuge takes memory for entries from the system, where the collector does not look at it, in huge pages if there are any.
func allocHuge(n int) []byte {
	b := alloc(n)
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // only advice
	return b
}

// alloc does the same in ordinary pages: those that nothing was written to take no memory.
func alloc(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		panic(fmt.Sprintf("the system gives no %d bytes of memory: %v", n, err))
	}
	return b
}

// allocFor chooses the one that suits a memory-limit.
func allocFor(limit uint64) func(n int) []byte {
	if limit == 0 || limit >= hugeFrom {
		return allocHuge
	}
	return alloc
}

func free(b []byte) {
	if err := unix.Munmap(b); err != nil {
		panic(fmt.Sprintf("giving %d bytes of memory back: %v", len(b), err))
	}
}
