package cli

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	defaultWidth = 100                    // columns, where nobody says
	leastWidth   = 60                     // narrower ones are taken for this
	minWatch     = 250 * time.Millisecond // between two looks
)

// checkWatch is for a flag that says how often to look.
func checkWatch(flag string, every time.Duration) error {
	if every < minWatch {
		return usage{fmt.Errorf("--%s is %s: write %s or more", flag, every, minWatch)}
	}
	return nil
}

// Colours, for a terminal alone.
const (
	red    = "\x1b[1;31m"
	green  = "\x1b[1;32m"
	yellow = "\x1b[1;33m"
	bold   = "\x1b[1m"
	plain  = "\x1b[0m"
)

// screen collects what is to be shown until flush. On a terminal there are colours, and clear begins anew.
type screen struct {
	strings.Builder
	out      io.Writer
	terminal bool
	colours  bool
	width    int
}

// screenOf looks whether out is a terminal. environ may have COLUMNS and NO_COLOR.
func screenOf(out io.Writer, environ []string) *screen {
	s := &screen{out: out, width: defaultWidth}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		s.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	s.colours = s.terminal
	for _, line := range environ {
		switch name, value, _ := strings.Cut(line, "="); name {
		case "COLUMNS":
			if n, err := strconv.Atoi(value); err == nil {
				s.width = max(n, leastWidth)
			}
		case "NO_COLOR", "TERM":
			s.colours = s.colours && (name == "TERM" && value != "dumb" || name == "NO_COLOR" && value == "")
		}
	}
	return s
}

// clear has what follows take the place of what is on the terminal; elsewhere a blank line parts them.
func (s *screen) clear() {
	switch {
	case s.terminal:
		s.WriteString("\x1b[H\x1b[2J")
	case s.out != nil:
		s.WriteString("\n")
	}
}

func (s *screen) flush() error {
	_, err := io.WriteString(s.out, s.String())
	s.Reset()
	return err
}

func (s *screen) colour(c, text string) string {
	if !s.colours {
		return text
	}
	return c + text + plain
}

func (s *screen) line(format string, args ...any) { fmt.Fprintf(s, format+"\n", args...) }

// title is the head of a part, behind a blank line.
func (s *screen) title(text string) { s.line("\n%s", s.colour(bold, text)) }

// prose writes head and text within the width, the lines after the first further in.
func (s *screen) prose(head, text string) {
	indent := ""
	if head != "" {
		indent = "  "
	}
	line, begun := head, false
	for _, word := range strings.Fields(text) {
		if begun && len(line)+1+len(word) > s.width {
			s.line("%s", line)
			line, begun = indent, false
		}
		if begun {
			line += " "
		}
		line, begun = line+word, true
	}
	s.line("%s", line)
}

// cells are rows of columns. A row may end early: its last cell is then as long as it likes.
type cells struct {
	rows   [][]string
	colour map[int]string // of a row
	right  map[int]bool   // columns that end alike
}

func (c *cells) row(row ...string) { c.rows = append(c.rows, row) }

// paint gives the newest row a colour.
func (c *cells) paint(colour string) {
	if c.colour == nil {
		c.colour = map[int]string{}
	}
	c.colour[len(c.rows)-1] = colour
}

// table writes c, the columns two blanks apart. What a last cell has beyond the width goes below its first line.
func (s *screen) table(c *cells) {
	if len(c.rows) == 0 {
		return
	}
	columns := len(c.rows[0])
	width := make([]int, columns)
	for _, row := range c.rows {
		for i, cell := range row {
			if len(row) == columns || i < len(row)-1 {
				width[i] = max(width[i], len([]rune(cell)))
			}
		}
	}
	for n, row := range c.rows {
		var b strings.Builder
		for i, cell := range row {
			pad := max(0, width[i]-len([]rune(cell)))
			switch {
			case i == len(row)-1 && !c.right[i], len(row) < columns && i == len(row)-1:
				s.cell(&b, cell)
			case c.right[i]:
				b.WriteString(strings.Repeat(" ", pad) + cell + "  ")
			default:
				b.WriteString(cell + strings.Repeat(" ", pad) + "  ")
			}
		}
		text := strings.TrimRight(b.String(), " ")
		if colour := c.colour[n]; colour != "" {
			text = s.colour(colour, text)
		}
		s.line("%s", text)
	}
}

// cell adds text to a row, over as many lines as it takes, each below the beginning of the first.
func (s *screen) cell(row *strings.Builder, text string) {
	begin := len([]rune(row.String()))
	if begin+len([]rune(text)) <= s.width || begin > s.width/2 {
		row.WriteString(text)
		return
	}
	at := begin
	for _, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case at == begin:
		case at+1+n > s.width:
			row.WriteString("\n" + strings.Repeat(" ", begin))
			at = begin
		default:
			row.WriteByte(' ')
			at++
		}
		row.WriteString(word)
		at += n
	}
}
