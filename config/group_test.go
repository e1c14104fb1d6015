package config_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/config"
)

// ofThree is the configuration of a controller in three lines.
func ofThree(name, listen string) config.Config {
	c := config.Default()
	c.Name, c.PeerListen = name, listen
	c.Members = []string{"c1=127.0.0.1", "c2=127.0.0.2:7420", "c3=127.0.0.3"}
	return c
}

var three = []config.Peer{{Name: "c1", Address: "127.0.0.1:7420"}, {Name: "c2", Address: "127.0.0.2:7420"}, {Name: "c3", Address: "127.0.0.3:7420"}}

func TestGroup(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*config.Config)
		address string
		members []config.Peer
	}{
		"three lines":   {func(c *config.Config) {}, "127.0.0.1:7420", three},
		"port given":    {func(c *config.Config) { c.PeerListen = "127.0.0.1:7420" }, "127.0.0.1:7420", three},
		"all addresses": {func(c *config.Config) { c.PeerListen, c.Insecure = ":7420", true }, "127.0.0.1:7420", three},
		"only the others": {
			func(c *config.Config) { c.Members = []string{"c2=127.0.0.2", "c3=127.0.0.3"} },
			"127.0.0.1:7420", []config.Peer{three[1], three[2], three[0]},
		},
		"address apart": {
			func(c *config.Config) {
				c.Members, c.PeerAddress = []string{"c2=127.0.0.2", "c3=127.0.0.3"}, "ctl1.example:17420"
			},
			"ctl1.example:17420", []config.Peer{three[1], three[2], {Name: "c1", Address: "ctl1.example:17420"}},
		},
		"by host names": {
			func(c *config.Config) { c.Members[0] = "c1=ctl1.example" },
			"ctl1.example:7420", []config.Peer{{Name: "c1", Address: "ctl1.example:7420"}, three[1], three[2]},
		},
		"name not known yet": {func(c *config.Config) { c.Name = "" }, "127.0.0.1:7420", three},
		"IPv6": {
			func(c *config.Config) { c.PeerListen, c.Members = "::1", []string{"c1=[::1]", "c2=fe80::2"} },
			"[::1]:7420", []config.Peer{{Name: "c1", Address: "[::1]:7420"}, {Name: "c2", Address: "[fe80::2]:7420"}},
		},
		"alone until others join": {func(c *config.Config) { c.Members = nil }, "127.0.0.1:7420", three[:1]},
	} {
		c := ofThree("c1", "127.0.0.1")
		test.change(&c)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		g, err := c.Group()
		want := test.members
		if name == "alone until others join" {
			want = nil
		}
		if err != nil || g.Address != test.address || !slices.Equal(g.Members, want) || g.Listen.Setting != "peer-listen" {
			t.Errorf("%s: %+v %v", name, g, err)
		}
	}
	c := config.Default()
	c.Name, c.PeerListen, c.Join = "c4", "127.0.0.4", []string{"127.0.0.1", "127.0.0.2:7421"}
	if g, err := c.Group(); err != nil || !slices.Equal(g.Join, []string{"127.0.0.1:7420", "127.0.0.2:7421"}) || g.Address != "127.0.0.4:7420" || len(g.Members) != 0 {
		t.Errorf("%+v %v", g, err)
	}
	c = config.Default()
	if g, err := c.Group(); err != nil || !c.Alone() || g.Address != "" {
		t.Errorf("%+v %v", g, err)
	}
}

func TestWrongGroups(t *testing.T) {
	for want, f := range map[string]func(*config.Config){
		`there are settings of a group and peer-listen is empty`:                              func(c *config.Config) { c.PeerListen = "" },
		`settings members and join are both there`:                                            func(c *config.Config) { c.Join = []string{"127.0.0.2"} },
		`setting members has "c2": write name=host:port`:                                      func(c *config.Config) { c.Members[1] = "c2" },
		`setting members: c2: "127.0.0.2:x" is no address of a member`:                        func(c *config.Config) { c.Members[1] = "c2=127.0.0.2:x" },
		`setting members names c1 twice`:                                                      func(c *config.Config) { c.Members[1] = "c1=127.0.0.2" },
		`setting members gives c1 and c2 the same address 127.0.0.1:7420`:                     func(c *config.Config) { c.Members[1] = "c2=127.0.0.1:7420" },
		`setting members has "c2=0.0.0.0", which is no address of one machine`:                func(c *config.Config) { c.Members[1] = "c2=0.0.0.0" },
		`setting members has 9: at most 7`:                                                    func(c *config.Config) { c.Members = strings.Fields("c1=a c2=b c3=c c4=d c5=e c6=f c7=g c8=h c9=i") },
		`setting members calls the controller at 127.0.0.1:7420 c1, and its name is other`:    func(c *config.Config) { c.Name = "other" },
		`setting members has this controller, c1, at 127.0.0.1:7420, and peer-address is x:1`: func(c *config.Config) { c.PeerAddress = "x:1" },
		`setting peer-address is "0.0.0.0": write host:port by which`:                         func(c *config.Config) { c.PeerAddress = "0.0.0.0" },
		`setting peer-listen is :7420, by which the other members cannot find this`:           func(c *config.Config) { c.PeerListen, c.Members = ":7420", c.Members[1:] },
		`setting peer-listen: "127.0.0.1:0" is no address of a member`:                        func(c *config.Config) { c.PeerListen = "127.0.0.1:0" },
		`setting peer-listen: "unix:/x" is no address of a member`:                            func(c *config.Config) { c.PeerListen = "unix:/x" },
		`setting join: "a b" is no address of a member`:                                       func(c *config.Config) { c.Members, c.Join = nil, []string{"a b"} },
		`setting peer-listen is 10.0.0.1:7420, which others can reach, and is not encrypted: make certificates with 'holdfast cert'`: func(c *config.Config) {
			c.PeerListen = "10.0.0.1"
		},
		`settings redis-listen and peer-listen both have 127.0.0.1:6379`: func(c *config.Config) { c.PeerListen = "127.0.0.1:6379" },
		`of the settings peer-ca, peer-cert and peer-key some are missing`: func(c *config.Config) {
			c.PeerCert = "c"
		},
		`setting lease is 285ms: it must be below promise, which is 300ms, less drift, which is 5`: func(c *config.Config) { c.Lease = 285 * time.Millisecond },
		`setting heartbeat is 101ms: it must be at most a third of promise`:                        func(c *config.Config) { c.Heartbeat = 101 * time.Millisecond },
		`setting drift is 0: allowed is 1 to 50`:                                                   func(c *config.Config) { c.Drift = 0 },
		`setting reads is "local": write one of lease, readindex`:                                  func(c *config.Config) { c.Reads = "local" },
	} {
		c := ofThree("c1", "127.0.0.1")
		f(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("\n got %v\nwant %s", err, want)
		}
	}
}

func TestGroupWithTLS(t *testing.T) {
	c := ofThree("c1", "10.0.0.1")
	c.Members, c.PeerCA, c.PeerCert, c.PeerKey = []string{"c1=10.0.0.1", "c2=10.0.0.2", "c3=10.0.0.3"}, "ca.pem", "c1.pem", "c1-key.pem"
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestWarnings(t *testing.T) {
	c := ofThree("c1", "127.0.0.1")
	if w := c.Warnings(); len(w) != 0 {
		t.Error(w)
	}
	c.Members = append(c.Members, "c4=127.0.0.4")
	c.HoldMemcached, c.Durability = 2*time.Second, "memory"
	all := strings.Join(c.Warnings(), "\n")
	for _, want := range []string{"setting members has 4: a group of 4 may lose no more of them than one of 3", "setting hold-memcached is 2s", "setting durability is memory"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in %s", want, all)
		}
	}
}

func FuzzPeer(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "a:1", "::1", "[::1]", "[::1]:7", ":7420", "fe80::1%lo"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		address, err := config.ParsePeer(text)
		if err != nil {
			return
		}
		if again, err := config.ParsePeer(address); err != nil || again != address {
			t.Errorf("%q: %q, then %q %v", text, address, again, err)
		}
	})
}
