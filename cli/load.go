package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"holdfast/config"
)

// ConfigDir is where the packages have the configuration.
const ConfigDir = "/etc/holdfast"

const (
	maxFile = 1 << 20           // bytes of a configuration file
	fileEnv = "HOLDFAST_CONFIG" // names the file when --config does not
)

// loader gathers settings from where they may come: the file, then the environment, then flags.
type loader struct {
	file    string
	usual   string // is read when nobody names one, if it is there
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
	c.Flags().SortFlags = false
	c.Flags().StringVar(&l.file, "config", "", "configuration file (also "+fileEnv+")")
	return l
}

// daemonLoader gives c the flag that names the configuration of the daemon that it asks.
func (p Program) daemonLoader(c *cobra.Command) *loader {
	l := &loader{environ: p.Environ, usual: p.Config}
	c.Flags().SortFlags = false
	c.Flags().StringVar(&l.file, "config", "", "configuration file (also "+fileEnv+"; default: "+ConfigDir+"/holdfast.toml, if it is there)")
	return l
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
	if err := l.apply(&c, file); err != nil {
		return c, err
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

// apply sets what the file says, or the usual one if none is named.
func (l *loader) apply(c *config.Config, file string) error {
	usual := file == ""
	if usual {
		file = l.usual
	}
	if file == "" {
		return nil
	}
	text, err := readFile(file)
	switch {
	case usual && errors.Is(err, fs.ErrNotExist):
		return nil
	case usual && errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: %w; be root, or of the group that may", errUsual, err)
	case err != nil:
		return fmt.Errorf("configuration file: %w", err)
	}
	return c.ApplyFile(file, text)
}

// errUsual is a usual file that its reader may not read.
var errUsual = errors.New("configuration file")

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
