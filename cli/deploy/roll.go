package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// roll changes the running controllers one after the other, the leader last, and stops at the first that fails.
func (d *deployment) roll(ctx context.Context) error {
	hosts := slices.DeleteFunc(slices.Clone(d.hosts), func(h *host) bool { return !h.facts.running || !h.plan.roll && len(h.plan.files) == 0 })
	leads := func(h *host) bool { return h.facts.status != nil && h.facts.status.Leader == h.Name }
	slices.SortStableFunc(hosts, func(a, b *host) int {
		switch {
		case leads(a) == leads(b):
			return 0
		case leads(a):
			return 1
		}
		return -1
	})
	for i, h := range hosts {
		err := d.rollOne(ctx, h)
		if err == nil {
			continue
		}
		if rest := names(hosts[i+1:]); rest != "" {
			err = fmt.Errorf("%w\n%s not touched; run this again when that is mended", err, rest)
		}
		return err
	}
	return nil
}

func names(hosts []*host) string {
	var all []string
	for _, h := range hosts {
		all = append(all, h.Name)
	}
	switch len(all) {
	case 0:
		return ""
	case 1:
		return all[0] + " was"
	}
	return strings.Join(all, ", ") + " were"
}

func (d *deployment) rollOne(ctx context.Context, h *host) error {
	if !h.plan.roll { // new certificates are read while it runs
		if err := d.configure(ctx, h); err != nil {
			return err
		}
		return d.settle(ctx, h)
	}
	if err := d.drain(ctx, h); err != nil {
		return err
	}
	err := d.prepare(ctx, h)
	if err != nil {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoWithin)
		defer cancel()
		err = errors.Join(err, d.takeBack(clean, h))
		ctx = clean // a drained controller is not left so
	}
	if back := d.restart(ctx, h); back != nil || err != nil {
		return errors.Join(err, back)
	}
	if err := d.settle(ctx, h); err != nil {
		return err
	}
	return d.step(h, "return", logRemedy, func() (string, error) { return "back in the group", d.isBack(ctx, h) })
}

// drain waits until all others are well, so that nobody misses this one, and has it give away what they would wait for.
func (d *deployment) drain(ctx context.Context, h *host) error {
	if len(d.hosts) == 1 {
		return nil // nobody takes over from it
	}
	if err := d.pause(ctx, h); err != nil {
		return err
	}
	return d.step(h, "drain", "see 'holdfast status' there", func() (string, error) {
		if err := d.await(ctx, h, d.isWhole); err != nil {
			return "", fmt.Errorf("not safe: %w", err)
		}
		_, err := d.run(ctx, h, drainScript, configFile)
		return "safe to stop", err
	})
}

// pause waits until the clients of a controller that was restarted before know it again.
func (d *deployment) pause(ctx context.Context, h *host) error {
	if !d.restarted || d.Pause <= 0 {
		d.restarted = true
		return nil
	}
	return d.step(h, "pause", "", func() (string, error) {
		select {
		case <-ctx.Done():
		case <-time.After(d.Pause):
		}
		return "for clients that leave a server alone for a while", ctx.Err()
	})
}

// restart restarts a drained controller, unless the package has: one that was restarted does not say any more that it is drained.
func (d *deployment) restart(ctx context.Context, h *host) error {
	return d.step(h, "restart", logRemedy, func() (string, error) {
		s, err := d.ask(ctx, h)
		if err == nil && s != nil && !s.Draining && h.plan.install != nil && h.plan.text == nil && len(d.hosts) > 1 {
			return "restarted by the package", nil
		}
		_, err = d.run(ctx, h, restartScript, h.facts.clone)
		return "restarted", err
	})
}

// isBack waits until a controller says that all is well, and the leader that it may answer reads.
func (d *deployment) isBack(ctx context.Context, h *host) error {
	if err := d.await(ctx, h, d.isWhole); err != nil {
		return err
	}
	if h.plan.settings.Reads != "lease" {
		return nil
	}
	s, err := d.ask(ctx, h)
	if err != nil || s == nil {
		return errors.Join(err, errors.New("the daemon does not answer any more"))
	}
	leader := h
	for _, o := range d.hosts {
		if o.Name == s.Leader {
			leader = o
		}
	}
	return d.await(ctx, leader, func(s *status) error {
		i := slices.IndexFunc(s.Peers, func(p peer) bool { return p.Name == h.Name })
		if i < 0 || !s.Peers[i].InRoster && s.Leader == leader.Name {
			return fmt.Errorf("%s says that %s does not answer reads from its own memory yet", leader.Name, h.Name)
		}
		return nil
	})
}

// handsOver says whether a host's daemon is systemd's and is to be Pacemaker's.
func (d *deployment) handsOver(h *host) bool {
	return d.createsClone() && h.facts.running && h.facts.active
}

// handToPacemaker has Pacemaker run what systemd did, one controller after the other.
func (d *deployment) handToPacemaker(ctx context.Context) error {
	for _, h := range d.hosts {
		if !d.handsOver(h) {
			continue
		}
		if err := d.drain(ctx, h); err != nil {
			return err
		}
		err := d.step(h, "hand over", "see 'pcs status' there", func() (string, error) {
			_, err := d.run(ctx, h, allowScript, cloneName)
			if err == nil {
				err = d.isBack(ctx, h)
			}
			return "Pacemaker's", err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
