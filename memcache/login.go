package memcache

import "holdfast/users"

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
	if !s.authenticate(user, password) {
		return s.say(all, false, badLogin)
	}
	return s.say(all, false, "STORED")
}

// authenticate makes the connection that of the user, if the password is right. It counts both.
func (s *Session) authenticate(name, password []byte) bool {
	s.w.count.add(authCmds)
	u := s.users.Authenticate(name, password)
	if u == nil {
		s.w.count.add(authErrors)
		return false
	}
	s.user = u
	return true
}

// everybody is the user where there are no users: one who may do everything.
var everybody = users.New(nil).Default()

// anonymous is the user of a client that has not logged in, nil if it has to.
func (s *Session) anonymous() *users.User {
	if s.users == nil {
		return everybody
	}
	return s.users.Anonymous(s.w.d.conf.Anonymous)
}

// renew looks the user up again after the users have changed: who is there no more is closed.
func (s *Session) renew(set *users.Set) {
	s.users = set
	switch {
	case set == nil:
		s.user = everybody
		return
	case s.user == nil:
		return
	}
	if s.user = set.Find([]byte(s.user.Name)); s.user == nil || !s.user.On() {
		s.user, s.closing = nil, true
	}
}
