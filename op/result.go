package op

// Status is the outcome of an op. Each op says which of them it has. Append only.
type Status uint8

const (
	OK          Status = iota
	Missing            // the key (or field) is not there
	Failed             // the condition did not hold
	Stale              // it is there, at another version
	WrongType          // the key holds another type
	NotInteger         // the value is no integer of the wanted range
	Overflow           // the sum would not fit
	TooLarge           // the value would be longer than MaxValue
	OutOfMemory        // the budget of the key's class is used up
	Aborted            // a guard of the Tx did not hold
)

// Result is what an op came to. Which fields carry something is said at each op.
//
// What Value and List refer to belongs to whoever fills the Result: it is valid while the Result is being shown and
// must be copied to be kept.
type Result struct {
	Status   Status
	Found    bool
	Flags    uint32
	Int      int64
	Uint     uint64
	Version  uint64
	Deadline int64 // Unix ms, 0 for none
	Now      int64 // after Get: the group's time that it was read at, Unix ms
	Recache  Recache
	Mark     uint64 // after Get and GetMany: hash of the key if its class may be evicted, for marking use; 0 otherwise
	Value    []byte
	List     []Result
	Scratch  []byte // memory that Value and those in List may refer to when they were made for this Result
}

// Reset empties r and keeps the capacity of List and Scratch for the next use. Value is given up: it may refer to memory of the state, so
// it is only ever assigned, never appended to.
func (r *Result) Reset() {
	*r = Result{List: r.List[:0], Scratch: r.Scratch[:0]}
}

// Next makes room for one more result in List and returns it, emptied, its capacity kept. The pointer is good until the next call.
func (r *Result) Next() *Result {
	if len(r.List) < cap(r.List) {
		r.List = r.List[:len(r.List)+1]
		n := &r.List[len(r.List)-1]
		n.Reset()
		return n
	}
	r.List = append(r.List, Result{})
	return &r.List[len(r.List)-1]
}
