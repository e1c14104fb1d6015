//go:build !linux

package cluster

func allocFor(uint64) func(n int) []byte { return func(n int) []byte { return make([]byte, n) } }

func free([]byte) {}
