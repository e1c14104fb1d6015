package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"holdfast/config"
)

// greet says in a few lines what is served, where, how durable, and what to type next.
func (d *process) greet(out io.Writer) {
	c := d.config
	fmt.Fprintf(out, "holdfast %s on %s serves\n", versionName(), d.name)
	title := map[string]string{redisPort: "Redis", sentinelPort: "Sentinel", memcachePort: "memcached", adminPort: "admin", peerPort: "members"}
	for _, o := range d.listeners {
		where := o.where()
		if o.protocol == adminPort && o.asked.Network == "tcp" {
			where = "http://" + where
		}
		if o.asked.TLS {
			where += " (TLS)"
		}
		fmt.Fprintf(out, "  %-10s %s\n", title[o.protocol], where)
	}
	if g := d.group; len(g.Join) > 0 {
		fmt.Fprintf(out, "  %-10s that of %s\n", "group", strings.Join(g.Join, ", "))
	} else if len(g.Members) > 0 {
		var names []string
		for _, m := range g.Members {
			names = append(names, m.Name)
		}
		fmt.Fprintf(out, "  %-10s %s\n", "group", strings.Join(names, ", "))
	}
	switch c.Durability {
	case "memory":
		fmt.Fprintf(out, "  %-10s nothing on disk: a restart begins empty (durability memory)\n", "data")
	case "always":
		fmt.Fprintf(out, "  %-10s %s, a write is on disk before it is acknowledged (durability always)\n", "data", c.Data)
	default:
		fmt.Fprintf(out, "  %-10s %s, a write is on disk within a second, a crash of the daemon loses none (durability second)\n", "data", c.Data)
	}
	fmt.Fprintf(out, "  %-10s %s at most (memory-limit)\n", "memory", sizeOr(c.MemoryLimit, "no limit"))
	fmt.Fprintln(out, "try")
	if where, port := d.host.first(redisPort); port != 0 {
		host, _, _ := net.SplitHostPort(where)
		fmt.Fprintf(out, "  redis-cli -p %d -h %s ping\n", port, host)
	}
	if where, port := d.host.first(memcachePort); port != 0 {
		host, _, _ := net.SplitHostPort(where)
		fmt.Fprintf(out, "  printf 'version\\r\\nquit\\r\\n' | nc %s %d\n", host, port)
	}
	for _, o := range only(d.listeners, adminPort)[:min(1, len(c.AdminListen))] {
		fmt.Fprintf(out, "  %s status --admin %s\n", os.Args[0], o.where())
	}
	fmt.Fprintln(out, "stop with Ctrl-C or SIGTERM")
}

func sizeOr(n config.Size, otherwise string) string {
	if n == 0 {
		return otherwise
	}
	return n.String()
}
