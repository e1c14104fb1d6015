package cli

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

const (
	maxPart     = 16 << 20 // bytes of one file of a bundle; what is beyond is cut off at its front, since the newest stands last
	runWithin   = 10 * time.Second
	maxInData   = 2000 // files of the data directory that are listed
	journalSpan = "-24h"
)

func (p Program) supportBundle() *cobra.Command {
	c := &cobra.Command{
		Use:   "support-bundle",
		Short: "Write a file with all that is needed to find out what is wrong, without secrets and without what clients store",
		Long: "Asks all members and this machine, and writes a tar.gz: status, history, work, settings, metrics and goroutines of each member; this\n" +
			"machine's log of the daemon (journalctl, a day), disk, memory and clock. Keys, values, session ids and tokens are never in what is asked\n" +
			"for; passwords and what looks like a secret is removed from all of it. The file is for its owner alone; look through it before it leaves.",
		Example: "  sudo holdfast support-bundle\n  holdfast support-bundle --file /tmp/bundle.tar.gz --unit holdfast@two",
		Args:    noArgs,
	}
	file := c.Flags().String("file", "", "the file to write (default: holdfast-support-HOST-TIME.tar.gz here)")
	unit := c.Flags().String("unit", "holdfast", "systemd unit whose log is taken")
	d := p.daemonFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		b := bundle{now: time.Now().UTC(), environ: p.Environ}
		if settings, err := d.loader.load(); err == nil {
			b.scrubber = secretsOf(&settings)
		} else {
			b.note("the configuration cannot be read here, so that passwords are removed by what they look like alone", err)
		}
		b.collect(d, p.Version, *unit)
		name := *file
		if name == "" {
			host, _ := os.Hostname()
			name = fmt.Sprintf("holdfast-support-%s-%s.tar.gz", or(host, "host"), b.now.Format("20060102T150405Z"))
		}
		size, err := b.write(name)
		if err != nil {
			return fmt.Errorf("write the bundle: %w", err)
		}
		out := c.OutOrStdout()
		fmt.Fprintf(out, "%s, %s, %d files\n", name, bytes(uint64(size)), len(b.parts))
		for _, n := range b.notes {
			fmt.Fprintln(out, "not in it:", n)
		}
		return nil
	}
	return c
}

// bundle is what is gathered.
type bundle struct {
	scrubber
	now     time.Time
	environ []string
	parts   []part
	notes   []string // what is not in it, and why
}

type part struct{ name, text string }

// add takes a text in, cleaned.
func (b *bundle) add(name, text string) {
	if len(text) > maxPart {
		text = "(cut off)\n" + text[len(text)-maxPart:]
	}
	b.parts = append(b.parts, part{name, b.clean(text)})
}

func (b *bundle) note(what string, err error) {
	b.notes = append(b.notes, b.clean(fmt.Sprintf("%s: %v", what, err)))
}

// collect asks whoever can be asked. What cannot be had is noted.
func (b *bundle) collect(d *daemon, version, unit string) {
	b.add("version.txt", "holdfast "+version+" (this program)\n")
	mute := b.render(d)
	for _, page := range []string{"status", "events", "work", "settings", "metrics", "goroutines"} {
		o, err := d.group(page)
		if err != nil {
			if mute == nil || err.Error() != mute.Error() {
				b.note("page "+page+" of the members", err)
			}
			continue
		}
		for i := range o.Members {
			b.addPage(page, &o.Members[i])
		}
	}
	b.run("journal.txt", "journalctl", "--unit", unit, "--since", journalSpan, "--no-pager", "--output", "short-iso-precise", "--utc")
	b.run("unit.txt", "systemctl", "status", unit, "--no-pager", "--lines", "0")
	b.run("clock.txt", "timedatectl", "show-timesync", "--all")
	b.run("chrony.txt", "chronyc", "-n", "tracking")
	b.run("sockets.txt", "ss", "-s")
	for _, name := range []string{"meminfo", "loadavg", "pressure/io", "pressure/cpu", "pressure/memory", "version"} {
		if text, err := readProc("/proc/" + name); err == nil {
			b.add("machine/"+strings.ReplaceAll(name, "/", "-")+".txt", text)
		}
	}
	b.disk(d)
}

// render takes in what an operator would see. The error says why that cannot be had; it is noted.
func (b *bundle) render(d *daemon) error {
	s := &screen{width: defaultWidth}
	o, err := d.overview()
	if err != nil {
		b.note("status", err)
		return err
	}
	if j, err := judge(o); err == nil {
		o.write(s, &j)
		b.add("status.txt", s.String())
	}
	if h, err := d.history(); err == nil {
		s.Reset()
		h.write(s, h.failover(0))
		s.title("Everything that is remembered")
		h.writeAll(s)
		b.add("why.txt", s.String())
	}
	return nil
}

func (b *bundle) addPage(page string, m *memberPage) {
	if m.Error != "" {
		b.note("page "+page+" of "+m.Name, errors.New(m.Error))
		return
	}
	name := "members/" + filepath.Base(m.Name) + "/" + page
	var text string
	if json.Unmarshal(m.Page, &text) == nil {
		b.add(name+".txt", text)
		return
	}
	b.add(name+".json", string(m.Page))
}

// run takes in what a program of this machine says.
func (b *bundle) run(name, program string, args ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), runWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		said, _, _ := strings.Cut(string(ended.Stderr), "\n")
		err = fmt.Errorf("'%s' ended with %w and said %q", strings.Join(cmd.Args, " "), err, said)
	}
	if len(out) > 0 {
		b.add(name, string(out))
	} else if err != nil {
		b.note(name, err)
	}
}

// disk says how the disk of the data directory is, and how large its files are.
func (b *bundle) disk(d *daemon) {
	r, _, err := d.report()
	if err != nil || r.Data == "" {
		return
	}
	var text strings.Builder
	var st syscall.Statfs_t
	if err := syscall.Statfs(r.Data, &st); err != nil {
		b.note("disk.txt", err)
		return
	}
	block := uint64(st.Bsize)
	fmt.Fprintf(&text, "%s: type %x, %s in all, %s free for this user, %d of %d inodes free\n", r.Data, st.Type, bytes(st.Blocks*block), bytes(st.Bavail*block), st.Ffree, st.Files)
	files := 0
	_ = filepath.WalkDir(r.Data, func(path string, e fs.DirEntry, err error) error { // what cannot be read is said in its line
		if files++; files > maxInData {
			return fs.SkipAll
		}
		if err != nil {
			fmt.Fprintln(&text, err)
			return nil
		}
		if info, err := e.Info(); err == nil {
			fmt.Fprintf(&text, "%s %12d %s %s\n", info.Mode(), info.Size(), info.ModTime().UTC().Format(time.RFC3339), path)
		}
		return nil
	})
	b.add("disk.txt", text.String())
}

func readProc(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	return string(text), err
}

// write makes the file, for its owner alone. It must not be there yet.
func (b *bundle) write(name string) (size int64, err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			os.Remove(name)
		}
	}()
	z := gzip.NewWriter(f)
	t := tar.NewWriter(z)
	dir := strings.TrimSuffix(filepath.Base(name), ".tar.gz")
	if len(b.notes) > 0 {
		b.parts = append(b.parts, part{"not-in-it.txt", strings.Join(b.notes, "\n") + "\n"})
	}
	for _, p := range b.parts {
		if err := t.WriteHeader(&tar.Header{Name: dir + "/" + p.name, Mode: 0o600, Size: int64(len(p.text)), ModTime: b.now}); err != nil {
			return 0, err
		}
		if _, err := io.WriteString(t, p.text); err != nil {
			return 0, err
		}
	}
	if err := errors.Join(t.Close(), z.Close()); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
