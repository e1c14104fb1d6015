package op

// Publish tells a message to whoever listens to Channel, at every controller that applies the op, in the order of the log. It changes nothing of the state. Shard is the
// other set of channels, of SPUBLISH. Value is the channel, so that the origin can count its own listeners.
type Publish struct {
	Channel, Message []byte
	Shard            bool
}

// Notify sets which changes of keys are to be told, by the bits of the Redis dialect. It is part of the state, so that it is in force at every controller.
type Notify struct{ Events uint32 }

func (*Publish) write() {}
func (*Notify) write()  {}

func (o *Publish) Kind() Kind { return KindPublish }
func (o *Publish) Append(b []byte) []byte {
	return appendBool(appendBytes(appendBytes(append(b, byte(KindPublish)), o.Channel), o.Message), o.Shard)
}
func (o *Publish) decode(r *reader) { *o = Publish{r.bytes(), r.bytes(), r.bool()} }

func (o *Notify) Kind() Kind { return KindNotify }
func (o *Notify) Append(b []byte) []byte {
	return appendUint(append(b, byte(KindNotify)), uint64(o.Events))
}
func (o *Notify) decode(r *reader) { *o = Notify{uint32(r.uint())} }
