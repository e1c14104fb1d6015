//go:build linux

package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// outcome is what one run of a unit came to.
type outcome struct {
	tests   []test
	ended   string // why the run ended before its end; empty if it did not
	reached bool   // whether the end was reached, for suites in which names stand several times
}

// test is one that ran, or was left out by the suite itself.
type test struct {
	name  string
	state state
	said  string // by one that failed
}

type state int

const (
	passed state = iota
	failed
	ignored
)

func (o *outcome) count(s state) (n int) {
	for _, t := range o.tests {
		if t.state == s {
			n++
		}
	}
	return n
}

// failed are the names of those that did.
func (o *outcome) failed() (names []string) {
	for _, t := range o.tests {
		if t.state == failed {
			names = append(names, t.name)
		}
	}
	return names
}

// row compares the two runs of a unit.
type row struct {
	suite            string
	unit             *unit
	original, ours   outcome
	excluded, passed int      // of the tests that the original passes: those that are excluded, and of the others those that pass here
	missed           []string // those that do not
}

// compare runs a unit on a fresh server of each kind, one after the other, so that neither disturbs the other's times.
func (s *suite) compare(dir, binary string, u *unit) (row, error) {
	r := row{suite: s.name, unit: u}
	var skip []string
	for _, x := range u.exclude {
		if _, err := regexp.Compile(x.tests); err != nil {
			return r, fmt.Errorf("the exclusion %q: %w", x.tests, err)
		}
		skip = append(skip, "^("+x.tests+")$")
	}
	var err error
	if r.original, err = s.attempt(dir, u, nil, s.original); err != nil {
		return r, fmt.Errorf("starting the original: %w", err)
	}
	if r.ours, err = s.attempt(dir, u, skip, func(dir string) (*server, error) { return s.ours(dir, binary) }); err != nil {
		return r, fmt.Errorf("starting Holdfast: %w", err)
	}
	r.weigh(skip)
	return r, nil
}

// attempts is how often a unit is run that breaks off before its first test: the parts of a suite talk over ports that somebody else may have.
const attempts = 3

// attempt runs a unit on a fresh server.
func (s *suite) attempt(dir string, u *unit, skip []string, start func(dir string) (*server, error)) (o outcome, err error) {
	for range attempts {
		at, err := fresh(dir, start)
		if err != nil {
			return o, err
		}
		o = s.run(s.source, u, skip, at)
		at.stop()
		if len(o.tests) > 0 || o.ended == "" {
			break
		}
	}
	return o, nil
}

// fresh gives a server a directory of its own.
func fresh(dir string, start func(dir string) (*server, error)) (*server, error) {
	d, err := os.MkdirTemp(dir, "server-")
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(d, 0o755); err != nil {
		return nil, err
	}
	s, err := start(filepath.Clean(d))
	if err != nil {
		return nil, err
	}
	stop := s.stop
	s.stop = func() { stop(); os.RemoveAll(d) }
	return s, nil
}

// weigh holds what the original passes against what passed here. Names may stand there several times, and how often may depend on what the server
// says (on how many statistics there are): where the end was reached and none of a name failed, it has passed.
func (r *row) weigh(skip []string) {
	leftOut := regexp.MustCompile(strings.Join(skip, "|"))
	failed := r.ours.failed()
	here := map[string]int{}
	for _, t := range r.ours.tests {
		switch {
		case t.state == passed && r.ours.reached && !slices.Contains(failed, t.name):
			here[t.name] = math.MaxInt
		case t.state == passed:
			here[t.name]++
		}
	}
	for _, t := range r.original.tests {
		switch {
		case t.state != passed:
		case len(skip) > 0 && leftOut.MatchString(t.name):
			r.excluded++
		case here[t.name] > 0:
			here[t.name]--
			r.passed++
		default:
			r.missed = append(r.missed, t.name)
		}
	}
}

// demands is how many tests are missing that must not be.
func (r *row) demands() int {
	if !r.unit.demanded {
		return 0
	}
	return len(r.missed)
}

func (r *row) line() string {
	s := fmt.Sprintf("%-9s %-22s original %4d ok %3d failed %3d ignored; here %4d ok, %d excluded, %d missed", r.suite, r.unit.name,
		r.original.count(passed), r.original.count(failed), r.original.count(ignored), r.passed, r.excluded, len(r.missed))
	if r.ours.ended != "" {
		s += ": " + r.ours.ended
	}
	return s
}

// details says what each failed test said here, and which were not reached.
func (r *row) details() string {
	var b strings.Builder
	reached := map[string]bool{}
	for _, t := range r.ours.tests {
		reached[t.name] = true
		if t.state == failed {
			fmt.Fprintf(&b, "  failed: %s\n%s", t.name, indent(t.said))
		}
	}
	for _, name := range r.missed {
		if reached[name] {
			fmt.Fprintf(&b, "  missed: %s\n", name)
		} else {
			fmt.Fprintf(&b, "  not reached: %s\n", name)
		}
	}
	if r.ours.ended != "" {
		fmt.Fprintf(&b, "  the end:\n%s", indent(r.ours.ended))
	}
	return b.String()
}

func indent(s string) string {
	if s == "" {
		return ""
	}
	return "      " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n      ") + "\n"
}
