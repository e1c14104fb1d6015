package openstack

import (
	"strconv"
	"strings"
)

// Limits of a configuration that is read; more is cut off.
const (
	maxLines   = 100_000
	maxOptions = 20_000
	maxOption  = 64 << 10 // bytes of a value
)

// position is where something stands in a file.
type position struct {
	file string
	line int // from 1 on; 0 for the file itself
}

// option is one setting of a service, or that it is not set.
type option struct {
	position
	value string
	set   bool
}

// oslo is what the files of one service say, in the order in which it reads them.
type oslo struct {
	sections map[string]position
	options  map[string][]option // by section, a dot and key, all values in their order
	count    int
}

func newOslo() *oslo { return &oslo{sections: map[string]position{}, options: map[string][]option{}} }

// read takes a file in as oslo.config does: sections, key = value or key: value, lines that begin with a blank go on with the value.
func (c *oslo) read(file, text string) {
	section, last := "", ""
	n := 0
	for line := range strings.Lines(text) {
		if n++; n > maxLines || c.count > maxOptions {
			return
		}
		at := position{file, n}
		line = strings.TrimRight(line, " \t\r\n")
		trimmed := strings.TrimLeft(line, " \t")
		switch {
		case trimmed == "" || trimmed[0] == '#' || trimmed[0] == ';':
			if trimmed == "" {
				last = ""
			}
		case trimmed != line && last != "":
			all := c.options[last]
			if o := &all[len(all)-1]; len(o.value) < maxOption {
				o.value += "\n" + trimmed
			}
		case trimmed[0] == '[':
			name, _, _ := strings.Cut(trimmed[1:], "]")
			section, last = strings.TrimSpace(name), ""
			if _, known := c.sections[section]; !known {
				c.sections[section] = at
			}
		default:
			last = c.add(section, trimmed, at)
		}
	}
}

// add takes in an option, and returns under which name.
func (c *oslo) add(section, line string, at position) string {
	i := strings.IndexAny(line, "=:")
	if i <= 0 {
		return ""
	}
	value := strings.TrimSpace(line[i+1:])
	if n := len(value); n > 1 && value[0] == value[n-1] && (value[0] == '"' || value[0] == '\'') {
		value = value[1 : n-1]
	}
	name := section + "." + strings.ReplaceAll(strings.TrimSpace(line[:i]), "-", "_")
	c.options[name] = append(c.options[name], option{at, value, true})
	c.count++
	return name
}

// has says whether there is such a section.
func (c *oslo) has(section string) bool { _, ok := c.sections[section]; return ok }

// get returns an option under its first name that is set, the last value of it; unset, it stands where its section begins.
func (c *oslo) get(section string, keys ...string) option {
	for _, key := range keys {
		if all := c.options[section+"."+key]; len(all) > 0 {
			return all[len(all)-1]
		}
	}
	return option{position: c.sections[section]}
}

// all returns every value of an option that may stand several times.
func (c *oslo) all(section, key string) []option { return c.options[section+"."+key] }

// is says whether the option is set and true.
func (o option) is() bool {
	switch strings.ToLower(o.value) {
	case "true", "yes", "on", "1":
		return true
	}
	return false
}

// number returns the value, or otherwise if it is not set; ok is false if it is none.
func (o option) number(otherwise float64) (v float64, ok bool) {
	if !o.set {
		return otherwise, true
	}
	v, err := strconv.ParseFloat(o.value, 64)
	return v, err == nil
}

// list splits a value at commas.
func (o option) list() (all []string) {
	for _, s := range strings.FieldsFunc(o.value, func(r rune) bool { return r == ',' || r == '\n' }) {
		if s = strings.TrimSpace(s); s != "" {
			all = append(all, s)
		}
	}
	return all
}
