package redis

import (
	"sync/atomic"

	"holdfast/op"
	"holdfast/resp"
)

// Redis keeps small values in compact forms, says of each key in which form it is, and lets settings decide what is small. Holdfast's forms are others; what
// OBJECT ENCODING says here is what Redis would, of a value that was made as it is. The settings change nothing but these words, at this controller.

// bounds are the settings.
type bounds [len(boundNames)]atomic.Int64

// boundNames has their names, those in older versions, and what they are from the start.
var boundNames = [...]struct {
	name, older string
	from        int64
}{
	hashEntries:   {"hash-max-listpack-entries", "hash-max-ziplist-entries", 512},
	hashValue:     {"hash-max-listpack-value", "hash-max-ziplist-value", 64},
	sortedEntries: {"zset-max-listpack-entries", "zset-max-ziplist-entries", 128},
	sortedValue:   {"zset-max-listpack-value", "zset-max-ziplist-value", 64},
	setEntries:    {"set-max-intset-entries", "", 512},
	listSize:      {"list-max-listpack-size", "list-max-ziplist-size", -2},
	listDepth:     {"list-compress-depth", "", 0},
}

const (
	hashEntries = iota
	hashValue
	sortedEntries
	sortedValue
	setEntries
	listSize
	listDepth
)

func (b *bounds) init() {
	for i := range b {
		b[i].Store(boundNames[i].from)
	}
}

// maxEmbedded is the size in bytes up to which Redis keeps a string beside its head.
const maxEmbedded = 44

func parseEncoding(q *request) (op.Read, error) { return &op.Describe{Key: q.key(2)}, nil }

func replyEncoding(b []byte, a answer, res *op.Result) []byte {
	if res.Status != op.OK {
		return a.Null(b)
	}
	n, longest := res.List[0].Int, res.List[1].Int
	small := func(entries, value int) bool {
		return n <= a.d.bounds[entries].Load() && longest <= a.d.bounds[value].Load()
	}
	name := "listpack"
	switch of := op.Type(res.Int); {
	case of == op.String && res.Found:
		name = "int"
	case of == op.String && n <= maxEmbedded:
		name = "embstr"
	case of == op.String:
		name = "raw"
	case of == op.List:
		name = "quicklist"
	case of == op.Members && res.Found && n <= a.d.bounds[setEntries].Load():
		name = "intset"
	case of == op.Members, of == op.Hash && !small(hashEntries, hashValue):
		name = "hashtable"
	case of == op.Sorted && !small(sortedEntries, sortedValue):
		name = "skiplist"
	}
	return resp.Bulk(b, name)
}
