package op

// Keys appends the keys that o touches to into. For the ops on a whole space (Flush, Scan, Size, RandomKey) and for Configure there are none.
// The ops inside a Tx count; its body must be well formed.
func Keys(o Op, into []Key) []Key {
	switch o := o.(type) {
	case *Set:
		return append(into, o.Key)
	case *SetMany:
		for _, p := range o.Pairs {
			into = append(into, p.Key)
		}
	case *Splice:
		return append(into, o.Key)
	case *SetRange:
		return append(into, o.Key)
	case *Delete:
		return append(into, o.Keys...)
	case *IncrBy:
		return append(into, o.Key)
	case *Count:
		return append(into, o.Key)
	case *Expire:
		return append(into, o.Key)
	case *Rename:
		return append(into, o.From, o.To)
	case *HashSet:
		return append(into, o.Key)
	case *HashDelete:
		return append(into, o.Key)
	case *HashIncrBy:
		return append(into, o.Key)
	case *SetAdd:
		return append(into, o.Key)
	case *SetRemove:
		return append(into, o.Key)
	case *Tx:
		into = guardKeys(o.Guards, into)
		var d Decoder
		for body := o.Body; len(body) > 0; {
			inner, rest, err := d.Next(body)
			if err != nil {
				return into
			}
			into, body = Keys(inner, into), rest
		}
	case *Evict:
		return guardKeys(o.Victims, into)
	case *Get:
		return append(into, o.Key)
	case *GetMany:
		return append(into, o.Keys...)
	case *Exists:
		return append(into, o.Keys...)
	case *Deadline:
		return append(into, o.Key)
	case *TypeOf:
		return append(into, o.Key)
	case *Length:
		return append(into, o.Key)
	case *GetRange:
		return append(into, o.Key)
	case *HashGet:
		return append(into, o.Key)
	case *HashAll:
		return append(into, o.Key)
	case *SetHas:
		return append(into, o.Key)
	case *SetAll:
		return append(into, o.Key)
	case *Versions:
		return append(into, o.Keys...)
	case *Dump:
		return append(into, o.Keys...)
	}
	return into
}

func guardKeys(gs []Guard, into []Key) []Key {
	for _, g := range gs {
		into = append(into, g.Key)
	}
	return into
}
