package link

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
)

// Who is let in. With TLS, both sides show a certificate that the group's CA has signed, and it names the member that it
// belongs to: as a DNS name among its subject's alternative names, or as its subject's common name. A member takes part
// only under a name that its certificate names, and messages and streams go only to a member of the expected name. Addresses are
// not checked: a member may move.
//
// Of what Config.TLS returns only Certificates, GetCertificate, GetClientCertificate, RootCAs and Time are used.

var (
	errNoCA   = errors.New("the TLS configuration of this member has no certificate authority for the members (RootCAs)")
	errNoCert = errors.New("the TLS configuration of this member has no certificate of its own")
)

// tlsConfig returns nil for plain TCP.
func (l *Links) tlsConfig() (*tls.Config, error) {
	if l.cfg.TLS == nil {
		return nil, nil
	}
	own := l.cfg.TLS()
	if own == nil || own.RootCAs == nil {
		return nil, errNoCA
	}
	if len(own.Certificates) == 0 && own.GetCertificate == nil {
		return nil, errNoCert
	}
	show := own.GetClientCertificate
	if show == nil && len(own.Certificates) > 0 {
		// The library would show none that the other side will not accept, and the log there could not say whose it was.
		show = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own.Certificates[0], nil }
	}
	return &tls.Config{
		Certificates: own.Certificates, GetCertificate: own.GetCertificate, GetClientCertificate: show, Time: own.Time,
		MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true,
		RootCAs: own.RootCAs, ClientCAs: own.RootCAs, ClientAuth: tls.RequireAndVerifyClientCert,
	}, nil
}

// dialTLS does the handshake of the side that dialed. The library would check the address, which is not what a certificate names here, so it is told to leave the checks
// to verify. The name is compared when the member has said it.
func dialTLS(ctx context.Context, conn net.Conn, cfg *tls.Config) (*tls.Conn, error) {
	cfg.InsecureSkipVerify = true
	cfg.VerifyConnection = func(s tls.ConnectionState) error { return verify(cfg, s.PeerCertificates) }
	c := tls.Client(conn, cfg)
	return c, c.HandshakeContext(ctx)
}

func verify(cfg *tls.Config, chain []*x509.Certificate) error {
	opts := x509.VerifyOptions{Roots: cfg.RootCAs, Intermediates: x509.NewCertPool()}
	if cfg.Time != nil {
		opts.CurrentTime = cfg.Time()
	}
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	if _, err := chain[0].Verify(opts); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return nil
}

// checkName says what is wrong with a member of that name on conn, which has shown its certificate unless it is plain.
func checkName(conn net.Conn, name string) error {
	t, ok := conn.(*tls.Conn)
	if !ok {
		return nil
	}
	leaf := t.ConnectionState().PeerCertificates[0]
	if leaf.Subject.CommonName == name || slices.ContainsFunc(leaf.DNSNames, func(n string) bool { return strings.EqualFold(n, name) }) {
		return nil
	}
	return fmt.Errorf("its certificate (%s) does not name the member %q", describe(leaf), name)
}

// socketOf returns the socket below conn. Connections are closed there: TLS would say goodbye first, and wait for room to say it.
func socketOf(conn net.Conn) net.Conn {
	if t, ok := conn.(*tls.Conn); ok {
		return t.NetConn()
	}
	return conn
}

func describe(c *x509.Certificate) string {
	s := fmt.Sprintf("subject %q, issued by %q", c.Subject.String(), c.Issuer.String())
	if len(c.DNSNames) > 0 {
		s += fmt.Sprintf(", names %q", c.DNSNames)
	}
	return printable([]byte(s))
}

// explain makes a sentence about the other side of what went wrong with a connection, without ports, which differ each time.
func explain(err error) string {
	var invalid *tls.CertificateVerificationError
	if errors.As(err, &invalid) && len(invalid.UnverifiedCertificates) > 0 {
		return fmt.Sprintf("its certificate (%s) is not valid: %v", describe(invalid.UnverifiedCertificates[0]), invalid.Err)
	}
	var foreign tls.RecordHeaderError
	if errors.As(err, &foreign) {
		if string(foreign.RecordHeader[:]) == magic[:len(foreign.RecordHeader)] {
			return "it speaks plain TCP, but not TLS: give both sides certificates, or neither"
		}
		return fmt.Sprintf("it does not speak TLS: it began with %q", printable(foreign.RecordHeader[:]))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return "it does not answer in time"
	}
	var op *net.OpError
	if errors.As(err, &op) {
		if op.Op == "remote error" {
			return fmt.Sprintf("it refuses the TLS handshake, most likely the certificate of this member: %v", op.Err)
		}
		if op.Timeout() {
			return "it does not answer in time"
		}
		return fmt.Sprintf("%s: %v", op.Op, op.Err)
	}
	switch {
	case strings.Contains(err.Error(), "didn't provide a certificate"):
		return "it showed no certificate"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it closed the connection"
	}
	return err.Error()
}
