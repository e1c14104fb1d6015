package transfer

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Ports where an address names none.
const (
	redisPort     = "6379"
	memcachedPort = "11211"
	maxServers    = 64
	maxDatabase   = 1 << 16
)

// Address is a server, or several memcached servers that share the keys out.
type Address struct {
	Scheme   string // redis, rediss (TLS), unix or memcached
	Hosts    []string
	User     string
	Password string
	Database int // -1 for all
	// TLS is used with rediss; nil stands for the authorities of the system.
	TLS *tls.Config
}

// Memcached says which protocol the server speaks.
func (a *Address) Memcached() bool { return a.Scheme == "memcached" }

// ParseAddress reads redis://[[user:]password@]host[:port][/db], rediss:// for TLS, unix:///path[?db=n] or memcached://host[:port][,host...].
// No database in it stands for all.
func ParseAddress(text string) (*Address, error) {
	bad := func(why string) error {
		return fmt.Errorf("%s: write redis://[[user:]password@]host[:port][/db], rediss:// for TLS, unix:///path, or memcached://host[:port][,host...]", why)
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return nil, bad("the address has no scheme")
	}
	a := &Address{Scheme: scheme, Database: -1}
	if a.Memcached() {
		for _, host := range strings.Split(strings.TrimSuffix(rest, "/"), ",") {
			if host == "" || strings.ContainsAny(host, "/@? \t\r\n") || len(a.Hosts) == maxServers {
				return nil, bad("the list of memcached servers is not right")
			}
			a.Hosts = append(a.Hosts, withPort(host, memcachedPort))
		}
		return a, nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, bad("the address is not understood") // the error of url.Parse has the password in it
	}
	db := strings.Trim(u.Path, "/")
	switch scheme {
	case "unix":
		a.Hosts, db = []string{u.Path}, ""
	case "redis", "rediss":
		if u.Hostname() == "" {
			return nil, bad("the address names no host")
		}
		a.Hosts = []string{withPort(u.Host, redisPort)}
	default:
		return nil, bad(fmt.Sprintf("the scheme %.20q is unknown", scheme))
	}
	a.User = u.User.Username()
	if password, ok := u.User.Password(); ok {
		a.Password = password
	} else {
		a.User, a.Password = "", a.User
	}
	if q := u.Query().Get("db"); q != "" {
		db = q
	}
	if db != "" {
		if a.Database, err = strconv.Atoi(db); err != nil || a.Database < 0 || a.Database > maxDatabase {
			return nil, bad(fmt.Sprintf("%.20q is no database", db))
		}
	}
	return a, nil
}

// withPort completes host with a port unless it has one.
func withPort(host, port string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

// conn is a connection to one server. Whatever fails ends it.
type conn struct {
	net.Conn
	in    *bufio.Reader
	out   []byte // to be sent
	where string
}

func (a *Address) dial(host string) (*conn, error) {
	network := "tcp"
	if a.Scheme == "unix" {
		network = "unix"
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, network, host)
	if err == nil && a.Scheme == "rediss" {
		name, _, _ := net.SplitHostPort(host)
		conf := a.TLS.Clone()
		if conf == nil {
			conf = new(tls.Config)
		}
		conf.ServerName = name
		secure := tls.Client(nc, conf)
		if err = secure.HandshakeContext(ctx); err != nil {
			nc.Close()
		}
		nc = secure
	}
	if err != nil {
		return nil, fmt.Errorf("no connection to %s: %w", host, err)
	}
	return &conn{Conn: nc, in: bufio.NewReaderSize(nc, 64<<10), where: host}, nil
}

// flush sends what is in out, within ioTimeout, which also counts for the answers.
func (c *conn) flush() error {
	if err := c.SetDeadline(time.Now().Add(ioTimeout)); err != nil {
		return err
	}
	_, err := c.Write(c.out)
	c.out = c.out[:0]
	if err != nil {
		return c.lost(err)
	}
	return nil
}

func (c *conn) lost(err error) error { return fmt.Errorf("the connection to %s: %w", c.where, err) }

// Close closes it; nothing is left to say.
func (c *conn) Close() { c.Conn.Close() }

func openSource(a *Address) (source, error) {
	if a.Memcached() {
		return openMemcachedSource(a)
	}
	return openRedis(a)
}

func openTarget(a *Address) (target, error) {
	if a.Memcached() {
		return openMemcached(a)
	}
	return openRedis(a)
}
