//go:build linux

package main

import (
	"fmt"
	"strings"
)

const introduction = `# Conformance

Written by ` + "`make conformance`" + `; change it there (test/conformance). The tests are the originals' own, fetched from Debian's source packages and not kept here;
each unit ran on a fresh original and on a fresh Holdfast, one after the other. *Original* is how many of a unit's tests the original itself
passes this way: what it fails or leaves out against an external server asks nothing of Holdfast. *Excluded* are those of them that are not
demanded of Holdfast, by a rule below. A unit that is not *demanded* is shown for what it tells.

`

// report is the document.
func report(suites []*suite, rows []row) string {
	var b strings.Builder
	b.WriteString(introduction)
	for _, s := range suites {
		s.report(&b, rows)
	}
	return b.String()
}

func (s *suite) report(b *strings.Builder, rows []row) {
	fmt.Fprintf(b, "## %s %s\n\n| unit | original | excluded | Holdfast | of | demanded |\n|---|---|---|---|---|---|\n", s.title, s.version)
	var original, excluded, ours int
	var missed, rules strings.Builder
	for i := range rows {
		r := &rows[i]
		if r.suite != s.name {
			continue
		}
		all := r.original.count(passed)
		demanded := "no"
		if r.unit.demanded {
			demanded = "yes"
			original, excluded, ours = original+all, excluded+r.excluded, ours+r.passed
		}
		fmt.Fprintf(b, "| %s | %d | %d | %d | %d | %s |\n", r.unit.name, all, r.excluded, r.passed, all-r.excluded, demanded)
		r.listMissed(&missed)
		for _, x := range r.unit.exclude {
			fmt.Fprintf(&rules, "| %s | %s | %s |\n", r.unit.name, cell(x.tests), x.why)
		}
	}
	fmt.Fprintf(b, "| **all that is demanded** | **%d** | **%d** | **%d** | **%d** | |\n", original, excluded, ours, original-excluded)
	for _, part := range []struct{ heading, text string }{
		{"What does not pass", missed.String()},
		{"Excluded tests\n\n| unit | tests (a regular expression) | why |\n|---|---|---|", rules.String()},
		{"Units that are not run\n\n| units | why |\n|---|---|", leftOut(s.leftOut)},
	} {
		if part.text != "" {
			fmt.Fprintf(b, "\n### %s\n%s", part.heading, part.text)
		}
	}
	b.WriteString("\n")
}

func leftOut(all []exclusion) string {
	var b strings.Builder
	for _, x := range all {
		fmt.Fprintf(&b, "| %s | %s |\n", x.tests, x.why)
	}
	return b.String()
}

// listMissed writes the tests of a unit that do not pass here.
func (r *row) listMissed(b *strings.Builder) {
	if len(r.missed) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s", r.unit.name)
	if r.ours.ended != "" {
		fmt.Fprintf(b, " (%s)", strings.Join(strings.Fields(r.ours.ended), " "))
	}
	b.WriteString(":\n")
	for _, name := range r.missed {
		fmt.Fprintf(b, "- %s\n", name)
	}
}

// cell keeps a bar from ending a table's cell.
func cell(s string) string { return "`" + strings.ReplaceAll(s, "|", `\|`) + "`" }
