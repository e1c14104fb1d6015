// Package cert makes the certificates by which the members of a group know each other: Authority first, then Member.
//
// It gets the time and gives the texts of files; it may not touch the clock, the system or the network.
package cert

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"time"
)

// How long certificates are valid, and how far before now that begins: clocks differ.
const (
	AuthorityYears = 10
	MemberYears    = 3
	before         = 24 * time.Hour
)

// Pair is a certificate and its private key, PEM.
type Pair struct{ Cert, Key []byte }

// Authority makes the authority of a group. Whoever has its key can make members.
func Authority(now time.Time) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	t, err := template("Holdfast group authority", now, now.AddDate(AuthorityYears, 0, 0))
	if err != nil {
		return Pair{}, err
	}
	t.IsCA, t.MaxPathLenZero = true, true
	t.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	return pair(t, t, key, key)
}

// Member makes the certificate of the member called name, which may also be reached as hosts: names or addresses. It serves for
// both ends of a connection, and is valid no longer than its authority.
func (a Pair) Member(name string, hosts []string, now time.Time) (Pair, error) {
	parent, signer, err := a.parse()
	if err != nil {
		return Pair{}, err
	}
	until := now.AddDate(MemberYears, 0, 0)
	if until.After(parent.NotAfter) {
		until = parent.NotAfter
	}
	if !now.Before(until) {
		return Pair{}, fmt.Errorf("the authority is valid until %s: make a new one", parent.NotAfter.UTC().Format(time.DateOnly))
	}
	t, err := template(name, now, until)
	if err != nil {
		return Pair{}, err
	}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, h := range append([]string{name}, hosts...) {
		if ip, err := netip.ParseAddr(h); err == nil {
			t.IPAddresses = append(t.IPAddresses, ip.Unmap().AsSlice())
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, err
	}
	return pair(t, parent, key, signer)
}

// Ends returns until when the certificate is valid.
func (p Pair) Ends() (time.Time, error) {
	block, _ := pem.Decode(p.Cert)
	if block == nil {
		return time.Time{}, errors.New("the certificate is not PEM")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return time.Time{}, fmt.Errorf("the certificate: %w", err)
	}
	return c.NotAfter, nil
}

// template is what every certificate has. The serial number is random: nobody counts.
func template(name string, now, until time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-before), NotAfter: until,
		BasicConstraintsValid: true,
	}, nil
}

// pair signs t, which is about key.
func pair(t, parent *x509.Certificate, key *ecdsa.PrivateKey, signer crypto.Signer) (Pair, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), signer)
	if err != nil {
		return Pair{}, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}, nil
}

// parse reads an authority back.
func (a Pair) parse() (*x509.Certificate, crypto.Signer, error) {
	cb, _ := pem.Decode(a.Cert)
	kb, _ := pem.Decode(a.Key)
	if cb == nil || kb == nil {
		return nil, nil, errors.New("the files of the authority are not PEM")
	}
	c, err := x509.ParseCertificate(cb.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("the certificate of the authority: %w", err)
	}
	k, err := x509.ParsePKCS8PrivateKey(kb.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("the key of the authority: %w", err)
	}
	signer, ok := k.(crypto.Signer)
	if !ok || !c.IsCA {
		return nil, nil, errors.New("what should be the authority is no certificate authority")
	}
	if p, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !p.Equal(c.PublicKey) {
		return nil, nil, errors.New("the key is not that of the authority's certificate")
	}
	return c, signer, nil
}
