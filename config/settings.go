package config

import (
	"fmt"
	"math"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// envPrefix begins the name of every environment variable that is a setting.
const envPrefix = "HOLDFAST_"

// Setting is one field of a Config under all its names.
type Setting struct {
	Group  string // heading under which it is documented
	Key    string // in a file; the flag is the same with -- in front
	Env    string
	Doc    string
	Secret bool // its value is not shown

	tag   reflect.StructTag
	field reflect.Value
}

// Settings returns the fields of c in the order in which they are documented. Setting one changes c.
func (c *Config) Settings() []Setting {
	v := reflect.ValueOf(c).Elem()
	all := make([]Setting, v.NumField())
	group := ""
	for i := range all {
		tag := v.Type().Field(i).Tag
		if g := tag.Get("group"); g != "" {
			group = g
		}
		key := tag.Get("key")
		all[i] = Setting{
			Group:  group,
			Key:    key,
			Env:    envPrefix + strings.ToUpper(strings.ReplaceAll(key, "-", "_")),
			Doc:    tag.Get("doc"),
			Secret: tag.Get("secret") != "",
			tag:    tag,
			field:  v.Field(i),
		}
	}
	return all
}

// String returns the value as Set takes it.
func (s Setting) String() string {
	switch v := s.field.Interface().(type) {
	case []string:
		return strings.Join(v, ",")
	case Size:
		return v.String()
	case time.Duration:
		return short(v)
	default:
		return fmt.Sprint(v)
	}
}

// Type says in a word what kind of value it takes.
func (s Setting) Type() string {
	switch s.field.Interface().(type) {
	case []string:
		return "list"
	case Size:
		return "size"
	case time.Duration:
		return "duration"
	case int:
		return "number"
	case bool:
		return "true|false"
	}
	if one := s.tag.Get("one"); one != "" {
		return strings.ReplaceAll(one, " ", "|")
	}
	return "text"
}

// Range says which values are allowed, empty if any is.
func (s Setting) Range() string {
	lo, hi, zero := s.tag.Get("min"), s.tag.Get("max"), s.tag.Get("zero")
	text := ""
	switch {
	case s.tag.Get("one") != "":
		text = strings.Join(strings.Fields(s.tag.Get("one")), ", ")
	case lo != "" && hi != "":
		text = lo + " to " + hi
	case lo != "":
		text = "at least " + lo
	case hi != "":
		text = "at most " + hi
	}
	if zero != "" {
		text += "; 0: " + zero
	}
	return text
}

// Set gives it the value that text says; the elements of a list stand between commas. The error says what is wanted instead.
func (s Setting) Set(text string) error {
	switch s.field.Interface().(type) {
	case []string:
		s.field.Set(reflect.ValueOf(splitList(text)))
	case string:
		s.field.SetString(text)
	case Size:
		v, err := ParseSize(text)
		if err != nil {
			return s.bad(text, "a size such as 512MiB, 64KiB or 2GiB")
		}
		s.field.SetUint(uint64(v))
	case time.Duration:
		v, err := time.ParseDuration(text)
		if err != nil {
			return s.bad(text, "a duration such as 900ms, 3s or 1h")
		}
		s.field.SetInt(int64(v))
	case int:
		v, err := strconv.Atoi(text)
		if err != nil {
			return s.bad(text, "a whole number")
		}
		s.field.SetInt(int64(v))
	case bool:
		v, err := strconv.ParseBool(text)
		if err != nil {
			return s.bad(text, "true or false")
		}
		s.field.SetBool(v)
	}
	return nil
}

// setAny gives it a value that a TOML file holds.
func (s Setting) setAny(v any) error {
	kind := s.field.Kind()
	switch v := v.(type) {
	case string:
		if kind != reflect.Slice {
			return s.Set(v)
		}
	case int64:
		if kind == reflect.Int || s.Type() == "size" {
			return s.Set(strconv.FormatInt(v, 10))
		}
	case bool:
		if kind == reflect.Bool {
			return s.Set(strconv.FormatBool(v))
		}
	case []any:
		if list, ok := texts(v); ok && kind == reflect.Slice {
			s.field.Set(reflect.ValueOf(list))
			return nil
		}
	}
	if kind == reflect.Slice {
		return s.bad(fmt.Sprint(v), `a list of texts such as ["a", "b"]`)
	}
	return s.bad(fmt.Sprint(v), "it as "+s.Key+" = "+s.toml())
}

func texts(v []any) ([]string, bool) {
	list := make([]string, len(v))
	for i, e := range v {
		text, ok := e.(string)
		if !ok {
			return nil, false
		}
		list[i] = text
	}
	return list, true
}

func (s Setting) bad(text, want string) error {
	if s.Secret {
		text = hidden
	}
	return fmt.Errorf("setting %s is %q: write %s", s.Key, text, want)
}

// ApplyFile reads the TOML text of a configuration file into c. name is for the error messages.
// A key that is no setting is an error; the error may be several joined.
func (c *Config) ApplyFile(name string, text []byte) error {
	var keys map[string]any
	if _, err := toml.Decode(string(text), &keys); err != nil {
		return fmt.Errorf("%s is not valid TOML: %w", name, err)
	}
	settings := byKey(c.Settings())
	var all problems
	for _, key := range sortedKeys(keys) {
		s, ok := settings[key]
		if !ok {
			all.addf("%s: there is no setting %q%s", name, key, hint(key, sortedKeys(settings)))
			continue
		}
		if err := s.setAny(keys[key]); err != nil {
			all.addf("%s: %w", name, err)
		}
	}
	return all.join()
}

// ApplyEnv reads the variables that begin with HOLDFAST_ from environ (as os.Environ gives it) into c. One that is no setting
// is an error, except those named in others.
func (c *Config) ApplyEnv(environ []string, others ...string) error {
	settings := map[string]Setting{}
	for _, s := range c.Settings() {
		settings[s.Env] = s
	}
	var all problems
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		if !strings.HasPrefix(name, envPrefix) || contains(others, name) {
			continue
		}
		s, ok := settings[name]
		if !ok {
			all.addf("environment: there is no setting %s%s", name, hint(name, sortedKeys(settings)))
			continue
		}
		if err := s.Set(value); err != nil {
			all.addf("environment variable %s: %w", name, err)
		}
	}
	return all.join()
}

func byKey(settings []Setting) map[string]Setting {
	m := make(map[string]Setting, len(settings))
	for _, s := range settings {
		m[s.Key] = s
	}
	return m
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

// splitList takes the elements between commas, without the blanks around them; of nothing it makes the empty list.
func splitList(text string) []string {
	list := []string{}
	for _, e := range strings.Split(text, ",") {
		if e = strings.TrimSpace(e); e != "" {
			list = append(list, e)
		}
	}
	return list
}

// hint proposes the known name that is nearest to a wrong one, if one is near.
func hint(name string, known []string) string {
	best, least := "", 1+len(name)/3
	for _, k := range known {
		if d := distance(name, k); d <= least {
			best, least = k, d-1
		}
	}
	if best == "" {
		return "; 'holdfast config' lists all there are"
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance counts the letters to insert, delete or replace to get from a to b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

var units = []struct {
	name  string
	bytes uint64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// ParseSize reads a Size as it is written: digits and one of B, KiB, MiB, GiB, TiB, or digits alone for bytes.
func ParseSize(text string) (Size, error) {
	digits, scale := text, uint64(1)
	for _, u := range units {
		if d, ok := strings.CutSuffix(text, u.name); ok {
			digits, scale = strings.TrimSpace(d), u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || n > math.MaxInt64/scale {
		return 0, fmt.Errorf("%q is no size: write digits and B, KiB, MiB, GiB or TiB", text)
	}
	return Size(n * scale), nil
}

// String writes n with the largest unit that leaves a whole number.
func (n Size) String() string {
	if n == 0 {
		return "0"
	}
	for _, u := range units {
		if uint64(n)%u.bytes == 0 {
			return strconv.FormatUint(uint64(n)/u.bytes, 10) + u.name
		}
	}
	return "" // not reached: everything is a multiple of one byte
}

// short writes d without the zero minutes and seconds that Duration.String ends in.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	if d == 0 {
		return "0"
	}
	return text
}
