package ssh

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeSSH does what sshd does with the words it gets: joins them with blanks and gives them to the user's shell. It notes who was asked for.
const fakeSSH = `#!/bin/sh
echo "$@" >>"$FAKE_LOG"
while [ "$1" != -- ]; do [ "$1" = -O ] && exit 0; shift; done
host=$2; shift 2
case $host in
down) echo "ssh: connect to host down port 22: Connection refused" >&2; exit 255 ;;
esac
exec sh -c "exec $*"
`

func session(t *testing.T, user string) *Session {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write("ssh", fakeSSH)
	write("sudo", "#!/bin/sh\necho sudo >>\"$FAKE_LOG\"\nshift 2\nexec \"$@\"\n")
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	t.Setenv("FAKE_LOG", filepath.Join(dir, "log"))
	s, err := New(user)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Whatever an argument or the script holds arrives as it is.
func TestQuoting(t *testing.T) {
	for _, user := range []string{"root", "ops"} {
		h := session(t, user).Host("", "ctl1")
		hostile := []string{"$(touch /tmp/no)", "`id`", "a'b\"c", "; rm -rf /", "\\", "", " ", "*", "x\ny", "-n", "!"}
		out, err := h.Run(context.Background(), `printf '[%s]' "$@"; cat`, hostile, strings.NewReader("in\x00put"))
		if want := "[" + strings.Join(hostile, "][") + "]in\x00put"; err != nil || string(out) != want {
			t.Errorf("as %s: %q, %v, wanted %q", user, out, err, want)
		}
	}
}

func TestErrors(t *testing.T) {
	s := session(t, "root")
	for _, c := range []struct {
		host, script string
		unreachable  bool
		text         string
	}{
		{"down", "true", true, "Connection refused"},
		{"ctl1", "echo first >&2; printf 'the \\033[31mend\\n\\n' >&2; exit 3", false, "the [31mend"},
		{"ctl1", "exit 3", false, "exit status 3"},
		{"ctl1", "yes 0123456789012345678901234567890123456789 | head -c 5000000", false, "more than"},
		{"ctl1", "exec sleep 60", true, "no answer in time"},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		_, err := s.Host("", c.host).Run(ctx, c.script, nil, nil)
		cancel()
		var e *Error
		if !errors.As(err, &e) || e.Unreachable != c.unreachable || !strings.Contains(e.Text, c.text) {
			t.Errorf("%s: %#v, wanted %q", c.script, err, c.text)
		}
	}
}

func TestUsers(t *testing.T) {
	s := session(t, "ops")
	for _, user := range []string{"", "root"} {
		if _, err := s.Host(user, "ctl1").Run(context.Background(), "true", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	log, _ := os.ReadFile(os.Getenv("FAKE_LOG"))
	if got := string(log); strings.Count(got, "\nsudo\n") != 1 || !strings.Contains(got, "-l ops --") || !strings.Contains(got, "-l root --") {
		t.Errorf("asked ssh for\n%s", got)
	}
}
