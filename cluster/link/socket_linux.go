package link

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// vanished is after how long a peer that acknowledges nothing is given up.
	vanished = 3 * time.Second
	// resend is the least time after which what is not acknowledged is sent again. The system's own 200 ms, doubled each time, are the life of a lease.
	resend = 40 * time.Millisecond
	// acknowledge is the longest time that the acknowledgement of a packet may wait for company: well below the peer's resend.
	acknowledge = 10 * time.Millisecond
)

// setSocket makes the system notice a peer that has vanished, whether bytes are on their way to it or not, and send again soon what a link lost
// (RFC 6298; the two settings for that are those of Linux 6.17: where an older one refuses them, a link that loses packets is slower).
func setSocket(c net.Conn) {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	t.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 3})
	if raw, err := t.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(vanished.Milliseconds()))
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_RTO_MIN_US, int(resend.Microseconds()))
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DELACK_MAX_US, int(acknowledge.Microseconds()))
		})
	}
}

// writeNow writes what the socket takes without waiting.
func writeNow(fd uintptr, b []byte) (int, error) {
	for len(b) > 0 {
		n, err := syscall.Write(int(fd), b)
		switch err {
		case nil:
			return n, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, nil
		default:
			return 0, err
		}
	}
	return 0, nil
}
