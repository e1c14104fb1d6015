package openstack

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
)

// CachedToken is an entry of a cache of tokens. Times that are not known are nil.
type CachedToken struct {
	Key      string     `json:"key"` // a hash: nobody can come in with it
	Keyspace string     `json:"keyspace"`
	What     string     `json:"what"` // one of the words below
	User     string     `json:"user"` // Keystone's id, empty if it cannot be read
	Stored   *time.Time `json:"stored"`
	Valid    *time.Time `json:"valid_until"` // of the token itself
	Expires  *time.Time `json:"expires"`     // of the entry
	Bytes    int        `json:"bytes"`
}

// TokenKinds are what an entry can be, as CachedToken.What says it.
var TokenKinds = []string{whatToken, whatValidated, whatEncrypted, whatCache}

// What an entry is.
const (
	whatToken     = "token"      // a token that Keystone has validated, or stores
	whatValidated = "validation" // keystonemiddleware's answer of Keystone
	whatEncrypted = "encrypted"  // the same, encrypted or signed
	whatCache     = "cache"      // anything else in Keystone's cache: catalogs, ids, revocations
)

const maxToken = 1 << 20 // bytes of an entry that are read

// newToken reads as much of an entry as says what it is.
func newToken(space string, key, value []byte, deadline int64) CachedToken {
	t := CachedToken{Key: printable(string(key)), Keyspace: space, What: whatCache, Bytes: len(value), Expires: unixMilli(deadline)}
	value = value[:min(len(value), maxToken)]
	if bytes.HasPrefix(key, []byte(middleware)) {
		t.readValidation(value)
	} else {
		t.readItem(value)
	}
	return t
}

// readValidation reads what keystonemiddleware stores: [answer, expiry] in JSON, unless it is encrypted.
func (t *CachedToken) readValidation(value []byte) {
	t.What = whatEncrypted
	var pair []json.RawMessage
	if json.Unmarshal(value, &pair) != nil || len(pair) == 0 {
		return
	}
	t.What = whatValidated
	var answer struct {
		Token struct {
			Expires string `json:"expires_at"`
			User    struct {
				ID string `json:"id"`
			} `json:"user"`
		} `json:"token"`
	}
	if json.Unmarshal(pair[0], &answer) == nil {
		t.User, t.Valid = printable(answer.Token.User.ID), isoTime(answer.Token.Expires)
	}
}

// readItem reads an item of dogpile.cache: in Redis its metadata in JSON, a bar and a pickle; in memcached all of it as a pickle.
func (t *CachedToken) readItem(value []byte) {
	if head, body, found := bytes.Cut(value, []byte("|")); found && len(head) < 256 && bytes.HasPrefix(head, []byte("{")) {
		var meta struct {
			CT float64 `json:"ct"`
		}
		if json.Unmarshal(head, &meta) == nil {
			t.stored(meta.CT)
			value = body
		}
	}
	pickled(value, func(key string, a atom) {
		switch {
		case a.isNumber && key == "ct":
			t.stored(a.number)
		case !a.isString:
		case a.text == "keystone.models.token_model":
			t.What = whatToken
		case key == "issued_at" && t.What == whatCache:
			t.What = whatToken
		case strings.HasSuffix(key, "expires_at") && t.Valid == nil:
			t.Valid = isoTime(a.text)
		case key == "user_id" && t.User == "":
			t.User = printable(a.text)
		}
	})
	if t.What != whatToken {
		t.User, t.Valid = "", nil
	}
}

func (t *CachedToken) stored(seconds float64) {
	if seconds > 0 && seconds < 1e11 && t.Stored == nil {
		t.Stored = unixMilli(int64(seconds * 1000))
	}
}

// isoTime reads a time as Keystone writes it.
func isoTime(text string) *time.Time {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999Z0700"} {
		if at, err := time.Parse(layout, text); err == nil {
			return &at
		}
	}
	return nil
}
