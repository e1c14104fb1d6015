//go:build linux

package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// section is what one case has to say.
type section struct {
	Name, Title string
	Part        string
	Intro       []string
	Tables      []table
	Goals       []goal
	Failure     string // why the case ended early; empty: it did not
}

type table struct {
	Caption string
	Head    []string
	Rows    [][]string
}

func (t *table) row(cells ...string) { t.Rows = append(t.Rows, cells) }

// goal is a bound that the project set itself.
type goal struct {
	What     string
	Limit    float64
	AtLeast  bool // else at most
	Unit     string
	Measured float64
	Range    string // of the runs, if there were several
	Missing  string // why it was not measured; empty: it was
}

// verdict says met, or by how much not.
func (g goal) verdict() string {
	if g.Missing != "" {
		return "not measured: " + g.Missing
	}
	if g.AtLeast == (g.Measured >= g.Limit) || g.Measured == g.Limit {
		return "met"
	}
	if g.Limit == 0 {
		return "**missed**"
	}
	return fmt.Sprintf("**missed** by %.0f %%", math.Max(1, 100*math.Abs(g.Measured-g.Limit)/g.Limit))
}

// ratioGoal compares paired runs with a bound.
func (s *section) ratioGoal(what string, r ratio, limit float64, atLeast bool) {
	g := goal{What: what, Limit: limit, AtLeast: atLeast, Measured: r.Median, Range: fmt.Sprintf("%.2f-%.2f", r.Min, r.Max)}
	if r.N == 0 {
		g.Missing = "one of the two is not here"
	}
	s.Goals = append(s.Goals, g)
}

func (s *section) intro(format string, a ...any) {
	s.Intro = append(s.Intro, fmt.Sprintf(format, a...))
}

// Parts of the report. A run writes those that it has cases of; it keeps the others as they are.
const (
	partOne   = "one"
	partGroup = "group"
)

// part is one of them. Missed says why goals are missed, as far as it is known.
type part struct{ name, title, remake, missed string }

//go:embed missed_one.md
var missedOne string

//go:embed missed_group.md
var missedGroup string

var parts = []part{
	{partGroup, "A group of three controllers", "`make bench-group` (about 12 minutes)", missedGroup},
	{partOne, "One controller", "`go run ./bench -part one -o docs/benchmarks.md` (about half an hour)", missedOne},
}

// mark begins a part.
func (p part) mark() string { return "<!-- part " + p.name + " -->\n" }

// report is the whole of docs/benchmarks.md.
type report struct {
	machine          string
	versions         func(part string) []string
	quick            bool
	sections         []*section
	discarded, noisy int
}

const reportHead = `# Benchmarks

Written by ${make bench} in two parts, each of one run; do not edit. Look at some of it with ${go run ./bench -quick -only cpu,gaps}. The
raw figures of every run of the load generator are in ${bin/bench/raw.json}.

`

// write makes the parts that were measured and takes the others from old.
func (r *report) write(w io.Writer, old string) error {
	var t strings.Builder
	t.WriteString(strings.NewReplacer("${", "`", "}", "`").Replace(reportHead))
	for _, p := range parts {
		var sections []*section
		for _, s := range r.sections {
			if s.Part == p.name {
				sections = append(sections, s)
			}
		}
		if len(sections) > 0 {
			r.writePart(&t, p, sections)
		} else {
			t.WriteString(kept(old, p))
		}
	}
	_, err := io.WriteString(w, t.String())
	return err
}

// kept is a part as it stands in a report, nothing if it is not there.
func kept(report string, p part) string {
	_, text, ok := strings.Cut(report, p.mark())
	if !ok {
		return ""
	}
	for _, o := range parts {
		text, _, _ = strings.Cut(text, o.mark())
	}
	return p.mark() + text
}

func (r *report) writePart(t *strings.Builder, p part, sections []*section) {
	fmt.Fprintf(t, "%s## %s\n\nMeasured on %s by %s.\n\n", p.mark(), p.title, time.Now().UTC().Format("2006-01-02"), p.remake)
	if r.quick {
		t.WriteString("**A quick look** (`-quick`): short runs, few rounds, less data. Not the figures to quote.\n\n")
	}
	fmt.Fprintf(t, "- Machine: %s\n", r.machine)
	for _, v := range r.versions(p.name) {
		fmt.Fprintf(t, "- %s\n", v)
	}
	fmt.Fprintf(t, "- What is compared is measured in alternation, and ratios are taken round by round: medians, with the range of all rounds.\n"+
		"  A run during which other processes used more than %.2f of a core was discarded and repeated: %d were; of %d even the\n"+
		"  quietest of up to %d tries was noisier and counts all the same.\n\n", noiseLimit, r.discarded, r.noisy, noiseRetries+1)
	writeGoals(t, sections)
	t.WriteString(p.missed)
	t.WriteString("\n")
	for _, s := range sections {
		s.write(t)
	}
}

// save writes the report to a file, or to standard output if name is empty.
func (r *report) save(name string) error {
	if name == "" {
		return r.write(os.Stdout, "")
	}
	old, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var text strings.Builder
	if err := r.write(&text, string(old)); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(text.String()), 0o644)
}

func writeGoals(t *strings.Builder, sections []*section) {
	t.WriteString("### Goals\n\n| | goal | measured | range | |\n|---|---|---|---|---|\n")
	for _, s := range sections {
		for _, g := range s.Goals {
			bound, measured := "at most ", number(g.Measured)+g.Unit
			if g.AtLeast {
				bound = "at least "
			}
			if g.Missing != "" {
				measured, g.Range = "-", ""
			}
			fmt.Fprintf(t, "| %s | %s%s | %s | %s | %s |\n", g.What, bound, number(g.Limit)+g.Unit, measured, g.Range, g.verdict())
		}
	}
	t.WriteString("\n")
}

func (s *section) write(t *strings.Builder) {
	fmt.Fprintf(t, "### %s\n\n", s.Title)
	if s.Failure != "" {
		fmt.Fprintf(t, "**This case failed: %s**\n\n", s.Failure)
	}
	for _, p := range s.Intro {
		t.WriteString(p + "\n\n")
	}
	for _, b := range s.Tables {
		if b.Caption != "" {
			t.WriteString(b.Caption + "\n\n")
		}
		fmt.Fprintf(t, "| %s |\n|%s\n", strings.Join(b.Head, " | "), strings.Repeat("---|", len(b.Head)))
		for _, row := range b.Rows {
			fmt.Fprintf(t, "| %s |\n", strings.Join(row, " | "))
		}
		t.WriteString("\n")
	}
}

// number shows three digits that count.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.0995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case a == 0:
		return "0"
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

// describeMachine says what matters for speed, and no name.
func describeMachine() string {
	cpus, _ := processors()
	var u unix.Utsname
	unix.Uname(&u)
	model, mem := "", ""
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		model = field(string(b), "model name")
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		mem = field(string(b), "MemTotal")
	}
	kib, _ := strconv.ParseFloat(strings.TrimSuffix(mem, " kB"), 64)
	return fmt.Sprintf("%d processors (%s), %.0f GiB, Linux %s, %s", len(cpus), model, kib/(1<<20), unix.ByteSliceToString(u.Release[:]), runtime.Version())
}

func field(text, name string) string {
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

// versions names everything that is measured in a part, and what is missing.
func (b *bench) versions(part string) []string {
	var all []string
	peers := []string{"redis-server", "valkey-server", "memcached"}
	if part == partGroup {
		peers = []string{"redis-server", "etcd"}
	}
	for _, p := range peers {
		out, err := exec.Command(p, "--version").Output()
		if err != nil {
			all = append(all, p+": not installed here, so it is left out")
			continue
		}
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		all = append(all, p+": "+line)
	}
	if part == partOne && b.climit == "" {
		all = append(all, "C limit: no gcc here, so it is left out")
	} else if part == partOne {
		all = append(all, "C limit: `bench/climit/climit.c`, an epoll loop that answers a constant, gcc -O2")
	}
	if b.holdfast == "none" {
		return append(all, "holdfast: left out")
	}
	out, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		out = []byte("unknown revision")
	}
	return append(all, "holdfast: "+strings.TrimSpace(string(out)))
}
