package memcache

import "crypto/subtle"

// maxLogin is how long a name and a password may be together.
const maxLogin = 1024

const (
	notLoggedIn = "CLIENT_ERROR unauthenticated"
	badLogin    = "CLIENT_ERROR authentication failure"
	badToken    = "CLIENT_ERROR bad authentication token format"
	badEnd      = "CLIENT_ERROR bad command line termination"
)

// login reads the one command that a client without a name may send: a set, of any key, whose data is a name and a password.
func (s *Session) login(line, in []byte, end int) (n, next int, more bool) {
	var a [5][]byte
	for i := range a {
		a[i], line = nextArg(line)
	}
	length, ok := unsigned(a[4])
	if string(a[0]) != "set" || !ok {
		return s.say(end, false, notLoggedIn)
	}
	if length > maxLogin {
		return s.close()
	}
	all := end + int(length) + 2
	if len(in) < all {
		return 0, all, false
	}
	data := in[end:all]
	if string(data[length:]) != "\r\n" {
		return s.say(all, false, badEnd)
	}
	user, rest := nextArg(data[:length])
	password, _ := nextArg(rest)
	if len(password) == 0 {
		return s.say(all, false, badToken)
	}
	s.w.count.add(authCmds)
	want, there := s.w.d.conf.Users[string(user)]
	if subtle.ConstantTimeCompare([]byte(want), password) != 1 || !there {
		s.w.count.add(authErrors)
		return s.say(all, false, badLogin)
	}
	s.known = true
	return s.say(all, false, "STORED")
}
