package config

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
)

// Value is a setting and what it is to be, as Setting.Set takes it.
type Value struct{ Key, Text string }

// Change is a setting that Edit gave another value, as people may see it. Was is empty if the file did not set it.
type Change struct{ Key, Was, Now string }

// hidden stands for the value of a secret setting.
const hidden = "(hidden)"

// Edit returns the text of a configuration file in which these settings have these values, and what that changed. All else is as it was,
// comments too: a line that sets one is replaced where it stands, or else the line "#key =" that documents it, or else one is added at the end.
// name is for the error messages. The text that it returns sets what it should and nothing else: that is checked.
func Edit(name string, text []byte, values []Value) ([]byte, []Change, error) {
	before, is, err := readFor(name, text)
	if err != nil {
		return nil, nil, err
	}
	wanted := before
	var changes []Change
	var lines []string
	if len(text) > 0 {
		lines = strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
		lines[len(lines)-1] += "\n"
	}
	now := byKey(wanted.Settings())
	for _, v := range values {
		s, ok := now[v.Key]
		if !ok {
			return nil, nil, fmt.Errorf("there is no setting %q%s", v.Key, hint(v.Key, sortedKeys(now)))
		}
		was := s.toml()
		if err := s.Set(v.Text); err != nil {
			return nil, nil, err
		}
		if is[v.Key] && s.toml() == was {
			continue
		}
		if !is[v.Key] {
			was = ""
		}
		c := Change{v.Key, was, s.toml()}
		if s.Secret {
			c.Now = hidden
			if was != "" {
				c.Was = hidden
			}
		}
		changes = append(changes, c)
		lines = replace(lines, v.Key, v.Key+" = "+s.toml()+"\n")
	}
	edited := []byte(strings.Join(lines, ""))
	after, _, err := readFor(name, edited)
	if err != nil || !equal(&after, &wanted) {
		return nil, nil, fmt.Errorf("%s is written in a way that cannot be edited: set %s in it by hand", name, keysOf(changes))
	}
	if len(changes) == 0 {
		return text, nil, nil
	}
	return edited, changes, nil
}

// readFor returns what a file says over the defaults, and which settings it sets.
func readFor(name string, text []byte) (c Config, set map[string]bool, err error) {
	c = Default()
	if err := c.ApplyFile(name, text); err != nil {
		return c, nil, err
	}
	var keys map[string]any
	if _, err := toml.NewDecoder(bytes.NewReader(text)).Decode(&keys); err != nil {
		return c, nil, err
	}
	set = map[string]bool{}
	for key := range keys {
		set[key] = true
	}
	return c, set, nil
}

func equal(a, b *Config) bool {
	other := b.Settings()
	for i, s := range a.Settings() {
		if s.toml() != other[i].toml() {
			return false
		}
	}
	return true
}

func keysOf(changes []Change) string {
	var all []string
	for _, c := range changes {
		all = append(all, c.Key)
	}
	return strings.Join(all, ", ")
}

// replace puts line in the place of those that set key, or of the one that documents it, or at the end.
func replace(lines []string, key, line string) []string {
	for _, sign := range []string{"", "#"} {
		for i := range lines {
			rest, ok := strings.CutPrefix(strings.TrimLeft(lines[i], " \t"), sign+key)
			if ok && strings.HasPrefix(strings.TrimLeft(rest, " \t"), "=") {
				end := i + 1
				if sign == "" {
					end = endOf(lines, i)
				}
				return append(append(append([]string{}, lines[:i]...), line), lines[end:]...)
			}
		}
	}
	return append(lines, line)
}

// endOf returns where the setting that begins in lines[i] ends: a list may take several lines.
func endOf(lines []string, i int) int {
	for end := i + 1; end <= len(lines); end++ {
		var any map[string]any
		if _, err := toml.Decode(strings.Join(lines[i:end], ""), &any); err == nil {
			return end
		}
	}
	return i + 1
}

// ParseValue reads KEY=VALUE, where KEY is a setting and VALUE may be its value.
func ParseValue(text string) (Value, error) {
	key, value, ok := strings.Cut(text, "=")
	c := Default()
	s, known := byKey(c.Settings())[key]
	switch {
	case !known:
		return Value{}, fmt.Errorf("there is no setting %q%s", key, hint(key, sortedKeys(byKey(c.Settings()))))
	case !ok:
		return Value{}, fmt.Errorf("%q has no value: write %s=VALUE", text, key)
	}
	return Value{key, value}, s.Set(value)
}
