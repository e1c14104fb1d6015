//go:build linux

// Package witness is clients of a group that note what they were told, and find out afterwards whether it was true: counters that count
// exactly, registers whose history is linearizable, a lock that is never held twice, sessions that are never lost. Each client is
// pinned to one member and speaks one protocol. The package knows nothing of how members are run or disturbed, and imports nothing of
// the daemon's. Read client.go first, then crew.go; the witnesses are counter.go, register.go, lock.go and session.go.
package witness

import (
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

// redial is how long a client waits before it dials again.
const redial = 20 * time.Millisecond

// Noticed is the shortest wait that a client notes.
const Noticed = 5 * time.Millisecond

// Wait is a request that took its time. Instants are since the crew began.
type Wait struct {
	From, To time.Duration
	Write    bool // acknowledged as one
}

// Trouble is what a client was not told well.
type Trouble struct {
	At      time.Duration // when the request was sent, since the crew began
	To      time.Duration // when it came out
	What    string
	Refused bool // by an error reply
}

// Client is one connection after another to one member. One goroutine uses it; what it notes may be read by all.
type Client struct {
	Member   int
	Protocol Protocol
	db       int
	dial     func() (net.Conn, error)
	began    time.Time
	random   *rand.Rand // its goroutine's
	conn     *conn

	mu       sync.Mutex
	acks     []time.Duration // when writes were acknowledged
	waits    []Wait
	troubles []Trouble
	dials    int
	answers  int
	sent     time.Duration // the last request that was answered, well or not
}

// sort is what kind of request one is.
type sort string

const (
	read    sort = "read"
	write   sort = "write"
	attempt sort = "attempt" // a write that may be answered with no
)

// carried is what is known of a request after it came back.
type carried int

const (
	acked   carried = iota // carried out
	refused                // not carried out
	unknown                // nobody knows
)

// do makes one request and notes what came of it.
func (c *Client) do(what sort, request func(*conn) error) carried {
	sent := time.Since(c.began)
	if c.conn == nil {
		if err := c.connect(); err != nil {
			c.note(sent, what, err, false)
			time.Sleep(redial)
			return refused
		}
	}
	err := request(c.conn)
	var refusal Refusal
	said := errors.As(err, &refusal)
	c.note(sent, what, err, said)
	switch {
	case err == nil:
		return acked
	case said:
		return refused
	}
	c.hangUp()
	return unknown
}

func (c *Client) connect() error {
	to, err := c.dial()
	if err != nil {
		return plain(err)
	}
	c.conn = open(to, c.Protocol)
	c.mu.Lock()
	c.dials++
	c.mu.Unlock()
	if err := c.conn.choose(c.db); err != nil {
		c.hangUp()
		return err
	}
	return nil
}

func (c *Client) hangUp() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

func (c *Client) note(sent time.Duration, what sort, err error, said bool) {
	now := time.Since(c.began)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = sent
	if err != nil {
		c.troubles = append(c.troubles, Trouble{At: sent, To: now, What: string(what) + ": " + err.Error(), Refused: said})
		return
	}
	c.answers++
	if what == write {
		c.acks = append(c.acks, now)
	}
	if now-sent >= Noticed {
		c.waits = append(c.waits, Wait{From: sent, To: now, Write: what == write})
	}
}

// Troubles is what went wrong for the client so far, in the order in which it came out.
func (c *Client) Troubles() []Trouble {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.troubles)
}

// think is the time between two requests: evenly distributed around pace.
func (c *Client) think(pace time.Duration) { time.Sleep(pace/2 + rand.N(pace)) }

// Account is what some clients met within a span of time.
type Account struct {
	Gap      time.Duration // the longest time in which none of them was acknowledged a write
	Wait     time.Duration // the longest that one request of them took that was answered; 0: none took as long as Noticed
	Errors   map[string]int
	Acks     int           // acknowledged writes
	Answers  int           // of all their life
	Dials    int           // of all their life
	FirstAck time.Duration // the first acknowledged write in the span, since the crew began; 0: none
}

// Failures is the number of errors.
func (a Account) Failures() int {
	n := 0
	for _, k := range a.Errors {
		n += k
	}
	return n
}

// Look accounts for the clients that which chooses, from one instant to another, both since the crew began. A request or a gap counts if
// any part of it lies within.
func (c *Crew) Look(from, to time.Duration, which func(*Client) bool) Account {
	a := Account{Errors: map[string]int{}}
	var acks []time.Duration
	for _, one := range c.Clients {
		if !which(one) {
			continue
		}
		one.mu.Lock()
		a.Answers += one.answers
		a.Dials += one.dials
		first, _ := slices.BinarySearch(one.acks, from)
		if first > 0 {
			acks = append(acks, one.acks[first-1])
		}
		for i := first; i < len(one.acks) && (i == 0 || one.acks[i-1] <= to); i++ {
			acks = append(acks, one.acks[i])
			if one.acks[i] <= to {
				a.Acks++
			}
			if i == first && one.acks[i] <= to && (a.FirstAck == 0 || one.acks[i] < a.FirstAck) {
				a.FirstAck = one.acks[i]
			}
		}
		for i := len(one.waits) - 1; i >= 0 && one.waits[i].To >= from; i-- {
			if w := one.waits[i]; w.From <= to {
				a.Wait = max(a.Wait, w.To-w.From)
			}
		}
		for i := len(one.troubles) - 1; i >= 0 && one.troubles[i].To >= from; i-- {
			if t := one.troubles[i]; t.At <= to {
				a.Errors[t.What]++
			}
		}
		one.mu.Unlock()
	}
	slices.Sort(acks)
	if n := len(acks); n == 0 {
		acks = []time.Duration{from, to}
	} else if acks[n-1] < to {
		acks = append(acks, to) // what has not ended yet
	}
	for i := 1; i < len(acks); i++ {
		if acks[i] >= from && acks[i-1] <= to {
			a.Gap = max(a.Gap, acks[i]-acks[i-1])
		}
	}
	return a
}
