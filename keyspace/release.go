package keyspace

// Release gives all memory back to where it was taken from. The state, and whatever was got from it, must not be used any more.
func (s *State) Release() {
	if s.snap != nil {
		s.snap.Cancel()
	}
	m := &s.slab
	for i := range m.blocks {
		if b := m.blocks[i].b; b != nil {
			m.release(b)
		}
	}
	for _, c := range m.chunks[1:] {
		m.release(c[:])
	}
	*s = State{}
}
