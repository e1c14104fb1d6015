package main

import (
	"sync"
	"sync/atomic"
	"time"

	"holdfast/cluster"
	"holdfast/engine"
	"holdfast/op"
)

// deskPatience is how long after its budget a request of the desk is given up, whatever became of it.
const deskPatience = 2 * time.Second

// desk carries ops out for the admin port: a worker with a door of its own whose callers wait.
type desk struct {
	door atomic.Pointer[cluster.Door]
	hold time.Duration
	mu   sync.Mutex    // of the worker: who writes and flushes
	kick chan struct{} // flush soon
	stop chan struct{}
}

func newDesk(hold time.Duration) *desk {
	return &desk{hold: hold, kick: make(chan struct{}, 1), stop: make(chan struct{})}
}

// open gives it a door and serves it until close.
func (k *desk) open(node *cluster.Node) {
	k.door.Store(node.Door(k.wake, k.hold))
	go func() {
		for {
			select {
			case <-k.kick:
				k.flush()
			case <-k.stop:
				return
			}
		}
	}()
}

func (k *desk) close() { close(k.stop) }

func (k *desk) wake() {
	select {
	case k.kick <- struct{}{}:
	default:
	}
}

func (k *desk) flush() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.door.Load().Flush()
}

// Read waits for the answer to r.
func (k *desk) Read(r op.Read, show func(*op.Result)) error {
	door := k.door.Load()
	if door == nil {
		return errLoading
	}
	w := &readWaiter{show: show, woken: make(chan error, 1)}
	end := time.After(k.hold + deskPatience)
	for !door.Read(r, w) {
		k.wake() // what the answer needs is asked for by a flush
		select {
		case err := <-w.woken:
			if err != nil {
				return err
			}
		case <-end:
			return engine.ErrUnavailable
		}
	}
	return nil
}

// Write waits until w is carried out.
func (k *desk) Write(w op.Write) (op.Result, error) {
	door := k.door.Load()
	if door == nil {
		return op.Result{}, errLoading
	}
	s := make(writeWaiter, 1)
	k.mu.Lock()
	door.Write(w, s)
	door.Flush()
	k.mu.Unlock()
	select {
	case done := <-s:
		return done.res, done.err
	case <-time.After(k.hold + deskPatience):
		return op.Result{}, engine.ErrUncertain
	}
}

// readWaiter is an engine.Reader that somebody waits for.
type readWaiter struct {
	show  func(*op.Result)
	woken chan error
}

// Show, Wake and Refuse are engine.Reader's.
func (w *readWaiter) Show(res *op.Result) { w.show(res) }
func (w *readWaiter) Wake()               { w.woken <- nil }
func (w *readWaiter) Refuse(err error)    { w.woken <- err }

// writeWaiter is an engine.Writer that somebody waits for.
type writeWaiter chan written

type written struct {
	res op.Result
	err error
}

// Done is engine.Writer's. Of the result it keeps what is no reference.
func (w writeWaiter) Done(res *op.Result, err error) {
	if err != nil {
		w <- written{err: err}
		return
	}
	w <- written{res: op.Result{Status: res.Status, Int: res.Int, Version: res.Version}}
}
