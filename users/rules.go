package users

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Parse reads a file of users as Redis's aclfile has it: a line "user <name> <rule>..." for each. Empty lines and those that begin with # mean
// nothing. A user "default" that is not named may do everything without a password. The error names the line.
func Parse(text string, c Catalogue) (*Set, error) {
	s := New(c)
	defined := false
	for n, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		if words[0] != "user" || len(words) < 2 {
			return nil, fmt.Errorf("line %d: write user, a name and rules, such as: user horizon on >secret ~* +@all -@dangerous", n+1)
		}
		name := words[1]
		if s.Find([]byte(name)) != nil && (name != Default || defined) {
			return nil, fmt.Errorf("line %d: user %q is there twice: keep one", n+1, name)
		}
		defined = defined || name == Default
		if err := s.Add(name, words[2:]...); err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	return s, nil
}

// Add makes a user of rules, in place of one with the same name. It belongs to the making of a Set.
func (s *Set) Add(name string, rules ...string) error {
	switch {
	case name == "" || len(name) > MaxName || strings.ContainsAny(name, " \t\r\n\x00"):
		return fmt.Errorf("%q is no name of a user: use up to %d bytes without blanks", name, MaxName)
	case len(rules) > maxRules:
		return fmt.Errorf("user %q has %d rules: at most %d are allowed", name, len(rules), maxRules)
	case len(s.users) >= MaxUsers:
		return fmt.Errorf("user %q is one too many: at most %d are allowed", name, MaxUsers)
	}
	u := &User{Name: name}
	for i, r := range rules {
		if err := s.apply(u, r); err != nil {
			return fmt.Errorf("user %q, rule %s: %w", name, shown(i, r), err)
		}
	}
	u.all = u.allCommands && u.allKeys && u.allChannels
	i, there := slices.BinarySearchFunc(s.users, name, byName)
	if there {
		s.users[i] = u
	} else {
		s.users = slices.Insert(s.users, i, u)
	}
	return nil
}

// shown is how an error names a rule: by its text only where that cannot be a password, with or without its sign.
func shown(i int, rule string) string {
	if strings.IndexByte("+-~%&", (rule + " ")[0]) >= 0 {
		return fmt.Sprintf("%.80q", rule)
	}
	return fmt.Sprint(i + 1)
}

// What may be wrong with a rule.
var (
	errRule     = errors.New("this is no rule: on, off, nopass, >password, #sha256, ~keys, %R~keys, %W~keys, &channels, +command, -command, +@category and -@category are")
	errSelector = errors.New("selectors are not supported: make another user for it")
	errCommand  = errors.New("there is no such command or category here: remove the rule")
	errHash     = errors.New("a hash is 64 digits, 0 to 9 and a to f: the SHA-256 of the password")
	errPassword = fmt.Errorf("a password has 1 to %d bytes", MaxPassword)
	errPattern  = fmt.Errorf("a pattern has 1 to %d bytes", maxPattern)
	errUseless  = errors.New("a pattern behind one that allows everything has no effect: remove one of the two")
)

// apply changes u by one rule.
func (s *Set) apply(u *User, rule string) error {
	u.Rules = append(u.Rules, rule)
	switch strings.ToLower(rule) {
	case "on":
		u.on = true
	case "off":
		u.on = false
	case "nopass":
		u.open, u.hashes = true, nil
	case "resetpass":
		u.open, u.hashes = false, nil
	case "allkeys":
		u.allKeys, u.keys = true, nil
	case "resetkeys":
		u.allKeys, u.keys = false, nil
	case "allchannels":
		u.allChannels, u.channels = true, nil
	case "resetchannels":
		u.allChannels, u.channels = false, nil
	case "allcommands":
		return s.apply(u, "+@all")
	case "nocommands":
		return s.apply(u, "-@all")
	case "reset":
		*u = User{Name: u.Name}
	case "sanitize-payload", "skip-sanitize-payload", "clearselectors": // about what is not there
	default:
		return s.applySigned(u, rule)
	}
	return nil
}

// applySigned is for rules that begin with a sign.
func (s *Set) applySigned(u *User, rule string) error {
	if rule == "" {
		return errRule
	}
	rest := rule[1:]
	switch rule[0] {
	case '+', '-':
		return s.permit(u, rest, rule[0] == '+')
	case '>':
		if rest == "" || len(rest) > MaxPassword {
			return errPassword
		}
		hash := sha256.Sum256([]byte(rest))
		u.Rules[len(u.Rules)-1] = "#" + hex.EncodeToString(hash[:])
		u.accept(hash)
	case '#':
		hash, err := hex.DecodeString(rest)
		if err != nil || len(hash) != sha256.Size || strings.ToLower(rest) != rest {
			return errHash
		}
		u.accept([sha256.Size]byte(hash))
	case '~':
		return u.allowKeys(rest, Read|Write)
	case '%':
		return u.allowPart(rest)
	case '&':
		return u.allowChannels(rest)
	case '(':
		return errSelector
	default:
		return errRule
	}
	return nil
}

// accept adds a password.
func (u *User) accept(hash [sha256.Size]byte) {
	u.open = false
	if !slices.Contains(u.hashes, hash) {
		u.hashes = append(u.hashes, hash)
	}
}

// permit sets or takes away the right to a command or a category. What is said of all commands holds for those that come later, too.
func (s *Set) permit(u *User, name string, may bool) error {
	name = strings.ToLower(name)
	if name == "@all" {
		u.allCommands, u.commands = may, [len(u.commands)]uint64{}
		return nil
	}
	var numbers []int
	known := false
	if category, ok := strings.CutPrefix(name, "@"); ok {
		numbers, known = s.catalogue.Category(category)
	} else {
		numbers = s.catalogue.Command(name)
		known = numbers != nil
	}
	if !known {
		return errCommand
	}
	if u.allCommands {
		if may {
			return nil
		}
		u.allCommands = false
		for i := range u.commands {
			u.commands[i] = ^uint64(0)
		}
	}
	for _, n := range numbers {
		if may {
			u.commands[n/64] |= 1 << (n % 64)
		} else {
			u.commands[n/64] &^= 1 << (n % 64)
		}
	}
	return nil
}

// allowPart is for %R~, %W~ and %RW~.
func (u *User) allowPart(rest string) error {
	letters, text, ok := strings.Cut(rest, "~")
	var a Access
	for _, c := range strings.ToUpper(letters) {
		switch {
		case c == 'R' && a&Read == 0:
			a |= Read
		case c == 'W' && a&Write == 0:
			a |= Write
		default:
			return errRule
		}
	}
	if !ok || a == 0 {
		return errRule
	}
	return u.allowKeys(text, a)
}

func (u *User) allowKeys(text string, a Access) error {
	switch {
	case text == "" || len(text) > maxPattern:
		return errPattern
	case u.allKeys && text == "*":
	case u.allKeys:
		return errUseless
	case text == "*" && a == Read|Write:
		u.allKeys, u.keys = true, nil
	default:
		u.keys = append(u.keys, pattern{[]byte(text), a})
	}
	return nil
}

func (u *User) allowChannels(text string) error {
	switch {
	case text == "" || len(text) > maxPattern:
		return errPattern
	case u.allChannels && text == "*":
	case u.allChannels:
		return errUseless
	case text == "*":
		u.allChannels, u.channels = true, nil
	default:
		u.channels = append(u.channels, []byte(text))
	}
	return nil
}
