// Package clients runs the real client libraries of Debian against the built daemon. It has no code of the daemon's and imports
// none: the tests are the Python files beside it, run by the program run. Read README.md first.
package clients

import (
	"bufio"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// requireVariable, when set to 1, makes missing Debian packages a failure, as `make test` wants it.
const requireVariable = "HOLDFAST_TEST_REQUIRE"

// resultLine is what run prints for each test: the word, the name, then the seconds it took.
var resultLine = regexp.MustCompile(`^(ok|FAIL|skip) +(\S+)`)

// result is one Python test.
type result struct {
	word, name string
	details    []string
}

func TestClients(t *testing.T) {
	if out, err := exec.Command("./run", "--check").CombinedOutput(); err != nil {
		if os.Getenv(requireVariable) == "1" {
			t.Fatalf("%s", out)
		}
		t.Skipf("%s", out)
	}
	for _, r := range runSuite(t) {
		t.Run(r.name, func(t *testing.T) {
			details := strings.Join(r.details, "\n")
			switch r.word {
			case "FAIL":
				t.Error("\n" + details)
			case "skip":
				t.Skip(details)
			}
		})
	}
}

// runSuite runs all files and fails t if the run itself came to no good end.
func runSuite(t *testing.T) []result {
	cmd := exec.Command("./run")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	results := []result{{}} // the first takes what is printed before any test
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := resultLine.FindStringSubmatch(lines.Text()); m != nil {
			results = append(results, result{word: m[1], name: m[2]})
			continue
		}
		last := &results[len(results)-1]
		last.details = append(last.details, lines.Text())
	}
	if err := lines.Err(); err != nil {
		t.Errorf("reading what run prints: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("run: %v\n%s", err, strings.Join(results[0].details, "\n"))
	}
	return results[1:]
}
