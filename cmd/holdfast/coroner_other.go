//go:build !linux

package main

import (
	"errors"
	"os"
	"syscall"
)

var errNoEnd = errors.New("the end of a process cannot be awaited on this system")

func ownEnd() (*os.File, error)   { return nil, errNoEnd }
func awaitEnd(*os.File) error     { return errNoEnd }
func apart() *syscall.SysProcAttr { return nil }
func ignoreSignals()              {}
