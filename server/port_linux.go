package server

import (
	"net"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// open makes p fast if its listener has a descriptor.
func (p *port) open() {
	if ln, ok := p.listener.(interface{ File() (*os.File, error) }); ok {
		var err error
		p.file, err = ln.File()
		p.fast = err == nil
	}
}

func (p *port) acceptSocket() error {
	rc, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	var fd int
	var peer unix.Sockaddr
	var errno error
	if err = rc.Read(func(l uintptr) bool {
		fd, peer, errno = unix.Accept4(int(l), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		return errno != unix.EAGAIN
	}); err != nil {
		return err
	}
	switch errno {
	case nil:
	case unix.EINTR, unix.ECONNABORTED:
		return nil
	default:
		return os.NewSyscallError("accept4", errno)
	}
	if !p.admit() {
		if len(p.refusal) > 0 {
			transmit(fd, p.refusal)
		}
		unix.Close(fd)
		return nil
	}
	p.tune(fd)
	local, _ := unix.Getsockname(fd)
	c := &sock{fd: fd}
	c.driver = c
	c.loop = p.settle(&c.Conn, p.sockAddr(peer), p.sockAddr(local)).(*loop)
	c.woken.Store(true)
	c.enqueue()
	return nil
}

// tune sets what net would set. Errors do not matter: a connection without these options works.
func (p *port) tune(fd int) {
	if _, ok := p.listener.Addr().(*net.TCPAddr); !ok {
		return
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	idle := int(p.server.config.KeepAlive / time.Second)
	if idle == 0 {
		return
	}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, idle)
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, keepInterval)
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepCount)
}

func (p *port) sockAddr(sa unix.Sockaddr) string {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return net.JoinHostPort(net.IP(a.Addr[:]).String(), strconv.Itoa(a.Port))
	case *unix.SockaddrInet6:
		return net.JoinHostPort(net.IP(a.Addr[:]).String(), strconv.Itoa(a.Port))
	}
	return p.listener.Addr().String()
}
