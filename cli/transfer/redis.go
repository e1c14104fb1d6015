package transfer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"holdfast/resp"
)

const (
	scanCount  = 512  // keys that the source is asked for at a time
	fieldsEach = 1000 // fields or members in one command
)

// redisServer is a connection to one, as source or target.
type redisServer struct {
	*conn
	only int // the database, -1 for all
	db   int // selected now
}

func openRedis(a *Address) (*redisServer, error) {
	c, err := a.dial(a.Hosts[0])
	if err != nil {
		return nil, err
	}
	r := &redisServer{conn: c, only: a.Database}
	if a.Password != "" {
		words := []string{"AUTH", a.User, a.Password}
		if a.User == "" {
			words = []string{"AUTH", a.Password}
		}
		r.say(words...)
	}
	r.say("PING")
	err = r.flush()
	for more := a.Password != ""; err == nil; more = false {
		var rep reply
		if rep, err = r.answer(); err == nil && rep.failure() != "" {
			err = fmt.Errorf("%s does not let us in: %s", c.where, rep.failure())
		}
		if !more {
			break
		}
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return r, nil
}

// say puts a command into out.
func (r *redisServer) say(words ...string) {
	r.out = resp.Array(r.out, len(words))
	for _, w := range words {
		r.out = resp.Bulk(r.out, w)
	}
}

// answer reads one.
func (r *redisServer) answer() (reply, error) {
	rep, err := readReply(r.in)
	if err != nil {
		return rep, r.lost(err)
	}
	switch f := rep.failure(); {
	case strings.HasPrefix(f, "LOADING"), strings.HasPrefix(f, "MASTERDOWN"):
		return rep, fmt.Errorf("%s: %s", r.where, f)
	case strings.HasPrefix(f, "NOAUTH"):
		return rep, fmt.Errorf("%s wants a password (%s): write user:password@ before the address, of SOURCE or of --to, or name a file with --password-file or --to-password-file", r.where, f)
	}
	return rep, nil
}

// ask carries out one command.
func (r *redisServer) ask(words ...string) (reply, error) {
	r.say(words...)
	if err := r.flush(); err != nil {
		return reply{}, err
	}
	return r.answer()
}

// must is ask where an error reply is an error.
func (r *redisServer) must(words ...string) (reply, error) {
	rep, err := r.ask(words...)
	if err == nil && rep.failure() != "" {
		err = fmt.Errorf("%s answers %s with %s", r.where, words[0], rep.failure())
	}
	return rep, err
}

func (r *redisServer) use(db int) error {
	if db == r.db {
		return nil
	}
	if _, err := r.must("SELECT", strconv.Itoa(db)); err != nil {
		return err
	}
	r.db = db
	return nil
}

// databases returns those with keys in them.
func (r *redisServer) databases() ([]int, error) {
	if r.only >= 0 {
		return []int{r.only}, nil
	}
	rep, err := r.must("INFO", "keyspace")
	if err != nil {
		return nil, err
	}
	var all []int
	for line := range strings.Lines(string(rep.text)) {
		name, _, found := strings.Cut(line, ":")
		db, err := strconv.Atoi(strings.TrimPrefix(name, "db"))
		if found && err == nil && strings.HasPrefix(name, "db") {
			all = append(all, db)
		}
	}
	return all, nil
}

// walk is source's: SCAN sees every key that is there from beginning to end.
func (r *redisServer) walk(want func([]byte) bool, take func([]entry) error, skip func(string)) error {
	databases, err := r.databases()
	if err != nil {
		return err
	}
	for _, db := range databases {
		if err := r.use(db); err != nil {
			return err
		}
		for cursor := "0"; ; {
			rep, err := r.must("SCAN", cursor, "COUNT", strconv.Itoa(scanCount))
			if err != nil {
				return err
			}
			if len(rep.list) != 2 {
				return fmt.Errorf("%s answers SCAN with something else than keys", r.where)
			}
			var names [][]byte
			for _, el := range rep.list[1].list {
				if want(el.text) {
					names = append(names, el.text)
				}
			}
			if err := r.take(db, names, take, skip); err != nil {
				return err
			}
			if cursor = string(rep.list[0].text); cursor == "0" {
				break
			}
		}
	}
	return nil
}

// take reads the values of names, in rounds.
func (r *redisServer) take(db int, names [][]byte, take func([]entry) error, skip func(string)) error {
	for len(names) > 0 {
		some := names[:min(batchKeys, len(names))]
		names = names[len(some):]
		all, err := r.read(db, some, skip)
		if err == nil {
			err = take(all)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// read reads values and then deadlines, so that a value that is replaced in between is given away with the deadline of the newer.
func (r *redisServer) read(db int, names [][]byte, skip func(string)) ([]entry, error) {
	for _, name := range names {
		r.say("TYPE", string(name))
	}
	if err := r.flush(); err != nil {
		return nil, err
	}
	var all []entry
	for _, name := range names {
		rep, err := r.answer()
		if err != nil {
			return nil, err
		}
		switch form := string(rep.text); form {
		case "string", "hash", "set":
			all = append(all, entry{db: db, key: name, value: value{form: form}})
		case "none":
			skip(Gone)
		default:
			skip(fmt.Sprintf("it is a %.20s, and only strings, hashes and sets are copied", form))
		}
	}
	for i := range all {
		key := string(all[i].key)
		r.say(map[string]string{"string": "GET", "hash": "HGETALL", "set": "SMEMBERS"}[all[i].value.form], key)
		r.say("PTTL", key)
	}
	began := time.Now()
	if err := r.flush(); err != nil {
		return nil, err
	}
	return r.values(all, began, skip)
}

// values reads the answers to what read has asked for.
func (r *redisServer) values(all []entry, began time.Time, skip func(string)) ([]entry, error) {
	kept := all[:0]
	for _, e := range all {
		rep, err := r.answer()
		if err != nil {
			return nil, err
		}
		ttl, err := r.answer()
		if err != nil {
			return nil, err
		}
		if e.value.form == "string" {
			e.value.parts = [][]byte{rep.text}
		}
		for _, el := range rep.list {
			e.value.parts = append(e.value.parts, el.text)
		}
		switch {
		case rep.failure() != "":
			skip("the source says " + rep.failure())
			continue
		case rep.kind == 0, len(e.value.parts) == 0, ttl.n == -2, ttl.kind != ':', e.value.form == "hash" && len(e.value.parts)%2 != 0:
			skip(Gone)
			continue
		case ttl.n >= 0:
			e.ends = began.Add(time.Duration(ttl.n) * time.Millisecond)
		}
		kept = append(kept, e)
	}
	return kept, nil
}

// put is target's.
func (r *redisServer) put(all []entry, was []uint64, overwrite bool) ([]outcome, error) {
	results := make([]outcome, len(all))
	sent := make([]bool, len(all))
	if err := r.use(all[0].db); err != nil {
		return nil, err
	}
	now := time.Now()
	for i := range all {
		left, living := all[i].left(now)
		switch simple := all[i].value.form == "string" && (was[i] == 0 || overwrite); {
		case !living:
			results[i] = Gone
		case simple:
			r.set(&all[i], left, !overwrite)
			sent[i] = true
		}
	}
	if err := r.flush(); err != nil {
		return nil, err
	}
	for i := range all {
		if !sent[i] {
			continue
		}
		rep, err := r.answer()
		if err != nil {
			return nil, err
		}
		results[i] = settled(&rep)
	}
	for i := range all {
		if sent[i] || results[i] != "" {
			continue
		}
		var err error
		if results[i], err = r.replace(&all[i], was[i], overwrite); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// has is target's.
func (r *redisServer) has(all []entry) ([]bool, error) {
	if err := r.use(all[0].db); err != nil {
		return nil, err
	}
	for i := range all {
		r.say("EXISTS", string(all[i].key))
	}
	if err := r.flush(); err != nil {
		return nil, err
	}
	there := make([]bool, len(all))
	for i := range all {
		rep, err := r.answer()
		if err != nil {
			return nil, err
		}
		there[i] = rep.n > 0
	}
	return there, nil
}

func settled(rep *reply) outcome {
	switch {
	case rep.failure() != "":
		return outcome("the target says " + rep.failure())
	case rep.kind == 0:
		return Conflict
	}
	return ""
}

// set puts the command for a string into out.
func (r *redisServer) set(e *entry, left time.Duration, absent bool) {
	words := []string{"SET", string(e.key), string(e.value.parts[0])}
	if left > 0 {
		words = append(words, "PX", strconv.FormatInt(left.Milliseconds(), 10))
	}
	if absent {
		words = append(words, "NX")
	}
	r.say(words...)
}

// replace stores e as one transaction, where the key is as was says.
func (r *redisServer) replace(e *entry, was uint64, overwrite bool) (outcome, error) {
	key := string(e.key)
	if !overwrite {
		reason, err := r.watch(key, was)
		if reason != "" || err != nil {
			return reason, err
		}
	}
	left, living := e.left(time.Now())
	if !living {
		left = time.Millisecond
	}
	n := r.transaction(e, left)
	if err := r.flush(); err != nil {
		return "", err
	}
	var rep reply
	var err error
	refused := ""
	for range n {
		if rep, err = r.answer(); err != nil {
			return "", err
		}
		if f := rep.failure(); f != "" && refused == "" {
			refused = f
		}
	}
	for i := range rep.list {
		if f := rep.list[i].failure(); f != "" && refused == "" {
			refused = f
		}
	}
	switch {
	case refused != "":
		return outcome("the target says " + refused), nil
	case rep.kind == 0 && was == 0:
		return Conflict, nil
	case rep.kind == 0:
		return Changed, nil
	}
	return "", nil
}

// watch looks whether the key is as was says, and has it watched if it is.
func (r *redisServer) watch(key string, was uint64) (outcome, error) {
	if _, err := r.must("WATCH", key); err != nil {
		return "", err
	}
	now, err := r.sumOf(key)
	if err != nil {
		return "", err
	}
	reason := outcome("")
	switch {
	case was == 0 && now != 0:
		reason = Conflict
	case was != now:
		reason = Changed
	}
	if reason != "" {
		_, err = r.must("UNWATCH")
	}
	return reason, err
}

// sumOf returns the mark of what the key holds, 0 if there is nothing.
func (r *redisServer) sumOf(key string) (uint64, error) {
	all, err := r.read(r.db, [][]byte{[]byte(key)}, func(string) {})
	if err != nil {
		return 0, err
	}
	if len(all) == 0 {
		rep, err := r.must("EXISTS", key)
		return uint64(rep.n), err // of a form that is not read: something
	}
	return all[0].value.sum(), nil
}

// transaction puts the commands that store e into out, and says how many.
func (r *redisServer) transaction(e *entry, left time.Duration) (n int) {
	key := string(e.key)
	say := func(words ...string) {
		r.say(words...)
		n++
	}
	say("MULTI")
	if e.value.form == "string" {
		r.set(e, left, false)
		n++
	} else {
		say("DEL", key)
		name, most := "SADD", fieldsEach
		if e.value.form == "hash" {
			name, most = "HSET", 2*fieldsEach
		}
		for parts := e.value.parts; len(parts) > 0; {
			words := []string{name, key}
			for _, p := range parts[:min(most, len(parts))] {
				words = append(words, string(p))
			}
			parts = parts[len(words)-2:]
			say(words...)
		}
		if left > 0 {
			say("PEXPIRE", key, strconv.FormatInt(left.Milliseconds(), 10))
		}
	}
	say("EXEC")
	return n
}

var errNoDump = errors.New("it lists no keys (lru_crawler metadump): it is older than 1.4.31, or its LRU crawler is off")
