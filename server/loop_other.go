//go:build !linux

package server

import "errors"

func (p *port) open() {}

func newLoop(*Server, func(wake func()) Worker) (home, error) {
	return nil, errors.New("no epoll on this system")
}

func (p *port) acceptSocket() error { return errors.New("no epoll on this system") }
