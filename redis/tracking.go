package redis

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"holdfast/engine"
	"holdfast/op"
	"holdfast/resp"
)

// Clients that keep what they read (CLIENT TRACKING) are told when it changes. A key is noted before it is read, so that no change comes between; what is told comes
// after the reply. A client is told when its own member applies the change, which is a little after the writer had its answer elsewhere: as with one server, what
// it keeps may be old for as long as the message takes. When its member loses touch with the group, or takes over a whole state, it is told that everything has changed.

// maxKept bounds the keys that are noted for clients, as does the setting tracking-table-max-keys below it; beyond that some key or other is told as changed.
const maxKept = 1_000_000

// maxPrefixes bounds those of one client: every change of a key is compared with each.
const maxPrefixes = 256

// tracking is what a client asked for. It is replaced, never changed, but for broken and changed, which board.mu guards.
type tracking struct {
	s                            *Session
	bcast, optin, optout, noloop bool
	prefixes                     []string            // of bcast; an empty one is for all keys
	redirect                     uint64              // connection that is told in its place, 0 for none
	broken                       bool                // it is gone
	changed                      map[string][][]byte // keys to be told at the end of Tell, by prefix
}

// caching is what CLIENT CACHING said of the next command.
type caching uint8

const (
	cachingUnsaid caching = iota
	cachingYes
	cachingNo
)

// readers are who keeps what.
type readers struct {
	tracked map[uint64]*tracking         // by connection
	cached  map[string]map[uint64]uint64 // by key, whatever its database, as in Redis, and connection: how many changes had been noted before it read
}

// remembers says whether what the present command reads is to be noted for its client, which has asked for some tracking.
func (s *Session) remembers() bool {
	t := s.track
	switch {
	case t.bcast:
		return false
	case t.optin:
		return s.caching == cachingYes
	}
	return !t.optout || s.caching != cachingNo
}

// remember notes the keys that a command reads for the session, and says whether it reads any. It comes before the read.
func (s *Session) remember(row *Command, args [][]byte) bool {
	if row.Flags&ReadOnly == 0 || row.Flags&Scripted != 0 {
		return false
	}
	keys, ok := row.keysOf(args)
	if !ok || len(keys) == 0 {
		return false
	}
	s.rememberKeys(keys)
	return true
}

func (s *Session) rememberKeys(keys [][]byte) {
	h := &s.d.hub
	h.board.mu.Lock()
	defer h.board.mu.Unlock()
	r := &h.board.readers
	if r.cached == nil {
		r.cached = map[string]map[uint64]uint64{}
	}
	for _, k := range keys {
		who := r.cached[string(k)]
		if who == nil {
			who = map[uint64]uint64{}
			r.cached[string(k)] = who
		}
		if _, keeps := who[s.conn.ID()]; !keeps { // it may keep what it read first
			who[s.conn.ID()] = h.noted.Load()
		}
	}
	h.trim()
}

// cut applies a new bound.
func (h *hub) cut() {
	h.board.mu.Lock()
	defer h.board.mu.Unlock()
	h.trim()
}

// trim tells some key or other as changed while there are too many. Caller holds board.mu.
func (h *hub) trim() {
	most := h.most.Load()
	if most == 0 { // Redis's word for no bound
		most = maxKept
	}
	for name := range h.board.cached {
		if int64(len(h.board.cached)) <= most {
			return
		}
		h.outdate([]byte(name), math.MaxUint64, nil)
	}
}

// outdate tells who keeps a key that it has changed, by a write of by; who read it after that change does not hear of it. Caller holds board.mu.
func (h *hub) outdate(name []byte, number uint64, by engine.Writer) {
	r := &h.board.readers
	if who := r.cached[string(name)]; who != nil {
		for id, after := range who {
			if after >= number {
				continue
			}
			if delete(who, id); len(who) == 0 {
				delete(r.cached, string(name))
			}
			if t := r.tracked[id]; t != nil && !t.bcast && !t.own(by) {
				h.tellChanged(t, [][]byte{name})
			}
		}
	}
	for _, t := range r.tracked {
		if t.bcast && !t.own(by) {
			t.collect(name)
		}
	}
}

// own says whether a write is the client's, and it does not want to hear of those.
func (t *tracking) own(by engine.Writer) bool { return t.noloop && by == engine.Writer(t.s) }

// collect keeps a key that changed until the end of Tell, if the client wants to know: those with one prefix are told together.
func (t *tracking) collect(name []byte) {
	for _, p := range t.prefixes {
		if strings.HasPrefix(string(name), p) {
			if t.changed == nil {
				t.changed = map[string][][]byte{}
			}
			t.changed[p] = append(t.changed[p], bytes.Clone(name))
		}
	}
}

// tellPrefixes tells what was collected. Caller holds board.mu.
func (h *hub) tellPrefixes() {
	for _, t := range h.board.readers.tracked {
		for _, names := range t.changed {
			h.tellChanged(t, names)
		}
		t.changed = nil
	}
}

// outdateAll tells everybody that everything has changed. Caller holds board.mu.
func (h *hub) outdateAll() {
	h.board.readers.cached = nil
	for _, t := range h.board.readers.tracked {
		t.changed = nil
		h.tellChanged(t, nil)
	}
}

// invalidated is the channel at which clients of the older protocol are told, in the place of another connection.
const invalidated = "__redis__:invalidate"

// tellChanged tells names, or that all has changed if they are nil. Caller holds board.mu.
func (h *hub) tellChanged(t *tracking, names [][]byte) {
	to := t.s
	if t.redirect != 0 {
		if to = h.session(t.redirect); to == nil {
			t.broken = true
			if v := t.s.face.Load().v; v == resp.V3 {
				t.s.push(resp.Integer(resp.Bulk(v.Push(nil, 2), "tracking-redir-broken"), int64(t.redirect)))
			}
			return
		}
	}
	var b []byte
	v := to.face.Load().v
	switch {
	case v == resp.V3:
		b = resp.Bulk(v.Push(nil, 2), "invalidate")
	case t.redirect != 0 && to.ears.total() > 0:
		b = resp.Bulk(resp.Bulk(v.Push(nil, 3), "message"), invalidated)
	default:
		return
	}
	if names == nil {
		to.push(t.s.face.Load().v.Null(b))
		return
	}
	b = resp.Array(b, len(names))
	for _, n := range names {
		b = resp.Bulk(b, n)
	}
	to.push(b)
}

// session finds the session of a connection.
func (h *hub) session(id uint64) *Session {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	return h.d.sessions[id]
}

// setTracking replaces what the client asked for; nil ends it.
func (s *Session) setTracking(t *tracking) {
	if s.track = t; t == nil {
		s.caching = cachingUnsaid
	}
	h := &s.d.hub
	h.board.mu.Lock()
	defer h.board.mu.Unlock()
	r := &h.board.readers
	if t == nil {
		delete(r.tracked, s.conn.ID())
	} else {
		if r.tracked == nil {
			r.tracked = map[uint64]*tracking{}
		}
		r.tracked[s.conn.ID()] = t
	}
	if len(r.tracked) == 0 {
		r.cached = nil
	}
	h.look()
}

func clientTracking(s *Session, q *request, b []byte) []byte {
	t, err := s.parseTracking(q.args[3:])
	switch {
	case err != nil:
	case is(q.args[2], "off"):
		if s.track != nil {
			s.setTracking(nil)
		}
		return append(b, "+OK\r\n"...)
	case !is(q.args[2], "on"):
		err = errSyntax
	default:
		err = t.extend(s.track)
	}
	if err != nil {
		return resp.Err(b, err.Error())
	}
	s.setTracking(t)
	return append(b, "+OK\r\n"...)
}

func (s *Session) parseTracking(args [][]byte) (*tracking, error) {
	t := &tracking{s: s}
	for i := 0; i < len(args); i++ {
		switch more := i+1 < len(args); {
		case is(args[i], "redirect") && more:
			i++
			id, ok := resp.Int(args[i])
			switch {
			case t.redirect != 0:
				return nil, failure("ERR A client can only redirect to a single other client")
			case !ok:
				return nil, errInteger
			case s.d.hub.session(uint64(id)) == nil:
				return nil, failure("ERR The client ID you want redirect to does not exist")
			}
			t.redirect = uint64(id)
		case is(args[i], "prefix") && more:
			i++
			if len(t.prefixes) == maxPrefixes {
				return nil, errPrefixes
			}
			t.prefixes = append(t.prefixes, string(args[i]))
		case is(args[i], "bcast"):
			t.bcast = true
		case is(args[i], "optin"):
			t.optin = true
		case is(args[i], "optout"):
			t.optout = true
		case is(args[i], "noloop"):
			t.noloop = true
		default:
			return nil, errSyntax
		}
	}
	return t, nil
}

// extend checks t, and adds the prefixes of old, which it replaces; old may be nil.
func (t *tracking) extend(old *tracking) error {
	const again = " before disabling tracking for this client, and then re-enabling it with a different mode."
	switch {
	case !t.bcast && len(t.prefixes) > 0:
		return failure("ERR PREFIX option requires BCAST mode to be enabled")
	case old != nil && old.bcast != t.bcast:
		return failure("ERR You can't switch BCAST mode on/off" + again)
	case t.bcast && (t.optin || t.optout):
		return failure("ERR OPTIN and OPTOUT are not compatible with BCAST")
	case t.optin && t.optout:
		return failure("ERR You can't specify both OPTIN mode and OPTOUT mode")
	case old != nil && (t.optin && old.optout || t.optout && old.optin):
		return failure("ERR You can't switch OPTIN/OPTOUT mode" + again)
	}
	if !t.bcast {
		return nil
	}
	var had []string
	if old != nil {
		had = old.prefixes
	}
	if len(had)+len(t.prefixes) > maxPrefixes {
		return errPrefixes
	}
	if err := distinct(had, t.prefixes); err != nil {
		return err
	}
	if len(t.prefixes) == 0 && len(had) == 0 {
		t.prefixes = []string{""}
	}
	t.prefixes = slices.Sorted(slices.Values(append(t.prefixes, had...)))
	return nil
}

const errPrefixes = failure("ERR too many prefixes: a client may have 256")

// distinct says of prefixes whether one begins with another.
func distinct(had, more []string) error {
	overlap := func(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }
	for i, p := range more {
		for _, other := range had {
			if overlap(p, other) {
				return failure(fmt.Sprintf("ERR Prefix '%s' overlaps with an existing prefix '%s'. Prefixes for a single client must not overlap.", p, other))
			}
		}
		for _, other := range more[i+1:] {
			if overlap(p, other) {
				return failure(fmt.Sprintf("ERR Prefix '%s' overlaps with another provided prefix '%s'. Prefixes for a single client must not overlap.", p, other))
			}
		}
	}
	return nil
}

func clientCaching(s *Session, q *request, b []byte) []byte {
	t := s.track
	switch {
	case t == nil:
		return resp.Err(b, "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled")
	case is(q.args[2], "yes") && !t.optin:
		return resp.Err(b, "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.")
	case is(q.args[2], "no") && !t.optout:
		return resp.Err(b, "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.")
	case is(q.args[2], "yes"):
		s.caching = cachingYes
	case is(q.args[2], "no"):
		s.caching = cachingNo
	default:
		return resp.Err(b, string(errSyntax))
	}
	return append(b, "+OK\r\n"...)
}

func clientGetRedir(s *Session, _ *request, b []byte) []byte {
	if s.track == nil {
		return resp.Integer(b, -1)
	}
	return resp.Integer(b, int64(s.track.redirect))
}

func clientTrackingInfo(s *Session, _ *request, b []byte) []byte {
	t, redirect := s.track, int64(-1)
	flags := []string{"off"}
	if t != nil {
		redirect = int64(t.redirect)
		flags = t.flags(s.caching)
	} else {
		t = &tracking{}
	}
	b = s.v.Map(b, 3)
	b = s.v.Set(resp.Bulk(b, "flags"), len(flags))
	for _, f := range flags {
		b = resp.Bulk(b, f)
	}
	b = resp.Integer(resp.Bulk(b, "redirect"), redirect)
	b = resp.Array(resp.Bulk(b, "prefixes"), len(t.prefixes))
	for _, p := range t.prefixes {
		b = resp.Bulk(b, p)
	}
	return b
}

func (t *tracking) flags(said caching) []string {
	h := &t.s.d.hub
	h.board.mu.Lock()
	defer h.board.mu.Unlock()
	flags := []string{"on"}
	for _, f := range []struct {
		is   bool
		name string
	}{
		{t.bcast, "bcast"}, {t.optin, "optin"}, {t.optin && said == cachingYes, "caching-yes"}, {t.optout, "optout"},
		{t.optout && said == cachingNo, "caching-no"}, {t.noloop, "noloop"}, {t.broken, "broken_redirect"},
	} {
		if f.is {
			flags = append(flags, f.name)
		}
	}
	return flags
}

// changed has whoever keeps or waits for a key hear of it. Caller holds board.mu.
func (h *hub) changed(how op.How, space op.Space, name []byte, number uint64, by engine.Writer) {
	if how <= op.Created {
		h.callFirst(space, name)
	}
	if len(h.board.readers.tracked) > 0 {
		h.outdate(name, number, by)
	}
}
