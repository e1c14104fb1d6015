package cli_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
)

// answers accepts connections that read its answer to whatever they say, or nothing if that is empty.
func answers(t *testing.T, answer string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go func() {
				bufio.NewReader(c).ReadString('\n')
				c.Write([]byte(answer))
			}()
		}
	}()
	return l.Addr().String()
}

// answersTLS is a port inside TLS, which may want a certificate first.
func answersTLS(t *testing.T, auth tls.ClientAuthType) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(nil)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.TLS = &tls.Config{ClientAuth: auth}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

func TestPing(t *testing.T) {
	gone := answers(t, "")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	pong, plain, denied, version := answers(t, "+PONG\r\n"), answers(t, "+PONG\r\n"), answers(t, "-NOAUTH no\r\n"), answers(t, "VERSION 1\r\n")
	notReady := answers(t, "HTTP/1.0 503 Service Unavailable\r\n\r\nnot ready\n")
	for _, c := range []struct {
		name, redis, redisTLS, memcached, admin string
		err                                     string // empty: alive
	}{
		{"all answer", pong, "", version, notReady, ""},
		{"a password is wanted", denied, "", "", "", ""},
		{"the redis port alone", pong, "", "", "", ""},
		{"one is silent", pong, "", gone, notReady, "memcached-listen: no answer at " + gone},
		{"the admin port is silent", pong, "", version, gone, "admin-listen: no answer at " + gone},
		{"nobody listens", closed, "", version, notReady, "redis-listen: nobody listens at " + closed},
		{"inside TLS", pong, answersTLS(t, tls.NoClientCert), "", "", ""},
		{"a certificate is wanted", pong, answersTLS(t, tls.RequireAnyClientCert), "", "", ""},
		{"what answers is no TLS", pong, plain, version, notReady, "redis-tls-listen: no answer"},
	} {
		environ := []string{"HOLDFAST_REDIS_LISTEN=" + c.redis, "HOLDFAST_MEMCACHED_LISTEN=" + c.memcached, "HOLDFAST_ADMIN_LISTEN=" + c.admin}
		if c.redisTLS != "" {
			environ = append(environ, "HOLDFAST_REDIS_TLS_LISTEN="+c.redisTLS, "HOLDFAST_TLS_CERT=c.pem", "HOLDFAST_TLS_KEY=k.pem")
		}
		code, stdout, stderr, _ := run(t, environ, "ping", "--within", "200ms")
		if alive := c.err == ""; alive != (code == 0) || alive != (stdout == "alive\n") || !strings.Contains(stderr, c.err) {
			t.Errorf("%s: %d %s%s", c.name, code, stdout, stderr)
		}
	}
}
