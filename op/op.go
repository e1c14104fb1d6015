// Package op is the vocabulary of Holdfast: everything a client can ask for, as plain data.
//
// A dialect turns what its client says into an op and a Result into what its client reads; keyspace
// carries ops out. An op holds no connection, no clock and no function, so that it means the same on
// every controller and in every replay. Read this file first, then writes.go, reads.go and result.go, and lists.go, sorted.go and
// elements.go for what came with those types; codec.go is how ops stand in the log.
//
// The package may not touch a clock, randomness, the system, goroutines, floats or the order of a map.
package op

// Space is one of the separate keyspaces: the sixteen Redis databases and memcached's own.
type Space uint8

const (
	// Memcache is the keyspace of the memcached port; the ones below it are the Redis databases 0 to 15.
	Memcache Space = 16
	// Spaces is how many keyspaces there are.
	Spaces = 17
)

// Limits of what an op may carry. They bound the memory that one request can ask for.
const (
	MaxKey   = 64 << 20  // bytes of a key
	MaxValue = 512 << 20 // bytes of a value, Redis's own limit for a string
)

// Key names one entry of the state. Name is binary; an op refers to it and does not own it.
type Key struct {
	Space Space
	Name  []byte
}

// Class says what may happen to a key when memory is short (design, promise 4).
// The numbers are written into logs and snapshots: append only.
type Class uint8

const (
	Coordination Class = iota // locks, heartbeats, groups: never evicted
	Token                     // evicted only without a deadline
	Session                   // never evicted
	Cache                     // evicted by use, first
	Classes      = 4
)

func (c Class) String() string {
	return [...]string{"coordination", "token", "session", "cache"}[c&3]
}

// LifeKind says how a write treats the deadline of its key. Append only.
type LifeKind uint8

const (
	Forever LifeKind = iota // no deadline; one that was there is removed
	Keep                    // leave the deadline as it is
	In                      // Ms milliseconds after the entry's stamp; zero and less is at once
	At                      // at Unix time Ms, in milliseconds; in the past is at once
)

// Life is the lifetime that a write gives to its key. The zero Life is forever.
// It becomes a deadline when the op is applied, counted from the stamp of its entry (design 3.5).
type Life struct {
	Kind LifeKind
	Ms   int64
}

// CondKind says when a write is carried out. Append only.
type CondKind uint8

const (
	Always     CondKind = iota
	IfAbsent            // only if the key is not there (NX, add)
	IfPresent           // only if it is (XX, replace)
	IfVersion           // only if it is there with exactly Version (cas)
	IfNotNewer          // only if it is there with Version or a later one: see Set
)

// Cond is the condition of a write.
type Cond struct {
	Kind    CondKind
	Version uint64
}

// Guard demands that a key stands at a version when a Tx is applied. Version 0 demands that it is absent.
type Guard struct {
	Key     Key
	Version uint64
}

// Kind numbers the ops in the log. Append only: a number once given is never reused.
type Kind uint8

const (
	KindSet Kind = iota + 1
	KindSetMany
	KindSplice
	KindSetRange
	KindDelete
	KindIncrBy
	KindCount
	KindExpire
	KindRename
	KindHashSet
	KindHashDelete
	KindHashIncrBy
	KindSetAdd
	KindSetRemove
	KindFlush
	KindTx
	KindEvict
	KindConfigure
	KindListPush
	KindListPop
	KindListMove
	KindListSet
	KindListInsert
	KindListRemove
	KindListTrim
	KindSortedAdd
	KindSortedRemove
	KindSortedCut
	KindSortedPop
	KindSetPop
	KindSetMove
	KindSetStore
	KindStore
	KindSetBit
	KindPublish
	KindNotify
	KindClaim
	KindOutdate
)

// The kinds of reads.
const (
	KindGet Kind = iota + 64
	KindGetMany
	KindExists
	KindDeadline
	KindTypeOf
	KindLength
	KindGetRange
	KindHashGet
	KindHashAll
	KindSetHas
	KindSetAll
	KindVersions
	KindScan
	KindSize
	KindRandomKey
	KindDump
	KindListRange
	KindListFind
	KindSortedScore
	KindSortedRank
	KindSortedRange
	KindCombine
	KindSample
	KindScanIn
	KindDescribe
	KindBitCount
	KindBitFind
)

// Op is a Write or a Read. The set of ops is sealed: only this package defines them.
type Op interface {
	Kind() Kind
	// Append encodes the op behind b, with its kind in front, as Decoder reads it.
	Append(b []byte) []byte
	decode(r *reader)
}

// Write is an op that may change the state. It goes through the log.
type Write interface {
	Op
	write()
}

// Read is an op that never changes the state. It goes into the log only inside a Tx.
type Read interface {
	Op
	read()
}
