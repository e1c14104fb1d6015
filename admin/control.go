package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"holdfast/engine"
)

// Control is what the admin port can have a member do. Any goroutine may call it.
type Control interface {
	// Drain gives leases back and leadership away and returns nil when the others go on without this member; it takes neither again. The
	// error is a sentence. It may be called again.
	Drain(ctx context.Context) error
	// Remove takes the member of that name out of the group and returns nil when the group has agreed to it. It may be called again.
	Remove(ctx context.Context, name string) error
	// Silent asks the other members and returns the names of those that do not answer now, which Status may not know. It takes seconds at most.
	Silent() []string
	// Ask asks all other members for a page, see Server.Answer, and returns when they have answered or ctx has ended.
	Ask(ctx context.Context, page string) []Answer
}

// actionHeader must be there, whatever it says, in a request that changes something: a page in somebody's browser cannot send it to another host.
const actionHeader = "X-Holdfast-Action"

// actionTime bounds what a request that changes something may take, below writeTimeout.
const actionTime = 20 * time.Second

// action lets requests that change something in from this machine alone, since the port has no passwords.
func (s *Server) action(do func(ctx context.Context, r *http.Request) (string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(actionHeader) == "" || !ownHost(r.Host) {
			answer(w, http.StatusForbidden, "a request that changes something needs the header "+actionHeader+" and an address or localhost as its host")
			return
		}
		if !fromHere(r) {
			answer(w, http.StatusForbidden, "a request that changes something must come from the machine that the controller runs on")
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), actionTime)
		defer cancel()
		text, err := do(ctx, r)
		var refused refusal
		switch {
		case errors.As(err, &refused):
			answer(w, refused.code, refused.text)
		case err != nil:
			answer(w, http.StatusInternalServerError, err.Error())
		default:
			s.o.Log.Info("done as the admin port was told", "action", r.URL.Path, "result", text)
			answer(w, http.StatusOK, text)
		}
	}
}

// refusal is why something was not tried.
type refusal struct {
	code int
	text string
}

func (r refusal) Error() string { return r.text }

func refuse(format string, args ...any) error {
	return refusal{http.StatusConflict, fmt.Sprintf(format, args...)}
}

// fromHere says whether a request comes from this machine: over loopback, over a Unix socket, or from the address that it came to.
func fromHere(r *http.Request) bool {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if local != nil && local.Network() == "unix" {
		return true
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	ip := from.Addr().Unmap()
	if ip.IsLoopback() || local == nil {
		return ip.IsLoopback()
	}
	to, err := netip.ParseAddrPort(local.String())
	return err == nil && ip == to.Addr().Unmap()
}

// ownHost says whether a Host header names no name that somebody else could have pointed at this machine.
func ownHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil || host == "localhost" || host == "holdfast"
}

func (s *Server) drain(ctx context.Context, _ *http.Request) (string, error) {
	st := s.o.Status()
	switch {
	case !st.Ready:
		return "", refusal{http.StatusServiceUnavailable, "the state is being loaded: stop it as it is"}
	case len(st.Peers) < 2:
		return "", refuse("this controller is a group of one: nobody takes over from it, its clients will see it stop")
	case !st.Quorum:
		return "", refuse("not safe to stop: %s", whyNot(&st))
	}
	silent := s.o.Control.Silent()
	if voters, up := count(&st, silent, s.o.Name); isVoter(&st) && up <= voters/2 {
		why := fmt.Sprintf("only %d have a vote", voters)
		if len(silent) > 0 {
			why = "missing: " + strings.Join(silent, ", ")
		}
		return "", refuse("not safe to stop: %s, and without this controller there is no majority", why)
	}
	if err := s.o.Control.Drain(ctx); err != nil {
		return "", fmt.Errorf("not drained: %w", err)
	}
	return "drained: it is safe to stop " + s.o.Name, nil
}

func (s *Server) remove(ctx context.Context, r *http.Request) (string, error) {
	name := r.URL.Query().Get("name")
	st := s.o.Status()
	gone := find(&st, name)
	if gone == nil {
		return "", refusal{http.StatusNotFound, fmt.Sprintf("there is no member %.64q: %s", name, listNames(&st))}
	}
	voters, up := count(&st, s.o.Control.Silent(), name)
	if gone.Role != "learner" {
		voters--
	}
	switch {
	case voters == 0:
		return "", refuse("%s is the only member: stop it instead", name)
	case up <= voters/2:
		return "", refuse("not removed: of the %d that stay only %d answer, which is no majority", voters, up)
	}
	if err := s.o.Control.Remove(ctx, name); err != nil {
		return "", fmt.Errorf("%s not removed: %w", name, err)
	}
	return name + " is no member any more", nil
}

// count returns how many voters there are, and how many of them answer without counting one.
func count(st *engine.Status, silent []string, without string) (voters, up int) {
	for i := range st.Peers {
		if p := &st.Peers[i]; p.Role != "learner" {
			voters++
			if p.Name != without && !slices.Contains(silent, p.Name) {
				up++
			}
		}
	}
	return voters, up
}

// isVoter says whether this controller is one of the voters.
func isVoter(st *engine.Status) bool {
	for i := range st.Peers {
		if st.Peers[i].Self {
			return st.Peers[i].Role != "learner"
		}
	}
	return false
}

func find(st *engine.Status, name string) *engine.Peer {
	for i := range st.Peers {
		if st.Peers[i].Name == name {
			return &st.Peers[i]
		}
	}
	return nil
}

func listNames(st *engine.Status) string {
	if len(st.Peers) == 0 {
		return "this controller is a group of one"
	}
	var names []string
	for i := range st.Peers {
		names = append(names, st.Peers[i].Name)
	}
	return "there are " + strings.Join(names, ", ")
}
