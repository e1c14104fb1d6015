package wal

import (
	"fmt"
	"os"
	"path/filepath"
)

const (
	// maxSegment bounds a segment file, in bytes: the largest record in a segment of its own.
	maxSegment = maxBody + 64<<20
	// window is how much of a segment is read at a time, in bytes, unless a record is longer.
	window = 256 << 10
)

// file is a segment that is read through a window, so that recovery takes as little memory as the largest record allows.
type file struct {
	*reader // whose buf is the window
	name    string
	file    *os.File
	size    int64
	at      int64 // where the window begins
	err     error // of the first read that failed; from then on nothing is there
}

// open opens s for reading. The window belongs to the file opened last.
func (r *reader) open(s segment) (*file, error) {
	f, err := os.Open(filepath.Join(r.dir, s.name))
	if err != nil {
		return nil, fmt.Errorf("open a log segment: %w", err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() > maxSegment {
		err = fmt.Errorf("it has %d bytes, more than a log segment can have: move it away", info.Size())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open the log segment %s in %s: %w", s.name, r.dir, err)
	}
	r.buf = r.buf[:0]
	return &file{reader: r, name: s.name, file: f, size: info.Size()}, nil
}

func (f *file) close() { f.file.Close() }

// ahead returns what stands at offset: n bytes or more, fewer only where the file ends. Valid until the next call.
func (f *file) ahead(offset int64, n int) []byte {
	n = int(min(int64(n), f.size-offset))
	if in := offset - f.at; in >= 0 && in+int64(n) <= int64(len(f.buf)) {
		return f.buf[in:]
	}
	n = int(min(int64(max(n, window)), f.size-offset))
	if cap(f.buf) < n {
		f.buf = make([]byte, n)
	}
	f.buf, f.at = f.buf[:n], offset
	if f.err == nil {
		if _, err := f.file.ReadAt(f.buf, offset); err != nil {
			f.err = fmt.Errorf("read the log segment %s: %w", f.name, err)
		}
	}
	if f.err != nil {
		f.buf = f.buf[:0]
	}
	return f.buf
}

// record reads the record at offset; n is its length, 0 if there is no valid one.
func (f *file) record(salt uint32, offset int64) (r Record, n int) {
	b := f.ahead(offset, recordBytes)
	if n = recordLen(b, salt, offset); n > len(b) {
		b = f.ahead(offset, n)
	}
	return readRecord(b, salt, offset)
}

// zero says whether there are only zeroes from offset on.
func (f *file) zero(offset int64) bool {
	for offset < f.size {
		b := f.ahead(offset, window)
		if len(b) == 0 || !zero(b) {
			return false
		}
		offset += int64(len(b))
	}
	return true
}

func zero(b []byte) bool {
	for len(b) >= 8 {
		if le.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
