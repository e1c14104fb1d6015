package cli

import (
	"regexp"
	"slices"
	"strings"

	"holdfast/config"
)

const (
	removed     = "[removed]"
	leastSecret = 4 // bytes; a shorter word would take too much else with it
)

// scrubber removes from a text what nobody else may see: secrets that are known, and what looks like one.
type scrubber struct{ known []string }

// patterns of what is removed wherever it stands. The first group, if there is one, stays.
var patterns = []*regexp.Regexp{
	regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\z)`),
	regexp.MustCompile(`(?i)((?:pass(?:word|wd|phrase)?|secret|token|api[-_]?key|auth(?:orization)?|cookie|sessionid|session[-_]key)["']?\s*[:=]\s*["']?(?:bearer |basic )?)[^\s"',;&{}\[\]]{4,}`),
	regexp.MustCompile(`(\w+://[^\s:/@]*:)[^\s@/]+@`), // a URL with a password
	regexp.MustCompile(`(?i)(\bAUTH\s+)\S+(?:\s+\S+)?`),
	regexp.MustCompile(`gAAAA[A-Za-z0-9_\-=]{20,}`), // a Fernet token
	regexp.MustCompile(`((?:django\.contrib\.sessions\.[a-z_]*|:1:django[a-z_.]*))[a-z0-9]{32}`),
	regexp.MustCompile(`\b[A-Za-z0-9]{32,}\b`), // session keys, token ids and hashes of them
}

// secretsOf finds the secrets that the settings name, as far as this user may read them. Private keys look like what they are.
func secretsOf(c *config.Config) scrubber {
	var s scrubber
	lines := func(file string, secrets func(line string)) {
		if file == "" {
			return
		}
		if text, err := readFile(file); err == nil { // who may not read it cannot put it into a bundle either
			for line := range strings.Lines(string(text)) {
				secrets(strings.TrimSpace(line))
			}
		}
	}
	s.learn(c.RedisPassword)
	lines(c.RedisPasswordFile, s.learn)
	lines(c.MemcachedAuthFile, func(line string) {
		_, password, _ := strings.Cut(line, ":")
		s.learn(password)
	})
	lines(c.UsersFile, func(line string) {
		for _, rule := range strings.Fields(line) {
			if strings.HasPrefix(rule, ">") || strings.HasPrefix(rule, "#") { // a password, or the hash of one
				s.learn(rule[1:])
			}
		}
	})
	slices.SortFunc(s.known, func(a, b string) int { return len(b) - len(a) }) // the longest first: one may be a part of another
	return s
}

func (s *scrubber) learn(secret string) {
	if len(secret) >= leastSecret && !slices.Contains(s.known, secret) {
		s.known = append(s.known, secret)
	}
}

func (s *scrubber) clean(text string) string {
	for _, secret := range s.known {
		text = strings.ReplaceAll(text, secret, removed)
	}
	for _, p := range patterns {
		if p.NumSubexp() > 0 {
			text = p.ReplaceAllString(text, "${1}"+removed)
		} else {
			text = p.ReplaceAllString(text, removed)
		}
	}
	return text
}
