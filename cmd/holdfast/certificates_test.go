package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"holdfast/config"
)

// clients makes c, whose certificates are those of members, show them to clients.
func clients(c *config.Config) *config.Config {
	c.TLSClientCA, c.TLSCert, c.TLSKey = c.PeerCA, c.PeerCert, c.PeerKey
	return c
}

func TestClientCertificatesAreReadAgain(t *testing.T) {
	old, next := clients(certs(t, "c1")), certs(t, "c1")
	k, err := clientTLS(old, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", k.server())
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go io.Copy(c, c)
		}
	}()
	if early, _ := dialTLS(t, ln.Addr(), next); echo(early) {
		t.Error("a client of an authority that is not known yet comes in")
	}
	first, shownFirst := dialTLS(t, ln.Addr(), old)
	if !echo(first) {
		t.Fatal("a client with the right certificate does not come in")
	}
	later := time.Now().Add(time.Minute)
	replace(t, old.TLSCert, next.PeerCert, later)
	replace(t, old.TLSKey, next.PeerKey, later)
	replace(t, old.TLSClientCA, next.PeerCA, later)
	second, shownSecond := dialTLS(t, ln.Addr(), next)
	if bytes.Equal(shownFirst, shownSecond) || !echo(second) {
		t.Error("the new certificates are not in use")
	}
	if !echo(first) {
		t.Error("the connection that was there is gone")
	}
	if none, _ := dialTLS(t, ln.Addr(), nil); echo(none) {
		t.Error("a client without a certificate comes in")
	}
}

// dialTLS connects with the certificate of c, nil for none, and returns what the other side shows.
func dialTLS(t *testing.T, addr net.Addr, c *config.Config) (*tls.Conn, []byte) {
	t.Helper()
	conf := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS13}
	if c != nil {
		pair, err := tls.LoadX509KeyPair(c.PeerCert, c.PeerKey)
		if err != nil {
			t.Fatal(err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	conn, err := tls.Dial("tcp", addr.String(), conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, conn.ConnectionState().PeerCertificates[0].Raw
}

// echo says whether the other side answers.
func echo(c *tls.Conn) bool {
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, "x"); err != nil {
		return false
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err == nil
}
