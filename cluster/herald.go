package cluster

import (
	"sync"

	"holdfast/engine"
	"holdfast/op"
)

// maxNotes bounds, in bytes, what the Watcher has noted and was not told yet. A single note may be larger.
const maxNotes = 64 << 20

// herald brings what the Watcher notes during Apply to its Tell, on a goroutine of its own: who listens never holds up who applies. It is the state's
// Observer.
type herald struct {
	to engine.Watcher

	// Guarded by Node.mu: what was noted since the last handOver.
	fresh  dispatch
	index  uint64 // of the entry of the last note
	itself bool   // what was noted last was done by the entry, not by a write in it

	mu    sync.Mutex
	queue []dispatch // to be told, in order
	bytes int        // of notes in queue
	bell  chan struct{}
}

// dispatch is a run of notes, or a word that something was missed.
type dispatch struct {
	notes         []byte
	parts         []portion // whose they are, in order; those behind the last are nobody's
	missed, stale bool
}

// portion ends the part of the notes that come of one write.
type portion struct {
	end int
	by  engine.Writer
}

func newHerald(to engine.Watcher) *herald { return &herald{to: to, bell: make(chan struct{}, 1)} }

// Changed implements keyspace.Observer. Node.mu is held.
func (h *herald) Changed(c *op.Change) {
	if c.Index != h.index || h.itself && c.Op != nil {
		h.wroteBy(nil)
	}
	h.index, h.itself = c.Index, c.Op == nil
	h.fresh.notes = h.to.Note(h.fresh.notes, c)
}

// wroteBy says that what was noted since the last call comes of a write of w. Node.mu is held.
func (h *herald) wroteBy(w engine.Writer) {
	f := &h.fresh
	begin := 0
	if n := len(f.parts); n > 0 {
		begin = f.parts[n-1].end
	}
	if len(f.notes) > begin {
		f.parts = append(f.parts, portion{len(f.notes), w})
	}
}

// handOver has told what was noted. Node.mu is held, but no reader locked out.
func (h *herald) handOver() {
	if len(h.fresh.notes) > 0 {
		h.wroteBy(nil)
		h.put(h.fresh)
		h.fresh = dispatch{}
	}
}

func (h *herald) put(d dispatch) {
	h.mu.Lock()
	if len(h.queue) > 0 && h.bytes+len(d.notes) > maxNotes {
		h.queue, h.bytes, d = h.queue[:0], 0, dispatch{missed: true}
	}
	h.bytes += len(d.notes)
	h.queue = append(h.queue, d)
	h.mu.Unlock()
	select {
	case h.bell <- struct{}{}:
	default:
	}
}

// run tells until stop is closed.
func (h *herald) run(stop <-chan struct{}) {
	for {
		select {
		case <-h.bell:
		case <-stop:
			return
		}
		h.mu.Lock()
		queue := h.queue
		h.queue, h.bytes = nil, 0
		h.mu.Unlock()
		for i := range queue {
			h.tell(&queue[i])
		}
	}
}

func (h *herald) tell(d *dispatch) {
	switch {
	case d.missed:
		h.to.Missed()
	case d.stale:
		h.to.Stale()
	}
	at := 0
	for _, p := range d.parts {
		h.to.Tell(d.notes[at:p.end], p.by)
		at = p.end
	}
}

// touch is how well this member knows what the group does.
type touch uint8

const (
	inTouch    touch = iota
	byRounds         // it answers reads only with the leader's help: what is acknowledged may not be here yet
	outOfTouch       // nor with that
)

func (n *Node) touchNow() touch {
	switch {
	case n.solo:
	case n.restoring || !n.serving || n.replica.Leader() == 0:
		return outOfTouch
	case !n.cfg.ReadIndex && n.clock.mono() >= n.reads.until.Load():
		return byRounds
	}
	return inTouch
}

// lookStale tells the Watcher when this member loses touch with the group, or more of it: what was read by rounds was noted since it was told. Caller holds mu.
func (n *Node) lookStale() {
	now := n.touchNow()
	if now > n.touch && n.herald != nil {
		n.herald.put(dispatch{stale: true})
	}
	n.touch = now
}
