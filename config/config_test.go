package config_test

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"holdfast/config"
)

var update = flag.Bool("update", false, "write the generated documents anew")

func TestDefaultIsValid(t *testing.T) {
	c := config.Default()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestSettingsAreDocumented(t *testing.T) {
	c := config.Default()
	seen := map[string]bool{}
	for _, s := range c.Settings() {
		if s.Key == "" || s.Doc == "" || s.Group == "" || !strings.HasSuffix(s.Doc, ".") {
			t.Errorf("%+v: wants a key, a group and a sentence", s.Key)
		}
		if seen[s.Key] {
			t.Errorf("%s is there twice", s.Key)
		}
		seen[s.Key] = true
		text := s.String()
		if err := s.Set(text); err != nil {
			t.Errorf("its own default %q: %v", text, err)
		}
		if s.String() != text {
			t.Errorf("%s: %q came back as %q", s.Key, text, s.String())
		}
	}
}

func TestGeneratedDocuments(t *testing.T) {
	for file, want := range map[string]string{
		"../docs/settings.md":        config.Markdown(),
		"../packaging/holdfast.toml": config.Example(),
	} {
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		have, err := os.ReadFile(file)
		if err != nil || string(have) != want {
			t.Errorf("%s is stale (%v): run make docs", file, err)
		}
	}
}

// The example must say exactly the defaults once its comment signs are taken away.
func TestExampleIsTheDefault(t *testing.T) {
	var lines []string
	for _, line := range strings.Split(config.Example(), "\n") {
		if rest, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(rest, " ") {
			lines = append(lines, rest)
		}
	}
	var c config.Config
	if err := c.ApplyFile("example", []byte(strings.Join(lines, "\n"))); err != nil {
		t.Fatal(err)
	}
	d := config.Default()
	want := d.Settings()
	for i, s := range c.Settings() {
		if s.String() != want[i].String() {
			t.Errorf("%s: %q, want %q", s.Key, s, want[i])
		}
	}
}

func TestPrecedenceAndForms(t *testing.T) {
	c := config.Default()
	file := `
data = "/srv/a"
memory-limit = "512MiB"
max-request = 1048576
max-clients = 50
insecure = true
idle-timeout = "1h"
redis-listen = ["10.0.0.1:6379", "unix:/run/h.sock"]
memcached-listen = []
`
	if err := c.ApplyFile("f.toml", []byte(file)); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=/bin", "HOLDFAST_DATA=/srv/b", "HOLDFAST_REDIS_LISTEN=127.0.0.1:1, 127.0.0.1:2", "HOLDFAST_CONFIG=x"}
	if err := c.ApplyEnv(env, "HOLDFAST_CONFIG"); err != nil {
		t.Fatal(err)
	}
	if c.Data != "/srv/b" || c.MemoryLimit != 512<<20 || c.MaxRequest != 1<<20 || c.MaxClients != 50 || !c.Insecure || c.IdleTimeout != time.Hour {
		t.Errorf("%+v", c)
	}
	if len(c.RedisListen) != 2 || c.RedisListen[1] != "127.0.0.1:2" || len(c.MemcachedListen) != 0 {
		t.Errorf("%q %q", c.RedisListen, c.MemcachedListen)
	}
}

func TestWrongFiles(t *testing.T) {
	for text, want := range map[string]string{
		`redis-lisen = []`:           `f.toml: there is no setting "redis-lisen"; did you mean "redis-listen"?`,
		`colour = "red"`:             `there is no setting "colour"; 'holdfast config' lists all`,
		"[server]\nport = 1":         `there is no setting "server"`,
		`redis-listen = "a:1"`:       `setting redis-listen is "a:1": write a list of texts such as ["a", "b"]`,
		`redis-listen = [1]`:         `setting redis-listen is "[1]": write a list`,
		`max-clients = "many"`:       `setting max-clients is "many": write a whole number`,
		`max-clients = 1.5`:          `setting max-clients is "1.5": write it as max-clients = 10000`,
		`hold-redis = 3`:             `setting hold-redis is "3": write it as hold-redis = "3s"`,
		`memory-limit = "64MB"`:      `setting memory-limit is "64MB": write a size such as`,
		`memory-limit = -1`:          `setting memory-limit is "-1"`,
		`insecure = "perhaps"`:       `setting insecure is "perhaps": write true or false`,
		`redis-password = 12345`:     `setting redis-password is "(hidden)"`,
		`data = "unclosed`:           `f.toml is not valid TOML`,
		"data = \"a\"\ndata = \"b\"": `f.toml is not valid TOML`,
	} {
		c := config.Default()
		err := c.ApplyFile("f.toml", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s:\n got %v\nwant %s", text, err, want)
		}
	}
}

func TestWrongEnvironment(t *testing.T) {
	c := config.Default()
	err := c.ApplyEnv([]string{"HOLDFAST_DURABILTY=always", "HOLDFAST_LOOPS=x"})
	for _, want := range []string{"HOLDFAST_DURABILTY; did you mean \"HOLDFAST_DURABILITY\"?", "environment variable HOLDFAST_LOOPS: setting loops is \"x\""} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestValidate(t *testing.T) {
	type change = func(*config.Config)
	for want, f := range map[string]change{
		`setting durability is "sometimes": write one of always, second, memory`: func(c *config.Config) { c.Durability = "sometimes" },
		`setting memory-limit is 1MiB: allowed is at least 64MiB; 0: no limit`:   func(c *config.Config) { c.MemoryLimit = 1 << 20 },
		`setting loops is -1: allowed is at most 64`:                             func(c *config.Config) { c.Loops = -1 },
		`setting max-clients is 0: allowed is 1 to 1000000`:                      func(c *config.Config) { c.MaxClients = 0 },
		`setting name is "a b"`:                               func(c *config.Config) { c.Name = "a b" },
		`setting data is empty`:                               func(c *config.Config) { c.Data = "" },
		`setting redis-listen: "6379" is no address`:          func(c *config.Config) { c.RedisListen = []string{"6379"} },
		`setting redis-listen: "::1:6379" is no address`:      func(c *config.Config) { c.RedisListen = []string{"::1:6379"} },
		`setting admin-listen: "unix:run/x" is no socket`:     func(c *config.Config) { c.AdminListen = []string{"unix:run/x"} },
		`are empty and so are those for TLS: name an address`: func(c *config.Config) { c.RedisListen, c.MemcachedListen = nil, nil },
		`settings redis-listen and memcached-listen both have 127.0.0.1:1`: func(c *config.Config) {
			c.RedisListen, c.MemcachedListen = []string{"127.0.0.1:1"}, []string{"127.0.0.1:1"}
		},
		`setting redis-listen has :6379, which others can reach, and is not encrypted: use redis-tls-listen in its place, or set insecure = true`: func(c *config.Config) { c.RedisListen = []string{":6379"} },
		`setting memcached-tls-listen has 10.0.0.1:1, which others can reach, and anybody may use it: set tls-client-ca`: func(c *config.Config) {
			c.MemcachedTLSListen, c.TLSCert, c.TLSKey = []string{"10.0.0.1:1"}, "c", "k"
		},
		`setting redis-tls-listen has 10.0.0.1:1, which others can reach, and anybody may use it: set redis-password-file`: func(c *config.Config) {
			c.RedisTLSListen, c.TLSCert, c.TLSKey = []string{"10.0.0.1:1"}, "c", "k"
		},
		`setting admin-listen has 0.0.0.0:8630, which others can reach`:    func(c *config.Config) { c.AdminListen = []string{"0.0.0.0:8630"} },
		`there are TLS listeners and no certificate`:                       func(c *config.Config) { c.RedisTLSListen = []string{"127.0.0.1:1"} },
		`only one is there: set both`:                                      func(c *config.Config) { c.TLSKey = "k" },
		`setting tls-client-ca is "ca" and there are no TLS listeners`:     func(c *config.Config) { c.TLSClientCA = "ca" },
		`setting redis-classes has "16=cache": write a database from 0 to`: func(c *config.Config) { c.RedisClasses = []string{"16=cache"} },
		`setting redis-classes names database 1 twice`:                     func(c *config.Config) { c.RedisClasses = []string{"1=cache", "1=token"} },
		`setting memcached-classes has "x=gold": write a pattern of`:       func(c *config.Config) { c.MemcachedClasses = []string{"x=gold"} },
		`setting sentinel-masters has "a b"`:                               func(c *config.Config) { c.SentinelMasters = []string{"a b"} },
		`redis-password and redis-password-file are both there`:            func(c *config.Config) { c.RedisPassword, c.RedisPasswordFile = "a", "b" },
		`setting users-file is "u" and there are redis-password`:           func(c *config.Config) { c.UsersFile, c.RedisPassword = "u", "p" },
		`setting memcached-user is "u" and there is no file`:               func(c *config.Config) { c.MemcachedUser = "u" },
		`setting socket-mode is "0888": write up to four octal`:            func(c *config.Config) { c.SocketMode = "0888" },
		`setting socket-mode is "01777"`:                                   func(c *config.Config) { c.SocketMode = "01777" },
		`setting redis-users has ["a"] and there is no password for them`:  func(c *config.Config) { c.RedisUsers = []string{"a"} },
		`setting output-limit is 1MiB: it must not be below max-request`:   func(c *config.Config) { c.OutputLimit = 1 << 20 },
		`setting redis-password is too long or has a line break`:           func(c *config.Config) { c.RedisPassword = "a\nb" },
		`setting memcached-item-max is 512MiB: it must not be above 64MiB`: func(c *config.Config) { c.MemcachedItemMax = 512 << 20 },
		`setting memcached-item-max is 8MiB: it must not be above 4MiB`: func(c *config.Config) {
			c.MemcachedItemMax, c.MemoryLimit = 8<<20, 64<<20
		},
		`setting sentinel-masters has 300 elements: at most 256`: func(c *config.Config) { c.SentinelMasters = make([]string, 300) },
	} {
		c := config.Default()
		f(&c)
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("\n got %v\nwant %s", err, want)
		}
	}
}

func TestReachable(t *testing.T) {
	for name, f := range map[string]func(*config.Config){
		"insecure": func(c *config.Config) { c.RedisListen, c.Insecure = []string{":6379"}, true },
		"local names": func(c *config.Config) {
			c.RedisListen = []string{"localhost:6379", "[::1]:6379", "127.9.9.9:6379", "unix:/x"}
		},
		"TLS + password": func(c *config.Config) {
			c.RedisTLSListen, c.TLSCert, c.TLSKey, c.RedisPassword = []string{":1"}, "c", "k", "p"
		},
		"mutual TLS": func(c *config.Config) {
			c.MemcachedTLSListen, c.TLSCert, c.TLSKey, c.TLSClientCA = []string{":1"}, "c", "k", "a"
		},
		"free ports": func(c *config.Config) {
			c.RedisListen, c.MemcachedListen = []string{"127.0.0.1:0"}, []string{"127.0.0.1:0"}
		},
		"prefix with = s": func(c *config.Config) { c.MemcachedClasses = []string{"a=b=token"} },
	} {
		c := config.Default()
		f(&c)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClasses(t *testing.T) {
	c := config.Default()
	classes, err := c.RedisClassOf()
	if err != nil || classes[0] != "coordination" || classes[1] != "session" || classes[2] != "token" || classes[15] != "cache" {
		t.Error(classes, err)
	}
	rules, err := c.MemcachedRules()
	if err != nil || len(rules) != 4 || rules[0] != (config.Rule{Pattern: "*django.contrib.sessions.*", Class: "session"}) {
		t.Error(rules, err)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]config.Size{"0": 0, "1": 1, "1000": 1000, "64KiB": 64 << 10, "3 GiB": 3 << 30, "1536MiB": 1536 << 20} {
		if n, err := config.ParseSize(text); err != nil || n != want {
			t.Errorf("%s: %d %v", text, n, err)
		}
	}
	for _, text := range []string{"", "GiB", "-1", "1.5GiB", "1GB", "9999999999TiB", "99999999999999999999"} {
		if n, err := config.ParseSize(text); err == nil {
			t.Errorf("%s: %d", text, n)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add(config.Example())
	f.Add("max-clients = 1e3\n[a.b]\nc = [1, 'x']")
	f.Fuzz(func(t *testing.T, text string) {
		c := config.Default()
		if c.ApplyFile("f", []byte(text)) == nil && c.Validate() == nil {
			for _, l := range c.Redis() {
				if l.Address == "" {
					t.Error("a listener without an address")
				}
			}
		}
	})
}

func FuzzListener(f *testing.F) {
	for _, s := range []string{"127.0.0.1:1", "[::1]:1", "unix:/x", ":1", "[::1%lo]:5", "a:b:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := config.ParseListener(text)
		if err == nil && l.Network != "unix" {
			if again, err := config.ParseListener(l.Address); err != nil || again != l {
				t.Errorf("%q: %+v, then %+v %v", text, l, again, err)
			}
		}
	})
}
