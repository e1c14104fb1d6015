package op

// Set stores a string. Result: OK; Failed when Cond kept it from storing, with Stale in its place when the
// key is there at another version and Missing when IfVersion found no key; WrongType when Get was asked of another type.
// Version is the new one. With Get the old value is in Value and Found says whether there was one.
// Where IfNotNewer meets a later version than Cond's, the value is stored as an outdated one: deadline and claim stay.
type Set struct {
	Key   Key
	Value []byte
	Flags uint32 // memcached's client flags, kept as they are
	Life  Life
	Cond  Cond
	Get   bool
}

// Pair is a key and its value.
type Pair struct {
	Key   Key
	Value []byte
}

// SetMany stores several strings without a deadline. IfNone stores them only if none of the keys is there:
// then Int is 1 or 0.
type SetMany struct {
	Pairs  []Pair
	IfNone bool
}

// Splice puts Value behind a string, or before it if Front; deadline and flags stay. Without Create a missing key
// is Missing; with it, it counts as empty. Int is the new length, TooLarge when that would be more than Most (0: MaxValue). Cond as in Set.
type Splice struct {
	Key    Key
	Value  []byte
	Front  bool
	Create bool
	Cond   Cond
	Most   uint64
}

// SetRange overwrites a string from Offset on, padding with zero bytes; Int is the new length.
type SetRange struct {
	Key    Key
	Offset int64
	Value  []byte
}

// Delete removes keys. Int is how many were there. With IfVersion in Cond (one key) the outcome is as in Set.
type Delete struct {
	Keys []Key
	Cond Cond
}

// IncrBy adds to a decimal signed 64-bit integer, a missing key counting as 0; Int is the sum.
// NotInteger, Overflow and WrongType leave it as it is. Deadline and flags stay.
type IncrBy struct {
	Key   Key
	Delta int64
}

// Count adds to a decimal unsigned 64-bit counter as memcached does: upwards it wraps, downwards it stops at 0.
// Missing without Create; with it a missing key becomes Initial with Life, which one that is there gets only with Renew. Uint is the new value, Version
// the new version.
// NotInteger when it holds anything else. Cond may be IfVersion; it is not asked of what Create makes.
type Count struct {
	Key     Key
	Delta   uint64
	Down    bool
	Create  bool
	Initial uint64
	Life    Life
	Cond    Cond
	Renew   bool
}

// ExpireCond restricts Expire. The bits are Redis's NX, XX, GT and LT. Append only.
type ExpireCond uint8

const (
	ExpireNX ExpireCond = 1 << iota // only without a deadline
	ExpireXX                        // only with one
	ExpireGT                        // only later than the present one; none counts as infinitely late
	ExpireLT                        // only earlier
)

// Expire changes the deadline of a key; Life Forever removes it (PERSIST). Missing when there is no such key, otherwise OK, and Int is 1 if the
// deadline was changed and 0 if Cond kept it or there was nothing to remove. It changes the version only as Redis's WATCH sees it: when it
// changed something. Fetch also returns the value with Flags and Version, as Get does (GETEX, gat).
type Expire struct {
	Key   Key
	Life  Life
	Cond  ExpireCond
	Fetch bool
}

// Rename moves an entry with its deadline; Missing if there is none. With IfAbsent nothing is moved onto an existing key.
// Int is 1 if it was moved. Copy leaves the old one where it is.
type Rename struct {
	From, To Key
	IfAbsent bool
	Copy     bool
}

// Field is a field of a hash and its value.
type Field struct{ Name, Value []byte }

// HashSet sets fields of a hash. Int is how many are new. IfAbsent sets only fields that are not there.
type HashSet struct {
	Key      Key
	Fields   []Field
	IfAbsent bool
}

// HashDelete removes fields; a hash without fields is no more. Int is how many were there.
type HashDelete struct {
	Key    Key
	Fields [][]byte
}

// HashIncrBy adds to a decimal signed integer in a field, missing counting as 0; Int is the sum.
type HashIncrBy struct {
	Key   Key
	Field []byte
	Delta int64
}

// SetAdd adds members to a set; Int is how many are new.
type SetAdd struct {
	Key     Key
	Members [][]byte
}

// SetRemove removes members; a set without members is no more. Int is how many were there.
type SetRemove struct {
	Key     Key
	Members [][]byte
}

// Flush removes the keys of one space, or of all if All; of class Only alone if OnlyClass. With a Life it happens at that time
// instead (memcached's flush_all with a delay), and a later Flush of the same space replaces it. Int is how many keys went.
type Flush struct {
	Space     Space
	All       bool
	OnlyClass bool
	Only      Class
	Life      Life
}

// Tx carries out ops as one: nothing comes between them. If a guard does not hold the outcome is Aborted and nothing happens;
// otherwise List has a result for each op, in order, and an op that fails does not stop the rest (MULTI/EXEC, scripts).
// Body holds the ops encoded; Add puts them there. No Tx inside a Tx.
type Tx struct {
	Guards []Guard
	Count  int
	Body   []byte
	Level  uint32 // the highest of the ops', if it is above 1: Add sees to it, and it is not encoded
}

// Add puts o behind the ops of the transaction.
func (t *Tx) Add(o Op) {
	t.Body = o.Append(t.Body)
	t.Count++
	if l := o.Kind().Level(); l > 1 {
		t.Level = max(t.Level, l)
	}
}

// Evict removes each key that still stands at its version and whose class and deadline allow it (promise 4). Only the leader proposes it.
type Evict struct{ Victims []Guard }

// Rule gives a class to the keys of a space whose names Match its pattern.
type Rule struct {
	Space   Space
	Pattern []byte
	Class   Class
}

// Configure puts the settings that Apply depends on into the state, so that they are the same on every member.
// Budget is what entries may cost altogether, in bytes by keyspace's formula; 0 is no limit. Rules are tried in order.
type Configure struct {
	Budget  uint64
	Classes [Spaces]Class
	Rules   []Rule
}

func (*Set) write()        {}
func (*SetMany) write()    {}
func (*Splice) write()     {}
func (*SetRange) write()   {}
func (*Delete) write()     {}
func (*IncrBy) write()     {}
func (*Count) write()      {}
func (*Expire) write()     {}
func (*Rename) write()     {}
func (*HashSet) write()    {}
func (*HashDelete) write() {}
func (*HashIncrBy) write() {}
func (*SetAdd) write()     {}
func (*SetRemove) write()  {}
func (*Flush) write()      {}
func (*Tx) write()         {}
func (*Evict) write()      {}
func (*Configure) write()  {}
