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

	"holdfast/keyspace"
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
	snapshotMagic = "holdsnp\x02"
	snapshotFirst = "holdsnp\x01" // of the first version, whose base was index(8) term(8) ids of voters(8 each)
	maxBlock      = 1 << 30       // bytes of a block: a record is never cut
	readBuffer    = 256 << 10
	snapshotEnd   = ".snapshot"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func snapshotName(index uint64) string { return fmt.Sprintf("%016x", index) + snapshotEnd }

// snapshotWriter writes a snapshot to a file, or to a member.
type snapshotWriter struct {
	to    io.Writer
	file  *os.File // nil if it is sent
	sum   uint32
	size  int64
	begun int64 // up to where writing back was begun
}

func (w *snapshotWriter) begin(base replica.Base) error {
	if err := w.write([]byte(snapshotMagic)); err != nil {
		return err
	}
	return w.block(base.Append(nil))
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
	if _, err := w.to.Write(b); err != nil {
		return fmt.Errorf("write a snapshot: %w", err)
	}
	w.size += int64(len(b))
	if w.file != nil && w.size-w.begun >= writeBackStep {
		writeBack(w.file, w.begun, w.size-w.begun)
		w.begun = w.size
	}
	return nil
}

// end completes the snapshot, and brings a file to stable storage.
func (w *snapshotWriter) end() error {
	if err := w.block(nil); err != nil || w.file == nil {
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

// readSnapshot reads a snapshot of at most size bytes.
func readSnapshot(from io.Reader, size int64, each func(records []byte) error) (base replica.Base, err error) {
	r := snapshotReader{r: from, left: size}
	if base, err = r.begin(); err == nil {
		err = r.blocks(each)
	}
	return base, err
}

// blocks gives each the blocks up to the end.
func (r *snapshotReader) blocks(each func(records []byte) error) error {
	for {
		b, err := r.block()
		if err != nil || len(b) == 0 {
			return err
		}
		if err := each(b); err != nil {
			return err
		}
	}
}

// begin reads the header.
func (r *snapshotReader) begin() (base replica.Base, err error) {
	var magic [len(snapshotMagic)]byte
	if _, err := io.ReadFull(r.r, magic[:]); err != nil || string(magic[:]) != snapshotMagic && string(magic[:]) != snapshotFirst {
		return base, errSnapshot
	}
	head, err := r.block()
	if err != nil {
		return base, err
	}
	ok := true
	if string(magic[:]) == snapshotMagic {
		base, ok = replica.DecodeBase(head)
	} else if ok = len(head) == 24; ok {
		base = replica.Base{Index: le.Uint64(head), Term: le.Uint64(head[8:]), Members: []replica.Member{{ID: le.Uint64(head[16:])}}}
	}
	if !ok || base.Index == 0 || len(base.Members) == 0 {
		err = errSnapshot
	}
	return base, err
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
	os.Remove(filepath.Join(n.snapshotDir(), receivedFile))
	for _, s := range all {
		path := filepath.Join(n.snapshotDir(), s.name)
		base, err := openSnapshot(path, loader(n.state))
		if err == nil {
			n.snapshot.index = base.Index
			if info, err := os.Stat(path); err == nil {
				n.snapshot.time = info.ModTime().UnixNano()
			}
			return &base, nil
		}
		if isNewer(err) {
			return nil, err
		}
		n.log.Error("a snapshot cannot be read", slog.String("file", path), slog.Any("err", err))
		n.state.Release() // what was half loaded
		n.state = newState(&n.cfg)
	}
	return nil, fmt.Errorf("no snapshot in %s can be read: put back a copy, or give it up with: holdfast repair --data %s", n.snapshotDir(), n.cfg.Dir)
}

// loader takes records into a state.
func loader(s *keyspace.State) func(records []byte) error {
	return func(records []byte) error {
		rest, err := s.Load(records)
		if err == nil && len(rest) > 0 {
			err = errSnapshot
		}
		return err
	}
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
