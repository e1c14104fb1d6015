package main

import (
	"crypto/tls"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// certificates are what is shown and trusted on one side of the daemon, from files that are read again when they have changed. Connections that
// are there keep what they began with.
type certificates struct {
	side  string // for the log
	files []string
	load  func() (*tls.Config, error)
	log   *slog.Logger

	mu     sync.Mutex
	stamps []stamp
	config *tls.Config // what was last good
}

// stamp tells one version of a file from the next.
type stamp struct {
	size    int64
	changed time.Time
}

// openCertificates loads for the first time. load reads the files.
func openCertificates(side string, files []string, log *slog.Logger, load func() (*tls.Config, error)) (*certificates, error) {
	k := &certificates{side: side, files: files, load: load, log: log}
	k.stamps = k.look()
	var err error
	if k.config, err = load(); err != nil {
		return nil, err
	}
	return k, nil
}

// now returns what is valid for a connection that begins now. Any goroutine may call it.
func (k *certificates) now() *tls.Config {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := k.look(); !slices.Equal(now, k.stamps) {
		k.stamps = now
		if c, err := k.load(); err != nil {
			k.log.Error("the certificates "+k.side+" have changed and are not good: the old ones stay in use", "error", err)
		} else {
			k.config = c
			k.log.Info("the certificates " + k.side + " were read again")
		}
	}
	return k.config
}

func (k *certificates) look() []stamp {
	all := make([]stamp, len(k.files))
	for i, name := range k.files {
		if fi, err := os.Stat(name); err == nil {
			all[i] = stamp{fi.Size(), fi.ModTime()}
		}
	}
	return all
}

// server is the configuration of a listener whose connections begin with what is valid then.
func (k *certificates) server() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return k.now(), nil }}
}
