package main

import (
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// systemd keeps the clients' ports open while the daemon restarts (sd_notify(3), FDSTORE): who comes meanwhile waits a moment for it and is not refused. It
// lets go of them when the service is stopped or has failed. The ports of members and for administration are not kept: there a refusal is an answer.

// keptPrefix begins the name by which systemd knows a kept listener; its address follows.
const keptPrefix = "holdfast "

// keptName is such a name. systemd allows no colon in it.
func keptName(where string) string { return keptPrefix + strings.ReplaceAll(where, ":", "_") }

// keep has systemd keep the clients' ports. Without systemd, or if the unit does not provide for it (FileDescriptorStoreMax=), nothing happens.
func keep(all []open) {
	for _, o := range all {
		if !keepable(o) {
			continue
		}
		if raw, err := o.Listener.(*net.TCPListener).SyscallConn(); err == nil {
			raw.Control(func(fd uintptr) { pass(int(fd), "FDSTORE=1\nFDNAME="+keptName(o.Addr().String())) })
		}
	}
}

// release has systemd close what keep gave it.
func release(all []open) {
	for _, o := range all {
		if keepable(o) {
			forget(o.Addr().String())
		}
	}
}

// keepable says whether o is a port of clients. A Unix socket is none: its name goes when the daemon ends.
func keepable(o open) bool {
	_, tcp := o.Listener.(*net.TCPListener)
	return tcp && o.protocol != adminPort && o.protocol != peerPort
}

// pass passes a descriptor to systemd, and what it is for.
func pass(fd int, what string) {
	to := os.Getenv("NOTIFY_SOCKET")
	if to == "" {
		return
	}
	if s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0); err == nil {
		unix.Sendmsg(s, []byte(what), unix.UnixRights(fd), &unix.SockaddrUnix{Name: to}, 0)
		unix.Close(s)
	}
}

// forget has systemd close what it kept for an address.
func forget(where string) { notify("FDSTOREREMOVE=1\nFDNAME=" + keptName(where)) }

// barrier waits until systemd has done what it was told, for a second at most (sd_notify_barrier(3)).
func barrier() {
	told, untold, err := os.Pipe()
	if err != nil {
		return
	}
	defer told.Close()
	if raw, err := untold.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { pass(int(fd), "BARRIER=1") })
	}
	untold.Close()
	told.SetReadDeadline(time.Now().Add(time.Second))
	told.Read(make([]byte, 1)) // ends when systemd has closed the other end
}
