package keyspace

import "holdfast/op"

// How says what has happened to a key.
type How uint8

const (
	Written   How = iota // it was there, and holds something else, or has another deadline
	Created              // it was not there
	Removed              // by an op
	Expired              // its deadline came
	Evicted              // to make room
	Flushed              // the keys of Key.Space, or of all spaces if that is op.Spaces, or those of one class of them. Key has no name
	Published            // nothing to any key: Op is an op.Publish
)

// Change is something that Apply has done.
type Change struct {
	How    How
	Key    op.Key
	Op     op.Op  // what did it: inside a transaction the op in it; nil if the entry did it by itself, whose time had come
	Events uint32 // as the last op.Notify says
}

// Observer is told of every Change, in the order in which they happen. An op may tell several of one key.
type Observer interface {
	// Changed is called in the middle of Apply: it must not ask the State, and copy what it keeps of c.
	Changed(c *Change)
}

// tell tells the observer.
func (s *State) tell(how How, k op.Key) {
	if s.Observer != nil {
		s.change = Change{how, k, s.doing, s.notify.Events}
		s.Observer.Changed(&s.change)
	}
}

func (s *State) publish(o *op.Publish, res *op.Result) {
	res.Value = o.Channel
	s.tell(Published, op.Key{})
}

// Events returns what the last op.Notify said.
func (s *State) Events() uint32 { return s.notify.Events }
