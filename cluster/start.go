package cluster

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/cluster/wal"
	"holdfast/engine"
	"holdfast/keyspace"
	"holdfast/op"
	"holdfast/replica"
)

const (
	// startWithin bounds how long a group of one may take from a recovered state to answering requests.
	startWithin = 30 * time.Second
	// leaderWithin is how long a member of a group waits for a leader before it begins to take requests, and to hold them.
	leaderWithin = time.Second
)

// newState makes an empty state whose hash nobody outside can know, so that nobody can choose keys that collide.
func newState(cfg *Config) *keyspace.State {
	s := keyspace.New(allocFor(cfg.Limit), free)
	s.Seed(random())
	s.ReplyLimit, s.Observer = cfg.ReplyLimit, cfg.observer
	return s
}

// random is a number that nobody can guess; not 0.
func random() uint64 {
	var b [8]byte
	for {
		rand.Read(b[:])
		if v := binary.LittleEndian.Uint64(b[:]); v != 0 {
			return v
		}
	}
}

// open recovers, and begins to listen to the other members.
func (n *Node) open() (err error) {
	if n.budget, err = budget(n.cfg.Limit); err != nil {
		return err
	}
	limitRuntime(n.cfg.Limit, n.budget)
	n.clock = newClock(n.cfg.Wall, 0)
	if err := n.recover(); err != nil {
		return err
	}
	n.introduce()
	if n.cfg.Listener != nil {
		n.connect()
	} else if err := n.mayBeAlone(); err != nil {
		return err
	}
	if n.herald != nil {
		n.running.Go(func() { n.herald.run(n.stop) })
	}
	n.running.Go(n.tickLoop)
	n.running.Go(n.syncLoop)
	n.running.Go(n.snapshotLoop)
	return nil
}

// settle finds the group or founds it, and has this member serve.
func (n *Node) settle() {
	defer close(n.settled)
	err := error(nil)
	if n.condition == sound {
		err = n.begin()
	} else {
		err = n.gather()
	}
	if err == nil {
		err = n.serve()
	}
	n.mu.Lock()
	if err != nil {
		n.die(err)
	}
	if n.dead {
		n.unlock()
		return
	}
	n.lockReaders()
	n.serving, n.waitsFor = true, ""
	took := n.wall().UnixNano() - n.started
	n.tell(engine.Started, "", time.Duration(took), "serves, "+roughly(took)+" after its start")
	n.unlockReaders()
	n.letGo()
	n.publish(n.now())
	n.drive()
	n.unlock()
	close(n.serves)
	wake(n.waits.begun())
	if n.link != nil {
		n.running.Go(n.tendLoop)
	}
}

// waitFor notes what this member waits for, for whoever asks.
func (n *Node) waitFor(what string) {
	n.mu.Lock()
	n.waitsFor = what
	n.mu.Unlock()
}

// mayBeAlone says what stands against a group of one.
func (n *Node) mayBeAlone() error {
	for _, m := range n.end.Members {
		if m.ID != n.record.id {
			return fmt.Errorf("the data directory %s is of a member of a group, in which %s is too: name the address at which this one serves the others", n.cfg.Dir, m.Name)
		}
	}
	return nil
}

// begin lets the recovered replica run.
func (n *Node) begin() error {
	n.mu.Lock()
	defer n.unlock()
	n.clock.notBefore(n.state.Stamp())
	n.takesUp()
	if err := n.replica.Start(n.now()); err != nil {
		return err
	}
	n.lockReaders()
	n.restoring = false
	n.unlockReaders()
	n.drive()
	return nil
}

// recovering makes the replica of a member whose state contains base.
func (n *Node) recovering(id uint64, base replica.Base) {
	c := &n.cfg
	n.replica = replica.New(replica.Config{
		ID: id, Nonce: n.life, State: n.state, Base: base, Leases: !c.ReadIndex, Promise: int64(c.Promise), Lease: int64(c.Lease), Drift: int64(c.Drift),
		ClockBound: int64(c.ClockBound), Tick: int64(tick), Heartbeat: int64(c.Heartbeat), Retain: cmp.Or(c.retain, retain(c.Limit)), Unsettled: unsettled(c.Limit), Level: c.level, Logger: raftLog{n.log},
	})
}

// recover brings back what is in the data directory, and finds out how far it can be relied on.
func (n *Node) recover() error {
	n.condition = empty
	if n.cfg.Durability == Memory {
		return nil
	}
	begin := time.Now()
	if err := n.lockDir(); err != nil {
		return err
	}
	var err error
	if n.record, err = readRecord(n.cfg.Dir); err != nil {
		return err
	}
	if n.record.adopt != 0 {
		l, err := adopt(n.cfg.Dir, &n.record, nil, n.walOptions())
		if err == nil {
			err = l.Close()
		}
		if err != nil {
			return err
		}
	}
	n.state = newState(&n.cfg)
	base, err := n.loadSnapshot()
	if err != nil {
		return err
	}
	if err := n.checkLog(base != nil, n.record.made != ""); err != nil {
		return err
	}
	if none, err := wal.Empty(n.logDir()); err != nil || none {
		return err
	}
	entries, err := n.openLog(base)
	if err != nil {
		return err
	}
	if n.replica == nil { // a log that was begun and holds nothing
		return n.giveUp()
	}
	if err := n.settleRecord(); err != nil {
		return err
	}
	debug.FreeOSMemory() // the buffers that recovery took
	n.log.Info("recovered", slog.Uint64("snapshot", n.snapshot.index), slog.Int("entries", entries),
		slog.Uint64("ops", n.state.Ops()), slog.Duration("took", time.Since(begin)))
	if n.condition != sound {
		return n.giveUp()
	}
	return nil
}

// settleRecord brings the record up to date with what was recovered, and decides how far that can be relied on.
func (n *Node) settleRecord() error {
	r := &n.record
	n.end.Members, _ = n.replica.Members()
	if len(n.end.Members) == 1 && n.cfg.Listener == nil {
		r.forgetful = false // there is nobody who could know more
	}
	if r.group.id == 0 {
		r.group = groupID{random(), 1}
	}
	was := *r
	r.id, r.durability = n.ownID(), n.cfg.Durability.String() // from here on: Open has synced everything
	if n.condition = sound; r.forgetful {
		n.condition = forgetful
	}
	if was == *r && was.made != "" {
		return nil
	}
	return r.write(n.cfg.Dir)
}

// ownID is the id of the recovered replica.
func (n *Node) ownID() uint64 {
	if n.record.id != 0 {
		return n.record.id
	}
	return n.end.Members[0].ID // it was founded, and the record not written yet
}

// giveUp lets go of what was recovered; it stays on the disk.
func (n *Node) giveUp() (err error) {
	n.replica = nil
	if n.state != nil {
		n.state.Release()
		n.state = nil
	}
	if n.wal != nil {
		err = n.wal.Close()
		n.wal = nil
	}
	return err
}

// lockDir makes the data directory and takes it for this process.
func (n *Node) lockDir() (err error) {
	if n.lock == nil {
		if n.lock, err = takeDir(n.cfg.Dir); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(n.snapshotDir(), 0o700); err != nil {
		return fmt.Errorf("make the snapshot directory: %w", err)
	}
	return nil
}

func takeDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the data directory: %w", err)
	}
	if !lockFile(f) {
		f.Close()
		return nil, fmt.Errorf("another daemon is using the data directory %s: stop it, or name another directory", dir)
	}
	return f, nil
}

func (n *Node) walOptions() wal.Options {
	return wal.Options{Kept: []uint8{recordHard, recordVoters, recordBase}, Segment: n.cfg.Segment, Boot: bootID() + n.cfg.boot, Logger: n.log, Fault: n.cfg.fault}
}

// openLog replays the log on top of the snapshot of base, nil if there is none, and opens it for writing.
func (n *Node) openLog(base *replica.Base) (entries int, err error) {
	p := replay{n: n}
	if base != nil {
		p.begin(*base)
	}
	opt := n.walOptions()
	opt.Doubt = func() error {
		if n.record.made == "" || n.record.durability == Always.String() || n.record.forgetful {
			return nil
		}
		n.log.Warn("the machine went down with a part of the log that was perhaps not on the disk")
		n.record.forgetful = true
		return n.record.write(n.cfg.Dir)
	}
	if n.wal, err = wal.Open(n.logDir(), opt, p.take); err != nil {
		return p.entries, err
	}
	n.end.Index, n.end.Term = p.index, p.term
	if base != nil {
		// A log that ends before the snapshot (the machine went down, or it was repaired) would be continued with a gap: nothing of it is needed.
		err = n.wal.Release(base.Index)
	}
	return p.entries, err
}

// replay gives what stands in a log to the replica.
type replay struct {
	n           *Node
	entries     int
	index, term uint64 // of the newest entry
	base        []byte // the newest that was taken: it is repeated at the head of every segment
	hard        *pb.HardState
}

func (p *replay) begin(base replica.Base) {
	n := p.n
	id := n.record.id
	if len(base.Members) == 1 && (id == 0 || base.Members[0].ID == id) {
		id = base.Members[0].ID
		if n.cfg.Name != "" {
			base.Members[0].Name, base.Members[0].Addr = n.cfg.Name, n.cfg.Addr // they may have been changed
		}
	}
	n.recovering(id, base)
	p.index, p.term = base.Index, base.Term
	if p.hard != nil {
		n.replica.RecoverHard(p.hard)
	}
}

func (p *replay) take(r wal.Record) error {
	switch r.Kind {
	case recordHard:
		if len(r.Body) != 16 {
			return errors.New("a hard state of the wrong length")
		}
		p.hard = &pb.HardState{Term: new(le.Uint64(r.Body)), Vote: new(le.Uint64(r.Body[8:]))}
		if p.n.replica != nil {
			p.n.replica.RecoverHard(p.hard)
		}
	case recordVoters:
		if p.n.replica == nil && len(r.Body) == 24 {
			return p.goOn(replica.Base{Index: le.Uint64(r.Body), Term: le.Uint64(r.Body[8:]), Members: []replica.Member{{ID: le.Uint64(r.Body[16:])}}})
		}
	case recordBase:
		if string(p.base) == string(r.Body) {
			return nil
		}
		p.base = append([]byte(nil), r.Body...)
		base, ok := replica.DecodeBase(p.base)
		if !ok {
			return errors.New("what the log begins behind cannot be read")
		}
		return p.goOn(base)
	case recordEntry:
		if p.n.replica == nil {
			return errors.New("the log begins without saying where: its beginning or the snapshot before it is missing")
		}
		return p.entry(r)
	}
	return nil
}

// goOn takes a place where the log begins, or goes on.
func (p *replay) goOn(base replica.Base) error {
	if p.n.replica == nil && base.Index == firstIndex {
		p.begin(base)
		return nil
	}
	if p.n.replica == nil || !p.n.replica.RecoverBase(base) {
		return fmt.Errorf("the snapshot of entry %d, behind which the log begins, is missing: put it back; or move %s away to begin with nothing", base.Index, p.n.cfg.Dir)
	}
	if base.Index >= p.index || base.Term > p.term {
		p.index, p.term = base.Index, base.Term
	}
	return nil
}

func (p *replay) entry(r wal.Record) error {
	if len(r.Body) < entryHead {
		return errors.New("an entry without a head")
	}
	p.entries++
	term, kind := le.Uint64(r.Body), pb.EntryType(r.Body[16])
	err := p.n.replica.Recover(&pb.Entry{
		Term: new(term), Index: new(r.Index), Type: &kind, Data: append([]byte(nil), r.Body[entryHead:]...),
	}, le.Uint64(r.Body[8:]))
	if isNewer(err) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: a snapshot or a part of the log before it is missing, put it back; or move %s away to begin with nothing", err, p.n.cfg.Dir)
	}
	if term >= p.term {
		p.index, p.term = r.Index, term
	}
	return nil
}

var le = binary.LittleEndian

// serve returns when requests can be taken.
func (n *Node) serve() error {
	begin := time.Now()
	asked, told := time.Time{}, begin
	for {
		n.mu.Lock()
		ok, why, err := n.servable(time.Since(begin))
		if why != "" {
			n.waitsFor = why
		}
		n.unlock()
		if err != nil {
			return err
		}
		if ok {
			return n.served()
		}
		if n.joining != nil && time.Since(asked) > joinAgain {
			n.joinAgain()
			asked = time.Now()
		}
		if n.link == nil && time.Since(begin) > startWithin {
			return fmt.Errorf("the log did not take the first entry within %s: the disk of %s does not answer", startWithin, n.cfg.Dir)
		}
		if time.Since(told) > tellEvery {
			n.log.Info("not serving yet", "because", why)
			told = time.Now()
		}
		if err := n.pause(max(time.Millisecond, min(time.Since(begin)/10, askEvery))); err != nil {
			return err
		}
	}
}

// servable says whether requests can be taken, or why they cannot. Caller holds mu.
func (n *Node) servable(since time.Duration) (ok bool, why string, err error) {
	if n.problem != nil {
		return false, "", n.problem
	}
	if n.restoring {
		return false, "this controller waits for the data of the group", nil
	}
	members, _ := n.replica.Members()
	voters, self := 0, false
	for _, m := range members {
		if !m.Learner {
			voters++
		}
		self = self || m.ID == n.record.id
	}
	known := n.replica.Status(n.now()).Incarnation != 0
	switch need := len(n.cfg.Members)/2 + 1; {
	case !self:
		return false, "this controller is not let into the group yet" + n.keptOut, nil
	case !n.record.served && voters < need:
		return false, fmt.Sprintf("of the %d members that the settings name a majority must be in the group, and only %d of them are", len(n.cfg.Members), voters), nil
	case n.leads():
		n.configure()
		return known && sameConfig(n.state.Config(), n.wanted()) && n.replica.Level() == n.cfg.level, "the log has not taken the settings yet", nil
	case !n.record.served && sameConfig(n.state.Config(), new(op.Configure)) && !sameConfig(n.wanted(), new(op.Configure)):
		return false, "the group has no settings yet", nil
	}
	return known || n.record.served && since > leaderWithin, "there is no leader yet", nil
}

// served notes that from here on requests may have been answered.
func (n *Node) served() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.record.served {
		return nil
	}
	n.record.served = true
	if n.cfg.Durability == Memory {
		return nil
	}
	return n.record.write(n.cfg.Dir)
}

// wanted are the settings that this member would give the group.
func (n *Node) wanted() *op.Configure {
	return &op.Configure{Budget: n.smallest(), Classes: n.cfg.Classes, Rules: n.cfg.Rules}
}

// configure proposes the settings if they are not in force. Caller holds mu, and leads.
func (n *Node) configure() {
	want := n.wanted()
	if n.configuring || sameConfig(n.state.Config(), want) {
		return
	}
	n.configuring = true
	b := &batch{node: n, then: func() { n.configuring = false }}
	b.Batch = replica.Batch{Ops: want.Append(nil), Sink: b}
	n.submit(b)
	n.drive()
}

func sameConfig(a, b *op.Configure) bool {
	if a == nil || a.Budget != b.Budget || a.Classes != b.Classes || len(a.Rules) != len(b.Rules) {
		return false
	}
	for i := range a.Rules {
		if !reflect.DeepEqual(a.Rules[i], b.Rules[i]) {
			return false
		}
	}
	return true
}
