// Packaging makes what an operator installs: a deb, an rpm and a container image for each architecture, from this checkout, into a directory.
// Read build first; nfpm.yaml says what is in the packages, pages.go makes man pages and completion, image.go the image.
//
// The same commit and toolchain give the same bytes: nothing here looks at a clock, a host's name or a user.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"holdfast/config"
)

// nfpm writes debs and rpms. It is a tool of this program and not linked into it.
const nfpm = "github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0"

// maintainer is who signs the changelog, as in nfpm.yaml.
const maintainer = "Holdfast maintainers <maintainers@holdfast.invalid>"

// product is what is to be made.
type product struct {
	root    string    // of the checkout
	out     string    // directory; what lies there under the names of packages is written over
	version string    // as git describe says it
	date    time.Time // of the commit: the only time in all of it
	archs   []string  // as Go and Debian both call them: amd64, arm64
}

func main() {
	p := product{root: "."}
	var date, archs string
	flag.StringVar(&p.out, "o", "dist", "directory to write to")
	flag.StringVar(&p.version, "version", "unreleased", "version, as git describe says it")
	flag.StringVar(&date, "date", "0", "time of the commit in seconds since 1970")
	flag.StringVar(&archs, "arch", "amd64,arm64", "architectures between commas")
	flag.Parse()
	p.archs = strings.Split(archs, ",")
	seconds, err := strconv.ParseInt(date, 10, 64)
	if err == nil {
		p.date = time.Unix(seconds, 0).UTC()
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = p.build(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "packaging:", err)
		os.Exit(1)
	}
}

// build makes all of it. It takes a scratch directory of its own below out, which is gone in the end.
func (p *product) build(ctx context.Context) error {
	if err := os.MkdirAll(p.out, 0o755); err != nil {
		return err
	}
	stage, err := os.MkdirTemp(p.out, ".stage-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	if stage, err = filepath.Abs(stage); err != nil {
		return err
	}
	if err := p.common(stage); err != nil {
		return err
	}
	for _, arch := range p.archs {
		if err := p.daemon(ctx, stage, arch); err != nil {
			return err
		}
		for _, packager := range []string{"deb", "rpm"} {
			if err := p.pack(ctx, stage, arch, packager); err != nil {
				return err
			}
		}
	}
	return p.image(stage)
}

// common stages what is the same for all architectures.
func (p *product) common(stage string) error {
	if err := writePages(stage, p.date); err != nil {
		return err
	}
	if err := writeCompletion(filepath.Join(stage, "completion")); err != nil {
		return err
	}
	graphs, err := dashboard()
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(stage, "grafana-dashboard.json"), graphs, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(stage, "holdfast.toml"), []byte(packagedConfig()), 0o644); err != nil {
		return err
	}
	return writeZipped(filepath.Join(stage, "changelog.gz"), fmt.Appendf(nil,
		"holdfast (%s) unstable; urgency=medium\n\n  * Built from %s; the history is in its repository.\n\n -- %s  %s\n",
		packageVersion(p.version, p.date), p.version, maintainer, p.date.Format(time.RFC1123Z)))
}

// packagedConfig is the commented configuration file. What starts an installed daemon says where its data is, also when this file is replaced by
// one that does not.
func packagedConfig() string {
	const data = "#data = "
	return strings.Replace(config.Example(), data,
		"# systemd's unit, the OCF agent and the container image say HOLDFAST_DATA=/var/lib/holdfast, which wins over this line.\n"+data, 1)
}

// daemon compiles the static program.
func (p *product) daemon(ctx context.Context, stage, arch string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version="+p.version,
		"-o", filepath.Join(stage, arch, "holdfast"), "./cmd/holdfast")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	return p.run(cmd)
}

// pack has nfpm write one package.
func (p *product) pack(ctx context.Context, stage, arch, packager string) error {
	out, err := filepath.Abs(p.out)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "run", nfpm, "package", "-f", "packaging/nfpm.yaml", "-p", packager, "-t", out+"/")
	cmd.Env = append(os.Environ(), "STAGE="+stage, "ARCH="+arch, "VERSION="+packageVersion(p.version, p.date),
		"SOURCE_DATE_EPOCH="+strconv.FormatInt(p.date.Unix(), 10))
	return p.run(cmd)
}

// run runs a command in the checkout. What it printed is shown only when it failed.
func (p *product) run(cmd *exec.Cmd) error {
	cmd.Dir = p.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}

// writeZipped writes a file as Debian wants documents.
func writeZipped(name string, text []byte) error {
	small, err := zipped(text)
	if err != nil {
		return err
	}
	return os.WriteFile(name, small, 0o644)
}
