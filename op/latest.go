//go:build !nextlevel

package op

// Level is the highest level that this build knows.
const Level = 1
