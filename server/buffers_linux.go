package server

import "math/bits"

const (
	leastBuffer = 10 // log2 of the bytes of the smallest buffer that is lent, 1 KiB
	mostBuffer  = 16 // and of the largest, 64 KiB
	spareBytes  = 256 << 10
)

// buffers lends the memory in which connections keep input and replies between passes, so that a connection that keeps none has none.
// It has up to spareBytes of each size lying ready.
type buffers [mostBuffer - leastBuffer + 1][][]byte

// get returns an empty buffer for n bytes, which it has lying ready or makes.
func (b *buffers) get(n int) []byte {
	k := sizeOf(n)
	if k >= len(b) {
		return make([]byte, 0, n)
	}
	if s := b[k]; len(s) > 0 {
		buf := s[len(s)-1]
		b[k] = s[:len(s)-1]
		return buf
	}
	return make([]byte, 0, 1<<(k+leastBuffer))
}

func (b *buffers) put(buf []byte) {
	k := sizeOf(cap(buf))
	if k < len(b) && cap(buf) == 1<<(k+leastBuffer) && len(b[k]) < spareBytes/cap(buf) {
		b[k] = append(b[k], buf[:0])
	}
}

// sizeOf is the index of the smallest size that holds n bytes.
func sizeOf(n int) int {
	return max(bits.Len(uint(n-1)), leastBuffer) - leastBuffer
}

// take gives c an empty buffer for n bytes. It returns nil, and c is dropped, if there are too many bytes in buffers.
func (l *loop) take(c *sock, n int) []byte {
	buf := l.buffers.get(n)
	if !l.server.room(cap(buf)) {
		l.drop(c, "all connections together have reached the buffer limit")
		return nil
	}
	l.buffered.Add(int64(cap(buf)))
	return buf
}

func (l *loop) give(buf []byte) {
	if cap(buf) > 0 {
		l.buffered.Add(-int64(cap(buf)))
		l.buffers.put(buf)
	}
}

func (l *loop) releaseIn(c *sock) {
	l.give(c.in)
	c.in = nil
}

func (l *loop) releaseOut(c *sock) {
	l.give(c.out)
	c.out, c.sent = nil, 0
}

// keep makes rest c's unconsumed input. rest may lie in c.in or elsewhere. It returns false if c is dropped.
func (l *loop) keep(c *sock, rest []byte) bool {
	n := len(rest)
	if n == 0 {
		l.releaseIn(c)
		return true
	}
	if n <= cap(c.in) && cap(c.in) <= max(inputStep, 4*n) {
		c.in = c.in[:n]
		copy(c.in, rest)
		return true
	}
	buf := l.take(c, n)
	if buf == nil {
		return false
	}
	buf = append(buf, rest...)
	l.releaseIn(c)
	c.in = buf
	return true
}

// enlarge makes room behind c's input. It returns false if c is dropped.
func (l *loop) enlarge(c *sock) bool {
	n := len(c.in)
	if n < cap(c.in) && cap(c.in) >= min(c.want, inputStep) {
		return true
	}
	buf := l.take(c, roomFor(n, c.want))
	if buf == nil {
		return false
	}
	buf = append(buf, c.in...)
	l.releaseIn(c)
	c.in = buf
	return true
}
