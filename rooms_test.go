// Package holdfast_test holds the policy of the rooms against the source: what each package may import and touch. Read rooms first.
package holdfast_test

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// room is a package and what it may do. Do not change the table to make a build pass: it is the design (ARCHITECTURE.md), line by line.
type room struct {
	path    string
	own     string // packages of ours that it may import; each stands above it in the table
	modules string // modules of others that it may import
	never   string // what it may not touch, in the words of forbidden and of the checks below
	why     string
}

const pure = "clock random os net sync goroutines map-order"

var rooms = []room{
	{"op", "", "", pure + " floats",
		"an op means the same on every controller and in every replay"},
	{"keyspace", "op", "", pure + " floats",
		"two members that applied the same entries must be equal byte by byte"},
	{"engine", "op keyspace", "", "clock random os net goroutines",
		"a door has no other side that a dialect could see"},
	{"engine/enginetest", "op keyspace engine", "", "net os",
		"the engine that tests of dialects run on"},
	{"replica", "op keyspace engine", "go.etcd.io/raft/v3 google.golang.org/protobuf", pure,
		"one member as a state machine: a simulation drives it, faster than time, from a seed"},
	{"internal/sim", "op keyspace replica", "go.etcd.io/raft/v3 github.com/anishathalye/porcupine", "clock os net sync goroutines map-order",
		"whole groups in a simulated world: a seed decides everything"},
	{"cluster/wal", "", "golang.org/x/sys", "net clock",
		"records in segments on a disk; knows neither raft nor ops"},
	{"cluster/link", "", "golang.org/x/sys", "",
		"connections between members; knows neither raft nor ops"},
	{"cluster", "op keyspace engine replica cluster/wal cluster/link", "go.etcd.io/raft/v3 golang.org/x/sys", "",
		"the world around a replica"},
	{"resp", "", "", "clock random os net sync goroutines",
		"Redis's wire format does not know what SET is"},
	{"users", "op", "", pure + " floats",
		"who may do what is data; a dialect asks it"},
	{"redis", "op engine resp users", "github.com/yuin/gopher-lua", "clock os net",
		"a dialect translates, it decides nothing"},
	{"memcache", "op engine users", "", "clock os net goroutines",
		"a dialect translates, it decides nothing"},
	{"server", "", "golang.org/x/sys", "",
		"connections know no word of any protocol"},
	{"openstack", "op", "", "clock random os net goroutines",
		"what keys and settings of the services mean; all it reads was written by strangers"},
	{"admin", "op engine openstack", "github.com/prometheus/client_golang", "os random",
		"shows how an engine is, by HTTP; op is for the names of classes"},
	{"config", "", "github.com/BurntSushi/toml", "clock random os net sync goroutines",
		"settings are data; whoever uses one opens what it names"},
	{"cli/cert", "", "", "clock os net sync goroutines",
		"certificates as texts; the verb writes them"},
	{"cli/transfer", "resp openstack", "", "os",
		"copies keys between servers, as a client of both"},
	{"cli/bench", "", "", "os random",
		"a short load, as a simple client"},
	{"cli/deploy/ssh", "", "", "net clock",
		"commands on other machines by the system's ssh; knows nothing of holdfast"},
	{"cli/deploy", "config cli/cert", "", "os net random",
		"what is to be done on which host; reaches hosts and files by interfaces"},
	{"cli", "config cli/cert cli/bench cli/transfer cli/deploy cli/deploy/ssh openstack", "github.com/spf13/cobra", "random goroutines",
		"the verbs for people are clients of a running daemon"},
	{"cmd/holdfast", "op engine cluster cluster/link users redis memcache server admin config cli", "github.com/coreos/go-systemd/v22 golang.org/x/sys", "",
		"wiring; no word about a key"},
	{"packaging", "config cli", "github.com/cpuguy83/go-md2man/v2 github.com/opencontainers/go-digest github.com/opencontainers/image-spec github.com/spf13/cobra", "net clock random goroutines",
		"makes the packages: the same commit gives the same bytes"},
	{"bench/load", "", "golang.org/x/sys", "",
		"the load generator"},
	{"bench", "bench/load", "golang.org/x/sys", "",
		"measures the built binary beside its peers"},
	{"test/group", "", "golang.org/x/sys", "",
		"runs the built binary and disturbs it, by what an operating system can do"},
	{"test/witness", "", "github.com/anishathalye/porcupine", "os",
		"clients that only know what they were told"},
	{"test/chaos", "test/group test/witness", "golang.org/x/sys", "",
		"who is hurt when, and the report"},
	{"test/demo", "test/group test/witness", "golang.org/x/sys", "",
		"the same for people who look on"},
	{"test/conformance", "test/group", "", "",
		"the originals' own tests, fetched when it runs"},
}

// forbidden gives the packages behind a word of never. A trailing /... takes in what lies below.
var forbidden = map[string]string{
	"random": "math/rand math/rand/v2 crypto/rand hash/maphash",
	"os":     "os/... syscall io/fs path/filepath golang.org/x/sys/...",
	"net":    "net/... crypto/tls",
	"sync":   "sync/...",
	// The iterators of maps hide a range over one.
	"map-order": "maps",
}

// readsClock are the functions of package time that know what time it is or let it pass. Durations are nobody's clock.
var readsClock = strings.Fields("Now Since Until Sleep After AfterFunc Tick NewTimer NewTicker")

// notNetwork are packages below net that only take addresses apart.
var notNetwork = strings.Fields("net/netip net/url")

// anyOrder on the line of a range over a map, or on the one before, says why its order does not matter.
const anyOrder = "//rooms:any-order "

const module = "holdfast/"

// source is the parsed files of one package, without tests.
type source struct {
	fset  *token.FileSet
	dir   string
	name  string
	files []*ast.File
}

// sources finds every package of the module by the files that lie there, whatever system they are for.
func sources(t *testing.T) []source {
	t.Helper()
	byDir := map[string]*source{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); path != "." && (n == "testdata" || n[0] == '.' || n[0] == '_' || path == "bin" || path == "holdfast-data") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		dir := filepath.ToSlash(filepath.Dir(path))
		s := byDir[dir]
		if s == nil {
			s = &source{fset: token.NewFileSet(), dir: dir}
			byDir[dir] = s
		}
		f, err := parser.ParseFile(s.fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		s.files, s.name = append(s.files, f), f.Name.Name
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []source
	for _, s := range byDir {
		all = append(all, *s)
	}
	slices.SortFunc(all, func(a, b source) int { return strings.Compare(a.dir, b.dir) })
	return all
}

func roomOf(dir string) *room {
	for i := range rooms {
		if rooms[i].path == dir {
			return &rooms[i]
		}
	}
	return nil
}

// The table itself must read downwards.
func TestTable(t *testing.T) {
	above := map[string]bool{}
	for _, r := range rooms {
		if above[r.path] {
			t.Errorf("%s stands there twice", r.path)
		}
		for _, o := range strings.Fields(r.own) {
			if !above[o] {
				t.Errorf("%s may import %s, which does not stand above it", r.path, o)
			}
		}
		for _, word := range strings.Fields(r.never) {
			if forbidden[word] == "" && !slices.Contains([]string{"clock", "goroutines", "floats"}, word) {
				t.Errorf("%s: nothing checks %q", r.path, word)
			}
		}
		if r.why == "" {
			t.Errorf("%s: no reason given", r.path)
		}
		above[r.path] = true
	}
}

func TestEveryPackageIsARoom(t *testing.T) {
	for _, s := range sources(t) {
		if roomOf(s.dir) == nil {
			t.Errorf("package %s has no line in the table of rooms: say what it may import and why", s.dir)
		}
		for _, word := range append(strings.Split(s.dir, "/"), s.name) {
			if slices.Contains(strings.Fields("util utils common helper helpers types models pkg misc shared base lib"), word) {
				t.Errorf("package %s is named after nothing (%s): name what lives there", s.dir, word)
			}
		}
		if !hasComment(s) {
			t.Errorf("package %s has no comment that says what it is, what it may not touch and which file to read first", s.dir)
		}
	}
}

func hasComment(s source) bool {
	for _, f := range s.files {
		if f.Doc != nil && len(f.Doc.Text()) > 60 {
			return true
		}
	}
	return false
}

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		r := roomOf(s.dir)
		if r == nil {
			continue
		}
		for _, f := range s.files {
			for _, spec := range f.Imports {
				path, _ := strconv.Unquote(spec.Path.Value)
				if fault := r.mayImport(path); fault != "" {
					t.Errorf("%s: %s imports %s: %s (%s)", s.fset.Position(spec.Pos()), r.path, path, fault, r.why)
				}
			}
		}
	}
}

// mayImport says what is wrong with importing path, empty if nothing is.
func (r *room) mayImport(path string) string {
	if own, ok := strings.CutPrefix(path, module); ok {
		if !slices.Contains(strings.Fields(r.own), own) {
			return "it may import of ours: " + r.own
		}
		return ""
	}
	for _, word := range strings.Fields(r.never) {
		for _, pattern := range strings.Fields(forbidden[word]) {
			if matches(pattern, path) && !slices.Contains(notNetwork, path) {
				return "never " + word
			}
		}
	}
	if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
		return ""
	}
	for _, m := range strings.Fields(r.modules) {
		if path == m || strings.HasPrefix(path, m+"/") {
			return ""
		}
	}
	return "it may import of others: " + r.modules
}

func matches(pattern, path string) bool {
	tree, below := strings.CutSuffix(pattern, "/...")
	return path == tree || below && strings.HasPrefix(path, tree+"/")
}

// What syntax alone shows: goroutines and channels, clocks.
func TestStatements(t *testing.T) {
	for _, s := range sources(t) {
		r := roomOf(s.dir)
		if r == nil {
			continue
		}
		for _, f := range s.files {
			ast.Inspect(f, func(n ast.Node) bool {
				if fault := r.mayState(n); fault != "" {
					t.Errorf("%s: never %s in %s: %s", s.fset.Position(n.Pos()), fault, r.path, r.why)
				}
				return true
			})
		}
	}
}

func (r *room) may(word string) bool { return !slices.Contains(strings.Fields(r.never), word) }

func (r *room) mayState(n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt, *ast.ChanType, *ast.SelectStmt:
		if !r.may("goroutines") {
			return "goroutines"
		}
	case *ast.SelectorExpr:
		if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && !r.may("clock") && slices.Contains(readsClock, n.Sel.Name) {
			return "clock"
		}
	}
	return ""
}

// What only types show: floats, and ranges over maps.
func TestPurity(t *testing.T) {
	var wanted []room
	for _, r := range rooms {
		if _, err := os.Stat(r.path); err == nil && (!r.may("floats") || !r.may("map-order")) {
			wanted = append(wanted, r)
		}
	}
	fset, packages := typed(t, wanted)
	for i, r := range wanted {
		p := packages[i]
		for _, f := range p.files {
			escapes := escapesOf(t, fset, f)
			ast.Inspect(f, func(n ast.Node) bool {
				if e, ok := n.(ast.Expr); ok && !r.may("floats") && isFloat(p.info.TypeOf(e)) {
					t.Errorf("%s: never floats in %s: %s", fset.Position(n.Pos()), r.path, r.why)
					return false
				}
				if loop, ok := n.(*ast.RangeStmt); ok && !r.may("map-order") && isMap(p.info.TypeOf(loop.X)) {
					if line := fset.Position(n.Pos()).Line; !escapes[line] && !escapes[line-1] {
						t.Errorf("%s: the order of a map in %s: %s. Sort, or say with %swhy it does not matter", fset.Position(n.Pos()), r.path, r.why, anyOrder)
					}
				}
				return true
			})
		}
	}
}

// escapesOf returns the lines that say why the order of a map does not matter.
func escapesOf(t *testing.T, fset *token.FileSet, f *ast.File) map[int]bool {
	lines := map[int]bool{}
	for _, g := range f.Comments {
		for _, c := range g.List {
			if reason, ok := strings.CutPrefix(c.Text, anyOrder); ok {
				if len(reason) < 10 {
					t.Errorf("%s: %sneeds a reason", fset.Position(c.Pos()), anyOrder)
				}
				lines[fset.Position(c.Pos()).Line] = true
			}
		}
	}
	return lines
}

func isFloat(t types.Type) bool {
	if t == nil {
		return false
	}
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&(types.IsFloat|types.IsComplex) != 0
}

func isMap(t types.Type) bool {
	if t == nil {
		return false
	}
	_, ok := t.Underlying().(*types.Map)
	return ok
}

type typedPackage struct {
	files []*ast.File
	info  *types.Info
}

// typed type-checks the rooms for this system, with the compiler's export data for what they import.
func typed(t *testing.T, wanted []room) (*token.FileSet, []typedPackage) {
	t.Helper()
	fset := token.NewFileSet()
	exports := exportFiles(t, wanted)
	imp := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data for %s", path)
		}
		return os.Open(exports[path])
	})
	var all []typedPackage
	for _, r := range wanted {
		p := typedPackage{info: &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}}
		for _, name := range strings.Fields(golist(t, "-f", `{{join .GoFiles "\n"}}`, "./"+r.path)) {
			f, err := parser.ParseFile(fset, filepath.Join(r.path, name), nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			p.files = append(p.files, f)
		}
		if _, err := (&types.Config{Importer: imp}).Check(module+r.path, fset, p.files, p.info); err != nil {
			t.Fatalf("%s: %v", r.path, err)
		}
		all = append(all, p)
	}
	return fset, all
}

// exportFiles returns where the compiler has put what each import of the rooms exports.
func exportFiles(t *testing.T, wanted []room) map[string]string {
	t.Helper()
	args := []string{"-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}"}
	for _, r := range wanted {
		args = append(args, "./"+r.path)
	}
	files := map[string]string{}
	for _, line := range strings.Split(golist(t, args...), "\n") {
		if path, file, ok := strings.Cut(line, "\t"); ok {
			files[path] = file
		}
	}
	return files
}

func golist(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return string(out)
}
