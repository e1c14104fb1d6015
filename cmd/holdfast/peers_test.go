package main

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"holdfast/cli"
	"holdfast/config"
)

// certs makes an authority and a member's certificate in a new directory and returns their files.
func certs(t *testing.T, name string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	for _, args := range [][]string{{"cert", "ca", "--dir", dir}, {"cert", "member", name, "--dir", dir}} {
		var out bytes.Buffer
		if code := (cli.Program{}).Run(args, io.Discard, &out); code != 0 {
			t.Fatal(out.String())
		}
	}
	c := config.Default()
	c.PeerCA, c.PeerCert, c.PeerKey = filepath.Join(dir, "ca.pem"), filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem")
	return &c
}

func replace(t *testing.T, to, from string, at time.Time) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err == nil {
		err = os.Chtimes(to, at, at)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func shown(c *tls.Config) []byte { return c.Certificates[0].Certificate[0] }

func TestPeerCertificatesAreReadAgain(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	old, next := certs(t, "c1"), certs(t, "c1")
	k, err := peerTLS(old, "c1", log)
	if err != nil {
		t.Fatal(err)
	}
	first := k.now()
	if k.now() != first {
		t.Error("read again without need")
	}
	// Half of the new files: the certificate does not belong to the key. The old ones stay in use.
	later := time.Now().Add(time.Minute)
	replace(t, old.PeerCert, next.PeerCert, later)
	if k.now() != first {
		t.Error("a certificate without its key is shown")
	}
	replace(t, old.PeerKey, next.PeerKey, later)
	replace(t, old.PeerCA, next.PeerCA, later)
	if got := k.now(); got == first || bytes.Equal(shown(got), shown(first)) {
		t.Error("the new certificate is not shown")
	}
}

func TestWrongPeerCertificates(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	mine, other := certs(t, "c1"), certs(t, "c1")
	for want, change := range map[string]func(c *config.Config){
		"the other members would refuse": func(c *config.Config) { c.PeerCA = other.PeerCA },
		"settings peer-cert (":           func(c *config.Config) { c.PeerKey = other.PeerKey },
		"there is no certificate in":     func(c *config.Config) { c.PeerCA = c.PeerKey },
		"setting peer-ca: open ":         func(c *config.Config) { c.PeerCA += "x" },
		`the certificate of "c1" and this controller is "c9": make one with`: func(c *config.Config) { c.Name = "c9" },
	} {
		c := *mine
		c.Name = "c1"
		change(&c)
		if _, err := peerTLS(&c, c.Name, log); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	c := config.Default()
	if k, err := peerTLS(&c, "c1", log); k != nil || err != nil {
		t.Error(k, err)
	}
}
