package op

// How says what has happened to a key.
type How uint8

const (
	Written   How = iota // it was there, and holds something else, or has another deadline
	Created              // it was not there
	Removed              // by an op
	Expired              // its deadline came
	Evicted              // to make room
	Flushed              // the keys of Key.Space were, or of all spaces if that is Spaces, or those of one class of them. Key has no name
	Published            // nothing to any key: Op is a Publish
)

// Change is something that was done when an entry was applied. It is valid only while it is shown.
type Change struct {
	How    How
	Key    Key
	Op     Op     // what did it: inside a transaction the op in it; nil if the entry did it by itself, whose time had come
	Events uint32 // as the last Notify says
	Index  uint64 // of the entry
}
