package wal

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// ErrDamaged is wrapped by the error of Open when records that had been promised to be kept cannot be read.
var ErrDamaged = errors.New("the log is damaged")

// Open reads the log in dir, calling each for every record in order; a Record's Body is only valid during the call. Then the log is ready to be
// appended to, in a new segment.
//
// The end of the log may be torn: what a crash left unfinished is cut off, and so is what stood behind the last fsync if the machine
// went down since (Options.Boot). Any other damage is an error that wraps ErrDamaged and says what to do.
func Open(dir string, opt Options, each func(Record) error) (*Log, error) {
	if opt.Segment == 0 {
		opt.Segment = 64 << 20
	}
	if opt.Segment < MinSegment {
		return nil, fmt.Errorf("log segments of %d bytes are too small: use at least %d", opt.Segment, MinSegment)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the log directory: %w", err)
	}
	l := &Log{dir: dir, opt: opt, kept: map[uint8][]byte{}}
	r := reader{dir: dir, each: func(rec Record) error {
		l.keep(rec.Kind, rec.Body)
		return each(rec)
	}}
	bad, err := r.read()
	if err != nil {
		return nil, err
	}
	if bad != nil && !bad.torn(opt.Boot) {
		return nil, bad.error(dir)
	}
	l.intact = r.clean || len(r.segments) == 0 || opt.Boot != 0 && r.boot == opt.Boot
	if !l.intact && opt.Doubt != nil {
		if err := opt.Doubt(); err != nil {
			return nil, err
		}
	}
	if bad != nil {
		if opt.Logger != nil {
			opt.Logger.Warn("cut off the end of the log, which a crash left unfinished", slog.String("file", bad.at.name),
				slog.Int64("offset", bad.offset), slog.Int("records", bad.behind))
		}
		if err := r.cut(bad, bad.behind > 0); err != nil {
			return nil, err
		}
	}
	return l, l.begin(&r)
}

// Intact says whether Open found all that had ever been written to the log: it had been closed, or this run of the machine is the one in which it was
// written, or it was empty. Otherwise the machine may have gone down with a part of it that was not synced.
func (l *Log) Intact() bool { return l.intact }

// begin starts a new segment behind those that r has read.
func (l *Log) begin(r *reader) error {
	for _, s := range r.segments {
		f, err := os.OpenFile(filepath.Join(l.dir, s.name), os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("open a log segment: %w", err)
		}
		// Zeroes that were reserved and not used are given back.
		if err = f.Truncate(s.size); err != nil {
			return fmt.Errorf("trim a log segment: %w", err)
		}
		if s.seq >= r.synced.seq {
			l.dirty = append(l.dirty, f)
		} else {
			f.Close()
		}
		l.bytes += s.size
	}
	l.old = r.segments
	if n := len(l.old); n > 0 {
		l.cur.seq = l.old[n-1].seq
	}
	l.mu.Lock()
	err := l.rotate()
	l.mu.Unlock()
	if err == nil {
		err = l.Write()
	}
	if err == nil {
		err = l.Sync()
	}
	return err
}

// damage is where a log stops making sense.
type damage struct {
	at     segment
	offset int64
	behind int      // valid records behind it
	synced position // how far the disk had been synced, by the marks before and behind
	boot   uint64   // the run of the machine in which the segment was written
}

// torn says whether nothing was lost but what had not been promised yet.
func (d *damage) torn(boot uint64) bool {
	if (position{d.at.seq, d.offset}).before(d.synced) {
		return false
	}
	return d.behind == 0 || d.boot != boot || boot == 0
}

func (d *damage) error(dir string) error {
	return fmt.Errorf("%w: %s cannot be read from offset %d on, although it was on stable storage or %d valid records stand behind it; "+
		"put back a copy of %s, or give up what stands there with: holdfast repair --data %s",
		ErrDamaged, filepath.Join(dir, d.at.name), d.offset, d.behind, d.at.name, filepath.Dir(dir))
}

// reader reads the segments of a log.
type reader struct {
	dir      string
	each     func(Record) error
	segments []segment // those read, sizes cut to what is valid
	synced   position
	last     uint64 // the index before the next one
	boot     uint64 // the run of the machine in which the newest segment was written
	clean    bool   // the log was closed behind its newest record
	buf      []byte // of the file that is being read
}

// read goes through all segments up to the first damage.
func (r *reader) read() (*damage, error) {
	all, err := list(r.dir)
	if err != nil {
		return nil, err
	}
	for i, s := range all {
		if i > 0 && s.seq != all[i-1].seq+1 {
			return nil, fmt.Errorf("%w: segment number %d is missing in %s; put it back, or move away the ones behind it and start again",
				ErrDamaged, all[i-1].seq+1, r.dir)
		}
		bad, err := r.segment(s)
		if err != nil {
			return nil, err
		}
		if bad != nil {
			return bad, r.beyond(bad, all[i+1:])
		}
	}
	return nil, nil
}

// list finds the segment files and removes what is left of unfinished ones.
func list(dir string) (all []segment, err error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the log directory: %w", err)
	}
	for _, f := range files {
		s := segment{name: f.Name()}
		switch {
		case strings.HasSuffix(s.name, ".tmp"):
			os.Remove(filepath.Join(dir, s.name))
		case strings.HasSuffix(s.name, ".wal"):
			if _, err := fmt.Sscanf(s.name, "%d-%x.wal", &s.seq, &s.first); err != nil {
				return nil, fmt.Errorf("%s in %s is not named like a log segment: move it away", s.name, dir)
			}
			all = append(all, s)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].seq < all[j].seq })
	return all, nil
}

// segment goes through the records of s.
func (r *reader) segment(s segment) (*damage, error) {
	f, err := r.open(s)
	if err != nil {
		return nil, err
	}
	defer f.close()
	h, ok := readHeader(f.ahead(0, headerBytes))
	if f.err != nil {
		return nil, f.err
	}
	if !ok || h.seq != s.seq {
		r.segments = append(r.segments, s)
		return &damage{at: s, behind: 1, synced: position{s.seq + 1, 0}}, nil
	}
	s.salt, s.size = h.salt, headerBytes
	r.boot, r.clean = h.boot, false
	for {
		rec, n := f.record(s.salt, s.size)
		if n == 0 || rec.Index > r.last+1 && r.last != 0 {
			break
		}
		m, mark := readMark(rec)
		r.clean = mark && m == position{s.seq, s.size}
		if mark {
			r.note(m)
		} else if to, ok := readJump(rec); ok {
			r.last = to
		} else if err := r.each(rec); err != nil {
			return nil, fmt.Errorf("%s at offset %d: %w", filepath.Join(r.dir, s.name), s.size, err)
		}
		if rec.Index > 0 {
			r.last, s.high = rec.Index, max(s.high, rec.Index)
		}
		s.size += int64(n)
	}
	r.segments = append(r.segments, s)
	if f.zero(s.size) && !(position{s.seq, s.size}).before(r.synced) {
		return nil, f.err
	}
	bad := &damage{at: s, offset: s.size, boot: h.boot}
	r.scan(bad, f, s.size, s.salt)
	return bad, f.err
}

func (r *reader) note(m position) {
	if r.synced.before(m) {
		r.synced = m
	}
}

// scan counts the valid records of f from offset on, wherever they begin.
func (r *reader) scan(bad *damage, f *file, offset int64, salt uint32) {
	for f.size-offset >= recordBytes {
		rec, n := f.record(salt, offset)
		if n > 0 {
			bad.behind++
			if m, ok := readMark(rec); ok {
				r.note(m)
			}
		}
		offset += int64(max(n, 1))
	}
	bad.synced = r.synced
}

// beyond looks at the segments behind the damaged one.
func (r *reader) beyond(bad *damage, rest []segment) error {
	for _, s := range rest {
		f, err := r.open(s)
		if err != nil {
			return err
		}
		if h, ok := readHeader(f.ahead(0, headerBytes)); ok {
			r.scan(bad, f, headerBytes, h.salt)
		}
		f.close()
		if f.err != nil {
			return f.err
		}
	}
	bad.synced = r.synced
	if bad.offset == 0 {
		bad.synced = position{bad.at.seq + 1, 0}
	}
	return nil
}

// cut takes away everything from bad on; with keep, copies of it stay beside the log, named *.cut.
func (r *reader) cut(bad *damage, keep bool) error {
	path := filepath.Join(r.dir, bad.at.name)
	if keep {
		if err := copyFrom(path, bad.offset, path+".cut"); err != nil {
			return fmt.Errorf("keep a copy of what is cut off: %w", err)
		}
	}
	all, err := list(r.dir)
	if err != nil {
		return err
	}
	for i := len(all) - 1; i >= 0 && all[i].seq > bad.at.seq; i-- {
		p := filepath.Join(r.dir, all[i].name)
		if err := os.Rename(p, p+".cut"); err != nil {
			return fmt.Errorf("move away a log segment behind the damage: %w", err)
		}
	}
	if bad.offset == 0 {
		err = os.Remove(path)
		r.segments = r.segments[:len(r.segments)-1]
	} else {
		err = os.Truncate(path, bad.offset)
	}
	if err != nil {
		return fmt.Errorf("cut off the damaged end of the log: %w", err)
	}
	r.synced = position{} // so that begin syncs what is left
	return syncDir(r.dir)
}

// copyFrom copies what stands in a file from offset on to another one.
func copyFrom(path string, offset int64, to string) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	if _, err := from.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}

// Empty says whether there is no log in dir: no segment at all, or no such directory.
func Empty(dir string) (bool, error) {
	all, err := list(dir)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	return len(all) == 0, err
}

// Repair cuts a damaged log in dir off where the damage begins, keeps what it cuts in files named *.cut, and tells what it did in a sentence.
// Nobody else may have the log open.
func Repair(dir string) (report string, err error) {
	r := reader{dir: dir, each: func(Record) error { return nil }}
	bad, err := r.read()
	if err != nil {
		return "", err
	}
	if bad == nil {
		return "The log is in order: nothing was changed.", nil
	}
	if err := r.cut(bad, true); err != nil {
		return "", err
	}
	return fmt.Sprintf("The log was cut at %s, offset %d: entries up to %d are kept, %d later records are given up; a copy is in files named *.cut in %s.",
		bad.at.name, bad.offset, r.last, bad.behind, dir), nil
}
