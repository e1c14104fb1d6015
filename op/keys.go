package op

// Keys appends the keys that o touches to into. For the ops on a whole space (Flush, Scan, Size, RandomKey) and for Configure there are none.
// The ops inside a Tx count; its body must be well formed.
func Keys(o Op, into []Key) []Key {
	EachKey(o, func(k Key) { into = append(into, k) })
	return into
}

// EachKey calls f for every key that o names. It returns false if o may touch keys that it does not name: those ops of which Keys knows none.
// It allocates nothing but for a Tx, which it decodes.
func EachKey(o Op, f func(Key)) bool {
	switch o := o.(type) {
	case *Set:
		f(o.Key)
	case *Splice:
		f(o.Key)
	case *SetRange:
		f(o.Key)
	case *IncrBy:
		f(o.Key)
	case *Count:
		f(o.Key)
	case *Expire:
		f(o.Key)
	case *Claim:
		f(o.Key)
	case *Outdate:
		f(o.Key)
	case *HashSet:
		f(o.Key)
	case *HashDelete:
		f(o.Key)
	case *HashIncrBy:
		f(o.Key)
	case *SetAdd:
		f(o.Key)
	case *SetRemove:
		f(o.Key)
	case *ListPush:
		f(o.Key)
	case *ListSet:
		f(o.Key)
	case *ListInsert:
		f(o.Key)
	case *ListRemove:
		f(o.Key)
	case *ListTrim:
		f(o.Key)
	case *SortedAdd:
		f(o.Key)
	case *SortedRemove:
		f(o.Key)
	case *SortedCut:
		f(o.Key)
	case *SetPop:
		f(o.Key)
	case *Store:
		f(o.Key)
	case *SetBit:
		f(o.Key)
	case *Get:
		f(o.Key)
	case *Deadline:
		f(o.Key)
	case *TypeOf:
		f(o.Key)
	case *Length:
		f(o.Key)
	case *GetRange:
		f(o.Key)
	case *HashGet:
		f(o.Key)
	case *HashAll:
		f(o.Key)
	case *SetHas:
		f(o.Key)
	case *SetAll:
		f(o.Key)
	case *ListRange:
		f(o.Key)
	case *ListFind:
		f(o.Key)
	case *SortedScore:
		f(o.Key)
	case *SortedRank:
		f(o.Key)
	case *SortedRange:
		f(o.Key)
	case *Sample:
		f(o.Key)
	case *ScanIn:
		f(o.Key)
	case *Describe:
		f(o.Key)
	case *BitCount:
		f(o.Key)
	case *BitFind:
		f(o.Key)
	case *Delete:
		each(o.Keys, f)
	case *ListPop:
		each(o.Keys, f)
	case *SortedPop:
		each(o.Keys, f)
	case *GetMany:
		each(o.Keys, f)
	case *Exists:
		each(o.Keys, f)
	case *Versions:
		each(o.Keys, f)
	case *Dump:
		each(o.Keys, f)
	case *Combine:
		each(o.Keys, f)
	case *SetMany:
		for _, p := range o.Pairs {
			f(p.Key)
		}
	case *Rename:
		f(o.From)
		f(o.To)
	case *ListMove:
		f(o.From)
		f(o.To)
	case *SetMove:
		f(o.From)
		f(o.To)
	case *SetStore:
		f(o.To)
		each(o.Keys, f)
	case *Evict:
		eachGuard(o.Victims, f)
	case *Tx:
		eachGuard(o.Guards, f)
		return eachInside(o, f)
	case *Publish, *Notify:
	default: // Flush, Configure, Scan, Size, RandomKey
		return false
	}
	return true
}

func each(ks []Key, f func(Key)) {
	for _, k := range ks {
		f(k)
	}
}

func eachGuard(gs []Guard, f func(Key)) {
	for _, g := range gs {
		f(g.Key)
	}
}

func eachInside(t *Tx, f func(Key)) bool {
	var d Decoder
	all := true
	for body := t.Body; len(body) > 0; {
		inner, rest, err := d.Next(body)
		if err != nil {
			return false
		}
		all = EachKey(inner, f) && all
		body = rest
	}
	return all
}
