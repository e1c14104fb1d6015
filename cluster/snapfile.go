package cluster

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"holdfast/replica"
)

// A snapshot file is a header, blocks, and an end.
//
//	header: magic(8), and the base as a block
//	block:  length(4) crc(4) records of keyspace, whole ones
//	end:    a block of length zero
//
// Each checksum also covers the ones before it: no block can be missing or stand in another place.
const (
	snapshotMagic = "holdsnp\x01"
	maxBlock      = 1 << 30 // bytes of a block: a record is never cut
	readBuffer    = 256 << 10
	snapshotEnd   = ".snapshot"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func snapshotName(index uint64) string { return fmt.Sprintf("%016x", index) + snapshotEnd }

// snapshotWriter writes a snapshot file.
type snapshotWriter struct {
	file  *os.File
	sum   uint32
	size  int64
	begun int64 // up to where writing back was begun
}

func (w *snapshotWriter) begin(base replica.Base) error {
	if err := w.write([]byte(snapshotMagic)); err != nil {
		return err
	}
	return w.block(encodeBase(base))
}

// block writes b as one block. An empty one is the end.
func (w *snapshotWriter) block(b []byte) error {
	var head [8]byte
	le.PutUint32(head[:], uint32(len(b)))
	w.sum = crc32.Update(crc32.Update(w.sum, castagnoli, head[:4]), castagnoli, b)
	le.PutUint32(head[4:], w.sum)
	if err := w.write(head[:]); err != nil {
		return err
	}
	return w.write(b)
}

func (w *snapshotWriter) write(b []byte) error {
	if _, err := w.file.Write(b); err != nil {
		return fmt.Errorf("write a snapshot: %w", err)
	}
	w.size += int64(len(b))
	if w.size-w.begun >= writeBackStep {
		writeBack(w.file, w.begun, w.size-w.begun)
		w.begun = w.size
	}
	return nil
}

// end completes the file and brings it to stable storage.
func (w *snapshotWriter) end() error {
	if err := w.block(nil); err != nil {
		return err
	}
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("fsync of a snapshot: %w", err)
	}
	return nil
}

// errSnapshot is what a file is that holds no whole snapshot.
var errSnapshot = errors.New("the file is damaged or not complete")

// openSnapshot checks the snapshot in a file and gives each its records.
func openSnapshot(path string, each func(records []byte) error) (base replica.Base, err error) {
	f, err := os.Open(path)
	if err != nil {
		return base, fmt.Errorf("open a snapshot: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return base, fmt.Errorf("open a snapshot: %w", err)
	}
	return readSnapshot(bufio.NewReaderSize(f, readBuffer), info.Size(), each)
}

// readSnapshot reads a snapshot of size bytes.
func readSnapshot(from io.Reader, size int64, each func(records []byte) error) (base replica.Base, err error) {
	r := snapshotReader{r: from, left: size}
	var magic [len(snapshotMagic)]byte
	if _, err := io.ReadFull(r.r, magic[:]); err != nil || string(magic[:]) != snapshotMagic {
		return base, errSnapshot
	}
	head, err := r.block()
	if err != nil {
		return base, err
	}
	if base = decodeBase(head); base.Index == 0 || len(base.Members) == 0 {
		return base, errSnapshot
	}
	for {
		b, err := r.block()
		if err != nil {
			return base, err
		}
		if len(b) == 0 {
			return base, nil
		}
		if err := each(b); err != nil {
			return base, err
		}
	}
}

type snapshotReader struct {
	r    io.Reader
	left int64
	sum  uint32
	buf  []byte
}

// block reads the next block, valid until the next call; it is empty at the end.
func (r *snapshotReader) block() ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		return nil, errSnapshot
	}
	size := int64(le.Uint32(head[:]))
	if size > maxBlock || size > r.left {
		return nil, errSnapshot
	}
	r.left -= size
	if int64(cap(r.buf)) < size {
		r.buf = make([]byte, size+size/4)
	}
	b := r.buf[:size]
	if _, err := io.ReadFull(r.r, b); err != nil {
		return nil, errSnapshot
	}
	r.sum = crc32.Update(crc32.Update(r.sum, castagnoli, head[:4]), castagnoli, b)
	if le.Uint32(head[4:]) != r.sum {
		return nil, errSnapshot
	}
	return b, nil
}

type snapshotFile struct {
	name  string
	index uint64
}

// listSnapshots finds the finished snapshots in dir, newest first.
func listSnapshots(dir string) (all []snapshotFile, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the snapshot directory: %w", err)
	}
	for _, f := range files {
		s := snapshotFile{name: f.Name()}
		if !strings.HasSuffix(s.name, snapshotEnd) {
			continue
		}
		if _, err := fmt.Sscanf(s.name, "%x", &s.index); err != nil {
			return nil, fmt.Errorf("%s in %s is not named like a snapshot: move it away", s.name, dir)
		}
		all = append(all, s)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].index > all[j].index })
	return all, nil
}

// loadSnapshot loads the newest snapshot that is whole, nil if there is none at all.
func (n *Node) loadSnapshot() (*replica.Base, error) {
	all, err := listSnapshots(n.snapshotDir())
	if err != nil || len(all) == 0 {
		return nil, err
	}
	os.Remove(filepath.Join(n.snapshotDir(), "new.tmp"))
	for _, s := range all {
		path := filepath.Join(n.snapshotDir(), s.name)
		base, err := openSnapshot(path, n.load)
		if err == nil {
			n.snapshot.index = base.Index
			if info, err := os.Stat(path); err == nil {
				n.snapshot.time = info.ModTime().UnixNano()
			}
			return &base, nil
		}
		n.log.Error("a snapshot cannot be read", slog.String("file", path), slog.Any("err", err))
		n.state = newState(&n.cfg) // what was half loaded is given up
	}
	return nil, fmt.Errorf("no snapshot in %s can be read: put back a copy, or give it up with: holdfast repair --data %s", n.snapshotDir(), n.cfg.Dir)
}

// load takes records into the state.
func (n *Node) load(records []byte) error {
	rest, err := n.state.Load(records)
	if err == nil && len(rest) > 0 {
		err = errSnapshot
	}
	return err
}

// repairSnapshots moves damaged snapshots aside.
func repairSnapshots(dir string) (report string, err error) {
	all, err := listSnapshots(dir)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	for _, s := range all {
		path := filepath.Join(dir, s.name)
		if _, err := openSnapshot(path, func([]byte) error { return nil }); err != nil {
			if err := os.Rename(path, path+".cut"); err != nil {
				return "", fmt.Errorf("move a damaged snapshot aside: %w", err)
			}
			report += fmt.Sprintf("The snapshot %s is damaged and was renamed to *.cut. ", s.name)
		}
	}
	return report, err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
