//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"holdfast/test/group"
)

// memcachedLimit bounds a unit.
const memcachedLimit = 2 * time.Minute

// capable is the unit that is not of memcached's source package, but a program of libmemcached's tools.
const capable = "memccapable"

func memcachedSuite() *suite {
	return &suite{
		name:    "memcached",
		title:   "memcached",
		program: "memcached",
		units:   memcachedUnits,
		leftOut: memcachedLeftOut,
		original: func(dir string) (*server, error) {
			return startOriginal(dir, func(port string) []string {
				args := []string{"memcached", "-l", "127.0.0.1", "-p", port, "-U", "0"}
				if os.Getuid() == 0 {
					args = append(args, "-u", "nobody")
				}
				return args
			})
		},
		ours: func(dir, binary string) (*server, error) {
			return startHoldfast(dir, binary, func(m *group.Member) string { return m.Memcached }, "--memcached-flush-all", "all", "--max-clients", "1024")
		},
		run: runMemcached,
	}
}

// runMemcached runs one of memcached's Perl files, or memccapable. Exclusions are weighed afterwards: a file runs as a whole.
func runMemcached(source string, u *unit, _ []string, at *server) outcome {
	if u.name == capable {
		said, ended := command(memcachedLimit, at.dir, nil, capable, "-h", "127.0.0.1", "-p", at.port())
		return parseCapable(said, ended)
	}
	// Some files ask a program of this name what it was built with, and test that on servers that they start themselves.
	if err := os.WriteFile(filepath.Join(at.dir, "memcached-debug"), []byte(builtWith), 0o755); err != nil {
		return outcome{ended: err.Error()}
	}
	if err := os.Symlink(filepath.Join(source, "t"), filepath.Join(at.dir, "t")); err != nil {
		return outcome{ended: err.Error()}
	}
	said, ended := command(memcachedLimit, at.dir, []string{"T_MEMD_USE_DAEMON=" + at.addr}, "perl", "-It/lib", "t/"+u.name+".t")
	return parseTAP(said, ended)
}

// builtWith keeps silent about what is not wanted of any server here: extstore, the proxy, TLS by its own options.
const builtWith = "#!/bin/sh\nmemcached -h | grep -v -e ext_ -e proxy -e ssl -e sasl\n"

var (
	tapLine = regexp.MustCompile(`^(not )?ok \d+(?: - (.*))?$`)
	tapPlan = regexp.MustCompile(`(?m)^1\.\.\d+$`)
	tapCut  = regexp.MustCompile(`(?m)^# Looks like your test exited`)
)

// parseTAP reads what Perl's Test::More prints. A test without a name has that of all such.
func parseTAP(said []byte, ended string) outcome {
	o := outcome{ended: ended, reached: !tapCut.Match(said) && (ended == "" || tapPlan.Match(said))}
	var last *test
	for line := range bytes.Lines(said) {
		text := strings.TrimRight(string(line), "\r\n")
		m := tapLine.FindStringSubmatch(text)
		switch {
		case m == nil && last != nil:
			last.said += text + "\n"
			continue
		case m == nil:
			continue
		}
		t := test{name: m[2]}
		if m[1] != "" {
			t.state = failed
		} else if strings.Contains(text, "# skip") {
			t.state = ignored
		}
		o.tests, last = append(o.tests, t), nil
		if t.state == failed {
			last = &o.tests[len(o.tests)-1]
		}
	}
	return o
}

var capableLine = regexp.MustCompile(`^(.*?)\s+\[(pass|FAIL|skip)\]`)

// parseCapable reads what memccapable prints.
func parseCapable(said []byte, ended string) outcome {
	o := outcome{ended: ended}
	for line := range bytes.Lines(said) {
		m := capableLine.FindStringSubmatch(string(line))
		if m == nil {
			continue
		}
		t := test{name: m[1]}
		if m[2] != "pass" {
			t.state = failed
		}
		o.tests = append(o.tests, t)
	}
	return o
}
