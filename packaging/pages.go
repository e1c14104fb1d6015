package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"holdfast/cli"
	"holdfast/config"
)

// writePages writes a page for each verb to stage/man1 and that of the configuration file to stage/man5.
func writePages(stage string, date time.Time) error {
	verbs, files := filepath.Join(stage, "man1"), filepath.Join(stage, "man5")
	for _, dir := range []string{verbs, files} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	if err := writeZipped(filepath.Join(files, "holdfast.toml.5.gz"), configPage(date)); err != nil {
		return err
	}
	root := cli.Program{}.Command()
	root.Long = overview(root)
	return writeVerb(root, verbs, date)
}

// overview is the description in holdfast(1): the verbs, and the files of an installation.
func overview(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("Holdfast keeps the shared state of an OpenStack control plane on all controllers at once, and serves it by the Redis and the memcached protocol. " +
		"The daemon is **holdfast serve**; the other verbs ask a running one, or prepare and look after it.\n\n# VERBS\n\n")
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			fmt.Fprintf(&b, "**%s**: %s.\n\n", c.Name(), c.Short)
		}
	}
	b.WriteString("# FILES\n\n**/etc/holdfast/holdfast.toml**: the settings; see **holdfast.toml(5)**.\n\n**/var/lib/holdfast**: log and snapshots.\n\n" +
		"**/usr/share/holdfast**: alerts for Prometheus and a dashboard for Grafana.\n")
	return b.String()
}

// writeVerb writes the page of a verb and of those below it.
func writeVerb(c *cobra.Command, dir string, date time.Time) error {
	c.DisableAutoGenTag = true
	for _, below := range c.Commands() {
		if !below.IsAvailableCommand() || below.IsAdditionalHelpTopicCommand() {
			continue
		}
		if err := writeVerb(below, dir, date); err != nil {
			return err
		}
	}
	var page strings.Builder
	header := doc.GenManHeader{Section: "1", Date: &date, Source: "Holdfast", Manual: "Holdfast"}
	if err := doc.GenMan(c, &header, &page); err != nil {
		return err
	}
	name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1.gz"
	return writeZipped(filepath.Join(dir, name), []byte(page.String()))
}

// configPage is holdfast.toml(5): the reference of all settings.
func configPage(date time.Time) []byte {
	_, reference, ok := strings.Cut(config.Markdown(), "change it there.\n")
	if !ok {
		panic("the reference of the settings does not begin as it did")
	}
	return md2man.Render(fmt.Appendf(nil, "%% \"HOLDFAST.TOML\" \"5\" %q \"Holdfast\" \"Holdfast\"\n\n# NAME\nholdfast.toml - settings of Holdfast\n\n"+
		"# DESCRIPTION\n%s\n# SEE ALSO\n**holdfast(1)**, **holdfast-serve(1)**, **holdfast-config-check(1)**\n", date.Format("Jan 2006"), reference))
}

// writeCompletion writes a file for each shell.
func writeCompletion(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root := cli.Program{}.Command()
	for shell, write := range map[string]func(name string) error{
		"bash": func(name string) error { return root.GenBashCompletionFileV2(name, true) },
		"zsh":  root.GenZshCompletionFile,
		"fish": func(name string) error { return root.GenFishCompletionFile(name, true) },
	} {
		if err := write(filepath.Join(dir, shell)); err != nil {
			return err
		}
	}
	return nil
}
