package op

// Get reads a string: OK with Value, Flags, Version and Deadline, or Missing, or WrongType.
type Get struct{ Key Key }

// GetMany reads several keys in one state; List has what Get would give for each.
type GetMany struct{ Keys []Key }

// Exists counts the keys that are there in Int; a key named twice counts twice.
type Exists struct{ Keys []Key }

// Deadline reads when a key ends: OK with Deadline in Unix ms (0: never) and in Int the milliseconds left, or Missing.
type Deadline struct{ Key Key }

// TypeOf reads the type of a key: OK with the Type in Int, or Missing.
type TypeOf struct{ Key Key }

// Type is what kind of value a key holds. Append only.
type Type uint8

const (
	String Type = iota + 1
	Hash
	Members // a Redis set
	List
	Sorted // a Redis sorted set
)

// Length counts what a key of type Of holds: bytes of a string, fields of a hash, members of a set, elements of a list. Missing has Int 0.
type Length struct {
	Key Key
	Of  Type
}

// GetRange reads bytes Start to End (both included, negative from the end) of a string into Value.
type GetRange struct {
	Key        Key
	Start, End int64
}

// HashGet reads fields of a hash: List has OK with Value or Missing for each; the Status is WrongType for another type.
type HashGet struct {
	Key    Key
	Fields [][]byte
}

// HashAll reads a whole hash in its order: List has OK and Value for each field name, value, or both in turn.
type HashAll struct {
	Key           Key
	Names, Values bool
}

// SetHas asks for members of a set: List has OK or Missing for each.
type SetHas struct {
	Key     Key
	Members [][]byte
}

// SetAll reads all members of a set: List has OK and Value for each.
type SetAll struct{ Key Key }

// Versions reads the versions of keys: List has OK with Version, or Missing with Version 0, for each. WATCH stands on it.
type Versions struct{ Keys []Key }

// Scan walks the keys of a space: pass Uint of the result as the next Cursor until it is 0. Every key that is there from beginning to end
// is in some List (as Value) at least once. It looks at about Count keys a call and gives those that Match (all if empty) and are Of that type (all if 0).
// Count < 0 walks all at once (KEYS). Weaker than other reads: it does not wait for writes on their way (design 3.3).
type Scan struct {
	Space  Space
	Cursor uint64
	Count  int64
	Match  []byte
	Of     Type
}

// Size counts the keys of a space in Int, and those of them with a deadline in Uint. As weak as Scan.
type Size struct{ Space Space }

// RandomKey picks a key of a space by Seed into Value, or is Missing.
type RandomKey struct {
	Space Space
	Seed  uint64
}

// Dump reads whole entries: List has OK with Version and in Value the record that keyspace makes of an entry, or Missing.
type Dump struct{ Keys []Key }

func (*Get) read()       {}
func (*GetMany) read()   {}
func (*Exists) read()    {}
func (*Deadline) read()  {}
func (*TypeOf) read()    {}
func (*Length) read()    {}
func (*GetRange) read()  {}
func (*HashGet) read()   {}
func (*HashAll) read()   {}
func (*SetHas) read()    {}
func (*SetAll) read()    {}
func (*Versions) read()  {}
func (*Scan) read()      {}
func (*Size) read()      {}
func (*RandomKey) read() {}
func (*Dump) read()      {}
