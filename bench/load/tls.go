//go:build linux

package load

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"time"
)

// secure is one TLS connection in a goroutine of its own, closed loop.
type secure struct {
	worker
	conn    *tls.Conn
	replies replies
}

func (r *run) connectTLS() (workers []*worker, serve []func() error, err error) {
	pem, err := os.ReadFile(r.cfg.CA)
	if err != nil {
		return nil, nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, nil, fmt.Errorf("%s has no certificate in PEM", r.cfg.CA)
	}
	for i := range r.cfg.Conns {
		c, err := tls.Dial("tcp", r.cfg.Addr, &tls.Config{RootCAs: roots})
		if err != nil {
			return nil, nil, fmt.Errorf("TLS to %s: %w", r.cfg.Addr, err)
		}
		s := &secure{worker: worker{run: r, src: newSource(r.cfg, i, r.cfg.Conns)}, conn: c}
		workers, serve = append(workers, &s.worker), append(serve, s.loop)
	}
	return workers, serve, nil
}

func (s *secure) loop() error {
	defer s.conn.Close()
	in := make([]byte, 32<<10)
	for {
		t0 := s.run.now()
		b, n := s.src.fill()
		if n == 0 || s.over(t0) {
			return nil
		}
		if err := s.conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if _, err := s.conn.Write(b); err != nil {
			return err
		}
		for pending := n; pending > 0; {
			k, err := s.conn.Read(in)
			if err != nil {
				return err
			}
			done, err := s.replies.feed(in[:k], s.run.cfg.Protocol[0], &s.seen)
			if err != nil {
				return err
			}
			pending -= done
		}
		s.record(t0, s.run.now(), n, s.src.single())
	}
}
