// Package bench puts a short, bounded load on one member over the Redis protocol and says how fast it answered: for the verb, on a host where nothing else is
// installed. Run is all there is.
//
// It is a simple client: a goroutine for each connection, one request at a time. What it measures is a member with such clients, and the host that it
// runs on; bench/load of the sources is for figures that are to be compared.
package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	dialWithin  = 2 * time.Second
	replyWithin = 10 * time.Second
	maxLine     = 4 << 10 // bytes of a reply's line
	lifetime    = 60      // seconds beyond the run that keys live, if they are not removed
	reservoir   = 1 << 20 // latencies that are kept, over all connections; beyond that each of them only every n-th
)

// Config says what to do.
type Config struct {
	Network, Address string // as net.Dial takes them
	User, Password   string // user may be empty; empty password: no AUTH
	Database         int
	Conns            int
	Keys             int    // that are written and read
	Value            int    // bytes of one
	Sets             int    // of 10 requests, how many write
	Prefix           string // of all keys
	For              time.Duration
}

// Result is what was measured.
type Result struct {
	Requests uint64        `json:"requests"`
	Failed   uint64        `json:"failed"` // answered with an error
	Error    string        `json:"error"`  // the first one
	Took     time.Duration `json:"took_ns"`
	Gets     Latency       `json:"gets"`
	Sets     Latency       `json:"sets"`
	Removed  int           `json:"removed"` // keys, at the end
}

// Latency is of one kind of requests, from sending until answered.
type Latency struct {
	Count uint64        `json:"count"`
	P50   time.Duration `json:"p50_ns"`
	P99   time.Duration `json:"p99_ns"`
	P999  time.Duration `json:"p999_ns"`
	Max   time.Duration `json:"max_ns"`
}

// PerSecond is how many requests were answered a second.
func (r *Result) PerSecond() float64 { return float64(r.Requests) / max(r.Took.Seconds(), 1e-9) }

// Run does it, and removes the keys. When ctx ends, it ends early, with what it has. An error says that nothing could be measured.
func Run(ctx context.Context, c Config) (Result, error) {
	var clients []*conn
	defer func() {
		for _, k := range clients {
			k.Close()
		}
	}()
	for i := range c.Conns {
		k, err := dial(&c, i)
		if err != nil {
			return Result{}, err
		}
		clients = append(clients, k)
	}
	begin := time.Now()
	end := begin.Add(c.For)
	var all sync.WaitGroup
	for _, k := range clients {
		all.Go(func() { k.err = k.load(ctx, end) })
	}
	all.Wait()
	took := time.Since(begin)
	r := sum(clients)
	r.Took = took
	for _, k := range clients {
		if k.err != nil {
			return r, k.err
		}
	}
	n, err := clients[0].remove()
	r.Removed = n
	return r, err
}

// conn is one client.
type conn struct {
	net.Conn
	c    *Config
	in   *bufio.Reader
	out  []byte
	seed uint64
	err  error

	gets, sets []time.Duration
	most       [2]time.Duration
	count      [2]uint64
	failed     uint64
	failure    string
	value      string
}

func dial(c *Config, number int) (*conn, error) {
	nc, err := net.DialTimeout(c.Network, c.Address, dialWithin)
	if err != nil {
		return nil, fmt.Errorf("no connection to %s: %w", c.Address, err)
	}
	k := &conn{Conn: nc, c: c, in: bufio.NewReaderSize(nc, maxLine), seed: uint64(number)*0x9e3779b97f4a7c15 + 1, value: strings.Repeat("x", c.Value)}
	hello := [][]string{{"SELECT", strconv.Itoa(c.Database)}}
	switch {
	case c.Password != "" && c.User != "":
		hello = append([][]string{{"AUTH", c.User, c.Password}}, hello...)
	case c.Password != "":
		hello = append([][]string{{"AUTH", c.Password}}, hello...)
	}
	for _, words := range hello {
		if _, err := k.ask(words...); err != nil {
			nc.Close()
			return nil, fmt.Errorf("%s at %s: %w", words[0], c.Address, err)
		}
	}
	return k, nil
}

// load sends requests until end.
func (k *conn) load(ctx context.Context, end time.Time) error {
	life := strconv.Itoa(int(k.c.For.Seconds()) + lifetime)
	keep := reservoir / k.c.Conns
	for now := time.Now(); now.Before(end) && ctx.Err() == nil; {
		key := k.key(int(k.random() % uint64(k.c.Keys)))
		kind, all := 0, &k.gets
		words := []string{"GET", key}
		if int(k.random()%10) < k.c.Sets {
			kind, all = 1, &k.sets
			words = []string{"SET", key, k.value, "EX", life}
		}
		_, err := k.ask(words...)
		var refused refusal
		if errors.As(err, &refused) {
			if k.failed++; k.failure == "" {
				k.failure = refused.Error()
			}
		} else if err != nil {
			return fmt.Errorf("after %d requests of one client: %w", k.count[0]+k.count[1], err)
		}
		then := now
		now = time.Now()
		took := now.Sub(then)
		k.count[kind]++
		k.most[kind] = max(k.most[kind], took)
		if n := k.count[kind]; len(*all) < keep {
			*all = append(*all, took)
		} else if at := k.random() % n; at < uint64(keep) { // each of them is kept with the same chance
			(*all)[at] = took
		}
	}
	return nil
}

func (k *conn) key(n int) string { return k.c.Prefix + strconv.Itoa(n) }

// random need not be good: it spreads keys (xorshift64).
func (k *conn) random() uint64 {
	k.seed ^= k.seed << 13
	k.seed ^= k.seed >> 7
	k.seed ^= k.seed << 17
	return k.seed
}

// remove removes all keys that may be there.
func (k *conn) remove() (removed int, err error) {
	const together = 500
	for at := 0; at < k.c.Keys; at += together {
		words := []string{"DEL"}
		for n := at; n < min(at+together, k.c.Keys); n++ {
			words = append(words, k.key(n))
		}
		text, err := k.ask(words...)
		if err != nil {
			return removed, fmt.Errorf("the keys that begin with %s could not all be removed, they end by themselves: %w", k.c.Prefix, err)
		}
		n, _ := strconv.Atoi(text)
		removed += n
	}
	return removed, nil
}

// refusal is an error that the server answered.
type refusal string

func (r refusal) Error() string { return string(r) }

// ask sends one request and returns the line of its reply; of a value it reads over what follows.
func (k *conn) ask(words ...string) (string, error) {
	k.out = append(k.out[:0], '*')
	k.out = strconv.AppendInt(k.out, int64(len(words)), 10)
	for _, w := range words {
		k.out = append(k.out, "\r\n$"...)
		k.out = strconv.AppendInt(k.out, int64(len(w)), 10)
		k.out = append(append(k.out, "\r\n"...), w...)
	}
	k.out = append(k.out, "\r\n"...)
	if err := k.SetDeadline(time.Now().Add(replyWithin)); err != nil {
		return "", err
	}
	if _, err := k.Write(k.out); err != nil {
		return "", err
	}
	line, err := k.in.ReadSlice('\n')
	if err != nil {
		return "", fmt.Errorf("read a reply: %w", err)
	}
	text := strings.TrimRight(string(line), "\r\n")
	switch {
	case text == "":
		return "", errors.New("an empty line is no reply: is it a Redis port?")
	case text[0] == '-':
		return "", refusal(text[1:])
	case text[0] == '$' && text != "$-1":
		n, err := strconv.Atoi(text[1:])
		if err != nil || n < 0 {
			return "", fmt.Errorf("%.40q is no reply: is it a Redis port?", text)
		}
		_, err = io.CopyN(io.Discard, k.in, int64(n)+2)
		return text, err
	case !strings.ContainsRune("+:$", rune(text[0])):
		return "", fmt.Errorf("%.40q is no reply: is it a Redis port?", text)
	}
	return text[1:], nil
}

func sum(clients []*conn) (r Result) {
	var gets, sets []time.Duration
	for _, k := range clients {
		gets, sets = append(gets, k.gets...), append(sets, k.sets...)
		r.Gets.Count, r.Sets.Count = r.Gets.Count+k.count[0], r.Sets.Count+k.count[1]
		r.Gets.Max, r.Sets.Max = max(r.Gets.Max, k.most[0]), max(r.Sets.Max, k.most[1])
		if r.Failed += k.failed; r.Error == "" {
			r.Error = k.failure
		}
	}
	r.Requests = r.Gets.Count + r.Sets.Count
	r.Gets.quantiles(gets)
	r.Sets.quantiles(sets)
	return r
}

func (l *Latency) quantiles(all []time.Duration) {
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	at := func(q float64) time.Duration { return all[min(len(all)-1, int(q*float64(len(all))))] }
	l.P50, l.P99, l.P999 = at(0.5), at(0.99), at(0.999)
}
