package openstack

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
)

// UserSession is one session of the dashboard: what an operator may know of it, and nothing of its contents. Times that are not known are nil.
type UserSession struct {
	ID         string     `json:"id"` // stands for the session key, which nobody may see: it is as good as the user's password
	Keyspace   string     `json:"keyspace"`
	User       string     `json:"user"`        // Keystone's id, empty if it cannot be read
	UserName   string     `json:"user_name"`   // empty if it cannot be read
	LoggedIn   *time.Time `json:"logged_in"`   // when its oldest token was issued
	LastActive *time.Time `json:"last_active"` // when its deadline was last set, which Horizon does for every page
	Expires    *time.Time `json:"expires"`
	Bytes      int        `json:"bytes"`
}

const (
	maxSession = 1 << 20 // bytes of a session that are read
	maxNames   = 64      // pairs of id and name that are remembered of one session
	idDigits   = 12
)

// sessionID is what stands for a session key.
func sessionID(key []byte) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:])[:idDigits]
}

// sessionFacts is what the contents of a session say.
type sessionFacts struct {
	user, name string
	issued     int64 // Unix seconds of the oldest Fernet token in it, 0 for none
	lasts      int64 // seconds that Django gave it
}

// readSession looks through the contents for these alone. What is compressed, encrypted or of another form says nothing.
func readSession(b []byte) (f sessionFacts) {
	if len(b) > maxSession {
		b = b[:maxSession]
	}
	if len(b) > 0 && b[0] == '{' {
		return readJSONSession(b)
	}
	names := map[string]string{}
	id := ""
	whole := pickled(b, func(key string, a atom) {
		switch {
		case a.isNumber && key == "_session_expiry" && a.number > 0 && a.number < 1e9:
			f.lasts = int64(a.number)
		case !a.isString:
		case key == "_auth_user_id", key == "user_id" && f.user == "":
			f.user = printable(a.text)
		case key == "id":
			id = a.text
		case key == "name" && id != "" && len(names) < maxNames:
			names[id] = a.text
			id = ""
		}
		if a.isString {
			f.token(a.text)
		}
	})
	if !whole && len(b) < maxSession {
		return sessionFacts{}
	}
	if f.user != "" {
		f.name = printable(names[f.user])
	}
	return f
}

func readJSONSession(b []byte) (f sessionFacts) {
	var s struct {
		User   any     `json:"_auth_user_id"`
		Expiry float64 `json:"_session_expiry"`
	}
	if json.Unmarshal(b, &s) != nil {
		return f
	}
	if user, ok := s.User.(string); ok {
		f.user = printable(user)
	}
	if s.Expiry > 0 && s.Expiry < 1e9 {
		f.lasts = int64(s.Expiry)
	}
	return f
}

// token takes the time out of a Fernet token, where it stands unencrypted: a byte 0x80, then Unix seconds.
func (f *sessionFacts) token(s string) {
	const head = 12 // characters with the first nine bytes
	if len(s) < 100 || !strings.HasPrefix(s, "gAAAA") {
		return
	}
	b, err := base64.URLEncoding.DecodeString(s[:head])
	if err != nil || b[0] != 0x80 {
		return
	}
	if at := int64(binary.BigEndian.Uint64(b[1:9])); at > 0 && (f.issued == 0 || at < f.issued) {
		f.issued = at
	}
}

// printable refuses what is no name for a screen: it came from strangers.
func printable(s string) string {
	if len(s) > 255 {
		return ""
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 || r == 0xfffd || 0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 {
			return ""
		}
	}
	return s
}

// newSession puts together what is known; deadline is in Unix ms, 0 for none.
func newSession(space string, key, value []byte, deadline int64) UserSession {
	f := readSession(value)
	s := UserSession{ID: sessionID(key), Keyspace: space, User: f.user, UserName: f.name, Bytes: len(value), Expires: unixMilli(deadline)}
	if f.issued > 0 {
		s.LoggedIn = unixMilli(f.issued * 1000)
	}
	if f.lasts > 0 && deadline > 0 {
		s.LastActive = unixMilli(deadline - f.lasts*1000)
	}
	return s
}

// unixMilli is nil for 0.
func unixMilli(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	t := time.UnixMilli(ms).UTC()
	return &t
}
