package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"holdfast/config"
)

const (
	maxFile = 1 << 20           // bytes of a configuration file
	fileEnv = "HOLDFAST_CONFIG" // names the file when --config does not
)

// loader gathers settings from where they may come: the file, then the environment, then flags.
type loader struct {
	file    string
	environ []string
	flags   []*settingFlag // those that were given, in order
}

// settingFlag is the flag of one setting. It remembers what it was given; load sets it.
type settingFlag struct {
	setting config.Setting // of a Config that is only there for its defaults
	into    *loader
	given   []string // a list may be given in several flags, of others the last counts
}

// Set, String and Type are what a flag needs.
func (f *settingFlag) Set(text string) error {
	if err := f.setting.Set(text); err != nil {
		return err
	}
	if f.given == nil {
		f.into.flags = append(f.into.flags, f)
	}
	if f.Type() != "list" {
		f.given = f.given[:0]
	}
	f.given = append(f.given, text)
	return nil
}

func (f *settingFlag) String() string {
	if f.setting.Key == "" {
		return "" // the zero value, which the flag library compares defaults with
	}
	return f.setting.String()
}

func (f *settingFlag) Type() string { return f.setting.Type() }

// settingFlags gives c a flag for each setting, and one for the file.
func (p Program) settingFlags(c *cobra.Command) *loader {
	l := &loader{environ: p.Environ}
	defaults := config.Default()
	for _, s := range defaults.Settings() {
		c.Flags().Var(&settingFlag{setting: s, into: l}, s.Key, s.Doc)
		if s.Type() == "true|false" {
			c.Flags().Lookup(s.Key).NoOptDefVal = "true"
		}
	}
	p.fileFlag(c, l)
	return l
}

func (p Program) fileFlag(c *cobra.Command, l *loader) {
	c.Flags().SortFlags = false
	c.Flags().StringVar(&l.file, "config", "", "configuration file (also "+fileEnv+")")
}

// load returns the settings, validated. Flags win over the environment, the environment over the file.
func (l *loader) load() (config.Config, error) {
	c := config.Default()
	file := l.file
	for _, line := range l.environ {
		if value, ok := strings.CutPrefix(line, fileEnv+"="); ok && file == "" {
			file = value
		}
	}
	if file != "" {
		text, err := readFile(file)
		if err != nil {
			return c, fmt.Errorf("configuration file: %w", err)
		}
		if err := c.ApplyFile(file, text); err != nil {
			return c, err
		}
	}
	if err := c.ApplyEnv(l.environ, fileEnv); err != nil {
		return c, err
	}
	for _, s := range c.Settings() {
		for _, f := range l.flags {
			if f.setting.Key == s.Key {
				if err := s.Set(strings.Join(f.given, ",")); err != nil {
					return c, err
				}
			}
		}
	}
	return c, c.Validate()
}

// readFile reads a file of at most maxFile bytes.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes: is it the right file?", name, maxFile)
	}
	return text, nil
}

// missing has a sentence for each file that a setting names and that is not there, or not everywhere: the daemon would not start.
func missing(c *config.Config) (all []string) {
	for _, f := range []struct{ setting, file string }{
		{"peer-ca", c.PeerCA}, {"peer-cert", c.PeerCert}, {"peer-key", c.PeerKey}, {"redis-password-file", c.RedisPasswordFile}, {"memcached-auth-file", c.MemcachedAuthFile},
		{"users-file", c.UsersFile}, {"tls-cert", c.TLSCert}, {"tls-key", c.TLSKey}, {"tls-client-ca", c.TLSClientCA},
	} {
		if f.file == "" {
			continue
		}
		if !filepath.IsAbs(f.file) {
			all = append(all, fmt.Sprintf("setting %s is %q, which counts from the directory that the daemon is started in: write the whole path", f.setting, f.file))
		}
		if _, err := os.Stat(f.file); err != nil {
			all = append(all, fmt.Sprintf("setting %s: %s: put it there before the daemon is started", f.setting, err))
		}
	}
	return all
}
