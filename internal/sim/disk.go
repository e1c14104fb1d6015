package sim

import (
	pb "go.etcd.io/raft/v3/raftpb"

	"holdfast/replica"
)

// durability as in design 3.6.
type durability uint8

const (
	second durability = iota
	always
	memory
)

// disk is what a machine's process leaves behind when it ends. What was written survives the process, what was synced the machine.
type disk struct {
	m        *machine
	mode     durability
	image    []byte // newest snapshot
	base     replica.Base
	log      []record
	synced   int // records that are on stable storage
	queue    []replica.Append
	busy     bool
	slow     int64 // ns that an fsync takes at most
	stuck    int64 // true time until which nothing is written
	broken   bool  // the next fsync fails
	amnesiac bool  // what the machine acknowledged may be lost
}

// record is a new beginning, a hard state or an entry, in the order of writing.
type record struct {
	base   *replica.Base
	hard   *pb.HardState
	entry  *pb.Entry
	commit uint64
}

// format makes an empty disk that of a member whose state contains base.
func (d *disk) format(base replica.Base) {
	d.image, d.base, d.log, d.synced, d.amnesiac = nil, base, nil, 0, false
}

// store brings a to the log, behind what waits already.
func (d *disk) store(a replica.Append) {
	if d.mode == memory {
		d.m.r.Stored(a, d.m.instant())
		return
	}
	d.queue = append(d.queue, a)
	d.write()
}

// write writes what waits, and reports it when that is enough; otherwise behind an fsync.
func (d *disk) write() {
	w, m := d.m.w, d.m
	if d.busy || len(d.queue) == 0 {
		return
	}
	if w.now < d.stuck {
		d.busy = true
		m.after(d.stuck-w.now, func() { d.busy = false; d.write() })
		return
	}
	for len(d.queue) > 0 {
		a := d.queue[0]
		if d.mode == always || a.Sync || a.Base != nil {
			d.sync()
			return
		}
		d.queue = d.queue[1:]
		d.record(a)
		m.r.Stored(a, m.instant())
	}
}

// sync writes all that waits and reports it when it is on stable storage.
func (d *disk) sync() {
	w, m := d.m.w, d.m
	batch := d.queue
	d.queue, d.busy = nil, true
	for _, a := range batch {
		d.record(a)
	}
	upTo := len(d.log)
	m.after(w.between(50*us, d.slow), func() {
		if d.broken {
			d.broken = false
			w.say(m, "an fsync fails: the member ends with amnesia")
			d.amnesiac = true
			m.crash()
			return
		}
		d.busy = false
		d.synced = max(d.synced, min(upTo, len(d.log)))
		for _, a := range batch {
			m.r.Stored(a, m.instant())
		}
		d.write()
	})
}

func (d *disk) record(a replica.Append) {
	commit := d.m.r.Commit()
	if a.Base != nil {
		d.log = append(d.log, record{base: a.Base})
	}
	if a.Hard != nil {
		d.log = append(d.log, record{hard: a.Hard})
	}
	for _, e := range a.Entries {
		d.log = append(d.log, record{entry: e, commit: commit})
	}
}

// syncAll is what happens once a second.
func (d *disk) syncAll() {
	if !d.busy && d.m.w.now >= d.stuck {
		d.synced = len(d.log)
	}
}

// keep puts a snapshot on the disk, durably, in place of the one before it.
func (d *disk) keep(image []byte, base replica.Base) {
	if d.mode != memory {
		d.image, d.base = image, base
	}
}

// release lets go of the entries that the snapshot contains.
func (d *disk) release() {
	kept := d.log[:0:0]
	synced := 0
	for i, r := range d.log {
		if r.entry == nil || r.entry.GetIndex() > d.base.Index {
			kept = append(kept, r)
			if i < d.synced {
				synced = len(kept)
			}
		}
	}
	d.log, d.synced = kept, synced
}

// processEnds loses what was not written.
func (d *disk) processEnds() {
	d.queue, d.busy = nil, false
	if d.mode == memory {
		d.amnesiac = true
	}
}

// powerFails loses what was not synced, or a part of it. A member that is not always in sync may then have forgotten something.
func (d *disk) powerFails() {
	d.processEnds()
	if d.mode == always {
		// All that was reported is there; of the rest any part.
	} else if d.synced < len(d.log) {
		d.amnesiac = true
	}
	d.log = d.log[:d.synced+d.m.w.rng.IntN(len(d.log)-d.synced+1)]
	d.synced = len(d.log)
}
