package memcache

import (
	"holdfast/op"
	"holdfast/users"
)

// What a user may do is said in the words of Redis's access lists; a memcached command needs the right to the Redis command that does the same. It is
// looked at where ops go to the engine, so that it holds for the text, meta and binary protocols alike. To a user who may not read a key, it is not there.

const denied = "CLIENT_ERROR this user has no permission for that"

// rights are the numbers of the Redis commands that memcached's need.
type rights struct{ get, set, append, del, incr, expire, flush, info int }

func rightsOf(set *users.Set) *rights {
	return &rights{
		get: set.Number("get"), set: set.Number("set"), append: set.Number("append"), del: set.Number("del"), incr: set.Number("incrby"),
		expire: set.Number("expire"), flush: set.Number("flushall"), info: set.Number("info"),
	}
}

// mayWrite says whether the user may carry out w.
func (s *Session) mayWrite(w op.Write) bool {
	u, r := s.user, s.w.d.rights.Load()
	need, access := r.set, users.Write
	switch w := w.(type) {
	case *op.Flush:
		return u.May(r.flush)
	case *op.Splice:
		need = r.append
	case *op.Delete:
		need = r.del
	case *op.Expire:
		if need = r.expire; w.Fetch {
			access |= users.Read
		}
	case *op.Count:
		need, access = r.incr, users.Read|users.Write
	case *op.Claim, *op.Tx:
		access = users.Read | users.Write
	}
	ok := u.May(need)
	all := op.EachKey(w, func(k op.Key) { ok = ok && u.MayKey(k.Name, access) })
	return ok && all
}

// hide makes keys that the user may not read ones that are not there: no item has an empty name.
func (s *Session) hide(keys []op.Key) {
	may := s.user.May(s.w.d.rights.Load().get)
	for i := range keys {
		if !may || !s.user.MayKey(keys[i].Name, users.Read) {
			keys[i].Name = nil
		}
	}
}

// mayAsk says whether the user may see what the server counts.
func (s *Session) mayAsk() bool { return s.user.All() || s.user.May(s.w.d.rights.Load().info) }

// forbid makes a write that is not allowed one that does nothing, so that its answer comes in its turn.
func (s *Session) forbid(o *owed) op.Write {
	switch u := s.user; {
	case o.reply != nil:
		o.reply = replyDenied
	case u.May(s.w.d.rights.Load().get) && u.MayKey(o.text, users.Read): // of gat, that is only a get
		return &op.Expire{Key: memcacheKey(o.text), Life: op.Life{Kind: op.Keep}, Fetch: true}
	default:
		o.value = nil
	}
	s.w.del = op.Delete{}
	return &s.w.del
}

func replyDenied(_ *counters, out []byte, _ *op.Result, o *owed) []byte {
	if o.opcode != 0 {
		return appendProblem(out, o.opcode, o.opaque, statusAuth, "")
	}
	return append(out, denied+"\r\n"...)
}
