package wal

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
)

// prepared is a segment file that waits to be used. Its header is on stable storage before it gets a segment's name, so that a segment
// without a valid header is damaged and not merely torn.
type prepared struct {
	file *os.File
	temp string
	seq  uint64
	salt uint32
}

func (p *prepared) discard(dir string) {
	p.file.Close()
	os.Remove(filepath.Join(dir, p.temp))
}

// create makes the file of the segment seq under a temporary name. The header's first index is only a hint for people, like the one in the name.
func (l *Log) create(seq, first uint64, temp string) (*prepared, error) {
	if err := l.opt.fault("create"); err != nil {
		return nil, fmt.Errorf("begin a log segment: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(l.dir, temp), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("begin a log segment: %w", err)
	}
	p := &prepared{f, temp, seq, newSalt()}
	if err = preallocate(f, l.opt.Segment); err == nil {
		if _, err = f.WriteAt(appendHeader(nil, p.salt, seq, first, l.opt.Boot), 0); err == nil {
			err = f.Sync()
		}
	}
	if err != nil {
		p.discard(l.dir)
		return nil, fmt.Errorf("begin a log segment of %d bytes in %s: %w", l.opt.Segment, l.dir, err)
	}
	return p, nil
}

func newSalt() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return le.Uint32(b[:])
}

// prepare makes the next segment ready. If that fails, Write meets the same trouble when it really needs one, and reports it.
func (l *Log) prepare() {
	l.mu.Lock()
	seq, first := l.cur.seq+1, l.cur.high+1
	wanted := l.err == nil && l.next == nil
	l.mu.Unlock()
	if !wanted {
		return
	}
	p, err := l.create(seq, first, "next.tmp")
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cur.seq >= seq || l.err != nil {
		p.discard(l.dir)
		return
	}
	l.next = p
}

// rotate begins a new segment. The kept records are put in front of what is in the buffer. Caller holds mu.
func (l *Log) rotate() error {
	seq, first := l.cur.seq+1, max(l.cur.high, l.highest())+1
	p := l.next
	if p == nil {
		var err error
		if p, err = l.create(seq, first, "new.tmp"); err != nil {
			return err
		}
	}
	l.next = nil
	name := fmt.Sprintf("%08d-%016x.wal", seq, first)
	if err := os.Rename(filepath.Join(l.dir, p.temp), filepath.Join(l.dir, name)); err != nil {
		p.discard(l.dir)
		return fmt.Errorf("begin a log segment: %w", err)
	}
	if l.file != nil {
		l.dirty = append(l.dirty, l.file)
		l.old = append(l.old, l.cur)
		l.bytes += l.cur.size
	}
	l.moved = true
	l.file, l.cur = p.file, segment{name: name, seq: seq, salt: p.salt, size: headerBytes, first: first}
	l.buf = append(l.preamble(), l.buf...)
	return nil
}

// preamble is the kept records, in the order of their kinds.
func (l *Log) preamble() (b []byte) {
	for k := range 128 {
		if body, ok := l.kept[uint8(k)]; ok {
			b = appendRecord(b, uint8(k), 0, body, nil)
		}
	}
	return b
}

func (l *Log) highest() (h uint64) {
	for _, s := range l.old {
		h = max(h, s.high)
	}
	return h
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
