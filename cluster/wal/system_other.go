//go:build !linux

package wal

import "os"

func preallocate(f *os.File, size int64) error { return nil }

func datasync(f *os.File) error { return f.Sync() }
