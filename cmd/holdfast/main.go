// Holdfast keeps the shared state of an OpenStack control plane: one daemon that speaks the Redis and the memcached protocol.
//
// This package wires the rooms, bottom-up, and stops them top-down: daemon.go first, then listen.go and keep.go (which systemd keeps open), workers.go (how connections come to
// their dialect), desk.go (how the admin port comes to the state), host.go (what dialects tell of the process), secrets.go, coroner.go
// (who tells the others when this process has died), and watchdog.go (how systemd knows that it lives). It says nothing about a key.
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"holdfast/cli"
	"holdfast/cluster"
)

// version is set by the linker.
var version string

func main() {
	if len(os.Args) == 2 && os.Args[1] == coronerVerb {
		if err := coroner(os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, "holdfast:", err)
			os.Exit(1)
		}
		return
	}
	p := cli.Program{
		Version: versionName(),
		Environ: os.Environ(),
		Config:  cli.ConfigDir + "/holdfast.toml",
		Serve:   serve,
		Repair:  cluster.Repair,
		Recover: cluster.Recover,
	}
	os.Exit(p.Run(os.Args[1:], os.Stdout, os.Stderr))
}

// versionName is what the linker was told, or what the go command knows of the module.
func versionName() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "unreleased"
}
