//go:build linux

package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// screen prints sentences and tables, in colour where somebody looks.
type screen struct {
	out                           *os.File
	bold, red, green, dim, normal string
}

func newScreen(out *os.File) *screen {
	s := &screen{out: out}
	if _, err := unix.IoctlGetTermios(int(out.Fd()), unix.TCGETS); err == nil && os.Getenv("NO_COLOR") == "" {
		s.bold, s.red, s.green, s.dim, s.normal = "\x1b[1m", "\x1b[31m", "\x1b[32m", "\x1b[2m", "\x1b[0m"
	}
	return s
}

func (s *screen) print(format string, a ...any) { fmt.Fprintf(s.out, format+"\n", a...) }

// say begins a paragraph.
func (s *screen) say(format string, a ...any) { s.print("\n"+format, a...) }

func (s *screen) alarm(format string, a ...any) {
	s.say(s.bold+format+s.normal, a...)
}

func (s *screen) good(format string, a ...any) { s.print(s.green+format+s.normal, a...) }
func (s *screen) bad(format string, a ...any)  { s.print(s.red+format+s.normal, a...) }

const columns = "  %7s  %18s  %8s  %7s  %9s  %8s  %6s"

func (s *screen) heading() {
	s.print(s.dim+columns+s.normal, "", "writes answered by", "longest", "errors", "users who", "counters", "lock")
	s.print(s.dim+columns+s.normal, "time", "c1    c2    c3", "pause", "", "logged in", "stand at", "held")
}

func (s *screen) row(cells ...any) { s.print(columns, cells...) }

// result is a line of the table at the end.
func (s *screen) result(what, found string, kept bool) {
	mark := s.green + "yes" + s.normal
	if !kept {
		mark = s.red + "NO " + s.normal
	}
	s.print("  %-38s %-76s kept: %s", what, found, mark)
}

// cell is a number of writes, six wide.
func cell(n int, down bool) string {
	if n == 0 && down {
		return "     -"
	}
	return fmt.Sprintf("%6d", n)
}

// took is a time as people say it.
func took(d time.Duration) string {
	if d < 2*time.Second {
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
