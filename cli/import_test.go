package cli_test

import (
	"strings"
	"testing"
)

func TestImportWords(t *testing.T) {
	empty := write(t, "empty", "\n")
	for _, c := range []struct {
		args string
		code int
		err  string
	}{
		{"import", 2, "wants the address of one server"},
		{"import 127.0.0.1:6379", 2, "the address has no scheme: write redis://"},
		{"import redis://h --only sessions,everything", 2, `--only names "everything"`},
		{"import redis://h --follow 1ms", 2, "--follow is 1ms: write 100ms or more"},
		{"import redis://h --follow 1s --dry-run", 2, "without --dry-run"},
		{"import redis://h --password-file " + empty, 1, "too long to be a password"},
		{"import redis://h --admin 127.0.0.1:1", 1, "no daemon answers at 127.0.0.1:1"},
		{"import redis://127.0.0.1:1 --to redis://127.0.0.1:1", 1, "no connection to 127.0.0.1:1"},
		{"import redis://127.0.0.1:1 --to memcached://127.0.0.1:1", 1, "keys of Redis go to a Redis port"},
		{"import redis://127.0.0.1:1 --to 127.0.0.1:1", 2, "--to: the address has no scheme"},
	} {
		code, _, stderr, _ := run(t, nil, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stderr, c.err) {
			t.Errorf("%s: exit code %d, not %d, with %q, not %q", c.args, code, c.code, stderr, c.err)
		}
	}
}
