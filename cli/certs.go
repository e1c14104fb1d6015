package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"holdfast/cli/cert"
	"holdfast/config"
)

// Names of the files of the authority; those of a member are its name with the same endings.
const (
	authorityName = "ca"
	certEnding    = ".pem"
	keyEnding     = "-key.pem"
)

// maxHost is how many bytes the name of a machine may have.
const maxHost = 253

func (p Program) cert() *cobra.Command {
	c := &cobra.Command{
		Use:   "cert",
		Short: "Make the certificates by which the members of a group know each other",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(p.certAuthority(), p.certMember())
	return c
}

func (p Program) certAuthority() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "ca",
		Short: "Make the authority of a group, once: ca.pem for every controller, and ca-key.pem, which stays where it is",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			pair, err := cert.Authority(time.Now())
			if err != nil {
				return err
			}
			where, err := writePair(dir, authorityName, pair)
			if err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "%s is for every controller (setting peer-ca), valid for %d years.\n"+
				"%s makes members: keep it where no controller runs.\nNext: holdfast cert member NAME for each controller.\n", where.cert, cert.AuthorityYears, where.key)
			return nil
		},
	}
	dirFlag(c, &dir)
	return c
}

func (p Program) certMember() *cobra.Command {
	var dir string
	var hosts []string
	c := &cobra.Command{
		Use:   "member NAME",
		Short: "Make the certificate of the controller of that name, with the authority in the same directory",
		Args:  oneArg("the name of a controller"),
		RunE: func(c *cobra.Command, args []string) error {
			name := args[0]
			if err := memberName(name); err != nil {
				return err
			}
			if name == authorityName {
				return usage{fmt.Errorf("%q is what the files of the authority are called: give the controller another name", name)}
			}
			for _, h := range hosts {
				if _, err := netip.ParseAddr(h); err != nil && (h == "" || len(h) > maxHost || strings.ContainsAny(h, ":/ *")) {
					return usage{fmt.Errorf("--host %q is no name or address of a machine", h)}
				}
			}
			ca, err := readPair(dir, authorityName)
			if errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("%w: make the authority first, with 'holdfast cert ca', or say with --dir where it is", err)
			} else if err != nil {
				return err
			}
			pair, err := ca.Member(name, hosts, time.Now())
			if err != nil {
				return err
			}
			where, err := writePair(dir, name, pair)
			if err != nil {
				return err
			}
			there := filesOf(ConfigDir, name)
			authority := authorityName + certEnding
			fmt.Fprintf(c.OutOrStdout(), "Valid for %d years. Copy %s, %s and %s to %s on %s, have the user holdfast read them, and set there\n"+
				"  peer-ca   = %q\n  peer-cert = %q\n  peer-key  = %q\n", cert.MemberYears, filepath.Join(dir, authority), where.cert, where.key, ConfigDir, name,
				filepath.Join(ConfigDir, authority), there.cert, there.key)
			return nil
		},
	}
	dirFlag(c, &dir)
	c.Flags().StringSliceVar(&hosts, "host", nil, "further names and addresses of the controller, for programs that compare them; members compare NAME alone")
	return c
}

func dirFlag(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "dir", ".", "directory of the files; nothing in it is overwritten")
}

// memberName says what is wrong with a controller's name.
func memberName(name string) error {
	if !config.IsName(name) {
		return usage{fmt.Errorf("%.80q is no name of a controller: use up to %d letters, digits, dots, dashes and underscores", name, config.MaxName)}
	}
	return nil
}

// files are where a pair lies.
type files struct{ cert, key string }

func filesOf(dir, name string) files {
	return files{filepath.Join(dir, name+certEnding), filepath.Join(dir, name+keyEnding)}
}

// writePair writes both files, or none: neither may be there yet.
func writePair(dir, name string, p cert.Pair) (files, error) {
	w := filesOf(dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return w, err
	}
	if _, err := os.Lstat(w.cert); err == nil {
		return w, exists(w.cert)
	}
	if err := writeNew(w.key, p.Key, 0o600); err != nil {
		return w, err
	}
	if err := writeNew(w.cert, p.Cert, 0o644); err != nil {
		os.Remove(w.key)
		return w, err
	}
	return w, nil
}

func writeNew(name string, text []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, os.ErrExist) {
		return exists(name)
	} else if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(name)
	}
	return err
}

func exists(name string) error {
	return fmt.Errorf("%s is there already and is not overwritten: move it away, or name another directory with --dir", name)
}

func readPair(dir, name string) (p cert.Pair, err error) {
	w := filesOf(dir, name)
	if p.Cert, err = readFile(w.cert); err != nil {
		return p, err
	}
	p.Key, err = readFile(w.key)
	return p, err
}
