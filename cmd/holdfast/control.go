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

// Drain gives leases and leadership away.
func (c control) Drain(ctx context.Context) error {
	if n := c.node.Load(); n != nil {
		return n.Drain(ctx)
	}
	return errLoading
}

// Remove takes a member out of the group.
func (c control) Remove(ctx context.Context, name string) error {
	if n := c.node.Load(); n != nil {
		return n.Remove(ctx, name)
	}
	return errLoading
}

// Silent asks the other members.
func (c control) Silent() []string {
	if n := c.node.Load(); n != nil {
		return n.Silent()
	}
	return nil
}

// Ask asks the other members for a page of their admin ports.
func (c control) Ask(ctx context.Context, page string) (all []admin.Answer) {
	n := c.node.Load()
	if n == nil {
		return nil
	}
	for _, a := range n.Ask(ctx, page) {
		all = append(all, admin.Answer{Name: a.Name, Address: a.Addr, Body: a.Body, Err: a.Err, Took: a.Took, Ahead: a.Ahead, Heard: a.Heard})
	}
	return all
}

// handOver makes the stop of this member unnoticed by the others, if there are any and in time.
func (d *process) handOver() {
	if d.config.Alone() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), handOver)
	defer cancel()
	if err := d.node.Load().Drain(ctx); err != nil {
		d.log.Warn("stopping without having handed over: the others wait until what this controller held runs out", "error", err)
	}
}
