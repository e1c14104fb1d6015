package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"

	"holdfast/cluster"
	"holdfast/cluster/link"
	"holdfast/config"
)

// A coroner is a small child process of the daemon that waits for its end and tells the other members. That is a proof, where a broken connection is
// a hint: they need not wait then until the leases and promises of the dead have run out. It does nothing else, and nothing depends on it.

// coronerVerb starts the program as a coroner.
const coronerVerb = "coroner"

const (
	coronerUpdate = time.Second     // how often it is told who the others are, if that has changed
	coronerTells  = 2 * time.Second // how long it tries to reach them
	coronerAgain  = 5 * time.Second // one that ended is started again
)

// estate is what the daemon leaves behind.
type estate struct {
	Self   link.Identity
	Peers  []string // addresses
	CA     string   // file names, empty without TLS
	Cert   string
	Key    string
	Format string // of the log
}

// appointCoroner keeps a coroner running until stop is closed.
func appointCoroner(c *config.Config, log *slog.Logger, node *cluster.Node, stop <-chan struct{}) {
	for {
		if err := accompany(c, node, stop); err != nil {
			log.Debug("the process that tells the others of this one's end has ended itself", "error", err)
		}
		select {
		case <-stop:
			return
		case <-time.After(coronerAgain):
		}
	}
}

// accompany starts a coroner and keeps it informed.
func accompany(c *config.Config, node *cluster.Node, stop <-chan struct{}) error {
	self, err := ownEnd()
	if err != nil {
		return err
	}
	defer self.Close()
	cmd := exec.Command("/proc/self/exe", coronerVerb)
	cmd.Stderr, cmd.ExtraFiles, cmd.SysProcAttr = os.Stderr, []*os.File{self}, apart()
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t := time.NewTicker(coronerUpdate)
	defer t.Stop()
	var told string
	for {
		e := estate{CA: c.PeerCA, Cert: c.PeerCert, Key: c.PeerKey, Format: c.LogFormat}
		e.Self, e.Peers = node.Neighbours()
		line, err := json.Marshal(e)
		if err == nil && string(line) != told {
			told = string(line)
			_, err = in.Write(append(line, '\n'))
		}
		if err != nil {
			in.Close()
			return errors.Join(err, <-ended)
		}
		select {
		case err := <-ended:
			return err
		case <-stop: // it goes on until this process has ended
			return nil
		case <-t.C:
		}
	}
}

// coroner waits for the end of the process behind file descriptor 3 and tells those whom it named on in.
func coroner(in io.Reader) error {
	ignoreSignals()
	var mu sync.Mutex
	var last estate
	go func() {
		for d := json.NewDecoder(in); ; {
			var e estate
			if err := d.Decode(&e); err != nil {
				return
			}
			mu.Lock()
			last = e
			mu.Unlock()
		}
	}()
	if err := awaitEnd(os.NewFile(3, "the daemon")); err != nil {
		return fmt.Errorf("wait for the daemon's end: %w", err)
	}
	mu.Lock()
	defer mu.Unlock()
	return last.tell()
}

// tell says to all peers at once that this one has ended.
func (e *estate) tell() error {
	log := logger(&config.Config{LogLevel: "error", LogFormat: e.Format})
	cfg := link.Config{Self: func() link.Identity { return e.Self }, Logger: log}
	if e.CA != "" {
		k, err := peerTLS(&config.Config{PeerCA: e.CA, PeerCert: e.Cert, PeerKey: e.Key}, e.Self.Name, log)
		if err != nil {
			return err
		}
		cfg.TLS = k.now
	}
	links := link.Start(cfg)
	defer links.Close()
	ctx, cancel := context.WithTimeout(context.Background(), coronerTells)
	defer cancel()
	var all sync.WaitGroup
	for _, addr := range e.Peers {
		all.Go(func() { links.Request(ctx, addr, cluster.Obituary) }) // who is not there will find out by itself
	}
	all.Wait()
	return nil
}
