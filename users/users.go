// Package users says who may come in and what each may do there: names, passwords and rights by command, key and channel, in the words of
// Redis's access lists. Both dialects ask it, so that a user is the same on every port.
//
// Read this file first; rules.go reads what operators write. The package is pure, and knows no command: a Catalogue numbers them.
package users

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"

	"holdfast/op"
)

// Limits of what a file of users may hold.
const (
	MaxUsers    = 1000
	MaxName     = 63   // bytes of a user's name
	MaxPassword = 512  // bytes of a password
	maxRules    = 1000 // words of one user
	maxPattern  = 1024 // bytes of a pattern
)

// MaxCommands bounds the numbers of a Catalogue.
const MaxCommands = 768

// Default is the user of connections that have not logged in, if it needs no password.
const Default = "default"

// Catalogue numbers the commands that rights are about, from 0 to MaxCommands-1. Names are in lower case.
type Catalogue interface {
	// Command returns the numbers behind a name such as "get" or "client|id"; of "client" those of its subcommands too. Nil: there is none.
	Command(name string) []int
	// Category returns the numbers of the commands of a category, whose name comes without its @. The second result is false if there is none.
	Category(name string) ([]int, bool)
}

// Access is what a command does with a key.
type Access uint8

const (
	Read  Access = 1 << iota // its value comes out
	Write                    // its value changes
)

// User is somebody who may come in. It is never changed.
type User struct {
	Name string
	// Rules is what the user is made of, with passwords as their hashes: two users with equal Rules may do the same.
	Rules []string

	on, open    bool // may log in; without a password
	all         bool // every command, key and channel
	allCommands bool
	allKeys     bool
	allChannels bool
	commands    [MaxCommands / 64]uint64
	keys        []pattern
	channels    [][]byte
	hashes      [][sha256.Size]byte
}

// pattern gives access to the keys that fit it.
type pattern struct {
	text   []byte
	access Access
}

// All says whether the user may do everything: one comparison, for who asks before every command.
func (u *User) All() bool { return u.all }

// On says whether the user may log in.
func (u *User) On() bool { return u.on }

// Open says whether the user needs no password.
func (u *User) Open() bool { return u.open }

// AllKeys says whether the user may use every key in every way.
func (u *User) AllKeys() bool { return u.allKeys }

// May says whether the user may use the command with that number of the Catalogue.
func (u *User) May(command int) bool {
	return u.allCommands || command >= 0 && u.commands[command/64]&(1<<(command%64)) != 0
}

// MayKey says whether the user may use a key in the way of a.
func (u *User) MayKey(name []byte, a Access) bool {
	if u.allKeys {
		return true
	}
	for i := range u.keys {
		if p := &u.keys[i]; p.access&a == a && op.Match(p.text, name) {
			return true
		}
	}
	return false
}

// MayChannel says whether the user may use a channel of publish and subscribe. Of a pattern of channels it wants exactly that pattern.
func (u *User) MayChannel(name []byte, isPattern bool) bool {
	if u.allChannels {
		return true
	}
	for _, c := range u.channels {
		if isPattern && string(c) == string(name) || !isPattern && op.Match(c, name) {
			return true
		}
	}
	return false
}

// Keys and Channels are the patterns as they are written in rules.
func (u *User) Keys() []string {
	if u.allKeys {
		return []string{"~*"}
	}
	var all []string
	for _, p := range u.keys {
		all = append(all, [...]string{Read: "%R~", Write: "%W~", Read | Write: "~"}[p.access]+string(p.text))
	}
	return all
}

// Channels is like Keys.
func (u *User) Channels() []string {
	if u.allChannels {
		return []string{"&*"}
	}
	var all []string
	for _, c := range u.channels {
		all = append(all, "&"+string(c))
	}
	return all
}

// Hashes are the SHA-256 of the passwords, in hex.
func (u *User) Hashes() []string {
	var all []string
	for _, h := range u.hashes {
		all = append(all, fmt.Sprintf("%x", h))
	}
	return all
}

// Commands are the rules that are about commands.
func (u *User) Commands() string {
	rules := []string{}
	for _, r := range u.Rules {
		if r[0] == '+' || r[0] == '-' {
			rules = append(rules, r)
		}
	}
	if len(rules) == 0 || rules[0] != "+@all" && rules[0] != "-@all" {
		rules = slices.Insert(rules, 0, "-@all")
	}
	return strings.Join(rules, " ")
}

// Describe writes the user as a line of a file of users.
func (u *User) Describe() string {
	words := []string{"user", u.Name, "off"}
	if u.on {
		words[2] = "on"
	}
	if u.open {
		words = append(words, "nopass")
	}
	for _, h := range u.Hashes() {
		words = append(words, "#"+h)
	}
	words = append(words, u.Keys()...)
	if !u.allChannels {
		words = append(words, "resetchannels")
	}
	words = append(words, u.Channels()...)
	return strings.Join(append(words, u.Commands()), " ")
}

// Set is all users there are. It is not changed once it is in use; any goroutine may ask it.
type Set struct {
	catalogue Catalogue
	users     []*User // by name
}

// New returns a set with the user "default" alone, who needs no password and may do everything.
func New(c Catalogue) *Set {
	s := &Set{catalogue: c}
	if err := s.Add(Default, "on", "nopass", "~*", "&*", "+@all"); err != nil {
		panic("the default user is not right: " + err.Error())
	}
	return s
}

// Find returns the user with that name, nil if there is none.
func (s *Set) Find(name []byte) *User {
	i, ok := slices.BinarySearchFunc(s.users, string(name), byName)
	if !ok {
		return nil
	}
	return s.users[i]
}

func byName(u *User, name string) int { return strings.Compare(u.Name, name) }

// Users are all, by name.
func (s *Set) Users() []*User { return s.users }

// Number is that of a command, a name without subcommands, in the Catalogue; -1, which no user may, if it has none.
func (s *Set) Number(command string) int {
	if s.catalogue != nil {
		if all := s.catalogue.Command(command); len(all) > 0 {
			return all[0]
		}
	}
	return -1
}

// Default is the user of who has not logged in, nil if everybody has to.
func (s *Set) Default() *User { return s.Anonymous(Default) }

// Anonymous returns the user with that name if it is on and needs no password, otherwise nil.
func (s *Set) Anonymous(name string) *User {
	if u := s.Find([]byte(name)); u != nil && u.on && u.open {
		return u
	}
	return nil
}

// Authenticate returns the user with that name if it is on and the password is one of its own, otherwise nil. How long it takes tells nothing
// about a password.
func (s *Set) Authenticate(name, password []byte) *User {
	if len(password) > MaxPassword {
		return nil
	}
	sum := sha256.Sum256(password)
	u := s.Find(name)
	if u == nil {
		return nil
	}
	right := 0
	for i := range u.hashes {
		right |= subtle.ConstantTimeCompare(u.hashes[i][:], sum[:])
	}
	if u.on && (u.open || right == 1) {
		return u
	}
	return nil
}
