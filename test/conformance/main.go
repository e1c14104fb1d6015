//go:build linux

// Conformance runs the originals' own tests against Holdfast and against the originals, and compares: Redis's Tcl suite in external mode,
// memcached's Perl tests and memccapable. The suites are fetched from Debian's source packages at test time (fetch.go) and never kept here.
// `make conformance` writes docs/conformance.md with it; -only and -v are for work on one unit.
//
// A unit is one file of a suite, run on a fresh server. redis.go and memcached.go say which units there are, how one is run, and what is
// excluded, each with its reason; score.go compares; report.go writes.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"strings"

	"holdfast/test/group"
)

// suite is the tests of one original.
type suite struct {
	name     string // of the source package
	title    string
	program  string // the binary package of the original's server
	units    []unit
	leftOut  []exclusion // units that are not run
	original func(dir string) (*server, error)
	ours     func(dir, binary string) (*server, error)
	run      func(source string, u *unit, skip []string, at *server) outcome

	version string // of the source package; fetch finds out
	source  string // where it is unpacked
}

// unit is one file of tests.
type unit struct {
	name     string
	demanded bool        // whether what the original passes must pass here too
	exclude  []exclusion // what is not demanded of it
	edit     *edit       // how its file is changed before it runs, on either server; nil: not at all
}

// edit is a change of a unit's file. The report says why it is made where it says what is not run.
type edit struct{ old, new string }

// exclusion names tests that Holdfast need not pass, and why.
type exclusion struct {
	tests string // a regular expression for the whole name
	why   string
}

func main() {
	log.SetFlags(log.Ltime)
	out := flag.String("o", "", "`file` to write the report to; empty: standard output")
	binary := flag.String("holdfast", "", "`binary` to run; empty: built from the tree")
	cache := flag.String("cache", "/var/tmp/holdfast-conformance", "`directory` for the fetched sources")
	only := flag.String("only", "", "run only the units with one of these `words`, separated by commas, in suite/unit")
	verbose := flag.Bool("v", false, "print what each failed test says")
	flag.Parse()
	missed, err := run(*out, *binary, *cache, *only, *verbose)
	if err != nil {
		log.Fatal("conformance: ", err)
	}
	if missed > 0 {
		log.Fatalf("conformance: %d tests that are demanded do not pass", missed)
	}
}

// run returns how many demanded tests do not pass.
func run(out, binary, cache, only string, verbose bool) (missed int, err error) {
	dir, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if binary == "" {
		if binary, err = group.Build(dir); err != nil {
			return 0, err
		}
	}
	suites := []*suite{memcachedSuite(), redisSuite()}
	for _, s := range suites {
		if err := s.fetch(cache); err != nil {
			return 0, err
		}
	}
	var rows []row
	for _, s := range suites {
		for i := range s.units {
			u := &s.units[i]
			if !wanted(s.name+"/"+u.name, only) {
				continue
			}
			r, err := s.compare(dir, binary, u)
			if err != nil {
				return 0, fmt.Errorf("%s %s: %w", s.name, u.name, err)
			}
			log.Print(r.line())
			if verbose {
				fmt.Print(r.details())
			}
			rows = append(rows, r)
			missed += r.demands()
		}
	}
	text := report(suites, rows)
	if out == "" {
		fmt.Print(text)
		return missed, nil
	}
	return missed, os.WriteFile(out, []byte(text), 0o644)
}

func wanted(name, only string) bool {
	for _, word := range strings.Split(only, ",") {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
