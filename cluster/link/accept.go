package link

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync/atomic"
	"time"
)

func (l *Links) accept() {
	defer l.done.Done()
	wait := minBackoff
	for {
		conn, err := l.cfg.Listener.Accept()
		switch {
		case err == nil:
			wait = minBackoff
			l.admit(conn)
		case l.ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default: // out of descriptors, most likely: others will close theirs
			l.cfg.Logger.Warn("cannot accept connections of members", "because", err)
			select {
			case <-time.After(wait):
			case <-l.ctx.Done():
				return
			}
			wait = min(2*wait, maxBackoff)
		}
	}
}

// admit serves conn, if there are not too many. Whoever connects and says nothing does not keep members out: the oldest of
// those must go.
func (l *Links) admit(conn net.Conn) {
	if !l.track(conn) {
		return
	}
	l.mu.Lock()
	full := l.accepted >= maxAccepted
	if !full {
		l.accepted++
		l.greeting = append(l.greeting, conn)
		if len(l.greeting) > maxGreeting {
			l.greeting[0].Close()
			l.greeting = slices.Delete(l.greeting, 0, 1)
		}
		l.done.Add(1)
	}
	l.mu.Unlock()
	if full {
		l.refused(conn, fmt.Sprintf("there are %d already", maxAccepted))
		l.drop(conn)
		return
	}
	go l.serve(conn)
}

func (l *Links) serve(socket net.Conn) {
	defer l.done.Done()
	defer func() {
		l.greeted(socket)
		l.drop(socket)
		l.mu.Lock()
		l.accepted--
		l.mu.Unlock()
	}()
	setSocket(socket)
	socket.SetDeadline(time.Now().Add(greetTimeout))
	conn, h, err := l.welcome(socket)
	if err != nil {
		l.refused(socket, explain(err))
		return
	}
	socket.SetDeadline(time.Time{})
	l.greeted(socket)
	switch h.purpose {
	case forMessages, forUrgent:
		l.receive(conn, h)
	case forStream:
		l.serveStream(conn, h.self)
	case forRequest:
		l.serveRequest(conn, h.self)
	}
}

// greeted takes socket off the list of those that have not yet said who they are.
func (l *Links) greeted(socket net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.greeting, socket); i >= 0 {
		l.greeting = slices.Delete(l.greeting, i, i+1)
	}
}

// welcome does the handshakes of the side that was dialed, until the deadline of socket.
func (l *Links) welcome(socket net.Conn) (conn net.Conn, h hello, err error) {
	cfg, err := l.tlsConfig()
	if err != nil {
		return nil, h, err
	}
	conn = socket
	if cfg != nil {
		t := tls.Server(socket, cfg)
		if err := t.HandshakeContext(l.ctx); err != nil {
			if errors.As(err, new(tls.RecordHeaderError)) {
				socket.Write(appendRefusal(nil, "it speaks TLS only: give both sides certificates, or neither"))
			}
			return nil, h, err
		}
		conn = t
	}
	body, err := readGreeting(conn)
	if errors.Is(err, errForeign) {
		conn.Write(appendRefusal(nil, "that is not the peer protocol of Holdfast")) // tells TLS, too, what is wrong
	}
	if err != nil {
		return nil, h, err
	}
	self := l.cfg.Self()
	h, err = parseHello(body)
	if err != nil {
		err = fmt.Errorf("its hello cannot be read: %w", err)
	}
	var version uint16
	if err == nil {
		version, err = l.judge(conn, h, self)
	}
	if err != nil {
		conn.Write(appendRefusal(nil, err.Error()))
		return nil, h, err
	}
	_, err = conn.Write(appendAnswer(nil, version, self))
	return conn, h, err
}

// judge says whether this member has to do with who said h.
func (l *Links) judge(conn net.Conn, h hello, self Identity) (version uint16, err error) {
	version, err = choose(hello{lowest: lowestVersion, highest: highestVersion, self: self}, h)
	if err == nil {
		err = checkName(conn, h.self.Name)
	}
	if err == nil && h.to != 0 && h.to != self.ID {
		err = fmt.Errorf("here is the member %q with the id %x, not %x", self.Name, self.ID, h.to)
	}
	if err == nil && (h.purpose < forMessages || h.purpose > forRequest) {
		err = fmt.Errorf("the purpose %d of the connection is not known to version %d", h.purpose, version)
	}
	return version, err
}

// refused logs why a connection was not taken, unless there are too many of those.
func (l *Links) refused(conn net.Conn, sentence string) {
	if l.ctx.Err() != nil {
		return
	}
	if ok, silent := l.strikes.next(time.Now().UnixNano()); ok {
		l.cfg.Logger.Warn("refused a connection to the port for members", "from", conn.RemoteAddr().String(), "because", sentence, "unlogged", silent)
	}
}

// strikes lets 10 lines be logged in 10 seconds, and counts the others.
type strikes struct {
	began, used, silent atomic.Int64
}

func (s *strikes) next(now int64) (ok bool, silent int64) {
	if began := s.began.Load(); now-began > int64(10*time.Second) && s.began.CompareAndSwap(began, now) {
		s.used.Store(0)
	}
	if s.used.Add(1) > 10 {
		s.silent.Add(1)
		return false, 0
	}
	return true, s.silent.Swap(0)
}

// inboundKey is what a peer has one connection for.
type inboundKey struct {
	id      uint64
	purpose purpose
}

// inbound is a connection on which messages come.
type inbound struct {
	conn  net.Conn // the socket
	bytes atomic.Uint64
	done  chan struct{} // closed when no message of it is delivered any more
}

// receive delivers messages until the connection breaks or the peer comes with a new one.
func (l *Links) receive(conn net.Conn, h hello) {
	in := &inbound{conn: socketOf(conn), done: make(chan struct{})}
	if l.replace(h, in) {
		l.welcomeBack(h)
		err := l.deliver(conn, h.self, in)
		if l.ctx.Err() == nil && h.purpose == forMessages {
			if !errors.Is(err, io.EOF) {
				l.cfg.Logger.Warn("lost the connection from a member", "member", h.self.Name, "because", explain(err))
			}
			l.cfg.Handler.Down(h.self)
		}
	}
	l.mu.Lock()
	if k := (inboundKey{h.self.ID, h.purpose}); l.inbound[k] == in {
		delete(l.inbound, k)
	}
	l.mu.Unlock()
	close(in.done)
}

// replace makes in the connection of its peer, and waits for the end of an older one, so that no message overtakes. False:
// a still newer one has come meanwhile, or h was for an id that this member no longer has.
func (l *Links) replace(h hello, in *inbound) bool {
	k := inboundKey{h.self.ID, h.purpose}
	l.mu.Lock()
	if h.to != l.id {
		l.mu.Unlock()
		return false
	}
	old := l.inbound[k]
	l.inbound[k] = in
	if old != nil {
		old.conn.Close()
	}
	l.mu.Unlock()
	if old == nil {
		return true
	}
	<-old.done
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inbound[k] == in
}

// welcomeBack makes the lane to a peer that has just come dial without delay.
func (l *Links) welcomeBack(h hello) {
	p := (*l.peers.Load())[h.self.ID]
	if p == nil {
		return
	}
	for _, n := range p.lanes {
		select {
		case n.kick <- struct{}{}:
		default:
		}
	}
}

// deliver returns io.EOF when the peer has closed the connection between two messages.
func (l *Links) deliver(conn net.Conn, from Identity, in *inbound) error {
	var (
		buf      = make([]byte, firstRead)
		messages [][]byte
		held     int // bytes in buf
	)
	for {
		n, err := conn.Read(buf[held:])
		held += n
		in.bytes.Add(uint64(n))
		var used, size int
		var broken error
		messages, used, size, broken = split(buf[:held], maxMessage, messages[:0])
		if len(messages) > 0 {
			if err := l.cfg.Handler.Receive(from, messages); err != nil {
				return fmt.Errorf("a message cannot be understood: %w", err)
			}
			clear(messages)
		}
		if broken != nil {
			return broken
		}
		if err != nil {
			if held > used {
				err = noEOF(err)
			}
			return err
		}
		buf, held = makeRoom(buf, used, held, size)
	}
}

// makeRoom moves what is not used to the front, and sees to it that there is room for more of a record of size bytes. The
// buffer grows with what has come, not with what was announced.
func makeRoom(buf []byte, used, held, size int) ([]byte, int) {
	rest := buf[used:held]
	switch {
	case len(rest) == 0 && !keep(len(buf), held):
		return make([]byte, firstRead), 0
	case len(rest) == len(buf):
		larger := make([]byte, min(2*len(buf), size))
		return larger, copy(larger, rest)
	case used > 0:
		return buf, copy(buf, rest)
	}
	return buf, held
}
