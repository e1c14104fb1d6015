package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// pollEvery is how often a daemon is asked how far it is.
const pollEvery = 500 * time.Millisecond

const logRemedy = "its log says why, in 'journalctl -u holdfast' or, under Pacemaker, 'journalctl -t holdfast'"

// start starts the daemon on the hosts where none runs, and waits until they are in the group.
func (d *deployment) start(ctx context.Context, fresh []*host) error {
	if err := d.startAll(ctx, fresh); err != nil {
		return err
	}
	err := d.each(fresh, func(h *host) error {
		return d.step(h, "join", logRemedy, func() (string, error) { return "a member", d.await(ctx, h, (*status).isMember) })
	})
	if err != nil && d.anyServes(ctx, fresh) {
		// The group is there and may have been written to: stopping it again would do more harm.
		for _, h := range fresh {
			h.undo = nil
		}
		return fmt.Errorf("%w\nThe group serves without it, and was left running; run this again when that is mended", err)
	}
	if err != nil {
		return err
	}
	return d.each(fresh, func(h *host) error { return d.settle(ctx, h) })
}

func (d *deployment) startAll(ctx context.Context, fresh []*host) error {
	if len(fresh) == 0 && !d.createsClone() {
		return nil
	}
	if !d.hosts[0].plan.managed {
		return d.each(fresh, func(h *host) error {
			return d.step(h, "start", logRemedy, func() (string, error) {
				h.undo = append(h.undo, undo{stopScript, nil})
				_, err := d.run(ctx, h, startScript)
				return "started", err
			})
		})
	}
	for _, h := range fresh {
		if h.facts.enabled {
			if _, err := d.run(ctx, h, leaveScript); err != nil {
				return &Failure{h.Name, "start", err, "see that 'systemctl disable holdfast' works there"}
			}
		}
	}
	if d.createsClone() {
		return d.createClone(ctx)
	}
	return d.each(fresh, func(h *host) error {
		return d.step(h, "start", "see 'pcs status' there", func() (string, error) {
			_, err := d.run(ctx, h, cleanupScript, d.clone())
			return "by Pacemaker", err
		})
	})
}

func (d *deployment) createsClone() bool { return d.Pacemaker && d.clone() == "" }

// cloneName is what pcs calls the clone of the resource holdfast.
const cloneName = "holdfast-clone"

// createClone has Pacemaker run the daemon everywhere but where systemd still does.
func (d *deployment) createClone(ctx context.Context) error {
	first := d.hosts[0]
	var later []string
	for _, h := range d.hosts {
		if d.handsOver(h) {
			later = append(later, h.facts.node)
		}
	}
	return d.step(first, "clone", "see 'pcs status' there", func() (string, error) {
		first.undo = append(first.undo, undo{uncloneScript, nil})
		_, err := d.run(ctx, first, cloneScript, later...)
		return cloneName, err
	})
}

// await asks a host's daemon until it says what is wanted. The error says what it said last.
func (d *deployment) await(ctx context.Context, h *host, good func(*status) error) error {
	end := time.Now().Add(d.Wait)
	for {
		s, err := d.ask(ctx, h)
		switch {
		case err != nil:
		case s == nil:
			err = errors.New("the daemon does not answer")
		default:
			err = good(s)
		}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Now().After(end) {
			return fmt.Errorf("after %s %w%s", d.Wait, err, d.lastWords(ctx, h, s))
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(pollEvery, d.Wait)):
		}
	}
}

// lastWords is what a daemon complained of that does not answer.
func (d *deployment) lastWords(ctx context.Context, h *host, s *status) string {
	if s != nil {
		return ""
	}
	out, err := d.run(ctx, h, lastWordsScript)
	if line := strings.TrimSpace(string(out)); err == nil && line != "" {
		return fmt.Sprintf(", and said %.300q", line)
	}
	return ""
}

// isMember says what is missing until a daemon serves, as a member with a vote.
func (s *status) isMember() error {
	switch {
	case !s.Ready || !s.Quorum:
		return fmt.Errorf("it does not serve yet: %s", s.Why)
	case s.Role == learner:
		return errors.New("it is a learner, which is still brought up to date")
	case s.Draining:
		return errors.New("it is drained")
	}
	return nil
}

// isWhole says what is missing until all the hosts are members that know of each other.
func (d *deployment) isWhole(s *status) error {
	if err := s.isMember(); err != nil {
		return err
	}
	if s.Verdict != healthy {
		return fmt.Errorf("the group is %s: %s", s.Verdict, s.Why)
	}
	for _, h := range d.hosts {
		if !slices.ContainsFunc(s.Peers, func(p peer) bool { return p.Name == h.Name && p.Role != learner }) {
			return fmt.Errorf("%s has no vote in its group", h.Name)
		}
	}
	return nil
}

// anyServes says whether one of the hosts carries out writes.
func (d *deployment) anyServes(ctx context.Context, hosts []*host) bool {
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), askStatus.within)
	defer cancel()
	for _, h := range hosts {
		if s, err := d.ask(clean, h); err == nil && s != nil && s.Ready && s.Quorum {
			return true
		}
	}
	return false
}

// together waits until every member says by itself that the group is well.
func (d *deployment) together(ctx context.Context) error {
	return d.each(d.hosts, func(h *host) error {
		return d.step(h, "group", logRemedy, func() (string, error) { return "healthy", d.await(ctx, h, d.isWhole) })
	})
}
