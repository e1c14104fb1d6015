package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"holdfast/openstack"
)

// Exit codes of doctor.
const (
	doctorWarnings = 1
	doctorErrors   = 2
)

// Limits of what is looked through.
const (
	maxDepth     = 6    // directories below the one that was named
	maxLookedAt  = 5000 // files
	worldReading = 0o004
)

func (p Program) doctor() *cobra.Command {
	var controllers []string
	c := &cobra.Command{
		Use:   "doctor FILE|DIR...",
		Short: "Say what is wrong or risky for a group in the configuration of OpenStack's services, and how to mend it",
		Long: "Reads configuration files of services (oslo.config: [cache], [coordination], [keystone_authtoken], [token]; Horizon's local_settings.py,\n" +
			"which is read and not carried out), or all *.conf files and local_settings below directories, and says in a sentence each what is wrong\n" +
			"for a group. Files of X.conf.d and local_settings.d are read after X.conf and local_settings.py, as the services do.\n" +
			"Exit code: 0 nothing but notes, 1 warnings, 2 errors, or a file could not be read. docs/doctor.md has all rules.",
		Args: someArgs(1, 1000, "names of files or directories"),
	}
	f := formatFlag(c)
	d := p.daemonFlags(c)
	c.Flags().StringSliceVar(&controllers, "controllers", nil, "hosts of the controllers between commas, to compare lists of servers with (default: the members of the running group, if it answers)")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := f.check(); err != nil {
			return err
		}
		services, err := servicesBelow(args)
		if err != nil {
			return usage{err} // exit code 2: nothing could be said to be right
		}
		at, err := d.place(controllers)
		if err != nil {
			at.Hosts = nil // nobody knows
		}
		var all []openstack.Finding
		for _, files := range services {
			all = append(all, openstack.Check(files, &at)...)
		}
		if err := writeFindings(c.OutOrStdout(), all, len(services), f.json()); err != nil {
			return err
		}
		switch worst, _ := openstack.Worst(all); worst {
		case openstack.Error:
			return exit(doctorErrors)
		case openstack.Warning:
			return exit(doctorWarnings)
		}
		return nil
	}
	return c
}

func writeFindings(out io.Writer, all []openstack.Finding, services int, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		if all == nil {
			all = []openstack.Finding{}
		}
		return enc.Encode(all)
	}
	for _, f := range all {
		where := f.File
		if f.Line > 0 {
			where = fmt.Sprintf("%s:%d", f.File, f.Line)
		}
		if _, err := fmt.Fprintf(out, "%s: %s: %s [%s]\n", where, f.Severity, f.Text, f.Rule); err != nil {
			return err
		}
	}
	counts := map[string]int{}
	for _, f := range all {
		counts[f.Severity]++
	}
	_, err := fmt.Fprintf(out, "%d configuration%s: %d errors, %d warnings, %d notes\n", services, plural(services), counts["error"], counts["warning"], counts["note"])
	return err
}

// servicesBelow reads the files and returns them by the service that they belong to, in the order in which it reads them.
func servicesBelow(args []string) ([][]openstack.File, error) {
	byService := map[string][]string{}
	n := 0
	for _, arg := range args {
		err := filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir():
				if depth := strings.Count(strings.TrimPrefix(path, arg), string(filepath.Separator)); depth > maxDepth {
					return fs.SkipDir
				}
				return nil
			case path != arg && !isConfiguration(path):
				return nil
			}
			if n++; n > maxLookedAt {
				return fmt.Errorf("there are more than %d files below %s: name a directory further down", maxLookedAt, arg)
			}
			byService[serviceOf(path)] = append(byService[serviceOf(path)], path)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	var all [][]openstack.File
	for _, service := range sorted(byService) {
		files, err := readService(service, byService[service])
		if err != nil {
			return nil, err
		}
		all = append(all, files)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no *.conf and no local_settings in %s: name the directory of a service's configuration", strings.Join(args, ", "))
	}
	return all, nil
}

// isConfiguration says whether a file in a directory that was named is looked at.
func isConfiguration(path string) bool {
	name := filepath.Base(path)
	switch filepath.Ext(name) {
	case ".conf":
		return true
	case ".py":
		return name == "local_settings.py" || filepath.Base(filepath.Dir(path)) == "local_settings.d"
	}
	return false
}

// serviceOf names the configuration that a file is a part of: X.conf for X.conf.d/*, local_settings.py for local_settings.d/*.
func serviceOf(path string) string {
	dir := filepath.Dir(path)
	switch base := filepath.Base(dir); {
	case base == "local_settings.d":
		return filepath.Join(filepath.Dir(dir), "local_settings.py")
	case strings.HasSuffix(base, ".conf.d"):
		return strings.TrimSuffix(dir, ".d")
	}
	return path
}

func readService(service string, paths []string) (all []openstack.File, err error) {
	sort.Slice(paths, func(i, j int) bool {
		if first := paths[i] == service; first || paths[j] == service {
			return first && paths[j] != service
		}
		return paths[i] < paths[j]
	})
	for i, path := range paths {
		if i > 0 && path == paths[i-1] {
			continue
		}
		text, err := readFile(path)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		all = append(all, openstack.File{Name: path, Text: string(text), Exposed: info.Mode().Perm()&worldReading != 0})
	}
	return all, nil
}
