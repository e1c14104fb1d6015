package crash_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A key gets the class that the settings give to its database or its prefix.
func TestClasses(t *testing.T) {
	d := start(t, "--data", filepath.Join(t.TempDir(), "data"), "--redis-classes", "0=coordination,3=session,5=token")
	r := dial(t, d.redis)
	for _, db := range []string{"0", "3", "5", "9"} {
		r.ask(t, "SELECT "+db)
		r.ask(t, "SET k v")
	}
	m := dial(t, d.memcached)
	for _, key := range []string{":1:django.contrib.sessions.cacheabc", "_TOOZ_GROUP_LIST", "__TOOZ_LOCK_x", "_lockabc", "tokens/abc"} {
		m.ask(t, "set "+key+" 0 0 1\r\nv")
	}
	var got struct {
		Classes map[string]struct{ Keys int }
	}
	_, page := d.page("/status")
	if err := json.Unmarshal([]byte(page), &got); err != nil {
		t.Fatal(err)
	}
	for class, want := range map[string]int{"coordination": 1 + 3, "session": 1 + 1, "token": 1, "cache": 1 + 1} {
		if got.Classes[class].Keys != want {
			t.Errorf("%d keys of class %s, want %d", got.Classes[class].Keys, class, want)
		}
	}
}

func TestTooManyClients(t *testing.T) {
	d := start(t, "--data", filepath.Join(t.TempDir(), "data"), "--max-clients", "1")
	c := dial(t, d.redis)
	c.ask(t, "PING")
	for address, want := range map[string]string{d.redis: "-ERR max number of clients reached", d.memcached: "ERROR Too many open connections"} {
		if s, err := dial(t, address).line(); s != want {
			t.Errorf("%q (%v), want %q", s, err, want)
		}
	}
}

// What is too large for the limits ends with the original's error; what an operator may expect to fit, fits.
func TestLargeRequests(t *testing.T) {
	d := start(t, "--data", filepath.Join(t.TempDir(), "data"))
	c := dial(t, d.redis)
	big := strings.Repeat("x", 10<<20)
	c.Write(resp("SET", "big", big))
	if got, err := c.line(); got != "+OK" {
		t.Fatalf("a value of 10 MiB: %q (%v)", got, err)
	}
	if got := c.gets(t, []string{"big"})[0]; got != big {
		t.Errorf("%d bytes came back", len(got))
	}
	for address, step := range map[string][2]string{
		d.redis:     {"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$104857600\r\nxxx", "-ERR Protocol error: invalid bulk length"},
		d.memcached: {"set k 0 0 104857600\r\nxxx", "SERVER_ERROR object too large for cache"},
	} {
		c := dial(t, address)
		io.WriteString(c, step[0])
		if got, err := c.line(); got != step[1] {
			t.Errorf("a value of 100 MiB: %q (%v), want %q", got, err, step[1])
		}
	}
}

func TestPasswords(t *testing.T) {
	dir := t.TempDir()
	secret, users := filepath.Join(dir, "secret"), filepath.Join(dir, "users")
	os.WriteFile(secret, []byte("s3cret\n"), 0o600)
	os.WriteFile(users, []byte("nova:n0va\n\nkeystone:k3y\n"), 0o600)
	d := start(t, "--data", filepath.Join(dir, "data"), "--redis-password-file", secret, "--redis-users", "admin", "--memcached-auth-file", users)
	r := dial(t, d.redis)
	for _, step := range [][2]string{
		{"GET k", "-NOAUTH"}, {"AUTH wrong", "-WRONGPASS"}, {"AUTH nobody s3cret", "-WRONGPASS"},
		{"AUTH s3cret", "+OK"}, {"AUTH default s3cret", "+OK"}, {"AUTH admin s3cret", "+OK"}, {"SET k v", "+OK"},
	} {
		if got := r.ask(t, step[0]); !strings.HasPrefix(got, step[1]) {
			t.Errorf("%s: %q, want %q", step[0], got, step[1])
		}
	}
	m := dial(t, d.memcached)
	for _, step := range [][2]string{{"get k", "CLIENT_ERROR unauthenticated"}, {"set x 0 0 12\r\nkeystone k3y", "STORED"}, {"get k", "END"}} {
		if got := m.ask(t, step[0]); got != step[1] {
			t.Errorf("%q: %q, want %q", step[0], got, step[1])
		}
	}
}

// Plain and TLS ports stand side by side; with tls-client-ca nobody comes in by TLS without a certificate.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, dir)
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "tls.sock")
	d := start(t, "--data", filepath.Join(dir, "data"), "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", cert,
		"--redis-tls-listen", "unix:"+socket)
	dial(t, d.redis).ask(t, "SET k v")

	roots := x509.NewCertPool()
	text, _ := os.ReadFile(cert)
	roots.AppendCertsFromPEM(text)
	ask := func(certs ...tls.Certificate) string {
		nc, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(patience))
		c := tls.Client(nc, &tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: certs})
		c.Write([]byte("GET k\r\n"))
		s, _ := bufio.NewReader(c).ReadString('\n')
		return s
	}
	if got := ask(pair); got != "$1\r\n" {
		t.Errorf("with a certificate: %q", got)
	}
	if got := ask(); got != "" {
		t.Errorf("without a certificate: %q", got)
	}
}

// certificate writes one that signs itself.
func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", keyDER)
}

// systemd is told when clients are served, and when that ends.
func TestSystemd(t *testing.T) {
	dir := t.TempDir()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	socket.SetDeadline(time.Now().Add(patience))
	t.Setenv("NOTIFY_SOCKET", filepath.Join(dir, "notify"))
	d := start(t, "--data", filepath.Join(dir, "data"))
	hear := func(want string) {
		t.Helper()
		if said, err := heard(socket); said != want {
			t.Errorf("systemd hears %q (%v), want %q", said, err, want)
		}
	}
	hear(kept(d.redis))
	hear(kept(d.memcached))
	hear("READY=1")
	d.stop()
	hear("STOPPING=1")
}

// heard is the next message to systemd.
func heard(socket *net.UnixConn) (string, error) {
	b := make([]byte, 200)
	n, err := socket.Read(b)
	return string(b[:n]), err
}

// kept is how systemd is asked to keep a port open while the daemon restarts.
func kept(address string) string {
	return "FDSTORE=1\nFDNAME=holdfast " + strings.ReplaceAll(address, ":", "_")
}

// A controller whose group cannot be formed yet is ready after a while for systemd, which would end it otherwise, and for nobody else.
func TestSystemdBeforeTheGroup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	socket.SetDeadline(time.Now().Add(patience))
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own := free.Addr().String()
	free.Close()
	cmd := command("--name=c1", "--data="+filepath.Join(dir, "data"), "--peer-listen="+own, "--members=c1="+own+",c2=127.0.0.1:2")
	var said strings.Builder
	cmd.Stderr = &said
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	for range 2 { // ports of clients
		if said, err := heard(socket); !strings.HasPrefix(said, kept("")) {
			t.Fatalf("systemd hears %q (%v) first", said, err)
		}
	}
	for _, want := range []string{"READY=1", "STOPPING=1"} {
		if heard, err := heard(socket); heard != want {
			cmd.Process.Kill()
			cmd.Wait()
			t.Fatalf("systemd hears %q (%v), want %q\n%s", heard, err, want, &said)
		}
		if took := time.Since(begin); want == "READY=1" && took < 5*time.Second {
			t.Errorf("ready after %s", took)
		}
		begin = time.Now()
		cmd.Process.Signal(syscall.SIGTERM)
	}
	if err := cmd.Wait(); err != nil || time.Since(begin) > 3*time.Second {
		t.Errorf("it ended with %v after %s", err, time.Since(begin))
	}
}
