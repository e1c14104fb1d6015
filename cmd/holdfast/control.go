package main

import (
	"context"
	"errors"

	"holdfast/admin"
)

// control is what the admin port can have this process do.
type control struct{ *process }

var _ admin.Control = control{}

var errLoading = errors.New("the state is being loaded")

// member is the node as the admin port sees it.
func (c control) member() (admin.Control, error) {
	if n, ok := any(c.node.Load()).(admin.Control); ok && c.node.Load() != nil {
		return n, nil
	}
	return nil, errLoading
}

// Drain gives leases and leadership away.
func (c control) Drain(ctx context.Context) error {
	n, err := c.member()
	if err != nil {
		return err
	}
	return n.Drain(ctx)
}

// Remove takes a member out of the group.
func (c control) Remove(ctx context.Context, name string) error {
	n, err := c.member()
	if err != nil {
		return err
	}
	return n.Remove(ctx, name)
}

// handOver makes the stop of this member unnoticed by the others, if there are any and in time. From here on it is not ready.
func (d *process) handOver() {
	d.stopping.Store(true)
	if d.config.Alone() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), handOver)
	defer cancel()
	if err := (control{d}).Drain(ctx); err != nil {
		d.log.Warn("stopping without having handed over: the others wait until what this controller held runs out", "error", err)
	}
}
