package cluster

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// alloc takes memory for entries from the system, where the collector does not look at it, in huge pages if there are any.
func alloc(n int) []byte {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		panic(fmt.Sprintf("the system gives no %d bytes of memory: %v", n, err))
	}
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // only advice
	return b
}

func free(b []byte) {
	if err := unix.Munmap(b); err != nil {
		panic(fmt.Sprintf("giving %d bytes of memory back: %v", len(b), err))
	}
}
