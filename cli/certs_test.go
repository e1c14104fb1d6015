package cli_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCert(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	for _, args := range []string{"ca", "member c1 --host 10.0.0.1,ctl1.example", "member c2"} {
		if code, stdout, stderr, _ := run(t, nil, append(strings.Fields("cert "+args), "--dir", dir)...); code != 0 || !strings.Contains(stdout, "years") {
			t.Fatal(args, code, stdout, stderr)
		}
	}
	for name, mode := range map[string]os.FileMode{"ca.pem": 0o644, "ca-key.pem": 0o600, "c1.pem": 0o644, "c1-key.pem": 0o600} {
		if fi, err := os.Stat(filepath.Join(dir, name)); err != nil || fi.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", name, fi, err)
		}
	}
	code, stdout, stderr, _ := run(t, nil, "cert", "member", "c3", "--dir", dir)
	if code != 0 || !strings.Contains(stdout, filepath.Join(dir, "c3-key.pem")+" to /etc/holdfast on c3") || !strings.Contains(stdout, `peer-ca   = "/etc/holdfast/ca.pem"`) {
		t.Error(code, stdout, stderr)
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "c1.pem"), filepath.Join(dir, "c1-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	for _, name := range []string{"c1", "10.0.0.1", "ctl1.example"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
			t.Error(name, err)
		}
	}
	for _, args := range []string{"ca", "member c1"} {
		if code, _, stderr, _ := run(t, nil, append(strings.Fields("cert "+args), "--dir", dir)...); code != 1 || !strings.Contains(stderr, "is there already and is not overwritten") {
			t.Error(args, code, stderr)
		}
	}
	// A key without its certificate is not overwritten either, and leaves no certificate behind.
	if err := os.Remove(filepath.Join(dir, "c2.pem")); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr, _ := run(t, nil, "cert", "member", "c2", "--dir", dir); code != 1 || !strings.Contains(stderr, "c2-key.pem is there already") {
		t.Error(code, stderr)
	}
	if _, err := os.Stat(filepath.Join(dir, "c2.pem")); err == nil {
		t.Error("a certificate without its key")
	}
}
