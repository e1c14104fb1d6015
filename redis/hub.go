package redis

import (
	"encoding/binary"
	"sync/atomic"

	"holdfast/engine"
	"holdfast/op"
)

// hub is the engine.Watcher of a dialect: what is applied comes here, whoever wrote it and wherever, and goes on to the sessions that want to know: as messages
// (pubsub.go), as events of keys (notify.go), as invalidations (tracking.go), and to those that wait for a key (blocking.go).
type hub struct {
	d      *Dialect
	wants  atomic.Uint32 // what is to be noted
	queued atomic.Int64  // bytes in all inboxes
	noted  atomic.Uint64 // changes of keys so far
	most   atomic.Int64  // keys that are noted for clients
	board  board
}

// What is to be noted.
const (
	wantMessages uint32 = 1 << iota
	wantEvents          // of keys
	wantKeys            // that change
)

// Kinds of notes.
const (
	noteMessage byte = iota // channel, message
	noteShard               // likewise
	noteKey                 // how, space, channels to tell, events behind their number; its own number, name
	noteFlush               // space
)

// Watcher is to be told what is applied at this controller.
func (d *Dialect) Watcher() engine.Watcher { return &d.hub }

// look finds out what is to be noted. Caller holds board.mu.
func (h *hub) look() {
	wants := uint32(0)
	if b := &h.board; len(b.lists[toChannels])+len(b.lists[toPatterns])+len(b.lists[toShards]) > 0 {
		wants |= wantMessages
		if b.keys > 0 {
			wants |= wantEvents
		}
	}
	if len(h.board.lines)+len(h.board.readers.tracked) > 0 {
		wants |= wantKeys
	}
	h.wants.Store(wants)
}

// Note implements engine.Watcher.
func (h *hub) Note(b []byte, c *op.Change) []byte {
	wants := h.wants.Load()
	switch {
	case wants == 0:
	case c.How == op.Published:
		if wants&wantMessages != 0 {
			b = noteOfMessage(b, c.Op.(*op.Publish))
		}
	case c.Key.Space == op.Memcache:
	case c.How == op.Flushed:
		if wants&wantKeys != 0 {
			b = append(b, noteFlush, byte(c.Key.Space))
		}
	default:
		b = h.noteOfChange(b, wants, c)
	}
	return b
}

func noteOfMessage(b []byte, o *op.Publish) []byte {
	kind := noteMessage
	if o.Shard {
		kind = noteShard
	}
	return appendText(appendText(append(b, kind), o.Channel), o.Message)
}

// noteOfChange notes a change of a key. A key that is moved goes before it comes, though it is the other way round in the state.
func (h *hub) noteOfChange(b []byte, wants uint32, c *op.Change) []byte {
	if o, ok := c.Op.(*op.Rename); ok && !o.Copy {
		switch c.How {
		case op.Removed:
			return b
		case op.Created, op.Written:
			b = h.noteOfKey(b, wants, &op.Change{How: op.Removed, Key: o.From, Op: o, Events: c.Events})
		}
	}
	return h.noteOfKey(b, wants, c)
}

func (h *hub) noteOfKey(b []byte, wants uint32, c *op.Change) []byte {
	mark := len(b)
	which := c.Events & (eventsByKey | eventsByName)
	b = append(b, noteKey, byte(c.How), byte(c.Key.Space), byte(which), 0)
	if wants&wantEvents != 0 && which != 0 {
		b = noteEvents(b, c)
		b[mark+4] = byte(len(b) - mark - 5)
	}
	if b[mark+4] == 0 && wants&wantKeys == 0 {
		return b[:mark]
	}
	return appendText(binary.LittleEndian.AppendUint64(b, h.noted.Add(1)), c.Key.Name)
}

// Tell implements engine.Watcher.
func (h *hub) Tell(b []byte, by engine.Writer) {
	h.board.mu.Lock()
	defer h.board.mu.Unlock()
	defer h.tellPrefixes()
	for len(b) > 0 {
		kind := b[0]
		b = b[1:]
		switch kind {
		case noteMessage, noteShard:
			var channel, message []byte
			channel, b = cutText(b)
			message, b = cutText(b)
			if kind == noteShard {
				h.bring(toShards, channel, message)
			} else {
				h.bring(toChannels, channel, message)
			}
		case noteFlush:
			b = b[1:]
			h.outdateAll()
		case noteKey:
			how, space, which, n := op.How(b[0]), op.Space(b[1]), uint32(b[2]), int(b[3])
			events := b[4 : 4+n]
			number := binary.LittleEndian.Uint64(b[4+n:])
			var name []byte
			name, b = cutText(b[12+n:])
			h.announce(which, events, space, name)
			h.changed(how, space, name, number, by)
		}
	}
}

// Missed implements engine.Watcher. Who listens is told in the one way that every client understands: a connection that stands has had every message.
func (h *hub) Missed() {
	h.board.mu.Lock()
	defer h.board.mu.Unlock()
	h.callAll()
	h.outdateAll()
	for t := range h.board.lists {
		for _, who := range h.board.lists[t] {
			for s := range who {
				s.kill.Store(true)
				s.conn.Wake()
			}
		}
	}
}

// Stale implements engine.Watcher.
func (h *hub) Stale() {
	h.board.mu.Lock()
	defer h.board.mu.Unlock()
	h.outdateAll()
}

// census is who listens and waits, for INFO.
type census struct{ channels, patterns, blocked, tracked, keys, items, prefixes int }

// census goes through all keys that are noted for clients.
func (h *hub) census() (c census) {
	b := &h.board
	b.mu.Lock()
	defer b.mu.Unlock()
	c.channels, c.patterns, c.tracked, c.keys = len(b.lists[toChannels]), len(b.lists[toPatterns]), len(b.tracked), len(b.cached)
	for _, who := range b.cached {
		c.items += len(who)
	}
	for _, t := range b.tracked {
		c.prefixes += len(t.prefixes)
	}
	waiting := map[*blocked]bool{}
	for _, line := range b.lines {
		for _, w := range line {
			waiting[w] = true
		}
	}
	c.blocked = len(waiting)
	return c
}
