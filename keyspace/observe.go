package keyspace

import "holdfast/op"

// Observer is told of every change, in the order in which they happen. An op may tell several of one key.
type Observer interface {
	// Changed is called in the middle of Apply: it must not ask the State, and copy what it keeps of c.
	Changed(c *op.Change)
}

// tell tells the observer.
func (s *State) tell(how op.How, k op.Key) {
	if s.Observer != nil {
		s.change = op.Change{How: how, Key: k, Op: s.doing, Events: s.notify.Events, Index: s.index}
		s.Observer.Changed(&s.change)
	}
}

func (s *State) publish(o *op.Publish, res *op.Result) {
	res.Value = o.Channel
	s.tell(op.Published, op.Key{})
}

// Events returns what the last op.Notify said.
func (s *State) Events() uint32 { return s.notify.Events }
