package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
	keep(all)
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

// child runs TestInheritedChild with sockets passed as systemd does, all by the same name, and returns what it says.
func child(t *testing.T, addresses, name string, sockets ...*os.File) string {
	t.Helper()
	return start(t, addresses, name, sockets...)()
}

// start is child as far as its start; what it returns waits for the end.
func start(t *testing.T, addresses, name string, sockets ...*os.File) (end func() string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" -test.run '^TestInheritedChild$'`, os.Args[0])
	names := strings.TrimSuffix(strings.Repeat(name+":", len(sockets)), ":")
	cmd.Env = append(os.Environ(), passedEnv+"="+addresses, fmt.Sprintf("LISTEN_FDS=%d", len(sockets)), "LISTEN_FDNAMES="+names)
	cmd.ExtraFiles = sockets
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() string {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, &out)
		}
		return out.String()
	}
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

	child(t, ln.Addr().String()+" unix:"+path, "holdfast.socket", one, two)
	for _, client := range clients {
		client.SetReadDeadline(time.Now().Add(10 * time.Second))
		text := make([]byte, 7)
		if _, err := client.Read(text); err != nil || string(text) != "welcome" {
			t.Errorf("%s: %q %v", client.RemoteAddr(), text, err)
		}
	}
	if got := child(t, "127.0.0.1:0", "holdfast.socket", one); !strings.Contains(got, "systemd has opened "+ln.Addr().String()+" for this service and no setting names it") {
		t.Errorf("a socket that no setting names: %s", got)
	}
	if got := child(t, ln.Addr().String(), ""); !strings.Contains(got, "is in use by another process") {
		t.Errorf("a socket that was not passed: %s", got)
	}
}

// systemd is given the ports of clients, passes them to the next life of the daemon, and is told of those that no setting names any more.
func TestKept(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "0.0.0.0", ""} {
		t.Run(host, func(t *testing.T) { testKept(t, host) })
	}
}

func testKept(t *testing.T, host string) {
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: t.TempDir() + "/notify", Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", manager.LocalAddr().String())
	c := config.Default()
	c.RedisListen, c.MemcachedListen, c.AdminListen = []string{host + ":0", "unix:" + t.TempDir() + "/s"}, nil, []string{"127.0.0.1:0"}
	life, err := listenAll(&c, nil)
	if err != nil {
		t.Fatal(err)
	}
	first := only(life, redisPort)[0]
	where := fmt.Sprintf("%s:%d", host, first.port())
	keep(life)
	said, kept := hear(t, manager)
	name := "holdfast " + strings.ReplaceAll(first.Addr().String(), ":", "_")
	if len(kept) != 1 || said != "FDSTORE=1\nFDNAME="+name {
		t.Fatalf("%q, with %d descriptors", said, len(kept))
	}
	defer kept[0].Close()
	closeAll(life)

	local := fmt.Sprintf("127.0.0.1:%d", first.port())
	client, err := net.Dial("tcp", local)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	child(t, where, name, kept[0])
	client.SetReadDeadline(time.Now().Add(10 * time.Second))
	text := make([]byte, 7)
	if _, err := client.Read(text); err != nil || string(text) != "welcome" {
		t.Errorf("a client that came between two lives: %q %v", text, err)
	}
	_, again := hear(t, manager) // it is kept for the life after the next
	again[0].Close()

	other := map[bool]string{true: "0.0.0.0", false: "127.0.0.1"}[host == "127.0.0.1"]
	end := start(t, fmt.Sprintf("%s:%d", other, first.port()), name, kept[0])
	if said, _ := hear(t, manager); said != "FDSTOREREMOVE=1\nFDNAME="+name {
		t.Errorf("an address that no setting names any more: %q", said)
	}
	kept[0].Close()
	said, barrier := hear(t, manager)
	if said != "BARRIER=1" || len(barrier) != 1 {
		t.Fatalf("%q, with %d descriptors", said, len(barrier))
	}
	barrier[0].Close()
	hear(t, manager) // the port at its new address
	if client, err = net.Dial("tcp", local); err != nil {
		t.Fatal(err)
	}
	client.Close()
	end()
}

// hear returns the next message to systemd, and the descriptors with it.
func hear(t *testing.T, manager *net.UnixConn) (said string, files []*os.File) {
	t.Helper()
	manager.SetReadDeadline(time.Now().Add(10 * time.Second))
	b, oob := make([]byte, 4096), make([]byte, 4096)
	n, m, _, _, err := manager.ReadMsgUnix(b, oob)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:m])
	if err != nil {
		t.Fatal(err)
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "kept"))
		}
	}
	return string(b[:n]), files
}

// A setting is at the place where a listener made of it says that it is.
func TestBound(t *testing.T) {
	for host, want := range map[string]string{"127.0.0.1": "127.0.0.1", "": "", "0.0.0.0": "", "[::]": "", "[::1]": "[::1]", "localhost": "127.0.0.1"} {
		if got := bound(config.Listener{Network: "tcp", Address: host + ":6379"}); got != want+":6379" {
			t.Errorf("%q: %s, want %s:6379", host, got, want)
		}
		ln, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Log(err) // a machine without IPv6
			continue
		}
		_, port, _ := net.SplitHostPort(ln.Addr().String())
		if got := place(ln.Addr()); got != want+":"+port {
			t.Errorf("a listener of %q is at %s", host, got)
		}
		ln.Close()
	}
}
