package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"holdfast/config"
)

// passedEnv tells a process of TestInherited which addresses it is configured for.
const passedEnv = "HOLDFAST_TEST_PASSED"

// In the process that systemd, played by the test, has started: all listeners answer one client.
func TestInheritedChild(t *testing.T) {
	addresses := os.Getenv(passedEnv)
	if addresses == "" {
		t.Skip("it is run by TestInherited")
	}
	c := config.Default()
	c.RedisListen, c.MemcachedListen, c.AdminListen = strings.Fields(addresses), nil, nil
	all, err := listenAll(&c, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, o := range all {
		client, err := o.Accept()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(client, "welcome")
		client.Close()
	}
	closeAll(all)
}

// child runs TestInheritedChild with sockets passed as systemd does.
func child(t *testing.T, addresses string, sockets ...*os.File) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" -test.run '^TestInheritedChild$'`, os.Args[0])
	cmd.Env = append(os.Environ(), passedEnv+"="+addresses, fmt.Sprintf("LISTEN_FDS=%d", len(sockets)))
	cmd.ExtraFiles = sockets
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	return string(out)
}

// A client that comes before the daemon is there waits, and is served.
func TestInherited(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	path := t.TempDir() + "/s"
	local, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	var clients []net.Conn
	for network, address := range map[string]string{"tcp": ln.Addr().String(), "unix": path} {
		client, err := net.Dial(network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		clients = append(clients, client)
	}
	one, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	two, err := local.(*net.UnixListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()

	child(t, ln.Addr().String()+" unix:"+path, one, two)
	for _, client := range clients {
		client.SetReadDeadline(time.Now().Add(10 * time.Second))
		text := make([]byte, 7)
		if _, err := client.Read(text); err != nil || string(text) != "welcome" {
			t.Errorf("%s: %q %v", client.RemoteAddr(), text, err)
		}
	}
	if got := child(t, "127.0.0.1:0", one); !strings.Contains(got, "systemd has opened "+ln.Addr().String()+" for this service and no setting names it") {
		t.Errorf("a socket that no setting names: %s", got)
	}
	if got := child(t, ln.Addr().String()); !strings.Contains(got, "is in use by another process") {
		t.Errorf("a socket that was not passed: %s", got)
	}
}

func TestBound(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:6379": "127.0.0.1:6379", ":6379": "[::]:6379", "0.0.0.0:6379": "0.0.0.0:6379", "[::1]:6379": "[::1]:6379", "localhost:6379": "127.0.0.1:6379",
	} {
		if got := bound(config.Listener{Network: "tcp", Address: address}); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
