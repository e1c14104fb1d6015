package op

// Places in a list count from 0, or backwards from -1.

// ListPush puts values at an end of a list, one after the other. Int is the new length. With IfPresent nothing happens to a key that is not there: Missing.
type ListPush struct {
	Key       Key
	Values    [][]byte
	Front     bool
	IfPresent bool
}

// ListPop takes up to Count elements from an end of the first of the lists that is there: List has them, Value the name of the key. Missing if none is;
// WrongType if a key of another type comes first. A list without elements is no more.
type ListPop struct {
	Keys  []Key
	Count int64
	Front bool
}

// ListMove takes an element from an end of one list and puts it at an end of another, or the same; it is in Value. Missing if there is none.
type ListMove struct {
	From, To         Key
	FromFront, Front bool
}

// ListSet replaces the element at Index; Failed if there is no such place, Missing if there is no list.
type ListSet struct {
	Key   Key
	Index int64
	Value []byte
}

// ListInsert puts Value before, or behind, the first element that equals Pivot. Int is the new length, -1 if there is no such element; Missing if there is no list.
type ListInsert struct {
	Key          Key
	Pivot, Value []byte
	Behind       bool
}

// ListRemove removes the first Count elements that equal Value, the last ones if Count is negative, all if it is 0. Int is how many those were.
type ListRemove struct {
	Key   Key
	Count int64
	Value []byte
}

// ListTrim removes all but the elements from Start to End, both included.
type ListTrim struct {
	Key        Key
	Start, End int64
}

// ListRange reads the elements from Start to End, both included: List has OK and Value for each.
type ListRange struct {
	Key        Key
	Start, End int64
}

// ListFind looks for elements that equal Value: List has the place of each in Int. It passes over the first Rank-1 of them, from the end if Rank is negative;
// gives Count of them at most, all if Count is 0; and compares no more than Most elements, all if Most is 0.
type ListFind struct {
	Key         Key
	Value       []byte
	Rank        int64
	Count, Most int64
}

func (*ListPush) write()   {}
func (*ListPop) write()    {}
func (*ListMove) write()   {}
func (*ListSet) write()    {}
func (*ListInsert) write() {}
func (*ListRemove) write() {}
func (*ListTrim) write()   {}
func (*ListRange) read()   {}
func (*ListFind) read()    {}

func (o *ListPush) Kind() Kind { return KindListPush }
func (o *ListPush) Append(b []byte) []byte {
	b = appendStrings(appendKey(append(b, byte(KindListPush)), o.Key), o.Values)
	return appendBool(appendBool(b, o.Front), o.IfPresent)
}
func (o *ListPush) decode(r *reader) {
	*o = ListPush{r.key(), list(r, o.Values, (*reader).bytes), r.bool(), r.bool()}
}

func (o *ListPop) Kind() Kind { return KindListPop }
func (o *ListPop) Append(b []byte) []byte {
	return appendBool(appendInt(appendKeys(append(b, byte(KindListPop)), o.Keys), o.Count), o.Front)
}
func (o *ListPop) decode(r *reader) {
	*o = ListPop{list(r, o.Keys, (*reader).key), r.int(), r.bool()}
}

func (o *ListMove) Kind() Kind { return KindListMove }
func (o *ListMove) Append(b []byte) []byte {
	b = appendKey(appendKey(append(b, byte(KindListMove)), o.From), o.To)
	return appendBool(appendBool(b, o.FromFront), o.Front)
}
func (o *ListMove) decode(r *reader) { *o = ListMove{r.key(), r.key(), r.bool(), r.bool()} }

func (o *ListSet) Kind() Kind { return KindListSet }
func (o *ListSet) Append(b []byte) []byte {
	return appendBytes(appendInt(appendKey(append(b, byte(KindListSet)), o.Key), o.Index), o.Value)
}
func (o *ListSet) decode(r *reader) { *o = ListSet{r.key(), r.int(), r.bytes()} }

func (o *ListInsert) Kind() Kind { return KindListInsert }
func (o *ListInsert) Append(b []byte) []byte {
	b = appendBytes(appendKey(append(b, byte(KindListInsert)), o.Key), o.Pivot)
	return appendBool(appendBytes(b, o.Value), o.Behind)
}
func (o *ListInsert) decode(r *reader) {
	*o = ListInsert{r.key(), r.bytes(), r.bytes(), r.bool()}
}

func (o *ListRemove) Kind() Kind { return KindListRemove }
func (o *ListRemove) Append(b []byte) []byte {
	return appendBytes(appendInt(appendKey(append(b, byte(KindListRemove)), o.Key), o.Count), o.Value)
}
func (o *ListRemove) decode(r *reader) { *o = ListRemove{r.key(), r.int(), r.bytes()} }

func (o *ListTrim) Kind() Kind { return KindListTrim }
func (o *ListTrim) Append(b []byte) []byte {
	return appendInt(appendInt(appendKey(append(b, byte(KindListTrim)), o.Key), o.Start), o.End)
}
func (o *ListTrim) decode(r *reader) { *o = ListTrim{r.key(), r.int(), r.int()} }

func (o *ListRange) Kind() Kind { return KindListRange }
func (o *ListRange) Append(b []byte) []byte {
	return appendInt(appendInt(appendKey(append(b, byte(KindListRange)), o.Key), o.Start), o.End)
}
func (o *ListRange) decode(r *reader) { *o = ListRange{r.key(), r.int(), r.int()} }

func (o *ListFind) Kind() Kind { return KindListFind }
func (o *ListFind) Append(b []byte) []byte {
	b = appendBytes(appendKey(append(b, byte(KindListFind)), o.Key), o.Value)
	return appendInt(appendInt(appendInt(b, o.Rank), o.Count), o.Most)
}
func (o *ListFind) decode(r *reader) {
	*o = ListFind{r.key(), r.bytes(), r.int(), r.int(), r.int()}
}
