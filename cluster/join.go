package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"holdfast/cluster/link"
	"holdfast/cluster/wal"
	"holdfast/keyspace"
	"holdfast/replica"
)

const (
	askWithin  = time.Second            // a member that does not answer within this is not there
	askEvery   = 200 * time.Millisecond // how often a member without a group asks the others
	joinAgain  = 500 * time.Millisecond // how often it asks to be let in
	tellEvery  = 5 * time.Second        // how often it is said what a start waits for
	sureRounds = 2                      // censuses in a row that must say the same before a group is founded

	receivedFile = "received.tmp"
	joinedEnd    = ".joined" // of the name of a snapshot that is to be adopted
)

// gather finds the group, or founds it with the others.
func (n *Node) gather() error {
	if n.link == nil {
		return n.found()
	}
	sure, told := 0, time.Time{}
	for {
		n.mu.Lock()
		self := n.standing()
		n.mu.Unlock()
		v := decide(&self, n.census(self.log.Members))
		switch {
		case v.gone != nil:
			return v.gone
		case v.join != nil:
			return n.join(v.join)
		case v.found:
			if sure++; sure >= sureRounds {
				return n.found()
			}
		default:
			sure = 0
			n.waitFor("this controller " + v.why)
			if time.Since(told) > tellEvery {
				n.log.Info("not in a group yet", slog.String("because", v.why))
				told = time.Now()
			}
		}
		if err := n.pause(askEvery); err != nil {
			return err
		}
	}
}

// standing is what this member says of itself. Caller holds mu.
func (n *Node) standing() standing {
	s := standing{
		name: n.cfg.Name, addr: n.cfg.Addr, id: n.record.id, life: n.life, condition: n.condition, group: n.record.group,
		budget: n.budget, knows: n.cfg.level, level: n.usable.Load(), settings: n.settings(), configured: n.cfg.Members, log: n.end,
	}
	if n.replica == nil || n.restoring {
		return s
	}
	end := n.replica.End()
	if len(end.Members) == 0 { // it waits for a snapshot
		return s
	}
	if s.condition = sound; n.replica.Leader() != 0 {
		s.condition = active
	}
	s.log = end
	return s
}

// census asks all that the settings and the log name where they stand, and returns who answered.
func (n *Node) census(members []replica.Member) (all []standing) {
	addresses := slices.Clone(n.cfg.Join)
	for _, p := range n.cfg.Members {
		addresses = append(addresses, p.Addr)
	}
	for _, m := range members {
		addresses = append(addresses, m.Addr)
	}
	slices.Sort(addresses)
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, a := range slices.Compact(addresses) {
		if a == n.cfg.Addr || a == "" {
			continue
		}
		asking.Go(func() {
			s, err := n.ask1(a, askStanding, nil)
			if err != nil || s.name == n.cfg.Name {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if !slices.ContainsFunc(all, func(o standing) bool { return o.name == s.name }) {
				all = append(all, s)
			}
		})
	}
	asking.Wait()
	return all
}

// ask1 asks one member something whose answer is a standing.
func (n *Node) ask1(addr string, what byte, body []byte) (standing, error) {
	ctx, cancel := context.WithTimeout(n.ctx, askWithin)
	defer cancel()
	reply, err := n.link.Request(ctx, addr, append([]byte{requestVersion, what}, body...))
	if err != nil {
		return standing{}, err
	}
	return decodeStanding(reply)
}

// found begins a group that this member is the only one in, with what it has.
func (n *Node) found() error {
	if n.condition == empty {
		if err := n.beginEmpty(); err != nil {
			return err
		}
	} else {
		l := recovered{dir: n.cfg.Dir, record: n.record, name: n.cfg.Name, addr: n.cfg.Addr}
		if err := l.found(newState(&n.cfg), n.log); err != nil {
			return err
		}
		n.mu.Lock()
		err := n.recover()
		n.mu.Unlock()
		if err != nil {
			return err
		}
	}
	n.introduce()
	n.log.Info("founded a group", slog.String("id", fmt.Sprintf("%x", n.record.id)))
	return n.begin()
}

// beginEmpty begins with nothing.
func (n *Node) beginEmpty() error {
	id := random()
	base := replica.Base{Index: firstIndex, Term: 1, Members: []replica.Member{{ID: id, Name: n.cfg.Name, Addr: n.cfg.Addr}}}
	r := record{id: id, group: groupID{random(), 1}, durability: n.cfg.Durability.String()}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state = newState(&n.cfg)
	if n.cfg.Durability != Memory {
		if err := os.RemoveAll(n.logDir()); err != nil {
			return fmt.Errorf("begin the log: %w", err)
		}
		l, err := beginAt(n.cfg.Dir, base, nil, n.walOptions())
		if err != nil {
			return err
		}
		n.wal = l
		if err := r.write(n.cfg.Dir); err != nil {
			return err
		}
	}
	n.record, n.condition, n.end = r, sound, base
	n.recovering(id, base)
	return nil
}

// join has this member let into the group that o is in: it waits there for a snapshot, under a new id.
func (n *Node) join(o *standing) error {
	n.mu.Lock()
	n.record.id, n.record.group = random(), o.group
	n.state = newState(&n.cfg)
	n.recovering(n.record.id, replica.Base{})
	n.joining = append([]string{o.addr}, n.cfg.Join...)
	for _, m := range o.log.Members {
		n.joining = append(n.joining, m.Addr)
	}
	slices.Sort(n.joining)
	n.joining = slices.Compact(n.joining)
	n.introduce()
	n.link.SetPeers(peers(o.log.Members))
	err := n.replica.Start(n.now())
	n.lockReaders()
	n.restoring = false // of nothing: it takes part in the log, and has no lease
	n.unlockReaders()
	n.mu.Unlock()
	n.log.Info("asks to be let into the group", slog.String("of", o.name))
	return err
}

// joinAgain asks to be let in, until that has come about.
func (n *Node) joinAgain() {
	n.mu.Lock()
	self := n.standing()
	members, _ := n.replica.Members()
	n.mu.Unlock()
	if slices.ContainsFunc(members, func(m replica.Member) bool { return m.ID == self.id }) {
		return
	}
	body := self.append(nil)
	for _, a := range n.joining {
		if a == n.cfg.Addr || a == "" {
			continue
		}
		s, err := n.ask1(a, askJoin, body)
		if err == nil {
			n.link.SetPeers(peers(s.log.Members))
			return
		}
		if refusal := new(link.Refusal); errors.As(err, &refusal) {
			n.mu.Lock()
			n.keptOut = fmt.Sprintf(": %s says: %s", refusal.By, refusal.Sentence)
			n.mu.Unlock()
			n.log.Info("is not let into the group yet", slog.String("by", refusal.By), slog.String("because", refusal.Sentence))
		}
	}
}

func peers(members []replica.Member) (all []link.Peer) {
	for _, m := range members {
		all = append(all, link.Peer{ID: m.ID, Name: m.Name, Addr: m.Addr})
	}
	return all
}

// beginAt begins a log in an empty directory.
func beginAt(dir string, base replica.Base, hard []byte, opt wal.Options) (*wal.Log, error) {
	l, err := wal.Open(filepath.Join(dir, "log"), opt, func(wal.Record) error { return errors.New("it is not empty") })
	if err != nil {
		return nil, fmt.Errorf("begin the log: %w", err)
	}
	l.Append(recordBase, 0, base.Append(nil), nil)
	if hard != nil {
		l.Append(recordHard, 0, hard, nil)
	}
	if err = l.Write(); err == nil {
		err = l.Sync()
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("begin the log: %w", err)
	}
	return l, nil
}

// adopt has the snapshot *.joined of entry r.adopt take the place of all that a data directory held, and returns the log, begun anew. Whatever happens
// meanwhile, it can be called again, as long as r stands in the directory with adopt set; until then nothing of what was there is touched.
func adopt(dir string, r *record, hard []byte, opt wal.Options) (*wal.Log, error) {
	snapshots, logs := filepath.Join(dir, "snapshot"), filepath.Join(dir, "log")
	joined := filepath.Join(snapshots, snapshotName(r.adopt)+joinedEnd)
	final := filepath.Join(snapshots, snapshotName(r.adopt))
	if exists(joined) {
		all, err := listSnapshots(snapshots)
		if err != nil {
			return nil, err
		}
		for _, s := range all {
			if err := os.Remove(filepath.Join(snapshots, s.name)); err != nil {
				return nil, fmt.Errorf("delete a snapshot that another one takes the place of: %w", err)
			}
		}
		if err := os.Rename(joined, final); err != nil {
			return nil, fmt.Errorf("put the snapshot of the group in place: %w", err)
		}
	}
	base, err := openSnapshot(final, func([]byte) error { return nil })
	if err == nil {
		err = os.RemoveAll(logs)
	}
	if err != nil {
		return nil, fmt.Errorf("put the snapshot of the group in place: %w", err)
	}
	if err := syncDir(snapshots); err != nil {
		return nil, fmt.Errorf("put the snapshot of the group in place: %w", err)
	}
	l, err := beginAt(dir, base, hard, opt)
	if err != nil {
		return nil, err
	}
	r.adopt, r.forgetful = 0, false
	if err := r.write(dir); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// recovered is a data directory from which a group is to begin anew.
type recovered struct {
	dir        string
	record     record
	name, addr string
}

// found makes of all that the directory holds, committed or not, the beginning of a group whose only member is this one. It uses s and releases it.
func (d *recovered) found(s *keyspace.State, log *slog.Logger) error {
	n := &Node{cfg: Config{Dir: d.dir, Name: d.name, Addr: d.addr, Segment: 1 << 20, Logger: log}, log: log, state: s, record: d.record, life: random()}
	defer func() { n.state.Release() }()
	base, err := n.loadSnapshot()
	if err != nil {
		return err
	}
	p := replay{n: n}
	if base != nil {
		p.begin(*base)
	}
	var last *wal.Record
	pass := func(r wal.Record, all bool) error {
		if all { // it was the end of the log: everything up to it counts as committed
			le.PutUint64(r.Body[8:], r.Index)
		}
		return p.take(r)
	}
	l, err := wal.Open(n.logDir(), n.walOptions(), func(r wal.Record) error {
		if r.Kind != recordEntry || len(r.Body) < entryHead {
			return p.take(r)
		}
		var err error
		if last != nil {
			err = pass(*last, false)
		}
		last = &wal.Record{Kind: r.Kind, Index: r.Index, Body: slices.Clone(r.Body)}
		return err
	})
	if err != nil {
		return err
	}
	if err := l.Close(); err != nil {
		return err
	}
	if last != nil {
		if err := pass(*last, true); err != nil {
			return err
		}
	}
	if n.replica == nil {
		return fmt.Errorf("there is nothing in %s from which a group could begin", d.dir)
	}
	return d.write(n)
}

// write makes the snapshot that the group begins with and adopts it.
func (d *recovered) write(n *Node) error {
	was := n.replica.Base()
	r := d.record
	for _, m := range was.Members {
		if m.ID == r.id && d.name == "" {
			d.name, d.addr = m.Name, m.Addr
		}
	}
	r.id, r.group.founding, r.served = random(), r.group.founding+1, false
	base := replica.Base{Index: was.Index, Term: max(was.Term, 1), Members: []replica.Member{{ID: r.id, Name: d.name, Addr: d.addr}}}
	r.adopt = base.Index
	path := filepath.Join(n.snapshotDir(), snapshotName(base.Index)+joinedEnd)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("begin a snapshot: %w", err)
	}
	defer f.Close()
	out := snapshotWriter{to: f, file: f}
	if err := out.begin(base); err != nil {
		return err
	}
	w := n.state.BeginSnapshot()
	var buf []byte
	for done := false; !done; {
		if buf, done = w.Next(buf[:0], sliceBytes); len(buf) > 0 {
			if err := out.block(buf); err != nil {
				return err
			}
		}
	}
	if err := out.end(); err != nil {
		return err
	}
	if err := syncDir(n.snapshotDir()); err != nil {
		return err
	}
	if err := r.write(d.dir); err != nil {
		return err
	}
	l, err := adopt(d.dir, &r, nil, n.walOptions())
	if err != nil {
		return err
	}
	return l.Close()
}

// Recover makes a group with a single member of what a data directory holds, for when the majority of its group is lost for good. No daemon may be using
// the directory, and none of the lost members may come back with its data. report says in a few sentences what it did.
func Recover(dir string) (report string, err error) {
	if !exists(filepath.Join(dir, memberFile)) {
		return "", fmt.Errorf("there is no data directory of a member at %s: name the one that the daemon uses", dir)
	}
	lock, err := takeDir(dir)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	r, err := readRecord(dir)
	if err != nil {
		return "", err
	}
	if r.adopt != 0 {
		l, err := adopt(dir, &r, nil, wal.Options{Segment: wal.MinSegment, Boot: bootID()})
		if err != nil {
			return "", err
		}
		l.Close()
	}
	d := recovered{dir: dir, record: r}
	s := keyspace.New(nil, nil)
	if err := d.found(s, slog.New(slog.DiscardHandler)); err != nil {
		return "", err
	}
	if r, err = readRecord(dir); err != nil {
		return "", err
	}
	r.served = true // the others are lost: it is not to wait for them
	if err := r.write(dir); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s begins a group with this controller as its only member (id %x). Start it; the others join it when their data directories are moved away.", dir, r.id), nil
}
