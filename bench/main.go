//go:build linux

// Bench measures holdfast side by side with redis-server, valkey-server and memcached on this machine, and a group of three beside
// redis with replicas and sentinels and beside etcd. It says which of the project's goals are met. `make bench` writes docs/benchmarks.md with
// it, `make bench-group` its part about groups; `go run ./bench -quick` looks at the same in minutes.
//
// It may not import the daemon's rooms: it sees what a client sees, and /proc. Every figure comes from runs that alternate between
// the servers within seconds; ratios are taken run by run and their median counts. Read cases.go first, then pairs.go, then
// group.go; the load generator is bench/load.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"holdfast/bench/load"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("bench: ")
	if len(os.Args) == 2 && os.Args[1] == generatorVerb {
		if err := generator(os.Stdin, os.Stdout); err != nil {
			log.Fatal(err)
		}
		return
	}
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	b := &bench{dir: filepath.Join("bin", "bench")}
	quick := flag.Bool("quick", false, "fewer and shorter runs on less data, about three minutes for each part")
	only := flag.String("only", "", "comma-separated `cases` to run: "+strings.Join(caseNames(), ", "))
	part := flag.String("part", "", "`part` of the report to make: "+partOne+", "+partGroup+"; empty: both. The other is kept as it is")
	out := flag.String("o", "", "`file` to write the report to; empty: standard output")
	flag.StringVar(&b.holdfast, "holdfast", "", "`binary` to measure; empty: built from the tree; none: measure the peers alone")
	flag.Parse()
	b.scale = full
	if *quick {
		b.scale = brief
	}
	chosen, err := choose(*only, *part)
	if err != nil {
		return err
	}
	defer b.cleanup()
	if err := b.prepare(); err != nil {
		return err
	}
	var failed []error
	report := report{machine: describeMachine(), quick: *quick}
	for _, c := range chosen {
		log.Printf("case %s", c.name)
		s := &section{Name: c.name, Part: c.part}
		if err := c.run(b, s); err != nil {
			failed = append(failed, fmt.Errorf("case %s: %w", c.name, err))
			s.Failure = err.Error()
			log.Printf("case %s: %v", c.name, err)
		}
		b.stopAll()
		report.sections = append(report.sections, s)
	}
	report.versions, report.discarded, report.noisy = b.versions, b.discarded, b.noisy
	if err := b.writeRaw(); err != nil {
		return err
	}
	return errors.Join(append(failed, report.save(*out))...)
}

// choose picks cases by name, or all of a part.
func choose(only, part string) (chosen []benchCase, err error) {
	if part != "" && part != partOne && part != partGroup {
		return nil, fmt.Errorf("no part %q: there are %s and %s", part, partOne, partGroup)
	}
	if only == "" {
		return slices.DeleteFunc(slices.Clone(cases), func(c benchCase) bool { return part != "" && c.part != part }), nil
	}
	for name := range strings.SplitSeq(only, ",") {
		i := 0
		for i < len(cases) && cases[i].name != name {
			i++
		}
		if i == len(cases) {
			return nil, fmt.Errorf("no case %q: there are %s", name, strings.Join(caseNames(), ", "))
		}
		chosen = append(chosen, cases[i])
	}
	return chosen, nil
}

// generatorVerb makes this binary the load generator: a load.Config comes in, a load.Result goes out, both JSON. It is a process
// of its own so that it can be pinned, and so that its collector and its CPU time are its own.
const generatorVerb = "generator"

func generator(in io.Reader, out io.Writer) error {
	var cfg load.Config
	if err := json.NewDecoder(in).Decode(&cfg); err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	res, err := load.Run(cfg)
	if err != nil {
		return err
	}
	if res.Errors > 0 {
		return errors.New("server answered: " + res.FirstError)
	}
	return json.NewEncoder(out).Encode(res)
}
