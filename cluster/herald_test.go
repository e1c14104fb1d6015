package cluster

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"holdfast/engine"
	"holdfast/op"
)

// ear is a Watcher that keeps what it is told.
type ear struct {
	mu            sync.Mutex
	heard         []string // messages, and keys that changed
	own           int      // of writes that were queued here
	missed, stale int
}

func (e *ear) Note(b []byte, c *op.Change) []byte {
	text := string(c.Key.Name)
	if p, ok := c.Op.(*op.Publish); ok {
		text = string(p.Message)
	}
	return append(b, text+"\n"...)
}

func (e *ear) Tell(notes []byte, by engine.Writer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	lines := strings.Split(strings.TrimSuffix(string(notes), "\n"), "\n")
	e.heard = append(e.heard, lines...)
	if by != nil {
		e.own += len(lines)
	}
}

func (e *ear) Missed() { e.mu.Lock(); e.missed++; e.mu.Unlock() }
func (e *ear) Stale()  { e.mu.Lock(); e.stale++; e.mu.Unlock() }

// messages are those that it heard.
func (e *ear) messages() (list []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range e.heard {
		if strings.HasPrefix(h, "m") {
			list = append(list, h)
		}
	}
	return list
}

func message(text string) *op.Publish {
	return &op.Publish{Channel: []byte("c"), Message: []byte(text)}
}

// newListeningGroup starts three members, each with an ear. more, which may be nil, changes their configuration.
func newListeningGroup(t *testing.T, more func(*Config)) (*group, map[string]*ear) {
	ears := map[string]*ear{}
	g := newGroup(t, 3, func(c *Config) {
		e := &ear{}
		ears[c.Name], c.Watcher = e, e
		if more != nil {
			more(c)
		}
	})
	g.start(g.all()...)
	g.voters(3)
	return g, ears
}

// Every member tells every message once, all in one order, also when the leader dies; what was acknowledged is told everywhere.
func TestMessagesReachAllMembersInOneOrder(t *testing.T) {
	g, ears := newListeningGroup(t, nil)
	before := map[string]int{} // who joined took over a whole state
	for name, e := range ears {
		e.mu.Lock()
		before[name] = e.missed
		e.mu.Unlock()
	}
	var mu sync.Mutex
	var acked []string
	var all sync.WaitGroup
	const each = 300
	leader := g.leader()
	half := make(chan struct{}, 3)
	for name, w := range g.workers() {
		run := all.Go
		if name == leader { // its writes that are on their way when it dies are never answered
			run = func(f func()) { go f() }
		}
		run(func() {
			for i := range each {
				if i == each/2 {
					half <- struct{}{}
				}
				text := fmt.Sprintf("m-%s-%d", name, i)
				if a := w.write(message(text))[0]; a.err == nil {
					mu.Lock()
					acked = append(acked, text)
					mu.Unlock()
				}
			}
		})
	}
	for range 3 {
		<-half
	}
	g.crash(leader, 0)
	all.Wait()
	mu.Lock()
	defer mu.Unlock()
	lists := map[string][]string{}
	g.until("all has been told", func() bool {
		for name := range g.nodes {
			lists[name] = ears[name].messages()
			for _, m := range acked {
				if !slices.Contains(lists[name], m) {
					return false
				}
			}
		}
		return true
	})
	var longest []string
	for name, l := range lists {
		if len(l) > len(longest) {
			longest = l
		}
		seen := map[string]bool{}
		for _, m := range l {
			if seen[m] {
				t.Errorf("%s told %s twice", name, m)
			}
			seen[m] = true
		}
		ears[name].mu.Lock()
		if ears[name].missed != before[name] {
			t.Errorf("%s missed something", name)
		}
		ears[name].mu.Unlock()
	}
	lists[leader] = ears[leader].messages()
	for name, l := range lists {
		if !slices.Equal(l, longest[:len(l)]) {
			t.Errorf("%s told other messages, or in another order, than another member", name)
		}
	}
	t.Logf("%d acknowledged, %d told", len(acked), len(longest))
}

// Whose write it was is known where it was queued, and only there.
func TestWatcherKnowsItsOwnWriters(t *testing.T) {
	g, ears := newListeningGroup(t, nil)
	ws := g.workers()
	var all sync.WaitGroup
	for _, w := range ws {
		all.Go(func() {
			for i := range 100 {
				w.write(message(fmt.Sprint("m", i)), message(fmt.Sprint("n", i)))
			}
		})
	}
	all.Wait()
	for name, e := range ears {
		g.until(name+" has told all", func() bool { return len(e.messages()) == 300 })
		e.mu.Lock()
		if e.own != 200 {
			t.Errorf("%s: %d of 600 are its own, want 200", name, e.own)
		}
		e.mu.Unlock()
	}
}

// A member that takes over a whole state, or loses touch, says so.
func TestWatcherHearsWhatItMisses(t *testing.T) {
	g, ears := newListeningGroup(t, func(c *Config) { c.retain = 100 << 10 })
	victim := g.another()
	g.outrun(victim)
	g.start(victim)
	g.voters(3)
	g.until("the word that something was missed", func() bool {
		e := ears[victim]
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.missed > 0
	})
	last := g.leader()
	for _, name := range g.all() {
		if name != last {
			g.crash(name, 0)
		}
	}
	e := ears[last]
	e.mu.Lock()
	before := e.stale
	e.mu.Unlock()
	g.until("the word that it has lost touch", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.stale > before
	})
}

// A Watcher that does not keep up holds nobody up: what is too much is dropped, and it hears of that.
func TestSlowWatcherMisses(t *testing.T) {
	e := &slowEar{release: make(chan struct{})}
	n := start(t, Config{Name: "one", Durability: Memory, Watcher: e})
	w := newWorker(n)
	big := strings.Repeat("x", maxNotes/4)
	for range 7 {
		if a := w.write(message(big)); a[0].err != nil {
			t.Fatal(a[0].err)
		}
	}
	close(e.release)
	end := time.Now().Add(10 * time.Second)
	for {
		e.mu.Lock()
		missed := e.missed
		e.mu.Unlock()
		if missed > 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatal("it never heard that it missed something")
		}
		time.Sleep(time.Millisecond)
	}
}

type slowEar struct {
	ear
	release chan struct{}
}

func (e *slowEar) Note(b []byte, c *op.Change) []byte {
	if p, ok := c.Op.(*op.Publish); ok {
		b = append(b, p.Message...)
	}
	return b
}

func (e *slowEar) Tell([]byte, engine.Writer) { <-e.release }

// What an entry does by itself, before the writes that it carries, is nobody's.
func TestWhatTimeEndsIsNobodysWrite(t *testing.T) {
	e := &ear{}
	h := newHerald(e)
	h.Changed(&op.Change{How: op.Expired, Key: op.Key{Name: []byte("old")}, Index: 7})
	h.Changed(&op.Change{Key: op.Key{Name: []byte("new")}, Op: &op.Set{}, Index: 7})
	h.wroteBy(new(answer))
	h.handOver()
	h.tell(&h.queue[0])
	if e.own != 1 || !slices.Equal(e.heard, []string{"old", "new"}) {
		t.Fatalf("told %q, %d of them of its own writes", e.heard, e.own)
	}
}

// Who answers reads only with a leader's help says so once more when there is no leader: clients may have kept what they read that way.
func TestWatcherHearsOfALostLeader(t *testing.T) {
	ears := map[string]*ear{}
	g := newGroup(t, 3, func(c *Config) {
		e := &ear{}
		ears[c.Name], c.Watcher, c.Lease = e, e, time.Nanosecond
	})
	g.start(g.all()...)
	g.voters(3)
	last := g.another()
	n, e := g.nodes[last], ears[last]
	g.until("reads by rounds alone", func() bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.touch == byRounds
	})
	e.mu.Lock()
	before := e.stale
	e.mu.Unlock()
	for _, name := range g.all() {
		if name != last {
			g.crash(name, 0)
		}
	}
	g.until("the word that there is no leader", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.stale > before
	})
}
