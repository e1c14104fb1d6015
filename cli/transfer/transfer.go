// Package transfer copies living keys with their deadlines from a Redis or memcached server to another while both serve their clients.
//
// Read Run first; redis.go and memcached.go are the two protocols, as source and as target, reply.go reads what servers answer. The package
// overwrites nothing that it did not put there itself, unless it is told to, and never removes a key. It gets addresses and passwords and reads no file.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sort"
	"time"

	"holdfast/openstack"
)

// Limits of a copy.
const (
	dialTimeout = 5 * time.Second
	ioTimeout   = 30 * time.Second // for the answers to one batch
	batchKeys   = 64               // copied in one round to the target
	maxMarks    = 5_000_000        // keys that Follow remembers
)

// Options say what is copied.
type Options struct {
	Only      []openstack.Kind // kinds of keys to copy
	Overwrite bool             // replace keys that the target has already
	DryRun    bool             // only look
	// Follow, if it is not 0, goes on for ever: the whole source again at least every so long. What has changed there since is changed at the target
	// too, as long as nobody else has changed it there. Only a first pass that fails ends it.
	Follow time.Duration
	// Progress gets the report of the pass so far, every now and then, and once at its end with last set.
	Progress func(r *Report, last bool)
}

// Report counts what a pass did.
type Report struct {
	Seen    int            // keys that the source had
	Copied  int            // to the target, or would have been in a dry run
	Renewed int            // copied again since the source had changed (Follow)
	Same    int            // copied by an earlier pass and not changed since (Follow)
	Skipped map[string]int // by reason
	Kinds   map[string]int // of those copied
	Problem string         // what ended the pass early; the next one may do better (Follow)
}

// Reasons returns those of the skipped keys, the most frequent first.
func (r *Report) Reasons() []string {
	all := make([]string, 0, len(r.Skipped))
	for reason := range r.Skipped {
		all = append(all, reason)
	}
	sort.Slice(all, func(i, j int) bool {
		a, b := r.Skipped[all[i]], r.Skipped[all[j]]
		return a > b || a == b && all[i] < all[j]
	})
	return all
}

// Why keys are skipped, beside what a server says.
const (
	Conflict  = "the target has a key of that name already (--overwrite replaces it)"
	Changed   = "it was changed at the target since it was copied"
	Gone      = "it ended while it was being read"
	excludedF = "it is of %s, which --only leaves out"
)

// entry is one key with all that is known of it.
type entry struct {
	db    int
	key   []byte
	value value
	flags uint32
	ends  time.Time // by this machine's clock; zero for never
	kind  openstack.Kind
}

// value is a string, or the parts of a hash or a set.
type value struct {
	form  string   // "string", "hash" or "set"
	parts [][]byte // the string; names and values in turn; or members
}

var seed = maphash.MakeSeed()

// sum is a mark of a value: the order of a hash's or set's parts does not count.
func (v *value) sum() uint64 {
	total := maphash.String(seed, v.form)
	step := 1
	if v.form == "hash" {
		step = 2
	}
	for i := 0; i+step <= len(v.parts); i += step {
		var h maphash.Hash
		h.SetSeed(seed)
		for _, p := range v.parts[i : i+step] {
			fmt.Fprintf(&h, "%d:", len(p))
			h.Write(p)
		}
		total += h.Sum64()
	}
	return total
}

// left is how long e has from now on, at least a millisecond; 0 for ever. ok is false if it is over.
func (e *entry) left(now time.Time) (d time.Duration, ok bool) {
	if e.ends.IsZero() {
		return 0, true
	}
	d = e.ends.Sub(now).Round(time.Millisecond)
	return d, d > 0
}

// outcome is what came of putting one entry: empty if it was copied, or the reason why not.
type outcome string

// source is a server that is read.
type source interface {
	// walk hands every key of the kinds that want lets in to take, with its value, in batches. skip is told of the others.
	walk(want func(name []byte) bool, take func([]entry) error, skip func(reason string)) error
	Close()
}

// target is a server that is written.
type target interface {
	// put stores the entries and says of each what came of it. With was, which has as many, an entry is stored only where the value at the target still
	// has that sum; a 0 there is for a key that must be absent, unless overwrite.
	put(all []entry, was []uint64, overwrite bool) ([]outcome, error)
	// has says which of the keys are there.
	has(all []entry) ([]bool, error)
	Close()
}

// mark is what Follow remembers of a key.
type mark struct {
	sum  uint64
	ends time.Time
}

// copier is a copy under way.
type copier struct {
	Options
	want   map[openstack.Kind]bool
	marks  map[string]mark
	report *Report
	shown  time.Time // when the report was last given to Progress
}

// Run copies from one server to the other until it is done or, with Follow, until ctx ends: then it returns nil. The error is a sentence.
func Run(ctx context.Context, from, to *Address, o Options) error {
	if from.Memcached() != to.Memcached() {
		return errors.New("keys of Redis go to a Redis port and keys of memcached to a memcached port: choose the target accordingly")
	}
	c := &copier{Options: o, want: map[openstack.Kind]bool{}, marks: map[string]mark{}}
	for _, k := range o.Only {
		c.want[k] = true
	}
	for first := true; ; {
		began := time.Now()
		err := c.pass(ctx, from, to)
		switch {
		case ctx.Err() != nil:
			return nil
		case o.Follow == 0, err != nil && first:
			return err
		case err != nil:
			c.report.Problem = err.Error()
		}
		first = false
		c.Progress(c.report, true)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(o.Follow - time.Since(began)):
		}
	}
}

// pass copies everything once.
func (c *copier) pass(ctx context.Context, from, to *Address) error {
	c.report, c.shown = &Report{Skipped: map[string]int{}, Kinds: map[string]int{}}, time.Now()
	src, err := openSource(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := openTarget(to)
	if err != nil {
		return err
	}
	defer dst.Close()
	err = src.walk(func(name []byte) bool {
		c.report.Seen++
		k := openstack.KindOf(name)
		if !c.want[k] {
			c.skip(fmt.Sprintf(excludedF, k))
		}
		return c.want[k]
	}, func(all []entry) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return c.copy(dst, all)
	}, c.skip)
	if err == nil && c.Follow == 0 {
		c.Progress(c.report, true)
	}
	return err
}

func (c *copier) skip(reason string) { c.report.Skipped[reason]++ }

// copy puts a batch.
func (c *copier) copy(dst target, all []entry) error {
	var put []entry
	var was, sums []uint64
	for i := range all {
		e := &all[i]
		e.kind = openstack.KindOf(e.key)
		sum := e.value.sum()
		m, known := c.marks[e.id()]
		if known && m.sum == sum && near(m.ends, e.ends) {
			c.report.Same++
			continue
		}
		put, was, sums = append(put, *e), append(was, m.sum), append(sums, sum)
	}
	if c.DryRun {
		return c.look(dst, put)
	}
	for len(put) > 0 {
		n := min(len(put), batchKeys)
		if err := c.store(dst, put[:n], was[:n], sums[:n]); err != nil {
			return err
		}
		put, was, sums = put[n:], was[n:], sums[n:]
	}
	return nil
}

// look does what store would do, without doing it.
func (c *copier) look(dst target, put []entry) error {
	if len(put) == 0 {
		return nil
	}
	there, err := dst.has(put)
	if err != nil {
		return err
	}
	for i := range put {
		if there[i] && !c.Overwrite {
			c.skip(Conflict)
			continue
		}
		c.report.Copied++
		c.report.Kinds[put[i].kind.String()]++
	}
	return nil
}

func (c *copier) store(dst target, put []entry, was, sums []uint64) error {
	results, err := dst.put(put, was, c.Overwrite)
	if err != nil {
		return err
	}
	for i, reason := range results {
		e := &put[i]
		switch {
		case reason != "":
			c.skip(string(reason))
			continue
		case was[i] != 0:
			c.report.Renewed++
		default:
			c.report.Copied++
		}
		c.report.Kinds[e.kind.String()]++
		if c.Follow > 0 && len(c.marks) < maxMarks {
			c.marks[e.id()] = mark{sums[i], e.ends}
		}
	}
	if time.Since(c.shown) > time.Second {
		c.shown = time.Now()
		c.Progress(c.report, false)
	}
	return nil
}

// id tells keys of different databases apart.
func (e *entry) id() string { return fmt.Sprintf("%d/%s", e.db, e.key) }

// near says whether two deadlines are the same but for how they were measured.
func near(a, b time.Time) bool {
	if a.IsZero() || b.IsZero() {
		return a.IsZero() == b.IsZero()
	}
	return a.Sub(b).Abs() < 2*time.Second
}
