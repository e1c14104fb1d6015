package keyspace

import (
	"encoding/binary"
	"errors"
	"slices"

	"holdfast/op"
)

// A snapshot is a sequence of frames: 4 bytes of length, a kind, a body.
const (
	frameHead = 1 // all but the keys; the first
	frameKey  = 2 // a space, a key, its version, its record or the beginning of it
	framePart = 3 // what goes on where the frame before ended
	frameEnd  = 4 // nothing; the last

	framePrefix = 5
	maxFrame    = op.MaxValue + op.MaxKey + 1<<20 // bytes of a kind and body; one element of a tree is never split

	snapshotBlock = 256 << 10 // pre-images are kept in blocks of about that size
	snapshotPart  = 64 << 10  // bytes of a large value in one frame, about
	snapshotWork  = 512       // buckets, frames or blocks that Next handles at most
)

// Snapshot is the state as it stood at BeginSnapshot. It walks over the tables; whatever Apply is about to change before the walk has come by is
// kept aside first. What was written since then is told by its version, so that nothing has to be marked. A key may come twice,
// equal both times, when its segment splits under the walk.
type Snapshot struct {
	s       *State
	ops     uint64 // later versions do not belong to the snapshot
	head    []byte
	space   op.Space
	pos     position
	blocks  [][]byte // frames of keys that have changed since
	streams []*stream
	backlog int
}

// stream is a large value on its way out in parts.
type stream struct {
	begin []byte // body of the first frame up to the value; nil when that is out
	r     ref    // pinned block, 0 if it is a tree
	value []byte // what is left of the block's value
	tree  *tree  // a clone
	left  int    // elements to come
	size  int
}

// BeginSnapshot begins a snapshot of the state as it stands now. There is one at a time. Its methods must not run at the same time as
// anything but Reads.
func (s *State) BeginSnapshot() *Snapshot {
	if s.snap != nil {
		panic("keyspace: a second snapshot at the same time")
	}
	s.snap = &Snapshot{s: s, ops: s.ops, head: s.appendHead(nil)}
	return s.snap
}

// Backlog returns the bytes that the snapshot keeps aside in memory until Next has written them.
func (w *Snapshot) Backlog() int { return w.backlog }

// Cancel ends the snapshot. It may be called at any time.
func (w *Snapshot) Cancel() {
	if w.s.snap != w {
		return
	}
	for _, st := range w.streams {
		if st.r != 0 {
			w.s.slab.unpin(st.r)
		}
	}
	w.s.snap = nil
	w.blocks, w.streams, w.backlog = nil, nil, 0
}

// Next appends whole frames to buf, about limit bytes of them, and perhaps none. done says that these were the last.
func (w *Snapshot) Next(buf []byte, limit int) (out []byte, done bool) {
	if w.s.snap != w {
		return buf, true
	}
	end := len(buf) + limit
	for work := 0; work < snapshotWork && len(buf) < end; work++ {
		switch {
		case w.head != nil:
			at := len(buf)
			buf = endFrame(append(beginFrame(buf, frameHead), w.head...), at)
			w.head = nil
		case len(w.streams) > 0:
			buf = w.stream(buf)
		case len(w.blocks) > 0:
			buf = w.block(buf, end)
		case w.space < op.Spaces:
			buf = w.walk(buf)
		default:
			buf = endFrame(beginFrame(buf, frameEnd), len(buf))
			w.Cancel()
			return buf, true
		}
	}
	return buf, false
}

func beginFrame(b []byte, kind byte) []byte { return append(b, 0, 0, 0, 0, kind) }

// endFrame writes the length of the frame that begins at at and reaches to the end of b.
func endFrame(b []byte, at int) []byte {
	le.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

func appendFrameKey(b []byte, e item) []byte {
	k := e.key()
	b = append(binary.AppendUvarint(append(b, byte(e.space())), uint64(len(k))), k...)
	return binary.AppendUvarint(b, e.version())
}

func (s *State) appendKeyFrame(b []byte, e item) []byte {
	at := len(b)
	return endFrame(s.appendRecord(appendFrameKey(beginFrame(b, frameKey), e), e), at)
}

// walk writes the next bucket.
func (w *Snapshot) walk(buf []byte) []byte {
	var room [2 * bucketSlots]ref
	refs, more := w.s.tables[w.space].collect(w.s, &w.pos, room[:0])
	for _, r := range refs {
		e := w.s.slab.at(r)
		if e.version() > w.ops {
			continue
		}
		if r >= firstHuge || e.tree() != 0 {
			w.begin(e, r)
		} else {
			buf = w.s.appendKeyFrame(buf, e)
		}
	}
	if !more {
		w.space, w.pos = w.space+1, position{}
	}
	return buf
}

// preserve is called before f's item changes or goes.
func (s *State) preserve(f *found) {
	if w := s.snap; w != nil && f.e.version() <= w.ops && !w.passed(f) {
		w.keep(f)
	}
}

// passed says whether the walk has surely come by f.
func (w *Snapshot) passed(f *found) bool {
	if sp := f.e.space(); sp != w.space {
		return sp < w.space
	}
	if first := w.s.tables[w.space].start(f.hash); first != w.pos.prefix {
		return first < w.pos.prefix
	}
	return int(f.hash%buckets) < w.pos.bucket
}

func (w *Snapshot) keep(f *found) {
	if f.r >= firstHuge || f.e.tree() != 0 {
		w.begin(f.e, f.r)
		return
	}
	n := len(w.blocks)
	if n == 0 || len(w.blocks[n-1]) >= snapshotBlock {
		w.blocks = append(w.blocks, nil)
		n++
	}
	b := &w.blocks[n-1]
	w.backlog -= len(*b)
	*b = w.s.appendKeyFrame(*b, f.e)
	w.backlog += len(*b)
}

// begin makes a stream of a large value: a pinned block stays as it is, a tree is cloned.
func (w *Snapshot) begin(e item, r ref) {
	st := &stream{}
	n := e.tree()
	if n != 0 {
		t := w.s.trees[n]
		if t.in == w {
			return // an edit that came to nothing has brought it here before
		}
		t.in = w
		st.tree = t.clone()
		st.left, st.size = st.tree.len(), int(st.tree.bytes)
		st.begin = appendRecordHead(appendFrameKey(nil, e), e, st.left)
	} else {
		if w.s.slab.pinned(r) {
			return // it is a stream already
		}
		w.s.slab.pin(r)
		st.r, st.value, st.size = r, e.value(), e.valueLen()
		st.begin = appendRecordHead(appendFrameKey(nil, e), e, st.size)
	}
	w.streams = append(w.streams, st)
	w.backlog += st.size
}

// stream writes the next frame of the first stream.
func (w *Snapshot) stream(buf []byte) []byte {
	st, at := w.streams[0], len(buf)
	if st.begin != nil {
		buf = append(beginFrame(buf, frameKey), st.begin...)
		st.begin = nil
	} else {
		buf = beginFrame(buf, framePart)
	}
	if st.tree != nil {
		buf = st.elements(buf)
	} else {
		n := min(len(st.value), snapshotPart)
		buf = append(buf, st.value[:n]...)
		st.value = st.value[n:]
	}
	if len(st.value) == 0 && st.left == 0 {
		if st.r != 0 {
			w.s.slab.unpin(st.r)
		}
		w.backlog -= st.size
		w.streams = slices.Delete(w.streams, 0, 1)
	}
	return endFrame(buf, at)
}

// elements writes about snapshotPart bytes of elements.
func (st *stream) elements(buf []byte) []byte {
	end := len(buf) + snapshotPart
	st.tree.main().walk(st.tree.len()-st.left, func(el element) bool {
		buf = appendElement(buf, el, st.tree.kind)
		st.left--
		return len(buf) < end
	})
	return buf
}

// block writes frames of the first block of pre-images up to about end.
func (w *Snapshot) block(buf []byte, end int) []byte {
	b := w.blocks[0]
	n := 0
	for n < len(b) && len(buf)+n < end {
		n += 4 + int(le.Uint32(b[n:]))
	}
	w.backlog -= n
	if w.blocks[0] = b[n:]; n == len(b) {
		w.blocks = slices.Delete(w.blocks, 0, 1)
	}
	return append(buf, b[:n]...)
}

var errSnapshot = errors.New("keyspace: bytes that are no snapshot")

// loading is a snapshot being loaded.
type loading struct {
	keys uint64 // that it must have at its end
	part *unfinished
}

// Load takes the frames of a snapshot, in order, into an empty state, and returns what is behind the last whole one. After an error the state is not to be used.
func (s *State) Load(b []byte) (rest []byte, err error) {
	for len(b) >= framePrefix {
		n := int(le.Uint32(b))
		if n < 1 || n > maxFrame {
			return b, errSnapshot
		}
		if n > len(b)-4 {
			break
		}
		if err := s.loadFrame(b[4], b[framePrefix:4+n]); err != nil {
			return b, err
		}
		b = b[4+n:]
	}
	return b, nil
}

// Loading says whether Load has begun and not come to the end of the snapshot.
func (s *State) Loading() bool { return s.load != nil }

func (s *State) loadFrame(kind byte, b []byte) error {
	l := s.load
	switch {
	case kind == frameHead && l == nil && s.index == 0 && s.ops == 0:
		keys, err := s.loadHead(b)
		s.load = &loading{keys: keys}
		return err
	case kind == frameKey && l != nil && l.part == nil:
		return s.loadKey(b)
	case kind == framePart && l != nil && l.part != nil:
		return s.loadPart(b)
	case kind == frameEnd && l != nil && l.part == nil && len(b) == 0:
		if l.keys != s.keys() {
			return errors.New("keyspace: a snapshot that lacks keys")
		}
		s.load = nil
		return nil
	}
	return errSnapshot
}

func (s *State) loadKey(b []byte) error {
	r := fields{b: b}
	u := &unfinished{key: op.Key{Space: op.Space(r.byte())}}
	u.key.Name = r.sized(op.MaxKey)
	u.version = r.uint(s.ops)
	if r.bad || u.version == 0 || u.key.Space >= op.Spaces {
		return errSnapshot
	}
	rest, err := u.begin(r.b)
	if err != nil {
		return err
	}
	s.load.part = u
	if err := s.loadPart(rest); err != nil {
		return err
	}
	if s.load.part != nil {
		u.key.Name = slices.Clone(u.key.Name)
	}
	return nil
}

func (s *State) loadPart(b []byte) error {
	u := s.load.part
	if err := u.more(b); err != nil || u.left > 0 {
		return err
	}
	s.load.part = nil
	if !u.sound() {
		return errRecord
	}
	e, _ := s.tables[u.key.Space].find(&s.slab, s.hash(u.key), u.key.Name)
	switch {
	case e == nil:
		s.restore(u)
	case e.version() != u.version:
		return errSnapshot
	}
	return nil
}
