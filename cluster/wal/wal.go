// Package wal is a log on disk: records with checksums in segment files, appended by one write(2) for many, and synced
// when its owner says so.
//
// It knows neither raft nor ops: a record has a kind and perhaps an index, the rest is bytes. It starts no goroutines.
// Read this file first, then format.go (what stands in a segment) and recover.go (what is made of damage).
package wal

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

// ErrClosed is returned after Close.
var ErrClosed = errors.New("the log is closed")

// MinSegment is the least that Options.Segment may be, in bytes.
const MinSegment = 4 << 10

// Options are how a Log is kept.
type Options struct {
	Kept    []uint8      // kinds of which the newest record is repeated at the head of every segment, so that Release does not lose it; their index is 0
	Segment int64        // bytes after which a new segment is begun; 64 MiB if zero
	Boot    uint64       // names this run of the machine: what was written in the same one cannot have been lost by the page cache. 0: unknown
	Doubt   func() error // called when a part of the log may be missing (see Intact), before anything is changed; nil for none
	Logger  *slog.Logger
	Fault   func(does string) error // for tests: asked before every "create", "write" and "sync", which fails if it does; nil for none
}

func (o *Options) fault(does string) error {
	if o.Fault == nil {
		return nil
	}
	return o.Fault(does)
}

// Log is an open log. Append, Jump and Write are for one goroutine at a time, Sync for another one beside it; the rest is for any.
type Log struct {
	dir  string
	opt  Options
	buf  []byte           // records appended and not yet written
	high uint64           // highest index in buf
	kept map[uint8][]byte // the newest body of each kept kind

	intact bool

	mu     sync.Mutex // guards what follows; never held during an fsync
	old    []segment  // the segments before the current one
	cur    segment
	file   *os.File
	dirty  []*os.File // files of finished segments that are not yet synced
	moved  bool       // a segment got its name since the directory was synced
	synced position   // everything before it is on stable storage
	marked position   // what the newest mark in the log says of that
	next   *prepared
	bytes  int64 // of the old segments
	err    error // a failed fsync, or ErrClosed: nothing more can be done
}

// position is a place in the log: an offset in the segment with that number.
type position struct {
	seq    uint64
	offset int64
}

func (p position) before(q position) bool {
	return p.seq < q.seq || p.seq == q.seq && p.offset < q.offset
}

// segment is one file of the log.
type segment struct {
	name  string
	seq   uint64
	salt  uint32
	size  int64  // bytes of it that are in use
	first uint64 // the index that was expected first in it
	high  uint64 // highest index in it, 0 for none
}

// Append puts a record behind the log's buffer; Write brings it to the file. Its body is head and body, one behind the
// other. kind is 1 to 127. index is 0, or at most one above the highest index so far: a lower one means that the owner replaces
// what stood there.
func (l *Log) Append(kind uint8, index uint64, head, body []byte) {
	at := len(l.buf)
	l.buf = appendRecord(l.buf, kind, index, head, body)
	l.high = max(l.high, index)
	l.keep(kind, l.buf[at+recordBytes:])
}

// Jump says that the next index is the one behind index, whatever stood there before: a snapshot up to index takes the place of the records.
func (l *Log) Jump(index uint64) { l.buf = appendJump(l.buf, index) }

func (l *Log) keep(kind uint8, body []byte) {
	if slices.Contains(l.opt.Kept, kind) {
		l.kept[kind] = bytes.Clone(body)
	}
}

// Write writes what was appended to the file, by one write. After an error that Full reports it may be called again, and
// tries the same bytes at the same place; after any other one the log is of no more use.
func (l *Log) Write() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	if len(l.buf) == 0 {
		return nil
	}
	if l.cur.size > headerBytes && l.cur.size+int64(len(l.buf)) > l.opt.Segment {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	if l.marked != l.synced {
		l.buf = appendMark(l.buf, l.synced)
		l.marked = l.synced
	}
	seal(l.buf, l.cur.salt, l.cur.size)
	err := l.opt.fault("write")
	if err == nil {
		_, err = l.file.WriteAt(l.buf, l.cur.size)
	}
	if err != nil {
		if !Full(err) {
			l.err = err
		}
		return fmt.Errorf("write %d bytes to the log: %w", len(l.buf), err)
	}
	l.cur.size += int64(len(l.buf))
	l.cur.high = max(l.cur.high, l.high)
	l.buf, l.high = reuse(l.buf), 0
	return nil
}

// keepBuffer is the largest write buffer that is kept for the next write, bytes.
const keepBuffer = 1 << 20

func reuse(b []byte) []byte {
	if cap(b) > keepBuffer {
		return nil
	}
	return b[:0]
}

// Full says whether err means that the disk has no room: the write may be tried again.
func Full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// Sync brings everything that was written before the call to stable storage. It also makes the next segment ready, so that Write
// seldom has to. After an error the log is of no more use: what the failed fsync left on the disk is unknown.
func (l *Log) Sync() error {
	l.mu.Lock()
	if l.err != nil {
		defer l.mu.Unlock()
		return l.err
	}
	upTo := position{l.cur.seq, l.cur.size}
	finished, moved, file := l.dirty, l.moved, l.file
	clean := upTo == l.synced && !moved && len(finished) == 0
	l.dirty, l.moved = nil, false
	l.mu.Unlock()
	l.prepare()
	if !clean {
		if err := l.sync(finished, file, moved); err != nil {
			return l.fail(fmt.Errorf("fsync of the log in %s: %w", l.dir, err))
		}
		l.mu.Lock()
		l.synced = upTo
		l.mu.Unlock()
	}
	return nil
}

func (l *Log) sync(finished []*os.File, file *os.File, moved bool) error {
	if err := l.opt.fault("sync"); err != nil {
		return err
	}
	for _, f := range finished {
		if err := datasync(f); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	if moved {
		if err := syncDir(l.dir); err != nil {
			return err
		}
	}
	return datasync(file)
}

func (l *Log) fail(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
	return l.err
}

// Release deletes the oldest segments as long as all indexes in them are at most index.
func (l *Log) Release(index uint64) error {
	for {
		l.mu.Lock()
		if len(l.old) == 0 || l.old[0].high > index || l.old[0].seq >= l.synced.seq {
			l.mu.Unlock()
			return nil
		}
		s := l.old[0]
		l.old = l.old[1:]
		l.bytes -= s.size
		l.mu.Unlock()
		if err := os.Remove(filepath.Join(l.dir, s.name)); err != nil {
			return fmt.Errorf("delete a log segment that is no longer needed: %w", err)
		}
	}
}

// Spare says whether the next segment is ready; if not, a Sync should be made soon.
func (l *Log) Spare() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next != nil
}

// Bytes returns how many bytes of records the log holds on disk.
func (l *Log) Bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes + l.cur.size
}

// Close syncs the log and gives up its files. Sync must not be running.
func (l *Log) Close() error {
	err := l.Sync()
	if err == nil { // a mark behind everything, so that the next start knows how far the disk is to be trusted
		l.mu.Lock()
		b := appendMark(nil, l.synced)
		seal(b, l.cur.salt, l.cur.size)
		if _, err = l.file.WriteAt(b, l.cur.size); err == nil {
			err = datasync(l.file)
		}
		l.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == ErrClosed {
		return nil
	}
	l.err = ErrClosed
	l.file.Close()
	for _, f := range l.dirty {
		f.Close()
	}
	if l.next != nil {
		l.next.discard(l.dir)
	}
	return err
}
