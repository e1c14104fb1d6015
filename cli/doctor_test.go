package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDoctor(t *testing.T) {
	etc := t.TempDir()
	put := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(etc, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const good = "[cache]\nenabled = true\nbackend = oslo_cache.memcache_pool\nmemcache_servers = c1:11211,c2:11211\nmemcache_dead_retry = 30\n"
	put("good/x.conf", good, 0o600)
	put("warned/keystone.conf", "[cache]\nenabled = true\nbackend = dogpile.cache.memory\n", 0o600)
	put("warned/keystone.conf.d/9.conf", good+"memcache_pool_maxsize = 1\n", 0o600)
	put("warned/notes.txt", "[token]\ndriver = kvs", 0o600)
	put("bad/openstack-dashboard/local_settings.py", "CACHES = {'default': {'BACKEND': 'django_redis.cache.RedisCache'}}", 0o600)
	put("bad/openstack-dashboard/local_settings.d/_0006_debian_cache.py", "CACHES = {'default': {'BACKEND': 'django.core.cache.backends.locmem.LocMemCache'}}", 0o600)
	put("secret/nova.conf", "[keystone_authtoken]\nmemcache_secret_key = x\n", 0o644)
	put("none/README", "", 0o600)
	for _, c := range []struct {
		args string
		code int
		has  string // parts between |
	}{
		{"good", 0, "x.conf:4: note: [cache] crosses|1 configuration: 0 errors, 0 warnings, 1 notes"},
		{"good/x.conf", 0, "1 configuration"},
		{"good --controllers c1,c2,c3", 1, "leaves c3 out"},
		{"warned", 1, "keystone.conf.d/9.conf:6: warning: [cache] memcache_pool_maxsize is 1|[cache-pool]|1 configuration: 0 errors, 1 warnings"},
		{"bad", 2, "_0006_debian_cache.py:1: error: CACHES keeps sessions in locmem.LocMemCache"},
		{"good warned bad", 2, "3 configurations"},
		{"secret", 1, "nova.conf:2: warning: a password or a secret stands here and everybody"},
		{"none", 2, "there is no *.conf"},
		{"nowhere", 2, "no such file"},
		{"", 2, "wants names of files or directories"},
		{"good -o yaml", 2, "write text or json"},
	} {
		args := []string{"doctor"}
		for _, word := range strings.Fields(c.args) {
			if word[0] >= 'a' && !strings.ContainsAny(word, ",") && word != "yaml" {
				word = filepath.Join(etc, word)
			}
			args = append(args, word)
		}
		code, stdout, stderr, _ := run(t, []string{"HOLDFAST_ADMIN_LISTEN=127.0.0.1:1"}, args...)
		if code != c.code {
			t.Errorf("%s: exit code %d, not %d: %s%s", c.args, code, c.code, stdout, stderr)
		}
		for _, part := range strings.Split(c.has, "|") {
			if !strings.Contains(stdout+stderr, part) {
				t.Errorf("%s: no %q in %s%s", c.args, part, stdout, stderr)
			}
		}
	}
	_, stdout, _, _ := run(t, []string{"HOLDFAST_ADMIN_LISTEN=127.0.0.1:1"}, "doctor", "-o", "json", filepath.Join(etc, "bad"))
	var all []map[string]any
	if err := json.Unmarshal([]byte(stdout), &all); err != nil || len(all) != 1 || all[0]["rule"] != "session-local" {
		t.Errorf("%v: %s", err, stdout)
	}
}
