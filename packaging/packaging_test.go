package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	spec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"holdfast/admin"
	"holdfast/cli"
	"holdfast/config"
	"holdfast/engine"
)

func TestPackageVersion(t *testing.T) {
	date := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for describe, want := range map[string]string{
		"v1.2.0":               "1.2.0",
		"1.2":                  "1.2",
		"v1.2.0-dirty":         "1.2.0+dirty",
		"v1.2.0-3-gabc1234":    "1.2.0+3.gabc1234",
		"v1.2.0-rc1":           "1.2.0~rc1",
		"v1.2.0-rc.1-3-gabc12": "1.2.0~rc.1+3.gabc12",
		"abc1234":              "0.0.20260304050607+abc1234",
		"1234567":              "0.0.20260304050607+1234567",
		"1234567-dirty":        "0.0.20260304050607+1234567.dirty",
		"unreleased":           "0.0.20260304050607+unreleased",
	} {
		if got := packageVersion(describe, date); got != want {
			t.Errorf("%s: %s, want %s", describe, got, want)
		}
	}
}

// What alerts and graphs ask for must be there.
func TestMetricsAreThere(t *testing.T) {
	alerts, err := os.ReadFile("prometheus-alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	graphs, err := dashboard()
	if err != nil {
		t.Fatal(err)
	}
	there := metricsPage(t)
	for what, text := range map[string][]byte{"an alert": alerts, "the dashboard": graphs} {
		names := regexp.MustCompile(`\b(holdfast|process|go)_[a-z_]+`).FindAllString(string(text), -1)
		if len(names) < 10 {
			t.Errorf("%s asks for no metrics", what)
		}
		for _, name := range names {
			if !regexp.MustCompile(`(?m)^` + name + `[ {]`).MatchString(there) {
				t.Errorf("%s asks for %s, which /metrics does not have", what, name)
			}
		}
	}
}

// metricsPage is /metrics of a member of a group.
func metricsPage(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	st := engine.Status{Members: 2, Peers: []engine.Peer{{Name: "a", Self: true}, {Name: "b"}}, Causes: map[string]uint64{"crash": 1}}
	s := admin.New(admin.Options{
		Status: func() engine.Status { return st }, Traffic: func() admin.Traffic { return admin.Traffic{} }, Log: slog.New(slog.DiscardHandler),
	})
	go s.Serve(l)
	defer s.Close(context.Background())
	answer, err := http.Get("http://" + l.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %v", answer.Status, err)
	}
	return string(page)
}

func TestPackagedConfig(t *testing.T) {
	c := config.Default()
	if err := c.ApplyFile("holdfast.toml", []byte(packagedConfig())); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(packagedConfig(), "HOLDFAST_DATA") {
		t.Error("it does not say where the data is")
	}
}

// build makes packages and returns the directory that they are in.
func build(t *testing.T) string {
	t.Helper()
	p := product{root: "..", out: t.TempDir(), version: "v1.2.0-3-gabc1234", date: time.Unix(1700000000, 0).UTC(), archs: []string{runtime.GOARCH}}
	if err := p.build(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p.out
}

// need skips a test whose program is not there; make test has them all.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("HOLDFAST_TEST_REQUIRE") != "" {
			t.Fatalf("%s is not installed: make prepare installs it", program)
		}
		t.Skipf("%s is not installed", program)
	}
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestPackages(t *testing.T) {
	need(t, "dpkg-deb")
	dir := build(t)
	deb := filepath.Join(dir, "holdfast_1.2.0+3.gabc1234_"+runtime.GOARCH+".deb")
	t.Run("deb", func(t *testing.T) { checkDeb(t, deb) })
	t.Run("image", func(t *testing.T) { checkImage(t, filepath.Join(dir, "holdfast_1.2.0+3.gabc1234_oci.tar")) })
	t.Run("lintian", func(t *testing.T) {
		need(t, "lintian")
		t.Parallel()
		run(t, "lintian", "--allow-root", "--fail-on", "error,warning", deb)
	})
	t.Run("same bytes again", func(t *testing.T) {
		t.Parallel()
		again := build(t)
		files, err := os.ReadDir(dir)
		if err != nil || len(files) != 3 {
			t.Fatalf("%d files, want a deb, an rpm and an image (%v)", len(files), err)
		}
		for _, f := range files {
			one, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			if other, err := os.ReadFile(filepath.Join(again, f.Name())); err != nil || !bytes.Equal(one, other) {
				t.Errorf("%s came out differently (%v)", f.Name(), err)
			}
		}
	})
}

// entries are the lines of dpkg-deb -c: type and mode, owner, and the name.
var entries = regexp.MustCompile(`(?m)^(\S+) (\S+) +\d+ \S+ \S+ \.(/\S*)`)

func checkDeb(t *testing.T, deb string) {
	have := map[string]string{}
	for _, m := range entries.FindAllStringSubmatch(run(t, "dpkg-deb", "-c", deb), -1) {
		have[m[3]] = m[1]
		if m[2] != "root/root" {
			t.Errorf("%s belongs to %s", m[3], m[2])
		}
	}
	want := map[string]string{
		"/usr/bin/holdfast":                                  "-rwxr-xr-x",
		"/etc/holdfast/holdfast.toml":                        "-rw-r-----",
		"/lib/systemd/system/holdfast.service":               "-rw-r--r--",
		"/usr/lib/ocf/resource.d/holdfast/holdfast":          "-rwxr-xr-x",
		"/usr/lib/sysusers.d/holdfast.conf":                  "-rw-r--r--",
		"/usr/lib/tmpfiles.d/holdfast.conf":                  "-rw-r--r--",
		"/usr/share/bash-completion/completions/holdfast":    "-rw-r--r--",
		"/usr/share/fish/vendor_completions.d/holdfast.fish": "-rw-r--r--",
		"/usr/share/zsh/vendor-completions/_holdfast":        "-rw-r--r--",
		"/usr/share/holdfast/prometheus-alerts.yaml":         "-rw-r--r--",
		"/usr/share/holdfast/grafana-dashboard.json":         "-rw-r--r--",
		"/usr/share/man/man5/holdfast.toml.5.gz":             "-rw-r--r--",
	}
	for _, page := range pagesOf(cli.Program{}.Command()) {
		want["/usr/share/man/man1/"+page+".1.gz"] = "-rw-r--r--"
	}
	for name, mode := range want {
		if have[name] != mode {
			t.Errorf("%s is %q, want %s", name, have[name], mode)
		}
	}
	x := t.TempDir()
	run(t, "dpkg-deb", "-R", deb, x)
	if b, _ := os.ReadFile(filepath.Join(x, "DEBIAN/conffiles")); string(b) != "/etc/holdfast/holdfast.toml\n" {
		t.Errorf("conffiles: %q", b)
	}
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		run(t, "sh", "-n", filepath.Join(x, "DEBIAN", script))
	}
	for _, script := range []string{"pre", "post", "preun", "postun"} {
		run(t, "sh", "-n", filepath.Join("rpm", script))
	}
	if got := run(t, filepath.Join(x, "usr/bin/holdfast"), "version"); got != "holdfast v1.2.0-3-gabc1234\n" {
		t.Errorf("the program says it is %q", got)
	}
}

// pagesOf names the manual pages of a verb and of those below it.
func pagesOf(c *cobra.Command) []string {
	pages := []string{strings.ReplaceAll(c.CommandPath(), " ", "-")}
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() {
			pages = append(pages, pagesOf(below)...)
		}
	}
	return pages
}

func checkImage(t *testing.T, file string) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	layout := untar(t, f)
	var index, list spec.Index
	var manifest spec.Manifest
	var image spec.Image
	blob := func(d spec.Descriptor) []byte {
		b := layout["blobs/sha256/"+d.Digest.Encoded()]
		if int64(len(b)) != d.Size || digest.FromBytes(b) != d.Digest {
			t.Fatalf("blob %s does not fit its name or its size", d.Digest)
		}
		return b
	}
	parse := func(text []byte, into any) {
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	parse(layout["index.json"], &index)
	parse(blob(index.Manifests[0]), &list)
	parse(blob(list.Manifests[0]), &manifest)
	parse(blob(manifest.Config), &image)
	if image.Config.User != "65532:65532" || image.Architecture != runtime.GOARCH {
		t.Errorf("%+v", image)
	}
	z, err := gzip.NewReader(bytes.NewReader(blob(manifest.Layers[0])))
	if err != nil {
		t.Fatal(err)
	}
	layer, err := io.ReadAll(z)
	if err != nil || digest.FromBytes(layer) != image.RootFS.DiffIDs[0] {
		t.Fatalf("the layer is not the one that was named (%v)", err)
	}
	if files := untar(t, bytes.NewReader(layer)); len(files["usr/bin/holdfast"]) < 1<<20 || files["var/lib/holdfast/"] == nil {
		t.Errorf("the image lacks the program or its directory")
	}
}

// untar returns the files of an archive; directories are there with a slash and no content.
func untar(t *testing.T, r io.Reader) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for a := tar.NewReader(r); ; {
		h, err := a.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[h.Name], err = io.ReadAll(a); err != nil {
			t.Fatal(err)
		}
	}
}
