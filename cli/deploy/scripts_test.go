package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sh carries out a script as a host does, with the stubs in a directory before other programs.
func sh(t *testing.T, stubs string, s script, input string, args ...string) error {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", s.text, "holdfast-deploy"}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+stubs+":"+os.Getenv("PATH"))
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	return err
}

// stub makes a directory with a program in it.
func stub(t *testing.T, name, text string) string {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Whatever became of a write, what was there is there again after it is taken back, and nothing lies beside it.
func TestWrittenFilesAreTakenBack(t *testing.T) {
	works, noMove := stub(t, "chown", "exit 0"), stub(t, "chown", "exit 0")
	if err := os.WriteFile(filepath.Join(noMove, "mv"), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		stubs, sum string
		fails      bool
	}{
		"written":     {works, sum([]byte("new\n")), false},
		"cut off":     {works, sum([]byte("new\nand more\n")), true},
		"no user":     {stub(t, "chown", "exit 1"), sum([]byte("new\n")), true},
		"not renamed": {noMove, sum([]byte("new\n")), true},
	} {
		for _, before := range []string{"old\n", ""} {
			dir := filepath.Join(t.TempDir(), "holdfast")
			file := filepath.Join(dir, "holdfast.toml")
			if before != "" {
				os.Mkdir(dir, 0o755)
				if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := sh(t, c.stubs, writeScript, "new\n", file, "640", c.sum); (err != nil) != c.fails {
				t.Fatalf("%s: %v", name, err)
			}
			if text, _ := os.ReadFile(file); !c.fails && string(text) != "new\n" {
				t.Errorf("%s: the file has %q", name, text)
			}
			if err := sh(t, works, restoreScript, "", file); err != nil {
				t.Fatal(err)
			}
			text, _ := os.ReadFile(file)
			if all, _ := os.ReadDir(dir); string(text) != before || len(all) != len(before)/4 {
				t.Errorf("%s, before %q: there is %q, and %d files", name, before, text, len(all))
			}
		}
	}
}

func TestKeptFilesLeaveNothingBeside(t *testing.T) {
	stubs := stub(t, "chown", "exit 0")
	file := filepath.Join(t.TempDir(), "f")
	for _, text := range []string{"one", "two"} {
		if err := sh(t, stubs, writeScript, text, file, "644", sum([]byte(text))); err != nil {
			t.Fatal(err)
		}
		if err := sh(t, stubs, keepScript, "", file); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(file); string(got) != text {
			t.Errorf("got %q", got)
		}
		if all, _ := os.ReadDir(filepath.Dir(file)); len(all) != 1 {
			t.Errorf("there are %v", all)
		}
	}
}
