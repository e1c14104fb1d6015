package main

import (
	"cmp"
	"net"
	"slices"
	"time"

	"holdfast/admin"
	"holdfast/server"
)

// maxClientsShown are the hosts that are named, those with the most bytes.
const maxClientsShown = 100

// work is what clients have had done, for the admin port.
func (d *process) work() admin.Work {
	w := admin.Work{At: time.Now().UTC(), Clients: []admin.Client{}, Commands: map[string]map[string]uint64{
		redisPort: d.dialects.redis.Calls(), memcachePort: d.dialects.memcache.Calls(),
	}}
	type key struct{ host, protocol string }
	byHost := map[key]*admin.Client{}
	if s := d.host.server.Load(); s != nil {
		s.Each(func(c *server.Conn) {
			k := key{hostOf(c.RemoteAddr()), protocolOf(c.Port())}
			if byHost[k] == nil {
				byHost[k] = &admin.Client{Host: k.host, Protocol: k.protocol}
			}
			in, out := c.Bytes()
			byHost[k].Connections++
			byHost[k].Input += in
			byHost[k].Output += out
		})
	}
	for _, c := range byHost {
		w.Clients = append(w.Clients, *c)
	}
	slices.SortFunc(w.Clients, func(a, b admin.Client) int {
		return cmp.Or(cmp.Compare(b.Input+b.Output, a.Input+a.Output), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Protocol, b.Protocol))
	})
	w.Clients = w.Clients[:min(len(w.Clients), maxClientsShown)]
	return w
}

// hostOf is the address without the port; that of a Unix socket is its path.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}
