//go:build linux

// Chaos disturbs a group of three in every way this machine can, one fault after the other at random, while clients of both protocols work
// at every member, and finds out whether the promises were kept. `make chaos` writes docs/chaos.md with it; the test of this package
// runs a shorter, seeded variant.
//
// How members are run and disturbed is package group's, what clients find is package witness's; this package only decides who is
// hurt when and reports. Read faults.go first, then run.go.
package main

import (
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(log.Ltime)
	minutes := flag.Float64("minutes", 5, "how long to go on")
	seed := flag.Uint64("seed", rand.Uint64(), "what the choice of faults comes from; the group's own timing differs in every run")
	out := flag.String("o", "", "`file` to write the report to; empty: standard output")
	binary := flag.String("holdfast", "", "`binary` to run; empty: built from the tree")
	durability := flag.String("durability", "second", "the members' setting")
	only := flag.String("only", "", "run only the faults whose name contains this `word`")
	members := flag.Int("members", 3, "3 or 5")
	keep := flag.Bool("keep", false, "keep the members' logs and say where they are")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: chaos [flags] [-- settings of the members, as flags of holdfast serve]")
		flag.PrintDefaults()
	}
	flag.Parse()
	p := plan{
		members: *members, duration: time.Duration(*minutes * float64(time.Minute)), seed: *seed, binary: *binary, hold: time.Second, only: *only,
		args: append([]string{"--durability", *durability}, flag.Args()...), keep: *keep, say: log.Printf,
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, syscall.SIGINT, syscall.SIGTERM)
	p.interrupted = interrupted
	r, err := p.run()
	if err != nil {
		log.Fatal("chaos: ", err)
	}
	text := r.report()
	if *out == "" {
		fmt.Print(text)
	} else if err := os.WriteFile(*out, []byte(text), 0o644); err != nil {
		log.Fatal("chaos: ", err)
	}
	if broken := r.broken(); len(broken) > 0 {
		log.Fatalf("chaos: %d promises were broken, the first: %s (seed %d)", len(broken), broken[0], *seed)
	}
}
