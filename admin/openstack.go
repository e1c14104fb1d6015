package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"holdfast/engine"
	"holdfast/openstack"
)

// defaultTimeout is what tooz has as the timeout of a member.
const defaultTimeout = 30 * time.Second

// listPage is an answer in parts: Next is the cursor of the next one, empty after the last.
type listPage struct {
	Items any       `json:"items"`
	Next  string    `json:"next"`
	Now   time.Time `json:"now"` // the group's time
}

// inventory lets only this machine ask who is logged in and who holds what: the port has no passwords.
func (s *Server) inventory(list func(v *openstack.Inventory, r *http.Request) (any, string, error)) http.HandlerFunc {
	return s.guard(true, func(w http.ResponseWriter, r *http.Request) {
		v := s.services()
		items, next, err := list(v, r)
		if err != nil {
			answer(w, codeOf(err), err.Error())
			return
		}
		answerJSON(w, listPage{items, next, v.Now.UTC()})
	})
}

func (s *Server) services() *openstack.Inventory {
	st := s.o.Status()
	return &openstack.Inventory{State: s.o.State, Now: time.Unix(0, st.Now)}
}

// codeOf tells a state that does not answer from a question that makes no sense.
func codeOf(err error) int {
	switch {
	case errors.Is(err, engine.ErrUnavailable), errors.Is(err, engine.ErrUncertain):
		return http.StatusServiceUnavailable
	case errors.Is(err, openstack.ErrAsked):
		return http.StatusBadRequest
	}
	return http.StatusInternalServerError
}

// none makes an empty list of no list, for JSON.
func none[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

func cursorOf(r *http.Request) string { return r.URL.Query().Get("cursor") }

func listSessions(v *openstack.Inventory, r *http.Request) (any, string, error) {
	all, next, err := v.Sessions(cursorOf(r))
	return none(all), next, err
}

func listTokens(v *openstack.Inventory, r *http.Request) (any, string, error) {
	all, next, err := v.Tokens(cursorOf(r))
	return none(all), next, err
}

func listLocks(v *openstack.Inventory, r *http.Request) (any, string, error) {
	all, next, err := v.Locks(cursorOf(r))
	return none(all), next, err
}

func listGroups(v *openstack.Inventory, r *http.Request) (any, string, error) {
	timeout := defaultTimeout
	if text := r.URL.Query().Get("timeout"); text != "" {
		var err error
		if timeout, err = time.ParseDuration(text); err != nil || timeout <= 0 {
			return nil, "", fmt.Errorf("timeout is %.40q: write a duration such as 30s: %w", text, openstack.ErrAsked)
		}
	}
	all, next, err := v.Groups(cursorOf(r), timeout)
	return none(all), next, err
}

// endSessions logs one user out, or all.
func (s *Server) endSessions(_ context.Context, r *http.Request) (string, error) {
	v, q := s.services(), r.URL.Query()
	var text string
	var err error
	switch {
	case q.Get("all") == "yes" && q.Get("key") == "":
		var n int64
		n, err = v.EndAllSessions()
		text = fmt.Sprintf("%d sessions ended", n)
		if err != nil {
			err = fmt.Errorf("%s, then: %w", text, err)
		}
	case q.Get("all") == "" && q.Get("key") != "":
		var id string
		id, err = v.EndSession(q.Get("key"))
		text = "session " + id + " ended"
	default:
		return "", refusal{http.StatusBadRequest, "name one session with key, or write all=yes"}
	}
	if err != nil {
		return "", refusal{codeOf(err), err.Error()}
	}
	return text, nil
}
