//go:build linux

package group

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// mtu is far larger than an Ethernet's: every packet costs this process two system calls.
const mtu = 16000

// address is the peer address of host number i.
func address(i int) string { return fmt.Sprint("10.74.20.", i+1) }

// Link is how packets travel from one host to another. The zero Link is a good one.
type Link struct {
	Cut    bool
	Loss   float64       // the share of packets that is lost, 0 to 1
	Delay  time.Duration // of every packet
	Jitter time.Duration // further delay, evenly distributed; no packet overtakes another
}

// network is the switch between the hosts: each has a TUN device, whose packets are read here and written to the addressee's.
type network struct {
	mu    sync.RWMutex
	ports []*os.File
	links [][]Link            // from, to
	late  [][]chan latePacket // from, to; belongs to the forwarder of from, nil before the link is slow for the first time
}

// latePacket is under way on a slow link.
type latePacket struct {
	due  time.Time
	data []byte
}

// lateMost is how many packets a slow link holds; what comes then is lost, as in any queue.
const lateMost = 10000

func newNetwork(hosts int) *network {
	n := &network{ports: make([]*os.File, hosts), links: make([][]Link, hosts), late: make([][]chan latePacket, hosts)}
	for i := range n.links {
		n.links[i] = make([]Link, hosts)
		n.late[i] = make([]chan latePacket, hosts)
	}
	return n
}

// plug makes the TUN device of a host, on whose thread it is called, and brings it and loopback up.
func (n *network) plug(index int) error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	r, err := unix.NewIfreq("hf0")
	if err == nil {
		r.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, r)
	}
	if err == nil {
		err = errors.Join(configure("hf0", index), configure("lo", -1))
	}
	if err != nil {
		unix.Close(fd)
		return fmt.Errorf("TUN device: %w", err)
	}
	port := os.NewFile(uintptr(fd), "tun")
	n.mu.Lock()
	n.ports[index] = port
	n.mu.Unlock()
	go n.forward(index, port)
	return nil
}

// configure gives an interface of the calling thread's namespace its address (for index < 0 it has one) and brings it up.
func configure(name string, index int) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(s)
	set := func(request uint, value func(*unix.Ifreq) error) {
		r, e := unix.NewIfreq(name)
		if e == nil {
			e = value(r)
		}
		if e == nil {
			e = unix.IoctlIfreq(s, request, r)
		}
		err = errors.Join(err, e)
	}
	if index >= 0 {
		set(unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr([]byte{10, 74, 20, byte(index + 1)}) })
		set(unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr([]byte{255, 255, 255, 0}) })
		set(unix.SIOCSIFMTU, func(r *unix.Ifreq) error { r.SetUint32(mtu); return nil })
	}
	set(unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil })
	return err
}

func (n *network) unplug(index int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.ports[index]; p != nil {
		p.Close()
		n.ports[index] = nil
	}
}

// forward carries what one host sends until its port is closed.
func (n *network) forward(from int, port *os.File) {
	packet := make([]byte, mtu)
	for {
		size, err := port.Read(packet)
		if err != nil {
			return
		}
		const header = 20
		if size < header || packet[0]>>4 != 4 {
			continue
		}
		to := int(packet[19]) - 1
		if to < 0 || to >= len(n.ports) || to == from {
			continue
		}
		n.mu.RLock()
		link := n.links[from][to]
		n.mu.RUnlock()
		if link.Cut || link.Loss > 0 && rand.Float64() < link.Loss {
			continue
		}
		if slow := n.late[from][to]; slow != nil || link.Delay > 0 || link.Jitter > 0 {
			if slow == nil {
				slow = make(chan latePacket, lateMost)
				n.late[from][to] = slow
				defer close(slow)
				go n.deliverLate(to, slow)
			}
			due := time.Now().Add(link.Delay)
			if link.Jitter > 0 {
				due = due.Add(rand.N(link.Jitter))
			}
			select {
			case slow <- latePacket{due, append([]byte(nil), packet[:size]...)}:
			default:
			}
			continue
		}
		n.deliver(to, packet[:size])
	}
}

// deliverLate delivers the packets of a link that was slow once, in order.
func (n *network) deliverLate(to int, slow <-chan latePacket) {
	for p := range slow {
		time.Sleep(time.Until(p.due))
		n.deliver(to, p.data)
	}
}

// deliver hands a packet to a host; what it cannot take is lost, as on any wire.
func (n *network) deliver(to int, packet []byte) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if p := n.ports[to]; p != nil {
		p.Write(packet)
	}
}

// Apart reports whether the members have hosts of their own: only then there are links and disks to disturb.
func (g *Group) Apart() bool { return g.network != nil }

// Links sets the links from each of some members to each of others (not to themselves).
func (g *Group) Links(from, to []*Member, l Link) {
	g.network.mu.Lock()
	defer g.network.mu.Unlock()
	for _, a := range from {
		for _, b := range to {
			if a != b {
				g.network.links[a.host.index][b.host.index] = l
			}
		}
	}
}

// Isolate sets all links between a member and the others, both ways.
func (g *Group) Isolate(m *Member, l Link) {
	g.Links([]*Member{m}, g.Members, l)
	g.Links(g.Members, []*Member{m}, l)
}
