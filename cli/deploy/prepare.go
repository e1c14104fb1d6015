package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
)

// prepare brings a host to where the daemon could be started, which it does not do. What it writes is noted in h.undo before.
func (d *deployment) prepare(ctx context.Context, h *host) error {
	if err := d.install(ctx, h); err != nil {
		return err
	}
	return d.configure(ctx, h)
}

// install sends the package and installs it.
func (d *deployment) install(ctx context.Context, h *host) error {
	p := h.plan.install
	if p == nil {
		return nil
	}
	path := uploaded + h.facts.kind
	err := d.step(h, "copy", "see that there is room in /var/cache there, and run this again", func() (string, error) {
		f, err := p.Open()
		if err != nil {
			return "", err
		}
		defer f.Close()
		h.undo = append(h.undo, undo{removeScript, []string{path}})
		_, err = d.feed(ctx, h, f, uploadScript, path, p.SHA256)
		return p.Name, err
	})
	if err != nil {
		return err
	}
	remedy := "see what its package manager says ('dpkg --audit', 'rpm -V holdfast'), and run this again"
	return d.step(h, "install", remedy, func() (string, error) {
		out, err := d.run(ctx, h, installScript, h.facts.kind, path, p.SHA256)
		return "holdfast " + strings.TrimSpace(string(out)), err
	})
}

// configure writes certificates and settings, and has the installed version say what it thinks of these.
func (d *deployment) configure(ctx context.Context, h *host) error {
	if len(h.plan.files) > 0 {
		err := d.step(h, "certificate", "see that /etc/holdfast can be written there, and run this again", func() (string, error) {
			for _, f := range h.plan.files {
				if err := d.write(ctx, h, f); err != nil {
					return "", fmt.Errorf("%s: %w", f.path, err)
				}
			}
			return "written", nil
		})
		if err != nil {
			return err
		}
	}
	if h.plan.text == nil {
		return nil
	}
	return d.step(h, "settings", "see that the package is of the same version as this program, and run this again", func() (string, error) {
		if err := d.write(ctx, h, file{configFile, "640", h.plan.text}); err != nil {
			return "", fmt.Errorf("%s: %w", configFile, err)
		}
		_, err := d.run(ctx, h, checkScript, configFile)
		return "written and checked", err
	})
}

// write puts a file on a host.
func (d *deployment) write(ctx context.Context, h *host, f file) error {
	h.undo = append(h.undo, undo{restoreScript, []string{f.path}})
	_, err := d.feed(ctx, h, bytes.NewReader(f.text), writeScript, f.path, f.mode, sum(f.text))
	return err
}

// takeBack leaves a host as it was found, but for the package, which does nothing by itself. It goes on after a failure.
func (d *deployment) takeBack(ctx context.Context, h *host) error {
	if len(h.undo) == 0 {
		return nil
	}
	return d.step(h, "take back", "what was written there may still be there; run this again when it can be reached", func() (string, error) {
		var all []error
		for len(h.undo) > 0 {
			u := h.undo[len(h.undo)-1]
			h.undo = h.undo[:len(h.undo)-1]
			if _, err := d.run(ctx, h, u.script, u.args...); err != nil {
				all = append(all, err)
			}
		}
		return "as it was found, but for the package", errors.Join(all...)
	})
}

// settle forgets how a host was found.
func (d *deployment) settle(ctx context.Context, h *host) error {
	var paths []string
	for _, u := range h.undo {
		if u.script == restoreScript {
			paths = append(paths, u.args...)
		}
	}
	h.undo = nil
	if len(paths) == 0 {
		return nil
	}
	_, err := d.run(ctx, h, keepScript, paths...)
	return err
}
