package op

// Versions that know different ops work together in one group: the group has a level, which all its members know, and an op of a higher level is
// refused before it is sent. The level stands in the log (keyspace.Raise) and in the state, and never falls; so nobody ever meets an op that it does not know.
//
// To add an op: append its Kind to the list in op.go, give it a row in kinds with the level Level+1, and raise Level (latest.go). What an op carries
// never changes: one that is to carry more is another op.

// Level is the level that the group must have before an op of this kind may be submitted. 0: there is none.
func (k Kind) Level() uint32 { return kinds[k].since }

// LevelOf is the level that the group must have before o may be submitted.
func LevelOf(o Op) uint32 {
	if t, ok := o.(*Tx); ok {
		return max(t.Level, KindTx.Level())
	}
	return o.Kind().Level()
}

// kind is what there is to know of a kind of op.
type kind struct {
	since uint32 // the level with which it came
	make  func() Op
}

func of[T any, P interface {
	*T
	Op
}](since uint32) kind {
	return kind{since, func() Op { return P(new(T)) }}
}

// kinds has a row for each kind of op.
var kinds = [256]kind{
	KindSet:          of[Set](1),
	KindSetMany:      of[SetMany](1),
	KindSplice:       of[Splice](1),
	KindSetRange:     of[SetRange](1),
	KindDelete:       of[Delete](1),
	KindIncrBy:       of[IncrBy](1),
	KindCount:        of[Count](1),
	KindExpire:       of[Expire](1),
	KindRename:       of[Rename](1),
	KindHashSet:      of[HashSet](1),
	KindHashDelete:   of[HashDelete](1),
	KindHashIncrBy:   of[HashIncrBy](1),
	KindSetAdd:       of[SetAdd](1),
	KindSetRemove:    of[SetRemove](1),
	KindFlush:        of[Flush](1),
	KindTx:           of[Tx](1),
	KindEvict:        of[Evict](1),
	KindConfigure:    of[Configure](1),
	KindGet:          of[Get](1),
	KindGetMany:      of[GetMany](1),
	KindExists:       of[Exists](1),
	KindDeadline:     of[Deadline](1),
	KindTypeOf:       of[TypeOf](1),
	KindLength:       of[Length](1),
	KindGetRange:     of[GetRange](1),
	KindHashGet:      of[HashGet](1),
	KindHashAll:      of[HashAll](1),
	KindSetHas:       of[SetHas](1),
	KindSetAll:       of[SetAll](1),
	KindVersions:     of[Versions](1),
	KindScan:         of[Scan](1),
	KindSize:         of[Size](1),
	KindRandomKey:    of[RandomKey](1),
	KindDump:         of[Dump](1),
	KindListPush:     of[ListPush](1),
	KindListPop:      of[ListPop](1),
	KindListMove:     of[ListMove](1),
	KindListSet:      of[ListSet](1),
	KindListInsert:   of[ListInsert](1),
	KindListRemove:   of[ListRemove](1),
	KindListTrim:     of[ListTrim](1),
	KindSortedAdd:    of[SortedAdd](1),
	KindSortedRemove: of[SortedRemove](1),
	KindSortedCut:    of[SortedCut](1),
	KindSortedPop:    of[SortedPop](1),
	KindSetPop:       of[SetPop](1),
	KindSetMove:      of[SetMove](1),
	KindSetStore:     of[SetStore](1),
	KindStore:        of[Store](1),
	KindSetBit:       of[SetBit](1),
	KindPublish:      of[Publish](1),
	KindNotify:       of[Notify](1),
	KindClaim:        of[Claim](1),
	KindOutdate:      of[Outdate](1),
	KindListRange:    of[ListRange](1),
	KindListFind:     of[ListFind](1),
	KindSortedScore:  of[SortedScore](1),
	KindSortedRank:   of[SortedRank](1),
	KindSortedRange:  of[SortedRange](1),
	KindCombine:      of[Combine](1),
	KindSample:       of[Sample](1),
	KindScanIn:       of[ScanIn](1),
	KindDescribe:     of[Describe](1),
	KindBitCount:     of[BitCount](1),
	KindBitFind:      of[BitFind](1),
}

// Kinds returns an empty op of each kind that there is.
func Kinds() (all []Op) {
	for _, k := range kinds {
		if k.make != nil {
			all = append(all, k.make())
		}
	}
	return all
}
