package cert_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"time"

	"holdfast/cli/cert"
)

// at is the time of all tests.
var at = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

func authority(t *testing.T) cert.Pair {
	t.Helper()
	a, err := cert.Authority(at)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func member(t *testing.T, a cert.Pair, name string, hosts ...string) cert.Pair {
	t.Helper()
	m, err := a.Member(name, hosts, at)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// config is what a member has that trusts ca.
func config(t *testing.T, ca, own cert.Pair, now time.Time) *tls.Config {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca.Cert) {
		t.Fatal("no authority")
	}
	c, err := tls.X509KeyPair(own.Cert, own.Key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{c}, RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
		Time: func() time.Time { return now }, MinVersion: tls.VersionTLS13,
	}
}

// shake returns what the dialling side and the other one think of each other.
func shake(server, client *tls.Config, name string) (dialled, accepted error) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	client.ServerName = name
	done := make(chan error, 1)
	go func() {
		c := tls.Server(a, server)
		err := c.Handshake()
		if err == nil {
			_, err = c.Write([]byte("x"))
		}
		a.Close()
		done <- err
	}()
	c := tls.Client(b, client)
	dialled = c.Handshake()
	if dialled == nil {
		_, dialled = c.Read(make([]byte, 1))
	}
	b.Close()
	return dialled, <-done
}

func TestHandshake(t *testing.T) {
	a, other := authority(t), authority(t)
	c1, c2 := member(t, a, "c1", "10.0.0.1", "ctl1.example", "fd00::1"), member(t, a, "c2")
	stranger := member(t, other, "c2")
	for _, name := range []string{"c1", "10.0.0.1", "ctl1.example", "fd00::1"} {
		if d, s := shake(config(t, a, c1, at), config(t, a, c2, at), name); d != nil || s != nil {
			t.Errorf("%s: %v, %v", name, d, s)
		}
	}
	for what, wrong := range map[string]func() (error, error){
		"a member under another name": func() (error, error) { return shake(config(t, a, c1, at), config(t, a, c2, at), "c3") },
		"a client of another group":   func() (error, error) { return shake(config(t, a, c1, at), config(t, a, stranger, at), "c1") },
		"a server of another group":   func() (error, error) { return shake(config(t, other, stranger, at), config(t, a, c1, at), "c2") },
		"a member after its last year": func() (error, error) {
			return shake(config(t, a, c1, at), config(t, a, c2, at.AddDate(cert.MemberYears, 0, 1)), "c1")
		},
		"the authority as a member": func() (error, error) { return shake(config(t, a, a, at), config(t, a, c2, at), "c1") },
	} {
		if d, s := wrong(); d == nil || s == nil {
			t.Errorf("%s is let in: %v, %v", what, d, s)
		}
	}
}

func TestWrongAuthorities(t *testing.T) {
	a, b := authority(t), authority(t)
	for want, p := range map[string]cert.Pair{
		"are not PEM":                            {},
		"is no certificate authority":            member(t, a, "c1"),
		"the key is not that of the authority's": {Cert: a.Cert, Key: b.Key},
		"the certificate of the authority":       {Cert: a.Key, Key: a.Key},
		"the key of the authority":               {Cert: a.Cert, Key: a.Cert},
	} {
		if _, err := p.Member("c2", nil, at); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := a.Member("c2", nil, at.AddDate(cert.AuthorityYears, 0, 0)); err == nil || !strings.Contains(err.Error(), "valid until 2040-05-01") {
		t.Error(err)
	}
}
