package link

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// A stream is records of 1 byte or more, an empty one for its end, and against it one record with the verdict of who read it. It
// may come before the end. A request is one record and a verdict.
//
// A verdict is 0 and what is answered, or 1 and a sentence.

// Stream dials the peer and lets send write to it. It returns nil when the peer's Handler.Stream has returned nil, a
// *Refusal with its sentence when it did not, and any other error if the stream broke. After an error of send the peer's handler
// reads an error too.
func (l *Links) Stream(ctx context.Context, to uint64, send func(io.Writer) error) error {
	p := (*l.peers.Load())[to]
	if p == nil {
		return fmt.Errorf("no member with the id %x is known to stream to", to)
	}
	conn, _, err := l.dial(ctx, p.Addr, forStream, p.Peer)
	if err != nil {
		return called("stream", p.Name, err)
	}
	defer l.drop(conn)
	unhook := context.AfterFunc(ctx, func() { socketOf(conn).Close() })
	defer unhook()

	verdict := make(chan error, 1)
	w := &chunkWriter{conn: conn}
	go func() {
		_, err := readVerdict(conn, p.Name)
		verdict <- err
		w.end()
	}()
	sent := w.send(send)
	if sent != nil && !errors.As(sent, new(*brokenWrite)) {
		socketOf(conn).Close() // send gave up
		<-verdict
		return sent
	}
	if sent != nil {
		conn.SetReadDeadline(time.Now().Add(greetTimeout)) // the verdict may have caused it, or never come
	}
	err = <-verdict
	if refusal := new(Refusal); sent != nil && !errors.As(err, &refusal) {
		err = sent
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return called("stream", p.Name, err)
}

// called says what failed.
func called(what, whom string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*Refusal)), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, ErrClosed):
		return fmt.Errorf("%s to %s: %w", what, whom, err)
	}
	return fmt.Errorf("%s to %s: %s", what, whom, explain(err))
}

// brokenWrite tells a connection's error from one of who writes the stream.
type brokenWrite struct{ error }

func (b *brokenWrite) Unwrap() error { return b.error }

// chunkWriter makes every write one record, or more if it is large.
type chunkWriter struct {
	conn  net.Conn
	buf   []byte
	ended atomic.Bool
}

// end makes writes fail, also one that waits. For any goroutine.
func (w *chunkWriter) end() {
	w.ended.Store(true)
	w.conn.SetWriteDeadline(time.Unix(1, 0))
}

func (w *chunkWriter) send(send func(io.Writer) error) error {
	b := bufio.NewWriterSize(w, firstRead)
	if err := send(b); err != nil {
		return err
	}
	if err := b.Flush(); err != nil {
		return err
	}
	return w.record(nil)
}

func (w *chunkWriter) Write(b []byte) (n int, err error) {
	for n < len(b) {
		chunk := b[n:min(len(b), n+maxChunk)]
		if err := w.record(chunk); err != nil {
			return n, err
		}
		n += len(chunk)
	}
	return n, nil
}

func (w *chunkWriter) record(body []byte) error {
	w.buf = appendRecord(w.buf[:0], body)
	w.conn.SetWriteDeadline(time.Now().Add(callStall))
	if w.ended.Load() {
		return &brokenWrite{net.ErrClosed}
	}
	if _, err := w.conn.Write(w.buf); err != nil {
		return &brokenWrite{err}
	}
	return nil
}

// chunkReader is the other end.
type chunkReader struct {
	conn net.Conn
	buf  []byte
	rest []byte // of the newest record
	err  error
}

func (r *chunkReader) Read(b []byte) (int, error) {
	if len(r.rest) == 0 && r.err == nil && len(b) > 0 {
		r.conn.SetReadDeadline(time.Now().Add(callStall))
		if r.buf, r.err = readRecord(r.conn, maxChunk, r.buf); r.err != nil {
			r.err = fmt.Errorf("the stream broke: %s", explain(r.err))
		} else if len(r.buf) == 0 {
			r.err = io.EOF
		}
		r.rest = r.buf
	}
	if len(r.rest) == 0 && len(b) > 0 {
		return 0, r.err
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (l *Links) serveStream(conn net.Conn, from Identity) {
	r := &chunkReader{conn: conn}
	err := l.cfg.Handler.Stream(from, r)
	writeVerdict(conn, nil, err)
	if r.err == nil {
		// Closing with bytes unread would destroy the verdict on its way.
		conn.SetReadDeadline(time.Now().Add(greetTimeout))
		io.Copy(io.Discard, conn)
	}
}

// Request asks whoever is at addr, a member of the group by its certificate if there is TLS. The error is a *Refusal if the
// other side gave a sentence for an answer. Without a deadline in ctx it waits as long as the other side thinks.
func (l *Links) Request(ctx context.Context, addr string, body []byte) (reply []byte, err error) {
	if len(body) > maxRequest {
		return nil, fmt.Errorf("a request of %d bytes is larger than %d", len(body), maxRequest)
	}
	conn, peer, err := l.dial(ctx, addr, forRequest, Peer{})
	if err != nil {
		return nil, called("request", addr, err)
	}
	defer l.drop(conn)
	unhook := context.AfterFunc(ctx, func() { socketOf(conn).Close() })
	defer unhook()
	if _, err = conn.Write(appendRecord(nil, body)); err == nil {
		reply, err = readVerdict(conn, peer.Name)
	}
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return reply, called("request", addr, err)
}

func (l *Links) serveRequest(conn net.Conn, from Identity) {
	conn.SetReadDeadline(time.Now().Add(callStall))
	body, err := readRecord(conn, maxRequest, nil)
	if err != nil {
		l.refused(conn, fmt.Sprintf("the request of %s cannot be read: %s", from.Name, explain(err)))
		return
	}
	reply, err := l.cfg.Handler.Request(from, body)
	if err == nil && len(reply) > maxRequest {
		err = fmt.Errorf("the answer has %d bytes, more than %d", len(reply), maxRequest)
	}
	writeVerdict(conn, reply, err)
}

func writeVerdict(conn net.Conn, reply []byte, err error) {
	code := []byte{0}
	if err != nil {
		code[0] = 1
		reply = []byte(err.Error())
		reply = reply[:min(len(reply), maxSentence)]
	}
	conn.SetWriteDeadline(time.Now().Add(callStall))
	conn.Write(appendRecord(nil, code, reply))
}

func readVerdict(conn net.Conn, by string) ([]byte, error) {
	b, err := readRecord(conn, maxRequest+1, nil)
	if err != nil {
		return nil, err
	}
	if len(b) == 0 || b[0] > 1 {
		return nil, errors.New("its answer cannot be read")
	}
	if b[0] == 1 {
		return nil, &Refusal{by, printable(b[1:])}
	}
	return b[1:], nil
}
