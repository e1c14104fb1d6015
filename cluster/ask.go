package cluster

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"
)

// Answer is what another member said to a question of the admin port.
type Answer struct {
	Name  string
	Addr  string // for the other members, host:port
	Body  []byte
	Err   error         // it has not answered; else nil
	Took  time.Duration // to ask it and to hear the answer
	Ahead time.Duration // its wall clock before the own one, give or take half of Took
	Heard int64         // Unix ns by the own wall clock when anything last came from it; 0 if nothing has since the start
}

var errMute = errors.New("this controller answers no such questions")

// Ask asks all other members at once and returns when all have answered, or ctx has ended. What a question means is the affair of Config.Answer there.
func (n *Node) Ask(ctx context.Context, question string) []Answer {
	all := n.others()
	var asking sync.WaitGroup
	for i := range all {
		a := &all[i]
		asking.Go(func() {
			begin := time.Now()
			body, err := n.link.Request(ctx, a.Addr, append([]byte{requestVersion, askAdmin}, question...))
			a.Took = time.Since(begin)
			if err == nil && len(body) < 8 {
				err = errStanding
			}
			if err != nil {
				a.Err = err
				return
			}
			theirs := time.Unix(0, int64(binary.LittleEndian.Uint64(body)))
			a.Body, a.Ahead = body[8:], theirs.Sub(begin.Add(a.Took/2))
		})
	}
	asking.Wait()
	return all
}

// answer is the other side of Ask: the own wall clock, and what Config.Answer says.
func (n *Node) answer(question string) ([]byte, error) {
	if n.cfg.Answer == nil {
		return nil, errMute
	}
	body, err := n.cfg.Answer(question)
	if err != nil {
		return nil, err
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(n.wall().UnixNano())), body...), nil
}

// others are the other members, as far as they are known.
func (n *Node) others() (all []Answer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.link == nil {
		return nil
	}
	if n.replica == nil {
		for _, p := range n.cfg.Members {
			if p.Name != n.cfg.Name {
				all = append(all, Answer{Name: p.Name, Addr: p.Addr})
			}
		}
		return all
	}
	members, _ := n.replica.Members()
	for _, m := range members {
		if m.ID != n.record.id {
			all = append(all, Answer{Name: m.Name, Addr: m.Addr, Heard: n.heard(m.ID)})
		}
	}
	return all
}

// heard is when anything last came from a member, Unix ns; 0 if nothing has. Caller holds mu.
func (n *Node) heard(id uint64) int64 {
	at, ok := n.met[id]
	if !ok {
		return 0
	}
	return n.wall().UnixNano() - (n.clock.mono() - at)
}
