package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	spec "github.com/opencontainers/image-spec/specs-go/v1"
)

// imageUser is who runs in the image: nobody in particular, and not root.
const imageUser = 65532

// An image holds the program, its configuration and an empty directory for its data. Nothing in it is a shell, a library or an authority.
// It is an archive in the layout of the Open Container Initiative, with an image for each architecture.

// image writes the archive.
func (p *product) image(stage string) error {
	a := newArchive(p.date)
	index := spec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: spec.MediaTypeImageIndex}
	for _, arch := range p.archs {
		manifest, err := p.imageFor(a, stage, arch)
		if err != nil {
			return err
		}
		index.Manifests = append(index.Manifests, manifest)
	}
	list := a.blob(spec.MediaTypeImageIndex, marshal(index))
	list.Annotations = map[string]string{spec.AnnotationRefName: packageTag(p.version)}
	a.file("index.json", marshal(spec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: spec.MediaTypeImageIndex, Manifests: []spec.Descriptor{list}}), 0o644, 0)
	a.file(spec.ImageLayoutFile, marshal(spec.ImageLayout{Version: spec.ImageLayoutVersion}), 0o644, 0)
	whole, err := a.end()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.out, "holdfast_"+packageVersion(p.version, p.date)+"_oci.tar"), whole, 0o644)
}

// packageTag is the version as a tag of an image may be written.
func packageTag(version string) string { return strings.ReplaceAll(version, "+", "-") }

// imageFor adds the image of one architecture to a.
func (p *product) imageFor(a *archive, stage, arch string) (spec.Descriptor, error) {
	layer, err := p.layer(stage, arch)
	if err != nil {
		return spec.Descriptor{}, err
	}
	small, err := zipped(layer)
	if err != nil {
		return spec.Descriptor{}, err
	}
	c := spec.Image{
		Created:  &p.date,
		Platform: spec.Platform{Architecture: arch, OS: "linux"},
		Config: spec.ImageConfig{
			User:         fmt.Sprintf("%d:%[1]d", imageUser),
			ExposedPorts: map[string]struct{}{"6379/tcp": {}, "7420/tcp": {}, "8630/tcp": {}, "11211/tcp": {}},
			Env:          []string{"PATH=/usr/bin", "HOLDFAST_DATA=/var/lib/holdfast", "HOLDFAST_CONFIG=/etc/holdfast/holdfast.toml"},
			Entrypoint:   []string{"/usr/bin/holdfast"},
			Cmd:          []string{"serve"},
			Volumes:      map[string]struct{}{"/var/lib/holdfast": {}},
			WorkingDir:   "/",
			StopSignal:   "SIGTERM",
			Labels: map[string]string{
				spec.AnnotationTitle:    "holdfast",
				spec.AnnotationVersion:  p.version,
				spec.AnnotationLicenses: "Apache-2.0",
			},
		},
		RootFS:  spec.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer)}},
		History: []spec.History{{Created: &p.date, CreatedBy: "holdfast " + p.version}},
	}
	m := a.blob(spec.MediaTypeImageManifest, marshal(spec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: spec.MediaTypeImageManifest,
		Config:    a.blob(spec.MediaTypeImageConfig, marshal(c)),
		Layers:    []spec.Descriptor{a.blob(spec.MediaTypeImageLayerGzip, small)},
	}))
	m.Platform = &c.Platform
	return m, nil
}

// layer is the file system of the image as a tar.
func (p *product) layer(stage, arch string) ([]byte, error) {
	a := newArchive(p.date)
	a.dir("etc", 0o755, 0)
	a.dir("etc/holdfast", 0o755, 0)
	a.file("etc/holdfast/holdfast.toml", []byte(packagedConfig()), 0o644, 0)
	a.file("etc/passwd", fmt.Appendf(nil, "root:x:0:0:root:/:/sbin/nologin\nholdfast:x:%d:%[1]d:holdfast:/var/lib/holdfast:/sbin/nologin\n", imageUser), 0o644, 0)
	a.file("etc/group", fmt.Appendf(nil, "root:x:0:\nholdfast:x:%d:\n", imageUser), 0o644, 0)
	for _, d := range []string{"usr", "usr/bin", "usr/share", "usr/share/licenses", "usr/share/licenses/holdfast", "var", "var/lib"} {
		a.dir(d, 0o755, 0)
	}
	program, err := os.ReadFile(filepath.Join(stage, arch, "holdfast"))
	if err != nil {
		return nil, err
	}
	a.file("usr/bin/holdfast", program, 0o755, 0)
	license, err := os.ReadFile(filepath.Join(p.root, "LICENSE"))
	if err != nil {
		return nil, err
	}
	a.file("usr/share/licenses/holdfast/LICENSE", license, 0o644, 0)
	a.dir("var/lib/holdfast", 0o700, imageUser)
	return a.end()
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain structs of texts and numbers
	}
	return b
}
