package keyspace

import "holdfast/op"

// State is the replicated state of a group.
type State struct{}

// Results gets the result of each op of a batch, in order; r is valid only during the call.
type Results interface{ Result(r *op.Result) }

// Candidate is a key that may be evicted.
type Candidate struct {
	op.Guard        // its key (a copy) and the version it stands at
	Mark     uint64 // Hash of the key, as in op.Result
}

// Snapshot is the state as it stood at BeginSnapshot.
type Snapshot struct{}

// New returns an empty state that takes its memory from alloc and gives it back to free; nil for both means make.
func New(alloc func(n int) []byte, free func([]byte)) *State { panic("todo") }

// Apply carries out e.
func (s *State) Apply(e *Entry, to Results) Outcome { panic("todo") }

// Read answers r.
func (s *State) Read(r op.Read, present int64, res *op.Result) (due bool) { panic("todo") }

// Stamp returns the newest stamp applied, Unix ns.
func (s *State) Stamp() int64 { panic("todo") }

// Ops returns how many writes of keys were applied since the beginning; versions are drawn from it.
func (s *State) Ops() uint64 { panic("todo") }

// Index returns the index of the newest entry applied.
func (s *State) Index() uint64 { panic("todo") }

// Memory returns the account.
func (s *State) Memory() Memory { panic("todo") }

// Config returns the settings in force. Not to be changed.
func (s *State) Config() *op.Configure { panic("todo") }

// Physical returns the bytes taken from alloc.
func (s *State) Physical() uint64 { panic("todo") }

// Due says whether something has reached its deadline at present (Unix ns) and waits for an entry to remove it.
func (s *State) Due(present int64) bool { panic("todo") }

// Candidates appends up to n keys of class c that may be evicted.
func (s *State) Candidates(cursor uint64, n int, c op.Class, into []Candidate) ([]Candidate, uint64) {
	panic("todo")
}

// Hash is the hash of a key that Mark and the table use.
func Hash(k op.Key) uint64 { panic("todo") }

// BeginSnapshot begins a snapshot of the state as it stands now. One at a time.
func (s *State) BeginSnapshot() *Snapshot { panic("todo") }

// Next appends whole records to buf, about limit bytes, and says whether these were the last.
func (w *Snapshot) Next(buf []byte, limit int) (out []byte, done bool) { panic("todo") }

// Backlog returns the bytes of records that wait in memory.
func (w *Snapshot) Backlog() int { panic("todo") }

// Cancel ends the snapshot.
func (w *Snapshot) Cancel() { panic("todo") }

// Load takes records of a snapshot into an empty state.
func (s *State) Load(b []byte) (rest []byte, err error) { panic("todo") }

// Digest sums up the logical content.
func (s *State) Digest() [2]uint64 { panic("todo") }

// Import puts a record as given by op.Dump in place of the key name.
func (s *State) Import(name op.Key, record []byte, version uint64) error { panic("todo") }
