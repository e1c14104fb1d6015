package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Example returns a configuration file that says of every setting what it is, with its default behind a comment sign.
func Example() string {
	var b strings.Builder
	b.WriteString("# Settings of holdfast. Every one has the default that stands here behind the comment sign.\n")
	b.WriteString("# A flag wins over an environment variable, that over this file. 'holdfast config check FILE' says what is wrong.\n")
	c, group := Default(), ""
	for _, s := range c.Settings() {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(&b, "\n# === %s ===\n", group)
		}
		b.WriteString("\n")
		for _, line := range wrap(s.sentence(), 110) {
			fmt.Fprintf(&b, "# %s\n", line)
		}
		fmt.Fprintf(&b, "#%s = %s\n", s.Key, s.toml())
	}
	return b.String()
}

// Markdown returns the reference of all settings: docs/settings.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("# Settings\n\n" +
		"Generated from `config/config.go` by `make docs`; change it there.\n\n" +
		"Every setting is a key in the configuration file (TOML, `holdfast serve --config FILE`), an environment variable and a flag of\n" +
		"`holdfast serve`. A flag wins over a variable, a variable over the file. A name that is no setting is an error, as is a `HOLDFAST_`\n" +
		"variable that is none. `holdfast config` prints a file to start from, `holdfast config check FILE` says what is wrong with one.\n" +
		"The daemon never writes its configuration. `HOLDFAST_CONFIG` names the file too; verbs that ask a daemon read `/etc/holdfast/holdfast.toml` without either.\n" +
		"Files that settings name are best named with their whole paths: others count from the directory that the daemon is started in.\n\n" +
		"Sizes are written 64KiB, 512MiB, 2GiB; durations 900ms, 3s, 1h; lists `[\"a\", \"b\"]` in the file and `a,b` elsewhere.\n")
	c, group := Default(), ""
	for _, s := range c.Settings() {
		if s.Group != group {
			group = s.Group
			fmt.Fprintf(&b, "\n## %s\n", group)
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n", s.Key, s.Doc)
		fmt.Fprintf(&b, "- file `%s = %s`, flag `--%s`, variable `%s`\n", s.Key, s.toml(), s.Key, s.Env)
		if r := s.Range(); r != "" {
			fmt.Fprintf(&b, "- allowed: %s\n", r)
		}
	}
	return b.String()
}

// sentence is the documentation with the allowed values behind it.
func (s Setting) sentence() string {
	if r := s.Range(); r != "" {
		return s.Doc + " Allowed: " + r + "."
	}
	return s.Doc
}

// toml writes the value as a file has it.
func (s Setting) toml() string {
	switch s.field.Kind() {
	case reflect.Int, reflect.Bool:
		return s.String()
	case reflect.Slice:
		var quoted []string
		for _, e := range s.field.Interface().([]string) {
			quoted = append(quoted, fmt.Sprintf("%q", e))
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	return fmt.Sprintf("%q", s.String())
}

// wrap breaks text into lines of at most width bytes, between words.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
