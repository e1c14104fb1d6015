package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"holdfast/config"
)

// expirySoon is how long before its end a certificate is warned of.
const expirySoon = 30 * 24 * time.Hour

// credentials are what a member shows the others and trusts, from three files that are read again when they have changed.
type credentials struct {
	name string // of this member
	ca   string // file names
	cert string
	key  string
	log  *slog.Logger

	mu     sync.Mutex
	stamps [3]stamp
	config *tls.Config // what was last good
}

// stamp tells one version of a file from the next.
type stamp struct {
	size    int64
	changed time.Time
}

// peerTLS loads the files that c names: nil if it names none.
func peerTLS(c *config.Config, name string, log *slog.Logger) (*credentials, error) {
	if c.PeerCA == "" {
		return nil, nil
	}
	k := &credentials{name: name, ca: c.PeerCA, cert: c.PeerCert, key: c.PeerKey, log: log}
	k.stamps = k.look()
	var err error
	if k.config, err = k.load(); err != nil {
		return nil, err
	}
	return k, nil
}

// now returns what is valid for a connection that begins now. Any goroutine may call it.
func (k *credentials) now() *tls.Config {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := k.look(); now != k.stamps {
		k.stamps = now
		if c, err := k.load(); err != nil {
			k.log.Error("the certificates between members have changed and are not good: the old ones stay in use", "error", err)
		} else {
			k.config = c
			k.log.Info("the certificates between members were read again")
		}
	}
	return k.config
}

func (k *credentials) look() (all [3]stamp) {
	for i, name := range []string{k.ca, k.cert, k.key} {
		if fi, err := os.Stat(name); err == nil {
			all[i] = stamp{fi.Size(), fi.ModTime()}
		}
	}
	return all
}

// load reads the files and holds them against each other: what is wrong is said here, and not by every connection.
func (k *credentials) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(k.cert, k.key)
	if err != nil {
		return nil, fmt.Errorf("settings peer-cert (%s) and peer-key (%s): %w", k.cert, k.key, err)
	}
	pem, err := readSecret("peer-ca", k.ca)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("setting peer-ca: there is no certificate in %s: write the authority of the group there, PEM", k.ca)
	}
	between := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
			return nil, fmt.Errorf("setting peer-cert: the other members would refuse %s (%w): make one with 'holdfast cert member %s'", k.cert, err, k.name)
		}
	}
	if pair.Leaf.VerifyHostname(k.name) != nil && pair.Leaf.Subject.CommonName != k.name {
		return nil, fmt.Errorf("setting peer-cert: %s is the certificate of %q and this controller is %q: make one with 'holdfast cert member %s'",
			k.cert, pair.Leaf.Subject.CommonName, k.name, k.name)
	}
	if left := time.Until(pair.Leaf.NotAfter); left < expirySoon {
		k.log.Warn("the certificate of this member ends soon: make a new one with 'holdfast cert member', it is read when it is there", "file", k.cert, "until", pair.Leaf.NotAfter)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS13}, nil
}
