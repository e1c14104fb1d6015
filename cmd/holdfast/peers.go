package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"time"

	"holdfast/config"
)

// expirySoon is how long before its end a certificate is warned of.
const expirySoon = 30 * 24 * time.Hour

// peerTLS loads the files that c names: nil if it names none.
func peerTLS(c *config.Config, name string, log *slog.Logger) (*certificates, error) {
	if c.PeerCA == "" {
		return nil, nil
	}
	return openCertificates("between members", []string{c.PeerCA, c.PeerCert, c.PeerKey}, log, func() (*tls.Config, error) { return loadPeer(c, name, log) })
}

// loadPeer reads the files and holds them against each other: what is wrong is said here, and not by every connection.
func loadPeer(c *config.Config, name string, log *slog.Logger) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.PeerCert, c.PeerKey)
	if err != nil {
		return nil, fmt.Errorf("settings peer-cert (%s) and peer-key (%s): %w", c.PeerCert, c.PeerKey, err)
	}
	pem, err := readSecret("peer-ca", c.PeerCA)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("setting peer-ca: there is no certificate in %s: write the authority of the group there, PEM", c.PeerCA)
	}
	between := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if issuer, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(issuer)
		}
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
			return nil, fmt.Errorf("setting peer-cert: the other members would refuse %s (%w): make one with 'holdfast cert member %s'", c.PeerCert, err, name)
		}
	}
	if pair.Leaf.VerifyHostname(name) != nil && pair.Leaf.Subject.CommonName != name {
		return nil, fmt.Errorf("setting peer-cert: %s is the certificate of %q and this controller is %q: make one with 'holdfast cert member %s'",
			c.PeerCert, pair.Leaf.Subject.CommonName, name, name)
	}
	if left := time.Until(pair.Leaf.NotAfter); left < expirySoon {
		log.Warn("the certificate of this member ends soon: make a new one with 'holdfast cert member', it is read when it is there", "file", c.PeerCert, "until", pair.Leaf.NotAfter)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS13}, nil
}
