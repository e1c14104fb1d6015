package cli_test

import (
	"archive/tar"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// open returns the files of a bundle by their names below its directory.
func open(t *testing.T, name string) map[string]string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, _ := f.Stat(); info.Mode().Perm() != 0o600 {
		t.Error("others may read it: ", info.Mode())
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		_, inside, _ := strings.Cut(h.Name, "/")
		all[inside] = string(b)
	}
}

// Nothing secret leaves, wherever it stood: in pages of members, in the log, in settings.
func TestSupportBundle(t *testing.T) {
	secrets := map[string]string{
		"password of the settings":     "0pen-Sesame",
		"password of the file":         "from the file",
		"password of a memcached user": "memcached-pw",
		"password of a user":           "horizon+pw",
		"unknown password":             "whatever-1",
		"password in a URL":            "urlpw99",
		"private key":                  "MIIEvQIBADANBgkq",
		"session id":                   "abcdefghij0123456789abcdefghij01",
		"Fernet token":                 "gAAAAABl0123456789_abcdefghijklmn-op",
		"token id":                     "8b3b5d1d0f5f4b6c9a7e6d5c4b3a2910",
		"bearer":                       "bearer-abc.def",
	}
	log := "AUTH failed password=" + secrets["unknown password"] + "\nredis://u:" + secrets["password in a URL"] + "@c1:6379/0\nmaster: " + secrets["password of the settings"] +
		"\nAuthorization: Bearer " + secrets["bearer"] + "\n-----BEGIN PRIVATE KEY-----\n" + secrets["private key"] + "\n-----END PRIVATE KEY-----\n" +
		":1:django.contrib.sessions.cached_db" + secrets["session id"] + "\nsessionid=" + secrets["session id"] + " token " + secrets["Fernet token"] + " " + secrets["token id"] +
		" user horizon said " + secrets["password of a user"] + ", " + secrets["password of the file"] + " and " + secrets["password of a memcached user"] + "\nlevel=INFO msg=\"connected to a member\"\n"
	bin := t.TempDir()
	for name, script := range map[string]string{"journalctl": "#!/bin/sh\ncat <<'END'\n" + log + "END\n", "systemctl": "#!/bin/sh\necho no such unit >&2\nexit 3\n"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "member"), []byte("what clients store: "+secrets["session id"]), 0o600); err != nil {
		t.Fatal(err)
	}
	p, address := serve(t)
	failoverEvents(t, p)
	members := func(page any) string {
		return text(t, object{"asked": "c1", "now": now, "members": []object{self("c1", page), told("c2", page, nil), silent("c3")}})
	}
	p.set("GET /group/status", members(says("c1", object{"data": data, "why": log})))
	p.set("GET /group/work", members(object{"clients": []object{{"host": "10.0.0.11"}}}))
	p.set("GET /group/settings", members(object{"redis-password": secrets["password of the settings"], "promise": "300ms", "memcached-classes": "*=cache", "note": log}))
	p.set("GET /group/metrics", members("holdfast_class_keys{class=\"token\"} 40122\n"))
	p.set("GET /group/goroutines", members("goroutine profile: total 3\n"+log))
	p.set("GET /status", text(t, says("c1", object{"data": data})))
	environ := []string{
		"HOLDFAST_REDIS_PASSWORD_FILE=" + write(t, "password", secrets["password of the file"]+"\n"),
		"HOLDFAST_MEMCACHED_AUTH_FILE=" + write(t, "users", "horizon:"+secrets["password of a memcached user"]+"\n"),
	}
	file := filepath.Join(t.TempDir(), "b.tar.gz")
	bundle := func(environ []string) map[string]string {
		t.Helper()
		os.Remove(file)
		code, stdout, stderr, _ := run(t, append(environ, "HOLDFAST_ADMIN_LISTEN="+address), "support-bundle", "--file", file)
		if code != 0 || !strings.Contains(stdout, "page status of c3") {
			t.Fatal(code, stdout, stderr)
		}
		return open(t, file)
	}
	first := bundle(environ)
	second := bundle([]string{"HOLDFAST_USERS_FILE=" + write(t, "acl", "user horizon on >"+secrets["password of a user"]+" ~* +@all\n")})
	third := bundle([]string{"HOLDFAST_REDIS_PASSWORD=" + secrets["password of the settings"]})
	for what, secret := range secrets {
		all := first
		switch what {
		case "password of a user":
			all = second
		case "password of the settings":
			all = third
		}
		for name, text := range all {
			if strings.Contains(text, secret) {
				t.Errorf("%s has the %s", name, what)
			}
		}
	}
	for name, want := range map[string]string{
		"status.txt": "asked c1", "why.txt": "c2 took over from c1", "members/c1/status.json": `"name"`, "members/c2/settings.json": `"300ms"`, "members/c2/metrics.txt": `{class="token"} 40122`,
		"members/c1/goroutines.txt": "goroutine profile", "members/c1/work.json": "10.0.0.11", "journal.txt": "connected to a member", "disk.txt": filepath.Join(data, "member"), "version.txt": "1.2.3",
		"not-in-it.txt": "page metrics of c3",
	} {
		if !strings.Contains(first[name], want) {
			t.Errorf("no %q in %s:\n%s", want, name, first[name])
		}
	}
	if want := `unit.txt: 'systemctl status holdfast --no-pager --lines 0' ended with exit status 3 and said "no such unit"`; !strings.Contains(first["not-in-it.txt"], want) {
		t.Error(first["not-in-it.txt"])
	}
	if !strings.Contains(first["members/c1/settings.json"], `"memcached-classes":"*=cache"`) {
		t.Error(first["members/c1/settings.json"])
	}
	if code, _, stderr, _ := run(t, nil, "support-bundle", "--file", file, "--admin", address); code != 1 || !strings.Contains(stderr, "file exists") {
		t.Error(code, stderr)
	}
}

// Nobody answers: what this machine knows is in it all the same.
func TestSupportBundleAlone(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	file := filepath.Join(t.TempDir(), "b.tar.gz")
	code, stdout, stderr, _ := run(t, nil, "support-bundle", "--file", file, "--admin", "127.0.0.1:1")
	if code != 0 || strings.Count(stdout, "no daemon answers at 127.0.0.1:1") != 1 {
		t.Error(code, stdout, stderr)
	}
	if all := open(t, file); all["machine/meminfo.txt"] == "" || all["not-in-it.txt"] == "" {
		t.Error(all)
	}
}
