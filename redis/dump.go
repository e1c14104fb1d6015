package redis

import (
	"bytes"

	"holdfast/op"
	"holdfast/resp"
)

// load reads the value of a key; nil if there is none.
func (w *bench) load(key op.Key) (*value, error) {
	res, err := w.Do(&op.TypeOf{Key: key})
	if err != nil || res.Status != op.OK {
		return nil, err
	}
	v := &value{of: op.Type(res.Int)}
	var read op.Read
	switch v.of {
	case op.String:
		read = &op.Get{Key: key}
	case op.Hash:
		read = &op.HashAll{Key: key, Names: true, Values: true}
	case op.Members:
		read = &op.SetAll{Key: key}
	case op.List:
		read = &op.ListRange{Key: key, End: -1}
	case op.Sorted:
		read = &op.SortedRange{Key: key, Range: op.Range{End: -1}}
	}
	if res, err = w.Do(read); err != nil {
		return nil, err
	}
	if v.of == op.String {
		v.items = []op.Field{{Value: bytes.Clone(res.Value)}}
	}
	for i := 0; i < len(res.List); i++ {
		f := op.Field{Name: bytes.Clone(res.List[i].Value)}
		switch v.of {
		case op.Hash:
			i++
			f.Value = bytes.Clone(res.List[i].Value)
		case op.Sorted:
			f.Value = op.AppendScore(nil, op.Score(res.List[i].Uint))
		}
		v.items = append(v.items, f)
	}
	return v, nil
}

func dump(w *bench, q *request, b []byte) ([]byte, error) {
	v, err := w.load(q.key(1))
	if err != nil {
		return b, err
	}
	if v == nil {
		return w.Null(b), nil
	}
	payload := appendRDB(nil, v)
	if w.d.tooLarge(len(payload)) {
		return b, w.d.errReplySize()
	}
	return resp.Bulk(b, payload), nil
}

// What may be wrong with what RESTORE is to restore, as the form of its reply.
const (
	restoreTTL = iota + 1
	restoreNegative
	restorePayload
	restoreRDB
)

var restoreFaults = [...]failure{restoreTTL: errInteger, restoreNegative: "ERR Invalid TTL value, must be >= 0", restorePayload: errPayload, restoreRDB: errRDB}

// parseRestore makes what RENAMENX of the key to itself is of a request that is wrong: Redis looks for the key before it looks at the rest, and that tells
// whether it is there.
func parseRestore(q *request) (op.Write, error) {
	o := &op.Store{Key: q.key(1), Cond: op.Cond{Kind: op.IfAbsent}}
	life := op.Life{Kind: op.In}
	for i := 4; i < len(q.args); i++ {
		more := i+1 < len(q.args)
		switch arg := q.args[i]; {
		case is(arg, "replace"):
			o.Cond.Kind = op.Always
		case is(arg, "absttl"):
			life.Kind = op.At
		case is(arg, "idletime") && more:
			i++
			if n, ok := resp.Int(q.args[i]); !ok {
				return nil, errInteger
			} else if n < 0 {
				return nil, failure("ERR Invalid IDLETIME value, must be >= 0")
			}
		case is(arg, "freq") && more:
			i++
			if n, ok := resp.Int(q.args[i]); !ok {
				return nil, errInteger
			} else if n < 0 || n > 255 {
				return nil, failure("ERR Invalid FREQ value, must be >= 0 and <= 255")
			}
		default:
			return nil, errSyntax
		}
	}
	q.form = fillRestore(o, life, q.args[2], q.args[3])
	switch {
	case q.form == 0:
		return o, nil
	case o.Cond.Kind == op.IfAbsent:
		return &op.Rename{From: o.Key, To: o.Key, IfAbsent: true}, nil
	}
	return nil, restoreFaults[q.form]
}

// fillRestore puts value and lifetime into o, or says what is wrong with them.
func fillRestore(o *op.Store, life op.Life, ttl, payload []byte) (fault uint8) {
	var ok bool
	if life.Ms, ok = resp.Int(ttl); !ok {
		return restoreTTL
	}
	if life.Ms < 0 {
		return restoreNegative
	}
	if life.Ms > 0 {
		o.Life = life
	}
	v, err := parseRDB(payload)
	switch err {
	case nil:
		o.Of, o.Items = v.of, v.items
		return 0
	case errRDB:
		return restoreRDB
	}
	return restorePayload
}

func replyRestore(b []byte, a answer, res *op.Result) []byte {
	switch {
	case a.form != 0 && res.Status == op.Missing:
		return resp.Err(b, string(restoreFaults[a.form]))
	case a.form != 0, res.Status == op.Failed:
		return resp.Err(b, "BUSYKEY Target key name already exists.")
	}
	return append(b, "+OK\r\n"...)
}
