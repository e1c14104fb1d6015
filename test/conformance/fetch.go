//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// debianSources is an apt of its own, beside the machine's, so that nothing below /etc/apt changes: Debian's keyring vouches for what is fetched.
const debianSources = `deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian %[1]s main
deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian-security %[1]s-security main
`

// fetch unpacks the source package that the installed original was built from, if it is not there yet.
func (s *suite) fetch(cache string) error {
	version, err := output("dpkg-query", "-W", "-f", "${source:Version}", s.program)
	if err != nil {
		return fmt.Errorf("%s is not installed, which Holdfast is compared with: run test/install as root: %w", s.program, err)
	}
	s.version = version
	upstream := version[strings.Index(version, ":")+1:]
	upstream = upstream[:strings.LastIndex(upstream, "-")]
	s.source = filepath.Join(cache, s.name+"-"+upstream)
	if _, err := os.Stat(s.source); err == nil {
		return nil
	}
	release, err := output("sh", "-c", ". /etc/os-release && echo $VERSION_CODENAME")
	if err != nil {
		return err
	}
	apt := filepath.Join(cache, "apt")
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(apt, d), 0o755); err != nil {
			return err
		}
	}
	list := filepath.Join(apt, "sources.list")
	if err := os.WriteFile(list, fmt.Appendf(nil, debianSources, release), 0o644); err != nil {
		return err
	}
	own := []string{"-q", "-o", "Dir::State::lists=" + apt + "/lists", "-o", "Dir::Cache=" + apt + "/cache",
		"-o", "Dir::Etc::sourcelist=" + list, "-o", "Dir::Etc::sourceparts=/dev/null", "-o", "APT::Sandbox::User=root"}
	for _, args := range [][]string{{"update"}, {"source", "--only-source", s.name + "=" + version}} {
		cmd := exec.Command("apt-get", append(append([]string{}, own...), args...)...)
		cmd.Dir = cache
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, text)
		}
	}
	if _, err := os.Stat(s.source); err != nil {
		return fmt.Errorf("the source package of %s has unpacked to another folder than was expected: %w", s.name, err)
	}
	return nil
}

func output(name string, args ...string) (string, error) {
	out, err := exec.Command(name, args...).Output()
	return strings.TrimSpace(string(out)), err
}
