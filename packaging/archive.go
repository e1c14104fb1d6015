package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"time"

	"github.com/opencontainers/go-digest"
	spec "github.com/opencontainers/image-spec/specs-go/v1"
)

// archive is a tar in memory whose entries all have one time. The first error stays, and end returns it.
type archive struct {
	buf   bytes.Buffer
	tar   *tar.Writer
	date  time.Time
	blobs map[digest.Digest]bool
	err   error
}

func newArchive(date time.Time) *archive {
	a := &archive{date: date, blobs: map[digest.Digest]bool{}}
	a.tar = tar.NewWriter(&a.buf)
	return a
}

// dir adds a directory of a user and the group with the same number.
func (a *archive) dir(name string, mode int64, owner int) {
	a.entry(tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, Uid: owner, Gid: owner}, nil)
}

// file adds a file.
func (a *archive) file(name string, text []byte, mode int64, owner int) {
	a.entry(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Uid: owner, Gid: owner}, text)
}

func (a *archive) entry(h tar.Header, text []byte) {
	h.Size, h.ModTime, h.Format = int64(len(text)), a.date, tar.FormatUSTAR
	if a.err == nil {
		a.err = a.tar.WriteHeader(&h)
	}
	if a.err == nil {
		_, a.err = a.tar.Write(text)
	}
}

// blob adds what is named by its digest, once, and returns how others refer to it.
func (a *archive) blob(mediaType string, text []byte) spec.Descriptor {
	d := digest.FromBytes(text)
	if !a.blobs[d] {
		a.blobs[d] = true
		a.file("blobs/"+d.Algorithm().String()+"/"+d.Encoded(), text, 0o644, 0)
	}
	return spec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(text))}
}

// end returns the whole archive.
func (a *archive) end() ([]byte, error) {
	if a.err == nil {
		a.err = a.tar.Close()
	}
	return a.buf.Bytes(), a.err
}

// zipped compresses as well as it goes, without a name or a time in it.
func zipped(text []byte) ([]byte, error) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(text); err != nil {
		return nil, err
	}
	err = z.Close()
	return b.Bytes(), err
}
