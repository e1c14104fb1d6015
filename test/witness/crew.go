//go:build linux

package witness

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"
)

// Member is how clients reach one member.
type Member struct {
	Dial func(Protocol) (net.Conn, error)
}

// Options of a crew. The zero value is for the chaos test.
type Options struct {
	Seed     uint64
	Pace     time.Duration // between two requests of a client, on average; 0: 4 ms
	Sessions int           // in use at a time, for each client that keeps some; 0: 50
}

// Crew is all witnesses of a group: at every member and by both protocols counters, registers and sessions, and a lock by Redis.
type Crew struct {
	Clients []*Client

	members   []Member
	pace      time.Duration
	began     time.Time
	steps     []func() // one for each client
	counters  map[Protocol]*counter
	registers map[Protocol]*registry
	lock      *lock
	visitors  []*visitors
	keepers   []*Client // of the visitors, in their order

	stop context.CancelFunc
	done sync.WaitGroup
}

// coordinationDB and sessionDB are the databases of Redis with these classes.
const coordinationDB, sessionDB = 0, 1

// NewCrew makes a crew and begins its time; Start sets it to work.
func NewCrew(members []Member, o Options) *Crew {
	if o.Pace == 0 {
		o.Pace = 4 * time.Millisecond
	}
	if o.Sessions == 0 {
		o.Sessions = 50
	}
	c := &Crew{members: members, pace: o.Pace, began: time.Now(), lock: &lock{key: "witness:lock"},
		counters: map[Protocol]*counter{}, registers: map[Protocol]*registry{}}
	for _, p := range []Protocol{Redis, Memcached} {
		c.counters[p] = &counter{key: "witness:count"}
		c.registers[p] = &registry{name: "witness:register"}
	}
	for m := range members {
		for _, p := range []Protocol{Redis, Memcached} {
			c.hire(m, p, coordinationDB, o.Seed, c.counters[p].join().step)
			c.hire(m, p, coordinationDB, o.Seed, c.registers[p].join().step)
			v := &visitors{name: fmt.Sprintf("%d%v", m, p), most: o.Sessions}
			c.keepers = append(c.keepers, c.hire(m, p, sessionDB, o.Seed, v.step))
			c.visitors = append(c.visitors, v)
		}
		c.hire(m, Redis, coordinationDB, o.Seed, c.lock.join().step)
	}
	return c
}

func (c *Crew) hire(member int, p Protocol, db int, seed uint64, step func(*Client)) *Client {
	one := &Client{Member: member, Protocol: p, db: db, began: c.began, random: rand.New(rand.NewPCG(seed, uint64(len(c.Clients))))}
	one.dial = func() (net.Conn, error) { return c.members[member].Dial(p) }
	c.Clients = append(c.Clients, one)
	c.steps = append(c.steps, func() { step(one) })
	return one
}

// Now is the time since the crew began.
func (c *Crew) Now() time.Duration { return time.Since(c.began) }

// Start sets the counters to zero and the clients to work.
func (c *Crew) Start() error {
	for p, k := range c.counters {
		one := c.visit(0, p, coordinationDB)
		err := one.ask(func(to *conn) error { return to.set(k.key, "0", sessionLife*24) })
		one.hangUp()
		if err != nil {
			return fmt.Errorf("setting a counter by %v: %w", p, err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	for i, step := range c.steps {
		c.done.Go(func() {
			for ctx.Err() == nil {
				step()
				c.Clients[i].think(c.pace)
			}
		})
	}
	return nil
}

// Fresh reports whether every client has had an answer, good or not, to a request that it sent after an instant: then no request is under way
// that is older.
func (c *Crew) Fresh(after time.Duration) bool {
	for _, one := range c.Clients {
		one.mu.Lock()
		old := one.sent < after
		one.mu.Unlock()
		if old {
			return false
		}
	}
	return true
}

// Stop ends the clients' work. Requests that are under way are waited for.
func (c *Crew) Stop() {
	c.stop()
	c.done.Wait()
	for _, one := range c.Clients {
		one.hangUp()
	}
}

// visit is a client beside the crew's, whose requests are nobody's account.
func (c *Crew) visit(member int, p Protocol, db int) *Client {
	return &Client{Member: member, Protocol: p, db: db, began: c.began, dial: func() (net.Conn, error) { return c.members[member].Dial(p) }}
}

// askPatience is how long ask repeats a request that is not answered.
const askPatience = 20 * time.Second

// ask makes a request until it is answered: one that may be repeated.
func (c *Client) ask(request func(*conn) error) (err error) {
	for end := time.Now().Add(askPatience); time.Now().Before(end); time.Sleep(redial) {
		if c.conn == nil {
			if err = c.connect(); err != nil {
				continue
			}
		}
		if err = request(c.conn); err == nil {
			return nil
		}
		c.hangUp()
	}
	return err
}

// Progress is how far the work has come.
type Progress struct {
	Sessions, LockHeld int
	Counters           uint64 // the sum of the highest results
}

// Progress may be called while the clients work.
func (c *Crew) Progress() Progress {
	p := Progress{LockHeld: int(c.lock.times.Load())}
	for _, k := range c.counters {
		p.Counters += k.highest.Load()
	}
	for _, v := range c.visitors {
		p.Sessions += int(v.logins.Load())
	}
	return p
}

// Verdict is what the witnesses found.
type Verdict struct {
	Writes     int // acknowledged
	Counters   []Count
	Operations int // on registers, whose histories were checked
	Undecided  int // histories whose check took too long
	LockHeld   int // times
	Sessions   int // that somebody was told of
	// Faults are broken promises, each in a sentence; the figures say which.
	Faults                                                         []string
	LostWrites, AppliedTwice, StaleReads, TwoHolders, LostSessions int
}

// Judge reads everything back at every member, all of which must be up, and checks all histories. The crew must have been stopped.
func (c *Crew) Judge() (Verdict, error) {
	var v Verdict
	for _, one := range c.Clients {
		v.Writes += len(one.acks)
	}
	for _, p := range []Protocol{Redis, Memcached} {
		if err := c.judgeCounter(&v, p); err != nil {
			return v, err
		}
		operations, wrong, undecided := c.registers[p].check()
		v.Operations += operations
		v.Undecided += len(undecided)
		v.StaleReads += len(wrong)
		for _, key := range wrong {
			v.Faults = append(v.Faults, fmt.Sprintf("the history of %s by %v is not linearizable", key, p))
		}
	}
	times, faults := c.lock.check()
	v.LockHeld, v.TwoHolders, v.Faults = times, len(faults), append(v.Faults, faults...)
	for i := range c.visitors {
		if err := c.judgeSessions(&v, i); err != nil {
			return v, err
		}
	}
	return v, nil
}

func (c *Crew) judgeCounter(v *Verdict, p Protocol) error {
	k := c.counters[p]
	count, faults := k.sum()
	count.Key = fmt.Sprintf("%s by %v", k.key, p)
	for m := range c.members {
		var text string
		one := c.visit(m, p, coordinationDB)
		err := one.ask(func(to *conn) (err error) {
			text, _, err = to.get(k.key)
			return err
		})
		one.hangUp()
		if err != nil {
			return fmt.Errorf("reading the counter at member %d by %v: %w", m+1, p, err)
		}
		value, _ := strconv.ParseUint(text, 10, 64) // not there: all of it is lost
		if m == 0 {
			faults = append(faults, count.judge(value)...)
		} else if value != count.Value {
			faults = append(faults, fmt.Sprintf("counter %s is %d at one member, %d at another", count.Key, count.Value, value))
		}
	}
	v.Counters = append(v.Counters, count)
	v.LostWrites += count.Lost
	v.AppliedTwice += count.Twice
	v.StaleReads += count.Backwards
	v.Faults = append(v.Faults, faults...)
	return nil
}

func (c *Crew) judgeSessions(v *Verdict, i int) error {
	of := c.visitors[i]
	v.Sessions += len(of.sessions)
	v.LostSessions += len(of.faults)
	v.Faults = append(v.Faults, of.faults...)
	for m := range c.members {
		one := c.visit(m, c.keepers[i].Protocol, sessionDB)
		for _, s := range of.sessions {
			var value string
			var found bool
			err := one.ask(func(to *conn) (err error) {
				value, found, err = to.get(s.key)
				return err
			})
			if err != nil {
				one.hangUp()
				return fmt.Errorf("reading the sessions at member %d by %v: %w", m+1, one.Protocol, err)
			}
			if fault := s.fault(value, found); fault != "" {
				v.LostWrites++
				v.LostSessions++
				v.Faults = append(v.Faults, fmt.Sprintf("in the end, at member %d: %s", m+1, fault))
			}
		}
		one.hangUp()
	}
	return nil
}
