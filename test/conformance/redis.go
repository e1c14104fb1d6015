//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"holdfast/test/group"
)

// redisTags leaves out what upstream's own runs against external servers leave out, and what asks a server to look into itself.
const redisTags = "-needs:debug -needs:repl -needs:config-maxmemory -needs:config-resetstat -needs:pfdebug -needs:save -needs:latency -slow -large-memory"

// redisLimit bounds a unit; stall is how many seconds may pass without a test getting done.
const (
	redisLimit = 5 * time.Minute
	redisStall = "60"
)

func redisSuite() *suite {
	return &suite{
		name:    "redis",
		title:   "Redis",
		program: "redis-server",
		units:   redisUnits,
		leftOut: redisLeftOut,
		original: func(dir string) (*server, error) {
			return startOriginal(dir, func(port string) []string {
				return []string{"redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--enable-debug-command", "yes", "--enable-protected-configs", "yes", "--enable-module-command", "yes"}
			})
		},
		ours: func(dir, binary string) (*server, error) {
			return startHoldfast(dir, binary, func(m *group.Member) string { return m.Redis })
		},
		run: runRedis,
	}
}

// runRedis runs one unit of the Tcl suite. Each run has a copy of the suite, which writes into its own folder.
func runRedis(source string, u *unit, skip []string, at *server) outcome {
	copied := filepath.Join(at.dir, "suite")
	if err := copySuite(source, copied); err != nil {
		return outcome{ended: err.Error()}
	}
	if u.edit != nil {
		if err := u.edit.apply(filepath.Join(copied, "tests", u.name+".tcl")); err != nil {
			return outcome{ended: err.Error()}
		}
	}
	args := []string{"--host", "127.0.0.1", "--port", at.port(), "--single", u.name, "--tags", redisTags, "--durable", "--timeout", redisStall, "--dont-clean",
		"--baseport", strconv.Itoa(20000 + 100*rand.IntN(120))} // the suite's parts talk over ports near that one; another run may be under way
	for _, x := range skip {
		args = append(args, "--skiptest", "/"+x)
	}
	said, ended := command(redisLimit, copied, []string{"TERM=dumb"}, filepath.Join(copied, "runtest"), args...)
	return parseRedis(said, ended)
}

// apply makes the change in a file; that it finds nothing to change is an error.
func (e *edit) apply(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if !bytes.Contains(text, []byte(e.old)) {
		return fmt.Errorf("%s has no %q any more: see redisunits.go", filepath.Base(file), e.old)
	}
	return os.WriteFile(file, bytes.Replace(text, []byte(e.old), []byte(e.new), 1), 0o644)
}

// copySuite copies the tests, and puts the programs that some call where they look for them.
func copySuite(source, to string) error {
	if err := os.CopyFS(filepath.Join(to, "tests"), os.DirFS(filepath.Join(source, "tests"))); err != nil {
		return err
	}
	script, err := os.ReadFile(filepath.Join(source, "runtest"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(to, "runtest"), script, 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(to, "src"), 0o755); err != nil {
		return err
	}
	for _, program := range []string{"redis-server", "redis-cli", "redis-benchmark"} {
		if err := os.Symlink("/usr/bin/"+program, filepath.Join(to, "src", program)); err != nil {
			return err
		}
	}
	return nil
}

var (
	redisColour = regexp.MustCompile(`\x1b\[[0-9;]*m`)
	redisWord   = regexp.MustCompile(`^\[(ok|err|ignore|skip|exception|timeout)\]: (.*)$`)
	redisTime   = regexp.MustCompile(` \(\d+ ms\)$`)
	redisFile   = regexp.MustCompile(` in tests/\S+\.tcl$`)
	redisDone   = regexp.MustCompile(`^\[\d+/\d+ done\]`)
)

// parseRedis reads what runtest prints.
func parseRedis(said []byte, ended string) (o outcome) {
	whole := false
	var last *test // the failed one that the lines belong to
	for line := range bytes.Lines(redisColour.ReplaceAll(said, nil)) {
		text := strings.TrimRight(string(line), "\n")
		if redisDone.MatchString(text) {
			whole, last = true, nil
			continue
		}
		m := redisWord.FindStringSubmatch(text)
		if m == nil {
			if last != nil {
				last.said += text + "\n"
			}
			continue
		}
		if whole { // the list of those that failed, once more
			break
		}
		last = nil
		switch m[1] {
		case "ok":
			o.tests = append(o.tests, test{name: redisTime.ReplaceAllString(m[2], "")})
		case "err":
			if !redisFile.MatchString(m[2]) { // not of a test: what stands around some broke, and with it those behind
				o.ended = "outside of a test: " + m[2]
				continue
			}
			o.tests = append(o.tests, test{name: redisFile.ReplaceAllString(m[2], ""), state: failed})
			last = &o.tests[len(o.tests)-1]
		case "ignore":
			o.tests = append(o.tests, test{name: m[2], state: ignored})
		case "exception", "timeout":
			o.ended = m[1] + ": " + m[2]
		}
	}
	if !whole && o.ended == "" {
		o.ended = ended
		if len(o.tests) == 0 {
			o.ended += ": " + strings.TrimSpace(string(said[max(0, len(said)-500):]))
		}
	}
	return o
}
